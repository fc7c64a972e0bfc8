import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, DAY_MS, MemoryAccount, refusal, seqOf } from '../../../test/running/memory-account.ts'
import * as plan from '../../../test/running/subscriptions.ts'
import { poolOf } from '../account.ts'
import { viewAt } from '../due.ts'
import { type Subscription, statusOf } from '../subscription.ts'

const START = Date.parse('2027-01-10T00:00:00Z')

function opened(): MemoryAccount {
  const account = new MemoryAccount()
  account.nowMs = START
  return account
}

function goTo(account: MemoryAccount, iso: string): void {
  account.nowMs = Date.parse(iso)
}

function only(account: MemoryAccount): Subscription {
  const [subscription, ...others] = viewAt(account.state, account.nowMs).subscriptions
  assert.ok(subscription && others.length === 0)
  return subscription
}

function available(account: MemoryAccount): string {
  return account.balance().available
}

test('a subscription keeps the terms of its plan, its credits carry its id and the plan, and the actor is whoever subscribed', () => {
  const account = opened()
  const { record, records, seq } = booked(account.send(plan.start({ gives: { credits: 100, image_credits: 5 }, welcome: 7 })))
  assert.ok(record.kind === 'subscription_started')
  assert.deepEqual(only(account).terms, plan.planOf({ gives: { credits: 100, image_credits: 5 }, welcome: 7 }))
  assert.deepEqual(
    records.map((one) => [one.kind, one.actor, one.kind === 'subscription_granted' && [one.why, one.grant.source, one.grant.metadata]]),
    [
      ['subscription_started', 'operator', false],
      ...['period plan', 'period plan', 'welcome promo'].map((words) => {
        const [why, source] = words.split(' ')
        return [
          'subscription_granted',
          'operator',
          [why, source, { subscription: `sub_00000001000000${seq.toString(32).padStart(2, '0')}`, plan: 'pro' }],
        ]
      }),
    ],
  )
})

test('credits that are given once are given once', () => {
  const account = opened()
  account.send(plan.start({ welcome: 7 }))
  goTo(account, '2027-04-15T00:00:00Z')
  assert.deepEqual(available(account), '107')
})

test('a plan can be had once at a time, also one that is to be changed to', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  assert.equal(codeOf(account.send(plan.start({ version: 2 }))), 'already_subscribed')
  booked(account.send(plan.change(seq, { plan: 'team' }, 'period_end')))
  assert.equal(codeOf(account.send(plan.start({ plan: 'team' }))), 'already_subscribed')
  booked(account.send(plan.start({ plan: 'other' })))
  assert.equal(codeOf(account.send(plan.change(seq, { plan: 'other' }))), 'already_subscribed')
  booked(account.send(plan.cancel(seq, 'now')))
  booked(account.send(plan.start()))
})

test('periods are counted from the past or from now, not from what is to come', () => {
  const account = opened()
  assert.equal(codeOf(account.send(plan.start({}, { anchorMs: START + 1 }))), 'anchor_in_future')
  booked(account.send(plan.start({}, { anchorMs: START })))
})

test('a trial can be left out', () => {
  const account = opened()
  booked(account.send(plan.start({ trial: { days: 7, credits: 3 } }, { withTrial: false })))
  assert.deepEqual([statusOf(only(account)), available(account)], ['active', '100'])
})

test('a paused subscription keeps its period to the end, what is left rolls over, and nothing follows', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ rollover: { percent: 50, periods: 2 } })))
  account.charge(20)
  booked(account.send(plan.pause(seq)))
  assert.equal(booked(account.send(plan.pause(seq))).records.length, 0, 'once is enough')
  goTo(account, '2027-02-09T23:59:59Z')
  assert.deepEqual([statusOf(only(account)), available(account)], ['paused', '80'])
  goTo(account, '2027-03-01T00:00:00Z')
  assert.deepEqual([statusOf(only(account)), available(account)], ['paused', '40'])
  goTo(account, '2027-04-10T00:00:00Z')
  assert.equal(available(account), '0', 'what rolled over ends as if periods went on')
})

