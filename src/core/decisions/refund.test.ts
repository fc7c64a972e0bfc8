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

/** What is left of each open grant, without the grants' names. */
function leftOf(account: MemoryAccount): readonly string[] {
  return account.remaining().map(([, remaining]) => remaining)
}

/** Refunds of a charge of 10 one after the other; null: all that is left of it. */
const SERIES: readonly { readonly refunds: readonly (number | null)[]; readonly codes: readonly string[]; readonly settled: string }[] = [
  { refunds: [null], codes: ['ok'], settled: '10' },
  { refunds: [10], codes: ['ok'], settled: '10' },
  { refunds: [4], codes: ['ok'], settled: '4' },
  { refunds: [4, 6], codes: ['ok', 'ok'], settled: '10' },
  { refunds: [4, null], codes: ['ok', 'ok'], settled: '10' },
  { refunds: [4, 7], codes: ['ok', 'refund_exceeds_charge'], settled: '4' },
  { refunds: [11], codes: ['refund_exceeds_charge'], settled: '0' },
  { refunds: [null, null], codes: ['ok', 'refund_exceeds_charge'], settled: '10' },
  { refunds: [10, 0], codes: ['ok', 'refund_exceeds_charge'], settled: '10' },
]

for (const { refunds, codes, settled } of SERIES)
  test(`of a charge of 10, refunds of ${refunds.map((amount) => amount ?? 'the rest').join(' and ')} are answered ${codes.join(' and ')}`, () => {
    const account = new MemoryAccount()
    account.grant(10)
    const charge = seqOf(account.charge(10))
    const answers = refunds.map((amount) => codeOf(account.refund(charge, amount)))
    assert.deepEqual(answers, codes)
    assert.equal(account.balance().settled, settled)
  })

test('a refund that is too large says how much can still be refunded', () => {
  const account = new MemoryAccount()
  account.grant(10)
  const charge = seqOf(account.charge(10))
  booked(account.refund(charge, 4))
  assert.deepEqual(refusal(account.refund(charge, 7)).facts, { requested: '7', refundable: '6' })
})

test('only a charge can be refunded: not a hold, a grant, a refund, or nothing at all', () => {
  const account = new MemoryAccount()
  const grant = seqOf(account.grant(10))
  const hold = seqOf(account.hold(5))
  const refund = seqOf(account.refund(seqOf(account.charge(5))))
  const answers = [grant, hold, refund, 999].map((id) => codeOf(account.refund(id)))
  assert.deepEqual(answers, Array(4).fill('charge_not_found'))
})

test('a charge of nothing has nothing to refund', () => {
  const account = new MemoryAccount()
  assert.equal(codeOf(account.refund(seqOf(account.charge(0)))), 'refund_exceeds_charge')
})

test('refunds go back to the grants they came from, last drawn first, each going on where the one before it stopped', () => {
  const account = new MemoryAccount()
  const [plan, promo, topup] = [30, 20, 50].map((amount, priority) => seqOf(account.grant(amount, { priority })))
  const charge = seqOf(account.charge(80))
  const states = [35, 10, 5, null].map((amount) => {
    booked(account.refund(charge, amount))
    return Object.fromEntries(
      account.remaining().map(([grant, left]) => [grant === plan ? 'plan' : grant === promo ? 'promo' : 'topup', left]),
    )
  })
  assert.ok(topup)
  assert.deepEqual(states, [
    { topup: '50', promo: '5' },
    { topup: '50', promo: '15' },
    { topup: '50', promo: '20' },
    { topup: '50', promo: '20', plan: '30' },
  ])
})

test('a spent grant is opened again as it was, in its old place in the burn order', () => {
  const account = new MemoryAccount()
  const terms = { source: 'plan', priority: 7, expiresAtMs: START_MS + DAY_MS, paid: true, effectiveAtMs: START_MS - HOUR_MS } as const
  const spent = seqOf(account.grant(10, terms))
  const charge = seqOf(account.charge(10))
  const other = seqOf(account.grant(10, { ...terms, priority: 8 }))
  const { record } = booked(account.refund(charge))
  assert.ok(record.kind === 'refund')
  assert.deepEqual(record.reopened, [{ seq: spent, ...terms, purchase: null }])
  assert.equal(record.grant, null)
  assert.deepEqual(account.remaining(), [
    [spent, '10'],
    [other, '10'],
  ])
  account.wait(DAY_MS)
  assert.deepEqual(account.remaining(), [], 'it still expires when it would have')
})

