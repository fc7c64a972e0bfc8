/**
 * Sends requests to addresses that others have named, and to none inside. What a name leads to is asked once: the connection goes to
 * the very addresses that were looked at. Redirects are not followed, and of an answer only its status matters.
 */

import type { LookupFunction } from 'node:net'
import { Agent, request } from 'undici'
import type { AttemptFailure } from '../stores/webhooks/attempts.ts'
import type { Resolve } from './names.ts'
import type { Networks, Reach } from './networks.ts'
import { addressIn, hostOf, reachOf } from './target.ts'

/** A request to send. */
export interface Outgoing {
  readonly url: string
  /** The operator named the address. */
  readonly isByOperator: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What became of it. */
export interface Answer {
  /** Null: it was accepted. */
  readonly failure: AttemptFailure | null
  /** Null: there was no answer. */
  readonly statusCode: number | null
  /** How long the other side asks to be left alone; null: it does not say. */
  readonly retryAfterMs: number | null
}

/** Longest that a request may take, from looking up the name to the end of the answer. */
const LIMIT_MS = 15_000
const CONNECT_MS = 5_000
/** Most of an answer's body that is read, so that the connection can be used again. */
const MAX_BODY = 65_536
/** How long a connection is kept that nobody uses, whatever the other side offers. */
const KEPT_MS = 1_000
/** Longest that an endpoint is left alone because it says so. */
const MAX_RETRY_AFTER_MS = 3_600_000

/** Thrown out of a look-up: the name leads to an address that is out of reach. */
class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError'
}

/** Thrown out of a look-up: the name leads nowhere. */
class NameNotFoundError extends Error {
  override readonly name = 'NameNotFoundError'
}

/** Thrown when a request was given up because the server stops: whether it arrived is not known. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

/** How a sender reaches the world. */
export interface SenderOptions {
  readonly networks: Networks
  readonly resolve: Resolve
  readonly limitMs?: number
}

const REACHES: readonly Reach[] = ['public', 'allowed', 'public or allowed']

/** Sends requests. */
export class Sender {
  readonly #networks: Networks
  readonly #resolve: Resolve
  readonly #limitMs: number
  /** Connections by what they may reach: one that may go inside is never lent to a request that may not. */
  readonly #agents: ReadonlyMap<Reach, Agent>

  constructor({ networks, resolve, limitMs = LIMIT_MS }: SenderOptions) {
    this.#networks = networks
    this.#resolve = resolve
    this.#limitMs = limitMs
    this.#agents = new Map(REACHES.map((reach) => [reach, this.#agent(reach)]))
  }

  #agent(reach: Reach): Agent {
    const lookup: LookupFunction = (host, options, callback) => {
      this.#lookUp(reach, host).then(
        (found) => {
          const addresses = found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
          const [first] = addresses
          if (options.all === true) callback(null, addresses)
          else callback(null, first?.address ?? '', first?.family)
        },
        (fault: NodeJS.ErrnoException) => callback(fault, ''),
      )
    }
    return new Agent({
      connect: { lookup, timeout: CONNECT_MS },
      allowH2: false,
      keepAliveTimeout: KEPT_MS,
      keepAliveMaxTimeout: KEPT_MS,
      headersTimeout: this.#limitMs,
      bodyTimeout: this.#limitMs,
    })
  }

  /** The addresses of a name, all of which must be within reach: one that leads inside as well is meant to. */
  async #lookUp(reach: Reach, host: string): Promise<readonly string[]> {
    const addresses = await this.#resolve(host.replace(/\.$/, ''))
    if (addresses.length === 0) throw new NameNotFoundError(`${host} has no address`)
    if (!addresses.every((address) => this.#networks.isWithin(reach, address))) throw new AddressRefusedError(`${host} leads inside`)
    return addresses
  }

  /**
   * Whether an address is out of reach now, so that nothing would be sent to it. A name that leads nowhere is not: it may lead
   * somewhere later.
   */
  async isRefused(url: URL, isByOperator: boolean): Promise<boolean> {
    const reach = reachOf(url, isByOperator)
    if (reach === null) return true
    const host = hostOf(url)
    const address = addressIn(host)
    if (address !== null) return !this.#networks.isWithin(reach, address)
    try {
      await this.#lookUp(reach, host)
      return false
    } catch (fault) {
      if (!(fault instanceof Error)) throw fault
      return fault instanceof AddressRefusedError
    }
  }

  /** Sends a request and gives what became of it. Rejects with InterruptedError when `stop` was signalled meanwhile. */
  async send({ url: text, isByOperator, headers, body }: Outgoing, stop: AbortSignal): Promise<Answer> {
    const url = new URL(text)
    const reach = reachOf(url, isByOperator)
    const address = addressIn(hostOf(url))
    const agent = reach === null ? undefined : this.#agents.get(reach)
    if (reach === null || agent === undefined || (address !== null && !this.#networks.isWithin(reach, address)))
      return failed('address_refused')
    const limit = AbortSignal.timeout(this.#limitMs)
    try {
      const signal = AbortSignal.any([limit, stop])
      const answer = await inTime(request(url, { method: 'POST', headers, body, dispatcher: agent, signal }), signal)
      await readAway(answer.body, signal)
      const isAccepted = answer.statusCode >= 200 && answer.statusCode < 300
      return {
        failure: isAccepted ? null : 'not_accepted',
        statusCode: answer.statusCode,
        retryAfterMs: retryAfterOf(answer.headers['retry-after']),
      }
    } catch (fault) {
      if (stop.aborted) throw new InterruptedError('the server stops', { cause: fault })
      return failed(limit.aborted ? 'timed_out' : failureOf(fault))
    }
  }

  /** Closes all connections; what is on its way is given up. */
  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()))
  }
}

function failed(failure: AttemptFailure): Answer {
  return { failure, statusCode: null, retryAfterMs: null }
}

/** What a promise gives, unless a signal comes first: requests hear of signals only once they are connected. */
function inTime<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason)
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  })
}

/** Reads a body to its end, or as far as is read; the status has decided, whatever befalls the body. */
async function readAway(
  body: { dump(options: { limit: number; signal: AbortSignal }): Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  try {
    await body.dump({ limit: MAX_BODY, signal })
  } catch (fault) {
    if (!(fault instanceof Error)) throw fault
  }
}

const TIMEOUTS = new Set<unknown>(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

/** What a fault of the connection says, or one that caused it. */
function failureOf(fault: unknown): AttemptFailure {
  if (fault instanceof AddressRefusedError) return 'address_refused'
  if (fault instanceof NameNotFoundError) return 'name_not_found'
  if (!(fault instanceof Error)) throw fault
  if ('code' in fault && TIMEOUTS.has(fault.code)) return 'timed_out'
  if ('syscall' in fault && /^query/.test(String(fault.syscall))) return 'name_not_found'
  return fault.cause instanceof Error ? failureOf(fault.cause) : 'connection_failed'
}

/** Seconds, or a time. */
function retryAfterOf(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string') return null
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS)
}
