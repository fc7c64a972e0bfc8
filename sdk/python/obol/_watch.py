"""Watches a balance, and the feed of events."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ._errors import ConnectionError, InvalidArgumentError, ObolError, TimeoutError, TryLaterError
from ._request import AnswerFacts, CallOptions, NotGiven
from ._shapes import Credits, Event
from ._steps import Steps

__all__ = ["CreditLevel", "FollowedEvent", "LevelChange"]

#: How much is left, in words.
CreditLevel = Literal["enough", "warning", "critical"]


@dataclass(frozen=True, kw_only=True)
class LevelChange:
    """A level that the balance has come to."""

    level: CreditLevel
    #: Credits that can be charged now.
    available: Decimal
    credits: Credits


@dataclass(frozen=True, kw_only=True)
class FollowedEvent:
    """An event, and where to go on after it."""

    event: Event
    #: Where to go on once every event up to here is dealt with. Keep it; None: more of the same page are to come.
    next: str | None


def is_passing(fault: ObolError) -> bool:
    """Whether a watch outlives a fault: the server is away for a while."""
    return isinstance(fault, (ConnectionError, TimeoutError, TryLaterError))


class Watch:
    """Looks at a balance, and tells each level once. A look at an unchanged balance is answered with 304."""

    def __init__(self, obol: Any, warning: Decimal, critical: Decimal, credit_type: str, account: str | NotGiven) -> None:
        if critical > warning:
            raise InvalidArgumentError("critical must not be above warning.")
        self._obol = obol
        self._warning = warning
        self._critical = critical
        self._credit_type = credit_type
        self._account = account
        self._etag: str | None = None
        self._last: CreditLevel | None = None

    def look(self) -> Steps[LevelChange | None]:
        """One look; None: the level is what it was."""
        headers = {} if self._etag is None else {"if-none-match": self._etag}
        options = CallOptions(headers=headers, on_answer=self._hear)
        try:
            credits: Credits | None = yield self._obol.credits.get(account=self._account, options=options)
        except ObolError as fault:
            if is_passing(fault):
                return None
            raise
        if credits is None:
            return None
        known = credits.credit_types.get(self._credit_type)
        available = known.available if known else Decimal(0)
        level = self._level_of(available)
        if level == self._last:
            return None
        self._last = level
        return LevelChange(level=level, available=available, credits=credits)

    def _hear(self, facts: AnswerFacts) -> None:
        self._etag = facts.headers.get("etag", self._etag)

    def _level_of(self, available: Decimal) -> CreditLevel:
        if available <= self._critical:
            return "critical"
        return "warning" if available <= self._warning else "enough"


class Feed:
    """Reads the feed of events, page by page."""

    def __init__(self, obol: Any, after: str | NotGiven) -> None:
        self._obol = obol
        self._after = after

    def look(self) -> Steps[list[FollowedEvent]]:
        """The events since the last look."""
        try:
            page = yield self._obol.events.list(after=self._after)
        except ObolError as fault:
            if is_passing(fault):
                return []
            raise
        self._after = page.next
        last = len(page.data) - 1
        return [FollowedEvent(event=event, next=page.next if index == last else None) for index, event in enumerate(page.data)]
