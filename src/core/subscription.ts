/** Subscriptions: what an account has of each until it ends, folded from its records. Money in minor units. */

import { type CountedPeriod, FOREVER_MS, type Recurrence } from './calendar.ts'
import type { Money } from './payment.ts'
import type { PlanTerms } from './plan.ts'
import type { EndReason, Proration } from './subscription-facts.ts'

/** Most subscriptions of an account that have not ended. */
export const MAX_SUBSCRIPTIONS = 10

/** A payment that was asked for and has no outcome yet. */
export interface PaymentAttempt extends Money {
  /** Sequence of the record that says so: the provider's name of the attempt is made from it. */
  readonly seq: number
  readonly via: 'method' | 'page'
  readonly provider: string
  readonly isLive: boolean
  /** What is asked for it, however often, whatever the customer leaves meanwhile; null: it is paid on a page. */
  readonly customer: string | null
  readonly method: string | null
  /** The provider's name of a payment whose money is on its way; null: none is. */
  readonly payment: string | null
  /** Null: there is none, or the provider has not made it yet. */
  readonly page: { readonly reference: string; readonly url: string } | null
  readonly expiresAtMs: number | null
}

/** Money that is wanted, and how far that has come. */
export interface Collection extends Money {
  /** The change that is made when it is paid; null: it is for the period, whose credits come with it. */
  readonly change: { readonly terms: PlanTerms; readonly proration: Proration } | null
  /** Attempts that were declined, since anything was last paid. */
  readonly declines: number
  /** When the next attempt is made without the customer; null: they have to do something. */
  readonly nextAttemptMs: number | null
  /** When the subscription ends unless it is paid for; null: nothing has failed yet. */
  readonly graceEndsMs: number | null
  /** In flight; null: none is. */
  readonly attempt: PaymentAttempt | null
  /** Why the last attempt came to nothing; null: none has. */
  readonly lastFailure: string | null
}

/** A subscription, from when it was started. */
export interface Subscription {
  /** Sequence of the record that started it. */
  readonly seq: number
  readonly startedAtMs: number
  readonly terms: PlanTerms
  /** From which its periods are counted. */
  readonly anchorMs: number
  readonly phase: 'trial' | 'running' | 'paused' | 'ended'
  /** The trial, or the period that has begun; null: it ended while the subscription was paused. */
  readonly period: CountedPeriod | null
  /** Grants of that period: what is left of them when it ends may roll over. */
  readonly grants: readonly number[]
  /** Credits of a period were given before: what is given once, was. */
  readonly hasBegun: boolean
  /** The plan from the next period on; null: the same. */
  readonly change: PlanTerms | null
  /** It ends with its period. */
  readonly isCanceled: boolean
  /** Money of the customer's that later periods take; null: none. */
  readonly credit: Money | null
  readonly collection: Collection | null
  readonly lastPayment: (Money & { readonly payment: string; readonly atMs: number }) | null
  readonly ended: { readonly atMs: number; readonly reason: EndReason } | null
  readonly metadata: Readonly<Record<string, string>>
}

/** Where a subscription stands. `pending`: its first payment is wanted. `past_due`: a later one has failed. */
export type SubscriptionStatus = 'trialing' | 'pending' | 'active' | 'past_due' | 'paused' | 'ended'

/** The status of a subscription. */
export function statusOf({ phase, collection, hasBegun }: Subscription): SubscriptionStatus {
  if (phase === 'ended' || phase === 'paused') return phase
  if (phase === 'trial') return 'trialing'
  if (collection === null || collection.change !== null) return 'active'
  if (!hasBegun) return 'pending'
  return collection.graceEndsMs === null ? 'active' : 'past_due'
}

/** How its periods are counted. */
export function recurrenceOf(anchorMs: number, { every, timeZone }: PlanTerms): Recurrence {
  return { anchorMs, every, timeZone }
}

/** When its grace is over; never while a payment is in flight. */
export function graceEndOf({ collection }: Subscription): number {
  return collection === null || collection.attempt !== null ? FOREVER_MS : (collection.graceEndsMs ?? FOREVER_MS)
}

/** When time alone changes it next. */
export function dueOf(subscription: Subscription): number {
  return Math.min(subscription.period?.endMs ?? FOREVER_MS, graceEndOf(subscription))
}

/** When the payment provider has to be asked something; null: not before anything else happens. In the account's time. */
export function askingMs({ collection }: Subscription): number | null {
  if (collection === null) return null
  return collection.attempt === null ? collection.nextAttemptMs : 0
}

/** As `askingMs`, in the store's time: an account that lives by a test clock is asked about now, or not before its clock is moved. */
export function askingOwnMs(subscription: Subscription, clock: { readonly nowMs: number } | null): number | null {
  const atMs = askingMs(subscription)
  if (clock === null || atMs === null) return atMs
  return atMs <= clock.nowMs ? 0 : null
}

/** The plans that it has, or is to have. */
export function plansOf({ terms, change, collection }: Subscription): readonly string[] {
  return [terms, change, collection?.change?.terms].flatMap((one) => (one ? [one.plan] : []))
}

/** The plan that its next period has. */
export function nextTerms({ change, terms }: Subscription): PlanTerms {
  return change ?? terms
}
