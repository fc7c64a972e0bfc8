/**
 * The feed: the order of all records of all accounts. A commit takes no number in it, for then commits would wait for each
 * other. Committed batches are numbered afterwards, by whoever reads the feed, one reader at a time under the lock of one row:
 * only what is committed is numbered, all that is committed is seen, and what commits later comes later, so no reader can ever
 * skip a record. Among the batches that wait, ticks say which follows from which.
 *
 * A batch has its place as soon as the directory `feed` has it. That it is numbered is noted with the batch afterwards: where the ledger is
 * on other nodes than the directory, one commit for both could happen on one of them only.
 */

import { decodeRecord } from '../../core/record-codec.ts'
import type { FeedItem } from '../store.ts'
import { ofEveryBucket, onRows, runOnRows } from './buckets.ts'
import { type Address, readRows, type StoredRow } from './journal.ts'
import type { Readers } from './readers.ts'
import type { Runner, Statement } from './session.ts'
import { sweep } from './sweeps.ts'

/** Batches that are numbered in one transaction. */
const BATCHES_AT_ONCE = 500
/** Batches that are read of one bucket at a time. */
const OF_BUCKET_AT_ONCE = 50

const COLUMNS = 'bucket, id, tick, at_ms as "atMs", cardinality(seqs) as records'
const IS_WAITING = "not is_numbered and seqs <> '{}'"
const WAITING: Statement = {
  name: 'waiting batches',
  text: `select ${COLUMNS} from batches where ${IS_WAITING} order by tick, id limit $1`,
}
const WAITING_OF_BUCKET: Statement = {
  name: 'waiting batches of bucket',
  text: `select ${COLUMNS} from batches where bucket = $4 and ${IS_WAITING} and (tick, id) > ($2::bigint, $3::uuid) order by tick, id limit $1`,
}
const FIRST_ID = '00000000-0000-0000-0000-000000000000'
const LOCK_HEAD: Statement = {
  name: 'lock feed head',
  text: 'select position, high_ms as "highMs", tick from feed_head for update',
}
const KNOWN: Statement = { name: 'known batches', text: 'select batch as id from feed where batch = any($1::uuid[])' }
const NUMBER: Statement = {
  name: 'number batches',
  text: `insert into feed (last_position, records, high_ms, bucket, batch)
         select * from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::smallint[], $5::uuid[])`,
}
const MOVE_HEAD: Statement = { name: 'move feed head', text: 'update feed_head set position = $1, high_ms = $2, tick = greatest(tick, $3)' }
const NOTE_NUMBERED = onRows(
  'note numbered',
  [['id', 'uuid']],
  (rows) => `update batches b set is_numbered = true from ${rows} where b.bucket = t.bucket and b.id = t.id`,
)

/** Positions have no gaps: the page ends in the first batch that reaches to its last one. */
const PAGE: Statement = {
  name: 'feed page',
  text: `select last_position as "lastPosition", bucket, batch as id from feed where last_position > $1::bigint and last_position <= coalesce(
           (select e.last_position from feed e where e.last_position >= $1::bigint + $2::bigint order by e.last_position limit 1),
           9223372036854775807) order by last_position`,
}
const BATCHES = onRows(
  'batches at',
  [['id', 'uuid']],
  (rows) => `select b.id, b.accounts::text[], b.seqs::text[] from ${rows} join batches b on b.bucket = t.bucket and b.id = t.id`,
)
/** The first batch after which some record is that late, as a position before its records. */
const FIRST_AT: Statement = {
  name: 'first batch at',
  text: 'select last_position - records as before from feed where high_ms >= $1 order by high_ms, last_position limit 1',
}
const HEAD: Statement = { name: 'feed head', text: 'select position, high_ms as "highMs", tick from feed_head' }
const LATEST_WAITING: Statement = {
  name: 'latest waiting',
  text: `select coalesce(max(at_ms), 0) as "highMs", coalesce(max(tick), 0) as tick from batches where ${IS_WAITING}`,
}
const LATEST_WAITING_OF_BUCKET: Statement = { name: 'latest waiting of bucket', text: `${LATEST_WAITING.text} and bucket = $1` }

interface Latest {
  readonly highMs: number
  readonly tick: number
}

interface Head extends Latest {
  readonly position: number
}

interface WaitingBatch {
  readonly bucket: number
  readonly id: string
  readonly tick: number
  readonly atMs: number
  readonly records: number
}

/** A batch of the feed, and the position of its last record. */
interface Place {
  readonly lastPosition: number
  readonly bucket: number
  readonly id: string
}

/** A journal row with its place in the feed. */
export type FeedRow = StoredRow & { readonly position: number }

/** Reads the feed, numbering first what waits for its place. */
export class Feed {
  readonly #readers: Readers
  /** One numbering at a time: it takes a session besides the one that holds the lock. */
  #numbering: Promise<void> = Promise.resolve()

  constructor(readers: Readers) {
    this.#readers = readers
  }

  /** The latest time and tick of all batches: a process that starts goes on from there. */
  async head(): Promise<Head> {
    const [head] = await this.#readers.run<Head & { [name: string]: unknown }>(HEAD, [])
    if (!head) throw new Error('the feed has no head')
    const waiting = await this.#latestWaiting()
    return {
      position: head.position,
      highMs: Math.max(head.highMs, ...waiting.map(({ highMs }) => highMs)),
      tick: Math.max(head.tick, ...waiting.map(({ tick }) => tick)),
    }
  }

