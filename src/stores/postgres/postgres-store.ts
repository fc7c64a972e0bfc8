/** The store on PostgreSQL: one schema, any number of processes on it. */

import { randomBytes } from 'node:crypto'
import type { Refusal } from '../../core/refusals.ts'
import { MAX_BATCH, type Outcome } from '../batch.ts'
import { PlainData } from '../plain-data.ts'
import { CommandQueue, type Settlement } from '../queue.ts'
import type { Applied, Store, Transaction } from '../store.ts'
import { OutOfServiceError, OverloadedError } from '../store.ts'
import { StoreUnavailableError } from '../unavailable.ts'
import { Watchers } from '../watchers.ts'
import { ownersOf, readProfiles } from './accounts.ts'
import { type Address, DEFAULT_PATIENCE, type Patience, type Reach, readAddress } from './address.ts'
import { auditInThread } from './audit.ts'
import { askingTopups } from './auto-topups.ts'
import { bucketOf } from './buckets.ts'
import { Claims } from './claims.ts'
import { assertReady, prepareDatabase } from './database.ts'
import { messageOf } from './faults.ts'
import { Feed } from './feed.ts'
import { Lane } from './ledger.ts'
import { Listener } from './listener.ts'
import { dueAccounts, listAccounts } from './listings.ts'
import { MovedAccounts } from './moved-accounts.ts'
import { keepSetting, publishPriceBook, readPriceBooks, readSetting, saveSetting } from './price-books.ts'
import { KeyReader } from './profiles.ts'
import { PurchaseReader } from './purchases.ts'
import { Readers } from './readers.ts'
import { HistoryReader } from './reads.ts'
import { Session } from './session.ts'
import { StateCache } from './state-cache.ts'
import { StateReads } from './state-reads.ts'
import { PostgresStatements } from './statements.ts'
import { SubscriptionReader } from './subscriptions.ts'
import { Ticks } from './ticks.ts'

/** How a PostgreSQL store is opened. */
export interface PostgresOptions {
  /** `postgres://…`, with `?schema=…` unless the schema is `obol`. */
  readonly url: string
  /** Accounts whose states are remembered, at most. */
  readonly maxCachedAccounts?: number
  /** How far one batch may reach. */
  readonly reach?: Reach
  /** Batches that this process commits beside each other, each of its own accounts. */
  readonly lanes?: number
  readonly patience?: Partial<Patience>
  /** Milliseconds since 1970. */
  readonly clock?: () => number
}

/** Commands that may wait for a commit; more are turned away before anything is done. */
const MAX_WAITING = 20_000
const DEFAULT_CACHED_ACCOUNTS = 100_000
/** Batches of one bucket are small: many of them on their way at once share what a commit costs the server. */
const LANES: Readonly<Record<Reach, number>> = { any: 1, bucket: 16 }

/** Opens a store, bringing its schema up to date. Rejects with StoreUnavailableError and what to do about it. */
export async function openPostgresStore(options: PostgresOptions): Promise<Store> {
  const { reach = 'any' } = options
  const address = readAddress(options.url, reach)
  const patience = { ...DEFAULT_PATIENCE, ...options.patience }
  await prepareDatabase(address, patience)
  const readers = new Readers(address, patience)
  try {
    const feed = new Feed(readers)
    const { highMs, tick } = await feed.head()
    const secret = await keepSetting(readers.run, 'secret', randomBytes(32).toString('base64url'))
    const clock = steady(options.clock ?? Date.now, highMs)
    const cache = new StateCache(options.maxCachedAccounts ?? DEFAULT_CACHED_ACCOUNTS)
    const ticks = new Ticks(tick)
    const lanes = Array.from(
      { length: options.lanes ?? LANES[reach] },
      () => new QueuedLane({ address, patience, lane: (session) => new Lane({ session, cache, ticks, clock }) }),
    )
    const listener = new Listener(address, patience)
    return makeStore({ address, patience, readers, feed, secret, clock, listener, commands: new Commands(lanes) })
  } catch (cause) {
    await readers.close()
    if (!(cause instanceof OutOfServiceError)) throw cause
    const text = `The PostgreSQL database ${address.shown} was lost: ${messageOf(cause.cause)}. Start again once it is there.`
    throw new StoreUnavailableError(text, { cause })
  }
}

/** A lane with the commands that wait for it and the session that it writes on. */
class QueuedLane {
  readonly queue: CommandQueue<Transaction, Applied | Refusal>
  readonly #session: Session
  #running: Promise<void> | null = null

  constructor({
    address,
    patience,
    lane,
  }: { readonly address: Address; readonly patience: Patience; readonly lane: (session: Session) => Lane }) {
    this.#session = new Session(address, patience)
    const ledger = lane(this.#session)
    const groupOf = address.reach === 'bucket' ? ({ account }: Transaction) => bucketOf(account) : undefined
    this.queue = new CommandQueue({ maxWaiting: MAX_WAITING, maxBatch: MAX_BATCH, groupOf }, (batch, settlement) => {
      const answers = new Answers(settlement)
      this.#running = ledger.run(batch, (index, outcome) => answers.add(index, outcome))
      return this.#running.then(() => () => answers.tell())
    })
  }

  /** Finishes what was accepted, and lets go of the session. */
  async close(): Promise<void> {
    await this.#running
    while (this.queue.length > 0) {
      await new Promise((resolve) => setImmediate(resolve))
      await this.#running
    }
    await this.#session.close()
  }
}

/** Answers that are told once the next batch is on its way, or in the next turn if this one is not done by then. */
class Answers {
  readonly #settlement: Settlement<Applied | Refusal>
  #waiting: (readonly [index: number, outcome: Outcome])[] = []

