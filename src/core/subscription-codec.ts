/** A subscription as plain JSON: a part of the account's state, and the row that a store keeps of it. */

import type { CountedPeriod } from './calendar.ts'
import type { Money, Payment, PaymentMethod } from './payment.ts'
import { decodePlan, type EncodedPlan, encodePlan } from './plan-codec.ts'
import type { Collection, PaymentAttempt, Subscription } from './subscription.ts'
import type { Begun, Covered, Proration } from './subscription-facts.ts'

type EncodedChange = { readonly terms: EncodedPlan; readonly proration: Proration }
type EncodedCollection = Omit<Collection, 'change'> & { readonly change: EncodedChange | null }

/** A subscription as plain JSON. */
export interface EncodedSubscription extends Omit<Subscription, 'terms' | 'change' | 'collection'> {
  readonly terms: EncodedPlan
  readonly change: EncodedPlan | null
  readonly collection: EncodedCollection | null
}

/** Writes a subscription. Subscriptions that were folded from equal records give equal texts. */
export function encodeSubscription(subscription: Subscription): EncodedSubscription {
  const { seq, startedAtMs, terms, anchorMs, phase, period, grants, hasBegun, change, isCanceled, credit, collection } = subscription
  const { lastPayment, ended, metadata } = subscription
  return {
    seq,
    startedAtMs,
    terms: encodePlan(terms),
    anchorMs,
    phase,
    period: period && encodePeriod(period),
    grants,
    hasBegun,
    change: change && encodePlan(change),
    isCanceled,
    credit: credit && encodeMoney(credit),
    collection: collection && encodeCollection(collection),
    lastPayment: lastPayment && { ...encodeMoney(lastPayment), payment: lastPayment.payment, atMs: lastPayment.atMs },
    ended: ended && { atMs: ended.atMs, reason: ended.reason },
    metadata,
  }
}

function encodeCollection(collection: Collection): EncodedCollection {
  const { change, declines, nextAttemptMs, graceEndsMs, attempt, lastFailure } = collection
  return {
    ...encodeMoney(collection),
    change: change && { terms: encodePlan(change.terms), proration: encodeProration(change.proration) },
    declines,
    nextAttemptMs,
    graceEndsMs,
    attempt: attempt && encodeAttempt(attempt),
    lastFailure,
  }
}

function encodeAttempt(attempt: PaymentAttempt): PaymentAttempt {
  const { seq, via, provider, isLive, customer, method, payment, page, expiresAtMs } = attempt
  const plain = { seq, ...encodeMoney(attempt), via, provider, isLive, customer, method, payment, expiresAtMs }
  return { ...plain, page: page && { reference: page.reference, url: page.url } }
}

/** Reads a subscription. */
export function decodeSubscription({ terms, change, collection, ...subscription }: EncodedSubscription): Subscription {
  return {
    ...subscription,
    terms: decodePlan(terms),
    change: change && decodePlan(change),
    collection: collection && {
      ...collection,
      change: collection.change && { ...collection.change, terms: decodePlan(collection.change.terms) },
    },
  }
}

/** An amount of money as plain JSON, field by field. */
export function encodeMoney({ amountMinor, currency }: Money): Money {
  return { amountMinor, currency }
}

/** A period as plain JSON. */
export function encodePeriod({ index, startMs, endMs }: CountedPeriod): CountedPeriod {
  return { index, startMs, endMs }
}

/** How much of a period was left, as plain JSON. */
export function encodeProration({ remainingMs, periodMs, creditedMinor, chargedMinor }: Proration): Proration {
  return { remainingMs, periodMs, creditedMinor, chargedMinor }
}

/** What a payment was for, as plain JSON. */
export function encodeCovered({ plan, version, name, startMs, endMs, isChange }: Covered): Covered {
  return { plan, version, name, startMs, endMs, isChange }
}

/** What a customer left to pay with, as plain JSON. */
export function encodePaymentMethod({ provider, isLive, customer, method, label, fingerprint }: PaymentMethod): PaymentMethod {
  return { provider, isLive, customer, method, label, fingerprint }
}

/** A payment as plain JSON. */
export function encodePayment({ reference, payment, isLive, amountMinor, totalMinor, currency }: Payment): Payment {
  return { reference, payment, isLive, amountMinor, totalMinor, currency }
}

/** Writes a subscription as the text that a store keeps of it. */
export function encodeSubscriptionText(subscription: Subscription): string {
  return JSON.stringify(encodeSubscription(subscription))
}

/** Reads a text that a store keeps of a subscription. */
export function decodeSubscriptionText(text: string): Subscription {
  return decodeSubscription(JSON.parse(text) as EncodedSubscription)
}

type EncodedBegun = Omit<Begun, 'terms'> & { readonly terms: EncodedPlan }

/** What began with a period, as plain JSON. */
export function encodeBegun({ terms, anchorMs, period, due, credit }: Begun): EncodedBegun {
  const money = { due: due && encodeMoney(due), credit: credit && encodeMoney(credit) }
  return { terms: encodePlan(terms), anchorMs, period: encodePeriod(period), ...money }
}

/** Reads what began with a period. */
export function decodeBegun({ terms, ...begun }: EncodedBegun): Begun {
  return { ...begun, terms: decodePlan(terms) }
}
