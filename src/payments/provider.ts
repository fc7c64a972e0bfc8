/**
 * What a payment provider must do for Obol. Its events say only that there is news of a checkout: what is true is always looked up, so that
 * events may come late, twice, in any order, or be made up by somebody else.
 */

import type { Payment, PaymentMethod } from '../core/payment.ts'

/** A checkout to make a page for. Made twice with the same id, it is one. */
export interface CheckoutOrder {
  /** Obol's id of it: `cs_…`. */
  readonly checkout: string
  /** Obol's id of the account. */
  readonly account: string
  readonly amountMinor: number
  readonly currency: string
  /** What is bought, in words for the customer. */
  readonly title: string
  /** Until when it may be paid. */
  readonly expiresAtMs: number
  /** Where the provider sends the customer afterwards. */
  readonly returnUrl: string
  readonly cancelUrl: string
  /** Whether the customer leaves what they pay with, for payments that are made without them. */
  readonly keepsMethod: boolean
  /** The provider's name of the customer; null: they have none yet. */
  readonly customer: string | null
}

/** A checkout's page at the provider. */
export interface CheckoutPage {
  /** The provider's name of the checkout. */
  readonly reference: string
  readonly url: string
}

/** A refund as the provider has it. */
export interface RefundNews {
  /** The provider's name of it. */
  readonly refund: string
  /** Obol's id of the request that it answers; null: it was made at the provider. */
  readonly request: string | null
  readonly amountMinor: number
  /** `standing`: the money goes back, or has gone. */
  readonly status: 'standing' | 'failed'
}

/** A dispute as the provider has it. */
export interface DisputeNews {
  /** The provider's name of it. */
  readonly dispute: string
  readonly amountMinor: number
  readonly status: 'open' | 'won' | 'lost'
}

/** What a customer left to pay with, as the provider says it. */
export type KeptMethod = Omit<PaymentMethod, 'provider' | 'isLive'>

/** All that a provider knows of a checkout, at one moment. */
export interface CheckoutNews {
  readonly reference: string
  /** Obol's id of it, as the order named it; null: it is none of Obol's. */
  readonly checkout: string | null
  readonly status: 'open' | 'pending' | 'paid' | 'expired' | 'failed'
  /** What was paid; null unless the status is `paid`. */
  readonly payment: Payment | null
  /** What the customer left to pay with; null: nothing. */
  readonly method: KeptMethod | null
  readonly refunds: readonly RefundNews[]
  readonly disputes: readonly DisputeNews[]
}

/** Money to pay back. Asked for twice with the same request, it is one refund. */
export interface RefundOrder {
  readonly payment: Payment
  /** Obol's id of the request: `trf_…`. */
  readonly request: string
  readonly amountMinor: number
}

/** Money to take without the customer, from a payment method that they left for that. */
export interface OffSessionOrder {
  /** Obol's name of the attempt: asked for twice, it is one payment. */
  readonly attempt: string
  /** Obol's id of the purchase that it pays for: `cs_…`; none: it pays for a subscription. */
  readonly checkout?: string
  readonly account: string
  readonly customer: string
  readonly paymentMethod: string
  readonly amountMinor: number
  readonly currency: string
  /** It may have been asked for before: what came of that is looked for first. */
  readonly isRepeated?: boolean
}

/** What came of it. */
export type OffSessionOutcome =
  | { readonly status: 'paid' | 'pending'; readonly payment: string }
  /** The customer has to confirm it themselves, on a checkout page. */
  | { readonly status: 'needs_action' }
  /** `mayRetry`: the same card may do later. */
  | { readonly status: 'declined'; readonly code: string; readonly mayRetry: boolean }
  /** The customer or the payment method is not there any more. */
  | { readonly status: 'unusable'; readonly reason: string }

/** An event as it arrived. */
export interface ProviderEvent {
  readonly body: Buffer
  readonly signature: string
}

/** A payment provider. */
export interface Provider {
  readonly name: 'sandbox' | 'stripe'
  /** Whether real money is paid. */
  readonly isLive: boolean
  /** How long a checkout may be paid. */
  readonly checkoutTtlMs: number
  /** The header in which its events are signed. */
  readonly signatureHeader: string
  /** Makes a page, or finds the one that was made for the same id. Rejects with ProviderUnavailableError. */
  makeCheckout(order: CheckoutOrder): Promise<CheckoutPage>
  /** What is known of a checkout, or of a payment without the customer; undefined: there is none of this name. Rejects with ProviderUnavailableError. */
  look(reference: string): Promise<CheckoutNews | undefined>
  /** Sees to it that a checkout which is not paid cannot be paid any more. Rejects with ProviderUnavailableError. */
  cancel(reference: string): Promise<void>
  /** Pays money back; a refusal is the provider's reason. Rejects with ProviderUnavailableError. */
  refund(order: RefundOrder): Promise<RefundNews | { readonly refused: string }>
  /** Takes money without the customer. Rejects with ProviderUnavailableError: then ask again, for the same attempt. */
  payOffSession(order: OffSessionOrder): Promise<OffSessionOutcome>
  /** What has become of such a payment. Rejects with ProviderUnavailableError. */
  lookAtPayment(payment: string): Promise<OffSessionOutcome>
  /**
   * The name of the checkout that an event is about; null: about none. Throws SignatureInvalidError for what is not the provider's, or is
   * too old; rejects with ProviderUnavailableError when it takes a look-up that fails.
   */
  referenceOf(event: ProviderEvent): Promise<string | null>
}

/** Thrown when a provider cannot be reached, or does not answer in time: what was asked may have happened all the same. */
export class ProviderUnavailableError extends Error {
  override readonly name = 'ProviderUnavailableError'
}

/** Thrown for an event that was not signed by the provider, was changed on its way, or is too old. */
export class SignatureInvalidError extends Error {
  override readonly name = 'SignatureInvalidError'
}
