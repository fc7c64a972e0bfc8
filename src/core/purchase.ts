/** Purchases: what each has come to, folded from its records. Money in minor units, credits in micro-credits. */

import { least, type Microcredits, micro, most, ZERO } from './credits.ts'
import type { CheckoutTerms, Payment } from './payment.ts'
import {
  type DisputeClosed,
  type DisputeOpened,
  grantMadeBy,
  type JournalRecord,
  type Movement,
  type PaymentMismatched,
  type TopupRefunded,
  type TopupRefundReversed,
} from './record.ts'
import { opensPurchase, purchaseOf } from './record-subjects.ts'

/** Most refunds, requests for refunds and disputes of one purchase, together. */
export const MAX_PURCHASE_EVENTS = 200

/** Where a purchase stands. `expired` and `canceled` are not the last word: money that arrives later counts. */
export type PurchaseStatus = 'open' | 'pending' | 'paid' | 'expired' | 'failed' | 'canceled'

/** A refund that the operator asked the provider for. */
export interface RefundRequest {
  /** Sequence of the record that asked. */
  readonly seq: number
  readonly amountMinor: number
  /** Null: the provider has neither made nor refused it. */
  readonly outcome: 'made' | 'refused' | null
}

/** A refund of the payment. */
export interface PurchaseRefund {
  /** The provider's name of it. */
  readonly refund: string
  /** Sequence of the record that asked for it; null: it was made at the provider. */
  readonly request: number | null
  /** Sequence of the record that took credits back; null: it failed before it was seen. */
  readonly seq: number | null
  readonly amountMinor: number
  /** What it took; nothing any more if it was reversed. */
  readonly credits: Microcredits
  /** It came to nothing. */
  readonly isReversed: boolean
}

/** A dispute of the payment. */
export interface PurchaseDispute {
  /** The provider's name of it. */
  readonly dispute: string
  readonly amountMinor: number
  readonly status: 'open' | 'won' | 'lost'
  /** Sequence of the record that froze credits; null: nothing was frozen. */
  readonly freeze: number | null
  /** What was taken; nothing unless it was lost. */
  readonly credits: Microcredits
}

/** A purchase, from when its checkout was opened. */
export interface Purchase {
  /** Sequence of the record that opened the checkout. */
  readonly seq: number
  readonly openedAtMs: number
  readonly terms: CheckoutTerms
  readonly expiresAtMs: number
  /** Null: the provider has no page for it, as far as is known. */
  readonly link: { readonly reference: string; readonly url: string } | null
  /** The provider's last word on a checkout that was not paid. */
  readonly outcome: 'expired' | 'failed' | 'canceled' | null
  readonly paid: { readonly seq: number; readonly atMs: number; readonly payment: Payment } | null
  /** The last payment that is not what was asked for. */
  readonly mismatch: { readonly seq: number; readonly reason: PaymentMismatched['reason']; readonly payment: Payment } | null
  /** Its grants, in the order in which a refund takes from them. */
  readonly grants: readonly number[]
  readonly requests: readonly RefundRequest[]
  readonly refunds: readonly PurchaseRefund[]
  readonly disputes: readonly PurchaseDispute[]
  /** What refunds took that came to nothing, and other refunds and lost disputes claim now. */
  readonly kept: Microcredits
}

/** A purchase as a store keeps it: what time alone changes stands beside what is folded. */
export interface PurchaseFacts {
  readonly purchase: Purchase
  readonly status: PurchaseStatus
  /** Credits of its grants that expired or were voided, unspent. */
  readonly ended: bigint
}

/** Credits that a purchase brings, bonus included. */
export function boughtIn({ credits, bonus }: CheckoutTerms): bigint {
  return credits + (bonus?.credits ?? ZERO)
}

/** Credits that refunds and lost disputes have taken, what came back not counted. */
export function takenFrom({ refunds, disputes, kept }: Purchase): bigint {
  return [...refunds, ...disputes].reduce<bigint>((sum, { credits }) => sum + credits, kept)
}

/** Sequence of the record by which a refund took credits; null: it took none, or is unknown. */
export function takenSeq(purchase: Purchase | undefined, refund: string): number | null {
  return purchase?.refunds.find((known) => known.refund === refund)?.seq ?? null
}

/** Money that has gone back, by refunds that stand and disputes that were lost: never more than was paid. */
export function returnedMinor(purchase: Purchase): number {
  return Math.min(toldToReturn(purchase), purchase.paid?.payment.totalMinor ?? 0)
}

