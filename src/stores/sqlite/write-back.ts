/**
 * Brings the derived tables up to the journal, in sorted sweeps. Random page writes are what a charge costs, so the rows of many
 * charges are written together: each account's rows once, keys in index order. A sweep covers the journal up to a position;
 * when all of it is written, that position becomes the low-water mark from which a restart reads the journal.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { sweepDueMs } from '../../core/account.ts'
import { encodeState } from '../../core/account-codec.ts'
import { decodeHour, encodeQuantities, type RawHour } from '../hour-rows.ts'
import { mergeHours } from '../hours.ts'
import { prefixOf } from '../key-prefix.ts'
import type { ObjectChange } from '../projections.ts'
import type { HourRow } from '../store.ts'
import { AutoTopupWriter } from './auto-topups.ts'
import { ManyRows } from './many-rows.ts'
import type { Entry, Memory } from './memory.ts'
import { PurchaseWriter } from './purchases.ts'
import { SubscriptionWriter } from './subscriptions.ts'

/** Records that may wait before a sweep begins under load. */
export const SWEEP_RECORDS = 50_000
/** Rows that each commit writes back for every record that it appends while a sweep runs: more than a record adds. */
export const ROWS_PER_RECORD = 4

/** Codes of the characters that a key's hash may begin with, and more. */
const CHARACTERS = 128
/** Idempotency keys that are written with one statement. */
const KEYS_AT_ONCE = 16

/** The name of the low-water mark among the settings. */
export const LOW_WATER = 'low_water'

interface Sweep {
  readonly upTo: number
  /** In order. */
  readonly accounts: Float64Array
  /** By the first character of their prefix, in its order; those that have the same one are sorted when their turn comes. */
  readonly buckets: IndexedKey[][]
  nextAccount: number
  nextBucket: number
  /** The rest of the bucket that is being written. */
  keys: IndexedKey[]
}

interface IndexedKey {
  readonly prefix: number
  readonly position: number
}

/** Writes derived rows. All methods run inside the caller's transaction; a failed one means that Memory is rebuilt. */
export class WriteBack {
  readonly #memory: Memory
  readonly #statements: Statements
  #sweep: Sweep | null = null
  #lowWater = 0

  constructor(db: DatabaseSync, memory: Memory) {
    this.#memory = memory
    this.#statements = new Statements(db)
  }

  /** Starts anew from a memory that was rebuilt from the file. */
  reset(lowWater: number): void {
    this.#sweep = null
    this.#lowWater = lowWater
  }

  /** Records after the low-water mark: what a restart would have to read. */
  get backlog(): number {
    return this.#memory.position - this.#lowWater
  }

  get isSweeping(): boolean {
    return this.#sweep !== null
  }

  /** Whether anything at all waits. */
  get isBehind(): boolean {
    return this.#sweep !== null || this.backlog > 0
  }

  /** Called in every commit: starts a sweep when enough waits, and pays for the records just appended. */
  payFor(records: number): void {
    if (this.#sweep === null && this.backlog < SWEEP_RECORDS) return
    this.sweepRows(records * ROWS_PER_RECORD)
  }

  /** Goes on with the sweep, or begins one, for about so many rows. */
  sweepRows(rows: number): void {
    this.#sweep ??= this.#begin()
    let left = rows
    while (left > 0 && this.#sweep !== null) left -= this.#step(this.#sweep)
  }

  #begin(): Sweep {
    const memory = this.#memory
    const accounts = Float64Array.from(memory.dirty).sort()
    const buckets: IndexedKey[][] = Array.from({ length: CHARACTERS }, () => [])
    for (const [hash, position] of memory.keys) buckets[hash.charCodeAt(0)]?.push({ prefix: prefixOf(hash), position })
    memory.sweptKeys = memory.keys
    memory.keys = new Map()
    memory.dirty = new Set()
    return { upTo: memory.position, accounts, buckets, nextAccount: 0, nextBucket: 0, keys: [] }
  }

  /** Writes one account or some keys; returns how many rows that took. */
  #step(sweep: Sweep): number {
    const account = sweep.accounts[sweep.nextAccount]
    if (account !== undefined) {
      sweep.nextAccount++
      const entry = this.#memory.get(account)
      return entry === undefined || entry.positions.length === 0 ? 1 : this.writeAccount(account, entry)
    }
    const keys = nextKeys(sweep)
    if (keys.length > 0) {
      this.#statements.keys.insert(keys.flatMap(({ prefix, position }) => [prefix, position]))
      return keys.length
    }
    this.#statements.saveSetting.run(LOW_WATER, String(sweep.upTo))
    this.#lowWater = sweep.upTo
    this.#memory.sweptKeys = new Map()
    this.#sweep = null
    return 1
  }

  /** Brings all rows of one account up to its state; returns how many that were. */
  writeAccount(account: number, entry: Entry): number {
    const { state, hash, positions, hours, changes } = entry
    const statements = this.#statements
    statements.saveState.run(account, state.seq, hash, encodeState(state))
    statements.records.insert(positions.flatMap((position, index) => [account, entry.writtenSeq + 1 + index, position]))
    for (const hour of hours) statements.addHour(account, hour)
    for (const change of changes) statements.applyChange(account, change)
    this.#writeDue(account, entry)
    const rows = 1 + positions.length + hours.length + changes.length
    entry.writtenSeq = state.seq
    entry.positions = []
    entry.hours = []
    entry.changes = []
    return rows
  }

  #writeDue(account: number, entry: Entry): void {
    const dueMs = sweepDueMs(entry.state)
    if (dueMs === entry.writtenDueMs) return
    if (entry.writtenDueMs !== null) this.#statements.deleteDue.run(entry.writtenDueMs, account)
    if (dueMs !== null) this.#statements.insertDue.run(dueMs, account)
    entry.writtenDueMs = dueMs
    this.#memory.dues.delete(account)
  }
}

