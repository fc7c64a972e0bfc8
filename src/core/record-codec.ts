/** Journal records as text: named fields, amounts as integers of micro-credits in strings, nothing said that is at its default. */

import type { BudgetTerms } from './account.ts'
import { decodeAlertNews, decodeAlertTerms, encodeAlertNews, encodeAlertTerms, encodeWatch } from './alert-codec.ts'
import { decodeAutoTopupTerms, encodeAutoTopupTerms } from './auto-topup-codec.ts'
import type { Balance } from './balance.ts'
import { decodeCheckoutTerms, encodeCheckoutTerms } from './checkout-codec.ts'
import type { Microcredits } from './credits.ts'
import { type Decimal, formatDecimal, formatDecimals, parseDecimal } from './decimal.ts'
import { decodeNewGrant, decodeReopened, encodeNewGrant, encodeReopened, units } from './grant-codec.ts'
import type { Money } from './payment.ts'
import { decodePlan, encodePlan } from './plan-codec.ts'
import type { Charged, HoldAfter, JournalRecord, KeyTerms, Movement } from './record.ts'
import {
  decodeBegun,
  encodeBegun,
  encodeCovered,
  encodeMoney,
  encodePayment,
  encodePaymentMethod,
  encodePeriod,
  encodeProration,
} from './subscription-codec.ts'

/** How one field is written and read. `fallback` is not written, and read when nothing is there. */
interface Field {
  readonly isFallback: (value: unknown) => boolean
  readonly fallback: unknown
  readonly encode: (value: never) => unknown
  readonly decode: (value: never) => unknown
}

/** What is not there in a record either, unless it is written. */
const ABSENT = Symbol('absent')

const same = (value: unknown): unknown => value
const never = (): boolean => false
const isNull = (value: unknown): boolean => value === null
const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0
const isEmptyMap = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length === 0

const plain: Field = { isFallback: never, fallback: undefined, encode: same, decode: same }
const optional: Field = { isFallback: isNull, fallback: null, encode: same, decode: same }
const list: Field = { isFallback: isEmptyList, fallback: [], encode: same, decode: same }
const map: Field = { isFallback: isEmptyMap, fallback: {}, encode: same, decode: same }
const amount: Field = {
  isFallback: never,
  fallback: undefined,
  encode: (value: Microcredits) => value.toString(),
  decode: units,
}
const decimals: Field = { isFallback: isEmptyMap, fallback: {}, encode: formatDecimals, decode: decodeDecimals }
const movements: Field = {
  isFallback: isEmptyList,
  fallback: [],
  encode: (value: readonly Movement[]) => value.map(encodeMovement),
  decode: (value: EncodedMovement[]) => value.map(decodeMovement),
}
const balance: Field = {
  isFallback: never,
  fallback: undefined,
  encode: ({ settled, held }: Balance) => [settled.toString(), held.toString()],
  decode: decodeBalance,
}
const newGrant: Field = {
  isFallback: never,
  fallback: undefined,
  encode: encodeNewGrant,
  decode: decodeNewGrant,
}
const holdAfter: Field = { isFallback: never, fallback: undefined, encode: encodeHoldAfter, decode: decodeHoldAfter }
const optionalGrant: Field = { ...newGrant, isFallback: isNull, fallback: null }
const keyTerms: Field = { isFallback: never, fallback: undefined, encode: encodeKeyTerms, decode: decodeKeyTerms }
const reopened: Field = { isFallback: isEmptyList, fallback: [], encode: encodeReopened, decode: decodeReopened }
const payment: Field = { isFallback: never, fallback: undefined, encode: encodePayment, decode: same }
const checkoutTerms: Field = { isFallback: never, fallback: undefined, encode: encodeCheckoutTerms, decode: decodeCheckoutTerms }
const autoTopupTerms: Field = { isFallback: never, fallback: undefined, encode: encodeAutoTopupTerms, decode: decodeAutoTopupTerms }
const plan: Field = { isFallback: never, fallback: undefined, encode: encodePlan, decode: decodePlan }
const optionalPlan: Field = { ...plan, isFallback: isNull, fallback: null }
const optionalMoney: Field = { isFallback: isNull, fallback: null, encode: (value: Money) => encodeMoney(value), decode: same }
const money: Field = { ...optionalMoney, isFallback: never, fallback: undefined }
const period: Field = { isFallback: never, fallback: undefined, encode: encodePeriod, decode: same }
const begun: Field = { isFallback: isNull, fallback: null, encode: encodeBegun, decode: decodeBegun }
const proration: Field = { isFallback: never, fallback: undefined, encode: encodeProration, decode: same }
const covers: Field = { isFallback: never, fallback: undefined, encode: encodeCovered, decode: same }
const paymentMethod: Field = { isFallback: never, fallback: undefined, encode: encodePaymentMethod, decode: same }

