/** API keys, price books and settings. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { micro } from '../../src/core/credits.ts'
import type { PriceRow } from '../../src/core/price-parsing.ts'
import type { KeyTerms } from '../../src/core/record.ts'
import { isRefusal } from '../../src/core/refusals.ts'
import type { PriceBookRow } from '../../src/stores/store.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { openAccount, seqOf } from '../running/store-commands.ts'

const ADA = 1
const BOB = 2

const TERMS: KeyTerms = {
  name: 'production',
  budget: { limit: micro(5_000_000n), period: 'month', timeZone: 'Europe/Berlin', maxPerCharge: micro(9_007_199_254_740_993n) },
  rateLimit: { requests: 10, windowSeconds: 60 },
  expiresAtMs: 1_900_000_000_000,
  operations: ['image', 'видео'],
  scopes: ['keys:write'],
  metadata: { team: 'ß' },
}

export function keysContract(kind: ContractKind): void {
  test('a key is what was said of it, and is found by its secret', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const seq = await seqOf(store, ADA, make.createKey('one', TERMS))
    const row = { account: ADA, seq, hint: 'ob_…one', terms: TERMS, createdAtMs: clock.nowMs }
    const fresh = { ...row, revokedAtMs: null, previousUntilMs: null, lastUsedAtMs: null }
    for (const open of [() => store, reopen]) {
      const from = await open()
      assert.deepEqual(await from.key(ADA, seq), fresh)
      assert.deepEqual(await from.keyBySecret('one'), { ...fresh, secretUntilMs: null })
      assert.deepEqual([await from.keyBySecret('two'), await from.key(ADA, 1), await from.key(BOB, seq)], [undefined, undefined, undefined])
    }
  })

  test('a change of a key’s terms leaves its secret and its other terms', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const seq = await seqOf(store, ADA, make.createKey('one', TERMS))
    const createdAtMs = clock.nowMs
    clock.nowMs += make.DAY_MS
    await make.make(store, ADA, make.updateKey(seq, { name: 'test', budget: null }))
    const changed = await (await reopen()).keyBySecret('one')
    assert.deepEqual([changed?.terms, changed?.createdAtMs], [{ ...TERMS, name: 'test', budget: null }, createdAtMs])
  })

  test('after a rotation the key is found by its new secret, and by the one before it, which is told apart', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const seq = await seqOf(store, ADA, make.createKey('one'))
    await make.make(store, ADA, make.rotateKey(seq, 'two', make.HOUR_MS))
    const untilMs = clock.nowMs + make.HOUR_MS
    for (const open of [() => store, reopen]) {
      const from = await open()
      const [current, previous] = [await from.keyBySecret('two'), await from.keyBySecret('one')]
      assert.deepEqual([current?.seq, current?.secretUntilMs, current?.hint, current?.previousUntilMs], [seq, null, 'ob_…two', untilMs])
      assert.deepEqual([previous?.seq, previous?.secretUntilMs, previous?.previousUntilMs], [seq, untilMs, untilMs])
    }
    const reopened = await reopen()
    await make.make(reopened, ADA, make.rotateKey(seq, 'three', 0))
    const ends = await Promise.all(['one', 'two', 'three'].map(async (secret) => (await reopened.keyBySecret(secret))?.secretUntilMs))
    assert.deepEqual(ends, [clock.nowMs, clock.nowMs, null], 'without overlap no earlier secret works on')
  })

  test('a revoked key is still found, as revoked, and stays so', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const seq = await seqOf(store, ADA, make.createKey('one'))
    clock.nowMs += make.MINUTE_MS
    await make.make(store, ADA, make.revokeKey(seq))
    const revokedAtMs = clock.nowMs
    clock.nowMs += make.MINUTE_MS
    const reopened = await reopen()
    assert.deepEqual(
      [(await reopened.keyBySecret('one'))?.revokedAtMs, (await reopened.key(ADA, seq))?.revokedAtMs],
      [revokedAtMs, revokedAtMs],
    )
    for (const command of [make.updateKey(seq, { name: 'x' }), make.rotateKey(seq, 'two')])
      assert.equal(await make.outcomeOf(reopened, ADA, command), 'key_already_revoked')
    const { seq: last } = (await reopened.state(ADA)) ?? assert.fail('no state')
    assert.equal(await make.outcomeOf(reopened, ADA, make.revokeKey(seq)), 'done')
    assert.equal((await reopened.state(ADA))?.seq, last)
    assert.equal((await reopened.state(ADA))?.keys, 0)
  })

  test('the last uses of keys are noted, and are no part of the ledger', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account)
    const ofAda = await seqOf(store, ADA, make.createKey('a'))
    const ofBob = await seqOf(store, BOB, make.createKey('b'))
    const { seq } = (await store.state(ADA)) ?? assert.fail('no state')
    await store.touchKeys([
      { account: ADA, seq: ofAda, atMs: 1_000 },
      { account: BOB, seq: ofBob, atMs: 2_000 },
      { account: BOB, seq: 99, atMs: 3_000 },
    ])
    await store.touchKeys([])
    await store.touchKeys([{ account: ADA, seq: ofAda, atMs: 4_000 }])
    const reopened = await reopen()
    assert.deepEqual([(await reopened.keyBySecret('a'))?.lastUsedAtMs, (await reopened.key(BOB, ofBob))?.lastUsedAtMs], [4_000, 2_000])
    assert.equal((await reopened.state(ADA))?.seq, seq)
    assert.deepEqual((await reopened.audit()).differences, [])
  })

  test('two keys cannot have one secret: the second is a fault and leaves nothing behind', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account)
    const first = await seqOf(store, ADA, make.createKey('same'))
    await assert.rejects(make.send(store, BOB, make.createKey('same')))
    await assert.rejects(make.send(store, ADA, make.createKey('same')))
    assert.deepEqual([(await store.keyBySecret('same'))?.account, (await store.keyBySecret('same'))?.seq], [ADA, first])
    assert.deepEqual([await store.keys(BOB, { limit: 9 }), (await store.state(BOB))?.seq, (await store.state(ADA))?.seq], [[], 2, first])
  })

  pricesAndSettings(kind)
}

const IMAGE: PriceRow = { operation: 'image', rate: '0.5', per: { quantity: 1, unit: 'image' } }

function pricesAndSettings(kind: ContractKind): void {
  test('price books are numbered as they are published, and kept as they are', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    assert.deepEqual(await store.priceBooks(), [])
    const publish = async (from: typeof store, prices: readonly PriceRow[], effectiveAtMs: number | null): Promise<PriceBookRow> => {
      const published = await from.publishPrices({ effectiveAtMs, prices, idempotency: null })
      assert.ok(!isRefusal(published) && !published.isReplay)
      return published.book
    }
    const first = await publish(store, [IMAGE], null)
    assert.deepEqual(first, { version: 1, effectiveAtMs: clock.nowMs, publishedAtMs: clock.nowMs, prices: [IMAGE] })
    const dear = { ...IMAGE, rate: '0.123456789012', metadata: { ключ: 'ß' } } as PriceRow
    const reopened = await reopen()
    const second = await publish(reopened, [IMAGE, dear], clock.nowMs + make.DAY_MS)
    assert.deepEqual([second.version, second.effectiveAtMs], [2, clock.nowMs + make.DAY_MS])
    const third = await publish(reopened, [], clock.nowMs)
    const late = await reopened.publishPrices({ effectiveAtMs: clock.nowMs - 1, prices: [], idempotency: null })
    assert.equal(isRefusal(late) && late.refused, 'effective_at_passed')
    assert.deepEqual(await reopened.priceBooks(), [first, second, third])
    assert.deepEqual(await (await reopen()).priceBooks(), [first, second, third])
  })

  test('settings are kept by name, the latest value', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    assert.equal(await store.setting('a'), undefined)
    await store.saveSetting('a', 'one')
    await store.saveSetting('b', '')
    await store.saveSetting('a', 'two')
    const reopened = await reopen()
    assert.deepEqual([await reopened.setting('a'), await reopened.setting('b'), await reopened.setting('c')], ['two', '', undefined])
  })

  test('a setting that is kept once stays what it was, whoever would keep another', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const kept = await Promise.all(['one', 'two', 'three'].map((value) => store.keepSetting('a', value)))
    assert.equal(new Set(kept).size, 1)
    assert.deepEqual([await store.keepSetting('a', 'four'), await (await reopen()).setting('a')], [kept[0], kept[0]])
  })

  test('whoever watches a store hears all before long, or knows that they do not', async (t) => {
    const { store } = await openTestStore(t, kind)
    const isCurrent = store.watch(() => undefined)
    for (let waits = 0; !isCurrent() && waits < 1_000; waits++) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.ok(isCurrent())
  })

  test('a store has a secret of its own, made with it and kept', async (t) => {
    const one = await openTestStore(t, kind)
    const other = await openTestStore(t, kind)
    const { secret } = one.store
    assert.ok(secret.length >= 40)
    assert.notEqual(secret, other.store.secret)
    assert.equal((await one.reopen()).secret, secret)
  })
}
