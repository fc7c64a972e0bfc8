/** Accounts are opened once, found by number and external id, changed, and listed; external ids are unique at every moment. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from '../../src/core/command.ts'
import { MAX_ACCOUNT_NUMBER } from '../../src/core/ids.ts'
import type { Store, Transaction } from '../../src/stores/store.ts'
import * as alert from '../running/alerts.ts'
import { attemptTopup, failTopup, REMOVE_TOPUP, setTopup } from '../running/auto-topups.ts'
import * as buy from '../running/purchases.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { codeOf, openAccount, outcomeOf, sendTogether, transaction } from '../running/store-commands.ts'
import * as plan from '../running/subscriptions.ts'
import { everythingOf, stateOf } from './looking.ts'

const ADA = 1
/** Of the same bucket as ADA: what is sent together for accounts of several buckets has no order. */
const BOB = 257

export function accountsContract(kind: ContractKind): void {
  opening(kind)
  externalIds(kind)
  listing(kind)
}

/** One command of each kind, for an account that does not exist. */
const COMMANDS: Readonly<Record<Exclude<Command['kind'], 'create_account'>, Command>> = {
  update_account: make.updateAccount({ name: 'x', externalId: 'x' }),
  create_key: make.createKey('secret'),
  update_key: make.updateKey(1, { name: 'x' }),
  rotate_key: make.rotateKey(1, 'secret'),
  revoke_key: make.revokeKey(1),
  create_alert: alert.createAlert(),
  update_alert: alert.updateAlert(1, {}),
  delete_alert: alert.deleteAlert(1),
  grant: make.grant(1),
  void_grant: make.voidGrant(1),
  adjust: make.adjust(1),
  charge: make.charge(0),
  charge_group: make.chargeGroup(0, 0),
  refund: make.refund(1),
  hold: make.hold(0),
  capture: make.capture(1),
  release: make.release(1),
  extend: make.extend(1, make.MINUTE_MS),
  increase: make.increase(1, 1),
  open_checkout: buy.openCheckout(),
  link_checkout: buy.linkCheckout(1),
  pend_checkout: buy.pendCheckout(1),
  close_checkout: buy.closeCheckout(1),
  fulfil: buy.fulfil(1),
  request_topup_refund: buy.requestRefund(1),
  refuse_topup_refund: buy.refuseRefund(1, 1),
  refund_topup: buy.refundTopup(1, 'refund', 1),
  reverse_topup_refund: buy.reverseRefund(1, 'refund', { amountMinor: 1 }),
  open_dispute: buy.openDispute(1),
  close_dispute: buy.closeDispute(1, 'won'),
  start_subscription: plan.start(),
  change_plan: plan.change(1, {}),
  pause_subscription: plan.pause(1),
  resume_subscription: plan.resume(1),
  cancel_subscription: plan.cancel(1),
  attempt_payment: plan.attempt(1),
  open_payment_page: plan.openPage(1),
  link_payment_page: plan.linkPage(1, 1),
  pend_payment: plan.pend(1, 1),
  fail_payment: plan.decline(1, 1),
  pay_subscription: plan.pay(1, 1),
  return_payment: plan.giveBack(1, 1),
  save_payment_method: plan.saveMethod(),
  remove_payment_method: plan.removeMethod(),
  set_auto_topup: setTopup(),
  remove_auto_topup: REMOVE_TOPUP,
  attempt_auto_topup: attemptTopup(),
  fail_auto_topup: failTopup(1),
  report_outcome: make.reportOutcome(1),
  advance_clock: make.advanceClock(1),
  book_due: make.BOOK_DUE,
}

