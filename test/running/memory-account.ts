/**
 * One account in memory, with what a store does around decisions: it keeps the journal, finds the facts that decisions ask
 * for, and applies what was decided. Every step proves itself (see `prove`), so each test of the core that is written on it
 * tests the fold, the codecs and the invariants along the way.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AccountState, type BudgetTerms, type CapturePolicy, emptyAccount, poolOf, timeOf } from '../../src/core/account.ts'
import { decodeState, encodeState } from '../../src/core/account-codec.ts'
import { availableOf, balanceOf } from '../../src/core/balance.ts'
import { type Command, recordsMadeBy } from '../../src/core/command.ts'
import { formatCredits, type Microcredits, micro, parseCredits } from '../../src/core/credits.ts'
import { decide } from '../../src/core/decide.ts'
import { decideCapture } from '../../src/core/decisions/capture.ts'
import { type ChargeCommand, decideCharge, decideChargeGroup, type Offer } from '../../src/core/decisions/charge.ts'
import type { AccountFacts, ChargeFacts, ClosedGrant, EndedHold, Facts, KeyFacts, TakenFacts } from '../../src/core/decisions/facts.ts'
import { decideAdjustment, decideGrant, decideVoid } from '../../src/core/decisions/grant.ts'
import { DEFAULT_HOLD_TTL_MS, decideExtend, decideHold, decideIncrease, decideRelease } from '../../src/core/decisions/hold.ts'
import {
  decideCreateAccount,
  decideCreateKey,
  decideRevokeKey,
  decideRotateKey,
  decideUpdateAccount,
  decideUpdateKey,
} from '../../src/core/decisions/profile.ts'
import { decideRefund } from '../../src/core/decisions/refund.ts'
import type { Context, Decision } from '../../src/core/draft.ts'
import { viewAt } from '../../src/core/due.ts'
import { evolve, termsOf } from '../../src/core/evolve.ts'
import { heldBy } from '../../src/core/holds.ts'
import { assertSound } from '../../src/core/invariants.ts'
import { DEFAULT_PRIORITIES } from '../../src/core/priorities.ts'
import {
  DEBT,
  drawsOf,
  givesBack,
  grantMadeBy,
  isCharge,
  type JournalRecord,
  type KeyTerms,
  type Movement,
  movesCredits,
  type NewGrant,
  type Work,
} from '../../src/core/record.ts'
import { decodeRecord, encodeRecord } from '../../src/core/record-codec.ts'
import { isRefusal, REFUSALS, type Refusal, type RefusalCode } from '../../src/core/refusals.ts'

import { purchaseIn } from './purchases.ts'

const DECISIONS = join(import.meta.dirname, '../../src/core/decisions')

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS
/** A Thursday at noon in UTC. */
export const START_MS = Date.UTC(2026, 0, 15, 12)

/** Credits, as a number or a decimal string; a bigint is micro-credits. */
export type Amount = number | string | bigint

export function toMicro(amount: Amount): Microcredits {
  const credits = typeof amount === 'bigint' ? micro(amount) : parseCredits(amount)
  if (credits === undefined) throw new Error(`${amount} is not an amount`)
  return credits
}

/** A command that was carried out: the record it made, and all that it appended. */
export interface Booked {
  readonly seq: number
  readonly record: JournalRecord
  readonly records: readonly JournalRecord[]
}

export type Answer = Booked | Refusal

/** What became of a command, in a word. */
export function codeOf(answer: Answer): string {
  return isRefusal(answer) ? answer.refused : 'ok'
}

/** The outcome of a command that must succeed. */
export function booked(answer: Answer): Booked {
  if (isRefusal(answer)) throw new assert.AssertionError({ message: `refused: ${answer.refused} (${answer.detail})` })
  return answer
}

/** The outcome of a command that must be refused. */
export function refusal(answer: Answer): Refusal {
  if (!isRefusal(answer)) throw new assert.AssertionError({ message: `not refused: ${answer.record.kind}` })
  return answer
}

