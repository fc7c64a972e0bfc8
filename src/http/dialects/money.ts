/** Amounts of money as these products write them: numbers of whole units, exact to the smallest one. */

import { type TUnsafe, Type } from 'typebox'
import { moneyText, parseMoney } from '../../core/currency.ts'
import { badInput } from '../problems.ts'
import { type ExactNumber, exactNumber } from './numbers.ts'

/** Money as it is sent: a number, or a decimal string. */
export const MoneyIn: TUnsafe<string | number> = Type.Unsafe<string | number>({
  type: ['number', 'string'],
  description: 'Money, in units of the currency.',
  examples: [25],
})

/** Reads money, as minor units. Throws invalid_request. */
export function moneyIn(value: string | number, currency: string, pointer: string): number {
  const minor = parseMoney(String(value), currency)
  if (minor !== undefined && minor > 0) return minor
  throw badInput(pointer, `must be an amount of ${currency.toUpperCase()} above 0, to its smallest coin`)
}

/** Writes money of minor units. */
export function moneyOut(amountMinor: number, currency: string): ExactNumber {
  return exactNumber(moneyText(amountMinor, currency))
}
