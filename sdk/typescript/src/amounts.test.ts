import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareAmounts, fromMicro, isAtLeast, multiplyAmount, subtractAmount, sumAmounts, toMicro } from './amounts.ts'
import { InvalidArgumentError } from './errors.ts'

const LARGEST = 9_200_000_000_000_000_000n

test('an amount is the same after it was reckoned with', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -LARGEST, max: LARGEST }), (micro) => {
      assert.equal(toMicro(fromMicro(micro)), micro)
    }),
  )
})

test('amounts are written in their shortest form', () => {
  for (const [micro, text] of [
    [0n, '0'],
    [1n, '0.000001'],
    [1_500_000n, '1.5'],
    [-1_095_399_600n, '-1095.3996'],
    [-5n, '-0.000005'],
  ] as const)
    assert.equal(fromMicro(micro), text)
})

test('what would lose a digit, or is no amount, is refused', () => {
  for (const text of ['', '1e3', '1.0000001', '.5', '5.', '1,5', ' 1', '+1', 'NaN', '0x10', '--1'])
    assert.throws(() => toMicro(text), InvalidArgumentError, text)
})

test('sums of floats that never come out are exact', () => {
  assert.equal(sumAmounts(['0.1', '0.2']), '0.3')
  assert.equal(sumAmounts([]), '0')
  assert.equal(subtractAmount('0.3', '0.1'), '0.2')
  assert.equal(multiplyAmount('0.000001', 3_000_000n), '3')
})

test('amounts are compared as numbers, not as text', () => {
  assert.ok(isAtLeast('10', '9'))
  assert.ok(!isAtLeast('9', '10'))
  assert.ok(isAtLeast('1.0', '1'))
  assert.deepEqual(['10', '9', '-3', '9.5'].toSorted(compareAmounts), ['-3', '9', '9.5', '10'])
})
