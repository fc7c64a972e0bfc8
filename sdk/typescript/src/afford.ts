/** Whether work can be paid for, asked before it begins: one call, a whole job, or as much of a job as the credits reach for. */

import { type Amount, compareAmounts, fromMicro, subtractAmount, sumAmounts, toMicro } from './amounts.ts'
import type { Estimate, EstimateItemTerms } from './api/shapes.ts'
import { InvalidArgumentError } from './errors.ts'
import { groupBy } from './grouping.ts'
import type { Obol } from './obol.ts'
import type { CallOptions } from './resource.ts'

/** Items of one estimate, at most. */
const ITEMS_AT_ONCE = 1_000

/** Whose credits are asked about. A customer's key asks about its own account, and leaves it out. */
export interface Payer {
  readonly account?: string
  readonly key?: string
}

/** What work needs of one credit type. Amounts are credits. */
export interface Requirement {
  readonly creditType: string
  /** The least and the most that it can come to. */
  readonly min: Amount
  readonly max: Amount
  /** Null: nobody's credits were asked about. */
  readonly available: Amount | null
  /** How much the most is above what is available. */
  readonly shortfall: Amount | null
}

/** What a job would cost, and whether it can be paid for. */
export interface JobEstimate {
  readonly items: number
  readonly requirements: readonly Requirement[]
  /** Null: nobody's credits were asked about. */
  readonly isAffordable: boolean | null
  /** Whether the budget of the key, not the balance, is what forbids it. */
  readonly isBudgetExceeded: boolean
  /** Pins these prices for charges and holds; null when the job took several estimates, or is nobody's. */
  readonly quoteId: string | null
}

/** Estimates a job of any number of items, exactly. Credits of fallback types are not counted towards jobs of more than 1000 items. */
export async function estimateJob(
  obol: Obol,
  items: readonly EstimateItemTerms[],
  payer: Payer = {},
  options?: CallOptions,
): Promise<JobEstimate> {
  if (items.length === 0) return { items: 0, requirements: [], isAffordable: true, isBudgetExceeded: false, quoteId: null }
  const estimates: Estimate[] = []
  for (let from = 0; from < items.length; from += ITEMS_AT_ONCE)
    estimates.push(await obol.estimates.create({ items: items.slice(from, from + ITEMS_AT_ONCE), ...payer }, options))
  const requirements = addUp(estimates)
  const affordable = estimates.map((estimate) => estimate.affordable)
  const isCovered = estimates.length === 1 || requirements.every(({ shortfall }) => shortfall === null || toMicro(shortfall) === 0n)
  return {
    items: items.length,
    requirements,
    isAffordable: affordable.includes(null) ? null : affordable.every((one) => one?.balance && one.key_budget) && isCovered,
    isBudgetExceeded: affordable.some((one) => one?.key_budget === false),
    quoteId: estimates.length === 1 ? (estimates[0]?.quote_id ?? null) : null,
  }
}

function addUp(estimates: readonly Estimate[]): readonly Requirement[] {
  const totals = groupBy(
    estimates.flatMap((estimate) => estimate.totals),
    (total) => total.credit_type,
  )
  return [...totals].map(([creditType, parts]) => {
    const max = sumAmounts(parts.map((part) => part.max))
    const available = parts.at(-1)?.available ?? null
    return { creditType, min: sumAmounts(parts.map((part) => part.min)), max, available, shortfall: shortOf(max, available) }
  })
}

function shortOf(required: Amount, available: Amount | null): Amount | null {
  if (available === null) return null
  const short = subtractAmount(required, available)
  return compareAmounts(short, '0') > 0 ? short : '0'
}

/** Whether one call can be paid for. */
export interface Sufficiency {
  readonly isSufficient: boolean
  readonly creditType: string
  /** The most that it can come to: exactly what a hold would take. */
  readonly required: Amount
  readonly available: Amount
  readonly shortfall: Amount
  /** Whether the budget of the key, not the balance, is what forbids it. */
  readonly isBudgetExceeded: boolean
  /** Pins the price: name it in the charge or hold. */
  readonly quoteId: string | null
}

/**
 * Says whether work can be paid for as things stand. It promises nothing: between question and work others may spend. A hold asks and
 * sets aside in one step.
 */
export async function checkSufficiency(
  obol: Obol,
  work: EstimateItemTerms,
  payer: Payer = {},
  options?: CallOptions,
): Promise<Sufficiency> {
  const { requirements, isAffordable, isBudgetExceeded, quoteId } = await estimateJob(obol, [work], payer, options)
  const [need] = requirements
  if (!need || need.available === null || need.shortfall === null || isAffordable === null)
    throw new InvalidArgumentError('Name an account or a key: the operator has no credits.')
  const { creditType, max: required, available, shortfall } = need
  return { isSufficient: isAffordable, creditType, required, available, shortfall, isBudgetExceeded, quoteId }
}

/** A part of a job that can be paid for now, and what is left of the job. */
export interface AffordableBatch<Item> {
  /** Empty: the credits do not reach for the next item. */
  readonly batch: readonly Item[]
  readonly rest: readonly Item[]
  /** What the batch needs; of an empty one, what the next item needs. */
  readonly estimate: JobEstimate
}

/** How batches are made. */
export interface BatchOptions<Item> extends Payer {
  /** Most items of a batch, up to 1000. */
  readonly size: number
  /** The work that an item is. */
  readonly work: (item: Item) => EstimateItemTerms
}

/** The longest batch from the front of a job that can be paid for now, in a handful of questions. Ask again after each batch. */
export async function affordableBatch<Item>(
  obol: Obol,
  items: readonly Item[],
  options: BatchOptions<Item>,
): Promise<AffordableBatch<Item>> {
  const { size, work, ...payer } = options
  if (!(size >= 1 && size <= ITEMS_AT_ONCE)) throw new InvalidArgumentError(`size is ${size}: give 1 to ${ITEMS_AT_ONCE}.`)
  const ask = (count: number): Promise<JobEstimate> => estimateJob(obol, items.slice(0, count).map(work), payer)
  let fits = { count: 0, estimate: await ask(0) }
  let upTo = Math.min(Math.floor(size), items.length)
  let refused = fits.estimate
  for (let count = upTo; count > fits.count; count = fits.count + Math.ceil((upTo - fits.count) / 2)) {
    const estimate = await ask(count)
    if (estimate.isAffordable === null) throw new InvalidArgumentError('Name an account or a key: the operator has no credits.')
    if (estimate.isAffordable) fits = { count, estimate }
    else {
      upTo = count - 1
      refused = estimate
    }
  }
  const estimate = fits.count === 0 ? refused : fits.estimate
  return { batch: items.slice(0, fits.count), rest: items.slice(fits.count), estimate }
}

/** What an amount comes to in money, at so many credits for one unit of it, cut to six decimals: `0.132`. */
export function inMoney(amount: Amount, creditsPerUnit: Amount): Amount {
  const per = toMicro(creditsPerUnit)
  if (per <= 0n) throw new InvalidArgumentError(`creditsPerUnit is ${creditsPerUnit}: give more than 0.`)
  return fromMicro((toMicro(amount) * 1_000_000n) / per)
}
