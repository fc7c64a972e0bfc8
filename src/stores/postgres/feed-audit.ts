/**
 * Audits the order of all records: reads the feed from its first batch to its last, then the batches that wait for their place, and looks at
 * every record that they name. What is remembered is where each account has got to.
 */

import type { AuditCheck } from '../store.ts'
import { BUCKETS, bucketOf, onRows, runOnRows } from './buckets.ts'
import { type Address, addresses } from './journal.ts'
import type { Runner } from './session.ts'

type ReportOn = (check: AuditCheck, account: number | null, detail: string) => void

/** How far the feed has told an account's records: the last one's sequence, and the tick of its batch. */
export interface Told {
  readonly seq: number
  readonly tick: number
}

const BATCHES_AT_ONCE = 500
/** Records of batches that are looked at together, unless one batch has more. */
const RECORDS_AT_ONCE = 5_000

interface PlacedBatch {
  readonly bucket: number
  readonly id: string
  readonly records: number
  /** Null: it waits for its place. */
  readonly place: { readonly lastPosition: number; readonly highMs: number } | null
}

interface StoredBatch {
  readonly id: string
  readonly tick: number
  readonly atMs: number
  readonly accounts: readonly string[]
  readonly seqs: readonly string[]
}

const FEED = `select last_position as "lastPosition", records, high_ms as "highMs", bucket, batch as id from feed
  where last_position > $1 order by last_position limit $2`
const WAITING = `select bucket, id, tick, cardinality(seqs) as records from batches where not is_numbered and seqs <> '{}'`
const BATCHES = onRows(
  'audited batches',
  [['id', 'uuid']],
  (rows) => `select b.id, b.tick, b.at_ms as "atMs", b.accounts::text[], b.seqs::text[]
    from ${rows} join batches b on b.bucket = t.bucket and b.id = t.id`,
)
const TIMES = onRows(
  'times at',
  [
    ['account', 'bigint'],
    ['seq', 'bigint'],
  ],
  (rows) =>
    `select j.account, j.seq, j.at_ms as "atMs" from ${rows} join journal j on j.bucket = t.bucket and j.account = t.account and j.seq = t.seq`,
)
const OPENED = onRows(
  'opened at',
  [['account', 'bigint']],
  (rows) =>
    `select a.number as account, a.opened_tick as tick, a.opened_place as place from ${rows} join accounts a on a.bucket = t.bucket and a.number = t.account`,
)

/** Follows the feed. */
export class FeedAudit {
  readonly told = new Map<number, Told>()
  readonly #run: Runner
  readonly #report: ReportOn
  #position = 0
  #highMs = 0
  #records = 0

  constructor(run: Runner, report: ReportOn) {
    this.#run = run
    this.#report = report
  }

