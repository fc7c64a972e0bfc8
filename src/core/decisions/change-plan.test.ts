import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, MemoryAccount, seqOf } from '../../../test/running/memory-account.ts'
import * as plan from '../../../test/running/subscriptions.ts'
import { formatCredits } from '../credits.ts'
import { viewAt } from '../due.ts'
import type { JournalRecord } from '../record.ts'
import type { Subscription } from '../subscription.ts'

/** Thirty days. */
const START = Date.parse('2027-04-01T00:00:00Z')

function opened(iso = '2027-04-01T00:00:00Z'): MemoryAccount {
  const account = new MemoryAccount()
  account.nowMs = Date.parse(iso)
  return account
}

function goTo(account: MemoryAccount, iso: string): void {
  account.nowMs = Date.parse(iso)
}

function only(account: MemoryAccount): Subscription {
  const [subscription] = viewAt(account.state, account.nowMs).subscriptions
  assert.ok(subscription)
  return subscription
}

/** What a change moved: by credit type, below zero what was taken. */
function moved(records: readonly JournalRecord[]): readonly string[] {
  return records.flatMap((record) => {
    if (record.kind === 'subscription_granted') return [`+${formatCredits(record.grant.amount)} ${record.creditType}`]
    return record.kind === 'subscription_reduced' ? [`-${formatCredits(record.credits)} ${record.creditType}`] : []
  })
}

type Case = readonly [what: string, spent: number, to: plan.PlanWish, moves: readonly string[], left: string]

/** After 18 of 30 days, from 100 credits: 12 days, 0.4 of the period, are left. */
const CHANGES: readonly Case[] = [
  ['a larger plan gives the difference for the days that are left', 0, { gives: { credits: 600 } }, ['+200 credits'], '300'],
  ['however much was spent', 100, { gives: { credits: 600 } }, ['+200 credits'], '200'],
  ['a smaller plan takes the difference back', 0, { gives: { credits: 50 } }, ['-20 credits'], '80'],
  ['but no more than is unspent', 95, { gives: { credits: 50 } }, ['-5 credits'], '0'],
  ['and nothing is owed for what was spent ahead', 100, { gives: { credits: 50 } }, [], '0'],
  ['what was spent ahead is taken off what the new plan gives', 100, { gives: { credits: 110 } }, ['+4 credits'], '4'],
  [
    'another credit type begins as if it were a part of the plan from now on',
    0,
    { gives: { credits: 100, image_credits: 10 } },
    ['+4 image_credits'],
    '100',
  ],
  [
    'a credit type that the new plan lacks goes for the days that are left',
    0,
    { gives: { image_credits: 10 } },
    ['-40 credits', '+4 image_credits'],
    '60',
  ],
  ['a part is rounded down to a millionth', 0, { gives: { credits: 100.000001 } }, [], '100'],
]

for (const [what, spent, to, moves, left] of CHANGES)
  test(`changed in the period: ${what}`, () => {
    const account = opened()
    const seq = seqOf(account.send(plan.start()))
    if (spent > 0) account.charge(spent)
    goTo(account, '2027-04-19T00:00:00Z')
    const { record, records } = booked(account.send(plan.change(seq, { plan: 'other', ...to })))
    assert.ok(record.kind === 'subscription_changed')
    assert.equal(record.proration.remainingMs / record.proration.periodMs, 0.4)
    assert.deepEqual([moved(records), account.balance().available], [moves, left])
    goTo(account, '2027-05-01T00:00:00Z')
    const next = Object.entries(to.gives ?? {}).map(([creditType, amount]) => [creditType, `${amount}`])
    for (const [creditType, amount] of next)
      assert.equal(account.balance(creditType).available, amount, 'the next period is that of the new plan')
  })

