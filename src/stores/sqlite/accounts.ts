/** Reads accounts: their profile rows, and the state that was last written back. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type AccountState, emptyAccount, sweepDueMs } from '../../core/account.ts'
import { decodeState } from '../../core/account-codec.ts'
import { evolve } from '../../core/evolve.ts'
import type { AccountRow } from '../store.ts'
import { ROW_COLUMNS, recordOf, type StoredRow } from './journal.ts'

/** A state as it was last written back. */
export interface StoredState {
  readonly state: AccountState
  readonly hash: string
  /** What `due_accounts` says; null: nothing. */
  readonly dueMs: number | null
}

interface RawAccount {
  readonly number: number
  readonly name: string
  readonly externalId: string | null
  readonly metadata: string
  readonly capturePolicy: AccountRow['capturePolicy']
  readonly status: AccountRow['status']
  readonly createdAtMs: number
}

const ACCOUNT_COLUMNS =
  'number, name, external_id as "externalId", metadata, capture_policy as "capturePolicy", status, created_at_ms as "createdAtMs"'

/** Reads of the tables accounts and account_states. */
export class AccountReader {
  readonly #state: StatementSync
  readonly #records: StatementSync
  readonly #position: StatementSync
  readonly #byNumber: StatementSync
  readonly #byExternalId: StatementSync
  readonly #older: StatementSync
  readonly #newer: StatementSync
  readonly #due: StatementSync

  constructor(db: DatabaseSync) {
    this.#state = db.prepare('select s.seq, s.hash, s.state from account_states s where s.account = ?')
    this.#records = db.prepare(
      `select ${ROW_COLUMNS} from account_records r join journal j on j.position = r.position where r.account = ? and r.seq <= ? order by r.seq`,
    )
    this.#position = db.prepare('select position from account_records where account = ? and seq = ?')
    this.#byNumber = db.prepare(`select ${ACCOUNT_COLUMNS} from accounts where number = ?`)
    this.#byExternalId = db.prepare('select number from accounts where external_id = ?')
    this.#older = db.prepare(
      `select ${ACCOUNT_COLUMNS} from accounts where position < coalesce((select position from accounts where number = ?), 9007199254740991) order by position desc limit ?`,
    )
    this.#newer = db.prepare(
      `select ${ACCOUNT_COLUMNS} from accounts where position > (select position from accounts where number = ?) order by position limit ?`,
    )
    this.#due = db.prepare('select account from due_accounts where due_ms <= ? order by due_ms limit ?')
  }

  /** The account's last written state. One that an older Obol wrote is folded anew from its records. */
  stateOf(account: number): StoredState | undefined {
    const row = this.#state.get(account) as { seq: number; hash: string; state: string } | undefined
    if (!row) return undefined
    const state = decodeState(row.state) ?? this.#fold(account, row.seq)
    return { state, hash: row.hash, dueMs: sweepDueMs(state) }
  }

  /** Whether the index of the account's records leads to a row: its part of a sweep that was cut short. */
  isIndexed({ account, seq, position }: StoredRow): boolean {
    return (this.#position.get(account, seq) as { position: number } | undefined)?.position === position
  }

  #fold(account: number, seq: number): AccountState {
    let state = emptyAccount(account)
    for (const row of this.#records.iterate(account, seq)) state = evolve(state, recordOf(row as unknown as StoredRow))
    return state
  }

  numberOf(externalId: string): number | undefined {
    return (this.#byExternalId.get(externalId) as { number: number } | undefined)?.number
  }

  row(account: number): AccountRow | undefined {
    const row = this.#byNumber.get(account) as RawAccount | undefined
    return row && decodeAccount(row)
  }

  list({ limit, before, after }: { readonly limit: number; readonly before?: number; readonly after?: number }): readonly AccountRow[] {
    const rows = after === undefined ? this.#older.all(before ?? -1, limit) : this.#newer.all(after, limit)
    return (rows as unknown as RawAccount[]).map(decodeAccount)
  }

  due(nowMs: number, limit: number): readonly number[] {
    return (this.#due.all(nowMs, limit) as { account: number }[]).map(({ account }) => account)
  }
}

function decodeAccount({ metadata, ...row }: RawAccount): AccountRow {
  return { ...row, metadata: JSON.parse(metadata) as Record<string, string> }
}
