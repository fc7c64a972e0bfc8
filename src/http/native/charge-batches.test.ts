import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('batches of charges', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const batch = (charges: readonly object[], more: object = {}, idempotencyKey: string = crypto.randomUUID()): Promise<TestAnswer> =>
    call('POST', '/v1/charges/batch', { charges, ...more }, { idempotencyKey })
  const creditsOf = async (account: string): Promise<TestAnswer['body']> => (await call('GET', `/v1/accounts/${account}/credits`)).body
  const statuses = ({ body }: TestAnswer): readonly number[] => body.data.map(({ status }: { status: number }) => status)

  await t.test('make every charge, of one account or of many, in the order of the batch', async () => {
    const one = await openAccount(obol, '100')
    const other = await openAccount(obol, '100')
    const { status, body } = await batch([
      { account: one, operation: 'unit', amount: '1' },
      { account: other, operation: 'unit', amount: '2' },
      { account: one, operation: 'unit', amount: '3' },
    ])
    assert.equal(status, 200)
    const { object, succeeded, failed, data } = body
    assert.deepEqual([object, succeeded, failed, data.length], ['charge_batch', 3, 0, 3])
    assert.deepEqual(
      data.map((item: TestAnswer['body']) => [item.status, item.replayed, item.error, item.charge.account, item.charge.credits]),
      [
        [201, false, undefined, one, '1'],
        [201, false, undefined, other, '2'],
        [201, false, undefined, one, '3'],
      ],
    )
    for (const { charge } of data) {
      const { lines: _, ...read } = (await call('GET', `/v1/charges/${charge.id}`)).body
      assert.deepEqual(read, charge)
    }
  })

  await t.test('let each charge succeed or fail by itself, and say of each what it would have been told alone', async () => {
    const account = await openAccount(obol, '5')
    const { id: key } = await makeKey(obol, account, { budget: { limit: '1' } })
    const charges = [
      { account, operation: 'unit', amount: '3' },
      { account, operation: 'unpriced' },
      { account, operation: 'unit', amount: '3' },
      { account, operation: 'unit', amount: '-1' },
      { account: 'external:nobody', operation: 'unit' },
      { key, operation: 'unit', amount: '2' },
      { operation: 'unit' },
      { account, operation: 'unit', amount: '2' },
    ]
    const answer = await batch(charges)
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual(statuses(answer), [201, 422, 402, 400, 404, 402, 400, 201])
    assert.deepEqual([answer.body.succeeded, answer.body.failed], [2, 6])
    const codes = answer.body.data.map(({ error }: TestAnswer['body']) => error?.code ?? null)
    assert.deepEqual(codes, [
      null,
      'price_not_configured',
      'insufficient_credits',
      'invalid_request',
      'account_not_found',
      'key_budget_exceeded',
      'invalid_request',
      null,
    ])
    assert.deepEqual(answer.body.data[3].error.errors, [
      { pointer: '#/charges/3/amount', detail: answer.body.data[3].error.errors[0].detail },
    ])
    assert.equal(answer.body.data[2].error.shortfall, '1')
    assert.equal((await creditsOf(account)).credit_types.credits.available, '0')
  })

  await t.test('have errors that are problems like any other, in every field that is documented', async () => {
    const account = await openAccount(obol, '5')
    const alone = (await call('POST', '/v1/charges', { account, operation: 'unpriced' })).body
    const answer = await batch([{ account, operation: 'unpriced' }])
    assert.equal(answer.status, 200, answer.text)
    const [{ error }] = answer.body.data
    for (const field of ['type', 'title', 'status', 'detail', 'code', 'docs', 'operation', 'price_version'])
      assert.deepEqual(error[field], alone[field], field)
    assert.equal(error.request_id, answer.headers.get('x-request-id'))
  })

  await t.test('sent again charge only what had failed, and tell the two apart', async () => {
    const account = await openAccount(obol, '5')
    const charges = ['3', '4', '1'].map((amount) => ({ account, operation: 'unit', amount }))
    const name = crypto.randomUUID()
    const first = await batch(charges, {}, name)
    assert.deepEqual(statuses(first), [201, 402, 201])
    assert.equal(first.headers.get('idempotent-replayed'), null)
    await call('POST', '/v1/grants', { account, amount: '10' })
    const second = await batch(charges, {}, name)
    assert.deepEqual(statuses(second), [201, 201, 201])
    assert.deepEqual(
      second.body.data.map(({ replayed }: { replayed: boolean }) => replayed),
      [true, false, true],
    )
    assert.deepEqual(second.body.data[0].charge, first.body.data[0].charge)
    assert.equal(second.headers.get('idempotent-replayed'), null, 'not all of it is a replay')
    const third = await batch(charges, {}, name)
    assert.deepEqual(
      third.body.data.map(({ replayed }: { replayed: boolean }) => replayed),
      [true, true, true],
    )
    assert.equal(third.headers.get('idempotent-replayed'), 'true')
    assert.equal((await creditsOf(account)).credit_types.credits.spent, '8')
  })

  await t.test('sent again with another body are refused, item by item, and charge nothing', async () => {
    const account = await openAccount(obol, '50')
    const name = crypto.randomUUID()
    await batch(
      [
        { account, operation: 'unit' },
        { account, operation: 'unit' },
      ],
      {},
      name,
    )
    const before = (await creditsOf(account)).sequence
    const answer = await batch(
      [
        { account, operation: 'unit' },
        { account, operation: 'unit', amount: '9' },
      ],
      {},
      name,
    )
    assert.deepEqual(
      answer.body.data?.map(({ error }: TestAnswer['body']) => error?.code),
      ['idempotency_key_reused', 'idempotency_key_reused'],
      answer.text,
    )
    assert.equal((await creditsOf(account)).sequence, before)
  })

  await t.test('sent ten times at once make their charges once', async () => {
    const account = await openAccount(obol, '500')
    const charges = Array.from({ length: 20 }, () => ({ account, operation: 'unit' }))
    const name = crypto.randomUUID()
    const answers = await Promise.all(Array.from({ length: 10 }, () => batch(charges, {}, name)))
    const made = answers.flatMap(({ body }) => body.data.filter(({ replayed }: { replayed: boolean }) => !replayed))
    assert.equal(made.length, 20)
    assert.equal((await creditsOf(account)).credit_types.credits.available, '480')
  })

  await t.test('take a thousand charges', async () => {
    const account = await openAccount(obol, '1000')
    const answer = await batch(Array.from({ length: 1_000 }, () => ({ account, operation: 'unit' })))
    assert.deepEqual([answer.status, answer.body.succeeded], [200, 1_000])
    assert.equal((await creditsOf(account)).credit_types.credits.available, '0')
  })

  await t.test('that are atomic charge all of it', async () => {
    const account = await openAccount(obol, '10')
    const charges = ['3', '4', '3'].map((amount) => ({ account, operation: 'unit', amount }))
    const name = crypto.randomUUID()
    const first = await batch(charges, { atomic: true }, name)
    assert.deepEqual([first.body.succeeded, first.body.failed, statuses(first)], [3, 0, [201, 201, 201]])
    const again = await batch(charges, { atomic: true }, name)
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
    assert.deepEqual(
      again.body.data.map(({ charge, replayed }: TestAnswer['body']) => [charge, replayed]),
      first.body.data.map(({ charge }: TestAnswer['body']) => [charge, true]),
    )
    assert.equal((await creditsOf(account)).credit_types.credits.available, '0')
  })

  await t.test('that are atomic charge nothing when one is refused, say which, and keep no key', async () => {
    const account = await openAccount(obol, '10')
    const { id: key } = await makeKey(obol, account, { operations: ['image'] })
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
    const right = { account, operation: 'unit', amount: '4' }
    const name = crypto.randomUUID()
    for (const [wrong, status, code] of [
      [{ account, operation: 'unit', amount: '7' }, 402, 'insufficient_credits'],
      [{ account, operation: 'unpriced' }, 422, 'price_not_configured'],
      [{ account, operation: 'llm.chat', quantities: { words: 1 } }, 400, 'unknown_unit'],
      [{ key, operation: 'unit' }, 403, 'operation_not_allowed'],
      [{ account: 'external:nobody', operation: 'unit' }, 404, 'account_not_found'],
    ] as const) {
      const answer = await batch([right, wrong], { atomic: true }, name)
      assertProblem(answer, status, code)
      assert.equal(answer.body.index, 1, `${code} says which charge it is about`)
      assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
    }
    assert.equal((await batch([right, right], { atomic: true }, name)).body.succeeded, 2)
  })

  await t.test('that are atomic see the charges before them in the same batch', async () => {
    const account = await openAccount(obol, '10')
    const answer = await batch(
      Array.from({ length: 4 }, () => ({ account, operation: 'unit', amount: '3' })),
      { atomic: true },
    )
    assertProblem(answer, 402, 'insufficient_credits')
    assert.deepEqual([answer.body.index, answer.body.available, answer.body.shortfall], [3, '1', '2'])
  })
})

test('a batch that the server has no room for has charged nothing when it says so', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '1000')
  const idle = Array.from({ length: 999 }, () => ({ account: 'acct_00000001', operation: 'unit' }))
  const charges = [{ account, operation: 'unit', amount: '0.001' }, ...idle]
  const answers: TestAnswer[] = []
  for (let round = 0; round < 10 && !answers.some(({ status }) => status === 503); round++)
    answers.push(...(await Promise.all(Array.from({ length: 60 }, () => call('POST', '/v1/charges/batch', { charges })))))
  const refused = answers.filter(({ status }) => status === 503)
  assert.ok(refused.length > 0, 'the store took everything')
  for (const { body } of refused) assert.match(body.detail, /Nothing was done/)
  const { sequence } = (await call('GET', `/v1/accounts/${account}/credits`)).body
  assert.equal(sequence - 2, answers.length - refused.length, 'charges made are those of batches that were not turned away')
})
