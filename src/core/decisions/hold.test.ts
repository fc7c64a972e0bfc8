import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Answer,
  booked,
  codeOf,
  DAY_MS,
  HOUR_MS,
  MemoryAccount,
  MINUTE_MS,
  refusal,
  START_MS,
  seqOf,
  toMicro,
} from '../../../test/running/memory-account.ts'
import { MAX_OPEN_HOLDS } from '../account.ts'

const TTL_MS = 15 * MINUTE_MS

/** An account with 100 credits and a hold of 60 on them that lives for 15 minutes. */
function accountWithHold(): { readonly account: MemoryAccount; readonly grant: number; readonly hold: number } {
  const account = new MemoryAccount()
  const grant = seqOf(account.grant(100))
  return { account, grant, hold: seqOf(account.hold(60, { ttlMs: TTL_MS })) }
}

test('20 holds of 75 against 500 credits: exactly 6 succeed', () => {
  const account = new MemoryAccount()
  account.grant(500)
  const codes = Array.from({ length: 20 }, () => codeOf(account.hold(75)))
  assert.deepEqual(codes, [...Array(6).fill('ok'), ...Array(14).fill('credits_in_flight')])
  assert.deepEqual(account.balance(), { settled: '500', held: '450', available: '50' })
})

test('a hold sets credits aside in burn order and spends none', () => {
  const account = new MemoryAccount()
  const topup = seqOf(account.grant(50, { source: 'topup' }))
  const plan = seqOf(account.grant(30, { source: 'plan' }))
  const { record } = booked(account.hold(45))
  assert.ok(record.kind === 'hold')
  assert.deepEqual(
    record.movements.map(({ grant, remaining, held }) => [grant, remaining, held]),
    [
      [plan, 0n, toMicro(30)],
      [topup, 0n, toMicro(15)],
    ],
  )
  assert.deepEqual(account.balance(), { settled: '80', held: '45', available: '35' })
})

test('a released hold gives back all that it set aside', () => {
  const { account, hold } = accountWithHold()
  booked(account.release(hold))
  assert.deepEqual(account.balance(), { settled: '100', held: '0', available: '100' })
})

test('a hold of nothing is a hold: it can be increased and captured', () => {
  const account = new MemoryAccount()
  account.grant(10)
  const hold = seqOf(account.hold(0))
  assert.deepEqual([account.increase(hold, 4), account.capture(hold)].map(codeOf), ['ok', 'ok'])
  assert.equal(account.balance().settled, '6')
})

// How holds end.

const ENDINGS: Readonly<Record<string, { readonly end: (account: MemoryAccount, hold: number) => unknown; readonly code: string }>> = {
  captured: { end: (account, hold) => account.capture(hold), code: 'hold_already_captured' },
  released: { end: (account, hold) => account.release(hold), code: 'hold_already_released' },
  'expired, not yet booked': { end: (account) => account.wait(TTL_MS), code: 'hold_expired' },
  'expired and booked': { end: (account) => [account.wait(TTL_MS), account.grant(1)], code: 'hold_expired' },
}

for (const [ending, { end, code }] of Object.entries(ENDINGS))
  test(`a hold that was ${ending} cannot be released, extended or increased`, () => {
    const attempts: readonly ((account: MemoryAccount, hold: number) => Answer)[] = [
      (account, hold) => account.release(hold),
      (account, hold) => account.extend(hold, TTL_MS),
      (account, hold) => account.increase(hold, 1),
    ]
    for (const attempt of attempts) {
      const { account, hold } = accountWithHold()
      end(account, hold)
      const before = account.balance()
      assert.equal(codeOf(attempt(account, hold)), code)
      assert.deepEqual(account.balance(), before)
    }
  })

test('a hold that was captured or released cannot be captured', () => {
  for (const ending of ['captured', 'released'] as const) {
    const { account, hold } = accountWithHold()
    ENDINGS[ending]?.end(account, hold)
    assert.equal(codeOf(account.capture(hold, 1)), `hold_already_${ending}`)
  }
})

