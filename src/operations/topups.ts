/** Top-ups: purchases that were paid. */

import type { Address } from '../core/ids.ts'
import { type Purchase, returnedMinor } from '../core/purchase.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { SeqPage } from '../stores/store.ts'
import { asOf, PROVIDER_CHANGED, type PurchaseView } from './checkouts.ts'
import { tryToFulfil } from './fulfil.ts'
import { runOnObject } from './run-command.ts'
import type { Caller, Services } from './services.ts'

const NOT_FOUND = refuse('topup_not_found', 'No top-up has this id.')

/** Reads a top-up by the sequence of the record that gave its credits. Refuses topup_not_found. */
export async function readTopup({ store, clock }: Services, { account, seq }: Address): Promise<PurchaseView | Refusal> {
  const record = await store.record(account, seq)
  if (record?.kind !== 'topup') return NOT_FOUND
  const facts = await store.purchase(account, record.purchase)
  return facts ? asOf({ ...facts, account }, clock()) : NOT_FOUND
}

/** A page of an account's top-ups, newest first. Cursors are sequences of top-ups; undefined: one of them is none. */
export async function listTopups({ store }: Services, account: number, page: SeqPage): Promise<readonly PurchaseView[] | undefined> {
  const cursor = page.before ?? page.after
  const record = cursor === undefined ? undefined : await store.record(account, cursor)
  if (cursor !== undefined && record?.kind !== 'topup') return undefined
  const from = record?.kind === 'topup' ? (page.before === undefined ? { after: record.purchase } : { before: record.purchase }) : {}
  const rows = await store.purchases(account, { limit: page.limit, ...from, having: ['paid'] })
  return rows.map((facts) => ({ ...facts, account }))
}

/** Where a top-up stands. */
export type TopupStatus = 'paid' | 'partly_refunded' | 'refunded' | 'disputed' | 'charged_back'

/** The status of a purchase that was paid: an open dispute first, then what has gone back. */
export function statusOf(purchase: Purchase): TopupStatus {
  if (purchase.disputes.some(({ status }) => status === 'open')) return 'disputed'
  const returned = returnedMinor(purchase)
  if (returned === 0) return 'paid'
  if (returned < (purchase.paid?.payment.totalMinor ?? 0)) return 'partly_refunded'
  return purchase.disputes.some(({ status }) => status === 'lost') ? 'charged_back' : 'refunded'
}

/** Money of a top-up to pay back. */
export interface TopupRefundRequest {
  readonly topup: Address
  /** Null: all that can be paid back. */
  readonly amountMinor: number | null
  readonly reason: string
}

/**
 * Has the provider pay money of a top-up back. What was asked for is on record first, under the caller's key: if the provider does
 * not answer, it is asked again by the reconciler. Credits are taken when the provider says that the money goes back.
 */
export async function refundTopup(
  services: Services,
  caller: Caller,
  { topup, amountMinor, reason }: TopupRefundRequest,
): Promise<(PurchaseView & { readonly isReplay: boolean }) | Refusal> {
  const { payments } = services
  const view = await readTopup(services, topup)
  if (isRefusal(view)) return view
  const { seq: purchase, terms, paid } = view.purchase
  const isInUse = payments?.provider.name === terms.provider
  const command = isInUse ? ({ kind: 'request_topup_refund', purchase, amountMinor, reason } as const) : PROVIDER_CHANGED
  const outcome = await runOnObject(services, caller, { object: 'topup', account: topup.account, command })
  if (isRefusal(outcome)) return outcome
  if (isInUse && paid !== null) await tryToFulfil(services, payments, paid.payment.reference)
  const now = await readTopup(services, topup)
  return isRefusal(now) ? now : { ...now, isReplay: outcome.isReplay }
}
