/** Evolink's page, example by example: `GET /v1/credits` and the envelope of its errors. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialectCaller, type Scene, startScene, surfaceOf } from '../../../../test/running/dialects.ts'
import { makeKey, publishTestPrices, type TestAnswer } from '../../../../test/running/obol.ts'
import { STORE_KINDS } from '../../../../test/running/store.ts'

const HOUR_MS = 3_600_000

/** `client` is the page's curl: a GET with a Bearer key. */
function creditsOf(scene: Scene, secret: string): Promise<TestAnswer> {
  return dialectCaller(scene, surfaceOf('evolink'))(secret, 'GET', '/v1/credits')
}

/** The 200 example of the page. */
const EXAMPLE = {
  data: {
    token: { remaining_credits: 99_416.4429, unlimited_credits: false, used_credits: 583.5571 },
    user: { remaining_credits: 1_095.3996, used_credits: 135.9048 },
  },
  message: '',
  success: true,
}

async function charge({ call }: Scene, key: string, amount: string, more: object = {}): Promise<string> {
  const { status, body } = await call('POST', '/v1/charges', { key, operation: 'unit', amount, ...more })
  assert.equal(status, 201)
  return body.id
}

for (const kind of STORE_KINDS)
  test(`the page's example is answered word for word, on ${kind}`, async (t) => {
    const scene = await startScene(t, { amount: '1231.3044', kind })
    const { call, account } = scene
    await call('POST', '/v1/grants', { account, amount: '500', credit_type: 'image_credits' })
    const key = await makeKey(scene, account, { budget: { limit: '100000' } })
    await charge(scene, key.secret, '135.9048')
    // A budget counts every kind of credits; the account's part of the answer is about `credits`.
    await charge(scene, key.secret, '447.6523', { credit_type: 'image_credits' })
    const { status, headers, text, body } = await creditsOf(scene, key.secret)
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    assert.deepEqual(body, EXAMPLE)
    assert.match(text, /"remaining_credits":99416\.4429,"unlimited_credits":false,"used_credits":583\.5571/, 'numbers, not texts')
  })

test("the key's part of the answer", async (t) => {
  const scene = await startScene(t, { amount: '1000' })
  const { call, account, clock, secret } = scene
  await publishTestPrices(scene)
  const tokenOf = async (key: string): Promise<unknown> => (await creditsOf(scene, key)).body.data.token

  await t.test('a key without a budget is unlimited: it has left what the account has, and counts what it ever spent', async () => {
    const other = await makeKey(scene, account)
    const first = await charge(scene, secret, '10.5')
    await charge(scene, other.secret, '100')
    assert.deepEqual(await tokenOf(secret), { remaining_credits: 889.5, unlimited_credits: true, used_credits: 10.5 })
    clock.nowMs += 3 * HOUR_MS
    await charge(scene, secret, '1')
    await call('POST', `/v1/charges/${first}/refund`, { amount: '0.5' })
    assert.deepEqual(await tokenOf(secret), { remaining_credits: 889, unlimited_credits: true, used_credits: 11 })
    for (let hour = 0; hour < 5; hour++) {
      clock.nowMs += HOUR_MS
      await charge(scene, secret, '1')
      assert.deepEqual(await tokenOf(secret), { remaining_credits: 888 - hour, unlimited_credits: true, used_credits: 12 + hour })
    }
    assert.deepEqual(await tokenOf(other.secret), { remaining_credits: 884, unlimited_credits: true, used_credits: 100 })
  })

  await t.test('a budget without a limit counts and is unlimited; one of a period begins anew', async () => {
    const counted = await makeKey(scene, account, { budget: { limit: null } })
    await charge(scene, counted.secret, '4')
    assert.deepEqual(await tokenOf(counted.secret), { remaining_credits: 880, unlimited_credits: true, used_credits: 4 })
    const daily = await makeKey(scene, account, { budget: { limit: '50', period: 'day' } })
    await charge(scene, daily.secret, '20')
    await call('POST', '/v1/holds', { key: daily.secret, operation: 'unit', amount: '5', ttl_seconds: 60 })
    assert.deepEqual(await tokenOf(daily.secret), { remaining_credits: 25, unlimited_credits: false, used_credits: 20 })
    clock.nowMs += 24 * HOUR_MS
    assert.deepEqual(await tokenOf(daily.secret), { remaining_credits: 50, unlimited_credits: false, used_credits: 0 })
  })

  await t.test('amounts have four decimals: what is left is rounded down, what was used up, and a debt is nothing left', async () => {
    const scene2 = await startScene(t, { amount: '1.000050' })
    await charge(scene2, scene2.secret, '0.000001')
    const { user } = (await creditsOf(scene2, scene2.secret)).body.data
    assert.deepEqual(user, { remaining_credits: 1, used_credits: 0.0001 })
    const hold = (await scene2.call('POST', '/v1/holds', { account: scene2.account, operation: 'unit', amount: '1' })).body.id
    await scene2.call('POST', `/v1/holds/${hold}/capture`, { amount: '3', policy: 'overdraft' })
    assert.deepEqual((await creditsOf(scene2, scene2.secret)).body.data.user, { remaining_credits: 0, used_credits: 3.0001 })
  })
})

