import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, DAY_MS, HOUR_MS, MemoryAccount, START_MS, seqOf } from '../../../test/running/memory-account.ts'
import * as plan from '../../../test/running/subscriptions.ts'
import { viewAt } from '../due.ts'
import type { JournalRecord } from '../record.ts'
import { askingMs, type Collection, type Subscription, statusOf } from '../subscription.ts'
import { GRACE_MS, RETRY_AFTER_MS } from './subscription-payment.ts'

const START = Date.parse('2027-04-01T00:00:00Z')
const NEXT = Date.parse('2027-05-01T00:00:00Z')

/** An account with a plan for 9.00, and with something to pay by unless told otherwise. */
function subscribed({ withMethod = true, ...wish }: plan.PlanWish & { withMethod?: boolean } = {}): {
  readonly account: MemoryAccount
  readonly seq: number
} {
  const account = new MemoryAccount()
  account.nowMs = START
  if (withMethod) booked(account.send(plan.saveMethod()))
  return { account, seq: seqOf(account.send(plan.start({ price: 900, ...wish }))) }
}

/** The same, paid for, at the beginning of its second period. */
function renewed(wish: Parameters<typeof subscribed>[0] = {}): { readonly account: MemoryAccount; readonly seq: number } {
  const { account, seq } = subscribed(wish)
  booked(account.send(plan.pay(seq, 900, { payment: 'first' })))
  account.nowMs = NEXT
  return { account, seq }
}

function only(account: MemoryAccount): Subscription {
  const [subscription] = viewAt(account.state, account.nowMs).subscriptions
  assert.ok(subscription)
  return subscription
}

function collectionOf(account: MemoryAccount): Collection {
  const { collection } = only(account)
  assert.ok(collection)
  return collection
}

function ended(account: MemoryAccount): boolean {
  return viewAt(account.state, account.nowMs).subscriptions.length === 0
}

/** Asks for a payment and has it declined. */
function declineOnce(account: MemoryAccount, seq: number, mayRetry = true): JournalRecord {
  return booked(account.send(plan.decline(seq, seqOf(account.send(plan.attempt(seq))), mayRetry))).record
}

test('the credits of a plan that costs money come with the payment, and end with the period', () => {
  const { account, seq } = subscribed({ welcome: 5 })
  assert.deepEqual([statusOf(only(account)), account.balance().available], ['pending', '0'])
  const attempt = seqOf(account.send(plan.attempt(seq)))
  assert.deepEqual(collectionOf(account).attempt?.seq, attempt)
  account.wait(3 * DAY_MS)
  const { records } = booked(account.send(plan.pay(seq, 900)))
  assert.deepEqual(
    records.map((record) => [
      record.kind,
      record.kind === 'subscription_granted' && [record.why, record.grant.expiresAtMs, record.grant.paid],
    ]),
    [
      ['subscription_paid', false],
      ['subscription_granted', ['period', NEXT, true]],
      ['subscription_granted', ['welcome', null, false]],
    ],
  )
  assert.deepEqual([statusOf(only(account)), account.balance().available], ['active', '105'])
})

test('a renewal is booked with the payment due, and what rolls over is there without it', () => {
  const { account, seq } = renewed({ rollover: { percent: 50 } })
  assert.deepEqual([statusOf(only(account)), account.balance().available], ['active', '50'])
  assert.deepEqual([collectionOf(account).amountMinor, askingMs(only(account))], [900, NEXT])
  booked(account.send(plan.pay(seq, 900, { payment: 'second' })))
  assert.equal(account.balance().available, '150')
})

test('an attempt is made once: not before it is due, not while another is in flight, and not when nothing is due', () => {
  const { account, seq } = renewed()
  account.nowMs = NEXT - 1
  assert.equal(booked(account.send(plan.attempt(seq))).records.length, 0)
  account.nowMs = NEXT
  booked(account.send(plan.attempt(seq)))
  assert.equal(booked(account.send(plan.attempt(seq))).records.length, 0)
  booked(account.send(plan.pay(seq, 900, { payment: 'second' })))
  assert.equal(booked(account.send(plan.attempt(seq))).records.length, 0)
  assert.equal(account.journal.filter(({ kind }) => kind === 'subscription_payment_attempted').length, 1)
})

