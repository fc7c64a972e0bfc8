/** Automatic top-ups: the accounts that wait are found, of all accounts, and no longer than that. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UNHURRIED_MS } from '../../src/core/auto-topup.ts'
import { attemptTopup, failTopup, REMOVE_TOPUP, setTopup } from '../running/auto-topups.ts'
import * as buy from '../running/purchases.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { DAY_MS, HOUR_MS, openAccount, seqOf } from '../running/store-commands.ts'
import * as plan from '../running/subscriptions.ts'

const ADA = 1
const BOB = 258
const ZOE = 3

export function autoTopupsContract(kind: ContractKind): void {
  test('accounts that wait to be topped up are found, page by page, and no longer than that', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    for (const account of [BOB, ADA, ZOE]) {
      await openAccount(store, account, 100)
      await make.make(store, account, plan.saveMethod())
    }
    const asking = async (untilMs = clock.nowMs): Promise<readonly number[]> => {
      const found: number[] = []
      for (let after: number | null = null; ; ) {
        // Rows of an account are written when it is read, if not before.
        for (const account of [ADA, BOB, ZOE]) await store.purchases(account, { limit: 1 })
        const page: readonly number[] = await store.askingTopups({ untilMs, after, limit: 1 })
        found.push(...page)
        after = page.at(-1) ?? null
        if (after === null) return found
      }
    }
    for (const account of [BOB, ADA]) await make.make(store, account, setTopup())
    assert.deepEqual(await asking(UNHURRIED_MS), [])
    for (const account of [ADA, BOB, ZOE]) await make.make(store, account, make.charge(95))
    assert.deepEqual(await asking(), [ADA, BOB])
    const [ada, bob] = [await seqOf(store, ADA, attemptTopup()), await seqOf(store, BOB, attemptTopup())]
    assert.deepEqual(await asking(), [ADA, BOB], 'what nobody knows the outcome of has to be asked about')
    await make.make(store, ADA, failTopup(ada))
    await make.make(store, BOB, buy.linkCheckout(bob))
    assert.deepEqual([await asking(), await asking(UNHURRIED_MS)], [[], [ADA, BOB]], 'one waits, and the other has a page')
    clock.nowMs += HOUR_MS
    assert.deepEqual(await asking(), [ADA])
    await make.make(store, ADA, make.updateAccount({ status: 'suspended' }))
    assert.deepEqual(await asking(), [])
    await make.make(store, ADA, make.updateAccount({ status: 'active' }))
    await make.make(store, BOB, buy.fulfil(bob))
    await make.make(store, BOB, make.charge(95))
    assert.deepEqual(await asking(), [ADA], 'the other was paid a moment ago')
    clock.nowMs += DAY_MS
    await make.make(store, ADA, REMOVE_TOPUP)
    assert.deepEqual(await asking(), [BOB])
    const again = await reopen()
    assert.deepEqual(await again.askingTopups({ untilMs: clock.nowMs, after: null, limit: 10 }), [BOB])
  })

  test('an account that lives by a test clock waits by that', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await make.make(store, ADA, make.createAccount({ clock: { clock: 'clk_1', nowMs: clock.nowMs } }))
    await make.make(store, ADA, plan.saveMethod())
    await make.make(store, ADA, setTopup())
    await make.make(store, ADA, failTopup(await seqOf(store, ADA, attemptTopup())))
    const asking = async (): Promise<readonly number[]> => {
      await store.purchases(ADA, { limit: 1 })
      return store.askingTopups({ untilMs: clock.nowMs, after: null, limit: 10 })
    }
    clock.nowMs += DAY_MS
    assert.deepEqual(await asking(), [])
    await make.make(store, ADA, make.advanceClock(clock.nowMs))
    assert.deepEqual(await asking(), [ADA])
  })
}
