"""One request and its whole answer, within a time, on a connection that may be ended from another thread."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

#: A connection that was idle longer is not used again: the server may be about to close it.
_IDLE_SECONDS = 20.0


@dataclass(frozen=True)
class RawAnswer:
    """A whole answer. Headers by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OutOfTimeError(Exception):
    """The time of the attempt is over."""


class NeverSentError(Exception):
    """There was no connection, so nothing was sent."""


class StaleConnectionError(Exception):
    """A connection that had been used before was closed before it gave an answer."""


class Ending:
    """Ends an exchange from another thread: what it waits for breaks off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        #: Set when it is over.
        self.event = threading.Event()

    def watch(self, sock: socket.socket | None) -> None:
        """Names the socket that an end has to break."""
        with self._lock:
            self._socket = sock
            if sock is not None and self.event.is_set():
                _shut(sock)

    def end(self) -> None:
        """Ends it, now or as soon as it begins."""
        with self._lock:
            self.event.set()
            if self._socket is not None:
                _shut(self._socket)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is closed already, which is what was wanted.
        return


def _close_all(idle: list[tuple[socket.socket, float]], lock: threading.Lock) -> None:
    with lock:
        while idle:
            idle.pop()[0].close()


class _Reader(io.RawIOBase):
    """Reads a socket until a moment, however slowly it gives."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self.until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(left(self.until))
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)


def left(until: float) -> float:
    """Seconds until a moment. Raises OutOfTimeError when it is past."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise OutOfTimeError
    return seconds


_PIECE_BYTES = 65_536


class Stream:
    """An answer that is read as it comes, on a connection of its own. Another thread may end it."""

    def __init__(self, sock: socket.socket, ending: Ending, until: float) -> None:
        self._sock = sock
        self._ending = ending
        self._reader = _Reader(sock, until)
        self._response = http.client.HTTPResponse(self._reader, method="GET")  # type: ignore[arg-type]
        #: Whether it is a stream of events, once it has begun.
        self.has_events = False

    def begin(self) -> RawAnswer:
        """Reads the head of the answer, and the whole answer unless it is a stream of events."""
        self._response.begin()
        headers = {name.lower(): text for name, text in self._response.getheaders()}
        self.has_events = self._response.status == 200 and headers.get("content-type", "").lower().startswith("text/event-stream")
        return RawAnswer(self._response.status, headers, b"" if self.has_events else self._response.read())

    def read(self, until: float) -> bytes:
        """What has come; nothing: it has ended. Raises OutOfTimeError, OSError, HTTPException."""
        self._reader.until = until
        try:
            return self._response.read1(_PIECE_BYTES)
        except TimeoutError as cause:
            raise OutOfTimeError from cause

    def close(self) -> None:
        """Leaves it, whatever is still to come."""
        self._ending.watch(None)
        self._response.close()
        self._sock.close()


class Connections:
    """Connections to one server, kept for the next request."""

    def __init__(self, address: SplitResult, tls: ssl.SSLContext | None) -> None:
        self._host = address.hostname or ""
        self._port = address.port or (443 if address.scheme == "https" else 80)
        self._authority = address.netloc
        self._tls = tls if address.scheme == "https" else None
        self._idle: list[tuple[socket.socket, float]] = []
        self._lock = threading.Lock()
        # Nobody has to close a client that is not used any more.
        weakref.finalize(self, _close_all, self._idle, self._lock)

    def close(self) -> None:
        """Closes what is idle."""
        _close_all(self._idle, self._lock)

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, until: float, ending: Ending, is_fresh: bool
    ) -> RawAnswer:
        """Sends, and reads the whole answer. Raises OutOfTimeError, NeverSentError, StaleConnectionError, OSError, HTTPException."""
        kept = None if is_fresh else self._take()
        sock = kept or self._connect(until)
        ending.watch(sock)
        is_reusable = False
        try:
            answer, is_reusable = self._converse(sock, method, self._head(method, target, headers, body) + (body or b""), until)
            return answer
        except (ConnectionError, http.client.RemoteDisconnected) as cause:
            if kept is not None and not ending.event.is_set():
                raise StaleConnectionError from cause
            raise
        except TimeoutError as cause:
            raise OutOfTimeError from cause
        finally:
            ending.watch(None)
            if is_reusable and not ending.event.is_set():
                self._keep(sock)
            else:
                sock.close()

    def open_stream(self, target: str, headers: Mapping[str, str], until: float, ending: Ending) -> tuple[Stream, RawAnswer]:
        """Asks for a stream. Raises as an exchange does."""
        sock = self._connect(until)
        ending.watch(sock)
        stream = Stream(sock, ending, until)
        try:
            sock.settimeout(left(until))
            sock.sendall(self._head("GET", target, headers, None))
            return stream, stream.begin()
        except TimeoutError as cause:
            stream.close()
            raise OutOfTimeError from cause
        except BaseException:
            stream.close()
            raise

    def _converse(self, sock: socket.socket, method: str, request: bytes, until: float) -> tuple[RawAnswer, bool]:
        sock.settimeout(left(until))
        sock.sendall(request)
        response = http.client.HTTPResponse(_Reader(sock, until), method=method)  # type: ignore[arg-type]
        try:
            response.begin()
            answer = RawAnswer(response.status, {name.lower(): text for name, text in response.getheaders()}, response.read())
            return answer, not response.will_close
        finally:
            response.close()

    def _head(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        length = {} if body is None else {"content-length": str(len(body))}
        lines = [f"{method} {target} HTTP/1.1", f"host: {self._authority}"]
        lines += [f"{name}: {text}" for name, text in {**headers, **length}.items()]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")

    def _connect(self, until: float) -> socket.socket:
        try:
            sock = socket.create_connection((self._host, self._port), timeout=left(until))
        except TimeoutError as cause:
            raise OutOfTimeError from cause
        except OSError as cause:
            raise NeverSentError(str(cause)) from cause
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return sock
            sock.settimeout(left(until))
            return self._tls.wrap_socket(sock, server_hostname=self._host)
        except TimeoutError as cause:
            sock.close()
            raise OutOfTimeError from cause
        except OSError as cause:
            sock.close()
            raise NeverSentError(str(cause)) from cause

    def _take(self) -> socket.socket | None:
        with self._lock:
            while self._idle:
                sock, since = self._idle.pop()
                if time.monotonic() - since < _IDLE_SECONDS:
                    return sock
                sock.close()
        return None

    def _keep(self, sock: socket.socket) -> None:
        with self._lock:
            self._idle.append((sock, time.monotonic()))