function opening(kind: ContractKind): void {
  test('an account that does not exist refuses every command, and reads as nothing', async (t) => {
    const { store } = await openTestStore(t, kind)
    const outcomes = await Promise.all(Object.values(COMMANDS).map((command) => outcomeOf(store, ADA, command, { key: command.kind })))
    assert.deepEqual(
      outcomes,
      outcomes.map(() => 'account_not_found'),
    )
    assert.deepEqual([await store.state(ADA), await store.account(ADA), await store.record(ADA, 1)], [undefined, undefined, undefined])
    const things = await Promise.all([store.grant(ADA, 1), store.hold(ADA, 1), store.key(ADA, 1), store.purchase(ADA, 1)])
    assert.deepEqual(things, [undefined, undefined, undefined, undefined])
    assert.deepEqual(await store.records(ADA, { limit: 10 }), { records: [], next: null })
    const lists = [store.grants(ADA, { limit: 10 }), store.holds(ADA, { limit: 10 }), store.keys(ADA, { limit: 10 })]
    const others = [store.purchases(ADA, { limit: 10 }), store.usage(ADA, { fromMs: 0, toMs: 9e15 })]
    assert.deepEqual(await Promise.all([...lists, ...others]), [[], [], [], [], []])
    assert.deepEqual([await store.refunds(ADA, [1]), await store.feed(0, 10)], [new Map(), []])
    assert.equal(await store.accountByExternalId('x'), undefined)
  })

  test('an account is what was said of it, from when it was opened on', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    const profile = { name: 'Ada', externalId: 'ada@example.com', metadata: { plan: 'pro', ключ: '值' }, capturePolicy: 'cap' } as const
    await make.make(store, ADA, make.createAccount(profile))
    const opened = { number: ADA, ...profile, status: 'active', createdAtMs: clock.nowMs }
    assert.deepEqual(await store.account(ADA), opened)
    clock.nowMs += make.DAY_MS
    await make.make(store, ADA, make.updateAccount({ name: 'Lovelace', status: 'suspended', capturePolicy: null }))
    const changed = { ...opened, name: 'Lovelace', status: 'suspended', capturePolicy: null }
    assert.deepEqual(await store.account(ADA), changed, 'what is not named stays, and so does the time of the opening')
    assert.deepEqual(await (await reopen()).account(ADA), changed)
  })

  test('accounts of the lowest and highest number can be opened', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const number of [0, MAX_ACCOUNT_NUMBER]) {
      await openAccount(store, number, 5)
      assert.equal((await stateOf(store, number)).seq, 2)
    }
  })

  test('an account can be opened and used within one batch', async (t) => {
    const { store } = await openTestStore(t, kind)
    const commands = [make.createAccount(), make.grant(10), make.updateAccount({ name: 'Ada L.' }), make.charge(4), make.charge(7)]
    const outcomes = await sendTogether(
      store,
      commands.map((command) => transaction(ADA, command)),
    )
    assert.deepEqual(outcomes.map(codeOf), ['done', 'done', 'done', 'done', 'insufficient_credits'])
    assert.equal((await stateOf(store, ADA)).seq, 4)
    assert.equal((await store.account(ADA))?.name, 'Ada L.')
  })

  test('a number that is taken is a fault, and the account that has it stays as it was', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const before = await everythingOf(store, ADA)
    await assert.rejects(store.transact(transaction(ADA, make.createAccount({ name: 'Eve' }), { key: 'k' })), /taken/)
    assert.deepEqual(await everythingOf(store, ADA), before)
    const twice = [transaction(BOB, make.createAccount({ name: 'Bob' })), transaction(BOB, make.createAccount({ name: 'Eve' }))]
    const [first, second] = await Promise.allSettled(twice.map((one) => store.transact(one)))
    assert.deepEqual([first?.status, second?.status], ['fulfilled', 'rejected'])
    assert.equal((await store.account(BOB))?.name, 'Bob')
  })
}

/** What becomes of commands that are sent one after the other, or in one turn. */
async function outcomesOf(store: Store, sent: readonly Transaction[], isTogether: boolean): Promise<readonly string[]> {
  if (isTogether) return (await sendTogether(store, sent)).map(codeOf)
  const outcomes: string[] = []
  for (const one of sent) outcomes.push(codeOf(await store.transact(one)))
  return outcomes
}

