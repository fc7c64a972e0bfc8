/** Subscriptions: what the store keeps of each, that what is due is booked once, and that clocks that tests move disturb nobody else. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { timeOf } from '../../src/core/account.ts'
import { formatCredits } from '../../src/core/credits.ts'
import { viewAt } from '../../src/core/due.ts'
import type { Store } from '../../src/stores/store.ts'
import { type ContractKind, openTestStore, TEST_START_MS } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { applied, codeOf, DAY_MS, openAccount, outcomeOf, sendTogether, seqOf, transaction } from '../running/store-commands.ts'
import * as plan from '../running/subscriptions.ts'
import { recordsOf, stateOf, subscriptionsOf } from './looking.ts'

const ADA = 1
const BOB = 258

export function subscriptionsContract(kind: ContractKind): void {
  lives(kind)
  renewals(kind)
  clocks(kind)
  plainRows(kind)
}

function lives(kind: ContractKind): void {
  test('a subscription shows each thing that becomes of it, also after it has ended and after a restart', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const happenings = plan.livesOfSubscriptions()
    for (let next = happenings.next(); !next.done; ) {
      if (typeof next.value === 'number') clock.nowMs += next.value
      next = happenings.next(typeof next.value === 'number' ? 0 : await seqOf(store, ADA, next.value))
      await subscriptionsOf(store, ADA)
    }
    const before = await subscriptionsOf(store, ADA)
    assert.deepEqual(
      before.map(({ phase }) => phase),
      ['ended', 'ended', 'running'],
    )
    assert.deepEqual(await subscriptionsOf(await reopen(), ADA), before)
  })

  test('what failed is refunded by the report of it, once, and the refund counts', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const charge = await seqOf(store, ADA, make.charge(10))
    await make.make(store, ADA, make.reportOutcome(charge, 'failed', 60))
    await make.make(store, ADA, make.reportOutcome(charge, 'failed', 60))
    assert.equal((await store.refunds(ADA, [charge])).get(charge), 6_000_000n)
    assert.equal(await outcomeOf(await reopen(), ADA, make.refund(charge, 5)), 'refund_exceeds_charge')
  })

  test('subscriptions that have to be paid for are found, of all accounts, and no longer than that', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    for (const account of [BOB, ADA]) {
      await openAccount(store, account, 0)
      await make.make(store, account, plan.saveMethod())
    }
    const asking = async (): Promise<readonly string[]> => {
      const found: string[] = []
      for (let after: { readonly account: number; readonly seq: number } | null = null; ; ) {
        // Rows of an account are written when it is read, if not before.
        for (const account of [ADA, BOB]) await store.subscriptions(account, { limit: 1 })
        const page: readonly { readonly account: number; readonly seq: number }[] = await store.askingSubscriptions({
          untilMs: clock.nowMs,
          after,
          limit: 1,
        })
        found.push(...page.map(({ account, seq }) => `${account === ADA ? 'ada' : 'bob'} ${seq}`))
        after = page.at(-1) ?? null
        if (after === null) return found
      }
    }
    const free = await seqOf(store, ADA, plan.start({ plan: 'free' }))
    const [ada, bob] = [await seqOf(store, ADA, plan.start({ price: 900 })), await seqOf(store, BOB, plan.start({ price: 500 }))]
    assert.notEqual(free, ada)
    assert.deepEqual(await asking(), [`ada ${ada}`, `bob ${bob}`])
    const attempt = await seqOf(store, ADA, plan.attempt(ada))
    assert.deepEqual(await asking(), [`ada ${ada}`, `bob ${bob}`], 'one whose outcome is not known has to be asked about')
    await make.make(store, ADA, plan.decline(ada, attempt))
    assert.deepEqual(await asking(), [`bob ${bob}`])
    clock.nowMs += DAY_MS
    assert.deepEqual(await asking(), [`ada ${ada}`, `bob ${bob}`], 'and again, a day later')
    await make.make(store, ADA, plan.pay(ada, 900))
    await make.make(store, BOB, plan.cancel(bob, 'now'))
    assert.deepEqual(await asking(), [])
  })
}

async function leftOf(store: Store, account: number, nowMs: number): Promise<string> {
  const state = viewAt(await stateOf(store, account), nowMs)
  return formatCredits(state.pools.flatMap(({ grants }) => grants).reduce((sum, { remaining }) => sum + remaining, 0n) as never)
}

function renewals(kind: ContractKind): void {
  test('periods that passed while nobody looked are there at the first answer, and are booked once each', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) {
      await openAccount(store, account, 0)
      await make.make(store, account, plan.start({ every: '1 week', rollover: { percent: 10, periods: 1 } }))
      await make.make(store, account, make.charge(40))
    }
    clock.nowMs += 4 * 7 * DAY_MS
    assert.equal(await leftOf(store, ADA, clock.nowMs), '110')
    const due = await store.dueAccounts(clock.nowMs, 10)
    assert.deepEqual([...due].sort(), [ADA, BOB].sort())
    const book = [ADA, BOB, ADA, BOB].map((account) => transaction(account, make.BOOK_DUE, { actor: 'time' }))
    await sendTogether(store, book)
    const renewed = async (from: Store): Promise<readonly number[]> =>
      (await recordsOf(from, ADA)).flatMap((record) => (record.kind === 'subscription_renewed' ? [record.dueMs] : []))
    const weeks = [1, 2, 3, 4].map((week) => TEST_START_MS + week * 7 * DAY_MS)
    assert.deepEqual(await renewed(store), weeks)
    assert.deepEqual(await store.dueAccounts(clock.nowMs, 10), [])
    const reopened = await reopen()
    await sendTogether(reopened, book)
    assert.deepEqual(await renewed(reopened), weeks)
    assert.equal(await leftOf(reopened, ADA, clock.nowMs), '110')
  })

  test('a subscription that is started twice at once under one key is started once', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const sent = Array.from({ length: 8 }, () => transaction(ADA, plan.start(), { key: 'k' }))
    const outcomes = await sendTogether(store, sent)
    assert.deepEqual(outcomes.map(codeOf).sort(), ['done', ...Array(7).fill('replayed')])
    for (const outcome of outcomes)
      assert.deepEqual(
        applied(outcome).records.map((record) => record.kind),
        ['subscription_started'],
      )
    assert.equal(await outcomeOf(store, ADA, plan.start(), { key: 'other' }), 'already_subscribed')
    assert.equal(await leftOf(store, ADA, TEST_START_MS), '100')
  })

  test('a payment that is told many times at once pays for one period', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const subscription = await seqOf(store, ADA, plan.start({ price: 900 }))
    const attempt = await seqOf(store, ADA, plan.openPage(subscription))
    await make.make(store, ADA, plan.linkPage(subscription, attempt))
    const named = Array.from({ length: 5 }, () => transaction(ADA, plan.pay(subscription, 900), { key: 'paid', actor: 'provider' }))
    const nameless = Array.from({ length: 5 }, () => transaction(ADA, plan.pay(subscription, 900), { actor: 'provider' }))
    await sendTogether(store, [...named, ...nameless])
    assert.equal(await leftOf(store, ADA, TEST_START_MS), '100')
    const kinds = (await recordsOf(store, ADA)).map((record) => record.kind)
    assert.equal(kinds.filter((one) => one === 'subscription_paid').length, 1)
    assert.equal(kinds.filter((one) => one === 'subscription_payment_mismatched').length, 0)
  })
}

/** An account that lives by a clock, which is far ahead of the store or behind it. */
async function onClock(t: TestContext, kind: ContractKind, nowMs: number) {
  const test = await openTestStore(t, kind)
  await openAccount(test.store, BOB)
  await make.make(test.store, ADA, make.createAccount({ externalId: 'ada', clock: { clock: 'clk_1', nowMs } }))
  return test
}

