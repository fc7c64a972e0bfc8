/** Alerts: what somebody wants to be told of before it matters, and whether they have been. Credits in micro-credits. */

import type { Microcredits } from './credits.ts'

/** Most alerts of an account. */
export const MAX_ALERTS = 20
/** Most addresses that one alert names. */
export const MAX_ALERT_ADDRESSES = 5
/** The rule of re-arming: a fired alert is armed again once what it watches is clear of the threshold by more than this share of it. */
export const REARM_PERCENT = 10

/** How much an alert matters to whoever set it. */
export type AlertLevel = 'warning' | 'critical'

/** What an alert watches: a balance that falls, or what is spent in a day or of a key's budget. `key` is a sequence. */
export type AlertWatch =
  | { readonly of: 'balance'; readonly creditType: string }
  | { readonly of: 'daily_spend'; readonly creditType: string; readonly timeZone: string }
  | { readonly of: 'key_budget'; readonly key: number }

/** Credits, or whole percent: of what plans give in the current period, or of a key's budget. */
export type AlertThreshold =
  | { readonly in: 'credits'; readonly credits: Microcredits }
  | { readonly in: 'percent'; readonly percent: number }

/** What may change of an alert. */
export interface AlertTerms {
  readonly name: string
  readonly level: AlertLevel
  readonly threshold: AlertThreshold
  /** Whether the owners of the account are written to. */
  readonly emailOwners: boolean
  /** Who else is written to. */
  readonly emailTo: readonly string[]
}

/** What is charged of a credit type in one day, since the alert was made; refunds of those charges are taken off. */
export interface DayCount {
  readonly startMs: number
  readonly endMs: number
  /** A sum: it may pass what one amount may be. */
  readonly spent: bigint
}

/** An alert as its records leave it. */
export interface Alert {
  /** Sequence of the record that made it. */
  readonly seq: number
  readonly createdAtMs: number
  readonly watch: AlertWatch
  readonly terms: AlertTerms
  /** Null: armed. It is armed as well once `untilMs` has come: with the day, or with the budget's window. */
  readonly fired: { readonly atMs: number; readonly untilMs: number | null } | null
  /** Null: it does not watch what is spent in a day. */
  readonly day: DayCount | null
}

/** That an alert has fired, or that what it told of is over. The record that brought it about carries it. */
export interface AlertNews {
  /** Sequence of the alert's record. */
  readonly alert: number
  readonly turn: 'fired' | 'recovered'
  /** When that was: what time did is booked later. */
  readonly atMs: number
  readonly watch: AlertWatch
  readonly level: AlertLevel
  /** What the alert watches came to. */
  readonly credits: bigint
  /** What its threshold came to. */
  readonly threshold: bigint
  /** It is armed again by then; null: not by time alone. */
  readonly untilMs: number | null
}

/** Whether an alert has fired, and is not armed again at a moment. */
export function isFired({ fired }: Pick<Alert, 'fired'>, atMs: number): boolean {
  return fired !== null && (fired.untilMs === null || atMs < fired.untilMs)
}
