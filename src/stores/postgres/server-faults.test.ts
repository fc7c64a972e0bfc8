/** What a server does besides losing connections: it goes away for a while, is read-only, has no room, or says goodbye with an answer. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atEnd } from '../../../test/running/ledger.ts'
import { newDatabase, onSchema, testServer } from '../../../test/running/postgres.ts'
import { chargesOn, openNodes, openProxied } from '../../../test/running/postgres-stores.ts'
import { TcpProxy } from '../../../test/running/proxy.ts'
import { TEST_START_MS } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { openAccount, transaction } from '../../../test/running/store-commands.ts'
import { isRefusal } from '../../core/refusals.ts'
import { OutOfServiceError } from '../store.ts'
import { openPostgresStore } from './postgres-store.ts'

const BOOK = { effectiveAtMs: null, prices: [], idempotency: null }
const HOUR = { fromMs: TEST_START_MS - make.HOUR_MS, toMs: TEST_START_MS + make.HOUR_MS }

/** Takes the server away, and waits until that has been noticed: what is sent in the same moment might have arrived. */
async function takeAway(proxy: TcpProxy): Promise<void> {
  proxy.isDown = true
  proxy.cutAll()
  await new Promise((resolve) => setTimeout(resolve, 200))
}

/** An error as the server sends it. */
function errorMessage(severity: string, code: string): Buffer {
  const fields = Buffer.from(`S${severity}\0V${severity}\0C${code}\0Mthe test says so\0\0`)
  const head = Buffer.from('E....')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

test('a server that ends a session in the same breath as it answers does not end the process', async (t) => {
  const { store, proxy } = await openProxied(t)
  await openAccount(store, 1, 100)
  let left = 3
  proxy.answer = (data) => {
    if (!data.includes('BEGIN') || left-- <= 0) return data
    return Buffer.concat([data, errorMessage('FATAL', '57P01')])
  }
  assert.deepEqual(await store.usage(1, HOUR), [])
  assert.ok(left < 3, 'it happened')
  assert.equal((await store.feed(0, 10)).length, 2)
})

test('reads, usage, the feed and price books wait for a server that is away, as commands do', async (t) => {
  const { store, proxy } = await openProxied(t)
  await openAccount(store, 1, 100)
  await openAccount(store, 2, 100)
  await takeAway(proxy)
  setTimeout(() => {
    proxy.isDown = false
  }, 1_500)
  const [state, usage, feed, published, charged] = await Promise.all([
    store.state(1),
    store.usage(1, HOUR),
    store.feed(0, 2),
    store.publishPrices(BOOK),
    make.outcomeOf(store, 2, make.charge(1)),
  ])
  assert.ok(state && !isRefusal(published))
  assert.deepEqual([usage, feed.length, charged], [[], 2, 'done'])
})

test('who asks when the server has been away for long hears so at once, and is served as soon as it is back', async (t) => {
  const { store, proxy } = await openProxied(t, { patience: { reconnectMs: 4_000 } })
  await openAccount(store, 1, 100)
  await takeAway(proxy)
  const asked = [() => store.state(1), () => store.usage(1, HOUR), () => make.send(store, 1, make.charge(1))]
  await Promise.all(asked.map((ask) => assert.rejects(ask(), OutOfServiceError)))
  for (const ask of asked) {
    const startedMs = performance.now()
    await assert.rejects(ask(), OutOfServiceError)
    assert.ok(performance.now() - startedMs < 2_000, 'nobody waits again for what others have waited for')
  }
  proxy.isDown = false
  for (const ask of asked) await ask()
  assert.equal((await store.state(1))?.seq, 3)
})

test('reads that wait for a session are bounded: more are turned away', async (t) => {
  const { store, proxy } = await openProxied(t, { patience: { reconnectMs: 500, connectMs: 2_000 } })
  await takeAway(proxy)
  const reads = await Promise.allSettled(Array.from({ length: 10_500 }, (_, account) => store.account(account)))
  const faults = Map.groupBy(reads, (read) => (read.status === 'rejected' ? read.reason.name : 'answered'))
  assert.deepEqual([...faults.keys()].sort(), ['OutOfServiceError', 'OverloadedError'])
  assert.ok((faults.get('OverloadedError')?.length ?? 0) > 300)
  proxy.isDown = false
  assert.equal(await store.account(1), undefined)
})

test('a commit whose answer is lost makes no read fail, numbers the feed once, and publishes a book once under its key', async (t) => {
  const { store, proxy, url } = await openProxied(t)
  await openAccount(store, 1, 100)
  const losing = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    let left = 1
    proxy.mishap = (data) => (/commit(?!ted)/.test(data.toString('latin1')) && left-- > 0 ? 'cut after' : null)
    try {
      return await work()
    } finally {
      assert.ok(left <= 0, 'it was lost')
      proxy.mishap = () => null
    }
  }
  assert.deepEqual(await losing(() => store.usage(1, HOUR)), [])
  const feed = await losing(() => store.feed(0, 10))
  assert.deepEqual(
    feed.map(({ position }) => position),
    [1, 2],
  )
  const { idempotency } = transaction(1, make.charge(1), { key: 'book' })
  const published = await losing(() => store.publishPrices({ ...BOOK, idempotency }))
  assert.ok(!isRefusal(published) && published.book.version === 1)
  await assert.rejects(
    losing(() => store.publishPrices(BOOK)),
    /may have happened or not/,
  )
  // What has arrived is carried out, in the server's own time.
  await new Promise((resolve) => setTimeout(resolve, 500))
  const books = await onSchema<{ version: number }>(url, 'select version from price_books order by version')
  assert.deepEqual(books, [{ version: 1 }, { version: 2 }], 'one without a key is not published again')
})

