/**
 * A process that dies between any two steps of delivering loses no event and changes no order: of each account, at most the event that
 * was on its way is sent again. And processes that share a store send each event once.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Received, type Receiver, startReceiver, until } from '../../test/running/receiver.ts'
import { newPlace, openTestStore, STORE_KINDS, type StoreKind, TEST_START_MS } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { MINUTE_MS, openAccount } from '../../test/running/store-commands.ts'
import { addEndpoint, makeWebhooks, readMessage } from '../../test/running/webhooks.ts'
import { accountId } from '../core/ids.ts'
import type { Store } from '../stores/store.ts'
import type { EndpointRow } from '../stores/webhooks/endpoints.ts'
import type { WebhookParts } from './webhooks.ts'

const ACCOUNTS = [1, 2, 3]

class DeathError extends Error {
  override readonly name = 'DeathError'
}

/** A life that ends at one of its steps: before it, or when it has taken effect and its result is on the way. Then nothing works any more. */
class Life {
  readonly #endsAt: number
  readonly #ends: 'before' | 'after'
  steps = 0

  constructor(endsAt: number, ends: 'before' | 'after') {
    this.#endsAt = endsAt
    this.#ends = ends
  }

  get isOver(): boolean {
    return this.steps >= this.#endsAt
  }

  async step<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.isOver) throw new DeathError('dead')
    this.steps++
    if (!this.isOver) return work()
    if (this.#ends === 'after') await work()
    throw new DeathError('died')
  }

  /** An object each of whose methods is a step. */
  around<Thing extends object>(thing: Thing): Thing {
    const get = (target: Thing, name: string | symbol): unknown => {
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function'
        ? (...values: unknown[]) => this.step(() => Reflect.apply(value, target, values) as Promise<unknown>)
        : value
    }
    return new Proxy(thing, { get })
  }

  aroundStore(store: Store): WebhookParts['store'] {
    const { endpoints, deliveries, attempts, feed } = store.webhooks
    const rows = {
      endpoints: this.around(endpoints),
      deliveries: this.around(deliveries),
      attempts: this.around(attempts),
      feed: this.around(feed),
    }
    return {
      claim: (work) => this.step(() => store.claim(work)),
      feed: (after, limit) => this.step(() => store.feed(after, limit)),
      positionAt: (atMs) => this.step(() => store.positionAt(atMs)),
      recordsAfter: (account, seq, limit) => this.step(() => store.recordsAfter(account, seq, limit)),
      webhooks: rows,
    }
  }
}

/** What an endpoint has heard of an account: sequences and types. */
function heardOf(received: readonly Received[], { secret, url }: EndpointRow, account: number): readonly string[] {
  return received
    .filter(({ path }) => url.endsWith(path))
    .map((request) => readMessage(request, secret))
    .filter((message) => message.account === accountId(account))
    .map(({ sequence, type }) => `${sequence} ${type}`)
}

/** Without what was sent again right after it had been sent. */
function withoutRepeats(told: readonly string[]): readonly string[] {
  return told.filter((one, index) => one !== told[index - 1])
}

/** Answers each event once with a failure, if its sequence is one of every third. */
function failingSometimes(): (request: Received) => number {
  const failed = new Set<string>()
  return ({ path, headers, body }) => {
    const name = `${path} ${headers['webhook-id']}`
    const fails = /"sequence":\d*[0369],/.test(body) && !failed.has(name)
    if (fails) failed.add(name)
    return fails ? 500 : 200
  }
}

/** Where events are told of, and who hears them. */
interface World {
  readonly store: Store
  readonly clock: { nowMs: number }
  readonly receiver: Receiver
  readonly all: EndpointRow
  readonly one: EndpointRow
}

async function begin(t: TestContext, kind: StoreKind): Promise<World> {
  const receiver = await startReceiver(t)
  const { store, clock } = await openTestStore(t, kind)
  await Promise.all(ACCOUNTS.map((account) => openAccount(store, account)))
  clock.nowMs += 1_000
  const all = await addEndpoint(store, { url: `${receiver.url}/all`, nowMs: clock.nowMs })
  const one = await addEndpoint(store, { url: `${receiver.url}/one`, owner: 1, filter: ['charge.created'], nowMs: clock.nowMs })
  receiver.answer = failingSometimes()
  return { store, clock, receiver, all, one }
}

/** Two events in each account; gives the sequence of the first of them by account. */
async function makeEvents(store: Store): Promise<ReadonlyMap<number, number>> {
  const seqs = new Map<number, number>()
  for (const account of ACCOUNTS) {
    seqs.set(account, (await make.make(store, account, make.charge(1))).seq)
    await make.make(store, account, make.grant(1))
  }
  return seqs
}

/** Another process delivers what is left, until nothing waits. */
async function finish(t: TestContext, { store, clock, all, one }: World): Promise<void> {
  clock.nowMs += MINUTE_MS
  const { turn, webhooks } = makeWebhooks(t, store, clock)
  await until(async () => {
    clock.nowMs += 5_000
    await turn()
    const waiting = await Promise.all([all, one].map(({ id }) => store.webhooks.deliveries.waiting(id)))
    return waiting.every((each) => each === null)
  }, 'nothing waits any more')
  await webhooks.stop()
}

/** Tells of events in a life that ends at a step, and in another. Returns whether the life came to that step. */
async function dieAt(t: TestContext, world: World, life: Life, where: string): Promise<boolean> {
  const { store, clock, receiver } = world
  const before = receiver.received.length
  const seqs = await makeEvents(store)
  const options = { around: (sender: WebhookParts['sender']) => life.around(sender), onFault: assertDeath }
  await makeWebhooks(t, life.aroundStore(store), clock, options).turn().catch(assertDeath)
  await finish(t, world)
  const received = receiver.received.slice(before)
  for (const [account, seq] of seqs) {
    const both = [`${seq} charge.created`, `${seq + 1} grant.created`]
    assert.deepEqual(withoutRepeats(heardOf(received, world.all, account)), both, where)
    assert.deepEqual(withoutRepeats(heardOf(received, world.one, account)), account === 1 ? both.slice(0, 1) : [], where)
  }
  return life.isOver
}

