/** Purchases: what the store keeps of each, in which lists it is found, and that what is told twice at once takes effect once. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PurchaseCommand } from '../../src/core/command.ts'
import { formatCredits } from '../../src/core/credits.ts'
import { takenFrom } from '../../src/core/purchase.ts'
import type { Store } from '../../src/stores/store.ts'
import * as buy from '../running/purchases.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { applied, codeOf, openAccount, outcomeOf, sendTogether, seqOf, transaction } from '../running/store-commands.ts'
import { purchasesOf, recordsOf, stateOf } from './looking.ts'

const ADA = 1
const BOB = 258

export function purchasesContract(kind: ContractKind): void {
  lives(kind)
  lists(kind)
  exactlyOnce(kind)
}

/** Opens a checkout and has it paid. */
async function bought(store: Store, account: number, wish: buy.Wish = {}): Promise<number> {
  const purchase = await seqOf(store, account, buy.openCheckout(wish))
  await make.make(store, account, buy.fulfil(purchase))
  return purchase
}

async function settledOf(store: Store, account: number): Promise<string> {
  const [pool] = (await stateOf(store, account)).pools
  const left = pool?.grants.reduce((sum, { remaining }) => sum + remaining, 0n) ?? 0n
  return formatCredits(left - (pool?.debt ?? 0n))
}

function lives(kind: ContractKind): void {
  test('a checkout that ends before a grant pays a debt is booked before it, and the audit knows as of when', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    await make.make(store, ADA, make.grant(5))
    await make.make(store, ADA, make.grant(50, { effectiveAtMs: clock.nowMs + 2 * make.HOUR_MS }))
    await make.make(store, ADA, make.capture(await seqOf(store, ADA, make.hold(5)), 15, { policy: 'overdraft' }))
    await seqOf(store, ADA, buy.openCheckout())
    clock.nowMs += 3 * make.HOUR_MS
    await make.send(store, ADA, make.BOOK_DUE, { actor: 'time' })
    const kinds = (await recordsOf(store, ADA)).map(({ kind: one }) => one)
    assert.deepEqual(kinds.slice(-2), ['checkout_expired', 'debt_repaid'])
    assert.equal(await settledOf(store, ADA), '40')
  })

  test('a purchase shows each thing that is heard of it, also after a restart', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const purchases = buy.livesOfPurchases()
    for (let next = purchases.next(); !next.done; ) {
      next = purchases.next(await seqOf(store, ADA, next.value))
      await purchasesOf(store, ADA)
    }
    const before = await purchasesOf(store, ADA)
    assert.equal(before.length, 3)
    assert.deepEqual(await purchasesOf(await reopen(), ADA), before)
  })

  test('what time alone does to a purchase is kept of it without anybody asking', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const purchase = await bought(store, ADA, { bonus: 10, bonusLifeMs: make.HOUR_MS })
    const open = await seqOf(store, ADA, buy.openCheckout())
    clock.nowMs += 2 * make.HOUR_MS
    await make.make(store, ADA, make.charge(1))
    assert.equal((await store.purchase(ADA, open))?.status, 'expired')
    assert.equal((await store.purchase(ADA, purchase))?.ended, 10_000_000n)
    const reopened = await reopen()
    assert.deepEqual((await reopened.purchase(ADA, purchase))?.ended, 10_000_000n)
    assert.equal(await outcomeOf(reopened, ADA, buy.refundTopup(purchase, 'all', 1_000)), 'done')
    assert.equal(await settledOf(reopened, ADA), '-1', 'the bonus was not spent, so it is not owed')
    assert.equal(await outcomeOf(reopened, ADA, buy.fulfil(open)), 'done', 'money that comes late counts')
  })

  test('what leaves a purchase unspent as a hold lets go of it is kept of it', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const purchase = await bought(store, ADA, { lifeMs: make.HOUR_MS })
    const hold = await seqOf(store, ADA, make.hold(60, { ttlMs: 3 * make.HOUR_MS }))
    clock.nowMs += 2 * make.HOUR_MS
    await make.make(store, ADA, make.capture(hold, 15))
    assert.equal((await store.purchase(ADA, purchase))?.ended, 85_000_000n)
    await purchasesOf(store, ADA)
  })
}

