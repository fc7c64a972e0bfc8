"""A balance that is followed: on a real server, and on streams that break, end and say nothing of use."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import unittest
import urllib.request
from decimal import Decimal
from typing import Any

import obol
from obol import AsyncObol, Obol
from obol._server_sent_events import EndlessError, EventReader

from .foreign import ForeignServer, hang_up, say
from .server import OPERATOR_KEY, URL, async_operator, customer, open_account, operator

TEXT = (
    'retry: 3000\n\nid: 7\ndata: {"é":1}\n\n: still here\n\nevent: end\r\ndata: one\r\ndata:two\r\ndata\r\n\r\n'
    "id\rdata: three\r\rdata: no end\n"
)


class ReaderTest(unittest.TestCase):
    def test_events_are_read_whole_wherever_the_text_is_cut(self) -> None:
        data = TEXT.encode()
        for size in range(1, len(data) + 1):
            reader = EventReader()
            events = [event for start in range(0, len(data), size) for event in reader.read(data[start : start + size])]
            told = [(event.type, event.data, event.id) for event in events]
            self.assertEqual(told, [("message", '{"é":1}', "7"), ("end", "one\ntwo\n", "7"), ("message", "three", "")])

    def test_what_has_no_end_is_not_kept(self) -> None:
        for piece, message in ((b"data: " + b"x" * 1_048_576 + b"\n", "an event"), (b"x" * 1_048_576, "a line")):
            reader = EventReader()
            with self.assertRaisesRegex(EndlessError, message):
                for _ in range(6):
                    reader.read(piece)


class FollowTest(unittest.TestCase):
    def setUp(self) -> None:
        self.operator = operator()
        self.addCleanup(self.operator.close)

    def test_what_is_so_then_each_change_and_what_was_missed(self) -> None:
        account = open_account(self.operator)
        seen: list[tuple[Decimal, list[str]]] = []
        client = customer(self.operator, account)
        for update in client.follow_credits():
            seen.append((update.credits.credit_types["credits"].available, [change.kind for change in update.changes]))
            if len(seen) == 2:
                break
            self.operator.charges.create(account=account, operation="unit", quantity=100)
        self.assertEqual(seen, [(Decimal(1000), []), (Decimal(900), ["charge"])])
        for _ in range(2):
            self.operator.charges.create(account=account, operation="unit")
        missed = next(iter(self.operator.follow_credits(account=account, after=update.id)))
        self.assertTrue(missed.changes_complete)
        self.assertEqual([change.kind for change in missed.changes], ["charge", "charge"])

    def test_a_key_that_is_revoked_ends_it_with_its_error(self) -> None:
        account = open_account(self.operator)
        updates = iter(customer(self.operator, account).follow_credits())
        next(updates)
        for key in self.operator.keys.list(account=account):
            self.operator.keys.revoke(key.id)
        with self.assertRaises(obol.ApiError) as caught:
            for update in updates:
                self.assertRegex(update.id, r"^\d+$")
        self.assertEqual(caught.exception.status, 401)


def _stream(connection: socket.socket, text: str) -> None:
    connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{text}".encode())


def _event(credits: str, nth: int) -> str:
    return f'id: {nth}\ndata: {{"credits":{credits},"changes":[],"changes_complete":true}}\n\n'


def _credits_of(account: str) -> str:
    with urllib.request.urlopen(
        urllib.request.Request(f"{URL}/v1/credits?account={account}", headers={"authorization": f"Bearer {OPERATOR_KEY}"})
    ) as answer:
        return str(answer.read().decode())


class BrokenStreamTest(unittest.TestCase):
    def test_a_stream_that_breaks_is_opened_again_where_it_was(self) -> None:
        credits = _credits_of(open_account(operator()))

        def answer(connection: socket.socket, nth: int, request: bytes) -> None:
            if nth == 0:
                say(connection, 502, "text/html", "<h1>Bad Gateway</h1>")
            elif nth == 2:
                hang_up(connection)
            else:
                _stream(connection, _event(credits, nth) + ('event: end\ndata: {"reason":"server_stopping"}\n\n' if nth == 3 else ""))
                hang_up(connection)

        with ForeignServer(answer) as server:
            ids: list[str] = []
            for update in Obol(server.url, "obol_live_x").follow_credits(account="a b"):
                ids.append(update.id)
                if update.id == "4":
                    break
        self.assertEqual(ids, ["1", "3", "4"])
        heard = [request.decode() for _, request in server.heard]
        self.assertEqual([re.findall(r"last-event-id: (\d+)", text) for text in heard], [[], [], ["1"], ["1"], ["3"]])
        self.assertTrue(all(text.startswith("GET /v1/credits/stream?account=a+b HTTP/1.1\r\n") for text in heard))

    def test_what_is_no_stream_is_an_error_once(self) -> None:
        cases = [
            (lambda connection: say(connection, 200, "text/html", "<h1>Hello</h1>"), "does not speak Obol's API: 200, text/html"),
            (lambda connection: say(connection, 200, "application/json", "{}"), "no stream of events: 200"),
            (lambda connection: _stream(connection, "data: hello\n\n"), "not what the API says"),
            (lambda connection: _stream(connection, "data: {}\n\n"), "not what the API says"),
            (lambda connection: _stream(connection, "x" * 5_000_000), "a line has no end"),
        ]
        for answer, message in cases:

            def once(connection: socket.socket, nth: int, request: bytes, answer: Any = answer) -> None:
                answer(connection)

            with self.subTest(message), ForeignServer(once) as server:
                with self.assertRaisesRegex(obol.UnexpectedAnswerError, message):
                    next(iter(Obol(server.url, "obol_live_x").follow_credits()))
                self.assertEqual(len(server.heard), 1)


class AsyncFollowTest(unittest.IsolatedAsyncioTestCase):
    async def test_the_same_with_asyncio(self) -> None:
        account = open_account(operator())
        async with async_operator() as client:
            seen: list[Decimal] = []
            updates = client.follow_credits(account=account)
            async for update in updates:
                seen.append(update.credits.credit_types["credits"].available)
                if len(seen) == 2:
                    break
                await client.charges.create(account=account, operation="unit", quantity=100)
            await updates.aclose()
        self.assertEqual(seen, [Decimal(1000), Decimal(900)])

    async def test_who_waits_can_be_cancelled_and_no_thread_stays(self) -> None:
        with ForeignServer(lambda connection, nth, request: threading.Event().wait(20) and None) as server:
            client = AsyncObol(server.url, "obol_live_x")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(aiter(client.follow_credits())), 0.2)
            await client.aclose()
        for _ in range(200):
            if not any(thread.name.startswith("obol-follow") for thread in threading.enumerate()):
                return
            await asyncio.sleep(0.05)
        self.fail("a thread still follows")
