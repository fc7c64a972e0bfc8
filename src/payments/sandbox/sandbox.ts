/**
 * The sandbox: a payment provider without money, in the same process and yet another party. It keeps rows of its own, shows a page of its
 * own, and tells Obol what happened by signed events over HTTP, as a real provider does.
 */

import { createHmac, randomBytes } from 'node:crypto'
import type { SandboxCheckouts, SandboxRow } from '../../stores/sandbox-checkouts.ts'
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
  act,
  addRefund,
  closeDispute,
  dueMs,
  expire,
  failRefund,
  openDispute,
  passTime,
  refundableMinor,
  type SandboxAction,
  type SandboxChange,
  type SandboxCheckout,
  type SandboxEvent,
  type SandboxMethod,
} from './checkout.ts'
import { checkSignature, SIGNATURE_HEADER, sign } from './signatures.ts'

/** What the sandbox works with. */
export interface SandboxParts {
  readonly checkouts: SandboxCheckouts
  /** The store's own secret: that of the events is made from it. */
  readonly secret: string
  readonly clock: () => number
  /** Address of its pages. */
  readonly pagesUrl: () => string
}

/** Times that a change is tried anew when somebody else made another in between. */
const MAX_ATTEMPTS = 20
/** Bytes of a name that nobody can guess. */
const NAME_BYTES = 18
/** Names that checkouts may have; text of no other form reaches the store. */
const REFERENCE = /^sbx_[\w-]{24}$/

const LABELS: Readonly<Record<SandboxMethod, string>> = {
  sbx_card_works: 'sandbox card',
  sbx_card_declines: 'sandbox card that is declined from now on',
  sbx_card_stolen: 'sandbox card that is stolen from now on',
  sbx_card_asks: 'sandbox card that has to be confirmed each time',
  sbx_card_loses_answers: 'sandbox card whose first answer is lost each time',
}

/** Things that an operator may let happen, to see what Obol makes of them. */
export type SandboxHappening = 'dispute' | 'win_dispute' | 'lose_dispute' | 'fail_refund'

/** The sandbox as a provider, with what only its own pages and tests may do. */
export class Sandbox implements Provider {
  readonly name = 'sandbox'
  readonly isLive = false
  readonly checkoutTtlMs = 3_600_000
  readonly signatureHeader = SIGNATURE_HEADER
  readonly #parts: SandboxParts
  readonly #secret: string

  constructor(parts: SandboxParts) {
    this.#parts = parts
    this.#secret = createHmac('sha256', parts.secret).update('sandbox events').digest('base64url')
  }

  async makeCheckout({ account: _, customer: __, ...order }: CheckoutOrder): Promise<CheckoutPage> {
    const nothing = { status: 'open', arrival: null, refunds: [], disputes: [], events: [] } as const
    const made: SandboxCheckout = { ...order, ...nothing }
    const id = `sbx_${randomBytes(NAME_BYTES).toString('base64url')}`
    const row = await this.#parts.checkouts.add({ ...rowOf(made), id, checkout: order.checkout, version: 1 })
    return { reference: row.id, url: `${this.#parts.pagesUrl()}/${row.id}` }
  }

  async look(name: string): Promise<CheckoutNews | undefined> {
    const reference = referenceFor(name)
    const checkout = await this.read(reference)
    if (!checkout) return undefined
    const { status, amountMinor, currency, refunds, disputes, method = null } = checkout
    const payment = { reference, payment: paymentOf(reference), isLive: false, amountMinor, totalMinor: amountMinor, currency }
    return {
      reference,
      checkout: checkout.checkout,
      status,
      payment: status === 'paid' ? payment : null,
      method: method && { customer: 'sbx_customer', method, label: LABELS[method], fingerprint: method },
      refunds: refunds.map(({ id, ...refund }) => ({ refund: id, ...refund })),
      disputes: disputes.map(({ id, ...dispute }) => ({ dispute: id, ...dispute })),
    }
  }

  async cancel(reference: string): Promise<void> {
    await this.#change(reference, expire)
  }

