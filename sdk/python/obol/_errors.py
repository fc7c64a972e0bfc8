"""What can go wrong in a call: the API's problems by code and family, and what happens on the way."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = [
    "CallFacts",
    "ObolError",
    "InvalidArgumentError",
    "UnknownOutcomeError",
    "ConnectionError",
    "TimeoutError",
    "UnexpectedAnswerError",
    "WrongPlace",
    "ApiError",
    "BadRequestError",
    "AuthenticationError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "NotFoundError",
    "ConflictError",
    "TryLaterError",
    "ServerFaultError",
]


@dataclass(frozen=True)
class CallFacts:
    """What is known of the call that failed."""

    #: Finds the request in the server's log; None: the server never answered.
    request_id: str | None = None
    #: The key that the call was sent under. Call again with it, and it takes effect once. None: it had none.
    idempotency_key: str | None = None
    #: How often it was sent.
    attempts: int = 0


class ObolError(Exception):
    """Everything that the SDK raises."""

    #: What to do about it, for people.
    what_to_do = ""
    #: Whether the call may have taken effect all the same: then send it again with its `idempotency_key`, never with a new one.
    may_have_taken_effect = False

    def __init__(self, message: str, facts: CallFacts | None = None) -> None:
        super().__init__(message)
        known = facts or CallFacts()
        self.request_id = known.request_id
        self.idempotency_key = known.idempotency_key
        self.attempts = known.attempts


class InvalidArgumentError(ObolError, ValueError):
    """What was asked for cannot be sent: raised before anything is."""


class UnknownOutcomeError(ObolError):
    """Nothing that can be relied on came back."""

    what_to_do = (
        "It may have taken effect. Call again with the same idempotency_key: it takes effect once, and you hear what came of it."
    )
    may_have_taken_effect = True


class ConnectionError(UnknownOutcomeError, builtins.ConnectionError):  # noqa: A001 - it is one, and is caught as one
    """The server could not be reached, or the connection broke. `__cause__` says how."""

    #: Whether it broke before anything was sent: then it cannot have taken effect.
    was_never_sent = False


class TimeoutError(UnknownOutcomeError, builtins.TimeoutError):  # noqa: A001 - it is one, and is caught as one
    """No whole answer came in time."""


class UnexpectedAnswerError(UnknownOutcomeError):
    """What answered does not speak Obol's API: a proxy, a login page, another server."""

    what_to_do = "Check that base_url leads to an Obol server, without redirects, and what stands between."

    def __init__(self, message: str, status: int, facts: CallFacts | None = None) -> None:
        super().__init__(message, facts)
        self.status = status


@dataclass(frozen=True)
class WrongPlace:
    """A place in a request that is wrong."""

    #: `#/amount` in the body, `query/limit`, `path/hold`.
    pointer: str
    detail: str


class ApiError(ObolError):
    """A problem that the server answered with (RFC 9457). Tell them apart by `code`, or by their class."""

    def __init__(
        self, status: int, members: Mapping[str, Any], facts: CallFacts, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{members['code']}: {members['detail']}", facts)
        self.status = status
        self.code = str(members["code"])
        self.detail = str(members["detail"])
        self.title = str(members.get("title", self.code))
        #: The page that explains the code.
        self.docs = members.get("docs")
        #: Seconds to wait before it is sent again; None: the server names none.
        self.retry_after = retry_after
        #: The places that are wrong.
        self.errors = [
            WrongPlace(str(place["pointer"]), str(place["detail"]))
            for place in members.get("errors") or []
            if isinstance(place, dict) and "pointer" in place and "detail" in place
        ]
        #: Every member of the problem, as it was answered.
        self.members = dict(members)

    def _text(self, name: str) -> str | None:
        value = self.members.get(name)
        return value if isinstance(value, str) else None

    def _integer(self, name: str) -> int | None:
        value = self.members.get(name)
        return value if isinstance(value, int) else None

    def _decimal(self, name: str) -> Decimal | None:
        value = self._text(name)
        try:
            return None if value is None else Decimal(value)
        except InvalidOperation:
            return None

    def _time(self, name: str) -> datetime | None:
        value = self._text(name)
        return None if value is None else datetime.fromisoformat(value.replace("Z", "+00:00"))


class BadRequestError(ApiError):
    """400, 413, 415, 422, 431: the request has to be changed."""


class AuthenticationError(ApiError):
    """401: the key does not open anything."""


class PaymentRequiredError(ApiError):
    """402: it ends when someone pays, grants, or raises the key's budget. Sending it again does not help."""


class PermissionDeniedError(ApiError):
    """403: the caller may not do this."""


class NotFoundError(ApiError):
    """404: there is no such thing, or it is another account's."""


class ConflictError(ApiError):
    """409: what is there forbids it."""


class TryLaterError(ApiError):
    """429, 503: nothing was done. It ends by itself: try again after `retry_after` seconds."""


class ServerFaultError(ApiError):
    """500 and the like: the server failed, and whether the call took effect is not known."""

    may_have_taken_effect = True


FAMILIES: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: TryLaterError,
    503: TryLaterError,
}


def family_of(status: int) -> type[ApiError]:
    """The class of a problem whose code is newer than this SDK."""
    if status in FAMILIES:
        return FAMILIES[status]
    return ServerFaultError if status >= 500 else BadRequestError
