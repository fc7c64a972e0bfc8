/** When an event is sent again that was not accepted, and when an endpoint is left alone. */

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Waits between the attempts at one event (Standard Webhooks): ten attempts in about three days. */
export const RETRY_WAITS_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
]
/** Time after the first attempt from which on a failed one is the last. Attempts that were made early do not count against an event. */
export const GIVEN_UP_MS = RETRY_WAITS_MS.reduce((sum, waitMs) => sum + waitMs, 0)
/** Part of a wait that it may be longer by, at random, so that what failed together does not come again together. */
const JITTER = 0.2
/** An endpoint at which nothing was accepted for so long is disabled. */
export const DISABLED_AFTER_MS = 5 * DAY_MS

/** Random numbers from 0 up to, and without, 1. */
export type Chance = () => number

/** How much longer a wait is, at random. */
function lengthened(waitMs: number, chance: Chance): number {
  return Math.floor(waitMs * (1 + JITTER * chance()))
}

/** The wait after an attempt failed, the first of which is 1; null: it was the last. */
export function waitAfter(attempts: number, sinceFirstMs: number, chance: Chance): number | null {
  if (sinceFirstMs >= GIVEN_UP_MS) return null
  return lengthened(RETRY_WAITS_MS[Math.min(attempts, RETRY_WAITS_MS.length) - 1] ?? 0, chance)
}

/** Longest that an endpoint is left alone unless it asks for more. */
const MAX_PAUSE_MS = 5 * MINUTE_MS
/** Failed rounds before an endpoint is left alone that answers, but does not accept. */
const PATIENT_ROUNDS = 5

/**
 * How long an endpoint is left alone after so many rounds in which it accepted nothing: at once, and longer each time, when it is
 * overloaded or does not answer; after some rounds when it only refuses.
 */
export function pauseAfter(failures: number, isOverloaded: boolean, chance: Chance): number {
  const exponent = failures - 1 - (isOverloaded ? 0 : PATIENT_ROUNDS)
  return exponent < 0 ? 0 : lengthened(Math.min(SECOND_MS * 2 ** Math.min(exponent, 20), MAX_PAUSE_MS), chance)
}