test('what came from a grant that has ended comes back as one refund grant of 30 days that burns before top-ups', () => {
  const ways: Readonly<Record<string, (account: MemoryAccount, grant: number) => unknown>> = {
    'it expired': (account) => account.wait(HOUR_MS),
    'it expired with the end booked': (account) => [account.wait(HOUR_MS), account.grant(1, { creditType: 'other' })],
    'it was voided': (account, grant) => account.void(grant),
    'it expired under a hold': (account) => [account.hold(5, { ttlMs: DAY_MS }), account.wait(HOUR_MS)],
    'it was voided under a hold': (account, grant) => [account.hold(5), account.void(grant)],
  }
  for (const [what, end] of Object.entries(ways)) {
    const account = new MemoryAccount()
    const grant = seqOf(account.grant(30, { priority: 1, expiresAtMs: START_MS + HOUR_MS, paid: true }))
    account.grant(50, { source: 'topup' })
    const charge = seqOf(account.charge(20))
    end(account, grant)
    const { record } = booked(account.refund(charge))
    assert.ok(record.kind === 'refund', what)
    assert.deepEqual(record.grant, {
      amount: toMicro(20),
      source: 'refund',
      priority: 35,
      effectiveAtMs: account.nowMs,
      expiresAtMs: account.nowMs + 30 * DAY_MS,
      paid: false,
      purchase: null,
      cost: null,
      metadata: {},
    })
    const others = account.remaining().filter(([seq]) => seq !== grant)
    assert.deepEqual(
      others.map(([, remaining]) => remaining),
      ['20', '50'],
      what,
    )
  }
})

test('the life of a refund grant is the policy that the request names', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
  const charge = seqOf(account.charge(10))
  account.wait(HOUR_MS)
  booked(account.refund(charge, null, 7))
  account.wait(7 * DAY_MS - 1)
  assert.equal(account.balance().settled, '10')
  account.wait(1)
  assert.equal(account.balance().settled, '0')
})

test('a spent grant that would have expired since is not opened again', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
  const charge = seqOf(account.charge(10))
  account.wait(HOUR_MS - 1)
  assert.ok('reopened' in booked(account.refund(charge, 4)).record)
  assert.equal(account.balance().settled, '4')
  account.wait(1)
  assert.equal(account.balance().settled, '0')
  const { record } = booked(account.refund(charge, 6))
  assert.ok(record.kind === 'refund')
  assert.deepEqual([record.reopened, record.grant?.amount], [[], toMicro(6)])
})

test('of a charge on one grant that lives and one that has ended, each part goes where it belongs', () => {
  const account = new MemoryAccount()
  account.grant(30, { priority: 1, expiresAtMs: START_MS + HOUR_MS })
  const topup = seqOf(account.grant(30, { priority: 2 }))
  const charge = seqOf(account.charge(40))
  account.wait(HOUR_MS)
  const { record } = booked(account.refund(charge, 25))
  assert.ok(record.kind === 'refund')
  assert.equal(record.grant?.amount, toMicro(15))
  assert.deepEqual(account.remaining(), [
    [topup, '30'],
    [record.seq, '15'],
  ])
})

test('a refund grant is a grant: charges on it are refunded to it', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
  const first = seqOf(account.charge(10))
  account.wait(HOUR_MS)
  const refund = seqOf(account.refund(first))
  const second = seqOf(account.charge(10))
  booked(account.refund(second))
  assert.deepEqual(account.remaining(), [[refund, '10']])
})

test('captures and late captures are refunded like charges, what the hold let go left out', () => {
  for (const waitMs of [0, 15 * MINUTE_MS]) {
    const account = new MemoryAccount()
    const [plan, topup] = [30, 50].map((amount, priority) => seqOf(account.grant(amount, { priority })))
    const hold = seqOf(account.hold(60, { ttlMs: 15 * MINUTE_MS }))
    account.wait(waitMs)
    const capture = seqOf(account.capture(hold, 40))
    booked(account.refund(capture, 15))
    assert.deepEqual(account.remaining(), [
      [plan, '5'],
      [topup, '50'],
    ])
    assert.equal(codeOf(account.refund(capture, 26)), 'refund_exceeds_charge')
    booked(account.refund(capture))
    assert.deepEqual(leftOf(account), ['30', '50'])
  }
})

test('a refund reaches a suspended account', () => {
  const account = new MemoryAccount()
  account.grant(10)
  const charge = seqOf(account.charge(10))
  account.update({ status: 'suspended' })
  booked(account.refund(charge))
  assert.equal(account.balance().settled, '10')
})

