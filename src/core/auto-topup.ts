/**
 * Automatic top-ups: what an account has of them, what sets one off, and what keeps the next one from being tried. Money in minor units.
 * The limits are stated in docs/guides/auto-topup.md: nothing but a payment, or another card, makes them start anew.
 */

import type { AccountState } from './account.ts'
import type { AutoTopupTerms } from './auto-topup-facts.ts'
import type { AutoTopup, AutoTopupPause } from './auto-topup-state.ts'
import { FOREVER_MS, windowAt } from './calendar.ts'
import type { Microcredits } from './credits.ts'
import type { PaymentMethod } from './payment.ts'
import type { ExtraEvent, JournalRecord } from './record.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How long after each decline the same card is asked again; after one more decline it is not, until something was paid with it. */
export const RETRY_AFTER_MS = [HOUR_MS, 3 * HOUR_MS] as const
/** Times that a card may be declined, one after the other. */
export const MAX_DECLINES = RETRY_AFTER_MS.length + 1
/** Most attempts in any 24 hours, whatever comes of them. */
export const MAX_ATTEMPTS_PER_DAY = 10
/** After a payment the next one is not asked for before that. */
export const COOLDOWN_MS = HOUR_MS / 6
/** How long it is before what cannot be bought is looked at again. */
export const BLOCKED_MS = DAY_MS
/** Most cards of which it is known that they were declined; then the oldest is forgotten. */
export const MAX_DECLINED_CARDS = 20
/** How long the purchase of an attempt counts as open. The attempt itself is in flight until the provider says what came of it. */
export const ATTEMPT_OPEN_MS = 30 * DAY_MS

/** What tells a card from others: however often it is left, it is the same. */
export function cardOf({ fingerprint, method }: Pick<PaymentMethod, 'fingerprint' | 'method'>): string {
  return fingerprint ?? method
}

/** When a card may be asked; null: never again. */
export function cardReadyMs({ declined }: Pick<AutoTopup, 'declined'>, card: string): number | null {
  const known = declined.find((one) => one.card === card)
  return known ? known.nextMs : 0
}

/** The calendar month, in UTC, for which money is counted. */
export function monthAt(atMs: number): { readonly startMs: number; readonly endMs: number } {
  return windowAt('month', 'UTC', atMs)
}

/** Money that has been spent in the calendar month of a moment, or is in flight. */
export function spentAt(
  { spent }: Pick<AutoTopup, 'spent'>,
  { atMs, currency }: { readonly atMs: number; readonly currency: string },
): number {
  return spent !== null && spent.currency === currency && atMs < spent.endMs ? spent.amountMinor : 0
}

/** Attempts that were made in the 24 hours before a moment. */
export function attemptsBefore({ attemptsMs }: Pick<AutoTopup, 'attemptsMs'>, atMs: number): readonly number[] {
  return attemptsMs.filter((madeMs) => madeMs > atMs - DAY_MS)
}

/** Where automatic top-ups stand. */
export type AutoTopupStatus =
  | 'off'
  | 'idle'
  | 'triggered'
  | 'charging'
  | 'requires_action'
  | 'cooling_down'
  | 'backing_off'
  | 'suspended'
  | 'capped'
  | 'blocked'
  | 'paused'

/** Where they stand, and when the next attempt is made; null: not before something else happens. */
export interface AutoTopupStanding {
  readonly status: AutoTopupStatus
  readonly nextAttemptMs: number | null
}

type Standing = Pick<AccountState, 'autoTopup' | 'paymentMethod' | 'disputes' | 'status'>

/** Where the automatic top-ups of an account stand at a moment; null: it never had any. */
export function standingOf(state: Standing, nowMs: number): AutoTopupStanding | null {
  const { autoTopup, paymentMethod } = state
  if (autoTopup === null) return null
  const { attempt, terms } = autoTopup
  if (attempt !== null) return at(attempt.page === null ? 'charging' : 'requires_action')
  if (!terms?.isOn) return at('off')
  const cardMs = paymentMethod === null ? 0 : cardReadyMs(autoTopup, cardOf(paymentMethod))
  if (cardMs === null) return at('suspended')
  if (state.disputes.length > 0 || state.status === 'suspended') return at('paused')
  return waitingFor(autoTopup, { cardMs, nowMs })
}

