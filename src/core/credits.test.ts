import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatCredits, least, MAX_MICROCREDITS, MICRO, micro, most, parseCredits, ZERO } from './credits.ts'

const anyAmount = fc.bigInt({ min: -MAX_MICROCREDITS, max: MAX_MICROCREDITS })

test('every amount in the range is read back from its text', () => {
  fc.assert(fc.property(anyAmount, (amount) => parseCredits(formatCredits(amount)) === amount))
})

test('the extremes of the range are read back from their texts', () => {
  const extremes = [0n, 1n, -1n, MICRO - 1n, MICRO, MICRO + 1n, 1n - MICRO, MAX_MICROCREDITS - 1n, MAX_MICROCREDITS, -MAX_MICROCREDITS]
  assert.deepEqual(
    extremes.map((amount) => parseCredits(formatCredits(amount))),
    extremes,
  )
})

test('a text has no trailing zeros, no bare point and no exponent', () => {
  fc.assert(fc.property(anyAmount, (amount) => /^-?(0|[1-9]\d*)(\.\d{0,5}[1-9])?$/.test(formatCredits(amount))))
})

test('amounts are written in their shortest form', () => {
  const table: readonly (readonly [bigint, string])[] = [
    [0n, '0'],
    [1n, '0.000001'],
    [-1n, '-0.000001'],
    [100_000n, '0.1'],
    [-100_000n, '-0.1'],
    [330_000_000n, '330'],
    [1_095_399_600n, '1095.3996'],
    [10_000_000n, '10'],
    [10_100_000n, '10.1'],
    [MAX_MICROCREDITS, '9200000000000'],
    [MAX_MICROCREDITS - 1n, '9199999999999.999999'],
    [-MAX_MICROCREDITS, '-9200000000000'],
  ]
  for (const [amount, text] of table) assert.equal(formatCredits(amount), text)
})

test('decimal strings are read as micro-credits', () => {
  const table: readonly (readonly [string, bigint])[] = [
    ['0', 0n],
    ['330', 330_000_000n],
    ['1095.3996', 1_095_399_600n],
    ['-1095.3996', -1_095_399_600n],
    ['0.000001', 1n],
    ['-0.000001', -1n],
    ['0.1', 100_000n],
    ['1.50', 1_500_000n],
    ['1.000000', 1_000_000n],
    ['2147483648', 2_147_483_648_000_000n],
    ['9200000000000', MAX_MICROCREDITS],
    ['9200000000000.000000', MAX_MICROCREDITS],
    ['-9200000000000', -MAX_MICROCREDITS],
    ['9199999999999.999999', MAX_MICROCREDITS - 1n],
  ]
  for (const [text, amount] of table) assert.equal(parseCredits(text), amount, text)
})

test('every other form is refused', () => {
  const bad: readonly unknown[] = [
    '',
    '.',
    '-',
    '1.',
    '.5',
    '-.5',
    '+1',
    '--1',
    '01',
    '-01',
    '00',
    '00.5',
    '0x10',
    '0b1',
    '1n',
    '1_000',
    '1,000',
    '1,5',
    '1.2.3',
    '1e3',
    '1E3',
    '1e-3',
    'NaN',
    'Infinity',
    '-Infinity',
    'ten',
    ' 1',
    '1 ',
    ' ',
    '1\n',
    '\t1',
    '- 1',
    '1\u0000',
    '١',
    '１',
    '−1',
    '0.0000001',
    '1.1234567',
    '1.0000000',
    '9200000000000.000001',
    '-9200000000000.000001',
    '9200000000001',
    '9999999999999',
    '10000000000000',
    '9223372036854775807',
    '1234567890123456789012345678901234567890',
    `0.${'1'.repeat(40)}`,
    '9'.repeat(100_000),
    true,
    false,
    null,
    undefined,
    {},
    { valueOf: () => 1 },
    { toString: () => '1' },
    [],
    ['1'],
    1n,
    330_000_000n,
    Symbol('1'),
    () => '1',
    Object('1'),
  ]
  assert.deepEqual(
    bad.filter((input) => parseCredits(input) !== undefined),
    [],
  )
})

