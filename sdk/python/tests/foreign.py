"""Servers that are not Obol, as clients meet them on the way: one that answers as told, and one that loses answers of the real one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class ForeignServer:
    """Hands each request, with its number from 0, to a function that does with the connection as it likes."""

    def __init__(self, answer: Callable[[socket.socket, int, bytes], None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.heard: list[tuple[float, bytes]] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := _read_request(connection):
                    with self._lock:
                        self.heard.append((time.monotonic(), request))
                        nth = len(self.heard) - 1
                    self._answer(connection, nth, request)
            except OSError:
                return

    def __enter__(self) -> ForeignServer:
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.close()


def say(connection: socket.socket, status: int, kind: str, text: str, more: str = "") -> None:
    """Answers."""
    body = text.encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    connection.sendall(head.encode() + body)


def hang_up(connection: socket.socket) -> None:
    """Ends a connection without an answer."""
    connection.shutdown(socket.SHUT_RDWR)
    raise OSError("hung up")


def forward(url: str, request: bytes) -> bytes:
    """Sends a request to a server, and gives the beginning of its answer."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as upstream:
        upstream.sendall(request)
        return upstream.recv(65536)
