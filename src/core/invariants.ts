/** What must hold of every account's state, after every record. */

import type { AccountState, OpenGrant, Pool } from './account.ts'
import { balanceOf } from './balance.ts'

/**
 * Throws a fault when the state breaks an invariant: conservation, holds against grants, debt against credits left. What was
 * due by time is booked in order, so while it is being booked the state is that of `asOfMs`.
 */
export function assertSound(state: AccountState, asOfMs: number = state.atMs): void {
  for (const pool of state.pools) {
    const remaining = pool.grants.reduce((sum, grant) => sum + grant.remaining, 0n)
    const booked = pool.granted - pool.charged + pool.refunded - pool.expired - pool.voided
    if (remaining - pool.debt !== booked)
      throw new Error(`${pool.creditType}: ${remaining - pool.debt} left where the totals say ${booked}`)
    for (const grant of pool.grants) assertHeld(state, pool, grant)
    const { settled, held } = balanceOf(pool, asOfMs)
    if (pool.debt > 0n && settled - held > -pool.debt) throw new Error(`${pool.creditType}: a debt of ${pool.debt} beside free credits`)
  }
}

function assertHeld(state: AccountState, pool: Pool, grant: OpenGrant): void {
  let held = 0n
  for (const holder of [...state.holds, ...state.freezes]) {
    if (holder.creditType !== pool.creditType) continue
    for (const part of holder.parts) if (part.grant === grant.seq) held += part.held
  }
  if (held !== grant.held)
    throw new Error(`${pool.creditType}: grant ${grant.seq} has ${grant.held} held where live holds and disputes say ${held}`)
}
