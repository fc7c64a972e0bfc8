/**
 * One batch of commands, decided in order of arrival on the states that the commands before them have left. Nothing is
 * written here: a store says what is known, and appends what was decided. The same on every store.
 */

import { type AccountState, emptyAccount } from '../core/account.ts'
import { type Command, recordsMadeBy } from '../core/command.ts'
import { decide, type Surroundings } from '../core/decide.ts'
import type { Facts } from '../core/decisions/facts.ts'
import type { Decision } from '../core/draft.ts'
import { evolve } from '../core/evolve.ts'
import { accountId } from '../core/ids.ts'
import type { Actor, JournalRecord } from '../core/record.ts'
import { decodeRecord, encodeRecord } from '../core/record-codec.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import { type ChainedRow, chainHash, genesisHash } from './chain.ts'
import type { Applied, Transaction } from './store.ts'

/** Most commands in one commit. */
export const MAX_BATCH = 512

/** What became of one command; a fault rejects only the caller whose command caused it. */
export type Outcome = Applied | Refusal | Fault

/** Why a command has no outcome. */
export interface Fault {
  readonly fault: unknown
}

/** A journal row of a batch. */
export interface BatchRow extends ChainedRow {
  /** Place in the store's order, for stores that know it before the commit; counted on from the batch's first. */
  readonly position: number
  readonly account: number
  readonly hash: string
}

/** A record that is to be committed. */
export interface Pending {
  readonly record: JournalRecord
  readonly row: BatchRow
  readonly after: AccountState
}

/** What a store knows of an account before a batch. */
export interface Base {
  readonly state: AccountState
  readonly hash: string
}

/** An account as the commands of one batch have left it so far. */
export interface Working<Known extends Base> {
  /** As it was before the batch; null: the batch opens the account. */
  readonly entry: Known | null
  state: AccountState
  hash: string
}

/** What one commit writes: records, and the accounts as they leave them. */
export interface DecidedBatch<Known extends Base = Base> {
  readonly pending: readonly Pending[]
  readonly working: ReadonlyMap<number, Working<Known>>
}

/** Thrown out of a decision that depends on an earlier command of its batch: it is decided anew once that is committed. */
export class DeferredError extends Error {
  override readonly name = 'DeferredError'
}

/** What a batch asks of its store. Answers are those of before the batch. */
export interface Lookup<Known extends Base> {
  /** Undefined: no such account. */
  entry(account: number): Known | undefined
  /** The row of the record that an idempotency key made; undefined: it made none. */
  keyed(keyHash: string): Omit<BatchRow, 'position'> | undefined
  /** The account that has an external id. */
  ownerOf(externalId: string): number | undefined
  /** Facts about an account; each of them calls `assertUntouched` first, which throws when the batch has changed the account. */
  facts(account: number, assertUntouched: () => void): Facts
}

const EXTERNAL_ID_TAKEN = refuse('external_id_taken', 'Another account has this external id.')

/** Decides commands one after the other. */
export class Batch<Known extends Base = Base> implements DecidedBatch<Known> {
  readonly nowMs: number
  readonly pending: Pending[] = []
  readonly working = new Map<number, Working<Known>>()
  readonly #lookup: Lookup<Known>
  readonly #firstPosition: number
  readonly #keys = new Map<string, Pending>()
  /** External ids that the batch gives to accounts. */
  readonly #externalIds = new Set<string>()

  constructor(lookup: Lookup<Known>, { nowMs, firstPosition }: { readonly nowMs: number; readonly firstPosition: number }) {
    this.#lookup = lookup
    this.#firstPosition = firstPosition
    this.nowMs = nowMs
  }

  /** Decides commands up to the last, or to one that must wait until those before it are committed. */
  decideSome(transactions: readonly Transaction[]): readonly Outcome[] {
    const outcomes: Outcome[] = []
    for (const transaction of transactions) {
      try {
        outcomes.push(this.decide(transaction))
      } catch (fault) {
        if (fault instanceof DeferredError) break
        outcomes.push({ fault })
      }
    }
    return outcomes
  }

  /** Decides one command. Throws DeferredError, or the fault of the command. */
  decide(transaction: Transaction): Applied | Refusal {
    const replay = this.#replay(transaction)
    if (replay) return replay
    const { account, command, actor, requestId } = transaction
    if (isRefusal(command)) return command
    const known = this.working.get(account) ?? this.#begun(account)
    const refusal = this.#refuseOpening({ account, command }, known !== undefined)
    if (refusal) return refusal
    const working: Working<Known> = known ?? { entry: null, state: emptyAccount(account), hash: genesisHash(account) }
    const decision = decide(working.state, command, new LazySurroundings(this, { account, actor, requestId }))
    return isRefusal(decision) ? decision : this.#accept(transaction, decision, working)
  }

