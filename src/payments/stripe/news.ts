/** What Stripe's objects say, in Obol's words. A status that Obol does not know changes nothing. */

import type { Stripe } from 'stripe'
import type { Payment } from '../../core/payment.ts'
import type { CheckoutNews, DisputeNews, KeptMethod, OffSessionOutcome, RefundNews } from '../provider.ts'

type IntentNews = Omit<CheckoutNews, 'refunds' | 'disputes'>

/** The names under which Stripe keeps Obol's own ids with its objects. */
export const CHECKOUT_KEY = 'obol_checkout'
export const ACCOUNT_KEY = 'obol_account'
export const REQUEST_KEY = 'obol_request'
export const ATTEMPT_KEY = 'obol_attempt'

/** The checkout session's own part of the news; its payment intent must be expanded. */
export function checkoutNews(session: Stripe.Checkout.Session): Omit<CheckoutNews, 'refunds' | 'disputes'> {
  const status = statusOf(session)
  return {
    reference: session.id,
    // Only whoever has the secret key writes metadata: the client reference of a payment link is whatever its visitors say.
    checkout: session.metadata?.[CHECKOUT_KEY] ?? null,
    status,
    payment: status === 'paid' ? paymentOf(session) : null,
    method: status === 'paid' ? methodOf(session) : null,
  }
}

/** A session that is complete and not paid waits for money that takes its time, or that did not come. */
function statusOf({ status, payment_status, payment_intent }: Stripe.Checkout.Session): CheckoutNews['status'] {
  if (status === 'expired') return 'expired'
  if (status !== 'complete') return 'open'
  if (payment_status !== 'unpaid') return 'paid'
  const hasFailed =
    typeof payment_intent === 'object' && (payment_intent?.status === 'requires_payment_method' || payment_intent?.status === 'canceled')
  return hasFailed ? 'failed' : 'pending'
}

function paymentOf({ id, livemode, amount_subtotal, amount_total, currency, payment_intent }: Stripe.Checkout.Session): Payment | null {
  const payment = idOf(payment_intent)
  if (payment === null || amount_subtotal === null || amount_total === null || currency === null) return null
  return { reference: id, payment, isLive: livemode, amountMinor: amount_subtotal, totalMinor: amount_total, currency }
}

/** What was paid with, if the customer left it for later. */
function methodOf({ customer, payment_intent }: Stripe.Checkout.Session): KeptMethod | null {
  const owner = idOf(customer)
  if (owner === null || typeof payment_intent !== 'object' || payment_intent?.setup_future_usage !== 'off_session') return null
  const method = payment_intent.payment_method
  if (method === null || typeof method === 'string') return null
  const { id, type, card } = method
  const label = card ? `${card.brand} ${card.last4}` : type.replaceAll('_', ' ')
  return { customer: owner, method: id, label, fingerprint: card?.fingerprint ?? null }
}

/** The news of a payment without the customer; undefined: it is none of Obol's. Why one came to nothing is told to whoever asked for it. */
export function intentNews({
  id,
  status,
  livemode,
  amount,
  amount_received,
  currency,
  metadata,
}: Stripe.PaymentIntent): IntentNews | undefined {
  const checkout = metadata[CHECKOUT_KEY] ?? metadata[ATTEMPT_KEY]
  if (checkout === undefined) return undefined
  const known = { reference: id, checkout, payment: null, method: null }
  if (status !== 'succeeded') return { ...known, status: status === 'processing' ? 'pending' : 'open' }
  const payment = { reference: id, payment: id, isLive: livemode, amountMinor: amount, totalMinor: amount_received, currency }
  return { ...known, status: 'paid', payment }
}

/** What has become of a payment without the customer. */
export function intentOutcome({ id, status, last_payment_error: error }: Stripe.PaymentIntent): OffSessionOutcome {
  if (status === 'succeeded') return { status: 'paid', payment: id }
  if (status === 'processing') return { status: 'pending', payment: id }
  if (status !== 'requires_payment_method' && status !== 'canceled') return { status: 'needs_action' }
  if (error?.code === 'authentication_required') return { status: 'needs_action' }
  const code = error?.decline_code || error?.code || status
  return { status: 'declined', code, mayRetry: mayRetry(code, error?.advice_code) }
}

/** Reasons after which the same card does not do later either, whether or not the bank says so. */
const FOR_GOOD: ReadonlySet<string> = new Set([
  'incorrect_number',
  'invalid_account',
  'lost_card',
  'new_account_information_available',
  'pickup_card',
  'restricted_card',
  'revocation_of_all_authorizations',
  'revocation_of_authorization',
  'stolen_card',
  'stop_payment_order',
])

/** Whether a card that was declined may do later. */
export function mayRetry(code: string, advice: string | undefined): boolean {
  return advice !== 'do_not_try_again' && !FOR_GOOD.has(code)
}

/** The id of something that Stripe gives as it is, or by its id alone. */
export function idOf(thing: string | { readonly id: string } | null | undefined): string | null {
  return typeof thing === 'object' ? (thing?.id ?? null) : (thing ?? null)
}

const REFUND_STATUSES: Readonly<Record<string, RefundNews['status']>> = {
  pending: 'standing',
  requires_action: 'standing',
  succeeded: 'standing',
  failed: 'failed',
  canceled: 'failed',
}

/** A refund; null: its status is none that Obol knows. */
export function refundNews({ id, amount, metadata, status }: Stripe.Refund): RefundNews | null {
  const known = REFUND_STATUSES[status ?? '']
  return known ? { refund: id, request: metadata?.[REQUEST_KEY] ?? null, amountMinor: amount, status: known } : null
}

const DISPUTE_STATUSES: Readonly<Record<string, DisputeNews['status']>> = {
  needs_response: 'open',
  under_review: 'open',
  warning_needs_response: 'open',
  warning_under_review: 'open',
  won: 'won',
  warning_closed: 'won',
  prevented: 'won',
  lost: 'lost',
}

/** A dispute; null: its status is none that Obol knows, such as an appeal's. */
export function disputeNews({ id, amount, status }: Stripe.Dispute): DisputeNews | null {
  const known = DISPUTE_STATUSES[status]
  return known ? { dispute: id, amountMinor: amount, status: known } : null
}
