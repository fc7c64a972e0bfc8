/** Periods follow each other by time alone: what is left rolls over or ends, and the next credits are there, each as of its moment. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, DAY_MS, HOUR_MS, MemoryAccount, MINUTE_MS, seqOf } from '../../test/running/memory-account.ts'
import * as plan from '../../test/running/subscriptions.ts'
import { poolOf } from './account.ts'
import { formatCredits } from './credits.ts'
import { openDraft, viewAt } from './due.ts'
import type { JournalRecord } from './record.ts'
import { statusOf } from './subscription.ts'

const START = Date.parse('2027-01-31T10:00:00Z')

function accountAt(iso: string | number = START): MemoryAccount {
  const account = new MemoryAccount()
  account.nowMs = typeof iso === 'string' ? Date.parse(iso) : iso
  return account
}

function goTo(account: MemoryAccount, iso: string): void {
  account.nowMs = Date.parse(iso)
}

/** What the next command books before its own record. */
function bookedByTime(account: MemoryAccount): readonly JournalRecord[] {
  return booked(account.grant(1, { creditType: 'other' })).records.filter(({ actor }) => actor === 'time')
}

/** Kind, when it was due, and credits of each record. */
function story(records: readonly JournalRecord[]): readonly string[] {
  return records.map((record) => {
    const due = 'dueMs' in record ? new Date(record.dueMs).toISOString().slice(0, 10) : ''
    const credits = 'credits' in record ? record.credits : record.kind === 'subscription_granted' ? record.grant.amount : null
    const why = record.kind === 'subscription_granted' ? ` ${record.why}` : ''
    return `${due} ${record.kind}${why}${credits === null ? '' : ` ${formatCredits(credits)}`}`
  })
}

/** Source, what remains, and when it ends, of each open grant. */
function grantsOf(account: MemoryAccount, creditType = 'credits'): readonly string[] {
  return poolOf(viewAt(account.state, account.nowMs), creditType).grants.map(
    ({ source, remaining, expiresAtMs }) =>
      `${source} ${formatCredits(remaining)} ${expiresAtMs === null ? 'ever' : new Date(expiresAtMs).toISOString().slice(0, 10)}`,
  )
}

test('a subscription gives its credits at once, and the next ones with the next period', () => {
  const account = accountAt()
  account.send(plan.start())
  assert.deepEqual(grantsOf(account), ['plan 100 2027-02-28'])
  account.charge(30)
  goTo(account, '2027-02-28T09:59:59.999Z')
  assert.equal(account.balance().available, '70')
  goTo(account, '2027-02-28T10:00:00Z')
  assert.equal(account.balance().available, '100')
  assert.deepEqual(story(bookedByTime(account)), [
    '2027-02-28 grant_expired 70',
    '2027-02-28 subscription_renewed',
    '2027-02-28 subscription_granted period 100',
  ])
  assert.deepEqual(grantsOf(account), ['plan 100 2027-03-31'])
})

test('a server that slept for months books every period once, in order, at its first answer', () => {
  const account = accountAt()
  account.send(plan.start({ rollover: { percent: 50, cap: 30 } }))
  account.charge(60)
  goTo(account, '2027-05-01T00:00:00Z')
  assert.equal(account.balance().available, '130')
  const records = bookedByTime(account)
  assert.deepEqual(story(records), [
    '2027-02-28 grant_expired 40',
    '2027-02-28 subscription_renewed',
    '2027-02-28 subscription_granted rollover 20',
    '2027-02-28 subscription_granted period 100',
    '2027-03-31 grant_expired 100',
    '2027-03-31 subscription_renewed',
    '2027-03-31 subscription_granted rollover 30',
    '2027-03-31 subscription_granted period 100',
    '2027-03-31 grant_expired 20',
    '2027-04-30 grant_expired 100',
    '2027-04-30 subscription_renewed',
    '2027-04-30 subscription_granted rollover 30',
    '2027-04-30 subscription_granted period 100',
    '2027-04-30 grant_expired 30',
  ])
  assert.deepEqual(new Set(records.map(({ atMs }) => atMs)), new Set([account.nowMs]), 'booked now, as of then')
  assert.deepEqual(bookedByTime(account), [])
  assert.equal(account.balance().available, '130')
})

test('what is looked at in any number of steps is what is booked in one', () => {
  const account = accountAt()
  account.send(plan.start({ every: '1 week', rollover: { percent: 30, periods: 2 }, gives: { credits: 100, image_credits: 7 } }))
  account.charge(55)
  account.hold(20, { ttlMs: DAY_MS })
  const { atMs: _, ...once } = viewAt(account.state, account.nowMs + 90 * DAY_MS)
  let view = account.state
  for (let hours = 0; hours <= 90 * 24; hours += 7) view = viewAt(view, account.nowMs + hours * HOUR_MS)
  const { atMs: __, ...stepped } = viewAt(view, account.nowMs + 90 * DAY_MS)
  assert.deepEqual(stepped, once)
})

