/** Plans as plain JSON, for journal records, states and the rows in which operators' plans are kept. */

import type { Microcredits } from './credits.ts'
import type { Allowance, PlanCredits, PlanTerms, Rollover, Trial, WelcomeCredits } from './plan.ts'

type Written<Thing extends Allowance> = Omit<Thing, 'credits' | 'rollover'> & { readonly credits: string }
type EncodedRollover = Omit<Rollover, 'cap'> & { readonly cap: string | null }
type EncodedCredits = Written<PlanCredits> & { readonly rollover: EncodedRollover | null }

/** A plan as plain JSON. */
export interface EncodedPlan extends Omit<PlanTerms, 'credits' | 'welcome' | 'trial'> {
  readonly credits: readonly EncodedCredits[]
  readonly welcome: readonly Written<WelcomeCredits>[]
  readonly trial: (Omit<Trial, 'credits'> & { readonly credits: readonly Written<Allowance>[] }) | null
}

/** Writes a plan, field by field: equal plans give equal texts, in whatever order they were built. */
export function encodePlan({ plan, version, name, every, timeZone, credits, welcome, trial, price }: PlanTerms): EncodedPlan {
  return {
    plan,
    version,
    name,
    every: { unit: every.unit, count: every.count },
    timeZone,
    credits: credits.map((one) => ({ ...encodeAllowance(one), rollover: one.rollover && encodeRollover(one.rollover) })),
    welcome: welcome.map((one) => ({ ...encodeAllowance(one), lifeDays: one.lifeDays })),
    trial: trial && { days: trial.days, credits: trial.credits.map(encodeAllowance) },
    price: price && { amountMinor: price.amountMinor, currency: price.currency },
  }
}

function encodeAllowance({ creditType, credits }: Allowance): Written<Allowance> {
  return { creditType, credits: credits.toString() }
}

function encodeRollover({ percent, cap, periods }: Rollover): EncodedRollover {
  return { percent, cap: cap === null ? null : cap.toString(), periods }
}

/** Reads a plan. */
export function decodePlan({ credits, welcome, trial, ...terms }: EncodedPlan): PlanTerms {
  return {
    ...terms,
    credits: credits.map((one) => ({ ...one, credits: units(one.credits), rollover: one.rollover && decodeRollover(one.rollover) })),
    welcome: welcome.map((one) => ({ ...one, credits: units(one.credits) })),
    trial: trial && { ...trial, credits: trial.credits.map((one) => ({ ...one, credits: units(one.credits) })) },
  }
}

function decodeRollover({ cap, ...rollover }: EncodedRollover): Rollover {
  return { ...rollover, cap: cap === null ? null : units(cap) }
}

function units(text: string): Microcredits {
  return BigInt(text) as Microcredits
}