function clocks(kind: ContractKind): void {
  for (const [where, beginsAtMs] of [
    ['ahead of', TEST_START_MS + 3_650 * DAY_MS],
    ['behind', TEST_START_MS - 3_650 * DAY_MS],
  ] as const)
    test(`an account whose clock is ${where} the store lives by it, and nobody else hears of it`, async (t) => {
      const { store, clock, reopen } = await onClock(t, kind, beginsAtMs)
      await make.make(store, ADA, plan.start({ every: '1 day', gives: { credits: 10 } }))
      await make.make(store, ADA, make.hold(4, { ttlMs: make.HOUR_MS }))
      await make.make(store, ADA, make.createKey('secret'))
      assert.equal((await store.account(ADA))?.createdAtMs, beginsAtMs)
      clock.nowMs += 2 * DAY_MS
      assert.deepEqual(await store.dueAccounts(clock.nowMs, 10), [], 'its dues are no work of the store')
      assert.equal(await leftOf(store, ADA, clock.nowMs), '10')
      await make.make(store, BOB, make.charge(1))
      await make.make(store, ADA, make.advanceClock(beginsAtMs + 3 * DAY_MS))
      const renewed = (await recordsOf(store, ADA)).filter((record) => record.kind === 'subscription_renewed')
      assert.equal(renewed.length, 3)
      await make.make(store, BOB, make.charge(1))
      assert.equal((await stateOf(store, BOB)).atMs, clock.nowMs, 'the time of others is the store’s')
      const state = await stateOf(await reopen(), ADA)
      assert.equal(timeOf(state, clock.nowMs), beginsAtMs + 3 * DAY_MS)
      assert.deepEqual([state.holds, state.subscriptions.length], [[], 1])
    })

  test('the store’s own order goes by its own time, and an account’s past by the account’s', async (t) => {
    const { store, clock } = await onClock(t, kind, TEST_START_MS + 1_000 * DAY_MS)
    clock.nowMs += make.HOUR_MS
    await make.make(store, ADA, make.advanceClock(TEST_START_MS + 1_010 * DAY_MS))
    await make.make(store, BOB, make.charge(1))
    await make.make(store, ADA, make.grant(1))
    const position = await store.positionAt(clock.nowMs)
    const after = await store.feed(position - 1, 10)
    assert.deepEqual(
      after.map(({ account }) => account),
      [ADA, BOB, ADA],
    )
    assert.equal(after.at(-1)?.record.atMs, TEST_START_MS + 1_010 * DAY_MS)
    const since = await store.records(ADA, { limit: 10, fromMs: TEST_START_MS + 1_005 * DAY_MS })
    assert.deepEqual(
      since.records.map((record) => record.kind),
      ['grant'],
    )
  })

  test('a subscription of an account on a clock is paid for when its clock says so', async (t) => {
    const { store, clock } = await onClock(t, kind, TEST_START_MS + 1_000 * DAY_MS)
    const asking = async (): Promise<number> => {
      await store.subscriptions(ADA, { limit: 1 })
      return (await store.askingSubscriptions({ untilMs: clock.nowMs, after: null, limit: 10 })).length
    }
    await make.make(store, ADA, plan.saveMethod())
    const subscription = await seqOf(store, ADA, plan.start({ price: 900 }))
    assert.equal(await asking(), 1)
    await make.make(store, ADA, plan.decline(subscription, await seqOf(store, ADA, plan.attempt(subscription))))
    clock.nowMs += 5_000 * DAY_MS
    assert.equal(await asking(), 0)
    await make.make(store, ADA, make.advanceClock(TEST_START_MS + 1_001 * DAY_MS))
    assert.equal(await asking(), 1)
  })

  test('a clock does not go back, and an account without one has nothing to be moved', async (t) => {
    const { store } = await onClock(t, kind, TEST_START_MS)
    await make.make(store, ADA, make.advanceClock(TEST_START_MS + 5))
    for (const nowMs of [TEST_START_MS, TEST_START_MS + 5])
      assert.deepEqual(applied(await make.send(store, ADA, make.advanceClock(nowMs))).records, [])
    assert.deepEqual(applied(await make.send(store, BOB, make.advanceClock(TEST_START_MS + 5))).records, [])
  })
}

