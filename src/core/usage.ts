/** Hourly roll-ups: each account counts its open hour in its state; closed hours are written out as rows that add up. */

import { MAX_OPEN_USAGE_ROWS, type OpenHour, type UsageRow } from './account.ts'
import { plus, ZERO } from './credits.ts'
import type { Decimal } from './decimal.ts'
import { givesBack, isCharge, type JournalRecord } from './record.ts'

/** Length of a roll-up's bucket. */
export const HOUR_MS = 3_600_000

interface Counted {
  readonly operation: string
  readonly key: number | null
  readonly creditType: string
  readonly charges: number
  readonly credits: bigint
  readonly refunds: number
  readonly refunded: bigint
  readonly quantities: Readonly<Record<string, Decimal>>
}

/** The open hour after a record. Charges and refunds count in the hour in which they are recorded. */
export function evolveHour(hour: OpenHour, record: JournalRecord): OpenHour {
  const counted = countedBy(record)
  if (counted === null) return hour
  const startMs = record.atMs - (record.atMs % HOUR_MS)
  const rows = startMs === hour.startMs ? hour.rows : []
  const index = rows.findIndex(
    (row) => row.operation === counted.operation && row.key === counted.key && row.creditType === counted.creditType,
  )
  const known = rows[index]
  if (known) return { startMs, rows: rows.map((row, at) => (at === index ? sum(known, counted) : row)) }
  // A full hour is written out early: rows of one hour add up in the store.
  return { startMs, rows: rows.length < MAX_OPEN_USAGE_ROWS ? [...rows, counted] : [counted] }
}

/** The rows that left the state between two folds and must be added to the store with the later one. */
export function closedRows(before: OpenHour, after: OpenHour): readonly UsageRow[] {
  return after.startMs !== before.startMs || after.rows.length < before.rows.length ? before.rows : []
}

function countedBy(record: JournalRecord): Counted | null {
  if (isCharge(record)) {
    const { operation, key, creditType, credits, quantities } = record
    return { operation, key, creditType, charges: 1, credits, refunds: 0, refunded: ZERO, quantities }
  }
  // A report that work succeeded gives nothing back.
  if (!givesBack(record) || record.credits === 0n) return null
  const { operation, key, creditType, credits } = record
  return { operation, key, creditType, charges: 0, credits: ZERO, refunds: 1, refunded: credits, quantities: {} }
}

function sum(a: UsageRow, b: Counted): UsageRow {
  return {
    operation: a.operation,
    key: a.key,
    creditType: a.creditType,
    charges: a.charges + b.charges,
    credits: plus(a.credits, b.credits),
    refunds: a.refunds + b.refunds,
    refunded: plus(a.refunded, b.refunded),
    quantities: addQuantities(a.quantities, b.quantities),
  }
}

/** Adds quantities unit by unit. */
export function addQuantities(a: UsageRow['quantities'], b: UsageRow['quantities']): UsageRow['quantities'] {
  const total: Record<string, Decimal> = { ...a }
  // A unit may have the name of something that every object inherits.
  for (const unit of Object.keys(b)) total[unit] = ((Object.hasOwn(total, unit) ? (total[unit] ?? 0n) : 0n) + (b[unit] ?? 0n)) as Decimal
  return total
}
