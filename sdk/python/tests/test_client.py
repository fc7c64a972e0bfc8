"""The clients against a real server: what a customer's developer and an operator's engineer do first."""

from __future__ import annotations

import asyncio
import unittest
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import obol
from obol import AnswerFacts, CallOptions, Obol

from .server import OPERATOR_KEY, URL, async_operator, customer, open_account, operator


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.operator = operator()
        self.addCleanup(self.operator.close)

    def test_a_customers_key_reads_the_balance_of_its_account(self) -> None:
        account = open_account(self.operator, "1000.000001")
        credits = customer(self.operator, account).credits.get()
        self.assertEqual(credits.credit_types["credits"].available, Decimal("1000.000001"))
        self.assertEqual(credits.account, account)
        self.assertIsNotNone(credits.as_of.tzinfo)

    def test_work_is_held_captured_and_given_back_in_decimals(self) -> None:
        account = open_account(self.operator)
        hold = self.operator.holds.create(account=account, operation="transcription", quantities={"second": 60})
        self.assertEqual(hold.held, Decimal(660))
        charge = self.operator.holds.capture(hold.id, quantities={"second": 45.5})
        self.assertEqual((charge.credits, charge.quantities["second"]), (Decimal("500.5"), Decimal("45.5")))
        refund = self.operator.charges.refund(charge.id, amount=Decimal("0.5"), reason="noise")
        self.assertEqual(refund.balance.available, Decimal(500))

    def test_short_of_credits_says_how_much_is_missing_and_is_sent_once(self) -> None:
        account = open_account(self.operator, "12.5")
        with self.assertRaises(obol.InsufficientCreditsError) as caught:
            self.operator.charges.create(account=account, operation="transcription", quantities={"second": 90})
        error = caught.exception
        self.assertEqual((error.required, error.available, error.shortfall), (Decimal(990), Decimal("12.5"), Decimal("977.5")))
        self.assertEqual((error.status, error.attempts, error.may_have_taken_effect), (402, 1, False))
        self.assertEqual(error.top_up_url, "https://example.com/buy")
        self.assertIsInstance(error, obol.PaymentRequiredError)
        self.assertRegex(error.request_id or "", "^req_")
        self.assertIn("Buy or grant", error.what_to_do)

    def test_an_item_of_a_batch_that_fails_has_the_error_of_its_call(self) -> None:
        account = open_account(self.operator, "10")
        unit = {"account": account, "operation": "unit"}
        batch = self.operator.charges.create_batch(charges=[unit, {**unit, "quantity": 100}])  # type: ignore[list-item]
        error = obol.outcome_error(batch.data[1])
        assert isinstance(error, obol.InsufficientCreditsError)
        self.assertEqual((obol.outcome_error(batch.data[0]), error.shortfall), (None, Decimal(91)))

    def test_the_same_idempotency_key_gives_the_first_answer_again(self) -> None:
        account = open_account(self.operator)
        heard: list[AnswerFacts] = []
        options = CallOptions(on_answer=heard.append)
        first, second = (
            self.operator.charges.create(account=account, operation="unit", idempotency_key="job-1", options=options) for _ in range(2)
        )
        self.assertEqual(first, second)
        self.assertEqual([facts.is_replay for facts in heard], [False, True])

    def test_calls_without_a_key_of_their_own_are_charges_of_their_own(self) -> None:
        account = open_account(self.operator)
        self.assertNotEqual(*(self.operator.charges.create(account=account, operation="unit").id for _ in range(2)))

    def test_what_is_wrong_is_told_with_its_places_and_by_its_class(self) -> None:
        account = open_account(self.operator)
        with self.assertRaises(obol.InvalidRequestError) as caught:
            self.operator.holds.create(account=account, operation="unit", ttl_seconds=1)
        self.assertEqual([place.pointer for place in caught.exception.errors], ["#/ttl_seconds"])
        with self.assertRaises(obol.InvalidKeyError):
            Obol(URL, "obol_live_nothing").credits.get()
        with self.assertRaises(obol.OperatorKeyRequiredError):
            customer(self.operator, account).charges.create(account=account, operation="unit")
        with self.assertRaises(obol.AccountNotFoundError):
            self.operator.accounts.get("external:nobody")

    def test_lists_are_read_to_their_end_in_either_direction(self) -> None:
        account = open_account(self.operator)
        made = [self.operator.charges.create(account=account, operation="unit").id for _ in range(7)][::-1]
        self.assertEqual([charge.id for charge in self.operator.charges.list(account=account, limit=3)], made)
        older = self.operator.charges.list(account=account, limit=2, starting_after=made[1])
        self.assertEqual([charge.id for charge in older], made[2:])
        newer = self.operator.charges.list(account=account, limit=2, ending_before=made[6])
        self.assertCountEqual([charge.id for charge in newer], made[:6])
        page = self.operator.charges.list(account=account, limit=3).page()
        self.assertEqual((len(page.data), page.has_more), (3, True))

    def test_an_export_is_one_file_however_many_parts_it_comes_in(self) -> None:
        account = open_account(self.operator)
        for _ in range(5):
            self.operator.charges.create(account=account, operation="unit")
        whole = self.operator.charges.csv(account=account).text()
        parts = list(self.operator.charges.csv(account=account, limit=2))
        self.assertGreaterEqual(len(parts), 3)
        self.assertEqual("".join(parts), whole)
        self.assertEqual(len(whole.strip().split("\r\n")), 6)

    def test_what_json_would_change_is_refused_before_it_is_sent(self) -> None:
        account = open_account(self.operator)
        grant = self.operator.grants.create
        for amount in (0.1, float("nan"), object()):
            with self.assertRaises(obol.InvalidArgumentError):
                grant(account=account, amount=amount)  # type: ignore[arg-type]
        with self.assertRaises(obol.InvalidArgumentError):
            grant(account=account, amount=1, expires_at=datetime.now())
        with self.assertRaises(obol.InvalidArgumentError):
            self.operator.charges.create(account=account, operation="unit", quantity=float("inf"))
        with self.assertRaises(TypeError):
            grant(account=account, amount=1, amuont=2)  # type: ignore[call-arg]
        for account_id in ("", "..", None):
            with self.assertRaises(obol.InvalidArgumentError):
                self.operator.accounts.get(account_id)  # type: ignore[arg-type]
        self.assertEqual(self.operator.accounts.credits(account).credit_types["credits"].available, Decimal(1000))

    def test_none_is_sent_and_what_is_left_out_is_not(self) -> None:
        account = open_account(self.operator)
        key = self.operator.keys.create(account=account, expires_at=datetime.now(timezone.utc) + timedelta(days=1))
        self.assertIsNotNone(self.operator.keys.update(key.id, name="kept").expires_at)
        self.assertIsNone(self.operator.keys.update(key.id, expires_at=None).expires_at)

    def test_options_that_cannot_work_are_refused_and_no_error_repeats_a_key(self) -> None:
        for url in (None, "", "localhost:4000", "ftp://x", "https://x?y=1", "https://user@x"):
            with self.assertRaises(obol.InvalidArgumentError):
                Obol(url, "k")
        for key in (None, "", "a secret", "secret\n"):
            with self.assertRaises(obol.InvalidArgumentError) as caught:
                Obol("http://x", key).credits.get()
            self.assertNotIn("secret", str(caught.exception))
        with self.assertRaises(obol.InvalidArgumentError):
            Obol("http://x", "k", timeout=0)

    def test_a_key_may_be_given_anew_and_an_address_may_end_in_a_slash(self) -> None:
        account = open_account(self.operator)
        with Obol(f"{URL}/", lambda: OPERATOR_KEY) as client:
            self.assertEqual(client.accounts.get(account).id, account)


