/** The connection to the server is cut, half closed, late, silent, or refused for a while: what was done is known, and done once. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atEnd } from '../../../test/running/ledger.ts'
import { testServer } from '../../../test/running/postgres.ts'
import { chargesOn, openProxied } from '../../../test/running/postgres-stores.ts'
import type { Mishap } from '../../../test/running/proxy.ts'
import { Random } from '../../../test/running/random.ts'
import { TEST_START_MS } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { openAccount, transaction } from '../../../test/running/store-commands.ts'
import { isRefusal } from '../../core/refusals.ts'
import { openPostgresStore } from './postgres-store.ts'

/** Whether data carries a commit: by itself, or as the end of a transaction. The settings of a session name commits too. */
function commits(data: Buffer): boolean {
  return /write |(?<!_)commit(?!ted)/.test(data.toString('latin1'))
}

/** Longest that a delayed piece of data is under way, and a while more. */
const DELAYED_MS = 900

for (const [name, mishap] of [
  ['is cut before the server hears of it', 'cut before'],
  ['is cut while the server commits', 'cut after'],
  ['goes silent', 'silence'],
  ['takes longer than is waited for, and delivers all the same', 'delay'],
  ['answers later than is waited for', 'late answer'],
  ['is half closed towards the server', 'client ends'],
  ['is half closed towards the client', 'server ends'],
] as const)
  for (const isNamed of [true, false])
    test(`a connection that ${name} leaves ${isNamed ? 'commands with' : 'commands without'} an idempotency key done once, and answered`, async (t) => {
      const { store, proxy, url } = await openProxied(t, { patience: { statementMs: 300, silenceMs: 100 } })
      await openAccount(store, 1, 1_000)
      for (let time = 0; time < 12; time++) {
        // Refused commands go another way than those that are done: under lock.
        const amount = time % 3 === 2 ? 5_000 : 1
        const isFirst = { left: time % 2 === 0 ? 1 : 2 }
        proxy.mishap = (data) => (commits(data) && isFirst.left-- > 0 ? mishap : null)
        const sending = isNamed ? { key: `key ${time}` } : {}
        assert.equal(await make.outcomeOf(store, 1, make.charge(amount), sending), amount === 1 ? 'done' : 'insufficient_credits')
      }
      assert.ok(proxy.cuts >= 8, `${proxy.cuts} mishaps`)
      await new Promise((resolve) => setTimeout(resolve, DELAYED_MS))
      assert.equal(await chargesOn(url), 8)
      assert.equal((await store.state(1))?.seq, 10)
    })

for (const [name, first] of [
  ['never arrived', 'cut before'],
  ['took effect', 'cut after'],
] as const)
  for (const second of ['cut before', 'cut after', 'silence'] as const)
    test(`a commit that ${name} is known for what it is, although the question about it is lost too (${second})`, async (t) => {
      const { store, proxy, url } = await openProxied(t, { patience: { statementMs: 1_000, silenceMs: 100 } })
      await openAccount(store, 1, 1_000)
      for (let time = 1; time <= 3; time++) {
        const mishaps: Mishap[] = [first, second, second]
        proxy.mishap = (data) => (/write |give up/.test(data.toString('latin1')) ? (mishaps.shift() ?? null) : null)
        assert.equal(await make.outcomeOf(store, 1, make.charge(1)), 'done')
        assert.equal(mishaps.length, 0, 'each of them came to pass')
        assert.equal(await chargesOn(url), time)
      }
    })

/** All that may happen to a connection, but for silence, which takes as long as patience does. */
const ANYTHING: readonly Mishap[] = ['cut before', 'cut after', 'delay', 'late answer', 'client ends', 'server ends']

test('while connections are cut, delayed and half closed at random, every charge is answered and none is done twice', async (t) => {
  const { store, proxy, url } = await openProxied(t)
  const random = new Random(99)
  for (let account = 1; account <= 8; account++) await openAccount(store, account, 100)
  proxy.mishap = (): Mishap | null => (random.isLikely(0.15) ? (random.pick(ANYTHING) ?? null) : null)
  let done = 0
  let sent = 0
  const client = async (): Promise<void> => {
    while (sent++ < 1_500) {
      const one = transaction(random.between(1, 8), make.charge(1), random.isLikely(0.5) ? { key: `key ${sent}` } : {})
      if (!isRefusal(await store.transact(one))) done++
    }
  }
  await Promise.all(Array.from({ length: 24 }, client))
  proxy.mishap = () => null
  assert.ok(proxy.cuts > 20, `${proxy.cuts} connections were cut`)
  assert.equal(await chargesOn(url), done)
  assert.equal(done, 800, 'all that there was to charge')
})

