import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyPool, type OpenGrant, type Pool } from './account.ts'
import { availableOf, balanceOf, burnOrder, isEligible, pendingOf } from './balance.ts'
import { micro } from './credits.ts'

const NOW_MS = 1_000

function grant(fields: Partial<OpenGrant> = {}): OpenGrant {
  const terms = { seq: 1, source: 'topup', priority: 40, effectiveAtMs: 0, expiresAtMs: null, paid: false, purchase: null } as const
  return { ...terms, remaining: micro(10n), held: micro(0n), closed: null, ...fields }
}

function pool(grants: readonly OpenGrant[], debt = 0n): Pool {
  return { ...emptyPool('credits'), grants, debt: micro(debt) }
}

test('charges may draw on a grant while effective ≤ now < expires, unless it has ended', () => {
  const cases: readonly { readonly fields: Partial<OpenGrant>; readonly isEligible: boolean }[] = [
    { fields: {}, isEligible: true },
    { fields: { effectiveAtMs: NOW_MS }, isEligible: true },
    { fields: { effectiveAtMs: NOW_MS + 1 }, isEligible: false },
    { fields: { expiresAtMs: NOW_MS + 1 }, isEligible: true },
    { fields: { expiresAtMs: NOW_MS }, isEligible: false },
    { fields: { closed: 'expired' }, isEligible: false },
    { fields: { closed: 'voided' }, isEligible: false },
  ]
  for (const { fields, isEligible: expected } of cases) assert.equal(isEligible(grant(fields), NOW_MS), expected, JSON.stringify(fields))
})

test('a balance counts what remains less what is owed, and what of it is held', () => {
  const cases: readonly { readonly what: string; readonly pool: Pool; readonly settled: bigint; readonly held: bigint }[] = [
    { what: 'nothing at all', pool: pool([]), settled: 0n, held: 0n },
    { what: 'two grants', pool: pool([grant(), grant({ remaining: micro(5n), held: micro(2n) })]), settled: 15n, held: 2n },
    { what: 'a grant to come', pool: pool([grant(), grant({ effectiveAtMs: NOW_MS + 1 })]), settled: 10n, held: 0n },
    {
      what: 'held of an ended grant',
      pool: pool([grant({ remaining: micro(4n), held: micro(4n), closed: 'expired' })]),
      settled: 4n,
      held: 4n,
    },
    { what: 'a debt', pool: pool([], 7n), settled: -7n, held: 0n },
    { what: 'a debt beside what is held', pool: pool([grant({ held: micro(10n) })], 30n), settled: -20n, held: 10n },
  ]
  for (const { what, pool: counted, settled, held } of cases) {
    const balance = balanceOf(counted, NOW_MS)
    assert.deepEqual(balance, { settled, held }, what)
    assert.equal(availableOf(balance), settled - held, what)
  }
})

test('what becomes usable later is pending, and never both pending and settled', () => {
  const counted = pool([grant(), grant({ effectiveAtMs: NOW_MS + 1 }), grant({ effectiveAtMs: NOW_MS + 50, remaining: micro(3n) })])
  const at = [NOW_MS, NOW_MS + 1, NOW_MS + 50].map((nowMs) => [pendingOf(counted, nowMs), balanceOf(counted, nowMs).settled])
  assert.deepEqual(at, [
    [13n, 10n],
    [3n, 20n],
    [0n, 23n],
  ])
})

/** From what burns first to what burns last. */
const IN_ORDER: readonly OpenGrant[] = [
  grant({ seq: 9, priority: 10, paid: true }),
  grant({ seq: 8, priority: 20, expiresAtMs: 5_000, paid: true, effectiveAtMs: 9 }),
  grant({ seq: 7, priority: 20, expiresAtMs: 6_000, paid: false, effectiveAtMs: 8 }),
  grant({ seq: 6, priority: 20, expiresAtMs: 6_000, paid: true, effectiveAtMs: 1 }),
  grant({ seq: 4, priority: 20, paid: false, effectiveAtMs: 1 }),
  grant({ seq: 5, priority: 20, paid: false, effectiveAtMs: 2 }),
  grant({ seq: 2, priority: 20, paid: true, effectiveAtMs: 1 }),
  grant({ seq: 3, priority: 20, paid: true, effectiveAtMs: 1 }),
  grant({ seq: 1, priority: 40, expiresAtMs: 1 }),
]

test('the burn order is priority, then expiry (never last), then unpaid before paid, then effective time, then id', () => {
  for (const [index, a] of IN_ORDER.entries())
    for (const [other, b] of IN_ORDER.entries()) assert.equal(Math.sign(burnOrder(a, b)), Math.sign(index - other), `${a.seq} and ${b.seq}`)
})

test('the burn order of a list is the same however the list was shuffled', () => {
  const few = fc.constantFrom(1, 2)
  const grants = fc.uniqueArray(
    fc.record({ seq: fc.nat(1000), priority: few, effectiveAtMs: few, expiresAtMs: fc.option(few, { nil: null }), paid: fc.boolean() }),
    { selector: ({ seq }) => seq, maxLength: 12 },
  )
  fc.assert(
    fc.property(grants, fc.infiniteStream(fc.nat()), (drawn, keys) => {
      const sorted = drawn.map((fields) => grant(fields)).sort(burnOrder)
      const shuffled = sorted.map((one) => ({ one, key: keys.next().value ?? 0 })).sort((a, b) => a.key - b.key)
      assert.deepEqual(shuffled.map(({ one }) => one).sort(burnOrder), sorted)
    }),
    { seed: 1, numRuns: 200 },
  )
})
