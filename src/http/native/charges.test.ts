import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, TEST_PRICES, type TestAnswer } from '../../../test/running/obol.ts'

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('charges', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const charge = (body: object): Promise<TestAnswer> => call('POST', '/v1/charges', body)
  const sequenceOf = async (account: string): Promise<number> => (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence

  await t.test('take what the price says, and tell everything about it', async () => {
    const account = await openAccount(obol, '1000')
    const { id: key } = await makeKey(obol, account)
    const [grant] = (await call('GET', `/v1/grants?account=${account}`)).body.data
    const answer = await charge({
      key,
      operation: 'transcription',
      quantity: '1.25',
      attributes: { quality: 'draft' },
      metadata: { file: 'a.mp3' },
    })
    const { status, body, headers } = answer
    assert.equal(status, 201)
    assert.match(body.id, /^chg_[0-9a-v]{16}$/)
    assert.deepEqual(body, {
      object: 'charge',
      id: body.id,
      account,
      operation: 'transcription',
      credits: '825',
      credit_type: 'credits',
      quantities: { minute: '1.25' },
      attributes: { quality: 'draft' },
      price_version: 1,
      key,
      hold: null,
      status: 'charged',
      refunded: '0',
      balance: { credit_type: 'credits', settled: '175', held: '0', available: '175' },
      grants: [{ grant: grant.id, credits: '825' }],
      sequence: 4,
      metadata: { file: 'a.mp3' },
      created_at: new Date(clock.nowMs).toISOString(),
    })
    const metered = ['x-credits-charged', 'x-credits-remaining', 'x-credits-charge-id'].map((name) => headers.get(name))
    assert.deepEqual(metered, ['825', '175', body.id])
    const { lines, ...read } = (await call('GET', `/v1/charges/${body.id}`)).body
    assert.deepEqual(read, body)
    assert.deepEqual(lines, [
      {
        unit: 'minute',
        quantity: '1.25',
        billed_quantity: '1.25',
        per: '1',
        rates: [{ quantity: '1.25', rate: '660' }],
        modifiers: [],
        credits: '825',
      },
    ])
    assert.deepEqual((await call('GET', `/v1/charges?account=${account}`)).body.data, [body])
  })

  await t.test('name the request that made them in the journal', async () => {
    const account = await openAccount(obol, '10')
    const { headers, body } = await charge({ account, operation: 'unit' })
    const [record] = (await call('GET', `/v1/journal?account=${account}&limit=1`)).body.data
    assert.deepEqual([record.request_id, record.subject, record.actor], [headers.get('x-request-id'), body.id, 'operator'])
  })

  await t.test('state their work in any way that the price can read', async () => {
    const account = await openAccount(obol, '100000')
    const table: readonly (readonly [work: object, credits: string, quantities: object])[] = [
      [{ operation: 'unit' }, '1', { request: '1' }],
      [{ operation: 'unit', quantity: 3 }, '3', { request: '3' }],
      [{ operation: 'unit', quantities: { request: '2.5' } }, '2.5', { request: '2.5' }],
      [{ operation: 'transcription', quantity: '0.5' }, '330', { minute: '0.5' }],
      [
        { operation: 'llm.chat', quantities: { input_tokens: 374, output_tokens: 44 } },
        '0.0825',
        { input_tokens: '374', output_tokens: '44' },
      ],
      [{ operation: 'llm.chat', quantities: { output_tokens: 1 } }, '0.0006', { output_tokens: '1' }],
      [{ operation: 'unit', quantity: 0 }, '0', { request: '0' }],
      [{ operation: 'unit', amount: '7.5' }, '7.5', {}],
      [{ operation: 'transcription', amount: 5, quantity: 2 }, '5', { minute: '2' }],
      [{ operation: 'unpriced', amount: '0.25', quantities: { pages: 3 } }, '0.25', { pages: '3' }],
    ]
    for (const [work, credits, quantities] of table) {
      const { status, body, text } = await charge({ account, ...work })
      assert.equal(status, 201, text)
      assert.deepEqual([body.credits, body.quantities], [credits, quantities], JSON.stringify(work))
      assert.equal(body.price_version, 'amount' in work ? null : 1)
    }
  })

  await t.test('are recorded and explained in the unit of time that was stated, and in no other besides', async () => {
    const account = await openAccount(obol, '100000')
    for (const [unit, quantity] of [
      ['minute', '0.6'],
      ['minutes', '0.6'],
      ['seconds', '36'],
      ['second', '36'],
      ['hour', '0.01'],
      ['hours', '0.01'],
    ] as const) {
      const { body } = await charge({ account, operation: 'transcription', quantities: { [unit]: quantity } })
      assert.deepEqual([body.credits, body.quantities], ['396', { [unit]: quantity }])
      const { lines } = (await call('GET', `/v1/charges/${body.id}/explain`)).body
      assert.deepEqual(
        lines.map(({ credits }: { credits: string }) => credits),
        ['396'],
        unit,
      )
    }
  })

  await t.test('pay from the credit type of the price, else from those that it falls back to', async () => {
    const account = await openAccount(obol, '10')
    await call('POST', '/v1/grants', { account, amount: '2', credit_type: 'image_credits' })
    const types: string[] = []
    for (let count = 0; count < 3; count++) types.push((await charge({ account, operation: 'image', quantity: 1 })).body.credit_type)
    assert.deepEqual(types, ['image_credits', 'image_credits', 'credits'])
    const named = await charge({ account, operation: 'image', amount: '1', credit_type: 'credits' })
    assert.equal(named.body.credit_type, 'credits')
    const refused = await charge({ account, operation: 'image', quantity: 9 })
    assertProblem(refused, 402, 'insufficient_credits')
    assert.deepEqual([refused.body.credit_type, refused.body.available], ['image_credits', '0'])
  })

  await t.test('are refused whole when the credits do not cover them: nothing is drawn', async () => {
    const account = await openAccount(obol, '10')
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
    const refused = await charge({ account, operation: 'unit', amount: '10.000001' })
    assertProblem(refused, 402, 'insufficient_credits')
    const { required, available, settled, held, shortfall } = refused.body
    assert.deepEqual([required, available, settled, held, shortfall], ['10.000001', '10', '10', '0', '0.000001'])
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
    assert.equal((await charge({ account, operation: 'unit', amount: '10' })).body.balance.available, '0')
  })

  await t.test('that have no price are refused, never free', async () => {
    const account = await openAccount(obol, '10')
    const before = await sequenceOf(account)
    const refused = await charge({ account, operation: 'dubbing', quantity: 1 })
    assertProblem(refused, 422, 'price_not_configured')
    assert.deepEqual([refused.body.operation, refused.body.price_version], ['dubbing', 1])
    assertProblem(await charge({ account, operation: 'transcription' }), 400, 'quantity_required')
    assertProblem(await charge({ account, operation: 'llm.chat', quantity: 100 }), 400, 'quantity_required')
    assertProblem(await charge({ account, operation: 'llm.chat', quantities: { tokens: 100 } }), 400, 'unknown_unit')
    assertProblem(await charge({ account, operation: 'unit', quantities: { request: 1, minutes: 2 } }), 400, 'unknown_unit')
    assert.equal(await sequenceOf(account), before)
  })

  await t.test('under a new price book keep the price that they were made at', async () => {
    const account = await openAccount(obol, '100')
    const { id } = (await charge({ account, operation: 'unit', quantity: 2 })).body
    const prices = [{ operation: 'unit', rate: '5', per: { quantity: 1, unit: 'request' } }, ...TEST_PRICES.slice(1)]
    const { version } = (await call('POST', '/v1/price-book', { prices })).body
    const after = (await charge({ account, operation: 'unit', quantity: 2 })).body
    assert.deepEqual([after.credits, after.price_version], ['10', version])
    const before = (await call('GET', `/v1/charges/${id}`)).body
    assert.deepEqual([before.credits, before.price_version, before.lines[0].rates], ['2', 1, [{ quantity: '2', rate: '1' }]])
    await publishTestPrices(obol)
  })

  await t.test('by a key of which nobody said the account are charged to its account, and counted against it', async () => {
    const account = await openAccount(obol, '10')
    const { id, secret } = await makeKey(obol, account, { budget: { limit: '5' } })
    const { body } = await charge({ key: secret, operation: 'unit', quantity: 2 })
    assert.deepEqual([body.account, body.key], [account, id])
    assert.equal((await call('GET', `/v1/keys/${id}`)).body.budget.spent, '2')
  })

  await t.test('of a quote have the prices of the quote, for its account and its time alone', async () => {
    const account = await openAccount(obol, '100')
    const other = await openAccount(obol, '100')
    const { quote_id } = (await call('POST', '/v1/estimates', { account, items: [{ operation: 'unit' }] })).body
    const dear = [{ operation: 'unit', rate: '50', per: { quantity: 1, unit: 'request' } }]
    await call('POST', '/v1/price-book', { prices: dear })
    assert.equal((await charge({ account, operation: 'unit', quote_id })).body.credits, '1')
    assert.equal((await call('POST', '/v1/holds', { account, operation: 'unit', quote_id })).body.credits, '1')
    assert.equal((await charge({ account, operation: 'unit' })).body.credits, '50')
    for (const wrong of [quote_id.replace(/.$/, (last: string) => (last === 'a' ? 'b' : 'a')), `${quote_id}x`, 'quote_', ''])
      assertProblem(await charge({ account, operation: 'unit', quote_id: wrong }), 400, 'quote_invalid')
    assertProblem(await charge({ account: other, operation: 'unit', quote_id }), 400, 'quote_invalid')
    clock.nowMs += 15 * 60_000 - 1
    assert.equal((await charge({ account, operation: 'unit', quote_id })).status, 201)
    clock.nowMs += 1
    assertProblem(await charge({ account, operation: 'unit', quote_id }), 409, 'quote_expired')
    await publishTestPrices(obol)
  })

  await t.test('of other kinds of things are not found as charges', async () => {
    const account = await openAccount(obol, '10')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit' })).body.id
    for (const id of [hold, hold.replace('hold', 'chg'), 'chg_', 'nonsense'])
      for (const path of [`/v1/charges/${id}`, `/v1/charges/${id}/explain`]) assertProblem(await call('GET', path), 404, 'charge_not_found')
  })

  await t.test('of one grant each come in the order in which they were made, however many arrive at once', async () => {
    const account = await openAccount(obol, '100')
    const answers = await Promise.all(Array.from({ length: 50 }, () => charge({ account, operation: 'unit' })))
    const bySequence = answers.map(({ body }) => body).toSorted((a, b) => a.sequence - b.sequence)
    assert.deepEqual(
      bySequence.map(({ sequence }) => sequence),
      Array.from({ length: 50 }, (_, index) => index + 3),
    )
    assert.deepEqual(
      bySequence.map(({ balance }) => balance.available),
      Array.from({ length: 50 }, (_, index) => String(99 - index)),
    )
  })
})

