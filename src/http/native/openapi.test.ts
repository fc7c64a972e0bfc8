/** The OpenAPI document against the server: every operation answers as it is documented, field for field, and nothing besides. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Documented } from '../../../test/running/documented.ts'
import { openAccount, startTestObol, TEST_PRICES, type TestObol } from '../../../test/running/obol.ts'
import { PASSWORD } from '../../../test/running/people.ts'
import { buyIn, until } from '../../../test/running/sandbox.ts'

// biome-ignore lint/suspicious/noExplicitAny: a JSON document is looked into freely.
type Json = any

/** A caller that holds each answer to the document and notes which operations it has seen. */
function watched(
  obol: TestObol,
  documented: Documented,
): { readonly call: TestObol['call']; readonly seen: Set<string>; readonly faults: string[] } {
  const seen = new Set<string>()
  const faults: string[] = []
  const call: TestObol['call'] = async (method, path, body, options) => {
    const answer = await obol.call(method, path, body, options)
    if (answer.status < 300) seen.add(documented.find(method, path).id)
    faults.push(...documented.faultsOf(method, path, answer))
    return answer
  }
  return { call, seen, faults }
}

/** Every operation at least once, with objects that have as many fields filled as they can. */
async function everyOperation(call: TestObol['call'], clock: { nowMs: number }): Promise<void> {
  const post = async (path: string, body: object): Promise<Json> => (await call('POST', path, body)).body
  const inMs = (ms: number): string => new Date(clock.nowMs + ms).toISOString()
  await post('/v1/price-book', { prices: TEST_PRICES })
  const account = (await post('/v1/accounts', { name: 'One', external_id: 'one', capture_policy: 'cap', metadata: { a: 'b' } })).id
  await call('PATCH', `/v1/accounts/${account}`, { capture_policy: null })
  const cost = { amount_minor: 100, currency: 'usd' }
  const grant = (await post('/v1/grants', { account, amount: '100', cost, expires_at: inMs(86_400_000), metadata: { a: 'b' } })).id
  await post('/v1/adjustments', { account, amount: '1', reason: 'found' })
  const budget = { limit: '50', period: 'day', max_per_charge: '40' }
  const terms = {
    name: 'Key',
    budget,
    rate_limit: { requests: 100, window_seconds: 1 },
    operations: ['unit', 'image', 'transcription'],
    expires_at: inMs(86_400_000),
  }
  const key = (await post('/v1/keys', { account, ...terms, scopes: ['keys:write'], metadata: { a: 'b' } })) as {
    id: string
    secret: string
  }
  await call('PATCH', `/v1/keys/${key.id}`, { name: 'Renamed' })
  await post(`/v1/keys/${key.id}/rotate`, {})
  await post('/v1/keys/verify', { key: key.secret, operation: 'unit' })
  await post('/v1/keys/verify', { key: 'nonsense' })
  await everythingAboutAlerts(call, account, key.id)
  const work = { key: key.id, operation: 'transcription', quantity: '0.01', attributes: { a: 'b' }, metadata: { c: 'd' } }
  const charge = (await post('/v1/charges', work)).id
  await post('/v1/charges', { account, operation: 'unit', amount: '1' })
  await post('/v1/charges/batch', { charges: [work, { ...work, quantity: '0.02' }] })
  await post(`/v1/charges/${charge}/refund`, { amount: '1', reason: 'half' })
  const hold = (await post('/v1/holds', { ...work, policy: 'overdraft' })).id
  await post(`/v1/holds/${hold}/extend`, { ttl_seconds: 1_000 })
  await post(`/v1/holds/${hold}/increase`, { amount: '1' })
  await post(`/v1/holds/${hold}/capture`, { amount: '500', policy: 'overdraft' })
  await post('/v1/grants', { account, amount: '1000' })
  await post(`/v1/holds/${(await post('/v1/holds', { account, operation: 'unit' })).id}/release`, {})
  const late = (await post('/v1/holds', { account, operation: 'unit', ttl_seconds: 60 })).id
  clock.nowMs += 60_000
  await post(`/v1/holds/${late}/capture`, {})
  await post('/v1/estimates', { items: [{ operation: 'transcription', quantity: { min: 1, max: 2 } }] })
  await post('/v1/estimates', { account, items: [{ operation: 'unit' }] })
  await post('/v1/price-book/trial', { prices: TEST_PRICES, start: inMs(-3_600_000), end: inMs(1) })
  for (const id of [charge]) for (const path of [`/v1/charges/${id}`, `/v1/charges/${id}/explain`]) await call('GET', path)
  for (const path of [
    `/v1/holds/${late}`,
    `/v1/grants/${grant}`,
    `/v1/keys/${key.id}`,
    `/v1/accounts/${account}`,
    '/v1/accounts',
    `/v1/accounts/${account}/credits`,
  ])
    await call('GET', path)
  await call('GET', `/v1/accounts/external:one/credits?at=${inMs(-30_000)}`)
  for (const path of [
    '/v1/credits',
    '/v1/credits/stream',
    '/v1/key',
    '/v1/keys',
    '/v1/grants',
    '/v1/holds',
    '/v1/charges',
    '/v1/journal?limit=100',
    '/v1/usage?group_by=operation&group_by=key',
    '/v1/prices',
  ])
    await call('GET', path, undefined, { key: key.secret })
  for (const path of ['/v1/events?limit=100', '/v1/audit/verify', '/v1/price-book', '/v1/price-book/1']) await call('GET', path)
  await everythingAboutUsers(call, account)
  await post(`/v1/charges/${charge}/outcome`, { status: 'failed', reason: 'test' })
  await everythingAboutPayments(call, account)
  await everythingAboutWebhooks(call, account, charge)
  await everythingAboutPlans(call, account)
  await post(`/v1/grants/${(await post('/v1/grants', { account, amount: '1' })).id}/void`, { reason: 'test' })
  await call('DELETE', `/v1/keys/${key.id}`)
  await lastMonth(call, account, clock)
}

