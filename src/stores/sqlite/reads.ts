/** Reads of an account's past: records, grants, holds, refunds, roll-ups; and of the journal as a whole. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Microcredits } from '../../core/credits.ts'
import { micro } from '../../core/credits.ts'
import type { JournalRecord } from '../../core/record.ts'
import { recordTimeOf } from '../../core/record-codec.ts'
import { decodeHour, type RawHour } from '../hour-rows.ts'
import { mergeHours } from '../hours.ts'
import type { FeedItem, GrantRow, HoldRow, HourRow, RecordPage, RecordQuery, SeqPage, Store } from '../store.ts'
import { MAX_SCANNED_RECORDS } from '../store.ts'
import { type Journal, ROW_COLUMNS, recordOf, type StoredRow } from './journal.ts'
import type { Entry } from './memory.ts'

/** Holds of a status (second value; null: any), where live ones that end by a time (first value) count as expired. */
const HAVING = "coalesce(case when status = 'live' and expires_at_ms <= ? then 'expired' else status end = ?, true)"

interface RawHold {
  readonly seq: bigint
  readonly status: HoldRow['status']
  readonly credits: bigint
  readonly held: bigint
  readonly expiresAtMs: bigint
  readonly lateCharge: bigint | null
}

/** Reads tables that the caller has brought up to date for the account. */
export class HistoryReader {
  readonly #journal: Journal
  readonly #older: StatementSync
  readonly #newer: StatementSync
  readonly #at: StatementSync
  readonly #lastSeq: StatementSync
  readonly #grant: StatementSync
  readonly #grantsOlder: StatementSync
  readonly #grantsNewer: StatementSync
  readonly #hold: StatementSync
  readonly #holdsOlder: StatementSync
  readonly #holdsNewer: StatementSync
  readonly #refunded: StatementSync
  readonly #hours: StatementSync

  constructor(db: DatabaseSync, journal: Journal) {
    this.#journal = journal
    const record = `select ${ROW_COLUMNS} from account_records r join journal j on j.position = r.position where r.account = ?`
    this.#older = db.prepare(`${record} and r.seq < ? and r.seq >= ? order by r.seq desc`)
    this.#newer = db.prepare(`${record} and r.seq > ? and r.seq < ? order by r.seq`)
    this.#at = db.prepare(`${record} and r.seq = ?`)
    this.#lastSeq = db.prepare('select coalesce(max(seq), 0) as seq from account_records where account = ?')
    this.#grant = db.prepare('select seq, status from grants where account = ? and seq = ?')
    this.#grantsOlder = db.prepare('select seq, status from grants where account = ? and seq < ? order by seq desc limit ?')
    this.#grantsNewer = db.prepare('select seq, status from grants where account = ? and seq > ? order by seq limit ?')
    const hold =
      'select seq, status, credits, held, expires_at_ms as "expiresAtMs", late_charge as "lateCharge" from holds where account = ?'
    this.#hold = db.prepare(`${hold} and seq = ?`)
    this.#holdsOlder = db.prepare(`${hold} and seq < ? and ${HAVING} order by seq desc limit ?`)
    this.#holdsNewer = db.prepare(`${hold} and seq > ? and ${HAVING} order by seq limit ?`)
    for (const statement of [this.#hold, this.#holdsOlder, this.#holdsNewer]) statement.setReadBigInts(true)
    this.#refunded = db.prepare('select refunded from refunds where account = ? and charge = ?')
    this.#refunded.setReadBigInts(true)
    this.#hours = db.prepare(
      `select hour_ms as "hourMs", operation, key, credit_type as "creditType", charges, credits, refunds, refunded, quantities
       from rollups where account = ? and hour_ms >= ? and hour_ms < ?`,
    )
  }

  /** A record; the entry, if the account is in memory, knows those that are not in the index yet. */
  record(account: number, seq: number, entry: Entry | undefined): JournalRecord | undefined {
    if (entry !== undefined && seq > entry.writtenSeq) {
      const position = entry.positions[seq - entry.writtenSeq - 1]
      const row = position === undefined ? undefined : this.#journal.at(position)
      return row && recordOf(row)
    }
    const row = this.#at.get(account, seq) as StoredRow | undefined
    return row && recordOf(row)
  }

  /** Records after a sequence: those that are not in the index yet, too. */
  recordsAfter(
    account: number,
    seq: number,
    { limit, entry }: { readonly limit: number; readonly entry: Entry },
  ): readonly JournalRecord[] {
    const records: JournalRecord[] = []
    for (let at = seq + 1; at <= entry.state.seq && records.length < limit; at++) {
      const record = this.record(account, at, entry)
      if (record) records.push(record)
    }
    return records
  }

  records(account: number, query: RecordQuery): RecordPage {
    const floor = query.fromMs === undefined ? 1 : this.#firstSeqAt(account, query.fromMs)
    const ceiling = query.toMs === undefined ? Number.MAX_SAFE_INTEGER : this.#firstSeqAt(account, query.toMs)
    const rows =
      query.after === undefined
        ? this.#older.iterate(account, Math.min(query.before ?? ceiling, ceiling), floor)
        : this.#newer.iterate(account, Math.max(query.after, floor - 1), ceiling)
    const records: JournalRecord[] = []
    let scanned = 0
    for (const raw of rows) {
      const row = raw as unknown as StoredRow
      const record = matching(row, query)
      if (record) records.push(record)
      if (records.length >= query.limit || ++scanned >= MAX_SCANNED_RECORDS) return { records, next: row.seq }
    }
    return { records, next: null }
  }

  /** The account's first sequence at or after a time: times never go back within an account, so it is found by halving. */
  #firstSeqAt(account: number, atMs: number): number {
    let low = 1
    let high = (this.#lastSeq.get(account) as { seq: number }).seq + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = this.#at.get(account, middle) as StoredRow | undefined
      if (row !== undefined && recordTimeOf(row) < atMs) low = middle + 1
      else high = middle
    }
    return low
  }

