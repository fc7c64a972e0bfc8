/** Servers beside each other on one PostgreSQL: what one changes, the others know; what is made once, one of them makes for all. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeyRing } from '../src/auth/key-ring.ts'
import { hashSecret, makeSecret } from '../src/auth/secrets.ts'
import { PriceList } from '../src/operations/price-list.ts'
import { auditDatabase } from '../src/stores/postgres/audit.ts'
import { openPostgresStore } from '../src/stores/postgres/postgres-store.ts'
import { readJournal } from './running/history.ts'
import { atEnd } from './running/ledger.ts'
import { startNodes } from './running/nodes.ts'
import { caller, makeKey, OPERATOR_KEY, openAccount, publishTestPrices, TEST_PRICES, type TestObol } from './running/obol.ts'
import { dropSchema, newSchema, onSchema } from './running/postgres.ts'
import { openProxied } from './running/postgres-stores.ts'
import { runObol, type ServerProcess, startServer } from './running/process.ts'
import { TcpProxy } from './running/proxy.ts'
import { TEST_START_MS } from './running/store.ts'
import * as make from './running/store-commands.ts'
import { openAccount as openStoreAccount } from './running/store-commands.ts'

/** Within a second, on a machine with nothing else to do. */
const LIMIT_MS = 4_000
/** Within the seconds that a claim lasts, on such a machine. */
const TAKEN_OVER_MS = 20_000

interface Server extends Pick<TestObol, 'call'> {
  readonly process: ServerProcess
}

/** Servers as processes, each with a URL of its own for the one schema. At the end they are stopped, and the store must pass an audit. */
async function startServers(t: TestContext, urls: readonly string[]): Promise<readonly Server[]> {
  const servers = await Promise.all(
    urls.map((url) => startServer(t, 'serve', { env: { OBOL_DATABASE_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY } })),
  )
  return servers.map((process) => ({ process, call: caller(process.url) }))
}

/** A schema that is audited and taken away when the test ends. */
async function schemaOf(t: TestContext): Promise<string> {
  const url = await newSchema()
  atEnd(t, async () => {
    const { differences } = await auditDatabase(url)
    await dropSchema(url)
    assert.deepEqual(differences, [])
  })
  return url
}

/** How long it takes until something is true. */
async function msUntil(what: string, isTrue: () => Promise<boolean>): Promise<number> {
  const startedMs = performance.now()
  while (!(await isTrue())) {
    assert.ok(performance.now() - startedMs < LIMIT_MS, `${what} within a second`)
    await sleep(5)
  }
  return Math.round(performance.now() - startedMs)
}

/** Changes on one server what another keeps in memory, and measures when that one knows. */
async function checkFollowing(t: TestContext, [first, second]: readonly Server[], heard: string): Promise<void> {
  assert.ok(first && second)
  const account = await openAccount(first, '60')
  const asks = (secret: string) => second.call('GET', '/v1/credits', undefined, { key: secret })
  const [revoked, changed, rotated] = [await makeKey(first, account), await makeKey(first, account), await makeKey(first, account)]
  for (const { secret } of [revoked, changed, rotated]) assert.equal((await asks(secret)).status, 200)
  await first.call('DELETE', `/v1/keys/${revoked.id}`)
  const took: Record<string, number> = {}
  took.revoked = await msUntil('a revoked key opens nothing', async () => (await asks(revoked.secret)).status === 401)
  await first.call('PATCH', `/v1/keys/${changed.id}`, { name: 'changed' })
  took.changed = await msUntil('a changed key is as it was changed', async () => (await asks(changed.secret)).body.key.name === 'changed')
  await first.call('POST', `/v1/keys/${rotated.id}/rotate`, { overlap_seconds: 0 })
  took.rotated = await msUntil('a secret that was replaced opens nothing', async () => (await asks(rotated.secret)).status === 401)
  await publishTestPrices(first)
  took.prices = await msUntil(
    'a published book is in force',
    async () => (await second.call('POST', '/v1/charges', { account, operation: 'unit' })).body.credits === '1',
  )
  await first.call('PATCH', `/v1/accounts/${account}`, { status: 'suspended' })
  assert.equal(
    (await second.call('POST', '/v1/charges', { account, operation: 'unit' })).body.code,
    'account_suspended',
    'nobody keeps that',
  )
  t.diagnostic(`${heard}: ${JSON.stringify(took)} ms`)
}

test('what one server changes of keys, prices and accounts another one goes by within a second', async (t) => {
  const url = await schemaOf(t)
  await checkFollowing(t, await startServers(t, [url, url]), 'heard')
})