/** The sequence of the record that a command made. */
export function seqOf(answer: Answer): number {
  return booked(answer).seq
}

interface WorkOptions extends Partial<Work> {
  readonly creditType?: string
  /** Instead of the amount and credit type. */
  readonly offers?: readonly [Offer, ...Offer[]]
}

interface HoldOptions extends WorkOptions {
  readonly ttlMs?: number
  readonly policy?: CapturePolicy | null
}

interface CaptureOptions {
  readonly final?: boolean
  readonly policy?: CapturePolicy | null
  readonly serverPolicy?: CapturePolicy
}

interface GrantOptions extends Partial<Omit<NewGrant, 'amount' | 'effectiveAtMs'>> {
  readonly creditType?: string
  readonly effectiveAtMs?: number | null
}

export class MemoryAccount {
  state: AccountState = emptyAccount(1)
  nowMs = START_MS
  readonly journal: JournalRecord[] = []
  #unproven = 0

  constructor(capturePolicy: CapturePolicy | null = null) {
    const profile = { name: 'Ada', externalId: null, metadata: {}, capturePolicy }
    this.decide((state, context) => decideCreateAccount(state, profile, context))
  }

  /** An account that lives by a test clock, which waiting moves. */
  static onClock(nowMs: number, clock = 'clk_1'): MemoryAccount {
    const account = new MemoryAccount()
    account.journal.length = 0
    account.state = emptyAccount(1)
    const opened = { name: 'Ada', externalId: null, metadata: {}, capturePolicy: null, clock: { clock, nowMs } }
    account.decide((state, context) => decideCreateAccount(state, opened, context))
    return account
  }

