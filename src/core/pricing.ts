/** What a call costs under a price: exact fractions all the way, rounded once at the end. */

import { MAX_MICROCREDITS, MICRO, type Microcredits, micro } from './credits.ts'
import { type Decimal, divide, ONE } from './decimal.ts'
import type { OperationPrice, PriceComponent } from './price-book.ts'
import { type Refusal, refuse } from './refusals.ts'

/** What a call used: how much of each unit, and the attributes that modifiers look at. */
export interface Usage {
  readonly quantities: Readonly<Record<string, Decimal>>
  readonly attributes: Readonly<Record<string, string>>
}

/** One component of a priced call, with every step of its computation. */
export interface PriceLine {
  readonly unit: string
  /** As stated, in `unit`: that of the price, or another of time that the call stated. */
  readonly quantity: Decimal
  /** After rounding up to started steps. */
  readonly billed: Decimal
  readonly multipliers: readonly { readonly attribute: string; readonly equals: string; readonly multiply: Decimal }[]
  readonly tiers: readonly { readonly quantity: Decimal; readonly rate: Decimal }[]
  readonly per: Decimal
  /** Exact credits before rounding: numerator over denominator, in micro-credits. */
  readonly exact: Fraction
}

/** An exact number of micro-credits. */
export interface Fraction {
  readonly numerator: bigint
  readonly denominator: bigint
}

/** A priced call: what it costs, and how that came about. */
export interface PricedCall {
  readonly credits: Microcredits
  readonly lines: readonly PriceLine[]
  /** Which bound decided, if one did. */
  readonly bound: 'minimum' | 'cap' | null
}

/** Seconds in each unit of time that a quantity may be stated in, whichever of them the price uses. */
const SECONDS: ReadonlyMap<string, bigint> = new Map([
  ['second', 1n],
  ['seconds', 1n],
  ['minute', 60n],
  ['minutes', 60n],
  ['hour', 3600n],
  ['hours', 3600n],
])

/** Seconds in a unit of time; undefined: it measures something else. */
export function secondsIn(unit: string): bigint | undefined {
  return SECONDS.get(unit)
}

/** Whether two units measure the same thing, so that a quantity in one states the other. */
export function isSameDimension(a: string, b: string): boolean {
  return a === b || (SECONDS.has(a) && SECONDS.has(b))
}

/** The unit that counts calls: the only one whose quantity is 1 when nothing is stated. */
const PER_CALL = 'request'

/**
 * Prices a call. Refuses `quantity_required` when nothing says how much was used and `unknown_unit` when a stated unit is
 * priced by no component; a price is never guessed, and a missing one is never zero.
 */
export function priceCall(price: OperationPrice, usage: Usage): PricedCall | Refusal {
  const parts = matchUnits(price, usage.quantities)
  if ('refused' in parts) return parts
  const lines = parts.map((part) => priceComponent(part, usage.attributes))
  let total: Fraction = { numerator: 0n, denominator: 1n }
  for (const line of lines) total = add(total, line.exact)
  const rounded = divide(total.numerator, total.denominator, price.rounding)
  const used = lines.some((line) => line.billed > 0n)
  const { credits, by } = bound(rounded, used, price)
  if (credits > MAX_MICROCREDITS)
    return refuse('amount_out_of_range', `${price.operation} would cost more than 9200000000000 credits; split the call.`)
  return { credits: micro(credits), lines, bound: by }
}

/**
 * The quantities of a call that stated one number without its unit: it counts the unit of the operation's only component.
 * Refuses `quantity_required` when the operation has several.
 */
export function quantityOf(price: OperationPrice, quantity: Decimal): Pick<Usage, 'quantities'> | Refusal {
  const [component, ...others] = price.components
  if (component && others.length === 0) return { quantities: { [component.unit]: quantity } }
  const units = price.components.map(({ unit }) => unit).join(', ')
  return refuse('quantity_required', `${price.operation} is priced per ${units}; state quantities by unit.`, { units })
}

