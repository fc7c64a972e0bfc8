/** Rows of the table rollups, as every store keeps them. */

import type { Decimal } from '../core/decimal.ts'
import type { HourRow } from './store.ts'

/** A row as a store keeps it, under the names of HourRow. */
export interface RawHour {
  readonly hourMs: number
  readonly operation: string
  /** 0: no key. */
  readonly key: number
  readonly creditType: string
  readonly charges: number
  readonly credits: string
  readonly refunds: number
  readonly refunded: string
  readonly quantities: string
}

/** Reads a row of the roll-ups. */
export function decodeHour({ key, credits, refunded, quantities, ...row }: RawHour): HourRow {
  return {
    ...row,
    key: key === 0 ? null : key,
    credits: BigInt(credits),
    refunded: BigInt(refunded),
    quantities: decodeQuantities(quantities),
  }
}

/** Sums of quantities as JSON: each unit's sum as an integer of 10⁻¹² units, by unit. */
export function encodeQuantities(quantities: Readonly<Record<string, Decimal>>): string {
  const sums = Object.entries(quantities).map(([unit, sum]) => [unit, sum.toString()] as const)
  return JSON.stringify(Object.fromEntries(sums.sort(([a], [b]) => (a < b ? -1 : 1))))
}

function decodeQuantities(text: string): Readonly<Record<string, Decimal>> {
  return Object.fromEntries(Object.entries(JSON.parse(text) as Record<string, string>).map(([unit, sum]) => [unit, BigInt(sum) as Decimal]))
}