test('a card that is declined again and again is tried as often as is stated, and then the subscription ends', () => {
  const { account, seq } = renewed()
  const triedAt: number[] = []
  for (; !ended(account); account.wait(HOUR_MS)) {
    const { record, records } = booked(account.send(plan.attempt(seq)))
    if (records.length === 0) continue
    triedAt.push((account.nowMs - NEXT) / DAY_MS)
    booked(account.send(plan.decline(seq, record.seq)))
  }
  account.charge(0)
  assert.deepEqual(triedAt, [0, 1, 3, 6])
  assert.equal(RETRY_AFTER_MS.length, 3)
  const end = account.journal.find(({ kind }) => kind === 'subscription_ended')
  assert.ok(end?.kind === 'subscription_ended')
  assert.deepEqual([end.reason, end.dueMs], ['unpaid', NEXT + GRACE_MS])
  assert.equal(account.balance().available, '0')
})

test('a card that must not be tried again is not, until the customer leaves another', () => {
  const { account, seq } = renewed()
  const record = declineOnce(account, seq, false)
  assert.ok(record.kind === 'subscription_payment_failed')
  assert.deepEqual([record.nextAttemptMs, record.graceEndsMs, statusOf(only(account))], [null, NEXT + GRACE_MS, 'past_due'])
  account.wait(2 * DAY_MS)
  assert.equal(booked(account.send(plan.attempt(seq))).records.length, 0)
  assert.equal(booked(account.send(plan.saveMethod())).records.length, 0, 'the same card is nothing new')
  booked(account.send(plan.saveMethod({ method: 'another card' })))
  assert.deepEqual([collectionOf(account).nextAttemptMs, collectionOf(account).declines], [account.nowMs, 1])
  booked(account.send(plan.attempt(seq)))
  booked(account.send(plan.pay(seq, 900, { payment: 'second' })))
  assert.deepEqual([statusOf(only(account)), account.balance().available], ['active', '100'])
})

test('without anything to pay by nothing is tried; from when that was found out the grace runs', () => {
  const { account, seq } = renewed({ withMethod: false })
  account.wait(10 * DAY_MS)
  assert.equal(ended(account), false, 'a server that slept ends nothing for that')
  const { record } = booked(account.send(plan.attempt(seq)))
  assert.ok(record.kind === 'subscription_payment_failed')
  assert.deepEqual([record.attempt, record.code, record.graceEndsMs], [null, 'no_payment_method', account.nowMs + GRACE_MS])
  account.wait(GRACE_MS - 1)
  assert.equal(ended(account), false)
  account.wait(1)
  assert.equal(ended(account), true)
})

test('something to pay by that is another provider’s, or was forgotten, is of no use', () => {
  for (const make of [
    () => plan.saveMethod({ provider: 'stripe', method: 'x' }),
    () => plan.saveMethod({ isLive: true, method: 'x' }),
    plan.removeMethod,
  ]) {
    const { account, seq } = renewed()
    booked(account.send(make()))
    const { record } = booked(account.send(plan.attempt(seq)))
    assert.deepEqual(record.kind === 'subscription_payment_failed' && record.code, 'no_payment_method')
  }
})

test('a period that is over is not paid for any more: the next one is, and what was declined counts on', () => {
  const { account, seq } = renewed({ every: '1 month', price: 900 })
  account.nowMs = NEXT + 29 * DAY_MS
  declineOnce(account, seq)
  account.nowMs = Date.parse('2027-06-01T00:00:00Z')
  assert.deepEqual([collectionOf(account).declines, collectionOf(account).amountMinor], [1, 900])
  booked(account.send(plan.attempt(seq)))
  const { records } = booked(account.send(plan.pay(seq, 900, { payment: 'second' })))
  const grant = records.find(({ kind }) => kind === 'subscription_granted')
  assert.deepEqual(grant?.kind === 'subscription_granted' && grant.grant.expiresAtMs, Date.parse('2027-07-01T00:00:00Z'))
})

test('a server that slept for months asks for the current period alone', () => {
  const { account, seq } = renewed()
  account.nowMs = Date.parse('2027-08-10T00:00:00Z')
  booked(account.send(plan.attempt(seq)))
  booked(account.send(plan.pay(seq, 900, { payment: 'second' })))
  assert.equal(account.journal.filter(({ kind }) => kind === 'subscription_renewed').length, 4)
  assert.equal(account.journal.filter(({ kind }) => kind === 'subscription_payment_attempted').length, 1)
  assert.equal(account.balance().available, '100')
})

