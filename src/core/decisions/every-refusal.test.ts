import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as alert from '../../../test/running/alerts.ts'
import {
  type Answer,
  DAY_MS,
  HOUR_MS,
  MemoryAccount,
  refusal,
  refusalsOfDecisions,
  START_MS,
  seqOf,
  toMicro,
} from '../../../test/running/memory-account.ts'
import * as buy from '../../../test/running/purchases.ts'
import * as plan from '../../../test/running/subscriptions.ts'
import { MAX_KEYS, MAX_OPEN_CHECKOUTS, MAX_OPEN_GRANTS, MAX_OPEN_HOLDS } from '../account.ts'
import { MAX_ALERTS } from '../alert.ts'
import { MAX_PURCHASE_EVENTS } from '../purchase.ts'
import type { RefusalCode } from '../refusals.ts'
import { MAX_SUBSCRIPTIONS } from '../subscription.ts'

const LIMITED = { limit: toMicro(10), period: 'day', timeZone: 'UTC', maxPerCharge: toMicro(8) } as const

/** The shortest way to each refusal, from an account with 100 credits. */
const WAYS: Partial<Record<RefusalCode, (account: MemoryAccount) => Answer>> = {
  account_suspended: (account) => afterwards(account.update({ status: 'suspended' }), account.charge(1)),
  amount_out_of_range: (account) => account.grant('9200000000000'),
  insufficient_credits: (account) => account.charge(101),
  credits_in_flight: (account) => afterwards(account.hold(1), account.charge(100)),
  key_budget_exceeded: (account) => withKey(account, (key) => afterwards(account.charge(5, { key }), account.charge(6, { key }))),
  key_charge_limit_exceeded: (account) => withKey(account, (key) => account.charge(9, { key })),
  key_not_found: (account) => account.rotateKey(999),
  key_already_revoked: (account) => withKey(account, (key) => afterwards(account.revokeKey(key), account.rotateKey(key))),
  alert_not_found: (account) => account.send(alert.deleteAlert(999)),
  too_many_alerts: (account) => many(account, MAX_ALERTS + 1, () => account.send(alert.createAlert())),
  charge_not_found: (account) => account.refund(999),
  refund_exceeds_charge: (account) => account.refund(seqOf(account.charge(1)), 2),
  grant_not_found: (account) => account.void(999),
  grant_closed: (account) => afterwards(account.charge(100), account.void(2)),
  expiry_passed: (account) => account.grant(1, { expiresAtMs: START_MS }),
  hold_not_found: (account) => account.release(999),
  hold_already_captured: (account) => withHold(account, (hold) => afterwards(account.capture(hold), account.capture(hold))),
  hold_already_released: (account) => withHold(account, (hold) => afterwards(account.release(hold), account.capture(hold))),
  hold_expired: (account) => withHold(account, (hold) => afterwards(account.wait(DAY_MS), account.release(hold))),
  hold_ttl_exceeded: (account) => withHold(account, (hold) => account.extend(hold, DAY_MS + 1)),
  capture_exceeds_hold: (account) => withHold(account, (hold) => account.capture(hold, 2, { policy: 'reject' })),
  too_many_open_grants: (account) => many(account, MAX_OPEN_GRANTS, () => account.grant(1)),
  too_many_open_holds: (account) => many(account, MAX_OPEN_HOLDS + 1, () => account.hold('0.01')),
  checkout_session_not_found: (account) => account.send(buy.fulfil(999)),
  account_has_test_clock: () => MemoryAccount.onClock(START_MS).send(buy.openCheckout({ isLive: true })),
  topup_not_found: (account) => withCheckout(account, (purchase) => account.send(buy.requestRefund(purchase))),
  topup_refund_exceeds_payment: (account) =>
    withCheckout(account, (purchase) => afterwards(account.send(buy.fulfil(purchase)), account.send(buy.requestRefund(purchase, 1_001)))),
  nothing_to_dispute: (account) =>
    withCheckout(account, (purchase) =>
      afterwards(
        account.send(buy.fulfil(purchase)),
        account.send(buy.refundTopup(purchase, 'all', 1_000)),
        account.send(buy.openDispute(purchase)),
      ),
    ),
  too_many_refunds: (account) =>
    withCheckout(account, (purchase) => {
      account.send(buy.fulfil(purchase))
      return many(account, MAX_PURCHASE_EVENTS + 1, () => account.send(buy.requestRefund(purchase, 1)))
    }),
  too_many_open_checkouts: (account) => many(account, MAX_OPEN_CHECKOUTS + 1, () => account.send(buy.openCheckout())),
  already_subscribed: (account) => afterwards(account.send(plan.start()), account.send(plan.start())),
  too_many_subscriptions: (account) => {
    let made = 0
    return many(account, MAX_SUBSCRIPTIONS + 1, () => account.send(plan.start({ plan: `plan ${made++}` })))
  },
  anchor_in_future: (account) => account.send(plan.start({}, { anchorMs: START_MS + 1 })),
  subscription_not_found: (account) => account.send(plan.pause(999)),
  subscription_not_active: (account) =>
    withPlan(account, {}, (seq) => afterwards(account.send(plan.cancel(seq)), account.send(plan.pause(seq)))),
  subscription_not_paused: (account) => withPlan(account, {}, (seq) => account.send(plan.resume(seq))),
  subscription_unpaid: (account) => withPlan(account, { price: 900 }, (seq) => account.send(plan.pause(seq))),
  payment_in_flight: (account) =>
    withPlan(account, { price: 900 }, (seq) => afterwards(account.send(plan.openPage(seq)), account.send(plan.cancel(seq)))),
  nothing_to_pay: (account) => withPlan(account, {}, (seq) => account.send(plan.openPage(seq))),
  plan_unchanged: (account) => withPlan(account, {}, (seq) => account.send(plan.change(seq, {}))),
  plan_currency_differs: (account) =>
    withPlan(account, { price: 900 }, (subscription) => {
      const terms = { ...plan.planOf({ plan: 'other' }), price: { amountMinor: 900, currency: 'usd' } }
      return account.send({ kind: 'change_plan', subscription, terms, at: 'period_end' })
    }),
  too_many_keys: (account) => many(account, MAX_KEYS + 1, () => account.createKey()),
}

