/** The same key and body have one effect and one answer; another body is refused; a refused request leaves no key. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from '../../src/core/command.ts'
import type { PriceRow } from '../../src/core/price-parsing.ts'
import { isRefusal, refuse } from '../../src/core/refusals.ts'
import { fingerprintOf, keyHash } from '../../src/stores/chain.ts'
import type { Applied, Store, Transaction } from '../../src/stores/store.ts'
import * as alert from '../running/alerts.ts'
import { attemptTopup, failTopup, REMOVE_TOPUP, setTopup } from '../running/auto-topups.ts'
import * as buy from '../running/purchases.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { applied, codeOf, openAccount, outcomeOf, send, sendTogether, seqOf, transaction } from '../running/store-commands.ts'
import * as plan from '../running/subscriptions.ts'
import { everythingOf, stateOf } from './looking.ts'

const ADA = 1
const BOB = 2

/** What a command needs before it can take effect, and the command. */
const COMMANDS: Readonly<Record<Command['kind'], ((store: Store) => Promise<Command>) | null>> = {
  // It has tests of its own: its key counts for the store as a whole.
  create_account: null,
  // It is never named: it may be repeated as it is.
  book_due: null,
  // Accounts that live in real time refuse it; a time that is told again moves nothing.
  advance_clock: null,
  update_account: async () => make.updateAccount({ name: 'Ada Lovelace' }),
  create_key: async () => make.createKey('secret'),
  update_key: async (store) => make.updateKey(await seqOf(store, ADA, make.createKey('secret')), { name: 'other' }),
  rotate_key: async (store) => make.rotateKey(await seqOf(store, ADA, make.createKey('secret')), 'new secret'),
  revoke_key: async (store) => make.revokeKey(await seqOf(store, ADA, make.createKey('secret'))),
  create_alert: async () => alert.createAlert({ credits: 5 }),
  update_alert: async (store) => alert.updateAlert(await seqOf(store, ADA, alert.createAlert()), { name: 'other' }),
  delete_alert: async (store) => alert.deleteAlert(await seqOf(store, ADA, alert.createAlert())),
  grant: async () => make.grant(5),
  void_grant: async (store) => make.voidGrant(await seqOf(store, ADA, make.grant(7))),
  adjust: async () => make.adjust(-3),
  charge: async () => make.charge(2),
  charge_group: async () => make.chargeGroup(1, 2, 3),
  refund: async (store) => make.refund(await seqOf(store, ADA, make.charge(9)), 4),
  hold: async () => make.hold(10),
  capture: async (store) => make.capture(await seqOf(store, ADA, make.hold(10)), 6),
  release: async (store) => make.release(await seqOf(store, ADA, make.hold(10))),
  extend: async (store) => make.extend(await seqOf(store, ADA, make.hold(10)), 30 * make.MINUTE_MS),
  increase: async (store) => make.increase(await seqOf(store, ADA, make.hold(10)), 5),
  open_checkout: async () => buy.openCheckout(),
  link_checkout: async (store) => buy.linkCheckout(await opened(store)),
  pend_checkout: async (store) => buy.pendCheckout(await opened(store)),
  close_checkout: async (store) => buy.closeCheckout(await opened(store)),
  fulfil: async (store) => buy.fulfil(await opened(store)),
  request_topup_refund: async (store) => buy.requestRefund(await bought(store), 100),
  refuse_topup_refund: async (store) => {
    const purchase = await bought(store)
    return buy.refuseRefund(purchase, await seqOf(store, ADA, buy.requestRefund(purchase)))
  },
  refund_topup: async (store) => buy.refundTopup(await bought(store), 'refund', 300),
  reverse_topup_refund: async (store) => {
    const purchase = await bought(store)
    await make.make(store, ADA, buy.refundTopup(purchase, 'refund', 300))
    return buy.reverseRefund(purchase, 'refund', { amountMinor: 300 })
  },
  open_dispute: async (store) => buy.openDispute(await bought(store)),
  close_dispute: async (store) => {
    const purchase = await bought(store)
    await make.make(store, ADA, buy.openDispute(purchase))
    return buy.closeDispute(purchase, 'lost')
  },
  start_subscription: async () => plan.start(),
  change_plan: async (store) => plan.change(await subscribed(store), { plan: 'team', gives: { credits: 500 } }),
  pause_subscription: async (store) => plan.pause(await subscribed(store)),
  resume_subscription: async (store) => {
    const subscription = await subscribed(store)
    await make.make(store, ADA, plan.pause(subscription))
    return plan.resume(subscription)
  },
  cancel_subscription: async (store) => plan.cancel(await subscribed(store), 'now'),
  attempt_payment: async (store) => {
    await make.make(store, ADA, plan.saveMethod())
    return plan.attempt(await subscribed(store, 900))
  },
  open_payment_page: async (store) => plan.openPage(await subscribed(store, 900)),
  link_payment_page: async (store) => plan.linkPage(...(await asked(store))),
  pend_payment: async (store) => plan.pend(...(await asked(store))),
  fail_payment: async (store) => plan.decline(...(await asked(store))),
  pay_subscription: async (store) => plan.pay(await subscribed(store, 900), 900),
  return_payment: async (store) => plan.giveBack(...(await asked(store))),
  save_payment_method: async () => plan.saveMethod(),
  remove_payment_method: async (store) => {
    await make.make(store, ADA, plan.saveMethod())
    return plan.removeMethod()
  },
  set_auto_topup: async () => setTopup(),
  remove_auto_topup: async (store) => {
    await make.make(store, ADA, setTopup())
    return REMOVE_TOPUP
  },
  attempt_auto_topup: async (store) => {
    await make.make(store, ADA, plan.saveMethod())
    await make.make(store, ADA, setTopup({ threshold: 5_000 }))
    return attemptTopup()
  },
  fail_auto_topup: async (store) => {
    await make.make(store, ADA, plan.saveMethod())
    await make.make(store, ADA, setTopup({ threshold: 5_000 }))
    return failTopup(await seqOf(store, ADA, attemptTopup()))
  },
  report_outcome: async (store) => make.reportOutcome(await seqOf(store, ADA, make.charge(9))),
}

