/** JSON numbers that are written from exact decimals: no float comes near an amount on its way out. */

import { type TUnsafe, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { type Decimal, formatDecimal } from '../../core/decimal.ts'

declare const kind: unique symbol

/** Text that JSON.stringify writes as it is, as a number. */
export type ExactNumber = object & { readonly [kind]: 'number' }

// Of ES2026, which TypeScript does not declare yet: JSON.stringify writes the text of what it makes.
const { rawJSON } = JSON as typeof JSON & { readonly rawJSON: (text: string) => ExactNumber }

/** Writes a plain decimal as a number. */
export function exactNumber(decimal: string): ExactNumber {
  return rawJSON(decimal)
}

/** Writes micro-credits as a number of credits: `1095.3996`. */
export function creditsOut(amount: bigint): ExactNumber {
  return rawJSON(formatCredits(amount))
}

/** Writes a quantity. */
export function decimalOut(value: Decimal): ExactNumber {
  return rawJSON(formatDecimal(value))
}

/** As `creditsOut`; what is below zero is written as zero, because these products know of no debts. */
export function leftOut(amount: bigint): ExactNumber {
  return creditsOut(amount > 0n ? amount : 0n)
}

/** A number of the answer's schema. */
export function number(description: string, examples: readonly number[] = []): TUnsafe<ExactNumber> {
  return Type.Unsafe<ExactNumber>({ type: 'number', description, ...(examples.length === 0 ? {} : { examples }) })
}
