"""The Obol server that the tests call, and accounts of their own on it."""

from __future__ import annotations

import os
import uuid

from obol import AsyncObol, Obol

URL = os.environ["OBOL_TEST_URL"]
OPERATOR_KEY = os.environ["OBOL_TEST_OPERATOR_KEY"]


def operator(**options: object) -> Obol:
    """A client of the operator."""
    return Obol(URL, OPERATOR_KEY, **options)  # type: ignore[arg-type]


def async_operator(**options: object) -> AsyncObol:
    """The same, for asyncio."""
    return AsyncObol(URL, OPERATOR_KEY, **options)  # type: ignore[arg-type]


def open_account(obol: Obol, credits: str = "1000") -> str:
    """Opens an account with credits, and gives its id."""
    account = obol.accounts.create(name="Test", external_id=str(uuid.uuid4()))
    if credits != "0":
        obol.grants.create(account=account.id, amount=credits)
    return account.id


def customer(obol: Obol, account: str, **terms: object) -> Obol:
    """A client of a new key of an account."""
    key = obol.keys.create(account=account, **terms)  # type: ignore[arg-type]
    assert key.secret is not None
    return Obol(URL, key.secret)
