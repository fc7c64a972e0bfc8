import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, TEST_PRICES, type TestAnswer } from '../../../test/running/obol.ts'

const HOUR_MS = 3_600_000

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('holds', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const open = (body: object): Promise<TestAnswer> => call('POST', '/v1/holds', { operation: 'unit', ...body })
  const act = (id: string, action: string, body: object = {}): Promise<TestAnswer> => call('POST', `/v1/holds/${id}/${action}`, body)
  const read = async (id: string): Promise<TestAnswer['body']> => (await call('GET', `/v1/holds/${id}`)).body
  const creditsOf = async (account: string): Promise<TestAnswer['body']> =>
    (await call('GET', `/v1/accounts/${account}/credits`)).body.credit_types.credits
  const inMs = (ms: number): string => new Date(clock.nowMs + ms).toISOString()

  await t.test('set credits aside, and tell everything about it', async () => {
    const account = await openAccount(obol, '1000')
    const { id: key } = await makeKey(obol, account)
    const answer = await open({
      key,
      operation: 'transcription',
      quantity: '0.5',
      attributes: { quality: 'draft' },
      metadata: { job: '7' },
      policy: 'cap',
      ttl_seconds: 600,
    })
    const { status, body, headers } = answer
    assert.equal(status, 201)
    assert.match(body.id, /^hold_[0-9a-v]{16}$/)
    assert.deepEqual(body, {
      object: 'hold',
      id: body.id,
      account,
      operation: 'transcription',
      status: 'live',
      credits: '330',
      held: '330',
      credit_type: 'credits',
      quantities: { minute: '0.5' },
      attributes: { quality: 'draft' },
      price_version: 1,
      key,
      late_charge: null,
      policy: 'cap',
      metadata: { job: '7' },
      balance: { credit_type: 'credits', settled: '1000', held: '330', available: '670' },
      created_at: inMs(0),
      expires_at: inMs(600_000),
    })
    assert.equal(headers.get('x-credits-remaining'), '670')
    const { balance: _, ...rest } = body
    assert.deepEqual(await read(body.id), rest)
    assert.deepEqual((await call('GET', `/v1/holds?account=${account}`)).body.data, [rest])
  })

  await t.test('live for fifteen minutes unless they say otherwise, from a minute to a day', async () => {
    const account = await openAccount(obol)
    assert.equal((await open({ account })).body.expires_at, inMs(15 * 60_000))
    assert.equal((await open({ account, ttl_seconds: 60 })).body.expires_at, inMs(60_000))
    assert.equal((await open({ account, ttl_seconds: 86_400 })).body.expires_at, inMs(24 * HOUR_MS))
  })

  await t.test('that no balance covers are 402; that only other holds stand in the way of are 429, soon to be tried again', async () => {
    const account = await openAccount(obol, '10')
    const live = (await open({ account, amount: '8' })).body.id
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
    const inFlight = await open({ account, amount: '3' })
    assertProblem(inFlight, 429, 'credits_in_flight')
    const { required, available, settled, held, shortfall, retry_after } = inFlight.body
    assert.deepEqual([required, available, settled, held, shortfall], ['3', '2', '10', '8', '1'])
    assert.ok(retry_after >= 1 && retry_after <= 5)
    assert.equal(inFlight.headers.get('retry-after'), String(retry_after))
    const short = await open({ account, amount: '11' })
    assertProblem(short, 402, 'insufficient_credits')
    assert.equal(short.headers.get('retry-after'), null)
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before, 'a refused hold sets nothing aside')
    await act(live, 'release')
    assert.equal((await open({ account, amount: '10' })).status, 201)
  })

  await t.test('that are captured are charged at what the work cost, and give the rest back', async () => {
    const account = await openAccount(obol, '1000')
    const hold = (await open({ account, operation: 'transcription', quantity: 1, metadata: { job: '7' } })).body.id
    const { status, body, headers } = await act(hold, 'capture', { quantity: '0.25', metadata: { job: '8' } })
    assert.equal(status, 201)
    const { id, object, credits, quantities, price_version, metadata, balance } = body
    assert.deepEqual(
      [object, body.hold, credits, quantities, price_version, metadata],
      ['charge', hold, '165', { minute: '0.25' }, 1, { job: '8' }],
    )
    assert.deepEqual(balance, { credit_type: 'credits', settled: '835', held: '0', available: '835' })
    assert.deepEqual(
      ['x-credits-charged', 'x-credits-remaining', 'x-credits-charge-id'].map((name) => headers.get(name)),
      ['165', '835', id],
    )
    const ended = await read(hold)
    assert.deepEqual([ended.status, ended.held, ended.credits, ended.late_charge], ['captured', '0', '660', null])
    const { lines: _, ...charge } = (await call('GET', `/v1/charges/${id}`)).body
    assert.deepEqual(charge, body)
  })

  await t.test('that are captured without a figure are charged in full; with 0 they are charged nothing', async () => {
    const account = await openAccount(obol, '100')
    const whole = (await open({ account, amount: '30' })).body.id
    assert.equal((await act(whole, 'capture')).body.credits, '30')
    const nothing = (await open({ account, amount: '30' })).body.id
    assert.equal((await act(nothing, 'capture', { amount: '0' })).body.credits, '0')
    const none = (await open({ account, quantity: 30 })).body.id
    assert.equal((await act(none, 'capture', { quantity: 0 })).body.credits, '0')
    const { settled, held } = await creditsOf(account)
    assert.deepEqual([settled, held], ['70', '0'])
  })

  await t.test('keep the prices that they were made under', async () => {
    const account = await openAccount(obol, '1000')
    const hold = (await open({ account, quantity: 10 })).body.id
    await call('POST', '/v1/price-book', { prices: [{ operation: 'unit', rate: '99', per: { quantity: 1, unit: 'request' } }] })
    const { body } = await act(hold, 'capture', { quantity: 4 })
    assert.deepEqual([body.credits, body.price_version], ['4', 1])
    await call('POST', '/v1/price-book', { prices: TEST_PRICES })
  })

  await t.test('may be captured in parts while they live, and end with the last', async () => {
    const account = await openAccount(obol, '100')
    const hold = (await open({ account, amount: '30' })).body.id
    const held: string[] = []
    for (const amount of ['10', '5']) {
      const { body } = await act(hold, 'capture', { amount, final: false })
      held.push(body.balance.held, (await read(hold)).held)
    }
    assert.deepEqual(held, ['20', '20', '15', '15'])
    assert.equal((await read(hold)).status, 'live')
    assert.equal((await act(hold, 'capture', { amount: '1' })).body.balance.available, '84')
    assertProblem(await act(hold, 'capture', { amount: '1' }), 409, 'hold_already_captured')
    assert.equal((await creditsOf(account)).spent, '16')
  })

  /** Captures 15 of a hold of 8 on a balance of 10, under policies said here and there. */
  const captureAbove = async (
    own: string | null,
    policy: object,
    said: object,
  ): Promise<TestAnswer & { readonly account: string; readonly hold: string }> => {
    const account = await openAccount(obol, '10')
    await call('PATCH', `/v1/accounts/${account}`, { capture_policy: own })
    const hold = (await open({ account, amount: '8', ...policy })).body.id
    return { ...(await act(hold, 'capture', { amount: '15', ...said })), account, hold }
  }

  await t.test(
    'captured above what is held follow the policy: of the request, else the hold, else the account, else the server',
    async () => {
      for (const [own, hold, request, credits, available] of [
        [null, {}, {}, '15', '-5'],
        ['cap', {}, {}, '8', '2'],
        ['reject', { policy: 'cap' }, {}, '8', '2'],
        ['reject', { policy: 'reject' }, { policy: 'overdraft' }, '15', '-5'],
        ['overdraft', { policy: 'overdraft' }, { policy: 'cap' }, '8', '2'],
      ] as const) {
        const { status, body } = await captureAbove(own, hold, request)
        assert.deepEqual([status, body.credits, body.balance.available], [201, credits, available], JSON.stringify([own, hold, request]))
      }
    },
  )

  await t.test('captured above what is held under the policy to reject live on as they were', async () => {
    for (const [own, hold, request] of [
      ['reject', {}, {}],
      ['cap', { policy: 'reject' }, {}],
      ['cap', { policy: 'cap' }, { policy: 'reject' }],
    ] as const) {
      const answer = await captureAbove(own, hold, request)
      assertProblem(answer, 409, 'capture_exceeds_hold')
      assert.deepEqual([answer.body.required, answer.body.held, answer.body.excess], ['15', '8', '7'])
      assert.deepEqual([(await read(answer.hold)).status, (await creditsOf(answer.account)).held], ['live', '8'])
    }
  })

  await t.test('captured into a debt block new charges and holds with 402 until it is paid', async () => {
    const account = await openAccount(obol, '10')
    const { id } = (await open({ account, amount: '10' })).body
    const { body } = await act(id, 'capture', { amount: '15' })
    assert.deepEqual(
      body.grants.map(({ credits }: { credits: string }) => credits),
      ['10', '5'],
    )
    assert.equal(body.grants[1].grant, null, 'the account owes it')
    for (const path of ['/v1/charges', '/v1/holds'])
      assertProblem(await call('POST', path, { account, operation: 'unit', amount: '0.000001' }), 402, 'insufficient_credits')
    await call('POST', '/v1/grants', { account, amount: '6' })
    assert.equal((await call('POST', '/v1/charges', { account, operation: 'unit' })).status, 201)
  })

  await t.test('that are released give everything back, once', async () => {
    const account = await openAccount(obol, '100')
    const { id } = (await open({ account, amount: '30' })).body
    const { status, body } = await act(id, 'release')
    assert.deepEqual([status, body.status, body.held, body.balance.available], [200, 'released', '0', '100'])
    for (const [action, more] of [
      ['release', {}],
      ['capture', {}],
      ['extend', { ttl_seconds: 60 }],
      ['increase', { amount: '1' }],
    ] as const)
      assertProblem(await act(id, action, more), 409, 'hold_already_released')
    assert.equal((await creditsOf(account)).available, '100')
  })

  await t.test('that expire give everything back by themselves, and are only captured late, once', async () => {
    const account = await openAccount(obol, '100')
    const { id } = (await open({ account, amount: '30', ttl_seconds: 60 })).body
    clock.nowMs += 59_999
    assert.equal((await read(id)).status, 'live')
    clock.nowMs += 1
    const expired = await read(id)
    assert.deepEqual([expired.status, expired.held, expired.credits], ['expired', '0', '30'])
    assert.equal((await creditsOf(account)).available, '100')
    for (const [action, more] of [
      ['release', {}],
      ['extend', { ttl_seconds: 60 }],
      ['increase', { amount: '1' }],
    ] as const)
      assertProblem(await act(id, action, more), 409, 'hold_expired')
    const late = await act(id, 'capture', { amount: '25' })
    assert.deepEqual([late.status, late.body.credits, late.body.hold, late.body.balance.available], [201, '25', id, '75'])
    assert.equal((await read(id)).late_charge, late.body.id)
    assertProblem(await act(id, 'capture', { amount: '25' }), 409, 'hold_already_captured')
    const kinds = (await call('GET', `/v1/journal?account=${account}&limit=2`)).body.data.map(({ kind }: { kind: string }) => kind)
    assert.deepEqual(kinds, ['late_capture', 'hold_expired'])
  })

  await t.test('captured late follow the same policy', async () => {
    for (const [policy, credits, available] of [
      ['overdraft', '30', '-20'],
      ['cap', '10', '0'],
    ] as const) {
      const account = await openAccount(obol, '30')
      const { id } = (await open({ account, amount: '30', ttl_seconds: 60 })).body
      clock.nowMs += 60_000
      await call('POST', '/v1/charges', { account, operation: 'unit', amount: '20' })
      const { body } = await act(id, 'capture', { policy })
      assert.deepEqual([body.credits, body.balance.available], [credits, available], policy)
    }
    const account = await openAccount(obol, '30')
    const { id } = (await open({ account, amount: '30', ttl_seconds: 60 })).body
    clock.nowMs += 60_000
    await call('POST', '/v1/charges', { account, operation: 'unit', amount: '20' })
    assertProblem(await act(id, 'capture', { policy: 'reject' }), 402, 'insufficient_credits')
    assert.equal((await act(id, 'capture', { policy: 'cap' })).status, 201, 'a refused capture leaves the hold as it was')
  })

  await t.test('are extended from now, never to less than they had and never beyond a day', async () => {
    const account = await openAccount(obol)
    const made = (await open({ account, ttl_seconds: 3_600 })).body
    clock.nowMs += 60_000
    assert.equal((await act(made.id, 'extend', { ttl_seconds: 7_200 })).body.expires_at, inMs(7_200_000))
    const longest = (await read(made.id)).expires_at
    assert.equal((await act(made.id, 'extend', { ttl_seconds: 60 })).body.expires_at, longest)
    const refused = await act(made.id, 'extend', { ttl_seconds: 86_400 })
    assertProblem(refused, 409, 'hold_ttl_exceeded')
    assert.equal(refused.body.latest, new Date(Date.parse(made.created_at) + 24 * HOUR_MS).toISOString())
    assert.equal((await act(made.id, 'extend', { ttl_seconds: 86_340 })).status, 200)
  })

  await t.test('are increased as a new hold would be, and refused so', async () => {
    const account = await openAccount(obol, '10')
    const { id } = (await open({ account, amount: '4' })).body
    const { status, body } = await act(id, 'increase', { amount: '5' })
    assert.deepEqual([status, body.credits, body.held, body.balance.available], [200, '9', '9', '1'])
    assertProblem(await act(id, 'increase', { amount: '11' }), 402, 'insufficient_credits')
    const other = (await open({ account, amount: '1' })).body.id
    assertProblem(await act(id, 'increase', { amount: '1' }), 429, 'credits_in_flight')
    await act(other, 'release')
    assert.equal((await act(id, 'increase', { amount: '1' })).status, 200)
    assert.equal((await act(id, 'capture')).body.credits, '10')
  })

  await t.test(
    'that nothing but themselves keeps from growing are told to pay, not to wait: no other call will give credits back',
    async () => {
      const account = await openAccount(obol, '10')
      const { id } = (await open({ account, amount: '9' })).body
      assertProblem(await act(id, 'increase', { amount: '7' }), 402, 'insufficient_credits')
    },
  )

  await t.test('end once: of ten captures and ten releases at once, one succeeds', async () => {
    const account = await openAccount(obol, '100')
    const { id } = (await open({ account, amount: '10' })).body
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => act(id, index % 2 === 0 ? 'capture' : 'release')))
    assert.equal(answers.filter(({ status }) => status < 300).length, 1)
    assert.ok(answers.every(({ status, body }) => status < 300 || /^hold_already_(captured|released)$/.test(body.code)))
    const { held } = await creditsOf(account)
    assert.equal(held, '0')
  })

  await t.test('never set more aside than there is, however many come at once', async () => {
    const account = await openAccount(obol, '10')
    const answers = await Promise.all(Array.from({ length: 40 }, () => open({ account, amount: '1' })))
    assert.equal(answers.filter(({ status }) => status === 201).length, 10)
    assert.ok(answers.every(({ status, body }) => status === 201 || body.code === 'credits_in_flight'))
    const { available, held } = await creditsOf(account)
    assert.deepEqual([available, held], ['0', '10'])
  })

  await t.test('of a key that is revoked meanwhile are captured all the same: the work was done', async () => {
    const account = await openAccount(obol, '10')
    const { id: key } = await makeKey(obol, account, { budget: { limit: '10' } })
    const { id } = (await open({ key, amount: '5' })).body
    await call('DELETE', `/v1/keys/${key}`)
    const { status, body } = await act(id, 'capture', { amount: '4' })
    assert.deepEqual([status, body.credits, body.key, body.balance.available], [201, '4', key, '6'])
  })

  await t.test('are read by the customer whom they are for', async () => {
    const account = await openAccount(obol)
    const { secret } = await makeKey(obol, account)
    const { id } = (await open({ account })).body
    assert.equal((await call('GET', `/v1/holds/${id}`, undefined, { key: secret })).body.status, 'live')
    assert.equal((await call('GET', '/v1/holds', undefined, { key: secret })).body.data[0].id, id)
  })

  await t.test('of which nothing is known are not found', async () => {
    const account = await openAccount(obol)
    const charge = (await call('POST', '/v1/charges', { account, operation: 'unit' })).body.id
    for (const id of ['nonsense', charge, charge.replace('chg', 'hold')]) {
      assertProblem(await call('GET', `/v1/holds/${id}`), 404, 'hold_not_found')
      for (const [action, body] of [
        ['capture', {}],
        ['release', {}],
        ['extend', { ttl_seconds: 60 }],
        ['increase', { amount: '1' }],
      ] as const)
        assertProblem(await act(id, action, body), 404, 'hold_not_found')
    }
  })
})

test('the policy of the server holds where nobody says another', async (t) => {
  for (const [policy, status] of [
    ['reject', 409],
    ['cap', 201],
  ] as const) {
    const obol = await startTestObol(t, { OBOL_CAPTURE_POLICY: policy })
    await publishTestPrices(obol)
    const account = await openAccount(obol, '10')
    const { id } = (await obol.call('POST', '/v1/holds', { account, operation: 'unit', amount: '5' })).body
    const answer = await obol.call('POST', `/v1/holds/${id}/capture`, { amount: '8' })
    assert.equal(answer.status, status)
    if (status === 201) assert.equal(answer.body.credits, '5')
  }
})
