import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatCredits, MAX_MICROCREDITS } from '../../core/credits.ts'
import { type Decimal, ONE } from '../../core/decimal.ts'
import { creditsOut, decimalOut, leftOut } from './numbers.ts'

test('amounts are written as JSON numbers with every digit that they have', () => {
  for (const [micro, text] of [
    [0n, '0'],
    [1n, '0.000001'],
    [1_500_000n, '1.5'],
    [1_095_399_600n, '1095.3996'],
    [-2_500_000n, '-2.5'],
    // A float has 17 digits at most: this one has 19.
    [MAX_MICROCREDITS - 1n, '9199999999999.999999'],
  ] as const)
    assert.equal(JSON.stringify({ amount: creditsOut(micro) }), `{"amount":${text}}`)
  fc.assert(
    fc.property(fc.bigInt({ min: -MAX_MICROCREDITS, max: MAX_MICROCREDITS }), (micro) => {
      assert.equal(JSON.stringify([creditsOut(micro)]), `[${formatCredits(micro)}]`)
    }),
  )
})

test('what is left is never below zero', () => {
  assert.equal(JSON.stringify([leftOut(-1n), leftOut(0n), leftOut(1n)]), '[0,0,0.000001]')
})

test('quantities are written as they are', () => {
  assert.equal(
    JSON.stringify([decimalOut(ONE), decimalOut(((ONE * 5n) / 4n) as Decimal), decimalOut(1n as Decimal)]),
    '[1,1.25,0.000000000001]',
  )
})
