/** Each crossing is told once, whoever crosses it, and whoever asks afterwards. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventsOf } from '../../src/core/events.ts'
import type { Store } from '../../src/stores/store.ts'
import { createAlert, DAILY } from '../running/alerts.ts'
import { toMicro } from '../running/memory-account.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { openAccount, seqOf, transaction } from '../running/store-commands.ts'
import { recordsOf, stateOf } from './looking.ts'

const ADA = 1

/** What the records of an account tell of alerts, in order. */
export async function turnsIn(store: Store, account: number): Promise<readonly string[]> {
  const records = await recordsOf(store, account)
  return records.flatMap(({ alerts = [] }) => alerts.map(({ turn, alert }) => `${alert} ${turn}`))
}

export function alertsContract(kind: ContractKind): void {
  test('charges that arrive together cross a threshold once, and the account remembers that they have', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 100)
    const low = await seqOf(store, ADA, createAlert({ credits: 50 }))
    const spent = await seqOf(store, ADA, createAlert({ watch: DAILY, credits: 30 }))
    await Promise.all(Array.from({ length: 70 }, () => store.transact(transaction(ADA, make.charge(1)))))
    assert.deepEqual([...(await turnsIn(store, ADA))], [`${spent} fired`, `${low} fired`])
    const before = await stateOf(store, ADA)
    const again = await reopen()
    assert.deepEqual(await stateOf(again, ADA), before)
    await make.make(again, ADA, make.charge(1))
    await make.make(again, ADA, make.grant(100))
    assert.deepEqual([...(await turnsIn(again, ADA))], [`${spent} fired`, `${low} fired`, `${low} recovered`])
  })

  test("a key's budget is watched if the key is there and not revoked", async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 100)
    const budget = { limit: toMicro(10), period: 'day', timeZone: 'UTC', maxPerCharge: null } as const
    const [key, revoked] = [
      await seqOf(store, ADA, make.createKey('one', { budget })),
      await seqOf(store, ADA, make.createKey('other', { budget })),
    ]
    await make.make(store, ADA, make.revokeKey(revoked))
    const watching = (seq: number) => createAlert({ watch: { of: 'key_budget', key: seq }, percent: 50 })
    assert.equal(await make.outcomeOf(store, ADA, watching(revoked)), 'key_already_revoked')
    assert.equal(await make.outcomeOf(store, ADA, watching(999)), 'key_not_found')
    const alert = await seqOf(store, ADA, watching(key))
    await make.make(store, ADA, make.charge(6, { key }))
    assert.deepEqual([...(await turnsIn(store, ADA))], [`${alert} fired`])
  })

  test('what expires is told of by the background, and is in the feed with its event', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA, 5)
    await make.make(store, ADA, make.grant(100, { expiresAtMs: clock.nowMs + make.HOUR_MS }))
    await seqOf(store, ADA, createAlert({ credits: 50 }))
    clock.nowMs += 2 * make.HOUR_MS
    await make.send(store, ADA, make.BOOK_DUE)
    const last = (await store.feed(0, 100)).at(-1)
    assert.ok(last)
    assert.deepEqual([last.record.kind, eventsOf(last.record)], ['grant_expired', ['grant.expired', 'credits.low']])
    assert.deepEqual(
      last.record.alerts?.map(({ atMs }) => atMs),
      [clock.nowMs - make.HOUR_MS],
    )
  })
}
