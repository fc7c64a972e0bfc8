/** What is paid for, what is known of a payment, and how a customer can be asked for the next one. Money in minor units. */

import type { Microcredits } from './credits.ts'

/** An amount of money. */
export interface Money {
  readonly amountMinor: number
  /** ISO 4217, lower case. */
  readonly currency: string
}

/** What is bought in a checkout, fixed when it is opened. */
export interface CheckoutTerms {
  readonly provider: string
  /** Whether real money is paid; false: a trial. */
  readonly isLive: boolean
  /** The price, in minor units, before any tax. */
  readonly amountMinor: number
  /** ISO 4217, lower case. */
  readonly currency: string
  readonly creditType: string
  readonly credits: Microcredits
  /** How long the credits live once they are paid for; null: for ever. */
  readonly lifeMs: number | null
  /** Credits given on top; null: none. */
  readonly bonus: { readonly credits: Microcredits; readonly lifeMs: number | null } | null
  /** Name of the pack that was chosen; null: the amount was. */
  readonly pack: string | null
  /** Version of the top-up options that it was priced by. */
  readonly optionsVersion: number
  /** Where the customer goes afterwards; null: nowhere. */
  readonly successUrl: string | null
  readonly cancelUrl: string | null
  readonly metadata: Readonly<Record<string, string>>
  /** The customer leaves what they pay with, for payments that are made without them. */
  readonly keepsMethod?: true
}

/** What a provider says of a payment. */
export interface Payment {
  /** The provider's name of the checkout. */
  readonly reference: string
  /** The provider's name of the payment. */
  readonly payment: string
  readonly isLive: boolean
  /** What was bought, in minor units, before any tax. */
  readonly amountMinor: number
  /** All that was paid, taxes included: what refunds are parts of. */
  readonly totalMinor: number
  readonly currency: string
}

/** What a customer has left at a provider for payments that are made without them. */
export interface PaymentMethod {
  readonly provider: string
  readonly isLive: boolean
  /** The provider's names of the customer and of what they pay with. */
  readonly customer: string
  readonly method: string
  /** What may be shown of it, such as `visa 4242`. */
  readonly label: string
  /** The same for the same card, however often it is left; null: the provider does not say. */
  readonly fingerprint: string | null
}
