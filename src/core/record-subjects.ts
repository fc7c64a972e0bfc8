/** What records are about, besides their account. */

import type { AutoTopupAttempted, CheckoutOpened, JournalRecord } from './record.ts'

/** Whether a purchase begins with a record: somebody opened a checkout, or the account is topped up by itself. */
export function opensPurchase(record: JournalRecord): record is CheckoutOpened | AutoTopupAttempted {
  return record.kind === 'checkout_opened' || record.kind === 'auto_topup_attempted'
}

/** Sequence of the purchase that a record says something new of; null: it is about none. */
export function purchaseOf(record: JournalRecord): number | null {
  if (opensPurchase(record)) return record.seq
  if (record.kind === 'grant') return record.grant.purchase
  return 'purchase' in record ? record.purchase : null
}

/** Sequence of the subscription that a record says something new of; null: it is about none. */
export function subscriptionOf(record: JournalRecord): number | null {
  if (record.kind === 'subscription_started') return record.seq
  return 'subscription' in record ? record.subscription : null
}
