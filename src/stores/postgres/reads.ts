/** Reads of an account's past: records, grants, holds, refunds and roll-ups. */

import { type Microcredits, micro } from '../../core/credits.ts'
import type { JournalRecord } from '../../core/record.ts'
import { decodeRecord, recordTimeOf } from '../../core/record-codec.ts'
import { decodeHour, type RawHour } from '../hour-rows.ts'
import { mergeHours } from '../hours.ts'
import type { GrantRow, HoldRow, HourRow, RecordPage, RecordQuery, SeqPage, Store } from '../store.ts'
import { MAX_SCANNED_RECORDS } from '../store.ts'
import { readStates } from './accounts.ts'
import { bucketOf, numbers } from './buckets.ts'
import { ROW_COLUMNS, readRows, type StoredRow } from './journal.ts'
import type { Readers } from './readers.ts'
import type { Runner, Statement } from './session.ts'

const OF_ACCOUNT = 'bucket = $1 and account = $2'
/** Rows that are read at a time while a filter looks for matches. */
const ROWS_AT_ONCE = 500

const OLDER: Statement = {
  name: 'older records',
  text: `select ${ROW_COLUMNS} from journal j where ${OF_ACCOUNT} and seq < $3 and seq >= $4 order by seq desc limit $5`,
}
const NEWER: Statement = {
  name: 'newer records',
  text: `select ${ROW_COLUMNS} from journal j where ${OF_ACCOUNT} and seq > $3 and seq < $4 order by seq limit $5`,
}
const LAST_SEQ: Statement = { name: 'last seq', text: `select seq from journal where ${OF_ACCOUNT} order by seq desc limit 1` }
const TIME_AT: Statement = {
  name: 'time at',
  text: `select at_ms as "atMs", left(body, 30) as body from journal where ${OF_ACCOUNT} and seq = $3`,
}
const GRANT: Statement = { name: 'grant', text: `select seq, status from grants where ${OF_ACCOUNT} and seq = $3` }
const OLDER_GRANTS: Statement = {
  name: 'older grants',
  text: `select seq, status from grants where ${OF_ACCOUNT} and seq < $3 order by seq desc limit $4`,
}
const NEWER_GRANTS: Statement = {
  name: 'newer grants',
  text: `select seq, status from grants where ${OF_ACCOUNT} and seq > $3 order by seq limit $4`,
}
const HOLD_COLUMNS =
  'seq, status, credits::text as credits, held::text as held, expires_at_ms as "expiresAtMs", late_charge as "lateCharge"'
const HOLD: Statement = { name: 'hold', text: `select ${HOLD_COLUMNS} from holds where ${OF_ACCOUNT} and seq = $3` }
/** Holds of a status; null: any. Live ones that end by a time count as expired. */
const HAVING = "coalesce(case when status = 'live' and expires_at_ms <= $4::bigint then 'expired' else status end = $5::text, true)"
const OLDER_HOLDS: Statement = {
  name: 'older holds',
  text: `select ${HOLD_COLUMNS} from holds where ${OF_ACCOUNT} and seq < $3 and ${HAVING} order by seq desc limit $6`,
}
const NEWER_HOLDS: Statement = {
  name: 'newer holds',
  text: `select ${HOLD_COLUMNS} from holds where ${OF_ACCOUNT} and seq > $3 and ${HAVING} order by seq limit $6`,
}
const REFUNDED: Statement = {
  name: 'refunded',
  text: `select charge, refunded::text as refunded from refunds where ${OF_ACCOUNT} and charge = any($3::bigint[])`,
}
const HOURS: Statement = {
  name: 'hours',
  text: `select hour_ms as "hourMs", operation, key, credit_type as "creditType", charges, credits, refunds, refunded, quantities
         from rollups where ${OF_ACCOUNT} and hour_ms >= $3 and hour_ms < $4`,
}

type RawHold = Omit<HoldRow, 'credits' | 'held'> & { readonly credits: string; readonly held: string }

/** The sequences that a query looks through. */
interface Span {
  readonly from: number
  readonly until: number
}

/** Reads what an account's past left. */
export class HistoryReader {
  readonly #readers: Readers
  readonly #run: Runner

  constructor(readers: Readers) {
    this.#readers = readers
    this.#run = readers.run
  }