/** The same as it is told, which may be more than was paid: a bank may take back what was refunded before. */
function toldToReturn({ refunds, disputes }: Purchase): number {
  const refunded = refunds.reduce((sum, { amountMinor, isReversed }) => (isReversed ? sum : sum + amountMinor), 0)
  return disputes.reduce((sum, { amountMinor, status }) => (status === 'lost' ? sum + amountMinor : sum), refunded)
}

/**
 * Credits that are to be taken when so much money has gone back in all: `floor(bought × returned ÷ paid)`, less what was taken before.
 * What expired or was voided is gone already: it is never asked for as well.
 */
export function claimOn({ purchase, ended }: Pick<PurchaseFacts, 'purchase' | 'ended'>, returned: number): Microcredits {
  const total = purchase.paid?.payment.totalMinor ?? 0
  if (total === 0) return ZERO
  const bought = boughtIn(purchase.terms)
  const taken = takenFrom(purchase)
  const due = (bought * BigInt(Math.min(returned, total))) / BigInt(total) - taken
  const left = bought - taken - ended
  return micro(most(0n, due < left ? due : left))
}

/**
 * Credits that come back when a refund comes to nothing: what it took. Where refunds and lost disputes came to more than was paid, the
 * others took less for it: what they would have taken without it stays taken, for as long as they claim it.
 */
export function comesBack(purchase: Purchase, refund: PurchaseRefund): Microcredits {
  const total = purchase.paid?.payment.totalMinor ?? 0
  const told = toldToReturn(purchase)
  if (told <= total && purchase.kept === 0n) return refund.credits
  const claimed = (boughtIn(purchase.terms) * BigInt(Math.min(told - refund.amountMinor, total))) / BigInt(total)
  const over = most(0n, takenFrom(purchase) - claimed)
  return micro(least(over, refund.credits + purchase.kept))
}

/** Money that can still be paid back: what has gone back, and what was asked for and is not answered, taken off. */
export function refundableMinor(purchase: Purchase): number {
  const asked = purchase.requests.reduce((sum, request) => (request.outcome === null ? sum + request.amountMinor : sum), 0)
  return Math.max(0, (purchase.paid?.payment.totalMinor ?? 0) - returnedMinor(purchase) - asked)
}

/** Whether the provider has to be asked what became of it. */
export function isWatched({ paid, outcome, mismatch, requests, disputes }: Purchase): boolean {
  if (paid === null && outcome === null && mismatch === null) return true
  return requests.some((request) => request.outcome === null) || disputes.some(({ status }) => status === 'open')
}

/** The status that a record gives its purchase; null: the one that it had. */
export function statusAfter(record: JournalRecord): PurchaseStatus | null {
  switch (record.kind) {
    case 'checkout_opened':
    case 'auto_topup_attempted':
      return 'open'
    case 'checkout_pending':
      return 'pending'
    case 'checkout_expired':
      return 'expired'
    case 'checkout_closed':
      return record.outcome
    case 'auto_topup_failed':
      return 'failed'
    case 'topup':
      return 'paid'
    default:
      return null
  }
}

/** The purchase after one of its records; `before` is null for the first. Throws a fault when the record does not follow. */
export function evolvePurchase(before: Purchase | null, record: JournalRecord): Purchase {
  if (opensPurchase(record)) return opened(record.seq, record.atMs, record)
  if (before === null || purchaseOf(record) !== before.seq) throw new Error(`record ${record.seq} is of another purchase`)
  const grants = grantMadeBy(record) === null ? before.grants : [...before.grants, record.seq]
  return { ...before, grants, ...changes(before, record) }
}

function opened(seq: number, openedAtMs: number, { terms, expiresAtMs }: Pick<Purchase, 'terms' | 'expiresAtMs'>): Purchase {
  const nothing = { link: null, outcome: null, paid: null, mismatch: null, grants: [], requests: [], refunds: [], disputes: [], kept: ZERO }
  return { seq, openedAtMs, terms, expiresAtMs, ...nothing }
}