  #latestWaiting(): Promise<readonly Latest[]> {
    const { run } = this.#readers
    if (run.reach === 'any') return run<Latest & { [name: string]: unknown }>(LATEST_WAITING, [])
    return this.#readers.snapshot(async (inOne) => {
      const found = await ofEveryBucket((bucket) => inOne<Latest & { [name: string]: unknown }>(LATEST_WAITING_OF_BUCKET, [bucket]))
      return found.flat()
    })
  }

  /** Gives positions to batches that are committed: to all, or until the feed has come to a position. */
  number(upTo = Number.MAX_SAFE_INTEGER): Promise<void> {
    // Whoever waited for the one before heard of its fault: this one goes on all the same.
    const next = (): Promise<void> => this.#numberUpTo(upTo)
    this.#numbering = this.#numbering.then(next, next)
    return this.#numbering
  }

  async #numberUpTo(position: number): Promise<void> {
    for (;;) {
      if ((await this.#waiting(this.#readers.run, 1)).length === 0) return
      const [head] = await this.#readers.run<{ position: number }>(HEAD, [])
      if (head && head.position >= position) return
      const numbered = await this.#readers.transaction((run) => this.#numberSome(run), { isRepeatable: true })
      const columns = [numbered.map(({ id }) => id)]
      await runOnRows(this.#readers.run, NOTE_NUMBERED, { buckets: numbered.map(({ bucket }) => bucket), columns })
    }
  }

  /** The first batches that wait, as of one moment: of two that follow from each other, never the second without the first. */
  #waiting(run: Runner, limit: number): Promise<readonly WaitingBatch[]> {
    if (run.reach === 'any') return run<WaitingBatch & { [name: string]: unknown }>(WAITING, [limit])
    return this.#readers.snapshot((inOne) =>
      sweep<WaitingBatch>({
        read: (bucket, last, count) =>
          inOne<WaitingBatch & { [name: string]: unknown }>(WAITING_OF_BUCKET, [count, last?.tick ?? -1, last?.id ?? FIRST_ID, bucket]),
        compare: (a, b) => a.tick - b.tick || (a.id < b.id ? -1 : Number(a.id > b.id)),
        limit,
        atOnce: Math.min(limit, OF_BUCKET_AT_ONCE),
      }),
    )
  }

  /** Gives places to batches, under the lock of the head. One that has its place already was only not noted to have it. */
  async #numberSome(run: Runner): Promise<readonly WaitingBatch[]> {
    const [head] = await run<Head & { [name: string]: unknown }>(LOCK_HEAD, [])
    if (!head) throw new Error('the feed has no head')
    const waiting = await this.#waiting(run, BATCHES_AT_ONCE)
    const known = new Set((await run<{ id: string }>(KNOWN, [waiting.map(({ id }) => id)])).map(({ id }) => id))
    const fresh = waiting.filter(({ id }) => !known.has(id))
    let { position, highMs } = head
    const places = fresh.map(({ bucket, id, atMs, records }) => {
      position += records
      highMs = Math.max(highMs, atMs)
      return { position, records, highMs, bucket, id }
    })
    if (places.length === 0) return waiting
    await run(NUMBER, [
      places.map((place) => place.position),
      places.map(({ records }) => records),
      places.map((place) => place.highMs),
      places.map(({ bucket }) => bucket),
      places.map(({ id }) => id),
    ])
    await run(MOVE_HEAD, [position, highMs, fresh.at(-1)?.tick ?? 0])
    return waiting
  }

  async page(after: number, limit: number): Promise<readonly FeedItem[]> {
    await this.number(after + limit)
    const rows = await this.rows(after, limit)
    return rows.map((row) => ({ position: row.position, account: row.account, record: decodeRecord(row) }))
  }

  /** The rows after a position, of those that are numbered. */
  async rows(after: number, limit: number): Promise<readonly FeedRow[]> {
    const { run } = this.#readers
    const places = await run<Place & { [name: string]: unknown }>(PAGE, [after, limit])
    const columns = [places.map(({ id }) => id)]
    const batches = await runOnRows<{ id: string; accounts: string[]; seqs: string[] }>(run, BATCHES, {
      buckets: places.map(({ bucket }) => bucket),
      columns,
    })
    const records = new Map(batches.map(({ id, accounts, seqs }) => [id, accounts.map((account, at) => addressOf(account, seqs[at]))]))
    const wanted = places.flatMap(({ id, lastPosition }) => {
      const addresses = records.get(id) ?? []
      return addresses.map((address, at) => ({ ...address, position: lastPosition - addresses.length + 1 + at }))
    })
    const ofPage = wanted.filter(({ position }) => position > after && position <= after + limit)
    const rows = await readRows(run, ofPage)
    return ofPage.map(({ account, seq, position }) => {
      const row = rows.get(`${account}:${seq}`)
      if (!row) throw new Error(`record ${seq} of account ${account}, at position ${position} of the feed, is not there; run obol verify`)
      return { ...row, position }
    })
  }

  async #firstAt(atMs: number): Promise<{ readonly before: number } | undefined> {
    const [first] = await this.#readers.run<{ before: number }>(FIRST_AT, [atMs])
    return first
  }

  /** The first position at or after a time. Times of the feed may go back where nodes' clocks differ: none before it is that late. */
  async positionAt(atMs: number): Promise<number> {
    const first = (await this.#firstAt(atMs)) ?? (await this.number().then(() => this.#firstAt(atMs)))
    if (!first) return (await this.head()).position + 1
    for (let after = first.before; ; ) {
      const items = await this.page(after, BATCHES_AT_ONCE)
      const found = items.find(({ record }) => record.atMs >= atMs)
      if (found) return found.position
      after = items.at(-1)?.position ?? after
      if (items.length === 0) return after + 1
    }
  }
}

function addressOf(account: string, seq: string | undefined): Address {
  return { account: Number(account), seq: Number(seq) }
}
