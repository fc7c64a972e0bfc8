/** A payment provider whose cards have a life of their own: it keeps what it was asked for, and what it answered, as an outside witness does. */

import { FOREVER_MS } from '../../src/core/calendar.ts'
import {
  type CheckoutNews,
  type CheckoutOrder,
  type CheckoutPage,
  type OffSessionOrder,
  type OffSessionOutcome,
  type Provider,
  ProviderUnavailableError,
} from '../../src/payments/provider.ts'
import type { Random } from './random.ts'

/** What a card does from now on when it is asked. */
export type Health = 'works' | 'declines' | 'stolen' | 'asks' | 'slow' | 'slow_in_vain'

/** A payment that was asked for, by its first question. */
export interface Asked {
  readonly attempt: string
  readonly checkout: string
  readonly card: string
  readonly atMs: number
  readonly amountMinor: number
  /** What has become of it; whoever asks again is told the same. */
  state: 'paid' | 'pending' | 'declined' | 'stolen' | 'open_page' | 'expired_page'
  /** When money that is on its way arrives, and whether it does. */
  arrival: { readonly atMs: number; readonly isInVain: boolean } | null
  pageExpiresMs: number
}

const TTL_MS = 2 * 3_600_000
const ARRIVAL_MS = 3 * 86_400_000

/** Takes no money. Some questions get lost on their way to it, and some answers on their way back. */
export class Bank implements Provider {
  readonly name = 'sandbox'
  readonly isLive = false
  readonly checkoutTtlMs = TTL_MS
  readonly signatureHeader = 'x-signature'
  readonly asked: Asked[] = []
  readonly health = new Map<string, Health>()
  readonly #clock: () => number
  /** How often nothing gets through. */
  noise = 0
  readonly #random: Random

  constructor(clock: () => number, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  #mayBeLost(): void {
    if (this.#random.isLikely(this.noise)) throw new ProviderUnavailableError('lost on the way')
  }

  async payOffSession({ attempt, checkout = '', paymentMethod: card, amountMinor }: OffSessionOrder): Promise<OffSessionOutcome> {
    this.#mayBeLost()
    const known = this.asked.find((one) => one.attempt === attempt) ?? this.#take({ attempt, checkout, card, amountMinor })
    this.#mayBeLost()
    this.#pass(known)
    switch (known.state) {
      case 'paid':
      case 'pending':
        return { status: known.state, payment: `pay:${attempt}` }
      case 'open_page':
      case 'expired_page':
        return { status: 'needs_action' }
      case 'declined':
        return { status: 'declined', code: 'card_declined', mayRetry: true }
      case 'stolen':
        return { status: 'declined', code: 'stolen_card', mayRetry: false }
    }
  }

  #take(order: Pick<Asked, 'attempt' | 'checkout' | 'card' | 'amountMinor'>): Asked {
    const health = this.health.get(order.card) ?? 'works'
    const nowMs = this.#clock()
    const states = {
      works: 'paid',
      declines: 'declined',
      stolen: 'stolen',
      asks: 'open_page',
      slow: 'pending',
      slow_in_vain: 'pending',
    } as const
    const arrival = health.startsWith('slow') ? { atMs: nowMs + ARRIVAL_MS, isInVain: health === 'slow_in_vain' } : null
    const times = { atMs: nowMs, pageExpiresMs: FOREVER_MS }
    const made: Asked = { ...order, ...times, state: states[health], arrival }
    this.asked.push(made)
    return made
  }

  /** What time has done. */
  #pass(one: Asked): void {
    const nowMs = this.#clock()
    if (one.state === 'pending' && one.arrival && one.arrival.atMs <= nowMs) one.state = one.arrival.isInVain ? 'declined' : 'paid'
    if (one.state === 'open_page' && one.pageExpiresMs <= nowMs) one.state = 'expired_page'
  }

  async makeCheckout({ checkout, expiresAtMs }: CheckoutOrder): Promise<CheckoutPage> {
    this.#mayBeLost()
    const one = this.asked.find((candidate) => candidate.checkout === checkout)
    if (!one) throw new Error(`nothing was asked for ${checkout}`)
    if (one.pageExpiresMs === FOREVER_MS) one.pageExpiresMs = expiresAtMs
    this.#mayBeLost()
    return { reference: `page:${one.attempt}`, url: `https://bank.example/${one.attempt}` }
  }

  async look(reference: string): Promise<CheckoutNews | undefined> {
    this.#mayBeLost()
    const one = this.asked.find(({ attempt }) => reference.endsWith(`:${attempt}`))
    if (!one) return undefined
    this.#pass(one)
    const { checkout, amountMinor, attempt } = one
    const payment = { reference, payment: `pay:${attempt}`, isLive: false, amountMinor, totalMinor: amountMinor, currency: 'eur' }
    const nothing = { reference, checkout, payment: null, method: null, refunds: [], disputes: [] }
    const isPage = reference.startsWith('page:')
    if (one.state === 'paid') return { ...nothing, status: 'paid', payment }
    if (isPage) return { ...nothing, status: one.state === 'expired_page' ? 'expired' : 'open' }
    return { ...nothing, status: one.state === 'pending' ? 'pending' : 'open' }
  }

  /** The customer confirms what they are asked for, if there is a page for it that is not over. */
  confirm(): void {
    const one = this.asked.findLast(({ state, pageExpiresMs }) => state === 'open_page' && pageExpiresMs !== FOREVER_MS)
    if (one && one.pageExpiresMs > this.#clock()) one.state = 'paid'
  }

  async lookAtPayment(): Promise<OffSessionOutcome> {
    throw new Error('payments are looked at by their attempts')
  }

  async cancel(): Promise<void> {
    throw new Error('nobody cancels anything here')
  }

  async refund(): Promise<{ readonly refused: string }> {
    return { refused: 'nothing is paid back here' }
  }

  async referenceOf(): Promise<string | null> {
    return null
  }
}
