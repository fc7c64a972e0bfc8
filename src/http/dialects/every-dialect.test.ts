/** What holds for every dialect: where it is reached, who may call it, and that each failure comes in its own envelope. */

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { pino } from 'pino'
import { textOf } from '../../../test/reading/project.ts'
import { dialectCaller, type Scene, SURFACES, type Surface, startScene } from '../../../test/running/dialects.ts'
import { Documented } from '../../../test/running/documented.ts'
import { caller, makeKey, OPERATOR_KEY, publishTestPrices, type TestAnswer } from '../../../test/running/obol.ts'
import { signUp } from '../../../test/running/people.ts'
import { newPlace } from '../../../test/running/store.ts'
import { dialectFile } from '../../../tools/reference/openapi.ts'
import { startObol } from '../../app.ts'
import { readConfig } from '../../config.ts'
import { INSTALLED_DIALECTS } from './installed.ts'

const DOCUMENTS = new Map(SURFACES.map(({ name }) => [name, new Documented(JSON.parse(textOf(dialectFile(name))))]))

/** A failure is JSON as the dialect's document says failures are, and nothing of the native API. */
function assertFailure({ name, read }: Surface, answer: TestAnswer, status: number, message: RegExp): void {
  const faults = DOCUMENTS.get(name)?.faultsOf('GET', read, answer)
  assert.deepEqual(
    [answer.status, answer.headers.get('content-type'), faults],
    [status, 'application/json; charset=utf-8', []],
    answer.text,
  )
  assert.match(answer.text, message)
  assert.doesNotMatch(answer.text, /urn:obol|"request_id"|"instance"|"docs"/)
}

function ownAddress({ obol }: Scene, { name }: Surface): string {
  const port = obol.ownPorts.find(({ dialect }) => dialect === name)
  assert.ok(port)
  return port.address
}

test('every installed dialect is tested here', () => {
  assert.deepEqual(
    SURFACES.map(({ name }) => name),
    Object.keys(INSTALLED_DIALECTS),
  )
})

test('where dialects are reached', async (t) => {
  const scene = await startScene(t, {
    environment: {
      OBOL_DIALECT_PORTS: SURFACES.map(({ name }) => `${name}:0`).join(','),
      OBOL_DIALECT_HOSTS: SURFACES.map(({ name }) => `${name}:api.${name}.example`).join(','),
    },
  })
  for (const surface of SURFACES) {
    const { name, keyIn, read } = surface
    const own = caller(ownAddress(scene, surface))
    const ask = (call: Scene['call'], path: string, headers = {}): Promise<TestAnswer> =>
      call('GET', path, undefined, { key: null, headers: { ...keyIn(scene.secret), ...headers } })
    /** By a host name: a raw request, because fetch sets the header itself. */
    const byHost = (target: string, host: string): Promise<string> => sendRaw(scene.url, target, { host, ...keyIn(scene.secret) })

    await t.test(`${name} is the same below its prefix, on its host and on its port`, async () => {
      const prefixed = await ask(scene.call, `/${name}${read}`)
      assert.deepEqual([prefixed.status, prefixed.headers.get('content-type')], [200, 'application/json; charset=utf-8'])
      assert.equal((await ask(own, read)).text, prefixed.text)
      for (const host of [`api.${name}.example`, `API.${name}.Example:4000`]) {
        const answer = await byHost(read, host)
        assert.match(answer, /^HTTP\/1\.1 200 /)
        assert.ok(answer.includes(prefixed.text), answer)
      }
      const absolute = await byHost(`http://api.${name}.example${read}`, `api.${name}.example`)
      assert.ok(absolute.includes(prefixed.text), absolute)
    })

    await t.test(`nothing but ${name} is on its host and its port`, async () => {
      for (const path of [
        '/v1/key',
        '/livez',
        '/docs/',
        '/problems/not_found',
        `/${name}${read}`,
        `/evolink/../${name}${read}`,
        '//v1/key',
      ])
        assertFailure(surface, await ask(own, path), 404, /./)
      assert.match(await byHost('/v1/key', `api.${name}.example`), /^HTTP\/1\.1 404 [\s\S]*content-type: application\/json/)
    })

    await t.test(`a host that only looks like that of ${name} is the native API`, async () => {
      for (const host of [`${name}.example`, `api.${name}.example.org`, `xapi.${name}.example`])
        assert.match(await byHost('/livez', host), /^HTTP\/1\.1 200 /)
    })

    await t.test(`${name} gives its own OpenAPI document, with the address that it was asked at`, async () => {
      const { 'x-generated': _, ...committed } = JSON.parse(textOf(dialectFile(name)))
      const prefixed = (await ask(scene.call, `/${name}/openapi.json`)).body
      assert.deepEqual(prefixed, committed)
      assert.deepEqual(prefixed.servers, [{ url: `/${name}`, description: 'This server.' }])
      assert.deepEqual((await ask(own, '/openapi.json')).body, { ...committed, servers: [{ url: '/', description: 'This server.' }] })
    })
  }
})