/** A subscription; with a price, one that waits for its first payment. */
function subscribed(store: Store, price?: number): Promise<number> {
  return seqOf(store, ADA, plan.start(price === undefined ? {} : { price }))
}

/** A subscription, and the payment for it that was asked for. */
async function asked(store: Store): Promise<readonly [subscription: number, attempt: number]> {
  const subscription = await subscribed(store, 900)
  return [subscription, await seqOf(store, ADA, plan.openPage(subscription))]
}

/** An open checkout, of credits with a bonus. */
function opened(store: Store): Promise<number> {
  return seqOf(store, ADA, buy.openCheckout({ bonus: 10 }))
}

/** A checkout that was paid. */
async function bought(store: Store): Promise<number> {
  const purchase = await opened(store)
  await make.make(store, ADA, buy.fulfil(purchase))
  return purchase
}

export function idempotencyContract(kind: ContractKind): void {
  replays(kind)
  refusals(kind)
  batches(kind)
  accountsAndPrices(kind)
  manyKeys(kind)
}

function replays(kind: ContractKind): void {
  for (const [name, prepare] of Object.entries(COMMANDS))
    if (prepare)
      test(`the same key and body of ${name} give the very same records again, and nothing is done again`, async (t) => {
        const { store, clock, reopen } = await openTestStore(t, kind)
        await openAccount(store, ADA)
        const command = await prepare(store)
        const first = applied(await send(store, ADA, command, { key: 'k' }))
        const after = await everythingOf(store, ADA)
        clock.nowMs += make.MINUTE_MS
        const second = applied(await send(store, ADA, command, { key: 'k', requestId: 'req_2' }))
        assert.deepEqual([first.isReplay, second.isReplay].sort(), [false, true], 'whichever of them came first')
        assert.deepEqual(second.records, first.records)
        const reopened = await reopen()
        assert.deepEqual(applied(await send(reopened, ADA, command, { key: 'k' })), second)
        assert.deepEqual(await everythingOf(reopened, ADA), after)
      })

  test('a replay leaves out what time did when the command was first carried out', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await seqOf(store, ADA, make.hold(10, { ttlMs: make.MINUTE_MS }))
    clock.nowMs += 2 * make.MINUTE_MS
    const first = applied(await send(store, ADA, make.charge(1), { key: 'k' }))
    const second = applied(await send(store, ADA, make.charge(1), { key: 'k' }))
    assert.deepEqual(
      first.records.map((record) => record.kind),
      ['charge'],
    )
    assert.deepEqual(second.records, first.records)
    assert.equal((await store.record(ADA, (first.records[0]?.seq ?? 0) - 1))?.kind, 'hold_expired')
  })
}