test('what was never a hold is not found, a grant included', () => {
  const { account, grant } = accountWithHold()
  for (const id of [grant, 999]) {
    const answers = [account.capture(id), account.release(id), account.extend(id, TTL_MS), account.increase(id, 1)]
    assert.deepEqual(answers.map(codeOf), Array(4).fill('hold_not_found'))
  }
})

test('a hold lives up to, and not including, the moment it expires, and then gives its credits back by itself', () => {
  const { account, hold } = accountWithHold()
  account.wait(TTL_MS - 1)
  assert.deepEqual(account.held(), [[hold, '60']])
  account.wait(1)
  assert.deepEqual(account.held(), [])
  assert.deepEqual(account.balance(), { settled: '100', held: '0', available: '100' })
  assert.equal(codeOf(account.charge(100)), 'ok')
})

// Grants that end under a hold.

test('a grant that expires under a hold stays usable for that hold, and for nothing else', () => {
  const account = new MemoryAccount()
  account.grant(100, { expiresAtMs: START_MS + MINUTE_MS })
  const hold = seqOf(account.hold(60))
  account.wait(MINUTE_MS)
  assert.deepEqual(account.balance(), { settled: '60', held: '60', available: '0' })
  const others = [account.charge(1), account.hold(1), account.increase(hold, 1)].map(codeOf)
  assert.ok(!others.includes('ok'), others.join())
  assert.equal(codeOf(account.capture(hold, 60)), 'ok')
  assert.deepEqual(account.balance(), { settled: '0', held: '0', available: '0' })
})

test('what a hold lets go of a grant that ended under it ends at once', () => {
  const letGo: Readonly<Record<string, (account: MemoryAccount, hold: number) => Answer>> = {
    released: (account, hold) => account.release(hold),
    captured: (account, hold) => account.capture(hold, 0),
    expired: (account) => [account.wait(TTL_MS), account.grant(1, { creditType: 'other' })][1] as Answer,
  }
  for (const [how, action] of Object.entries(letGo)) {
    for (const ended of ['expired', 'voided'] as const) {
      const account = new MemoryAccount()
      const grant = seqOf(account.grant(100, { expiresAtMs: ended === 'expired' ? START_MS + MINUTE_MS : null }))
      const hold = seqOf(account.hold(60, { ttlMs: TTL_MS }))
      if (ended === 'voided') account.void(grant)
      account.wait(MINUTE_MS)
      const records = booked(action(account, hold)).records
      const sums = records.map((record) => ('expired' in record ? [record.expired, record.voided] : null)).filter((pair) => pair !== null)
      assert.deepEqual(sums, [ended === 'expired' ? [toMicro(60), 0n] : [0n, toMicro(60)]], `${how} after the grant ${ended}`)
      assert.deepEqual(account.balance(), { settled: '0', held: '0', available: '0' })
    }
  }
})

test('a hold over a grant that ended and one that did not gives back only the part of the second', () => {
  const account = new MemoryAccount()
  account.grant(30, { source: 'plan', expiresAtMs: START_MS + MINUTE_MS })
  const topup = seqOf(account.grant(50, { source: 'topup' }))
  const hold = seqOf(account.hold(50))
  account.wait(MINUTE_MS)
  booked(account.release(hold))
  assert.deepEqual(account.remaining(), [[topup, '50']])
})

// Extending.

test('a hold is extended from now, never made shorter, and never beyond 24 hours from when it was made', () => {
  const cases = [
    { waitedMs: 10 * MINUTE_MS, ttlMs: TTL_MS, endsMs: 25 * MINUTE_MS },
    { waitedMs: 10 * MINUTE_MS, ttlMs: MINUTE_MS, endsMs: TTL_MS },
    { waitedMs: 0, ttlMs: DAY_MS, endsMs: DAY_MS },
    { waitedMs: MINUTE_MS, ttlMs: DAY_MS - MINUTE_MS, endsMs: DAY_MS },
    { waitedMs: MINUTE_MS, ttlMs: DAY_MS - MINUTE_MS + 1, endsMs: null },
  ]
  for (const { waitedMs, ttlMs, endsMs } of cases) {
    const { account, hold } = accountWithHold()
    account.wait(waitedMs)
    const answer = account.extend(hold, ttlMs)
    if (endsMs === null) {
      assert.equal(codeOf(answer), 'hold_ttl_exceeded')
      assert.equal(refusal(answer).facts.latest, new Date(START_MS + DAY_MS).toISOString())
    }
    const ends = START_MS + (endsMs ?? TTL_MS)
    account.nowMs = ends - 1
    assert.equal(account.held().length, 1, 'live until then')
    account.nowMs = ends
    assert.equal(account.held().length, 0, 'and no longer')
  }
})

