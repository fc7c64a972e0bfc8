/** Alerts as plain JSON: a part of the account's state, and of the records that make them or carry their news. */

import type { Alert, AlertNews, AlertTerms, AlertThreshold, AlertWatch, DayCount } from './alert.ts'
import type { Microcredits } from './credits.ts'

/** A threshold as plain JSON: credits in a text, percent as a number. */
type EncodedThreshold = string | number

/** What may change of an alert, as plain JSON. */
export type EncodedAlertTerms = Omit<AlertTerms, 'threshold'> & { readonly threshold: EncodedThreshold }
/** News of an alert as plain JSON. */
export type EncodedAlertNews = Omit<AlertNews, 'credits' | 'threshold'> & { readonly credits: string; readonly threshold: string }
/** An alert as plain JSON. */
export type EncodedAlert = Omit<Alert, 'terms' | 'day'> & {
  readonly terms: EncodedAlertTerms
  readonly day: (Omit<DayCount, 'spent'> & { readonly spent: string }) | null
}

/** Writes an alert. Alerts that were folded from equal records give equal texts. */
export function encodeAlert({ seq, createdAtMs, watch, terms, fired, day }: Alert): EncodedAlert {
  return {
    seq,
    createdAtMs,
    watch: encodeWatch(watch),
    terms: encodeAlertTerms(terms),
    fired: fired && { atMs: fired.atMs, untilMs: fired.untilMs },
    day: day && { startMs: day.startMs, endMs: day.endMs, spent: `${day.spent}` },
  }
}

/** Reads an alert. */
export function decodeAlert({ terms, day, ...alert }: EncodedAlert): Alert {
  return { ...alert, terms: decodeAlertTerms(terms), day: day && { ...day, spent: BigInt(day.spent) } }
}

/** What an alert watches as plain JSON, field by field. */
export function encodeWatch(watch: AlertWatch): AlertWatch {
  if (watch.of === 'key_budget') return { of: watch.of, key: watch.key }
  const { of, creditType } = watch
  return of === 'balance' ? { of, creditType } : { of, creditType, timeZone: watch.timeZone }
}

/** What may change of an alert as plain JSON, field by field. */
export function encodeAlertTerms({ name, level, threshold, emailOwners, emailTo }: AlertTerms): EncodedAlertTerms {
  return { name, level, threshold: threshold.in === 'credits' ? `${threshold.credits}` : threshold.percent, emailOwners, emailTo }
}

/** Reads what may change of an alert. */
export function decodeAlertTerms({ threshold, ...terms }: EncodedAlertTerms): AlertTerms {
  return { ...terms, threshold: decodeThreshold(threshold) }
}

function decodeThreshold(encoded: EncodedThreshold): AlertThreshold {
  return typeof encoded === 'number' ? { in: 'percent', percent: encoded } : { in: 'credits', credits: BigInt(encoded) as Microcredits }
}

/** News of alerts as plain JSON, field by field. */
export function encodeAlertNews(news: readonly AlertNews[]): readonly EncodedAlertNews[] {
  return news.map(({ alert, turn, atMs, watch, level, credits, threshold, untilMs }) => {
    return { alert, turn, atMs, watch: encodeWatch(watch), level, credits: `${credits}`, threshold: `${threshold}`, untilMs }
  })
}

/** Reads news of alerts. */
export function decodeAlertNews(encoded: readonly EncodedAlertNews[]): readonly AlertNews[] {
  return encoded.map(({ credits, threshold, ...news }) => ({ ...news, credits: BigInt(credits), threshold: BigInt(threshold) }))
}
