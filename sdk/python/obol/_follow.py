"""Follows a balance on a stream of events, which is opened again whenever it breaks."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from ._errors import ApiError, CallFacts, ConnectionError, ObolError, UnexpectedAnswerError
from ._exchange import Ending
from ._json import UnreadableError, decode
from ._request import NotGiven, Request
from ._server_sent_events import EndlessError, EventReader, ServerSentEvent
from ._shapes import Credits, JournalRecord
from ._transport import CallEndedError, OpenStream, Transport, wait_before_repeating

__all__ = ["CreditsUpdate"]

#: Longest without a sign of life, in seconds. The server gives one every 15.
_SILENCE = 45.0


@dataclass(frozen=True, kw_only=True)
class CreditsUpdate:
    """What an account has, at the moment that it is told."""

    #: Where to go on after it: keep it for `after`.
    id: str
    credits: Credits
    #: The journal records since the update before, oldest first.
    changes: list[JournalRecord]
    #: False: there were more changes than are told at once, and `changes` is empty. Read the journal if they matter.
    changes_complete: bool


@dataclass(frozen=True)
class _Told:
    """The body of an event."""

    credits: Credits
    changes: list[JournalRecord]
    changes_complete: bool


def follow_credits(
    transport: Transport, account: str | NotGiven, after: str | NotGiven, ending: Ending
) -> Generator[CreditsUpdate, None, None]:
    """The updates of an account, for ever. Raises CallEndedError when its ending says so."""
    attempts = 0
    while True:
        attempts += 1
        seconds: float | None = None
        try:
            for update in _updates(transport, account, after, ending, attempts):
                attempts = 1
                after = update.id
                yield update
        except ObolError as fault:
            asked = fault.retry_after if isinstance(fault, ApiError) else None
            seconds = wait_before_repeating(fault, "safe", attempts, math.inf, asked)
            if seconds is None:
                raise
        if ending.event.wait(seconds):
            raise CallEndedError


def _updates(
    transport: Transport, account: str | NotGiven, after: str | NotGiven, ending: Ending, attempts: int
) -> Iterator[CreditsUpdate]:
    """The updates of one connection. It ends with an error, whatever ends it."""
    query = {} if isinstance(account, NotGiven) else {"account": account}
    headers = {} if isinstance(after, NotGiven) else {"last-event-id": after}
    request = Request("GET", "/v1/credits/stream", "safe", query=query)
    opened = transport.open_stream(request, headers, CallFacts(None, None, attempts), ending)
    try:
        for event in _events(transport, opened, ending):
            if event.type == "end":
                raise ConnectionError(f"The server ended the stream: {event.data}", opened.facts)
            if event.type == "message":
                yield _update_of(event, opened.facts)
        raise ConnectionError("The stream broke off.", opened.facts)
    finally:
        opened.stream.close()


def _events(transport: Transport, opened: OpenStream, ending: Ending) -> Iterator[ServerSentEvent]:
    reader = EventReader()
    while True:
        with transport.telling(opened.facts, ending, _SILENCE):
            piece = opened.stream.read(time.monotonic() + _SILENCE)
        if not piece:
            return
        try:
            events = reader.read(piece)
        except EndlessError as cause:
            raise UnexpectedAnswerError(f"What answered does not speak Obol's API: {cause}.", 200, opened.facts) from cause
        yield from events


def _update_of(event: ServerSentEvent, facts: CallFacts) -> CreditsUpdate:
    try:
        told = decode(_Told, json.loads(event.data))
    except (UnreadableError, ValueError) as cause:
        raise UnexpectedAnswerError("An event of the stream is not what the API says.", 200, facts) from cause
    return CreditsUpdate(id=event.id, credits=told.credits, changes=told.changes, changes_complete=told.changes_complete)
