/** Plans as they are sent and answered, and what a subscription's next period brings. */

import { type Static, Type } from 'typebox'
import type { AccountState } from '../../core/account.ts'
import { formatCredits } from '../../core/credits.ts'
import { objectId } from '../../core/ids.ts'
import type { Money } from '../../core/payment.ts'
import {
  type Allowance,
  MAX_PERIOD_COUNT,
  MAX_PLAN_CREDITS,
  MAX_ROLLOVER_PERIODS,
  type PlanCredits,
  type PlanTerms,
  type Rollover,
} from '../../core/plan.ts'
import { nextTerms, type Subscription } from '../../core/subscription.ts'
import type { OfferedPlan, PlanWish } from '../../operations/plans.ts'
import { Amount, AmountIn, CreditType, NullableAmount, nullableObject, Time } from './schemas.ts'
import { AmountMinor } from './topup-options.ts'
import { nullableAmountOut, positiveIn, timeOut } from './values.ts'

/** Longest trial, and longest life of credits that are given once. */
const MAX_DAYS = 3_650
const MAX_TRIAL_DAYS = 366

/** An amount of money, answered. */
export const MoneyBody = Type.Object({ amount_minor: Type.Integer(), currency: Type.String() }, { title: 'Money' })

/** How long a period is. */
export const PeriodLengthBody = Type.Object(
  {
    unit: Type.Unsafe<'day' | 'week' | 'month' | 'year'>({ type: 'string', enum: ['day', 'week', 'month', 'year'] }),
    count: Type.Integer({ minimum: 1, maximum: MAX_PERIOD_COUNT }),
  },
  { additionalProperties: false },
)

const AllowanceIn = { credit_type: Type.Optional(CreditType), amount: AmountIn }
const LifeDays = Type.Unsafe<number | null>({ type: ['integer', 'null'], minimum: 1, maximum: MAX_DAYS, description: 'Null: for ever.' })
const Percent = Type.Integer({ minimum: 1, maximum: 100, description: 'Of what is left of the period’s credits.' })
const Periods = Type.Integer({
  minimum: 1,
  maximum: MAX_ROLLOVER_PERIODS,
  description: 'Periods after which what rolled over ends; 1: with the next one.',
})
const PlanCreditsList = { minItems: 1, maxItems: MAX_PLAN_CREDITS, description: 'What each period gives, by credit type.' }

/** A plan as an operator sets it. */
export const PlanIn = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100 }),
    credits: Type.Array(
      Type.Object(
        {
          ...AllowanceIn,
          rollover: Type.Optional(
            Type.Object(
              { percent: Type.Optional(Percent), cap: Type.Optional(AmountIn), periods: Type.Optional(Periods) },
              { additionalProperties: false, description: 'Without it, what is left ends with the period.' },
            ),
          ),
        },
        { additionalProperties: false },
      ),
      PlanCreditsList,
    ),
    period: Type.Optional(PeriodLengthBody),
    time_zone: Type.Optional(Type.String({ maxLength: 64, description: 'IANA name; default UTC. Periods keep their time of day in it.' })),
    welcome: Type.Optional(
      Type.Array(Type.Object({ ...AllowanceIn, expires_in_days: Type.Optional(LifeDays) }, { additionalProperties: false }), {
        maxItems: MAX_PLAN_CREDITS,
        description: 'Given once, with the first period.',
      }),
    ),
    trial: Type.Optional(
      Type.Object(
        {
          days: Type.Integer({ minimum: 1, maximum: MAX_TRIAL_DAYS }),
          credits: Type.Array(Type.Object(AllowanceIn, { additionalProperties: false }), { maxItems: MAX_PLAN_CREDITS }),
        },
        { additionalProperties: false, description: 'Days before the first period, with credits of their own.' },
      ),
    ),
    price: Type.Optional(
      Type.Object(
        { amount_minor: AmountMinor, currency: Type.String({ pattern: '^[a-z]{3}$', description: 'ISO 4217, lower case.' }) },
        { additionalProperties: false, description: 'Of each period; without it the plan costs nothing.' },
      ),
    ),
    archived: Type.Optional(Type.Boolean({ description: 'Not offered any more: who has it keeps it.' })),
  },
  { additionalProperties: false },
)

/** Reads a plan. */
export function planIn(id: string, body: Static<typeof PlanIn>): PlanWish {
  const { name, credits, period = { unit: 'month', count: 1 }, time_zone: timeZone = 'UTC', welcome = [], trial, price, archived } = body
  return {
    isArchived: archived ?? false,
    terms: {
      plan: id,
      name,
      every: { unit: period.unit, count: period.count },
      timeZone,
      credits: credits.map(({ rollover, ...one }, index) => {
        const pointer = `#/credits/${index}`
        return { ...allowanceIn(one, pointer), rollover: rollover ? rolloverIn(rollover, `${pointer}/rollover`) : null }
      }),
      welcome: welcome.map(({ expires_in_days, ...one }, index) => {
        return { ...allowanceIn(one, `#/welcome/${index}`), lifeDays: expires_in_days ?? null }
      }),
      trial: trial ? { days: trial.days, credits: trial.credits.map((one, index) => allowanceIn(one, `#/trial/credits/${index}`)) } : null,
      price: price ? { amountMinor: price.amount_minor, currency: price.currency } : null,
    },
  }
}