function at(status: AutoTopupStatus, nextAttemptMs: number | null = null): AutoTopupStanding {
  return { status, nextAttemptMs }
}

function waitingFor(
  { wantedSinceMs, pause }: AutoTopup,
  { cardMs, nowMs }: { readonly cardMs: number; readonly nowMs: number },
): AutoTopupStanding {
  if (wantedSinceMs === null) return at('idle')
  const pauseMs = pause === null ? 0 : pause.untilMs
  if (pauseMs === null) return at('blocked')
  const nextMs = Math.max(cardMs, pauseMs)
  if (nextMs <= nowMs) return at('triggered', nextMs === 0 ? wantedSinceMs : nextMs)
  return at(pause !== null && pauseMs >= cardMs ? STATUS_OF_PAUSE[pause.why] : 'backing_off', nextMs)
}

const STATUS_OF_PAUSE: Readonly<Record<AutoTopupPause, AutoTopupStatus>> = {
  cooldown: 'cooling_down',
  money: 'capped',
  attempts: 'capped',
  no_payment_method: 'blocked',
  not_on_sale: 'blocked',
  amount_out_of_range: 'blocked',
  too_many_open_grants: 'blocked',
  payment_mismatched: 'blocked',
  charged_back: 'blocked',
}

/** When an account is asked about by those who look at everything only: its customer has to act, or the money takes its time. */
export const UNHURRIED_MS = FOREVER_MS

/** When the payment provider has to be asked something, in the account's time; null: not before anything else happens. */
export function askingTopupMs(state: Standing): number | null {
  const attempt = state.autoTopup?.attempt
  if (attempt) return attempt.page !== null || attempt.isPending ? UNHURRIED_MS : 0
  return standingOf(state, FOREVER_MS)?.nextAttemptMs ?? null
}

/** As `askingTopupMs`, in the store's time: an account that lives by a test clock is asked about now, or not before its clock is moved. */
export function askingTopupOwnMs(state: Standing & Pick<AccountState, 'clock'>): number | null {
  const atMs = askingTopupMs(state)
  const isWaiting = atMs !== null && state.autoTopup?.attempt === null
  if (state.clock === null || !isWaiting) return atMs
  return atMs <= state.clock.nowMs ? 0 : null
}

/** Whether a record pays for the attempt that is in flight. */
export function paysFor({ attempt }: Pick<AutoTopup, 'attempt'>, record: JournalRecord): boolean {
  return record.kind === 'topup' && attempt?.purchase === record.purchase
}

/** What subscribers hear of automatic top-ups by what a record does besides. The record carries it: so each is told once. */
export function autoTopupEvents(before: AutoTopup, record: JournalRecord): readonly ExtraEvent[] {
  switch (record.kind) {
    case 'topup':
      return [...(paysFor(before, record) ? (['auto_topup.paid'] as const) : []), ...triggerOf(before, record)]
    case 'checkout_linked':
      return before.attempt?.purchase === record.purchase ? ['auto_topup.action_required'] : []
    case 'auto_topup_failed':
      return record.nextAttemptMs === null && record.isDecline ? ['auto_topup.suspended'] : []
    default:
      return triggerOf(before, record)
  }
}

/** Whether a record brings the available credits down to where more are to be bought. While they are wanted, none does again. */
function triggerOf(before: AutoTopup, record: JournalRecord): readonly ExtraEvent[] {
  const { terms, wantedSinceMs } = before
  if (terms === null || !terms.isOn || !('balance' in record) || record.creditType !== terms.creditType) return []
  if (wantedSinceMs !== null && !paysFor(before, record)) return []
  return isLow(terms, record.balance.settled - record.balance.held) ? ['auto_topup.triggered'] : []
}

/** Whether credits are to be bought when so many are available. */
export function isLow({ threshold }: Pick<AutoTopupTerms, 'threshold'>, available: bigint): boolean {
  return available <= threshold
}

/** Credits that are wanting to the target. */
export function wantingTo(target: Microcredits, available: bigint): bigint {
  return target > available ? target - available : 0n
}
