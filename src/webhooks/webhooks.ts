/** Webhooks as the server runs them: the feed is told, endpoints are taken on and delivered to, and what is old is removed. */

import { randomBytes, randomInt } from 'node:crypto'
import type { EndpointId } from '../core/ids.ts'
import type { Store } from '../stores/store.ts'
import { KEPT_ATTEMPTS_MS } from '../stores/webhooks/attempts.ts'
import type { EndpointRow } from '../stores/webhooks/endpoints.ts'
import { Announcer } from './announcer.ts'
import { type DeliveryParts, EndpointRun } from './endpoint-run.ts'

/** What webhooks work with. */
export interface WebhookParts extends Omit<DeliveryParts, 'by' | 'load' | 'nextAttempt' | 'store'> {
  readonly store: Pick<Store, 'claim' | 'feed' | 'positionAt' | 'recordsAfter' | 'webhooks'>
  /** Told of faults of runs; what they were to deliver is delivered later. */
  readonly onFault: (fault: unknown) => void
}

/** Endpoints that one process delivers to at a time. */
const ENDPOINTS_AT_ONCE = 500
/** How long an endpoint is left alone after a fault that is not its own. */
const FAULT_PAUSE_MS = 5_000
/** How long requests that are on their way may take when the server stops. */
const STOP_MS = 2_000
/** Deliveries in which nothing waits are remembered for so long: then nobody can tell of the same news again. */
const KEPT_DELIVERIES_MS = 86_400_000

/** Delivers events to endpoints. Of the processes that share a store, one has its turns at a time. */
export class Webhooks {
  readonly #parts: WebhookParts
  readonly #process = randomBytes(9).toString('base64url')
  readonly #announcer: Announcer
  readonly #running = new Set<Promise<void>>()
  readonly #sendNoMore = new AbortController()
  readonly #giveUp = new AbortController()
  /** Endpoints whose runs ended with a fault, and since when they wait. */
  readonly #faulty = new Map<EndpointId, { readonly by: string; readonly sinceMs: number }>()
  readonly #load = { requests: 0 }
  #rounds = 0
  #attempts = randomInt(2 ** 31)

  constructor(parts: WebhookParts) {
    this.#parts = parts
    const { store, clock } = parts
    this.#announcer = new Announcer({ store, clock, isToGoOn: () => store.claim('send webhooks') })
  }

  /** Tells endpoints of what has happened, and begins to deliver to those that have something to hear: while that is this process's to do. */
  async turn(): Promise<void> {
    await this.#announcer.turn()
    await this.#freeFaulty()
    await this.#takeOn()
  }

  async #takeOn(): Promise<void> {
    const { store, clock } = this.#parts
    const room = ENDPOINTS_AT_ONCE - this.#running.size
    if (room <= 0 || this.#sendNoMore.signal.aborted || !(await store.claim('send webhooks'))) return
    const taker = { process: this.#process, round: ++this.#rounds }
    for (const endpoint of await store.webhooks.endpoints.take(taker, clock(), room)) this.#start(endpoint, taker.process + taker.round)
  }

  #start(endpoint: EndpointRow, by: string): void {
    const delivery = { ...this.#parts, by, load: this.#load, nextAttempt: () => ++this.#attempts }
    const run = new EndpointRun(delivery, endpoint)
      .run({ sendNoMore: this.#sendNoMore.signal, giveUp: this.#giveUp.signal })
      .catch((fault: unknown) => {
        this.#faulty.set(endpoint.id, { by, sinceMs: this.#parts.clock() })
        this.#parts.onFault(fault)
      })
      .finally(() => this.#running.delete(run))
    this.#running.add(run)
  }

  /** Lets endpoints be taken on again after a while: the store may have been away. */
  async #freeFaulty(): Promise<void> {
    for (const [id, { by, sinceMs }] of this.#faulty)
      if (this.#parts.clock() - sinceMs >= FAULT_PAUSE_MS) {
        await this.#parts.store.webhooks.endpoints.free(id, by)
        this.#faulty.delete(id)
      }
  }

  /** Waits until nothing is on its way any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  /** Removes what is old. */
  async tidy(): Promise<void> {
    const { store, clock } = this.#parts
    await store.webhooks.deliveries.removeDone(clock() - KEPT_DELIVERIES_MS)
    await store.webhooks.attempts.removeBefore(clock() - KEPT_ATTEMPTS_MS)
  }

  /** Sends nothing more, and waits a little for what is on its way. */
  async stop(): Promise<void> {
    this.#sendNoMore.abort()
    const timer = setTimeout(() => this.#giveUp.abort(), STOP_MS)
    await this.settled()
    clearTimeout(timer)
  }
}
