"""What was used in the last days: by service and by day, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import ROUND_DOWN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ._errors import InvalidArgumentError
from ._request import NOT_GIVEN, NotGiven
from ._shapes import Usage, UsageGroup
from ._steps import Steps

__all__ = ["DailyUsage", "OperationUsage", "UsageSummary"]

_MICRO = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class OperationUsage:
    """What one operation came to, refunds taken off."""

    operation: str
    credits: Decimal
    charges: int
    #: Credits per charge, cut to a millionth.
    average: Decimal
    #: By unit.
    quantities: Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class DailyUsage:
    """What one day came to: `2026-11-20`."""

    day: str
    credits: Decimal


@dataclass(frozen=True, kw_only=True)
class UsageSummary:
    """A summary of usage."""

    credit_type: str
    days: int
    credits: Decimal
    charges: int
    #: The dearest first.
    operations: Sequence[OperationUsage]
    #: Each day on which something was used, the first one first.
    daily: Sequence[DailyUsage]


def summarize_usage(
    obol: Any, days: int, credit_type: str, time_zone: str, account: str | NotGiven, until: datetime | None
) -> Steps[UsageSummary]:
    """Sums usage up by operation and by day. The server adds up: nothing is lost however much was used."""
    if not days > 0:
        raise InvalidArgumentError(f"days is {days}: give more than 0.")
    end = until or datetime.now(timezone.utc)
    usage: Usage = yield obol.usage.get(
        start=end - timedelta(days=days),
        end=NOT_GIVEN if until is None else until,
        bucket="day",
        group_by=["operation"],
        credit_type=credit_type,
        time_zone=time_zone,
        account=account,
    )
    groups = [group for bucket in usage.data for group in bucket.results]
    zone = timezone.utc if time_zone == "UTC" else ZoneInfo(time_zone)
    by_operation: dict[str, list[UsageGroup]] = {}
    for group in groups:
        by_operation.setdefault(group.operation or "", []).append(group)
    operations = [_operation_usage(name, members) for name, members in by_operation.items()]
    return UsageSummary(
        credit_type=credit_type,
        days=days,
        credits=sum((group.net for group in groups), Decimal(0)),
        charges=sum(group.charges for group in groups),
        operations=sorted(operations, key=lambda one: one.credits, reverse=True),
        daily=[
            DailyUsage(
                day=bucket.start.astimezone(zone).date().isoformat(),
                credits=sum((group.net for group in bucket.results), Decimal(0)),
            )
            for bucket in usage.data
            if bucket.results
        ],
    )


def _operation_usage(operation: str, groups: Sequence[UsageGroup]) -> OperationUsage:
    credits = sum((group.net for group in groups), Decimal(0))
    charges = sum(group.charges for group in groups)
    quantities: dict[str, Decimal] = {}
    for group in groups:
        for unit, quantity in group.quantities.items():
            quantities[unit] = quantities.get(unit, Decimal(0)) + quantity
    average = _shortest((credits / charges).quantize(_MICRO, ROUND_DOWN)) if charges else Decimal(0)
    return OperationUsage(operation=operation, credits=credits, charges=charges, average=average, quantities=quantities)


def _shortest(value: Decimal) -> Decimal:
    """Without the zeros at its end, and without an exponent."""
    whole = value.to_integral_value()
    return whole if value == whole else value.normalize()
