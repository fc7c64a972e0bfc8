/** What an account has, as its own key reads it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const DAY_MS = 86_400_000

test('credits', async (t) => {
  const obol = await startTestObol(t, { OBOL_TOP_UP_URL: 'https://example.com/buy' })
  const { call, clock } = obol
  await publishTestPrices(obol)
  const read = (key: string, path = '/v1/credits'): Promise<TestAnswer> => call('GET', path, undefined, { key })
  const inMs = (ms: number): string => new Date(clock.nowMs + ms).toISOString()

  await t.test('tell everything about what the account has and can spend', async () => {
    const account = await openAccount(obol, '0')
    const plan = (await call('POST', '/v1/grants', { account, amount: '100', source: 'plan', expires_at: inMs(5 * DAY_MS) })).body
    const topup = (
      await call('POST', '/v1/grants', { account, amount: '50', source: 'topup', cost: { amount_minor: 500, currency: 'usd' } })
    ).body
    await call('POST', '/v1/grants', { account, amount: '10', effective_at: inMs(DAY_MS) })
    const images = (await call('POST', '/v1/grants', { account, amount: '3', credit_type: 'image_credits' })).body
    const { id, secret } = await makeKey(obol, account, { name: 'App', budget: { limit: '80', period: 'month' } })
    await call('POST', '/v1/charges', { key: id, operation: 'unit', amount: '30' })
    await call('POST', '/v1/holds', { key: id, operation: 'unit', amount: '20.5' })
    const { status, body, headers } = await read(secret)
    assert.equal(status, 200)
    assert.equal(headers.get('content-type'), 'application/json; charset=utf-8')
    const { grants, key, ...rest } = body
    const [pending] = grants.filter(({ effective_at }: { effective_at: string }) => effective_at > inMs(0))
    assert.deepEqual(rest, {
      object: 'credits',
      account,
      as_of: inMs(0),
      can_spend: true,
      blocked_reason: null,
      credit_types: {
        credits: {
          settled: '120',
          held: '20.5',
          available: '99.5',
          pending: '10',
          debt: '0',
          granted: '160',
          spent: '30',
          expired: '0',
          voided: '0',
          sources: { plan: '70', topup: '50' },
          spent_per_day: null,
          runs_out_on: null,
        },
        image_credits: {
          settled: '3',
          held: '0',
          available: '3',
          pending: '0',
          debt: '0',
          granted: '3',
          spent: '0',
          expired: '0',
          voided: '0',
          sources: { promo: '3' },
          spent_per_day: null,
          runs_out_on: null,
        },
      },
      expiring_soon: [{ grant: plan.id, credit_type: 'credits', amount: '49.5', at: plan.expires_at }],
      next_renewal: null,
      renewals: [],
      alerts: [],
      auto_top_up: null,
      top_up_url: 'https://example.com/buy',
      sequence: 8,
    })
    const own = (grant: { credit_type: string; id: string; source: string }, remaining: string, held: string): object => {
      const { credit_type, source, priority, effective_at, expires_at } = grant as TestAnswer['body']
      return { id: grant.id, credit_type, source, remaining, held, priority, effective_at, expires_at }
    }
    assert.deepEqual(
      grants.filter((grant: object) => grant !== pending),
      [own(plan, '70', '20.5'), own(topup, '50', '0'), own(images, '3', '0')],
    )
    const { resets_at } = key.budget
    assert.deepEqual(key, {
      id,
      name: 'App',
      budget: { limit: '80', period: 'month', spent: '30', held: '20.5', remaining: '29.5', resets_at },
    })
    assert.match(resets_at, /-01T00:00:00\.000Z$/)
  })

  await t.test('are read at zero balance, in debt and while suspended, and then say why nothing can be spent', async () => {
    const account = await openAccount(obol, '0')
    const { secret } = await makeKey(obol, account)
    const assertBlocked = async (reason: string | null, settled: string): Promise<void> => {
      const { status, body } = await read(secret)
      assert.deepEqual(
        [status, body.can_spend, body.blocked_reason, body.credit_types.credits.settled],
        [200, reason === null, reason, settled],
      )
    }
    await assertBlocked('insufficient_credits', '0')
    await call('POST', '/v1/grants', { account, amount: '5' })
    await assertBlocked(null, '5')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '5' })).body.id
    await assertBlocked('credits_in_flight', '5')
    await call('POST', `/v1/holds/${hold}/capture`, { amount: '9' })
    await assertBlocked('insufficient_credits', '-4')
    assert.equal((await read(secret)).body.credit_types.credits.debt, '4')
    await call('PATCH', `/v1/accounts/${account}`, { status: 'suspended' })
    await assertBlocked('account_suspended', '-4')
  })

  await t.test('say that the budget of the asking key is used up, to that key alone', async () => {
    const account = await openAccount(obol, '5')
    const spent = await makeKey(obol, account, { budget: { limit: '1' } })
    const free = await makeKey(obol, account)
    await call('POST', '/v1/charges', { key: spent.id, operation: 'unit' })
    const own = (await read(spent.secret)).body
    assert.deepEqual([own.can_spend, own.blocked_reason, own.key.budget.remaining], [false, 'key_budget_exceeded', '0'])
    const other = (await read(free.secret)).body
    assert.deepEqual([other.can_spend, other.key.budget], [true, null])
    const operators = (await call('GET', `/v1/credits?account=${account}`)).body
    assert.deepEqual([operators.can_spend, operators.key], [true, null])
  })

  await t.test('are the same for the operator, under both of their addresses', async () => {
    const account = await openAccount(obol, '5')
    const one = await call('GET', `/v1/credits?account=${account}`)
    const other = await call('GET', `/v1/accounts/${account}/credits`)
    assert.deepEqual([one.status, one.text, one.headers.get('etag')], [200, other.text, other.headers.get('etag')])
  })

  await t.test('are true at once after every charge, hold, capture, release and refund', async () => {
    const account = await openAccount(obol, '100')
    const { secret } = await makeKey(obol, account)
    const credits = async (): Promise<readonly string[]> => {
      const { settled, held, available } = (await read(secret)).body.credit_types.credits
      return [settled, held, available]
    }
    for (let count = 1; count <= 20; count++) {
      const { body } = await call('POST', '/v1/charges', { account, operation: 'unit' })
      assert.deepEqual(await credits(), [String(100 - count), '0', body.balance.available])
    }
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '10' })).body.id
    assert.deepEqual(await credits(), ['80', '10', '70'])
    const charge = (await call('POST', `/v1/holds/${hold}/capture`, { amount: '4', final: false })).body.id
    assert.deepEqual(await credits(), ['76', '6', '70'])
    await call('POST', `/v1/holds/${hold}/release`, {})
    assert.deepEqual(await credits(), ['76', '0', '76'])
    await call('POST', `/v1/charges/${charge}/refund`, {})
    assert.deepEqual(await credits(), ['80', '0', '80'])
  })

  await t.test('warn of what expires within a week, first what goes first, without what holds keep', async () => {
    const account = await openAccount(obol, '1')
    const later = (await call('POST', '/v1/grants', { account, amount: '5', expires_at: inMs(7 * DAY_MS) })).body.id
    const sooner = (await call('POST', '/v1/grants', { account, amount: '5', expires_at: inMs(DAY_MS) })).body.id
    await call('POST', '/v1/grants', { account, amount: '5', expires_at: inMs(7 * DAY_MS + 1) })
    await call('POST', '/v1/holds', { account, operation: 'unit', amount: '2' })
    const { expiring_soon } = (await call('GET', `/v1/accounts/${account}/credits`)).body
    assert.deepEqual(
      expiring_soon.map(({ grant, amount }: { grant: string; amount: string }) => [grant, amount]),
      [
        [sooner, '3'],
        [later, '5'],
      ],
    )
  })

  await t.test('list the grants that are open: a spent one is gone', async () => {
    const account = await openAccount(obol, '5')
    await call('POST', '/v1/charges', { account, operation: 'unit', amount: '5' })
    assert.deepEqual((await call('GET', `/v1/accounts/${account}/credits`)).body.grants, [])
  })
})
