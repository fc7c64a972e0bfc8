/** Test clocks: accounts whose time somebody moves. */

import type { AccountState } from '../account.ts'
import type { Context, Decision } from '../draft.ts'
import { bookDue, openDraft } from '../due.ts'
import { nothingNew } from './checkout.ts'

/**
 * Moves the time of an account that lives by a test clock, and books all that becomes due by that, in order. A time that is not later
 * changes nothing; nor does any in an account that lives in real time, which nobody moves.
 */
export function decideAdvanceClock(state: AccountState, { nowMs }: { readonly nowMs: number }, context: Context): Decision {
  const { clock } = state
  if (clock === null || nowMs <= clock.nowMs) return nothingNew(state)
  const draft = openDraft(state, context)
  const sinceMs = draft.state.atMs
  draft.append({ kind: 'clock_advanced', nowMs, events: [] })
  bookDue(draft, sinceMs)
  return draft.done()
}
