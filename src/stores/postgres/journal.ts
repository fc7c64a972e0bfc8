/** Reads journal rows: by idempotency key, by address, and page by page. */

import type { BatchRow } from '../batch.ts'
import { bucketOf, hashes, onRows, type Rows, runOnRows } from './buckets.ts'
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
const KEYED = onRows(
  'keyed',
  [['key_hash', 'text']],
  (rows) =>
    `select j.* from ${rows}, lateral (select ${ROW_COLUMNS} from journal j where j.bucket = t.bucket and j.key_hash = t.key_hash limit 1) j`,
)
const AT = onRows(
  'records at',
  [
    ['account', 'bigint'],
    ['seq', 'bigint'],
  ],
  (rows) => `select ${ROW_COLUMNS} from ${rows} join journal j on j.bucket = t.bucket and j.account = t.account and j.seq = t.seq`,
)
const OPENINGS: Statement = {
  name: 'openings keyed',
  text: 'select key_hash as "keyHash", account from opening_keys where key_hash = any($1::text[])',
}

/** An idempotency key, and the account whose it is; null: it is that of an opening, which its directory knows. */
export interface WantedKey {
  readonly keyHash: string
  readonly account: number | null
}

/** The rows that idempotency keys made, by key. */
export async function readKeyed(run: Runner, wanted: readonly WantedKey[]): Promise<ReadonlyMap<string, StoredRow>> {
  const openings = wanted.flatMap(({ keyHash, account }) => (account === null ? [keyHash] : []))
  const opened = openings.length === 0 ? [] : await run<{ keyHash: string; account: number }>(OPENINGS, [hashes(openings)])
  const keys = new Map(opened.map(({ keyHash, account }) => [keyHash, account]))
  for (const { keyHash, account } of wanted) if (account !== null) keys.set(keyHash, account)
  const rows = await runOnRows<StoredRow>(run, KEYED, { buckets: [...keys.values()].map(bucketOf), columns: [[...keys.keys()]] })
  return new Map(rows.map((row) => [row.keyHash ?? '', row]))
}

/** The rows of places in the ledger. */
export function addresses(wanted: readonly Address[]): Rows {
  const accounts = wanted.map(({ account }) => account)
  return { buckets: accounts.map(bucketOf), columns: [accounts, wanted.map(({ seq }) => seq)] }
}

/** The rows at addresses, by `account:seq`. */
export async function readRows(run: Runner, wanted: readonly Address[]): Promise<ReadonlyMap<string, StoredRow>> {
  const rows = await runOnRows<StoredRow>(run, AT, addresses(wanted))
  return new Map(rows.map((row) => [`${row.account}:${row.seq}`, row]))
}
