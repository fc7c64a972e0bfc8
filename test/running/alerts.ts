/** Alerts for tests: commands about them, with what tests seldom care about filled in, and alerts made at random. */

import fc from 'fast-check'
import type { AlertNews, AlertTerms, AlertThreshold, AlertWatch } from '../../src/core/alert.ts'
import type { AlertCommand, Command } from '../../src/core/command.ts'
import { MAX_MICROCREDITS, micro } from '../../src/core/credits.ts'
import { type Amount, toMicro } from './memory-account.ts'
import * as make from './store-commands.ts'

/** What an alert is about, in short: by default, that 10 credits are left. */
export interface AlertWish extends Partial<Omit<AlertTerms, 'threshold'>> {
  readonly credits?: Amount
  readonly percent?: number
  readonly watch?: AlertWatch
}

function thresholdOf({ credits, percent }: AlertWish): AlertThreshold | undefined {
  if (percent !== undefined) return { in: 'percent', percent }
  return credits === undefined ? undefined : { in: 'credits', credits: toMicro(credits) }
}

export const BALANCE: AlertWatch = { of: 'balance', creditType: 'credits' }
export const DAILY: AlertWatch = { of: 'daily_spend', creditType: 'credits', timeZone: 'UTC' }

export function createAlert({ watch = BALANCE, credits, percent, ...terms }: AlertWish = {}): AlertCommand {
  const threshold = thresholdOf({ credits: credits ?? 10, ...(percent === undefined ? {} : { percent }) }) as AlertThreshold
  return {
    kind: 'create_alert',
    watch,
    terms: { name: '', level: 'warning', threshold, emailOwners: true, emailTo: [], ...terms },
  }
}

export function updateAlert(alert: number, { credits, percent, watch: _, ...changes }: AlertWish): AlertCommand {
  const threshold = thresholdOf({ ...(credits === undefined ? {} : { credits }), ...(percent === undefined ? {} : { percent }) })
  return { kind: 'update_alert', alert, changes: { ...changes, ...(threshold ? { threshold } : {}) } }
}

export function deleteAlert(alert: number): AlertCommand {
  return { kind: 'delete_alert', alert }
}

/** All that can happen to alerts, of an account without credits; each step is given the sequence of the one before it. */
export function* livesOfAlerts(): Generator<Command, void, number> {
  const alert = yield createAlert({ credits: 10 })
  yield updateAlert(alert, { credits: 5 })
  yield make.grant(100)
  const daily = yield createAlert({ watch: DAILY, credits: 20 })
  const key = yield make.createKey('watched', { budget: { limit: toMicro(30), period: 'day', timeZone: 'UTC', maxPerCharge: null } })
  yield createAlert({ watch: { of: 'key_budget', key }, percent: 50 })
  yield make.charge(20, { key })
  yield make.charge(77)
  yield deleteAlert(daily)
}

// At random, for what is written down and must be read back.

const PLAIN = { noNullPrototype: true } as const
const amount = fc.bigInt({ min: -MAX_MICROCREDITS, max: MAX_MICROCREDITS }).map(micro)
const seq = fc.integer({ min: 1, max: 2 ** 40 - 1 })
const ms = fc.integer({ min: 0, max: 8_640_000_000_000_000 })
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
const level = fc.constantFrom('warning' as const, 'critical' as const)

export const watch: fc.Arbitrary<AlertWatch> = fc.oneof(
  fc.record({ of: fc.constant('balance' as const), creditType: text }, PLAIN),
  fc.record({ of: fc.constant('daily_spend' as const), creditType: text, timeZone: text }, PLAIN),
  fc.record({ of: fc.constant('key_budget' as const), key: seq }, PLAIN),
)

const threshold: fc.Arbitrary<AlertThreshold> = fc.oneof(
  fc.record({ in: fc.constant('credits' as const), credits: amount }, PLAIN),
  fc.record({ in: fc.constant('percent' as const), percent: fc.integer({ min: 1, max: 100 }) }, PLAIN),
)

export const terms: fc.Arbitrary<AlertTerms> = fc.record(
  { name: text, level, threshold, emailOwners: fc.boolean(), emailTo: fc.array(text, { maxLength: 5 }) },
  PLAIN,
)

export const news: fc.Arbitrary<AlertNews> = fc.record(
  {
    alert: seq,
    turn: fc.constantFrom('fired' as const, 'recovered' as const),
    atMs: ms,
    watch,
    level,
    credits: amount,
    threshold: amount,
    untilMs: fc.option(ms),
  },
  PLAIN,
)
