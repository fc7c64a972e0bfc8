/** What an account's state has of automatic top-ups. Money in minor units. */

import type { AutoTopupBlock, AutoTopupTerms } from './auto-topup-facts.ts'
import type { Money } from './payment.ts'

/** A payment that was asked for and has no outcome yet. */
export interface AutoTopupAttempt extends Money {
  /** Sequence of its record, which opened the purchase. */
  readonly purchase: number
  readonly atMs: number
  readonly provider: string
  readonly isLive: boolean
  readonly customer: string
  readonly method: string
  readonly card: string
  /** Where the customer has to confirm it; null: nowhere, so far. */
  readonly page: string | null
  /** The money is on its way. */
  readonly isPending: boolean
}

/** A card that was declined, and has paid nothing since. */
export interface DeclinedCard {
  readonly card: string
  readonly declines: number
  /** When it may be asked again; null: never. */
  readonly nextMs: number | null
}

/** Why nothing is asked for before a moment, whatever the card. */
export type AutoTopupPause = 'cooldown' | 'money' | 'attempts' | AutoTopupBlock | 'payment_mismatched' | 'charged_back'

/** What an account has of automatic top-ups. What was tried and paid stays known when the terms are changed, or taken away. */
export interface AutoTopup {
  /** Null: they were taken away. */
  readonly terms: AutoTopupTerms | null
  /** When the consent was first given that holds now. */
  readonly agreedAtMs: number
  /** Since when credits are wanted; null: there are enough. */
  readonly wantedSinceMs: number | null
  /** Null: nothing but the card keeps the next attempt from being made. `untilMs` null: until something else happens. */
  readonly pause: { readonly why: AutoTopupPause; readonly untilMs: number | null } | null
  /** In flight; null: none is. */
  readonly attempt: AutoTopupAttempt | null
  /** When attempts were made in the 24 hours before the last one, that one included. */
  readonly attemptsMs: readonly number[]
  /** Money of attempts in the calendar month of the last one: paid, or in flight. */
  readonly spent: (Money & { readonly startMs: number; readonly endMs: number }) | null
  /** Oldest first. */
  readonly declined: readonly DeclinedCard[]
  readonly lastFailure: { readonly code: string; readonly atMs: number } | null
  readonly lastPaidMs: number | null
}
