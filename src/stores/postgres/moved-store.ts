/** A PostgreSQL store as a move reads it, and as a move makes it. */

import type { Client } from 'pg'
import { purchaseOf } from '../../core/record-subjects.ts'
import type { BatchRow } from '../batch.ts'
import { FollowedBatch } from '../followed-batch.ts'
import type { KeptAccount, KeptBook, KeyUse, MoveTarget, PlainRow, StoppedStore } from '../moving.ts'
import type { AuditReport } from '../store.ts'
import { type Entry, readStates } from './accounts.ts'
import { type Address, DEFAULT_PATIENCE, readAddress } from './address.ts'
import { auditInThread } from './audit.ts'
import { onRows, runOnRows, sortedAccounts } from './buckets.ts'
import { commitBatch } from './commit.ts'
import { connectToRead, dropUnfinished, prepareDatabase, publishSchema, refuseOthers, takePlace, unfinishedSchema } from './database.ts'
import { Feed } from './feed.ts'
import { listAllAccounts } from './listings.ts'
import { KeyReader } from './profiles.ts'
import { readPurchases } from './purchases.ts'
import { Readers } from './readers.ts'
import { Session, type Statement } from './session.ts'
import { StateCache } from './state-cache.ts'
import { DISTRIBUTED } from './tables.ts'
import { Ticks } from './ticks.ts'

/** Accounts whose states are remembered. */
const MAX_ACCOUNTS = 100_000
/** A move may take what it takes, as long as the server answers at all. */
const PATIENCE = { ...DEFAULT_PATIENCE, statementMs: 24 * 3_600_000 }

const USES = onRows(
  'uses',
  [['account', 'bigint']],
  (
    rows,
  ) => `select k.account, k.seq, k.last_used_at_ms as "atMs" from ${rows} join api_keys k on k.bucket = t.bucket and k.account = t.account
    where k.last_used_at_ms is not null order by k.account, k.seq`,
)
const COUNT: Statement = { name: 'count records', text: 'select coalesce(max(last_position), 0) as records from feed' }
const SETTINGS: Statement = { name: 'all settings', text: 'select name, value from settings where name <> $1' }
const SAVE_SETTING: Statement = { name: 'copy setting', text: 'insert into settings (name, value) values ($1, $2)' }
const BOOKS: Statement = {
  name: 'all books',
  text: `select version, effective_at_ms as "effectiveAtMs", published_at_ms as "publishedAtMs", prices, key_hash as "keyHash", fingerprint
         from price_books order by version`,
}
const SAVE_BOOK: Statement = {
  name: 'copy book',
  text: `insert into price_books (version, effective_at_ms, published_at_ms, prices, key_hash, fingerprint) values ($1, $2, $3, $4, $5, $6)`,
}

/** The columns of a table by name, and the place of each in the primary key; 0: it is not in it. */
const PLAIN_COLUMNS: Statement = {
  name: 'plain columns',
  text: `select a.attname::text collate "C" as name, coalesce(array_position(i.indkey::smallint[], a.attnum) + 1, 0) as place
         from pg_attribute a join pg_index i on i.indrelid = a.attrelid and i.indisprimary
         where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by name`,
}

/** Reads a schema for a move. */
class KeptSchema {
  readonly readers: Readers
  readonly feed: Feed

  constructor(address: Address) {
    this.readers = new Readers(address, PATIENCE)
    this.feed = new Feed(this.readers)
  }

  /** How many there are in the feed, when all that waited has its place. */
  async records(): Promise<number> {
    await this.feed.number()
    const [count] = await this.readers.run<{ records: number }>(COUNT, [])
    return count?.records ?? 0
  }

  async accounts(after: number | null, limit: number): Promise<readonly KeptAccount[]> {
    const rows = await listAllAccounts(this.readers, after, limit)
    const numbers = rows.map(({ number }) => number)
    const states = await readStates(this.readers.run, numbers, false)
    const uses = Map.groupBy(await runOnRows<KeyUse>(this.readers.run, USES, sortedAccounts(numbers)), ({ account }) => account)
    return rows.map((row) => {
      const entry = states.get(row.number)
      if (!entry) throw new Error(`account ${row.number} has no state`)
      return { row, state: entry.state, hash: entry.hash, uses: uses.get(row.number) ?? [] }
    })
  }