/** The next keys of a sweep in the order of their index; none: all have been taken. */
function nextKeys(sweep: Sweep): readonly IndexedKey[] {
  while (sweep.keys.length === 0) {
    const bucket = sweep.buckets[sweep.nextBucket++]
    if (!bucket) return []
    sweep.keys = bucket.sort((a, b) => b.prefix - a.prefix)
  }
  return sweep.keys.splice(-KEYS_AT_ONCE).reverse()
}

/** The prepared statements of the derived tables. */
class Statements {
  readonly saveState: StatementSync
  readonly records: ManyRows
  readonly keys: ManyRows
  readonly insertDue: StatementSync
  readonly deleteDue: StatementSync
  readonly saveSetting: StatementSync
  readonly #saveHour: StatementSync
  readonly #readHour: StatementSync
  readonly #purchases: PurchaseWriter
  readonly #subscriptions: SubscriptionWriter
  readonly #autoTopups: AutoTopupWriter
  readonly #saveGrant: StatementSync
  readonly #saveHold: StatementSync
  readonly #endHold: StatementSync
  readonly #saveLateCapture: StatementSync
  readonly #addRefund: StatementSync

  constructor(db: DatabaseSync) {
    this.saveState = db.prepare(
      'insert into account_states (account, seq, hash, state) values (?, ?, ?, ?) on conflict (account) do update set seq = excluded.seq, hash = excluded.hash, state = excluded.state',
    )
    this.records = new ManyRows(db, { insert: 'insert into account_records (account, seq, position)', columns: 3, rowsAtOnce: 4 })
    // A key may be written twice: by a sweep that a crash cut short, and again after the restart.
    const insert = 'insert into idempotency_keys (prefix, position)'
    this.keys = new ManyRows(db, { insert, columns: 2, end: 'on conflict do nothing', rowsAtOnce: KEYS_AT_ONCE })
    this.insertDue = db.prepare('insert into due_accounts (due_ms, account) values (?, ?)')
    this.deleteDue = db.prepare('delete from due_accounts where due_ms = ? and account = ?')
    this.saveSetting = db.prepare(
      'insert into settings (name, value) values (?, ?) on conflict (name) do update set value = excluded.value',
    )
    this.#saveHour = db.prepare(
      `insert into rollups (account, hour_ms, operation, key, credit_type, charges, credits, refunds, refunded, quantities)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (account, hour_ms, operation, key, credit_type) do update set
         charges = excluded.charges, credits = excluded.credits, refunds = excluded.refunds, refunded = excluded.refunded, quantities = excluded.quantities`,
    )
    this.#readHour = db.prepare(
      `select hour_ms as "hourMs", operation, key, credit_type as "creditType", charges, credits, refunds, refunded, quantities
       from rollups where account = ? and hour_ms = ? and operation = ? and key = ? and credit_type = ?`,
    )
    this.#purchases = new PurchaseWriter(db)
    this.#subscriptions = new SubscriptionWriter(db)
    this.#autoTopups = new AutoTopupWriter(db)
    this.#saveGrant = db.prepare(
      'insert into grants (account, seq, status) values (?, ?, ?) on conflict (account, seq) do update set status = excluded.status',
    )
    // A live hold's end only ever moves later, so the later one is right.
    this.#saveHold = db.prepare(
      `insert into holds (account, seq, status, credits, held, expires_at_ms) values (?, ?, 'live', ?, 0, ?)
       on conflict (account, seq) do update set credits = credits + excluded.credits, expires_at_ms = max(expires_at_ms, excluded.expires_at_ms)`,
    )
    this.#endHold = db.prepare('update holds set status = ?, held = ? where account = ? and seq = ?')
    this.#saveLateCapture = db.prepare('update holds set late_charge = ? where account = ? and seq = ?')
    this.#addRefund = db.prepare(
      'insert into refunds (account, charge, refunded) values (?, ?, ?) on conflict (account, charge) do update set refunded = refunded + excluded.refunded',
    )
  }

  /** Adds a row to what the table has of its hour already: an hour is written in parts when it has many rows. */
  addHour(account: number, part: HourRow): void {
    const key = part.key ?? 0
    const known = this.#readHour.get(account, part.hourMs, part.operation, key, part.creditType) as RawHour | undefined
    const [row = part] = known ? mergeHours([decodeHour(known), part]) : [part]
    const { hourMs, operation, creditType, charges, credits, refunds, refunded, quantities } = row
    this.#saveHour.run(
      account,
      hourMs,
      operation,
      key,
      creditType,
      charges,
      `${credits}`,
      refunds,
      `${refunded}`,
      encodeQuantities(quantities),
    )
  }

  applyChange(account: number, change: ObjectChange): void {
    switch (change.table) {
      case 'grants':
        this.#saveGrant.run(account, change.seq, change.status)
        break
      case 'live_holds':
        this.#saveHold.run(account, change.seq, change.credits, change.expiresAtMs ?? 0)
        break
      case 'ended_holds':
        this.#endHold.run(change.status, change.held, account, change.seq)
        break
      case 'late_captures':
        this.#saveLateCapture.run(change.charge, account, change.hold)
        break
      case 'refunds':
        this.#addRefund.run(account, change.charge, change.credits)
        break
      case 'purchases':
        this.#purchases.apply(account, change)
        break
      case 'subscriptions':
        this.#subscriptions.apply(account, change)
        break
      case 'auto_topups':
        this.#autoTopups.apply(account, change)
        break
    }
  }
}
