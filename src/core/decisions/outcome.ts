/** Make-good: work that was charged and has failed is refunded by itself, as far as the policy goes. */

import type { AccountState } from '../account.ts'
import { micro, most } from '../credits.ts'
import type { Context, Decision } from '../draft.ts'
import { openDraft } from '../due.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import type { ChargeFacts } from './facts.ts'
import { backFrom } from './refund.ts'

/** What became of charged work. */
export interface OutcomeCommand {
  /** Null: there is no such charge. */
  readonly charge: ChargeFacts | null
  readonly outcome: 'failed' | 'succeeded'
  /** Of the charge, in whole percent, that is made good when the work failed. */
  readonly percent: number
  readonly reason: string
  /** Life of the grant that replaces ended ones. */
  readonly grantDays: number
}

/**
 * Puts on record what became of charged work. If it failed, so much of the charge is given back as the policy says, what was refunded
 * before counted in; and never more than is left.
 */
export function decideOutcome(state: AccountState, command: OutcomeCommand, context: Context): Decision | Refusal {
  const { charge, outcome, percent, reason, grantDays } = command
  if (!charge) return refuse('charge_not_found', 'No charge has this id.')
  const draft = openDraft(state, context)
  const { record, refunded } = charge
  const wanted = outcome === 'failed' ? (record.credits * BigInt(percent)) / 100n : 0n
  const given = backFrom(draft, state, { charge, credits: micro(most(0n, wanted - refunded)), grantDays })
  if (isRefusal(given)) return given
  draft.append({ kind: 'outcome_reported', ...given, outcome, reason })
  return draft.done()
}
