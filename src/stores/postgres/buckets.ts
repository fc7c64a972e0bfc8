/** Buckets, and columns of rows as PostgreSQL reads them: one array for each. */

import type { Reach } from './address.ts'
import type { Runner, Statement } from './session.ts'

/** Buckets that accounts are spread over. Fixed for good: it is part of every key. */
export const BUCKETS = 256

/** The bucket of an account. Account numbers are random, so their last digits are as good as a hash. */
export function bucketOf(account: number): number {
  return account % BUCKETS
}

/** Numbers as an array literal. */
export function numbers(values: readonly (number | bigint | null)[]): string {
  return plain(values)
}

/** Hashes as an array literal: they hold nothing that must be quoted. */
export function hashes(values: readonly (string | null)[]): string {
  return plain(values)
}

function plain(values: readonly (number | bigint | string | null)[]): string {
  return `{${values.map((value) => value ?? 'null').join(',')}}`
}

/** Any texts as an array literal. */
export function texts(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'null' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`
}

/** JSON texts as one text, to be taken apart by `string_to_array(…, e'\\n')`: JSON has no line breaks, and nothing must be quoted. */
export function lines(values: readonly string[]): string {
  return values.join('\n')
}

/** Rows by their buckets and their other columns. */
export interface Rows {
  readonly buckets: readonly number[]
  /** One for each column; what they hold needs no quotes. */
  readonly columns: readonly (readonly (number | string)[])[]
}

/** Accounts as rows, each once, in the order in which everybody locks them. */
export function sortedAccounts(accounts: Iterable<number>): Rows {
  const sorted = [...new Set(accounts)].sort((a, b) => bucketOf(a) - bucketOf(b) || a - b)
  return { buckets: sorted.map(bucketOf), columns: [sorted] }
}

/** A statement on rows, in its two forms: each row says its bucket, or there is one for all of them. */
export type RowStatement = Readonly<Record<Reach, Statement>>

/** A column of the rows: its name and type. */
export type Column = readonly [name: string, type: string]

/** Makes both forms of a statement. `text` puts the rows, which are named t and begin with their bucket, into it. */
export function onRows(name: string, columns: readonly Column[], text: (rows: string) => string): RowStatement {
  const names = columns.map(([column]) => column).join(', ')
  const arrays = columns.map(([, type], index) => `$${index + 2}::${type}[]`).join(', ')
  return {
    any: { name, text: text(`unnest($1::smallint[], ${arrays}) t(bucket, ${names})`) },
    bucket: { name: `${name} of bucket`, text: text(rowsOfBucket(names, arrays)) },
  }
}

/** Rows of the bucket that is the first value: planners find its constant through the subquery, and Citus the node by it. */
export function rowsOfBucket(names: string, arrays: string): string {
  return `(select $1::smallint as bucket, u.* from unnest(${arrays}) u(${names})) t`
}

/** Runs a statement on rows: at once, or bucket by bucket where no statement may reach further. */
export async function runOnRows<Row extends object>(
  run: Runner,
  statement: RowStatement,
  { buckets, columns }: Rows,
): Promise<readonly Row[]> {
  if (buckets.length === 0) return []
  if (run.reach === 'any') return run<Row>(statement.any, [numbers(buckets), ...columns.map(plain)])
  const places = Map.groupBy(buckets.keys(), (place) => buckets[place])
  const found = [...places].map(([bucket, some]) =>
    run<Row>(statement.bucket, [bucket, ...columns.map((values) => plain(some.map((place) => values[place] ?? null)))]),
  )
  return (await Promise.all(found)).flat()
}

/** Asks something of every bucket. */
export function ofEveryBucket<Value>(ask: (bucket: number) => Promise<Value>): Promise<readonly Value[]> {
  return Promise.all(Array.from({ length: BUCKETS }, (_, bucket) => ask(bucket)))
}
