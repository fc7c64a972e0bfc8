/** What decisions about an account need to know, and nothing else: bounded, immutable, one value per account. */

import type { Alert } from './alert.ts'
import type { AutoTopup } from './auto-topup-state.ts'
import type { Period } from './calendar.ts'
import { FOREVER_MS } from './calendar.ts'
import type { Microcredits } from './credits.ts'
import type { Decimal } from './decimal.ts'
import type { PaymentMethod } from './payment.ts'
import type { Subscription } from './subscription.ts'

/** Most grants that may be open at once; spent, expired and voided ones leave the state. */
export const MAX_OPEN_GRANTS = 1_000
/** Most holds that may be live at once. */
export const MAX_OPEN_HOLDS = 1_000
/** Most API keys that are not revoked. */
export const MAX_KEYS = 1_000
/** Most checkouts that may be open at once. */
export const MAX_OPEN_CHECKOUTS = 50
/** Most disputes that may freeze credits at once. */
export const MAX_FREEZES = 1_000
/** Most roll-up rows an account's open hour keeps in its state before they are written out early. */
export const MAX_OPEN_USAGE_ROWS = 64

/** Where credits come from. The source sets the default priority. */
export type GrantSource = 'plan' | 'topup' | 'promo' | 'rollover' | 'refund' | 'adjustment'

/** What a grant is, from when it is made to when it ends. */
export interface GrantTerms {
  /** Sequence of the journal record that made it. */
  readonly seq: number
  readonly source: GrantSource
  /** Lower burns first. */
  readonly priority: number
  readonly effectiveAtMs: number
  /** Null: never. */
  readonly expiresAtMs: number | null
  /** Whether money was paid for it: what was paid for burns last. */
  readonly paid: boolean
  /** Sequence of the purchase that it is of: what a refund of the payment takes back first; null: none. */
  readonly purchase: number | null
}

/** A grant with something left, or something of it held. */
export interface OpenGrant extends GrantTerms {
  /** Includes what is held. */
  readonly remaining: Microcredits
  /** Set aside by live holds, or frozen by disputes. */
  readonly held: Microcredits
  /** Ended while holds still draw on it: what they release ends at once. */
  readonly closed: 'expired' | 'voided' | null
}

/** All of an account's credits of one type. `granted = settled + charged − refunded + expired + voided`, always. */
export interface Pool {
  readonly creditType: string
  /** In burn order. */
  readonly grants: readonly OpenGrant[]
  /** What the account owes: positive when captures went beyond every grant. */
  readonly debt: Microcredits
  /** Sums of all time, in micro-credits: unlike balances they may pass what an account can hold. */
  readonly granted: bigint
  readonly charged: bigint
  readonly refunded: bigint
  readonly expired: bigint
  readonly voided: bigint
}

/** What happens when a capture is above its hold. */
export type CapturePolicy = 'reject' | 'cap' | 'overdraft'

/** A part of a hold, set aside on one grant. */
export interface HoldPart {
  readonly grant: number
  readonly held: Microcredits
}

/** A live hold. */
export interface OpenHold {
  /** Sequence of the journal record that made it. */
  readonly seq: number
  readonly creditType: string
  readonly operation: string
  /** Sequence of the API key it counts against; null: none. */
  readonly key: number | null
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly policy: CapturePolicy | null
  /** Set aside when it was opened, and by increases since. */
  readonly total: Microcredits
  /** In draw order; captures take from the front, releases from the back. */
  readonly parts: readonly HoldPart[]
}

/** A checkout that may still be paid. */
export interface OpenCheckout {
  /** Sequence of the journal record that opened it: the purchase's. */
  readonly seq: number
  /** When it is given up, if nothing is heard of it. */
  readonly expiresAtMs: number
}

/** What an open dispute keeps from being used: like a hold, but only the dispute's end lets go of it. */
export interface Freeze {
  /** Sequence of the journal record that opened the dispute. */
  readonly seq: number
  readonly purchase: number
  readonly creditType: string
  readonly parts: readonly HoldPart[]
}

/** A limit on what one API key may spend. */
export interface BudgetTerms {
  /** Credits per period; null: unlimited, counted all the same. */
  readonly limit: Microcredits | null
  readonly period: Period
  readonly timeZone: string
  /** Most credits of one charge or hold; null: no bound. */
  readonly maxPerCharge: Microcredits | null
}