function bound(credits: bigint, used: boolean, price: OperationPrice): { credits: bigint; by: 'minimum' | 'cap' | null } {
  if (price.cap !== null && credits > price.cap) return { credits: price.cap, by: 'cap' }
  if (used && price.minimum !== null && credits < price.minimum) return { credits: price.minimum, by: 'minimum' }
  return { credits, by: null }
}

/** A component and how much of it was used, both in the unit that the call stated. */
interface Part {
  readonly component: PriceComponent
  readonly quantity: Decimal
}

function matchUnits(price: OperationPrice, stated: Usage['quantities']): readonly Part[] | Refusal {
  const names = Object.keys(stated)
  const used = new Set<string>()
  const parts: Part[] = []
  for (const component of price.components) {
    const unit = names.find((name) => name === component.unit) ?? names.find((name) => isSameDimension(name, component.unit))
    const quantity = unit === undefined ? unstated(component, names) : stated[unit]
    if (quantity === undefined)
      return refuse('quantity_required', `${price.operation} is priced per ${component.unit}; state how many.`, { units: component.unit })
    if (unit !== undefined) used.add(unit)
    parts.push(unit === undefined || unit === component.unit ? { component, quantity } : convert(component, unit, quantity))
  }
  const stray = names.find((name) => !used.has(name))
  if (stray === undefined) return parts
  const units = price.components.map(({ unit }) => unit).join(', ')
  return refuse('unknown_unit', `${price.operation} is priced per ${units}, not per ${stray}.`, { unit: stray, units })
}

/** A call counts as one request; a component that a call leaves out, while stating another, was not used. */
function unstated(component: PriceComponent, names: readonly string[]): Decimal | undefined {
  if (component.unit === PER_CALL) return ONE
  return names.length > 0 ? (0n as Decimal) : undefined
}

/**
 * Brings a component and a stated quantity to one unit of time without ever dividing: minutes stay minutes when a price is
 * per hour, because 100 seconds are 1.666… minutes and no decimal is that.
 */
function convert(component: PriceComponent, unit: string, quantity: Decimal): Part {
  const from = SECONDS.get(unit) ?? 1n
  const to = SECONDS.get(component.unit) ?? 1n
  if (from >= to) return { component, quantity: (quantity * (from / to)) as Decimal }
  const times = (value: Decimal): Decimal => (value * (to / from)) as Decimal
  const step = component.step === null ? null : times(component.step)
  const tiers = component.tiers.map((tier) => ({ upTo: tier.upTo === null ? null : times(tier.upTo), rate: tier.rate }))
  return { component: { ...component, unit, per: times(component.per), step, tiers }, quantity }
}

function priceComponent({ component, quantity }: Part, attributes: Usage['attributes']): PriceLine {
  const billed = component.step === null ? quantity : ((divide(quantity, component.step, 'ceil') * component.step) as Decimal)
  const tiers = sliceTiers(component, billed)
  const multipliers = component.modifiers.filter(({ attribute, equals }) => attributes[attribute] === equals)
  let numerator = tiers.reduce((sum, slice) => sum + slice.quantity * slice.rate, 0n) * MICRO
  let denominator = component.per * ONE
  for (const { multiply } of multipliers) {
    numerator *= multiply
    denominator *= ONE
  }
  return { unit: component.unit, quantity, billed, multipliers, tiers, per: component.per, exact: { numerator, denominator } }
}

function sliceTiers({ tiers, rate }: PriceComponent, billed: Decimal): { quantity: Decimal; rate: Decimal }[] {
  if (tiers.length === 0) return [{ quantity: billed, rate }]
  const slices: { quantity: Decimal; rate: Decimal }[] = []
  let from = 0n
  for (const tier of tiers) {
    const to = tier.upTo === null || tier.upTo > billed ? billed : tier.upTo
    if (to > from) slices.push({ quantity: (to - from) as Decimal, rate: tier.rate })
    if (to === billed) return slices
    from = to
  }
  slices.push({ quantity: (billed - from) as Decimal, rate })
  return slices
}

function add(a: Fraction, b: Fraction): Fraction {
  if (a.denominator === b.denominator) return { numerator: a.numerator + b.numerator, denominator: a.denominator }
  return { numerator: a.numerator * b.denominator + b.numerator * a.denominator, denominator: a.denominator * b.denominator }
}
