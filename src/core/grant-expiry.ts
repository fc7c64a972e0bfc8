/** The end of a grant, as of the moment at which it was due. */

import type { OpenGrant } from './account.ts'
import { type Microcredits, micro } from './credits.ts'
import type { Draft } from './draft.ts'

/** Ends a grant that expires. Gives what was left of it and not held: that is gone. */
export function expireGrant(draft: Draft, creditType: string, grant: OpenGrant): Microcredits {
  const dueMs = grant.expiresAtMs ?? draft.nowMs
  const pool = draft.pool(creditType, dueMs)
  const credits = micro(pool.freeOf(grant))
  if (credits > 0n) pool.move(grant.seq, -credits, 0n)
  draft.append({ kind: 'grant_expired', ...pool.fields, grant: grant.seq, credits, dueMs }, 'time')
  return credits
}
