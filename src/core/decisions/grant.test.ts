import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
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
import { MAX_OPEN_GRANTS } from '../account.ts'
import { isRefusal } from '../refusals.ts'

/** The most that one account can be granted of one credit type. */
const MOST = '9200000000000'

test('a grant adds its credits to its credit type, and to no other', () => {
  const account = new MemoryAccount()
  booked(account.grant('330.25'))
  booked(account.grant(5, { creditType: 'image_credits' }))
  assert.equal(account.balance().settled, '330.25')
  assert.equal(account.balance('image_credits').settled, '5')
  assert.equal(account.balance('video_credits').settled, '0')
})

test('a grant keeps what was said of it in its record', () => {
  const account = new MemoryAccount()
  const cost = { amountMinor: 1999, currency: 'usd' }
  const { record } = booked(
    account.grant(10, { source: 'topup', paid: true, cost, metadata: { order: '7' }, expiresAtMs: START_MS + DAY_MS }),
  )
  assert.ok(record.kind === 'grant')
  assert.deepEqual(record.grant, {
    amount: toMicro(10),
    source: 'topup',
    priority: 40,
    effectiveAtMs: START_MS,
    expiresAtMs: START_MS + DAY_MS,
    paid: true,
    purchase: null,
    cost,
    metadata: { order: '7' },
  })
})

test('a grant that becomes effective later is not counted until then', () => {
  const account = new MemoryAccount()
  const { record } = booked(account.grant(10, { effectiveAtMs: START_MS + DAY_MS }))
  assert.ok(record.kind === 'grant')
  assert.equal(record.balance.settled, 0n)
  account.wait(DAY_MS - 1)
  assert.equal(account.balance().settled, '0')
  account.wait(1)
  assert.equal(account.balance().settled, '10')
})

test('credits whose time was over before they were granted are not shown as settled', () => {
  const account = new MemoryAccount()
  account.quickly(() => {
    const answer = account.grant(10, { effectiveAtMs: START_MS - DAY_MS, expiresAtMs: START_MS - HOUR_MS })
    const settled = isRefusal(answer) || !('balance' in answer.record) ? 0n : answer.record.balance.settled
    assert.equal(settled, 0n)
  })
})

test(`an account can be granted ${MOST} credits of each type, and not a millionth more`, () => {
  const account = new MemoryAccount()
  assert.equal(codeOf(account.grant(MOST)), 'ok')
  assert.deepEqual([account.grant('0.000001'), account.adjust('0.000001')].map(codeOf), Array(2).fill('amount_out_of_range'))
  assert.equal(codeOf(account.grant(MOST, { creditType: 'image_credits' })), 'ok')
})

test(`an account has at most ${MAX_OPEN_GRANTS} open grants of all types together, and room again when one is spent, expired or voided`, () => {
  const account = new MemoryAccount()
  const first = seqOf(account.grant(1, { priority: 1 }))
  account.quickly(() => {
    for (let count = 2; count < MAX_OPEN_GRANTS; count += 1) booked(account.grant(1, { priority: 2 }))
  })
  booked(account.grant(1, { creditType: 'image_credits', expiresAtMs: START_MS + HOUR_MS }))
  assert.deepEqual(
    [account.grant(1), account.grant(1, { creditType: 'other' }), account.adjust(1)].map(codeOf),
    Array(3).fill('too_many_open_grants'),
  )
  booked(account.void(first))
  assert.deepEqual([account.grant(1), account.grant(1)].map(codeOf), ['ok', 'too_many_open_grants'])
  booked(account.charge(1))
  assert.deepEqual([account.grant(1), account.grant(1)].map(codeOf), ['ok', 'too_many_open_grants'])
  account.wait(HOUR_MS)
  assert.deepEqual([account.grant(1), account.grant(1)].map(codeOf), ['ok', 'too_many_open_grants'])
})

// Voiding.

test('a void takes back what is unspent of one grant, and leaves the others', () => {
  const account = new MemoryAccount()
  const voided = seqOf(account.grant(30, { priority: 1 }))
  const other = seqOf(account.grant(20, { priority: 2 }))
  booked(account.charge(10))
  const { record } = booked(account.void(voided))
  assert.ok(record.kind === 'grant_voided')
  assert.deepEqual([record.credits, record.reason], [toMicro(20), 'charged back'])
  assert.deepEqual(account.remaining(), [[other, '20']])
})

test('a void leaves what is held to its hold, and takes it when the hold lets it go', () => {
  const account = new MemoryAccount()
  const grant = seqOf(account.grant(30))
  const hold = seqOf(account.hold(12))
  const { record } = booked(account.void(grant))
  assert.equal('credits' in record && record.credits, toMicro(18))
  assert.deepEqual(account.balance(), { settled: '12', held: '12', available: '0' })
  booked(account.capture(hold, 5))
  assert.deepEqual(account.balance(), { settled: '0', held: '0', available: '0' })
  const pool = account.state.pools.find(({ creditType }) => creditType === 'credits')
  assert.deepEqual([pool?.charged, pool?.voided], [toMicro(5), toMicro(25)])
})