  constructor(settlement: Settlement<Applied | Refusal>) {
    this.#settlement = settlement
  }

  add(index: number, outcome: Outcome): void {
    if (this.#waiting.length === 0) setImmediate(() => this.tell())
    this.#waiting.push([index, outcome])
  }

  tell(): void {
    const { resolve, reject } = this.#settlement
    for (const [index, outcome] of this.#waiting)
      if ('fault' in outcome) reject(index, outcome.fault)
      else resolve(index, outcome)
    this.#waiting = []
  }
}

/** Commands on their way to the lane of their account. */
class Commands {
  readonly #lanes: readonly QueuedLane[]
  #isClosed = false

  constructor(lanes: readonly QueuedLane[]) {
    this.#lanes = lanes
  }

  #laneOf(account: number): QueuedLane {
    const lane = this.#lanes[bucketOf(account) % this.#lanes.length]
    if (!lane) throw new Error('a store has a lane at least')
    return lane
  }

  push(transaction: Transaction): Promise<Applied | Refusal> {
    return this.#refused(1) ?? this.#laneOf(transaction.account).queue.push(transaction)
  }

  pushAll(transactions: readonly Transaction[]): Promise<readonly (Applied | Refusal)[]> {
    return this.#refused(transactions.length) ?? Promise.all(transactions.map((one) => this.#laneOf(one.account).queue.push(one)))
  }

  /** Why no command is taken now; undefined: they are. What waits in all lanes together is bounded. */
  #refused(commands: number): Promise<never> | undefined {
    if (this.#isClosed) return Promise.reject(new Error('the store is closed'))
    const waiting = this.#lanes.reduce((sum, { queue }) => sum + queue.length, 0)
    return waiting + commands > MAX_WAITING ? Promise.reject(new OverloadedError(`${waiting} commands wait already`)) : undefined
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#lanes.map((lane) => lane.close()))
  }
}

interface StoreParts {
  readonly address: Address
  readonly patience: Patience
  readonly readers: Readers
  readonly feed: Feed
  readonly secret: string
  readonly clock: () => number
  readonly listener: Listener
  readonly commands: Commands
}

function makeStore({ address, patience, readers, feed, secret, clock, listener, commands }: StoreParts): Store {
  const { run } = readers
  const history = new HistoryReader(readers)
  const purchases = new PurchaseReader(readers.run)
  const subscriptions = new SubscriptionReader(run)
  const keys = new KeyReader(run)
  const states = new StateReads(run)
  const claims = new Claims(readers.soon, patience.silenceMs)
  const watchers = new Watchers()
  const moved = new MovedAccounts(watchers, run)
  return {
    ...new PlainData(new PostgresStatements(readers)),
    secret,
    transact: (transaction) => watchers.after([transaction], commands.push(transaction)),
    transactAll: (transactions) => watchers.after(transactions, commands.pushAll(transactions)),
    state: (account) => states.read(account),
    account: async (account) => (await readProfiles(run, [account])).get(account),
    accountByExternalId: async (externalId) => (await ownersOf(run, [externalId])).get(externalId),
    accounts: (page) => listAccounts(readers, page),
    keyBySecret: (hash) => keys.bySecret(hash),
    key: (account, seq) => keys.at(account, seq),
    keys: (account, page) => keys.list(account, page),
    touchKeys: (uses) => keys.touch(uses),
    record: (account, seq) => history.record(account, seq),
    records: (account, query) => history.records(account, query),
    recordsAfter: (account, seq, limit) => history.recordsAfter(account, seq, limit),
    watchAccount: (account, listener) => {
      moved.start()
      return watchers.watch(account, listener)
    },
    grant: (account, seq) => history.grant(account, seq),
    grants: (account, page) => history.grants(account, page),
    hold: (account, seq) => history.hold(account, seq),
    holds: (account, page) => history.holds(account, page),
    refunds: (account, charges) => history.refunds(account, charges),
    purchase: (account, seq) => purchases.at(account, seq),
    purchases: (account, filter) => purchases.list(account, filter),
    watchedPurchases: (query) => purchases.watched(query),
    subscription: (account, seq) => subscriptions.at(account, seq),
    subscriptions: (account, page) => subscriptions.list(account, page),
    askingSubscriptions: (query) => subscriptions.asking(query),
    askingTopups: (query) => askingTopups(run, query),
    usage: (account, range) => history.usage(account, range),
    priceBooks: () => readPriceBooks(run),
    publishPrices: (book) => publishPriceBook(readers, book, clock),
    feed: (after, limit) => feed.page(after, limit),
    positionAt: (atMs) => feed.positionAt(atMs),
    watch: (tell) => listener.watch(tell),
    claim: (work) => claims.claim(work),
    dueAccounts: (nowMs, limit) => dueAccounts(readers, nowMs, limit),
    audit: () => auditInThread(address),
    setting: (name) => readSetting(run, name),
    saveSetting: (name, value) => saveSetting(run, name, value),
    keepSetting: (name, value) => keepSetting(run, name, value),
    ping: () => assertReady(readers.soon),
    close: async () => {
      await commands.close()
      await claims.release()
      await moved.close()
      await Promise.all([listener.close(), readers.close()])
    },
  }
}

/** A clock that never goes back, nor before the feed's last record. */
function steady(clock: () => number, lastMs: number): () => number {
  let last = lastMs
  return () => {
    last = Math.max(last, clock())
    return last
  }
}
