/** Values between JSON and the core: amounts, decimals, times. */

import { formatCredits, type Microcredits, parseCredits } from '../../core/credits.ts'
import { type Decimal, parseDecimal } from '../../core/decimal.ts'
import { badInput, pointerTo } from '../problems.ts'

/** Reads an amount of more than zero. Throws invalid_request at the pointer. */
export function positiveIn(value: string | number, pointer: string): Microcredits {
  const amount = amountIn(value, pointer)
  if (amount > 0n) return amount
  throw badInput(pointer, 'must be more than 0 credits')
}

/** Reads an amount of zero or more. Throws invalid_request at the pointer. */
export function nonNegativeIn(value: string | number, pointer: string): Microcredits {
  const amount = amountIn(value, pointer)
  if (amount >= 0n) return amount
  throw badInput(pointer, 'must be 0 credits or more')
}

/** Reads an amount. Throws invalid_request at the pointer. */
export function amountIn(value: string | number, pointer: string): Microcredits {
  const amount = parseCredits(value)
  if (amount !== undefined) return amount
  throw badInput(pointer, 'must be credits: a plain decimal with at most 6 decimals, within ±9200000000000')
}

/** Reads a quantity. Throws invalid_request at the pointer. */
export function decimalIn(value: string | number, pointer: string): Decimal {
  return parseDecimal(value) ?? refuseDecimal(pointer)
}

function refuseDecimal(pointer: string): never {
  throw badInput(pointer, 'must be a plain decimal of 0 or more, below 10^15, with at most 12 decimals')
}

/** Refuses a quantity without its unit beside quantities by unit: one of them would be ignored. */
export function refuseBoth(
  { quantity, quantities }: { readonly quantity?: unknown; readonly quantities?: unknown },
  pointer: string,
): void {
  if (quantity !== undefined && quantities !== undefined)
    throw badInput(`${pointer}/quantity`, 'and quantities say the same: state one of them')
}

/** Reads quantities by unit. */
export function quantitiesIn(values: Readonly<Record<string, string | number>>, pointer: string): Readonly<Record<string, Decimal>> {
  const quantities: Record<string, Decimal> = {}
  for (const [unit, value] of Object.entries(values)) quantities[unit] = parseDecimal(value) ?? refuseDecimal(pointerTo(pointer, unit))
  return quantities
}

/** Reads a time. Throws invalid_request at the pointer. */
export function timeIn(value: string, pointer: string): number {
  const ms = Date.parse(value)
  if (!Number.isNaN(ms)) return ms
  throw badInput(pointer, 'must be a time such as 2026-11-20T12:00:00Z')
}

/** The time that was written last: commands that are committed together have the same one. */
const written = { ms: 0, text: new Date(0).toISOString() }

/** Writes a time. */
export function timeOut(ms: number): string {
  if (ms !== written.ms) Object.assign(written, { ms, text: new Date(ms).toISOString() })
  return written.text
}

/** Writes a time, or null. */
export function nullableTimeOut(ms: number | null): string | null {
  return ms === null ? null : timeOut(ms)
}

/** Writes an amount, or null. */
export function nullableAmountOut(amount: Microcredits | null): string | null {
  return amount === null ? null : formatCredits(amount)
}
