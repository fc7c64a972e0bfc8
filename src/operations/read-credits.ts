/** What an account has: now, or as it was at any moment of its past. */

import { setImmediate } from 'node:timers/promises'
import { type AccountState, emptyAccount, type GrantSource, type OpenGrant, poolOf, timeOf } from '../core/account.ts'
import { availableOf, balanceOf, isEligible, pendingOf } from '../core/balance.ts'
import { currentBudget, heldByKey, remainingOf } from '../core/budget.ts'
import type { Period } from '../core/calendar.ts'
import { type Microcredits, micro } from '../core/credits.ts'
import { viewAt } from '../core/due.ts'
import { evolve } from '../core/evolve.ts'
import { accountId } from '../core/ids.ts'
import { DEFAULT_CREDIT_TYPE } from '../core/price-parsing.ts'
import { type Refusal, refuse } from '../core/refusals.ts'
import type { KeyRow, Store } from '../stores/store.ts'
import type { Services } from './services.ts'

/** How far ahead expiries are announced. */
export const EXPIRING_SOON_MS = 7 * 86_400_000
/** Records read at a time when the past is folded. */
const RECORDS_AT_ONCE = 500

/** Credits of one type. */
export interface CreditTypeView {
  readonly creditType: string
  readonly settled: Microcredits
  readonly held: Microcredits
  readonly available: Microcredits
  /** Usable later. */
  readonly pending: Microcredits
  readonly debt: Microcredits
  /** Sums of all time. */
  readonly granted: bigint
  /** Charged, refunds taken off. */
  readonly spent: bigint
  readonly expired: bigint
  readonly voided: bigint
  /** What is left now, by where it came from. */
  readonly sources: ReadonlyMap<GrantSource, Microcredits>
}

/** A key's budget at a moment. */
export interface BudgetView {
  readonly limit: Microcredits | null
  readonly period: Period
  readonly timeZone: string
  readonly maxPerCharge: Microcredits | null
  readonly spent: Microcredits
  readonly held: Microcredits
  readonly remaining: Microcredits | null
  readonly resetsAtMs: number | null
}

/** Why nothing can be spent. */
export type BlockedReason = 'account_suspended' | 'insufficient_credits' | 'credits_in_flight' | 'key_budget_exceeded'

/** What an account has and can spend, for one reader. */
export interface CreditsView {
  readonly state: AccountState
  readonly asOfMs: number
  readonly types: readonly CreditTypeView[]
  readonly grants: readonly (OpenGrant & { readonly creditType: string })[]
  readonly expiringSoon: readonly {
    readonly creditType: string
    readonly grant: number
    readonly amount: Microcredits
    readonly atMs: number
  }[]
  readonly budget: BudgetView | null
  readonly blockedReason: BlockedReason | null
}

/** An account at a moment. */
export interface AccountAt {
  /** What is due by time is in it, booked or not. */
  readonly state: AccountState
  /** Never before the account's last record, even if the clock has gone back. */
  readonly asOfMs: number
}

/** The account as it is now. Refuses account_not_found. */
export async function accountNow({ store, clock }: Pick<Services, 'store' | 'clock'>, account: number): Promise<AccountAt | Refusal> {
  const stored = await store.state(account)
  return stored ? accountAt(stored, clock()) : refuse('account_not_found', `No account has the id ${accountId(account)}.`)
}

/** The time that it is for an account: that of its test clock, if it lives by one. */
export async function timeFor({ store, clock }: Pick<Services, 'store' | 'clock'>, account: number): Promise<number> {
  const stored = await store.state(account)
  return stored ? timeOf(stored, clock()) : clock()
}

/** What a kept state is at a moment. */
export function accountAt(stored: AccountState, nowMs: number): AccountAt {
  return { state: viewAt(stored, nowMs), asOfMs: timeOf(stored, nowMs) }
}

/** The account as it was at a moment: its records up to then, folded. Refuses account_not_found. */
export async function accountInThePast(store: Store, account: number, atMs: number): Promise<AccountAt | Refusal> {
  let state = emptyAccount(account)
  let after: number | null = 0
  while (after !== null) {
    const page = await store.records(account, { limit: RECORDS_AT_ONCE, after, toMs: atMs + 1 })
    for (const record of page.records) state = evolve(state, record)
    after = page.next
    await setImmediate()
  }
  return state.seq === 0 ? refuse('account_not_found', 'The account did not exist then.') : accountAt(state, atMs)
}

/** Everything that a reader of a balance may want to know. */
export function viewCredits({ state, asOfMs }: AccountAt, key: KeyRow | null): CreditsView {
  const names = new Set([DEFAULT_CREDIT_TYPE, ...state.pools.map(({ creditType }) => creditType)])
  const types = [...names].sort().map((creditType) => viewType(state, creditType, asOfMs))
  const grants = state.pools.flatMap((pool) => pool.grants.map((grant) => ({ ...grant, creditType: pool.creditType })))
  const expiringSoon = grants.flatMap((grant) => {
    const { creditType, seq, expiresAtMs, remaining, held } = grant
    if (expiresAtMs === null || expiresAtMs > asOfMs + EXPIRING_SOON_MS || !isEligible(grant, asOfMs)) return []
    return [{ creditType, grant: seq, amount: micro(remaining - held), atMs: expiresAtMs }]
  })
  const budget = key && viewBudget({ state, asOfMs }, key)
  return {
    state,
    asOfMs,
    types,
    grants,
    expiringSoon: expiringSoon.sort((a, b) => a.atMs - b.atMs),
    budget,
    blockedReason: blockedReason(state, types, budget),
  }
}

function viewType(state: AccountState, creditType: string, asOfMs: number): CreditTypeView {
  const pool = poolOf(state, creditType)
  const balance = balanceOf(pool, asOfMs)
  const sources = new Map<GrantSource, Microcredits>()
  for (const { source, effectiveAtMs, remaining } of pool.grants) {
    if (effectiveAtMs <= asOfMs) sources.set(source, micro((sources.get(source) ?? 0n) + remaining))
  }
  const { debt, granted, charged, refunded, expired, voided } = pool
  return {
    creditType,
    ...balance,
    available: availableOf(balance),
    pending: pendingOf(pool, asOfMs),
    debt,
    granted,
    spent: charged - refunded,
    expired,
    voided,
    sources,
  }
}

/** A key's budget; null: it has none. */
export function viewBudget({ state, asOfMs }: AccountAt, key: KeyRow): BudgetView | null {
  const stored = state.budgets.find((budget) => budget.key === key.seq)
  if (!stored) return null
  const { limit, period, timeZone, maxPerCharge, spent, windowEndMs } = currentBudget(stored, asOfMs)
  const held = heldByKey(state, key.seq)
  const remaining = remainingOf(currentBudget(stored, asOfMs), held)
  return { limit, period, timeZone, maxPerCharge, spent, held, remaining, resetsAtMs: period === 'lifetime' ? null : windowEndMs }
}

function blockedReason({ status }: AccountState, types: readonly CreditTypeView[], budget: BudgetView | null): BlockedReason | null {
  if (status === 'suspended') return 'account_suspended'
  if (budget?.remaining === 0n) return 'key_budget_exceeded'
  if (types.some(({ available }) => available > 0n)) return null
  return types.some(({ settled }) => settled > 0n) ? 'credits_in_flight' : 'insufficient_credits'
}
