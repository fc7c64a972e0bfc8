/** Audits a PostgreSQL store: one moment of it, every account derived again from its journal, every table compared. */

import { Worker } from 'node:worker_threads'
import type { Client } from 'pg'
import type { JournalRecord } from '../../core/record.ts'
import { decodeRecord } from '../../core/record-codec.ts'
import { AccountAudit, type Report } from '../auditor.ts'
import { type AuditCheck, type AuditReport, type Difference, MAX_DIFFERENCES } from '../store.ts'
import { DEFAULT_PATIENCE, readAddress } from './address.ts'
import { compareAccount, DERIVED, type DerivedTable, type KeptRows, readKept } from './audited-tables.ts'
import { bucketOf, sortedAccounts } from './buckets.ts'
import { connectToRead } from './database.ts'
import { checkFeed, checkOwners } from './feed-audit.ts'
import { ROW_COLUMNS, readRows, type StoredRow } from './journal.ts'
import type { Runner } from './session.ts'

/** Audits in a thread of its own, so that a server goes on answering. */
export function auditInThread(url: string): Promise<AuditReport> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./audit-worker.ts', import.meta.url), { workerData: { url } })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the audit ended with exit code ${code}`)))
  })
}

/** Whole tables are read, which takes as long as it takes. */
const SETTINGS =
  'set local statement_timeout = 0; set local enable_seqscan = on; set local enable_hashjoin = on; set local enable_mergejoin = on; set local plan_cache_mode = auto'

/** Audits a store that servers may go on writing. Rejects with StoreUnavailableError. */
export async function auditDatabase(url: string): Promise<AuditReport> {
  const client = await connectToRead(readAddress(url), { ...DEFAULT_PATIENCE, statementMs: 24 * 3_600_000 })
  try {
    await client.query('begin isolation level repeatable read read only')
    return await auditTransaction(client)
  } finally {
    await client.end()
  }
}

/** Audits what the transaction of a session sees. */
export async function auditTransaction(client: Client): Promise<AuditReport> {
  await client.query(SETTINGS)
  return new DatabaseAudit(client).run()
}

/** Accounts whose rows are read together. */
const ACCOUNTS_AT_ONCE = 200
const ROWS_AT_ONCE = 5_000

/** An account's journal as far as it was folded. */
interface Folded {
  readonly audit: AccountAudit
  readonly report: Report
  /** Time of its first record; null: it has none. */
  openedAtMs: number | null
}

class DatabaseAudit {
  readonly #run: Runner
  readonly #differences: Difference[] = []
  readonly #counts = { accounts: 0, records: 0, keys: 0, rollups: 0 }
  readonly #visited = new Map<DerivedTable, number>()

  constructor(client: Client) {
    this.#run = async (statement, values) => (await client.query({ text: statement.text, values: [...values] })).rows
  }

  async run(): Promise<AuditReport> {
    const report = (check: AuditCheck, account: number | null, detail: string): void => this.#report(check, { account, seq: null }, detail)
    this.#counts.records = await checkFeed(this.#run, report)
    for (let last = { bucket: -1, number: 0 }; ; ) {
      const accounts = await this.#run<{ bucket: number; number: number }>(
        {
          name: '',
          text: 'select bucket, number from accounts where (bucket, number) > ($1::smallint, $2::bigint) order by bucket, number limit $3',
        },
        [last.bucket, last.number, ACCOUNTS_AT_ONCE],
      )
      const end = accounts.at(-1)
      if (!end) break
      last = end
      for (const { bucket, number } of accounts)
        if (bucket !== bucketOf(number)) report('accounts', number, `the account is kept in bucket ${bucket}`)
      await this.#auditAccounts(accounts.map(({ number }) => number))
    }
    await checkOwners(this.#run, report)
    await this.#checkStrays()
    return { checked: this.#counts, differences: this.#differences }
  }

  #report(check: AuditCheck, { account, seq }: { readonly account: number | null; readonly seq: number | null }, detail: string): void {
    if (this.#differences.length < MAX_DIFFERENCES) this.#differences.push({ check, account, seq, detail })
  }

  #visit(table: DerivedTable, rows: number): void {
    this.#visited.set(table, (this.#visited.get(table) ?? 0) + rows)
  }

