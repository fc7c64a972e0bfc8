/**
 * One lane: commands that wait together are decided together and committed by one statement. First on the states that this
 * process remembers, with nothing locked: the write itself says whether they were current. Whatever that does not settle is decided
 * anew on states that are read under lock, so that each command comes to an end.
 */

import { isRefusal } from '../../core/refusals.ts'
import { Batch, type Fault, type Lookup, type Outcome } from '../batch.ts'
import { OutOfServiceError, type Transaction } from '../store.ts'
import { type Entry, ownersOf, readStates } from './accounts.ts'
import { type CommitOptions, commitBatch } from './commit.ts'
import { readFacts } from './facts.ts'
import { outOfService, type Verdict, verdictOn } from './faults.ts'
import { readKeyed, type WantedKey } from './journal.ts'
import { BEGIN, OutcomeUnknownError, pauseAfter, ROLLBACK, type Session } from './session.ts'
import type { StateCache } from './state-cache.ts'
import type { Ticks } from './ticks.ts'

/** Times that a batch is tried under lock before each of its commands is tried alone; a command alone is tried as often. */
const MAX_ATTEMPTS = 4
/** Batches that go without the fast path after it met a stale state or a known key, doubled each time. */
const MIN_DISTRUST = 8
const MAX_DISTRUST = 1_024

/** What a lane works with. */
export interface LaneParts {
  readonly session: Session
  readonly cache: StateCache
  readonly ticks: Ticks
  readonly clock: () => number
}

/** On remembered states nothing is decided about a purchase that is on record. */
const NO_PURCHASES = new Map<never, never>()

type Settle = (index: number, outcome: Outcome) => void

/** What is done after an attempt that failed. */
const STEPS: Readonly<
  Record<Verdict, (now: { readonly attempt: number; readonly isLate: boolean }) => 'once more' | 'each alone' | 'give up'>
> = {
  lost: ({ isLate }) => (isLate ? 'give up' : 'once more'),
  elsewhere: ({ isLate }) => (isLate ? 'give up' : 'once more'),
  again: ({ attempt }) => (attempt < MAX_ATTEMPTS ? 'once more' : 'each alone'),
  overtaken: ({ attempt }) => (attempt < MAX_ATTEMPTS ? 'once more' : 'each alone'),
  // Refusals and known keys need no room, and whoever writes hears of it.
  unable: () => 'each alone',
  refused: () => 'each alone',
}

/** Thrown out of a decision that needs more than what this process remembers. */
class NotRememberedError extends Error {
  override readonly name = 'NotRememberedError'
}

/** Decides and commits batches, one after the other. */
export class Lane {
  readonly #parts: LaneParts
  /** Batches that skip the fast path, and how many the next one that was overtaken will cost. */
  #skipped = 0
  #distrust = MIN_DISTRUST

  constructor(parts: LaneParts) {
    this.#parts = parts
  }

