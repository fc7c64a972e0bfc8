/**
 * How subscriptions are paid for. Every attempt is on record before the provider hears of it, and none is made while another is in flight;
 * so whatever is cut short is asked about again by its name, and no period is paid for twice.
 */

import type { AccountState } from '../account.ts'
import type { Context, Decision, Draft } from '../draft.ts'
import { bookDue, openDraft } from '../due.ts'
import type { Money, Payment, PaymentMethod } from '../payment.ts'
import type { PlanTerms } from '../plan.ts'
import { changeNow, periodAfterChange } from '../proration.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { givePeriod } from '../renewal.ts'
import type { Collection, Subscription } from '../subscription.ts'
import type { Covered, ReturnedBy, SubscriptionMismatch } from '../subscription-facts.ts'
import { NO_REAL_MONEY, nothingNew } from './checkout.ts'
import { liveSubscription, type OfSubscription, refuseInFlight } from './subscription.ts'

const DAY_MS = 86_400_000
/** How long after each decline the next attempt is made; after the last of them none is, until the customer does something. */
export const RETRY_AFTER_MS = [DAY_MS, 2 * DAY_MS, 3 * DAY_MS] as const
/** How long a subscription goes on unpaid, from the first attempt that came to nothing. */
export const GRACE_MS = 7 * DAY_MS

/** Who takes the money. */
export interface Payee {
  readonly provider: string
  readonly isLive: boolean
}

/**
 * Puts an attempt to be paid without the customer on record, if one is due. Where the customer has left nothing to pay with, that is what is
 * put on record: from then on the grace runs.
 */
export function decideAttempt(state: AccountState, command: OfSubscription & Payee, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const subscription = liveSubscription(draft, command)
  if (isRefusal(subscription)) return subscription
  const { seq, collection } = subscription
  if (collection === null || collection.attempt !== null || collection.nextAttemptMs === null || collection.nextAttemptMs > draft.nowMs)
    return nothingNew(state)
  const { provider, isLive } = command
  const payer = payerOf(draft.state, command)
  if (payer === null) {
    fail(draft, subscription, { attempt: null, code: 'no_payment_method', mayRetry: false, isDecline: false })
    return draft.done()
  }
  const { amountMinor, currency } = collection
  const attempt = { subscription: seq, amountMinor, currency, via: 'method', provider, isLive, ...payer, expiresAtMs: null } as const
  draft.append({ kind: 'subscription_payment_attempted', ...attempt, events: [] })
  return draft.done()
}

/** What the customer has left with whoever takes the money; null: nothing. */
export function methodFor({ clock, paymentMethod: known }: AccountState, { provider, isLive }: Payee): PaymentMethod | null {
  if (isLive && clock !== null) return null
  return known !== null && known.provider === provider && known.isLive === isLive ? known : null
}

function payerOf(state: AccountState, payee: Payee): Pick<PaymentMethod, 'customer' | 'method'> | null {
  const known = methodFor(state, payee)
  return known && { customer: known.customer, method: known.method }
}

const ON_PAGE = { via: 'page', customer: null, method: null } as const

/** Puts a page on which the customer pays on record. Refuses nothing_to_pay and payment_in_flight. */
export function decideOpenPage(
  state: AccountState,
  { ttlMs, ...command }: OfSubscription & Payee & { readonly ttlMs: number },
  context: Context,
): Decision | Refusal {
  const draft = openDraft(state, context)
  const subscription = liveSubscription(draft, command)
  if (isRefusal(subscription)) return subscription
  const { seq, collection } = subscription
  if (collection === null) return refuse('nothing_to_pay', 'Nothing is to be paid for this subscription now.')
  const refusal = refuseInFlight(subscription)
  if (refusal) return refusal
  const { amountMinor, currency } = collection
  const { provider, isLive } = command
  if (isLive && draft.state.clock !== null) return NO_REAL_MONEY
  const attempt = { subscription: seq, amountMinor, currency, ...ON_PAGE, provider, isLive, expiresAtMs: draft.nowMs + ttlMs } as const
  draft.append({ kind: 'subscription_payment_attempted', ...attempt, events: [] })
  return draft.done()
}

