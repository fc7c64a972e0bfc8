/** What a pool of credits is worth at a moment. */

import type { OpenGrant, Pool } from './account.ts'
import { type Microcredits, micro } from './credits.ts'

/** A balance: `available = settled − held`. Settled is below zero when there is a debt. */
export interface Balance {
  readonly settled: Microcredits
  readonly held: Microcredits
}

/** Whether new charges and holds may draw on a grant now: effective ≤ now < expires, not ended. */
export function isEligible(grant: OpenGrant, nowMs: number): boolean {
  return grant.closed === null && grant.effectiveAtMs <= nowMs && (grant.expiresAtMs === null || nowMs < grant.expiresAtMs)
}

/** The balance of a pool. Grants that are not yet effective do not count; what holds keep of ended grants does. */
export function balanceOf(pool: Pool, nowMs: number): Balance {
  let settled = -pool.debt
  let held = 0n
  for (const grant of pool.grants) {
    if (grant.effectiveAtMs > nowMs) continue
    settled += grant.remaining
    held += grant.held
  }
  return { settled: micro(settled), held: micro(held) }
}

/** Credits that become usable later. */
export function pendingOf(pool: Pool, nowMs: number): Microcredits {
  return micro(pool.grants.reduce((sum, grant) => (grant.effectiveAtMs > nowMs ? sum + grant.remaining : sum), 0n))
}

/** What can be charged or held now; below zero when there is a debt. */
export function availableOf({ settled, held }: Balance): Microcredits {
  return micro(settled - held)
}

/**
 * The burn order: priority, then what expires first (never last), then unpaid before paid, then what became effective
 * first, then what was made first. Negative when `a` burns before `b`.
 */
export function burnOrder(a: OpenGrant, b: OpenGrant): number {
  if (a.priority !== b.priority) return a.priority - b.priority
  if (a.expiresAtMs !== b.expiresAtMs) {
    // Infinity − Infinity is NaN, so never-expiring grants are told apart by hand.
    if (a.expiresAtMs === null) return 1
    if (b.expiresAtMs === null) return -1
    return a.expiresAtMs - b.expiresAtMs
  }
  if (a.paid !== b.paid) return a.paid ? 1 : -1
  if (a.effectiveAtMs !== b.effectiveAtMs) return a.effectiveAtMs - b.effectiveAtMs
  return a.seq - b.seq
}