  async settings(): Promise<ReadonlyMap<string, string>> {
    const rows = await this.readers.run<{ name: string; value: string }>(SETTINGS, [DISTRIBUTED])
    return new Map(rows.map(({ name, value }) => [name, value]))
  }

  priceBooks(): Promise<readonly KeptBook[]> {
    return this.readers.run<KeptBook & { [name: string]: unknown }>(BOOKS, [])
  }

  async plainRows(table: string, after: PlainRow | null, limit: number): Promise<readonly PlainRow[]> {
    const { columns, keys } = await this.#columnsOf(table)
    const key = keys.join(', ')
    const from = after === null ? '' : `where (${key}) > (${keys.map((_, index) => `$${index + 2}`).join(', ')})`
    const text = `select array[${columns.map((name) => `${name}::text`).join(', ')}] as "values" from ${table} ${from} order by ${key} limit $1`
    const values = after === null ? [] : keys.map((name) => after[columns.indexOf(name)] ?? null)
    const rows = await this.readers.run<{ values: PlainRow }>({ name: '', text }, [limit, ...values])
    return rows.map((row) => row.values)
  }

  async savePlainRows(table: string, rows: readonly PlainRow[]): Promise<void> {
    const { columns } = await this.#columnsOf(table)
    const places = columns.map((_, index) => `$${index + 1}`).join(', ')
    const text = `insert into ${table} (${columns.join(', ')}) values (${places})`
    for (const row of rows) await this.readers.run({ name: `copy ${table}`, text }, row)
  }

  async #columnsOf(table: string): Promise<{ readonly columns: readonly string[]; readonly keys: readonly string[] }> {
    const found = await this.readers.run<{ name: string; place: number }>(PLAIN_COLUMNS, [table])
    const keys = found.filter(({ place }) => place > 0).sort((a, b) => a.place - b.place)
    return { columns: found.map(({ name }) => name), keys: keys.map(({ name }) => name) }
  }
}

/** Takes a store that no server works on. Rejects with StoreUnavailableError. */
export async function openPostgresSource(url: string): Promise<StoppedStore> {
  const client = await connectToRead(readAddress(url), PATIENCE)
  try {
    const { rows } = await client.query('select 1 from settings where name = $1', [DISTRIBUTED])
    const address = readAddress(url, rows.length > 0 ? 'bucket' : 'any')
    await refuseOthers(client, address)
    return new PostgresSource(address)
  } finally {
    await client.end()
  }
}

class PostgresSource implements StoppedStore {
  readonly shown: string
  readonly #address: Address
  readonly #kept: KeptSchema

  constructor(address: Address) {
    this.shown = `${address.shown}, schema ${address.schema}`
    this.#address = address
    this.#kept = new KeptSchema(address)
  }

  records(): Promise<number> {
    return this.#kept.records()
  }

  rows(after: number, limit: number): Promise<readonly BatchRow[]> {
    return this.#kept.feed.rows(after, limit)
  }

  accounts(after: number | null, limit: number): Promise<readonly KeptAccount[]> {
    return this.#kept.accounts(after, limit)
  }

  settings(): Promise<ReadonlyMap<string, string>> {
    return this.#kept.settings()
  }

  priceBooks(): Promise<readonly KeptBook[]> {
    return this.#kept.priceBooks()
  }

  plainRows(table: string, after: PlainRow | null, limit: number): Promise<readonly PlainRow[]> {
    return this.#kept.plainRows(table, after, limit)
  }

  audit(): Promise<AuditReport> {
    return auditInThread(this.#address)
  }

  close(): Promise<void> {
    return this.#kept.readers.close()
  }
}

/** Begins a store in a schema where there is none. What an earlier move left is removed. Rejects with StoreUnavailableError. */
export async function openPostgresTarget(url: string): Promise<MoveTarget> {
  const address = readAddress(url)
  const holder = await takePlace(address, PATIENCE)
  try {
    await dropUnfinished(holder, address)
    const unfinished = { ...address, schema: unfinishedSchema(address.schema) }
    await prepareDatabase(unfinished, PATIENCE)
    return new PostgresTarget(address, unfinished, holder)
  } catch (cause) {
    await holder.end()
    throw cause
  }
}

class PostgresTarget implements MoveTarget {
  readonly shown: string
  readonly #address: Address
  readonly #unfinished: Address
  /** Keeps other moves away from the place. */
  readonly #holder: Client
  readonly #kept: KeptSchema
  readonly #session: Session
  readonly #cache = new StateCache(MAX_ACCOUNTS)
  readonly #ticks = new Ticks(0)

