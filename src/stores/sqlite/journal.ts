/** The journal's table: appending rows, and reading them by position. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { JournalRecord } from '../../core/record.ts'
import { decodeRecord } from '../../core/record-codec.ts'
import { ManyRows } from './many-rows.ts'

/** A journal row with its place in the store's order. */
export interface StoredRow {
  readonly position: number
  readonly account: number
  readonly seq: number
  readonly atMs: number
  readonly kind: string
  readonly keyHash: string | null
  readonly fingerprint: string | null
  readonly hash: string
  readonly body: string
}

/** The columns of a journal row `j`, under the names of StoredRow. */
export const ROW_COLUMNS = 'j.position, j.account, j.seq, j.at_ms as "atMs", j.kind, j.key_hash as "keyHash", j.fingerprint, j.hash, j.body'

const INSERTED = 'position, account, seq, at_ms, kind, key_hash, fingerprint, hash, body'
const COLUMNS = 9
const ROWS_AT_ONCE = 8

/** Reads and appends journal rows. */
export class Journal {
  readonly #rows: ManyRows
  readonly #byPosition: StatementSync
  readonly #after: StatementSync
  readonly #last: StatementSync

  constructor(db: DatabaseSync) {
    this.#rows = new ManyRows(db, { insert: `insert into journal (${INSERTED})`, columns: COLUMNS, rowsAtOnce: ROWS_AT_ONCE })
    this.#byPosition = db.prepare(`select ${ROW_COLUMNS} from journal j where j.position = ?`)
    this.#after = db.prepare(`select ${ROW_COLUMNS} from journal j where j.position > ? order by j.position limit ?`)
    this.#last = db.prepare('select coalesce(max(position), 0) as position from journal')
  }

  /** Appends rows, inside the caller's transaction. */
  append(rows: readonly StoredRow[]): void {
    const values: (string | number | null)[] = []
    for (const row of rows)
      values.push(row.position, row.account, row.seq, row.atMs, row.kind, row.keyHash, row.fingerprint, row.hash, row.body)
    this.#rows.insert(values)
  }

  at(position: number): StoredRow | undefined {
    return this.#byPosition.get(position) as StoredRow | undefined
  }

  after(position: number, limit: number): readonly StoredRow[] {
    return this.#after.all(position, limit) as unknown as readonly StoredRow[]
  }

  lastPosition(): number {
    return (this.#last.get() as { position: number }).position
  }
}

/** The record in a row. */
export function recordOf(row: StoredRow): JournalRecord {
  return decodeRecord(row)
}
