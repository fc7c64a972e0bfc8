import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const DAY_MS = 86_400_000

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('refunds', async (t) => {
  const obol = await startTestObol(t, { OBOL_REFUND_GRANT_DAYS: '10' })
  const { call, clock } = obol
  await publishTestPrices(obol)
  const charge = async (account: string, amount: string, more: object = {}): Promise<string> =>
    (await call('POST', '/v1/charges', { account, operation: 'unit', amount, ...more })).body.id
  const refund = (id: string, body: object = {}): Promise<TestAnswer> => call('POST', `/v1/charges/${id}/refund`, body)
  const creditsOf = async (account: string): Promise<TestAnswer['body']> =>
    (await call('GET', `/v1/accounts/${account}/credits`)).body.credit_types.credits

  await t.test('give the whole charge back unless an amount is said, and say what they did', async () => {
    const account = await openAccount(obol, '100')
    const id = await charge(account, '12.5')
    const { status, body } = await refund(id, { reason: 'it failed' })
    assert.equal(status, 201)
    assert.match(body.id, /^rfd_[0-9a-v]{16}$/)
    assert.deepEqual(body, {
      object: 'refund',
      id: body.id,
      account,
      charge: id,
      credits: '12.5',
      credit_type: 'credits',
      grant: null,
      reason: 'it failed',
      balance: { credit_type: 'credits', settled: '100', held: '0', available: '100' },
      created_at: new Date(clock.nowMs).toISOString(),
    })
    const refunded = (await call('GET', `/v1/charges/${id}`)).body
    assert.deepEqual([refunded.status, refunded.refunded, refunded.credits], ['refunded', '12.5', '12.5'])
    assert.equal((await creditsOf(account)).spent, '0')
  })

  await t.test('add up to the charge and never to more: what is too much is refused with what is left', async () => {
    const account = await openAccount(obol, '100')
    const id = await charge(account, '10')
    assert.equal((await refund(id, { amount: '3' })).body.credits, '3')
    const partly = (await call('GET', `/v1/charges/${id}`)).body
    assert.deepEqual([partly.status, partly.refunded], ['partly_refunded', '3'])
    const tooMuch = await refund(id, { amount: '7.000001' })
    assertProblem(tooMuch, 409, 'refund_exceeds_charge')
    assert.deepEqual([tooMuch.body.requested, tooMuch.body.refundable], ['7.000001', '7'])
    assert.equal((await refund(id)).body.credits, '7', 'what is left')
    for (const body of [{}, { amount: '0.000001' }]) assertProblem(await refund(id, body), 409, 'refund_exceeds_charge')
    assert.equal((await creditsOf(account)).available, '100')
  })

  await t.test('add up to the charge also when twenty come at once', async () => {
    const account = await openAccount(obol, '100')
    const id = await charge(account, '10')
    const answers = await Promise.all(Array.from({ length: 20 }, () => refund(id, { amount: '1' })))
    assert.equal(answers.filter(({ status }) => status === 201).length, 10)
    assert.equal((await creditsOf(account)).available, '100')
  })

  await t.test('go back to the grants that paid, the last drawn first', async () => {
    const account = await openAccount(obol, '0')
    const first = (await call('POST', '/v1/grants', { account, amount: '5', priority: 1 })).body.id
    const second = (await call('POST', '/v1/grants', { account, amount: '5', priority: 2 })).body.id
    const id = await charge(account, '8')
    await refund(id, { amount: '4' })
    const remaining = async (grant: string): Promise<string> => (await call('GET', `/v1/grants/${grant}`)).body.remaining
    assert.deepEqual([await remaining(first), await remaining(second)], ['1', '5'])
    await refund(id)
    assert.deepEqual([await remaining(first), await remaining(second)], ['5', '5'])
  })

  await t.test('of ended grants come back as a grant of their own, for the days that the server gives', async () => {
    const account = await openAccount(obol, '0')
    await call('POST', '/v1/grants', { account, amount: '5', expires_at: new Date(clock.nowMs + DAY_MS).toISOString() })
    const id = await charge(account, '5')
    clock.nowMs += DAY_MS
    const { body } = await refund(id, { amount: '2' })
    assert.match(body.grant, /^grant_/)
    const { source, amount, expires_at, priority, status } = (await call('GET', `/v1/grants/${body.grant}`)).body
    assert.deepEqual([source, amount, priority, status], ['refund', '2', 35, 'open'])
    assert.equal(expires_at, new Date(clock.nowMs + 10 * DAY_MS).toISOString())
    clock.nowMs += 10 * DAY_MS
    assert.equal((await creditsOf(account)).available, '0')
  })

  await t.test('of a debt lessen the debt', async () => {
    const account = await openAccount(obol, '1')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit' })).body.id
    const id = (await call('POST', `/v1/holds/${hold}/capture`, { amount: '5' })).body.id
    assert.equal((await creditsOf(account)).debt, '4')
    const { body } = await refund(id, { amount: '3' })
    assert.deepEqual(body.balance, { credit_type: 'credits', settled: '-1', held: '0', available: '-1' })
    await refund(id)
    const { debt, available } = await creditsOf(account)
    assert.deepEqual([debt, available], ['0', '1'])
  })

  await t.test("give a key's budget back what was counted in the same window, and not what an earlier one counted", async () => {
    const account = await openAccount(obol, '100')
    const { id: key } = await makeKey(obol, account, { budget: { limit: '10', period: 'day' } })
    const spent = async (): Promise<string> => (await call('GET', `/v1/keys/${key}`)).body.budget.spent
    const today = await charge(account, '6', { key })
    await refund(today, { amount: '2' })
    assert.equal(await spent(), '4')
    clock.nowMs += DAY_MS
    await charge(account, '1', { key })
    await refund(today)
    assert.equal(await spent(), '1')
  })

  await t.test('of captures and late captures are refunds as any other', async () => {
    const account = await openAccount(obol, '100')
    const hold = async (): Promise<string> =>
      (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '5', ttl_seconds: 60 })).body.id
    const captured = (await call('POST', `/v1/holds/${await hold()}/capture`, {})).body.id
    const late = await hold()
    clock.nowMs += 60_000
    const lateCharge = (await call('POST', `/v1/holds/${late}/capture`, {})).body.id
    for (const id of [captured, lateCharge]) assert.equal((await refund(id)).body.credits, '5')
    assert.equal((await creditsOf(account)).available, '100')
  })

  await t.test('need a charge: ids of other things are not found, and nothing is given', async () => {
    const account = await openAccount(obol, '100')
    const id = await charge(account, '1')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit' })).body.id
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
    for (const other of ['nonsense', hold, hold.replace('hold', 'chg'), id.replace(/.$/, 'v'), account])
      assertProblem(await refund(other), 404, 'charge_not_found')
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, before)
  })
})

