/**
 * The single writer. Commands that wait together are decided in order of arrival on states in memory and appended to the
 * journal in one transaction; that append is all a caller waits for. Every other table is written back later (write-back.ts) and
 * folded in again from the journal after a crash (recovery.ts).
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { emptyAccount } from '../../core/account.ts'
import { Batch, type BatchRow, type DecidedBatch, type Lookup, type Outcome } from '../batch.ts'
import { genesisHash } from '../chain.ts'
import { FollowedBatch } from '../followed-batch.ts'
import { prefixOf } from '../key-prefix.ts'
import { OutOfServiceError, type Transaction } from '../store.ts'
import type { AccountReader } from './accounts.ts'
import type { FactsReader } from './facts.ts'
import type { Journal, StoredRow } from './journal.ts'
import type { KeyFilter } from './key-filter.ts'
import { advance, cleanEntry, type Entry, type Memory } from './memory.ts'
import type { ProfileWriter } from './profiles.ts'
import { rebuild } from './recovery.ts'
import type { WriteBack } from './write-back.ts'

/** What a ledger works with. */
export interface LedgerParts {
  readonly db: DatabaseSync
  readonly journal: Journal
  readonly memory: Memory
  readonly writeBack: WriteBack
  readonly accounts: AccountReader
  readonly profiles: ProfileWriter
  readonly facts: FactsReader
  readonly keyFilter: KeyFilter
  readonly clock: () => number
}

/** Decides and commits. Everything here is synchronous: nothing can come between a state's reading and its writing. */
export class Ledger {
  readonly #parts: LedgerParts
  readonly #lookup: Lookup<Entry>
  readonly #keyRows: StatementSync
  readonly #begin: StatementSync
  readonly #commit: StatementSync

