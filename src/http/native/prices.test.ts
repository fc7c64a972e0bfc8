import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, TEST_PRICES, type TestAnswer } from '../../../test/running/obol.ts'

const HOUR_MS = 3_600_000

const row = (operation: string, rate: unknown, more: object = {}): object => ({
  operation,
  rate,
  per: { quantity: 1, unit: 'request' },
  ...more,
})

test('price books', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  const publish = (prices: readonly object[], more: object = {}): Promise<TestAnswer> => call('POST', '/v1/price-book', { prices, ...more })
  const account = await openAccount(obol, '100000')
  const { secret } = await makeKey(obol, account)
  const charged = async (operation: string): Promise<string> => {
    const { status, body } = await call('POST', '/v1/charges', { account, operation })
    return status === 201 ? `${body.credits} v${body.price_version}` : body.code
  }
  const inMs = (ms: number): string => new Date(clock.nowMs + ms).toISOString()

  await t.test('before the first there are no prices: nothing is charged, nothing is free', async () => {
    const { status, body } = await call('GET', '/v1/prices', undefined, { key: secret })
    assert.deepEqual([status, body.code], [404, 'not_found'])
    assert.equal(await charged('unit'), 'price_not_configured')
    assert.deepEqual((await call('GET', '/v1/price-book')).body.data, [])
  })

  await t.test('are published whole, in force at once, under versions that count from 1', async () => {
    const prices = [
      row('unit', '1.5'),
      {
        operation: 'video',
        credit_type: 'video_credits',
        fallback_credit_types: ['credits'],
        rate: 10,
        per: { quantity: '30', unit: 'seconds' },
        step: 5,
        tiers: [{ up_to: 60, rate: 12 }],
        modifiers: [{ attribute: 'quality', equals: 'premium', multiply: '2' }],
        minimum: '0.5',
        cap: 500,
        rounding: 'half_up',
      },
    ]
    const { status, body } = await publish(prices)
    assert.equal(status, 201)
    assert.deepEqual(body, { object: 'price_book', version: 1, effective_at: inMs(0), published_at: inMs(0), prices })
    assert.deepEqual((await call('GET', '/v1/prices', undefined, { key: secret })).body, body, 'the customer reads what is in force')
    assert.deepEqual((await call('GET', '/v1/price-book/1')).body, body)
    assert.equal(await charged('unit'), '1.5 v1')
  })

  await t.test('replace the whole book: what they leave out has no price any more', async () => {
    assert.equal((await publish([row('other', '2')])).body.version, 2)
    assert.deepEqual([await charged('other'), await charged('unit')], ['2 v2', 'price_not_configured'])
  })

  await t.test(
    'may take effect later: till then the book before holds, and one that is published meanwhile holds till then too',
    async () => {
      assert.equal((await publish([row('unit', '30')], { effective_at: inMs(2 * HOUR_MS) })).body.version, 3)
      assert.equal(await charged('unit'), 'price_not_configured')
      assert.equal((await publish([row('unit', '4')])).body.version, 4)
      assert.equal(await charged('unit'), '4 v4')
      clock.nowMs += 2 * HOUR_MS - 1
      assert.equal(await charged('unit'), '4 v4')
      clock.nowMs += 1
      assert.equal(await charged('unit'), '30 v3')
      assert.equal((await call('GET', '/v1/prices')).body.version, 3)
    },
  )

  await t.test('do not take effect in the past: charges that were made keep their prices', async () => {
    const books = (await call('GET', '/v1/price-book')).text
    const { status, body } = await publish([row('unit', '1')], { effective_at: inMs(-1) })
    assert.deepEqual([status, body.code], [400, 'effective_at_passed'])
    assert.equal((await call('GET', '/v1/price-book')).text, books)
  })

  await t.test('that take effect together: the newer one holds', async () => {
    const effective_at = inMs(HOUR_MS)
    await publish([row('unit', '5')], { effective_at })
    const { version } = (await publish([row('unit', '6')], { effective_at })).body
    clock.nowMs += HOUR_MS
    assert.equal(await charged('unit'), `6 v${version}`)
  })

  await t.test('are listed newest first, without their rows, and kept for ever', async () => {
    const { body } = await call('GET', '/v1/price-book')
    assert.deepEqual([body.object, body.url, body.has_more], ['list', '/v1/price-book', false])
    assert.deepEqual(
      body.data.map(({ version }: { version: number }) => version),
      [6, 5, 4, 3, 2, 1],
    )
    for (const book of body.data) {
      assert.deepEqual(Object.keys(book), ['object', 'version', 'effective_at', 'published_at'])
      const { prices, ...rest } = (await call('GET', `/v1/price-book/${book.version}`)).body
      assert.ok(prices.length > 0)
      assert.deepEqual(rest, book)
    }
    const { status, body: none } = await call('GET', '/v1/price-book/7')
    assert.deepEqual([status, none.code], [404, 'not_found'])
  })

  await t.test('that are wrong anywhere are refused whole, with every fault at its place', async () => {
    const before = (await call('GET', '/v1/prices')).text
    const { status, body } = await publish([row('fine', '1'), row('wrong', '-1'), row('worse', 'x', { minimum: '5', cap: '1' })])
    assert.deepEqual([status, body.code], [400, 'invalid_request'])
    const pointers = body.errors.map(({ pointer }: { pointer: string }) => pointer)
    assert.deepEqual(pointers.toSorted(), ['#/prices/1/rate', '#/prices/2/cap', '#/prices/2/rate'])
    assert.equal((await call('GET', '/v1/prices')).text, before)
    assert.equal((await call('GET', '/v1/price-book')).body.data.length, 6)
  })

  await t.test('price a thousand operations, and not one more', async () => {
    const prices = Array.from({ length: 1_001 }, (_, index) => row(`op${index}`, index))
    assert.equal((await publish(prices.slice(1))).status, 201)
    assert.equal(await charged('op1000'), '1000 v7')
    const { status, body } = await publish(prices)
    assert.deepEqual([status, body.code, body.errors[0].pointer], [400, 'invalid_request', '#/prices'])
  })
})

