/** An account's state as one compact text, the row that a store keeps of it. */

import {
  type AccountState,
  emptyAccount,
  type Freeze,
  type KeyBudget,
  type OpenGrant,
  type OpenHold,
  type Pool,
  type UsageRow,
} from './account.ts'
import { decodeAlert, type EncodedAlert, encodeAlert } from './alert-codec.ts'
import { decodeAutoTopup, type EncodedAutoTopup, encodeAutoTopup } from './auto-topup-codec.ts'
import type { Microcredits } from './credits.ts'
import type { Decimal } from './decimal.ts'
import type { PaymentMethod } from './payment.ts'
import { decodeSubscription, type EncodedSubscription, encodePaymentMethod, encodeSubscription } from './subscription-codec.ts'

/** Rises when the text changes shape; a text of another format is folded anew from the journal. */
export const STATE_FORMAT = 3

type Text = string
type EncodedGrant = readonly [
  number,
  OpenGrant['source'],
  number,
  number,
  number | null,
  0 | 1,
  number | null,
  Text,
  Text,
  OpenGrant['closed'],
]
type EncodedPool = readonly [Text, readonly EncodedGrant[], Text, Text, Text, Text, Text, Text]
type EncodedHold = readonly [number, Text, Text, number | null, number, number, OpenHold['policy'], Text, readonly EncodedPart[]]
type EncodedPart = readonly [number, Text]
type EncodedFreeze = readonly [number, number, Text, readonly EncodedPart[]]
type EncodedBudget = readonly [number, Text | null, KeyBudget['period'], Text, Text | null, number, number, number, Text]
type EncodedUsage = readonly [Text, number | null, Text, number, Text, number, Text, readonly (readonly [Text, Text])[]]
type EncodedState = readonly [
  format: number,
  number: number,
  seq: number,
  atMs: number,
  status: AccountState['status'],
  capturePolicy: AccountState['capturePolicy'],
  pools: readonly EncodedPool[],
  holds: readonly EncodedHold[],
  checkouts: readonly (readonly [number, number])[],
  freezes: readonly EncodedFreeze[],
  budgets: readonly EncodedBudget[],
  keys: number,
  hourMs: number,
  usage: readonly EncodedUsage[],
  dueMs: number,
  /** What most accounts have not; left out of the text of those. */
  more?: EncodedMore,
]

interface EncodedMore {
  readonly subscriptions: readonly EncodedSubscription[]
  readonly paymentMethod: PaymentMethod | null
  readonly clock: AccountState['clock']
  readonly alerts?: readonly EncodedAlert[]
  readonly disputes?: readonly string[]
  readonly autoTopup?: EncodedAutoTopup
}

/** Writes a state. Equal states give equal texts. */
export function encodeState(state: AccountState): string {
  const { number, seq, atMs, status, capturePolicy, pools, holds, checkouts, freezes, budgets, keys, hour, dueMs } = state
  const encoded: EncodedState = [
    STATE_FORMAT,
    number,
    seq,
    atMs,
    status,
    capturePolicy,
    pools.map(encodePool),
    holds.map(encodeHold),
    checkouts.map(({ seq: checkout, expiresAtMs }) => [checkout, expiresAtMs]),
    freezes.map(encodeFreeze),
    budgets.map(encodeBudget),
    keys,
    hour.startMs,
    hour.rows.map(encodeUsage),
    dueMs,
  ]
  const more = encodeMore(state)
  return JSON.stringify(more === null ? encoded : [...encoded, more])
}

function encodeMore({ subscriptions, paymentMethod, clock, alerts, disputes, autoTopup }: AccountState): EncodedMore | null {
  const hasPlan = subscriptions.length > 0 || paymentMethod !== null || clock !== null
  if (!hasPlan && alerts.length === 0 && disputes.length === 0 && autoTopup === null) return null
  return {
    subscriptions: subscriptions.map(encodeSubscription),
    paymentMethod: paymentMethod && encodePaymentMethod(paymentMethod),
    clock: clock && { clock: clock.clock, nowMs: clock.nowMs },
    ...(alerts.length === 0 ? {} : { alerts: alerts.map(encodeAlert) }),
    ...(disputes.length === 0 ? {} : { disputes }),
    ...(autoTopup === null ? {} : { autoTopup: encodeAutoTopup(autoTopup) }),
  }
}

/** Reads a state; undefined when it was written in another format. */
export function decodeState(text: string): AccountState | undefined {
  const encoded = JSON.parse(text) as EncodedState
  if (encoded[0] !== STATE_FORMAT) return undefined
  const [, number, seq, atMs, status, capturePolicy, pools, holds, checkouts, freezes, budgets, keys, startMs, usage, dueMs, more] = encoded
  const hour = { startMs, rows: usage.map(decodeUsage) }
  return {
    number,
    seq,
    atMs,
    status,
    capturePolicy,
    pools: pools.map(decodePool),
    holds: holds.map(decodeHold),
    checkouts: checkouts.map(([checkout, expiresAtMs]) => ({ seq: checkout, expiresAtMs })),
    freezes: freezes.map(decodeFreeze),
    subscriptions: more?.subscriptions.map(decodeSubscription) ?? emptyAccount(number).subscriptions,
    paymentMethod: more?.paymentMethod ?? null,
    clock: more?.clock ?? null,
    disputes: more?.disputes ?? emptyAccount(number).disputes,
    autoTopup: more?.autoTopup ? decodeAutoTopup(more.autoTopup) : null,
    budgets: budgets.map(decodeBudget),
    alerts: more?.alerts?.map(decodeAlert) ?? emptyAccount(number).alerts,
    keys,
    hour,
    dueMs,
  }
}