test('a grant that is not effective yet can be voided', () => {
  const account = new MemoryAccount()
  const grant = seqOf(account.grant(30, { effectiveAtMs: START_MS + DAY_MS }))
  booked(account.void(grant))
  account.wait(DAY_MS)
  assert.equal(account.balance().settled, '0')
})

test('a voided grant does not expire as well', () => {
  const account = new MemoryAccount()
  const grant = seqOf(account.grant(30, { expiresAtMs: START_MS + MINUTE_MS }))
  account.hold(10)
  booked(account.void(grant))
  account.wait(HOUR_MS)
  booked(account.grant(1))
  assert.deepEqual(
    account.journal.map(({ kind }) => kind).filter((kind) => kind.startsWith('grant_') || kind.startsWith('hold_')),
    ['grant_voided', 'hold_expired'],
  )
})

/** Grants that a void comes too late for, and what they are said to be. */
const CLOSED: Readonly<Record<string, { readonly close: (account: MemoryAccount, grant: number) => unknown; readonly status: string }>> = {
  spent: { close: (account) => account.charge(30), status: 'spent' },
  expired: { close: (account) => account.wait(HOUR_MS), status: 'expired' },
  'expired, with its end booked': { close: (account) => [account.wait(HOUR_MS), account.grant(1)], status: 'expired' },
  'expired under a hold': { close: (account) => [account.hold(30, { ttlMs: DAY_MS }), account.wait(HOUR_MS)], status: 'expired' },
  voided: { close: (account, grant) => account.void(grant), status: 'voided' },
  'voided under a hold': { close: (account, grant) => [account.hold(30), account.void(grant)], status: 'voided' },
}

for (const [what, { close, status }] of Object.entries(CLOSED))
  test(`a grant that is ${what} cannot be voided`, () => {
    const account = new MemoryAccount()
    const grant = seqOf(account.grant(30, { expiresAtMs: START_MS + HOUR_MS }))
    close(account, grant)
    const answer = refusal(account.void(grant))
    assert.deepEqual([answer.refused, answer.facts.grant_status], ['grant_closed', status])
  })

test('only a grant can be voided: not a charge, nor a refund that made none, nor nothing at all', () => {
  const account = new MemoryAccount()
  account.grant(10)
  const charge = seqOf(account.charge(5))
  const refund = seqOf(account.refund(charge))
  assert.deepEqual(
    [charge, refund, 999].map((id) => codeOf(account.void(id))),
    Array(3).fill('grant_not_found'),
  )
})

// Adjusting.

test('an adjustment upwards is a grant that never expires, with its reason on record', () => {
  const account = new MemoryAccount()
  const { record } = booked(account.adjust('2.5'))
  assert.ok(record.kind === 'grant')
  assert.deepEqual([record.grant.source, record.grant.expiresAtMs, record.grant.metadata], ['adjustment', null, { reason: 'goodwill' }])
  assert.equal(account.balance().settled, '2.5')
})

test('an adjustment downwards takes in burn order, with its reason on record', () => {
  const account = new MemoryAccount()
  const topup = seqOf(account.grant(10, { source: 'topup' }))
  account.grant(4, { source: 'plan' })
  const { record } = booked(account.adjust(-6))
  assert.ok(record.kind === 'adjustment')
  assert.deepEqual([record.credits, record.reason], [toMicro(6), 'goodwill'])
  assert.deepEqual(account.remaining(), [[topup, '8']])
})

test('an adjustment downwards never takes more than is available', () => {
  const cases = [
    { held: 0, amount: -10, code: 'ok' },
    { held: 0, amount: -11, code: 'insufficient_credits' },
    { held: 4, amount: -6, code: 'ok' },
    { held: 4, amount: -11, code: 'insufficient_credits' },
  ]
  for (const { held, amount, code } of cases) {
    const account = new MemoryAccount()
    account.grant(10)
    account.hold(held)
    assert.equal(codeOf(account.adjust(amount)), code)
  }
})

test('an adjustment that only live holds are in the way of is told to wait, not to pay', () => {
  const account = new MemoryAccount()
  account.grant(10)
  account.hold(4)
  assert.equal(codeOf(account.adjust(-7)), 'credits_in_flight')
})

test('an adjustment reaches a suspended account', () => {
  const account = new MemoryAccount()
  account.update({ status: 'suspended' })
  assert.deepEqual([account.adjust(5), account.adjust(-3), account.grant(1)].map(codeOf), ['ok', 'ok', 'ok'])
  assert.equal(account.balance().settled, '3')
})