test('a server that panics for want of room is asked whether it had committed first', async (t) => {
  const { store, proxy, url } = await openProxied(t)
  await openAccount(store, 1, 100)
  let left = 1
  let isWritten = false
  proxy.mishap = (data) => {
    isWritten = /write /.test(data.toString('latin1'))
    return null
  }
  proxy.answer = (data) => {
    if (!isWritten || left-- <= 0) return data
    setImmediate(() => proxy.cutAll())
    return errorMessage('PANIC', '53100')
  }
  assert.equal(await make.outcomeOf(store, 1, make.charge(1)), 'done')
  assert.ok(left <= 0, 'it panicked')
  assert.equal(await chargesOn(url), 1)
})

/** From now on whatever is written to a table fails as it does when the disk is full. */
async function fillDisk(url: string): Promise<void> {
  await onSchema(
    url,
    `create function no_room() returns trigger language plpgsql as
       $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
     create trigger no_room before insert on batches for each statement execute function no_room()`,
  )
}

test('a full disk fails what must be written, answers what need not be, and is forgotten once there is room again', async (t) => {
  const { store, url } = await openProxied(t)
  await openAccount(store, 1, 100)
  await make.make(store, 1, make.charge(1), { key: 'before' })
  await fillDisk(url)
  const sent = [
    transaction(1, make.charge(1), { key: 'a' }),
    transaction(1, make.charge(1_000), { key: 'b' }),
    transaction(1, make.charge(1), { key: 'before' }),
    transaction(2, make.createAccount(), { key: 'c' }),
  ]
  const full = await Promise.allSettled(sent.map((one) => store.transact(one)))
  const words = full.map((one) => (one.status === 'fulfilled' ? make.codeOf(one.value) : one.reason.name))
  assert.deepEqual(words, ['OutOfServiceError', 'insufficient_credits', 'replayed', 'OutOfServiceError'])
  const [first] = full
  assert.match(first?.status === 'rejected' ? `${first.reason.message}: ${first.reason.cause}` : '', /out of room.*No space left on device/)
  assert.equal((await store.state(1))?.seq, 3)
  assert.equal(await store.state(2), undefined)
  await onSchema(url, 'drop trigger no_room on batches')
  assert.deepEqual((await make.sendTogether(store, sent)).map(make.codeOf), ['done', 'insufficient_credits', 'replayed', 'done'])
})

