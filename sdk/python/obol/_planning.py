"""What clients would work out by hand, as methods of both clients: sufficiency, jobs, batches, usage, low credits, the feed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from ._afford import (
    AffordableBatch,
    JobEstimate,
    Payer,
    Sufficiency,
    Work,
    affordable_batch,
    check_sufficiency,
    estimate_job,
)
from ._request import NOT_GIVEN, NotGiven
from ._steps import run, run_async
from ._usage_summary import UsageSummary, summarize_usage
from ._watch import Feed, FollowedEvent, LevelChange, Watch

Item = TypeVar("Item")


class Planning:
    """For the client that waits."""

    def estimate_job(
        self, items: Sequence[Work], *, account: str | NotGiven = NOT_GIVEN, key: str | NotGiven = NOT_GIVEN
    ) -> JobEstimate:
        """Estimates a job of any number of items, exactly. Fallback credits do not count towards jobs of more than 1000 items."""
        return run(estimate_job(self, items, Payer(account, key)))

    def check_sufficiency(
        self, work: Work, *, account: str | NotGiven = NOT_GIVEN, key: str | NotGiven = NOT_GIVEN
    ) -> Sufficiency:
        """Says whether work can be paid for as things stand. It promises nothing: a hold asks and sets aside in one step."""
        return run(check_sufficiency(self, work, Payer(account, key)))

    def affordable_batch(
        self,
        items: Sequence[Item],
        *,
        size: int,
        work: Callable[[Item], Work],
        account: str | NotGiven = NOT_GIVEN,
        key: str | NotGiven = NOT_GIVEN,
    ) -> AffordableBatch[Item]:
        """The longest batch from the front of a job that can be paid for now. Ask again after each batch."""
        return run(affordable_batch(self, items, size, work, Payer(account, key)))

    def summarize_usage(
        self,
        *,
        days: int = 30,
        credit_type: str = "credits",
        time_zone: str = "UTC",
        account: str | NotGiven = NOT_GIVEN,
        until: datetime | None = None,
    ) -> UsageSummary:
        """Sums usage up by operation and by day, refunds taken off."""
        return run(summarize_usage(self, days, credit_type, time_zone, account, until))

    def watch_credits(
        self,
        *,
        warning: Decimal,
        critical: Decimal,
        credit_type: str = "credits",
        account: str | NotGiven = NOT_GIVEN,
        every: float = 60.0,
    ) -> Iterator[LevelChange]:
        """Tells the level at first, and then each time that it changes, for ever. A server that is away is waited for."""
        watch = Watch(self, warning, critical, credit_type, account)
        while True:
            change = run(watch.look())
            if change is not None:
                yield change
            time.sleep(every)

    def follow_events(self, *, after: str | NotGiven = NOT_GIVEN, every: float = 1.0) -> Iterator[FollowedEvent]:
        """Every event of the server, in order, for ever: the operator's way to react to what happens."""
        feed = Feed(self, after)
        while True:
            events = run(feed.look())
            yield from events
            if not events:
                time.sleep(every)


class AsyncPlanning:
    """For the client for asyncio."""

    async def estimate_job(
        self, items: Sequence[Work], *, account: str | NotGiven = NOT_GIVEN, key: str | NotGiven = NOT_GIVEN
    ) -> JobEstimate:
        """Estimates a job of any number of items, exactly. Fallback credits do not count towards jobs of more than 1000 items."""
        return await run_async(estimate_job(self, items, Payer(account, key)))

    async def check_sufficiency(
        self, work: Work, *, account: str | NotGiven = NOT_GIVEN, key: str | NotGiven = NOT_GIVEN
    ) -> Sufficiency:
        """Says whether work can be paid for as things stand. It promises nothing: a hold asks and sets aside in one step."""
        return await run_async(check_sufficiency(self, work, Payer(account, key)))

    async def affordable_batch(
        self,
        items: Sequence[Item],
        *,
        size: int,
        work: Callable[[Item], Work],
        account: str | NotGiven = NOT_GIVEN,
        key: str | NotGiven = NOT_GIVEN,
    ) -> AffordableBatch[Item]:
        """The longest batch from the front of a job that can be paid for now. Ask again after each batch."""
        return await run_async(affordable_batch(self, items, size, work, Payer(account, key)))

    async def summarize_usage(
        self,
        *,
        days: int = 30,
        credit_type: str = "credits",
        time_zone: str = "UTC",
        account: str | NotGiven = NOT_GIVEN,
        until: datetime | None = None,
    ) -> UsageSummary:
        """Sums usage up by operation and by day, refunds taken off."""
        return await run_async(summarize_usage(self, days, credit_type, time_zone, account, until))

    async def watch_credits(
        self,
        *,
        warning: Decimal,
        critical: Decimal,
        credit_type: str = "credits",
        account: str | NotGiven = NOT_GIVEN,
        every: float = 60.0,
    ) -> AsyncIterator[LevelChange]:
        """Tells the level at first, and then each time that it changes, for ever. A server that is away is waited for."""
        watch = Watch(self, warning, critical, credit_type, account)
        while True:
            change = await run_async(watch.look())
            if change is not None:
                yield change
            await asyncio.sleep(every)

    async def follow_events(self, *, after: str | NotGiven = NOT_GIVEN, every: float = 1.0) -> AsyncIterator[FollowedEvent]:
        """Every event of the server, in order, for ever: the operator's way to react to what happens."""
        feed = Feed(self, after)
        while True:
            events = await run_async(feed.look())
            for event in events:
                yield event
            if not events:
                await asyncio.sleep(every)
