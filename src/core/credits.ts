/** Credits arithmetic: integers of a millionth of a credit, so that no float ever touches an amount. */

declare const unit: unique symbol

/** An amount of credits in micro-credits: 1 credit is 1 000 000. */
export type Microcredits = bigint & { readonly [unit]: 'microcredits' }

/** Micro-credits in one credit. */
export const MICRO = 1_000_000n

/** Digits after the point that an amount of credits may have. */
export const CREDIT_DECIMALS = 6

/** The largest amount, either side of zero: 9.2·10¹² credits, which fits the 64-bit integers of both stores. */
export const MAX_MICROCREDITS = 9_200_000_000_000n * MICRO

/** No credits. */
export const ZERO = 0n as Microcredits

/** Brands a computed bigint as micro-credits. Throws a fault when it leaves the range both stores can hold. */
export function micro(value: bigint): Microcredits {
  if (value > MAX_MICROCREDITS || value < -MAX_MICROCREDITS) throw new RangeError(`${value} micro-credits are out of range`)
  return value as Microcredits
}

const AMOUNT = /^(-?)(0|[1-9]\d{0,12})(?:\.(\d{1,6}))?$/

/**
 * Reads an amount in credits, such as `"330"`, `"1095.3996"` or `12.5`, as micro-credits.
 * Returns undefined for anything else: exponents, more than 6 decimals, more than ±9.2·10¹², `-0`, NaN, other types.
 */
export function parseCredits(input: unknown): Microcredits | undefined {
  const text = typeof input === 'number' && !Object.is(input, -0) ? String(input) : input
  if (typeof text !== 'string') return undefined
  const match = AMOUNT.exec(text)
  if (!match) return undefined
  const [, sign, whole = '', decimals = ''] = match
  const magnitude = BigInt(whole) * MICRO + BigInt(decimals.padEnd(CREDIT_DECIMALS, '0'))
  if (magnitude > MAX_MICROCREDITS || (sign === '-' && magnitude === 0n)) return undefined
  return (sign === '-' ? -magnitude : magnitude) as Microcredits
}

/** Writes micro-credits as a decimal string of credits in its shortest form: `"330"`, `"-0.000001"`. */
export function formatCredits(amount: bigint): string {
  if (amount < 0n) return `-${formatCredits(-amount)}`
  return pointed(amount, CREDIT_DECIMALS)
}

/** Writes a non-negative integer with its last digits behind a point, and without needless zeros there. */
export function pointed(value: bigint, decimals: number): string {
  const digits = value.toString().padStart(decimals + 1, '0')
  const point = digits.length - decimals
  let end = digits.length
  while (end > point && digits.charCodeAt(end - 1) === ZERO_DIGIT) end--
  return end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`
}

const ZERO_DIGIT = 48

/** The sum of two amounts. Most of what is added is nothing, and even that would make a new number. */
export function plus(amount: bigint, more: bigint): bigint {
  return more === 0n ? amount : amount + more
}

/** The smaller of two amounts. */
export function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

/** The larger of two amounts. */
export function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
