/** Estimates: what work would cost, between what bounds, and whether it can be paid for. */

import { poolOf } from '../core/account.ts'
import { availableOf, balanceOf } from '../core/balance.ts'
import { MAX_MICROCREDITS, type Microcredits, micro, most } from '../core/credits.ts'
import type { Decimal } from '../core/decimal.ts'
import type { PriceLine } from '../core/pricing.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { KeyRow } from '../stores/store.ts'
import { type PricedWork, priceUsage } from './price-work.ts'
import { makeQuote, QUOTE_TTL_MS } from './quotes.ts'
import { accountNow, type BudgetView, viewBudget } from './read-credits.ts'
import type { Services } from './services.ts'

/** A quantity that is known, or lies between two. */
export interface QuantityRange {
  readonly min: Decimal
  readonly max: Decimal
}

export interface EstimateItem {
  readonly operation: string
  readonly quantity: QuantityRange | null
  readonly quantities: Readonly<Record<string, QuantityRange>> | null
  readonly attributes: Readonly<Record<string, string>>
}

export interface EstimatedItem {
  readonly operation: string
  readonly creditType: string
  readonly min: Microcredits
  /** Exactly what a hold for the largest quantities would take. */
  readonly max: Microcredits
  /** What may pay for it, the first preferred. */
  readonly creditTypes: readonly string[]
  /** How `max` comes about. */
  readonly lines: readonly PriceLine[]
}

export interface Estimate {
  readonly items: readonly EstimatedItem[]
  /** Sums by credit type, and what each lacks. */
  readonly totals: readonly {
    readonly creditType: string
    readonly min: Microcredits
    readonly max: Microcredits
    readonly available: Microcredits | null
    readonly shortfall: Microcredits | null
  }[]
  readonly priceVersion: number
  /** Null for an estimate that names no account. */
  readonly affordable: { readonly balance: boolean; readonly keyBudget: boolean } | null
  readonly quoteId: string | null
  readonly validUntilMs: number
}

/** Estimates items under the book in force; for an account, says whether they can be paid and pins the prices in a quote. */
export async function estimate(
  services: Services,
  items: readonly EstimateItem[],
  target: { readonly account: number; readonly key: KeyRow | null } | null,
): Promise<Estimate | Refusal> {
  const nowMs = services.clock()
  const book = services.prices.at(nowMs)
  const estimated: EstimatedItem[] = []
  for (const [index, item] of items.entries()) {
    const low = priceUsage(book, { operation: item.operation, attributes: item.attributes, ...pick(item, 'min') })
    const high = isRefusal(low) ? low : priceUsage(book, { operation: item.operation, attributes: item.attributes, ...pick(item, 'max') })
    if (isRefusal(low) || isRefusal(high)) return withIndex(isRefusal(low) ? low : (high as Refusal), index)
    estimated.push(estimatedItem(item.operation, low, high))
  }
  const sums = totalsOf(estimated)
  if (isRefusal(sums)) return sums
  const totals = [...sums].map(([creditType, sum]) => ({ creditType, ...sum, available: null, shortfall: null }))
  const validUntilMs = nowMs + QUOTE_TTL_MS
  const version = book?.version ?? 0
  const estimate = { items: estimated, totals, priceVersion: version, affordable: null, quoteId: null, validUntilMs }
  if (target === null) return estimate
  const quoteId = makeQuote(services, { account: target.account, version, untilMs: validUntilMs })
  const affordability = await afford(services, estimate, target)
  return isRefusal(affordability) ? affordability : { ...estimate, ...affordability, quoteId }
}

function withIndex(refusal: Refusal, index: number): Refusal {
  return { ...refusal, facts: { ...refusal.facts, index } }
}

function pick(
  { quantity, quantities }: EstimateItem,
  bound: 'min' | 'max',
): { quantity: Decimal | null; quantities: Record<string, Decimal> | null } {
  const all = quantities && Object.fromEntries(Object.entries(quantities).map(([unit, range]) => [unit, range[bound]]))
  return { quantity: quantity?.[bound] ?? null, quantities: all }
}

/** More may cost less under falling tiers or a cap, so the bounds are put in order. */
function estimatedItem(operation: string, low: PricedWork, high: PricedWork): EstimatedItem {
  const [a, b] = [low.call.credits, high.call.credits]
  const creditTypes = high.offers.map(({ creditType }) => creditType)
  return { operation, creditType: high.price.creditType, min: a < b ? a : b, max: micro(most(a, b)), creditTypes, lines: high.call.lines }
}

function totalsOf(items: readonly EstimatedItem[]): Map<string, { min: Microcredits; max: Microcredits }> | Refusal {
  const totals = new Map<string, { min: Microcredits; max: Microcredits }>()
  for (const { creditType, min, max } of items) {
    const known = totals.get(creditType)
    const sum = (known?.max ?? 0n) + max
    if (sum > MAX_MICROCREDITS)
      return refuse('amount_out_of_range', 'The items together would cost more than 9200000000000 credits; split the estimate.')
    totals.set(creditType, { min: micro((known?.min ?? 0n) + min), max: micro(sum) })
  }
  return totals
}

/** Whether the items could be charged one after the other, each at its most: by the balance, and by the key's budget. */
async function afford(
  services: Services,
  { items, totals }: Pick<Estimate, 'items' | 'totals'>,
  { account, key }: { readonly account: number; readonly key: KeyRow | null },
): Promise<Pick<Estimate, 'totals' | 'affordable'> | Refusal> {
  const now = await accountNow(services, account)
  if (isRefusal(now)) return now
  const availableIn = (creditType: string): Microcredits => availableOf(balanceOf(poolOf(now.state, creditType), now.asOfMs))
  const afforded = totals.map((total) => {
    const available = availableIn(total.creditType)
    return { ...total, available, shortfall: micro(most(0n, total.max - available)) }
  })
  const budget = key && viewBudget(now, key)
  return { totals: afforded, affordable: { balance: areCovered(items, availableIn), keyBudget: !budget || isWithin(budget, items) } }
}

function areCovered(items: readonly EstimatedItem[], availableIn: (creditType: string) => Microcredits): boolean {
  const left = new Map<string, bigint>()
  return items.every(({ creditTypes, max }) => {
    const payer = creditTypes.find((creditType) => (left.get(creditType) ?? availableIn(creditType)) >= max)
    if (payer !== undefined) left.set(payer, (left.get(payer) ?? availableIn(payer)) - max)
    return payer !== undefined
  })
}

function isWithin({ remaining, maxPerCharge }: BudgetView, items: readonly EstimatedItem[]): boolean {
  const wanted = items.reduce((sum, { max }) => sum + max, 0n)
  return (remaining === null || wanted <= remaining) && items.every(({ max }) => maxPerCharge === null || max <= maxPerCharge)
}
