/** Usage over time: roll-ups added up into the caller's buckets and groups, exact to the micro-credit and to this moment. */

import { setImmediate } from 'node:timers/promises'
import { windowAt } from '../core/calendar.ts'
import { ZERO } from '../core/credits.ts'
import type { Decimal } from '../core/decimal.ts'
import { givesBack, isCharge, type JournalRecord } from '../core/record.ts'
import { addQuantities, HOUR_MS } from '../core/usage.ts'
import type { HourRow, Store } from '../stores/store.ts'

/** Length of a bucket. */
export type Bucket = 'hour' | 'day' | 'month'
/** What rows may be told apart by. */
export type GroupBy = 'operation' | 'key' | 'credit_type'

/** Most buckets of one answer, by length: a month of hours, a year of days, ten years of months. */
export const MAX_BUCKETS: Readonly<Record<Bucket, number>> = { hour: 744, day: 366, month: 120 }

/** Which usage to add up, and how. */
export interface UsageQuery {
  readonly account: number
  readonly fromMs: number
  /** Exclusive. */
  readonly toMs: number
  readonly bucket: Bucket
  readonly timeZone: string
  readonly nowMs: number
  readonly groupBy: readonly GroupBy[]
  readonly operation: string | null
  /** Sequence of a key. */
  readonly key: number | null
  readonly creditType: string | null
}

/** Sums of the rows that are not told apart. */
export interface UsageGroup {
  readonly operation: string | null
  readonly key: number | null
  readonly creditType: string | null
  readonly charges: number
  readonly charged: bigint
  readonly refunds: number
  readonly refunded: bigint
  readonly quantities: Readonly<Record<string, Decimal>>
}

/** The sums of one stretch of time. */
export interface UsageBucket {
  readonly startMs: number
  readonly endMs: number
  readonly groups: readonly UsageGroup[]
}

/** The buckets of a range, empty ones included; undefined: there would be more than MAX_BUCKETS. */
export function bucketsOf({
  fromMs,
  toMs,
  bucket,
  timeZone,
}: Pick<UsageQuery, 'fromMs' | 'toMs' | 'bucket' | 'timeZone'>): readonly { startMs: number; endMs: number }[] | undefined {
  const buckets: { startMs: number; endMs: number }[] = []
  for (let startMs = fromMs; startMs < toMs; ) {
    const endMs = Math.min(toMs, bucket === 'hour' ? startMs - (startMs % HOUR_MS) + HOUR_MS : windowAt(bucket, timeZone, startMs).endMs)
    buckets.push({ startMs, endMs })
    if (buckets.length > MAX_BUCKETS[bucket]) return undefined
    startMs = endMs
  }
  return buckets
}

/** Adds usage up. Buckets that begin or end inside an hour are split by reading that hour's records. */
export async function readUsage(
  store: Store,
  query: UsageQuery,
  buckets: readonly { startMs: number; endMs: number }[],
): Promise<readonly UsageBucket[]> {
  const rows = await store.usage(query.account, { fromMs: floorHour(query.fromMs), toMs: query.toMs })
  const wanted = rows.filter((row) => isWanted(row, query))
  const split = new Set(
    buckets
      .flatMap(({ startMs, endMs }) => [startMs, endMs])
      // The hour that is still open has nothing after now that would have to be left out.
      .filter((edge) => edge % HOUR_MS !== 0 && edge <= query.nowMs)
      .map(floorHour),
  )
  const exact: { atMs: number; row: HourRow }[] = []
  for (const hourMs of split) {
    if (wanted.some((row) => row.hourMs === hourMs)) exact.push(...(await recordsOfHour(store, query, hourMs)))
  }
  return buckets.map(({ startMs, endMs }) => {
    const whole = wanted.filter(({ hourMs }) => !split.has(hourMs) && startMs <= hourMs && hourMs < endMs)
    const parts = exact.filter(({ atMs }) => startMs <= atMs && atMs < endMs).map(({ row }) => row)
    return { startMs, endMs, groups: group([...whole, ...parts], query.groupBy) }
  })
}

function floorHour(ms: number): number {
  return ms - (ms % HOUR_MS)
}

function isWanted(row: HourRow, { operation, key, creditType }: UsageQuery): boolean {
  return (
    (operation === null || row.operation === operation) &&
    (key === null || row.key === key) &&
    (creditType === null || row.creditType === creditType)
  )
}

async function recordsOfHour(store: Store, query: UsageQuery, hourMs: number): Promise<readonly { atMs: number; row: HourRow }[]> {
  const found: { atMs: number; row: HourRow }[] = []
  let after: number | null = 0
  while (after !== null) {
    const page: Awaited<ReturnType<Store['records']>> = await store.records(query.account, {
      kinds: ['charge', 'capture', 'late_capture', 'refund', 'outcome_reported'],
      fromMs: hourMs,
      toMs: hourMs + HOUR_MS,
      after,
      limit: 1_000,
    })
    for (const record of page.records) {
      const row = rowOf(record, hourMs)
      if (row && isWanted(row, query)) found.push({ atMs: record.atMs, row })
    }
    after = page.next
    await setImmediate()
  }
  return found
}

function rowOf(record: JournalRecord, hourMs: number): HourRow | undefined {
  if (isCharge(record)) {
    const { operation, key, creditType, credits, quantities } = record
    return { hourMs, operation, key, creditType, charges: 1, credits, refunds: 0, refunded: ZERO, quantities }
  }
  if (!givesBack(record) || record.credits === 0n) return undefined
  const { operation, key, creditType, credits } = record
  return { hourMs, operation, key, creditType, charges: 0, credits: ZERO, refunds: 1, refunded: credits, quantities: {} }
}

function group(rows: readonly HourRow[], by: readonly GroupBy[]): readonly UsageGroup[] {
  const groups = new Map<string, UsageGroup>()
  for (const row of rows) {
    const operation = by.includes('operation') ? row.operation : null
    const key = by.includes('key') ? row.key : null
    const creditType = by.includes('credit_type') ? row.creditType : null
    const name = JSON.stringify([operation, key, creditType])
    const known = groups.get(name)
    groups.set(name, {
      operation,
      key,
      creditType,
      charges: (known?.charges ?? 0) + row.charges,
      charged: (known?.charged ?? 0n) + row.credits,
      refunds: (known?.refunds ?? 0) + row.refunds,
      refunded: (known?.refunded ?? 0n) + row.refunded,
      quantities: addQuantities(known?.quantities ?? {}, row.quantities),
    })
  }
  return [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)
}
