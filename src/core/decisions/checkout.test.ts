import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, DAY_MS, MemoryAccount, MINUTE_MS, seqOf } from '../../../test/running/memory-account.ts'
import * as make from '../../../test/running/purchases.ts'
import { MAX_OPEN_CHECKOUTS, MAX_OPEN_GRANTS } from '../account.ts'
import type { PurchaseCommand } from '../command.ts'
import type { Payment } from '../payment.ts'
import type { PurchaseStatus } from '../purchase.ts'

/** An account with a checkout of 100 credits for 10.00 (record 2). */
function opened(wish: make.Wish = {}): { readonly account: MemoryAccount; readonly purchase: number } {
  const account = new MemoryAccount()
  return { account, purchase: seqOf(account.send(make.openCheckout(wish))) }
}

function statusOf(account: MemoryAccount, purchase: number): PurchaseStatus | undefined {
  return account.facts.purchase(purchase)?.status
}

/** News that is on record already, or comes too late, leaves everything as it is. */
function assertNothingNew(account: MemoryAccount, command: PurchaseCommand): void {
  const { state } = account
  assert.equal(codeOf(account.send(command)), 'ok')
  assert.deepEqual(account.state, state)
}

test('a payment that is what was asked for gives the credits, once', () => {
  const { account, purchase } = opened()
  assert.equal(account.balance().settled, '0', 'nothing is given before it is paid')
  const { record } = booked(account.send(make.fulfil(purchase)))
  assert.ok(record.kind === 'topup')
  assert.deepEqual(
    [record.grant.source, record.grant.priority, record.grant.paid, record.grant.expiresAtMs, record.grant.cost],
    ['topup', 40, true, null, { amountMinor: 1_000, currency: 'eur' }],
  )
  assert.deepEqual([account.balance().settled, statusOf(account, purchase)], ['100', 'paid'])
  assertNothingNew(account, make.fulfil(purchase))
  assert.deepEqual(account.state.checkouts, [], 'it is open no more')
})

test('what a trial gives says so, and what real money gives does not', () => {
  const trial = opened()
  const { record } = booked(trial.account.send(make.fulfil(trial.purchase)))
  assert.ok(record.kind === 'topup')
  assert.deepEqual(record.grant.metadata, { topup: 'topup_0000000100000003', mode: 'test' })
  const real = opened({ isLive: true, provider: 'stripe' })
  const paid = booked(real.account.send(make.fulfil(real.purchase, { isLive: true }))).record
  assert.ok(paid.kind === 'topup')
  assert.deepEqual(paid.grant.metadata, { topup: 'topup_0000000100000003' })
})

test('a bonus is a grant of its own, right behind: unpaid, with an end of its own', () => {
  const { account, purchase } = opened({ bonus: 10, bonusLifeMs: DAY_MS, lifeMs: 30 * DAY_MS })
  const [topup, bonus] = booked(account.send(make.fulfil(purchase))).records
  assert.ok(topup?.kind === 'topup' && bonus?.kind === 'grant')
  assert.equal(bonus.seq, topup.seq + 1)
  assert.equal(topup.grant.expiresAtMs, account.nowMs + 30 * DAY_MS)
  assert.deepEqual(
    [bonus.grant.source, bonus.grant.paid, bonus.grant.expiresAtMs, bonus.grant.cost, bonus.grant.purchase],
    ['promo', false, account.nowMs + DAY_MS, null, purchase],
  )
  assert.equal(account.balance().settled, '110')
  account.wait(DAY_MS)
  assert.equal(account.balance().settled, '100', 'only the bonus has ended')
})

test('a top-up pays what the account owes first', () => {
  const { account, purchase } = opened({ bonus: 10 })
  account.capture(seqOf(account.hold(0)), 130)
  account.send(make.fulfil(purchase))
  assert.deepEqual([account.balance().settled, account.debt()], ['-20', '20'])
})

const WRONG: Readonly<Record<string, readonly [payment: Partial<Payment>, reason: string]>> = {
  'a payment of less': [{ amountMinor: 999 }, 'amount'],
  'a payment of more': [{ amountMinor: 1_001 }, 'amount'],
  'a payment of less than its own price': [{ amountMinor: 1_000, totalMinor: 999 }, 'amount'],
  'a payment in another currency': [{ currency: 'usd' }, 'currency'],
  'a payment of real money for a trial': [{ isLive: true }, 'mode'],
}
for (const [name, [payment, reason]] of Object.entries(WRONG))
  test(`${name} gives nothing and is put on record; the right one still counts`, () => {
    const { account, purchase } = opened()
    const { record } = booked(account.send(make.fulfil(purchase, payment)))
    assert.ok(record.kind === 'payment_mismatched')
    assert.equal(record.reason, reason)
    assert.deepEqual([account.balance().settled, statusOf(account, purchase)], ['0', 'open'])
    assert.equal(account.facts.purchase(purchase)?.purchase.mismatch?.reason, reason)
    account.send(make.fulfil(purchase, { payment: 'another' }))
    assert.deepEqual([account.balance().settled, statusOf(account, purchase)], ['100', 'paid'])
  })

test('a play payment never pays for a real checkout', () => {
  const { account, purchase } = opened({ isLive: true })
  const { record } = booked(account.send(make.fulfil(purchase)))
  assert.ok(record.kind === 'payment_mismatched')
  assert.equal(account.balance().settled, '0')
})

