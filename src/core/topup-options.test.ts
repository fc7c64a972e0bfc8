import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatCredits, micro, parseCredits } from './credits.ts'
import { isRefusal } from './refusals.ts'
import { faultInOptions, priceTopup, type TopupOptions, type TopupPack } from './topup-options.ts'

function credits(text: string) {
  return parseCredits(text) ?? micro(0n)
}

const PACK: TopupPack = { id: 'big', name: 'Big', amountMinor: 5_000, credits: null, bonus: credits('500'), bonusDays: 30 }

const OPTIONS: TopupOptions = {
  currency: 'eur',
  creditType: 'credits',
  creditsPerUnit: credits('100'),
  minMinor: 500,
  maxMinor: 10_000,
  lifeDays: 365,
  packs: [PACK, { ...PACK, id: 'fixed', credits: credits('7777'), bonus: null }],
}

function priced(options: Partial<TopupOptions>, amountMinor: number): string {
  const bought = priceTopup({ ...OPTIONS, minMinor: 1, maxMinor: 99_999_999, ...options }, { amountMinor })
  return isRefusal(bought) ? bought.refused : formatCredits(bought.credits)
}

test('an amount is worth what the rate says, rounded down to a millionth', () => {
  assert.equal(priced({}, 1_234), '1234')
  assert.equal(priced({ creditsPerUnit: credits('0.333333') }, 1), '0.003333')
  assert.equal(priced({ creditsPerUnit: credits('0.000199') }, 50), '0.000099')
  assert.equal(priced({ currency: 'jpy', creditsPerUnit: credits('2') }, 1_000), '2000')
  assert.equal(priced({ currency: 'kwd' }, 1_000), '100')
  assert.equal(priced({}, 99_999_999), '99999999')
})

test('the bounds may be paid, and nothing beyond them', () => {
  for (const [amountMinor, isSold] of [
    [499, false],
    [500, true],
    [10_000, true],
    [10_001, false],
  ] as const) {
    const bought = priceTopup(OPTIONS, { amountMinor })
    assert.equal(!isRefusal(bought), isSold, `${amountMinor}`)
  }
})

test('a pack has its own price, beyond the bounds too, and its bonus an end of its own', () => {
  const big = priceTopup({ ...OPTIONS, maxMinor: 1_000 }, { pack: 'big' })
  assert.ok(!isRefusal(big))
  assert.deepEqual(
    [big.amountMinor, formatCredits(big.credits), big.lifeMs, big.bonus],
    [5_000, '5000', 365 * 86_400_000, { credits: credits('500'), lifeMs: 30 * 86_400_000 }],
  )
  const fixed = priceTopup(OPTIONS, { pack: 'fixed' })
  assert.ok(!isRefusal(fixed) && fixed.bonus === null)
  assert.equal(formatCredits(fixed.credits), '7777')
  const unknown = priceTopup(OPTIONS, { pack: 'nothing' })
  assert.ok(isRefusal(unknown) && unknown.refused === 'pack_not_found')
})

test('what nobody could buy, or no account hold, is a fault', () => {
  assert.equal(faultInOptions(OPTIONS), null)
  for (const wrong of [
    { minMinor: 10_001 },
    { creditsPerUnit: micro(1n), minMinor: 99 },
    { creditsPerUnit: credits('9200000000000') },
    { packs: [PACK, PACK] },
    { packs: [{ ...PACK, credits: micro(0n) }] },
    { packs: [{ ...PACK, credits: credits('9200000000000') }] },
  ] satisfies readonly Partial<TopupOptions>[])
    assert.notEqual(faultInOptions({ ...OPTIONS, ...wrong }), null, Object.keys(wrong).join())
})