  #begun(account: number): Working<Known> | undefined {
    const entry = this.#lookup.entry(account)
    return entry && { entry, state: entry.state, hash: entry.hash }
  }

  /** Facts about an account as they were before the batch. */
  factsOf(account: number): Facts {
    return this.#lookup.facts(account, () => {
      if (this.working.has(account)) throw new DeferredError()
    })
  }

  #refuseOpening({ account, command }: { readonly account: number; readonly command: Command }, isKnown: boolean): Refusal | undefined {
    if (command.kind !== 'create_account') {
      if (!isKnown) return refuse('account_not_found', `No account has the id ${accountId(account)}.`)
      const changed = command.kind === 'update_account' ? (command.changes.externalId ?? null) : null
      return this.#isTaken(changed, account) ? EXTERNAL_ID_TAKEN : undefined
    }
    if (isKnown) throw new Error(`account number ${account} is taken`)
    return this.#isTaken(command.externalId, account) ? EXTERNAL_ID_TAKEN : undefined
  }

  /** Whether another account has an external id. Throws DeferredError when that is decided by this batch. */
  #isTaken(externalId: string | null, account: number): boolean {
    if (externalId === null) return false
    const owner = this.#lookup.ownerOf(externalId)
    if (this.#externalIds.has(externalId) || (owner !== undefined && this.working.has(owner))) throw new DeferredError()
    return owner !== undefined && owner !== account
  }

  #accept({ account, command, idempotency }: Transaction, decision: Decision, working: Working<Known>): Applied {
    const own = isRefusal(command) ? 0 : recordsMadeBy(command)
    // The store's order is by its own time, whatever time it is for an account.
    const ownMs = decision.state.clock === null ? null : this.nowMs
    const made: JournalRecord[] = []
    let { hash, state } = working
    for (const record of decision.records) {
      // What follows from the command's own records, such as a bonus, has no key, and a replay does not find it.
      const isOwn = record.actor !== 'time' && made.length < own
      const keyHash = isOwn ? keyHashOf(idempotency, made.length) : null
      const place = { position: this.#firstPosition + this.pending.length, account, idempotency, keyHash, ownMs }
      const row = rowOf(record, place, hash)
      hash = row.hash
      state = decision.records.length === 1 ? decision.state : evolve(state, record)
      const pending = { record, row, after: state }
      this.pending.push(pending)
      if (keyHash !== null) this.#keys.set(keyHash, pending)
      if (isOwn) made.push(record)
      if ('externalId' in record && record.externalId !== null) this.#externalIds.add(record.externalId)
    }
    working.state = decision.state
    working.hash = hash
    this.working.set(account, working)
    return { account, records: made, isReplay: false }
  }

  #rowOfKey(keyHash: string): Omit<BatchRow, 'position'> | undefined {
    return this.#keys.get(keyHash)?.row ?? this.#lookup.keyed(keyHash)
  }

  /** The answer of the request that used the key before, if one did. */
  #replay({ account, command, idempotency }: Transaction): Applied | Refusal | undefined {
    if (idempotency === null) return undefined
    const found = idempotency.keyHashes.map((keyHash) => this.#rowOfKey(keyHash))
    if (found.every((row) => row === undefined)) return undefined
    const owner = 'kind' in command && command.kind === 'create_account' ? found[0]?.account : account
    const isSame = found.every((row) => row?.fingerprint === idempotency.fingerprint && row.account === owner)
    if (!isSame || owner === undefined)
      return refuse('idempotency_key_reused', 'This idempotency key was used with another request. Use a new key for a new request.')
    return { account: owner, records: found.flatMap((row) => (row ? [decodeRecord(row)] : [])), isReplay: true }
  }
}

/** What a command is decided with. Most decisions ask for no facts, and to put them together costs as much as to decide. */
class LazySurroundings implements Surroundings {
  readonly nowMs: number
  readonly actor: Actor
  readonly requestId: string | null
  readonly #account: number
  readonly #batch: Pick<Batch, 'factsOf'>

  constructor(
    batch: Pick<Batch, 'nowMs' | 'factsOf'>,
    { account, actor, requestId }: Pick<Transaction, 'account' | 'actor' | 'requestId'>,
  ) {
    this.nowMs = batch.nowMs
    this.actor = actor
    this.requestId = requestId
    this.#account = account
    this.#batch = batch
  }

  get facts(): Facts {
    return this.#batch.factsOf(this.#account)
  }
}

function keyHashOf(idempotency: Transaction['idempotency'], index: number): string | null {
  return idempotency?.keyHashes[index] ?? null
}

interface Place extends Pick<BatchRow, 'position' | 'account' | 'keyHash'>, Pick<Transaction, 'idempotency'> {
  /** The store's time, for an account that lives by another; null: that of the record. */
  readonly ownMs: number | null
}

/** The row of a record, chained to the one before it. */
function rowOf(record: JournalRecord, { position, account, keyHash, idempotency, ownMs }: Place, previousHash: string): BatchRow {
  const { seq, kind } = record
  const atMs = ownMs ?? record.atMs
  const fingerprint = keyHash === null ? null : (idempotency?.fingerprint ?? null)
  const row = { position, account, seq, atMs, kind, keyHash, fingerprint, hash: '', body: encodeRecord(record, atMs) }
  row.hash = chainHash(previousHash, row)
  return row
}