test('a hold that is extended again and again still ends 24 hours after it was made', () => {
  const { account, hold } = accountWithHold()
  const codes: string[] = []
  for (let minutes = 10; minutes <= 24 * 60; minutes += 10) {
    account.wait(10 * MINUTE_MS)
    codes.push(codeOf(account.extend(hold, TTL_MS)))
  }
  assert.deepEqual([...new Set(codes)], ['ok', 'hold_ttl_exceeded', 'hold_expired'])
  assert.equal(codes.lastIndexOf('ok'), 141, 'the last extension that fits ends 23 hours and 55 minutes after the start')
})

// Increasing.

test('an increase sets more aside in burn order, after what was held before', () => {
  const account = new MemoryAccount()
  const topup = seqOf(account.grant(50, { source: 'topup' }))
  const hold = seqOf(account.hold(20))
  const plan = seqOf(account.grant(30, { source: 'plan' }))
  booked(account.increase(hold, 40))
  assert.deepEqual(account.balance(), { settled: '80', held: '60', available: '20' })
  const { record } = booked(account.capture(hold, 55))
  assert.deepEqual('movements' in record && record.movements.map(({ grant, remaining, held }) => [grant, remaining, held]), [
    [topup, toMicro(-20), toMicro(-20)],
    [plan, toMicro(-30), toMicro(-30)],
    [topup, toMicro(-5), toMicro(-5)],
    [topup, 0n, toMicro(-5)],
  ])
})

test('an increase is refused as a new hold would be, and leaves the hold as it was', () => {
  const cases: readonly { readonly amount: number; readonly prepare?: (account: MemoryAccount) => unknown; readonly code: string }[] = [
    { amount: 40, code: 'ok' },
    { amount: 41, code: 'insufficient_credits' },
    { amount: 25, prepare: (account) => account.hold(20), code: 'credits_in_flight' },
    { amount: 101, code: 'insufficient_credits' },
    { amount: 1, prepare: (account) => account.update({ status: 'suspended' }), code: 'account_suspended' },
  ]
  for (const { amount, prepare, code } of cases) {
    const { account, hold } = accountWithHold()
    prepare?.(account)
    assert.equal(codeOf(account.increase(hold, amount)), code)
    assert.deepEqual(account.held()[0], [hold, code === 'ok' ? '100' : '60'])
  }
})

test('an increase counts against the budget of the key of its hold, and the whole hold against the most it may spend at once', () => {
  const account = new MemoryAccount()
  account.grant(500)
  const key = seqOf(account.createKey({ limit: toMicro(100), period: 'day', timeZone: 'UTC', maxPerCharge: toMicro(80) }))
  const hold = seqOf(account.hold(50, { key }))
  booked(account.charge(30, { key }))
  const codes = [31, 21, 20].map((amount) => codeOf(account.increase(hold, amount)))
  assert.deepEqual(codes, ['key_charge_limit_exceeded', 'key_budget_exceeded', 'ok'])
})

test(`an account has at most ${MAX_OPEN_HOLDS} live holds, and room again when one ends`, () => {
  const account = new MemoryAccount()
  account.grant(5000)
  const first = seqOf(account.hold(1, { ttlMs: HOUR_MS }))
  account.quickly(() => {
    for (let count = 1; count < MAX_OPEN_HOLDS; count += 1) booked(account.hold(1, { ttlMs: HOUR_MS }))
  })
  assert.equal(codeOf(account.hold(1)), 'too_many_open_holds')
  booked(account.release(first))
  assert.deepEqual([account.hold(1), account.hold(1)].map(codeOf), ['ok', 'too_many_open_holds'])
  account.wait(HOUR_MS)
  assert.equal(codeOf(account.hold(1)), 'ok')
  assert.equal(account.held().length, 1)
})
