/** Rate limits as callers meet them: the headers of the current draft, per key, by the server's clock. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../test/running/obol.ts'

function assertLimited({ status, headers, body }: TestAnswer, policy: string): void {
  assert.deepEqual([status, body.code, body['violated-policies']], [429, 'rate_limited', [policy]])
  assert.equal(headers.get('retry-after'), String(body.retry_after))
  assert.ok(body.retry_after >= 1)
}

test('rate limits of customer keys', async (t) => {
  const obol = await startTestObol(t, { OBOL_RATE_LIMIT: '5/60' })
  const { call, clock } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const asks = (key: string, path = '/v1/credits'): Promise<TestAnswer> => call('GET', path, undefined, { key })

  await t.test('every answer to a key tells the policy and what is left, as two structured fields', async () => {
    const { secret } = await makeKey(obol, account)
    const first = await asks(secret)
    assert.equal(first.headers.get('ratelimit-policy'), '"default";q=5;w=60')
    assert.match(first.headers.get('ratelimit') ?? '', /^"default";r=4;t=\d+$/)
    assert.match(
      (await asks(secret, '/v1/charges/chg_0000000000000001')).headers.get('ratelimit') ?? '',
      /^"default";r=3;t=\d+$/,
      'also a 404',
    )
    const forbidden = await call('POST', '/v1/charges', {}, { key: secret })
    assert.equal(forbidden.status, 403)
    assert.match(forbidden.headers.get('ratelimit') ?? '', /^"default";r=2;t=\d+$/, 'also a 403')
    for (const name of ['x-ratelimit-limit', 'ratelimit-limit', 'ratelimit-remaining']) assert.equal(first.headers.get(name), null, name)
  })

  await t.test('the request after the last one is 429; Retry-After is the truth, to the second', async () => {
    const { secret } = await makeKey(obol, account)
    for (let count = 0; count < 5; count++) assert.equal((await asks(secret)).status, 200)
    const refused = await asks(secret)
    assertLimited(refused, 'default')
    assert.equal(refused.headers.get('ratelimit'), `"default";r=0;t=${refused.body.retry_after}`)
    clock.nowMs += refused.body.retry_after * 1000 - 1
    assertLimited(await asks(secret), 'default')
    clock.nowMs += 1
    assert.equal((await asks(secret)).status, 200)
  })

  await t.test('the last request that is let through says when there is more, not when all of it is back', async () => {
    const { secret } = await makeKey(obol, account)
    const answers: TestAnswer[] = []
    for (let count = 0; count < 5; count++) answers.push(await asks(secret))
    assert.equal(answers.at(-1)?.headers.get('ratelimit'), '"default";r=0;t=12')
    clock.nowMs += 12_000
    assert.equal((await asks(secret)).status, 200)
  })

  await t.test('a refused request does nothing and costs nothing', async () => {
    const { secret } = await makeKey(obol, account, { scopes: ['keys:write'] })
    for (let count = 0; count < 5; count++) await asks(secret)
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
    for (let count = 0; count < 10; count++) assertLimited(await call('POST', '/v1/keys', {}, { key: secret }), 'default')
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, before)
    clock.nowMs += 12_000
    assert.equal((await call('POST', '/v1/keys', {}, { key: secret })).status, 201)
  })

  await t.test('the whole limit is back when its window has passed', async () => {
    const { secret } = await makeKey(obol, account)
    for (let count = 0; count < 7; count++) await asks(secret)
    clock.nowMs += 60_000
    const statuses: number[] = []
    for (let count = 0; count < 6; count++) statuses.push((await asks(secret)).status)
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429])
  })

  await t.test('keys are counted apart, and both secrets of one key together', async () => {
    const one = await makeKey(obol, account)
    const other = await makeKey(obol, account)
    for (let count = 0; count < 5; count++) await asks(one.secret)
    assertLimited(await asks(one.secret), 'default')
    assert.equal((await asks(other.secret)).status, 200)
    const { body } = await call('POST', `/v1/keys/${one.id}/rotate`, {})
    assertLimited(await asks(body.secret), 'default')
    assertLimited(await asks(one.secret), 'default')
  })

  await t.test('a key may have a limit of its own, which changes when the operator changes it', async () => {
    const { id, secret } = await makeKey(obol, account, { rate_limit: { requests: 2, window_seconds: 10 } })
    assert.equal((await asks(secret)).headers.get('ratelimit-policy'), '"default";q=2;w=10')
    assert.equal((await asks(secret)).status, 200)
    assertLimited(await asks(secret), 'default')
    await call('PATCH', `/v1/keys/${id}`, { rate_limit: { requests: 100, window_seconds: 10 } })
    assert.equal((await asks(secret)).headers.get('ratelimit-policy'), '"default";q=100;w=10')
    await call('PATCH', `/v1/keys/${id}`, { rate_limit: null })
    assert.equal((await asks(secret)).headers.get('ratelimit-policy'), '"default";q=5;w=60')
  })

  await t.test('a key with a limit of its own is held to it where the operator charges it, holds for it and verifies it', async () => {
    const limited = async (): Promise<string> => (await makeKey(obol, account, { rate_limit: { requests: 1, window_seconds: 10 } })).id
    for (const path of ['/v1/charges', '/v1/holds']) {
      const key = await limited()
      assert.equal((await call('POST', path, { key, operation: 'unit' })).status, 201)
      const before = (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
      assertLimited(await call('POST', path, { key, operation: 'unit' }), 'key')
      assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, before)
      clock.nowMs += 10_000
      assert.equal((await call('POST', path, { key, operation: 'unit' })).status, 201)
    }
    const key = await limited()
    assert.equal((await call('POST', '/v1/keys/verify', { key })).body.code, 'valid')
    const refused = await call('POST', '/v1/keys/verify', { key })
    assert.deepEqual([refused.status, refused.body.valid, refused.body.code], [200, false, 'rate_limited'])
  })

  await t.test('a charge that was refused for its rate leaves no idempotency key', async () => {
    const { id: key } = await makeKey(obol, account, { rate_limit: { requests: 1, window_seconds: 10 } })
    await call('POST', '/v1/charges', { key, operation: 'unit' })
    const again = { idempotencyKey: crypto.randomUUID() }
    assertLimited(await call('POST', '/v1/charges', { key, operation: 'unit' }, again), 'key')
    clock.nowMs += 10_000
    const { status, headers } = await call('POST', '/v1/charges', { key, operation: 'unit' }, again)
    assert.deepEqual([status, headers.get('idempotent-replayed')], [201, null])
  })

  await t.test('the operator has no limit and is told of none', async () => {
    for (let count = 0; count < 50; count++) {
      const { status, headers } = await call('GET', `/v1/accounts/${account}`)
      assert.deepEqual([status, headers.get('ratelimit'), headers.get('ratelimit-policy')], [200, null, null])
    }
  })

  await t.test('what is public counts against nobody', async () => {
    const { secret } = await makeKey(obol, account)
    for (let count = 0; count < 20; count++) {
      const { status, headers } = await asks(secret, '/livez')
      assert.deepEqual([status, headers.get('ratelimit')], [200, null])
    }
    assert.equal((await asks(secret)).headers.get('ratelimit-policy'), '"default";q=5;w=60')
  })
})

test('the operator is limited when OBOL_OPERATOR_RATE_LIMIT says so, apart from the customers', async (t) => {
  const obol = await startTestObol(t, { OBOL_OPERATOR_RATE_LIMIT: '10/60' })
  const { call, clock } = obol
  const account = await openAccount(obol)
  const { secret } = await makeKey(obol, account)
  const statuses: number[] = []
  for (let count = 0; count < 9; count++) statuses.push((await call('GET', '/v1/accounts')).status)
  assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200, 200, 429, 429], 'three calls came before')
  const refused = await call('GET', '/v1/accounts')
  assertLimited(refused, 'default')
  assert.equal(refused.headers.get('ratelimit-policy'), '"default";q=10;w=60')
  assert.equal((await call('GET', '/v1/credits', undefined, { key: secret })).headers.get('ratelimit-policy'), '"default";q=600;w=60')
  clock.nowMs += refused.body.retry_after * 1000
  assert.equal((await call('GET', '/v1/accounts')).status, 200)
})
