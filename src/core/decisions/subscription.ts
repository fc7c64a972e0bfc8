/** Subscriptions: somebody gets credits for each period of a plan, until they pause or cancel it, or do not pay. */

import type { AccountState } from '../account.ts'
import { periodAt, periodOf, type Recurrence } from '../calendar.ts'
import type { Context, Decision, Draft } from '../draft.ts'
import { openDraft } from '../due.ts'
import type { PlanTerms, Trial } from '../plan.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { begin, give, givePeriod } from '../renewal.ts'
import { MAX_SUBSCRIPTIONS, nextTerms, plansOf, recurrenceOf, type Subscription } from '../subscription.ts'
import type { Begun } from '../subscription-facts.ts'
import { nothingNew } from './checkout.ts'
import { voidGrant } from './grant.ts'

/** A plan that somebody subscribes to. */
export interface StartCommand {
  readonly terms: PlanTerms
  /** From when its periods are counted, in the past: the one that holds this moment is the first; null: from now. */
  readonly anchorMs: number | null
  /** Whether a trial of the plan comes first. */
  readonly withTrial: boolean
  readonly metadata: Readonly<Record<string, string>>
}

/** Subscribes. Credits come at once, unless they are to be paid for first. Refuses already_subscribed and too_many_subscriptions. */
export function decideStart(state: AccountState, command: StartCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const { subscriptions } = draft.state
  const { plan } = command.terms
  if (subscriptions.some((other) => plansOf(other).includes(plan)))
    return refuse('already_subscribed', `The account has the plan ${plan} already.`)
  if (subscriptions.length >= MAX_SUBSCRIPTIONS)
    return refuse('too_many_subscriptions', `The account has ${MAX_SUBSCRIPTIONS} subscriptions; cancel some first.`)
  if (command.anchorMs !== null && command.anchorMs > draft.nowMs)
    return refuse('anchor_in_future', 'Periods can be counted from the past or from now, not from a moment that is to come.')
  const { trial } = command.terms
  if (trial !== null && command.withTrial) startTrial(draft, command, trial)
  else startPeriod(draft, command)
  return draft.done()
}

/** The first period begins when the trial ends. */
function startTrial(draft: Draft, { terms, metadata }: StartCommand, trial: Trial): void {
  const days: Recurrence = { anchorMs: draft.nowMs, every: { unit: 'day', count: trial.days }, timeZone: terms.timeZone }
  const { startMs, endMs } = periodOf(days, 0)
  const seq = draft.nextSeq
  const begun: Begun = { terms, anchorMs: endMs, period: { index: -1, startMs, endMs }, due: null, credit: null }
  draft.append({ kind: 'subscription_started', ...begun, isTrial: true, metadata, events: [] })
  for (const allowance of trial.credits)
    give(draft, seq, { allowance, why: 'trial', asOfMs: draft.nowMs, expiresAtMs: endMs, actor: draft.actor })
}

function startPeriod(draft: Draft, { terms, anchorMs: asked, metadata }: StartCommand): void {
  const anchorMs = asked ?? draft.nowMs
  const seq = draft.nextSeq
  const begun = begin(terms, { anchorMs, period: periodAt(recurrenceOf(anchorMs, terms), draft.nowMs), credit: null })
  draft.append({ kind: 'subscription_started', ...begun, isTrial: false, metadata, events: [] })
  if (begun.due === null) givePeriod(draft, seq, { asOfMs: draft.nowMs, isFirst: true, actor: draft.actor })
}

/** Names a subscription. */
export interface OfSubscription {
  readonly subscription: number
}

/** The subscription, if it has not ended. Refuses subscription_not_found. */
export function liveSubscription(draft: Draft, { subscription }: OfSubscription): Subscription | Refusal {
  const found = draft.state.subscriptions.find(({ seq }) => seq === subscription)
  return found ?? refuse('subscription_not_found', 'No subscription has this id, or it has ended.')
}