test('a server that cannot hear of changes reads them again within a second', async (t) => {
  const url = await schemaOf(t)
  const proxy = await TcpProxy.start(url)
  atEnd(t, () => proxy.stop())
  proxy.mishap = (data) => (/listen "/.test(data.toString('latin1')) ? 'cut before' : null)
  await checkFollowing(t, await startServers(t, [url, proxy.url]), 'read')
  assert.ok(proxy.cuts > 1, 'it tried again to hear')
})

test('a server that hears again after its connections were cut goes by what it has missed', async (t) => {
  const url = await schemaOf(t)
  const proxy = await TcpProxy.start(url)
  atEnd(t, () => proxy.stop())
  const [first, second] = await startServers(t, [url, proxy.url])
  assert.ok(first && second)
  const account = await openAccount(first, '60')
  const { id, secret } = await makeKey(first, account)
  for (let round = 0; round < 3; round++) {
    proxy.isDown = true
    proxy.cutAll()
    const { secret: replaced } = round === 0 ? { secret } : (await first.call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 0 })).body
    proxy.isDown = false
    await msUntil('the new secret opens', async () => (await second.call('GET', '/v1/key', undefined, { key: replaced })).status === 200)
    if (round > 0)
      await msUntil('the old one does not', async () => (await second.call('GET', '/v1/key', undefined, { key: secret })).status === 401)
  }
})

test('servers that start together on an empty database make one store with one operator key, and each works', async (t) => {
  const url = await schemaOf(t)
  const servers = await Promise.all(Array.from({ length: 4 }, () => startServer(t, 'serve', { env: { OBOL_DATABASE_URL: url } })))
  const printed = servers.flatMap(({ said }) => [...said.stdout.matchAll(/^ {2}(obol_admin_\w+)$/gm)].map(([, key]) => key))
  assert.equal(printed.length, 1, 'one of them has made the operator key')
  const [key = ''] = printed
  const opened = await Promise.all(servers.map((server) => caller(server.url)('POST', '/v1/accounts', { name: 'One' }, { key })))
  assert.deepEqual(
    opened.map(({ status }) => status),
    [201, 201, 201, 201],
  )
  const [{ version } = { version: 0 }] = await onSchema<{ version: number }>(url, 'select version from schema_version')
  assert.ok(version > 0)
  for (const server of servers) assert.deepEqual([(await server.stop()).code, server.said.stderr], [0, ''])
  const { code, stdout } = await runObol(['verify'], { env: { OBOL_DATABASE_URL: url } })
  assert.equal(code, 0, stdout)
})