function lists(kind: ContractKind): void {
  test('purchases are listed by account and by status', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account, 0)
    const expired = await seqOf(store, ADA, buy.openCheckout())
    clock.nowMs += make.HOUR_MS
    const paid = await bought(store, ADA)
    const pending = await seqOf(store, ADA, buy.openCheckout())
    await make.make(store, ADA, buy.pendCheckout(pending))
    const failed = await seqOf(store, ADA, buy.openCheckout())
    await make.make(store, ADA, buy.closeCheckout(failed, 'failed'))
    const open = await seqOf(store, ADA, buy.openCheckout())
    const listed = async (having: Parameters<Store['purchases']>[1]['having']): Promise<readonly number[]> =>
      (await store.purchases(ADA, { limit: 10, ...(having ? { having } : {}) })).map(({ purchase }) => purchase.seq)
    assert.deepEqual(await listed(undefined), [open, failed, pending, paid, expired])
    assert.deepEqual(await listed(['paid']), [paid])
    assert.deepEqual(await listed(['open', 'pending']), [open, pending])
    assert.deepEqual(await listed(['expired']), [expired])
    assert.deepEqual(await listed([]), [])
    assert.deepEqual(await store.purchases(BOB, { limit: 10 }), [])
  })

  test('purchases that wait for the provider are found, of all accounts, and no longer than they wait', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    for (const account of [BOB, ADA]) await openAccount(store, account, 0)
    const beginMs = clock.nowMs
    const [first, second] = [await seqOf(store, ADA, buy.openCheckout()), await bought(store, ADA)]
    const third = await seqOf(store, BOB, buy.openCheckout())
    clock.nowMs += make.HOUR_MS
    const fourth = await seqOf(store, BOB, buy.openCheckout())
    const watched = async (openedBeforeMs = clock.nowMs + 1): Promise<readonly string[]> => {
      const found: string[] = []
      for (let after: { readonly account: number; readonly seq: number } | null = null; ; ) {
        // Rows of an account are written when it is read, if not before.
        for (const account of [ADA, BOB]) await store.purchases(account, { limit: 1 })
        const page: readonly { readonly account: number; readonly seq: number }[] = await store.watchedPurchases({
          openedBeforeMs,
          after,
          limit: 1,
        })
        found.push(...page.map(({ account, seq }) => `${account === ADA ? 'ada' : 'bob'} ${seq}`))
        after = page.at(-1) ?? null
        if (after === null) return found
      }
    }
    const [ada, bob] = [(seq: number) => `ada ${seq}`, (seq: number) => `bob ${seq}`]
    assert.deepEqual(await watched(), [ada(first), bob(third), bob(fourth)])
    assert.deepEqual(await watched(beginMs + 1), [ada(first), bob(third)], 'only those that are old enough')
    await make.make(store, BOB, buy.closeCheckout(third))
    await make.make(store, ADA, make.grant(1))
    assert.deepEqual(await watched(), [ada(first), bob(fourth)], 'one that only time has ended is still to be asked about')
    await make.make(store, ADA, buy.requestRefund(second, 100))
    assert.deepEqual(await watched(), [ada(first), ada(second), bob(fourth)])
    await make.make(store, ADA, buy.refuseRefund(second, (await stateOf(store, ADA)).seq))
    await make.make(store, ADA, buy.openDispute(second))
    assert.deepEqual(await watched(), [ada(first), ada(second), bob(fourth)])
    await make.make(store, ADA, buy.closeDispute(second, 'won'))
    for (const [account, purchase] of [
      [ADA, first],
      [BOB, fourth],
    ] as const)
      await make.make(store, account, buy.fulfil(purchase))
    assert.deepEqual(await watched(), [])
  })
}

function exactlyOnce(kind: ContractKind): void {
  /** What a provider may say in any order, of a purchase that was paid, refunded in part and disputed. */
  const news = (purchase: number): readonly PurchaseCommand[] => [
    buy.fulfil(purchase),
    buy.refundTopup(purchase, 'part', 400),
    buy.openDispute(purchase, 'bank', 600),
    buy.closeDispute(purchase, 'lost', 'bank', 600),
  ]

  test('news that is told many times at once takes effect once, by its name', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const purchase = await seqOf(store, ADA, buy.openCheckout({ bonus: 10 }))
    const told = (command: PurchaseCommand): ReturnType<typeof transaction> =>
      transaction(ADA, command, { key: JSON.stringify(command), actor: 'provider' })
    const outcomes = await sendTogether(
      store,
      [...Array(20).keys()].flatMap(() => told(buy.fulfil(purchase))),
    )
    assert.deepEqual(outcomes.map(codeOf).sort(), ['done', ...Array(19).fill('replayed')])
    assert.deepEqual(
      new Set(
        outcomes.map((outcome) =>
          applied(outcome)
            .records.map(({ kind: made }) => made)
            .join(),
        ),
      ),
      new Set(['topup']),
    )
    assert.equal(await settledOf(store, ADA), '110')
    for (const command of news(purchase)) await sendTogether(store, Array(5).fill(told(command)))
    assert.equal(await settledOf(store, ADA), '0')
    const reopened = await reopen()
    for (const command of news(purchase)) await sendTogether(reopened, Array(5).fill(told(command)))
    assert.equal(await settledOf(reopened, ADA), '0')
    const facts = await reopened.purchase(ADA, purchase)
    assert.equal(facts && takenFrom(facts.purchase), 110_000_000n)
  })

  test('news that is told again without a name takes effect once as well: the purchase itself knows', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const purchase = await seqOf(store, ADA, buy.openCheckout())
    for (const command of news(purchase))
      await sendTogether(
        store,
        [...Array(5).keys()].map(() => transaction(ADA, command)),
      )
    assert.equal(await settledOf(store, ADA), '0')
    const { seq } = await stateOf(store, ADA)
    for (const command of news(purchase)) assert.deepEqual(applied(await store.transact(transaction(ADA, command))).records, [])
    assert.equal((await stateOf(store, ADA)).seq, seq, 'nothing was written')
  })

  test('a caller cannot take the name of what a provider says', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const purchase = await seqOf(store, ADA, buy.openCheckout())
    for (const key of ['paid', `provider:${ADA}:paid`, `${ADA}:paid`]) await make.make(store, ADA, make.charge(1), { key })
    assert.equal(await outcomeOf(store, ADA, buy.fulfil(purchase), { key: 'paid' }), 'done')
  })

  test('two accounts may have purchases of one name, and news of one says nothing of the other', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account, 0)
    const [ada, bob] = [await seqOf(store, ADA, buy.openCheckout()), await seqOf(store, BOB, buy.openCheckout())]
    assert.equal(ada, bob)
    await make.make(store, ADA, buy.fulfil(ada), { key: 'paid' })
    assert.deepEqual([await settledOf(store, ADA), await settledOf(store, BOB)], ['100', '0'])
    await make.make(store, BOB, buy.fulfil(bob), { key: 'paid' })
    assert.equal(await settledOf(store, BOB), '100')
  })
}
