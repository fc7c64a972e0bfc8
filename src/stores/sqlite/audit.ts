/** Audits a SQLite store: one moment of the file, every account derived again from its journal, every table compared. */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { sweepDueMs } from '../../core/account.ts'
import { decodeState, encodeState } from '../../core/account-codec.ts'
import type { JournalRecord } from '../../core/record.ts'
import { encodeKeyTerms } from '../../core/record-codec.ts'
import { AccountAudit, type Report } from '../auditor.ts'
import { encodeQuantities } from '../hour-rows.ts'
import { prefixOf } from '../key-prefix.ts'
import { BROKEN_SERIES } from '../plain-data.ts'
import { type AuditCheck, type AuditReport, type Difference, MAX_DIFFERENCES } from '../store.ts'
import { autoTopupRows, subscriptionRows } from '../subscription-rows.ts'
import { openSnapshot } from './database.ts'
import { ROW_COLUMNS, recordOf, type StoredRow } from './journal.ts'
import { LOW_WATER } from './write-back.ts'

/** Audits in a thread of its own, so that a server goes on answering. */
export function auditInThread(file: string): Promise<AuditReport> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./audit-worker.ts', import.meta.url), { workerData: { file } })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the audit ended with exit code ${code}`)))
  })
}

/** Audits a file, which a server may go on writing. Throws StoreUnavailableError. */
export function auditFile(file: string): AuditReport {
  const db = openSnapshot(file)
  try {
    db.exec('begin')
    return new FileAudit(db).run()
  } finally {
    db.close()
  }
}

interface Counts {
  accounts: number
  records: number
  keys: number
  rollups: number
}

/** How many rows of each derived table belong to what was derived; the rest belongs to nothing. */
const DERIVED_TABLES = {
  account_states: 'states',
  account_records: 'history',
  rollups: 'rollups',
  grants: 'grants',
  holds: 'holds',
  refunds: 'refunds',
  purchases: 'purchases',
  subscriptions: 'subscriptions',
  auto_topups: 'auto_topups',
  api_keys: 'keys',
  key_secrets: 'keys',
  due_accounts: 'due',
  idempotency_keys: 'idempotency',
} as const satisfies Record<string, AuditCheck>

type DerivedTable = keyof typeof DERIVED_TABLES

