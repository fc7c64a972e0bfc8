/** Reads of rows of all buckets in one order, where each statement may read those of one bucket only. */

import { BUCKETS } from './buckets.ts'

/** What is read, and in which order. */
export interface Sweep<Row> {
  /** Rows of a bucket in the order of the sweep, those after a row of the same bucket, or the first ones. */
  readonly read: (bucket: number, after: Row | null, limit: number) => Promise<readonly Row[]>
  readonly compare: (a: Row, b: Row) => number
  readonly limit: number
  /** Rows that are read of a bucket at a time. */
  readonly atOnce: number
}

interface Swept<Row> {
  readonly bucket: number
  readonly rows: Row[]
  isOver: boolean
}

/**
 * The first rows of all buckets. Of each some are read; what comes before the last that was read of every bucket is sure, and where that is
 * not enough, more is read of the buckets that hold it up.
 */
export async function sweep<Row>({ read, compare, limit, atOnce }: Sweep<Row>): Promise<readonly Row[]> {
  const all = Array.from({ length: BUCKETS }, (_, bucket): Swept<Row> => ({ bucket, rows: [], isOver: false }))
  for (let wanting: readonly Swept<Row>[] = all; ; ) {
    await Promise.all(
      wanting.map(async (one) => {
        const rows = await read(one.bucket, one.rows.at(-1) ?? null, atOnce)
        one.rows.push(...rows)
        one.isOver = rows.length < atOnce
      }),
    )
    const known = all.flatMap(({ rows }) => rows).sort(compare)
    const end = known[limit - 1]
    wanting = all.filter(({ rows, isOver }) => !isOver && isBefore(rows.at(-1), end, compare))
    if (wanting.length === 0) return known.slice(0, limit)
  }
}

/** Whether a bucket may have rows that belong before an end: it has been read up to a row before it. */
function isBefore<Row>(last: Row | undefined, end: Row | undefined, compare: Sweep<Row>['compare']): boolean {
  return last === undefined || end === undefined || compare(last, end) < 0
}
