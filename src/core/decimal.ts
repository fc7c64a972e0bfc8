/** Exact decimals for quantities, rates and multipliers: a scaled bigint, never a float. */

import { pointed } from './credits.ts'

/** Digits after the point that quantities, rates and multipliers keep. */
export const DECIMAL_PLACES = 12

const SCALE = 10n ** BigInt(DECIMAL_PLACES)

declare const unit: unique symbol

/** A decimal number times 10¹². */
export type Decimal = bigint & { readonly [unit]: 'decimal' }

/** One, as a decimal. */
export const ONE = SCALE as Decimal

const DECIMAL = /^(0|[1-9]\d{0,14})(?:\.(\d{1,12}))?$/

/**
 * Reads a non-negative decimal below 10¹⁵ with at most 12 digits after the point, from a string or a JSON number.
 * Returns undefined for anything else.
 */
export function parseDecimal(input: unknown): Decimal | undefined {
  if (typeof input === 'number' && input >= 0 && input < 1e15 && Number.isInteger(input) && !Object.is(input, -0))
    return (BigInt(input) * SCALE) as Decimal
  const text = typeof input === 'number' ? plainText(input) : input
  if (typeof text !== 'string') return undefined
  const match = DECIMAL.exec(text)
  if (!match) return undefined
  const [, whole = '', decimals = ''] = match
  if (decimals === '') return (BigInt(whole) * SCALE) as Decimal
  return (BigInt(whole) * SCALE + BigInt(decimals.padEnd(DECIMAL_PLACES, '0'))) as Decimal
}

/** The digits of a number; small ones print with an exponent, which is not how anybody writes a price per token. */
function plainText(value: number): string {
  if (value >= 1e-6 || value <= 0) return String(value)
  const fixed = value.toFixed(DECIMAL_PLACES)
  return Number(fixed) === value ? fixed : String(value)
}

/** Writes a decimal in its shortest form: `"1.5"`, `"0.000001"`. Throws a fault for negative ones. */
export function formatDecimal(value: bigint): string {
  if (value < 0n) throw new RangeError(`${value} is not a quantity, rate or multiplier`)
  return pointed(value, DECIMAL_PLACES)
}

/** How a price turns an exact result into micro-credits. `ceil` is the default: the house never loses a fraction. */
export type Rounding = 'ceil' | 'floor' | 'half_up' | 'half_even'

/** Divides two non-negative integers and rounds once, in the named way. Throws a fault for negative ones: no price is. */
export function divide(numerator: bigint, denominator: bigint, rounding: Rounding): bigint {
  if (numerator < 0n || denominator < 0n) throw new RangeError(`${numerator} / ${denominator} is not a price`)
  const floor = numerator / denominator
  const rest = numerator - floor * denominator
  if (rest === 0n) return floor
  switch (rounding) {
    case 'ceil':
      return floor + 1n
    case 'floor':
      return floor
    case 'half_up':
      return rest * 2n >= denominator ? floor + 1n : floor
    case 'half_even': {
      const twice = rest * 2n
      if (twice === denominator) return floor + (floor & 1n)
      return twice > denominator ? floor + 1n : floor
    }
  }
}

/** Writes quantities, each under its name, as their shortest exact texts. */
export function formatDecimals(quantities: Readonly<Record<string, Decimal>>): Record<string, string> {
  return Object.fromEntries(Object.entries(quantities).map(([unit, quantity]) => [unit, formatDecimal(quantity)]))
}
