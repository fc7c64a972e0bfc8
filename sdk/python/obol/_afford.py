"""Whether work can be paid for, asked before it begins: one call, a whole job, or as much of a job as the credits reach for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from ._errors import InvalidArgumentError
from ._request import NOT_GIVEN, NotGiven
from ._shapes import Estimate
from ._steps import Steps

__all__ = ["AffordableBatch", "JobEstimate", "Requirement", "Sufficiency"]

Item = TypeVar("Item")

#: Items of one estimate, at most.
_ITEMS_AT_ONCE = 1_000
_ZERO = Decimal(0)

#: The operation, its quantities and attributes: an item of `estimates.create`.
Work = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What work needs of one credit type."""

    credit_type: str
    #: The least and the most that it can come to.
    min: Decimal
    max: Decimal
    #: None: nobody's credits were asked about.
    available: Decimal | None
    #: How much the most is above what is available.
    shortfall: Decimal | None


@dataclass(frozen=True, kw_only=True)
class JobEstimate:
    """What a job would cost, and whether it can be paid for."""

    items: int
    requirements: Sequence[Requirement]
    #: None: nobody's credits were asked about.
    is_affordable: bool | None
    #: Whether the budget of the key, not the balance, is what forbids it.
    is_budget_exceeded: bool
    #: Pins these prices for charges and holds; None when the job took several estimates, or is nobody's.
    quote_id: str | None


@dataclass(frozen=True, kw_only=True)
class Sufficiency:
    """Whether one call can be paid for."""

    is_sufficient: bool
    credit_type: str
    #: The most that it can come to: exactly what a hold would take.
    required: Decimal
    available: Decimal
    shortfall: Decimal
    #: Whether the budget of the key, not the balance, is what forbids it.
    is_budget_exceeded: bool
    #: Pins the price: name it in the charge or hold.
    quote_id: str | None


@dataclass(frozen=True, kw_only=True)
class AffordableBatch(Generic[Item]):
    """A part of a job that can be paid for now, and what is left of the job."""

    #: Empty: the credits do not reach for the next item.
    batch: Sequence[Item]
    rest: Sequence[Item]
    #: What the batch needs; of an empty one, what the next item needs.
    estimate: JobEstimate


@dataclass(frozen=True)
class Payer:
    """Whose credits are asked about. A customer's key asks about its own account, and leaves it out."""

    account: str | NotGiven = NOT_GIVEN
    key: str | NotGiven = NOT_GIVEN


def estimate_job(obol: Any, items: Sequence[Work], payer: Payer) -> Steps[JobEstimate]:
    """Estimates a job of any number of items, exactly."""
    if not items:
        return JobEstimate(items=0, requirements=[], is_affordable=True, is_budget_exceeded=False, quote_id=None)
    estimates: list[Estimate] = []
    for begin in range(0, len(items), _ITEMS_AT_ONCE):
        part = list(items[begin : begin + _ITEMS_AT_ONCE])
        estimates.append((yield obol.estimates.create(items=part, account=payer.account, key=payer.key)))
    requirements = _add_up(estimates)
    affordable = [estimate.affordable for estimate in estimates]
    is_covered = len(estimates) == 1 or all(not need.shortfall for need in requirements)
    known = [one for one in affordable if one is not None]
    return JobEstimate(
        items=len(items),
        requirements=requirements,
        is_affordable=all(one.balance and one.key_budget for one in known) and is_covered if len(known) == len(estimates) else None,
        is_budget_exceeded=any(not one.key_budget for one in known),
        quote_id=estimates[0].quote_id if len(estimates) == 1 else None,
    )


def _add_up(estimates: Sequence[Estimate]) -> list[Requirement]:
    needs: dict[str, Requirement] = {}
    for estimate in estimates:
        for total in estimate.totals:
            known = needs.get(total.credit_type)
            most = total.max + (known.max if known else _ZERO)
            needs[total.credit_type] = Requirement(
                credit_type=total.credit_type,
                min=total.min + (known.min if known else _ZERO),
                max=most,
                available=total.available,
                shortfall=None if total.available is None else max(most - total.available, _ZERO),
            )
    return list(needs.values())


def check_sufficiency(obol: Any, work: Work, payer: Payer) -> Steps[Sufficiency]:
    """Says whether work can be paid for as things stand."""
    job = yield from estimate_job(obol, [work], payer)
    need = job.requirements[0]
    if need.available is None or need.shortfall is None or job.is_affordable is None:
        raise InvalidArgumentError("Name an account or a key: the operator has no credits.")
    return Sufficiency(
        is_sufficient=job.is_affordable,
        credit_type=need.credit_type,
        required=need.max,
        available=need.available,
        shortfall=need.shortfall,
        is_budget_exceeded=job.is_budget_exceeded,
        quote_id=job.quote_id,
    )


def affordable_batch(
    obol: Any, items: Sequence[Item], size: int, work: Callable[[Item], Work], payer: Payer
) -> Steps[AffordableBatch[Item]]:
    """The longest batch from the front of a job that can be paid for now, in a handful of questions."""
    if not 1 <= size <= _ITEMS_AT_ONCE:
        raise InvalidArgumentError(f"size is {size}: give 1 to {_ITEMS_AT_ONCE}.")
    fits, up_to = 0, min(size, len(items))
    fitting = refused = yield from estimate_job(obol, [], payer)
    count = up_to
    while count > fits:
        job = yield from estimate_job(obol, [work(item) for item in items[:count]], payer)
        if job.is_affordable is None:
            raise InvalidArgumentError("Name an account or a key: the operator has no credits.")
        if job.is_affordable:
            fits, fitting = count, job
        else:
            up_to, refused = count - 1, job
        count = fits + -(-(up_to - fits) // 2)
    return AffordableBatch(batch=items[:fits], rest=items[fits:], estimate=fitting if fits else refused)