test('a paused subscription that goes on before its period is over has lost nothing', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  booked(account.send(plan.pause(seq)))
  goTo(account, '2027-01-20T00:00:00Z')
  booked(account.send(plan.resume(seq)))
  assert.deepEqual([statusOf(only(account)), available(account)], ['active', '100'])
  goTo(account, '2027-02-10T00:00:00Z')
  account.charge(10)
  assert.deepEqual([available(account), account.state.dueMs], ['90', Date.parse('2027-03-10T00:00:00Z')])
})

test('a paused subscription that goes on later begins a period then, with the plan that was chosen meanwhile', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  booked(account.send(plan.pause(seq)))
  goTo(account, '2027-03-01T00:00:00Z')
  booked(account.send(plan.change(seq, { plan: 'team', gives: { credits: 30 } })))
  assert.equal(available(account), '0')
  goTo(account, '2027-03-31T00:00:00Z')
  booked(account.send(plan.resume(seq)))
  assert.deepEqual([statusOf(only(account)), available(account)], ['active', '30'])
  goTo(account, '2027-05-01T00:00:00Z')
  assert.deepEqual(only(account).period?.startMs, Date.parse('2027-04-30T00:00:00Z'))
})

test('a subscription that runs cannot be resumed, and one in its trial cannot be paused', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ trial: { days: 7, credits: 3 } })))
  assert.equal(codeOf(account.send(plan.resume(seq))), 'subscription_not_paused')
  assert.equal(codeOf(account.send(plan.pause(seq))), 'subscription_not_active')
})

test('a canceled subscription ends with its period, and not at all when it is resumed before', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ rollover: { percent: 100 } })))
  booked(account.send(plan.cancel(seq)))
  assert.equal(booked(account.send(plan.cancel(seq))).records.length, 0)
  assert.equal(codeOf(account.send(plan.pause(seq))), 'subscription_not_active')
  assert.equal(codeOf(account.send(plan.change(seq, { plan: 'team' }))), 'subscription_not_active')
  booked(account.send(plan.resume(seq)))
  booked(account.send(plan.cancel(seq)))
  goTo(account, '2027-02-09T00:00:00Z')
  assert.deepEqual([statusOf(only(account)), available(account)], ['active', '100'])
  goTo(account, '2027-02-10T00:00:00Z')
  account.charge(0)
  assert.deepEqual([account.state.subscriptions, available(account)], [[], '0'], 'nothing rolls over from a subscription that ends')
  assert.equal(codeOf(account.send(plan.resume(seq))), 'subscription_not_found')
})

test('a trial that is canceled ends with it', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ trial: { days: 7, credits: 3 } })))
  booked(account.send(plan.cancel(seq)))
  assert.equal(available(account), '3')
  account.wait(7 * DAY_MS)
  account.charge(0)
  assert.deepEqual([account.state.subscriptions, available(account)], [[], '0'])
})

test('a subscription that is ended at once takes what is unspent of its period with it; what is held stays with its hold', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start({ gives: { credits: 100, image_credits: 5 } })))
  account.grant(3)
  const hold = seqOf(account.hold(40))
  const { records } = booked(account.send(plan.cancel(seq, 'now')))
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['subscription_ended', 'grant_voided', 'grant_voided'],
  )
  assert.deepEqual([available(account), account.balance('image_credits').available], ['3', '0'])
  booked(account.capture(hold, 15))
  assert.deepEqual(available(account), '3')
  assert.deepEqual(account.state.subscriptions, [])
})

test('a paused subscription ends when it is canceled, and what it gave stays until it would have ended', () => {
  const account = opened()
  const seq = seqOf(account.send(plan.start()))
  booked(account.send(plan.pause(seq)))
  booked(account.send(plan.cancel(seq)))
  assert.deepEqual([account.state.subscriptions, available(account)], [[], '100'])
  goTo(account, '2027-02-10T00:00:00Z')
  assert.equal(available(account), '0')
})

test('refusals of subscriptions change nothing', () => {
  const account = opened()
  for (const command of [plan.pause(9), plan.resume(9), plan.cancel(9), plan.change(9, {}), plan.attempt(9), plan.openPage(9)])
    assert.equal(refusal(account.send(command)).refused, 'subscription_not_found', command.kind)
  assert.equal(poolOf(account.state, 'credits').granted, 0n)
})
