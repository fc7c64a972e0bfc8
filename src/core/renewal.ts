/** What happens when a subscription's period ends, and what one gives when it begins: each as of its moment, however late it is booked. */

import { type GrantSource, poolOf } from './account.ts'
import { periodAfter, periodOf } from './calendar.ts'
import { least, MAX_MICROCREDITS, type Microcredits, micro, most } from './credits.ts'
import type { Draft } from './draft.ts'
import { termsOf } from './evolve.ts'
import { expireGrant } from './grant-expiry.ts'
import { objectId } from './ids.ts'
import { type Allowance, haveSamePeriods, type PlanTerms, type Rollover } from './plan.ts'
import { DEFAULT_PRIORITIES } from './priorities.ts'
import type { Actor, NewGrant } from './record.ts'
import { nextTerms, recurrenceOf, type Subscription } from './subscription.ts'
import type { Begun, GrantReason } from './subscription-facts.ts'

const DAY_MS = 86_400_000

/**
 * Ends a subscription's period, and begins the next if there is one: what is left of the period's grants ends, a part of it may roll over,
 * and the new period's credits are given, unless they are to be paid for first.
 */
export function passPeriod(draft: Draft, seq: number): void {
  const before = subscriptionIn(draft, seq)
  const { period } = before
  if (period === null) throw new Error(`subscription ${seq} has no period that could end`)
  const dueMs = period.endMs
  const left = expireGrants(draft, before)
  if (before.isCanceled) {
    draft.append({ kind: 'subscription_ended', subscription: seq, reason: 'canceled', dueMs, events: [] }, 'time')
    return
  }
  if (before.phase === 'paused') {
    draft.append({ kind: 'subscription_period_ended', subscription: seq, dueMs, events: [] }, 'time')
    rollOver(draft, before, { left, dueMs, endsMs: (periods) => endAfter(before.anchorMs, before, periods) })
    return
  }
  const begun = nextPeriod(before)
  draft.append({ kind: 'subscription_renewed', subscription: seq, ...begun, dueMs, events: [] }, 'time')
  const after = subscriptionIn(draft, seq)
  rollOver(draft, before, { left, dueMs, endsMs: (periods) => endAfter(after.anchorMs, after, periods - 1) })
  if (begun.due === null) givePeriod(draft, seq, { asOfMs: dueMs, isFirst: !before.hasBegun, actor: 'time' })
}

/** A subscription as the draft has it. Throws a fault when it is not there. */
export function subscriptionIn(draft: Draft, seq: number): Subscription {
  const found = draft.state.subscriptions.find((subscription) => subscription.seq === seq)
  if (!found) throw new Error(`subscription ${seq} has ended, or never began`)
  return found
}

/** The period after one that ends, counted on; where it is counted otherwise than before, from there. */
function nextPeriod(before: Subscription): Begun {
  const terms = nextTerms(before)
  const { period, anchorMs, phase } = before
  const dueMs = period?.endMs ?? anchorMs
  if (period !== null && phase === 'running' && haveSamePeriods(terms, before.terms))
    return begin(terms, { anchorMs, period: periodAfter(recurrenceOf(anchorMs, terms), period), credit: before.credit })
  return begin(terms, { anchorMs: dueMs, period: periodOf(recurrenceOf(dueMs, terms), 0), credit: before.credit })
}

/** What begins with a period: what the customer has left of money is taken first, and the rest is due. */
export function begin(terms: PlanTerms, { anchorMs, period, credit }: Pick<Begun, 'anchorMs' | 'period' | 'credit'>): Begun {
  const { price } = terms
  if (price === null) return { terms, anchorMs, period, due: null, credit }
  const usable = credit?.currency === price.currency ? credit.amountMinor : 0
  const used = Math.min(usable, price.amountMinor)
  const dueMinor = price.amountMinor - used
  const left = credit === null || used === 0 ? credit : usable > used ? { ...credit, amountMinor: usable - used } : null
  return { terms, anchorMs, period, due: dueMinor === 0 ? null : { amountMinor: dueMinor, currency: price.currency }, credit: left }
}

/** Ends what is left of a period's grants; gives what that was, by credit type. */
function expireGrants(draft: Draft, { grants }: Subscription): ReadonlyMap<string, bigint> {
  const left = new Map<string, bigint>()
  for (const seq of grants)
    for (const { creditType, grants: open } of draft.state.pools) {
      const grant = open.find((candidate) => candidate.seq === seq)
      if (!grant || grant.closed !== null) continue
      left.set(creditType, (left.get(creditType) ?? 0n) + expireGrant(draft, creditType, grant))
    }
  return left
}