const alertWatch: Field = { isFallback: never, fallback: undefined, encode: encodeWatch, decode: same }
const alertTerms: Field = { isFallback: never, fallback: undefined, encode: encodeAlertTerms, decode: decodeAlertTerms }
const alertNews: Field = {
  isFallback: (value) => value === undefined,
  fallback: ABSENT,
  encode: encodeAlertNews,
  decode: decodeAlertNews,
}

type Fields = Readonly<Record<string, Field>>

const HEAD: Fields = { actor: plain, requestId: optional, events: list, alerts: alertNews }
const CREDITS: Fields = { creditType: plain, movements, balance }
const WORK: Fields = { operation: plain, key: optional, quantities: decimals, attributes: map, priceVersion: optional, metadata: map }
const ENDINGS: Fields = { expired: amount, voided: amount }
const PURCHASE: Fields = { purchase: plain }
const SUBSCRIPTION: Fields = { subscription: plain }
const BEGUN: Fields = { terms: plan, anchorMs: plain, period, credit: optionalMoney }
const REFUND: Fields = {
  charge: plain,
  credits: amount,
  operation: plain,
  key: optional,
  chargedAtMs: plain,
  reason: plain,
  reopened,
  grant: optionalGrant,
}
const PROFILE: Fields = { name: plain, externalId: optional, metadata: map, capturePolicy: optional }

const FIELDS: Readonly<Record<JournalRecord['kind'], Fields>> = {
  account_created: { ...PROFILE, clock: optional },
  account_updated: { ...PROFILE, status: plain },
  key_created: { terms: keyTerms, secret: plain },
  key_updated: { key: plain, terms: keyTerms },
  key_rotated: { key: plain, secret: plain, previousUntilMs: plain },
  key_revoked: { key: plain },
  alert_created: { watch: alertWatch, terms: alertTerms },
  alert_updated: { alert: plain, terms: alertTerms },
  alert_deleted: { alert: plain },
  grant: { ...CREDITS, grant: newGrant },
  grant_expired: { ...CREDITS, grant: plain, credits: amount, dueMs: plain },
  grant_voided: { ...CREDITS, grant: plain, credits: amount, reason: plain },
  adjustment: { ...CREDITS, credits: amount, reason: plain },
  debt_repaid: { ...CREDITS, dueMs: plain },
  charge: { ...WORK, ...CREDITS, credits: amount },
  hold: { ...WORK, ...CREDITS, credits: amount, expiresAtMs: plain, policy: optional },
  hold_extended: { hold: plain, after: holdAfter },
  hold_increased: { ...CREDITS, hold: plain, credits: amount, after: holdAfter },
  capture: { ...WORK, ...CREDITS, ...ENDINGS, hold: plain, credits: amount, final: plain, unheld: amount, draws: plain },
  late_capture: { ...WORK, ...CREDITS, hold: plain, credits: amount },
  hold_released: { ...CREDITS, ...ENDINGS, hold: plain, credits: amount, after: holdAfter },
  hold_expired: { ...CREDITS, ...ENDINGS, hold: plain, credits: amount, dueMs: plain },
  refund: { ...CREDITS, ...REFUND },
  outcome_reported: { ...CREDITS, ...REFUND, outcome: plain },
  subscription_granted: { ...CREDITS, ...SUBSCRIPTION, why: plain, dueMs: plain, grant: newGrant },
  subscription_reduced: { ...CREDITS, ...SUBSCRIPTION, credits: amount },
  subscription_started: { ...BEGUN, due: optionalMoney, isTrial: plain, metadata: map },
  subscription_renewed: { ...SUBSCRIPTION, ...BEGUN, due: optionalMoney, dueMs: plain },
  subscription_period_ended: { ...SUBSCRIPTION, dueMs: plain },
  subscription_changed: { ...SUBSCRIPTION, ...BEGUN, proration },
  subscription_change_planned: { ...SUBSCRIPTION, terms: optionalPlan },
  subscription_change_due: { ...SUBSCRIPTION, terms: plan, due: money, proration },
  subscription_paused: SUBSCRIPTION,
  subscription_resumed: { ...SUBSCRIPTION, begun },
  subscription_canceled: SUBSCRIPTION,
  subscription_ended: { ...SUBSCRIPTION, reason: plain, dueMs: plain },
  subscription_payment_attempted: {
    ...SUBSCRIPTION,
    amountMinor: plain,
    currency: plain,
    via: plain,
    provider: plain,
    isLive: plain,
    customer: optional,
    method: optional,
    expiresAtMs: optional,
  },
  subscription_payment_linked: { ...SUBSCRIPTION, attempt: plain, reference: plain, url: plain },
  subscription_payment_pending: { ...SUBSCRIPTION, attempt: plain, payment: plain },
  subscription_payment_failed: {
    ...SUBSCRIPTION,
    attempt: optional,
    code: plain,
    isDecline: plain,
    nextAttemptMs: optional,
    graceEndsMs: optional,
  },
  subscription_paid: { ...SUBSCRIPTION, attempt: optional, covers, payment },
  subscription_payment_returned: { ...SUBSCRIPTION, attempt: plain, by: plain, name: plain, amountMinor: plain, currency: plain },
  subscription_payment_mismatched: { ...SUBSCRIPTION, attempt: optional, reason: plain, payment },
  payment_method_saved: { method: paymentMethod },
  payment_method_removed: { reason: plain },
  clock_advanced: { nowMs: plain },
  auto_topup_set: { terms: autoTopupTerms },
  auto_topup_removed: {},
  auto_topup_attempted: { terms: checkoutTerms, expiresAtMs: plain, customer: plain, method: plain, card: plain },
  auto_topup_failed: { ...PURCHASE, code: plain, isDecline: plain, nextAttemptMs: optional },
  auto_topup_capped: { limit: plain, untilMs: plain },
  auto_topup_blocked: { reason: plain, untilMs: optional },
  auto_topup_stood_down: {},
  checkout_opened: { terms: checkoutTerms, expiresAtMs: plain },
  checkout_linked: { ...PURCHASE, reference: plain, url: plain },
  checkout_pending: { ...PURCHASE, expiresAtMs: plain },
  checkout_expired: PURCHASE,
  checkout_closed: { ...PURCHASE, outcome: plain },
  payment_mismatched: { ...PURCHASE, reason: plain, payment },
  topup_refund_requested: { ...PURCHASE, amountMinor: plain, reason: plain },
  topup_refund_refused: { ...PURCHASE, request: plain, reason: plain },
  topup: { ...CREDITS, ...PURCHASE, payment, grant: newGrant },
  topup_refunded: { ...CREDITS, ...PURCHASE, refund: plain, request: optional, amountMinor: plain, credits: amount },
  topup_refund_reversed: {
    ...CREDITS,
    ...PURCHASE,
    refund: plain,
    request: optional,
    amountMinor: plain,
    credits: amount,
    reopened,
    grant: optionalGrant,
  },
  dispute_opened: { ...CREDITS, ...PURCHASE, dispute: plain, amountMinor: plain },
  dispute_closed: {
    ...CREDITS,
    ...PURCHASE,
    dispute: plain,
    amountMinor: plain,
    outcome: plain,
    freeze: optional,
    credits: amount,
    voided: amount,
    grant: optionalGrant,
  },
}

