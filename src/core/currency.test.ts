import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMoney, minorDigits } from './currency.ts'

test('money is written with as many decimals as its currency has', () => {
  for (const [amountMinor, currency, written] of [
    [1_250, 'eur', '12.50 EUR'],
    [5, 'usd', '0.05 USD'],
    [0, 'usd', '0.00 USD'],
    [-1_250, 'eur', '-12.50 EUR'],
    [1_200, 'jpy', '1200 JPY'],
    [0, 'krw', '0 KRW'],
    [1_234, 'kwd', '1.234 KWD'],
    [7, 'bhd', '0.007 BHD'],
    [99_999_999, 'chf', '999999.99 CHF'],
  ] as const)
    assert.equal(formatMoney(amountMinor, currency), written)
})

test('krónur and Ugandan shillings are counted in hundredths, as providers count them', () => {
  assert.deepEqual(
    ['isk', 'ugx'].map((currency) => minorDigits(currency)),
    [2, 2],
  )
})

test('names of what every object has are no currencies', () => {
  assert.deepEqual(
    ['constructor', 'toString', '__proto__'].map((name) => minorDigits(name)),
    [2, 2, 2],
  )
})
