/** Whoever follows an account hears of each change, whichever process made it, and reads the records that it has not seen. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newPlace, openTestStore, STORE_KINDS, TEST_START_MS } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { openAccount } from '../../test/running/store-commands.ts'

const ADA = 1
const BOB = 2
/** Longest that another process may take to hear of a change, on a busy machine. */
const PATIENCE_MS = 10_000

async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const endMs = performance.now() + PATIENCE_MS; !isSo(); await sleep(5)) assert.ok(performance.now() < endMs, what)
}

for (const kind of STORE_KINDS)
  describe(`followers of accounts on ${kind}`, () => {
    test('records after a sequence come oldest first, as many as are asked for, written back or not', async (t) => {
      const { store } = await openTestStore(t, kind)
      await openAccount(store, ADA)
      for (let time = 0; time < 30; time++) await make.make(store, ADA, make.charge(1))
      const records = [...(await store.records(ADA, { limit: 100, after: 0 })).records]
      for (let time = 0; time < 10; time++) records.push(await make.make(store, ADA, make.charge(1)))
      const last = records.at(-1)?.seq ?? 0
      for (const after of [0, 1, 15, 31, 35, last - 1, last, last + 5])
        assert.deepEqual(
          await store.recordsAfter(ADA, after, 100),
          records.filter(({ seq }) => seq > after),
          `after ${after}`,
        )
      assert.deepEqual(await store.recordsAfter(ADA, 3, 2), records.slice(3, 5))
      assert.deepEqual(await store.recordsAfter(77, 0, 10), [])
    })

    test('a watcher is told of changes of its account and no other, until it has heard enough', async (t) => {
      const { store } = await openTestStore(t, kind)
      await openAccount(store, ADA)
      await openAccount(store, BOB)
      const told = { ada: 0, bob: 0 }
      const stop = store.watchAccount(ADA, () => told.ada++)
      const stopBob = store.watchAccount(BOB, () => told.bob++)
      const before = told.ada
      await make.make(store, ADA, make.charge(1))
      await until(() => told.ada > before, 'it was not told')
      stop()
      const heard = told.ada
      await make.make(store, ADA, make.charge(1))
      await sleep(300)
      assert.equal(told.ada, heard)
      // On PostgreSQL whoever begins to watch is told once, since nobody knows what was before.
      assert.ok(told.bob <= (kind === 'postgres' ? 1 : 0), `told ${told.bob} times of an account in which nothing happened`)
      stopBob()
    })
  })

test('a watcher on PostgreSQL is told of what another process did', async (t) => {
  const place = await newPlace('postgres')
  const [one, other] = await Promise.all([place.open(() => TEST_START_MS), place.open(() => TEST_START_MS)])
  t.after(async () => {
    await Promise.all([one.close(), other.close()])
    await place.remove()
  })
  await openAccount(one, ADA)
  let told = 0
  t.after(other.watchAccount(ADA, () => told++))
  await until(() => told > 0, 'it was not told at first')
  await sleep(600)
  assert.equal(told, 1, 'nothing has changed since')
  const { seq } = await make.make(one, ADA, make.charge(1))
  await until(() => told > 1, 'it was not told of the charge')
  assert.equal((await other.state(ADA))?.seq, seq)
})