function plainRows(kind: ContractKind): void {
  test('plans are kept in versions, of which the last is in force', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const row = { id: 'pro', version: 1, isArchived: false, terms: '{}', createdAtMs: 1 }
    assert.equal(await store.plans.add(row), true)
    assert.equal(await store.plans.add({ ...row, terms: 'other' }), false, 'a version is never replaced')
    assert.equal(await store.plans.add({ ...row, version: 2, isArchived: true }), true)
    assert.equal(await store.plans.add({ ...row, id: 'basic' }), true)
    const { plans } = await reopen()
    assert.deepEqual(await plans.latest('pro'), { ...row, version: 2, isArchived: true })
    assert.deepEqual([await plans.at('pro', 1), await plans.at('pro', 3), await plans.latest('none')], [row, undefined, undefined])
    const ids = async (after: string, limit: number): Promise<readonly string[]> =>
      (await plans.list({ after, limit })).map(({ id, version }) => `${id} ${version}`)
    assert.deepEqual([await ids('', 10), await ids('', 1), await ids('basic', 1)], [['basic 1', 'pro 2'], ['basic 1'], ['pro 2']])
  })

  test('a test clock is moved on, never back, and knows how far its accounts have got', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { testClocks } = store
    const row = { id: 'clk_1', name: 'a', nowMs: 10, reachedMs: 10, createdAtMs: 1 }
    await testClocks.add(row)
    for (const account of [BOB, ADA, ADA]) await testClocks.bind('clk_1', account)
    await testClocks.advance('clk_1', 30)
    await testClocks.advance('clk_1', 20)
    assert.deepEqual(await testClocks.moving(5), [{ ...row, nowMs: 30 }])
    await testClocks.reached('clk_1', 30)
    await testClocks.reached('clk_1', 20)
    assert.deepEqual(await testClocks.at('clk_1'), { ...row, nowMs: 30, reachedMs: 30 })
    assert.deepEqual([await testClocks.moving(5), await testClocks.list({ after: 'clk_1', limit: 5 })], [[], []])
    assert.deepEqual(await testClocks.accounts('clk_1', { after: 0, limit: 10 }), [ADA, BOB])
    assert.deepEqual(await testClocks.accounts('clk_1', { after: ADA, limit: 1 }), [BOB])
  })
}