test('errors are as the page shows them', async (t) => {
  const scene = await startScene(t)
  const ask = dialectCaller(scene, surfaceOf('evolink'))
  const { secret: limited } = await makeKey(scene, scene.account, { rate_limit: { requests: 1, window_seconds: 60 } })
  await ask(limited, 'GET', '/v1/credits')

  await t.test('400', async () => {
    assert.deepEqual((await ask(scene.secret, 'GET', '/v1/%zz')).body, {
      error: { code: 400, message: 'Invalid request', type: 'invalid_request_error' },
    })
  })
  await t.test('401', async () => {
    for (const key of [null, 'sk-not-a-key'])
      assert.deepEqual((await ask(key, 'GET', '/v1/credits')).body, {
        error: { code: 401, message: 'Invalid or expired token', type: 'authentication_error' },
      })
  })
  await t.test('429', async () => {
    const { body, headers } = await ask(limited, 'GET', '/v1/credits')
    assert.deepEqual(body, {
      error: { code: 429, message: 'Rate limit exceeded', type: 'rate_limit_error', fallback_suggestion: 'retry after 60 seconds' },
    })
    assert.equal(headers.get('retry-after'), '60')
  })
  await t.test('500', async (inner) => {
    const broken = await startScene(inner)
    await broken.obol.services.store.close()
    assert.deepEqual((await creditsOf(broken, broken.secret)).body, {
      error: { code: 500, message: 'Internal server error', type: 'internal_server_error', fallback_suggestion: 'try again later' },
    })
  })
})

test('every status has a type, and what the page shows of each is told so', async () => {
  const { evolink } = await import('./evolink.ts')
  const tell = (status: number, retryAfterSeconds: number | null = null): unknown =>
    evolink.tell({ code: 'not_found', status, text: 'Something else', retryAfterSeconds, field: null }).body
  const error = (code: number, message: string, type: string, fallback_suggestion?: string): unknown => ({
    error: { code, message, type, ...(fallback_suggestion === undefined ? {} : { fallback_suggestion }) },
  })
  assert.deepEqual(tell(403), error(403, 'Access denied', 'permission_error'))
  assert.deepEqual(tell(502), error(502, 'Upstream service error', 'upstream_error', 'try again later'))
  assert.deepEqual(tell(503, 30), error(503, 'Service temporarily unavailable', 'service_unavailable_error', 'retry after 30 seconds'))
  assert.deepEqual(tell(404), error(404, 'Not found', 'invalid_request_error'))
  assert.deepEqual(tell(413), error(413, 'Something else', 'invalid_request_error'))
  assert.deepEqual(evolink.tell({ code: 'invalid_request', status: 400, text: 'x', retryAfterSeconds: null, field: 'limit' }).body, {
    error: { code: 400, message: 'Invalid request', type: 'invalid_request_error', param: 'limit' },
  })
})