test('a payment that was asked for in one period and arrives in the next pays for the next', () => {
  const { account, seq } = renewed()
  booked(account.send(plan.attempt(seq)))
  account.nowMs = Date.parse('2027-06-02T00:00:00Z')
  assert.notEqual(collectionOf(account).attempt, null, 'it is still in flight')
  booked(account.send(plan.pay(seq, 900, { payment: 'second' })))
  assert.deepEqual([only(account).collection, account.balance().available], [null, '100'])
})

test('nothing ends while money is on its way, and it ends when that has failed and the grace is over', () => {
  const { account, seq } = renewed()
  declineOnce(account, seq)
  account.wait(DAY_MS)
  const attempt = seqOf(account.send(plan.attempt(seq)))
  booked(account.send(plan.pend(seq, attempt)))
  assert.equal(booked(account.send(plan.pend(seq, attempt))).records.length, 0)
  assert.equal(collectionOf(account).attempt?.payment, 'on its way')
  account.wait(20 * DAY_MS)
  assert.equal(ended(account), false)
  booked(account.send(plan.decline(seq, attempt)))
  assert.equal(ended(account), true)
})

test('a page keeps other attempts away while it is open; one that is not used lets them go on', () => {
  const { account, seq } = renewed()
  const page = seqOf(account.send(plan.openPage(seq)))
  assert.equal(codeOf(account.send(plan.openPage(seq))), 'payment_in_flight')
  assert.equal(booked(account.send(plan.attempt(seq))).records.length, 0)
  booked(account.send(plan.linkPage(seq, page)))
  assert.equal(booked(account.send(plan.linkPage(seq, page))).records.length, 0)
  assert.equal(collectionOf(account).attempt?.page?.reference, `page ${page}`)
  account.wait(HOUR_MS)
  booked(account.send(plan.closePage(seq, page)))
  assert.deepEqual([collectionOf(account).declines, collectionOf(account).nextAttemptMs], [0, account.nowMs])
  assert.equal(booked(account.send(plan.closePage(seq, page))).records.length, 0)
  booked(account.send(plan.attempt(seq)))
})

test('a page that is not used after a decline does not bring the next attempt forward', () => {
  const { account, seq } = renewed()
  declineOnce(account, seq)
  const page = seqOf(account.send(plan.openPage(seq)))
  account.wait(HOUR_MS)
  booked(account.send(plan.closePage(seq, page)))
  assert.deepEqual(collectionOf(account).nextAttemptMs, account.nowMs + DAY_MS)
})

test('a page can be opened only when there is something to pay', () => {
  const { account, seq } = subscribed()
  booked(account.send(plan.pay(seq, 900)))
  assert.equal(codeOf(account.send(plan.openPage(seq))), 'nothing_to_pay')
})

test('a payment counts once, however often it is told', () => {
  const { account, seq } = subscribed()
  booked(account.send(plan.pay(seq, 900)))
  assert.equal(booked(account.send(plan.pay(seq, 900))).records.length, 0)
  assert.equal(account.balance().available, '100')
})

test('a payment says what it was for: the period, or a change for what is left of it', () => {
  const { account, seq } = subscribed()
  const { record } = booked(account.send(plan.pay(seq, 900)))
  const period = only(account).period
  assert.ok(period && record.kind === 'subscription_paid')
  const of = { plan: 'pro', version: 1, name: 'Pro' }
  assert.deepEqual(record.covers, { ...of, startMs: period.startMs, endMs: period.endMs, isChange: false })
  account.wait(DAY_MS)
  booked(account.send(plan.change(seq, { plan: 'max', name: 'Max', price: 9_000 })))
  const due = only(account).collection?.amountMinor ?? 0
  const changed = booked(account.send(plan.pay(seq, due, { payment: 'difference' }))).record
  assert.ok(changed.kind === 'subscription_paid')
  const rest = { startMs: account.nowMs, endMs: period.endMs, isChange: true }
  assert.deepEqual(changed.covers, { plan: 'max', version: 1, name: 'Max', ...rest })
})

test('money that goes back is put on record and moves no credits, also when the subscription is over', () => {
  const { account, seq } = subscribed()
  const attempt = seqOf(account.send(plan.openPage(seq)))
  booked(account.send({ ...plan.pay(seq, 900), attempt } as Parameters<typeof account.send>[0]))
  const before = account.balance()
  const { record } = booked(account.send(plan.giveBack(seq, attempt)))
  assert.ok(record.kind === 'subscription_payment_returned')
  assert.deepEqual([record.by, record.name, record.amountMinor, account.balance()], ['refund', 'refund', 100, before])
  booked(account.send(plan.cancel(seq, 'now')))
  const late = booked(account.send(plan.giveBack(seq, attempt, { by: 'dispute', name: 'late' }))).record
  assert.deepEqual([late.kind, account.state.subscriptions], ['subscription_payment_returned', []])
})

