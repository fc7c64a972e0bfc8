"""Reads server-sent events (WHATWG HTML, "Server-sent events") as they come."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

#: Longest that an event, or a line, may be: what is longer is not from an Obol server.
_MAX_CHARACTERS = 4_194_304
_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")


@dataclass(frozen=True)
class ServerSentEvent:
    """An event of a stream."""

    #: `message` unless the server names another.
    type: str
    data: str
    #: Of the last event that had one; empty: none had.
    id: str


class EndlessError(Exception):
    """An event or a line goes on and on."""


class EventReader:
    """Takes bytes in pieces of any size, and gives each event once its last line is there."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._type = ""
        self._data: list[str] = []
        self._length = 0
        self._id = ""

    def read(self, piece: bytes) -> list[ServerSentEvent]:
        """The events that are whole with these bytes. Raises EndlessError for one that is too long."""
        *lines, self._rest = _LINE_END.split(self._rest + self._decoder.decode(piece))
        if len(self._rest) > _MAX_CHARACTERS:
            raise EndlessError("a line has no end")
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: str) -> ServerSentEvent | None:
        if line == "":
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "data":
            self._data.append(value)
        self._length += len(value)
        if self._length > _MAX_CHARACTERS:
            raise EndlessError("an event has no end")
        return None

    def _end(self) -> ServerSentEvent | None:
        event = ServerSentEvent(self._type or "message", "\n".join(self._data), self._id) if self._data else None
        self._type = ""
        self._data = []
        self._length = 0
        return event
