"""Reads answers: bodies, problems, and what does not come from an Obol server at all."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from ._errors import ApiError, CallFacts, ConnectionError, ObolError, UnexpectedAnswerError, family_of
from ._exchange import RawAnswer
from ._problems import PROBLEM_CLASSES

_SHOWN_CHARACTERS = 120


def read_answer(answer: RawAnswer, facts: CallFacts, is_export: bool) -> Any:
    """The body of a good answer: JSON, or the text of an export; None when there is none. Raises what the answer is an error of."""
    if answer.status in (204, 304):
        return None
    kind = _type_of(answer)
    if not 200 <= answer.status < 300:
        raise _error_of(answer, kind, facts)
    if is_export and kind == "text/csv":
        return answer.body.decode()
    if not _is_json(kind):
        raise _strange(answer, kind, facts)
    try:
        return json.loads(answer.body)
    except ValueError as cause:
        raise ConnectionError(f"The answer breaks off after {len(answer.body)} bytes.", facts) from cause


def _type_of(answer: RawAnswer) -> str:
    return answer.headers.get("content-type", "").split(";", 1)[0].strip().lower()


def _is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")


def _error_of(answer: RawAnswer, kind: str, facts: CallFacts) -> ObolError:
    members = _members_in(answer.body) if _is_json(kind) else None
    if members is None:
        return _strange(answer, kind, facts)
    return make_error(answer.status, members, facts, retry_after(answer.headers))


def make_error(status: int, members: Mapping[str, Any], facts: CallFacts, seconds: float | None = None) -> ApiError:
    """The error of a problem."""
    error_class = PROBLEM_CLASSES.get(str(members["code"])) or family_of(status)
    return error_class(status, members, facts, seconds)


class Outcome(Protocol):
    """An item of a batch, which succeeds or fails by itself."""

    @property
    def status(self) -> int: ...

    @property
    def error(self) -> Mapping[str, Any] | None: ...


def outcome_error(outcome: Outcome) -> ApiError | None:
    """The error of an item of a batch, as its call alone would have raised it; None: the item succeeded."""
    members = outcome.error
    if members is None:
        return None
    return make_error(outcome.status, members, CallFacts(members.get("request_id"), None, 1))


def _members_in(body: bytes) -> Mapping[str, Any] | None:
    try:
        members = json.loads(body)
    except ValueError:
        return None
    is_problem = isinstance(members, dict) and isinstance(members.get("code"), str) and isinstance(members.get("detail"), str)
    return members if is_problem else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After, which names seconds or a date; None: there is none."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time()) if text else None
    except ValueError:
        return None


def _strange(answer: RawAnswer, kind: str, facts: CallFacts) -> UnexpectedAnswerError:
    said = " ".join(answer.body.decode(errors="replace").split())[:_SHOWN_CHARACTERS]
    if 300 <= answer.status < 400:
        what = f"a redirect to {answer.headers.get('location', 'another address')}"
    else:
        what = f"{answer.status}, {kind or 'no content type'}"
    return UnexpectedAnswerError(f"What answered does not speak Obol's API: {what}{f': {said}' if said else ''}", answer.status, facts)
