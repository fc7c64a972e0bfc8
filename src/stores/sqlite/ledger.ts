/**
 * The single writer. Commands that wait together are decided in order of arrival on states in memory and appended to the
 * journal in one transaction; that append is all a caller waits for. Every other table is written back later (write-back.ts) and
 * folded in again from the journal after a crash (recovery.ts).
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type AccountState, emptyAccount } from '../../core/account.ts'
import type { Command } from '../../core/command.ts'
import { decide } from '../../core/decide.ts'
import type { Decision } from '../../core/draft.ts'
import { evolve } from '../../core/evolve.ts'
import { accountId } from '../../core/ids.ts'
import type { JournalRecord } from '../../core/record.ts'
import { encodeRecord } from '../../core/record-codec.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import { chainHash, genesisHash } from '../chain.ts'
import type { Applied, Idempotency, Transaction } from '../store.ts'
import type { AccountReader } from './accounts.ts'
import { DeferredError, type FactsReader } from './facts.ts'
import { type Journal, recordOf, type StoredRow } from './journal.ts'
import type { KeyFilter } from './key-filter.ts'
import { advance, cleanEntry, type Entry, type Memory, prefixOf } from './memory.ts'
import type { ProfileWriter } from './profiles.ts'
import { rebuild } from './recovery.ts'
import type { WriteBack } from './write-back.ts'

/** Most commands in one commit. */
export const MAX_BATCH = 512

/** What became of one command; a fault rejects only the caller whose command caused it. */
export type Outcome = Applied | Refusal | Fault

/** Why a command has no outcome. */
export interface Fault {
  readonly fault: unknown
}

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

interface Pending {
  readonly record: JournalRecord
  readonly row: StoredRow
  readonly after: AccountState
}

/** An account as the commands of one batch have left it so far. */
interface Working {
  /** As it was before the batch; null: the batch opens the account. */
  readonly entry: Entry | null
  state: AccountState
  hash: string
}

/** One batch: decided, then committed whole. */
interface Batch {
  readonly nowMs: number
  readonly pending: Pending[]
  readonly working: Map<number, Working>
  readonly keys: Map<string, Pending>
  /** External ids that the batch gives to accounts. */
  readonly externalIds: Set<string>
}

const EXTERNAL_ID_TAKEN = refuse('external_id_taken', 'Another account has this external id.')

/** What a record's row says of it, its hash and place left out. */
function rowFields(
  record: JournalRecord,
  keyHash: string | null,
  idempotency: Idempotency | null,
): Omit<StoredRow, 'position' | 'account' | 'hash'> {
  const { seq, atMs, kind } = record
  const fingerprint = keyHash === null ? null : (idempotency?.fingerprint ?? null)
  return { seq, atMs, kind, keyHash, fingerprint, body: encodeRecord(record) }
}

/** Decides and commits. Everything here is synchronous: nothing can come between a state's reading and its writing. */
export class Ledger {
  readonly #parts: LedgerParts
  readonly #keyRows: StatementSync
  readonly #begin: StatementSync
  readonly #commit: StatementSync

  constructor(parts: LedgerParts) {
    this.#parts = parts
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
      const { batch, outcomes } = this.#decideSome(part)
      const first = done
      done += outcomes.length
      const failure = this.#commitOrRebuild(batch)
      if (failure === null) {
        for (const [index, outcome] of outcomes.entries()) settle(first + index, outcome)
      } else if (outcomes.length === 1) settle(first, { fault: failure })
      else this.#runEach(part.slice(0, outcomes.length), (index, outcome) => settle(first + index, outcome))
    }
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
  #commitOrRebuild(batch: Batch): CommitFailedError | null {
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

  /** Decides commands up to the last, or to one that must wait until those before it are committed. */
  #decideSome(transactions: readonly Transaction[]): { readonly batch: Batch; readonly outcomes: readonly Outcome[] } {
    const batch: Batch = { nowMs: this.#parts.clock(), pending: [], working: new Map(), keys: new Map(), externalIds: new Set() }
    const outcomes: Outcome[] = []
    for (const transaction of transactions) {
      try {
        outcomes.push(this.#decide(transaction, batch))
      } catch (fault) {
        if (fault instanceof DeferredError) break
        outcomes.push({ fault })
      }
    }
    return { batch, outcomes }
  }

  #decide(transaction: Transaction, batch: Batch): Applied | Refusal {
    const replay = this.#replay(transaction, batch)
    if (replay) return replay
    const { account, command, actor, requestId } = transaction
    if (isRefusal(command)) return command
    const known = batch.working.get(account) ?? this.#begun(account)
    const refusal = this.#refuseOpening({ account, command }, known !== undefined, batch)
    if (refusal) return refusal
    const working: Working = known ?? { entry: null, state: emptyAccount(account), hash: genesisHash(account) }
    const facts = this.#parts.facts.of(account, () => this.#writeAccount(account, batch))
    const decision = decide(working.state, command, { nowMs: batch.nowMs, actor, requestId, facts })
    return isRefusal(decision) ? decision : this.#accept(transaction, { decision, working, batch })
  }

