import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const MOST = '9200000000000'

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('captures', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const open = async (body: object): Promise<string> => (await call('POST', '/v1/holds', body)).body.id
  const capture = (hold: string, body: object = {}): Promise<TestAnswer> => call('POST', `/v1/holds/${hold}/capture`, body)
  const lines = async (charge: string): Promise<{ credits: string }[]> => (await call('GET', `/v1/charges/${charge}/explain`)).body.lines

  await t.test('of all that was held record what the hold was opened for', async () => {
    const account = await openAccount(obol, '100000')
    const { body } = await capture(await open({ account, operation: 'transcription', quantities: { second: 36 } }))
    assert.deepEqual([body.credits, body.quantities, body.price_version], ['396', { second: '36' }, 1])
    assert.deepEqual((await lines(body.id)).length, 1)
  })

  await t.test('in parts record what each states: work that was held for and not done is in no usage', async () => {
    const account = await openAccount(obol, '100000')
    const hold = await open({ account, operation: 'transcription', quantities: { second: 36 } })
    const first = (await capture(hold, { quantities: { second: 24 }, final: false })).body
    const rest = (await capture(hold)).body
    assert.deepEqual([first.credits, first.quantities, first.price_version], ['264', { second: '24' }, 1])
    assert.deepEqual([rest.credits, rest.quantities, rest.price_version], ['132', {}, null])
    const usage = (await call('GET', `/v1/usage?account=${account}&group_by=operation`)).body.data.flatMap(
      ({ results }: { results: object[] }) => results,
    )
    assert.deepEqual(
      usage.map(({ charged, quantities }: { charged: string; quantities: object }) => [charged, quantities]),
      [['396', { second: '24' }]],
    )
  })

  await t.test('of an amount record the quantity beside it, and no price version', async () => {
    const account = await openAccount(obol, '100000')
    const hold = await open({ account, operation: 'transcription', quantities: { second: 36 } })
    const { body } = await capture(hold, { amount: '5', quantity: '0.25' })
    assert.deepEqual([body.credits, body.quantities, body.price_version], ['5', { minute: '0.25' }, null])
  })

  await t.test('that a policy cuts short keep what was used, and no price version that does not explain them', async () => {
    const account = await openAccount(obol, '100000')
    const hold = await open({ account, operation: 'transcription', quantities: { second: 36 }, policy: 'cap' })
    const { body } = await capture(hold, { quantities: { second: 72 } })
    assert.deepEqual([body.credits, body.quantities, body.price_version], ['396', { second: '72' }, null])
  })

  await t.test('by quantity are for holds of a credit type that the price has', async () => {
    const account = await openAccount(obol, '100')
    const hold = await open({ account, operation: 'transcription', amount: '10' })
    await call('POST', '/v1/grants', { account, amount: '50', credit_type: 'other_credits' })
    const other = await open({ account, operation: 'transcription', amount: '10', credit_type: 'other_credits' })
    assertProblem(await capture(other, { quantity: '0.01' }), 422, 'price_not_configured')
    assert.equal((await capture(other, { amount: '4' })).body.credit_type, 'other_credits')
    assert.equal((await capture(hold, { quantity: '0.01' })).status, 201)
  })

  await t.test('state a quantity or quantities, as all work does, and never both', async () => {
    const account = await openAccount(obol, '100000')
    const both = { quantity: 1, quantities: { minute: 50 } }
    const hold = await open({ account, operation: 'transcription', amount: '10' })
    for (const [path, body, pointer] of [
      ['/v1/charges', { account, operation: 'transcription', ...both }, '#/quantity'],
      ['/v1/holds', { account, operation: 'transcription', ...both }, '#/quantity'],
      [`/v1/holds/${hold}/capture`, both, '#/quantity'],
      ['/v1/estimates', { items: [{ operation: 'transcription', ...both }] }, '#/items/0/quantity'],
    ] as const) {
      const answer = await call('POST', path, body)
      assertProblem(answer, 400, 'invalid_request')
      assert.equal(answer.body.errors[0].pointer, pointer)
    }
  })
})