function changes(before: Purchase, record: JournalRecord): Partial<Purchase> {
  switch (record.kind) {
    case 'checkout_linked':
      return { link: { reference: record.reference, url: record.url } }
    case 'checkout_pending':
      return { expiresAtMs: record.expiresAtMs }
    case 'checkout_closed':
      return { outcome: record.outcome }
    case 'auto_topup_failed':
      return { outcome: 'failed' }
    case 'payment_mismatched':
      return { mismatch: { seq: record.seq, reason: record.reason, payment: record.payment } }
    case 'topup':
      if (before.paid !== null) throw new Error(`record ${record.seq} pays purchase ${before.seq} again`)
      return { paid: { seq: record.seq, atMs: record.atMs, payment: record.payment } }
    case 'topup_refund_requested':
      return { requests: [...before.requests, { seq: record.seq, amountMinor: record.amountMinor, outcome: null }] }
    case 'topup_refund_refused':
      return { requests: answered(before, record.request, 'refused') }
    case 'topup_refunded':
      return refunded(before, record)
    case 'topup_refund_reversed':
      return reversed(before, record)
    case 'dispute_opened':
      return openedDispute(before, record)
    case 'dispute_closed':
      return closedDispute(before, record)
    default:
      return {}
  }
}

function answered({ requests }: Purchase, seq: number | null, outcome: 'made' | 'refused'): Purchase['requests'] {
  return requests.map((request) => (request.seq === seq ? { ...request, outcome } : request))
}

function refunded(before: Purchase, { seq, refund, request, amountMinor, credits }: TopupRefunded): Partial<Purchase> {
  if (before.refunds.some((known) => known.refund === refund)) throw new Error(`record ${seq} has refund ${refund} again`)
  const refunds = [...before.refunds, { refund, request, seq, amountMinor, credits, isReversed: false }]
  return { refunds, requests: answered(before, request, 'made') }
}

/** A refund that is first heard of when it has failed is known from then on: older news of it can no longer take anything. */
function reversed(before: Purchase, { seq, refund, request, amountMinor, credits }: TopupRefundReversed): Partial<Purchase> {
  const known = before.refunds.find((candidate) => candidate.refund === refund)
  const kept = before.kept + (known?.credits ?? 0n) - credits
  if (known?.isReversed || kept < 0n) throw new Error(`record ${seq} cannot reverse refund ${refund}`)
  const after = { refund, request, seq: known?.seq ?? null, amountMinor, credits: ZERO, isReversed: true }
  return { refunds: replaced(before.refunds, known, after), requests: answered(before, request, 'made'), kept: micro(kept) }
}

function openedDispute(before: Purchase, { seq, dispute, amountMinor, movements }: DisputeOpened): Partial<Purchase> {
  if (before.disputes.some((known) => known.dispute === dispute)) throw new Error(`record ${seq} has dispute ${dispute} again`)
  const freeze = movements.length > 0 ? seq : null
  return { disputes: [...before.disputes, { dispute, amountMinor, status: 'open', freeze, credits: ZERO }] }
}

function closedDispute(before: Purchase, { seq, dispute, amountMinor, outcome, freeze, credits }: DisputeClosed): Partial<Purchase> {
  const known = before.disputes.find((candidate) => candidate.dispute === dispute)
  if ((known && known.status !== 'open') || (known?.freeze ?? null) !== freeze)
    throw new Error(`record ${seq} ends dispute ${dispute}, which is not open`)
  return { disputes: replaced(before.disputes, known, { dispute, amountMinor, status: outcome, freeze, credits }) }
}

function replaced<Thing>(things: readonly Thing[], known: Thing | undefined, by: Thing): readonly Thing[] {
  return known === undefined ? [...things, by] : things.map((thing) => (thing === known ? by : thing))
}

/** Credits of some grants that left unspent with a record: they expired, or were voided. */
export function endedIn(record: JournalRecord, isAsked: (grant: number) => boolean): bigint {
  switch (record.kind) {
    case 'grant_expired':
    case 'grant_voided':
      return isAsked(record.grant) ? record.credits : 0n
    case 'capture':
      return endedOf(record.movements.slice(record.draws), isAsked)
    case 'hold_released':
    case 'hold_expired':
      return endedOf(record.movements, isAsked)
    case 'dispute_closed':
      return record.voided
    default:
      return 0n
  }
}

/** What is let go of a grant that has ended leaves it; what is merely let go stays in it, and what pays a debt was not held. */
function endedOf(movements: readonly Movement[], isAsked: (grant: number) => boolean): bigint {
  return movements.reduce(
    (sum, { grant, remaining, held }) => (remaining < 0n && remaining === held && isAsked(grant) ? sum - remaining : sum),
    0n,
  )
}