function externalIds(kind: ContractKind): void {
  test('an external id leads to its account, and to no other once it was changed or dropped', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await make.make(store, ADA, make.createAccount({ externalId: 'a' }))
    assert.equal(await store.accountByExternalId('a'), ADA)
    await make.make(store, ADA, make.updateAccount({ externalId: 'b' }))
    assert.deepEqual([await store.accountByExternalId('a'), await store.accountByExternalId('b')], [undefined, ADA])
    await make.make(store, ADA, make.updateAccount({ name: 'with the same id' }))
    assert.equal(await outcomeOf(store, ADA, make.updateAccount({ externalId: 'b' })), 'done', 'its own is not taken')
    assert.equal(await (await reopen()).accountByExternalId('b'), ADA)
  })

  test('external ids are compared exactly', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const [index, externalId] of ['a', 'A', 'a ', 'ä', 'a\u0308', '1', '01'].entries())
      assert.equal(await outcomeOf(store, index, make.createAccount({ externalId })), 'done')
    assert.equal(await store.accountByExternalId('A'), 1)
    assert.equal(await store.accountByExternalId('ä'), 3)
  })

  const CASES: Readonly<Record<string, readonly (readonly [Transaction, string])[]>> = {
    'by a new account, from one that has it': [
      [transaction(ADA, make.createAccount({ externalId: 'x' })), 'done'],
      [transaction(BOB, make.createAccount({ externalId: 'x' })), 'external_id_taken'],
    ],
    'by a change, from one that has it': [
      [transaction(ADA, make.createAccount({ externalId: 'x' })), 'done'],
      [transaction(BOB, make.createAccount()), 'done'],
      [transaction(BOB, make.updateAccount({ externalId: 'x' })), 'external_id_taken'],
    ],
    'by a change, from one that has just changed to it': [
      [transaction(ADA, make.createAccount()), 'done'],
      [transaction(BOB, make.createAccount()), 'done'],
      [transaction(ADA, make.updateAccount({ externalId: 'x' })), 'done'],
      [transaction(BOB, make.updateAccount({ externalId: 'x' })), 'external_id_taken'],
      [transaction(513, make.createAccount({ externalId: 'x' })), 'external_id_taken'],
    ],
  }
  for (const [name, sent] of Object.entries(CASES))
    for (const isTogether of [false, true])
      test(`an external id cannot be taken ${name}${isTogether ? ', in one batch' : ''}`, async (t) => {
        const { store } = await openTestStore(t, kind)
        const outcomes = await outcomesOf(
          store,
          sent.map(([one]) => one),
          isTogether,
        )
        assert.deepEqual(
          outcomes,
          sent.map(([, expected]) => expected),
        )
        assert.equal(await store.accountByExternalId('x'), ADA)
      })

  const FREED: Readonly<Record<string, Command>> = {
    'another one': make.updateAccount({ externalId: 'y' }),
    none: make.updateAccount({ externalId: null }),
  }
  for (const [instead, giveUp] of Object.entries(FREED))
    for (const isTogether of [false, true])
      test(`an external id whose account now has ${instead} is free${isTogether ? ', in the same batch' : ''}`, async (t) => {
        const { store, reopen } = await openTestStore(t, kind)
        await make.make(store, ADA, make.createAccount({ externalId: 'x' }))
        const sent = [transaction(ADA, giveUp), transaction(BOB, make.createAccount({ externalId: 'x' }))]
        assert.deepEqual(await outcomesOf(store, sent, isTogether), ['done', 'done'])
        assert.equal(await (await reopen()).accountByExternalId('x'), BOB)
      })

  test('an external id that was taken and given up within one batch is free in it', async (t) => {
    const { store } = await openTestStore(t, kind)
    const outcomes = await sendTogether(store, [
      transaction(ADA, make.createAccount({ externalId: 'x' })),
      transaction(ADA, make.updateAccount({ externalId: 'y' })),
      transaction(BOB, make.createAccount({ externalId: 'x' })),
    ])
    assert.deepEqual(outcomes.map(codeOf), ['done', 'done', 'done'])
  })
}

function listing(kind: ContractKind): void {
  test('accounts are listed as they were opened, newest first or onwards from one, whatever their numbers are', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const inOneBucket = Array.from({ length: 10 }, (_, index) => 256 * ((index * 7_919) % 1_000) + 3)
    const opened = [...inOneBucket, ...Array.from({ length: 13 }, (_, index) => ((index + 1) * 7_919) % 1_000)]
    await sendTogether(
      store,
      inOneBucket.map((number) => transaction(number, make.createAccount({ name: `number ${number}` }))),
    )
    for (const number of opened.slice(10)) await make.make(store, number, make.createAccount())
    await make.make(store, opened[3] ?? 0, make.updateAccount({ name: 'changed' }))
    for (const open of [() => store, reopen]) {
      const from = await open()
      for (const limit of [1, 4, 23, 100]) {
        assert.deepEqual(await numbersBack(from, limit), opened.toReversed())
        assert.deepEqual(await numbersOnwards(from, limit, opened[0] ?? 0), opened)
      }
    }
  })
}

/** The numbers of all accounts, newest first, by pages of a size. */
async function numbersBack(store: Store, limit: number): Promise<readonly number[]> {
  const numbers: number[] = []
  for (let page = await store.accounts({ limit }); page.length > 0; page = await store.accounts({ limit, before: numbers.at(-1) ?? 0 })) {
    assert.ok(page.length <= limit)
    numbers.push(...page.map(({ number }) => number))
  }
  return numbers
}

/** The numbers of an account and all that were opened after it, in that order, by pages of a size. */
async function numbersOnwards(store: Store, limit: number, first: number): Promise<readonly number[]> {
  const numbers = [first]
  for (let page = await store.accounts({ limit, after: first }); page.length > 0; ) {
    assert.ok(page.length <= limit)
    numbers.push(...page.map(({ number }) => number))
    page = await store.accounts({ limit, after: numbers.at(-1) ?? 0 })
  }
  return numbers
}
