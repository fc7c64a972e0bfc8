/** When credits run out if they go on being spent as they were: worked out when somebody asks, and decided on by nobody. */

import { type AccountState, poolOf } from './account.ts'
import { isEligible } from './balance.ts'
import { least } from './credits.ts'

/** How far back is looked: what was spent since tells the pace. */
export const PACE_MS = 7 * 86_400_000
/** A pace is over so long at least, so that one busy hour is not taken for every hour. */
export const LEAST_PACE_MS = 86_400_000
/** What lies further ahead is not told. */
export const FORECAST_MS = 3_650 * 86_400_000

/** How fast credits of a type are spent: so many, refunds taken off, in so long. */
export interface Pace {
  /** Micro-credits; more than nothing. */
  readonly spent: bigint
  readonly overMs: number
  /** The beginning of the hour that is not over: what was spent before it counts, and the forecast begins with it. */
  readonly sinceMs: number
}

/** Credits a day, rounded down to a micro-credit. */
export function perDay({ spent, overMs }: Pace): bigint {
  return (spent * BigInt(LEAST_PACE_MS)) / BigInt(overMs)
}

/**
 * When credits of a type run out at a pace: each grant that can be spent now is, in burn order, as far as it lasts until it expires. What
 * disputes have frozen is left out, and so is what comes later: grants for later, renewals, purchases. Null: not within ten years.
 */
export function runsOutMs(
  { state, asOfMs }: { readonly state: AccountState; readonly asOfMs: number },
  creditType: string,
  pace: Pace,
): number | null {
  const { spent, overMs, sinceMs } = pace
  const over = BigInt(overMs)
  const { grants, debt } = poolOf(state, creditType)
  let used = -BigInt(debt)
  for (const grant of grants) {
    if (!isEligible(grant, asOfMs)) continue
    const left = grant.remaining - frozenOf(state, grant.seq)
    const until = grant.expiresAtMs
    const most = until === null ? left : (BigInt(until - sinceMs) * spent) / over - used
    if (most > 0n) used += least(left, most)
  }
  const inMs = used <= 0n ? 0n : (used * over) / spent
  return inMs > BigInt(FORECAST_MS) ? null : sinceMs + Number(inMs)
}

function frozenOf({ freezes }: AccountState, grant: number): bigint {
  let frozen = 0n
  for (const { parts } of freezes) for (const part of parts) if (part.grant === grant) frozen += part.held
  return frozen
}
