/** Commands about alerts as the model words them, drawn at random, and as the core and stores take them. */

import fc from 'fast-check'
import type { AccountState } from '../../src/core/account.ts'
import type { AlertThreshold, AlertWatch } from '../../src/core/alert.ts'
import { hasFired, newsOfAlerts, readAlert } from '../../src/core/alert-rules.ts'
import type { AlertCommand } from '../../src/core/command.ts'
import { MICRO, micro } from '../../src/core/credits.ts'
import type { JournalRecord } from '../../src/core/record.ts'
import type { AlertSpec, ModelAlert, ModelThreshold, ModelWatch, Watched } from './alert-oracle.ts'
import { hasFiredInModel, readModel } from './alert-oracle.ts'

const pick = fc.nat(60)
const whole = (amount: number): bigint => BigInt(amount) * MICRO

/** Who names things, and finds what was named before. */
export interface AlertNames {
  readonly newName: () => string
  readonly alert: (at: number) => string
  readonly key: (at: number) => string
}

const creditType = fc.constantFrom('credits', 'credits', 'image_credits')
const threshold: fc.Arbitrary<ModelThreshold> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(10, 30, 60, 100).map((credits) => ({ credits: whole(credits) })) },
  { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: whole(120) }).map((credits) => ({ credits })) },
  { weight: 2, arbitrary: fc.constantFrom(10, 33, 50, 100).map((percent) => ({ percent })) },
)
type DrawnWatch = (names: AlertNames) => ModelWatch
const watch: fc.Arbitrary<DrawnWatch> = fc.oneof(
  {
    weight: 4,
    arbitrary: creditType.map(
      (type): DrawnWatch =>
        () => ({ of: 'balance', creditType: type }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(creditType, fc.constantFrom('UTC', 'Europe/Berlin')).map(
      ([type, timeZone]): DrawnWatch =>
        () => ({ of: 'daily_spend', creditType: type, timeZone }),
    ),
  },
  {
    weight: 2,
    arbitrary: pick.map(
      (at): DrawnWatch =>
        ({ key }) => ({ of: 'key_budget', key: key(at) }),
    ),
  },
)

type Make = (names: AlertNames) => AlertSpec

/** One command about alerts. */
export const alertCommand: fc.Arbitrary<Make> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(watch, threshold).map(
      ([watched, at]): Make =>
        (names) => ({ do: 'set_alert', as: names.newName(), watch: watched(names), threshold: at }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(pick, threshold).map(
      ([at, to]): Make =>
        ({ alert }) => ({ do: 'change_alert', alert: alert(at), threshold: to }),
    ),
  },
  {
    weight: 1,
    arbitrary: pick.map(
      (at): Make =>
        ({ alert }) => ({ do: 'drop_alert', alert: alert(at) }),
    ),
  },
)

function thresholdOf(at: ModelThreshold): AlertThreshold {
  return 'credits' in at ? { in: 'credits', credits: micro(at.credits) } : { in: 'percent', percent: at.percent }
}

/** A command of the model, as the core takes it; `seq` finds what was named. */
export function coreAlertCommandOf(command: AlertSpec, seq: (name: string) => number): AlertCommand {
  switch (command.do) {
    case 'set_alert': {
      const { watch: of } = command
      const watched: AlertWatch = of.of === 'key_budget' ? { of: of.of, key: seq(of.key) } : of
      const terms = { name: '', level: 'warning', threshold: thresholdOf(command.threshold), emailOwners: false, emailTo: [] } as const
      return { kind: 'create_alert', watch: watched, terms }
    }
    case 'change_alert':
      return { kind: 'update_alert', alert: seq(command.alert), changes: { threshold: thresholdOf(command.threshold) } }
    case 'drop_alert':
      return { kind: 'delete_alert', alert: seq(command.alert) }
  }
}

/** What can be seen of alerts at a moment, and all that they have told: what was lifted unseen is told by the next record. */
export function alertsOfState(state: AccountState, records: readonly JournalRecord[], nowMs: number): readonly object[] {
  const news = [...records.flatMap(({ alerts = [] }) => alerts), ...newsOfAlerts(state, state, nowMs)]
  return state.alerts.map((alert) => {
    const reading = readAlert(state, alert, nowMs)
    const told = news.flatMap(({ alert: of, turn, credits, threshold: at }) =>
      of === alert.seq ? [turn === 'fired' ? `fired ${credits} of ${at}` : `recovered of ${at}`] : [],
    )
    return { hasFired: hasFired(state, alert, nowMs), reading: reading && [reading.credits, reading.threshold], told }
  })
}

/** The same, as the model says it. */
export function alertsOfModel(account: Watched & { readonly alerts: readonly ModelAlert[] }): readonly object[] {
  return account.alerts.map((alert) => {
    const reading = readModel(alert, account)
    return { hasFired: hasFiredInModel(alert, account), reading: reading && [reading.credits, reading.threshold], told: alert.told }
  })
}
