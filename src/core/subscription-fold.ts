/** How records change subscriptions. The only way one ever changes, live, on recovery and in an audit. */

import { periodAfter } from './calendar.ts'
import type { Money } from './payment.ts'
import type { JournalRecord, SubscriptionRecord } from './record.ts'
import { subscriptionOf } from './record-subjects.ts'
import { type Collection, type PaymentAttempt, recurrenceOf, type Subscription } from './subscription.ts'
import type { Begun } from './subscription-facts.ts'

/** The subscriptions that have not ended, after a record. */
export function evolveSubscriptions(before: readonly Subscription[], record: JournalRecord): readonly Subscription[] {
  if (record.kind === 'subscription_started') return [...before, startedBy(record)]
  if (before.length === 0) return before
  if (record.kind === 'payment_method_saved') return before.map((subscription) => retried(subscription, record.atMs))
  const seq = subscriptionOf(record)
  if (seq === null) return before
  const known = before.find((subscription) => subscription.seq === seq)
  // A payment may come, or go back, when its subscription is over.
  if (!known && (record.kind === 'subscription_payment_mismatched' || record.kind === 'subscription_payment_returned')) return before
  if (!known) throw new Error(`subscription ${seq} has ended, or never began`)
  const after = evolveSubscription(known, record)
  return after.phase === 'ended' ? before.filter((one) => one !== known) : before.map((one) => (one === known ? after : one))
}

type Started = Extract<SubscriptionRecord, { kind: 'subscription_started' }>

/** A subscription after the record that started it. */
function startedBy({ seq, atMs, isTrial, metadata, ...begun }: Started): Subscription {
  const nothing = { grants: [], change: null, isCanceled: false, lastPayment: null, ended: null }
  return {
    seq,
    startedAtMs: atMs,
    terms: begun.terms,
    anchorMs: begun.anchorMs,
    phase: isTrial ? 'trial' : 'running',
    period: begun.period,
    hasBegun: !isTrial && begun.due === null,
    credit: begun.credit,
    collection: begun.due && collectionOf(begun.due, begun.period.startMs),
    metadata,
    ...nothing,
  }
}

function collectionOf({ amountMinor, currency }: Money, nextAttemptMs: number): Collection {
  return { amountMinor, currency, change: null, declines: 0, nextAttemptMs, graceEndsMs: null, attempt: null, lastFailure: null }
}

/** A subscription after one of its records. Throws a fault when the record does not follow. */
export function evolveSubscription(before: Subscription, record: JournalRecord): Subscription {
  switch (record.kind) {
    case 'subscription_granted':
      // What rolled over, and what was given once, is no part of what the next end of a period is about.
      return record.why === 'rollover' || record.why === 'welcome' ? before : { ...before, grants: [...before.grants, record.seq] }
    case 'subscription_renewed':
      return renewed(before, record)
    case 'subscription_period_ended':
      assertPeriodEnds(before, record)
      return { ...before, period: null, grants: [] }
    case 'subscription_changed':
      return changed(before, record)
    case 'subscription_change_planned':
      return { ...withoutChange(before), change: record.terms }
    case 'subscription_change_due':
      return { ...before, change: null, collection: changeCollection(record) }
    case 'subscription_paused':
      return { ...withoutChange(before), change: before.change, phase: 'paused' }
    case 'subscription_resumed':
      return record.begun === null
        ? { ...before, phase: before.phase === 'trial' ? 'trial' : 'running', isCanceled: false }
        : { ...begins(before, record.begun), grants: [] }
    case 'subscription_canceled':
      return { ...withoutChange(before), isCanceled: true }
    case 'subscription_ended':
      return {
        ...before,
        phase: 'ended',
        grants: [],
        change: null,
        collection: null,
        ended: { atMs: record.dueMs, reason: record.reason },
      }
    default:
      return paidFor(before, record)
  }
}

/** Without the change that was to come, or to be paid for. */
function withoutChange(before: Subscription): Subscription {
  return { ...before, change: null, collection: before.collection?.change ? null : before.collection }
}

type Of<Kind extends SubscriptionRecord['kind']> = Extract<SubscriptionRecord, { kind: Kind }>

function assertPeriodEnds({ seq, period }: Subscription, record: Of<'subscription_renewed' | 'subscription_period_ended'>): void {
  if (period?.endMs !== record.dueMs) throw new Error(`record ${record.seq} ends a period of subscription ${seq} that does not end then`)
}