test('rolled over credits burn first, and end after as many periods as the plan says', () => {
  const account = accountAt('2027-01-15T00:00:00Z')
  account.send(plan.start({ rollover: { percent: 100, periods: 2 } }))
  account.charge(90)
  goTo(account, '2027-02-15T00:00:00Z')
  assert.deepEqual(grantsOf(account), ['rollover 10 2027-04-15', 'plan 100 2027-03-15'])
  account.charge(4)
  assert.deepEqual(grantsOf(account), ['rollover 6 2027-04-15', 'plan 100 2027-03-15'])
  goTo(account, '2027-03-15T00:00:00Z')
  assert.deepEqual(grantsOf(account), ['rollover 6 2027-04-15', 'rollover 100 2027-05-15', 'plan 100 2027-04-15'])
})

test('a part of what is left is rounded down to a millionth', () => {
  const account = accountAt()
  account.send(plan.start({ rollover: { percent: 33 } }))
  account.charge('99.999995')
  goTo(account, '2027-02-28T10:00:00Z')
  assert.deepEqual(grantsOf(account), ['rollover 0.000001 2027-03-31', 'plan 100 2027-03-31'])
})

test('a hold that ends with the period lets its credits roll over; one that outlives it keeps them, and what it lets go is gone', () => {
  for (const [ttlMs, rolled, left] of [
    [HOUR_MS, '100', '200'],
    [2 * HOUR_MS, '60', '200'],
  ] as const) {
    const account = accountAt()
    account.send(plan.start({ rollover: { percent: 100 } }))
    goTo(account, '2027-02-28T09:00:00Z')
    const hold = seqOf(account.hold(40, { ttlMs }))
    goTo(account, '2027-02-28T10:00:00Z')
    assert.ok(grantsOf(account).includes(`rollover ${rolled} 2027-03-31`), rolled)
    assert.equal(account.balance().settled, left)
    account.wait(MINUTE_MS)
    if (rolled === '60') booked(account.capture(hold, 10))
    assert.equal(account.balance().available, rolled === '60' ? '160' : '200')
  }
})

test('a refund goes back to the period that it was drawn from, and rolls over with it', () => {
  const account = accountAt()
  account.send(plan.start({ rollover: { percent: 100 } }))
  const charge = seqOf(account.charge(100))
  account.refund(charge, 30)
  goTo(account, '2027-02-28T10:00:00Z')
  assert.deepEqual(grantsOf(account), ['rollover 30 2027-03-31', 'plan 100 2027-03-31'])
})

test('a refund after the period has ended comes back as a grant of its own', () => {
  const account = accountAt()
  account.send(plan.start())
  const charge = seqOf(account.charge(100))
  goTo(account, '2027-03-01T00:00:00Z')
  booked(account.refund(charge, 30))
  assert.deepEqual(grantsOf(account), ['plan 100 2027-03-31', 'refund 30 2027-03-31'])
})

test('the credits of a period pay a debt first, as of when they came', () => {
  const account = accountAt()
  account.send(plan.start())
  booked(account.capture(seqOf(account.hold(10)), 130))
  assert.equal(account.debt(), '30')
  goTo(account, '2027-03-15T00:00:00Z')
  assert.deepEqual([account.debt(), account.balance().available], ['0', '70'])
})

test('other grants are left alone, and no more is given than an account can hold', () => {
  const account = accountAt()
  account.send(plan.start())
  account.grant('9199999999850', { source: 'topup', paid: true })
  account.charge(60)
  goTo(account, '2027-02-28T10:00:00Z')
  assert.deepEqual(grantsOf(account), ['plan 100 2027-03-31', 'topup 9199999999850 ever'])
  account.grant(10)
  account.charge(0)
  goTo(account, '2027-03-31T10:00:00Z')
  account.grant(30)
  goTo(account, '2027-04-30T10:00:00Z')
  assert.equal(grantsOf(account)[0], 'plan 100 2027-05-31')
  account.quickly(() => account.grant(10))
  goTo(account, '2027-05-31T10:00:00Z')
  assert.equal(grantsOf(account)[0], 'plan 100 2027-06-30')
})

test('credits beyond what an account can hold are cut off, and later periods go on', () => {
  const account = accountAt()
  account.grant('9199999999950', { source: 'topup' })
  account.send(plan.start())
  assert.deepEqual(grantsOf(account), ['plan 50 2027-02-28', 'topup 9199999999950 ever'])
  account.charge(50)
  account.grant(50)
  goTo(account, '2027-02-28T10:00:00Z')
  assert.deepEqual(
    bookedByTime(account).map(({ kind }) => kind),
    ['subscription_renewed'],
  )
  account.charge(1)
  goTo(account, '2027-03-31T10:00:00Z')
  assert.equal(grantsOf(account)[0], 'plan 1 2027-04-30')
})

