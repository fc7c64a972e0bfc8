/** Roll-up rows of hours, which add up. */

import { addQuantities } from '../core/usage.ts'
import type { HourRow } from './store.ts'

/** Adds up rows of one hour, operation, key and credit type; in order of those four. */
export function mergeHours(rows: readonly HourRow[]): readonly HourRow[] {
  const merged = new Map<string, HourRow>()
  for (const row of rows) {
    const name = JSON.stringify([row.hourMs, row.operation, row.key, row.creditType])
    const known = merged.get(name)
    merged.set(name, known ? addHours(known, row) : row)
  }
  return [...merged.entries()].sort(([a, rowA], [b, rowB]) => rowA.hourMs - rowB.hourMs || (a < b ? -1 : 1)).map(([, row]) => row)
}

function addHours(a: HourRow, b: HourRow): HourRow {
  return {
    ...a,
    charges: a.charges + b.charges,
    credits: a.credits + b.credits,
    refunds: a.refunds + b.refunds,
    refunded: a.refunded + b.refunded,
    quantities: addQuantities(a.quantities, b.quantities),
  }
}
