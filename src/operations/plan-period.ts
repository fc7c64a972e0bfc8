/** The period of plan credits that an account is in: that of its subscriptions, or else of the grants that came from a plan. */

import type { AccountState } from '../core/account.ts'
import type { Subscription } from '../core/subscription.ts'
import { type GrantHistory, isInForce } from './grant-history.ts'

/** What plans give an account now, in credits of one type. */
export interface PlanPeriod {
  /** When plan credits were last given; null: never. */
  readonly lastResetMs: number | null
  /** When they end, or the next ones come; null: no plan is in force, or its credits never end. */
  readonly nextResetMs: number | null
  /** Credits of the period, all plans together; 0 without a plan. */
  readonly amount: bigint
  /** Whether it is that of a subscription. */
  readonly isSubscribed: boolean
}

/** The period that an account is in. `history` is of the same credit type. */
export async function planPeriodOf(
  history: GrantHistory,
  { state, asOfMs }: { readonly state: AccountState; readonly asOfMs: number },
): Promise<PlanPeriod> {
  const begun = state.subscriptions.flatMap((one) => periodOf(one, history.creditType) ?? [])
  if (begun.length === 0) return ofGrants(history, state, asOfMs)
  return {
    lastResetMs: Math.max(...begun.map(({ startMs }) => startMs)),
    nextResetMs: Math.min(...begun.map(({ endMs }) => endMs)),
    amount: begun.reduce((sum, { amount }) => sum + amount, 0n),
    isSubscribed: true,
  }
}

/** What a subscription gives in its period; undefined: nothing of the type, or it is not paid for. */
function periodOf({ phase, period, hasBegun, collection, terms }: Subscription, creditType: string) {
  const allowance = terms.credits.find((one) => one.creditType === creditType)
  const isUnpaid = collection !== null && collection.change === null
  if (period === null || phase === 'trial' || !hasBegun || isUnpaid || !allowance) return undefined
  return { startMs: period.startMs, endMs: period.endMs, amount: allowance.credits }
}

async function ofGrants(history: GrantHistory, state: AccountState, nowMs: number): Promise<PlanPeriod> {
  const plan = await history.latestPlan(state, nowMs)
  const current = plan && isInForce(plan, nowMs) ? plan : null
  return {
    lastResetMs: plan?.effectiveAtMs ?? null,
    nextResetMs: current?.expiresAtMs ?? null,
    amount: current?.amount ?? 0n,
    isSubscribed: false,
  }
}
