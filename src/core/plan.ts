/** Plans: what an operator offers for a period, in versions that are never edited. */

import { isTimeZone, type PeriodLength } from './calendar.ts'
import { MAX_MICROCREDITS, type Microcredits } from './credits.ts'
import type { Money } from './payment.ts'

/** Most credit types of one plan. */
export const MAX_PLAN_CREDITS = 5
/** Most periods that credits may roll over for: so an account's open grants stay few, however long it has a plan. */
export const MAX_ROLLOVER_PERIODS = 12
/** Most of a unit that make one period. */
export const MAX_PERIOD_COUNT = 366

/** Credits of one type. */
export interface Allowance {
  readonly creditType: string
  readonly credits: Microcredits
}

/** What becomes of credits that are left at a period's end. */
export interface Rollover {
  /** Of what is left, in whole percent. */
  readonly percent: number
  /** Most that rolls over at once; null: all of that part. */
  readonly cap: Microcredits | null
  /** Periods after which it ends; 1: with the next one. */
  readonly periods: number
}

/** Credits of one type that a plan gives for each period. */
export interface PlanCredits extends Allowance {
  /** Null: what is left ends with the period. */
  readonly rollover: Rollover | null
}

/** Credits that are given once, with the first period. */
export interface WelcomeCredits extends Allowance {
  /** Null: for ever. */
  readonly lifeDays: number | null
}

/** Days before the first period, with credits of their own. */
export interface Trial {
  readonly days: number
  readonly credits: readonly Allowance[]
}

/** One version of a plan: what a subscription keeps of it. */
export interface PlanTerms {
  readonly plan: string
  readonly version: number
  readonly name: string
  readonly every: PeriodLength
  /** In which periods are counted. */
  readonly timeZone: string
  readonly credits: readonly PlanCredits[]
  readonly welcome: readonly WelcomeCredits[]
  readonly trial: Trial | null
  /** For each period; null: nothing. */
  readonly price: Money | null
}

/** What is wrong with a plan; null: nothing. */
export function faultInPlan({ every, timeZone, credits, welcome, trial }: PlanTerms): string | null {
  if (!isTimeZone(timeZone)) return `${timeZone} is no time zone`
  if (every.count > MAX_PERIOD_COUNT) return `a period has ${MAX_PERIOD_COUNT} of its unit at most`
  if (credits.length === 0) return 'a plan gives credits of one type at least'
  const lists: readonly (readonly Allowance[])[] = [credits, welcome, trial?.credits ?? []]
  return lists.map(faultInList).find((fault) => fault !== null) ?? null
}

function faultInList(list: readonly Allowance[]): string | null {
  if (list.length > MAX_PLAN_CREDITS) return `a plan gives credits of ${MAX_PLAN_CREDITS} types at most`
  if (new Set(list.map(({ creditType }) => creditType)).size < list.length) return 'a credit type is named twice'
  const wrong = list.find(({ credits }) => credits <= 0n || credits > MAX_MICROCREDITS)
  return wrong ? `the ${wrong.creditType} of a plan must be more than 0, and no more than an account can hold` : null
}

/** Whether two plans count their periods alike: then a change between them keeps the period that has begun. */
export function haveSamePeriods(a: PlanTerms, b: PlanTerms): boolean {
  return a.every.unit === b.every.unit && a.every.count === b.every.count && a.timeZone === b.timeZone
}
