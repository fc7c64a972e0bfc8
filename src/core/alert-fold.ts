/** How records change alerts: those that make them, those that carry their news, and charges, which count in a day. */

import type { Alert, AlertNews } from './alert.ts'
import { currentDay } from './alert-rules.ts'
import { givesBack, isCharge, type JournalRecord } from './record.ts'

/** The alerts after a record. Throws a fault when one is said to turn that cannot: it is told once. */
export function evolveAlerts(before: readonly Alert[], record: JournalRecord): readonly Alert[] {
  if (before.length === 0 && record.kind !== 'alert_created') return before
  const after = changed(before, record)
  return record.alerts === undefined ? after : record.alerts.reduce((alerts, news) => turned(alerts, news, record), after)
}

function changed(alerts: readonly Alert[], record: JournalRecord): readonly Alert[] {
  switch (record.kind) {
    case 'alert_created':
      return [...alerts, made(record)]
    case 'alert_updated':
      return alerts.map((alert) => (alert.seq === record.alert ? { ...alert, terms: record.terms } : alert))
    case 'alert_deleted':
      return alerts.filter(({ seq }) => seq !== record.alert)
    case 'key_revoked':
      return alerts.filter(({ watch }) => watch.of !== 'key_budget' || watch.key !== record.key)
    default:
      return counted(alerts, record)
  }
}

function made({ seq, atMs, watch, terms }: Extract<JournalRecord, { kind: 'alert_created' }>): Alert {
  const day = watch.of === 'daily_spend' ? currentDay(null, watch.timeZone, atMs) : null
  return { seq, createdAtMs: atMs, watch, terms, fired: null, day }
}

function turned(alerts: readonly Alert[], { alert: seq, turn, atMs, untilMs }: AlertNews, record: JournalRecord): readonly Alert[] {
  const known = alerts.find((alert) => alert.seq === seq)
  const hasFired = known?.fired?.untilMs === null
  if (!known || (turn === 'fired' ? hasFired : known.fired === null))
    throw new Error(`record ${record.seq} says that alert ${seq} has ${turn}, which it cannot have`)
  const fired = turn === 'fired' ? { atMs, untilMs } : null
  return alerts.map((alert) => (alert === known ? { ...alert, fired } : alert))
}

/** Charges and refunds count in the day in which they are recorded; a refund only if its charge was counted there. */
function counted(alerts: readonly Alert[], record: JournalRecord): readonly Alert[] {
  if (!isCharge(record) && !givesBack(record)) return alerts
  return alerts.map((alert) => {
    const { watch, seq } = alert
    if (watch.of !== 'daily_spend' || watch.creditType !== record.creditType) return alert
    const day = currentDay(alert.day, watch.timeZone, record.atMs)
    if (isCharge(record)) return { ...alert, day: { ...day, spent: day.spent + record.credits } }
    const isCounted = record.charge > seq && record.chargedAtMs >= day.startMs
    return isCounted ? { ...alert, day: { ...day, spent: day.spent - record.credits } } : alert
  })
}
