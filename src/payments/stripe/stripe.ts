/** Stripe: checkout sessions for top-ups, refunds, disputes, and payments without the customer. */

import { Stripe } from 'stripe'
import {
  type CheckoutNews,
  type CheckoutOrder,
  type CheckoutPage,
  type OffSessionOrder,
  type OffSessionOutcome,
  type Provider,
  type ProviderEvent,
  ProviderUnavailableError,
  type RefundNews,
  type RefundOrder,
  SignatureInvalidError,
} from '../provider.ts'
import {
  ACCOUNT_KEY,
  ATTEMPT_KEY,
  CHECKOUT_KEY,
  checkoutNews,
  disputeNews,
  idOf,
  intentNews,
  intentOutcome,
  mayRetry,
  REQUEST_KEY,
  refundNews,
} from './news.ts'

/** The version of Stripe's API that this is written for: another one may answer otherwise. */
const API_VERSION = '2026-10-28.endive'
/** Longest that an answer may take. */
const TIMEOUT_MS = 20_000
const RETRIES = 2
/** Events that were signed longer ago are refused. */
const TOLERANCE_SECONDS = 300
const ITEMS_AT_ONCE = 100
/** What the names of payments begin with. */
const INTENT = 'pi_'

/** How Stripe is reached. */
export interface StripeOptions {
  readonly secretKey: string
  readonly webhookSecret: string
  readonly apiBase: string
  readonly clock: () => number
  /** Longest that an answer may take; tests are less patient. */
  readonly timeoutMs?: number
}

/** Stripe as a provider. */
export class StripeProvider implements Provider {
  readonly name = 'stripe'
  readonly isLive: boolean
  /** Stripe's sessions live for 30 minutes to 24 hours. */
  readonly checkoutTtlMs = 2 * 3_600_000
  readonly signatureHeader = 'stripe-signature'
  readonly #stripe: Stripe
  readonly #webhookSecret: string
  readonly #clock: () => number

