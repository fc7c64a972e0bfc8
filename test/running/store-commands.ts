/** Commands as operations make them, with what tests seldom care about filled in, and short ways to send them to a store. */

import assert from 'node:assert/strict'
import type { CapturePolicy, ClockTime } from '../../src/core/account.ts'
import { type Command, isProviderNews, recordsMadeBy } from '../../src/core/command.ts'
import type { AccountFacts } from '../../src/core/decisions/facts.ts'
import { DEFAULT_HOLD_TTL_MS } from '../../src/core/decisions/hold.ts'
import { DEFAULT_PRIORITIES } from '../../src/core/priorities.ts'
import type { AccountProfile, Actor, JournalRecord, KeyTerms, NewGrant, Work } from '../../src/core/record.ts'
import { isRefusal, type Refusal, type RefusalCode } from '../../src/core/refusals.ts'
import { fingerprintOf, keyHash } from '../../src/stores/chain.ts'
import type { Applied, Store, Transaction } from '../../src/stores/store.ts'
import { type Amount, chargeOf, toMicro } from './memory-account.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

type WorkOptions = Parameters<typeof chargeOf>[1]

export function createAccount(profile: Partial<AccountProfile> & { readonly clock?: ClockTime } = {}): Command {
  return { kind: 'create_account', name: 'Ada', externalId: null, metadata: {}, capturePolicy: null, ...profile }
}

export function updateAccount(changes: Partial<AccountFacts>): Command {
  return { kind: 'update_account', changes }
}

const KEY_TERMS: KeyTerms = { name: 'key', budget: null, rateLimit: null, expiresAtMs: null, operations: null, scopes: [], metadata: {} }

/** A key whose secret's hash is made of a word. */
export function createKey(secret: string, terms: Partial<KeyTerms> = {}): Command {
  return { kind: 'create_key', terms: { ...KEY_TERMS, ...terms }, secret: { hash: secret, hint: `ob_…${secret}` } }
}

export function updateKey(key: number, changes: Partial<KeyTerms>): Command {
  return { kind: 'update_key', key, changes }
}

export function rotateKey(key: number, secret: string, overlapMs = HOUR_MS): Command {
  return { kind: 'rotate_key', key, secret: { hash: secret, hint: `ob_…${secret}` }, overlapMs }
}

export function revokeKey(key: number): Command {
  return { kind: 'revoke_key', key }
}

interface GrantOptions extends Partial<Omit<NewGrant, 'amount' | 'effectiveAtMs'>> {
  readonly creditType?: string
  readonly effectiveAtMs?: number | null
}

export function grant(amount: Amount, { creditType = 'credits', ...terms }: GrantOptions = {}): Command {
  const source = terms.source ?? 'topup'
  const defaults = { effectiveAtMs: null, expiresAtMs: null, paid: false, cost: null, metadata: {} }
  return {
    kind: 'grant',
    creditType,
    grant: { source, priority: DEFAULT_PRIORITIES[source], ...defaults, ...terms, amount: toMicro(amount) },
  }
}

export function voidGrant(seq: number): Command {
  return { kind: 'void_grant', grant: seq, reason: 'charged back' }
}

export function adjust(amount: Amount, creditType = 'credits'): Command {
  return { kind: 'adjust', creditType, credits: toMicro(amount), reason: 'goodwill' }
}

export function charge(amount: Amount, options: WorkOptions = {}): Command {
  return { kind: 'charge', ...chargeOf(amount, options) }
}

export function chargeGroup(...amounts: readonly Amount[]): Command {
  return { kind: 'charge_group', charges: amounts.map((amount) => chargeOf(amount, {})) }
}

export function refund(chargeSeq: number, amount: Amount | null = null, grantDays = 30): Command {
  return { kind: 'refund', charge: chargeSeq, credits: amount === null ? null : toMicro(amount), reason: 'failed', grantDays }
}

type HoldOptions = NonNullable<WorkOptions> & { readonly ttlMs?: number; readonly policy?: CapturePolicy | null }

export function hold(amount: Amount, { ttlMs = DEFAULT_HOLD_TTL_MS, policy = null, ...work }: HoldOptions = {}): Command {
  return { kind: 'hold', ...chargeOf(amount, work), ttlMs, policy }
}

interface CaptureOptions extends Partial<Work> {
  readonly creditType?: string
  readonly final?: boolean
  readonly policy?: CapturePolicy | null
}