async function everythingAboutWebhooks(call: TestObol['call'], account: string, charge: string): Promise<void> {
  const path = '/v1/webhook-endpoints'
  const wanted = { account, url: 'https://hooks.example.com', events: ['charge.*'], description: 'the shop' }
  const { id } = (await call('POST', path, wanted)).body
  await call('POST', `${path}/${id}/test`)
  await call('POST', `${path}/${id}/rotate`)
  await call('POST', `${path}/${id}/resend`, { event: `${charge.replace('chg_', 'evt_')}_0` })
  await call('POST', `${path}/${id}/replay`, { start: '2020-01-01T00:00:00Z' })
  for (const query of [path, `${path}?account=${account}`, `${path}/${id}`, `${path}/${id}/attempts`]) await call('GET', query)
  await call('PATCH', `${path}/${id}`, { status: 'disabled' })
  await call('DELETE', `${path}/${id}`)
}

async function everythingAboutAlerts(call: TestObol['call'], account: string, key: string): Promise<void> {
  const set = async (body: object): Promise<string> => (await call('POST', '/v1/alerts', { account, ...body })).body.id
  const alert = await set({ watch: 'balance', threshold: '1', email_to: ['a@example.com'] })
  await set({ watch: 'daily_spend', threshold: '0.000001', time_zone: 'Europe/Berlin', name: 'spent' })
  await set({ watch: 'key_budget', threshold_percent: 1, key, level: 'critical' })
  await call('PATCH', `/v1/alerts/${alert}`, { email_owners: false })
  for (const path of [`/v1/alerts?account=${account}`, `/v1/alerts/${alert}`]) await call('GET', path)
  await call('DELETE', `/v1/alerts/${alert}`)
}

async function everythingAboutUsers(call: TestObol['call'], account: string): Promise<void> {
  const post = async (path: string, body?: object): Promise<Json> => (await call('POST', path, body)).body
  const password = PASSWORD
  await post('/v1/users/bootstrap')
  const { id } = await post('/v1/users', { email: 'ada@example.com', account, role: 'owner', is_operator: false })
  const { token } = await post(`/v1/users/${id}/invitation`)
  await post('/v1/auth/accept-invitation', { token, password })
  await post('/v1/auth/password-reset/confirm', { token: (await post(`/v1/users/${id}/password-reset`)).token, password })
  const signedIn = await post('/v1/auth/token', { email: 'ada@example.com', password })
  const { refresh_token } = await post('/v1/auth/refresh', { refresh_token: signedIn.refresh_token })
  const key = signedIn.access_token
  for (const path of ['/v1/me', '/v1/users', `/v1/users/${id}`]) await call('GET', path, undefined, { key })
  await call('POST', '/v1/me/password', { current_password: password, password: 'another one with words' }, { key })
  await post('/v1/auth/logout', { refresh_token })
  await call('PUT', `/v1/users/${id}/memberships/${account}`, { role: 'member' })
  await call('DELETE', `/v1/users/${id}/memberships/${account}`)
  await call('PATCH', `/v1/users/${id}`, { status: 'disabled' })
  await post('/v1/auth/signing-keys/replace')
  await call('GET', '/.well-known/jwks.json', undefined, { key: null })
}