/** Sends a GET as it stands, and gives the whole answer. */
function sendRaw(url: string, target: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  const lines = Object.entries({ connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(`GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`))
  socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')))
  socket.on('data', (data) => {
    text += data
  })
  socket.on('error', reject).on('close', () => resolve(text))
  return promise
}

test('dialects that are switched off are not there', async (t) => {
  const { call, secret } = await startScene(t, { environment: { OBOL_DIALECTS: 'off' } })
  for (const { name, keyIn, read } of SURFACES) {
    const { status, body } = await call('GET', `/${name}${read}`, undefined, { key: null, headers: keyIn(secret) })
    assert.deepEqual([status, body.code], [404, 'not_found'])
  }
})

test('a dialect that is left out is not there, and the others are', async (t) => {
  const scene = await startScene(t, { environment: { OBOL_DIALECTS: 'evolink,videodb' } })
  const statuses = await Promise.all(SURFACES.map((surface) => dialectCaller(scene, surface)(scene.secret, 'GET', surface.read)))
  assert.deepEqual(
    statuses.map(({ status }) => status),
    [404, 404, 200, 200],
  )
})

for (const surface of SURFACES)
  test(`failures of ${surface.name}`, async (t) => {
    const scene = await startScene(t, { environment: { OBOL_DIALECT_PORTS: `${surface.name}:0` } })
    const { clock, secret, account } = scene
    const { read, post } = surface
    const ask = dialectCaller(scene, surface)

    await t.test('no key, a key that is none, one that is revoked, one that is expired, and that of the operator: 401', async () => {
      const revoked = await makeKey(scene, account)
      await scene.call('DELETE', `/v1/keys/${revoked.id}`)
      const expired = await makeKey(scene, account, { expires_at: new Date(clock.nowMs + 1_000).toISOString() })
      clock.nowMs += 1_000
      for (const key of [null, 'nonsense', revoked.secret, expired.secret, OPERATOR_KEY]) {
        const answer = await ask(key, 'GET', read)
        assertFailure(surface, answer, 401, /./)
        assert.ok((answer.headers.get('www-authenticate') ?? '') !== '', 'it says how to authenticate')
        assert.ok(key === null || !answer.text.includes(key))
      }
    })

    await t.test("a user's token is taken in place of a key, for the user's account and as long as it works", async () => {
      const { access, refresh } = await signUp(scene, 'ada@example.com', { account, role: 'member' })
      const [byKey, byToken] = [await ask(secret, 'GET', read), await ask(access, 'GET', read)]
      assert.deepEqual([byToken.status, Object.keys(byToken.body)], [200, Object.keys(byKey.body)])
      if (post !== null) assertFailure(surface, await ask(access, 'POST', post.path, { body: post.body }), 403, /owner/)
      await scene.call('POST', '/v1/auth/logout', { refresh_token: refresh }, { key: null })
      assertFailure(surface, await ask(access, 'GET', read), 401, /./)
      assertFailure(surface, await ask(`${access}x`, 'GET', read), 401, /./)
    })

    await t.test('every operation needs a key', async () => {
      const operations = DOCUMENTS.get(surface.name)?.operations ?? []
      assert.ok(operations.length > 0)
      for (const { method, path } of operations.filter(({ item }) => item.security.length > 0))
        for (const key of [null, 'nonsense'])
          assertFailure(surface, await ask(key, method, path, method === 'POST' ? { body: {} } : {}), 401, /./)
    })

    await t.test('a path that is none, and a method that it does not have: 404', async () => {
      for (const [method, path] of [
        ['GET', '/nothing'],
        ['GET', ''],
        ['GET', '/'],
        ['GET', `${read}/`],
        ['DELETE', read],
        ['PUT', read],
        ['POST', '/openapi.json'],
      ] as const)
        assertFailure(surface, await ask(secret, method, path), 404, /./)
    })

    await t.test('an address that cannot be read: 400 or 422', async () => {
      const answer = await ask(secret, 'GET', `${read}/%zz`)
      assertFailure(surface, answer, answer.status, /./)
      assert.ok(answer.status === 400 || answer.status === 422)
    })

    await t.test('a key in the path is not repeated', async () => {
      const { text } = await ask(null, 'GET', `/nothing/${secret}`)
      assert.ok(!text.includes(secret))
    })

    await t.test('too many requests: 429 with a Retry-After that is the truth', async () => {
      const { secret: limited } = await makeKey(scene, account, { rate_limit: { requests: 2, window_seconds: 60 } })
      for (let count = 0; count < 2; count++) assert.equal((await ask(limited, 'GET', read)).status, 200)
      const refused = await ask(limited, 'GET', read)
      assertFailure(surface, refused, 429, /./)
      const seconds = Number(refused.headers.get('retry-after'))
      assert.ok(seconds >= 1 && seconds <= 30, `${seconds}`)
      clock.nowMs += seconds * 1_000
      assert.equal((await ask(limited, 'GET', read)).status, 200)
    })

    if (post)
      await t.test('a body that is no JSON, of another type, of another shape, or too large', async () => {
        const send = (body: unknown, headers = {}): Promise<TestAnswer> => ask(secret, 'POST', post.path, { body, headers })
        for (const text of ['{', 'null', '[]', '"text"', '{"a":1e999}', '{"__proto__":{}}']) {
          const answer = await send(text)
          assertFailure(surface, answer, answer.status, /./)
          assert.ok(answer.status === 400 || answer.status === 422, text)
        }
        assertFailure(surface, await send('a=1', { 'content-type': 'text/plain' }), 415, /./)
        assertFailure(surface, await send({ text: 'x'.repeat(262_144) }), 413, /./)
        assertFailure(surface, await ask(null, 'POST', post.path, { body: post.body }), 401, /./)
      })

    await t.test('what cannot be read as HTTP is told on its own port as the dialect tells things', async () => {
      const { port } = new URL(ownAddress(scene, surface))
      const answer = await sendRaw(`http://127.0.0.1:${port}`, `/${'a'.repeat(20_000)}`, {})
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      assert.match(head, /^HTTP\/1\.1 431 [\s\S]*content-type: application\/json/)
      const headers = new Headers({ 'content-type': 'application/json' })
      assert.deepEqual(DOCUMENTS.get(surface.name)?.faultsOf('GET', read, { status: 431, headers, text: body, body: JSON.parse(body) }), [])
    })

    await t.test('a content type on a GET without a body, and an empty Cookie, are accepted', async () => {
      assert.equal((await ask(secret, 'GET', read, { headers: { 'content-type': 'application/json', cookie: '' } })).status, 200)
    })

    await t.test('a HEAD is answered like a GET, without its body', async () => {
      const { status, text } = await ask(secret, 'HEAD', read)
      assert.deepEqual([status, text], [200, ''])
    })

    await t.test("another account's key reads another account", async () => {
      const other = (await scene.call('POST', '/v1/accounts', { name: 'Other' })).body.id
      const { secret: foreign } = await makeKey(scene, other)
      assert.notEqual((await ask(foreign, 'GET', read)).text, (await ask(secret, 'GET', read)).text)
    })

    await t.test('a server that has begun to stop: 503', async () => {
      const answer = await askWhileStopping(surface)
      assertFailure(surface, answer, 503, /./)
      assert.equal(answer.headers.get('retry-after'), '1')
    })

    await t.test('a fault: 500, and nothing of its cause', async (inner) => {
      const broken = await startScene(inner)
      await broken.obol.services.store.close()
      broken.obol.services.keyRing.clear()
      const answer = await dialectCaller(broken, surface)(broken.secret, 'GET', read)
      assertFailure(surface, answer, 500, /Internal server error|Obol failed/)
      assert.doesNotMatch(answer.text, /sqlite|database|stack|\.ts|Error:/i)
      assert.ok(broken.log.some((line) => line.includes('"level":50') && line.includes('the request failed')))
    })
  })

/** Asks a server that has begun to stop, and waits for its last plugin to let go. */
async function askWhileStopping({ name, read }: Surface): Promise<TestAnswer> {
  const { databaseUrl, remove } = await newPlace('sqlite')
  const { config } = readConfig({ OBOL_PORT: '0', OBOL_DATABASE_URL: databaseUrl, OBOL_OPERATOR_KEY: OPERATOR_KEY })
  const { promise: letGo, resolve } = Promise.withResolvers<void>()
  const obol = await startObol(config, {
    log: pino({ level: 'silent' }),
    extend: (http) => {
      http.addHook('preClose', async () => letGo)
    },
  })
  const closed = obol.close()
  try {
    return await caller(obol.address)('GET', `/${name}${read}`)
  } finally {
    resolve()
    await closed
    await remove()
  }
}

test('whoever may read an account may read it with what it costs, and nobody is charged for reading', async (t) => {
  const scene = await startScene(t, { amount: '0' })
  await publishTestPrices(scene)
  const before = (await scene.call('GET', `/v1/accounts/${scene.account}/credits`)).body.sequence
  for (const surface of SURFACES) assert.equal((await dialectCaller(scene, surface)(scene.secret, 'GET', surface.read)).status, 200)
  await scene.call('PATCH', `/v1/accounts/${scene.account}`, { status: 'suspended' })
  for (const surface of SURFACES) assert.equal((await dialectCaller(scene, surface)(scene.secret, 'GET', surface.read)).status, 200)
  assert.equal((await scene.call('GET', `/v1/accounts/${scene.account}/credits`)).body.sequence, before + 1, 'the suspension')
})