/** A period begins where the one before it ended: so none is ever booked twice. */
function renewed(before: Subscription, record: Of<'subscription_renewed'>): Subscription {
  assertPeriodEnds(before, record)
  const { terms, anchorMs, period, dueMs } = record
  const isCountedOn = before.phase === 'running' && anchorMs === before.anchorMs && before.period !== null
  const expected = isCountedOn ? periodAfter(recurrenceOf(anchorMs, terms), before.period) : null
  const follows = expected ? expected.startMs === period.startMs && expected.endMs === period.endMs : period.index === 0
  if (!follows || period.startMs !== dueMs) throw new Error(`record ${record.seq} begins another period than the next of ${before.seq}`)
  return { ...begins(before, record), grants: [] }
}

/** What was declined before counts on until something is paid. */
function begins(before: Subscription, { terms, anchorMs, period, due, credit }: Begun): Subscription {
  const collection = due && collectionOf(due, period.startMs)
  return {
    ...before,
    terms,
    anchorMs,
    phase: 'running',
    period,
    hasBegun: before.hasBegun || due === null,
    change: null,
    isCanceled: false,
    credit,
    collection: collection && before.collection && !before.collection.change ? { ...before.collection, ...due } : collection,
  }
}

function changed(before: Subscription, record: Of<'subscription_changed'>): Subscription {
  const { terms, anchorMs, period, credit } = record
  const keeps = before.period?.startMs === period.startMs && before.anchorMs === anchorMs
  return { ...withoutChange(before), terms, anchorMs, period, credit, grants: keeps ? before.grants : [] }
}

function changeCollection({ atMs, due, terms, proration }: Of<'subscription_change_due'>): Collection {
  return { ...collectionOf(due, atMs), change: { terms, proration } }
}

/** What becomes of the money that is wanted. */
function paidFor(before: Subscription, record: JournalRecord): Subscription {
  const { collection } = before
  if (record.kind === 'subscription_paid') return paid(before, record)
  if (collection === null) return before
  switch (record.kind) {
    case 'subscription_payment_attempted':
      if (collection.attempt !== null) throw new Error(`record ${record.seq} asks for a payment while another is in flight`)
      return { ...before, collection: { ...collection, attempt: attemptOf(record), nextAttemptMs: null } }
    case 'subscription_payment_linked':
      return withAttempt(before, record.attempt, { page: { reference: record.reference, url: record.url } })
    case 'subscription_payment_pending':
      return withAttempt(before, record.attempt, { payment: record.payment })
    case 'subscription_payment_failed':
      return { ...before, collection: failed(collection, record) }
    default:
      return before
  }
}

function attemptOf(record: Of<'subscription_payment_attempted'>): PaymentAttempt {
  const { seq, via, provider, isLive, customer, method, amountMinor, currency, expiresAtMs } = record
  return { seq, via, provider, isLive, customer, method, amountMinor, currency, expiresAtMs, payment: null, page: null }
}

function withAttempt(before: Subscription, seq: number, change: Partial<PaymentAttempt>): Subscription {
  const { collection } = before
  if (collection?.attempt?.seq !== seq) return before
  return { ...before, collection: { ...collection, attempt: { ...collection.attempt, ...change } } }
}

function failed(before: Collection, record: Of<'subscription_payment_failed'>): Collection {
  const { attempt, isDecline, nextAttemptMs, graceEndsMs, code } = record
  return {
    ...before,
    declines: before.declines + (isDecline ? 1 : 0),
    attempt: before.attempt?.seq === attempt ? null : before.attempt,
    nextAttemptMs,
    graceEndsMs,
    lastFailure: code,
  }
}

function paid(before: Subscription, { payment, atMs }: Of<'subscription_paid'>): Subscription {
  const { amountMinor, currency } = payment
  const lastPayment = { amountMinor, currency, payment: payment.payment, atMs }
  return { ...before, collection: null, hasBegun: before.hasBegun || !before.collection?.change, lastPayment }
}

/** A customer who leaves something new to pay with is asked again at once. */
function retried(before: Subscription, atMs: number): Subscription {
  const { collection } = before
  return collection === null || collection.attempt !== null ? before : { ...before, collection: { ...collection, nextAttemptMs: atMs } }
}
