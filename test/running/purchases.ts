/** Purchases for tests: commands about them with what tests seldom care about filled in, and what a journal says of one. */

import type { PurchaseCommand } from '../../src/core/command.ts'
import { micro, parseCredits } from '../../src/core/credits.ts'
import type { CheckoutTerms, Payment } from '../../src/core/payment.ts'
import { endedIn, evolvePurchase, type Purchase, type PurchaseFacts, type PurchaseStatus, statusAfter } from '../../src/core/purchase.ts'
import type { JournalRecord } from '../../src/core/record.ts'
import { opensPurchase, purchaseOf } from '../../src/core/record-subjects.ts'

const MINUTE_MS = 60_000

/** What a journal says of a purchase, looked up from its first record to its last. */
export function purchaseIn(journal: readonly JournalRecord[], seq: number): PurchaseFacts | null {
  const own = journal.filter((record) => purchaseOf(record) === seq)
  if (!own[0] || !opensPurchase(own[0])) return null
  const purchase = own.reduce<Purchase | null>(evolvePurchase, null)
  if (purchase === null) return null
  const isOwn = (grant: number): boolean => purchase.grants.includes(grant)
  const status = own.reduce<PurchaseStatus>((before, record) => statusAfter(record) ?? before, 'open')
  const ended = journal.reduce((sum, record) => {
    const isAnothers = record.kind === 'dispute_closed' && record.purchase !== seq
    return isAnothers ? sum : sum + endedIn(record, isOwn)
  }, 0n)
  return { purchase, status, ended }
}

function credits(amount: number): CheckoutTerms['credits'] {
  return parseCredits(amount) ?? micro(0n)
}

/** What is bought unless a test says otherwise: 100 credits for 10.00 of a currency, for ever, with no bonus. */
export interface Wish extends Partial<Omit<CheckoutTerms, 'credits' | 'bonus'>> {
  readonly credits?: number
  readonly bonus?: number
  readonly bonusLifeMs?: number
}

/** What a checkout sells. */
export function termsOf({ credits: bought = 100, bonus, bonusLifeMs, ...wish }: Wish = {}): CheckoutTerms {
  return {
    provider: 'sandbox',
    isLive: false,
    amountMinor: 1_000,
    currency: 'eur',
    creditType: 'credits',
    credits: credits(bought),
    lifeMs: null,
    bonus: bonus === undefined ? null : { credits: credits(bonus), lifeMs: bonusLifeMs ?? null },
    pack: null,
    optionsVersion: 1,
    successUrl: null,
    cancelUrl: null,
    metadata: {},
    ...wish,
  }
}

export function openCheckout(wish: Wish = {}, ttlMs = 30 * MINUTE_MS): PurchaseCommand {
  return { kind: 'open_checkout', terms: termsOf(wish), ttlMs }
}

export function linkCheckout(purchase: number, reference = `page ${purchase}`): PurchaseCommand {
  return { kind: 'link_checkout', purchase, reference, url: `https://pay.example/${purchase}` }
}

export function pendCheckout(purchase: number, ttlMs = 60 * 24 * 60 * MINUTE_MS): PurchaseCommand {
  return { kind: 'pend_checkout', purchase, ttlMs }
}

export function closeCheckout(purchase: number, outcome: 'expired' | 'failed' | 'canceled' = 'canceled'): PurchaseCommand {
  return { kind: 'close_checkout', purchase, outcome }
}

/** A payment of 10.00, unless a test says otherwise. */
export function paymentOf(purchase: number, payment: Partial<Payment> = {}): Payment {
  const { amountMinor = 1_000 } = payment
  return {
    reference: `page ${purchase}`,
    payment: `payment ${purchase}`,
    isLive: false,
    amountMinor,
    totalMinor: amountMinor,
    currency: 'eur',
    ...payment,
  }
}

export function fulfil(purchase: number, payment: Partial<Payment> = {}): PurchaseCommand {
  return { kind: 'fulfil', purchase, payment: paymentOf(purchase, payment) }
}

export function requestRefund(purchase: number, amountMinor: number | null = null): PurchaseCommand {
  return { kind: 'request_topup_refund', purchase, amountMinor, reason: 'asked for' }
}

export function refuseRefund(purchase: number, request: number): PurchaseCommand {
  return { kind: 'refuse_topup_refund', purchase, request, reason: 'the balance is too low' }
}

export function refundTopup(purchase: number, refund: string, amountMinor: number, request: number | null = null): PurchaseCommand {
  return { kind: 'refund_topup', purchase, refund, request, amountMinor }
}

/** What a refund that came to nothing is told as. */
export interface Reversal {
  readonly amountMinor: number
  readonly request?: number | null
  readonly grantDays?: number
}

export function reverseRefund(purchase: number, refund: string, reversal: Reversal): PurchaseCommand {
  return { kind: 'reverse_topup_refund', purchase, refund, request: null, grantDays: 30, ...reversal }
}

export function openDispute(purchase: number, dispute = 'dispute', amountMinor = 1_000): PurchaseCommand {
  return { kind: 'open_dispute', purchase, dispute, amountMinor }
}

export function closeDispute(purchase: number, outcome: 'won' | 'lost', dispute = 'dispute', amountMinor = 1_000): PurchaseCommand {
  return { kind: 'close_dispute', purchase, dispute, outcome, amountMinor, grantDays: 30 }
}

/** Commands that do to purchases all that can be done, each given back the sequence of its record. The last checkout expires later. */
export function* livesOfPurchases(): Generator<PurchaseCommand, void, number> {
  const first = yield openCheckout({ bonus: 10, metadata: { order: '7' } })
  yield linkCheckout(first)
  yield pendCheckout(first)
  yield fulfil(first, { currency: 'usd' })
  yield fulfil(first, { payment: 'the right one' })
  const request = yield requestRefund(first, 300)
  yield refundTopup(first, 'made', 300, request)
  yield refuseRefund(first, yield requestRefund(first, 100))
  yield refundTopup(first, 'stays', 50)
  yield reverseRefund(first, 'made', { amountMinor: 300, request })
  yield reverseRefund(first, 'never seen', { amountMinor: 20 })
  yield openDispute(first, 'won')
  yield closeDispute(first, 'won', 'won')
  yield openDispute(first, 'lost', 500)
  yield closeDispute(first, 'lost', 'lost', 500)
  yield openDispute(first, 'open', 200)
  yield closeCheckout(yield openCheckout(), 'failed')
  yield openCheckout()
}
