/** Subscriptions as they are answered. */

import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import type { ChangePlan } from '../../core/decisions/change-plan.ts'
import { accountId, objectId } from '../../core/ids.ts'
import type { PlanTerms } from '../../core/plan.ts'
import { type Collection, type Subscription, type SubscriptionStatus, statusOf } from '../../core/subscription.ts'
import type { Proration } from '../../core/subscription-facts.ts'
import type { SubscriptionView } from '../../operations/subscriptions.ts'
import { MoneyBody, NextRenewal, PeriodLengthBody, PlanCreditsBody, renderMoney, renderPlanCredits, renderRenewal } from './plan-bodies.ts'
import { Amount, decimalOut, NullableTime, nullable, nullableObject, StringMap, Time } from './schemas.ts'
import { nullableTimeOut, timeOut } from './values.ts'

const STATUSES = ['trialing', 'pending', 'active', 'past_due', 'paused', 'ended'] as const satisfies readonly SubscriptionStatus[]

const Payment = Type.Object(
  {
    amount_minor: Type.Integer(),
    currency: Type.String(),
    pays_for: Type.Unsafe<'period' | 'change'>({ type: 'string', enum: ['period', 'change'] }),
    state: Type.Unsafe<'wanted' | 'in_flight' | 'on_its_way'>({ type: 'string', enum: ['wanted', 'in_flight', 'on_its_way'] }),
    page_url: nullable<string>('string', 'Where the customer pays; null: no page was opened for it.'),
    declines: Type.Integer({ description: 'Since anything was last paid.' }),
    last_failure: nullable<string>('string', "The provider's reason, or `no_payment_method`, or `page_expired`."),
    next_attempt_at: nullable<string>(
      'string',
      'When it is tried again without the customer; null: not before they do something.',
      'date-time',
    ),
    ends_at: nullable<string>('string', 'When the subscription ends unless it is paid for; null: nothing has failed yet.', 'date-time'),
  },
  { description: 'Money that is wanted. The credits come with it.' },
)

/** A subscription. */
export const SubscriptionBody = Type.Object(
  {
    object: Type.Literal('subscription'),
    id: Type.String(),
    account: Type.String(),
    status: Type.Unsafe<SubscriptionStatus>({
      type: 'string',
      enum: [...STATUSES],
      description: '`pending`: its first payment is wanted. `past_due`: a later one has failed.',
    }),
    plan: Type.String(),
    plan_version: Type.Integer(),
    plan_name: Type.String(),
    credits: Type.Array(PlanCreditsBody),
    period: PeriodLengthBody,
    time_zone: Type.String(),
    price: nullableObject(MoneyBody),
    anchor: Type.String({ format: 'date-time', description: 'From which periods are counted.' }),
    current_period: nullableObject(Type.Object({ start: Time, end: Time })),
    next_renewal: nullableObject(NextRenewal),
    cancels_at: nullable<string>('string', 'When it ends because it was canceled; null: it was not.', 'date-time'),
    pending_change: nullableObject(
      Type.Object({
        plan: Type.String(),
        plan_version: Type.Integer(),
        waits_for: Type.Unsafe<'period_end' | 'payment'>({ type: 'string', enum: ['period_end', 'payment'] }),
      }),
    ),
    credit: nullableObject(MoneyBody),
    payment: nullableObject(Payment),
    last_payment: nullableObject(Type.Object({ amount_minor: Type.Integer(), currency: Type.String(), payment: Type.String(), at: Time })),
    ended_at: NullableTime,
    ended_because: nullable<string>('string', '`canceled` or `unpaid`; null: it has not ended.'),
    metadata: StringMap,
    created_at: Time,
  },
  { description: 'A plan that an account has: what it gives, what comes next, and what is to be paid.' },
)

/** Writes a subscription. */
export function renderSubscription({ account, subscription }: SubscriptionView): Static<typeof SubscriptionBody> {
  const { seq, terms, anchorMs, period, isCanceled, credit, collection, lastPayment, ended, metadata, startedAtMs } = subscription
  return {
    object: 'subscription',
    id: objectId('sub', account, seq),
    account: accountId(account),
    status: statusOf(subscription),
    plan: terms.plan,
    plan_version: terms.version,
    plan_name: terms.name,
    credits: renderPlanCredits(terms.credits),
    period: { ...terms.every },
    time_zone: terms.timeZone,
    price: renderMoney(terms.price),
    anchor: timeOut(anchorMs),
    current_period: ended === null && period !== null ? { start: timeOut(period.startMs), end: timeOut(period.endMs) } : null,
    next_renewal: renderRenewal(account, subscription),
    cancels_at: isCanceled && ended === null ? nullableTimeOut(period?.endMs ?? null) : null,
    pending_change: pendingChange(subscription),
    credit: renderMoney(credit),
    payment: collection && renderPayment(collection),
    last_payment: lastPayment && { ...moneyOf(lastPayment), payment: lastPayment.payment, at: timeOut(lastPayment.atMs) },
    ended_at: nullableTimeOut(ended?.atMs ?? null),
    ended_because: ended?.reason ?? null,
    metadata,
    created_at: timeOut(startedAtMs),
  }
}

