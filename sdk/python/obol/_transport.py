"""Makes calls: builds the request, sends it until there is an answer or nothing more to hope for, and reads the answer."""

from __future__ import annotations

import http.client
import random
import re
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ._answers import read_answer, retry_after
from ._errors import (
    ApiError,
    CallFacts,
    ConnectionError,
    InvalidArgumentError,
    ObolError,
    ServerFaultError,
    TimeoutError,
    TryLaterError,
    UnexpectedAnswerError,
)
from ._exchange import Connections, Ending, NeverSentError, OutOfTimeError, RawAnswer, StaleConnectionError, Stream
from ._json import UnreadableError, decode, write_body, write_query
from ._request import AnswerFacts, CallOptions, Request

_TIMEOUT = 30.0
_MAX_RETRIES = 2
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 8.0
#: A server that asks for more patience than this is not waited for: the caller hears, and decides.
_LONGEST_RETRY_AFTER = 60.0
#: Statuses of servers in between which say that it may go better soon.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECRET = re.compile(r"[\x21-\x7e]{1,4096}")
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_HEADER = re.compile(r"[^\r\n\0]*")

#: A key, or what gives a key or an access token: asked before every attempt.
KeySource = "str | Callable[[], str]"


class CallEndedError(Exception):
    """Whoever waited for the call does not any more."""


@dataclass(frozen=True)
class _Prepared:
    request: Request
    options: CallOptions
    target: str
    body: bytes | None
    key: str | None
    timeout: float
    max_retries: int


@dataclass(frozen=True)
class OpenStream:
    """A stream of events that is open."""

    stream: Stream
    #: With the id that the server's log knows the request by.
    facts: CallFacts


class Transport:
    """Calls one server. Threads may share it."""

    def __init__(
        self,
        base_url: str | None,
        api_key: str | Callable[[], str] | None,
        *,
        timeout: float = _TIMEOUT,
        max_retries: int = _MAX_RETRIES,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = _read_base_url(base_url)
        self._key = _read_key_source(api_key)
        self._timeout = timeout
        self._max_retries = max_retries
        _check_limits(timeout, max_retries)
        self._headers = dict(headers or {})
        context = tls or (ssl.create_default_context() if self._address.scheme == "https" else None)
        self._connections = Connections(self._address, context)

    def close(self) -> None:
        """Closes connections that are kept."""
        self._connections.close()

    def call(self, request: Request, result: Any, options: CallOptions | None, ending: Ending | None = None) -> Any:
        """Sends a request, again where it may be, and gives its answer as a type."""
        prepared = self._prepare(request, options or CallOptions())
        return self._send(prepared, result, ending or Ending())

    def _prepare(self, request: Request, options: CallOptions) -> _Prepared:
        timeout = self._timeout if options.timeout is None else options.timeout
        max_retries = self._max_retries if options.max_retries is None else options.max_retries
        _check_limits(timeout, max_retries)
        query = {**request.query, "format": "csv"} if request.is_export else request.query
        target = f"{self._address.path}{request.path}{write_query(query)}"
        body = None if request.body is None else write_body(request.body)
        return _Prepared(request, options, target, body, _key_of(request), timeout, max_retries)

    def _send(self, prepared: _Prepared, result: Any, ending: Ending) -> Any:
        attempts = 0
        while True:
            attempts += 1
            facts = CallFacts(None, prepared.key, attempts)
            answer: RawAnswer | None = None
            try:
                answer = self._attempt(prepared, facts, ending)
                return self._received(prepared, answer, facts, result)
            except ObolError as fault:
                asked = None if answer is None else retry_after(answer.headers)
                seconds = wait_before_repeating(fault, prepared.request.repeat, attempts, prepared.max_retries, asked)
                if seconds is None:
                    raise
            if ending.event.wait(seconds):
                raise CallEndedError

    def _received(self, prepared: _Prepared, answer: RawAnswer, facts: CallFacts, result: Any) -> Any:
        request_id = answer.headers.get("x-request-id")
        named = CallFacts(request_id, facts.idempotency_key, facts.attempts)
        body = read_answer(answer, named, prepared.request.is_export)
        try:
            value = None if body is None else decode(result, body)
        except UnreadableError as cause:
            raise UnexpectedAnswerError(f"The answer is not what the API says: {cause}.", answer.status, named) from cause
        if prepared.options.on_answer is not None:
            is_replay = answer.headers.get("idempotent-replayed") == "true"
            prepared.options.on_answer(
                AnswerFacts(answer.status, answer.headers, request_id, is_replay, facts.attempts, facts.idempotency_key)
            )
        return value

    def open_stream(self, request: Request, headers: Mapping[str, str], facts: CallFacts, ending: Ending) -> OpenStream:
        """Opens a stream of events, with one attempt. Raises what its answer is an error of when it is none."""
        prepared = self._prepare(request, CallOptions(headers=headers))
        sent = {**self._headers_of(prepared), "accept": "text/event-stream, application/problem+json"}
        with self.telling(facts, ending, prepared.timeout):
            until = time.monotonic() + prepared.timeout
            stream, answer = self._connections.open_stream(prepared.target, sent, until, ending)
        named = CallFacts(answer.headers.get("x-request-id"), None, facts.attempts)
        if stream.has_events:
            return OpenStream(stream, named)
        stream.close()
        read_answer(answer, named, is_export=False)
        raise UnexpectedAnswerError(f"What answered is no stream of events: {answer.status}.", answer.status, named)

    def _attempt(self, prepared: _Prepared, facts: CallFacts, ending: Ending) -> RawAnswer:
        request = prepared.request
        headers = self._headers_of(prepared)
        until = time.monotonic() + prepared.timeout
        # What may not be sent twice is not sent on a connection that may just be closing.
        is_fresh = request.repeat == "never"
        with self.telling(facts, ending, prepared.timeout):
            while True:
                try:
                    return self._connections.exchange(
                        request.method, prepared.target, headers, prepared.body, until, ending, is_fresh
                    )
                except StaleConnectionError:
                    is_fresh = True

    @contextmanager
    def telling(self, facts: CallFacts, ending: Ending, seconds: float) -> Iterator[None]:
        """Tells what breaks inside as the errors of the client."""
        server = f"{self._address.scheme}://{self._address.netloc}"
        try:
            yield
        except OutOfTimeError as cause:
            raise TimeoutError(f"{server} gave no whole answer within {seconds:g} s.", facts) from cause
        except (OSError, http.client.HTTPException, NeverSentError) as cause:
            if ending.event.is_set():
                raise CallEndedError from cause
            error = ConnectionError(f"{server} cannot be reached, or hung up: {cause or type(cause).__name__}.", facts)
            error.was_never_sent = isinstance(cause, NeverSentError)
            raise error from cause

    def _headers_of(self, prepared: _Prepared) -> dict[str, str]:
        csv = "text/csv, application/problem+json"
        given = {name.lower(): text for name, text in {**self._headers, **prepared.options.headers}.items()}
        headers = {
            **given,
            "accept": csv if prepared.request.is_export else "application/json, application/problem+json",
        }
        if not prepared.request.is_public:
            headers["authorization"] = f"Bearer {self._key()}"
        if prepared.body is not None:
            headers["content-type"] = "application/json"
        if prepared.key is not None:
            headers["idempotency-key"] = prepared.key
        for name, text in headers.items():
            if not _HEADER.fullmatch(f"{name}{text}"):
                raise InvalidArgumentError(f"The header {name!r} has a line break.")
        return headers


def _key_of(request: Request) -> str | None:
    """The key that the call is sent under, the same one for every attempt."""
    if request.repeat != "keyed":
        return None
    if request.idempotency_key is None:
        return str(uuid.uuid4())
    if isinstance(request.idempotency_key, str) and _PRINTABLE.fullmatch(request.idempotency_key):
        return request.idempotency_key
    raise InvalidArgumentError(f"idempotency_key is {request.idempotency_key!r}: give 1 to 255 printable ASCII characters.")


def wait_before_repeating(fault: ObolError, repeat: str, attempts: int, max_retries: float, asked: float | None) -> float | None:
    """How long to wait before the request is sent again; None: it is not."""
    if attempts > max_retries or not _may_repeat(fault, repeat):
        return None
    if asked is None:
        return random.random() * min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempts, 10))
    # Never earlier than asked for; and not all callers at that same moment.
    return None if asked > _LONGEST_RETRY_AFTER else asked + random.random() * _FIRST_WAIT


