/** Audits a PostgreSQL store: one moment of it, every account derived again from its journal, every table compared. */

import { Worker } from 'node:worker_threads'
import type { Client } from 'pg'
import type { JournalRecord } from '../../core/record.ts'
import { decodeRecord } from '../../core/record-codec.ts'
import { AccountAudit, type Report } from '../auditor.ts'
import { type AuditCheck, type AuditReport, type Difference, MAX_DIFFERENCES } from '../store.ts'
import { type Address, DEFAULT_PATIENCE, type Reach, readAddress } from './address.ts'
import { accountPages, checkStrays, countRows, readJournals } from './audit-reads.ts'
import { compareAccount, DERIVED, type DerivedTable, type KeptRows, type Opening, readKept } from './audited-tables.ts'
import { bucketOf } from './buckets.ts'
import { connectToRead } from './database.ts'
import { FeedAudit, type Told } from './feed-audit.ts'
import { readRows, type StoredRow } from './journal.ts'
import { type Runner, runnerOf } from './session.ts'

/** Audits in a thread of its own, so that a server goes on answering. */
export function auditInThread(address: Address): Promise<AuditReport> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./audit-worker.ts', import.meta.url), { workerData: address })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the audit ended with exit code ${code}`)))
  })
}

/** Whole tables are read, which takes as long as it takes, and so does what is made of them in between. */
const SETTINGS =
  'set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; set local enable_seqscan = on; set local enable_hashjoin = on; set local enable_mergejoin = on; set local plan_cache_mode = auto'

/** Audits a store that servers may go on writing. Rejects with StoreUnavailableError. */
export function auditDatabase(url: string, reach: Reach = 'any'): Promise<AuditReport> {
  return auditAt(readAddress(url, reach))
}

/** As `auditDatabase`. */
export async function auditAt(address: Address): Promise<AuditReport> {
  const client = await connectToRead(address, { ...DEFAULT_PATIENCE, statementMs: 24 * 3_600_000 })
  try {
    await client.query('begin isolation level repeatable read read only')
    return await auditTransaction(client, address.reach)
  } finally {
    await client.end()
  }
}

/** Audits what the transaction of a session sees. */
export async function auditTransaction(client: Client, reach: Reach = 'any'): Promise<AuditReport> {
  await client.query(SETTINGS)
  return new DatabaseAudit(client, reach).run()
}

/** Accounts that are looked at together have so many records at most, unless one alone has more: all of them are kept in memory. */
const RECORDS_AT_ONCE = 100_000

/** An account's journal as far as it was folded. */
interface Folded {
  readonly audit: AccountAudit
  readonly report: Report
  /** Its first record: when it was made, and its idempotency key; null: there is none. */
  opening: Opening | null
}

class DatabaseAudit {
  readonly #run: Runner
  readonly #differences: Difference[] = []
  readonly #counts = { accounts: 0, records: 0, keys: 0, rollups: 0 }
  readonly #visited = new Map<DerivedTable, number>()
  #told: ReadonlyMap<number, Told> = new Map()

  constructor(client: Client, reach: Reach) {
    this.#run = runnerOf(reach, async (statement, values) => (await client.query({ text: statement.text, values: [...values] })).rows)
  }

  async run(): Promise<AuditReport> {
    const report = (check: AuditCheck, account: number | null, detail: string): void => this.#report(check, { account, seq: null }, detail)
    const feed = new FeedAudit(this.#run, report)
    const told = await feed.check()
    this.#told = feed.told
    for await (const accounts of accountPages(this.#run)) {
      for (const { bucket, number } of accounts)
        if (bucket !== bucketOf(number)) report('accounts', number, `the account is kept in bucket ${bucket}`)
      const sized = accounts.map(({ number }) => ({ number, records: feed.told.get(number)?.seq ?? 0 }))
      for (const some of groupsOf(sized, RECORDS_AT_ONCE)) await this.#auditAccounts(some.map(({ number }) => number))
    }
    await checkStrays(this.#run, report)
    await this.#checkStrays()
    if (this.#counts.records !== told)
      report('positions', null, `${told} records are in batches, and ${this.#counts.records} in the journal`)
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
        return [account, { audit, report, opening: null } as Folded] as const
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
    for (const { audit, report, opening } of folded.values()) {
      if (opening === null) report('accounts', null, 'the account has no records')
      else if (!audit.isBroken) compareAccount(audit, { kept, report, opening, told: this.#told.get(audit.state.number) })
    }
  }

  async #foldJournals(
    accounts: readonly number[],
    folded: ReadonlyMap<number, Folded>,
    records: Map<string, JournalRecord>,
  ): Promise<void> {
    for (let last = { bucket: -1, account: 0, seq: 0 }; ; ) {
      const rows = await readJournals(this.#run, accounts, last)
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
    folded.opening ??= row
    if (row.keyHash !== null) this.#counts.keys++
    folded.audit.fold(row)
  }

  /** The charges that refunds name: an audit that kept all charges of an account would have no bounds. */
  async #findRefunded(rows: readonly StoredRow[], records: Map<string, JournalRecord>): Promise<void> {
    const wanted = rows.flatMap((row) => {
      const seq = row.kind === 'refund' || row.kind === 'outcome_reported' ? chargeNamedIn(row.body) : null
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
      const found = await countRows(this.#run, table)
      if (table === 'journal') this.#counts.records = found
      const visited = this.#visited.get(table) ?? 0
      if (found !== visited && !this.#differences.some((difference) => difference.check === check))
        this.#report(check, { account: null, seq: null }, `${table} has ${found} rows, of which ${visited} belong to an account's records`)
    }
  }
}

/** Accounts in groups that have so many records at most together, unless one alone has more. */
export function groupsOf<Account extends { readonly records: number }>(accounts: readonly Account[], limit: number): readonly Account[][] {
  const groups: Account[][] = []
  let left = 0
  for (const account of accounts) {
    left -= account.records
    const group = groups.at(-1)
    if (group && left >= 0) group.push(account)
    else {
      groups.push([account])
      left = limit - account.records
    }
  }
  return groups
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
