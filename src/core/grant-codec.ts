/** Grants as records say them, and amounts as records write them. */

import type { GrantTerms } from './account.ts'
import type { Microcredits } from './credits.ts'
import type { NewGrant } from './record.ts'

const INTEGER = /^(?:0|-?[1-9]\d*)$/

/** Reads an amount. BigInt alone would read an empty text as nothing. */
export function units(text: unknown): Microcredits {
  if (typeof text !== 'string' || !INTEGER.test(text)) throw new Error(`${String(text)} is not an amount`)
  return BigInt(text) as Microcredits
}

/** Field by field: nothing that is not a grant's gets into the journal. Most are of no purchase, and do not say so. */
export function encodeNewGrant({ amount, purchase, ...grant }: NewGrant): EncodedNewGrant {
  const { source, priority, effectiveAtMs, expiresAtMs, paid, cost, metadata } = grant
  const encoded = { source, priority, effectiveAtMs, expiresAtMs, paid, amount: amount.toString(), cost, metadata }
  return purchase === null ? encoded : { ...encoded, purchase }
}

type EncodedNewGrant = Omit<NewGrant, 'amount' | 'purchase'> & { readonly amount: string; readonly purchase?: number }

/** Reads a grant that a record makes. */
export function decodeNewGrant(encoded: EncodedNewGrant): NewGrant {
  return { ...encoded, purchase: encoded.purchase ?? null, amount: units(encoded.amount) }
}

type EncodedTerms = Omit<GrantTerms, 'purchase'> & { readonly purchase?: number }

/** Grants that are opened again, field by field. */
export function encodeReopened(reopened: readonly GrantTerms[]): readonly EncodedTerms[] {
  return reopened.map(({ purchase, ...terms }) => (purchase === null ? terms : { ...terms, purchase }))
}

/** Reads grants that are opened again. */
export function decodeReopened(encoded: readonly EncodedTerms[]): readonly GrantTerms[] {
  return encoded.map((terms) => ({ ...terms, purchase: terms.purchase ?? null }))
}