class FileAudit {
  readonly #db: DatabaseSync
  readonly #differences: Difference[] = []
  readonly #counts: Counts = { accounts: 0, records: 0, keys: 0, rollups: 0 }
  readonly #visited: Record<DerivedTable, number> = {
    account_states: 0,
    account_records: 0,
    rollups: 0,
    grants: 0,
    holds: 0,
    refunds: 0,
    purchases: 0,
    subscriptions: 0,
    auto_topups: 0,
    api_keys: 0,
    key_secrets: 0,
    due_accounts: 0,
    idempotency_keys: 0,
  }
  readonly #tails = new Map<number, StoredRow[]>()
  readonly #statements = new Map<string, StatementSync>()
  /** Idempotency keys of the tail, which the index may not have yet. */
  readonly #tailKeys = new Set<string>()
  readonly #lowWater: number

  constructor(db: DatabaseSync) {
    this.#db = db
    const setting = this.#one('select value from settings where name = ?', LOW_WATER) as { value: string } | undefined
    this.#lowWater = Number(setting?.value ?? 0)
  }

  run(): AuditReport {
    this.#checkPositions()
    for (const row of this.#all(
      `select ${ROW_COLUMNS} from journal j where j.position > ? order by j.position`,
      this.#lowWater,
    ) as unknown as StoredRow[]) {
      const tail = this.#tails.get(row.account)
      if (tail) tail.push(row)
      else this.#tails.set(row.account, [row])
    }
    for (const { number } of this.#iterate('select number from accounts order by number') as Iterable<{ number: number }>)
      this.#auditAccount(number)
    this.#checkStrays()
    return { checked: this.#counts, differences: this.#differences }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known) return known
    const made = this.#db.prepare(sql)
    this.#statements.set(sql, made)
    return made
  }

  #one(sql: string, ...values: SQLInputValue[]): unknown {
    return this.#statement(sql).get(...values)
  }

  #all(sql: string, ...values: SQLInputValue[]): readonly unknown[] {
    return this.#statement(sql).all(...values)
  }

  /** A statement of its own each time: iterations may be nested. */
  #iterate(sql: string, ...values: SQLInputValue[]): Iterable<unknown> {
    return this.#db.prepare(sql).iterate(...values)
  }

  #report(check: AuditCheck, account: number | null, seq: number | null, detail: string): void {
    if (this.#differences.length < MAX_DIFFERENCES) this.#differences.push({ check, account, seq, detail })
  }

  #checkPositions(): void {
    const { rows, last } = this.#one('select count(*) as rows, coalesce(max(position), 0) as last from journal') as {
      rows: number
      last: number
    }
    const { first } = this.#one('select coalesce(min(position), 1) as first from journal') as { first: number }
    this.#counts.records = rows
    if (first !== 1 || rows !== last) this.#report('positions', null, null, `${rows} records are numbered ${first} to ${last}`)
    if (this.#lowWater > last)
      this.#report('positions', null, null, `the journal ends at ${last}, but was written back up to ${this.#lowWater}`)
  }

  #auditAccount(account: number): void {
    this.#counts.accounts++
    const report: Report = (check, seq, detail) => this.#report(check, account, seq, detail)
    const audit = new AccountAudit(account, { report, find: (seq) => this.#recordAt(account, seq) })
    const { writtenSeq } = this.#one('select coalesce(max(seq), 0) as "writtenSeq" from account_records where account = ?', account) as {
      writtenSeq: number
    }
    this.#checkWrittenSeq(account, writtenSeq, report)
    let first: StoredRow | undefined
    for (const row of this.#rowsOf(account, report)) {
      first ??= row
      audit.fold(row)
      if (row.keyHash !== null) this.#checkKey(row, row.keyHash, report)
      if (!audit.isBroken && row.seq === writtenSeq) this.#checkWritten(audit, report)
    }
    if (!first) report('accounts', null, 'the account has no records')
    else if (!audit.isBroken) this.#checkProfile(audit, first, report)
  }

  /** The kept state and the index of records are written together. */
  #checkWrittenSeq(account: number, writtenSeq: number, report: Report): void {
    const written = this.#writtenState(account)
    if (written) this.#visited.account_states++
    if ((written?.seq ?? 0) !== writtenSeq)
      report('states', null, `the kept state is that of record ${written?.seq ?? 'none'}, the rest was written up to record ${writtenSeq}`)
  }

  #writtenState(account: number): WrittenState | undefined {
    return this.#one('select seq, hash, state from account_states where account = ?', account) as WrittenState | undefined
  }

  /** A record of an account, by the index or in the tail; undefined: there is none, or it cannot be read. */
  #recordAt(account: number, seq: number): JournalRecord | undefined {
    const sql = `select ${ROW_COLUMNS} from account_records r join journal j on j.position = r.position where r.account = ? and r.seq = ?`
    const row =
      (this.#one(sql, account, seq) as StoredRow | undefined) ?? this.#tails.get(account)?.find((candidate) => candidate.seq === seq)
    return row && recordOf(row)
  }

  /** The account's rows by sequence: those in the index, then the tail that has yet to be written back. */
  *#rowsOf(account: number, report: Report): Iterable<StoredRow> {
    let last = 0
    const sql = `select r.seq as "indexedSeq", r.position as "indexedPosition", ${ROW_COLUMNS} from account_records r left join journal j on j.position = r.position where r.account = ? order by r.seq`
    for (const raw of this.#iterate(sql, account)) {
      const row = raw as StoredRow & { indexedSeq: number; indexedPosition: number }
      this.#visited.account_records++
      if (row.account !== account || row.seq !== row.indexedSeq) {
        report('history', row.indexedSeq, `the index leads to position ${row.indexedPosition}, which is not this record`)
        continue
      }
      last = row.seq
      yield row
    }
    for (const row of this.#tails.get(account) ?? []) {
      if (row.seq > last) yield row
      else if (!this.#isIndexed(row)) report('sequence', row.seq, `position ${row.position} has a record of this number too`)
    }
    this.#tails.delete(account)
  }

  #isIndexed({ account, seq, position }: StoredRow): boolean {
    return this.#one('select 1 from account_records where account = ? and seq = ? and position = ?', account, seq, position) !== undefined
  }

  #checkKey(row: StoredRow, keyHash: string, report: Report): void {
    this.#counts.keys++
    const found = this.#all(
      'select k.position, j.key_hash as "keyHash" from idempotency_keys k left join journal j on j.position = k.position where k.prefix = ?',
      prefixOf(keyHash),
    ) as { position: number; keyHash: string | null }[]
    const own = found.filter((candidate) => candidate.keyHash === keyHash)
    const isIndexed = own.some(({ position }) => position === row.position)
    if (isIndexed) this.#visited.idempotency_keys++
    else if (row.position <= this.#lowWater) report('idempotency', row.seq, 'the idempotency key leads nowhere')
    const isTwice = own.some(({ position }) => position !== row.position) || this.#tailKeys.has(keyHash)
    if (isTwice) report('idempotency', row.seq, 'the idempotency key leads to two records')
    if (row.position > this.#lowWater) this.#tailKeys.add(keyHash)
  }

  #checkWritten(audit: AccountAudit, report: Report): void {
    const { state } = audit
    const written = this.#writtenState(state.number)
    if (written?.seq === state.seq) checkState(written, audit, report)
    this.#compare('rollups', state.number, report, {
      sql: ROLLUPS,
      expected: audit.closedHours.map((hour) =>
        JSON.stringify([
          hour.hourMs,
          hour.operation,
          hour.key ?? 0,
          hour.creditType,
          hour.charges,
          `${hour.credits}`,
          hour.refunds,
          `${hour.refunded}`,
          encodeQuantities(hour.quantities),
        ]),
      ),
    })
    this.#compare('grants', state.number, report, {
      sql: 'select seq, status from grants where account = ?',
      expected: [...audit.grants].map((row) => JSON.stringify(row)),
    })
    this.#compare('holds', state.number, report, {
      sql: HOLDS,
      expected: [...audit.holds].map(([seq, hold]) =>
        JSON.stringify([seq, hold.status, `${hold.credits}`, `${hold.held}`, hold.expiresAtMs, hold.lateCharge]),
      ),
    })
    this.#compare('refunds', state.number, report, {
      sql: REFUNDS,
      expected: [...audit.refunds].map(([charge, refunded]) => JSON.stringify([charge, `${refunded}`])),
    })
    this.#compare('purchases', state.number, report, {
      sql: PURCHASES,
      expected: audit.purchases
        .rows()
        .map(([seq, status, openedAtMs, watched, ...rest]) => JSON.stringify([seq, status, openedAtMs, watched ? 1 : 0, ...rest])),
    })
    this.#compare('subscriptions', state.number, report, {
      sql: 'select seq, status, asking_ms, state from subscriptions where account = ?',
      expected: subscriptionRows(audit.subscriptions.values()),
    })
    this.#compare('auto_topups', state.number, report, {
      sql: 'select asking_ms from auto_topups where account = ?',
      expected: autoTopupRows(audit.autoTopup),
    })
    const dueMs = sweepDueMs(state)
    const due = dueMs === null ? [] : [JSON.stringify([dueMs])]
    this.#compare('due_accounts', state.number, report, { sql: 'select due_ms from due_accounts where account = ?', expected: due })
  }

  #checkProfile(audit: AccountAudit, { position }: StoredRow, report: Report): void {
    const { number } = audit.state
    const { profile } = audit
    const row = this.#one(ACCOUNT, number) as object
    const expected = profile && [
      profile.name,
      profile.externalId,
      JSON.stringify(profile.metadata),
      profile.capturePolicy,
      profile.status,
      audit.openedAtMs,
      position,
    ]
    const kept = JSON.stringify(Object.values(row))
    if (kept !== JSON.stringify(expected))
      report('accounts', null, `the profile kept is ${kept}, the records give ${JSON.stringify(expected)}`)
    const keys = [...audit.keys].map(([seq, { hint, previousUntilMs, terms, createdAtMs, revokedAtMs }]) =>
      JSON.stringify([seq, hint, previousUntilMs, JSON.stringify(encodeKeyTerms(terms)), createdAtMs, revokedAtMs]),
    )
    this.#compare('api_keys', number, report, { sql: KEYS, expected: keys })
    const secrets = [...audit.keys].flatMap(([seq, key]) => [...key.secrets].map(([hash, untilMs]) => JSON.stringify([seq, hash, untilMs])))
    this.#compare('key_secrets', number, report, { sql: SECRETS, expected: secrets })
  }

  /** Compares a table's rows of one account with what they should be, as sets. */
  #compare(
    table: DerivedTable,
    account: number,
    report: Report,
    { sql, expected }: { readonly sql: string; readonly expected: readonly string[] },
  ): void {
    const kept = (this.#all(sql, account) as object[]).map((row) => JSON.stringify(Object.values(row)))
    this.#visited[table] += kept.length
    if (table === 'rollups') this.#counts.rollups += kept.length
    const wanted = new Set(expected)
    const known = new Set(kept)
    for (const row of kept) if (!wanted.has(row)) report(DERIVED_TABLES[table], null, `${table} has ${row}, which the records do not give`)
    for (const row of expected) if (!known.has(row)) report(DERIVED_TABLES[table], null, `${table} lacks ${row}`)
  }

  /** Rows that no account led to: of unknown accounts, or lost from the index. */
  #checkStrays(): void {
    const unknown = this.#iterate('select distinct account from account_records where account not in (select number from accounts)')
    for (const { account } of unknown as Iterable<{ account: number }>)
      this.#report('accounts', account, null, 'there are records of an account that does not exist')
    for (const [account, rows] of this.#tails)
      this.#report('accounts', account, rows[0]?.seq ?? null, `${rows.length} records belong to an account that does not exist`)
    for (const [table, check] of Object.entries(DERIVED_TABLES) as [DerivedTable, AuditCheck][]) {
      const { rows } = this.#one(`select count(*) as rows from ${table}`) as { rows: number }
      if (rows !== this.#visited[table] && !this.#differences.some((difference) => difference.check === check)) {
        this.#report(check, null, null, `${table} has ${rows} rows, of which ${this.#visited[table]} belong to an account's records`)
      }
    }
    const lost = this.#one(
      'select j.account, j.seq from journal j where j.position <= ? and not exists (select 1 from account_records r where r.account = j.account and r.seq = j.seq and r.position = j.position) limit 1',
      this.#lowWater,
    ) as { account: number; seq: number } | undefined
    if (lost) this.#report('history', lost.account, lost.seq, 'the index does not lead to this record')
    for (const { series } of this.#all(BROKEN_SERIES) as readonly { series: string }[])
      this.#report('invoices', null, null, `numbers of ${series} are missing`)
  }
}

