import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('estimates', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const estimate = (body: object, key?: string): Promise<TestAnswer> =>
    call('POST', '/v1/estimates', body, key === undefined ? {} : { key })

  await t.test('of a known quantity are exact, line by line, and pin their prices for a quarter of an hour', async () => {
    const account = await openAccount(obol, '1000')
    const { secret } = await makeKey(obol, account)
    const { status, body } = await estimate(
      { items: [{ operation: 'transcription', quantity: '1.5', attributes: { quality: 'draft' } }] },
      secret,
    )
    assert.equal(status, 200)
    assert.match(body.quote_id, /^quote_/)
    assert.deepEqual(body, {
      object: 'estimate',
      items: [
        {
          operation: 'transcription',
          status: 'exact',
          credit_type: 'credits',
          credits: '990',
          min: '990',
          max: '990',
          lines: [
            {
              unit: 'minute',
              quantity: '1.5',
              billed_quantity: '1.5',
              per: '1',
              rates: [{ quantity: '1.5', rate: '660' }],
              modifiers: [],
              credits: '990',
            },
          ],
        },
      ],
      totals: [{ credit_type: 'credits', min: '990', max: '990', available: '1000', shortfall: '0' }],
      price_version: 1,
      affordable: { balance: true, key_budget: true },
      quote_id: body.quote_id,
      valid_until: new Date(clock.nowMs + 15 * 60_000).toISOString(),
    })
  })

  await t.test('of a range say the least and the most', async () => {
    const { body } = await estimate({
      items: [
        { operation: 'transcription', quantity: { min: 1, max: '2.5' } },
        { operation: 'llm.chat', quantities: { input_tokens: 1_000_000, output_tokens: { min: 0, max: 1_000_000 } } },
        { operation: 'unit', quantity: { min: 2, max: 2 } },
      ],
    })
    assert.deepEqual(
      body.items.map(({ status, min, max, credits }: TestAnswer['body']) => [status, min, max, credits]),
      [
        ['range', '660', '1650', '1650'],
        ['range', '150', '750', '750'],
        ['exact', '2', '2', '2'],
      ],
    )
    assert.deepEqual(body.totals, [{ credit_type: 'credits', min: '812', max: '2402', available: null, shortfall: null }])
    assert.deepEqual([body.affordable, body.quote_id], [null, null], 'nobody was named')
  })

  await t.test('at their most are exactly what a hold takes, and at once what a charge takes', async () => {
    const account = await openAccount(obol, '100000')
    for (const work of [
      { operation: 'unit' },
      { operation: 'transcription', quantity: '0.333333333333' },
      { operation: 'llm.chat', quantities: { input_tokens: 374, output_tokens: 44 } },
      { operation: 'transcription', quantities: { seconds: 7 } },
    ]) {
      const { items, quote_id } = (await estimate({ account, items: [work] })).body
      const hold = (await call('POST', '/v1/holds', { account, ...work })).body
      const charge = (await call('POST', '/v1/charges', { account, ...work, quote_id })).body
      assert.deepEqual([hold.credits, charge.credits], [items[0].max, items[0].max], JSON.stringify(work))
    }
  })

  await t.test('add up by credit type, and say what each lacks', async () => {
    const account = await openAccount(obol, '10')
    await call('POST', '/v1/grants', { account, amount: '5', credit_type: 'image_credits' })
    await call('POST', '/v1/holds', { account, operation: 'unit', amount: '4' })
    const { body } = await estimate({
      account,
      items: [
        { operation: 'unit', quantity: 5 },
        { operation: 'unit', quantity: 2.5 },
        { operation: 'image', quantity: 3 },
      ],
    })
    assert.deepEqual(body.totals, [
      { credit_type: 'credits', min: '7.5', max: '7.5', available: '6', shortfall: '1.5' },
      { credit_type: 'image_credits', min: '3', max: '3', available: '5', shortfall: '0' },
    ])
    assert.equal(body.affordable.balance, false)
  })

  await t.test('say that the budget of the key does not cover it, though the balance does', async () => {
    const account = await openAccount(obol, '100')
    const { id, secret } = await makeKey(obol, account, { budget: { limit: '10' } })
    await call('POST', '/v1/charges', { key: id, operation: 'unit', amount: '4' })
    for (const [quantity, covered] of [
      [6, true],
      [7, false],
    ] as const) {
      const items = [{ operation: 'unit', quantity }]
      assert.deepEqual((await estimate({ items }, secret)).body.affordable, { balance: true, key_budget: covered })
      assert.deepEqual((await estimate({ key: id, items })).body.affordable, { balance: true, key_budget: covered })
    }
  })

  await t.test('call affordable what a charge would be paid for, also when another credit type pays', async () => {
    const account = await openAccount(obol, '10')
    const { body } = await estimate({ account, items: [{ operation: 'image', quantity: 3 }] })
    const charged = await call('POST', '/v1/charges', { account, operation: 'image', quantity: 3 })
    assert.deepEqual([charged.status, charged.body.credit_type], [201, 'credits'])
    assert.equal(body.affordable.balance, true, 'a charge of the same work was made')
  })

  await t.test('do not call affordable what the most per charge of the key forbids', async () => {
    const account = await openAccount(obol, '100')
    const { id } = await makeKey(obol, account, { budget: { limit: '50', max_per_charge: '2' } })
    const { body } = await estimate({ key: id, items: [{ operation: 'unit', quantity: 3 }] })
    assertProblem(await call('POST', '/v1/holds', { key: id, operation: 'unit', quantity: 3 }), 403, 'key_charge_limit_exceeded')
    assert.equal(body.affordable.key_budget, false)
  })

  await t.test('cost nothing, write nothing and hold nothing', async () => {
    const account = await openAccount(obol, '10')
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
    for (let count = 0; count < 5; count++) await estimate({ account, items: [{ operation: 'unit' }] })
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
  })

  await t.test('that cannot be priced are refused with the item that cannot', async () => {
    const fine = { operation: 'unit' }
    for (const [item, status, code] of [
      [{ operation: 'unpriced' }, 422, 'price_not_configured'],
      [{ operation: 'transcription' }, 400, 'quantity_required'],
      [{ operation: 'unit', quantities: { parsecs: 1 } }, 400, 'unknown_unit'],
      [{ operation: 'transcription', quantity: '999999999999999' }, 400, 'amount_out_of_range'],
    ] as const) {
      const answer = await estimate({ items: [fine, item] })
      assertProblem(answer, status, code)
      assert.equal(answer.body.index, 1, code)
    }
  })

  await t.test('that add up to more than anybody can have are refused, not a fault', async () => {
    const items = Array.from({ length: 5 }, () => ({ operation: 'unit', quantity: '9000000000000' }))
    assertProblem(await estimate({ items }), 400, 'amount_out_of_range')
  })

  await t.test('of a customer are for its own account and the key that asks', async () => {
    const account = await openAccount(obol, '10')
    const { id, secret } = await makeKey(obol, account)
    const items = [{ operation: 'unit' }]
    assert.equal((await estimate({ account, items }, secret)).status, 200)
    const { status, body } = await estimate({ key: id, items }, secret)
    assert.deepEqual([status, body.errors[0].pointer], [400, '#/key'])
    assertProblem(await estimate({ account: 'external:nobody', items }), 404, 'account_not_found')
    assertProblem(await estimate({ account: 'acct_00000001', items }), 404, 'account_not_found')
    assertProblem(await estimate({ key: 'key_0000000100000001', items }), 404, 'key_not_found')
  })

  await t.test('take a thousand items', async () => {
    const { status, body } = await estimate({ items: Array.from({ length: 1_000 }, () => ({ operation: 'unit' })) })
    assert.deepEqual([status, body.items.length, body.totals[0].max], [200, 1_000, '1000'])
  })
})
