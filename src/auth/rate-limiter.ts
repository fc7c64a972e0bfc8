/** Rate limits: so many requests per window, counted per API key in a window that slides as the key is used. */

/** A limit. */
export interface RateLimit {
  readonly requests: number
  readonly windowSeconds: number
}

/** What is left after a request was counted. */
export interface RateState {
  readonly limit: RateLimit
  readonly isAllowed: boolean
  readonly remaining: number
  /** Seconds until one more request is allowed than now. */
  readonly resetSeconds: number
}

interface Bucket {
  /** When the bucket would be empty: the later, the fuller it is (GCRA). */
  emptyAtMs: number
}

/** Keys counted at once, at most; the rest of them starts anew. */
const MAX_BUCKETS = 100_000

/** A window divided by a number of requests is rarely a whole number of milliseconds. */
const EPSILON_MS = 1e-3

/** Counts requests by the generic cell rate algorithm: one number per key, no bursts beyond the limit. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>()
  readonly #clock: () => number

  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** Counts one request, unless the limit is reached. */
  take(name: string, limit: RateLimit): RateState {
    const nowMs = this.#clock()
    const windowMs = limit.windowSeconds * 1000
    const costMs = windowMs / limit.requests
    const bucket = this.#bucket(name)
    const emptyAtMs = Math.max(bucket.emptyAtMs, nowMs) + costMs
    const isAllowed = emptyAtMs - nowMs <= windowMs + EPSILON_MS
    if (isAllowed) bucket.emptyAtMs = emptyAtMs
    const filledMs = Math.max(0, bucket.emptyAtMs - nowMs)
    const remaining = Math.max(0, Math.floor((windowMs - filledMs + EPSILON_MS) / costMs))
    const waitMs = filledMs + (remaining + 1) * costMs - windowMs
    return { limit, isAllowed, remaining, resetSeconds: Math.max(1, Math.ceil(waitMs / 1000)) }
  }

  #bucket(name: string): Bucket {
    const known = this.#buckets.get(name)
    if (known) return known
    if (this.#buckets.size >= MAX_BUCKETS) this.#buckets.clear()
    const made = { emptyAtMs: 0 }
    this.#buckets.set(name, made)
    return made
  }
}
