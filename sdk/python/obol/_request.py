"""What the methods of the API are written against."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import quote

from ._errors import InvalidArgumentError

Result = TypeVar("Result")


class NotGiven(enum.Enum):
    """Stands for what a caller leaves out; None is a value that is sent."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN = NotGiven.NOT_GIVEN


@dataclass(frozen=True)
class Request:
    """What a method asks for."""

    method: str
    #: With its ids filled in.
    path: str
    #: How it may be sent again: at any time, under its idempotency key, or never.
    repeat: Literal["safe", "keyed", "never"]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    is_export: bool = False
    #: Whether it is sent without a key.
    is_public: bool = False


@dataclass(frozen=True)
class AnswerFacts:
    """What came back, besides the body."""

    status: int
    #: By their names in lower case.
    headers: Mapping[str, str]
    request_id: str | None
    #: Whether an earlier request under the same idempotency key had done it already.
    is_replay: bool
    attempts: int
    idempotency_key: str | None


@dataclass(frozen=True)
class CallOptions:
    """How one call is made."""

    #: Longest that one attempt may take, in seconds, until its whole answer is there.
    timeout: float | None = None
    #: Attempts besides the first.
    max_retries: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Told of the answer: its headers, whether it is a replay, how often it was sent.
    on_answer: Callable[[AnswerFacts], None] | None = None


class Call(Protocol):
    """Sends a request, again where it may be, and gives its answer as a type."""

    def __call__(self, request: Request, result: type[Result], options: CallOptions | None) -> Result: ...


class AsyncCall(Protocol):
    """The same, awaited."""

    def __call__(self, request: Request, result: type[Result], options: CallOptions | None) -> Awaitable[Result]: ...


def segment(name: str, value: str | int) -> str:
    """An id as a part of a path. Raises InvalidArgumentError for one that would lead elsewhere."""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if text in ("", ".", ".."):
        raise InvalidArgumentError(f"{name} is {value!r}, which is no id.")
    return quote(text, safe="")
