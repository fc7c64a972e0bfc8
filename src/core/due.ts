/** What time alone changes: expired grants, holds and checkouts, periods of subscriptions, debts that a grant pays when it becomes effective. */

import { type AccountState, type OpenGrant, type OpenHold, type Pool, poolOf, timeOf } from './account.ts'
import { micro } from './credits.ts'
import { type Context, Draft, type PoolDraft } from './draft.ts'
import { expireGrant } from './grant-expiry.ts'
import { heldBy } from './holds.ts'
import { passPeriod } from './renewal.ts'
import { graceEndOf, type Subscription } from './subscription.ts'

interface Due {
  readonly dueMs: number
  readonly book: (draft: Draft) => unknown
}

/** Starts a draft in which everything that was due before this moment has been booked, in the order in which it was due. */
export function openDraft(state: AccountState, context: Context): Draft {
  const draft = new Draft(state, context)
  bookDue(draft, state.atMs)
  return draft
}

/** Books what is due in a draft, whose account had its last record at a moment. */
export function bookDue(draft: Draft, sinceMs: number): void {
  let momentMs: number | null = null
  while (draft.state.dueMs <= draft.nowMs) {
    const next = earliestDue(draft.state, { sinceMs, nowMs: draft.nowMs })
    if (!next) break
    if (momentMs !== null && next.dueMs !== momentMs) draft.endStep(momentMs)
    momentMs = next.dueMs
    next.book(draft)
  }
  if (momentMs !== null) draft.endStep(momentMs)
}

/** The account as it really is at a moment, whether or not what was due has been booked. */
export function viewAt(state: AccountState, nowMs: number): AccountState {
  return state.dueMs > timeOf(state, nowMs) ? state : openDraft(state, { nowMs, actor: 'time', requestId: null }).state
}

/** Says that something is to be booked as of a moment. */
type Offer = (dueMs: number, book: Due['book']) => void

/**
 * At one moment holds end before grants do, so that a hold which ends with its grant lets the credits expire with it. Periods of
 * subscriptions end in between: a part of what is left of their grants may roll over.
 */
function earliestDue(state: AccountState, { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number }): Due | undefined {
  let found: Due | undefined
  const offer: Offer = (dueMs, book) => {
    if (dueMs <= nowMs && (found === undefined || dueMs < found.dueMs)) found = { dueMs, book }
  }
  for (const hold of state.holds) offer(hold.expiresAtMs, (draft) => expireHold(draft, hold))
  for (const { seq, expiresAtMs } of state.checkouts)
    offer(expiresAtMs, (draft) => draft.append({ kind: 'checkout_expired', purchase: seq, events: [] }, 'time'))
  for (const subscription of state.subscriptions) offerSubscription(subscription, offer)
  for (const pool of state.pools) offerGrants(pool, sinceMs, offer)
  return found
}

function offerSubscription(subscription: Subscription, offer: Offer): void {
  const { seq, period } = subscription
  const dueMs = graceEndOf(subscription)
  const ended = { kind: 'subscription_ended', subscription: seq, reason: 'unpaid', dueMs, events: [] } as const
  offer(dueMs, (draft) => draft.append(ended, 'time'))
  if (period !== null) offer(period.endMs, (draft) => passPeriod(draft, seq))
}

/** Debts are paid by grants that have become effective since the last record: none that was effective then had anything free. */
function offerGrants({ creditType, grants, debt }: Pool, sinceMs: number, offer: Offer): void {
  for (const grant of grants) {
    if (grant.closed !== null) continue
    if (grant.expiresAtMs !== null) offer(grant.expiresAtMs, (draft) => expireGrant(draft, creditType, grant))
    if (debt > 0n && grant.remaining > grant.held && grant.effectiveAtMs > sinceMs)
      offer(grant.effectiveAtMs, (draft) => repayDebt(draft, creditType, grant))
  }
}

function repayDebt(draft: Draft, creditType: string, grant: OpenGrant): void {
  const pool = draft.pool(creditType, grant.effectiveAtMs)
  pool.repay()
  draft.append({ kind: 'debt_repaid', ...pool.fields, dueMs: grant.effectiveAtMs }, 'time')
}

function expireHold(draft: Draft, hold: OpenHold): void {
  const pool = draft.pool(hold.creditType, hold.expiresAtMs)
  const ended = letGo(draft.state, pool, hold)
  draft.append({ kind: 'hold_expired', ...pool.fields, ...ended, hold: hold.seq, credits: heldBy(hold), dueMs: hold.expiresAtMs }, 'time')
}

/** Credits of ended grants that go when nothing holds them any longer. */
export interface Ended {
  readonly expired: ReturnType<typeof micro>
  readonly voided: ReturnType<typeof micro>
}

/**
 * Lets go of a hold's parts in reverse draw order. What came from a grant that has ended meanwhile ends with it at once;
 * what becomes free pays a debt first.
 */
export function letGo(state: AccountState, pool: PoolDraft, hold: Pick<OpenHold, 'creditType' | 'parts'>): Ended {
  const { grants } = poolOf(state, hold.creditType)
  const ended = { expired: 0n, voided: 0n }
  for (const { grant: seq, held } of [...hold.parts].reverse()) {
    const closed = grants.find((grant) => grant.seq === seq)?.closed ?? null
    pool.move(seq, closed === null ? 0n : -held, -held)
    if (closed !== null) ended[closed] += held
  }
  pool.repay()
  return { expired: micro(ended.expired), voided: micro(ended.voided) }
}