  async record(account: number, seq: number): Promise<JournalRecord | undefined> {
    const [row] = (await readRows(this.#run, [{ account, seq }])).values()
    return row && decodeRecord(row)
  }

  async recordsAfter(account: number, seq: number, limit: number): Promise<readonly JournalRecord[]> {
    const rows = await this.#run<StoredRow>(NEWER, [bucketOf(account), account, seq, Number.MAX_SAFE_INTEGER, limit])
    return rows.map(decodeRecord)
  }

  async records(account: number, query: RecordQuery): Promise<RecordPage> {
    const isNewer = query.after !== undefined
    const limit = isFiltered(query) ? ROWS_AT_ONCE : query.limit
    const records: JournalRecord[] = []
    let scanned = 0
    for (let span = await this.#spanOf(account, query); ; ) {
      const rows = await this.#rows(account, span, { isNewer, limit })
      for (const row of rows) {
        const record = matching(row, query)
        if (record) records.push(record)
        if (records.length >= query.limit || ++scanned >= MAX_SCANNED_RECORDS) return { records, next: row.seq }
      }
      const last = rows.at(-1)
      if (!last) return { records, next: null }
      span = isNewer ? { ...span, from: last.seq } : { ...span, until: last.seq }
    }
  }

  /** Newer ones begin after `from`, older ones end with it. */
  async #spanOf(account: number, { fromMs, toMs, before, after }: RecordQuery): Promise<Span> {
    const floor = fromMs === undefined ? 1 : await this.#firstSeqAt(account, fromMs)
    const ceiling = toMs === undefined ? Number.MAX_SAFE_INTEGER : await this.#firstSeqAt(account, toMs)
    return after === undefined
      ? { from: floor, until: Math.min(before ?? ceiling, ceiling) }
      : { from: Math.max(after, floor - 1), until: ceiling }
  }

  #rows(account: number, { from, until }: Span, { isNewer, limit }: { readonly isNewer: boolean; readonly limit: number }) {
    const bounds = isNewer ? [from, until] : [until, from]
    return this.#run<StoredRow>(isNewer ? NEWER : OLDER, [bucketOf(account), account, ...bounds, limit])
  }

  /** The account's first sequence at or after a time: times never go back within an account, so it is found by halving. */
  async #firstSeqAt(account: number, atMs: number): Promise<number> {
    const owner = [bucketOf(account), account]
    const [last] = await this.#run<{ seq: number }>(LAST_SEQ, owner)
    let low = 1
    let high = (last?.seq ?? 0) + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const [row] = await this.#run<{ atMs: number; body: string }>(TIME_AT, [...owner, middle])
      if (row !== undefined && recordTimeOf(row) < atMs) low = middle + 1
      else high = middle
    }
    return low
  }

  async grant(account: number, seq: number): Promise<GrantRow | undefined> {
    const [row] = await this.#run<GrantRow & { [name: string]: unknown }>(GRANT, [bucketOf(account), account, seq])
    return row
  }

  grants(account: number, { limit, before, after }: SeqPage): Promise<readonly GrantRow[]> {
    const from = after ?? before ?? Number.MAX_SAFE_INTEGER
    return this.#run<GrantRow & { [name: string]: unknown }>(after === undefined ? OLDER_GRANTS : NEWER_GRANTS, [
      bucketOf(account),
      account,
      from,
      limit,
    ])
  }

  async hold(account: number, seq: number): Promise<HoldRow | undefined> {
    const [row] = await this.#run<RawHold>(HOLD, [bucketOf(account), account, seq])
    return row && decodeHold(row)
  }

  async holds(account: number, { limit, before, after, having }: Parameters<Store['holds']>[1]): Promise<readonly HoldRow[]> {
    const from = after ?? before ?? Number.MAX_SAFE_INTEGER
    const values = [bucketOf(account), account, from, having?.atMs ?? null, having?.status ?? null, limit]
    const rows = await this.#run<RawHold>(after === undefined ? OLDER_HOLDS : NEWER_HOLDS, values)
    return rows.map(decodeHold)
  }

  async refunds(account: number, charges: readonly number[]): Promise<ReadonlyMap<number, Microcredits>> {
    const rows = await this.#run<{ charge: number; refunded: string }>(REFUNDED, [bucketOf(account), account, numbers(charges)])
    const found = new Map(rows.map(({ charge, refunded }) => [charge, micro(BigInt(refunded))]))
    return new Map(charges.flatMap((charge) => (found.has(charge) ? [[charge, found.get(charge) ?? micro(0n)] as const] : [])))
  }

  /** Hours that are over, and the one that the state still counts: of one moment, or an hour that closes would be lost or told twice. */
  async usage(account: number, { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): Promise<readonly HourRow[]> {
    const [rows, states] = await this.#readers.snapshot(
      async (run) =>
        [
          await run<RawHour & { [name: string]: unknown }>(HOURS, [bucketOf(account), account, fromMs, toMs]),
          await readStates(run, [account], false),
        ] as const,
    )
    const hour = states.get(account)?.state.hour
    const open = hour?.rows.map((row) => ({ ...row, hourMs: hour.startMs })) ?? []
    return mergeHours([...rows.map(decodeHour), ...open.filter(({ hourMs }) => fromMs <= hourMs && hourMs < toMs)])
  }
}

function isFiltered({ kinds, operation, key }: RecordQuery): boolean {
  return kinds !== undefined || operation !== undefined || key !== undefined
}

function matching(row: StoredRow, { kinds, operation, key }: RecordQuery): JournalRecord | undefined {
  if (kinds !== undefined && !kinds.some((kind) => kind === row.kind)) return undefined
  const record = decodeRecord(row)
  if (operation !== undefined && !('operation' in record && record.operation === operation)) return undefined
  if (key !== undefined && !('key' in record && record.key === key)) return undefined
  return record
}

function decodeHold({ credits, held, ...row }: RawHold): HoldRow {
  return { ...row, credits: micro(BigInt(credits)), held: micro(BigInt(held)) }
}