function assertDeath(fault: unknown): void {
  assert.ok(fault instanceof DeathError || (fault as Error).cause instanceof DeathError, String(fault))
}

for (const kind of STORE_KINDS)
  test(`a process on ${kind} that dies at any step of delivering loses nothing and changes no order`, async (t) => {
    const world = await begin(t, kind)
    let deaths = 0
    // Before a step is after the one before it, but for what runs at the same time: once is enough where each step takes long.
    for (const ends of kind === 'sqlite' ? (['before', 'after'] as const) : (['after'] as const))
      for (let step = 1; await dieAt(t, world, new Life(step, ends), `died ${ends} step ${step}`); step++) deaths++
    assert.ok(deaths > 20, `died ${deaths} times`)
    t.diagnostic(`died ${deaths} times`)
  })

test('of processes that share a store one delivers at a time, each event once and in order, and another goes on when it stops', async (t) => {
  const place = await newPlace('postgres')
  const clock = { nowMs: TEST_START_MS }
  const stores = await Promise.all([1, 2, 3].map(() => place.open(() => clock.nowMs)))
  t.after(async () => {
    await Promise.all(stores.map((one) => one.close()))
    await place.remove()
  })
  const [store] = stores
  assert.ok(store)
  const receiver = await startReceiver(t)
  const accounts = Array.from({ length: 12 }, (_, index) => index + 1)
  await Promise.all(accounts.map((account) => openAccount(store, account)))
  clock.nowMs += 1_000
  const operators = await addEndpoint(store, { url: `${receiver.url}/operator`, nowMs: clock.nowMs })
  const own = await Promise.all(
    accounts.map((account) => addEndpoint(store, { url: `${receiver.url}/${account}.`, owner: account, nowMs: clock.nowMs })),
  )
  const nodes = stores.map((one) => ({ store: one, ...makeWebhooks(t, one, clock), isStopped: false }))
  const delivering = nodes.map(async (node) => {
    for (; !node.isStopped; await sleep(10)) if (await node.store.claim('send webhooks')) await node.turn()
  })
  t.after(() => {
    for (const node of nodes) node.isStopped = true
  })
  const expected = 2 * 10 * accounts.length
  const last = new Map<number, number>()
  const chargeAll = async (times: number, through: readonly Store[]): Promise<void> => {
    const chargeOne = async (account: number, time: number): Promise<void> => {
      const { seq } = await make.make(through[(account + time) % through.length] ?? store, account, make.charge(1))
      last.set(account, Math.max(seq, last.get(account) ?? 0))
    }
    for (let time = 0; time < times; time++) await Promise.all(accounts.map((account) => chargeOne(account, time)))
  }
  await chargeAll(5, stores)
  // What is on its way when a process stops may be sent again by the next, so it stops when nothing is.
  await until(() => receiver.received.length >= expected / 2, 'they are told')
  const claims = await Promise.all(stores.map((one) => one.claim('send webhooks')))
  assert.equal(claims.filter((isHeld) => isHeld).length, 1)
  const holder = nodes[claims.indexOf(true)]
  assert.ok(holder)
  holder.isStopped = true
  await delivering[nodes.indexOf(holder)]
  await holder.webhooks.settled()
  await holder.webhooks.stop()
  await holder.store.close()
  await chargeAll(
    5,
    stores.filter((one) => one !== holder.store),
  )
  await until(() => receiver.received.length >= expected, 'all are told')
  for (const node of nodes) node.isStopped = true
  await Promise.all(delivering)
  assert.equal(receiver.received.length, expected, 'none is told twice')
  for (const [index, account] of accounts.entries()) {
    const told = Array.from({ length: 10 }, (_, time) => `${(last.get(account) ?? 0) - 9 + time} charge.created`)
    assert.deepEqual(heardOf(receiver.received, operators, account), told)
    assert.deepEqual(heardOf(receiver.received, own[index] as EndpointRow, account), told)
  }
})

for (const kind of STORE_KINDS)
  test(`on ${kind}, who is no more the one to deliver finds out, and its late results change nothing`, async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    const receiver = await startReceiver(t)
    await openAccount(store, 1)
    clock.nowMs += 1_000
    const made = await addEndpoint(store, { url: `${receiver.url}/`, owner: 1, nowMs: clock.nowMs })
    await make.make(store, 1, make.charge(1))
    receiver.answer = () => undefined
    const gone = makeWebhooks(t, store, clock)
    await gone.webhooks.turn()
    await until(() => receiver.received.length === 1, 'it is on its way')
    await gone.webhooks.turn()
    assert.equal(receiver.received.length, 1, 'it is not sent by the same process twice')
    receiver.answer = () => 200
    await makeWebhooks(t, store, clock).turn()
    assert.deepEqual(heardOf(receiver.received, made, 1), ['3 charge.created', '3 charge.created'])
    await receiver.close()
    await gone.webhooks.settled()
    const log = await store.webhooks.attempts.list(made.id, { limit: 10 })
    assert.deepEqual(log.map(({ outcome }) => outcome).toSorted(), ['delivered', 'failed'])
    assert.equal(await store.webhooks.deliveries.waiting(made.id), null)
    assert.equal((await store.webhooks.endpoints.byId(made.id))?.health.failures, 0)
  })