test('an account that lives by a test clock pays with play money alone', () => {
  const account = MemoryAccount.onClock(START_MS)
  const seq = seqOf(account.send(plan.start({ price: 900 })))
  booked(account.send(plan.saveMethod({ isLive: true, provider: 'stripe' })))
  const real = { subscription: seq, provider: 'stripe', isLive: true } as const
  assert.equal(codeOf(account.send({ kind: 'open_payment_page', ...real, ttlMs: DAY_MS })), 'account_has_test_clock')
  const { record } = booked(account.send({ kind: 'attempt_payment', ...real }))
  assert.deepEqual(record.kind === 'subscription_payment_failed' && record.code, 'no_payment_method')
  assert.equal(booked(account.send(plan.openPage(seq))).record.kind, 'subscription_payment_attempted')
})

const MISMATCHES = [
  ['amount', plan.pay(3, 899, { payment: 'x' })],
  ['amount', plan.pay(3, 900, { payment: 'x', totalMinor: 899 })],
  ['currency', plan.pay(3, 900, { payment: 'x', currency: 'usd' })],
  ['mode', plan.pay(3, 900, { payment: 'x', isLive: true })],
] as const

for (const [reason, command] of MISMATCHES)
  test(`a payment that is not what was due (${reason}) gives nothing, and is put on record`, () => {
    const { account, seq } = subscribed()
    assert.equal(seq, 3)
    booked(account.send(plan.attempt(seq)))
    const { record } = booked(account.send(command))
    assert.deepEqual(record.kind === 'subscription_payment_mismatched' && record.reason, reason)
    assert.deepEqual([account.balance().available, statusOf(only(account))], ['0', 'pending'])
  })

test('a payment that nobody asked for, or that comes when the subscription is over, gives nothing and is put on record', () => {
  const { account, seq } = subscribed()
  booked(account.send(plan.pay(seq, 900)))
  const extra = booked(account.send(plan.pay(seq, 900, { payment: 'second' }))).record
  booked(account.send(plan.cancel(seq, 'now')))
  const late = booked(account.send(plan.pay(seq, 900, { payment: 'third' }))).record
  assert.deepEqual(
    [extra, late].map((record) => record.kind === 'subscription_payment_mismatched' && record.reason),
    ['not_due', 'ended'],
  )
  assert.equal(account.balance().available, '0')
})

test('an attempt that is answered by a payment of another amount is over, and another can be made', () => {
  const { account, seq } = renewed()
  const attempt = seqOf(account.send(plan.attempt(seq)))
  const told = plan.pay(seq, 1, { payment: 'second' })
  assert.ok(told.kind === 'pay_subscription')
  booked(account.send({ ...told, attempt }))
  assert.equal(collectionOf(account).attempt, null)
})

test('a change that is declined does not come about, and keeps nothing from going on', () => {
  const { account, seq } = subscribed()
  booked(account.send(plan.pay(seq, 900)))
  booked(account.send(plan.change(seq, { plan: 'big', price: 3_000 })))
  declineOnce(account, seq)
  assert.deepEqual(
    [statusOf(only(account)), collectionOf(account).nextAttemptMs, collectionOf(account).graceEndsMs],
    ['active', null, null],
  )
  account.wait(20 * DAY_MS)
  assert.deepEqual([statusOf(only(account)), only(account).terms.plan], ['active', 'pro'])
})

test('a trial of a plan that costs money ends with the payment due', () => {
  const { account, seq } = subscribed({ trial: { days: 7, credits: 3 } })
  assert.deepEqual([statusOf(only(account)), account.balance().available, only(account).collection], ['trialing', '3', null])
  account.wait(7 * DAY_MS)
  assert.deepEqual([statusOf(only(account)), account.balance().available], ['pending', '0'])
  booked(account.send(plan.attempt(seq)))
  booked(account.send(plan.pay(seq, 900)))
  assert.equal(account.balance().available, '100')
})

test('a subscription that is not paid for can be canceled, and is over at once', () => {
  const { account, seq } = subscribed()
  booked(account.send(plan.cancel(seq)))
  assert.equal(ended(account), true)
})