function checkState(written: WrittenState, { state, hash }: AccountAudit, report: Report): void {
  if (written.hash !== hash) report('states', state.seq, 'the kept head hash is not that of the last record')
  if (written.state !== encodeState(state) && !isOfOtherFormat(written.state))
    report('states', state.seq, `the kept state is ${written.state}, the records give ${encodeState(state)}`)
}

/** A state of another format says nothing: the server folds it anew from the records. */
function isOfOtherFormat(text: string): boolean {
  try {
    return decodeState(text) === undefined
  } catch {
    return false
  }
}

interface WrittenState {
  readonly seq: number
  readonly hash: string
  readonly state: string
}

const ROLLUPS =
  'select hour_ms, operation, key, credit_type, charges, credits, refunds, refunded, quantities from rollups where account = ?'
const HOLDS = 'select seq, status, cast(credits as text), cast(held as text), expires_at_ms, late_charge from holds where account = ?'
const REFUNDS = 'select charge, cast(refunded as text) from refunds where account = ?'
const PURCHASES = 'select seq, status, opened_at_ms, watched, cast(ended as text), state from purchases where account = ?'
const ACCOUNT = 'select name, external_id, metadata, capture_policy, status, created_at_ms, position from accounts where number = ?'
const KEYS = 'select seq, hint, previous_until_ms, terms, created_at_ms, revoked_at_ms from api_keys where account = ?'
const SECRETS = 'select key, hash, until_ms from key_secrets where account = ?'
