import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DECIMAL_PLACES, divide, formatDecimal, ONE, parseDecimal, type Rounding } from './decimal.ts'

const MAX_DECIMAL = 10n ** 27n - 1n
const anyDecimal = fc.bigInt({ min: 0n, max: MAX_DECIMAL })
const ROUNDINGS: readonly Rounding[] = ['ceil', 'floor', 'half_up', 'half_even']

test('every decimal in the range is read back from its text', () => {
  fc.assert(fc.property(anyDecimal, (value) => parseDecimal(formatDecimal(value)) === value))
})

test('a text has no trailing zeros, no bare point and no exponent', () => {
  fc.assert(fc.property(anyDecimal, (value) => /^(0|[1-9]\d*)(\.\d{0,11}[1-9])?$/.test(formatDecimal(value))))
})

test('decimals are read, and written in their shortest form', () => {
  const table: readonly (readonly [string | number, bigint, string])[] = [
    ['0', 0n, '0'],
    ['0.0', 0n, '0'],
    ['1', ONE, '1'],
    ['1.000000000000', ONE, '1'],
    ['1.50', 1_500_000_000_000n, '1.5'],
    ['0.000001', 1_000_000n, '0.000001'],
    ['0.000000000001', 1n, '0.000000000001'],
    ['999999999999999.999999999999', MAX_DECIMAL, '999999999999999.999999999999'],
    [0, 0n, '0'],
    [-0, 0n, '0'],
    [30, 30n * ONE, '30'],
    [0.1, 100_000_000_000n, '0.1'],
    [1.25, 1_250_000_000_000n, '1.25'],
    [0.000001, 1_000_000n, '0.000001'],
    [999_999_999_999_999, 999_999_999_999_999n * ONE, '999999999999999'],
  ]
  for (const [input, value, text] of table) {
    assert.equal(parseDecimal(input), value, String(input))
    assert.equal(formatDecimal(value), text)
  }
})

test('every other form is refused', () => {
  const bad: readonly unknown[] = [
    '',
    '.',
    '1.',
    '.5',
    '-1',
    '-0',
    '-0.5',
    '+1',
    '01',
    '00.5',
    '1e3',
    '1E-3',
    '0x10',
    '1_000',
    '1,5',
    ' 1',
    '1 ',
    '1\n',
    'NaN',
    'Infinity',
    '0.0000000000001',
    '1000000000000000',
    '1234567890123456789012345678901234567890',
    -1,
    -0.5,
    1e15,
    1e21,
    0.1 + 0.2,
    Number.MIN_VALUE,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    true,
    null,
    undefined,
    {},
    [],
    ['1'],
    { toString: () => '1' },
    1n,
  ]
  assert.deepEqual(
    bad.filter((input) => parseDecimal(input) !== undefined),
    [],
  )
})

test('small JSON numbers are read although they print with an exponent', () => {
  // A rate per token: 0.0000005 has 7 digits after the point, and JSON.parse makes it 5e-7.
  const table: readonly (readonly [number, bigint])[] = [
    [0.0000005, 500_000n],
    [0.00000015, 150_000n],
    [0.000000000001, 1n],
  ]
  for (const [input, value] of table) assert.equal(parseDecimal(input), value, String(input))
})

test('one is a one with as many zeros as there are places', () => {
  assert.equal(ONE, BigInt(`1${'0'.repeat(DECIMAL_PLACES)}`))
})

/** What each rounding promises, by comparing fractions: `rounded` against `numerator / denominator`, never by dividing. */
const PROMISES: Readonly<Record<Rounding, (exact: Fraction, rounded: bigint) => boolean>> = {
  floor: ({ numerator, denominator }, rounded) => rounded * denominator <= numerator && numerator < (rounded + 1n) * denominator,
  ceil: ({ numerator, denominator }, rounded) => (rounded - 1n) * denominator < numerator && numerator <= rounded * denominator,
  half_up: ({ numerator, denominator }, rounded) => {
    const above = 2n * (rounded * denominator - numerator)
    return -denominator < above && above <= denominator
  },
  half_even: ({ numerator, denominator }, rounded) => {
    const above = 2n * (rounded * denominator - numerator)
    const isTie = above === denominator || above === -denominator
    return isTie ? rounded % 2n === 0n : -denominator < above && above < denominator
  },
}