/** Names an attempt. */
export interface OfAttempt extends OfSubscription {
  /** Sequence of its record. */
  readonly attempt: number
}

/** The collection, while the attempt is in flight; undefined: it has an outcome, or the subscription is over. */
function inFlight(draft: Draft, { subscription: of, attempt }: OfAttempt): Collection | undefined {
  const collection = draft.state.subscriptions.find(({ seq }) => seq === of)?.collection
  return collection?.attempt?.seq === attempt ? collection : undefined
}

/** Notes the provider's page of an attempt. The first one stays. */
export function decideLinkPage(
  state: AccountState,
  { reference, url, ...of }: OfAttempt & { readonly reference: string; readonly url: string },
  context: Context,
): Decision | Refusal {
  const draft = openDraft(state, context)
  if (inFlight(draft, of)?.attempt?.page !== null) return nothingNew(state)
  const { subscription, attempt } = of
  draft.append({ kind: 'subscription_payment_linked', subscription, attempt, reference, url, events: [] })
  return draft.done()
}

/** Notes that the money of an attempt is on its way. */
export function decidePendPayment(state: AccountState, command: OfAttempt & { readonly payment: string }, context: Context): Decision {
  const draft = openDraft(state, context)
  if (inFlight(draft, command)?.attempt?.payment !== null) return nothingNew(state)
  const { subscription, attempt, payment } = command
  draft.append({ kind: 'subscription_payment_pending', subscription, attempt, payment, events: [] })
  return draft.done()
}

/** An attempt that came to nothing. */
export interface FailCommand extends OfAttempt {
  readonly code: string
  /** Whether the same thing may be tried again later. */
  readonly mayRetry: boolean
  /** Whether it was declined; a page that nobody used was not. */
  readonly isDecline: boolean
}

/** Puts on record that an attempt came to nothing, and when there is another. */
export function decideFailPayment(state: AccountState, command: FailCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const subscription = liveSubscription(draft, command)
  if (isRefusal(subscription) || !inFlight(draft, command)) return nothingNew(state)
  fail(draft, subscription, command)
  return draft.done()
}

/** A grace that was over while the attempt was in flight is over now. */
function fail(draft: Draft, subscription: Subscription, what: Failure): void {
  const sinceMs = draft.state.atMs
  draft.append(failure(draft, subscription, what))
  bookDue(draft, sinceMs)
}

type Failure = Pick<FailCommand, 'code' | 'mayRetry' | 'isDecline'> & { readonly attempt: number | null }

/**
 * Before anything was declined the next attempt is made at once, when the customer leaves a page that they did not use. A change that is not
 * paid for does not come about, and keeps nothing from going on.
 */
function failure(draft: Draft, { seq, collection }: Subscription, { attempt, code, mayRetry, isDecline }: Failure) {
  const declines = (collection?.declines ?? 0) + (isDecline ? 1 : 0)
  const isForChange = collection !== null && collection.change !== null
  const pause = mayRetry && !isForChange ? [0, ...RETRY_AFTER_MS][declines] : undefined
  return {
    kind: 'subscription_payment_failed',
    subscription: seq,
    attempt,
    code,
    isDecline,
    nextAttemptMs: pause === undefined ? null : draft.nowMs + pause,
    graceEndsMs: isForChange ? null : Math.max(draft.nowMs, collection?.graceEndsMs ?? draft.nowMs + GRACE_MS),
    events: [],
  } as const
}

/** A payment as the provider tells of it. */
export interface PayCommand extends OfSubscription {
  /** Null: nobody knows which attempt it is of. */
  readonly attempt: number | null
  readonly payment: Payment
}

/**
 * Takes a payment for what is due, once: the period's credits are given, or the change is made that was waiting for it. A payment that is
 * not what was asked for, or one too many, gives nothing and is put on record.
 */
