/** Background work is one process's at a time, and another's when that one is gone. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onSchema, testServer } from '../../../test/running/postgres.ts'
import { openNodes, openProxied } from '../../../test/running/postgres-stores.ts'
import type { Store } from '../store.ts'
import { CLAIM_MS } from './claims.ts'
import { openPostgresStore } from './postgres-store.ts'

const WORK = 'book due'

/** Who has the claim when all ask at once. */
function atOnce(stores: readonly Store[]): Promise<readonly boolean[]> {
  return Promise.all(stores.map((store) => store.claim(WORK)))
}

/** Who has the claim when they ask one after the other. */
async function inTurn(stores: readonly Store[]): Promise<readonly boolean[]> {
  const held: boolean[] = []
  for (const store of stores) held.push(await store.claim(WORK))
  return held
}

/** How long it takes until a store has the claim. */
async function msUntilHeld(store: Store): Promise<number> {
  const startedMs = performance.now()
  while (!(await store.claim(WORK))) {
    assert.ok(performance.now() - startedMs < 4 * CLAIM_MS, 'the claim is had within seconds')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return performance.now() - startedMs
}

test('of all that ask at once one has the claim, and keeps it for as long as it asks', async (t) => {
  const { nodes } = await openNodes(t, 4)
  const first = await atOnce(nodes)
  assert.equal(first.filter((isHeld) => isHeld).length, 1)
  const endMs = performance.now() + 1.5 * CLAIM_MS
  while (performance.now() < endMs) {
    assert.deepEqual(await atOnce(nodes), first)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
})

test('a claim is free as soon as its holder closes', async (t) => {
  const { nodes, url } = await openNodes(t, 2)
  const holder = await openPostgresStore({ url })
  assert.deepEqual(await inTurn([holder, ...nodes]), [true, false, false])
  await holder.close()
  assert.equal((await inTurn(nodes)).filter((isHeld) => isHeld).length, 1)
})

test('a claim whose holder is not heard of any more ends within seconds, and who comes back asks for it like all others', async (t) => {
  const { store: holder, proxy, url } = await openProxied(t)
  assert.equal(await holder.claim(WORK), true)
  proxy.isDown = true
  proxy.cutAll()
  const other = await openPostgresStore({ url })
  assert.equal(await other.claim(WORK), false)
  assert.ok((await msUntilHeld(other)) > CLAIM_MS / 4)
  await assert.rejects(holder.claim(WORK))
  proxy.isDown = false
  assert.equal(await holder.claim(WORK), false)
  await other.close()
  assert.equal(await holder.claim(WORK), true)
})

test('a claim is over when the database says so, whatever the clocks of its nodes say', async (t) => {
  const { nodes, url } = await openNodes(t, 2)
  assert.deepEqual(await inTurn(nodes), [true, false])
  await onSchema(url, "update claims set until = clock_timestamp() - interval '1 second'")
  assert.equal(await nodes[1].claim(WORK), true)
  await new Promise((resolve) => setTimeout(resolve, CLAIM_MS / 2 + 100))
  assert.deepEqual(await inTurn([nodes[1], nodes[0]]), [true, false])
})

test('claims that a crash of the server has lost are made again', async (t) => {
  const { crash } = await testServer()
  if (crash === null) return
  const { nodes } = await openNodes(t, 2)
  assert.deepEqual(await inTurn(nodes), [true, false])
  await crash()
  for (let tries = 0; tries < 100; tries++)
    if ((await Promise.allSettled(nodes.map((node) => node.ping()))).every(({ status }) => status === 'fulfilled')) break
  await msUntilHeld(nodes[0])
  await new Promise((resolve) => setTimeout(resolve, CLAIM_MS / 2 + 100))
  assert.equal((await inTurn(nodes)).filter((isHeld) => isHeld).length, 1)
})
