/**
 * One process delivers to one endpoint for a while: of each account the next event, several accounts at once. What came of requests is
 * written down before the next event of the account is sent; so whatever happens to the process, an event is sent again rather
 * than left out, and order within an account stays.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type EventType, eventPlace, eventsOf, lets, seqOfPlace } from '../core/events.ts'
import { type Address, attemptId, eventId, parseEventId } from '../core/ids.ts'
import type { JournalRecord } from '../core/record.ts'
import type { Store } from '../stores/store.ts'
import type { AttemptRow } from '../stores/webhooks/attempts.ts'
import type { DeliveryRow, DeliveryStep } from '../stores/webhooks/deliveries.ts'
import type { DisabledReason, EndpointRow, Health } from '../stores/webhooks/endpoints.ts'
import { messageOf, type ShowEvent } from './message.ts'
import { type Chance, DISABLED_AFTER_MS, pauseAfter, waitAfter } from './schedule.ts'
import { type Answer, InterruptedError, type Sender } from './sender.ts'
import { signedHeaders } from './signature.ts'

/** What delivering works with. */
export interface DeliveryParts {
  readonly store: Pick<Store, 'recordsAfter' | 'webhooks'>
  readonly sender: Pick<Sender, 'send'>
  readonly show: ShowEvent
  readonly clock: () => number
  readonly chance: Chance
  /** Who took the endpoint on. */
  readonly by: string
  /** What is on its way from this process, to all endpoints. */
  readonly load: { requests: number }
  /** Counts attempts, so that their ids order as they were made. */
  readonly nextAttempt: () => number
  /** Told of endpoints that are disabled because of how they fare. */
  readonly onDisabled: (endpoint: EndpointRow, reason: DisabledReason) => void
}

/** Requests to one endpoint at a time. */
const IN_FLIGHT = 32
/** Requests to all endpoints from which on each has one at a time. */
const REQUESTS_AT_ONCE = 1_000
/** How long a run goes on to send; then others have their turn. */
const RUN_MS = 5_000
/** How long results are waited for that can be written together with the first. */
const GATHER_MS = 20
/** Records that are looked at together for the next event. */
const RECORDS_AT_ONCE = 50
/** When an endpoint that failed for so long accepts again, what waits is tried at once. */
const RECOVERED_AFTER_MS = 60_000

const GONE = 410
/** Answers of somebody who has too much to do, or stands in for somebody who does not answer. */
const OVERLOADED: ReadonlySet<number | null> = new Set([429, 502, 503, 504, null])

/** An event that is to be sent. */
interface NextEvent {
  readonly record: JournalRecord
  readonly index: number
  readonly place: number
  readonly type: EventType
}

/** A delivery of which one step is done. */
interface Finished {
  readonly delivery: DeliveryRow
  /** Null: nothing was left that the endpoint wants. */
  readonly sent: { readonly event: NextEvent; readonly answer: Answer; readonly atMs: number; readonly durationMs: number } | null
}

/** How a run is told that the server stops: at first nothing more is sent, then what is on its way is given up. */
export interface Stopping {
  readonly sendNoMore: AbortSignal
  readonly giveUp: AbortSignal
}

/** Delivers to one endpoint that was taken on. */
export class EndpointRun {
  readonly #parts: DeliveryParts
  #endpoint: EndpointRow
  /** Deliveries of which a step is on its way, or done and not yet written down. */
  readonly #busy = new Set<string>()
  readonly #inFlight = new Set<Promise<void>>()
  readonly #finished: Finished[] = []
  readonly #faults: unknown[] = []
  #health: Health
  /** The endpoint is not ours any more. */
  #isOver = false

  constructor(parts: DeliveryParts, endpoint: EndpointRow) {
    this.#parts = parts
    this.#endpoint = endpoint
    this.#health = endpoint.health
  }

