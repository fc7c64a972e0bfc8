/** Folds one journal record into an account's state. The only way a state ever changes, live, on recovery and in an audit. */

import { type AccountState, emptyPool, type GrantTerms, type OpenGrant, type Pool } from './account.ts'
import { evolveAlerts } from './alert-fold.ts'
import { evolveAutoTopup } from './auto-topup-fold.ts'
import { burnOrder } from './balance.ts'
import { evolveBudgets } from './budget.ts'
import { FOREVER_MS } from './calendar.ts'
import { type Microcredits, micro, plus, ZERO } from './credits.ts'
import { evolveCheckouts, evolveDisputes, evolveFreezes } from './freezes.ts'
import { evolveHolds } from './holds.ts'
import {
  type CreditsRecord,
  DEBT,
  grantMadeBy,
  type JournalRecord,
  type Movement,
  movesCredits,
  type NewGrant,
  reopenedBy,
} from './record.ts'
import { dueOf } from './subscription.ts'
import { evolveSubscriptions } from './subscription-fold.ts'
import { evolveHour } from './usage.ts'

/** The state after a record. Throws a fault when the record does not follow from the state: a bug, or a damaged journal. */
export function evolve(state: AccountState, record: JournalRecord): AccountState {
  if (record.seq !== state.seq + 1) throw new Error(`record ${record.seq} cannot follow record ${state.seq}`)
  if (record.atMs < state.atMs) throw new Error(`record ${record.seq} is older than the one before it`)
  const pools = movesCredits(record) ? evolvePools(state.pools, record) : state.pools
  const holds = evolveHolds(state.holds, record)
  const checkouts = evolveCheckouts(state.checkouts, record)
  const subscriptions = evolveSubscriptions(state.subscriptions, record)
  const isSettled = record.kind === 'charge' && samePoolShapes(state.pools, pools)
  return {
    number: state.number,
    seq: record.seq,
    atMs: record.atMs,
    status: record.kind === 'account_updated' ? record.status : state.status,
    capturePolicy: record.kind === 'account_updated' || record.kind === 'account_created' ? record.capturePolicy : state.capturePolicy,
    pools,
    holds,
    checkouts,
    freezes: evolveFreezes(state.freezes, record),
    subscriptions,
    paymentMethod: evolveMethod(state.paymentMethod, record),
    clock: evolveClock(state.clock, record),
    disputes: evolveDisputes(state.disputes, record),
    autoTopup: evolveAutoTopup(state.autoTopup, record),
    budgets: evolveBudgets(state.budgets, record),
    alerts: evolveAlerts(state.alerts, record),
    keys: state.keys + keyDelta(record),
    hour: evolveHour(state.hour, record),
    dueMs: isSettled ? state.dueMs : nextDue({ pools, holds, checkouts, subscriptions }),
  }
}

function evolveMethod(before: AccountState['paymentMethod'], record: JournalRecord): AccountState['paymentMethod'] {
  if (record.kind === 'payment_method_saved') return record.method
  return record.kind === 'payment_method_removed' ? null : before
}

function evolveClock(before: AccountState['clock'], record: JournalRecord): AccountState['clock'] {
  if (record.kind === 'account_created') return record.clock
  if (record.kind !== 'clock_advanced') return before
  if (before === null || record.nowMs <= before.nowMs) throw new Error(`record ${record.seq} moves a clock back, or none`)
  return { ...before, nowMs: record.nowMs }
}

function keyDelta(record: JournalRecord): number {
  if (record.kind === 'key_created') return 1
  return record.kind === 'key_revoked' ? -1 : 0
}

/** A charge that emptied no grant and left no debt cannot change when something is due next. */
function samePoolShapes(before: readonly Pool[], after: readonly Pool[]): boolean {
  return before.every((pool, index) => pool.grants.length === after[index]?.grants.length)
}

function firstEnd(things: readonly { readonly expiresAtMs: number }[], before: number): number {
  let first = before
  for (const thing of things) if (thing.expiresAtMs < first) first = thing.expiresAtMs
  return first
}

/** The first moment at which time alone changes the account. */
function nextDue({
  pools,
  holds,
  checkouts,
  subscriptions,
}: Pick<AccountState, 'pools' | 'holds' | 'checkouts' | 'subscriptions'>): number {
  let due = firstEnd(holds, firstEnd(checkouts, FOREVER_MS))
  for (const subscription of subscriptions) due = Math.min(due, dueOf(subscription))
  for (const pool of pools) {
    for (const grant of pool.grants) {
      if (grant.closed === null && grant.expiresAtMs !== null && grant.expiresAtMs < due) due = grant.expiresAtMs
      if (pool.debt > 0n && grant.closed === null && grant.remaining > grant.held && grant.effectiveAtMs < due) due = grant.effectiveAtMs
    }
  }
  return due
}

function evolvePools(pools: readonly Pool[], record: CreditsRecord): readonly Pool[] {
  const index = pools.findIndex((pool) => pool.creditType === record.creditType)
  if (index < 0) return [...pools, evolvePool(emptyPool(record.creditType), record)].sort((a, b) => (a.creditType < b.creditType ? -1 : 1))
  const next = [...pools]
  next[index] = evolvePool(pools[index] ?? emptyPool(record.creditType), record)
  return next
}

/** What a record adds to the running totals of its pool. */
export interface Totals {
  readonly granted: bigint
  readonly charged: bigint
  readonly refunded: bigint
  readonly expired: bigint
  readonly voided: bigint
}