/** The last of several things done in order. */
function afterwards(...done: readonly [...unknown[], Answer]): Answer {
  return done.at(-1) as Answer
}

function withKey(account: MemoryAccount, use: (key: number) => Answer): Answer {
  return use(seqOf(account.createKey(LIMITED)))
}

function withHold(account: MemoryAccount, use: (hold: number) => Answer): Answer {
  return use(seqOf(account.hold(1, { ttlMs: HOUR_MS })))
}

function withPlan(account: MemoryAccount, wish: plan.PlanWish, use: (subscription: number) => Answer): Answer {
  return use(seqOf(account.send(plan.start(wish))))
}

function withCheckout(account: MemoryAccount, use: (purchase: number) => Answer): Answer {
  return use(seqOf(account.send(buy.openCheckout())))
}

function many(account: MemoryAccount, times: number, act: () => Answer): Answer {
  const answers: Answer[] = []
  account.quickly(() => {
    for (let count = 0; count < times; count += 1) answers.push(act())
  })
  for (const answer of answers.slice(0, -1)) seqOf(answer)
  return afterwards(answers.at(-1) as Answer)
}

for (const [code, way] of Object.entries(WAYS))
  test(`${code} can be reached, and says why in a sentence`, () => {
    const account = new MemoryAccount()
    account.grant(100)
    const answer = refusal(way(account))
    assert.equal(answer.refused, code)
    assert.match(answer.detail, /^[A-Z0-9].*\.$/)
  })

test('there is a way to every refusal that decisions can come to, and to no other', () => {
  assert.deepEqual(new Set(Object.keys(WAYS)), new Set(refusalsOfDecisions()))
})
