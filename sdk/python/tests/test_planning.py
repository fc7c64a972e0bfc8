"""What clients would work out by hand, on a real server, with both clients."""

from __future__ import annotations

import unittest
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import obol

from .server import async_operator, customer, open_account, operator


def seconds(second: float) -> dict[str, object]:
    """So many seconds of transcription, at 11 credits each."""
    return {"operation": "transcription", "quantities": {"second": second}}


class PlanningTest(unittest.TestCase):
    def setUp(self) -> None:
        self.operator = operator()
        self.addCleanup(self.operator.close)

    def test_whether_a_call_can_be_paid_for(self) -> None:
        client = customer(self.operator, open_account(self.operator))
        enough = client.check_sufficiency(seconds(60))
        self.assertEqual((enough.is_sufficient, enough.required, enough.shortfall), (True, Decimal(660), Decimal(0)))
        short = client.check_sufficiency(seconds(120))
        self.assertEqual((short.is_sufficient, short.required, short.shortfall), (False, Decimal(1320), Decimal(320)))
        with self.assertRaises(obol.InvalidArgumentError):
            self.operator.check_sufficiency(seconds(1))

    def test_a_budget_that_forbids_is_told_apart(self) -> None:
        client = customer(self.operator, open_account(self.operator), budget={"limit": "100", "period": "day"})
        answer = client.check_sufficiency(seconds(60))
        self.assertEqual((answer.is_sufficient, answer.is_budget_exceeded), (False, True))

    def test_a_job_of_more_items_than_one_estimate_takes(self) -> None:
        client = customer(self.operator, open_account(self.operator, "20000"))
        job = client.estimate_job([seconds(1)] * 1_001)
        self.assertEqual((job.is_affordable, job.requirements[0].max), (True, Decimal(11_011)))
        self.assertFalse(client.estimate_job([seconds(1)] * 1_900).is_affordable)

    def test_a_job_is_done_in_batches_as_long_as_the_credits_reach(self) -> None:
        account = open_account(self.operator)
        client = customer(self.operator, account)
        done: list[int] = []
        rest = [10, 20, 30, 40, 50]
        while (part := client.affordable_batch(rest, size=3, work=seconds)).batch:
            for second in part.batch:
                self.operator.charges.create(account=account, **seconds(second))  # type: ignore[arg-type]
            done += part.batch
            rest = list(part.rest)
        self.assertEqual((done, rest), ([10, 20, 30], [40, 50]))
        self.assertEqual(part.estimate.requirements[0].shortfall, Decimal(100))
        for size in (1, 7, 9, 10, 11, 30):
            batch = client.affordable_batch([30.9] * 30, size=size, work=lambda item: seconds(item)).batch
            self.assertEqual(len(batch), min(size, 1))

    def test_usage_is_summed_up_by_service_and_by_day(self) -> None:
        account = open_account(self.operator)
        first = self.operator.charges.create(account=account, **seconds(10))  # type: ignore[arg-type]
        self.operator.charges.refund(first.id, amount="10")
        for quantity in (3, "0.5"):
            self.operator.charges.create(account=account, operation="unit", quantity=quantity)
        summary = customer(self.operator, account).summarize_usage(until=datetime.now(timezone.utc) + timedelta(seconds=5))
        self.assertEqual((summary.credits, summary.charges), (Decimal("103.5"), 3))
        self.assertEqual([one.operation for one in summary.operations], ["transcription", "unit"])
        self.assertEqual((summary.operations[1].average, str(summary.operations[0].average)), (Decimal("1.75"), "100"))
        self.assertEqual(sum(day.credits for day in summary.daily), summary.credits)

    def test_a_watch_tells_each_level_once(self) -> None:
        account = open_account(self.operator)
        levels: list[tuple[str, Decimal]] = []
        watch = customer(self.operator, account).watch_credits(warning=Decimal(500), critical=Decimal(100), every=0.02)
        for change in watch:
            levels.append((change.level, change.available))
            if len(levels) == 3:
                break
            self.operator.charges.create(account=account, operation="unit", quantity=600 if change.level == "enough" else 350)
        self.assertEqual(levels, [("enough", Decimal(1000)), ("warning", Decimal(400)), ("critical", Decimal(50))])

    def test_the_feed_is_followed_from_where_a_reader_ended(self) -> None:
        account = open_account(self.operator)
        after: str | obol.NotGiven = obol.NOT_GIVEN
        for _ in range(100):
            page = self.operator.events.list(after=after)
            after = page.next
            if not page.data:
                break
        charge = self.operator.charges.create(account=account, operation="unit")
        for followed in self.operator.follow_events(after=after, every=0.05):
            if followed.event.type.startswith("charge.") and followed.event.account == account:
                self.assertEqual(followed.event.record.subject, charge.id)
                break


class AsyncPlanningTest(unittest.IsolatedAsyncioTestCase):
    async def test_the_same_with_asyncio(self) -> None:
        account = open_account(operator())
        async with async_operator() as client:
            self.assertTrue((await client.check_sufficiency(seconds(60), account=account)).is_sufficient)
            self.assertEqual((await client.estimate_job([seconds(1)] * 3, account=account)).requirements[0].max, Decimal(33))
            batch = await client.affordable_batch([50, 50], size=2, work=seconds, account=account)
            self.assertEqual(batch.batch, [50])
            await client.charges.create(account=account, operation="unit")
            self.assertEqual((await client.summarize_usage(account=account)).credits, Decimal(1))
            async for change in client.watch_credits(warning=Decimal(999), critical=Decimal(10), account=account, every=0.02):
                self.assertEqual((change.level, change.available), ("warning", Decimal(999)))
                break
            with self.assertRaises(obol.InvalidArgumentError):
                await client.check_sufficiency(seconds(1))
            with self.assertRaises(obol.PriceNotConfiguredError):
                await client.estimate_job([{"operation": "nothing"}])
