/** What records say of subscriptions, of how they are paid for and of test clocks, apart from the head that every record has. */

import type { CountedPeriod } from './calendar.ts'
import type { Money, Payment, PaymentMethod } from './payment.ts'
import type { PlanTerms } from './plan.ts'

interface OfSubscription {
  /** Sequence of the record that started the subscription. */
  readonly subscription: number
}

/** A period that begins, and what is wanted for it. Its credits come at once, or with the payment. */
export interface Begun {
  readonly terms: PlanTerms
  /** From which periods are counted. */
  readonly anchorMs: number
  readonly period: CountedPeriod
  /** What is to be paid; null: nothing. */
  readonly due: Money | null
  /** Money of the customer's that is left for later periods; null: none. */
  readonly credit: Money | null
}

/** How much of a period was left when a plan was changed, and what that comes to in money. */
export interface Proration {
  readonly remainingMs: number
  readonly periodMs: number
  /** For what was left of the plan before; rounded down. */
  readonly creditedMinor: number
  /** For as long of the plan after it; rounded down. */
  readonly chargedMinor: number
}

/** Why credits were given. */
export type GrantReason = 'period' | 'trial' | 'welcome' | 'rollover' | 'change'

/** Why a subscription is over. */
export type EndReason = 'canceled' | 'unpaid'

/** Why a payment gave nothing. */
export type SubscriptionMismatch = 'amount' | 'currency' | 'mode' | 'not_due' | 'ended'

/** What a payment was for. */
export interface Covered {
  readonly plan: string
  readonly version: number
  /** Name of the plan. */
  readonly name: string
  /** The period, or what was left of it. */
  readonly startMs: number
  readonly endMs: number
  /** Whether it was for a change in the middle of a period. */
  readonly isChange: boolean
}

/** How money goes back: by a refund, or by a lost dispute. A failed refund's comes again. */
export type ReturnedBy = 'refund' | 'dispute' | 'failed_refund'

/** By kind of record. */
export interface SubscriptionFacts {
  /** Somebody subscribed to a plan. The record names the subscription. */
  subscription_started: Begun & { readonly isTrial: boolean; readonly metadata: Readonly<Record<string, string>> }
  /** A period followed another. */
  subscription_renewed: OfSubscription & Begun & { readonly dueMs: number }
  /** A paused subscription's period ended, and none followed. */
  subscription_period_ended: OfSubscription & { readonly dueMs: number }
  /** Another plan, or another version of it, from now on: in the period that has begun, or in one that begins now. */
  subscription_changed: OfSubscription & Omit<Begun, 'due'> & { readonly proration: Proration }
  /** Another plan with the next period; null: the same again. */
  subscription_change_planned: OfSubscription & { readonly terms: PlanTerms | null }
  /** Another plan as soon as the difference is paid. */
  subscription_change_due: OfSubscription & { readonly terms: PlanTerms; readonly due: Money; readonly proration: Proration }
  subscription_paused: OfSubscription
  /** It goes on: with a period that begins now, or (null) with the one that has not ended. */
  subscription_resumed: OfSubscription & { readonly begun: Begun | null }
  /** It will end with its period. */
  subscription_canceled: OfSubscription
  subscription_ended: OfSubscription & { readonly reason: EndReason; readonly dueMs: number }
  /** A payment is about to be asked for; its record names the attempt. Written before the provider hears of it. */
  subscription_payment_attempted: OfSubscription &
    Money & {
      /** Without the customer, by what they left for that; or by the customer, on a page. */
      readonly via: 'method' | 'page'
      readonly provider: string
      readonly isLive: boolean
      /** The provider's names of the customer and of what they left, as it was then; null: on a page. */
      readonly customer: string | null
      readonly method: string | null
      /** How long the page is good for; null: there is none. */
      readonly expiresAtMs: number | null
    }
  /** The provider has a page for an attempt. */
  subscription_payment_linked: OfSubscription & { readonly attempt: number; readonly reference: string; readonly url: string }
  /** The money is on its way. */
  subscription_payment_pending: OfSubscription & { readonly attempt: number; readonly payment: string }
  /** An attempt came to nothing; null: none could be made. */
  subscription_payment_failed: OfSubscription & {
    readonly attempt: number | null
    /** The provider's reason, or `no_payment_method`, or how its page ended. */
    readonly code: string
    /** Counts as a decline: a page that nobody used does not. */
    readonly isDecline: boolean
    /** When the next attempt is made; null: not before the customer does something. */
    readonly nextAttemptMs: number | null
    /** When the subscription ends unless it is paid for; null: it does not. */
    readonly graceEndsMs: number | null
  }
  subscription_paid: OfSubscription & { readonly attempt: number | null; readonly covers: Covered; readonly payment: Payment }
  /** Money of a payment went back. The credits stay: taking them is the operator's. */
  subscription_payment_returned: OfSubscription &
    Money & {
      readonly attempt: number
      readonly by: ReturnedBy
      /** The provider's name of the refund or dispute. */
      readonly name: string
    }
  /** A payment came that is not what was due. Nothing was given: the operator has to look at it. */
  subscription_payment_mismatched: OfSubscription & {
    readonly attempt: number | null
    readonly reason: SubscriptionMismatch
    readonly payment: Payment
  }
  payment_method_saved: { readonly method: PaymentMethod }
  payment_method_removed: { readonly reason: string }
  /** The test clock that the account lives by was moved. */
  clock_advanced: { readonly nowMs: number }
}
