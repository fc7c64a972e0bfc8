/** Signing in as a whole: guessing is slowed down and nobody is locked out, servers beside each other agree, and charges go on. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openAccount, type TestAnswer } from './running/obol.ts'
import { PASSWORD, refresh, signIn, signUp, tokensOf } from './running/people.ts'
import { type Servers, startServers, type TestServer } from './running/servers.ts'
import { STORE_KINDS } from './running/store.ts'

const DAY_MS = 86_400_000
const WRONG = 'not the right password'

function told({ status, body }: TestAnswer): readonly [number, string | undefined] {
  return [status, body?.code]
}

/** Tries to sign in through a proxy: the addresses that it has been passed on by, the last one nearest. */
function signInFrom({ call }: TestServer, addresses: string, email: string, password = WRONG): Promise<TestAnswer> {
  return call('POST', '/v1/auth/token', { email, password }, { key: null, headers: { 'x-forwarded-for': addresses } })
}

async function openAda(
  t: TestContext,
  options: Parameters<typeof startServers>[2] = {},
  kind: (typeof STORE_KINDS)[number] = 'sqlite',
): Promise<Servers & { readonly account: string }> {
  const servers = await startServers(t, kind, options)
  const account = await openAccount(servers.first, '1000')
  await signUp(servers.first, 'ada@example.com', { account, role: 'owner' })
  return { ...servers, account }
}

test('failures are answered until there are ten, and then so is the right password; a while later it lets in', async (t) => {
  const { first, clock, account } = await openAda(t)
  await signUp(first, 'bob@example.com', { account, role: 'member' })
  for (let count = 0; count < 10; count++)
    assert.deepEqual(told(await signIn(first, 'ada@example.com', WRONG)), [401, 'invalid_credentials'])
  const refused = await signIn(first, 'ADA@example.com')
  assert.deepEqual([...told(refused), refused.headers.get('retry-after')], [429, 'too_many_attempts', '90'])
  assert.equal((await signIn(first, 'bob@example.com')).status, 200, 'others sign in from there')
  clock.nowMs += 90_000
  assert.equal((await signIn(first, 'ada@example.com')).status, 200)
  assert.equal((await signIn(first, 'ada@example.com')).status, 200, 'and what succeeds is not counted')
})

test('whether there is such a user makes no difference to when failures are refused', async (t) => {
  const { first } = await openAda(t)
  const statuses = async (email: string): Promise<readonly number[]> => {
    const list: number[] = []
    for (let count = 0; count < 13; count++) list.push((await signIn(first, email, WRONG)).status)
    return list
  }
  const known = await statuses('ada@example.com')
  assert.deepEqual(await statuses('nobody@example.com'), known)
  assert.deepEqual(known.slice(9), [401, 429, 429, 429])
})

test('failures that come at the same time are counted before they are looked at', async (t) => {
  const { first } = await openAda(t)
  const answers = await Promise.all(Array.from({ length: 40 }, () => signIn(first, 'ada@example.com', WRONG)))
  assert.equal(answers.filter(({ status }) => status === 401).length, 10)
})

test('one address has fifty failures, whoever they name', async (t) => {
  const { first } = await openAda(t)
  const statuses: number[] = []
  for (let count = 0; count < 52; count++) statuses.push((await signIn(first, `user${count}@example.com`, WRONG)).status)
  assert.deepEqual([statuses.indexOf(429), statuses.at(-1)], [50, 429])
})