const TABLES = new Map(Object.entries(FIELDS).map(([kind, fields]) => [kind, Object.entries({ ...fields, ...HEAD })]))

/** A record as a journal row keeps it. */
export interface JournalRow {
  readonly seq: number
  /** When the store wrote it: the time of the record, unless its body says another. */
  readonly atMs: number
  readonly kind: string
  readonly body: string
}

/**
 * Everything of a record but its place, time and kind, as JSON text. The same record always gives the same text. Where its row is of
 * another time than the record, because the account lives by a test clock, the text says that of the record.
 */
export function encodeRecord(record: JournalRecord, rowAtMs: number = record.atMs): string {
  const text = record.kind === 'charge' ? encodeCharge(record) : encodeByTable(record)
  return record.atMs === rowAtMs ? text : `{"atMs":${record.atMs},${text.slice(1)}`
}

/** The time of a row's record, which its body says first if it is another than that of the row. */
export function recordTimeOf({ atMs, body }: Pick<JournalRow, 'atMs' | 'body'>): number {
  return Number(/^\{"atMs":(\d+),/.exec(body)?.[1] ?? atMs)
}

function encodeByTable(record: JournalRecord): string {
  const body: Record<string, unknown> = {}
  const source = record as unknown as Readonly<Record<string, unknown>>
  for (const [name, field] of TABLES.get(record.kind) ?? []) {
    const value = source[name]
    if (!field.isFallback(value)) body[name] = field.encode(value as never)
  }
  return JSON.stringify(body)
}

/**
 * The same text as the table gives, put together by hand: charges are nearly all that a journal holds.
 */
function encodeCharge(record: Charged): string {
  const {
    operation,
    key,
    quantities,
    attributes,
    priceVersion,
    metadata,
    creditType,
    movements: moves,
    balance: left,
    credits,
    actor,
    requestId,
    events,
    alerts,
  } = record
  let text = `{"operation":${quoted(operation)}`
  if (key !== null) text += `,"key":${key}`
  let units = ''
  for (const unit in quantities) units += `${units === '' ? '' : ','}${quoted(unit)}:"${formatDecimal(quantities[unit] ?? 0n)}"`
  if (units !== '') text += `,"quantities":{${units}}`
  for (const _ in attributes) {
    text += `,"attributes":${JSON.stringify(attributes)}`
    break
  }
  if (priceVersion !== null) text += `,"priceVersion":${priceVersion}`
  for (const _ in metadata) {
    text += `,"metadata":${JSON.stringify(metadata)}`
    break
  }
  text += `,"creditType":${quoted(creditType)}`
  let moved = ''
  for (const { grant, remaining, held, remainingAfter, heldAfter } of moves) {
    moved += `${moved === '' ? '' : ','}[${grant},"${remaining}","${held}","${remainingAfter}","${heldAfter}"]`
  }
  if (moved !== '') text += `,"movements":[${moved}]`
  text += `,"balance":["${left.settled}","${left.held}"],"credits":"${credits}","actor":${quoted(actor)}`
  if (requestId !== null) text += `,"requestId":${quoted(requestId)}`
  if (events.length > 0) text += `,"events":${JSON.stringify(events)}`
  return `${text}${alertsText(alerts)}}`
}

function alertsText(alerts: Charged['alerts']): string {
  return alerts === undefined ? '' : `,"alerts":${JSON.stringify(encodeAlertNews(alerts))}`
}

/** Characters that JSON never escapes: all that names, ids and units are made of. */
const PLAIN = /^[\w.-]*$/

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** Reads a journal row. Throws a fault when it is damaged. */
export function decodeRecord({ seq, atMs, kind, body }: JournalRow): JournalRecord {
  const fields = TABLES.get(kind)
  if (!fields) throw new Error(`record ${seq} is of an unknown kind: ${kind}`)
  const parsed = JSON.parse(body) as Readonly<Record<string, unknown>>
  const record: Record<string, unknown> = { kind, seq, atMs: parsed.atMs ?? atMs }
  for (const [name, field] of fields) {
    const value = parsed[name]
    if (value === undefined && field.fallback === undefined) throw new Error(`record ${seq} lacks ${name}`)
    if (value !== undefined) record[name] = field.decode(value as never)
    else if (field.fallback !== ABSENT) record[name] = field.fallback
  }
  return record as unknown as JournalRecord
}

type EncodedMovement = readonly [grant: number, remaining: string, held: string, remainingAfter: string, heldAfter: string]

function encodeMovement({ grant, remaining, held, remainingAfter, heldAfter }: Movement): EncodedMovement {
  return [grant, remaining.toString(), held.toString(), remainingAfter.toString(), heldAfter.toString()]
}

function decodeMovement([grant, remaining, held, remainingAfter, heldAfter]: EncodedMovement): Movement {
  return { grant, remaining: units(remaining), held: units(held), remainingAfter: units(remainingAfter), heldAfter: units(heldAfter) }
}

function decodeBalance([settled, held]: readonly [string, string]): Balance {
  return { settled: units(settled), held: units(held) }
}

function decodeDecimals(encoded: Readonly<Record<string, string>>): Record<string, Decimal> {
  const quantities = Object.entries(encoded).map(([unit, text]) => {
    const quantity = parseDecimal(text)
    if (quantity === undefined) throw new Error(`${text} is not a quantity`)
    return [unit, quantity] as const
  })
  return Object.fromEntries(quantities)
}

type EncodedHoldAfter = readonly [total: string, held: string, expiresAtMs: number]

function encodeHoldAfter({ total, held, expiresAtMs }: HoldAfter): EncodedHoldAfter {
  return [total.toString(), held.toString(), expiresAtMs]
}

function decodeHoldAfter([total, held, expiresAtMs]: EncodedHoldAfter): HoldAfter {
  return { total: units(total), held: units(held), expiresAtMs }
}

type EncodedBudget = Omit<BudgetTerms, 'limit' | 'maxPerCharge'> & { readonly limit: string | null; readonly maxPerCharge: string | null }
type EncodedKeyTerms = Omit<KeyTerms, 'budget'> & { readonly budget: EncodedBudget | null }

/** A key's terms as plain JSON. */
export function encodeKeyTerms(terms: KeyTerms): EncodedKeyTerms {
  const { budget } = terms
  return {
    ...terms,
    budget: budget && { ...budget, limit: budget.limit?.toString() ?? null, maxPerCharge: budget.maxPerCharge?.toString() ?? null },
  }
}

/** Reads a key's terms from plain JSON. */
export function decodeKeyTerms(encoded: EncodedKeyTerms): KeyTerms {
  const { budget } = encoded
  const amountOf = (text: string | null): Microcredits | null => (text === null ? null : units(text))
  return { ...encoded, budget: budget && { ...budget, limit: amountOf(budget.limit), maxPerCharge: amountOf(budget.maxPerCharge) } }
}