export function capture(
  holdSeq: number,
  amount: Amount | null = null,
  { creditType = 'credits', final = true, policy = null, ...more }: CaptureOptions = {},
): Command {
  const work: Work = { operation: 'video.create', key: null, quantities: {}, attributes: {}, priceVersion: null, metadata: {}, ...more }
  const credits = amount === null ? null : toMicro(amount)
  return { kind: 'capture', hold: holdSeq, creditType, work, credits, final, policy, serverPolicy: 'overdraft', priced: null }
}

export function release(holdSeq: number): Command {
  return { kind: 'release', hold: holdSeq }
}

export function extend(holdSeq: number, ttlMs: number): Command {
  return { kind: 'extend', hold: holdSeq, ttlMs }
}

export function increase(holdSeq: number, amount: Amount): Command {
  return { kind: 'increase', hold: holdSeq, credits: toMicro(amount) }
}

export function reportOutcome(chargeSeq: number, outcome: 'failed' | 'succeeded' = 'failed', percent = 100): Command {
  return { kind: 'report_outcome', charge: chargeSeq, outcome, percent, reason: 'the job crashed', grantDays: 30 }
}

export function advanceClock(nowMs: number): Command {
  return { kind: 'advance_clock', nowMs }
}

export const BOOK_DUE: Command = { kind: 'book_due' }

/** How a command is sent. */
export interface Sending {
  /** The caller's idempotency key. */
  readonly key?: string
  /** Place in a batch that shares the key. */
  readonly item?: number
  /** Stands for the request's body: another one has another fingerprint. */
  readonly body?: string
  readonly actor?: Actor
  readonly requestId?: string
}

/** A transaction as the operations make it. */
export function transaction(account: number, command: Command, sending: Sending = {}): Transaction {
  const { key, item = 0, body = 'body', actor = 'operator', requestId = 'req_1' } = sending
  if (key === undefined) return { account, command, idempotency: null, actor, requestId }
  const scope = isProviderNews(command) ? (`provider:${account}` as const) : command.kind === 'create_account' ? 'accounts' : account
  const others = Array.from({ length: recordsMadeBy(command) - 1 }, (_, index) => keyHash(scope, key, item + index + 1))
  const idempotency = { keyHashes: [keyHash(scope, key, item), ...others], fingerprint: fingerprintOf('POST', '/', body) } as const
  return { account, command, idempotency, actor, requestId }
}

export function send(store: Store, account: number, command: Command, sending: Sending = {}): Promise<Applied | Refusal> {
  return store.transact(transaction(account, command, sending))
}

/** What became of a command that must have taken effect. */
export function applied(outcome: Applied | Refusal): Applied {
  if (isRefusal(outcome)) throw new assert.AssertionError({ message: `refused: ${outcome.refused} (${outcome.detail})` })
  return outcome
}

/** What became of a command, in a word. */
export function codeOf(outcome: Applied | Refusal): RefusalCode | 'done' | 'replayed' {
  if (isRefusal(outcome)) return outcome.refused
  return outcome.isReplay ? 'replayed' : 'done'
}

/** Sends a command that must take effect; gives the (last) record that it made. */
export async function make(store: Store, account: number, command: Command, sending: Sending = {}): Promise<JournalRecord> {
  const record = applied(await send(store, account, command, sending)).records.at(-1)
  assert.ok(record, 'the command made a record')
  return record
}

/** Sends a command that must take effect; gives the sequence of the record that it made. */
export async function seqOf(store: Store, account: number, command: Command, sending: Sending = {}): Promise<number> {
  return (await make(store, account, command, sending)).seq
}

/** Sends a command; gives what became of it, in a word. */
export async function outcomeOf(store: Store, account: number, command: Command, sending: Sending = {}): Promise<string> {
  return codeOf(await send(store, account, command, sending))
}

/** Sends commands in one turn, so that they wait together. */
export function sendTogether(store: Store, sent: readonly Transaction[]): Promise<readonly (Applied | Refusal)[]> {
  return Promise.all(sent.map((one) => store.transact(one)))
}

/** Opens an account under a number, with credits unless the amount is 0. */
export async function openAccount(store: Store, number: number, amount: Amount = 1000): Promise<number> {
  await make(store, number, createAccount())
  if (toMicro(amount) !== 0n) await make(store, number, grant(amount))
  return number
}