async function everythingAboutPayments(call: TestObol['call'], account: string): Promise<void> {
  const { checkout_session, topup } = await buyIn({ call }, account, { pack: 'big', metadata: { a: 'b' } })
  await call('GET', '/v1/topups/options')
  const terms = { threshold: '1', target: '9', monthly_cap_minor: 5_000, consent: { by: 'Ada', text: 'v1' } }
  await call('PUT', `/v1/auto-topup?account=${account}`, terms)
  await call('GET', `/v1/auto-topup?account=${account}`)
  await call('GET', `/v1/credits?account=${account}`)
  await call('DELETE', `/v1/auto-topup?account=${account}`)
  const addresses = { success_url: 'https://shop.example/thanks', cancel_url: 'https://shop.example/' }
  const { id } = (await call('POST', '/v1/checkout-sessions', { account, amount_minor: 700, ...addresses })).body
  await call('POST', `/v1/checkout-sessions/${id}/cancel`)
  await call('POST', `/v1/topups/${topup}/refund`, { amount_minor: 500, reason: 'sorry' })
  await call('POST', `/v1/topups/${topup}/simulate`, { event: 'dispute' })
  await until(
    () => call('GET', `/v1/topups/${topup}`),
    ({ body }) => body.disputes.length > 0,
  )
  for (const path of [
    `/v1/checkout-sessions/${checkout_session}`,
    `/v1/checkout-sessions?account=${account}`,
    `/v1/topups?account=${account}`,
  ])
    await call('GET', path)
  const { data } = (await call('GET', `/v1/invoices?account=${account}`)).body
  assert.equal(data.length, 2)
  for (const { id: invoice } of data) for (const path of ['', '/pdf']) await call('GET', `/v1/invoices/${invoice}${path}`)
}

/** The account's month is over, and more than a month later something is still there to be told. */
async function lastMonth(call: TestObol['call'], account: string, clock: { nowMs: number }): Promise<void> {
  const month = new Date(clock.nowMs).toISOString().slice(0, 7)
  clock.nowMs += 32 * 86_400_000
  await call('POST', '/v1/invoices', { account, month })
}

async function everythingAboutPlans(call: TestObol['call'], account: string): Promise<void> {
  const post = async (path: string, body?: object): Promise<Json> => (await call('POST', path, body)).body
  const welcome = [{ amount: '5', expires_in_days: 3 }]
  const trial = { days: 3, credits: [{ amount: '1' }] }
  const credits = [{ amount: '10', rollover: { percent: 50, cap: '3' } }]
  await call('PUT', '/v1/plans/free', { name: 'Free', credits, welcome, trial, period: { unit: 'week', count: 2 } })
  await call('PUT', '/v1/plans/paid', { name: 'Paid', credits, price: { amount_minor: 900, currency: 'eur' } })
  for (const path of ['/v1/plans?limit=1', '/v1/plans/free?version=1', '/v1/plans/paid']) await call('GET', path)
  const { id } = await post('/v1/subscriptions', {
    account,
    plan: 'free',
    trial: false,
    anchor: '2026-01-31T00:00:00Z',
    metadata: { a: 'b' },
  })
  const of = `/v1/subscriptions/${id}`
  for (const at of ['period_end', 'now']) {
    await post(`${of}/change/preview`, { plan: 'paid', at })
    await post(`${of}/change`, { plan: 'paid', at })
  }
  await post(`${of}/payment-page`)
  for (const path of [of, `/v1/subscriptions?account=${account}`, `/v1/payment-method?account=${account}`]) await call('GET', path)
  await call('DELETE', `/v1/payment-method?account=${account}`)
  await post(`${of}/cancel`, { at: 'now' })
  const other = (await post('/v1/subscriptions', { account, plan: 'free' })).id
  await post(`/v1/subscriptions/${other}/cancel`)
  await post(`/v1/subscriptions/${other}/resume`)
  const third = (await post('/v1/subscriptions', { account: (await post('/v1/accounts', { name: 'x' })).id, plan: 'free', trial: false }))
    .id
  await post(`/v1/subscriptions/${third}/pause`)
  const clock = (await post('/v1/test-clocks', { name: 'x', now: '2030-01-01T00:00:00Z' })).id
  await post('/v1/accounts', { name: 'y', test_clock: clock })
  await post(`/v1/test-clocks/${clock}/advance`, { to: '2030-02-01T00:00:00Z' })
  for (const path of ['/v1/test-clocks', `/v1/test-clocks/${clock}`]) await call('GET', path)
}

const MOVES_CREDITS: readonly string[] = [
  ...['reportChargeOutcome', 'createSubscription', 'changeSubscription'],
  ...['createCharge', 'createCharges', 'createHold', 'captureHold', 'increaseHold'],
  ...['refundCharge', 'createGrant', 'createAdjustment', 'createCheckoutSession', 'refundTopup'],
]

