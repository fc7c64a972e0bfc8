"""What goes wrong between a client and its server, and what becomes of the credits then."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import unittest
from decimal import Decimal

import obol
from obol import AnswerFacts, AsyncObol, CallOptions, Obol

from .foreign import ForeignServer, forward, hang_up, say
from .server import OPERATOR_KEY, URL, open_account, operator

JSON = "application/json"
PROBLEM = "application/problem+json"
GOOD = json.dumps({"object": "events", "data": [], "next": "0"})


def _problem(code: str) -> str:
    return json.dumps({"code": code, "title": code, "detail": "No."})


def _charge(client: Obol) -> object:
    return client.charges.create(account="acct_1", operation="unit")


class FaultTest(unittest.TestCase):
    def test_a_charge_whose_answer_is_lost_is_made_once(self) -> None:
        client = operator()
        account = open_account(client, "100")

        def lose_the_first(connection: socket.socket, nth: int, request: bytes) -> None:
            answer = forward(URL, request)
            if nth == 0:
                hang_up(connection)
            connection.sendall(answer)

        with ForeignServer(lose_the_first) as server:
            charge = Obol(server.url, OPERATOR_KEY).charges.create(account=account, operation="unit")
            self.assertEqual(len(server.heard), 2)
        self.assertEqual([one.id for one in client.charges.list(account=account)], [charge.id])
        self.assertEqual(client.accounts.credits(account).credit_types["credits"].available, Decimal(99))

    def test_a_charge_that_nobody_answers_ends_in_time_and_can_be_sent_again(self) -> None:
        client = operator()
        account = open_account(client, "100")

        def keep_silent(connection: socket.socket, nth: int, request: bytes) -> None:
            forward(URL, request)

        with ForeignServer(keep_silent) as server, self.assertRaises(obol.TimeoutError) as caught:
            Obol(server.url, OPERATOR_KEY, timeout=0.4, max_retries=1).charges.create(account=account, operation="unit")
        error = caught.exception
        self.assertTrue(error.may_have_taken_effect)
        self.assertEqual(error.attempts, 2)
        heard: list[AnswerFacts] = []
        options = CallOptions(on_answer=heard.append)
        client.charges.create(account=account, operation="unit", idempotency_key=error.idempotency_key, options=options)
        self.assertTrue(heard[0].is_replay)
        self.assertEqual(len(list(client.charges.list(account=account))), 1)

    def test_nobody_there(self) -> None:
        with ForeignServer(lambda connection, nth, request: hang_up(connection)) as server:
            with self.assertRaises(obol.ConnectionError) as caught:
                _charge(Obol(server.url, "k"))
            self.assertEqual((caught.exception.attempts, len(server.heard)), (3, 3))
        with self.assertRaises(obol.ConnectionError):
            Obol("http://127.0.0.1:9", "k", max_retries=0).credits.get()

    def test_the_key_and_the_body_stay_the_same_through_every_attempt(self) -> None:
        def fail_twice(connection: socket.socket, nth: int, request: bytes) -> None:
            if nth == 0:
                hang_up(connection)
            say(connection, *((502, "text/html", "<html>") if nth == 1 else (201, JSON, "{}")))

        with ForeignServer(fail_twice) as server:
            with self.assertRaises(obol.UnexpectedAnswerError):
                _charge(Obol(server.url, "k"))
            requests = [request for _, request in server.heard]
        self.assertEqual(len(requests), 3)
        self.assertEqual(len(set(requests)), 1)
        self.assertIn(b"idempotency-key: ", requests[0])

    def test_what_is_sent_again_and_what_is_not(self) -> None:
        for status, code, sent, kind in (
            (402, "insufficient_credits", 1, obol.InsufficientCreditsError),
            (400, "invalid_request", 1, obol.InvalidRequestError),
            (500, "internal_error", 3, obol.InternalErrorError),
            (503, "overloaded", 3, obol.OverloadedError),
            (429, "rate_limited", 3, obol.RateLimitedError),
            (402, "newer_than_this_sdk", 1, obol.PaymentRequiredError),
        ):
            answer = _problem(code)
            with self.subTest(code), ForeignServer(lambda c, nth, r, s=status, a=answer: say(c, s, PROBLEM, a)) as server:
                with self.assertRaises(kind):
                    _charge(Obol(server.url, "k"))
                self.assertEqual(len(server.heard), sent)

    def test_retry_after_is_waited_for_and_never_shortened(self) -> None:
        def be_busy_first(connection: socket.socket, nth: int, request: bytes) -> None:
            if nth == 0:
                say(connection, 429, PROBLEM, _problem("rate_limited"), "retry-after: 1\r\n")
            else:
                say(connection, 200, JSON, GOOD)

        with ForeignServer(be_busy_first) as server:
            Obol(server.url, "k").events.list()
            (first, _), (second, _) = server.heard
        self.assertGreaterEqual(second - first, 0.99)

    def test_more_patience_than_a_minute_is_not_had(self) -> None:
        answer = _problem("not_ready")
        with ForeignServer(lambda c, nth, r: say(c, 503, PROBLEM, answer, "retry-after: 600\r\n")) as server:
            with self.assertRaises(obol.NotReadyError) as caught:
                Obol(server.url, "k").credits.get()
            self.assertEqual((caught.exception.retry_after, len(server.heard)), (600, 1))

    def test_html_and_redirects_are_told_as_what_they_are(self) -> None:
        with ForeignServer(lambda c, nth, r: say(c, 200, "text/html", "<h1>Log in</h1>")) as server:
            with self.assertRaisesRegex(obol.UnexpectedAnswerError, "200, text/html: <h1>Log in"):
                Obol(server.url, "k").credits.get()
            self.assertEqual(len(server.heard), 1)
        with ForeignServer(lambda c, nth, r: say(c, 301, "text/html", "", "location: https://example.com\r\n")) as server:
            with self.assertRaisesRegex(obol.UnexpectedAnswerError, "a redirect to https://example.com"):
                _charge(Obol(server.url, "k"))
            self.assertEqual(len(server.heard), 1)

    def test_an_answer_that_breaks_off_is_never_taken_for_one(self) -> None:
        def cut(connection: socket.socket, nth: int, request: bytes) -> None:
            if nth == 0:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n" + GOOD.encode())
                hang_up(connection)
            say(connection, 200, JSON, GOOD if nth == 2 else GOOD[:20])

        with ForeignServer(cut) as server:
            self.assertEqual(Obol(server.url, "k").events.list().next, "0")
            self.assertEqual(len(server.heard), 3)

    def test_an_answer_without_what_the_api_promises_is_none(self) -> None:
        with ForeignServer(lambda c, nth, r: say(c, 200, JSON, '{"object":"events","data":[]}')) as server:
            with self.assertRaisesRegex(obol.UnexpectedAnswerError, "has no next"):
                Obol(server.url, "k").events.list()

    def test_drop_by_drop_ends_with_the_time_of_the_attempt(self) -> None:
        def drip(connection: socket.socket, nth: int, request: bytes) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
            for _ in range(100):
                connection.sendall(b" ")
                time.sleep(0.05)

        with ForeignServer(drip) as server:
            began = time.monotonic()
            with self.assertRaises(obol.TimeoutError):
                Obol(server.url, "k", timeout=0.3, max_retries=0).credits.get()
            self.assertLess(time.monotonic() - began, 3)

    def test_a_connection_that_had_been_closed_meanwhile_is_not_an_error(self) -> None:
        def close_after_each(connection: socket.socket, nth: int, request: bytes) -> None:
            say(connection, 200, JSON, GOOD)
            hang_up(connection)

        with ForeignServer(close_after_each) as server:
            client = Obol(server.url, "k", max_retries=0)
            for _ in range(3):
                client.events.list()
                time.sleep(0.05)
            self.assertEqual(len(server.heard), 3)

    def test_a_page_that_leads_to_itself_does_not_go_round_for_ever(self) -> None:
        page = json.dumps({"object": "list", "has_more": True, "next_cursor": "x", "data": []})
        with ForeignServer(lambda c, nth, r: say(c, 200, JSON, page)) as server:
            with self.assertRaises(obol.UnexpectedAnswerError):
                list(Obol(server.url, "k").charges.list())
            self.assertEqual(len(server.heard), 2)

    def test_a_header_cannot_bring_another(self) -> None:
        with self.assertRaises(obol.InvalidArgumentError):
            operator().events.list(options=CallOptions(headers={"x": "y\r\nz: 1"}))


class AsyncFaultTest(unittest.IsolatedAsyncioTestCase):
    async def test_cancelling_breaks_the_connection_off_and_ends_the_thread(self) -> None:
        with ForeignServer(lambda c, nth, r: time.sleep(5)) as server:
            client = AsyncObol(server.url, "k", timeout=60, max_connections=1)
            began = time.monotonic()
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(client.credits.get(), 0.2)
            await client.aclose()
            self.assertLess(time.monotonic() - began, 3)

    async def test_cancelling_ends_a_wait_to_be_sent_again(self) -> None:
        answer = _problem("overloaded")
        with ForeignServer(lambda c, nth, r: say(c, 503, PROBLEM, answer, "retry-after: 50\r\n")) as server:
            client = AsyncObol(server.url, "k")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(client.credits.get(), 0.3)
            began = time.monotonic()
            await client.aclose()
            self.assertLess(time.monotonic() - began, 3)
            self.assertEqual(len(server.heard), 1)