  /** Runs commands and settles each once it is durable, refused or failed. Never throws. */
  async run(transactions: readonly Transaction[], settle: Settle): Promise<void> {
    const left = await this.#runFast(transactions, settle)
    if (left.length === 0) return
    await this.#runLocked(
      left.map((index) => transactions[index] as Transaction),
      (at, outcome) => settle(left[at] ?? 0, outcome),
    )
  }

  /** Settles what can be settled on remembered states; gives the places of the rest, in order. */
  async #runFast(transactions: readonly Transaction[], settle: Settle): Promise<readonly number[]> {
    const everything = [...transactions.keys()]
    if (this.#skipped > 0) {
      this.#skipped--
      return everything
    }
    try {
      // Without a wait when nothing is to be waited for: the commit is sent in the turn in which the batch is taken.
      if (!this.#parts.session.isOpen) await this.#parts.session.open()
      const missing = this.#missing(transactions)
      if (missing.length > 0) await this.#remember(missing)
      const { batch, done, left } = this.#decideFast(transactions)
      if (batch.pending.length > 0) await this.#commit(batch, { isBegun: false, purchases: NO_PURCHASES })
      for (const [index, outcome] of done) settle(index, outcome)
      this.#distrust = Math.max(MIN_DISTRUST, this.#distrust - 1)
      return left
    } catch (fault) {
      if (isHopeless(fault)) return this.#failAll(everything, settle, fault)
      for (const { account } of transactions) this.#parts.cache.drop(account)
      const verdict = verdictOn(fault)
      if (verdict === 'overtaken') {
        this.#skipped = this.#distrust
        this.#distrust = Math.min(MAX_DISTRUST, 2 * this.#distrust)
      }
      if (isOver(verdict)) this.#parts.session.drop()
      return everything
    }
  }

  #failAll(places: readonly number[], settle: Settle, fault: unknown): readonly number[] {
    for (const index of places) settle(index, { fault })
    return []
  }

  /** Accounts that are not remembered. */
  #missing(transactions: readonly Transaction[]): readonly number[] {
    const missing: number[] = []
    for (const { account } of transactions) if (this.#parts.cache.get(account) === undefined) missing.push(account)
    return missing
  }

  /** Reads states, without lock. */
  async #remember(accounts: readonly number[]): Promise<void> {
    const { cache, session } = this.#parts
    for (const [account, entry] of await readStates(session.run, accounts, false)) cache.keep(account, entry)
  }

  /**
   * Decides what needs nothing but states. A refusal on a remembered state proves nothing, and what comes after it on the same
   * account or under the same key must not overtake it: both are left.
   */
  #decideFast(transactions: readonly Transaction[]): {
    readonly batch: Batch<Entry>
    readonly done: readonly (readonly [number, Outcome])[]
    readonly left: readonly number[]
  } {
    const batch = this.#newBatch(this.#remembered())
    const done: (readonly [number, Outcome])[] = []
    const left: number[] = []
    const behind = new Set<number | string>()
    for (const [index, transaction] of transactions.entries()) {
      const isBehind = left.length > 0 && namesOf(transaction).some((name) => behind.has(name))
      const outcome = isBehind ? null : decided(batch, transaction)
      if (outcome !== null) done.push([index, outcome])
      else {
        left.push(index)
        for (const name of namesOf(transaction)) behind.add(name)
      }
    }
    return { batch, done, left }
  }

  #remembered(): Lookup<Entry> {
    const { cache } = this.#parts
    const notRemembered = (): never => {
      throw new NotRememberedError()
    }
    return {
      entry: (account) => cache.get(account) ?? notRemembered(),
      keyed: (keyHash) => (cache.hasSeen(keyHash) ? notRemembered() : undefined),
      ownerOf: notRemembered,
      facts: () => ({
        charge: notRemembered,
        endedHold: notRemembered,
        closedGrant: notRemembered,
        key: notRemembered,
        purchase: notRemembered,
        taken: notRemembered,
        profile: notRemembered,
      }),
    }
  }

  #newBatch(lookup: Lookup<Entry>): Batch<Entry> {
    return new Batch(lookup, { nowMs: this.#parts.clock(), firstPosition: 0 })
  }

  async #commit(batch: Batch<Entry>, options: Omit<CommitOptions, 'tick'>): Promise<void> {
    const { session, cache, ticks } = this.#parts
    const tick = ticks.after(
      batch.nowMs,
      [...batch.working.values()].map(({ entry }) => entry?.tick ?? 0),
    )
    await commitBatch(session, batch, { tick, ...options })
    for (const [account, { entry, state, hash }] of batch.working) if (entry?.hash !== hash) cache.keep(account, { state, hash, tick })
    for (const { row } of batch.pending) if (row.keyHash !== null) cache.noteKey(row.keyHash)
  }

  /** Settles every command under lock. */
  async #runLocked(transactions: readonly Transaction[], settle: Settle): Promise<void> {
    let done = 0
    while (done < transactions.length) {
      const part = transactions.slice(done)
      const first = done
      const outcomes = await this.#tryLocked(part)
      if (outcomes === null) {
        await this.#runEach(part, (index, outcome) => settle(first + index, outcome))
        return
      }
      for (const [index, outcome] of outcomes.entries()) settle(first + index, outcome)
      done += outcomes.length
    }
  }

  /**
   * One command may have spoiled the commit for all: each gets transactions of its own. An account that somebody else keeps locked is
   * waited for once, not by each of its commands.
   */
  async #runEach(transactions: readonly Transaction[], settle: Settle): Promise<void> {
    const locked = new Map<number, Outcome>()
    for (const [index, transaction] of transactions.entries()) {
      const outcome = locked.get(transaction.account) ?? (await this.#tryLocked([transaction]))?.[0] ?? { fault: told(this.#lastFault) }
      if ('fault' in outcome && isLockedOut(outcome)) locked.set(transaction.account, outcome)
      settle(index, outcome)
    }
  }

  #lastFault: unknown = null

  /** Outcomes of the first commands, at least of one; null: their commit fails again and again. */
  async #tryLocked(transactions: readonly Transaction[]): Promise<readonly Outcome[] | null> {
    const endMs = performance.now() + this.#parts.session.patience.reconnectMs
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#lockedOnce(transactions)
      } catch (fault) {
        const step = await this.#stepAfter(fault, transactions, { attempt, isLate: performance.now() > endMs })
        if (step === 'give up') return transactions.map(() => ({ fault: told(fault) }))
        if (step === 'each alone') return null
        await pauseAfter(attempt)
      }
    }
  }

  /** Ends what an attempt began, and says what to do next. */
  async #stepAfter(
    fault: unknown,
    transactions: readonly Transaction[],
    now: Parameters<(typeof STEPS)[Verdict]>[0],
  ): Promise<ReturnType<(typeof STEPS)[Verdict]>> {
    this.#lastFault = fault
    for (const { account } of transactions) this.#parts.cache.drop(account)
    const verdict = verdictOn(fault)
    await this.#endTransaction(isOver(verdict))
    return isHopeless(fault) ? 'give up' : STEPS[verdict](now)
  }

  /** Lets go of all locks. A session that cannot roll back is dropped, which does the same. */
  async #endTransaction(isLost: boolean): Promise<void> {
    const { session } = this.#parts
    try {
      if (isLost) session.drop()
      else await session.run(ROLLBACK, [])
    } catch (fault) {
      this.#lastFault = fault
      session.drop()
    }
  }

  /** Locks, looks up, decides and commits, once. */
  async #lockedOnce(transactions: readonly Transaction[]): Promise<readonly Outcome[]> {
    const { session } = this.#parts
    await session.open()
    const { run } = session
    // Sent together; each statement sees what was committed before it began, so the keys are read after the lock is held.
    const [, entries, keyed, owners] = await Promise.all([
      run(BEGIN, []),
      readStates(
        run,
        transactions.map(({ account }) => account),
        true,
      ),
      readKeyed(run, transactions.flatMap(keysOf)),
      ownersOf(run, transactions.flatMap(externalIdOf)),
    ])
    const facts = await readFacts(run, transactions, entries)
    const batch = this.#newBatch({
      entry: (account) => entries.get(account),
      keyed: (keyHash) => keyed.get(keyHash),
      ownerOf: (externalId) => owners.get(externalId),
      facts: (account, assertUntouched) => facts.of(account, assertUntouched),
    })
    const outcomes = batch.decideSome(transactions)
    for (const keyHash of keyed.keys()) this.#parts.cache.noteKey(keyHash)
    if (batch.pending.length > 0) await this.#commit(batch, { isBegun: true, purchases: facts.purchases })
    else await run(ROLLBACK, [])
    for (const [account, entry] of entries) if (!batch.working.has(account)) this.#parts.cache.keep(account, entry)
    return outcomes
  }
}