test('the OpenAPI document', async (t) => {
  const obol = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox', OBOL_TEST_CLOCKS: 'on' })
  const { status, headers, body: document } = await obol.call('GET', '/openapi.json', undefined, { key: null })
  const documented = new Documented(document)

  await t.test('is served to anybody, as OpenAPI 3.1', () => {
    assert.deepEqual([status, headers.get('content-type'), document.openapi], [200, 'application/json; charset=utf-8', '3.1.1'])
  })

  await t.test('names every operation once, with a summary, a tag that is described, its success and its problems', () => {
    const tags = new Set(document.tags.map(({ name }: { name: string }) => name))
    assert.equal(new Set(documented.operations.map(({ id }) => id)).size, documented.operations.length)
    for (const { id, item } of documented.operations) {
      assert.match(id ?? '', /^[a-z][A-Za-z]+$/)
      assert.ok(item.summary && item.tags.length === 1 && tags.has(item.tags[0]), id)
      const success = Object.keys(item.responses).filter((code) => code.startsWith('2'))
      assert.equal(success.length, 1, id)
      assert.ok(item.responses.default.content['application/problem+json'], id)
      const { content } = item.responses[success[0] ?? '']
      const type = id === 'streamCredits' ? content['text/event-stream'] : (content['application/json'] ?? content['application/pdf'])
      assert.ok(type, id)
    }
  })

  await t.test('says of each operation whose key it takes, and how it is named', () => {
    assert.deepEqual(Object.keys(document.components.securitySchemes), ['apiKey', 'accessToken', 'operatorKey'])
    for (const { id, item } of documented.operations) assert.ok(item.security.length > 0, id)
    const header = (id: string): Json =>
      documented.operations.find((operation) => operation.id === id)?.item.parameters?.find(({ in: where }: Json) => where === 'header')
    for (const id of ['createCharge', 'createCharges', 'createGrant', 'createHold', 'captureHold', 'refundCharge'])
      assert.equal(header(id)?.name, 'idempotency-key', id)
  })

  await t.test('asks for the Idempotency-Key where the server refuses without it, and for a body where it does', async () => {
    const wrong: string[] = []
    for (const { id, method, path, item } of documented.operations.filter(({ method: each }) => each === 'POST')) {
      const header = item.parameters?.find(({ in: where }: Json) => where === 'header')
      const unknown = path.replaceAll(/\{(\w+)\}/g, '$1_0000000100000009')
      const { body } = await obol.call(method, unknown, {}, { idempotencyKey: null })
      const isRequired = body.code === 'idempotency_key_required'
      if (MOVES_CREDITS.includes(id) && header?.required !== true)
        wrong.push(`${id}: Idempotency-Key is required and documented as optional`)
      if (isRequired && !header) wrong.push(`${id}: Idempotency-Key is not documented`)
      const fields = item.requestBody?.content['application/json'].schema.required ?? []
      // A customer may make a key without saying anything; the operator has to name the account. Who buys names an amount or a pack.
      if (fields.length === 0 && item.requestBody?.required === true && !['createKey', 'createCheckoutSession'].includes(id))
        wrong.push(`${id}: a body without required fields is documented as required`)
    }
    assert.deepEqual(wrong, [])
  })

  await t.test('is what the server answers: every operation, every field, and none besides', async () => {
    const { call, seen, faults } = watched(obol, documented)
    await everyOperation(call, obol.clock)
    assert.deepEqual(faults, [])
    const missed = documented.operations.map(({ id }) => id).filter((id) => !seen.has(id))
    assert.deepEqual(missed, [], 'operations that the test has not succeeded with')
  })

  await t.test('is what the server answers when it refuses', async () => {
    const { call, faults } = watched(obol, documented)
    const account = await openAccount(obol, '1')
    const answers = [
      await call('POST', '/v1/charges', { account, operation: 'unit', amount: '5' }),
      await call('POST', '/v1/charges', { account, operation: 'nothing' }),
      await call('POST', '/v1/charges', { account }),
      await call('POST', '/v1/accounts', '{'),
      await call('GET', '/v1/charges/nonsense'),
      await call('GET', '/v1/accounts?limit=0'),
      await call('GET', '/v1/credits', undefined, { key: null }),
      await call('GET', '/v1/price-book/99'),
    ]
    assert.deepEqual(
      answers.map(({ status: each }) => each),
      [402, 422, 400, 400, 404, 400, 401, 404],
    )
    assert.deepEqual(faults, [])
  })

  await t.test('is what the server answers for a batch of which some failed', async () => {
    const { call, faults } = watched(obol, documented)
    const account = await openAccount(obol, '1')
    const { status: answered } = await call('POST', '/v1/charges/batch', {
      charges: [
        { account, operation: 'unit' },
        { account, operation: 'unit' },
      ],
    })
    assert.equal(answered, 200)
    assert.deepEqual(faults, [])
  })
})