test('two nodes whose connections are cut, delayed and half closed at random share keys: each has one effect, and all answers agree', async (t) => {
  const { store, proxy, url } = await openProxied(t)
  const other = await openPostgresStore({ url, clock: () => TEST_START_MS })
  atEnd(t, () => other.close())
  const random = new Random(7)
  for (let account = 1; account <= 3; account++) await openAccount(store, account, 10_000)
  proxy.mishap = (): Mishap | null => (random.isLikely(0.05) ? (random.pick(ANYTHING) ?? null) : null)
  const heard = new Map<string, string[]>()
  let sent = 0
  const client = async (): Promise<void> => {
    while (sent < 1_000) {
      const key = `key ${random.isLikely(0.3) ? random.below(sent + 1) : sent++}`
      const account = 1 + (Number(key.slice(4)) % 3)
      const outcome = make.applied(await random.pick([store, other]).transact(transaction(account, make.charge(1), { key })))
      heard.set(key, [...(heard.get(key) ?? []), `${outcome.isReplay} ${outcome.records[0]?.seq}`])
    }
  }
  await Promise.all(Array.from({ length: 16 }, client))
  for (const [key, answers] of heard) {
    assert.equal(answers.filter((answer) => answer.startsWith('false')).length <= 1, true, `${key}: ${answers.join()}`)
    assert.equal(new Set(answers.map((answer) => answer.split(' ')[1])).size, 1, `${key}: ${answers.join()}`)
  }
  assert.equal(await chargesOn(url), heard.size)
})

test('a price book whose connection is cut on the way is published all the same, once', async (t) => {
  const { store, proxy } = await openProxied(t)
  let left = 2
  proxy.mishap = (data) => (data.includes('publish price book') && left-- > 0 ? 'cut before' : null)
  const published = await store.publishPrices({ effectiveAtMs: null, prices: [], idempotency: null })
  assert.equal(!isRefusal(published) && published.book.version, 1)
  assert.equal(left, -1)
  assert.equal((await store.priceBooks()).length, 1)
})

test('a server that cannot be reached for a while is waited for; after that the caller hears so, and nothing is done', async (t) => {
  const { store, proxy, url } = await openProxied(t, { patience: { reconnectMs: 1_500 } })
  await openAccount(store, 1, 100)
  proxy.isDown = true
  proxy.cutAll()
  setTimeout(() => {
    proxy.isDown = false
  }, 500)
  assert.equal(await make.outcomeOf(store, 1, make.charge(1)), 'done')
  proxy.isDown = true
  proxy.cutAll()
  await new Promise((resolve) => setTimeout(resolve, 50))
  await assert.rejects(make.send(store, 1, make.charge(1)), /does not answer/)
  await assert.rejects(store.ping())
  proxy.isDown = false
  assert.equal(await make.outcomeOf(store, 1, make.charge(1)), 'done')
  assert.equal(await chargesOn(url), 2)
})

test('a commit whose outcome cannot be found out is answered so, and the same key tells later what became of it', async (t) => {
  const { store, proxy, url } = await openProxied(t, { patience: { reconnectMs: 300 } })
  await openAccount(store, 1, 100)
  proxy.mishap = (data) => {
    if (!commits(data)) return null
    proxy.isDown = true
    return 'cut after'
  }
  await assert.rejects(make.send(store, 1, make.charge(1), { key: 'k' }), /same Idempotency-Key/)
  proxy.isDown = false
  proxy.mishap = () => null
  assert.match(await make.outcomeOf(store, 1, make.charge(1), { key: 'k' }), /^(done|replayed)$/)
  assert.equal(await chargesOn(url), 1)
})

test('a server that is killed, or stopped at once, and comes back has all that was answered', async (t) => {
  const server = await testServer()
  if (server.crash === null) return
  const { store, url } = await openProxied(t)
  for (let account = 1; account <= 4; account++) await openAccount(store, account, 100_000)
  let done = 0
  let isOver = false
  const client = async (): Promise<void> => {
    while (!isOver) {
      await make.make(store, 1 + (done % 4), make.charge(1))
      done++
    }
  }
  const clients = Array.from({ length: 8 }, client)
  for (const how of ['SIGKILL', 'SIGQUIT'] as const) {
    await new Promise((resolve) => setTimeout(resolve, 300))
    const before = done
    await server.crash(how)
    for (let wait = 0; done === before && wait < 100; wait++) await new Promise((resolve) => setTimeout(resolve, 50))
    assert.ok(done > before, 'it goes on')
  }
  isOver = true
  await Promise.all(clients)
  assert.equal(await chargesOn(url), done)
})
