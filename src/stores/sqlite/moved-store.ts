/** A SQLite store as a move reads it, and as a move makes it. */

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { BatchRow } from '../batch.ts'
import type { KeptAccount, KeptBook, KeyUse, MoveTarget, PlainRow, StoppedStore } from '../moving.ts'
import type { AuditReport } from '../store.ts'
import { StoreUnavailableError } from '../unavailable.ts'
import { AccountReader } from './accounts.ts'
import { auditInThread } from './audit.ts'
import { inTransaction, type OwnedDatabase, openDatabase, openStopped, ownPlace, unfinishedPath } from './database.ts'
import { FactsReader } from './facts.ts'
import { Journal } from './journal.ts'
import { KeyFilter } from './key-filter.ts'
import { Ledger } from './ledger.ts'
import { type Entry, Memory } from './memory.ts'
import { KeyReader, ProfileWriter } from './profiles.ts'
import { rebuild } from './recovery.ts'
import { LOW_WATER, WriteBack } from './write-back.ts'

/** Accounts whose states are kept in memory. */
const MAX_ACCOUNTS = 100_000

/** Reads a file for a move. */
class KeptFile {
  readonly #db: DatabaseSync
  readonly #accounts: AccountReader
  readonly #entryOf: (account: number) => Pick<Entry, 'state' | 'hash'> | undefined

  constructor(db: DatabaseSync, accounts: AccountReader, entryOf: (account: number) => Pick<Entry, 'state' | 'hash'> | undefined) {
    this.#db = db
    this.#accounts = accounts
    this.#entryOf = entryOf
  }

  accounts(after: number | null, limit: number): readonly KeptAccount[] {
    const first = this.#db.prepare('select number from accounts order by position limit ?')
    const next = this.#db.prepare(
      'select number from accounts where position > (select position from accounts where number = ?) order by position limit ?',
    )
    const numbers = (after === null ? first.all(limit) : next.all(after, limit)) as { number: number }[]
    return numbers.map(({ number }) => this.#account(number))
  }

  #account(number: number): KeptAccount {
    const row = this.#accounts.row(number)
    const entry = this.#entryOf(number)
    if (!row || !entry) throw new Error(`account ${number} has no profile or no state`)
    const uses = this.#db.prepare(
      'select account, seq, last_used_at_ms as "atMs" from api_keys where account = ? and last_used_at_ms is not null order by seq',
    )
    return { row, state: entry.state, hash: entry.hash, uses: uses.all(number) as unknown as KeyUse[] }
  }

  plainRows(table: string, after: PlainRow | null, limit: number): readonly PlainRow[] {
    const { columns, keys } = this.#columnsOf(table)
    const key = keys.join(', ')
    const from = after === null ? '' : `where (${key}) > (${keys.map(() => '?').join(', ')})`
    const read = this.#db.prepare(
      `select ${columns.map((name) => `cast(${name} as text)`).join(', ')} from ${table} ${from} order by ${key} limit ?`,
    )
    read.setReturnArrays(true)
    const values = after === null ? [] : keys.map((name) => after[columns.indexOf(name)] ?? null)
    return read.all(...values, limit) as unknown as PlainRow[]
  }

  savePlainRows(table: string, rows: readonly PlainRow[]): void {
    const { columns } = this.#columnsOf(table)
    const insert = this.#db.prepare(`insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`)
    inTransaction(this.#db, () => {
      for (const row of rows) insert.run(...row)
    })
  }

  #columnsOf(table: string): { readonly columns: readonly string[]; readonly keys: readonly string[] } {
    const columns = this.#db.prepare('select name, pk from pragma_table_info(?) order by name').all(table) as { name: string; pk: number }[]
    const keys = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk)
    return { columns: columns.map(({ name }) => name), keys: keys.map(({ name }) => name) }
  }

  settings(): ReadonlyMap<string, string> {
    const rows = this.#db.prepare('select name, value from settings where name <> ?').all(LOW_WATER) as { name: string; value: string }[]
    return new Map(rows.map(({ name, value }) => [name, value]))
  }

  priceBooks(): readonly KeptBook[] {
    const sql = `select version, effective_at_ms as "effectiveAtMs", published_at_ms as "publishedAtMs", prices, key_hash as "keyHash", fingerprint
      from price_books order by version`
    return this.#db.prepare(sql).all() as unknown as KeptBook[]
  }
}

/** Takes a store that no server owns. Throws StoreUnavailableError. */
export function openSqliteSource(file: string): StoppedStore {
  const owned = openStopped(file)
  try {
    return new SqliteSource(owned)
  } catch (cause) {
    owned.close()
    throw cause
  }
}

class SqliteSource implements StoppedStore {
  readonly shown: string
  readonly #owned: OwnedDatabase
  readonly #journal: Journal
  readonly #kept: KeptFile

