/** What records say of automatic top-ups, apart from the head that every record has. Money in minor units, credits in micro-credits. */

import type { Microcredits } from './credits.ts'
import type { CheckoutTerms, Money } from './payment.ts'

/** How much is bought: what brings the available credits to a target, or for a fixed amount of money. */
export type AutoTopupSize = { readonly target: Microcredits } | { readonly amountMinor: number }

/** Who agreed to payments that are made without the customer, and to what. When, the record says. */
export interface Consent {
  readonly by: string
  /** The text that was agreed to, or its version. */
  readonly text: string
}

/** What an account has asked for. */
export interface AutoTopupTerms {
  readonly isOn: boolean
  readonly creditType: string
  /** Credits are bought when no more than that are available. */
  readonly threshold: Microcredits
  readonly size: AutoTopupSize
  /** Most money in a calendar month, in UTC. */
  readonly monthlyCap: Money
  readonly consent: Consent
}

/** Why nothing can be bought although it should be. */
export type AutoTopupBlock = 'no_payment_method' | 'not_on_sale' | 'amount_out_of_range' | 'too_many_open_grants'

interface OfPurchase {
  /** Sequence of the record of the attempt: it opened the purchase. */
  readonly purchase: number
}

/** By kind of record. */
export interface AutoTopupFacts {
  /** How an account is topped up was set, or changed. */
  auto_topup_set: { readonly terms: AutoTopupTerms }
  auto_topup_removed: Readonly<Record<never, never>>
  /** A payment is about to be asked for without the customer: a purchase begins. Written before the provider hears of it. */
  auto_topup_attempted: {
    readonly terms: CheckoutTerms
    readonly expiresAtMs: number
    /** The provider's names of the customer and of what they left to pay with, as it was then. */
    readonly customer: string
    readonly method: string
    /** What tells the card from others. */
    readonly card: string
  }
  /** An attempt came to nothing, and its purchase with it. */
  auto_topup_failed: OfPurchase & {
    /** The provider's reason, or how its page ended. */
    readonly code: string
    /** Counts against the card: one that is not there any more was not declined. */
    readonly isDecline: boolean
    /** When the same card may be asked again; null: never, until something was paid with it. */
    readonly nextAttemptMs: number | null
  }
  /** The most that may be paid in a month, or tried in a day, does not allow another attempt before that. */
  auto_topup_capped: { readonly limit: 'money' | 'attempts'; readonly untilMs: number }
  /** Nothing could be bought; null: not before the customer leaves something to pay with. */
  auto_topup_blocked: { readonly reason: AutoTopupBlock; readonly untilMs: number | null }
  /** By the time something was to be bought there were credits enough. */
  auto_topup_stood_down: Readonly<Record<never, never>>
}
