/** Changes of plan: now, with the difference explained and paid for, or with the next period. */

import type { AccountState } from '../account.ts'
import type { Context, Decision } from '../draft.ts'
import { openDraft } from '../due.ts'
import type { Money } from '../payment.ts'
import type { PlanTerms } from '../plan.ts'
import { type CreditChange, changeNow, creditChanges, prorate } from '../proration.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { plansOf, type Subscription } from '../subscription.ts'
import type { Proration } from '../subscription-facts.ts'
import { liveSubscription, type OfSubscription, refuseInactive, refuseInFlight } from './subscription.ts'

/** Which plan a subscription is to have, and from when on. */
export interface ChangeCommand extends OfSubscription {
  readonly terms: PlanTerms
  readonly at: 'now' | 'period_end'
}

/** What a change comes to. */
export interface ChangePlan {
  readonly before: Subscription
  /** Null: it is made with the next period, and nothing is to be worked out. */
  readonly now: {
    readonly proration: Proration
    readonly credits: readonly CreditChange[]
    /** To be paid first; null: nothing. */
    readonly due: Money | null
    /** What the customer has left of money afterwards; null: nothing. */
    readonly credit: Money | null
  } | null
}

/** Works a change out without making it. Refuses what the change would be refused for. */
export function planChange(state: AccountState, command: ChangeCommand, context: Context): ChangePlan | Refusal {
  const draft = openDraft(state, context)
  const before = liveSubscription(draft, command)
  if (isRefusal(before)) return before
  const refusal = refuseInFlight(before) ?? refuseTerms(draft.state, before, command.terms)
  if (refusal) return refusal
  // A plan that has not begun, or is paused, has nothing to be changed in.
  if (command.at === 'period_end' || before.phase !== 'running') return { before, now: null }
  const inactive = refuseInactive(before)
  if (inactive) return inactive
  const { terms } = command
  const proration = prorate(before, terms, draft.nowMs)
  const credits = creditChanges(draft, before, { terms, share: proration })
  return { before, now: { proration, credits, ...moneyFor(before, terms, proration) } }
}

function refuseTerms({ subscriptions }: AccountState, before: Subscription, { plan, version, price }: PlanTerms): Refusal | undefined {
  const { terms, change, collection, isCanceled } = before
  if (terms.plan === plan && terms.version === version && change === null && !collection?.change)
    return refuse('plan_unchanged', 'The subscription has this version of the plan already.')
  if (isCanceled) return refuse('subscription_not_active', 'The subscription is to end with its period.')
  if (subscriptions.some((other) => other !== before && plansOf(other).includes(plan)))
    return refuse('already_subscribed', `The account has the plan ${plan} already.`)
  const currency = terms.price?.currency ?? before.credit?.currency
  if (price && currency !== undefined && price.currency !== currency)
    return refuse('plan_currency_differs', `The plan costs ${price.currency}, and what was paid for before is in ${currency}.`)
  return undefined
}

/** What is to be paid, or is left: the difference, and what was left before. */
function moneyFor(before: Subscription, { price }: PlanTerms, { chargedMinor, creditedMinor }: Proration): ChangePlanMoney {
  const currency = price?.currency ?? before.terms.price?.currency ?? before.credit?.currency
  const dueMinor = chargedMinor - creditedMinor - (before.credit?.amountMinor ?? 0)
  if (currency === undefined || dueMinor === 0) return { due: null, credit: null }
  const amount = { amountMinor: Math.abs(dueMinor), currency }
  return dueMinor > 0 ? { due: amount, credit: null } : { due: null, credit: amount }
}

type ChangePlanMoney = Pick<NonNullable<ChangePlan['now']>, 'due' | 'credit'>

/**
 * Changes a subscription's plan. Now: at once, or as soon as the difference is paid; money that is left over counts for later periods. At
 * the period's end, in a trial or while it is paused: with the next period.
 */
export function decideChange(state: AccountState, command: ChangeCommand, context: Context): Decision | Refusal {
  const change = planChange(state, command, context)
  if (isRefusal(change)) return change
  const draft = openDraft(state, context)
  const { terms } = command
  const { seq, terms: before } = change.before
  if (change.now === null) {
    const isSame = before.plan === terms.plan && before.version === terms.version
    draft.append({ kind: 'subscription_change_planned', subscription: seq, terms: isSame ? null : terms, events: [] })
    return draft.done()
  }
  const { proration, due, credit } = change.now
  if (due !== null) draft.append({ kind: 'subscription_change_due', subscription: seq, terms, due, proration, events: [] })
  else changeNow(draft, seq, { terms, share: proration, credit })
  return draft.done()
}