function units(text: string): Microcredits {
  return BigInt(text) as Microcredits
}

function encodePool(pool: Pool): EncodedPool {
  const { creditType, grants, debt, granted, charged, refunded, expired, voided } = pool
  return [creditType, grants.map(encodeGrant), `${debt}`, `${granted}`, `${charged}`, `${refunded}`, `${expired}`, `${voided}`]
}

function decodePool([creditType, grants, debt, granted, charged, refunded, expired, voided]: EncodedPool): Pool {
  return {
    creditType,
    grants: grants.map(decodeGrant),
    debt: units(debt),
    granted: BigInt(granted),
    charged: BigInt(charged),
    refunded: BigInt(refunded),
    expired: BigInt(expired),
    voided: BigInt(voided),
  }
}

function encodeGrant(grant: OpenGrant): EncodedGrant {
  const { seq, source, priority, effectiveAtMs, expiresAtMs, paid, purchase, remaining, held, closed } = grant
  return [seq, source, priority, effectiveAtMs, expiresAtMs, paid ? 1 : 0, purchase, `${remaining}`, `${held}`, closed]
}

function decodeGrant(encoded: EncodedGrant): OpenGrant {
  const [seq, source, priority, effectiveAtMs, expiresAtMs, paid, purchase, remaining, held, closed] = encoded
  const terms = { seq, source, priority, effectiveAtMs, expiresAtMs, paid: paid === 1, purchase }
  return { ...terms, remaining: units(remaining), held: units(held), closed }
}

function encodeParts(parts: OpenHold['parts']): readonly EncodedPart[] {
  return parts.map(({ grant, held }) => [grant, `${held}`] as const)
}

function decodeParts(parts: readonly EncodedPart[]): OpenHold['parts'] {
  return parts.map(([grant, held]) => ({ grant, held: units(held) }))
}

function encodeFreeze({ seq, purchase, creditType, parts }: Freeze): EncodedFreeze {
  return [seq, purchase, creditType, encodeParts(parts)]
}

function decodeFreeze([seq, purchase, creditType, parts]: EncodedFreeze): Freeze {
  return { seq, purchase, creditType, parts: decodeParts(parts) }
}

function encodeHold({ seq, creditType, operation, key, createdAtMs, expiresAtMs, policy, total, parts }: OpenHold): EncodedHold {
  return [seq, creditType, operation, key, createdAtMs, expiresAtMs, policy, `${total}`, encodeParts(parts)]
}

function decodeHold([seq, creditType, operation, key, createdAtMs, expiresAtMs, policy, total, parts]: EncodedHold): OpenHold {
  return {
    seq,
    creditType,
    operation,
    key,
    createdAtMs,
    expiresAtMs,
    policy,
    total: units(total),
    parts: decodeParts(parts),
  }
}

function encodeBudget(budget: KeyBudget): EncodedBudget {
  const { key, limit, period, timeZone, maxPerCharge, windowStartMs, windowEndMs, sinceSeq, spent } = budget
  return [
    key,
    limit?.toString() ?? null,
    period,
    timeZone,
    maxPerCharge?.toString() ?? null,
    windowStartMs,
    windowEndMs,
    sinceSeq,
    `${spent}`,
  ]
}

function decodeBudget([key, limit, period, timeZone, maxPerCharge, windowStartMs, windowEndMs, sinceSeq, spent]: EncodedBudget): KeyBudget {
  const amountOf = (text: string | null): Microcredits | null => (text === null ? null : units(text))
  return {
    key,
    limit: amountOf(limit),
    period,
    timeZone,
    maxPerCharge: amountOf(maxPerCharge),
    windowStartMs,
    windowEndMs,
    sinceSeq,
    spent: units(spent),
  }
}

function encodeUsage({ operation, key, creditType, charges, credits, refunds, refunded, quantities }: UsageRow): EncodedUsage {
  return [operation, key, creditType, charges, `${credits}`, refunds, `${refunded}`, sumsOf(quantities)]
}

/** By unit, so that equal sums give equal texts. */
function sumsOf(quantities: UsageRow['quantities']): (readonly [Text, Text])[] {
  const sums = Object.entries(quantities).map(([unit, sum]) => [unit, `${sum}`] as const)
  return sums.sort(([a], [b]) => (a < b ? -1 : 1))
}

function decodeUsage([operation, key, creditType, charges, credits, refunds, refunded, quantities]: EncodedUsage): UsageRow {
  const sums = Object.fromEntries(quantities.map(([unit, sum]) => [unit, BigInt(sum) as Decimal]))
  return { operation, key, creditType, charges, credits: BigInt(credits), refunds, refunded: BigInt(refunded), quantities: sums }
}