test('what is lost again and again is given up, though all else is answered', async (t) => {
  const { store, proxy } = await openProxied(t, { patience: { reconnectMs: 1_500 } })
  await openAccount(store, 1, 100)
  proxy.mishap = (data) => (data.includes('from rollups') ? 'cut before' : null)
  let isOver = false
  const others = (async () => {
    while (!isOver) await store.account(1)
  })()
  await assert.rejects(store.usage(1, HOUR), OutOfServiceError)
  isOver = true
  await others
})

test('a database that is made read-only is waited for; after that the caller hears so, and nothing is done', async (t) => {
  const { url: on, drop } = await newDatabase()
  atEnd(t, drop)
  const { nodes, url } = await openNodes(t, 2, { on, patience: { reconnectMs: 2_000 } })
  const [store] = nodes
  await openAccount(store, 1, 100)
  const name = new URL(url).pathname.slice(1)
  const { url: server } = await testServer()
  const setReadOnly = async (setting: 'on' | 'off'): Promise<void> => {
    await onSchema(server, `alter database ${name} set default_transaction_read_only = ${setting}`)
    await onSchema(server, 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  }
  const sessions = async (): Promise<number> => {
    const rows = await onSchema<{ count: number }>(server, 'select sessions::integer as count from pg_stat_database where datname = $1', [
      name,
    ])
    return rows[0]?.count ?? 0
  }
  await setReadOnly('on')
  const before = await sessions()
  await assert.rejects(make.send(store, 1, make.charge(1), { key: 'k' }), OutOfServiceError)
  assert.ok((await sessions()) - before < 100, 'it is asked now and then, not all the time')
  assert.equal((await store.state(1))?.seq, 2, 'it can still be read')
  await setReadOnly('off')
  assert.equal(await make.outcomeOf(store, 1, make.charge(1), { key: 'k' }), 'done')
})

test('what a database sets for its sessions changes nothing of how commits are made', async (t) => {
  const { url: on, drop } = await newDatabase()
  atEnd(t, drop)
  const name = new URL(on).pathname.slice(1)
  await onSchema(
    on,
    `alter database ${name} set default_transaction_isolation = serializable; alter database ${name} set synchronous_commit = off`,
  )
  const { nodes, url } = await openNodes(t, 2, { on })
  await onSchema(
    url,
    `create table seen (isolation text, durability text);
     create function look() returns trigger language plpgsql as
       $$ begin insert into seen values (current_setting('transaction_isolation'), current_setting('synchronous_commit')); return null; end $$;
     create trigger look after insert on batches for each statement execute function look()`,
  )
  for (const [number, node] of nodes.entries())
    await make.sendTogether(node, [transaction(number, make.createAccount()), transaction(number, make.grant(1))])
  await make.make(nodes[0], 1, make.charge(1))
  const seen = await onSchema(url, 'select distinct isolation, durability from seen')
  assert.deepEqual(seen, [{ isolation: 'read committed', durability: 'on' }])
})

test('a store whose server has gone silent is closed all the same', async (t) => {
  const { url } = await openProxied(t)
  const proxy = await TcpProxy.start(url)
  atEnd(t, () => proxy.stop())
  const store = await openPostgresStore({ url: proxy.url, patience: { silenceMs: 300 } })
  await openAccount(store, 1, 100)
  assert.ok(await store.claim('book due'))
  proxy.mishap = () => 'silence'
  await store.close()
  assert.ok(proxy.cuts > 0, 'it said goodbye to nobody')
})

test('keys that two nodes have used are noted by both at once, in whatever order', async (t) => {
  const { nodes } = await openNodes(t, 2)
  await openAccount(nodes[0], 1, 100)
  const keys = await make.sendTogether(
    nodes[0],
    Array.from({ length: 300 }, (_, index) => transaction(1, make.createKey(`secret ${index}`))),
  )
  const uses = keys.map((key) => ({ account: 1, seq: make.applied(key).records[0]?.seq ?? 0, atMs: TEST_START_MS }))
  for (let round = 0; round < 10; round++)
    await Promise.all([nodes[0].touchKeys(uses), nodes[1].touchKeys(uses.toReversed()), nodes[0].touchKeys(uses.toReversed())])
  assert.equal((await nodes[1].key(1, uses[0]?.seq ?? 0))?.lastUsedAtMs, TEST_START_MS)
})