test('explanations of charges', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await call('POST', '/v1/price-book', {
    prices: [
      {
        operation: 'video',
        rate: '10',
        per: { quantity: 1, unit: 'minute' },
        step: '0.5',
        tiers: [
          { up_to: 1, rate: '20' },
          { up_to: 2, rate: '15' },
        ],
        modifiers: [{ attribute: 'quality', equals: 'premium', multiply: 2 }],
        minimum: '5',
        cap: '1000',
      },
      { operation: 'video', rate: '1', per: { quantity: 1, unit: 'request' }, minimum: '5', cap: '1000' },
      { operation: 'cheap', rate: '0.1', per: { quantity: 1, unit: 'request' }, minimum: '3', rounding: 'half_even' },
    ],
  })
  const explain = async (body: object): Promise<TestAnswer['body']> => {
    const made = await call('POST', '/v1/charges', body)
    assert.equal(made.status, 201, made.text)
    const { body: explained } = await call('GET', `/v1/charges/${made.body.id}/explain`)
    assert.deepEqual([explained.charge, explained.credits], [made.body.id, made.body.credits])
    return explained
  }

  await t.test('show each line with its steps, tiers and multipliers, and the sum of them', async () => {
    const account = await openAccount(obol, '1000')
    const body = await explain({ account, operation: 'video', quantities: { minute: '2.1' }, attributes: { quality: 'premium' } })
    assert.deepEqual(body.lines, [
      {
        unit: 'minute',
        quantity: '2.1',
        billed_quantity: '2.5',
        per: '1',
        rates: [
          { quantity: '1', rate: '20' },
          { quantity: '1', rate: '15' },
          { quantity: '0.5', rate: '10' },
        ],
        modifiers: [{ attribute: 'quality', equals: 'premium', multiply: '2' }],
        credits: '80',
      },
      {
        unit: 'request',
        quantity: '1',
        billed_quantity: '1',
        per: '1',
        rates: [{ quantity: '1', rate: '1' }],
        modifiers: [],
        credits: '1',
      },
    ])
    const { credits, price_version, rounding, minimum, cap, bound, overdrawn } = body
    assert.deepEqual([credits, price_version, rounding, minimum, cap, bound, overdrawn], ['81', 1, 'ceil', '5', '1000', null, '0'])
  })

  await t.test('say when the minimum or the cap decided', async () => {
    const account = await openAccount(obol, '10000')
    const least = await explain({ account, operation: 'cheap' })
    assert.deepEqual([least.credits, least.bound, least.minimum, least.rounding], ['3', 'minimum', '3', 'half_even'])
    const most = await explain({ account, operation: 'video', quantities: { minute: 500 } })
    assert.deepEqual([most.credits, most.bound, most.cap], ['1000', 'cap', '1000'])
  })

  await t.test('show the grants as they stood before it, in burn order, and what each paid', async () => {
    const account = await openAccount(obol, '0')
    const grant = async (more: object): Promise<string> => (await call('POST', '/v1/grants', { account, ...more })).body.id
    const last = await grant({ amount: '100', source: 'topup', cost: { amount_minor: 1, currency: 'usd' } })
    const first = await grant({ amount: '2', source: 'plan' })
    const expires_at = new Date(clock.nowMs + 86_400_000).toISOString()
    const second = await grant({ amount: '3', expires_at })
    await call('POST', '/v1/holds', { account, operation: 'cheap', amount: '1' })
    const body = await explain({ account, operation: 'cheap', amount: '8' })
    const row = (id: string, figures: object): object => ({ grant: id, expires_at: null, paid: false, held_before: '0', ...figures })
    assert.deepEqual(body.grants, [
      row(first, { source: 'plan', priority: 20, remaining_before: '2', held_before: '1', drawn: '1' }),
      row(second, { source: 'promo', priority: 30, expires_at, remaining_before: '3', drawn: '3' }),
      row(last, { source: 'topup', priority: 40, paid: true, remaining_before: '100', drawn: '4' }),
    ])
    assert.deepEqual([body.price_version, body.lines], [null, []])
  })

  await t.test('show what no grant had', async () => {
    const account = await openAccount(obol, '3')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'cheap' })).body.id
    const { id } = (await call('POST', `/v1/holds/${hold}/capture`, { amount: '10' })).body
    const { body } = await call('GET', `/v1/charges/${id}/explain`)
    assert.deepEqual([body.credits, body.overdrawn, body.grants[0].drawn], ['10', '7', '3'])
  })

  await t.test('are read by the customer who was charged', async () => {
    const account = await openAccount(obol, '10')
    const { secret } = await makeKey(obol, account)
    const { id } = (await call('POST', '/v1/charges', { account, operation: 'cheap' })).body
    assert.equal((await call('GET', `/v1/charges/${id}/explain`, undefined, { key: secret })).body.charge, id)
  })
})