test('taxes on top of the price are not paid in credits', () => {
  const { account, purchase } = opened()
  account.send(make.fulfil(purchase, { totalMinor: 1_190 }))
  assert.equal(account.balance().settled, '100')
})

test('a second payment of one checkout gives nothing, and is put on record', () => {
  const { account, purchase } = opened()
  account.send(make.fulfil(purchase))
  const { record } = booked(account.send(make.fulfil(purchase, { payment: 'another' })))
  assert.ok(record.kind === 'payment_mismatched')
  assert.equal(record.reason, 'paid_before')
  assert.deepEqual([account.balance().settled, statusOf(account, purchase)], ['100', 'paid'])
})

/** How a checkout may come to its end before the money arrives. */
const ENDS: Readonly<Record<string, readonly [end: (account: MemoryAccount, purchase: number) => unknown, status: PurchaseStatus]>> = {
  'has expired': [(account) => account.wait(30 * MINUTE_MS), 'open'],
  'has expired and was booked so': [(account) => [account.wait(DAY_MS), account.charge(0)], 'expired'],
  'was canceled': [(account, purchase) => account.send(make.closeCheckout(purchase, 'canceled')), 'canceled'],
  'has failed': [(account, purchase) => account.send(make.closeCheckout(purchase, 'failed')), 'failed'],
}
for (const [name, [end, status]] of Object.entries(ENDS))
  test(`money for a checkout that ${name} is credited all the same`, () => {
    const { account, purchase } = opened()
    end(account, purchase)
    assert.equal(statusOf(account, purchase), status)
    account.send(make.fulfil(purchase))
    assert.deepEqual([account.balance().settled, statusOf(account, purchase)], ['100', 'paid'])
  })

test('a checkout of which nothing is heard expires by time alone, at its moment', () => {
  const { account, purchase } = opened()
  account.wait(30 * MINUTE_MS - 1)
  account.charge(0)
  assert.equal(statusOf(account, purchase), 'open')
  account.wait(1)
  account.charge(0)
  assert.equal(statusOf(account, purchase), 'expired')
  assert.deepEqual(account.state.checkouts, [])
})

test('a checkout whose money is on its way stays open for as long as it is said', () => {
  const { account, purchase } = opened()
  account.send(make.pendCheckout(purchase, 10 * DAY_MS))
  account.wait(9 * DAY_MS)
  account.charge(0)
  assert.equal(statusOf(account, purchase), 'pending')
  account.wait(DAY_MS)
  account.charge(0)
  assert.equal(statusOf(account, purchase), 'expired')
  account.send(make.pendCheckout(purchase, DAY_MS))
  assert.equal(statusOf(account, purchase), 'pending', 'and is open again when it is heard of')
  assert.equal(account.state.checkouts.length, 1)
})

test('a page is noted once; the first one stays', () => {
  const { account, purchase } = opened()
  account.send(make.linkCheckout(purchase, 'first'))
  assertNothingNew(account, make.linkCheckout(purchase, 'second'))
  assert.equal(account.facts.purchase(purchase)?.purchase.link?.reference, 'first')
})

test('news of a checkout that has ended changes nothing', () => {
  const news: readonly ((purchase: number) => PurchaseCommand)[] = [make.linkCheckout, make.pendCheckout, make.closeCheckout]
  for (const end of [make.fulfil, make.closeCheckout]) {
    const { account, purchase } = opened()
    account.send(end(purchase))
    for (const late of news) assertNothingNew(account, late(purchase))
  }
})

test('nothing is found of a purchase that does not exist', () => {
  const account = new MemoryAccount()
  for (const command of [make.linkCheckout(1), make.pendCheckout(1), make.closeCheckout(1), make.fulfil(1)])
    assert.equal(codeOf(account.send(command)), 'checkout_session_not_found')
})

test('an account that is suspended can still buy', () => {
  const { account, purchase } = opened()
  account.update({ status: 'suspended' })
  account.send(make.openCheckout())
  account.send(make.fulfil(purchase))
  assert.equal(account.balance().settled, '100')
})

test('an account may have so many open checkouts and no more, and each that ends makes room', () => {
  const { account, purchase } = opened()
  for (let count = 1; count < MAX_OPEN_CHECKOUTS; count++) seqOf(account.send(make.openCheckout()))
  assert.equal(codeOf(account.send(make.openCheckout())), 'too_many_open_checkouts')
  account.send(make.closeCheckout(purchase))
  assert.equal(codeOf(account.send(make.openCheckout())), 'ok')
})

test('what is paid for is given even to an account that has come to have too many grants meanwhile', () => {
  const { account, purchase } = opened({ bonus: 5 })
  account.quickly(() => {
    for (let count = 0; count < MAX_OPEN_GRANTS; count++) account.grant('0.01')
  })
  assert.equal(codeOf(account.grant(1)), 'too_many_open_grants')
  assert.equal(codeOf(account.send(make.openCheckout())), 'too_many_open_grants', 'but nothing new is begun')
  account.send(make.fulfil(purchase))
  assert.equal(account.balance().settled, '115')
})

test('a checkout of more than an account can hold is not opened', () => {
  const account = new MemoryAccount()
  account.grant('9199999999950')
  assert.equal(codeOf(account.send(make.openCheckout({ credits: 49, bonus: 2 }))), 'amount_out_of_range')
  assert.equal(codeOf(account.send(make.openCheckout({ credits: 49, bonus: 1 }))), 'ok')
})