function refusals(kind: ContractKind): void {
  test('a key that was used with another body is refused, and changes nothing', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await send(store, ADA, make.charge(1), { key: 'k', body: 'one' })
    const before = await everythingOf(store, ADA)
    const other = { key: 'k', body: 'other' }
    assert.equal(await outcomeOf(store, ADA, make.charge(1), other), 'idempotency_key_reused')
    assert.equal(await outcomeOf(store, ADA, make.grant(1), other), 'idempotency_key_reused')
    assert.equal(await outcomeOf(await reopen(), ADA, make.charge(1), other), 'idempotency_key_reused')
    assert.deepEqual(await everythingOf(await reopen(), ADA), before)
  })

  test('keys are an account’s own: the same key names another request of another account', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account)
    assert.equal(await outcomeOf(store, ADA, make.charge(1), { key: 'k' }), 'done')
    assert.equal(await outcomeOf(store, BOB, make.charge(2), { key: 'k', body: 'other' }), 'done')
    const reopened = await reopen()
    assert.equal(await outcomeOf(reopened, ADA, make.charge(1), { key: 'k' }), 'replayed')
    assert.equal(await outcomeOf(reopened, BOB, make.charge(1), { key: 'k' }), 'idempotency_key_reused')
  })

  test('a refused command leaves no key: sent again, it is decided anew', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 5)
    const dear = transaction(ADA, make.charge(6), { key: 'k' })
    const before = await everythingOf(store, ADA)
    assert.equal(codeOf(await store.transact(dear)), 'insufficient_credits')
    assert.deepEqual(await everythingOf(store, ADA), before)
    const reopened = await reopen()
    assert.equal(codeOf(await reopened.transact(dear)), 'insufficient_credits')
    await make.make(reopened, ADA, make.grant(1))
    assert.equal(codeOf(await reopened.transact(dear)), 'done')
    assert.equal(codeOf(await reopened.transact(dear)), 'replayed')
  })

  test('a request for which no command can be made any more is refused so, unless its key names what was done before', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const gone = refuse('price_not_configured', 'The price is gone.')
    const single = transaction(ADA, make.charge(1), { key: 'k' })
    const group = transaction(ADA, make.chargeGroup(1, 2), { key: 'group' })
    const [first, together] = (await sendTogether(store, [single, group])).map(applied)
    const before = await everythingOf(store, ADA)
    for (const open of [() => store, reopen]) {
      const from = await open()
      assert.deepEqual(applied(await from.transact({ ...single, command: gone })).records, first?.records)
      assert.deepEqual(applied(await from.transact({ ...group, command: gone })).records, together?.records)
      assert.deepEqual(await from.transact({ ...transaction(ADA, make.charge(1), { key: 'new' }), command: gone }), gone)
      assert.deepEqual(await from.transact({ ...single, command: gone, idempotency: null }), gone)
      const mutated = { ...transaction(ADA, make.charge(1), { key: 'k', body: 'other' }), command: gone }
      assert.equal(codeOf(await from.transact(mutated)), 'idempotency_key_reused')
      assert.deepEqual(await everythingOf(from, ADA), before)
    }
    assert.equal(codeOf(await (await reopen()).transact(transaction(ADA, make.charge(1), { key: 'new' }))), 'done', 'it left no key')
  })

  test('a refused command leaves its key to another body', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 5)
    assert.equal(await outcomeOf(store, ADA, make.charge(6), { key: 'k', body: 'six' }), 'insufficient_credits')
    assert.equal(await outcomeOf(store, ADA, make.charge(5), { key: 'k', body: 'five' }), 'done')
  })
}