  grant(account: number, seq: number): GrantRow | undefined {
    return this.#grant.get(account, seq) as GrantRow | undefined
  }

  grants(account: number, { limit, before, after }: SeqPage): readonly GrantRow[] {
    const rows =
      after === undefined
        ? this.#grantsOlder.all(account, before ?? Number.MAX_SAFE_INTEGER, limit)
        : this.#grantsNewer.all(account, after, limit)
    return rows as unknown as readonly GrantRow[]
  }

  hold(account: number, seq: number): HoldRow | undefined {
    const row = this.#hold.get(account, seq) as RawHold | undefined
    return row && decodeHold(row)
  }

  holds(account: number, { limit, before, after, having }: Parameters<Store['holds']>[1]): readonly HoldRow[] {
    const wanted = [having?.atMs ?? null, having?.status ?? null] as const
    const rows =
      after === undefined
        ? this.#holdsOlder.all(account, before ?? Number.MAX_SAFE_INTEGER, ...wanted, limit)
        : this.#holdsNewer.all(account, after, ...wanted, limit)
    return (rows as unknown as RawHold[]).map(decodeHold)
  }

  refunds(account: number, charges: readonly number[]): ReadonlyMap<number, Microcredits> {
    const found = new Map<number, Microcredits>()
    for (const charge of charges) {
      const row = this.#refunded.get(account, charge) as { refunded: bigint } | undefined
      if (row) found.set(charge, micro(row.refunded))
    }
    return found
  }

  /** Written hours, and those that memory knows ahead of the table. */
  usage(
    account: number,
    { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
    entry: Entry | undefined,
  ): readonly HourRow[] {
    const written = (this.#hours.all(account, fromMs, toMs) as unknown as RawHour[]).map(decodeHour)
    const open = entry?.state.hour.rows.map((row) => ({ ...row, hourMs: entry.state.hour.startMs })) ?? []
    const ahead = [...(entry?.hours ?? []), ...open].filter(({ hourMs }) => fromMs <= hourMs && hourMs < toMs)
    return mergeHours([...written, ...ahead])
  }

  feed(after: number, limit: number): readonly FeedItem[] {
    return this.#journal.after(after, limit).map((row) => ({ position: row.position, account: row.account, record: recordOf(row) }))
  }

  /** The first position at or after a time: the store's clock never goes back, so it is found by halving. */
  positionAt(atMs: number): number {
    let low = 1
    let high = this.#journal.lastPosition() + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = this.#journal.at(middle)
      if (row !== undefined && row.atMs < atMs) low = middle + 1
      else high = middle
    }
    return low
  }
}

function matching(row: StoredRow, { kinds, operation, key }: RecordQuery): JournalRecord | undefined {
  if (kinds !== undefined && !kinds.some((kind) => kind === row.kind)) return undefined
  const record = recordOf(row)
  if (operation !== undefined && !('operation' in record && record.operation === operation)) return undefined
  if (key !== undefined && !('key' in record && record.key === key)) return undefined
  return record
}

function decodeHold({ seq, status, credits, held, expiresAtMs, lateCharge }: RawHold): HoldRow {
  return {
    seq: Number(seq),
    status,
    credits: micro(credits),
    held: micro(held),
    expiresAtMs: Number(expiresAtMs),
    lateCharge: lateCharge === null ? null : Number(lateCharge),
  }
}