  constructor(parts: LedgerParts) {
    this.#parts = parts
    this.#lookup = {
      entry: (account) => this.entry(account),
      keyed: (keyHash) => this.#findKey(keyHash),
      ownerOf: (externalId) => parts.accounts.numberOf(externalId),
      facts: (account, assertUntouched) =>
        parts.facts.of(account, () => {
          assertUntouched()
          this.catchUp(account)
        }),
    }
    this.#keyRows = parts.db.prepare('select position from idempotency_keys where prefix = ?')
    this.#begin = parts.db.prepare('begin immediate')
    this.#commit = parts.db.prepare('commit')
  }

  /**
   * Runs commands in order and settles each once it is durable, refused or failed. Commands that must see an earlier one in
   * the tables go into a transaction of their own, so one call may commit more than once.
   */
  run(transactions: readonly Transaction[], settle: (index: number, outcome: Outcome) => void): void {
    let done = 0
    while (done < transactions.length) {
      const part = transactions.slice(done)
      const batch = new Batch(this.#lookup, { nowMs: this.#parts.clock(), firstPosition: this.#parts.memory.position + 1 })
      const outcomes = batch.decideSome(part)
      const first = done
      done += outcomes.length
      const failure = this.#commitOrRebuild(batch)
      if (failure === null) {
        for (const [index, outcome] of outcomes.entries()) settle(first + index, outcome)
      } else if (outcomes.length === 1) settle(first, { fault: told(failure) })
      else this.#runEach(part.slice(0, outcomes.length), (index, outcome) => settle(first + index, outcome))
    }
  }

  /** Appends records that were decided elsewhere and continue what is there, each with its place. */
  follow(rows: readonly BatchRow[]): void {
    const batch = new FollowedBatch((account) => this.entry(account))
    for (const row of rows) batch.follow(row)
    this.#commitBatch(batch)
  }

  /** One command may have spoiled the commit for all: each gets a transaction of its own. */
  #runEach(transactions: readonly Transaction[], settle: (index: number, outcome: Outcome) => void): void {
    for (const [index, transaction] of transactions.entries()) this.run([transaction], (_, outcome) => settle(index, outcome))
  }

  /** Fills memory from the file: at start, and after a failed commit, when only the file knows what is true. */
  rebuild(): void {
    this.#parts.writeBack.reset(rebuild(this.#parts).lowWater)
  }

  /**
   * Commits a batch; null when it is committed. When the commit fails, memory is rebuilt from the file, and the file says
   * whether the batch is in it after all.
   */
  #commitOrRebuild(batch: Batch<Entry>): CommitFailedError | null {
    const last = batch.pending.at(-1)
    if (!last) return null
    try {
      this.#commitBatch(batch)
      return null
    } catch (failure) {
      if (!(failure instanceof CommitFailedError)) throw failure
      this.rebuild()
      return this.#parts.journal.at(last.row.position)?.hash === last.row.hash ? null : failure
    }
  }

  #findKey(keyHash: string): StoredRow | undefined {
    const { memory, journal, keyFilter } = this.#parts
    const prefix = prefixOf(keyHash)
    if (!keyFilter.mayHave(prefix)) return undefined
    const position = memory.pendingKey(keyHash)
    if (position !== undefined) return journal.at(position)
    for (const row of this.#keyRows.all(prefix) as { position: number }[]) {
      const stored = journal.at(row.position)
      if (stored?.keyHash === keyHash) return stored
    }
    return undefined
  }

  /** The account's entry, from memory or its row; undefined: no such account. */
  entry(account: number): Entry | undefined {
    const { memory, accounts } = this.#parts
    const known = memory.get(account)
    if (known) return known
    const stored = accounts.stateOf(account)
    if (!stored) return undefined
    const entry = cleanEntry(stored.state, stored.hash, stored.dueMs)
    memory.set(account, entry)
    return entry
  }

  /** Brings the account's rows up to date, in a transaction of its own if they are not. */
  catchUp(account: number): void {
    const entry = this.#parts.memory.get(account)
    if (entry !== undefined && entry.positions.length > 0) this.#writeBack(() => this.#parts.writeBack.writeAccount(account, entry))
  }

  /** Goes on writing back while nothing else is to be done. Returns whether more waits. */
  sweep(rows: number): boolean {
    if (this.#parts.writeBack.isBehind) this.#writeBack(() => this.#parts.writeBack.sweepRows(rows))
    return this.#parts.writeBack.isBehind
  }

  #writeBack(work: () => void): void {
    try {
      this.#inTransaction(work)
    } catch (cause) {
      this.rebuild()
      throw told(cause)
    }
  }

  #commitBatch({ pending, working }: DecidedBatch<Entry>): void {
    const { journal, profiles, writeBack, memory, keyFilter } = this.#parts
    this.#inTransaction(() => {
      journal.append(pending.map(({ row }) => row))
      for (const { record, row } of pending) profiles.write(record, row)
      writeBack.payFor(pending.length)
    })
    for (const { record, row, after } of pending) {
      const { account, position, hash, keyHash } = row
      const entry = memory.get(account) ?? working.get(account)?.entry ?? cleanEntry(emptyAccount(account), genesisHash(account), null)
      advance(entry, { record, position, hash, after })
      memory.set(account, entry)
      memory.wait(account, entry)
      if (keyHash !== null) {
        memory.keys.set(keyHash, position)
        keyFilter.add(prefixOf(keyHash))
      }
      memory.position = position
    }
  }

  /** A failed transaction leaves memory in doubt: the caller rebuilds it from the file (CommitFailedError). */
  #inTransaction(work: () => void): void {
    try {
      this.#begin.run()
      work()
      this.#commit.run()
    } catch (cause) {
      if (this.#parts.db.isTransaction) this.#parts.db.exec('rollback')
      throw new CommitFailedError('the transaction failed', { cause })
    }
  }
}

/** Thrown when a transaction failed; whether it took effect is known only from the file. */
export class CommitFailedError extends Error {
  override readonly name = 'CommitFailedError'
}

/** SQLITE_IOERR and SQLITE_FULL. */
const OUT_OF_SERVICE = new Set([10, 13])

/** What a caller hears of a failed transaction: if its disk is full or fails, that it may be sent again. */
function told(failure: unknown): unknown {
  const cause = failure instanceof CommitFailedError ? failure.cause : undefined
  if (!(cause instanceof Error && 'errcode' in cause && typeof cause.errcode === 'number')) return failure
  // The lowest eight bits say what it is, the others more of it.
  return OUT_OF_SERVICE.has(cause.errcode & 0xff) ? new OutOfServiceError('The disk is full, or fails.', { cause: failure }) : failure
}
