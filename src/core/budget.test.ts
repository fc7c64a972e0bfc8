import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Answer,
  booked,
  codeOf,
  DAY_MS,
  HOUR_MS,
  MemoryAccount,
  refusal,
  START_MS,
  seqOf,
  toMicro,
} from '../../test/running/memory-account.ts'
import type { BudgetTerms, KeyBudget } from './account.ts'
import { currentBudget, heldByKey, remainingOf } from './budget.ts'
import type { Period } from './calendar.ts'
import { formatCredits, micro } from './credits.ts'

const DAILY: BudgetTerms = { limit: toMicro(10), period: 'day', timeZone: 'UTC', maxPerCharge: null }

/** An account with 1000 credits and a key that may spend 10 of them a day. */
function accountWithKey(terms: Partial<BudgetTerms> = {}): { readonly account: MemoryAccount; readonly key: number } {
  const account = new MemoryAccount()
  account.grant(1_000)
  return { account, key: seqOf(account.createKey({ ...DAILY, ...terms })) }
}

function budgetOf(account: MemoryAccount, key: number): KeyBudget {
  const budget = account.state.budgets.find((candidate) => candidate.key === key)
  assert.ok(budget)
  return currentBudget(budget, account.nowMs)
}

/** What is left of a key's budget, by trying: the most that one charge may take. */
function leftOf(account: MemoryAccount, key: number): string {
  const answer = account.charge(999, { key })
  return String(refusal(answer).facts.remaining)
}

/** When the window ends that holds a moment. Zones change their clocks inside some of them. */
const WINDOWS: readonly {
  readonly period: Period
  readonly timeZone: string
  readonly at: string
  readonly from: string
  readonly to: string
}[] = [
  { period: 'day', timeZone: 'UTC', at: '2026-03-10T12:00Z', from: '2026-03-10T00:00Z', to: '2026-03-11T00:00Z' },
  { period: 'day', timeZone: 'America/New_York', at: '2026-03-08T12:00Z', from: '2026-03-08T05:00Z', to: '2026-03-09T04:00Z' },
  { period: 'day', timeZone: 'America/New_York', at: '2026-11-01T12:00Z', from: '2026-11-01T04:00Z', to: '2026-11-02T05:00Z' },
  { period: 'day', timeZone: 'America/Santiago', at: '2026-09-06T12:00Z', from: '2026-09-06T04:00Z', to: '2026-09-07T03:00Z' },
  { period: 'day', timeZone: 'Asia/Kolkata', at: '2026-03-10T18:29Z', from: '2026-03-09T18:30Z', to: '2026-03-10T18:30Z' },
  { period: 'week', timeZone: 'UTC', at: '2026-12-31T12:00Z', from: '2026-12-28T00:00Z', to: '2027-01-04T00:00Z' },
  { period: 'week', timeZone: 'Europe/Berlin', at: '2026-03-29T12:00Z', from: '2026-03-22T23:00Z', to: '2026-03-29T22:00Z' },
  { period: 'month', timeZone: 'UTC', at: '2026-02-28T23:59Z', from: '2026-02-01T00:00Z', to: '2026-03-01T00:00Z' },
  { period: 'month', timeZone: 'UTC', at: '2028-02-29T00:00Z', from: '2028-02-01T00:00Z', to: '2028-03-01T00:00Z' },
  { period: 'month', timeZone: 'Pacific/Auckland', at: '2026-04-15T00:00Z', from: '2026-03-31T11:00Z', to: '2026-04-30T12:00Z' },
]

for (const { period, timeZone, at, from, to } of WINDOWS)
  test(`a budget per ${period} in ${timeZone} at ${at} counts from ${from} up to, not including, ${to}`, () => {
    const { account, key } = accountWithKey({ period, timeZone })
    const moments = [Date.parse(from) - 1, Date.parse(from), Date.parse(at), Date.parse(to) - 1, Date.parse(to)]
    const spent = moments.map((atMs) => {
      account.nowMs = atMs
      booked(account.charge(1, { key }))
      return formatCredits(budgetOf(account, key).spent)
    })
    assert.deepEqual(spent, ['1', '1', '2', '3', '1'])
  })

test('a lifetime budget never begins anew', () => {
  const { account, key } = accountWithKey({ period: 'lifetime' })
  booked(account.charge(9, { key }))
  account.nowMs = Date.parse('2099-01-01')
  const { refused, facts } = refusal(account.charge(2, { key }))
  assert.deepEqual([refused, facts.remaining, facts.resets_at], ['key_budget_exceeded', '1', null])
})

test('a key spends its budget to the last millionth and no further, whatever the account has', () => {
  const { account, key } = accountWithKey()
  assert.deepEqual(
    ['9.999999', '0.000002', '0.000001', '0.000001', '0'].map((amount) => codeOf(account.charge(amount, { key }))),
    ['ok', 'key_budget_exceeded', 'ok', 'key_budget_exceeded', 'ok'],
  )
})