test('adjustments', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const adjust = (body: object): Promise<TestAnswer> => call('POST', '/v1/adjustments', { reason: 'a correction', ...body })

  await t.test('above zero give credits that never expire, with the reason on record', async () => {
    const account = await openAccount(obol, '0')
    const { status, body } = await adjust({ account, amount: '7.25', reason: 'found in the till' })
    assert.equal(status, 201)
    assert.match(body.id, /^adj_[0-9a-v]{16}$/)
    assert.deepEqual(body, {
      object: 'adjustment',
      id: body.id,
      account,
      credits: '7.25',
      credit_type: 'credits',
      reason: 'found in the till',
      balance: { credit_type: 'credits', settled: '7.25', held: '0', available: '7.25' },
      created_at: new Date(clock.nowMs).toISOString(),
    })
    const [grant] = (await call('GET', `/v1/grants?account=${account}`)).body.data
    assert.deepEqual([grant.source, grant.expires_at, grant.metadata], ['adjustment', null, { reason: 'found in the till' }])
  })

  await t.test('below zero take credits in burn order, and never more than is available', async () => {
    const account = await openAccount(obol, '10')
    await call('POST', '/v1/holds', { account, operation: 'unit', amount: '4' })
    const { body } = await adjust({ account, amount: '-2.5' })
    assert.deepEqual([body.credits, body.balance.available], ['-2.5', '3.5'])
    const held = await adjust({ account, amount: '-6' })
    assertProblem(held, 429, 'credits_in_flight')
    const short = await adjust({ account, amount: '-8' })
    assertProblem(short, 402, 'insufficient_credits')
    assert.deepEqual([short.body.required, short.body.available, short.body.shortfall], ['8', '3.5', '4.5'])
    const { sequence } = (await call('GET', `/v1/accounts/${account}/credits`)).body
    assert.equal(sequence, 4, 'account, grant, hold, one adjustment')
    const [record] = (await call('GET', `/v1/journal?account=${account}&limit=1`)).body.data
    assert.deepEqual([record.kind, record.subject, record.events], ['adjustment', body.id, ['adjustment.created']])
  })

  await t.test('are of the credit type that they name', async () => {
    const account = await openAccount(obol, '10')
    const { body } = await adjust({ account, amount: '3', credit_type: 'video_credits' })
    assert.deepEqual(body.balance, { credit_type: 'video_credits', settled: '3', held: '0', available: '3' })
    assertProblem(await adjust({ account, amount: '-4', credit_type: 'video_credits' }), 402, 'insufficient_credits')
  })

  await t.test('above zero are found in the journal under the id that was answered', async () => {
    const account = await openAccount(obol, '0')
    const { body } = await adjust({ account, amount: '1' })
    const [record] = (await call('GET', `/v1/journal?account=${account}&limit=1`)).body.data
    assert.equal(record.subject, body.id)
  })
})