test('several subscriptions renew beside each other', () => {
  const account = accountAt()
  account.send(plan.start())
  account.send(plan.start({ plan: 'daily', every: '1 day', gives: { credits: 5, image_credits: 2 } }))
  account.charge(3)
  goTo(account, '2027-02-28T10:00:00Z')
  assert.deepEqual(grantsOf(account), ['plan 5 2027-03-01', 'plan 100 2027-03-31'])
  assert.deepEqual(grantsOf(account, 'image_credits'), ['plan 2 2027-03-01'])
  assert.equal(bookedByTime(account).filter(({ kind }) => kind === 'subscription_renewed').length, 29)
})

test('a trial gives its own credits, and the plan begins when it ends', () => {
  const account = accountAt('2027-03-01T12:00:00Z')
  account.send(plan.start({ trial: { days: 7, credits: 10 }, welcome: 25, rollover: { percent: 100 } }))
  assert.deepEqual(grantsOf(account), ['promo 10 2027-03-08'])
  assert.deepEqual(account.state.subscriptions.map(statusOf), ['trialing'])
  goTo(account, '2027-03-08T12:00:00Z')
  assert.deepEqual(grantsOf(account), ['plan 100 2027-04-08', 'promo 25 ever'], 'what is left of a trial does not roll over')
  goTo(account, '2027-04-08T12:00:00Z')
  assert.deepEqual(grantsOf(account), ['rollover 100 2027-05-08', 'plan 100 2027-05-08', 'promo 25 ever'])
})

test('a trial lasts whole days of its zone', () => {
  const account = accountAt('2026-10-24T10:00:00Z')
  account.send(plan.start({ trial: { days: 2, credits: 10 }, timeZone: 'Europe/Berlin' }))
  assert.equal(account.state.dueMs, Date.parse('2026-10-26T11:00:00Z'))
})

test('periods counted from the past begin with the one that holds now, in full', () => {
  const account = accountAt('2027-03-10T00:00:00Z')
  account.send(plan.start({}, { anchorMs: Date.parse('2026-08-31T18:00:00Z') }))
  assert.deepEqual(grantsOf(account), ['plan 100 2027-03-31'])
  assert.equal(account.state.subscriptions[0]?.period?.startMs, Date.parse('2027-02-28T18:00:00Z'))
})

test('a plan that is changed at the period’s end rolls over by the old one and gives by the new one', () => {
  const account = accountAt()
  const seq = seqOf(account.send(plan.start({ rollover: { percent: 50 } })))
  account.send(plan.change(seq, { plan: 'team', gives: { credits: 500, image_credits: 5 } }, 'period_end'))
  account.charge(20)
  goTo(account, '2027-03-31T10:00:00Z')
  assert.deepEqual(grantsOf(account), ['plan 500 2027-04-30'], 'the second period rolls nothing over')
  assert.deepEqual(
    story(bookedByTime(account)).filter((line) => line.includes('granted')),
    [
      '2027-02-28 subscription_granted rollover 40',
      '2027-02-28 subscription_granted period 500',
      '2027-02-28 subscription_granted period 5',
      '2027-03-31 subscription_granted period 500',
      '2027-03-31 subscription_granted period 5',
    ],
  )
})

test('a plan with other periods is counted from when it begins', () => {
  const account = accountAt()
  const seq = seqOf(account.send(plan.start()))
  account.send(plan.change(seq, { plan: 'weekly', every: '1 week' }, 'period_end'))
  goTo(account, '2027-03-07T10:00:00Z')
  assert.deepEqual(grantsOf(account), ['plan 100 2027-03-14'])
})

test('a record that renews a period twice, too early or to another length is not folded', () => {
  const account = accountAt()
  account.send(plan.start())
  const before = account.state
  const { records, state } = openDraft(before, { nowMs: Date.parse('2027-03-01T00:00:00Z'), actor: 'time', requestId: null })
  const renewed = records.find(({ kind }) => kind === 'subscription_renewed')
  assert.ok(renewed?.kind === 'subscription_renewed')
  const again = { ...renewed, seq: state.seq + 1 }
  assert.throws(() => openDraft(state, { nowMs: state.atMs, actor: 'time', requestId: null }).place(again), /does not end then/)
  const draft = (): ReturnType<typeof openDraft> => openDraft(before, { nowMs: START, actor: 'time', requestId: null })
  const early = { ...renewed, seq: before.seq + 1, dueMs: renewed.dueMs - 1 }
  assert.throws(() => draft().place(early), /does not end then/)
  const longer = { ...renewed, seq: before.seq + 1, period: { ...renewed.period, endMs: renewed.period.endMs + DAY_MS } }
  assert.throws(() => draft().place(longer), /another period than the next/)
})