  constructor(owned: OwnedDatabase) {
    const { db } = owned
    this.shown = owned.path
    this.#owned = owned
    this.#journal = new Journal(db)
    const accounts = new AccountReader(db)
    const memory = new Memory(MAX_ACCOUNTS)
    // What a crash left behind the low-water mark is folded in, in memory only.
    rebuild({ db, journal: this.#journal, memory, keyFilter: new KeyFilter(db), accounts })
    this.#kept = new KeptFile(db, accounts, (account) => memory.get(account) ?? accounts.stateOf(account))
  }

  async records(): Promise<number> {
    return this.#journal.lastPosition()
  }

  async rows(after: number, limit: number): Promise<readonly BatchRow[]> {
    return this.#journal.after(after, limit)
  }

  async accounts(after: number | null, limit: number): Promise<readonly KeptAccount[]> {
    return this.#kept.accounts(after, limit)
  }

  async settings(): Promise<ReadonlyMap<string, string>> {
    return this.#kept.settings()
  }

  async priceBooks(): Promise<readonly KeptBook[]> {
    return this.#kept.priceBooks()
  }

  async plainRows(table: string, after: PlainRow | null, limit: number): Promise<readonly PlainRow[]> {
    return this.#kept.plainRows(table, after, limit)
  }

  audit(): Promise<AuditReport> {
    return auditInThread(this.#owned.path)
  }

  async close(): Promise<void> {
    this.#owned.close()
  }
}

/** Begins a store at a place where there is none. What an earlier move left there is removed. Throws StoreUnavailableError. */
export function openSqliteTarget(file: string): MoveTarget {
  const place = ownPlace(file)
  try {
    if (existsSync(place.path))
      throw new StoreUnavailableError(`${place.path} is there already. A store is moved to where none is: name another path, or remove it.`)
    removeUnfinished(place.path)
    return new SqliteTarget(place, openDatabase(unfinishedPath(place.path)))
  } catch (cause) {
    place.close()
    throw cause
  }
}

function removeUnfinished(path: string): void {
  for (const end of ['', '-wal', '-shm', '.owner']) rmSync(`${unfinishedPath(path)}${end}`, { force: true })
}

class SqliteTarget implements MoveTarget {
  readonly shown: string
  readonly #place: { readonly path: string; readonly close: () => void }
  readonly #owned: OwnedDatabase
  readonly #journal: Journal
  readonly #ledger: Ledger
  readonly #kept: KeptFile
  readonly #keys: KeyReader
  #isClosed = false

  constructor(place: { readonly path: string; readonly close: () => void }, owned: OwnedDatabase) {
    const { db } = owned
    this.shown = place.path
    this.#place = place
    this.#owned = owned
    this.#journal = new Journal(db)
    this.#keys = new KeyReader(db)
    const accounts = new AccountReader(db)
    const memory = new Memory(MAX_ACCOUNTS)
    this.#ledger = new Ledger({
      db,
      journal: this.#journal,
      memory,
      writeBack: new WriteBack(db, memory),
      keyFilter: new KeyFilter(db),
      accounts,
      profiles: new ProfileWriter(db),
      facts: new FactsReader(db, accounts, this.#keys),
      clock: Date.now,
    })
    this.#kept = new KeptFile(db, accounts, (account) => this.#ledger.entry(account))
  }

  async records(): Promise<number> {
    return this.#journal.lastPosition()
  }

  async rows(after: number, limit: number): Promise<readonly BatchRow[]> {
    return this.#journal.after(after, limit)
  }

  async accounts(after: number | null, limit: number): Promise<readonly KeptAccount[]> {
    return this.#kept.accounts(after, limit)
  }

  async settings(): Promise<ReadonlyMap<string, string>> {
    return this.#kept.settings()
  }

  async priceBooks(): Promise<readonly KeptBook[]> {
    return this.#kept.priceBooks()
  }

  async plainRows(table: string, after: PlainRow | null, limit: number): Promise<readonly PlainRow[]> {
    return this.#kept.plainRows(table, after, limit)
  }

  async saveSettings(settings: ReadonlyMap<string, string>): Promise<void> {
    const insert = this.#owned.db.prepare('insert into settings (name, value) values (?, ?)')
    for (const [name, value] of settings) insert.run(name, value)
  }

  async saveBooks(books: readonly KeptBook[]): Promise<void> {
    const insert = this.#owned.db.prepare(
      'insert into price_books (version, effective_at_ms, published_at_ms, prices, key_hash, fingerprint) values (?, ?, ?, ?, ?, ?)',
    )
    for (const { version, effectiveAtMs, publishedAtMs, prices, keyHash, fingerprint } of books)
      insert.run(version, effectiveAtMs, publishedAtMs, prices, keyHash, fingerprint)
  }

  async savePlainRows(table: string, rows: readonly PlainRow[]): Promise<void> {
    this.#kept.savePlainRows(table, rows)
  }

  async append(rows: readonly BatchRow[]): Promise<void> {
    this.#ledger.follow(rows)
  }

  async saveUses(uses: readonly KeyUse[]): Promise<void> {
    inTransaction(this.#owned.db, () => {
      for (const use of uses) this.#keys.touch(use)
    })
  }

  async settle(): Promise<void> {
    while (this.#ledger.sweep(Number.MAX_SAFE_INTEGER));
  }

  audit(): Promise<AuditReport> {
    return auditInThread(this.#owned.path)
  }

  async publish(): Promise<void> {
    this.#owned.db.exec('pragma wal_checkpoint(truncate)')
    this.#closeFile()
    renameSync(this.#owned.path, this.#place.path)
    const folder = openSync(dirname(this.#place.path), 'r')
    fsyncSync(folder)
    closeSync(folder)
    removeUnfinished(this.#place.path)
  }

  #closeFile(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#owned.close()
  }

  async close(): Promise<void> {
    this.#closeFile()
    this.#place.close()
  }
}