  #begun(account: number): Working | undefined {
    const entry = this.entry(account)
    return entry && { entry, state: entry.state, hash: entry.hash }
  }

  #refuseOpening(
    { account, command }: { readonly account: number; readonly command: Command },
    isKnown: boolean,
    batch: Batch,
  ): Refusal | undefined {
    if (command.kind !== 'create_account') {
      if (!isKnown) return refuse('account_not_found', `No account has the id ${accountId(account)}.`)
      const changed = command.kind === 'update_account' ? (command.changes.externalId ?? null) : null
      return this.#isTaken(changed, { account, batch }) ? EXTERNAL_ID_TAKEN : undefined
    }
    if (isKnown) throw new Error(`account number ${account} is taken`)
    return this.#isTaken(command.externalId, { account, batch }) ? EXTERNAL_ID_TAKEN : undefined
  }

  /** Whether another account has an external id. Throws DeferredError when that is decided by this batch. */
  #isTaken(externalId: string | null, { account, batch }: { readonly account: number; readonly batch: Batch }): boolean {
    if (externalId === null) return false
    const owner = this.#parts.accounts.numberOf(externalId)
    if (batch.externalIds.has(externalId) || (owner !== undefined && batch.working.has(owner))) throw new DeferredError()
    return owner !== undefined && owner !== account
  }

  #accept(transaction: Transaction, { decision, working, batch }: { decision: Decision; working: Working; batch: Batch }): Applied {
    const { account, idempotency } = transaction
    const made: JournalRecord[] = []
    let { hash, state } = working
    for (const record of decision.records) {
      const isOwn = record.actor !== 'time'
      const keyHash = (isOwn ? idempotency?.keyHashes[made.length] : undefined) ?? null
      const fields = rowFields(record, keyHash, idempotency)
      hash = chainHash(hash, fields)
      state = decision.records.length === 1 ? decision.state : evolve(state, record)
      const row = { position: this.#parts.memory.position + batch.pending.length + 1, account, hash, ...fields }
      const pending = { record, row, after: state }
      batch.pending.push(pending)
      if (keyHash !== null) batch.keys.set(keyHash, pending)
      if (isOwn) made.push(record)
      if ('externalId' in record && record.externalId !== null) batch.externalIds.add(record.externalId)
    }
    working.state = decision.state
    working.hash = hash
    batch.working.set(account, working)
    return { account, records: made, isReplay: false }
  }

  /** The answer of the request that used the key before, if one did. */
  #replay({ account, command, idempotency }: Transaction, batch: Batch): Applied | Refusal | undefined {
    if (idempotency === null) return undefined
    const found = idempotency.keyHashes.map((keyHash) => this.#findKey(keyHash, batch))
    if (found.every((row) => row === undefined)) return undefined
    const owner = 'kind' in command && command.kind === 'create_account' ? found[0]?.account : account
    const isSame = found.every((row) => row?.fingerprint === idempotency.fingerprint && row.account === owner)
    if (!isSame || owner === undefined)
      return refuse('idempotency_key_reused', 'This idempotency key was used with another request. Use a new key for a new request.')
    return { account: owner, records: found.flatMap((row) => (row ? [recordOf(row)] : [])), isReplay: true }
  }

  #findKey(keyHash: string, batch: Batch): StoredRow | undefined {
    const own = batch.keys.get(keyHash)
    if (own) return own.row
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

  /** Brings the account's rows up to date, for a reader that needs them. Throws DeferredError when the batch has touched it. */
  #writeAccount(account: number, batch: Batch): void {
    if (batch.working.has(account)) throw new DeferredError()
    this.catchUp(account)
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
      throw cause
    }
  }

  #commitBatch({ pending, working }: Batch): void {
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