export function decidePay(state: AccountState, { subscription: of, attempt, payment }: PayCommand, context: Context): Decision {
  const draft = openDraft(state, context)
  const subscription = draft.state.subscriptions.find(({ seq }) => seq === of)
  if (subscription?.lastPayment?.payment === payment.payment) return nothingNew(state)
  const reason = mismatchOf(subscription, payment)
  if (!subscription || reason !== null) {
    draft.append({ kind: 'subscription_payment_mismatched', subscription: of, attempt, reason: reason ?? 'ended', payment, events: [] })
    const isAnswer = subscription !== undefined && attempt !== null && inFlight(draft, { subscription: of, attempt }) !== undefined
    if (isAnswer) fail(draft, subscription, { attempt, code: 'payment_mismatched', mayRetry: false, isDecline: false })
    return draft.done()
  }
  const { collection, hasBegun } = subscription
  const change = collection?.change ?? null
  const covers = coveredBy(subscription, change?.terms ?? null, draft.nowMs)
  draft.append({ kind: 'subscription_paid', subscription: of, attempt, covers, payment, events: [] })
  if (change === null) givePeriod(draft, of, { asOfMs: draft.nowMs, isFirst: !hasBegun, actor: draft.actor })
  else changeNow(draft, of, { terms: change.terms, share: change.proration, credit: null })
  return draft.done()
}

/** What a payment is for: the period that has begun, or (with terms) a change from now on. */
function coveredBy(subscription: Subscription, change: PlanTerms | null, nowMs: number): Covered {
  const { terms, period } = subscription
  if (period === null) throw new Error(`subscription ${subscription.seq} has no period to pay for`)
  const { plan, version, name } = change ?? terms
  if (change === null) return { plan, version, name, startMs: period.startMs, endMs: period.endMs, isChange: false }
  return { plan, version, name, startMs: nowMs, endMs: periodAfterChange(subscription, change, nowMs).period.endMs, isChange: true }
}

/** Money of a payment that went back, or comes again. */
export interface ReturnCommand extends OfAttempt, Money {
  readonly by: ReturnedBy
  readonly name: string
}

/** Puts on record that money of a payment went back. Whoever tells of it names it so that it is told once. */
export function decideReturn(
  state: AccountState,
  { subscription, attempt, by, name, ...money }: ReturnCommand,
  context: Context,
): Decision {
  const draft = openDraft(state, context)
  const { amountMinor, currency } = money
  draft.append({ kind: 'subscription_payment_returned', subscription, attempt, by, name, amountMinor, currency, events: [] })
  return draft.done()
}

/** Why a payment does not pay for what is due; null: it does. */
function mismatchOf(subscription: Subscription | undefined, payment: Payment): SubscriptionMismatch | null {
  if (!subscription) return 'ended'
  const { collection } = subscription
  if (collection === null) return 'not_due'
  if (collection.attempt !== null && collection.attempt.isLive !== payment.isLive) return 'mode'
  if (payment.currency !== collection.currency) return 'currency'
  return payment.amountMinor === collection.amountMinor && payment.totalMinor >= payment.amountMinor ? null : 'amount'
}

/** Keeps what a customer left for payments without them. The same again changes nothing. */
export function decideSaveMethod(state: AccountState, { method }: { readonly method: PaymentMethod }, context: Context): Decision {
  const draft = openDraft(state, context)
  const known = draft.state.paymentMethod
  if (known !== null && known.provider === method.provider && known.method === method.method) return nothingNew(state)
  draft.append({ kind: 'payment_method_saved', method, events: [] })
  return draft.done()
}

/** Forgets what a customer left to pay with. */
export function decideRemoveMethod(state: AccountState, { reason }: { readonly reason: string }, context: Context): Decision {
  const draft = openDraft(state, context)
  if (draft.state.paymentMethod === null) return nothingNew(state)
  draft.append({ kind: 'payment_method_removed', reason, events: [] })
  return draft.done()
}
