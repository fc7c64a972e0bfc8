import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('grants', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const grant = (body: object): Promise<TestAnswer> => call('POST', '/v1/grants', body)
  const creditsOf = async (account: string): Promise<TestAnswer['body']> => (await call('GET', `/v1/accounts/${account}/credits`)).body
  const inMs = (ms: number): string => new Date(clock.nowMs + ms).toISOString()

  await t.test('give credits at once, for ever, as a promotion, unless more is said', async () => {
    const account = await openAccount(obol, '0')
    const { status, body } = await grant({ account, amount: '12.5' })
    const now = inMs(0)
    assert.equal(status, 201)
    assert.match(body.id, /^grant_[0-9a-v]{16}$/)
    assert.deepEqual(body, {
      object: 'grant',
      id: body.id,
      account,
      credit_type: 'credits',
      amount: '12.5',
      remaining: '12.5',
      held: '0',
      source: 'promo',
      status: 'open',
      priority: 30,
      effective_at: now,
      expires_at: null,
      cost: null,
      metadata: {},
      created_at: now,
    })
    assert.deepEqual((await call('GET', `/v1/grants/${body.id}`)).body, body)
    const { credit_types, grants } = await creditsOf(account)
    assert.deepEqual([credit_types.credits.available, credit_types.credits.sources], ['12.5', { promo: '12.5' }])
    assert.equal(grants[0].id, body.id)
  })

  await t.test('keep all that is said of them', async () => {
    const account = await openAccount(obol, '0')
    const said = {
      credit_type: 'image_credits',
      amount: '100',
      source: 'topup',
      priority: 7,
      effective_at: inMs(-HOUR_MS),
      expires_at: inMs(DAY_MS),
      cost: { amount_minor: 1999, currency: 'eur' },
      metadata: { invoice: 'R-1' },
    }
    const { body } = await grant({ account, ...said })
    for (const [field, value] of Object.entries(said)) assert.deepEqual(body[field], value, field)
    assert.equal(body.created_at, inMs(0))
  })

  await t.test('burn by their source unless a priority is said: what resets first, what was paid for last', async () => {
    const account = await openAccount(obol, '0')
    const priorities: Record<string, number> = {}
    for (const source of ['plan', 'topup', 'promo', 'rollover', 'refund', 'adjustment'])
      priorities[source] = (await grant({ account, amount: '1', source })).body.priority
    assert.deepEqual(priorities, { plan: 20, topup: 40, promo: 30, rollover: 10, refund: 35, adjustment: 30 })
    const { body } = await call('POST', '/v1/charges', { account, operation: 'unit', amount: '6' })
    const sources = await Promise.all(
      body.grants.map(async (draw: { grant: string }) => (await call('GET', `/v1/grants/${draw.grant}`)).body.source),
    )
    assert.deepEqual(sources, ['rollover', 'plan', 'promo', 'adjustment', 'refund', 'topup'])
  })

  await t.test('burn in order: priority, then what ends first, then unpaid before paid, then what began first', async () => {
    const account = await openAccount(obol, '0')
    const made: Record<string, string> = {}
    for (const [name, more] of Object.entries({
      'never ends, paid': { cost: { amount_minor: 1, currency: 'usd' } },
      'never ends, began now': {},
      'never ends, began before': { effective_at: inMs(-HOUR_MS) },
      'ends in two days': { expires_at: inMs(2 * DAY_MS) },
      'ends in a day': { expires_at: inMs(DAY_MS) },
      'first of all': { priority: 0 },
      'last of all': { priority: 1000, expires_at: inMs(HOUR_MS) },
      'paid nothing': { cost: { amount_minor: 0, currency: 'usd' } },
    }))
      made[(await grant({ account, amount: '1', ...more })).body.id] = name
    const { body } = await call('POST', '/v1/charges', { account, operation: 'unit', amount: '8' })
    assert.deepEqual(
      body.grants.map((draw: { grant: string }) => made[draw.grant]),
      [
        'first of all',
        'ends in a day',
        'ends in two days',
        'never ends, began before',
        'never ends, began now',
        'paid nothing',
        'never ends, paid',
        'last of all',
      ],
    )
  })

  await t.test('that begin later are pending, count for nothing till then, and then count by themselves', async () => {
    const account = await openAccount(obol, '1')
    const { body } = await grant({ account, amount: '50', effective_at: inMs(DAY_MS), expires_at: inMs(2 * DAY_MS) })
    assert.equal(body.status, 'pending')
    const before = (await creditsOf(account)).credit_types.credits
    assert.deepEqual([before.settled, before.available, before.pending], ['1', '1', '50'])
    assertProblem(await call('POST', '/v1/charges', { account, operation: 'unit', amount: '2' }), 402, 'insufficient_credits')
    clock.nowMs += DAY_MS - 1
    assertProblem(await call('POST', '/v1/charges', { account, operation: 'unit', amount: '2' }), 402, 'insufficient_credits')
    clock.nowMs += 1
    assert.equal((await call('GET', `/v1/grants/${body.id}`)).body.status, 'open')
    const after = (await creditsOf(account)).credit_types.credits
    assert.deepEqual([after.settled, after.available, after.pending], ['51', '51', '0'])
    assert.equal((await call('POST', '/v1/charges', { account, operation: 'unit', amount: '2' })).status, 201)
  })

  await t.test('end at their moment, not before, though nobody has touched the account', async () => {
    const account = await openAccount(obol, '0')
    const { body } = await grant({ account, amount: '5', expires_at: inMs(HOUR_MS) })
    clock.nowMs += HOUR_MS - 1
    assert.equal((await call('GET', `/v1/grants/${body.id}`)).body.status, 'open')
    clock.nowMs += 1
    const ended = (await call('GET', `/v1/grants/${body.id}`)).body
    assert.deepEqual([ended.status, ended.remaining], ['expired', '0'])
    const { available, expired } = (await creditsOf(account)).credit_types.credits
    assert.deepEqual([available, expired], ['0', '5'])
    assertProblem(await call('POST', '/v1/charges', { account, operation: 'unit' }), 402, 'insufficient_credits')
  })

  await t.test('that end under a hold stay usable for that hold alone, and what it lets go ends at once', async () => {
    const account = await openAccount(obol, '0')
    const { body } = await grant({ account, amount: '10', expires_at: inMs(120_000) })
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '6' })).body.id
    clock.nowMs += 120_000
    const under = (await call('GET', `/v1/grants/${body.id}`)).body
    assert.deepEqual([under.status, under.remaining, under.held], ['expired', '6', '6'])
    assertProblem(await call('POST', '/v1/charges', { account, operation: 'unit' }), 402, 'insufficient_credits')
    assert.equal((await call('POST', `/v1/holds/${hold}/capture`, { amount: '4' })).status, 201)
    const { settled, held, expired, spent } = (await creditsOf(account)).credit_types.credits
    assert.deepEqual([settled, held, expired, spent], ['0', '0', '6', '4'])
  })

  await t.test('must not be over before they begin: 400, and nothing is given', async () => {
    const account = await openAccount(obol, '0')
    for (const [body, code] of [
      [{ expires_at: inMs(0) }, 'expiry_passed'],
      [{ expires_at: inMs(-1) }, 'expiry_passed'],
      [{ effective_at: inMs(-DAY_MS), expires_at: inMs(-HOUR_MS) }, 'expiry_passed'],
      [{ effective_at: inMs(DAY_MS), expires_at: inMs(DAY_MS) }, 'invalid_request'],
      [{ effective_at: inMs(DAY_MS), expires_at: inMs(HOUR_MS) }, 'invalid_request'],
    ] as const)
      assertProblem(await grant({ account, amount: '1', ...body }), 400, code)
    assert.equal((await creditsOf(account)).sequence, 1)
  })

  await t.test('pay a debt first', async () => {
    const account = await openAccount(obol, '1')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit' })).body.id
    await call('POST', `/v1/holds/${hold}/capture`, { amount: '8' })
    const owing = (await creditsOf(account)).credit_types.credits
    assert.deepEqual([owing.settled, owing.available, owing.debt], ['-7', '-7', '7'])
    const small = (await grant({ account, amount: '3' })).body
    assert.deepEqual([small.amount, small.remaining, small.status], ['3', '0', 'spent'])
    const { body } = await grant({ account, amount: '10' })
    assert.deepEqual([body.amount, body.remaining], ['10', '6'])
    const { settled, debt } = (await creditsOf(account)).credit_types.credits
    assert.deepEqual([settled, debt], ['6', '0'])
  })

  await t.test('of different types never mix', async () => {
    const account = await openAccount(obol, '5')
    await grant({ account, amount: '7', credit_type: 'video_credits' })
    assertProblem(await call('POST', '/v1/charges', { account, operation: 'unit', amount: '6' }), 402, 'insufficient_credits')
    const { credit_types } = await creditsOf(account)
    assert.deepEqual([credit_types.credits.available, credit_types.video_credits.available], ['5', '7'])
  })

  await t.test('are voided as far as they are unspent, with what holds have set aside left to the holds', async () => {
    const account = await openAccount(obol, '0')
    const { id } = (await grant({ account, amount: '10' })).body
    await call('POST', '/v1/charges', { account, operation: 'unit', amount: '3' })
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '2' })).body.id
    const { status, body } = await call('POST', `/v1/grants/${id}/void`, { reason: 'fraud' })
    assert.deepEqual([status, body.status, body.remaining, body.held], [200, 'voided', '2', '2'])
    await call('POST', `/v1/holds/${hold}/release`, {})
    const { settled, voided, spent, granted } = (await creditsOf(account)).credit_types.credits
    assert.deepEqual([settled, voided, spent, granted], ['0', '7', '3', '10'])
    const { data } = (await call('GET', `/v1/journal?account=${account}`)).body
    assert.deepEqual(
      data.slice(0, 2).map(({ kind }: { kind: string }) => kind),
      ['hold_released', 'grant_voided'],
    )
  })

  await t.test('that are over cannot be voided: 409 says how they ended, and nothing is written', async () => {
    const account = await openAccount(obol, '0')
    const spent = (await grant({ account, amount: '1' })).body.id
    await call('POST', '/v1/charges', { account, operation: 'unit' })
    const voided = (await grant({ account, amount: '1' })).body.id
    await call('POST', `/v1/grants/${voided}/void`, {})
    const expired = (await grant({ account, amount: '1', expires_at: inMs(1_000) })).body.id
    clock.nowMs += 1_000
    for (const [id, how] of Object.entries({ [spent]: 'spent', [voided]: 'voided', [expired]: 'expired' })) {
      const answer = await call('POST', `/v1/grants/${id}/void`, {})
      assertProblem(answer, 409, 'grant_closed')
      assert.match(answer.body.detail, new RegExp(how))
      assert.equal((await call('GET', `/v1/grants/${id}`)).body.status, how)
    }
  })

  await t.test('are read by their account with its ordinary key', async () => {
    const account = await openAccount(obol, '5')
    const { secret } = await makeKey(obol, account)
    const { body } = await call('GET', '/v1/grants', undefined, { key: secret })
    assert.deepEqual([body.data.length, body.data[0].account], [1, account])
    assert.deepEqual((await call('GET', `/v1/grants/${body.data[0].id}`, undefined, { key: secret })).body, body.data[0])
  })
})