function batches(kind: ContractKind): void {
  test('a key that is sent many times at once has one effect', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const once = transaction(ADA, make.charge(1), { key: 'k' })
    const outcomes = await sendTogether(store, Array(50).fill(once))
    assert.deepEqual(outcomes.map(codeOf), ['done', ...Array(49).fill('replayed')])
    for (const outcome of outcomes) assert.deepEqual(applied(outcome).records, applied(outcomes[0] as Applied).records)
    assert.equal((await stateOf(store, ADA)).seq, 3)
  })

  test('of two bodies that are sent with one key at once, the first is done and the second refused', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account)
    const first = transaction(ADA, make.charge(1), { key: 'k', body: 'one' })
    const mutated = transaction(ADA, make.charge(2), { key: 'k', body: 'two' })
    const ofBob = transaction(BOB, make.charge(1), { key: 'k', body: 'one' })
    const outcomes = await sendTogether(store, [first, mutated, ofBob, first])
    assert.deepEqual(outcomes.map(codeOf), ['done', 'idempotency_key_reused', 'done', 'replayed'])
    assert.equal((await stateOf(store, ADA)).seq, 3)
    assert.equal((await stateOf(store, BOB)).seq, 3)
  })

  test('a key that is refused and then carried out within one batch is carried out once', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 1)
    const dear = transaction(ADA, make.charge(3), { key: 'k' })
    const outcomes = await sendTogether(store, [dear, transaction(ADA, make.grant(5)), dear, dear])
    assert.deepEqual(outcomes.map(codeOf), ['insufficient_credits', 'done', 'done', 'replayed'])
  })

  test('the items of a batch share a key and are told apart by their place', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 10)
    const items = [4, 100, 5].map((amount, item) => transaction(ADA, make.charge(amount), { key: 'k', item }))
    assert.deepEqual((await sendTogether(store, items)).map(codeOf), ['done', 'insufficient_credits', 'done'])
    assert.deepEqual((await sendTogether(store, items)).map(codeOf), ['replayed', 'insufficient_credits', 'replayed'])
    const reopened = await reopen()
    await make.make(reopened, ADA, make.grant(100))
    assert.deepEqual((await sendTogether(reopened, items)).map(codeOf), ['replayed', 'done', 'replayed'])
  })

  test('a group replays all its records in order, and a refused group leaves no key', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 10)
    const group = transaction(ADA, make.chargeGroup(1, 2, 3), { key: 'k' })
    const refused = transaction(ADA, make.chargeGroup(1, 2, 30), { key: 'other' })
    const [first, again, no] = await sendTogether(store, [group, group, refused])
    assert.deepEqual(
      [first, again, no].map((outcome) => outcome && codeOf(outcome)),
      ['done', 'replayed', 'insufficient_credits'],
    )
    const { records } = applied(first as Applied)
    assert.deepEqual(
      records.map((record) => record.kind === 'charge' && record.credits),
      [1_000_000n, 2_000_000n, 3_000_000n],
    )
    const reopened = await reopen()
    assert.deepEqual(applied(await reopened.transact(group)).records, records)
    await make.make(reopened, ADA, make.grant(100))
    assert.equal(codeOf(await reopened.transact(refused)), 'done', 'no part of the refused group had kept its key')
  })

  test('a group is refused whole when the key of any of its charges was used by another request', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await send(store, ADA, make.charge(1), { key: 'k', item: 2, body: 'an item of a batch' })
    const before = await everythingOf(store, ADA)
    assert.equal(await outcomeOf(store, ADA, make.chargeGroup(1, 2, 3), { key: 'k', body: 'a group' }), 'idempotency_key_reused')
    assert.deepEqual(await everythingOf(store, ADA), before)
  })

  test('a request that is no batch shares its key with the first item of one', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await send(store, ADA, make.charge(1), { key: 'k', body: 'alone' })
    assert.equal(await outcomeOf(store, ADA, make.chargeGroup(1, 2), { key: 'k', body: 'a group' }), 'idempotency_key_reused')
    assert.equal(await outcomeOf(store, ADA, make.charge(1), { key: 'k', item: 0, body: 'batch' }), 'idempotency_key_reused')
  })
}

const PRICES: readonly PriceRow[] = [{ operation: 'image', rate: '1', per: { quantity: 1, unit: 'image' } }]

