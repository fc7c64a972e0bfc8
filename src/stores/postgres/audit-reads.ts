/** What an audit reads: whole tables, or, where no statement may reach over buckets, one bucket after the other. */

import { BROKEN_SERIES } from '../plain-data.ts'
import type { AuditCheck } from '../store.ts'
import { BUCKETS, type Rows, sortedAccounts } from './buckets.ts'
import { ROW_COLUMNS, type StoredRow } from './journal.ts'
import type { Runner } from './session.ts'
import { LEDGER_TABLES } from './tables.ts'

/** Accounts whose rows are read together. */
const ACCOUNTS_AT_ONCE = 200
const ROWS_AT_ONCE = 5_000

/** An account, and the bucket in which its row is. */
export interface KeptAccount {
  readonly bucket: number
  readonly number: number
}

function ask<Row extends object>(run: Runner, text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  return run<Row & { [name: string]: unknown }>({ name: '', text }, values)
}

/** The buckets that are read one by one; null: all at once. */
function bucketsOf(run: Runner): Iterable<number | null> {
  return run.reach === 'any' ? [null] : Array(BUCKETS).keys()
}

/** All accounts, some at a time. */
export async function* accountPages(run: Runner): AsyncGenerator<readonly KeptAccount[]> {
  for (const bucket of bucketsOf(run)) {
    let last: KeptAccount = { bucket: bucket ?? -1, number: -1 }
    for (;;) {
      const where = bucket === null ? '(bucket, number) > ($1::smallint, $2::bigint)' : 'bucket = $1 and number > $2'
      const text = `select bucket, number from accounts where ${where} order by bucket, number limit $3`
      const accounts = await ask<KeptAccount>(run, text, [last.bucket, last.number, ACCOUNTS_AT_ONCE])
      const end = accounts.at(-1)
      if (!end) break
      last = end
      yield accounts
    }
  }
}

/** Where reading goes on. */
export interface JournalPlace {
  readonly bucket: number
  readonly account: number
  readonly seq: number
}

const OF_ACCOUNTS = `select j.bucket, ${ROW_COLUMNS} from unnest($1::smallint[], $2::bigint[]) t(bucket, account)
  join journal j on j.bucket = t.bucket and j.account = t.account
  where (j.bucket, j.account, j.seq) > ($3::smallint, $4::bigint, $5::bigint) order by j.bucket, j.account, j.seq limit $6`
const OF_BUCKET = `select j.bucket, ${ROW_COLUMNS} from journal j where j.bucket = $1 and j.account = any($2::bigint[])
  and (j.account, j.seq) > ($3::bigint, $4::bigint) order by j.account, j.seq limit $5`

/** The journals of accounts, which are of one bucket where only one may be reached, after a place. */
export function readJournals(
  run: Runner,
  accounts: readonly number[],
  { bucket, account, seq }: JournalPlace,
): Promise<readonly (StoredRow & { readonly bucket: number })[]> {
  const { buckets, columns }: Rows = sortedAccounts(accounts)
  return run.reach === 'any'
    ? ask(run, OF_ACCOUNTS, [buckets, columns[0], bucket, account, seq, ROWS_AT_ONCE])
    : ask(run, OF_BUCKET, [buckets[0], columns[0], account, seq, ROWS_AT_ONCE])
}

/** Rows of a table. */
export async function countRows(run: Runner, table: string): Promise<number> {
  let rows = 0
  for (const bucket of LEDGER_TABLES.some((name) => name === table) ? bucketsOf(run) : [null]) {
    const text = `select count(*) as rows from ${table}${bucket === null ? '' : ' where bucket = $1'}`
    const [found] = await ask<{ rows: number }>(run, text, bucket === null ? [] : [bucket])
    rows += found?.rows ?? 0
  }
  return rows
}

/** Rows of the journal of which there must be none, each a difference of its check. */
const STRAYS: readonly (readonly [check: AuditCheck, detail: string, text: (where: string) => string])[] = [
  [
    'accounts',
    'there are records of an account that does not exist',
    (where) => `select distinct j.account from journal j where ${where}
      and not exists (select 1 from accounts a where a.bucket = j.bucket and a.number = j.account) limit 20`,
  ],
  [
    'idempotency',
    'an idempotency key leads to two records',
    (where) => `select min(j.account) as account from journal j where ${where} and j.key_hash is not null
      group by j.bucket, j.key_hash having count(*) > 1 limit 5`,
  ],
]

/** Reports records of accounts that do not exist, keys of more than one record, and numbers of invoices that are missing. */
export async function checkStrays(run: Runner, report: (check: AuditCheck, account: number | null, detail: string) => void): Promise<void> {
  for (const [check, detail, text] of STRAYS)
    for (const bucket of bucketsOf(run)) {
      const rows = await ask<{ account: number }>(run, text(bucket === null ? 'true' : 'j.bucket = $1'), bucket === null ? [] : [bucket])
      for (const { account } of rows) report(check, account, detail)
    }
  for (const { series } of await ask<{ series: string }>(run, BROKEN_SERIES)) report('invoices', null, `numbers of ${series} are missing`)
}
