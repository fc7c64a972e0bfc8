/**
 * The feed: the order of all records of all accounts. A commit takes no number in it, for then commits would wait for each
 * other. Committed batches are numbered afterwards, by whoever reads the feed, one reader at a time under the lock of one row:
 * only what is committed is numbered, all that is committed is seen, and what commits later comes later, so no reader can ever
 * skip a record. Among the batches that wait, ticks say which follows from which.
 */

import { decodeRecord } from '../../core/record-codec.ts'
import type { FeedItem } from '../store.ts'
import { ROW_COLUMNS, type StoredRow } from './journal.ts'
import type { Readers, Runner, Statement } from './session.ts'

/** Batches that are numbered in one transaction. */
const BATCHES_AT_ONCE = 500

const IS_WAITING: Statement = {
  name: 'is waiting',
  text: `select 1 from batches where last_position is null and seqs <> '{}' limit 1`,
}
const LOCK_HEAD: Statement = {
  name: 'lock feed head',
  text: 'select position, high_ms as "highMs", tick from feed_head for update',
}
const WAITING: Statement = {
  name: 'waiting batches',
  text: `select bucket, id, tick, at_ms as "atMs", cardinality(seqs) as records from batches
         where last_position is null and seqs <> '{}' order by tick, id limit $1`,
}
const NUMBER: Statement = {
  name: 'number batches',
  text: `update batches b set last_position = t.position, high_ms = t.high_ms
         from unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bigint[]) t(bucket, id, position, high_ms)
         where b.bucket = t.bucket and b.id = t.id`,
}
const MOVE_HEAD: Statement = { name: 'move feed head', text: 'update feed_head set position = $1, high_ms = $2, tick = greatest(tick, $3)' }

/** Positions have no gaps: the page ends in the first batch that reaches to its last one. */
const PAGE: Statement = {
  name: 'feed page',
  text: `select p.position, ${ROW_COLUMNS}
         from (select last_position, accounts, seqs from batches where last_position > $1::bigint and last_position <= coalesce(
                 (select e.last_position from batches e where e.last_position >= $1::bigint + $2::bigint order by e.last_position limit 1),
                 9223372036854775807)) b,
         lateral (select b.last_position - cardinality(b.seqs) + t.place as position, t.account, t.seq
                  from unnest(b.accounts, b.seqs) with ordinality t(account, seq, place)) p,
         lateral (select * from journal j where j.bucket = (p.account % 256)::smallint and j.account = p.account and j.seq = p.seq) j
         where p.position > $1::bigint and p.position <= $1::bigint + $2::bigint order by p.position`,
}
/** The first batch after which some record is that late, as a position before its records. */
const FIRST_AT: Statement = {
  name: 'first batch at',
  text: `select last_position - cardinality(seqs) as before from batches
         where last_position is not null and high_ms >= $1 order by high_ms, last_position limit 1`,
}
const HEAD: Statement = {
  name: 'feed head',
  text: `select position, greatest(high_ms, (select coalesce(max(at_ms), 0) from batches where last_position is null and seqs <> '{}')) as "highMs",
           greatest(tick, (select coalesce(max(tick), 0) from batches where last_position is null and seqs <> '{}')) as tick
         from feed_head`,
}

interface Head {
  readonly position: number
  readonly highMs: number
  readonly tick: number
}

interface WaitingBatch {
  readonly bucket: number
  readonly id: string
  readonly tick: number
  readonly atMs: number
  readonly records: number
}

/** Reads the feed, numbering first what waits for its place. */
export class Feed {
  readonly #readers: Readers

  constructor(readers: Readers) {
    this.#readers = readers
  }

  /** The latest time and tick of all batches: a process that starts goes on from there. */
  async head(): Promise<Head> {
    const [head] = await this.#readers.run<Head & { [name: string]: unknown }>(HEAD, [])
    if (!head) throw new Error('the feed has no head')
    return head
  }

  /** Gives positions to all batches that are committed. */
  async number(): Promise<void> {
    for (;;) {
      const waiting = await this.#readers.run(IS_WAITING, [])
      if (waiting.length === 0) return
      await this.#readers.inTransaction(numberSome)
    }
  }

  async page(after: number, limit: number): Promise<readonly FeedItem[]> {
    await this.number()
    const rows = await this.#readers.run<StoredRow & { position: number }>(PAGE, [after, limit])
    return rows.map((row) => ({ position: row.position, account: row.account, record: decodeRecord(row) }))
  }

  /** The first position at or after a time. Times of the feed may go back where nodes' clocks differ: none before it is that late. */
  async positionAt(atMs: number): Promise<number> {
    await this.number()
    const [first] = await this.#readers.run<{ before: number }>(FIRST_AT, [atMs])
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

async function numberSome(run: Runner): Promise<void> {
  const [head] = await run<Head & { [name: string]: unknown }>(LOCK_HEAD, [])
  if (!head) throw new Error('the feed has no head')
  const waiting = await run<WaitingBatch & { [name: string]: unknown }>(WAITING, [BATCHES_AT_ONCE])
  let { position, highMs } = head
  const numbered = waiting.map(({ bucket, id, atMs, records }) => {
    position += records
    highMs = Math.max(highMs, atMs)
    return { bucket, id, position, highMs }
  })
  if (numbered.length === 0) return
  await run(NUMBER, [
    numbered.map(({ bucket }) => bucket),
    numbered.map(({ id }) => id),
    numbered.map((one) => one.position),
    numbered.map((one) => one.highMs),
  ])
  await run(MOVE_HEAD, [position, highMs, waiting.at(-1)?.tick ?? 0])
}