test('to a plan with other periods: a period begins now, and what was meant for the rest of the old one is taken back', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  account.charge(10)
  goTo(account, '2027-04-19T00:00:00Z')
  const { records } = booked(account.send(plan.change(seq, { plan: 'weekly', every: '1 week', gives: { credits: 30 } })))
  assert.deepEqual(moved(records), ['-40 credits', '+30 credits'])
  assert.equal(account.balance().available, '80', '50 of the old period stay until its end')
  goTo(account, '2027-04-26T00:00:00Z')
  assert.deepEqual([account.balance().available, only(account).period?.startMs], ['80', account.nowMs])
  goTo(account, '2027-05-01T00:00:00Z')
  assert.equal(account.balance().available, '30')
})

test('to a plan with other periods: what was spent ahead is taken off its first credits', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  account.charge(90)
  goTo(account, '2027-04-19T00:00:00Z')
  const { records } = booked(account.send(plan.change(seq, { plan: 'weekly', every: '1 week', gives: { credits: 50 } })))
  assert.deepEqual(moved(records), ['-10 credits', '+20 credits'])
})

test('what a plan gave after a change rolls over with the rest', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ rollover: { percent: 100 } })))
  goTo(account, '2027-04-19T00:00:00Z')
  booked(account.send(plan.change(seq, { plan: 'big', gives: { credits: 600 }, rollover: { percent: 100 } })))
  goTo(account, '2027-05-01T00:00:00Z')
  assert.equal(account.balance().available, '900')
})

test('a newer version of the same plan is a change, and the version that it has is none', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  assert.equal(codeOf(account.send(plan.change(seq, {}))), 'plan_unchanged')
  booked(account.send(plan.change(seq, { version: 2, gives: { credits: 200 } })))
  assert.equal(account.balance().available, '200')
})

test('a change that was planned can be taken back, and another one takes its place', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  booked(account.send(plan.change(seq, { plan: 'team', gives: { credits: 7 } }, 'period_end')))
  booked(account.send(plan.change(seq, {}, 'period_end')))
  assert.equal(only(account).change, null)
  booked(account.send(plan.change(seq, { plan: 'team', gives: { credits: 7 } }, 'period_end')))
  booked(account.send(plan.change(seq, { plan: 'small', gives: { credits: 3 } }, 'period_end')))
  goTo(account, '2027-05-01T00:00:00Z')
  assert.deepEqual([only(account).terms.plan, account.balance().available], ['small', '3'])
})

test('in a trial a change is made when it ends', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ trial: { days: 5, credits: 1 } })))
  booked(account.send(plan.change(seq, { plan: 'team', gives: { credits: 7 } })))
  assert.equal(account.balance().available, '1')
  goTo(account, '2027-04-06T00:00:00Z')
  assert.deepEqual([only(account).terms.plan, account.balance().available], ['team', '7'])
})

// Money.

/** A plan for 9.00 that was paid for when it began. */
function paidAccount(wish: plan.PlanWish = {}): { readonly account: MemoryAccount; readonly seq: number } {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ price: 900, ...wish })))
  booked(account.send(plan.pay(seq, only(account).collection?.amountMinor ?? 0)))
  return { account, seq }
}

test('a dearer plan waits for the difference, and is there when that is paid', () => {
  const { account, seq } = paidAccount()
  goTo(account, '2027-04-19T00:00:00Z')
  const { record } = booked(account.send(plan.change(seq, { plan: 'big', price: 3_001, gives: { credits: 600 } })))
  assert.ok(record.kind === 'subscription_change_due')
  assert.deepEqual(record.proration, { remainingMs: 12 * 86_400_000, periodMs: 30 * 86_400_000, creditedMinor: 360, chargedMinor: 1_200 })
  assert.deepEqual(record.due, { amountMinor: 840, currency: 'eur' })
  assert.deepEqual([only(account).terms.plan, account.balance().available], ['pro', '100'])
  goTo(account, '2027-04-20T00:00:00Z')
  const { records } = booked(account.send(plan.pay(seq, 840, { payment: 'second' })))
  assert.deepEqual(moved(records), ['+200 credits'], 'by what was left when it was asked for')
  assert.deepEqual([only(account).terms.plan, only(account).collection], ['big', null])
  goTo(account, '2027-05-01T00:00:00Z')
  assert.deepEqual(only(account).collection?.amountMinor, 3_001)
})

