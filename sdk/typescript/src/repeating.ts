/** What may be sent again, and when. */

import { wasNeverSent } from './attempt.ts'
import { ApiError, ConnectionError, ServerFaultError, TimeoutError, TryLaterError, UnexpectedAnswerError } from './errors.ts'
import type { Repeat } from './resource.ts'

const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 8_000
/** A server that asks for more patience than this is not waited for: the caller hears, and decides. */
const LONGEST_RETRY_AFTER_MS = 60_000
/** Statuses of servers in between which say that it may go better soon. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

/** What is known when an attempt has failed. */
export interface Failure {
  readonly fault: unknown
  readonly repeat: Repeat
  /** Attempts so far. */
  readonly attempts: number
  readonly maxRetries: number
  /** From 0 up to, not including, 1. */
  readonly random: () => number
  readonly retryAfterSeconds: number | null
}

/** How long to wait before the request is sent again; null: it is not. */
export function waitBeforeRepeating({ fault, repeat, attempts, maxRetries, random, retryAfterSeconds }: Failure): number | null {
  if (attempts > maxRetries || !mayRepeat(fault, repeat)) return null
  const jittered = random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempts)
  if (retryAfterSeconds === null) return jittered
  const askedMs = retryAfterSeconds * 1000
  // Never earlier than asked for; and not all callers at that same moment.
  return askedMs > LONGEST_RETRY_AFTER_MS ? null : askedMs + random() * FIRST_WAIT_MS
}

function mayRepeat(fault: unknown, repeat: Repeat): boolean {
  // Nothing was done: a second attempt is the first.
  if (fault instanceof TryLaterError) return true
  if (fault instanceof ConnectionError && wasNeverSent(fault)) return true
  if (repeat === 'never') return false
  if (fault instanceof ConnectionError || fault instanceof TimeoutError || fault instanceof ServerFaultError) return true
  if (fault instanceof ApiError) return PASSING.has(fault.status)
  return fault instanceof UnexpectedAnswerError && PASSING.has(fault.status)
}
