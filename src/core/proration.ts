/** What a change of plans in the middle of a period comes to, in credits and in money, by exact fractions of the period. */

import { periodOf } from './calendar.ts'
import { least, type Microcredits, micro, most } from './credits.ts'
import type { Draft } from './draft.ts'
import { haveSamePeriods, type PlanTerms } from './plan.ts'
import { give, subscriptionIn, unspentOf } from './renewal.ts'
import { recurrenceOf, type Subscription } from './subscription.ts'
import type { Begun, Proration } from './subscription-facts.ts'

/** How much of the period is left, and what that is worth in money: of the plan before, and of the one after it. */
export function prorate({ terms: before, period }: Subscription, after: PlanTerms, nowMs: number): Proration {
  if (period === null) throw new Error('there is no period to change a plan in')
  const periodMs = period.endMs - period.startMs
  const remainingMs = period.endMs - nowMs
  const chargedMinor = after.price?.amountMinor ?? 0
  return {
    remainingMs,
    periodMs,
    creditedMinor: moneyShare(before.price?.amountMinor ?? 0, { remainingMs, periodMs }),
    chargedMinor: haveSamePeriods(before, after) ? moneyShare(chargedMinor, { remainingMs, periodMs }) : chargedMinor,
  }
}

type Share = Pick<Proration, 'remainingMs' | 'periodMs'>

/** A part of an amount that is as large as what is left of the period, rounded down. */
function shareOf(amount: bigint, { remainingMs, periodMs }: Share): bigint {
  return (amount * BigInt(remainingMs)) / BigInt(periodMs)
}

function moneyShare(amountMinor: number, share: Share): number {
  return Number(shareOf(BigInt(amountMinor), share))
}

/** What a change does to the credits of one type. */
export interface CreditChange {
  readonly creditType: string
  /** Of the plan before, for what was left of the period. */
  readonly unused: Microcredits
  /** Of the plan after it, for what follows. */
  readonly due: Microcredits
  /** Taken back of what is unspent. */
  readonly taken: Microcredits
  readonly given: Microcredits
}

/**
 * What a change does to credits: what was meant for the rest of the period is taken back, as far as it is unspent; what was spent of it
 * is taken off what the new plan gives for what follows.
 */
export function creditChanges(draft: Draft, before: Subscription, { terms, share }: PlanChange): readonly CreditChange[] {
  const names = new Set([...before.terms.credits, ...terms.credits].map(({ creditType }) => creditType))
  const isSame = haveSamePeriods(before.terms, terms)
  return [...names].map((creditType) => {
    const unused = shareOf(allowanceOf(before.terms, creditType), share)
    const allowance = allowanceOf(terms, creditType)
    const due = isSame ? shareOf(allowance, share) : allowance
    const taken = least(unused, unspentOf(draft, before, creditType))
    const given = most(0n, due - (unused - taken))
    // In one period what is taken and what is given are of one kind: only the difference moves.
    const both = isSame ? least(taken, given) : 0n
    return { creditType, unused: micro(unused), due: micro(due), taken: micro(taken - both), given: micro(given - both) }
  })
}

function allowanceOf({ credits }: PlanTerms, creditType: string): bigint {
  return credits.find((one) => one.creditType === creditType)?.credits ?? 0n
}

/** A plan that is to be changed to, and how much of the period counts. */
export interface PlanChange {
  readonly terms: PlanTerms
  readonly share: Proration
}

/** The period that a subscription is in after a change now: the same, or one that begins with the change. */
export function periodAfterChange(before: Subscription, terms: PlanTerms, nowMs: number): Pick<Begun, 'anchorMs' | 'period'> {
  const { period, anchorMs } = before
  if (period !== null && haveSamePeriods(before.terms, terms)) return { anchorMs, period }
  return { anchorMs: nowMs, period: periodOf(recurrenceOf(nowMs, terms), 0) }
}

/** Changes a subscription's plan now. `credit` is the money that the customer has left after it. */
export function changeNow(draft: Draft, seq: number, { terms, share, credit }: PlanChange & Pick<Begun, 'credit'>): void {
  const before = subscriptionIn(draft, seq)
  const changes = creditChanges(draft, before, { terms, share })
  const place = periodAfterChange(before, terms, draft.nowMs)
  draft.append({ kind: 'subscription_changed', subscription: seq, terms, ...place, credit, proration: share, events: [] })
  for (const { creditType, taken, given } of changes) {
    if (taken > 0n) reduce(draft, before, { creditType, credits: taken })
    const allowance = { creditType, credits: given }
    if (given > 0n) give(draft, seq, { allowance, why: 'change', asOfMs: draft.nowMs, expiresAtMs: place.period.endMs, actor: draft.actor })
  }
}

/** Takes credits back out of what is unspent of a period's grants. */
function reduce(
  draft: Draft,
  { seq, grants }: Subscription,
  { creditType, credits }: { readonly creditType: string; readonly credits: Microcredits },
): void {
  const pool = draft.pool(creditType)
  let left: bigint = credits
  for (const grant of draft.state.pools.find((candidate) => candidate.creditType === creditType)?.grants ?? []) {
    if (grant.closed !== null || !grants.includes(grant.seq)) continue
    const part = least(pool.freeOf(grant), left)
    if (part > 0n) pool.move(grant.seq, -part, 0n)
    left -= part
  }
  draft.append({ kind: 'subscription_reduced', ...pool.fields, subscription: seq, credits })
}