test('what moves credits is refused without a name', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  const account = await openAccount(obol, '100')
  const charge = (await call('POST', '/v1/charges', { account, operation: 'unit', amount: '1' })).body.id
  const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '1' })).body.id
  const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
  for (const [path, body] of [
    ['/v1/charges', { account, operation: 'unit', amount: '1' }],
    ['/v1/charges/batch', { charges: [{ account, operation: 'unit', amount: '1' }] }],
    ['/v1/holds', { account, operation: 'unit', amount: '1' }],
    [`/v1/holds/${hold}/increase`, { amount: '1' }],
    [`/v1/holds/${hold}/capture`, {}],
    [`/v1/charges/${charge}/refund`, {}],
    ['/v1/grants', { account, amount: '1' }],
    ['/v1/adjustments', { account, amount: '1', reason: 'test' }],
  ] as const)
    assertProblem(await call('POST', path, body, { idempotencyKey: null }), 400, 'idempotency_key_required')
  assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
})

test('a hold is not increased for a key that may not be used any more', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  const account = await openAccount(obol, '1000')
  const revoked = (await makeKey(obol, account, { budget: { limit: '100' } })).id
  const expired = (await makeKey(obol, account, { expires_at: new Date(clock.nowMs + 60_000).toISOString() })).id
  const holds: Record<string, string> = {}
  for (const key of [revoked, expired]) holds[key] = (await call('POST', '/v1/holds', { key, operation: 'unit', amount: '50' })).body.id
  await call('DELETE', `/v1/keys/${revoked}`)
  clock.nowMs += 60_000
  for (const [key, code] of [
    [revoked, 'key_revoked'],
    [expired, 'key_expired'],
  ] as const) {
    assertProblem(await call('POST', `/v1/holds/${holds[key]}/increase`, { amount: '60' }), 401, code)
    assert.equal((await call('POST', `/v1/holds/${holds[key]}/capture`, {})).status, 201, 'what was set aside can be charged')
  }
})

test('sums that no store could hold are refused, not a fault', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  const account = await openAccount(obol, '100')
  const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '100' })).body.id
  assertProblem(await call('POST', `/v1/holds/${hold}/increase`, { amount: MOST }), 400, 'amount_out_of_range')

  const rich = await openAccount(obol, MOST)
  const { id: key } = await makeKey(obol, rich, { budget: { period: 'lifetime' } })
  const charge = (await call('POST', '/v1/charges', { key, operation: 'unit', amount: MOST })).body.id
  await call('POST', '/v1/grants', { account: rich, amount: MOST })
  assertProblem(await call('POST', `/v1/charges/${charge}/refund`, { amount: '1' }), 400, 'amount_out_of_range')
  assert.equal((await call('POST', '/v1/charges', { key, operation: 'unit', amount: '1' })).status, 201, 'a key may spend more than that')
  assert.equal((await call('GET', `/v1/keys/${key}`)).body.budget.spent, '9200000000001')
  assert.equal((await call('POST', `/v1/charges/${charge}/refund`, { amount: '1' })).status, 201)
})

test('a unit may have the name of something that every object inherits', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  const account = await openAccount(obol, '100')
  const units = ['constructor', 'toString', 'valueOf', 'hasOwnProperty']
  for (let count = 0; count < 2; count++)
    for (const unit of units)
      assert.equal(
        (await call('POST', '/v1/charges', { account, operation: 'unit', amount: '1', quantities: { [unit]: 2 } })).status,
        201,
        unit,
      )
  const [{ results }] = (await call('GET', `/v1/usage?account=${account}`)).body.data.filter(
    ({ results: each }: { results: object[] }) => each.length > 0,
  )
  assert.deepEqual(results[0].quantities, Object.fromEntries(units.map((unit) => [unit, '4'])))
})
