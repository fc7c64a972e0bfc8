/** Drafts: how a decision is built up, record by record, on a state that stays as it was. */

import { type AccountState, type GrantTerms, type OpenGrant, type Pool, poolOf, timeOf } from './account.ts'
import { newsOfAlerts } from './alert-rules.ts'
import { autoTopupEvents } from './auto-topup.ts'
import type { AutoTopup } from './auto-topup-state.ts'
import { type Balance, balanceOf, burnOrder, isEligible } from './balance.ts'
import { least, type Microcredits, micro, ZERO } from './credits.ts'
import { evolve } from './evolve.ts'
import { type Actor, DEBT, type ExtraEvent, type JournalRecord, type Movement } from './record.ts'

/** When a command is decided, and on whose behalf. */
export interface Context {
  readonly nowMs: number
  readonly actor: Actor
  readonly requestId: string | null
}

/** What a command did: the records to append, and the state after them. */
export interface Decision {
  readonly records: readonly JournalRecord[]
  readonly state: AccountState
}

type Heading = 'seq' | 'atMs' | 'actor' | 'requestId'
type WithoutHeading<R> = R extends JournalRecord ? Omit<R, Heading> : never

/** A record before it has its place in the journal. */
export type NewRecord = WithoutHeading<JournalRecord>

/** Collects records, each folded in before the next is decided. */
export class Draft {
  readonly #context: Context
  readonly #records: JournalRecord[] = []
  /** The records of which alerts have told what they have to tell, and the state after those. */
  #toldRecords = 0
  #toldState: AccountState
  /** Before the last record. */
  #previous: AccountState
  state: AccountState

  constructor(state: AccountState, context: Context) {
    this.state = state
    this.#context = context
    this.#previous = state
    this.#toldState = state
  }

  /** Sequence that the next record will have. */
  get nextSeq(): number {
    return this.state.seq + 1
  }

