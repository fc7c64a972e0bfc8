/** When alerts fire and when they are armed again: decided from the state that a decision leaves, so that each crossing is told once. */

import { type AccountState, poolOf } from './account.ts'
import { type Alert, type AlertNews, type DayCount, isFired, REARM_PERCENT } from './alert.ts'
import { balanceOf } from './balance.ts'
import { currentBudget } from './budget.ts'
import { windowAt } from './calendar.ts'

/** What an alert watches, and its threshold, at a moment. */
export interface AlertReading {
  readonly credits: bigint
  readonly threshold: bigint
  /** Whether a small number is what is told of: that of a balance. */
  readonly isLow: boolean
  /** When the count ends, and the alert is armed anew; null: it is no count. */
  readonly untilMs: number | null
}

/** Reads what an alert watches. Null: nothing is there that it could be compared with, so it stays as it is. */
export function readAlert(state: AccountState, alert: Alert, atMs: number): AlertReading | null {
  const { watch } = alert
  if (watch.of === 'key_budget') return readBudget(state, alert, atMs)
  const threshold = thresholdOf(alert, () => planCredits(state, watch.creditType))
  if (watch.of === 'daily_spend') {
    const { spent, endMs } = currentDay(alert.day, watch.timeZone, atMs)
    return readCount({ credits: spent, threshold, untilMs: endMs })
  }
  return threshold === null ? null : { credits: usable(state, watch.creditType, atMs), threshold, isLow: true, untilMs: null }
}

function readBudget(state: AccountState, alert: Alert, atMs: number): AlertReading | null {
  const { watch } = alert
  const stored = watch.of === 'key_budget' ? state.budgets.find(({ key }) => key === watch.key) : undefined
  if (!stored) return null
  const { limit, spent, windowEndMs } = currentBudget(stored, atMs)
  return readCount({ credits: spent, threshold: thresholdOf(alert, () => limit), untilMs: windowEndMs })
}

/** To spend nothing is no news: a count is compared with what is more than nothing. */
function readCount({ threshold, ...count }: Omit<AlertReading, 'threshold' | 'isLow'> & { readonly threshold: bigint | null }) {
  return threshold === null || threshold <= 0n ? null : { ...count, threshold, isLow: false }
}

/** Rounded down to a micro-credit, where it is a share. */
function thresholdOf({ terms: { threshold } }: Alert, whole: () => bigint | null): bigint | null {
  if (threshold.in === 'credits') return threshold.credits
  const of = whole()
  return of === null ? null : (of * BigInt(threshold.percent)) / 100n
}

/** What subscriptions give of a credit type in the periods that have begun, paid for or not; null: none gives any. */
function planCredits({ subscriptions }: AccountState, creditType: string): bigint | null {
  let given: bigint | null = null
  for (const { phase, period, hasBegun, terms } of subscriptions) {
    if (phase === 'trial' || period === null || !hasBegun) continue
    for (const allowance of terms.credits) if (allowance.creditType === creditType) given = (given ?? 0n) + allowance.credits
  }
  return given
}

/** What an account has of a credit type, but for what disputes have frozen. What live holds set aside is in it until it is captured. */
function usable(state: AccountState, creditType: string, atMs: number): bigint {
  let left: bigint = balanceOf(poolOf(state, creditType), atMs).settled
  for (const freeze of state.freezes) if (freeze.creditType === creditType) for (const { held } of freeze.parts) left -= held
  return left
}

/** The count of a day as it stands at a moment: a day that is over counts nothing. */
export function currentDay(day: DayCount | null, timeZone: string, atMs: number): DayCount {
  if (day !== null && atMs < day.endMs) return day
  return { ...windowAt('day', timeZone, atMs), spent: 0n }
}

/**
 * Whether an alert has fired, and is not armed again at a moment. A grant that was made for later may have lifted the balance since the
 * last record: the next one tells of it.
 */
export function hasFired(state: AccountState, alert: Alert, atMs: number): boolean {
  return isFired(alert, atMs) && turnOf(state, alert, atMs) === null
}

/** What alerts have to tell of a step of a decision, by the states before and after it. */
export function newsOfAlerts(before: AccountState, after: AccountState, atMs: number): readonly AlertNews[] {
  const news: AlertNews[] = []
  for (const alert of after.alerts) {
    // What has been lifted since the last record falls from there.
    const known = before.alerts.find(({ seq }) => seq === alert.seq)
    const lifted = known && isFired(known, atMs) ? turnOf(before, known, atMs) : null
    const now = turnOf(after, lifted ? { ...alert, fired: null } : alert, atMs)
    if (lifted) news.push(lifted)
    if (now) news.push(now)
  }
  return news
}

function turnOf(state: AccountState, alert: Alert, atMs: number): AlertNews | null {
  const reading = readAlert(state, alert, atMs)
  if (reading === null) return null
  const { credits, threshold, untilMs } = reading
  const { seq, watch, terms } = alert
  const wasFired = isFired(alert, atMs)
  if (wasFired ? !isClear(reading) : !isReached(reading)) return null
  return { alert: seq, turn: wasFired ? 'recovered' : 'fired', atMs, watch, level: terms.level, credits, threshold, untilMs }
}

function isReached({ credits, threshold, isLow }: AlertReading): boolean {
  return isLow ? credits <= threshold : credits >= threshold
}

function isClear({ credits, threshold, isLow }: AlertReading): boolean {
  const margin = (threshold * BigInt(REARM_PERCENT)) / 100n
  return isLow ? credits > threshold + margin : credits < threshold - margin
}
