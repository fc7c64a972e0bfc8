/** Exact amounts: decimal strings, and bigint micro-credits to reckon with. No float touches them. */

import { InvalidArgumentError } from './errors.ts'

/** Credits or a rate, as a decimal string: `'1095.3996'`. Reckon with the functions here; `<` and `+` would take it for text. */
export type Amount = string

/** How much was used: `45.5`, or `'45.5'` where every digit counts. */
export type Quantity = string | number

/** RFC 3339, such as `2026-11-20T12:00:00.000Z`. */
export type Time = string

/** Micro-credits in a credit. */
export const MICRO_PER_CREDIT = 1_000_000n

const DECIMALS = 6
const AMOUNT = /^(-?)(\d{1,15})(?:\.(\d{1,6}))?$/

/** An amount in micro-credits. Throws InvalidArgumentError for what is no amount, or finer than a millionth of a credit. */
export function toMicro(amount: Amount): bigint {
  const [, sign, whole = '', decimals = ''] = AMOUNT.exec(amount) ?? []
  if (sign === undefined)
    throw new InvalidArgumentError(`${JSON.stringify(amount)} is no amount: write it as '12.5', with at most 6 decimals.`)
  const micro = BigInt(whole) * MICRO_PER_CREDIT + BigInt(decimals.padEnd(DECIMALS, '0'))
  return sign === '-' ? -micro : micro
}

/** The amount of so many micro-credits, in its shortest form. */
export function fromMicro(micro: bigint): Amount {
  const size = micro < 0n ? -micro : micro
  const decimals = String(size % MICRO_PER_CREDIT)
    .padStart(DECIMALS, '0')
    .replace(/0+$/, '')
  return `${micro < 0n ? '-' : ''}${size / MICRO_PER_CREDIT}${decimals === '' ? '' : `.${decimals}`}`
}

/** The sum of amounts; of none it is `'0'`. */
export function sumAmounts(amounts: Iterable<Amount>): Amount {
  let sum = 0n
  for (const amount of amounts) sum += toMicro(amount)
  return fromMicro(sum)
}

/** `from` less `amount`; below zero when `amount` is larger. */
export function subtractAmount(from: Amount, amount: Amount): Amount {
  return fromMicro(toMicro(from) - toMicro(amount))
}

/** The amount so many times. */
export function multiplyAmount(amount: Amount, times: bigint): Amount {
  return fromMicro(toMicro(amount) * times)
}

/** Below 0 when the first is smaller, above 0 when it is larger, 0 when they are the same. Sorts amounts. */
export function compareAmounts(first: Amount, second: Amount): number {
  const difference = toMicro(first) - toMicro(second)
  if (difference === 0n) return 0
  return difference < 0n ? -1 : 1
}

/** Whether an amount is at least as large as another. */
export function isAtLeast(amount: Amount, least: Amount): boolean {
  return compareAmounts(amount, least) >= 0
}