  /** Sends what is due, and lets go of the endpoint. Rejects with the first fault; what else was sent is written down all the same. */
  async run(stopping: Stopping): Promise<void> {
    const endMs = performance.now() + RUN_MS
    for (;;) {
      const maySend = !stopping.sendNoMore.aborted && performance.now() < endMs && this.#health.notBeforeMs <= this.#parts.clock()
      if (maySend && !this.#isOver) await this.#start(stopping.giveUp)
      if (this.#inFlight.size > 0 || this.#finished.length > 0) {
        await this.#gather()
        await this.#settle()
      } else if (this.#isOver || (await this.#letGo())) break
    }
    if (this.#faults.length > 0) throw this.#faults[0]
    await this.#parts.store.webhooks.attempts.removeOldest(this.#endpoint.id)
  }

  /** Sends the next event of each account in which one is due, to the endpoint as it is now. */
  async #start(giveUp: AbortSignal): Promise<void> {
    const { store, clock, load } = this.#parts
    const endpoint = await store.webhooks.endpoints.byId(this.#endpoint.id)
    if (!endpoint || endpoint.disabled) {
      this.#isOver = true
      return
    }
    this.#endpoint = endpoint
    const due = await store.webhooks.deliveries.due(this.#endpoint.id, clock(), IN_FLIGHT)
    for (const delivery of due) {
      const name = nameOf(delivery)
      if (this.#busy.has(name) || !this.#hasRoom()) continue
      this.#busy.add(name)
      load.requests++
      const sending = this.#deliver(delivery, giveUp)
        .catch((fault: unknown) => {
          this.#faults.push(fault)
          this.#isOver = true
        })
        .finally(() => {
          load.requests--
          this.#inFlight.delete(sending)
        })
      this.#inFlight.add(sending)
    }
  }

  /** Whether another request may be sent: of many that are on their way everywhere, one to each endpoint. */
  #hasRoom(): boolean {
    const { size } = this.#busy
    return size === 0 || (size < IN_FLIGHT && this.#parts.load.requests < REQUESTS_AT_ONCE)
  }

  /** Waits for the first result, and a little longer for others. */
  async #gather(): Promise<void> {
    if (this.#finished.length === 0) await Promise.race(this.#inFlight)
    if (this.#inFlight.size > 0) await Promise.race([Promise.all(this.#inFlight), sleep(GATHER_MS)])
  }

  async #deliver(delivery: DeliveryRow, giveUp: AbortSignal): Promise<void> {
    const event = await this.#next(delivery)
    if (!event) {
      this.#finished.push({ delivery, sent: null })
      return
    }
    const { sender, show, clock } = this.#parts
    const { url, isByOperator } = this.#endpoint
    const message = messageOf(show(delivery.account, event.record, event.index))
    const atMs = clock()
    const startedMs = performance.now()
    try {
      const headers = signedHeaders(message, this.#endpoint, atMs)
      const answer = await sender.send({ url, isByOperator, headers, body: message.body }, giveUp)
      this.#finished.push({ delivery, sent: { event, answer, atMs, durationMs: Math.floor(performance.now() - startedMs) } })
    } catch (fault) {
      // Whether it arrived is not known, so it is sent again by whoever goes on.
      if (!(fault instanceof InterruptedError)) throw fault
    }
  }

  /** The next event that the endpoint wants; undefined: of what it was told of, nothing more. */
  async #next(delivery: DeliveryRow): Promise<NextEvent | undefined> {
    const again = parseEventId(delivery.cause)
    if (again) return this.#again(again, delivery.donePlace + 1)
    const { account, donePlace, toldPlace } = delivery
    for (let after = donePlace; after < toldPlace; ) {
      const records = await this.#parts.store.recordsAfter(account, seqOfPlace(after + 1) - 1, RECORDS_AT_ONCE)
      for (const record of records)
        for (const [index, type] of eventsOf(record).entries()) {
          const place = eventPlace(record.seq, index)
          if (place > after && place <= toldPlace && lets(this.#endpoint.filter, type)) return { record, index, place, type }
        }
      const last = records.at(-1)
      if (!last) return undefined
      after = eventPlace(last.seq + 1, 0) - 1
    }
    return undefined
  }

  /** One event that is sent again, whatever the endpoint asks for. */
  async #again({ account, seq, index }: Address & { readonly index: number }, place: number): Promise<NextEvent | undefined> {
    const [record] = await this.#parts.store.recordsAfter(account, seq - 1, 1)
    const type = record && eventsOf(record)[index]
    return record && type && { record, index, place, type }
  }

  /** Writes down what came of requests: first what was tried, then how far each account has come, then how the endpoint fares. */
  async #settle(): Promise<void> {
    const { store, by } = this.#parts
    const finished = this.#finished.splice(0)
    if (finished.length === 0) return
    const settled = finished.map((one) => this.#settled(one))
    const attempts = settled.flatMap(({ attempt }) => (attempt ? [attempt] : []))
    await store.webhooks.attempts.add(attempts)
    const isOurs = await store.webhooks.deliveries.settle(
      settled.map(({ step }) => step),
      by,
    )
    for (const { delivery } of finished) this.#busy.delete(nameOf(delivery))
    if (!isOurs) this.#isOver = true
    else await this.#noteHealth(finished.flatMap(({ sent }) => (sent ? [sent] : [])))
  }

  #settled({ delivery, sent }: Finished): { readonly step: DeliveryStep; readonly attempt: AttemptRow | null } {
    const nowMs = this.#parts.clock()
    const { endpointId, account, cause, toldPlace } = delivery
    const done = { endpointId, account, cause, attempts: 0, firstAttemptMs: null, dueMs: nowMs }
    if (!sent) return { step: { ...done, donePlace: toldPlace }, attempt: null }
    const { event, answer } = sent
    const number = delivery.attempts + 1
    const firstAttemptMs = delivery.firstAttemptMs ?? sent.atMs
    const wait =
      answer.failure === null || answer.statusCode === GONE ? null : waitAfter(number, nowMs - firstAttemptMs, this.#parts.chance)
    const nextMs = wait === null ? null : nowMs + Math.max(wait, answer.retryAfterMs ?? 0)
    const step =
      nextMs === null
        ? { ...done, donePlace: event.place }
        : { ...done, donePlace: delivery.donePlace, attempts: number, firstAttemptMs, dueMs: nextMs }
    const attempt = {
      id: attemptId(sent.atMs, this.#parts.nextAttempt()),
      endpointId,
      eventId: eventId(account, event.record.seq, event.index),
      eventType: event.type,
      cause,
      number,
      atMs: sent.atMs,
      durationMs: sent.durationMs,
      outcome: answer.failure === null ? 'delivered' : nextMs === null ? 'given_up' : 'failed',
      statusCode: answer.statusCode,
      failure: answer.failure,
      nextMs,
    } as const
    return { step, attempt }
  }

  async #noteHealth(sent: readonly NonNullable<Finished['sent']>[]): Promise<void> {
    const [first] = sent
    if (!first) return
    if (sent.some(({ answer }) => answer.statusCode === GONE)) await this.#disable('gone')
    else if (sent.some(({ answer }) => answer.failure === null)) await this.#noteAccepted()
    else await this.#noteFailed(first.atMs, sent)
  }

  async #noteAccepted(): Promise<void> {
    const { failingSinceMs } = this.#health
    if (failingSinceMs === null) return
    const { store, clock } = this.#parts
    await this.#write({ failures: 0, failingSinceMs: null, notBeforeMs: 0 })
    if (clock() - failingSinceMs >= RECOVERED_AFTER_MS) await store.webhooks.deliveries.hasten(this.#endpoint.id, clock())
  }

  async #noteFailed(atMs: number, sent: readonly NonNullable<Finished['sent']>[]): Promise<void> {
    const nowMs = this.#parts.clock()
    const failures = this.#health.failures + 1
    const failingSinceMs = this.#health.failingSinceMs ?? atMs
    if (nowMs - failingSinceMs >= DISABLED_AFTER_MS) return this.#disable('failing')
    const isOverloaded = sent.some(({ answer }) => OVERLOADED.has(answer.statusCode))
    const askedMs = sent.reduce((most, { answer }) => Math.max(most, answer.retryAfterMs ?? 0), 0)
    const pauseMs = Math.max(pauseAfter(failures, isOverloaded, this.#parts.chance), askedMs)
    await this.#write({ failures, failingSinceMs, notBeforeMs: pauseMs === 0 ? 0 : nowMs + pauseMs })
  }

  async #write(health: Health): Promise<void> {
    this.#health = health
    if (!(await this.#parts.store.webhooks.endpoints.noteHealth(this.#endpoint.id, health, this.#parts.by))) this.#isOver = true
  }

  async #disable(reason: DisabledReason): Promise<void> {
    const { store, clock, onDisabled } = this.#parts
    const { endpoints, deliveries, feed } = store.webhooks
    this.#isOver = true
    const disabled = await endpoints.disable(this.#endpoint.id, reason, clock())
    if (disabled) onDisabled(disabled, reason)
    await deliveries.forget(this.#endpoint.id)
    await feed.endReplayOf(this.#endpoint.id)
  }

  /** Lets go of the endpoint, unless it was told of something meanwhile. Returns whether the run is over. */
  async #letGo(): Promise<boolean> {
    const { store, by } = this.#parts
    if (await store.webhooks.endpoints.letGo(this.#endpoint, by)) return true
    const now = await store.webhooks.endpoints.byId(this.#endpoint.id)
    const isWoken = now !== undefined && now.wakes !== this.#endpoint.wakes
    this.#endpoint = now ?? this.#endpoint
    return !isWoken
  }
}

function nameOf({ account, cause }: DeliveryRow): string {
  return `${account} ${cause}`
}
