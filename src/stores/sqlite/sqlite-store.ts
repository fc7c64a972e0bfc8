/** The embedded store: one SQLite file, one owner, one writer on this thread. */

import { randomBytes } from 'node:crypto'
import type { AccountState } from '../../core/account.ts'
import type { Microcredits } from '../../core/credits.ts'
import type { PurchaseFacts } from '../../core/purchase.ts'
import type { JournalRecord } from '../../core/record.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { Subscription } from '../../core/subscription.ts'
import { MAX_BATCH } from '../batch.ts'
import { PlainData } from '../plain-data.ts'
import { CommandQueue } from '../queue.ts'
import type {
  AccountRow,
  Applied,
  AskingAccountsQuery,
  AskingQuery,
  AuditReport,
  FeedItem,
  FoundKey,
  GrantRow,
  HoldRow,
  HourRow,
  KeyRow,
  NewPriceBook,
  PriceBookRow,
  PurchaseFilter,
  RecordPage,
  RecordQuery,
  SeqPage,
  Store,
  Transaction,
  WatchedQuery,
} from '../store.ts'
import { Watchers } from '../watchers.ts'
import { AccountReader } from './accounts.ts'
import { auditInThread } from './audit.ts'
import { AutoTopupReader } from './auto-topups.ts'
import { Checkpoints } from './checkpoints.ts'
import { inTransaction, type OwnedDatabase, openDatabase } from './database.ts'
import { FactsReader } from './facts.ts'
import { Journal } from './journal.ts'
import { KeyFilter } from './key-filter.ts'
import { Ledger } from './ledger.ts'
import { type Entry, Memory } from './memory.ts'
import { PriceBooks, Settings } from './price-books.ts'
import { KeyReader, ProfileWriter } from './profiles.ts'
import { PurchaseReader } from './purchases.ts'
import { HistoryReader } from './reads.ts'
import { SqliteStatements } from './statements.ts'
import { SubscriptionReader } from './subscriptions.ts'
import { ROWS_PER_RECORD, WriteBack } from './write-back.ts'

/** How a SQLite store is opened. */
export interface SqliteOptions {
  /** Path of the file; made if it is not there. */
  readonly file: string
  /** Accounts kept in memory, at most; those that wait to be written back come on top. */
  readonly maxCachedAccounts?: number
  /** Milliseconds since 1970. */
  readonly clock?: () => number
  /** Told when writing back fails while nobody waits for it. Nothing is lost by that; it is tried again. */
  readonly onFault: (fault: unknown) => void
}

/** Commands that may wait for a commit; more are turned away before anything is done. */
const MAX_WAITING = 20_000
const DEFAULT_CACHED_ACCOUNTS = 200_000
/** Quiet time after which what waits is written back. */
const IDLE_MS = 200
/** Rows written back at a time while the store is idle, so that a caller who comes meanwhile waits a few milliseconds. */
const IDLE_ROWS = 1_000

/** Opens a store. Throws StoreUnavailableError with what to do about it. */
export function openSqliteStore(options: SqliteOptions): Store {
  const owned = openDatabase(options.file)
  try {
    return new SqliteStore(owned, options)
  } catch (cause) {
    owned.close()
    throw cause
  }
}

class SqliteStore extends PlainData implements Store {
  readonly secret: string
  readonly #watchers = new Watchers()
  readonly #owned: OwnedDatabase
  readonly #queue: CommandQueue<Transaction, Applied | Refusal>
  readonly #memory: Memory
  readonly #accounts: AccountReader
  readonly #keys: KeyReader
  readonly #history: HistoryReader
  readonly #purchases: PurchaseReader
  readonly #subscriptions: SubscriptionReader
  readonly #autoTopups: AutoTopupReader
  readonly #keyFilter: KeyFilter
  readonly #books: PriceBooks
  readonly #settings: Settings
  readonly #clock: () => number
  readonly #ledger: Ledger
  readonly #checkpoints: Checkpoints
  readonly #onFault: (fault: unknown) => void
  #idle: NodeJS.Timeout | null = null
  /** When a batch was last run, on the clock that only goes forward. */
  #lastRunMs = 0
  #isClosed = false