  constructor(address: Address, unfinished: Address, holder: Client) {
    this.shown = `${address.shown}, schema ${address.schema}`
    this.#address = address
    this.#unfinished = unfinished
    this.#holder = holder
    this.#kept = new KeptSchema(unfinished)
    this.#session = new Session(unfinished, PATIENCE)
  }

  records(): Promise<number> {
    return this.#kept.records()
  }

  rows(after: number, limit: number): Promise<readonly BatchRow[]> {
    return this.#kept.feed.rows(after, limit)
  }

  accounts(after: number | null, limit: number): Promise<readonly KeptAccount[]> {
    return this.#kept.accounts(after, limit)
  }

  settings(): Promise<ReadonlyMap<string, string>> {
    return this.#kept.settings()
  }

  priceBooks(): Promise<readonly KeptBook[]> {
    return this.#kept.priceBooks()
  }

  plainRows(table: string, after: PlainRow | null, limit: number): Promise<readonly PlainRow[]> {
    return this.#kept.plainRows(table, after, limit)
  }

  async saveSettings(settings: ReadonlyMap<string, string>): Promise<void> {
    for (const setting of settings) await this.#kept.readers.run(SAVE_SETTING, setting)
  }

  async saveBooks(books: readonly KeptBook[]): Promise<void> {
    for (const { version, effectiveAtMs, publishedAtMs, prices, keyHash, fingerprint } of books)
      await this.#kept.readers.run(SAVE_BOOK, [version, effectiveAtMs, publishedAtMs, prices, keyHash, fingerprint])
  }

  savePlainRows(table: string, rows: readonly PlainRow[]): Promise<void> {
    return this.#kept.savePlainRows(table, rows)
  }

  async append(rows: readonly BatchRow[]): Promise<void> {
    await this.#session.open()
    await this.#remember(rows)
    const batch = new FollowedBatch<Entry>((account) => this.#cache.get(account))
    for (const row of rows) batch.follow(row)
    const latestMs = rows.reduce((latest, { atMs }) => Math.max(latest, atMs), 0)
    const tick = this.#ticks.after(latestMs, [])
    const purchases = await readPurchases(
      this.#session.run,
      batch.pending.flatMap(({ record, row: { account } }) => {
        const seq = purchaseOf(record)
        return seq === null ? [] : [{ account, seq }]
      }),
    )
    await commitBatch(this.#session, batch, { tick, isBegun: false, purchases })
    for (const [account, { state, hash }] of batch.working) this.#cache.keep(account, { state, hash, tick })
  }

  /** Reads the states that were forgotten of accounts whose journals go on. */
  async #remember(rows: readonly BatchRow[]): Promise<void> {
    const opened = new Set(rows.flatMap(({ account, seq }) => (seq === 1 ? [account] : [])))
    const missing = rows.flatMap(({ account }) => (opened.has(account) || this.#cache.get(account) ? [] : [account]))
    for (const [account, entry] of await readStates(this.#session.run, missing, false)) this.#cache.keep(account, entry)
  }

  saveUses(uses: readonly KeyUse[]): Promise<void> {
    return new KeyReader(this.#kept.readers.run).touch(uses)
  }

  async settle(): Promise<void> {
    await this.#session.close()
    await this.#kept.feed.number()
  }

  audit(): Promise<AuditReport> {
    return auditInThread(this.#unfinished)
  }

  async publish(): Promise<void> {
    await this.#kept.readers.close()
    await publishSchema(this.#holder, this.#address)
  }

  async close(): Promise<void> {
    await this.#session.close()
    await this.#kept.readers.close()
    await this.#holder.end()
  }
}