  constructor({ secretKey, webhookSecret, apiBase, clock, timeoutMs = TIMEOUT_MS }: StripeOptions) {
    const { hostname, port, protocol } = new URL(apiBase)
    this.isLive = /^[sr]k_live_/.test(secretKey)
    this.#webhookSecret = webhookSecret
    this.#clock = clock
    this.#stripe = new Stripe(secretKey, {
      apiVersion: API_VERSION,
      maxNetworkRetries: RETRIES,
      timeout: timeoutMs,
      telemetry: false,
      host: hostname,
      protocol: protocol === 'http:' ? 'http' : 'https',
      ...(port === '' ? {} : { port }),
    })
  }

  async makeCheckout(order: CheckoutOrder): Promise<CheckoutPage> {
    const { checkout, account, amountMinor, currency, title, expiresAtMs, returnUrl, cancelUrl, keepsMethod, customer } = order
    const metadata = { [CHECKOUT_KEY]: checkout, [ACCOUNT_KEY]: account }
    // No payment method types: Stripe picks them, and some take their time. Prices are in one currency: what is paid is compared with it.
    const { id, url } = await told(() =>
      this.#stripe.checkout.sessions.create(
        {
          mode: 'payment',
          client_reference_id: checkout,
          line_items: [{ quantity: 1, price_data: { currency, unit_amount: amountMinor, product_data: { name: title } } }],
          adaptive_pricing: { enabled: false },
          metadata,
          payment_intent_data: { metadata, ...(keepsMethod ? { setup_future_usage: 'off_session' } : {}) },
          ...(customer === null ? (keepsMethod ? { customer_creation: 'always' } : {}) : { customer }),
          success_url: returnUrl,
          cancel_url: cancelUrl,
          expires_at: Math.floor(expiresAtMs / 1000),
        },
        { idempotencyKey: `obol ${checkout}` },
      ),
    )
    if (url === null) throw new ProviderUnavailableError(`Stripe gave checkout session ${id} no page`)
    return { reference: id, url }
  }

  /** A checkout session; or, by its own name, a payment that was made without the customer. */
  look(reference: string): Promise<CheckoutNews | undefined> {
    return reference.startsWith(INTENT) ? this.#lookAtIntent(reference) : this.#lookAtSession(reference)
  }

  async #lookAtIntent(reference: string): Promise<CheckoutNews | undefined> {
    const intent = await told(() => orMissing(() => this.#stripe.paymentIntents.retrieve(reference)))
    const news = intent && intentNews(intent)
    return news && { ...news, ...(await this.#after(reference)) }
  }

  async #lookAtSession(reference: string): Promise<CheckoutNews | undefined> {
    const session = await told(() =>
      orMissing(() => this.#stripe.checkout.sessions.retrieve(reference, { expand: ['payment_intent.payment_method'] })),
    )
    if (!session) return undefined
    const payment = idOf(session.payment_intent)
    const news = checkoutNews(session)
    return payment === null ? { ...news, refunds: [], disputes: [] } : { ...news, ...(await this.#after(payment)) }
  }

  /** What became of a payment: each refund and dispute by itself, never a sum. */
  async #after(payment_intent: string): Promise<Pick<CheckoutNews, 'refunds' | 'disputes'>> {
    const page = { payment_intent, limit: ITEMS_AT_ONCE }
    const [refunds, disputes] = await told(() =>
      Promise.all([collected(this.#stripe.refunds.list(page)), collected(this.#stripe.disputes.list(page))]),
    )
    return {
      refunds: refunds.flatMap((refund) => refundNews(refund) ?? []),
      disputes: disputes.flatMap((dispute) => disputeNews(dispute) ?? []),
    }
  }

  async cancel(reference: string): Promise<void> {
    // One that is not open cannot be expired: what it is then is looked up by whoever asked.
    await told(() => orRefused(() => this.#stripe.checkout.sessions.expire(reference)))
  }

  async refund({ payment, request, amountMinor }: RefundOrder): Promise<RefundNews | { readonly refused: string }> {
    const made = await told(() =>
      orRefused(() =>
        this.#stripe.refunds.create(
          { payment_intent: payment.payment, amount: amountMinor, metadata: { [REQUEST_KEY]: request } },
          { idempotencyKey: `obol ${request}` },
        ),
      ),
    )
    if ('refused' in made) return made
    return refundNews(made) ?? { refused: `Stripe gave the refund the status ${made.status}` }
  }

  async referenceOf({ body, signature }: ProviderEvent): Promise<string | null> {
    const event = this.#verified(body, signature)
    if (event.livemode !== this.isLive) return null
    const { object } = event.data as { readonly object: EventObject }
    if (object.object === 'checkout.session') return object.id
    const payment = object.object === 'payment_intent' ? object.id : idOf(object.payment_intent)
    return payment === null ? null : ((await this.#sessionOf(payment)) ?? payment)
  }

  #verified(body: Buffer, signature: string): Stripe.Event {
    try {
      return this.#stripe.webhooks.constructEvent(body, signature, this.#webhookSecret, TOLERANCE_SECONDS, undefined, this.#clock())
    } catch (cause) {
      throw new SignatureInvalidError('the event was not signed by Stripe with this secret, or not just now', { cause })
    }
  }

  async #sessionOf(payment_intent: string): Promise<string | null> {
    const { data } = await told(() => this.#stripe.checkout.sessions.list({ payment_intent, limit: 1 }))
    return data[0]?.id ?? null
  }

  async payOffSession(order: OffSessionOrder): Promise<OffSessionOutcome> {
    const { attempt, checkout, account, customer, paymentMethod, amountMinor, currency, isRepeated = false } = order
    const purchase = checkout === undefined ? {} : { [CHECKOUT_KEY]: checkout }
    return told(async () => {
      try {
        // Stripe keeps idempotency keys for a day: later, only the payment itself tells that it was made.
        const known = isRepeated ? await this.#intentOf(customer, attempt) : undefined
        const intent =
          known ??
          (await this.#stripe.paymentIntents.create(
            {
              amount: amountMinor,
              currency,
              customer,
              payment_method: paymentMethod,
              off_session: true,
              confirm: true,
              automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
              metadata: { [ATTEMPT_KEY]: attempt, [ACCOUNT_KEY]: account, ...purchase },
            },
            { idempotencyKey: `obol ${attempt}` },
          ))
        return intentOutcome(intent)
      } catch (fault) {
        return declined(fault)
      }
    })
  }

  async #intentOf(customer: string, attempt: string): Promise<Stripe.PaymentIntent | undefined> {
    const intents = await collected(this.#stripe.paymentIntents.list({ customer, limit: ITEMS_AT_ONCE }))
    return intents.find(({ metadata }) => metadata[ATTEMPT_KEY] === attempt)
  }

  async lookAtPayment(payment: string): Promise<OffSessionOutcome> {
    return told(async () => {
      try {
        return intentOutcome(await this.#stripe.paymentIntents.retrieve(payment))
      } catch (fault) {
        return declined(fault)
      }
    })
  }
}

/** What of an event's object tells which checkout it is about. */
interface EventObject {
  readonly object: string
  readonly id: string
  readonly payment_intent?: string | { readonly id: string } | null
}

function declined(fault: unknown): OffSessionOutcome {
  if (fault instanceof Stripe.errors.StripeCardError) {
    if (fault.code === 'authentication_required') return { status: 'needs_action' }
    const code = fault.decline_code || fault.code || 'card_declined'
    return { status: 'declined', code, mayRetry: mayRetry(code, fault.advice_code) }
  }
  if (!(fault instanceof Stripe.errors.StripeInvalidRequestError) || isBusy(fault)) throw fault
  const isAboutMethod = fault.code === 'resource_missing' || fault.param === 'payment_method' || fault.param === 'customer'
  if (isAboutMethod) return { status: 'unusable', reason: fault.message }
  // Such as an amount that is too small: the card is as good as before, and asking again is of no use.
  return { status: 'declined', code: fault.code ?? 'invalid_request', mayRetry: false }
}

/** Runs what asks Stripe. Whatever keeps it from answering is told apart from what it answers. */
async function told<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (cause) {
    const { errors } = Stripe
    const kinds = [errors.StripeConnectionError, errors.StripeAPIError, errors.StripeRateLimitError, errors.StripeAuthenticationError]
    if (kinds.some((kind) => cause instanceof kind) || isBusy(cause))
      throw new ProviderUnavailableError('Stripe does not answer', { cause })
    // Stripe's own errors have an HTTP status, which would be taken for that of Obol's answer.
    throw new Error('Stripe turned a request away', { cause })
  }
}

/** Whether Stripe is still at work on the same request, or on what it is about: that is no answer yet. */
function isBusy(fault: unknown): boolean {
  return fault instanceof Stripe.errors.StripeError && fault.statusCode === 409
}

/** What Stripe gives; undefined: it has no such thing. */
async function orMissing<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await ask()
  } catch (fault) {
    if (fault instanceof Stripe.errors.StripeInvalidRequestError && fault.code === 'resource_missing') return undefined
    throw fault
  }
}

/** What Stripe gives, or why it will not. */
async function orRefused<Answer>(ask: () => Promise<Answer>): Promise<Answer | { readonly refused: string }> {
  try {
    return await ask()
  } catch (fault) {
    const isAnswer = fault instanceof Stripe.errors.StripeInvalidRequestError || fault instanceof Stripe.errors.StripeCardError
    if (isAnswer && !isBusy(fault)) return { refused: fault.message }
    throw fault
  }
}

/** All items of a list, page after page. */
async function collected<Item>(list: AsyncIterable<Item>): Promise<readonly Item[]> {
  const items: Item[] = []
  for await (const item of list) items.push(item)
  return items
}
