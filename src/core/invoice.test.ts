/** Which invoices a purchase is to have, and what is tax in them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { paymentOf, termsOf } from '../../test/running/purchases.ts'
import { micro, ZERO } from './credits.ts'
import { type InvoicedFact, invoicedFacts, invoiceNumber, type Money, moneyBack, moneyPaid } from './invoice.ts'
import type { Purchase } from './purchase.ts'

const PAID: Purchase = {
  seq: 1,
  openedAtMs: 0,
  terms: termsOf(),
  expiresAtMs: 1,
  link: null,
  outcome: null,
  paid: { seq: 3, atMs: 5, payment: paymentOf(1) },
  mismatch: null,
  grants: [3],
  requests: [],
  refunds: [],
  disputes: [],
  kept: ZERO,
}

function refund(name: string, amountMinor: number, more: Partial<Purchase['refunds'][number]> = {}): Purchase['refunds'][number] {
  return { refund: name, request: null, seq: 9, amountMinor, credits: micro(1n), isReversed: false, ...more }
}

function told(facts: readonly InvoicedFact[]): readonly (readonly [string, InvoicedFact['about'], number, string | null])[] {
  return facts.map(({ fact, about, amountMinor, corrects }) => [fact, about, amountMinor, corrects])
}

test('numbers are written with their series', () => {
  assert.equal(invoiceNumber({ series: 'INV', number: 42 }), 'INV-000042')
  assert.equal(invoiceNumber({ series: 'TEST-CN', number: 1_234_567 }), 'TEST-CN-1234567')
})

test('a purchase has invoices for what moved money, each after the one that it corrects', () => {
  assert.deepEqual(invoicedFacts({ ...PAID, paid: null, refunds: [refund('r', 5)] }), [])
  const purchase: Purchase = {
    ...PAID,
    refunds: [refund('a', 300), refund('failed unseen', 200, { seq: null, isReversed: true }), refund('b', 100, { isReversed: true })],
    disputes: [
      { dispute: 'open', amountMinor: 9, status: 'open', freeze: 4, credits: micro(0n) },
      { dispute: 'won', amountMinor: 9, status: 'won', freeze: 4, credits: micro(0n) },
      { dispute: 'lost', amountMinor: 600, status: 'lost', freeze: null, credits: micro(1n) },
    ],
  }
  assert.deepEqual(told(invoicedFacts(purchase)), [
    ['payment', 'payment', 1_000, null],
    ['refund a', 'refund', 300, 'payment'],
    ['refund b', 'refund', 100, 'payment'],
    ['failed refund b', 'failed_refund', 100, 'refund b'],
    ['dispute lost', 'dispute', 600, 'payment'],
  ])
})

test('tax is what the provider added, else what the price contains, halves rounded up', () => {
  const rows: readonly (readonly [paid: readonly [number, number], percent: string | null, net: number, tax: number | null])[] = [
    [[1_000, 1_000], null, 1_000, null],
    [[1_000, 1_000], '23', 813, 187],
    [[1_000, 1_230], '23', 1_000, 230],
    [[1_000, 1_230], null, 1_000, 230],
    [[1_000, 1_000], '8.875', 918, 82],
    [[3, 3], '100', 1, 2],
    [[1_000, 1_000], '0', 1_000, 0],
  ]
  for (const [[amountMinor, totalMinor], percent, net, tax] of rows) {
    const money = moneyPaid({ amountMinor, totalMinor, currency: 'eur' }, percent === null ? null : { name: 'VAT', percent })
    assert.deepEqual([money.netMinor, money.tax?.amountMinor ?? null, money.totalMinor], [net, tax, totalMinor])
  }
})

test('whatever parts a payment goes back in, their net and tax add up to its own', () => {
  const parts = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 8 })
  const percents = fc.constantFrom('0', '7', '19', '23', '8.875', '99.999')
  fc.assert(
    fc.property(parts, percents, (amounts, percent) => {
      const total = amounts.reduce((sum, amount) => sum + amount, 0)
      const paid = moneyPaid({ amountMinor: total, totalMinor: total, currency: 'eur' }, { name: 'VAT', percent })
      let credited = { totalMinor: 0, taxMinor: 0 }
      const backs = amounts.map((amountMinor): Money => {
        const back = moneyBack(paid, amountMinor, credited)
        credited = { totalMinor: credited.totalMinor + amountMinor, taxMinor: credited.taxMinor + (back.tax?.amountMinor ?? 0) }
        assert.equal(back.netMinor + (back.tax?.amountMinor ?? 0), amountMinor)
        assert.ok(back.netMinor >= 0 && (back.tax?.amountMinor ?? 0) >= 0)
        return back
      })
      assert.equal(
        backs.reduce((sum, { tax }) => sum + (tax?.amountMinor ?? 0), 0),
        paid.tax?.amountMinor,
      )
    }),
  )
})

test('no more goes back than was paid, whatever a refund and a dispute say together', () => {
  const paid = moneyPaid({ amountMinor: 1_000, totalMinor: 1_000, currency: 'eur' }, { name: 'VAT', percent: '23' })
  const back = moneyBack(paid, 1_000, { totalMinor: 300, taxMinor: 56 })
  assert.deepEqual([back.netMinor, back.tax?.amountMinor, back.totalMinor], [569, 131, 700])
  assert.equal(moneyBack(paid, 500, { totalMinor: 1_000, taxMinor: 187 }).totalMinor, 0)
})