const NO_TOTALS: Totals = { granted: 0n, charged: 0n, refunded: 0n, expired: 0n, voided: 0n }

/** What a record adds to the totals: what it grants, charges, gives back, lets expire or takes. */
export function totalsOf(record: CreditsRecord): Totals {
  switch (record.kind) {
    case 'grant':
    case 'subscription_granted':
    case 'topup':
      return { ...NO_TOTALS, granted: record.grant.amount }
    case 'charge':
    case 'late_capture':
      return { ...NO_TOTALS, charged: record.credits }
    case 'capture':
      return { ...NO_TOTALS, charged: record.credits, expired: record.expired, voided: record.voided }
    case 'hold_released':
    case 'hold_expired':
      return { ...NO_TOTALS, expired: record.expired, voided: record.voided }
    case 'refund':
    case 'outcome_reported':
      return { ...NO_TOTALS, refunded: record.credits }
    case 'grant_expired':
      return { ...NO_TOTALS, expired: record.credits }
    case 'grant_voided':
    case 'adjustment':
    case 'subscription_reduced':
    case 'topup_refunded':
      return { ...NO_TOTALS, voided: record.credits }
    case 'topup_refund_reversed':
      return { ...NO_TOTALS, voided: -record.credits }
    case 'dispute_closed':
      return { ...NO_TOTALS, voided: record.credits + record.voided }
    case 'dispute_opened':
    case 'hold':
    case 'hold_increased':
    case 'debt_repaid':
      return NO_TOTALS
  }
}

function evolvePool(pool: Pool, record: CreditsRecord): Pool {
  const totals = totalsOf(record)
  const moved = moveGrants(pool, record)
  const change = record.movements.reduce((sum, movement) => sum + movement.remaining, 0n)
  const expected = totals.granted - totals.charged + totals.refunded - totals.expired - totals.voided
  if (change !== expected) throw new Error(`record ${record.seq} moves ${change} micro-credits where its ${record.kind} says ${expected}`)
  return {
    creditType: pool.creditType,
    grants: moved.grants,
    debt: moved.debt,
    granted: plus(pool.granted, totals.granted),
    charged: plus(pool.charged, totals.charged),
    refunded: plus(pool.refunded, totals.refunded),
    expired: plus(pool.expired, totals.expired),
    voided: plus(pool.voided, totals.voided),
  }
}

interface MovedGrants {
  readonly grants: readonly OpenGrant[]
  readonly debt: Microcredits
}

function moveGrants(pool: Pool, record: CreditsRecord): MovedGrants {
  const grants = openGrants(pool, record)
  let { debt } = pool
  let isEmptied = false
  for (const movement of record.movements) {
    if (movement.grant === DEBT) {
      debt = micro(debt - movement.remaining)
      if (debt < 0n || -debt !== movement.remainingAfter)
        throw new Error(`record ${record.seq} disagrees with the debt of ${debt} micro-credits`)
      continue
    }
    const index = grants.findIndex((grant) => grant.seq === movement.grant)
    const grant = grants[index]
    if (!grant) throw new Error(`record ${record.seq} moves grant ${movement.grant}, which is not open`)
    const next = moveGrant(grant, movement, record.seq)
    grants[index] = next
    isEmptied ||= next.remaining === 0n
  }
  if (record.kind === 'grant_expired') closeGrant(grants, record.grant, 'expired')
  if (record.kind === 'grant_voided') closeGrant(grants, record.grant, 'voided')
  return { grants: isEmptied ? grants.filter((grant) => grant.remaining > 0n) : grants, debt }
}

/** The pool's grants, with those that the record makes or reopens put in their places. */
function openGrants(pool: Pool, record: CreditsRecord): OpenGrant[] {
  const made = grantMadeBy(record)
  const reopened = reopenedBy(record)
  if (made === null && reopened.length === 0) return [...pool.grants]
  const opened: GrantTerms[] = [...reopened]
  if (made) opened.push(termsOf(record.seq, made))
  const empty = { remaining: ZERO, held: ZERO, closed: null }
  return [...pool.grants, ...opened.map((terms) => ({ ...terms, ...empty }))].sort(burnOrder)
}

/** The terms of a grant that a record makes. */
export function termsOf(seq: number, { source, priority, effectiveAtMs, expiresAtMs, paid, purchase }: NewGrant): GrantTerms {
  return { seq, source, priority, effectiveAtMs, expiresAtMs, paid, purchase }
}

function moveGrant(grant: OpenGrant, movement: Movement, seq: number): OpenGrant {
  const remaining = micro(plus(grant.remaining, movement.remaining))
  const held = micro(plus(grant.held, movement.held))
  if (held < 0n || remaining < held) throw new Error(`record ${seq} would leave ${remaining} of grant ${grant.seq} with ${held} held`)
  if (remaining !== movement.remainingAfter || held !== movement.heldAfter)
    throw new Error(`record ${seq} disagrees with what grant ${grant.seq} has left`)
  return {
    seq: grant.seq,
    source: grant.source,
    priority: grant.priority,
    effectiveAtMs: grant.effectiveAtMs,
    expiresAtMs: grant.expiresAtMs,
    paid: grant.paid,
    purchase: grant.purchase,
    remaining,
    held,
    closed: grant.closed,
  }
}

function closeGrant(grants: OpenGrant[], seq: number, closed: 'expired' | 'voided'): void {
  const index = grants.findIndex((grant) => grant.seq === seq)
  const grant = grants[index]
  if (grant) grants[index] = { ...grant, closed }
}