interface Leftover {
  readonly left: ReadonlyMap<string, bigint>
  readonly dueMs: number
  /** When the so-many-th period from now ends. */
  readonly endsMs: (periods: number) => number
}

/** What is left of a trial ends with it. */
function rollOver(draft: Draft, { seq, terms, phase }: Subscription, { left, dueMs, endsMs }: Leftover): void {
  if (phase === 'trial') return
  for (const { creditType, rollover } of terms.credits) {
    const credits = rollover === null ? 0n : rolledOver(left.get(creditType) ?? 0n, rollover)
    if (rollover === null || credits === 0n) continue
    const allowance = { creditType, credits: micro(credits) }
    give(draft, seq, { allowance, why: 'rollover', asOfMs: dueMs, expiresAtMs: endsMs(rollover.periods), actor: 'time' })
  }
}

function rolledOver(left: bigint, { percent, cap }: Rollover): bigint {
  const part = (left * BigInt(percent)) / 100n
  return cap === null ? part : least(part, cap)
}

/** When the period ends that comes so many after the current one; after a period that ended and was not followed, as if others did. */
function endAfter(anchorMs: number, { period, terms }: Pick<Subscription, 'period' | 'terms'>, periods: number): number {
  const recurrence = recurrenceOf(anchorMs, terms)
  let last = period ?? periodOf(recurrence, 0)
  for (let count = 0; count < periods; count++) last = periodAfter(recurrence, last)
  return last.endMs
}

interface PeriodStart {
  readonly asOfMs: number
  /** What is given once is given, too. */
  readonly isFirst: boolean
  readonly actor: Actor
}

/** Gives the credits of the period that a subscription is in. */
export function givePeriod(draft: Draft, seq: number, { asOfMs, isFirst, actor }: PeriodStart): void {
  const { terms, period } = subscriptionIn(draft, seq)
  if (period === null) throw new Error(`subscription ${seq} has no period to give credits for`)
  for (const allowance of terms.credits) give(draft, seq, { allowance, why: 'period', asOfMs, expiresAtMs: period.endMs, actor })
  if (!isFirst) return
  for (const { lifeDays, ...allowance } of terms.welcome) {
    const expiresAtMs = lifeDays === null ? null : asOfMs + lifeDays * DAY_MS
    give(draft, seq, { allowance, why: 'welcome', asOfMs, expiresAtMs, actor })
  }
}

const SOURCES: Readonly<Record<GrantReason, GrantSource>> = {
  period: 'plan',
  change: 'plan',
  trial: 'promo',
  welcome: 'promo',
  rollover: 'rollover',
}

/** Credits to give. */
export interface Gift {
  readonly allowance: Allowance
  readonly why: GrantReason
  readonly asOfMs: number
  readonly expiresAtMs: number | null
  readonly actor: Actor
}

/** Gives credits of a subscription: as many as there is room for, for time does not ask. A debt is repaid from them first. */
export function give(draft: Draft, seq: number, { allowance, why, asOfMs, expiresAtMs, actor }: Gift): void {
  const { creditType } = allowance
  const amount = least(allowance.credits, roomIn(draft, creditType))
  if (amount <= 0n) return
  const { terms } = subscriptionIn(draft, seq)
  const source = SOURCES[why]
  const isPaid = terms.price !== null && (why === 'period' || why === 'change')
  const grant: NewGrant = {
    amount: micro(amount),
    source,
    priority: DEFAULT_PRIORITIES[source],
    effectiveAtMs: asOfMs,
    expiresAtMs,
    paid: isPaid,
    purchase: null,
    cost: why === 'period' && terms.credits.length === 1 ? terms.price : null,
    metadata: { subscription: objectId('sub', draft.state.number, seq), plan: terms.plan },
  }
  const pool = draft.pool(creditType, asOfMs)
  pool.open(termsOf(draft.nextSeq, grant))
  pool.move(draft.nextSeq, amount, 0n)
  pool.repay()
  draft.append({ kind: 'subscription_granted', ...pool.fields, subscription: seq, why, dueMs: asOfMs, grant }, actor)
}

function roomIn(draft: Draft, creditType: string): bigint {
  const left = poolOf(draft.state, creditType).grants.reduce<bigint>((sum, { remaining }) => sum + remaining, 0n)
  return most(0n, MAX_MICROCREDITS - left)
}

/** What is left and free of a period's grants, by credit type. */
export function unspentOf(draft: Draft, { grants }: Subscription, creditType: string): Microcredits {
  const own = poolOf(draft.state, creditType).grants.filter(({ seq, closed }) => closed === null && grants.includes(seq))
  return micro(own.reduce((sum, { remaining, held }) => sum + remaining - held, 0n))
}