def _may_repeat(fault: ObolError, repeat: str) -> bool:
    # Nothing was done: a second attempt is the first.
    if isinstance(fault, TryLaterError) or (isinstance(fault, ConnectionError) and fault.was_never_sent):
        return True
    if repeat == "never":
        return False
    if isinstance(fault, (ConnectionError, TimeoutError, ServerFaultError)):
        return True
    return isinstance(fault, (ApiError, UnexpectedAnswerError)) and fault.status in _PASSING


def _read_base_url(text: str | None) -> SplitResult:
    url = urlsplit(text) if isinstance(text, str) else None
    is_good = url is not None and url.scheme in ("http", "https") and url.hostname and not url.query and not url.fragment
    if url is None or not is_good or url.username is not None:
        raise InvalidArgumentError(f"base_url is {text!r}: give the address of the server, such as https://credits.example.com.")
    return url._replace(path=url.path.rstrip("/"))


def _read_key_source(source: str | Callable[[], str] | None) -> Callable[[], str]:
    def check(key: Any) -> str:
        if isinstance(key, str) and _SECRET.fullmatch(key):
            return key
        # Keys are never repeated in errors.
        raise InvalidArgumentError("api_key is missing, or is no key: it has spaces or other characters.")

    if callable(source):
        return lambda: check(source())
    if source is None:
        # What needs no key, such as signing in, works without one.
        return lambda: check(None)
    key = check(source)
    return lambda: key


def _check_limits(timeout: float, max_retries: int) -> None:
    if not (isinstance(timeout, (int, float)) and 0 < timeout < 1e7):
        raise InvalidArgumentError(f"timeout is {timeout!r}: give seconds, more than 0.")
    if not isinstance(max_retries, int) or max_retries < 0:
        raise InvalidArgumentError(f"max_retries is {max_retries!r}: give a whole number, 0 or more.")
