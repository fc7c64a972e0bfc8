/** AudioPod's purchases and sign-in, example by example. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type DialectCall, dialectCaller, type Scene, startScene, surfaceOf } from '../../../../test/running/dialects.ts'
import type { TestAnswer } from '../../../../test/running/obol.ts'
import { PASSWORD, signUp } from '../../../../test/running/people.ts'
import { press, until } from '../../../../test/running/sandbox.ts'
import { STORE_KINDS, type StoreKind } from '../../../../test/running/store.ts'

/** What the page sells: 7500 credits for a dollar, for 1 to 1000 of them; and a pack with a bonus. */
const OFFER = {
  currency: 'usd',
  credits_per_unit: '7500',
  min_minor: 100,
  max_minor: 100_000,
  packs: [{ id: 'big', name: 'Big', amount_minor: 5_000, bonus_credits: '500', bonus_expires_in_days: 30 }],
}

interface Selling extends Scene {
  readonly ask: DialectCall
}

async function startSelling(t: TestContext, kind: StoreKind = 'sqlite', offer: object | null = OFFER): Promise<Selling> {
  const scene = await startScene(t, { amount: '0', kind, environment: { OBOL_PAYMENTS: 'sandbox' } })
  if (offer !== null) assert.equal((await scene.call('PUT', '/v1/topups/options', offer)).status, 200)
  return { ...scene, ask: dialectCaller(scene, surfaceOf('audiopod')) }
}

function create({ ask, secret }: Selling, body: unknown, headers = {}): Promise<TestAnswer> {
  return ask(secret, 'POST', '/api/v1/credits/payg/create-checkout-session', { body, headers })
}

function isPaid({ call }: Scene, session: string): Promise<TestAnswer> {
  return until(
    () => call('GET', `/v1/checkout-sessions/${session}`),
    ({ body }) => body.status === 'paid',
  )
}