  /** Puts a decision to the account as it stands. */
  decide(decision: (state: AccountState, context: Context) => Decision | Refusal): Answer {
    const before = deepFreeze(this.state)
    const context: Context = { nowMs: this.nowMs, actor: 'operator', requestId: 'req_1' }
    const result = decision(before, context)
    if (isRefusal(result)) return result
    // What is told again changes nothing, not even what is due.
    if (result.records.length === 0) assert.equal(result.state, before)
    else if (this.#unproven === 0) prove(before, result, context)
    this.state = result.state
    this.journal.push(...result.records)
    // A key that is revoked again makes none.
    const record = this.journal.at(-1)
    if (!record) throw new Error('the account has no record')
    return { seq: record.seq, record, records: result.records }
  }

  /** Fills an account up without proving each step, which would take long. */
  quickly(fill: () => void): void {
    this.#unproven += 1
    fill()
    this.#unproven -= 1
  }

  wait(ms: number): void {
    this.nowMs += ms
    const { clock } = this.state
    if (clock !== null) this.send({ kind: 'advance_clock', nowMs: clock.nowMs + ms })
  }

  // Commands, with what tests seldom care about filled in.

  grant(amount: Amount, { creditType = 'credits', ...options }: GrantOptions = {}): Answer {
    const source = options.source ?? 'topup'
    const defaults = { effectiveAtMs: null, expiresAtMs: null, paid: false, cost: null, metadata: {} }
    const grant = { source, priority: DEFAULT_PRIORITIES[source], ...defaults, ...options, amount: toMicro(amount) }
    return this.decide((state, context) => decideGrant(state, { creditType, grant }, context))
  }

  void(grant: number): Answer {
    const command = { grant, closed: this.closedGrant(grant), reason: 'charged back' }
    return this.decide((state, context) => decideVoid(state, command, context))
  }

  adjust(amount: Amount, creditType = 'credits'): Answer {
    const command = { creditType, credits: toMicro(amount), reason: 'goodwill' }
    return this.decide((state, context) => decideAdjustment(state, command, context))
  }

  charge(amount: Amount, options: WorkOptions = {}): Answer {
    return this.decide((state, context) => decideCharge(state, chargeOf(amount, options), context))
  }

  chargeGroup(commands: readonly ChargeCommand[]): Answer {
    return this.decide((state, context) => decideChargeGroup(state, commands, context))
  }

  hold(amount: Amount, { ttlMs = DEFAULT_HOLD_TTL_MS, policy = null, ...options }: HoldOptions = {}): Answer {
    return this.decide((state, context) => decideHold(state, { ...chargeOf(amount, options), ttlMs, policy }, context))
  }

  capture(
    hold: number,
    amount: Amount | null = null,
    { final = true, policy = null, serverPolicy = 'overdraft' }: CaptureOptions = {},
  ): Answer {
    const credits = amount === null ? null : toMicro(amount)
    const command = { ...this.#holdFacts(hold), hold, ended: this.endedHold(hold), credits, final, policy, serverPolicy, priced: null }
    return this.decide((state, context) => decideCapture(state, command, context))
  }

  release(hold: number): Answer {
    return this.decide((state, context) => decideRelease(state, { hold, ended: this.endedHold(hold) }, context))
  }

  extend(hold: number, ttlMs: number): Answer {
    return this.decide((state, context) => decideExtend(state, { hold, ended: this.endedHold(hold), ttlMs }, context))
  }

  increase(hold: number, amount: Amount): Answer {
    const command = { hold, ended: this.endedHold(hold), credits: toMicro(amount) }
    return this.decide((state, context) => decideIncrease(state, command, context))
  }

  refund(charge: number, amount: Amount | null = null, grantDays = 30): Answer {
    const credits = amount === null ? null : toMicro(amount)
    const command = { charge: this.chargeFacts(charge), credits, reason: 'failed', grantDays }
    return this.decide((state, context) => decideRefund(state, command, context))
  }

  createKey(budget: BudgetTerms | null = null): Answer {
    const command = { terms: { ...KEY_TERMS, budget }, secret: { hash: 'hash', hint: 'ob_…1234' } }
    return this.decide((state, context) => decideCreateKey(state, command, context))
  }

  updateKey(key: number, changes: Partial<KeyTerms>): Answer {
    return this.decide((state, context) => decideUpdateKey(state, { key, facts: this.keyFacts(key), changes }, context))
  }

  rotateKey(key: number, overlapMs = 0): Answer {
    const command = { key, facts: this.keyFacts(key), secret: { hash: 'other', hint: 'ob_…5678' }, overlapMs }
    return this.decide((state, context) => decideRotateKey(state, command, context))
  }

  revokeKey(key: number): Answer {
    return this.decide((state, context) => decideRevokeKey(state, { key, facts: this.keyFacts(key) }, context))
  }

  update(changes: Partial<AccountFacts>): Answer {
    return this.decide((state, context) => decideUpdateAccount(state, { account: this.accountFacts(), changes }, context))
  }

  /** Any command. The record is that of the command itself, not what follows from it. */
  send(command: Command): Answer {
    const answer = this.decide((state, context) => decide(state, command, { ...context, facts: this.facts }))
    if (isRefusal(answer)) return answer
    const record = ownRecords(command, answer.records).at(-1) ?? answer.record
    return { ...answer, record, seq: record.seq }
  }

  // What can be seen, as decimal strings.

  balance(creditType = 'credits'): { readonly settled: string; readonly held: string; readonly available: string } {
    const balance = balanceOf(poolOf(viewAt(this.state, this.nowMs), creditType), Math.max(this.nowMs, this.state.atMs))
    return { settled: formatCredits(balance.settled), held: formatCredits(balance.held), available: formatCredits(availableOf(balance)) }
  }

  /** What remains of each open grant, held part included, in burn order. */
  remaining(creditType = 'credits'): readonly (readonly [grant: number, remaining: string])[] {
    return poolOf(viewAt(this.state, this.nowMs), creditType).grants.map(({ seq, remaining }) => [seq, formatCredits(remaining)])
  }

  debt(creditType = 'credits'): string {
    return formatCredits(poolOf(viewAt(this.state, this.nowMs), creditType).debt)
  }

  /** What is held, hold by hold. */
  held(): readonly (readonly [hold: number, held: string])[] {
    return viewAt(this.state, this.nowMs).holds.map((hold) => [hold.seq, formatCredits(heldBy(hold))])
  }

  // What a store tells decisions about the past, from the journal.

  get facts(): Facts {
    return {
      charge: (seq) => this.chargeFacts(seq),
      endedHold: (seq) => this.endedHold(seq),
      closedGrant: (seq) => this.closedGrant(seq),
      key: (seq) => this.keyFacts(seq),
      profile: () => this.accountFacts(),
      purchase: (seq) => purchaseIn(this.journal, seq),
      taken: (seq) => this.takenFacts(seq),
    }
  }

  record(seq: number): JournalRecord | undefined {
    return this.journal.find((record) => record.seq === seq)
  }

  closedGrant(seq: number): ClosedGrant | null {
    const record = this.record(seq)
    const made = record ? grantMadeBy(record) : null
    if (made === null || this.state.pools.some((pool) => pool.grants.some((grant) => grant.seq === seq))) return null
    const end = this.journal.find((later) => (later.kind === 'grant_expired' || later.kind === 'grant_voided') && later.grant === seq)
    const status = end === undefined ? 'spent' : end.kind === 'grant_expired' ? 'expired' : 'voided'
    return { ...termsOf(seq, made), status }
  }

  endedHold(seq: number): EndedHold | null {
    const opened = this.record(seq)
    if (opened?.kind !== 'hold' || this.state.holds.some((hold) => hold.seq === seq)) return null
    const isLateCaptured = this.journal.some((record) => record.kind === 'late_capture' && record.hold === seq)
    for (const record of this.journal) {
      if (!('hold' in record) || record.hold !== seq) continue
      const ended = { credits: 'credits' in record ? record.credits : micro(0n), isLateCaptured, policy: opened.policy }
      if (record.kind === 'capture' && record.final) return { ...ended, status: 'captured' }
      if (record.kind === 'hold_released') return { ...ended, status: 'released' }
      if (record.kind === 'hold_expired') return { ...ended, status: 'expired' }
    }
    return null
  }

  chargeFacts(seq: number): ChargeFacts | null {
    const record = this.record(seq)
    if (!record || !isCharge(record)) return null
    const refunds = this.journal.map((later) => (givesBack(later) && later.charge === seq ? later.credits : 0n))
    const refunded = micro(refunds.reduce<bigint>((sum, credits) => sum + credits, 0n))
    return { record, refunded, closedGrants: this.#closedGrants(drawsOf(record)) }
  }

  takenFacts(seq: number): TakenFacts | null {
    const record = this.record(seq)
    return record?.kind === 'topup_refunded' ? { record, closedGrants: this.#closedGrants(record.movements) } : null
  }

  #closedGrants(draws: readonly Movement[]): readonly ClosedGrant[] {
    const drawn = new Set(draws.map(({ grant }) => grant))
    return [...drawn].flatMap((grant) => (grant === DEBT ? [] : (this.closedGrant(grant) ?? [])))
  }

  keyFacts(seq: number): KeyFacts | null {
    const isAbout = (record: JournalRecord): boolean => 'key' in record && record.key === seq
    const made = this.record(seq)
    if (made?.kind !== 'key_created') return null
    const updated = this.journal.findLast((record) => record.kind === 'key_updated' && isAbout(record))
    const isRevoked = this.journal.some((record) => record.kind === 'key_revoked' && isAbout(record))
    return { terms: updated?.kind === 'key_updated' ? updated.terms : made.terms, isRevoked }
  }

  accountFacts(): AccountFacts {
    for (const record of this.journal.toReversed()) {
      if (record.kind !== 'account_created' && record.kind !== 'account_updated') continue
      const { name, externalId, metadata, capturePolicy } = record
      return { name, externalId, metadata, capturePolicy, status: this.state.status }
    }
    throw new Error('the account was never created')
  }

  #holdFacts(seq: number): { readonly creditType: string; readonly work: Work } {
    const hold = this.record(seq)
    if (hold?.kind !== 'hold') return { creditType: 'credits', work: WORK }
    const { creditType, operation, key, quantities, attributes, priceVersion, metadata } = hold
    return { creditType, work: { operation, key, quantities, attributes, priceVersion, metadata } }
  }
}

/** The records that a command itself made: not those of time, nor what follows from its own. */
export function ownRecords(command: Command, records: readonly JournalRecord[]): readonly JournalRecord[] {
  return records.filter(({ actor }) => actor !== 'time').slice(0, recordsMadeBy(command))
}

const WORK: Work = { operation: 'video.create', key: null, quantities: {}, attributes: {}, priceVersion: null, metadata: {} }

const KEY_TERMS: KeyTerms = { name: 'key', budget: null, rateLimit: null, expiresAtMs: null, operations: null, scopes: [], metadata: {} }

/** A charge of an amount, for work that a test does not care about. */
export function chargeOf(amount: Amount, { creditType = 'credits', offers, ...work }: WorkOptions = {}): ChargeCommand {
  return { ...WORK, ...work, offers: offers ?? [{ creditType, credits: toMicro(amount) }] }
}

/** What must be true of every decision: it is sound, its records alone give its state, and both survive being written down. */
function prove(before: AccountState, { records, state }: Decision, { nowMs }: Context): void {
  assertSound(state)
  assert.ok(state.dueMs > timeOf(state, state.atMs), 'all that was due has been booked')
  const read = records.map((record) => decodeRecord({ seq: record.seq, atMs: record.atMs, kind: record.kind, body: encodeRecord(record) }))
  assert.deepStrictEqual(read, records, 'records survive being written down')
  let folded = rewritten(before)
  for (const record of read) {
    if (record.actor !== 'time' && folded.dueMs <= timeOf(folded, Math.max(nowMs, before.atMs)))
      assert.fail(`${record.kind} came before what was due`)
    folded = evolve(folded, record)
    if (!movesCredits(record)) continue
    const asOfMs = 'dueMs' in record ? record.dueMs : record.atMs
    assert.deepStrictEqual(
      record.balance,
      balanceOf(poolOf(folded, record.creditType), asOfMs),
      `the balance on record after ${record.kind}`,
    )
  }
  assert.deepStrictEqual(folded, state, 'the records alone give the state')
  assert.deepStrictEqual(rewritten(state), state, 'states survive being written down')
  // What a clock brings about when it is moved comes behind the record that says so.
  const own = records.findIndex(({ actor }) => actor !== 'time')
  const booked = records.slice(0, own < 0 ? records.length : own).reduce(evolve, before)
  assert.deepStrictEqual(viewAt(before, nowMs), booked, 'what was seen before it was booked is what was booked')
}

function rewritten(state: AccountState): AccountState {
  const read = decodeState(encodeState(state))
  if (!read) throw new Error('the state was written in another format')
  return read
}

/** Freezes a value and all that is in it, so that a decision which changed its input would throw. */
function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const inner of Object.values(value)) deepFreeze(inner)
  return value
}

/** Every refusal that decisions can come to, by their source, so that no list of them can fall behind. */
export function refusalsOfDecisions(): readonly RefusalCode[] {
  const names = readdirSync(DECISIONS).filter((name) => !name.endsWith('.test.ts'))
  const source = [...names, '../budget.ts'].map((name) => readFileSync(join(DECISIONS, name), 'utf8')).join('\n')
  return (Object.keys(REFUSALS) as RefusalCode[]).filter((code) => new RegExp(`refuse\\(\\s*'${code}'`).test(source))
}