  async #auditAccounts(accounts: readonly number[]): Promise<void> {
    this.#counts.accounts += accounts.length
    const records = new Map<string, JournalRecord>()
    const folded = new Map(
      accounts.map((account) => {
        const report: Report = (check, seq, detail) => this.#report(check, { account, seq }, detail)
        const audit = new AccountAudit(account, { report, find: (seq) => records.get(`${account}:${seq}`) })
        return [account, { audit, report, openedAtMs: null } as Folded] as const
      }),
    )
    await this.#foldJournals(accounts, folded, records)
    const kept = await readKept(this.#run, accounts)
    for (const table of Object.keys(kept) as (keyof KeptRows)[])
      if (table !== 'accounts')
        this.#visit(
          table,
          [...kept[table].values()].reduce((sum, rows) => sum + rows.length, 0),
        )
    this.#counts.rollups += [...kept.rollups.values()].reduce((sum, rows) => sum + rows.length, 0)
    for (const { audit, report, openedAtMs } of folded.values()) {
      if (openedAtMs === null) report('accounts', null, 'the account has no records')
      else if (!audit.isBroken) compareAccount(audit, { kept, report, openedAtMs })
    }
  }

  async #foldJournals(
    accounts: readonly number[],
    folded: ReadonlyMap<number, Folded>,
    records: Map<string, JournalRecord>,
  ): Promise<void> {
    const wanted = sortedAccounts(accounts)
    for (let last = { bucket: -1, account: 0, seq: 0 }; ; ) {
      const rows = await this.#run<StoredRow & { bucket: number }>(
        {
          name: '',
          text: `select j.bucket, ${ROW_COLUMNS} from unnest($1::smallint[], $2::bigint[]) t(bucket, account)
                 join journal j on j.bucket = t.bucket and j.account = t.account
                 where (j.bucket, j.account, j.seq) > ($3::smallint, $4::bigint, $5::bigint)
                 order by j.bucket, j.account, j.seq limit $6`,
        },
        [wanted.buckets, wanted.accounts, last.bucket, last.account, last.seq, ROWS_AT_ONCE],
      )
      const end = rows.at(-1)
      if (!end) return
      last = end
      this.#visit('journal', rows.length)
      await this.#findRefunded(rows, records)
      for (const row of rows) this.#fold(row, folded.get(row.account))
      records.clear()
    }
  }

  #fold(row: StoredRow, folded: Folded | undefined): void {
    if (!folded) return
    folded.openedAtMs ??= row.atMs
    if (row.keyHash !== null) this.#counts.keys++
    folded.audit.fold(row)
  }

  /** The charges that refunds name: an audit that kept all charges of an account would have no bounds. */
  async #findRefunded(rows: readonly StoredRow[], records: Map<string, JournalRecord>): Promise<void> {
    const wanted = rows.flatMap((row) => {
      const seq = row.kind === 'refund' ? chargeNamedIn(row.body) : null
      return seq === null ? [] : [{ account: row.account, seq }]
    })
    for (const [name, row] of await readRows(this.#run, wanted)) {
      const record = decodeOrNull(row)
      if (record) records.set(name, record)
    }
  }

  /** Rows that no account led to. */
  async #checkStrays(): Promise<void> {
    for (const [table, check] of Object.entries(DERIVED) as [DerivedTable, AuditCheck][]) {
      const [found] = await this.#run<{ rows: number }>({ name: '', text: `select count(*) as rows from ${table}` }, [])
      const visited = this.#visited.get(table) ?? 0
      if (found?.rows !== visited && !this.#differences.some((difference) => difference.check === check))
        this.#report(
          check,
          { account: null, seq: null },
          `${table} has ${found?.rows} rows, of which ${visited} belong to an account's records`,
        )
    }
  }
}

/** The charge that a refund's body names; null: that cannot be told. */
function chargeNamedIn(body: string): number | null {
  const charge = /"charge":(\d{1,15})\b/.exec(body)?.[1]
  return charge === undefined ? null : Number(charge)
}

/** A record that cannot be read is reported where it is folded. */
function decodeOrNull(row: StoredRow): JournalRecord | null {
  try {
    return decodeRecord(row)
  } catch (fault) {
    if (fault instanceof Error) return null
    throw fault
  }
}
