/** Payments as invoices are made of them: of purchases and of subscriptions, with all that became of their money. */

import { formatCredits } from '../core/credits.ts'
import { type InvoicedFact, invoicedFacts, invoicedReturns } from '../core/invoice.ts'
import type { Sold } from '../core/invoice-body.ts'
import type { Payment } from '../core/payment.ts'
import type { Purchase } from '../core/purchase.ts'
import type { RecordPage, Store } from '../stores/store.ts'

/** Where a payment is: its account, and the sequence of the record that its checkout was opened by, or its attempt put on record. */
export interface PaymentPlace {
  readonly account: number
  readonly purchase: number
}

/** A payment that was made. */
export interface InvoicedPayment {
  readonly payment: Payment
  readonly provider: string
  readonly atMs: number
  readonly sold: Sold
  /** What is to have invoices. */
  readonly facts: readonly InvoicedFact[]
}

/** The payment at a place; undefined: none was made, or not yet. */
export async function paymentAt(store: Store, { account, purchase }: PaymentPlace): Promise<InvoicedPayment | undefined> {
  const facts = await store.purchase(account, purchase)
  return facts ? ofPurchase(facts.purchase) : ofSubscription(store, account, purchase)
}

function ofPurchase(purchase: Purchase): InvoicedPayment | undefined {
  const { terms, paid } = purchase
  if (paid === null) return undefined
  const { creditType, credits, bonus, provider } = terms
  const amounts = { credits: formatCredits(credits), bonus: bonus && formatCredits(bonus.credits) }
  const sold = { of: 'topup', topup: paid.seq, creditType, ...amounts } as const
  return { payment: paid.payment, provider, atMs: paid.atMs, sold, facts: invoicedFacts(purchase) }
}

const RECORDS_AT_ONCE = 100
const KINDS = ['subscription_paid', 'subscription_payment_returned'] as const

/** Read from the journal, from the attempt on: what became of it is in no table. */
async function ofSubscription(store: Store, account: number, attempt: number): Promise<InvoicedPayment | undefined> {
  const asked = await store.record(account, attempt)
  if (asked?.kind !== 'subscription_payment_attempted') return undefined
  const { provider } = asked
  let paid: InvoicedPayment | undefined
  const returns: Parameters<typeof invoicedReturns>[1][number][] = []
  for (let after: number | null = attempt; after !== null; ) {
    const page: RecordPage = await store.records(account, { limit: RECORDS_AT_ONCE, after, kinds: KINDS })
    for (const record of page.records) {
      if (record.kind === 'subscription_payment_returned' && record.attempt === attempt) returns.push(record)
      if (record.kind !== 'subscription_paid' || record.attempt !== attempt) continue
      const { payment, atMs, subscription, covers } = record
      paid = { payment, provider, atMs, sold: { of: 'subscription', subscription, ...covers }, facts: [] }
    }
    after = page.next
  }
  return paid && { ...paid, facts: invoicedReturns(paid.payment.totalMinor, returns) }
}
