/** What a checkout sells, as plain JSON. */

import type { Microcredits } from './credits.ts'
import type { CheckoutTerms } from './payment.ts'

type EncodedBonus = { readonly credits: string; readonly lifeMs: number | null } | null
type EncodedCheckoutTerms = Omit<CheckoutTerms, 'credits' | 'bonus'> & { readonly credits: string; readonly bonus: EncodedBonus }

/** What a checkout sells, as plain JSON: equal terms give equal texts, in whatever order they were built. */
export function encodeCheckoutTerms(terms: CheckoutTerms): EncodedCheckoutTerms {
  const { provider, isLive, amountMinor, currency, creditType, lifeMs, pack, optionsVersion, successUrl, cancelUrl, metadata } = terms
  const plain = { provider, isLive, amountMinor, currency, creditType, lifeMs, pack, optionsVersion, successUrl, cancelUrl, metadata }
  const bonus = terms.bonus && { credits: terms.bonus.credits.toString(), lifeMs: terms.bonus.lifeMs }
  const encoded = { ...plain, credits: terms.credits.toString(), bonus }
  return terms.keepsMethod ? { ...encoded, keepsMethod: true } : encoded
}

/** Reads what a checkout sells from plain JSON. */
export function decodeCheckoutTerms({ credits, bonus, ...terms }: EncodedCheckoutTerms): CheckoutTerms {
  return {
    ...terms,
    credits: BigInt(credits) as Microcredits,
    bonus: bonus && { ...bonus, credits: BigInt(bonus.credits) as Microcredits },
  }
}