  constructor(owned: OwnedDatabase, { maxCachedAccounts = DEFAULT_CACHED_ACCOUNTS, clock = Date.now, onFault }: SqliteOptions) {
    super(new SqliteStatements(owned.db))
    const { db } = owned
    this.#owned = owned
    this.#onFault = onFault
    this.#checkpoints = new Checkpoints(owned.path, onFault)
    this.#memory = new Memory(maxCachedAccounts)
    const journal = new Journal(db)
    this.#accounts = new AccountReader(db)
    this.#keys = new KeyReader(db)
    this.#history = new HistoryReader(db, journal)
    this.#purchases = new PurchaseReader(db)
    this.#subscriptions = new SubscriptionReader(db)
    this.#autoTopups = new AutoTopupReader(db)
    this.#keyFilter = new KeyFilter(db)
    this.#books = new PriceBooks(db)
    this.#settings = new Settings(db)
    this.#clock = steady(clock, journal.at(journal.lastPosition())?.atMs ?? 0)
    this.#ledger = new Ledger({
      db,
      journal,
      memory: this.#memory,
      writeBack: new WriteBack(db, this.#memory),
      keyFilter: this.#keyFilter,
      accounts: this.#accounts,
      profiles: new ProfileWriter(db),
      facts: new FactsReader(db, this.#accounts, this.#keys),
      clock: this.#clock,
    })
    this.#ledger.rebuild()
    this.secret = this.#readSecret()
    this.#queue = new CommandQueue({ maxWaiting: MAX_WAITING, maxBatch: MAX_BATCH }, (batch, { resolve, reject }) => {
      this.#lastRunMs = performance.now()
      this.#ledger.run(batch, (index, outcome) => ('fault' in outcome ? reject(index, outcome.fault) : resolve(index, outcome)))
      this.#checkpoints.note(batch.length)
      this.#sweepWhenIdle()
    })
    this.#fillKeyFilter()
    this.#sweepWhenIdle()
  }

  #fillKeyFilter(): void {
    if (!this.#isClosed && this.#keyFilter.fillSome()) setImmediate(() => this.#fillKeyFilter()).unref()
  }

  #readSecret(): string {
    return this.#settings.keep('secret', randomBytes(32).toString('base64url'))
  }

  #sweepWhenIdle(): void {
    if (this.#idle !== null || this.#isClosed) return
    this.#idle = setTimeout(() => this.#sweepIfIdle(), IDLE_MS)
    this.#idle.unref()
  }

  /** Under load each commit pays for its own write-back; a store that has been quiet for a while catches up. */
  #sweepIfIdle(): void {
    this.#idle = null
    if (this.#isClosed) return
    if (performance.now() - this.#lastRunMs < IDLE_MS) this.#sweepWhenIdle()
    else this.#sweepSome()
  }

  #sweepSome(): void {
    if (this.#isClosed) return
    try {
      if (this.#queue.length > 0) this.#sweepWhenIdle()
      else this.#sweepRows()
    } catch (fault) {
      this.#onFault(fault)
      this.#sweepWhenIdle()
    }
  }

  #sweepRows(): void {
    const isMore = this.#ledger.sweep(IDLE_ROWS)
    this.#checkpoints.note(IDLE_ROWS / ROWS_PER_RECORD)
    if (isMore) setImmediate(() => this.#sweepSome()).unref()
  }

  transact(transaction: Transaction): Promise<Applied | Refusal> {
    return this.#watchers.after([transaction], this.#queue.push(transaction))
  }

  transactAll(transactions: readonly Transaction[]): Promise<readonly (Applied | Refusal)[]> {
    return this.#watchers.after(transactions, this.#queue.pushAll(transactions))
  }

  /** The account in memory, its tables brought up to date. */
  #upToDate(account: number): Entry | undefined {
    this.#ledger.catchUp(account)
    return this.#ledger.entry(account)
  }

  async state(account: number): Promise<AccountState | undefined> {
    return this.#ledger.entry(account)?.state
  }

  async account(account: number): Promise<AccountRow | undefined> {
    return this.#accounts.row(account)
  }

  async accountByExternalId(externalId: string): Promise<number | undefined> {
    return this.#accounts.numberOf(externalId)
  }

  async accounts(page: Parameters<Store['accounts']>[0]): Promise<readonly AccountRow[]> {
    return this.#accounts.list(page)
  }

  async keyBySecret(hash: string): Promise<FoundKey | undefined> {
    return this.#keys.bySecret(hash)
  }

  async key(account: number, seq: number): Promise<KeyRow | undefined> {
    return this.#keys.at(account, seq)
  }

  async keys(account: number, page: SeqPage): Promise<readonly KeyRow[]> {
    return this.#keys.list(account, page)
  }

  async touchKeys(uses: Parameters<Store['touchKeys']>[0]): Promise<void> {
    inTransaction(this.#owned.db, () => {
      for (const use of uses) this.#keys.touch(use)
    })
  }

  async record(account: number, seq: number): Promise<JournalRecord | undefined> {
    return this.#history.record(account, seq, this.#ledger.entry(account))
  }

  async records(account: number, query: RecordQuery): Promise<RecordPage> {
    this.#upToDate(account)
    return this.#history.records(account, query)
  }

  async recordsAfter(account: number, seq: number, limit: number): Promise<readonly JournalRecord[]> {
    const entry = this.#ledger.entry(account)
    return entry ? this.#history.recordsAfter(account, seq, { limit, entry }) : []
  }

  watchAccount(account: number, listener: () => void): () => void {
    return this.#watchers.watch(account, listener)
  }

  async grant(account: number, seq: number): Promise<GrantRow | undefined> {
    this.#upToDate(account)
    return this.#history.grant(account, seq)
  }

  async grants(account: number, page: SeqPage): Promise<readonly GrantRow[]> {
    this.#upToDate(account)
    return this.#history.grants(account, page)
  }

  async hold(account: number, seq: number): Promise<HoldRow | undefined> {
    this.#upToDate(account)
    return this.#history.hold(account, seq)
  }

  async holds(account: number, page: Parameters<Store['holds']>[1]): Promise<readonly HoldRow[]> {
    this.#upToDate(account)
    return this.#history.holds(account, page)
  }

  async refunds(account: number, charges: readonly number[]): Promise<ReadonlyMap<number, Microcredits>> {
    this.#upToDate(account)
    return this.#history.refunds(account, charges)
  }

  async purchase(account: number, seq: number): Promise<PurchaseFacts | undefined> {
    this.#upToDate(account)
    return this.#purchases.at(account, seq)
  }

  async purchases(account: number, filter: PurchaseFilter): Promise<readonly PurchaseFacts[]> {
    this.#upToDate(account)
    return this.#purchases.list(account, filter)
  }

  async watchedPurchases(query: WatchedQuery): ReturnType<Store['watchedPurchases']> {
    return this.#purchases.watched(query)
  }

  async subscription(account: number, seq: number): Promise<Subscription | undefined> {
    this.#upToDate(account)
    return this.#subscriptions.at(account, seq)
  }

  async subscriptions(account: number, page: SeqPage): Promise<readonly Subscription[]> {
    this.#upToDate(account)
    return this.#subscriptions.list(account, page)
  }

  async askingSubscriptions(query: AskingQuery): ReturnType<Store['askingSubscriptions']> {
    return this.#subscriptions.asking(query)
  }

  async askingTopups(query: AskingAccountsQuery): Promise<readonly number[]> {
    return this.#autoTopups.asking(query)
  }

  async usage(account: number, range: { readonly fromMs: number; readonly toMs: number }): Promise<readonly HourRow[]> {
    return this.#history.usage(account, range, this.#ledger.entry(account))
  }

  async priceBooks(): Promise<readonly PriceBookRow[]> {
    return this.#books.all()
  }

  async publishPrices(book: NewPriceBook): Promise<{ readonly book: PriceBookRow; readonly isReplay: boolean } | Refusal> {
    return this.#books.publish(book, this.#clock())
  }

  async feed(after: number, limit: number): Promise<readonly FeedItem[]> {
    return this.#history.feed(after, limit)
  }

  async positionAt(atMs: number): Promise<number> {
    return this.#history.positionAt(atMs)
  }

  /** No other process changes the file, and whoever changes it through this one knows. */
  watch(): () => boolean {
    return () => true
  }

  /** No other process has the file. */
  async claim(): Promise<boolean> {
    return true
  }

  async dueAccounts(nowMs: number, limit: number): Promise<readonly number[]> {
    const { dues } = this.#memory
    const waiting = [...dues].filter(([, dueMs]) => dueMs <= nowMs).sort(([, a], [, b]) => a - b)
    const written = this.#accounts.due(nowMs, limit + dues.size).filter((account) => !dues.has(account))
    return [...waiting.map(([account]) => account), ...written].slice(0, limit)
  }

  audit(): Promise<AuditReport> {
    return auditInThread(this.#owned.path)
  }

  async setting(name: string): Promise<string | undefined> {
    return this.#settings.read(name)
  }

  async saveSetting(name: string, value: string): Promise<void> {
    this.#settings.save(name, value)
  }

  async keepSetting(name: string, value: string): Promise<string> {
    return this.#settings.keep(name, value)
  }

  async ping(): Promise<void> {
    this.#owned.db.prepare('select 1').get()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    while (this.#queue.length > 0) this.#queue.drainOnce()
    this.#isClosed = true
    if (this.#idle !== null) clearTimeout(this.#idle)
    while (this.#ledger.sweep(Number.MAX_SAFE_INTEGER));
    await this.#checkpoints.close()
    this.#owned.db.exec('pragma wal_checkpoint(truncate)')
    this.#owned.close()
  }
}

/** A clock that never goes back, nor before the journal's last record. */
function steady(clock: () => number, lastMs: number): () => number {
  let last = lastMs
  return () => {
    last = Math.max(last, clock())
    return last
  }
}