// Debt.

/** An account that had 100 credits, charged 60 of them, and went 50 below zero with a capture of 90. */
function accountInDebt(): { readonly account: MemoryAccount; readonly charge: number; readonly capture: number } {
  const account = new MemoryAccount()
  account.grant(100)
  const charge = seqOf(account.charge(60))
  const capture = seqOf(account.capture(seqOf(account.hold(40)), 90))
  return { account, charge, capture }
}

test('a charge that was partly owed is refunded by forgiving the debt first', () => {
  const { account, capture } = accountInDebt()
  const seen = [30, 30, null].map((amount) => {
    booked(account.refund(capture, amount))
    return [account.debt(), account.balance().settled]
  })
  assert.deepEqual(seen, [
    ['20', '-20'],
    ['0', '10'],
    ['0', '40'],
  ])
})

test('what was owed and has been repaid since comes back as a refund grant', () => {
  const { account, capture } = accountInDebt()
  booked(account.grant(30))
  assert.equal(account.debt(), '20')
  const { record } = booked(account.refund(capture, 50))
  assert.ok(record.kind === 'refund')
  assert.equal(record.grant?.amount, toMicro(30))
  assert.deepEqual([account.debt(), account.balance().settled], ['0', '30'])
})

test('a refund of another charge repays the debt first, before it opens a spent grant for use', () => {
  const { account, charge } = accountInDebt()
  const { record } = booked(account.refund(charge, 20))
  assert.ok(record.kind === 'refund')
  assert.deepEqual(leftOf(account), [], 'nothing is free beside a debt')
  assert.equal(account.debt(), '30')
  booked(account.refund(charge, 40))
  assert.deepEqual([account.debt(), account.balance().available], ['0', '10'])
})

test('a refund grant repays the debt first', () => {
  const account = new MemoryAccount()
  account.grant(60, { priority: 1, expiresAtMs: START_MS + HOUR_MS })
  const charge = seqOf(account.charge(60))
  account.wait(HOUR_MS)
  account.capture(seqOf(account.hold(0)), 50)
  booked(account.refund(charge))
  assert.deepEqual([account.debt(), account.balance().available], ['0', '10'])
  assert.deepEqual(leftOf(account), ['10'])
})

test('what a refund frees repays a debt in burn order, a refund grant in its place', () => {
  const account = new MemoryAccount()
  account.grant(30, { priority: 1, expiresAtMs: START_MS + HOUR_MS })
  const topup = seqOf(account.grant(70, { source: 'topup' }))
  const charge = seqOf(account.charge(60))
  account.wait(HOUR_MS)
  account.hold(5)
  booked(account.capture(seqOf(account.hold(35)), 60))
  assert.equal(account.debt(), '25')
  // 30 go back to the top-up (priority 40), which 5 are held of, and 30 come back as a refund grant (priority 35), which pays first.
  const refund = seqOf(account.refund(charge))
  assert.deepEqual(account.remaining(), [
    [refund, '5'],
    [topup, '35'],
  ])
})

test('a grant that was emptied by what time did in the same moment is opened again, not replaced', () => {
  const account = new MemoryAccount()
  const grant = seqOf(account.grant(100))
  const charge = seqOf(account.charge(20))
  const overrun = seqOf(account.hold(40, { ttlMs: HOUR_MS }))
  account.hold(40, { ttlMs: MINUTE_MS })
  booked(account.capture(overrun, 80))
  assert.equal(account.debt(), '40')
  account.wait(MINUTE_MS)
  // The hold's end frees 40, which repay the debt and empty the grant, within the refund's own decision.
  const { record } = booked(account.refund(charge))
  assert.ok(record.kind === 'refund')
  assert.equal(record.grant, null, 'credits that never expire must not come back as credits that do')
  assert.deepEqual(account.remaining(), [[grant, '20']])
})

test(`a refund never leaves more than ${MAX_OPEN_GRANTS} open grants`, () => {
  const account = new MemoryAccount()
  account.grant(1, { priority: 1 })
  const charge = seqOf(account.charge(1))
  account.quickly(() => {
    for (let count = 0; count < MAX_OPEN_GRANTS; count += 1) booked(account.grant(1))
  })
  assert.equal(codeOf(account.refund(charge)), 'too_many_open_grants')
  booked(account.charge(1))
  assert.equal(codeOf(account.refund(charge)), 'ok')
  assert.equal(account.remaining().length, MAX_OPEN_GRANTS)
})