interface Fraction {
  readonly numerator: bigint
  readonly denominator: bigint
}

const anyFraction: fc.Arbitrary<Fraction> = fc.record({
  numerator: fc.oneof(fc.bigInt({ min: 0n, max: 1_000n }), fc.bigInt({ min: 0n, max: 10n ** 60n })),
  denominator: fc.oneof(fc.bigInt({ min: 1n, max: 20n }), fc.bigInt({ min: 1n, max: 10n ** 40n })),
})

const tie: fc.Arbitrary<Fraction> = fc
  .tuple(fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.bigInt({ min: 1n, max: 10n ** 20n }))
  .map(([whole, half]) => ({ numerator: (2n * whole + 1n) * half, denominator: 2n * half }))

for (const rounding of ROUNDINGS) {
  test(`${rounding} gives the integer that its definition names, ties included`, () => {
    fc.assert(
      fc.property(fc.oneof(anyFraction, tie), (exact) => PROMISES[rounding](exact, divide(exact.numerator, exact.denominator, rounding))),
      { numRuns: 500 },
    )
  })
}

test('whole results are the same in every rounding', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.bigInt({ min: 1n, max: 10n ** 30n }), (whole, denominator) => {
      assert.deepEqual(
        ROUNDINGS.map((rounding) => divide(whole * denominator, denominator, rounding)),
        ROUNDINGS.map(() => whole),
      )
    }),
  )
})

test('halves, and what lies close to them, go where each rounding says', () => {
  const table: readonly (readonly [bigint, bigint, Readonly<Record<Rounding, bigint>>])[] = [
    [0n, 7n, { ceil: 0n, floor: 0n, half_up: 0n, half_even: 0n }],
    [1n, 2n, { ceil: 1n, floor: 0n, half_up: 1n, half_even: 0n }],
    [3n, 2n, { ceil: 2n, floor: 1n, half_up: 2n, half_even: 2n }],
    [5n, 2n, { ceil: 3n, floor: 2n, half_up: 3n, half_even: 2n }],
    [7n, 2n, { ceil: 4n, floor: 3n, half_up: 4n, half_even: 4n }],
    [1n, 3n, { ceil: 1n, floor: 0n, half_up: 0n, half_even: 0n }],
    [2n, 3n, { ceil: 1n, floor: 0n, half_up: 1n, half_even: 1n }],
    [25n, 10n, { ceil: 3n, floor: 2n, half_up: 3n, half_even: 2n }],
    [24_999n, 10_000n, { ceil: 3n, floor: 2n, half_up: 2n, half_even: 2n }],
    [25_001n, 10_000n, { ceil: 3n, floor: 2n, half_up: 3n, half_even: 3n }],
    [1n, 10n ** 30n, { ceil: 1n, floor: 0n, half_up: 0n, half_even: 0n }],
  ]
  for (const [numerator, denominator, wanted] of table)
    for (const rounding of ROUNDINGS)
      assert.equal(divide(numerator, denominator, rounding), wanted[rounding], `${numerator}/${denominator} ${rounding}`)
})

test('nothing is divided by zero', () => {
  for (const rounding of ROUNDINGS) assert.throws(() => divide(1n, 0n, rounding), RangeError)
})

test('negative numbers are a fault in whatever would divide or write them', () => {
  for (const rounding of ROUNDINGS) {
    assert.throws(() => divide(-7n, 2n, rounding), `divide(-7n, 2n, '${rounding}')`)
    assert.throws(() => divide(7n, -2n, rounding), `divide(7n, -2n, '${rounding}')`)
  }
  assert.throws(() => formatDecimal(-5n), 'formatDecimal(-5n)')
})