/** Refuses what would get in the way of a payment that is being made. */
export function refuseInFlight({ collection }: Subscription): Refusal | undefined {
  if (!collection?.attempt) return undefined
  return refuse('payment_in_flight', 'A payment for the subscription is being made. Try again when it is known what came of it.')
}

/** Whether its period is paid for, as far as it costs anything. */
export function isPaidFor({ collection }: Subscription): boolean {
  return collection === null || collection.change !== null
}

/** Refuses what needs a subscription that runs and is paid for. */
export function refuseInactive(subscription: Subscription): Refusal | undefined {
  const { phase, isCanceled } = subscription
  if (phase !== 'running' || isCanceled) {
    const what = isCanceled ? 'to end with its period' : phase === 'trial' ? 'in its trial' : 'paused'
    return refuse('subscription_not_active', `The subscription is ${what}.`)
  }
  if (isPaidFor(subscription)) return undefined
  return refuse('subscription_unpaid', 'The period that has begun is not paid for.')
}

/** Pauses a subscription: the period goes on to its end, and none follows. */
export function decidePause(state: AccountState, command: OfSubscription, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const subscription = liveSubscription(draft, command)
  if (isRefusal(subscription)) return subscription
  if (subscription.phase === 'paused') return nothingNew(state)
  const refusal = refuseInFlight(subscription) ?? refuseInactive(subscription)
  if (refusal) return refusal
  draft.append({ kind: 'subscription_paused', subscription: subscription.seq, events: [] })
  return draft.done()
}

/**
 * Lets a subscription go on that is paused, or is to end with its period. If the period of a paused one is over, another begins now.
 * Refuses subscription_not_paused.
 */
export function decideResume(state: AccountState, command: OfSubscription, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const subscription = liveSubscription(draft, command)
  if (isRefusal(subscription)) return subscription
  const { seq, phase, isCanceled, period, hasBegun, credit } = subscription
  if (phase !== 'paused' && !isCanceled)
    return refuse('subscription_not_paused', 'The subscription is neither paused nor to end with its period: it goes on anyway.')
  const isOver = phase === 'paused' && period === null
  const terms = nextTerms(subscription)
  const anchorMs = draft.nowMs
  const begun = isOver ? begin(terms, { anchorMs, period: periodOf(recurrenceOf(anchorMs, terms), 0), credit }) : null
  draft.append({ kind: 'subscription_resumed', subscription: seq, begun, events: [] })
  if (begun?.due === null) givePeriod(draft, seq, { asOfMs: draft.nowMs, isFirst: !hasBegun, actor: draft.actor })
  return draft.done()
}

/** Which subscription ends, and when. */
export interface CancelCommand extends OfSubscription {
  /** At once, with what is unspent of its period; or with the period. */
  readonly at: 'now' | 'period_end'
}

/**
 * Cancels a subscription: it ends with its period, or at once when that is asked for or nothing has been paid for. What is unspent of the
 * period goes with it only when it is ended at once.
 */
export function decideCancel(state: AccountState, command: CancelCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const subscription = liveSubscription(draft, command)
  if (isRefusal(subscription)) return subscription
  const { seq, phase, isCanceled } = subscription
  const isRunning = phase !== 'paused' && isPaidFor(subscription)
  if (command.at === 'period_end' && isCanceled) return nothingNew(state)
  const refusal = refuseInFlight(subscription)
  if (refusal) return refusal
  if (command.at === 'period_end' && isRunning) {
    draft.append({ kind: 'subscription_canceled', subscription: seq, events: [] })
    return draft.done()
  }
  draft.append({ kind: 'subscription_ended', subscription: seq, reason: 'canceled', dueMs: draft.nowMs, events: [] })
  if (command.at === 'now') voidGrants(draft, subscription)
  return draft.done()
}

function voidGrants(draft: Draft, { grants }: Subscription): void {
  for (const { creditType, grants: open } of draft.state.pools)
    for (const grant of open)
      if (grant.closed === null && grants.includes(grant.seq))
        voidGrant(draft, creditType, { grant, reason: 'the subscription was canceled' })
}