  async refund({ payment, request, amountMinor }: RefundOrder): Promise<RefundNews | { readonly refused: string }> {
    const id = `sbx_refund_${request}`
    const after = await this.#change(payment.reference, (before) => {
      const isKnown = before.refunds.some((refund) => refund.id === id)
      return isKnown || amountMinor > refundableMinor(before) ? null : addRefund(before, { id, request, amountMinor, status: 'standing' })
    })
    const made = after?.refunds.find((refund) => refund.id === id)
    return made ? { refund: id, request, amountMinor: made.amountMinor, status: made.status } : { refused: 'Not so much can be refunded.' }
  }

  async payOffSession({ attempt, checkout = attempt, paymentMethod, amountMinor, currency }: OffSessionOrder): Promise<OffSessionOutcome> {
    if (paymentMethod === 'sbx_card_asks') return { status: 'needs_action' }
    const asked = { checkout, amountMinor, currency, title: attempt, expiresAtMs: 0, returnUrl: '', cancelUrl: '' }
    const nothing = { arrival: null, refunds: [], disputes: [], events: [] }
    const id = `sbx_${randomBytes(NAME_BYTES).toString('base64url')}`
    const works = paymentMethod === 'sbx_card_works' || paymentMethod === 'sbx_card_loses_answers'
    const decline = paymentMethod === 'sbx_card_stolen' ? STOLEN : DECLINED
    const made: SandboxCheckout = { ...asked, ...nothing, ...(works ? { status: 'paid' } : { status: 'failed', decline }) }
    const row = await this.#parts.checkouts.add({ ...rowOf(made), id, checkout: attempt, version: 1 })
    if (paymentMethod === 'sbx_card_loses_answers' && row.id === id) throw new ProviderUnavailableError('the sandbox lost its answer')
    return this.lookAtPayment(paymentOf(row.id))
  }

  async lookAtPayment(payment: string): Promise<OffSessionOutcome> {
    const checkout = await this.read(referenceFor(payment))
    if (!checkout) return { status: 'unusable', reason: 'there is no such payment' }
    const { status, decline } = checkout
    if (status === 'paid') return { status, payment }
    return status === 'pending' ? { status, payment } : { status: 'declined', ...(decline ?? DECLINED) }
  }

  async referenceOf(event: ProviderEvent): Promise<string | null> {
    checkSignature(this.#secret, event, this.#parts.clock())
    const { data } = JSON.parse(event.body.toString('utf8')) as { readonly data?: { readonly reference?: unknown } }
    if (typeof data?.reference !== 'string') throw new SignatureInvalidError('the event names no checkout')
    return data.reference
  }

  /** A checkout as it is now; undefined: there is none of this name. */
  async read(reference: string): Promise<SandboxCheckout | undefined> {
    return (await this.#change(reference, () => null)) ?? undefined
  }

  /** What a customer does on the page; undefined: there is no such checkout. */
  async act(reference: string, action: SandboxAction): Promise<SandboxCheckout | undefined> {
    return (await this.#change(reference, (before) => act(before, action, this.#parts.clock()))) ?? undefined
  }

  /** Lets something happen that customers and banks do; false: it cannot happen to this checkout as it is. */
  async happen(reference: string, happening: SandboxHappening): Promise<boolean> {
    let hasHappened = false
    await this.#change(reference, (before) => {
      const change = changeOf(before, happening)
      hasHappened = change !== null
      return change
    })
    return hasHappened
  }

  /** Checkouts with something to do or to tell. */
  due(limit: number): Promise<readonly SandboxRow[]> {
    return this.#parts.checkouts.due(this.#parts.clock(), limit)
  }

  /** Does what time has done to a checkout, and gives the events that are due to be told. */
  async dueEvents(reference: string): Promise<readonly SandboxEvent[]> {
    const checkout = await this.read(reference)
    const nowMs = this.#parts.clock()
    return checkout?.events.filter((event) => event.dueMs <= nowMs) ?? []
  }

  /** An event as it is sent. */
  letterOf(reference: string, { id, type }: SandboxEvent): { readonly body: string; readonly signature: string } {
    const body = JSON.stringify({ id, type, data: { reference } })
    return { body, signature: sign(this.#secret, body, this.#parts.clock()) }
  }

  /** Notes whether Obol has confirmed an event. One that it has not is told again, each time later. */
  async noteTold(reference: string, id: string, isConfirmed: boolean): Promise<void> {
    const nowMs = this.#parts.clock()
    await this.#replace(reference, (before) => {
      const others = before.events.filter((event) => event.id !== id)
      const event = before.events.find((candidate) => candidate.id === id)
      if (!event) return before
      return {
        ...before,
        events: isConfirmed ? others : [...others, { ...event, attempts: event.attempts + 1, dueMs: nowMs + pauseMs(event) }],
      }
    })
  }

  /** Changes a checkout, with an event for each change; what time has done comes first. Null: there is none of this name. */
  #change(reference: string, decide: (before: SandboxCheckout) => SandboxChange | null): Promise<SandboxCheckout | null> {
    const nowMs = this.#parts.clock()
    const withEvent = (before: SandboxCheckout, change: SandboxChange | null): SandboxCheckout => {
      if (change === null) return before
      const event = { id: `sbx_evt_${randomBytes(NAME_BYTES).toString('base64url')}`, type: change.event, attempts: 0, dueMs: nowMs }
      return { ...change.after, events: [...before.events, event] }
    }
    return this.#replace(reference, (before) => {
      const now = withEvent(before, passTime(before, nowMs))
      return withEvent(now, decide(now))
    })
  }

  /** Replaces a checkout by what is made of it, however many others do so at the same time. */
  async #replace(reference: string, make: (before: SandboxCheckout) => SandboxCheckout): Promise<SandboxCheckout | null> {
    if (!REFERENCE.test(reference)) return null
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const row = await this.#parts.checkouts.at(reference)
      if (!row) return null
      const before = JSON.parse(row.state) as SandboxCheckout
      const after = make(before)
      if (after === before || (await this.#parts.checkouts.replace({ id: row.id, version: row.version + 1, ...rowOf(after) }))) return after
    }
    throw new Error(`checkout ${reference} of the sandbox is changed by too many at once`)
  }
}

function rowOf(checkout: SandboxCheckout): Pick<SandboxRow, 'dueMs' | 'state'> {
  return { dueMs: dueMs(checkout), state: JSON.stringify(checkout) }
}

const DECLINED = { code: 'card_declined', mayRetry: true }
const STOLEN = { code: 'stolen_card', mayRetry: false }

/** A checkout's name; a payment without the customer is one, too. */
function referenceFor(name: string): string {
  return name.replace(/^sbx_pay_/, 'sbx_')
}

function paymentOf(reference: string): string {
  return reference.replace(/^sbx_/, 'sbx_pay_')
}

function changeOf(before: SandboxCheckout, happening: SandboxHappening): SandboxChange | null {
  switch (happening) {
    case 'dispute':
      return openDispute(before, `sbx_dispute_${before.disputes.length + 1}_${before.checkout}`)
    case 'win_dispute':
      return closeDispute(before, 'won')
    case 'lose_dispute':
      return closeDispute(before, 'lost')
    case 'fail_refund':
      return failRefund(before)
  }
}

/** Longest wait before an event is told again. */
const MAX_PAUSE_MS = 300_000

function pauseMs({ attempts }: SandboxEvent): number {
  return Math.min(MAX_PAUSE_MS, 1_000 * 2 ** attempts)
}