test('a refusal says what is left of the budget and when it begins anew', () => {
  const { account, key } = accountWithKey()
  booked(account.charge(3, { key }))
  booked(account.hold(2, { key }))
  assert.deepEqual(refusal(account.charge(6, { key })).facts, {
    required: '6',
    remaining: '5',
    limit: '10',
    spent: '3',
    held: '2',
    period: 'day',
    resets_at: '2026-01-16T00:00:00.000Z',
  })
})

test('a key without a limit is counted all the same, and a key without a budget is not', () => {
  const { account, key } = accountWithKey({ limit: null })
  const free = seqOf(account.createKey())
  assert.deepEqual([account.charge(300, { key }), account.charge(300, { key: free })].map(codeOf), ['ok', 'ok'])
  assert.equal(budgetOf(account, key).spent, toMicro(300))
  assert.equal(account.state.budgets.length, 1)
})

test('one call may not cost more than the key may spend at once, however much its budget has left', () => {
  const { account, key } = accountWithKey({ limit: null, maxPerCharge: toMicro(5) })
  const { refused, facts } = refusal(account.charge('5.000001', { key }))
  assert.deepEqual([refused, facts], ['key_charge_limit_exceeded', { required: '5.000001', limit: '5' }])
  assert.deepEqual([account.charge(5, { key }), account.hold(6, { key })].map(codeOf), ['ok', 'key_charge_limit_exceeded'])
})

test('keys do not share budgets, and charges without a key count against none', () => {
  const { account, key } = accountWithKey()
  const other = seqOf(account.createKey(DAILY))
  booked(account.charge(10, { key }))
  booked(account.charge(100))
  assert.deepEqual([account.charge(1, { key }), account.charge(10, { key: other })].map(codeOf), ['key_budget_exceeded', 'ok'])
})

test('a budget counts the credits of all credit types together', () => {
  const { account, key } = accountWithKey()
  account.grant(100, { creditType: 'image_credits' })
  booked(account.charge(6, { key }))
  assert.equal(codeOf(account.charge(5, { key, creditType: 'image_credits' })), 'key_budget_exceeded')
})

// Holds.

/** A key holds 8 of its 10. What is left of the budget after that. */
const AFTER_A_HOLD: Readonly<Record<string, { readonly act: (account: MemoryAccount, hold: number) => unknown; readonly left: string }>> = {
  'nothing more': { act: () => undefined, left: '2' },
  'its release': { act: (account, hold) => account.release(hold), left: '10' },
  'its expiry': { act: (account) => account.wait(HOUR_MS), left: '10' },
  'its capture': { act: (account, hold) => account.capture(hold), left: '2' },
  'a smaller capture': { act: (account, hold) => account.capture(hold, 3), left: '7' },
  'a smaller capture that is not the last': { act: (account, hold) => account.capture(hold, 3, { final: false }), left: '2' },
  'a capture above it': { act: (account, hold) => account.capture(hold, 9), left: '1' },
  'a capture above the budget': { act: (account, hold) => account.capture(hold, 50), left: '0' },
  'an increase': { act: (account, hold) => account.increase(hold, 1), left: '1' },
  'a late capture': { act: (account, hold) => [account.wait(HOUR_MS), account.capture(hold, 4)], left: '6' },
}

for (const [what, { act, left }] of Object.entries(AFTER_A_HOLD))
  test(`of a budget of 10 with 8 held, ${left} is left after ${what}`, () => {
    const { account, key } = accountWithKey()
    const hold = seqOf(account.hold(8, { key, ttlMs: HOUR_MS }))
    act(account, hold)
    assert.equal(leftOf(account, key), left)
  })

test('a live hold counts in every window it reaches into, and its capture in the one in which it is made', () => {
  const { account, key } = accountWithKey()
  const hold = seqOf(account.hold(8, { key, ttlMs: DAY_MS }))
  account.wait(13 * HOUR_MS)
  assert.equal(leftOf(account, key), '2')
  booked(account.capture(hold, 5))
  assert.equal(leftOf(account, key), '5')
  assert.equal(budgetOf(account, key).spent, toMicro(5))
})

test('what a key holds is the sum of its own live holds', () => {
  const { account, key } = accountWithKey()
  for (const amount of [1, 2, 3]) booked(account.hold(amount, { key }))
  booked(account.hold(50))
  assert.equal(heldByKey(account.state, key), toMicro(6))
  assert.equal(heldByKey(account.state, 999), 0n)
})

// Refunds.

test('a refund in the window of its charge frees the budget', () => {
  const { account, key } = accountWithKey()
  const charge = seqOf(account.charge(10, { key }))
  const left = [4, 6].map((amount) => [account.refund(charge, amount), leftOf(account, key)][1])
  assert.deepEqual(left, ['4', '10'])
})

test('a refund frees the budget even of a charge from the first moment of the window', () => {
  const { account, key } = accountWithKey()
  account.nowMs = Date.parse('2026-01-16T00:00Z')
  const charge = seqOf(account.charge(10, { key }))
  account.wait(HOUR_MS)
  booked(account.refund(charge))
  assert.equal(leftOf(account, key), '10')
})

