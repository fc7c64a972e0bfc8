/** API keys as things that are managed: made, read, changed, and what their budgets count. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const HOUR_MS = 3_600_000

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('API keys', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '1000')

  await t.test('are made with an account alone; the secret is in the answer and nowhere after', async () => {
    const { status, body } = await call('POST', '/v1/keys', { account })
    assert.equal(status, 201)
    assert.match(body.id, /^key_[0-9a-v]{16}$/)
    assert.match(body.secret, /^obol_live_[0-9A-Za-z]{38}$/)
    const { secret, ...rest } = body
    assert.deepEqual(rest, {
      object: 'key',
      id: body.id,
      account,
      name: '',
      hint: `obol_live_…${secret.slice(-4)}`,
      status: 'active',
      budget: null,
      rate_limit: null,
      operations: null,
      scopes: [],
      metadata: {},
      expires_at: null,
      previous_secret_until: null,
      last_used_at: null,
      revoked_at: null,
      created_at: new Date(clock.nowMs).toISOString(),
    })
    for (const path of [`/v1/keys/${body.id}`, `/v1/keys?account=${account}`, `/v1/journal?account=${account}`, '/v1/events?limit=100'])
      assert.ok(!(await call('GET', path)).text.includes(secret.slice(10, -4)), path)
    assert.deepEqual((await call('GET', `/v1/keys/${body.id}`)).body, rest)
  })

  await t.test('keep all that is said of them', async () => {
    const expires_at = new Date(clock.nowMs + HOUR_MS).toISOString()
    const said = {
      name: 'CI',
      rate_limit: { requests: 10, window_seconds: 60 },
      expires_at,
      operations: ['unit', 'image'],
      scopes: ['keys:write'],
      metadata: { team: 'a' },
    }
    const budget = { limit: '50', period: 'month', time_zone: 'Europe/Berlin', max_per_charge: '5' }
    const { body } = await call('POST', '/v1/keys', { account, ...said, budget })
    for (const [field, value] of Object.entries(said)) assert.deepEqual(body[field], value, field)
    assert.deepEqual(body.budget, { ...budget, spent: '0', held: '0', remaining: '50', resets_at: body.budget.resets_at })
    assert.ok(Date.parse(body.budget.resets_at) > clock.nowMs)
  })

  await t.test('read themselves, and the operator is told that it has no key of an account', async () => {
    const { id, secret } = await makeKey(obol, account, { name: 'Mine' })
    const { status, body } = await call('GET', '/v1/key', undefined, { key: secret })
    assert.deepEqual([status, body.id, body.name, body.secret], [200, id, 'Mine', undefined])
    assertProblem(await call('GET', '/v1/key'), 400, 'invalid_request')
  })

  await t.test('change what is said and nothing else', async () => {
    const { body: made } = await call('POST', '/v1/keys', { account, name: 'Before' })
    const { secret: _, ...before } = made
    const table: readonly (readonly [changes: object, expected?: object])[] = [
      [{ name: 'After' }],
      [{ operations: ['unit'] }],
      [{ operations: null }],
      [{ rate_limit: { requests: 1, window_seconds: 2 } }],
      [{ rate_limit: null }],
      [{ scopes: ['keys:write'] }],
      [{ scopes: [] }],
      [{ metadata: { a: 'b' } }],
      [{ expires_at: new Date(clock.nowMs + HOUR_MS).toISOString() }],
      [{ expires_at: null }],
      [
        { budget: { limit: '5' } },
        {
          budget: {
            limit: '5',
            period: 'lifetime',
            time_zone: 'UTC',
            max_per_charge: null,
            spent: '0',
            held: '0',
            remaining: '5',
            resets_at: null,
          },
        },
      ],
      [{ budget: null }],
    ]
    let expected = before
    for (const [changes, differences = changes] of table) {
      expected = { ...expected, ...differences }
      const { status, body } = await call('PATCH', `/v1/keys/${before.id}`, changes)
      assert.deepEqual([status, body], [200, expected], JSON.stringify(changes))
    }
  })

  await t.test('must end later than now: a key that would have ended is neither made nor changed', async () => {
    const { id } = await makeKey(obol, account)
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
    for (const expires_at of ['2020-01-01T00:00:00Z', new Date(clock.nowMs).toISOString()]) {
      assertProblem(await call('POST', '/v1/keys', { account, expires_at }), 400, 'expiry_passed')
      assertProblem(await call('PATCH', `/v1/keys/${id}`, { expires_at }), 400, 'expiry_passed')
    }
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, before)
  })

  await t.test('may be limited to operations, for charges and holds alike', async () => {
    const { id: key } = await makeKey(obol, account, { operations: ['image'] })
    for (const path of ['/v1/charges', '/v1/holds']) {
      const before = (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
      const refused = await call('POST', path, { key, operation: 'unit' })
      assertProblem(refused, 403, 'operation_not_allowed')
      assert.equal(refused.body.operation, 'unit')
      assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, before)
      assert.equal((await call('POST', path, { key, operation: 'image', quantity: 1 })).status, 201)
    }
  })

  await t.test('name the account together with it, or alone; a key of another account is not found', async () => {
    const { id, secret } = await makeKey(obol, account)
    const other = await openAccount(obol)
    for (const key of [id, secret]) {
      assert.equal((await call('POST', '/v1/charges', { key, operation: 'unit' })).body.key, id)
      assert.equal((await call('POST', '/v1/charges', { account, key, operation: 'unit' })).body.key, id)
      assertProblem(await call('POST', '/v1/charges', { account: other, key, operation: 'unit' }), 404, 'key_not_found')
    }
    assertProblem(await call('POST', '/v1/charges', { key: 'key_0000000100000001', operation: 'unit' }), 404, 'key_not_found')
    assertProblem(await call('POST', '/v1/charges', { key: 'nonsense', operation: 'unit' }), 401, 'invalid_key')
  })
})

test('keys that manage keys', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  const account = await openAccount(obol)
  const manager = await makeKey(obol, account, { scopes: ['keys:write'] })
  const as = { key: manager.secret }

  await t.test('make, change, rotate and revoke keys of their own account, and are named as the cause', async () => {
    const made = await call('POST', '/v1/keys', { name: 'Child', budget: { limit: '5' } }, as)
    assert.deepEqual([made.status, made.body.account, made.body.scopes], [201, account, []])
    const path = `/v1/keys/${made.body.id}`
    assert.equal((await call('PATCH', path, { name: 'Renamed' }, as)).body.name, 'Renamed')
    assert.equal((await call('POST', `${path}/rotate`, {}, as)).status, 200)
    assert.equal((await call('DELETE', path, undefined, as)).body.status, 'revoked')
    const { data } = (await call('GET', '/v1/journal?limit=4', undefined, as)).body
    assert.deepEqual(
      data.map(({ kind, actor, subject }: Record<string, string>) => [kind, actor, subject]),
      ['key_revoked', 'key_rotated', 'key_updated', 'key_created'].map((kind) => [kind, manager.id, made.body.id]),
    )
  })

  await t.test('do not set what only the operator sets: rate limits and scopes', async () => {
    const { id } = await makeKey(obol, account)
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
    for (const terms of [
      { rate_limit: { requests: 1_000_000, window_seconds: 1 } },
      { rate_limit: null },
      { scopes: ['keys:write'] },
      { scopes: [] },
    ]) {
      assertProblem(await call('POST', '/v1/keys', terms, as), 403, 'operator_key_required')
      for (const key of [id, manager.id]) assertProblem(await call('PATCH', `/v1/keys/${key}`, terms, as), 403, 'operator_key_required')
    }
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, before)
  })

  await t.test('may end themselves, and then do nothing more', async () => {
    const own = await makeKey(obol, account, { scopes: ['keys:write'] })
    assert.equal((await call('DELETE', `/v1/keys/${own.id}`, undefined, { key: own.secret })).status, 200)
    assertProblem(await call('POST', '/v1/keys', {}, { key: own.secret }), 401, 'key_revoked')
  })
})

test('budgets of keys', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '100000')
  const charge = (key: string, amount: string): Promise<TestAnswer> => call('POST', '/v1/charges', { key, operation: 'unit', amount })
  const budgetOf = async (key: string): Promise<TestAnswer['body']> => (await call('GET', `/v1/keys/${key}`)).body.budget

  await t.test('refuse what is above them with what is left, whatever the balance, and write nothing', async () => {
    const { id } = await makeKey(obol, account, { budget: { limit: '10', period: 'lifetime' } })
    assert.equal((await charge(id, '7')).status, 201)
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
    const refused = await charge(id, '3.000001')
    assertProblem(refused, 402, 'key_budget_exceeded')
    const { required, remaining, limit, spent, held, period, resets_at } = refused.body
    assert.deepEqual([required, remaining, limit, spent, held, period, resets_at], ['3.000001', '3', '10', '7', '0', 'lifetime', null])
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, before)
    assert.equal((await charge(id, '3')).status, 201)
    assert.equal((await budgetOf(id)).remaining, '0')
  })

  await t.test('count what holds set aside, and give back what they let go', async () => {
    const { id } = await makeKey(obol, account, { budget: { limit: '10' } })
    const hold = (await call('POST', '/v1/holds', { key: id, operation: 'unit', amount: '8' })).body.id
    const { spent, held, remaining } = await budgetOf(id)
    assert.deepEqual([spent, held, remaining], ['0', '8', '2'])
    assertProblem(await charge(id, '3'), 402, 'key_budget_exceeded')
    assertProblem(await call('POST', `/v1/holds/${hold}/increase`, { amount: '3' }), 402, 'key_budget_exceeded')
    await call('POST', `/v1/holds/${hold}/capture`, { amount: '5' })
    const after = await budgetOf(id)
    assert.deepEqual([after.spent, after.held, after.remaining], ['5', '0', '5'])
  })

  await t.test('bound a single charge or hold: 403, for the whole of a hold that is increased', async () => {
    const { id } = await makeKey(obol, account, { budget: { max_per_charge: '5' } })
    const refused = await charge(id, '5.000001')
    assertProblem(refused, 403, 'key_charge_limit_exceeded')
    assert.deepEqual([refused.body.required, refused.body.limit], ['5.000001', '5'])
    const hold = await call('POST', '/v1/holds', { key: id, operation: 'unit', amount: '4' })
    assertProblem(await call('POST', `/v1/holds/${hold.body.id}/increase`, { amount: '2' }), 403, 'key_charge_limit_exceeded')
    assert.equal((await charge(id, '5')).status, 201)
    assert.equal((await budgetOf(id)).remaining, null, 'counted without a limit')
  })

  for (const [period, zone, moment, last, first] of [
    ['day', 'UTC', '2027-03-10T12:00:00Z', '2027-03-10T23:59:59.999Z', '2027-03-11T00:00:00.000Z'],
    ['day', 'Asia/Kolkata', '2027-03-12T12:00:00Z', '2027-03-12T18:29:59.999Z', '2027-03-12T18:30:00.000Z'],
    ['day', 'Asia/Kathmandu', '2027-03-13T12:00:00Z', '2027-03-13T18:14:59.999Z', '2027-03-13T18:15:00.000Z'],
    ['day', 'America/New_York', '2027-03-14T12:00:00Z', '2027-03-15T03:59:59.999Z', '2027-03-15T04:00:00.000Z'],
    ['day', 'Europe/Berlin', '2027-03-28T10:00:00Z', '2027-03-28T21:59:59.999Z', '2027-03-28T22:00:00.000Z'],
    ['week', 'UTC', '2027-04-02T12:00:00Z', '2027-04-04T23:59:59.999Z', '2027-04-05T00:00:00.000Z'],
    ['month', 'Pacific/Auckland', '2027-04-20T12:00:00Z', '2027-04-30T11:59:59.999Z', '2027-04-30T12:00:00.000Z'],
    ['month', 'UTC', '2028-02-28T12:00:00Z', '2028-02-29T23:59:59.999Z', '2028-03-01T00:00:00.000Z'],
  ] as const) {
    await t.test(`per ${period} in ${zone} turn at ${first}, not before`, async () => {
      clock.nowMs = Date.parse(moment)
      const { id } = await makeKey(obol, account, { budget: { limit: '10', period, time_zone: zone } })
      assert.equal((await budgetOf(id)).resets_at, first)
      assert.equal((await charge(id, '10')).status, 201)
      clock.nowMs = Date.parse(last)
      const refused = await charge(id, '1')
      assertProblem(refused, 402, 'key_budget_exceeded')
      assert.equal(refused.body.resets_at, first)
      clock.nowMs = Date.parse(first)
      assert.deepEqual([(await budgetOf(id)).spent, (await budgetOf(id)).remaining], ['0', '10'])
      assert.equal((await charge(id, '10')).status, 201)
    })
  }

  await t.test('keep their count when the limit is changed, and begin a new one with another period', async () => {
    const { id } = await makeKey(obol, account, { budget: { limit: '10', period: 'month' } })
    await charge(id, '8')
    const raised = await call('PATCH', `/v1/keys/${id}`, { budget: { limit: '20', period: 'month' } })
    assert.deepEqual([raised.body.budget.spent, raised.body.budget.remaining], ['8', '12'])
    const lowered = await call('PATCH', `/v1/keys/${id}`, { budget: { limit: '5', period: 'month' } })
    assert.deepEqual([lowered.body.budget.spent, lowered.body.budget.remaining], ['8', '0'])
    assertProblem(await charge(id, '1'), 402, 'key_budget_exceeded')
    assert.equal((await call('PATCH', `/v1/keys/${id}`, { budget: { limit: '5', period: 'week' } })).body.budget.spent, '0')
  })

  await t.test('keep period, zone and most per charge when a PATCH says the limit alone', async () => {
    const { id } = await makeKey(obol, account, {
      budget: { limit: '10', period: 'month', time_zone: 'Europe/Berlin', max_per_charge: '9' },
    })
    await charge(id, '8')
    const { body } = await call('PATCH', `/v1/keys/${id}`, { budget: { limit: '20' } })
    const { limit, period, time_zone, max_per_charge, spent } = body.budget
    assert.deepEqual([limit, period, time_zone, max_per_charge, spent], ['20', 'month', 'Europe/Berlin', '9', '8'])
  })

  await t.test('hold when forty charges come at once', async () => {
    const { id } = await makeKey(obol, account, { budget: { limit: '10' } })
    const answers = await Promise.all(Array.from({ length: 40 }, () => charge(id, '1')))
    assert.equal(answers.filter(({ status }) => status === 201).length, 10)
    assert.ok(answers.every(({ status, body }) => status === 201 || body.code === 'key_budget_exceeded'))
  })
})
