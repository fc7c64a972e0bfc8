/** What this process, the file's only owner, knows ahead of the tables: account states, and what is still to be written back. */

import { type AccountState, sweepDueMs } from '../../core/account.ts'
import { FOREVER_MS } from '../../core/calendar.ts'
import type { JournalRecord } from '../../core/record.ts'
import { closedRows } from '../../core/usage.ts'
import { type ObjectChange, objectChanges } from '../projections.ts'
import type { HourRow } from '../store.ts'

/** One account in memory. Clean when its rows are up to date: then it may be forgotten. */
export interface Entry {
  state: AccountState
  /** Hash of the account's last record. */
  hash: string
  /** Sequence that the account's rows include. */
  writtenSeq: number
  /** What `due_accounts` says of it; null: nothing. */
  writtenDueMs: number | null
  /** Journal positions of the records after `writtenSeq`, in order. */
  positions: number[]
  /** Hours that closed since then. */
  hours: HourRow[]
  /** Status changes since then, in order. */
  changes: ObjectChange[]
}

/** Makes an entry of an account whose rows are up to date with its state. */
export function cleanEntry(state: AccountState, hash: string, writtenDueMs: number | null): Entry {
  return { state, hash, writtenSeq: state.seq, writtenDueMs, positions: [], hours: [], changes: [] }
}

/** A record that has become durable, and what it did. */
export interface Durable {
  readonly record: JournalRecord
  readonly position: number
  readonly hash: string
  readonly after: AccountState
}

/** Moves an entry on by one durable record. */
export function advance(entry: Entry, { record, position, hash, after }: Durable): void {
  const before = entry.state
  for (const row of closedRows(before.hour, after.hour)) entry.hours.push({ ...row, hourMs: before.hour.startMs })
  for (const change of objectChanges(record, { before, after })) entry.changes.push(change)
  entry.state = after
  entry.hash = hash
  entry.positions.push(position)
}

/** Accounts by number, least recently used first, and the keys and accounts that wait to be written back. */
export class Memory {
  readonly #entries = new Map<number, Entry>()
  readonly #maxAccounts: number
  /** Accounts that are not clean, since the last generation began. */
  dirty = new Set<number>()
  /** Idempotency keys whose index rows are to be written, since then; and those of the generation being written. */
  keys = new Map<string, number>()
  sweptKeys: Map<string, number> = new Map()
  /** Accounts whose next due time is another than `due_accounts` says, with that time. */
  readonly dues = new Map<number, number>()
  /** The last position in the journal. */
  position = 0

  constructor(maxAccounts: number) {
    this.#maxAccounts = maxAccounts
  }

  /** The account, marked as used. */
  get(account: number): Entry | undefined {
    const entry = this.#entries.get(account)
    if (entry !== undefined && this.#entries.size > this.#maxAccounts / 2) {
      this.#entries.delete(account)
      this.#entries.set(account, entry)
    }
    return entry
  }

  set(account: number, entry: Entry): void {
    this.#entries.set(account, entry)
    if (this.#entries.size > this.#maxAccounts) this.#forgetSome(account)
  }

  /** Notes that an account's rows are to be written back. */
  wait(account: number, { state, writtenDueMs }: Entry): void {
    this.dirty.add(account)
    const dueMs = sweepDueMs(state)
    if (dueMs !== writtenDueMs) this.dues.set(account, dueMs ?? FOREVER_MS)
    else if (this.dues.size > 0) this.dues.delete(account)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Position of the record that a key made; undefined: it is not among those that wait. */
  pendingKey(keyHash: string): number | undefined {
    return this.keys.get(keyHash) ?? this.sweptKeys.get(keyHash)
  }

  clear(): void {
    this.#entries.clear()
    this.dirty = new Set()
    this.keys = new Map()
    this.sweptKeys = new Map()
    this.dues.clear()
    this.position = 0
  }

  /** Forgets clean accounts, least recently used first, looking at a few at a time; never the one just put in. */
  #forgetSome(newest: number): void {
    let looked = 0
    for (const [account, entry] of this.#entries) {
      if (this.#entries.size <= this.#maxAccounts || ++looked > 64 || account === newest) return
      if (entry.positions.length === 0) this.#entries.delete(account)
      else {
        this.#entries.delete(account)
        this.#entries.set(account, entry)
      }
    }
  }
}