function moneyOf({ amountMinor, currency }: { readonly amountMinor: number; readonly currency: string }) {
  return { amount_minor: amountMinor, currency }
}

function pendingChange({ change, collection }: Subscription): Static<typeof SubscriptionBody>['pending_change'] {
  const [terms, waits_for] = change ? [change, 'period_end' as const] : [collection?.change?.terms, 'payment' as const]
  return terms ? { plan: terms.plan, plan_version: terms.version, waits_for } : null
}

function renderPayment(collection: Collection): Static<typeof Payment> {
  const { change, attempt, declines, lastFailure, nextAttemptMs, graceEndsMs } = collection
  return {
    ...moneyOf(collection),
    pays_for: change === null ? 'period' : 'change',
    state: attempt === null ? 'wanted' : attempt.payment === null ? 'in_flight' : 'on_its_way',
    page_url: attempt?.page?.url ?? null,
    declines,
    last_failure: lastFailure,
    next_attempt_at: nullableTimeOut(nextAttemptMs),
    ends_at: nullableTimeOut(graceEndsMs),
  }
}

/** How much of a period was left when a plan was changed, and what that is in money. */
export const ProrationBody = Type.Object(
  {
    remaining_seconds: Type.Number({ description: 'What was left of the period.' }),
    period_seconds: Type.Number(),
    credited_minor: Type.Integer({ description: 'For what was left of the old plan, rounded down.' }),
    charged_minor: Type.Integer({ description: 'For as long of the new one, rounded down; for all of a period that begins now.' }),
  },
  { title: 'Proration', description: 'How the money of a change was worked out.' },
)

/** Writes how a change was worked out. */
export function renderProration({ remainingMs, periodMs, creditedMinor, chargedMinor }: Proration): Static<typeof ProrationBody> {
  return {
    remaining_seconds: remainingMs / 1_000,
    period_seconds: periodMs / 1_000,
    credited_minor: creditedMinor,
    charged_minor: chargedMinor,
  }
}

/** What a change would come to. */
export const ChangePreview = Type.Object(
  {
    object: Type.Literal('subscription_change_preview'),
    plan: Type.String(),
    plan_version: Type.Integer(),
    takes_effect: Type.Unsafe<'now' | 'with_payment' | 'period_end'>({ type: 'string', enum: ['now', 'with_payment', 'period_end'] }),
    proration: nullableObject(ProrationBody),
    credits: Type.Array(
      Type.Object({
        credit_type: Type.String(),
        unused: decimalOut('Of the old plan, for what is left of the period.'),
        due: decimalOut('Of the new plan, for what follows.'),
        taken: decimalOut('Taken back of what is unspent.'),
        given: Amount,
      }),
    ),
    to_pay: nullableObject(MoneyBody),
    credit: nullableObject(MoneyBody),
  },
  { description: 'What a change would come to if it was made now. What is spent of the old plan is taken off what the new one gives.' },
)

/** Writes what a change would come to. */
export function renderPreview({ now, terms }: ChangePlan & { readonly terms: PlanTerms }): Static<typeof ChangePreview> {
  const plan = { object: 'subscription_change_preview', plan: terms.plan, plan_version: terms.version } as const
  if (now === null) return { ...plan, takes_effect: 'period_end', proration: null, credits: [], to_pay: null, credit: null }
  return {
    ...plan,
    takes_effect: now.due === null ? 'now' : 'with_payment',
    proration: renderProration(now.proration),
    credits: now.credits.map(({ creditType, unused, due, taken, given }) => ({
      credit_type: creditType,
      unused: formatCredits(unused),
      due: formatCredits(due),
      taken: formatCredits(taken),
      given: formatCredits(given),
    })),
    to_pay: renderMoney(now.due),
    credit: renderMoney(now.credit),
  }
}