test('a refund in a later window frees nothing: the charge was not counted there', () => {
  const { account, key } = accountWithKey()
  const charge = seqOf(account.charge(10, { key }))
  account.wait(DAY_MS)
  booked(account.charge(3, { key }))
  booked(account.refund(charge))
  assert.equal(leftOf(account, key), '7')
})

test('the window of a captured hold is that of its capture, for refunds too', () => {
  const { account, key } = accountWithKey()
  const hold = seqOf(account.hold(8, { key, ttlMs: DAY_MS }))
  account.wait(13 * HOUR_MS)
  const capture = seqOf(account.capture(hold))
  booked(account.refund(capture, 5))
  assert.equal(leftOf(account, key), '7')
})

test('a refund of a charge from before the budget was set, or was set anew, frees nothing', () => {
  const resets: Readonly<Record<string, (account: MemoryAccount, key: number) => Answer>> = {
    'set for the first time': (account, key) => account.updateKey(key, { budget: DAILY }),
    'set anew': (account, key) => [account.updateKey(key, { budget: null }), account.updateKey(key, { budget: DAILY })][1] as Answer,
    'given another period': (account, key) => account.updateKey(key, { budget: { ...DAILY, period: 'week' } }),
  }
  for (const [how, reset] of Object.entries(resets)) {
    const { account, key: limited } = accountWithKey()
    const key = how === 'set for the first time' ? seqOf(account.createKey()) : limited
    const charge = seqOf(account.charge(5, { key }))
    booked(reset(account, key))
    booked(account.charge(2, { key }))
    booked(account.refund(charge))
    assert.equal(leftOf(account, key), '8', how)
  }
})

// Changes.

/** A key has spent 6 of 10 a day. What is left after its budget was changed. */
const CHANGES: Readonly<Record<string, { readonly to: Partial<BudgetTerms>; readonly left: string }>> = {
  'a higher limit': { to: { limit: toMicro(20) }, left: '14' },
  'a lower limit': { to: { limit: toMicro(8) }, left: '2' },
  'a limit below what is spent': { to: { limit: toMicro(5) }, left: '0' },
  'a limit on one call': { to: { maxPerCharge: toMicro(9_999) }, left: '4' },
  'another period': { to: { period: 'month' }, left: '10' },
  'another zone': { to: { timeZone: 'Asia/Tokyo' }, left: '10' },
  'nothing at all': { to: {}, left: '4' },
}

for (const [what, { to, left }] of Object.entries(CHANGES))
  test(`of a budget of 10 with 6 spent, ${left} is left after a change of ${what}`, () => {
    const { account, key } = accountWithKey()
    booked(account.charge(6, { key }))
    booked(account.updateKey(key, { budget: { ...DAILY, ...to } }))
    assert.equal(leftOf(account, key), left)
  })

test('a change of the limit does not carry a count from an earlier window into this one', () => {
  const { account, key } = accountWithKey()
  booked(account.charge(6, { key }))
  account.wait(DAY_MS)
  booked(account.updateKey(key, { budget: { ...DAILY, limit: toMicro(20) } }))
  assert.equal(leftOf(account, key), '20')
})

test('a change of a key that says nothing of its budget leaves the count alone', () => {
  const { account, key } = accountWithKey()
  booked(account.charge(6, { key }))
  booked(account.updateKey(key, { name: 'new' }))
  booked(account.rotateKey(key))
  assert.equal(leftOf(account, key), '4')
})

test('a budget that is taken away, or whose key is revoked, is no longer counted', () => {
  for (const end of [
    (account: MemoryAccount, key: number) => account.updateKey(key, { budget: null }),
    (account: MemoryAccount, key: number) => account.revokeKey(key),
  ]) {
    const { account, key } = accountWithKey()
    const other = seqOf(account.createKey(DAILY))
    booked(end(account, key))
    assert.deepEqual(
      account.state.budgets.map((budget) => budget.key),
      [other],
    )
  }
})

test('a window that has ended counts nothing, without anything being recorded', () => {
  const { account, key } = accountWithKey()
  booked(account.charge(6, { key }))
  const [stored] = account.state.budgets
  assert.ok(stored)
  assert.equal(currentBudget(stored, stored.windowEndMs - 1), stored)
  const next = currentBudget(stored, stored.windowEndMs)
  assert.deepEqual([next.spent, next.windowStartMs, next.windowEndMs], [0n, stored.windowEndMs, stored.windowEndMs + DAY_MS])
  assert.ok(START_MS < stored.windowEndMs)
})

test('what is left of a budget is never below zero, and unlimited without a limit', () => {
  const window = { windowStartMs: 0, windowEndMs: 1, sinceSeq: 0, key: 1 }
  const cases = [
    { limit: 10, spent: 3, held: 2, left: toMicro(5) },
    { limit: 10, spent: 8, held: 2, left: 0n },
    { limit: 10, spent: 30, held: 2, left: 0n },
    { limit: null, spent: 30, held: 2, left: null },
  ]
  for (const { limit, spent, held, left } of cases) {
    const budget = { ...DAILY, ...window, limit: limit === null ? null : toMicro(limit), spent: toMicro(spent) }
    assert.equal(remainingOf(budget, micro(toMicro(held))), left)
  }
})