for (const kind of STORE_KINDS)
  test(`pay-as-you-go information and a checkout session are those of the page, and lead to credits, on ${kind}`, async (t) => {
    const selling = await startSelling(t, kind)
    const { ask, secret } = selling
    const info = await ask(secret, 'GET', '/api/v1/credits/payg/info')
    assert.deepEqual([info.status, info.headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    assert.deepEqual(info.body, { credits_per_dollar: 7500, min_amount_usd: 1, max_amount_usd: 1000, currency: 'USD' })
    const { status, headers, body } = await create(selling, { amount_usd: 25 })
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    const { session_id: session, checkout_url: url, ...rest } = body
    assert.match(session, /^cs_/)
    assert.deepEqual(rest, { credits_to_receive: 187_500, amount_usd: 25 })
    assert.equal((await press({ url }, 'pay')).status, 303)
    await isPaid(selling, session)
    const { body: balance } = await ask(secret, 'GET', '/api/v1/credits')
    assert.deepEqual(
      [balance.payg_balance, balance.credits_balance, balance.total_available_credits, balance.total_payg_credits_purchased],
      [187_500, 0, 187_500, 187_500],
    )
  })

test('the bonus of a purchase is pay-as-you-go, and what it pays for says so; a refund leaves what was ever bought', async (t) => {
  const selling = await startSelling(t)
  const { ask, secret, call, account } = selling
  const { body: session } = await call('POST', '/v1/checkout-sessions', { account, pack: 'big' })
  await press(session, 'pay')
  const { body: paid } = await isPaid(selling, session.id)
  await call('POST', '/v1/grants', { account, amount: '100', source: 'plan' })
  const balance = async (): Promise<readonly number[]> => {
    const { body } = await ask(secret, 'GET', '/api/v1/credits')
    return [body.payg_balance, body.credits_balance, body.total_payg_credits_purchased]
  }
  assert.deepEqual(await balance(), [375_500, 100, 375_500])
  await call('POST', '/v1/charges', { account, operation: 'music', amount: '500' })
  const { body: logs } = await ask(secret, 'GET', '/api/v1/credits/usage')
  assert.equal(logs[0].credit_source, 'payg', 'the plan pays 100 of it, the bonus the rest')
  assert.deepEqual(await balance(), [375_100, 0, 375_500])
  assert.equal((await call('POST', `/v1/topups/${paid.topup}/refund`, { amount_minor: 2_500 })).status, 201)
  assert.deepEqual(await balance(), [375_100 - 187_750, 0, 375_500])
})

test('amounts are exact, and those that are none or not on offer open nothing', async (t) => {
  const selling = await startSelling(t)
  const { call, account } = selling
  for (const [amount, answered] of [
    [1, '1'],
    [19.99, '19.99'],
    ['33.10', '33.1'],
    [1000, '1000'],
  ] as const) {
    const { status, text } = await create(selling, { amount_usd: amount })
    assert.equal(status, 200)
    assert.match(text, new RegExp(`"amount_usd":${answered}[,}]`))
  }
  const before = (await call('GET', `/v1/checkout-sessions?account=${account}`)).text
  for (const amount of [0, -25, 0.99, 1000.01, 25.001, 1e30, '', 'ten', '1e2', null, true, [25]]) {
    const { status, body } = await create(selling, { amount_usd: amount })
    assert.ok(status === 400 || status === 422, `${amount} ${status}`)
    assert.deepEqual(Object.keys(body).sort(), ['detail', 'message'])
  }
  assert.equal((await create(selling, {})).status, 422)
  assert.equal((await call('GET', `/v1/checkout-sessions?account=${account}`)).text, before)
})

test('a session is opened once for a key of idempotency, and each time without one', async (t) => {
  const selling = await startSelling(t)
  const once = { 'idempotency-key': 'one' }
  const [first, again] = [await create(selling, { amount_usd: 5 }, once), await create(selling, { amount_usd: 5 }, once)]
  assert.deepEqual(again.body, first.body)
  assert.notEqual((await create(selling, { amount_usd: 5 })).body.session_id, (await create(selling, { amount_usd: 5 })).body.session_id)
})

test('where nothing is on offer, or nothing is sold, both say so in the product’s envelope', async (t) => {
  for (const selling of [await startSelling(t, 'sqlite', null), { ...(await startScene(t)), ask: null }]) {
    const ask = selling.ask ?? dialectCaller(selling, surfaceOf('audiopod'))
    for (const answer of [
      await ask(selling.secret, 'GET', '/api/v1/credits/payg/info'),
      await create({ ...selling, ask }, { amount_usd: 25 }),
    ]) {
      assert.ok(answer.status >= 400 && answer.status < 500)
      assert.match(answer.body.detail, /sells no credits/)
    }
  }
})

test('users sign in by form and by JSON, and their token opens what a key does', async (t) => {
  const selling = await startSelling(t)
  const { ask, account, call } = selling
  const ada = await signUp(selling, 'ada@example.com', { account, role: 'owner' })
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const answers = [
    await ask(null, 'POST', '/api/v1/auth/token', {
      body: new URLSearchParams({ username: 'ada@example.com', password: PASSWORD, grant_type: 'password' }).toString(),
      headers: form,
    }),
    await ask(null, 'POST', '/api/v1/auth/token', { body: { email: 'ada@example.com', password: PASSWORD } }),
    await ask(null, 'POST', '/api/v1/auth/token', { body: { username: 'ada@example.com', password: PASSWORD } }),
  ]
  for (const { status, headers, body } of answers) {
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    assert.deepEqual([body.token_type, body.user], ['bearer', { id: ada.id, email: 'ada@example.com' }])
    assert.ok(Number.isInteger(body.expires_in) && body.expires_in > 60)
    assert.equal((await ask(body.access_token, 'GET', '/api/v1/credits')).status, 200)
    assert.equal((await create({ ...selling, secret: body.access_token }, { amount_usd: 5 })).status, 200)
  }
  const refreshed = await call('POST', '/v1/auth/refresh', { refresh_token: answers[0]?.body.refresh_token }, { key: null })
  assert.equal(refreshed.status, 200)

  await signUp(selling, 'mia@example.com', { account, role: 'member' })
  const member = await ask(null, 'POST', '/api/v1/auth/token', { body: { email: 'mia@example.com', password: PASSWORD } })
  assert.equal((await create({ ...selling, secret: member.body.access_token }, { amount_usd: 5 })).status, 403)
})

test('what is no sign-in is refused in the product’s envelope, and says nothing of who is known', async (t) => {
  const selling = await startSelling(t)
  const { ask, account } = selling
  await signUp(selling, 'ada@example.com', { account, role: 'owner' })
  const send = (body: unknown, headers = {}): Promise<TestAnswer> => ask(null, 'POST', '/api/v1/auth/token', { body, headers })
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const [wrong, unknown] = [
    await send({ email: 'ada@example.com', password: 'something else' }),
    await send({ email: 'eve@example.com', password: 'something else' }),
  ]
  assert.deepEqual([wrong.status, wrong.text], [401, unknown.text])
  assert.deepEqual(Object.keys(wrong.body).sort(), ['detail', 'message'])
  for (const [body, headers] of [
    [{ email: 'ada@example.com' }],
    [{ password: PASSWORD }],
    [{ email: 5, password: PASSWORD }],
    [{}],
    ['username=ada%40example.com', form],
    [`username=a&username=b&password=${PASSWORD}`, form],
  ] as const)
    assert.equal((await send(body, headers)).status, 422, JSON.stringify(body))
  assert.equal((await send('a=b', { 'content-type': 'text/plain' })).status, 415)
  const elsewhere = await ask(selling.secret, 'POST', '/api/v1/credits/payg/create-checkout-session', {
    body: 'amount_usd=25',
    headers: form,
  })
  assert.equal(elsewhere.status, 415, 'forms sign in, and do nothing else')
})