  /** Checks the feed, and gives the number of records that are in it or wait for it. */
  async check(): Promise<number> {
    for (let last = 0; ; ) {
      const rows = await this.#ask<{ lastPosition: number; records: number; highMs: number; bucket: number; id: string }>(FEED, [
        last,
        BATCHES_AT_ONCE,
      ])
      const end = rows.at(-1)
      if (!end) break
      last = end.lastPosition
      await this.#follow(rows.map(({ bucket, id, records, ...place }) => ({ bucket, id, records, place })))
    }
    const [head] = await this.#ask<{ position: number }>('select position from feed_head', [])
    if (head?.position !== this.#position) this.#report('positions', null, 'the feed is not numbered up to where it says')
    await this.#checkWaiting()
    return this.#records
  }

  async #ask<Row extends object>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#run<Row & { [name: string]: unknown }>({ name: '', text }, values)
  }

  /** Batches that have no place yet are taken in the order in which they will get theirs. */
  async #checkWaiting(): Promise<void> {
    const waiting: { bucket: number; id: string; tick: number; records: number }[] = []
    for (const bucket of this.#run.reach === 'any' ? [null] : Array(BUCKETS).keys())
      waiting.push(
        ...((bucket === null ? await this.#ask(WAITING, []) : await this.#ask(`${WAITING} and bucket = $1`, [bucket])) as typeof waiting),
      )
    waiting.sort((a, b) => a.tick - b.tick || (a.id < b.id ? -1 : 1))
    for (let from = 0; from < waiting.length; from += BATCHES_AT_ONCE) {
      const some = waiting.slice(from, from + BATCHES_AT_ONCE)
      const placed = await this.#ask<{ id: string }>('select batch as id from feed where batch = any($1::uuid[])', [
        some.map(({ id }) => id),
      ])
      const known = new Set(placed.map(({ id }) => id))
      await this.#follow(some.filter(({ id }) => !known.has(id)).map(({ bucket, id, records }) => ({ bucket, id, records, place: null })))
    }
  }

  async #follow(batches: readonly PlacedBatch[]): Promise<void> {
    let some: PlacedBatch[] = []
    let records = 0
    for (const batch of batches) {
      some.push(batch)
      records += batch.records
      if (records < RECORDS_AT_ONCE) continue
      await this.#followSome(some)
      some = []
      records = 0
    }
    await this.#followSome(some)
  }

  async #followSome(batches: readonly PlacedBatch[]): Promise<void> {
    const rows = await runOnRows<StoredBatch>(this.#run, BATCHES, {
      buckets: batches.map(({ bucket }) => bucket),
      columns: [batches.map(({ id }) => id)],
    })
    const stored = new Map(rows.map((row) => [row.id, row]))
    const records = rows.flatMap(addressesIn)
    const times = await this.#timesOf(records)
    const openings = await this.#openingsOf(records)
    for (const placed of batches) {
      const batch = stored.get(placed.id)
      if (placed.place) this.#checkPlace(placed.place, placed.records, batch)
      if (batch) this.#checkBatch(batch, times, openings)
    }
  }

  async #timesOf(records: readonly Address[]): Promise<ReadonlyMap<string, number>> {
    const rows = await runOnRows<Address & { atMs: number }>(this.#run, TIMES, addresses(records))
    return new Map(rows.map(({ account, seq, atMs }) => [`${account}:${seq}`, atMs]))
  }

  async #openingsOf(records: readonly Address[]): Promise<ReadonlyMap<number, string>> {
    const opened = records.flatMap(({ account, seq }) => (seq === 1 ? [account] : []))
    const rows = await runOnRows<{ account: number; tick: number; place: number }>(this.#run, OPENED, {
      buckets: opened.map(bucketOf),
      columns: [opened],
    })
    return new Map(rows.map(({ account, tick, place }) => [account, `${tick}:${place}`]))
  }

  #checkPlace({ lastPosition, highMs }: NonNullable<PlacedBatch['place']>, records: number, batch: StoredBatch | undefined): void {
    if (lastPosition - records !== this.#position)
      this.#report('positions', null, 'a batch of the feed does not go on where the one before it ends')
    if (batch?.seqs.length !== records)
      this.#report('positions', null, 'the feed names a batch that does not exist, or has another number of records')
    this.#position = lastPosition
    this.#highMs = Math.max(this.#highMs, batch?.atMs ?? 0)
    if (highMs !== this.#highMs) this.#report('positions', null, 'the feed says another latest time than that of its records so far')
  }

  #checkBatch(batch: StoredBatch, times: ReadonlyMap<string, number>, openings: ReadonlyMap<number, string>): void {
    let latestMs = 0
    for (const [place, { account, seq }] of addressesIn(batch).entries()) {
      this.#records++
      const atMs = times.get(`${account}:${seq}`)
      if (atMs === undefined) this.#report('positions', account, 'a batch names a record that does not exist')
      else latestMs = Math.max(latestMs, atMs)
      if (seq !== (this.told.get(account)?.seq ?? 0) + 1)
        this.#report('positions', account, 'the feed tells the records of an account in another order, twice, or not all of them')
      if (seq === 1 && openings.get(account) !== `${batch.tick}:${place}`)
        this.#report('accounts', account, 'the account is not listed where it was opened')
      this.told.set(account, { seq, tick: batch.tick })
    }
    if (latestMs !== batch.atMs)
      this.#report('positions', Number(batch.accounts[0]), 'a batch says another time than that of its latest record')
  }
}

function addressesIn({ accounts, seqs }: StoredBatch): readonly Address[] {
  return accounts.map((account, at) => ({ account: Number(account), seq: Number(seqs[at]) }))
}