test('a dearer plan that is not paid for by the end of the period is not had', () => {
  const { account, seq } = paidAccount()
  booked(account.send(plan.change(seq, { plan: 'big', price: 3_000 })))
  goTo(account, '2027-05-01T00:00:00Z')
  assert.deepEqual([only(account).terms.plan, only(account).collection?.amountMinor, only(account).collection?.change], ['pro', 900, null])
})

test('a cheaper plan is there at once, and what is left of the money counts for later periods', () => {
  const { account, seq } = paidAccount()
  goTo(account, '2027-04-19T00:00:00Z')
  booked(account.send(plan.change(seq, { plan: 'small', price: 200, gives: { credits: 10 } })))
  assert.deepEqual(only(account).credit, { amountMinor: 360 - 80, currency: 'eur' })
  assert.equal(account.balance().available, '64')
  goTo(account, '2027-05-01T00:00:00Z')
  assert.deepEqual(
    [only(account).credit, only(account).collection, account.balance().available],
    [{ amountMinor: 80, currency: 'eur' }, null, '10'],
  )
  goTo(account, '2027-06-01T00:00:00Z')
  assert.deepEqual([only(account).credit, only(account).collection?.amountMinor, account.balance().available], [null, 120, '0'])
})

test('money that is left counts for a dearer plan, too', () => {
  const { account, seq } = paidAccount()
  booked(account.send(plan.change(seq, { plan: 'free' })))
  assert.deepEqual(only(account).credit?.amountMinor, 900)
  const { record } = booked(account.send(plan.change(seq, { plan: 'big', price: 2_000 })))
  assert.deepEqual(record.kind === 'subscription_change_due' && record.due.amountMinor, 1_100)
  booked(account.send(plan.pay(seq, 1_100, { payment: 'second' })))
  assert.deepEqual([only(account).terms.plan, only(account).credit], ['big', null])
})

test('a plan in another currency cannot be changed to', () => {
  const { account, seq } = paidAccount()
  const command = plan.change(seq, { plan: 'dollars', price: 900 })
  assert.ok(command.kind === 'change_plan')
  const terms = { ...command.terms, price: { amountMinor: 900, currency: 'usd' } }
  assert.equal(codeOf(account.send({ ...command, terms })), 'plan_currency_differs')
  booked(account.send(plan.change(seq, { plan: 'free' })))
  assert.equal(
    codeOf(account.send({ ...command, terms, at: 'period_end' })),
    'plan_currency_differs',
    'also when money is left of the first',
  )
})

test('a plan whose period is not paid for can be changed with the next one alone', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ price: 900 })))
  assert.equal(codeOf(account.send(plan.change(seq, { plan: 'free' }))), 'subscription_unpaid')
  booked(account.send(plan.change(seq, { plan: 'free' }, 'period_end')))
  goTo(account, '2027-05-01T00:00:00Z')
  assert.deepEqual([only(account).collection, account.balance().available], [null, '100'])
})

test('while a payment is in flight nothing is changed', () => {
  const { account, seq } = paidAccount()
  booked(account.send(plan.change(seq, { plan: 'big', price: 3_000 })))
  booked(account.send(plan.openPage(seq)))
  for (const command of [plan.change(seq, {}), plan.pause(seq), plan.cancel(seq), plan.cancel(seq, 'now'), plan.openPage(seq)])
    assert.equal(codeOf(account.send(command)), 'payment_in_flight', command.kind)
})

test('a moment is left when a period has just begun, and all of it', () => {
  const { account, seq } = paidAccount()
  const { record } = booked(account.send(plan.change(seq, { plan: 'small', price: 1 })))
  assert.ok(record.kind === 'subscription_changed')
  assert.deepEqual([record.proration.creditedMinor, record.proration.chargedMinor, account.nowMs], [900, 1, START])
})
