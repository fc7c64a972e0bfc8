/**
 * A Stripe on this machine: it answers as the real one does, with real examples of its objects, turns away what the real one would, keeps
 * idempotency keys, and signs its events with Stripe's own library. And it can fail in the ways in which the real one fails.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Stripe } from 'stripe'
import { invalid, list, missing, Refused, refuseMissing } from './refusals.ts'
import { decodeForm, type FormValue, faultsIn } from './shapes.ts'

/** The keys that it takes: a test's, and the secret that its events are signed with. */
export const STRIPE_KEY = 'sk_test_4eC39HqLyjWDarjtT1zdp7dc'
export const STRIPE_LIVE_KEY = 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'
export const WEBHOOK_SECRET = 'whsec_of_the_local_stripe'
const API_VERSION = '2026-10-28.endive'

/** An object of Stripe's. */
export type StripeObject = { [field: string]: unknown } & { readonly id: string; readonly object: string }

/** How the next request to a path fails: before or after it was carried out, by a status or by silence. */
export interface Failure {
  readonly path: RegExp
  readonly when: 'before' | 'after'
  readonly how: 500 | 503 | 429 | 409 | 'hang up' | 'silence'
  /** Times that it does. */
  times: number
}

interface Request {
  readonly method: string
  readonly path: string
  readonly parameters: { [name: string]: FormValue }
  readonly idempotencyKey: string | null
}

const EXAMPLES = JSON.parse(readFileSync(join(import.meta.dirname, '../../data/stripe-objects.json'), 'utf8')) as Record<string, object>
/** What each call takes: the file and the name of its parameters in Stripe's SDK. */
const CALLS: Readonly<Record<string, readonly [file: string, name: string]>> = {
  'POST /v1/checkout/sessions': ['Checkout/Sessions', 'Checkout.SessionCreateParams'],
  'GET /v1/checkout/sessions': ['Checkout/Sessions', 'Checkout.SessionListParams'],
  'GET /v1/checkout/sessions/:id': ['Checkout/Sessions', 'Checkout.SessionRetrieveParams'],
  'POST /v1/checkout/sessions/:id/expire': ['Checkout/Sessions', 'Checkout.SessionExpireParams'],
  'POST /v1/refunds': ['Refunds', 'RefundCreateParams'],
  'GET /v1/refunds': ['Refunds', 'RefundListParams'],
  'GET /v1/disputes': ['Disputes', 'DisputeListParams'],
  'GET /v1/payment_intents': ['PaymentIntents', 'PaymentIntentListParams'],
  'GET /v1/payment_intents/:id': ['PaymentIntents', 'PaymentIntentRetrieveParams'],
  'POST /v1/payment_intents': ['PaymentIntents', 'PaymentIntentCreateParams'],
}
/** Parameters that every list takes. */
const PAGING = new Set(['limit', 'starting_after', 'ending_before'])

export class LocalStripe {
  readonly sessions = new Map<string, StripeObject>()
  readonly intents = new Map<string, StripeObject>()
  readonly refunds = new Map<string, StripeObject>()
  readonly disputes = new Map<string, StripeObject>()
  readonly failures: Failure[] = []
  /** Requests that were carried out, in order: `POST /v1/refunds`. */
  readonly carriedOut: string[] = []
  /** What an off-session payment comes to; null: it succeeds. */
  decline: Readonly<Record<string, unknown>> | null = null
  /** Status of off-session payments that are not declined. */
  intentStatus = 'succeeded'
  readonly url: string
  readonly #answers = new Map<string, { readonly request: string; readonly status: number; readonly body: unknown }>()
  readonly #sdk = new Stripe(STRIPE_KEY)
  readonly #nowMs: () => number
  readonly #isLive: boolean
  #made = 0

  constructor(url: string, { nowMs, isLive }: { readonly nowMs: () => number; readonly isLive: boolean }) {
    this.url = url
    this.#nowMs = nowMs
    this.#isLive = isLive
  }