test('a forwarded address counts only when a trusted proxy says so, and of several the last that is not trusted', async (t) => {
  const open = await openAda(t)
  for (let count = 0; count < 10; count++) await signInFrom(open.first, `192.0.2.${count}`, 'ada@example.com')
  assert.equal((await signInFrom(open.first, '192.0.2.99', 'ada@example.com', PASSWORD)).status, 429, 'whoever asks may write that header')
  assert.equal(open.log.filter((line) => line.includes('OBOL_TRUSTED_PROXIES')).length, 1, 'the operator is told, once')

  const { first, log } = await openAda(t, { environment: { OBOL_TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' } })
  for (let count = 0; count < 10; count++) await signInFrom(first, `198.51.100.${count}, 192.0.2.7, 10.1.2.3`, 'ada@example.com')
  assert.equal((await signInFrom(first, '198.51.100.99, 192.0.2.7', 'ada@example.com', PASSWORD)).status, 429)
  assert.equal((await signInFrom(first, '192.0.2.7, 192.0.2.8', 'ada@example.com', PASSWORD)).status, 200)
  assert.ok(!log.some((line) => line.includes('OBOL_TRUSTED_PROXIES')))
})

test('a flood from everywhere shuts a user out of where they have never been, and nowhere else', async (t) => {
  const { first, clock, restart } = await openAda(t, { environment: { OBOL_TRUSTED_PROXIES: '127.0.0.1' } })
  assert.equal((await signInFrom(first, '203.0.113.5', 'ada@example.com', PASSWORD)).status, 200)
  const server = await restart()
  const flood = async (email: string): Promise<void> => {
    for (let count = 0; count < 60; count++) await signInFrom(server, `192.0.2.${count}`, email)
  }
  await flood('ada@example.com')
  await flood('nobody@example.com')
  const stranger = await signInFrom(server, '198.51.100.1', 'ada@example.com', PASSWORD)
  assert.deepEqual(told(stranger), [429, 'too_many_attempts'])
  assert.deepEqual(
    told(await signInFrom(server, '198.51.100.1', 'nobody@example.com', PASSWORD)),
    told(stranger),
    'nobody is told who there is',
  )
  assert.equal((await signInFrom(server, '203.0.113.5', 'ada@example.com', PASSWORD)).status, 200)
  const { id } = (await server.call('GET', '/v1/users')).body.data[0]
  const { body } = await server.call('POST', `/v1/users/${id}/password-reset`)
  const headers = { 'x-forwarded-for': '198.51.100.1' }
  const reset = { token: body.token, password: 'a new one with many words' }
  assert.equal(
    (await server.call('POST', '/v1/auth/password-reset/confirm', reset, { key: null, headers })).status,
    200,
    'a reset lets in from anywhere',
  )
  clock.nowMs += 3_600_000
  assert.equal((await signInFrom(server, '198.51.100.9', 'ada@example.com', reset.password)).status, 200)
})

test('an unknown user takes as long as a known one', async (t) => {
  const { first, clock } = await openAda(t)
  const timed = async (email: string): Promise<number> => {
    const startedMs = performance.now()
    assert.equal((await signIn(first, email, WRONG)).status, 401)
    return performance.now() - startedMs
  }
  const times: { readonly known: number[]; readonly unknown: number[] } = { known: [], unknown: [] }
  for (let round = 0; round < 11; round++) {
    clock.nowMs += 900_000
    times.known.push(await timed('ada@example.com'))
    times.unknown.push(await timed('nobody@example.com'))
  }
  const [known = 0, unknown = 0] = [times.known, times.unknown].map((list) => list.toSorted((a, b) => a - b)[5])
  assert.ok(unknown > known / 2 && unknown < known * 2, `${unknown} ms for an unknown user, ${known} for a known one`)
})

test('a session of one goes on through refreshes sixty times an hour', async (t) => {
  const { first, clock } = await openAda(t)
  let { refresh: token } = tokensOf(await signIn(first, 'ada@example.com'))
  for (let count = 0; count < 60; count++) token = tokensOf(await refresh(first, token)).refresh
  const over = await refresh(first, token)
  assert.deepEqual([...told(over), over.headers.get('retry-after')], [429, 'too_many_attempts', '60'])
  clock.nowMs += 60_000
  assert.equal((await refresh(first, token)).status, 200, 'the token was not used')
})

for (const kind of STORE_KINDS)
  test(`a session outlives a restart on ${kind}, and so does its end`, async (t) => {
    const { first, restart } = await openAda(t, {}, kind)
    const [one, other] = [tokensOf(await signIn(first, 'ada@example.com')), tokensOf(await signIn(first, 'ada@example.com'))]
    await first.call('POST', '/v1/auth/logout', { refresh_token: other.refresh }, { key: null })
    const { call } = await restart()
    assert.equal((await call('GET', '/v1/me', undefined, { key: one.access })).status, 200)
    assert.equal((await refresh({ call }, one.refresh)).status, 200)
    assert.deepEqual(told(await call('GET', '/v1/me', undefined, { key: other.access })), [401, 'session_ended'])
    assert.deepEqual(told(await refresh({ call }, other.refresh)), [401, 'session_ended'])
  })

test('servers beside each other take each other’s tokens, and one refresh token is used once between them', async (t) => {
  const { all, first } = await openAda(t, { count: 2 }, 'postgres')
  const [, second = first] = all
  let tokens = tokensOf(await signIn(first, 'ada@example.com'))
  for (const server of all) assert.equal((await server.call('GET', '/v1/credits', undefined, { key: tokens.access })).status, 200)
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(Array.from({ length: 16 }, (_, index) => refresh(all[index % 2] ?? first, tokens.refresh)))
    const [won, ...more] = answers.filter(({ status }) => status === 200)
    assert.equal(more.length, 0)
    // Only what meets on one server, or in one statement, is taken for one client's: else the session may end.
    for (const answer of answers.filter(({ status }) => status !== 200))
      assert.match(`${told(answer)}`, /^401,(?:refresh_token_used|refresh_token_reused|session_ended)$/)
    tokens = tokensOf(won ?? assert.fail('one is answered with tokens'))
    const isOver = answers.some((answer) => told(answer)[1] === 'refresh_token_reused')
    assert.equal((await second.call('GET', '/v1/me', undefined, { key: tokens.access })).status, isOver ? 401 : 200)
    if (isOver) tokens = tokensOf(await signIn(second, 'ada@example.com'))
  }
  const sets = await Promise.all(all.map(({ call }) => call('GET', '/.well-known/jwks.json', undefined, { key: null })))
  assert.deepEqual(sets[0]?.body, sets[1]?.body)
})

test('what one server ends, the other knows within a second', async (t) => {
  const { all, first, clock, account } = await openAda(t, { count: 2 }, 'postgres')
  const [, second = first] = all
  const statusOn = async (server: TestServer, key: string): Promise<number> =>
    (await server.call('GET', '/v1/credits', undefined, { key })).status
  const { id } = (await first.call('GET', '/v1/users')).body.data[0]
  const endings: Readonly<Record<string, (token: string) => Promise<TestAnswer>>> = {
    'signing out': (refresh_token) => first.call('POST', '/v1/auth/logout', { refresh_token }, { key: null }),
    'a new password': async () => {
      const { token } = (await first.call('POST', `/v1/users/${id}/password-reset`)).body
      return first.call('POST', '/v1/auth/password-reset/confirm', { token, password: PASSWORD }, { key: null })
    },
    'being disabled': async () => {
      await first.call('PATCH', `/v1/users/${id}`, { status: 'disabled' })
      return first.call('PATCH', `/v1/users/${id}`, { status: 'active' })
    },
    'leaving the account': () => first.call('DELETE', `/v1/users/${id}/memberships/${account}`),
  }
  for (const [name, end] of Object.entries(endings)) {
    const { access, refresh: token } = tokensOf(await signIn(first, 'ada@example.com'))
    assert.deepEqual([await statusOn(first, access), await statusOn(second, access)], [200, 200])
    assert.ok((await end(token)).status < 300, name)
    assert.equal(await statusOn(first, access), 401, `${name}: at once where it was done`)
    clock.nowMs += 1_000
    assert.equal(await statusOn(second, access), 401, `${name}: a second later elsewhere`)
  }
})

test('keys that sign are replaced on all servers: by themselves, and at once when the operator says so', async (t) => {
  const { all, first, clock } = await openAda(t, { count: 2 }, 'postgres')
  const [, second = first] = all
  const keysOf = async ({ call }: TestServer): Promise<number> =>
    (await call('GET', '/.well-known/jwks.json', undefined, { key: null })).body.keys.length
  const { access } = tokensOf(await signIn(first, 'ada@example.com'))
  assert.equal((await second.call('GET', '/v1/me', undefined, { key: access })).status, 200)
  await first.call('POST', '/v1/auth/signing-keys/replace')
  await eventually(async () => told(await second.call('GET', '/v1/me', undefined, { key: access }))[1] === 'invalid_token', clock)
  clock.nowMs += 29 * DAY_MS
  await eventually(async () => (await keysOf(first)) === 2 && (await keysOf(second)) === 2, clock)
  const last = tokensOf(await signIn(first, 'ada@example.com'))
  clock.nowMs += DAY_MS
  for (const server of all) assert.equal((await server.call('GET', '/v1/me', undefined, { key: last.access })).body.code, 'token_expired')
  const next = tokensOf(await signIn(second, 'ada@example.com'))
  for (const server of all) assert.equal((await server.call('GET', '/v1/me', undefined, { key: next.access })).status, 200)
})

/** Waits until something is so: tasks in the background run every second. */
async function eventually(isSo: () => Promise<boolean>, clock: { nowMs: number }): Promise<void> {
  for (let wait = 0; wait < 100; wait++) {
    if (await isSo()) return
    await sleep(100)
    clock.nowMs += 100
  }
  assert.fail('it does not come to be so')
}

test('of servers that start together one offers the first operator user', async (t) => {
  const offered: string[] = []
  const { all } = await startServers(t, 'postgres', { count: 3, onFirstOperator: (token) => offered.push(token) })
  assert.equal(offered.length, 1)
  const accepting = { token: offered[0] ?? '', password: PASSWORD, email: 'root@example.com' }
  const answers = await Promise.all(all.map(({ call }) => call('POST', '/v1/auth/accept-invitation', accepting, { key: null })))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401])
})

