"""Verifies webhooks (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import ObolError

__all__ = ["WebhookEvent", "WebhookVerificationError", "verify_webhook"]

_TOLERANCE_SECONDS = 300.0


class WebhookVerificationError(ObolError):
    """The message is not one of the server's, or too old, or was changed on its way. Answer it with 400, and do nothing else."""

    what_to_do = "Give the body as it was received, before anything parses it, with the headers and the secret of this endpoint."


@dataclass(frozen=True)
class WebhookEvent:
    """News that a webhook brings. The same `id` may come twice: do it once."""

    id: str
    type: str
    timestamp: str
    data: Any


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_seconds: float = _TOLERANCE_SECONDS,
    now: float | None = None,
) -> WebhookEvent:
    """Gives the event of a webhook. `secret` is the endpoint's (`whsec_…`); during a rotation both.

    Raises WebhookVerificationError for a message that is not the server's, or not from now.
    """
    if not isinstance(body, (bytes, str)):
        raise WebhookVerificationError("The body was parsed already.")
    raw = body.encode() if isinstance(body, str) else body
    named = {name.lower(): text for name, text in headers.items()}
    message, stamp, signatures = (_header(named, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    _check_time(stamp, tolerance_seconds, time.time() if now is None else now)
    content = f"{message}.{stamp}.".encode() + raw
    secrets = [secret] if isinstance(secret, str) else secret
    stated = [one[3:].encode() for one in signatures.split(" ") if one.startswith("v1,")]
    expected = [base64.b64encode(hmac.new(_secret_bytes(one), content, hashlib.sha256).digest()) for one in secrets]
    # Every pair is compared, each in constant time.
    if not sum(hmac.compare_digest(one, other) for one in stated for other in expected):
        raise WebhookVerificationError("No signature is of these secrets.")
    return _read_event(message, raw)


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise WebhookVerificationError(f"The header {name} is missing.")
    return value


def _check_time(stamp: str, tolerance_seconds: float, now: float) -> None:
    if not re.fullmatch(r"\d{1,12}", stamp) or abs(now - int(stamp)) > tolerance_seconds:
        raise WebhookVerificationError("The message is not from now.")


def _secret_bytes(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret[len("whsec_") :], validate=True) if secret.startswith("whsec_") else b""
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise WebhookVerificationError("The secret is not one of a webhook endpoint: it begins with whsec_.")
    return key


def _read_event(message: str, raw: bytes) -> WebhookEvent:
    try:
        event = json.loads(raw)
    except ValueError as cause:
        raise WebhookVerificationError("The body is not JSON.") from cause
    if not (isinstance(event, dict) and isinstance(event.get("type"), str) and isinstance(event.get("timestamp"), str)):
        raise WebhookVerificationError("The body is no event.")
    return WebhookEvent(message, event["type"], event["timestamp"], event.get("data"))