test('a negative zero is refused', () => {
  const bad = ['-0', '-0.0', '-0.000000']
  assert.deepEqual(
    bad.filter((input) => parseCredits(input) !== undefined),
    [],
  )
})

test('JSON numbers are read as they print', () => {
  const table: readonly (readonly [number, bigint | undefined])[] = [
    [0, 0n],
    [-0, undefined],
    [1, 1_000_000n],
    [12.5, 12_500_000n],
    [-12.5, -12_500_000n],
    [0.1, 100_000n],
    [1095.3996, 1_095_399_600n],
    [0.000001, 1n],
    [-0.000001, -1n],
    [0.000123, 123n],
    [2 ** 31, 2_147_483_648_000_000n],
    [9.2e12, MAX_MICROCREDITS],
    [-9.2e12, -MAX_MICROCREDITS],
    [0.1 + 0.2, undefined],
    [0.0000001, undefined],
    [0.0000015, undefined],
    [1.1234567, undefined],
    [9.2e12 + 1, undefined],
    [2 ** 53 - 1, undefined],
    [2 ** 53 + 1, undefined],
    [2 ** 62, undefined],
    [1e21, undefined],
    [Number.MAX_VALUE, undefined],
    [Number.MIN_VALUE, undefined],
    [Number.EPSILON, undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    [Number.NEGATIVE_INFINITY, undefined],
  ]
  for (const [number, amount] of table) assert.equal(parseCredits(number), amount, String(number))
})

test('every whole JSON number in the range is exact', () => {
  fc.assert(fc.property(fc.integer({ min: -9.2e12, max: 9.2e12 }), (number) => parseCredits(number) === BigInt(number) * MICRO))
})

test('any JSON number is read exactly as its own text, or refused with it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.double(), fc.float()), (number) => {
      // The text of a negative zero has lost its sign; a test of its own refuses it.
      fc.pre(!Object.is(number, -0))
      return parseCredits(number) === parseCredits(String(number))
    }),
  )
})

test('whatever text is accepted means what it says, digit for digit', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 14 })
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'01239.-+e '), maxLength: 22 }),
    fc.tuple(fc.constantFrom('', '-', '+'), digits, fc.constantFrom('', '.'), digits).map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(text, (sent) => {
      const amount = parseCredits(sent)
      // A negative zero has a test of its own.
      if (amount === undefined || /^-0(\.0*)?$/.test(sent)) return
      const shortest = sent.includes('.') ? sent.replace(/\.?0+$/, '') : sent
      assert.equal(formatCredits(amount), shortest)
    }),
    { numRuns: 2_000 },
  )
})

test('micro brands every value in the range and faults on every value outside it', () => {
  for (const edge of [MAX_MICROCREDITS, -MAX_MICROCREDITS, ZERO]) assert.equal(micro(edge), edge)
  fc.assert(fc.property(anyAmount, (amount) => micro(amount) === amount))
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 10n ** 40n }), (excess) => {
      assert.throws(() => micro(MAX_MICROCREDITS + excess), RangeError)
      assert.throws(() => micro(-MAX_MICROCREDITS - excess), RangeError)
    }),
  )
})

test('zero is zero, and reads as zero', () => {
  assert.equal(ZERO, 0n)
  assert.equal(parseCredits('0'), ZERO)
})

test('the whole range fits the 64-bit integers of both stores', () => {
  assert.equal(BigInt.asIntN(64, MAX_MICROCREDITS), MAX_MICROCREDITS)
  assert.equal(BigInt.asIntN(64, -MAX_MICROCREDITS), -MAX_MICROCREDITS)
})

test('least and most pick the smaller and the larger of two amounts', () => {
  fc.assert(
    fc.property(anyAmount, anyAmount, (a, b) => {
      const [low, high] = [a, b].sort((x, y) => (x < y ? -1 : 1))
      assert.deepEqual([least(a, b), most(a, b)], [low, high])
    }),
  )
})