/** What another command must have in common with one to be behind it. */
function namesOf({ account, idempotency }: Transaction): readonly (number | string)[] {
  return [account, ...(idempotency?.keyHashes ?? [])]
}

/** What becomes of a command on remembered states; null: that cannot be told. Only what is written is proved by the write. */
function decided(batch: Batch<Entry>, transaction: Transaction): Outcome | null {
  const written = batch.pending.length
  try {
    const outcome = batch.decide(transaction)
    return isRefusal(outcome) || (!outcome.isReplay && batch.pending.length === written) ? null : outcome
  } catch (fault) {
    // Whatever is wrong with it, it is wrong under lock too.
    return fault instanceof Error ? null : { fault }
  }
}

/** Whether waiting was in vain, for all commands alike. */
function isHopeless(fault: unknown): boolean {
  return fault instanceof OutcomeUnknownError || fault instanceof OutOfServiceError
}

/** Whether nothing more can be done on the session. */
function isOver(verdict: Verdict): boolean {
  return verdict === 'lost' || verdict === 'elsewhere'
}

/** What a caller hears whose command came to nothing: a fault of its own, or that the server can do nothing now. */
function told(fault: unknown): unknown {
  const verdict = verdictOn(fault)
  return verdict === 'refused' || verdict === 'overtaken' ? fault : outOfService(fault)
}

/** Whether a command came to nothing because somebody else keeps its account locked. */
function isLockedOut({ fault }: Fault): boolean {
  return fault instanceof OutOfServiceError && verdictOn(fault.cause) === 'again'
}

/** The keys of a command. One that opens an account is not the account's own: it may have opened another one. */
function keysOf({ account, command, idempotency }: Transaction): readonly WantedKey[] {
  const owner = 'kind' in command && command.kind === 'create_account' ? null : account
  return idempotency?.keyHashes.map((keyHash) => ({ keyHash, account: owner })) ?? []
}

function externalIdOf({ command }: Transaction): readonly string[] {
  if (!('kind' in command)) return []
  if (command.kind === 'create_account') return command.externalId === null ? [] : [command.externalId]
  const changed = command.kind === 'update_account' ? (command.changes.externalId ?? null) : null
  return changed === null ? [] : [changed]
}
