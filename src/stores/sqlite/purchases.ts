/** The table purchases: written with an account's other rows, read when they are up to date. */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { evolvePurchase, isWatched, type Purchase, type PurchaseFacts, type PurchaseStatus } from '../../core/purchase.ts'
import { decodePurchase, encodePurchase } from '../../core/purchase-codec.ts'
import type { JournalRecord } from '../../core/record.ts'
import { opensPurchase } from '../../core/record-subjects.ts'
import type { PurchaseChange } from '../projections.ts'
import type { PurchaseFilter, WatchedQuery } from '../store.ts'

interface RawPurchase {
  readonly status: PurchaseStatus
  readonly ended: bigint
  readonly state: string
}

const COLUMNS = 'select status, ended, state from purchases where account = ?'
/** A list of statuses as JSON; null: any. */
const HAVING = '(? is null or status in (select value from json_each(?)))'

/** Reads purchases. */
export class PurchaseReader {
  readonly #at: StatementSync
  readonly #older: StatementSync
  readonly #newer: StatementSync
  readonly #watched: StatementSync

  constructor(db: DatabaseSync) {
    this.#at = db.prepare(`${COLUMNS} and seq = ?`)
    this.#older = db.prepare(`${COLUMNS} and seq < ? and ${HAVING} order by seq desc limit ?`)
    this.#newer = db.prepare(`${COLUMNS} and seq > ? and ${HAVING} order by seq limit ?`)
    for (const statement of [this.#at, this.#older, this.#newer]) statement.setReadBigInts(true)
    this.#watched = db.prepare(
      'select account, seq from purchases where watched = 1 and (account, seq) > (?, ?) and opened_at_ms < ? order by account, seq limit ?',
    )
  }

  at(account: number, seq: number): PurchaseFacts | undefined {
    const row = this.#at.get(account, seq) as RawPurchase | undefined
    return row && decodeRow(row)
  }

  list(account: number, { limit, before, after, having }: PurchaseFilter): readonly PurchaseFacts[] {
    const wanted = having === undefined ? null : JSON.stringify(having)
    const from = after ?? before ?? Number.MAX_SAFE_INTEGER
    const values: readonly SQLInputValue[] = [account, from, wanted, wanted, limit]
    const rows = after === undefined ? this.#older.all(...values) : this.#newer.all(...values)
    return (rows as unknown as RawPurchase[]).map(decodeRow)
  }

  watched({ openedBeforeMs, after, limit }: WatchedQuery): readonly { readonly account: number; readonly seq: number }[] {
    const rows = this.#watched.all(after?.account ?? -1, after?.seq ?? 0, openedBeforeMs, limit)
    return rows as unknown as { account: number; seq: number }[]
  }
}

function decodeRow({ status, ended, state }: RawPurchase): PurchaseFacts {
  return { purchase: decodePurchase(state), status, ended }
}

/** Writes purchases, inside the caller's transaction. */
export class PurchaseWriter {
  readonly #state: StatementSync
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #note: StatementSync

  constructor(db: DatabaseSync) {
    this.#state = db.prepare('select state from purchases where account = ? and seq = ?')
    this.#insert = db.prepare(
      "insert into purchases (account, seq, status, opened_at_ms, watched, ended, state) values (?, ?, 'open', ?, ?, 0, ?)",
    )
    this.#update = db.prepare('update purchases set watched = ?, state = ? where account = ? and seq = ?')
    this.#note = db.prepare('update purchases set status = coalesce(?, status), ended = ended + ? where account = ? and seq = ?')
  }

  apply(account: number, { seq, status, record, ended }: PurchaseChange): void {
    if (record !== null && opensPurchase(record)) {
      this.#open(account, evolvePurchase(null, record))
      return
    }
    if (record !== null) this.#fold(account, seq, record)
    this.#note.run(status, ended, account, seq)
  }

  #open(account: number, purchase: Purchase): void {
    this.#insert.run(account, purchase.seq, purchase.openedAtMs, watchedOf(purchase), encodePurchase(purchase))
  }

  #fold(account: number, seq: number, record: JournalRecord): void {
    const known = this.#state.get(account, seq) as { state: string } | undefined
    const purchase = evolvePurchase(known ? decodePurchase(known.state) : null, record)
    this.#update.run(watchedOf(purchase), encodePurchase(purchase), account, seq)
  }
}

function watchedOf(purchase: Purchase): 0 | 1 {
  return isWatched(purchase) ? 1 : 0
}
