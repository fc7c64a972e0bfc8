/** Subscriptions: started, changed, ended, and read as they are now. */

import { timeOf } from '../core/account.ts'
import type { Command, SubscriptionCommand } from '../core/command.ts'
import { type ChangePlan, planChange } from '../core/decisions/change-plan.ts'
import { openDraft } from '../core/due.ts'
import type { Address } from '../core/ids.ts'
import type { PlanTerms } from '../core/plan.ts'
import type { JournalRecord, Metadata } from '../core/record.ts'
import { subscriptionOf } from '../core/record-subjects.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Subscription } from '../core/subscription.ts'
import { evolveSubscription } from '../core/subscription-fold.ts'
import type { Applied, SeqPage } from '../stores/store.ts'
import { readPlan } from './plans.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'

/** A subscription as it is, with its account. */
export interface SubscriptionView {
  readonly account: number
  readonly subscription: Subscription
}

/** A plan that an account is to have. */
export interface SubscribeRequest {
  readonly account: number
  readonly plan: string
  /** Null: the one in force. */
  readonly version: number | null
  /** From when periods are counted; null: from now. */
  readonly anchorMs: number | null
  readonly withTrial: boolean
  readonly metadata: Metadata
}

const NOT_FOUND = refuse('subscription_not_found', 'No subscription has this id.')
const ARCHIVED = refuse('plan_archived', 'The plan is not offered any more.')

/** What a command came to: the subscription as it is now, the command's own record, and whether an earlier request did so. */
export interface SubscriptionChanged extends SubscriptionView {
  /** Undefined: everything was so already. */
  readonly record: JournalRecord | undefined
  readonly isReplay: boolean
}

/** Subscribes an account to a plan. Refuses plan_not_found, plan_archived, and what the core refuses. */
export async function subscribe(services: Services, caller: Caller, request: SubscribeRequest): Promise<SubscriptionChanged | Refusal> {
  const { account, anchorMs, withTrial, metadata } = request
  const terms = await offeredTerms(services, request)
  const command: Command | Refusal = isRefusal(terms) ? terms : { kind: 'start_subscription', terms, anchorMs, withTrial, metadata }
  const outcome = await runCommand(services, caller, { account, command })
  if (isRefusal(outcome)) return outcome
  const [record] = outcome.records
  if (record?.kind !== 'subscription_started') throw new Error('the command started no subscription')
  return changed(services, outcome, { account, seq: record.seq })
}

/** The terms of a plan that is offered. */
async function offeredTerms(
  services: Services,
  { plan, version }: Pick<SubscribeRequest, 'plan' | 'version'>,
): Promise<PlanTerms | Refusal> {
  const found = await readPlan(services, plan, version)
  if (isRefusal(found)) return found
  const latest = version === null ? found : await readPlan(services, plan, null)
  return !isRefusal(latest) && latest.isArchived ? ARCHIVED : found.terms
}

async function changed(
  services: Services,
  { records: [record], isReplay }: Applied,
  address: Address,
): Promise<SubscriptionChanged | Refusal> {
  const view = await readSubscription(services, address)
  return isRefusal(view) ? view : { ...view, record, isReplay }
}

/** Another plan, or another version of it. */
export interface ChangeRequest extends Pick<SubscribeRequest, 'plan' | 'version'> {
  readonly at: 'now' | 'period_end'
}

/** Changes a subscription's plan: now, as far as that has to be paid for first as soon as it is; or at the period's end. */
export async function changeSubscription(
  services: Services,
  caller: Caller,
  { address, request }: { readonly address: Address; readonly request: ChangeRequest },
): Promise<SubscriptionChanged | Refusal> {
  const terms = await offeredTerms(services, request)
  return runOnSubscription(
    services,
    caller,
    address,
    isRefusal(terms) ? terms : { kind: 'change_plan', subscription: address.seq, terms, at: request.at },
  )
}

/** Works out what a change would come to now, and makes none. Refuses what the change would be refused for. */
export async function previewChange(
  services: Services,
  { account, seq }: Address,
  request: ChangeRequest,
): Promise<(ChangePlan & { readonly terms: PlanTerms }) | Refusal> {
  const terms = await offeredTerms(services, request)
  if (isRefusal(terms)) return terms
  const state = await services.store.state(account)
  if (!state) return NOT_FOUND
  const context = { nowMs: services.clock(), actor: 'time', requestId: null } as const
  const change = planChange(state, { subscription: seq, terms, at: request.at }, context)
  return isRefusal(change) ? change : { ...change, terms }
}

/** Runs a command on a subscription that an id names. */
export async function runOnSubscription(
  services: Services,
  caller: Caller,
  address: Address,
  command: SubscriptionCommand | Refusal,
): Promise<SubscriptionChanged | Refusal> {
  const outcome = await runCommand(services, caller, { account: address.account, command })
  if (isRefusal(outcome)) return outcome.refused === 'account_not_found' ? NOT_FOUND : outcome
  return changed(services, outcome, address)
}

/** A subscription as it is now: what is due is in it, booked or not. Refuses subscription_not_found. */
export async function readSubscription(services: Services, { account, seq }: Address): Promise<SubscriptionView | Refusal> {
  const kept = await services.store.subscription(account, seq)
  return kept ? asOfNow(services, account, [kept]).then(([view]) => view ?? NOT_FOUND) : NOT_FOUND
}

/** An account's subscriptions as they are now, those that have ended too. */
export async function listSubscriptions(services: Services, account: number, page: SeqPage): Promise<readonly SubscriptionView[]> {
  return asOfNow(services, account, await services.store.subscriptions(account, page))
}

async function asOfNow({ store, clock }: Services, account: number, kept: readonly Subscription[]): Promise<readonly SubscriptionView[]> {
  const state = await store.state(account)
  if (!state) return []
  const nowMs = clock()
  const due = state.dueMs > timeOf(state, nowMs) ? [] : openDraft(state, { nowMs, actor: 'time', requestId: null }).records
  return kept.map((one) => {
    const known = state.subscriptions.find(({ seq }) => seq === one.seq) ?? one
    const own = due.filter((record) => subscriptionOf(record) === one.seq)
    return { account, subscription: own.reduce(evolveSubscription, known) }
  })
}