  /** The time of the decision, for this account. */
  get nowMs(): number {
    return timeOf(this.state, this.#context.nowMs)
  }

  get actor(): Actor {
    return this.#context.actor
  }

  get requestId(): string | null {
    return this.#context.requestId
  }

  /** What has been decided so far; at first, what was due. */
  get records(): readonly JournalRecord[] {
    return this.#records
  }

  append(record: NewRecord, actor: Actor = this.#context.actor): void {
    const requestId = actor === 'time' ? null : this.#context.requestId
    this.place({ ...record, seq: this.nextSeq, atMs: this.nowMs, actor, requestId } as JournalRecord)
  }

  /** As `append`, for a record that has its heading already. */
  place(decided: JournalRecord): void {
    this.#previous = this.state
    const record = this.state.autoTopup === null ? decided : withTopupEvents(this.state.autoTopup, decided)
    this.state = evolve(this.state, record)
    this.#records.push(record)
  }

  /**
   * Ends a step: all that is due at one moment, or all that a command does. The last record of it carries what alerts have to tell of it as a
   * whole, so nobody is told of a balance that a renewal takes away and gives again.
   */
  endStep(asOfMs: number): void {
    const last = this.#records.at(-1)
    if (this.state.alerts.length > 0 && last && this.#records.length > this.#toldRecords) {
      const alerts = newsOfAlerts(this.#toldState, this.state, asOfMs)
      if (alerts.length > 0) {
        const told: JournalRecord = { ...last, alerts }
        this.#records[this.#records.length - 1] = told
        this.state = evolve(this.#previous, told)
      }
    }
    this.#toldRecords = this.#records.length
    this.#toldState = this.state
  }

  /** A draft of movements in one of the account's pools; what was due earlier is decided as of the moment it was due. */
  pool(creditType: string, asOfMs: number = this.nowMs): PoolDraft {
    return new PoolDraft(poolOf(this.state, creditType), asOfMs)
  }

  /** Whether the draft itself has booked the end of a hold. */
  hasExpired(hold: number): boolean {
    return this.#records.some((record) => record.kind === 'hold_expired' && record.hold === hold)
  }

  done(): Decision {
    if (this.state.alerts.length > 0) this.endStep(this.nowMs)
    return { records: this.#records, state: this.state }
  }
}

/** A record tells what it means for automatic top-ups: whatever takes credits may set one off. */
function withTopupEvents(before: AutoTopup, record: JournalRecord): JournalRecord {
  const events = autoTopupEvents(before, record)
  return events.length === 0 ? record : { ...record, events: [...record.events, ...events] }
}

const NO_EVENTS: readonly ExtraEvent[] = []

interface Left {
  readonly grant: GrantTerms
  remaining: bigint
  held: bigint
}

/** Collects the movements of one record in one pool. */
export class PoolDraft {
  readonly #pool: Pool
  readonly #nowMs: number
  readonly #settledBefore: bigint
  /** In burn order, with those that the record makes or reopens. */
  #grants: readonly OpenGrant[]
  readonly #touched = new Map<number, Left>()
  readonly #movements: Movement[] = []
  #debt: bigint
  #settled: bigint
  #held: bigint

  constructor(pool: Pool, nowMs: number) {
    this.#pool = pool
    this.#nowMs = nowMs
    this.#grants = pool.grants
    const { settled, held } = balanceOf(pool, nowMs)
    this.#debt = pool.debt
    this.#settled = settled
    this.#held = held
    // A debt hides what became usable at this very moment: it is news only once the debt is paid.
    this.#settledBefore = pool.debt > 0n ? least(settled, -pool.debt) : settled
  }

  get creditType(): string {
    return this.#pool.creditType
  }

  get movements(): readonly Movement[] {
    return this.#movements
  }

  get balance(): Balance {
    return { settled: micro(this.#settled), held: micro(this.#held) }
  }

  get available(): Microcredits {
    return micro(this.#settled - this.#held)
  }

  get debt(): Microcredits {
    return micro(this.#debt)
  }

  /** The fields that every record about credits carries. */
  get fields(): { creditType: string; movements: readonly Movement[]; balance: Balance; events: readonly ExtraEvent[] } {
    return { creditType: this.creditType, movements: this.#movements, balance: this.balance, events: this.events }
  }

  /** What subscribers hear of the change to the balance. */
  get events(): readonly ExtraEvent[] {
    if (this.#settledBefore > 0n && this.#settled <= 0n) return ['credits.exhausted']
    return this.#settledBefore <= 0n && this.#settled > 0n ? ['credits.recovered'] : NO_EVENTS
  }

  /** What is left of a grant that is not held, with this draft's movements in it. */
  freeOf(grant: OpenGrant): bigint {
    const touched = this.#touched.get(grant.seq)
    return touched ? touched.remaining - touched.held : grant.remaining - grant.held
  }

  /** Puts a grant that the record makes or reopens in reach of its movements. */
  open(grant: GrantTerms): void {
    this.#touched.set(grant.seq, { grant, remaining: 0n, held: 0n })
    this.#grants = [...this.#grants, { ...grant, remaining: ZERO, held: ZERO, closed: null }].sort(burnOrder)
  }

  move(seq: number, remaining: bigint, held: bigint): void {
    const left = this.#touched.get(seq) ?? this.#touch(seq)
    left.remaining += remaining
    left.held += held
    if (left.grant.effectiveAtMs <= this.#nowMs) {
      this.#settled += remaining
      this.#held += held
    }
    this.#movements.push({
      grant: seq,
      remaining: micro(remaining),
      held: micro(held),
      remainingAfter: micro(left.remaining),
      heldAfter: micro(left.held),
    })
  }

  #touch(seq: number): Left {
    const grant = this.#pool.grants.find((candidate) => candidate.seq === seq)
    if (!grant) throw new Error(`grant ${seq} is not open`)
    const left = { grant, remaining: grant.remaining, held: grant.held }
    this.#touched.set(seq, left)
    return left
  }

  /** Takes credits in burn order, as far as they reach. Returns what is still wanting. */
  draw(credits: bigint): bigint {
    return this.#eachEligible(credits, (grant, part) => this.move(grant, -part, 0n))
  }

  /** Sets credits aside in burn order, as far as they reach. Returns what is still wanting. */
  hold(credits: bigint): bigint {
    return this.#eachEligible(credits, (grant, part) => this.move(grant, 0n, part))
  }

  #eachEligible(credits: bigint, take: (grant: number, part: bigint) => void): bigint {
    let wanting = credits
    for (const grant of this.#grants) {
      if (wanting === 0n) break
      if (!isEligible(grant, this.#nowMs)) continue
      const part = least(this.freeOf(grant), wanting)
      if (part <= 0n) continue
      take(grant.seq, part)
      wanting -= part
    }
    return wanting
  }

  /** Takes credits that no grant has: the account owes them. */
  owe(credits: bigint): void {
    if (credits > 0n) this.#moveDebt(-credits)
  }

  /** Gives credits back against the debt, as far as there is one. Returns what is left over. */
  forgive(credits: bigint): bigint {
    const part = least(credits, this.#debt)
    if (part > 0n) this.#moveDebt(part)
    return credits - part
  }

  #moveDebt(remaining: bigint): void {
    this.#debt -= remaining
    this.#settled += remaining
    this.#movements.push({ grant: DEBT, remaining: micro(remaining), held: ZERO, remainingAfter: micro(-this.#debt), heldAfter: ZERO })
  }

  /** Pays the debt with whatever is free: credits are never available beside a debt. */
  repay(): void {
    for (const grant of this.#grants) {
      if (this.#debt === 0n) return
      if (!isEligible(grant, this.#nowMs)) continue
      const part = least(this.freeOf(grant), this.#debt)
      if (part <= 0n) continue
      this.move(grant.seq, -part, 0n)
      this.#moveDebt(part)
    }
  }
}