test('trials of a price book', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const startMs = clock.nowMs
  const [rich, poor] = [await openAccount(obol, '1000000'), await openAccount(obol, '1000000')]
  const charge = (account: string, body: object): Promise<TestAnswer> => call('POST', '/v1/charges', { account, ...body })
  for (let count = 0; count < 5; count++) await charge(rich, { operation: 'transcription', quantity: 1 })
  await charge(poor, { operation: 'unit' })
  await charge(poor, { operation: 'llm.chat', quantities: { input_tokens: 1_000_000, output_tokens: 0 } })
  await charge(poor, { operation: 'unit', amount: '77' })
  const hold = (await call('POST', '/v1/holds', { account: poor, operation: 'transcription', quantity: 2 })).body.id
  await call('POST', `/v1/holds/${hold}/capture`, { quantity: 1 })
  clock.nowMs += HOUR_MS
  const endMs = clock.nowMs
  await charge(rich, { operation: 'unit', quantity: 1_000 })
  const trial = (prices: readonly object[], fromMs = startMs, toMs = endMs): Promise<TestAnswer> =>
    call('POST', '/v1/price-book/trial', { prices, start: new Date(fromMs).toISOString(), end: new Date(toMs).toISOString() })

  await t.test('say what the period would have cost, in sum, for each operation, and for whom it changes most', async () => {
    const minute = { quantity: 1, unit: 'minute' }
    const { status, body } = await trial([{ operation: 'transcription', rate: '600', per: minute }, row('unit', '3')])
    assert.equal(status, 200)
    const sum = (charges: number, charged: string, repriced: string, change: string): object => ({ charges, charged, repriced, change })
    assert.deepEqual(body, {
      object: 'price_trial',
      start: new Date(startMs).toISOString(),
      end: new Date(endMs).toISOString(),
      total: sum(7, '3961', '3603', '-358'),
      operations: { transcription: sum(6, '3960', '3600', '-360'), unit: sum(1, '1', '3', '2') },
      accounts: [
        { account: rich, ...sum(5, '3300', '3000', '-300') },
        { account: poor, ...sum(2, '661', '603', '-58') },
      ],
      unpriced: { price_not_configured: 1 },
      named: 1,
      is_truncated: false,
    })
  })

  await t.test('under the book that was in force come to the same', async () => {
    const { body } = await trial([...TEST_PRICES])
    assert.deepEqual([body.total.charged, body.total.repriced, body.total.change, body.unpriced], ['4111', '4111', '0', {}])
  })

  await t.test('are of the period alone: its first moment in, its last one out', async () => {
    const charges = async (fromMs: number, toMs: number): Promise<number> =>
      (await trial([...TEST_PRICES], fromMs, toMs)).body.total.charges
    assert.equal(await charges(startMs, startMs + 1), 8)
    assert.equal(await charges(startMs + 1, endMs), 0)
    assert.equal(await charges(endMs, endMs + 1), 1)
    assert.equal(await charges(startMs, endMs + 1), 9)
    assert.equal(await charges(0, startMs), 0)
  })

  await t.test('change nothing', async () => {
    const before = await Promise.all(
      ['/v1/price-book', `/v1/accounts/${rich}/credits`, '/v1/prices'].map(async (path) => (await call('GET', path)).text),
    )
    await trial([row('unit', '1000')])
    const after = await Promise.all(
      ['/v1/price-book', `/v1/accounts/${rich}/credits`, '/v1/prices'].map(async (path) => (await call('GET', path)).text),
    )
    assert.deepEqual(after, before)
  })

  await t.test('price work again that was stated in another unit of time', async () => {
    const account = await openAccount(obol, '100000')
    clock.nowMs += HOUR_MS
    const fromMs = clock.nowMs
    for (const quantities of [{ minutes: 1 }, { seconds: 60 }, { hours: '0.1' }])
      await charge(account, { operation: 'transcription', quantities })
    const { body } = await trial([...TEST_PRICES], fromMs, fromMs + 1)
    assert.deepEqual([body.total.charges, body.total.change, body.unpriced], [3, '0', {}])
  })
})
