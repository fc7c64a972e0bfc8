/**
 * The naive model's alerts, written from the rules and not from the core: at every moment, and after every command, each is looked at anew.
 * What was told is a plain list.
 */

import type { ModelSubscription } from './subscription-oracle.ts'

/** What is watched; keys are known by name. */
export type ModelWatch =
  | Readonly<{ of: 'balance'; creditType: string }>
  | Readonly<{ of: 'daily_spend'; creditType: string; timeZone: string }>
  | Readonly<{ of: 'key_budget'; key: string }>

/** Credits, or whole percent. */
export type ModelThreshold = Readonly<{ credits: bigint }> | Readonly<{ percent: number }>

/** What may be asked of alerts. */
export type AlertSpec =
  | Readonly<{ do: 'set_alert'; as: string; watch: ModelWatch; threshold: ModelThreshold }>
  | Readonly<{ do: 'change_alert'; alert: string; threshold: ModelThreshold }>
  | Readonly<{ do: 'drop_alert'; alert: string }>

/** Whether a command is about alerts. */
export function isAboutAlerts(command: { readonly do: string }): command is AlertSpec {
  return command.do === 'set_alert' || command.do === 'change_alert' || command.do === 'drop_alert'
}

export interface ModelAlert {
  readonly name: string
  readonly watch: ModelWatch
  threshold: ModelThreshold
  /** The command that set it. */
  readonly since: number
  /** Null: armed. A count is fired only in the window whose name this is, counted as it was then. */
  fired: Readonly<{ window: string | null; isStill: (now: Counting) => string | null }> | null
  told: readonly string[]
}

/** How windows are counted. */
export type Counting = Readonly<{ windowNow: (period: 'lifetime' | 'day' | 'week' | 'month', timeZone: string) => string }>

/** What an account knows that alerts look at. */
export interface Watched extends Counting {
  readonly subscriptions: readonly ModelSubscription[]
  /** Settled, but for what is frozen. */
  usable(creditType: string): bigint
  /** Charged in today's window to charges of commands after one, refunds taken off. */
  spentToday(creditType: string, timeZone: string, after: number): bigint
  /** Null: it has no budget. */
  budgetOf(
    key: string,
  ): Readonly<{ spent: bigint; limit: bigint | null; period: 'lifetime' | 'day' | 'week' | 'month'; timeZone: string }> | null
}

type Reading = Readonly<{ credits: bigint; threshold: bigint; isLow: boolean; window: (now: Counting) => string | null }>

function shareOf(threshold: ModelThreshold, whole: bigint | null): bigint | null {
  if ('credits' in threshold) return threshold.credits
  return whole === null ? null : (whole * BigInt(threshold.percent)) / 100n
}

/** What plans give in the periods that have begun; null: none gives any. */
function given(subscriptions: readonly ModelSubscription[], creditType: string): bigint | null {
  const running = subscriptions.filter(({ phase, period, hasBegun }) => phase !== 'trial' && period !== null && hasBegun)
  const allowances = running.flatMap(({ plan }) => plan.credits.filter((one) => one.creditType === creditType))
  return allowances.length === 0 ? null : allowances.reduce((sum, { credits }) => sum + credits, 0n)
}

/** What an alert is compared by; null: nothing is there to compare. */
export function readModel({ watch, threshold, since }: ModelAlert, account: Watched): Reading | null {
  if (watch.of === 'key_budget') {
    const budget = account.budgetOf(watch.key)
    const at = budget && shareOf(threshold, budget.limit)
    if (!budget || at === null || at === 0n) return null
    const window = (now: Counting): string => now.windowNow(budget.period, budget.timeZone)
    return { credits: budget.spent, threshold: at, isLow: false, window }
  }
  const at = shareOf(threshold, given(account.subscriptions, watch.creditType))
  if (at === null) return null
  if (watch.of === 'balance') return { credits: account.usable(watch.creditType), threshold: at, isLow: true, window: () => null }
  if (at === 0n) return null
  const { creditType, timeZone } = watch
  const window = (now: Counting): string => now.windowNow('day', timeZone)
  return { credits: account.spentToday(creditType, timeZone, since), threshold: at, isLow: false, window }
}

/** Whether an alert has fired and is not armed again. */
export function hasFiredInModel({ fired }: ModelAlert, account: Counting): boolean {
  return fired !== null && fired.window === fired.isStill(account)
}

/** Looks at an alert, and tells what there is to tell. */
export function lookAt(alert: ModelAlert, account: Watched): void {
  const reading = readModel(alert, account)
  if (reading === null) return
  const { credits, threshold, isLow, window } = reading
  const tenth = threshold / 10n
  if (hasFiredInModel(alert, account)) {
    const isClear = isLow ? credits > threshold + tenth : credits < threshold - tenth
    if (!isClear) return
    alert.fired = null
    alert.told = [...alert.told, `recovered of ${threshold}`]
  } else if (isLow ? credits <= threshold : credits >= threshold) {
    alert.fired = { window: window(account), isStill: window }
    alert.told = [...alert.told, `fired ${credits} of ${threshold}`]
  }
}