function allowanceIn(
  { credit_type: creditType = 'credits', amount }: { readonly credit_type?: string; readonly amount: string | number },
  pointer: string,
): Allowance {
  return { creditType, credits: positiveIn(amount, `${pointer}/amount`) }
}

function rolloverIn(
  { percent = 100, cap, periods = 1 }: { readonly percent?: number; readonly cap?: string | number; readonly periods?: number },
  pointer: string,
): Rollover {
  return { percent, cap: cap === undefined ? null : positiveIn(cap, `${pointer}/cap`), periods }
}

const AllowanceBody = { credit_type: Type.String(), amount: Amount }

/** What a period gives of one credit type. */
export const PlanCreditsBody = Type.Object({
  ...AllowanceBody,
  rollover: nullableObject(Type.Object({ percent: Type.Integer(), cap: NullableAmount, periods: Type.Integer() })),
})

/** Writes what a period gives. */
export function renderPlanCredits(credits: readonly PlanCredits[]): Static<typeof PlanCreditsBody>[] {
  return credits.map(({ rollover, ...one }) => ({
    ...renderAllowance(one),
    rollover: rollover && { percent: rollover.percent, cap: nullableAmountOut(rollover.cap), periods: rollover.periods },
  }))
}

function renderAllowance({ creditType, credits }: Allowance): { credit_type: string; amount: string } {
  return { credit_type: creditType, amount: formatCredits(credits) }
}

/** A plan, answered. */
export const Plan = Type.Object(
  {
    object: Type.Literal('plan'),
    id: Type.String(),
    version: Type.Integer(),
    name: Type.String(),
    archived: Type.Boolean(),
    period: PeriodLengthBody,
    time_zone: Type.String(),
    credits: Type.Array(PlanCreditsBody),
    welcome: Type.Array(Type.Object({ ...AllowanceBody, expires_in_days: LifeDays })),
    trial: nullableObject(Type.Object({ days: Type.Integer(), credits: Type.Array(Type.Object(AllowanceBody)) })),
    price: nullableObject(MoneyBody),
    created_at: Time,
  },
  { description: 'What is offered for a period, in the version in force.' },
)

/** Writes a plan. */
export function renderPlan({ terms, isArchived, createdAtMs }: OfferedPlan): Static<typeof Plan> {
  const { plan, version, name, every, timeZone, credits, welcome, trial, price } = terms
  return {
    object: 'plan',
    id: plan,
    version,
    name,
    archived: isArchived,
    period: { ...every },
    time_zone: timeZone,
    credits: renderPlanCredits(credits),
    welcome: welcome.map(({ lifeDays, ...one }) => ({ ...renderAllowance(one), expires_in_days: lifeDays })),
    trial: trial && { days: trial.days, credits: trial.credits.map(renderAllowance) },
    price: renderMoney(price),
    created_at: timeOut(createdAtMs),
  }
}

/** Writes an amount of money, or null. */
export function renderMoney(money: Money | null): Static<typeof MoneyBody> | null {
  return money && { amount_minor: money.amountMinor, currency: money.currency }
}

/** What comes with a subscription's next period. */
export const NextRenewal = Type.Object(
  {
    subscription: Type.String(),
    plan: Type.String(),
    at: Time,
    credits: Type.Array(Type.Object(AllowanceBody)),
    price: nullableObject(MoneyBody),
  },
  { title: 'NextRenewal' },
)

/** What comes with the next period; null: none follows. */
export function renderRenewal(account: number, subscription: Subscription): Static<typeof NextRenewal> | null {
  const { seq, period, phase, isCanceled } = subscription
  if (period === null || phase === 'paused' || phase === 'ended' || isCanceled) return null
  const { plan, credits, price }: PlanTerms = nextTerms(subscription)
  return {
    subscription: objectId('sub', account, seq),
    plan,
    at: timeOut(period.endMs),
    credits: credits.map(renderAllowance),
    price: renderMoney(price),
  }
}

/** The next renewal of each subscription, soonest first. */
export function renderRenewals({ number, subscriptions }: AccountState): Static<typeof NextRenewal>[] {
  return subscriptions.flatMap((one) => renderRenewal(number, one) ?? []).sort((a, b) => (a.at < b.at ? -1 : 1))
}