/** A key's budget and how much of it is used. */
export interface KeyBudget extends BudgetTerms {
  /** Sequence of the key's record. */
  readonly key: number
  readonly windowStartMs: number
  readonly windowEndMs: number
  /** Only charges whose record comes after this sequence are counted: the budget did not exist before. */
  readonly sinceSeq: number
  /** Charged in the window, refunds of those charges taken off. What live holds set aside counts besides. */
  readonly spent: Microcredits
}

/** One row of an hourly roll-up. */
export interface UsageRow {
  readonly operation: string
  readonly key: number | null
  readonly creditType: string
  readonly charges: number
  /** Micro-credits. A sum: it may pass what an account can hold. */
  readonly credits: bigint
  readonly refunds: number
  readonly refunded: bigint
  /** Sum of each unit. */
  readonly quantities: Readonly<Record<string, Decimal>>
}

/** The hour that is being counted. Closed hours are rows of the store. */
export interface OpenHour {
  readonly startMs: number
  readonly rows: readonly UsageRow[]
}

/** The time of a test clock, as an account that lives by it last heard it. */
export interface ClockTime {
  /** The clock's id. */
  readonly clock: string
  readonly nowMs: number
}

/** Whether an account takes charges. */
export type AccountStatus = 'active' | 'suspended'

/** The state that decisions are made from: exactly what folding the account's journal records gives. */
export interface AccountState {
  readonly number: number
  /** Sequence of the last record folded in. */
  readonly seq: number
  /** Time of that record. */
  readonly atMs: number
  readonly status: AccountStatus
  readonly capturePolicy: CapturePolicy | null
  /** By credit type. */
  readonly pools: readonly Pool[]
  /** Oldest first. */
  readonly holds: readonly OpenHold[]
  /** Oldest first. */
  readonly checkouts: readonly OpenCheckout[]
  readonly freezes: readonly Freeze[]
  /** Those that have not ended, oldest first. */
  readonly subscriptions: readonly Subscription[]
  /** What the customer left for payments that are made without them; null: nothing. */
  readonly paymentMethod: PaymentMethod | null
  /** The test clock that it lives by; null: the store's own time. */
  readonly clock: ClockTime | null
  /** The disputes that are open: of which purchase, and the provider's name. */
  readonly disputes: readonly string[]
  /** Null: it was never to be topped up by itself. */
  readonly autoTopup: AutoTopup | null
  readonly budgets: readonly KeyBudget[]
  /** Oldest first. */
  readonly alerts: readonly Alert[]
  /** Keys that are not revoked. */
  readonly keys: number
  readonly hour: OpenHour
  /** Nothing changes by time alone before this moment. */
  readonly dueMs: number
}

/** An account before its first record. */
export function emptyAccount(number: number): AccountState {
  return {
    number,
    seq: 0,
    atMs: 0,
    status: 'active',
    capturePolicy: null,
    pools: [],
    holds: [],
    checkouts: [],
    freezes: [],
    subscriptions: [],
    paymentMethod: null,
    clock: null,
    disputes: [],
    autoTopup: null,
    budgets: [],
    alerts: [],
    keys: 0,
    hour: { startMs: 0, rows: [] },
    dueMs: FOREVER_MS,
  }
}

/** The time it is for an account: that of its test clock, or of the store; never before its last record, even if the clock has gone back. */
export function timeOf({ clock, atMs }: Pick<AccountState, 'clock' | 'atMs'>, nowMs: number): number {
  return Math.max(clock === null ? nowMs : clock.nowMs, atMs)
}

/** When the store's background work has something to book for an account; null: never. What a test clock brings about is booked as it is moved. */
export function sweepDueMs({ clock, dueMs }: Pick<AccountState, 'clock' | 'dueMs'>): number | null {
  return clock !== null || dueMs === FOREVER_MS ? null : dueMs
}

const NONE = 0n as Microcredits

/** A pool before its first grant. */
export function emptyPool(creditType: string): Pool {
  return { creditType, grants: [], debt: NONE, granted: 0n, charged: 0n, refunded: 0n, expired: 0n, voided: 0n }
}

/** The pool of a credit type, empty when the account never had any. */
export function poolOf(state: AccountState, creditType: string): Pool {
  return state.pools.find((pool) => pool.creditType === creditType) ?? emptyPool(creditType)
}