function accountsAndPrices(kind: ContractKind): void {
  test('the key of an account’s opening leads back to that account, whatever number is offered next', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const first = applied(await send(store, 71, make.createAccount({ externalId: 'ada' }), { key: 'k' }))
    const second = applied(await send(store, 72, make.createAccount({ externalId: 'ada' }), { key: 'k' }))
    assert.deepEqual(second, { ...first, isReplay: true })
    assert.equal(await outcomeOf(store, 73, make.createAccount(), { key: 'k', body: 'other' }), 'idempotency_key_reused')
    const reopened = await reopen()
    assert.deepEqual(applied(await send(reopened, 74, make.createAccount(), { key: 'k' })), second)
    for (const number of [72, 73, 74]) assert.equal(await reopened.account(number), undefined)
  })

  test('an opening that is sent many times at once opens one account', async (t) => {
    const { store } = await openTestStore(t, kind)
    const sent = [81, 82, 83].map((number) => transaction(number, make.createAccount(), { key: 'k' }))
    const outcomes = (await sendTogether(store, sent)).map(applied)
    assert.equal(outcomes.filter(({ isReplay }) => !isReplay).length, 1)
    assert.equal(new Set(outcomes.map(({ account }) => account)).size, 1)
    assert.equal((await store.accounts({ limit: 10 })).length, 1)
  })

  test('a price book that is published twice under one key is published once', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const name = (body: string): Transaction['idempotency'] => ({
      keyHashes: [keyHash('prices', 'k')],
      fingerprint: fingerprintOf('POST', '/v1/price-book', body),
    })
    const book = { effectiveAtMs: null, prices: PRICES, idempotency: name('a') }
    const [first, second] = await Promise.all([store.publishPrices(book), store.publishPrices(book)])
    assert.ok(!isRefusal(first) && !isRefusal(second))
    assert.deepEqual([first.isReplay, second.isReplay].sort(), [false, true], 'whichever of them came first')
    assert.deepEqual(second.book, first.book)
    const reopened = await reopen()
    const third = await reopened.publishPrices({ ...book, idempotency: name('b') })
    assert.equal(isRefusal(third) && third.refused, 'idempotency_key_reused')
    assert.deepEqual(await reopened.priceBooks(), [first.book])
  })
}

/** A charge under a key whose hash is given, to make hashes that resemble each other. */
function hashed(hash: string): Transaction {
  const idempotency = { keyHashes: [hash], fingerprint: fingerprintOf('POST', '/', hash) } as const
  return { ...transaction(ADA, make.charge(1n)), idempotency }
}

function manyKeys(kind: ContractKind): void {
  test('keys whose hashes begin alike are told apart', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const alike = Array.from({ length: 300 }, (_, index) => hashed(`AAAAAAAA${String(index).padStart(14, 'A')}`))
    const first = (await sendTogether(store, alike)).map(applied)
    assert.ok(first.every(({ isReplay }) => !isReplay))
    const reopened = await reopen()
    const again = (await sendTogether(reopened, alike)).map(applied)
    assert.deepEqual(
      again,
      first.map((outcome) => ({ ...outcome, isReplay: true })),
    )
    assert.equal(codeOf(await reopened.transact(hashed(`AAAAAAAA${'B'.repeat(14)}`))), 'done', 'a new one of the same kind is new')
  })

  test('none of twenty thousand keys is forgotten, however they were written, and none is taken for another', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const named = (index: number): Transaction => transaction(ADA, make.charge(1n), { key: `key ${index}`, body: `body ${index}` })
    const sendAll = async (to: Store, from: number, until: number): Promise<Readonly<Record<string, number>>> => {
      const counts: Record<string, number> = {}
      for (let at = from; at < until; at += 5_000) {
        const sent = Array.from({ length: Math.min(5_000, until - at) }, (_, index) => named(at + index))
        for (const outcome of await sendTogether(to, sent)) counts[codeOf(outcome)] = (counts[codeOf(outcome)] ?? 0) + 1
      }
      return counts
    }
    assert.deepEqual(await sendAll(store, 0, 12_000), { done: 12_000 })
    assert.deepEqual(await sendAll(store, 11_000, 20_000), { replayed: 1_000, done: 8_000 })
    const reopened = await reopen()
    assert.deepEqual(await sendAll(reopened, 15_000, 20_500), { replayed: 5_000, done: 500 })
    assert.deepEqual(await sendAll(reopened, 0, 15_000), { replayed: 15_000 })
    assert.equal((await reopened.state(ADA))?.seq, 2 + 20_500)
  })
}