class AsyncClientTest(unittest.IsolatedAsyncioTestCase):
    async def test_calls_run_at_once_and_lists_are_read(self) -> None:
        account = open_account(operator())
        async with async_operator() as client:
            charges = await asyncio.gather(*(client.charges.create(account=account, operation="unit") for _ in range(20)))
            self.assertEqual(len({charge.id for charge in charges}), 20)
            read = [charge.id async for charge in client.charges.list(account=account, limit=7)]
            self.assertCountEqual(read, [charge.id for charge in charges])
            self.assertEqual(len((await client.charges.csv(account=account).text()).strip().split("\r\n")), 21)
            with self.assertRaises(obol.InsufficientCreditsError):
                await client.charges.create(account=account, operation="unit", quantity=10_000)


class SessionTest(unittest.TestCase):
    def test_a_user_signs_in_refreshes_once_and_signs_out(self) -> None:
        client = operator()
        account = open_account(client, "12.5")
        email, password = f"{account}@example.com", "correct horse battery staple"
        offer = client.users.invite(email=email, account=account, role="owner")
        accepted = Obol(URL, None).auth.accept_invitation(token=offer.token, password=password)
        heard: list[obol.Tokens] = []
        kept = obol.Session(URL, replace(accepted, expires_in=0), on_tokens=heard.append)
        with Obol(URL, kept.key) as user:
            self.assertEqual(user.me.get().email, email)
            self.assertEqual(user.credits.get().credit_types["credits"].available, Decimal("12.5"))
        self.assertEqual([tokens.refresh_token for tokens in heard], [kept.tokens.refresh_token])
        session = obol.Session.sign_in(URL, email=email, password=password)
        session.sign_out()
        with self.assertRaises(obol.SessionEndedError):
            Obol(URL, session.key).me.get()
        with self.assertRaises(obol.InvalidCredentialsError):
            obol.Session.sign_in(URL, email=email, password="wrong horse battery staple")