  #id(prefix: string): string {
    this.#made += 1
    return `${prefix}_${String(this.#made).padStart(8, '0')}`
  }

  /** An object made after Stripe's own example of its kind. */
  #like(kind: string, id: string, fields: object): StripeObject {
    const created = Math.floor(this.#nowMs() / 1000)
    return { ...structuredClone(EXAMPLES[kind]), created, livemode: this.#isLive, ...fields, id, object: kind } as StripeObject
  }

  // What customers and banks do.

  /** The customer pays on the page. `fields` may say that something else was paid than was asked for. */
  pay(session: string, fields: object = {}): string {
    const known = this.#session(session)
    const payment = this.#id('pi')
    const { amount_total: amount, currency, metadata } = { ...known, ...fields } as StripeObject
    this.intents.set(
      payment,
      this.#like('payment_intent', payment, { amount, currency, metadata, status: 'succeeded', amount_received: amount }),
    )
    this.#set(session, { status: 'complete', payment_status: 'paid', payment_intent: payment, url: null, ...fields })
    return payment
  }

  /** The customer chooses a payment that takes its time. */
  payLater(session: string): string {
    const payment = this.pay(session, { payment_status: 'unpaid' })
    this.intents.set(payment, { ...this.intent(payment), status: 'processing' })
    return payment
  }

  /** Money that took its time arrives, or does not. */
  settle(session: string, arrives: boolean): void {
    const payment = String(this.#session(session).payment_intent)
    this.intents.set(payment, { ...this.intent(payment), status: arrives ? 'succeeded' : 'requires_payment_method' })
    if (arrives) this.#set(session, { payment_status: 'paid' })
  }

  expire(session: string): void {
    this.#set(session, { status: 'expired', url: null })
  }

  /** Somebody refunds in Stripe's dashboard. */
  refundByHand(payment: string, amount: number, status = 'succeeded'): string {
    const id = this.#id('re')
    const { currency } = this.intent(payment)
    this.refunds.set(id, this.#like('refund', id, { amount, currency, payment_intent: payment, status, metadata: {} }))
    return id
  }

  /** The customer disputes the payment at their bank. */
  dispute(payment: string, amount: number, status = 'needs_response'): string {
    const id = this.#id('dp')
    const { currency } = this.intent(payment)
    this.disputes.set(id, this.#like('dispute', id, { amount, currency, payment_intent: payment, status }))
    return id
  }

  change(kind: 'refunds' | 'disputes', id: string, fields: object): void {
    const known = this[kind].get(id)
    assert.ok(known, id)
    this[kind].set(id, { ...known, ...fields })
  }

  intent(id: string): StripeObject {
    return this.intents.get(id) ?? assert.fail(`there is no ${id}`)
  }

  /** The session that was made last. */
  get lastSession(): StripeObject {
    return [...this.sessions.values()].at(-1) ?? assert.fail('there is no session')
  }

  #session(id: string): StripeObject {
    return this.sessions.get(id) ?? assert.fail(`there is no ${id}`)
  }

  #set(id: string, fields: object): void {
    this.sessions.set(id, { ...this.#session(id), ...fields })
  }

  // Events.

  /** An event about an object, signed with Stripe's own library. */
  event(type: string, object: StripeObject, { secret = WEBHOOK_SECRET, ageSeconds = 0, fields = {} as object } = {}) {
    const event = this.#like('event', this.#id('evt'), { api_version: API_VERSION, type, data: { object }, ...fields })
    const payload = JSON.stringify(event)
    const timestamp = Math.floor(this.#nowMs() / 1000) - ageSeconds
    const signature = this.#sdk.webhooks.generateTestHeaderString({ payload, secret, timestamp })
    return { payload, signature }
  }

  // Requests.

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const url = new URL(request.url ?? '/', this.url)
    const method = request.method ?? 'GET'
    const failure = this.failures.find(({ path, times }) => times > 0 && path.test(`${method} ${url.pathname}`))
    if (failure) failure.times -= 1
    if (failure?.when === 'before') return fail(request, response, failure)
    const text = method === 'GET' ? url.search.slice(1) : Buffer.concat(chunks).toString('utf8')
    const [status, body] = this.#respond(request, { method, path: url.pathname, text })
    if (failure) return fail(request, response, failure)
    response.writeHead(status, { 'content-type': 'application/json', 'request-id': this.#id('req') }).end(JSON.stringify(body))
  }

  #respond(
    { headers }: IncomingMessage,
    { method, path, text }: { readonly method: string; readonly path: string; readonly text: string },
  ): readonly [number, unknown] {
    try {
      const wanted = this.#isLive ? STRIPE_LIVE_KEY : STRIPE_KEY
      if (headers.authorization !== `Bearer ${wanted}`)
        throw new Refused(401, { type: 'invalid_request_error', message: 'Invalid API Key' })
      if (headers['stripe-version'] !== API_VERSION) throw invalid(`Stripe-Version is ${headers['stripe-version']}`)
      if (method === 'POST' && text !== '' && !/^application\/x-www-form-urlencoded/.test(headers['content-type'] ?? ''))
        throw invalid('Send a form')
      const key = headers['idempotency-key']
      const idempotencyKey = typeof key === 'string' ? key : null
      return this.#once({ method, path, parameters: decodeForm(text), idempotencyKey }, text)
    } catch (fault) {
      if (fault instanceof Refused) return [fault.status, { error: fault.body }]
      throw fault
    }
  }

  /** The same key gives the same answer; with other parameters it is turned away. */
  #once(request: Request, text: string): readonly [number, unknown] {
    const { method, path, idempotencyKey } = request
    if (method !== 'POST') return [200, this.#carryOut(request)]
    if (idempotencyKey === null) throw invalid('a POST without an idempotency key could be carried out twice')
    const name = `${method} ${path} ${text}`
    const known = this.#answers.get(idempotencyKey)
    if (known && known.request !== name)
      throw new Refused(400, {
        type: 'idempotency_error',
        message: 'Keys for idempotent requests can only be used with the same parameters.',
      })
    if (known) return [known.status, known.body]
    const answer = this.#first(request)
    this.#answers.set(idempotencyKey, { request: name, status: answer[0], body: answer[1] })
    return answer
  }

  #first(request: Request): readonly [number, unknown] {
    try {
      return [200, this.#carryOut(request)]
    } catch (fault) {
      if (fault instanceof Refused) return [fault.status, { error: fault.body }]
      throw fault
    }
  }

  #carryOut({ method, path, parameters }: Request): unknown {
    const [, named] = /^\/v1\/(?:checkout\/sessions|payment_intents)\/((?:cs|pi)_\w+)/.exec(path) ?? []
    const call = `${method} ${named === undefined ? path : path.replace(named, ':id')}`
    const [file, name] = CALLS[call] ?? []
    if (file === undefined || name === undefined)
      throw new Refused(404, { type: 'invalid_request_error', message: `Unrecognized request URL (${call})` })
    const checked = Object.fromEntries(Object.entries(parameters).filter(([field]) => method !== 'GET' || !PAGING.has(field)))
    const [fault] = faultsIn(file, name, checked)
    if (fault !== undefined) throw invalid(fault)
    this.carriedOut.push(call)
    switch (call) {
      case 'POST /v1/checkout/sessions':
        return this.#createSession(parameters)
      case 'GET /v1/checkout/sessions':
        return list(
          path,
          [...this.sessions.values()].filter(({ payment_intent }) => payment_intent === parameters.payment_intent),
        )
      case 'GET /v1/checkout/sessions/:id':
        return this.#expanded(named ?? '')
      case 'POST /v1/checkout/sessions/:id/expire':
        return this.#expireSession(named ?? '')
      case 'POST /v1/refunds':
        return this.#createRefund(parameters)
      case 'GET /v1/refunds':
        return list(
          path,
          [...this.refunds.values()].filter(({ payment_intent }) => payment_intent === parameters.payment_intent),
        )
      case 'GET /v1/disputes':
        return list(
          path,
          [...this.disputes.values()].filter(({ payment_intent }) => payment_intent === parameters.payment_intent),
        )
      case 'GET /v1/payment_intents':
        return list(
          path,
          [...this.intents.values()].filter(({ customer }) => customer === parameters.customer),
        )
      case 'GET /v1/payment_intents/:id':
        return this.intents.get(named ?? '') ?? refuseMissing('payment_intent', named ?? '')
      default:
        return this.#createIntent(parameters)
    }
  }

  #createSession(parameters: Request['parameters']): StripeObject {
    const { mode, line_items: items, success_url, cancel_url, client_reference_id, metadata, expires_at } = parameters
    if (mode !== 'payment' || !Array.isArray(items) || success_url === undefined) throw invalid('Missing required param: line_items')
    const lifeSeconds = Number(expires_at) - this.#nowMs() / 1000
    if (lifeSeconds < 1_799 || lifeSeconds > 86_400) throw invalid('expires_at must be between 30 minutes and 24 hours from now')
    const [{ quantity, price_data: price }] = items as unknown as [{ quantity: string; price_data: Record<string, string> }]
    const amount = Number(quantity) * Number(price.unit_amount)
    const id = this.#id(this.#isLive ? 'cs_live' : 'cs_test')
    const open = { status: 'open', payment_status: 'unpaid', payment_intent: null, url: `${this.url}/pay/${id}` }
    const made = this.#like('checkout.session', id, {
      ...open,
      amount_subtotal: amount,
      amount_total: amount,
      currency: price.currency,
      client_reference_id,
      metadata,
      success_url,
      cancel_url,
      expires_at: Number(expires_at),
    })
    this.sessions.set(id, made)
    return made
  }

  #expanded(id: string): StripeObject {
    const session = this.sessions.get(id)
    if (!session) throw missing('checkout.session', id)
    const payment = session.payment_intent
    return { ...session, payment_intent: typeof payment === 'string' ? this.intent(payment) : null }
  }

  #expireSession(id: string): StripeObject {
    const session = this.sessions.get(id)
    if (!session) throw missing('checkout.session', id)
    if (session.status !== 'open') throw invalid(`Only Checkout Sessions with a status in ["open"] can be expired.`)
    this.expire(id)
    return this.#session(id)
  }

  #createRefund({ payment_intent, amount, metadata }: Request['parameters']): StripeObject {
    const payment = String(payment_intent)
    if (!this.intents.has(payment)) throw missing('payment_intent', payment)
    const { amount: paid } = this.intent(payment)
    const sums = [...this.refunds.values()].filter((each) => each.payment_intent === payment && each.status !== 'failed')
    const refunded = sums.reduce((sum, each) => sum + Number(each.amount), 0)
    if ([...this.disputes.values()].some((each) => each.payment_intent === payment && each.status === 'needs_response'))
      throw invalid('This charge has been disputed and cannot be refunded.', 'charge_disputed')
    if (refunded + Number(amount) > Number(paid))
      throw invalid('Refund amount is greater than unrefunded amount on charge.', 'charge_already_refunded')
    const id = this.refundByHand(payment, Number(amount), 'pending')
    this.change('refunds', id, { metadata })
    return this.refunds.get(id) ?? assert.fail(id)
  }

  #createIntent({ amount, currency, customer, payment_method, metadata }: Request['parameters']): StripeObject {
    if (this.decline !== null) throw new Refused(this.decline.type === 'card_error' ? 402 : 400, this.decline)
    const id = this.#id('pi')
    const received = this.intentStatus === 'succeeded' ? Number(amount) : 0
    const money = { amount: Number(amount), amount_received: received, currency }
    const made = { ...money, customer, payment_method, metadata, status: this.intentStatus }
    this.intents.set(id, this.#like('payment_intent', id, made))
    return this.intent(id)
  }
}

function fail(request: IncomingMessage, response: ServerResponse, { how }: Failure): void {
  if (how === 'hang up') request.socket.destroy()
  else if (how === 409)
    response.writeHead(how).end(JSON.stringify({ error: { type: 'invalid_request_error', code: 'lock_timeout', message: 'try again' } }))
  else if (how !== 'silence') response.writeHead(how).end(JSON.stringify({ error: { type: 'api_error', message: 'something went wrong' } }))
}

/** Starts one; it ends with the test. */
export async function startStripe(
  t: TestContext,
  { nowMs = Date.now, isLive = false }: { readonly nowMs?: () => number; readonly isLive?: boolean } = {},
): Promise<LocalStripe> {
  const faults: unknown[] = []
  let stripe: LocalStripe | null = null
  const server = createServer((request, response) => {
    stripe?.answer(request, response).catch((fault: unknown) => {
      faults.push(fault)
      response.writeHead(500).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    assert.deepEqual(faults, [], 'the local Stripe itself has no faults')
  })
  stripe = new LocalStripe(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { nowMs, isLive })
  return stripe
}
