/** A purchase as one text, the row that a store keeps of it. */

import { decodeCheckoutTerms, encodeCheckoutTerms } from './checkout-codec.ts'
import type { Microcredits } from './credits.ts'
import type { Purchase, PurchaseDispute, PurchaseRefund } from './purchase.ts'
import { encodePayment } from './subscription-codec.ts'

interface EncodedPurchase extends Omit<Purchase, 'terms' | 'refunds' | 'disputes' | 'kept'> {
  readonly terms: ReturnType<typeof encodeCheckoutTerms>
  readonly refunds: readonly (Omit<PurchaseRefund, 'credits'> & { readonly credits: string })[]
  readonly disputes: readonly (Omit<PurchaseDispute, 'credits'> & { readonly credits: string })[]
  readonly kept: string
}

/** Writes a purchase. Purchases that were folded from equal records give equal texts. */
export function encodePurchase({ terms, refunds, disputes, kept, ...purchase }: Purchase): string {
  const { paid, mismatch } = purchase
  const encoded: EncodedPurchase = {
    ...purchase,
    paid: paid && { ...paid, payment: encodePayment(paid.payment) },
    mismatch: mismatch && { ...mismatch, payment: encodePayment(mismatch.payment) },
    terms: encodeCheckoutTerms(terms),
    refunds: refunds.map((refund) => ({ ...refund, credits: refund.credits.toString() })),
    disputes: disputes.map((dispute) => ({ ...dispute, credits: dispute.credits.toString() })),
    kept: kept.toString(),
  }
  return JSON.stringify(encoded)
}

/** Reads a purchase. */
export function decodePurchase(text: string): Purchase {
  const { terms, refunds, disputes, kept, ...purchase } = JSON.parse(text) as EncodedPurchase
  const units = (credits: string): Microcredits => BigInt(credits) as Microcredits
  return {
    ...purchase,
    terms: decodeCheckoutTerms(terms),
    refunds: refunds.map((refund) => ({ ...refund, credits: units(refund.credits) })),
    disputes: disputes.map((dispute) => ({ ...dispute, credits: units(dispute.credits) })),
    kept: units(kept),
  }
}