test('what was quoted or held on one server under a book that another has not heard of is charged there all the same', async (t) => {
  const { url, nodes } = await startNodes(t, 1)
  const [first] = nodes
  const proxy = await TcpProxy.start(url)
  atEnd(t, () => proxy.stop())
  proxy.mishap = (data) => (/listen "/.test(data.toString('latin1')) ? 'cut before' : null)
  const [second] = (await startNodes(t, 1, proxy.url)).nodes
  await publishTestPrices(first)
  const account = await openAccount(first, '60')
  for (let round = 1; round <= 5; round++) {
    const prices = TEST_PRICES.map((row) => (row.operation === 'unit' ? { ...row, rate: `${round}` } : row))
    assert.equal((await first.call('POST', '/v1/price-book', { prices })).status, 201)
    const estimate = await first.call('POST', '/v1/estimates', { account, items: [{ operation: 'unit' }] })
    const hold = await first.call('POST', '/v1/holds', { account, operation: 'unit' })
    const quoted = await second.call('POST', '/v1/charges', { account, operation: 'unit', quote_id: estimate.body.quote_id })
    assert.deepEqual([quoted.status, quoted.body.credits], [201, `${round}`], quoted.text)
    const captured = await second.call('POST', `/v1/holds/${hold.body.id}/capture`, { quantity: '1' })
    assert.deepEqual([captured.status, captured.body.credits], [201, `${round}`], captured.text)
  }
})

test('a book that is published through a server whose clock is behind comes into force all the same', async (t) => {
  const url = await schemaOf(t)
  const open = (aheadMs: number) => openPostgresStore({ url, clock: () => TEST_START_MS + aheadMs })
  const [ahead, behind] = [await open(5_000), await open(0)]
  atEnd(t, () => Promise.all([ahead.close(), behind.close()]))
  const publish = (store: typeof ahead) => store.publishPrices({ effectiveAtMs: null, prices: [], idempotency: null })
  await publish(ahead)
  await publish(behind)
  const prices = new PriceList(behind)
  await prices.load()
  assert.equal(prices.at(TEST_START_MS + 5_000)?.version, 2)
})

test('a key that was read while it was revoked is not kept, and price books never go back', async (t) => {
  const { store, proxy, url } = await openProxied(t)
  const other = await openPostgresStore({ url, clock: () => TEST_START_MS })
  atEnd(t, () => other.close())
  await openStoreAccount(store, 7, 100)
  const secret = makeSecret('obol_live_')
  const key = await make.seqOf(store, 7, make.createKey(hashSecret(secret)))
  const ring = new KeyRing(store, () => TEST_START_MS)
  const isCurrent = store.watch(() => undefined)
  await msUntil('it hears', async () => isCurrent())
  const slowly = async <Value>(what: RegExp, read: () => Promise<Value>, meanwhile: () => Promise<unknown>): Promise<Value> => {
    const before = proxy.cuts
    proxy.mishap = (data) => (proxy.cuts === before && what.test(data.toString('latin1')) ? 'late answer' : null)
    const reading = read()
    await msUntil('it is read', async () => proxy.cuts > before)
    await sleep(50)
    await meanwhile()
    return reading
  }
  const found = await slowly(
    /from api_keys/,
    () => ring.find(secret),
    () => make.make(other, 7, make.revokeKey(key)),
  )
  assert.equal(found?.fault, null, 'it was read before it was revoked')
  assert.equal((await ring.find(secret))?.fault, 'key_revoked')
  const prices = new PriceList(store)
  const publish = () => other.publishPrices({ effectiveAtMs: null, prices: [], idempotency: null })
  await publish()
  await slowly(
    /from price_books/,
    () => prices.load(),
    async () => {
      await publish()
      await prices.load()
    },
  )
  assert.equal(prices.rows.length, 2)
})

test('what is due is booked by one server at a time, and within seconds by another when that one is killed', async (t) => {
  const url = await schemaOf(t)
  const start = async (): Promise<Server> => (await startServers(t, [url]))[0] ?? assert.fail()
  const bookingBy = async (server: Server): Promise<number> => {
    const account = await openAccount(server, '0')
    const expiresAt = new Date(Date.now() + 500).toISOString()
    assert.equal((await server.call('POST', '/v1/grants', { account, amount: '5', expires_at: expiresAt })).status, 201)
    const startedMs = performance.now()
    const isBooked = async (): Promise<boolean> => (await readJournal(server.call, account)).some(({ kind }) => kind === 'grant_expired')
    while (!(await isBooked())) {
      assert.ok(performance.now() - startedMs < TAKEN_OVER_MS, 'it is booked within seconds')
      await sleep(50)
    }
    return Math.round(performance.now() - startedMs)
  }
  const holderOf = async (): Promise<string | undefined> =>
    (await onSchema<{ holder: string }>(url, 'select holder from claims'))[0]?.holder
  let [old, next] = [await start(), await start()]
  await bookingBy(next)
  const holders = [await holderOf()]
  const took: number[] = []
  for (let life = 0; life < 2; life++) {
    // After the first of these the one that is left has the claim, so it is taken over at the second at the latest.
    old.process.signal('SIGKILL')
    await old.process.ended
    ;[old, next] = [next, await start()]
    took.push(await bookingBy(next))
    holders.push(await holderOf())
  }
  assert.ok(new Set(holders).size > 1 && !holders.includes(undefined), `${holders}`)
  t.diagnostic(`booked after ${took} ms`)
})

test('a server that has not claimed the work leaves it to the one that has', async (t) => {
  const url = await schemaOf(t)
  const holder = await openPostgresStore({ url })
  assert.equal(await holder.claim('book due'), true)
  const claiming = setInterval(() => void holder.claim('book due'), 500)
  const [server] = await startServers(t, [url])
  assert.ok(server)
  const account = await openAccount(server, '0')
  const expiresAt = new Date(Date.now() + 300).toISOString()
  await server.call('POST', '/v1/grants', { account, amount: '5', expires_at: expiresAt })
  await sleep(3_000)
  assert.equal((await readJournal(server.call, account)).length, 2, 'it is not booked')
  const { body } = await server.call('GET', `/v1/credits?account=${account}`)
  assert.equal(body.credit_types.credits.available, '0', 'and counts as expired all the same')
  clearInterval(claiming)
  await holder.close()
  const startedMs = performance.now()
  while ((await readJournal(server.call, account)).length === 2) {
    assert.ok(performance.now() - startedMs < TAKEN_OVER_MS, 'it is booked once the claim is free')
    await sleep(50)
  }
})
