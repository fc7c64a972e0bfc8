/** Reads journal rows: by idempotency key, by address, and page by page. */

import type { BatchRow } from '../batch.ts'
import { bucketOf, hashes, numbers } from './buckets.ts'
import type { Runner, Statement } from './session.ts'

/** A journal row of an account. */
export type StoredRow = Omit<BatchRow, 'position'>

/** Where a record is. */
export interface Address {
  readonly account: number
  readonly seq: number
}

/** The columns of a journal row `j`, under the names of StoredRow. */
export const ROW_COLUMNS = 'j.account, j.seq, j.at_ms as "atMs", j.kind, j.key_hash as "keyHash", j.fingerprint, j.hash, j.body'

/** One look-up for each key: a plan that was made for few rows stays right for many. */
const KEYED: Statement = {
  name: 'keyed',
  text: `select j.* from unnest($1::text[]) t(key_hash),
         lateral (select ${ROW_COLUMNS} from journal j where j.key_hash = t.key_hash limit 1) j`,
}
const AT: Statement = {
  name: 'records at',
  text: `select ${ROW_COLUMNS} from unnest($1::smallint[], $2::bigint[], $3::bigint[]) t(bucket, account, seq)
         join journal j on j.bucket = t.bucket and j.account = t.account and j.seq = t.seq`,
}

/** The rows that idempotency keys made, by key. */
export async function readKeyed(run: Runner, keyHashes: readonly string[]): Promise<ReadonlyMap<string, StoredRow>> {
  if (keyHashes.length === 0) return new Map()
  const rows = await run<StoredRow>(KEYED, [hashes(keyHashes)])
  return new Map(rows.map((row) => [row.keyHash ?? '', row]))
}

/** The arrays of buckets, accounts and sequences that name records. */
export function addresses(wanted: readonly Address[]): readonly string[] {
  const accounts = wanted.map(({ account }) => account)
  return [numbers(accounts.map(bucketOf)), numbers(accounts), numbers(wanted.map(({ seq }) => seq))]
}

/** The rows at addresses, by `account:seq`. */
export async function readRows(run: Runner, wanted: readonly Address[]): Promise<ReadonlyMap<string, StoredRow>> {
  if (wanted.length === 0) return new Map()
  const rows = await run<StoredRow>(AT, addresses(wanted))
  return new Map(rows.map((row) => [`${row.account}:${row.seq}`, row]))
}
