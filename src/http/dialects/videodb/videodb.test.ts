/** VideoDB's page, example by example, as its Python and Node clients read it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DialectCall, dialectCaller, startScene, surfaceOf } from '../../../../test/running/dialects.ts'
import { makeKey, type TestAnswer } from '../../../../test/running/obol.ts'
import { STORE_KINDS } from '../../../../test/running/store.ts'

const DAY_MS = 86_400_000
const IN_JUNE_MS = Date.UTC(2026, 5, 20, 12)

/** The page's Node client as far as the page uses it: it unwraps `data` when `success` is true, and names fields in camel case. */
async function checkUsage(ask: DialectCall, secret: string): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await ask(secret, 'GET', '/billing/usage', { headers: { 'x-videodb-client': 'videodb-node/0.2.0' } })
  assert.deepEqual([status, body.success], [200, true])
  const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(Object.entries(body.data).map(([name, value]) => [camel(name), value]))
}

for (const kind of STORE_KINDS)
  test(`usage has both sets of names and the page's example in them, on ${kind}`, async (t) => {
    const scene = await startScene(t, { amount: '0', kind })
    const { call, account, secret, clock } = scene
    const ask = dialectCaller(scene, surfaceOf('videodb'))
    const isoIn = (ms: number): string => new Date(clock.nowMs + ms).toISOString()
    await call('POST', '/v1/grants', { account, amount: '126.25', source: 'plan', expires_at: isoIn(30 * DAY_MS) })
    const charges = [
      ['index', '20'],
      ['search', '5.5'],
      ['index', '0.25'],
    ] as const
    for (const [operation, amount] of charges) await call('POST', '/v1/charges', { account, operation, amount })
    const { status, headers, body } = await ask(secret, 'GET', '/billing/usage')
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    assert.deepEqual(body, {
      success: true,
      data: {
        credit_balance: 100.5,
        usage_this_month: 25.75,
        breakdown: { index: 20.25, search: 5.5 },
        total_credits_used: 25.75,
        monthly_limit: 126.25,
        credits_remaining: 100.5,
      },
    })
    assert.equal('status' in body, false, 'clients take a status for that of a job')
    const usage = await checkUsage(ask, secret)
    assert.deepEqual([usage.totalCreditsUsed, usage.monthlyLimit, usage.creditsRemaining], [25.75, 126.25, 100.5])
  })

test('months', async (t) => {
  const scene = await startScene(t, { amount: '0' })
  const { call, account, secret, clock } = scene
  clock.nowMs = Math.max(clock.nowMs, IN_JUNE_MS)
  const ask = dialectCaller(scene, surfaceOf('videodb'))
  const usage = async (): Promise<TestAnswer['body']> => (await ask(secret, 'GET', '/billing/usage')).body.data
  const nextMonth = new Date(clock.nowMs)
  const endMs = Date.UTC(nextMonth.getUTCFullYear(), nextMonth.getUTCMonth() + 1, 1)
  await call('POST', '/v1/grants', { account, amount: '50', source: 'plan', expires_at: new Date(endMs).toISOString() })
  await call('POST', '/v1/grants', { account, amount: '100', source: 'topup' })

  await t.test('an account that used nothing has numbers all the same', async () => {
    const { secret: fresh } = await makeKey(scene, (await call('POST', '/v1/accounts', { name: 'Fresh' })).body.id)
    const { body } = await ask(fresh, 'GET', '/billing/usage')
    const none = { credit_balance: 0, usage_this_month: 0, breakdown: {}, total_credits_used: 0, monthly_limit: 0, credits_remaining: 0 }
    assert.deepEqual(body, { success: true, data: none })
  })

  await t.test("the month's usage ends with the month, and the plan's credits with the plan", async () => {
    const charge = (await call('POST', '/v1/charges', { account, operation: 'index', amount: '30' })).body.id
    assert.deepEqual(await usage(), {
      credit_balance: 120,
      usage_this_month: 30,
      breakdown: { index: 30 },
      total_credits_used: 30,
      monthly_limit: 50,
      credits_remaining: 120,
    })
    clock.nowMs = endMs
    assert.deepEqual(await usage(), {
      credit_balance: 100,
      usage_this_month: 0,
      breakdown: {},
      total_credits_used: 30,
      monthly_limit: 0,
      credits_remaining: 100,
    })
    // What is given back counts where it is given back, as everywhere here.
    await call('POST', `/v1/charges/${charge}/refund`, { amount: '5' })
    const after = await usage()
    assert.deepEqual([after.usage_this_month, after.breakdown, after.total_credits_used], [-5, { index: -5 }, 25])
  })

  await t.test('a subscription says what its period gives, and what was used in it', async () => {
    const { secret: key } = await makeKey(scene, (await call('POST', '/v1/accounts', { name: 'Subscribed', external_id: 'sub' })).body.id)
    await call('PUT', '/v1/plans/pro', { name: 'Pro', credits: [{ amount: '200' }] })
    await call('POST', '/v1/subscriptions', { account: 'external:sub', plan: 'pro' })
    await call('POST', '/v1/charges', { account: 'external:sub', operation: 'index', amount: '30' })
    const data = async (): Promise<TestAnswer['body']> => (await ask(key, 'GET', '/billing/usage')).body.data
    const now = await data()
    assert.deepEqual([now.monthly_limit, now.usage_this_month, now.credit_balance], [200, 30, 170])
    const beganMs = clock.nowMs
    clock.nowMs += 32 * DAY_MS
    const later = await data()
    assert.deepEqual([later.monthly_limit, later.usage_this_month, later.credit_balance], [200, 0, 200])
    clock.nowMs = beganMs
  })

  await t.test('a plan whose grant is voided is none, and one that is to come is not one yet', async () => {
    const grant = (await call('POST', '/v1/grants', { account, amount: '70', source: 'plan' })).body.id
    assert.equal((await usage()).monthly_limit, 70)
    const effective_at = new Date(clock.nowMs + DAY_MS).toISOString()
    await call('POST', '/v1/grants', { account, amount: '80', source: 'plan', effective_at })
    assert.equal((await usage()).monthly_limit, 70)
    await call('POST', `/v1/grants/${grant}/void`, {})
    assert.equal((await usage()).monthly_limit, 0)
    clock.nowMs += DAY_MS
    assert.equal((await usage()).monthly_limit, 80)
  })
})

test('a key goes into x-access-token, and nowhere else', async (t) => {
  const scene = await startScene(t)
  const ask = dialectCaller(scene, surfaceOf('videodb'))
  const answers = [
    await ask(null, 'GET', '/billing/usage', { headers: { authorization: `Bearer ${scene.secret}` } }),
    await ask(null, 'GET', `/billing/usage?x-access-token=${scene.secret}`),
    await ask('sk-nobody', 'GET', '/billing/usage'),
  ]
  for (const { status, body } of answers) {
    assert.deepEqual([status, body.success, typeof body.message], [401, false, 'string'])
    assert.deepEqual(Object.keys(body), ['success', 'message'])
    assert.doesNotMatch(body.message, /Bearer/)
  }
})
