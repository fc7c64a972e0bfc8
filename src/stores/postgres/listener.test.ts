/** What one node changes of what the others keep in memory, they hear of; and they know when they do not. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atEnd } from '../../../test/running/ledger.ts'
import { onSchema } from '../../../test/running/postgres.ts'
import { openNodes, openProxied } from '../../../test/running/postgres-stores.ts'
import { TcpProxy } from '../../../test/running/proxy.ts'
import * as make from '../../../test/running/store-commands.ts'
import { openAccount, transaction } from '../../../test/running/store-commands.ts'
import type { Notice, Store } from '../store.ts'
import { openPostgresStore } from './postgres-store.ts'

const BOOK = { effectiveAtMs: null, prices: [], idempotency: null }
/** Longest that anything here may take, on a machine with much else to do. */
const LIMIT_MS = 15_000

interface Heard {
  readonly notices: Notice[]
  readonly isCurrent: () => boolean
  /** Waits until so many notices of a kind have come. */
  readonly until: (of: Notice['of'], count?: number) => Promise<void>
}

async function untilTrue(what: string, isTrue: () => boolean): Promise<void> {
  const endMs = performance.now() + LIMIT_MS
  while (!isTrue()) {
    assert.ok(performance.now() < endMs, what)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Listens to a store, from when it hears all. */
async function listen(store: Store): Promise<Heard> {
  const notices: Notice[] = []
  const isCurrent = store.watch((notice) => notices.push(notice))
  await untilTrue('it hears', isCurrent)
  const until = (of: Notice['of'], count = 1): Promise<void> =>
    untilTrue(`${count} of ${of}: ${JSON.stringify(notices)}`, () => notices.filter((notice) => notice.of === of).length >= count)
  return { notices, isCurrent, until }
}

test('changes of keys and published prices are heard of by every node, and nothing else is', async (t) => {
  const { nodes } = await openNodes(t, 3)
  const [one, other] = nodes
  const heard = await Promise.all(nodes.map(listen))
  await openAccount(one, 7, 100)
  const key = await make.seqOf(one, 7, make.createKey('secret'))
  await make.make(one, 7, make.charge(1, { key }))
  await make.make(other, 7, make.updateAccount({ status: 'suspended' }))
  await make.make(other, 7, make.updateKey(key, { name: 'other' }))
  await make.make(one, 7, make.rotateKey(key, 'another secret'))
  await make.make(other, 7, make.revokeKey(key))
  await other.publishPrices(BOOK)
  const expected = [...Array.from({ length: 3 }, () => ({ of: 'key', account: 7, seq: key })), { of: 'prices' }]
  for (const { notices, until } of heard) {
    await until('prices')
    assert.deepEqual(
      notices.filter(({ of }) => of !== 'anything'),
      expected,
    )
  }
})

test('many keys that are changed in one commit are heard of one by one; what was refused or not committed is not', async (t) => {
  const { nodes, url } = await openNodes(t, 2)
  const [one, other] = nodes
  await openAccount(one, 7, 100)
  const made = await make.sendTogether(
    one,
    Array.from({ length: 200 }, (_, index) => transaction(7, make.createKey(`secret ${index}`))),
  )
  const keys = made.map((outcome) => make.applied(outcome).records[0]?.seq ?? 0)
  const heard = await listen(other)
  await make.sendTogether(
    one,
    keys.map((key) => transaction(7, make.revokeKey(key))),
  )
  await heard.until('key', 200)
  assert.equal(await make.outcomeOf(one, 7, make.updateKey(keys[0] ?? 0, { name: 'x' })), 'key_already_revoked')
  await onSchema(url, "alter table journal add constraint no_more_keys check (kind <> 'key_rotated') not valid")
  const last = await make.seqOf(one, 7, make.createKey('last'))
  await assert.rejects(make.send(one, 7, make.rotateKey(last, 'never')), /no_more_keys/)
  await onSchema(url, 'alter table journal drop constraint no_more_keys')
  await make.make(one, 7, make.revokeKey(last))
  await heard.until('key', 201)
  assert.deepEqual(
    heard.notices.flatMap((notice) => (notice.of === 'key' ? [notice.seq] : [])).toSorted((a, b) => a - b),
    [...keys, last],
  )
})

test('stores in two schemas of one database do not hear each other, and noise on a channel does no harm', async (t) => {
  const [{ nodes, url }, { nodes: others }] = [await openNodes(t, 2), await openNodes(t, 2)]
  const heard = await listen(others[0])
  await nodes[0].publishPrices(BOOK)
  const own = await listen(nodes[1])
  const noises = ['', 'no json', '{"of":"something new"}', '[]', '1', 'null']
  const before = own.notices.length
  for (const noise of noises) await onSchema(url, "select pg_notify('obol:' || current_schema(), $1)", [noise])
  await own.until('anything', before + noises.length)
  await others[1].publishPrices(BOOK)
  await heard.until('prices')
  assert.equal(heard.notices.filter(({ of }) => of === 'prices').length, 1)
})

for (const mishap of ['cut before', 'silence', 'server ends', 'client ends'] as const)
  test(`a node that cannot hear (${mishap}) knows so, listens again when it can, and takes anything for changed`, async (t) => {
    const { store, proxy } = await openProxied(t)
    const heard = await listen(store)
    const before = heard.notices.length
    proxy.mishap = (data) => (/pg_listening_channels|listen "/.test(data.toString('latin1')) ? mishap : null)
    await untilTrue('it knows', () => !heard.isCurrent())
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.ok(!heard.isCurrent(), 'it goes on to know')
    await openAccount(store, 7, 100)
    proxy.mishap = () => null
    await untilTrue('it hears again', heard.isCurrent)
    assert.ok(
      heard.notices.slice(before).some(({ of }) => of === 'anything'),
      'it may have missed something',
    )
    await store.publishPrices(BOOK)
    await heard.until('prices')
  })

test('a node whose listening session is ended by the server hears again', async (t) => {
  const { nodes, url } = await openNodes(t, 2)
  const heard = await listen(nodes[0])
  await onSchema(
    url,
    "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_listening_channels%' and pid <> pg_backend_pid()",
  )
  await heard.until('anything', 2)
  await untilTrue('it hears again', heard.isCurrent)
})

test('a store is closed while its listening session is being opened', async (t) => {
  const { url } = await openProxied(t)
  const proxy = await TcpProxy.start(url)
  atEnd(t, () => proxy.stop())
  const store = await openPostgresStore({ url: proxy.url })
  proxy.mishap = (data) => (data.includes('application_name') ? 'late answer' : null)
  store.watch(() => undefined)
  await untilTrue('it is being opened', () => proxy.cuts > 0)
  await store.close()
})