test('while many sign in at once, charges go on', async (t) => {
  const { first, account } = await openAda(t, { environment: { OBOL_TRUSTED_PROXIES: '127.0.0.1' } })
  const charge = async (): Promise<number> => {
    const startedMs = performance.now()
    assert.equal((await first.call('POST', '/v1/charges', { account, operation: 'x', amount: '0.1' })).status, 201)
    return performance.now() - startedMs
  }
  let isOver = false
  const burst = Promise.all(
    Array.from({ length: 120 }, (_, index) => signInFrom(first, `192.0.2.${index}`, `user${index % 40}@example.com`)),
  ).finally(() => {
    isOver = true
  })
  const times: number[] = []
  while (!isOver) times.push(await charge())
  const answers = await burst
  const statuses = new Set(answers.map(({ status }) => status))
  assert.ok(
    [...statuses].every((status) => [401, 429, 503].includes(status)),
    [...statuses].join(),
  )
  const refused = answers.find(({ status }) => status === 503)
  assert.deepEqual([refused?.body.code, refused?.headers.get('retry-after')], ['overloaded', '1'])
  const sorted = times.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.POSITIVE_INFINITY
  assert.ok(times.length > 50 && median < 200, `${times.length} charges while ${answers.length} signed in, ${median} ms each`)
  t.diagnostic(`${times.length} charges, median ${median.toFixed(1)} ms, slowest ${sorted.at(-1)?.toFixed(1)} ms`)
})
