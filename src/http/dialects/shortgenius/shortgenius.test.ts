/** ShortGenius' two pages: the balance with its pools, what costs credits, and what a client hears when there are too few. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type DialectCall, dialectCaller, type Scene, startScene, surfaceOf } from '../../../../test/running/dialects.ts'
import { startHandler, type TestHandler } from '../../../../test/running/handler.ts'
import { makeKey, type TestAnswer } from '../../../../test/running/obol.ts'
import { publishSamplePrices } from '../../../../test/running/sample-prices.ts'
import { STORE_KINDS, type StoreKind } from '../../../../test/running/store.ts'

interface Shop extends Scene {
  readonly ask: DialectCall
  /** Posts with the account's key. */
  readonly post: (path: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<TestAnswer>
  readonly balance: () => Promise<Readonly<Record<string, number>>>
}

/** An account with credits under the sample prices. */
async function startShop(
  t: TestContext,
  options: { readonly amount?: string; readonly environment?: Readonly<Record<string, string>>; readonly kind?: StoreKind } = {},
): Promise<Shop> {
  const scene = await startScene(t, { amount: '217', ...options })
  await publishSamplePrices(scene)
  const ask = dialectCaller(scene, surfaceOf('shortgenius'))
  return {
    ...scene,
    ask,
    post: (path, body = {}, headers = {}) => ask(scene.secret, 'POST', `/v1${path}`, { body, headers }),
    balance: async () => (await ask(scene.secret, 'GET', '/v1/credits')).body.balance,
  }
}

for (const kind of STORE_KINDS)
  test(`the page's balance, and the pools of the older page as far as they exist, on ${kind}`, async (t) => {
    const { ask, call, account, secret, post } = await startShop(t, { kind })
    const { status, headers, body, text } = await ask(secret, 'GET', '/v1/credits')
    assert.deepEqual([status, headers.get('content-type'), body], [200, 'application/json; charset=utf-8', { balance: { credits: 217 } }])
    assert.equal(text, '{"balance":{"credits":217}}')
    for (const [credit_type, amount] of [
      ['animated_video_credits', '3'],
      ['high_quality_video_credits', '10.5'],
      ['image_credits', '1'],
    ])
      await call('POST', '/v1/grants', { account, amount, credit_type })
    await post('/images', { prompt: 'a fox' })
    const balance = { credits: 217, animated_video_credits: 3, high_quality_video_credits: 10.5, image_credits: 0 }
    assert.deepEqual((await ask(secret, 'GET', '/v1/credits')).body, { balance })
  })

test('what is held is not available, and a debt is nothing', async (t) => {
  const { balance, call, account } = await startShop(t)
  const hold = (await call('POST', '/v1/holds', { account, operation: 'other', amount: '17' })).body.id
  assert.deepEqual(await balance(), { credits: 200 })
  await call('POST', `/v1/holds/${hold}/capture`, { amount: '300', policy: 'overdraft' })
  assert.deepEqual(await balance(), { credits: 0 })
})

/** Each request that costs credits, with what it costs under the sample prices. */
const COSTS: readonly (readonly [path: string, body: object, credits: string])[] = [
  ['/videos/drafts', { topic: 'Foxes', duration: '60', locale: 'auto' }, '1'],
  ['/videos/drafts/url', { url: 'https://example.com/foxes' }, '1'],
  ['/videos/drafts/script', { script: 'A fox walks into a library.' }, '1'],
  ['/videos/drafts/quiz', { topic: 'Foxes' }, '1'],
  ['/videos/drafts/news', { topic: 'Foxes' }, '1'],
  ['/videos', { title: 'Foxes', caption: 'All about them', connection_ids: [], scenes: [{ caption: 'A fox.' }] }, '10'],
  ['/videos', { duration: 61 }, '20'],
  ['/videos', { scenes: [{ caption: 'x'.repeat(900) }, { caption: 'x'.repeat(450) }] }, '20'],
  ['/videos/topics', { parent_topic: 'Foxes', number_of_topics: 25 }, '3'],
  ['/series', { topics: [{ topic: 'a' }, { topic: 'b' }, { topic: 'c' }] }, '30'],
  ['/images', { prompt: 'A fox', aspect_ratio: '1:1' }, '1'],
  ['/images', { prompt: 'A fox', quality: 'premium' }, '2'],
  ['/audio/speech', { text: 'A fox.', voice_id: 'v1' }, '1'],
  ['/audio/speech', { text: '🦊'.repeat(1_500), voice: 'premium' }, '3'],
]

for (const kind of STORE_KINDS)
  test(`drafting costs little, finalizing the most, images at least one, speech by its length, on ${kind}`, async (t) => {
    const shop = await startShop(t, { kind })
    for (const [path, body, credits] of COSTS) {
      const before = (await shop.balance()).credits ?? 0
      const { status, headers, body: made, text } = await shop.post(path, body)
      assert.deepEqual([status, headers.get('content-type')], [200, 'application/json; charset=utf-8'], text)
      assert.equal(headers.get('x-credits-charged'), credits, `${path} ${JSON.stringify(body).slice(0, 80)}`)
      assert.equal(((await shop.balance()).credits ?? 0) + Number(credits), before)
      assert.match(headers.get('x-credits-charge-id') ?? '', /^chg_/)
      assert.match(text, /[Ss]ample/, 'it says that it is a sample')
      if (!Array.isArray(made)) assert.equal(made.sample, true)
    }
    const charges = (await shop.call('GET', `/v1/charges?account=${shop.account}&limit=100`)).body.data
    assert.equal(charges.length, COSTS.length)
    assert.ok(charges.every(({ metadata, key }: { metadata: object; key: string }) => 'path' in metadata && key.startsWith('key_')))
  })

test('nothing that customers write freely is kept in the journal', async (t) => {
  const { post, call, account } = await startShop(t)
  await post('/images', { prompt: 'a private thought', quality: 'high' })
  const { text } = await call('GET', `/v1/journal?account=${account}`)
  assert.ok(!text.includes('private thought'))
  const [charge] = (await call('GET', `/v1/charges?account=${account}`)).body.data
  assert.deepEqual(charge.attributes, { quality: 'high' })
  assert.ok(!JSON.stringify(charge).includes('private thought'))
})

/** What the product's own client checks of each answer (its schemas, as published): names, types, closed lists. */
const REQUIRED: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  '/videos': {
    id: /^"/,
    created_at: /^"\d{4}-/,
    series_id: /^"/,
    publishing_state: /^"(pending|processing|completed|skipped|error)"$/,
    publish_at: /^(null|")/,
  },
  '/images': {
    id: /^"/,
    url: /^(null|")/,
    state: /^"(pending|generating|completed|error|request_smart_motion|placeholder)"$/,
    created_at: /^"\d{4}-/,
    prompt: /^"/,
    is_nsfw: /^(true|false)$/,
    aspect_ratio: /^"(9:16|16:9|1:1)"$/,
  },
  '/audio/speech': {
    id: /^"/,
    created_at: /^"\d{4}-/,
    url: /^(null|")/,
    user_id: /^"/,
    state: /^"(pending|generating|completed|error)"$/,
    text: /^"/,
    voice:
      /^\{"id":".+?","name":".+?","description":(null|").*"tags":(null|\{).*"preview_url":(null|").*"locale":(null|").*"source":"(Cartesia|CartesiaClonedVoice|ElevenLabs|ElevenLabsShared|OpenAI)"/,
  },
  '/videos/drafts': { title: /^"/, caption: /^"/, scenes: /^\[\{.*"caption":"/ },
  '/videos/drafts/quiz': {
    title: /^"/,
    caption: /^"/,
    quiz: /^\{"questions":\[\{"question":".*"correct":true.*"results":\{"header":.*"score_range":/,
  },
  '/series': {
    id: /^"/,
    created_at: /^"\d{4}-/,
    next_posting_at: /^(null|")/,
    type: /^"(SingleVideo|Series)"$/,
    schedule: /^(null|\{)/,
    aspect_ratio: /^"(9:16|16:9|1:1)"$/,
    soundtrack_behavior: /^"(MutedAfter60s|FullMusic|NoMusic)"$/,
    locale: /^"[a-z]{2}-[A-Z]{2}"$/,
    soundtrack: /^\{"tracks":\[.*"recommendations":\[.*"playback_rate":\d+,"volume":\d+\}/,
    styles: /^(null|\{)/,
    image_style: /^\{/,
    voice: /^\{"voices":\[.*"playback_rate":\d+,"volume":\d+\}/,
    connections: /^\[/,
  },
}

test("samples have what the product's own client asks of an answer", async (t) => {
  const { post } = await startShop(t)
  for (const [path, fields] of Object.entries(REQUIRED)) {
    const { body } = await post(path, { text: 'Hello', prompt: 'A fox', locale: 'auto' })
    for (const [name, form] of Object.entries(fields)) assert.match(JSON.stringify(body[name]) ?? 'nothing', form, `${path} ${name}`)
  }
  const { body } = await post('/videos/topics', {})
  assert.ok(Array.isArray(body) && body.every((topic) => typeof topic === 'string'))
})

test('too few credits are 402 in the words of the page, and nothing is charged', async (t) => {
  const shop = await startShop(t, { amount: '9' })
  const { status, headers, body } = await shop.post('/videos', { title: 'Foxes' })
  assert.deepEqual([status, headers.get('content-type')], [402, 'application/json; charset=utf-8'])
  assert.deepEqual(body, { message: 'Insufficient credits' })
  assert.equal(headers.get('retry-after'), null)
  assert.deepEqual(await shop.balance(), { credits: 9 })
})

test('other refusals', async (t) => {
  const shop = await startShop(t)
  const { account, ask, call } = shop
  const post = async (key: string, path: string, body: object = {}): Promise<TestAnswer> => ask(key, 'POST', `/v1${path}`, { body })
  const refused = async (answer: TestAnswer, status: number, message: RegExp): Promise<void> => {
    assert.deepEqual([answer.status, Object.keys(answer.body)], [status, ['message']], answer.text)
    assert.match(answer.body.message, message)
  }

  await t.test('credits that others hold: 429 with a time to wait, not 402', async () => {
    const hold = (await call('POST', '/v1/holds', { account, operation: 'other', amount: '210' })).body.id
    const answer = await shop.post('/videos')
    await refused(answer, 429, /./)
    assert.ok(Number(answer.headers.get('retry-after')) >= 1)
    await call('POST', `/v1/holds/${hold}/release`)
  })

  await t.test("a key's own budget, its allowed operations, an account that is suspended", async () => {
    const poor = await makeKey(shop, account, { budget: { limit: '5' } })
    await refused(await post(poor.secret, '/videos'), 402, /budget/)
    const narrow = await makeKey(shop, account, { operations: ['image.create'] })
    await refused(await post(narrow.secret, '/videos'), 403, /video\.create/)
    assert.equal((await post(narrow.secret, '/images')).status, 200)
    await call('PATCH', `/v1/accounts/${account}`, { status: 'suspended' })
    await refused(await shop.post('/images'), 403, /suspended/)
    await call('PATCH', `/v1/accounts/${account}`, { status: 'active' })
  })

  await t.test('a body that cannot be priced', async () => {
    await refused(await shop.post('/audio/speech', {}), 400, /text/)
    await refused(await shop.post('/audio/speech', { text: '' }), 400, /text/)
    await refused(await shop.post('/audio/speech', { text: 5 }), 400, /text/)
    for (const duration of [0, -1, 86_401, '0', '-60', 'long', true, null])
      await refused(await shop.post('/videos', { duration }), 400, /duration/)
    await refused(await shop.post('/videos', { scenes: 'many' }), 400, /scenes/)
    await refused(await shop.post('/videos/topics', { number_of_topics: 101 }), 400, /number_of_topics/)
  })

  await t.test('work without a price is refused, never free', async () => {
    const unpriced = await startScene(t)
    const answer = await dialectCaller(unpriced, surfaceOf('shortgenius'))(unpriced.secret, 'POST', '/v1/videos', { body: {} })
    await refused(answer, 422, /price/)
  })

  await t.test('none of them charged anything', async () => assert.deepEqual(await shop.balance(), { credits: 216 }))
})

test('an Idempotency-Key makes a request one request', async (t) => {
  const shop = await startShop(t)
  const headers = { 'idempotency-key': 'video-1' }
  const first = await shop.post('/videos', { title: 'Foxes' }, headers)
  const again = await shop.post('/videos', { title: 'Foxes' }, headers)
  assert.deepEqual([again.status, again.body, again.headers.get('idempotent-replayed')], [200, first.body, 'true'])
  const other = await shop.post('/videos', { title: 'Dogs' }, headers)
  assert.deepEqual([other.status, Object.keys(other.body)], [422, ['message']])
  assert.deepEqual(await shop.balance(), { credits: 207 })
})

/** A shop whose work a handler does. */
async function startHandled(t: TestContext, more: Parameters<typeof startShop>[1] = {}): Promise<Shop & { readonly handler: TestHandler }> {
  const handler = await startHandler(t)
  const environment = { OBOL_SHORTGENIUS_HANDLER_URL: handler.url, OBOL_SHORTGENIUS_HANDLER_SECONDS: '60', ...more.environment }
  return { ...(await startShop(t, { ...more, environment })), handler }
}

for (const kind of STORE_KINDS)
  test(`a handler that does the work, on ${kind}`, async (t) => {
    const shop = await startHandled(t, { kind })
    const { handler, account, call, balance, post } = shop
    await call('PATCH', `/v1/accounts/${account}`, { external_id: 'Łódź 1' })

    await t.test('is told who wants what, and what is held for it; its answer is the customer’s, and the hold is captured', async () => {
      const body = { title: 'Foxes', scenes: [{ caption: 'A fox.' }], anything: { else: [1.5, null] } }
      let whileDoing: Readonly<Record<string, number>> = {}
      handler.answer = async () => {
        whileDoing = await balance()
        return { status: 201, body: '{"id":"v_1","big":12345678901234567890}' }
      }
      const answer = await post('/videos', body)
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/json; charset=utf-8'])
      assert.equal(answer.text, '{"id":"v_1","big":12345678901234567890}', 'as it is, to the last digit')
      assert.deepEqual([answer.headers.get('x-credits-charged'), answer.headers.get('x-credits-remaining')], ['10', '207'])
      assert.deepEqual([whileDoing, await balance()], [{ credits: 207 }, { credits: 207 }])
      const [{ method, path, headers, body: handed } = assert.fail('nothing was handed over')] = handler.handed
      assert.deepEqual([method, path, handed], ['POST', '/videos', body])
      assert.equal(headers['x-obol-account'], account)
      assert.equal(decodeURIComponent(String(headers['x-obol-external-id'])), 'Łódź 1')
      assert.deepEqual(
        [headers['x-obol-operation'], headers['x-obol-credits'], headers['x-obol-credit-type'], headers['content-type']],
        ['video.create', '10', 'credits', 'application/json'],
      )
      assert.match(String(headers['x-obol-key']), /^key_/)
      assert.match(String(headers['x-obol-hold']), /^hold_/)
      assert.equal(headers['idempotency-key'], headers['x-obol-hold'])
      assert.equal(headers.authorization, undefined, "the customer's key stays here")
      const hold = (await call('GET', `/v1/holds/${headers['x-obol-hold']}`)).body
      assert.equal(hold.status, 'captured')
    })

    await t.test('may say that it came to less, and never to more than was held', async () => {
      handler.answer = () => ({ body: {}, headers: { 'x-credits-charged': '2.5' } })
      assert.equal((await post('/videos')).headers.get('x-credits-charged'), '2.5')
      handler.answer = () => ({ body: {}, headers: { 'x-credits-charged': '99' } })
      assert.equal((await post('/videos')).headers.get('x-credits-charged'), '10')
      handler.answer = () => ({ body: {}, headers: { 'x-credits-charged': 'a lot' } })
      assert.equal((await post('/videos')).headers.get('x-credits-charged'), '10')
      handler.answer = () => ({ body: {}, headers: { 'x-credits-charged': '0' } })
      assert.equal((await post('/videos')).headers.get('x-credits-charged'), '0')
      assert.deepEqual(await balance(), { credits: 184.5 })
    })

    await t.test('may capture the hold itself, or let it go', async () => {
      handler.answer = async ({ headers }) => {
        await call('POST', `/v1/holds/${headers['x-obol-hold']}/capture`, { amount: '4' })
        return { body: { id: 'own' } }
      }
      const captured = await post('/videos')
      assert.deepEqual([captured.status, captured.body, captured.headers.get('x-credits-charged')], [200, { id: 'own' }, null])
      handler.answer = async ({ headers }) => {
        await call('POST', `/v1/holds/${headers['x-obol-hold']}/release`)
        return { status: 400, body: { message: 'No foxes' } }
      }
      assert.deepEqual((await post('/videos')).body, { message: 'No foxes' })
      assert.deepEqual(await balance(), { credits: 180.5 })
    })

    await t.test('is not asked when there are too few credits', async () => {
      const handed = handler.handed.length
      const { status, body } = await post('/videos', { duration: 3_600 })
      assert.deepEqual([status, body, handler.handed.length], [402, { message: 'Insufficient credits' }, handed])
    })
  })

/** What a handler may do instead of its work, and what the customer hears. */
const FAILURES: readonly (readonly [name: string, answer: ReturnType<TestHandler['answer']>, status: number, message: RegExp])[] = [
  ['refuses in its own words', { status: 400, body: { message: 'The prompt is too long' } }, 400, /^The prompt is too long$/],
  ['refuses without words', { status: 422, body: 'no JSON' }, 422, /^The request was refused\.$/],
  ['is overrun', { status: 429, body: { message: 'Slow down' }, headers: { 'retry-after': '7' } }, 429, /^Slow down$/],
  [
    'fails',
    { status: 500, body: { message: 'stack trace of ours' } },
    502,
    /^The service that does this work failed\. Nothing was charged\.$/,
  ],
  ['does not know Obol', { status: 401, body: { message: 'who are you' } }, 502, /failed/],
  ['answers with no JSON', { status: 200, body: '<html>' }, 502, /failed/],
  ['answers with nothing', { status: 204, body: '' }, 502, /failed/],
  ['sends elsewhere', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: {} }, 502, /failed/],
  ['answers without end', { status: 200, body: `"${'x'.repeat(1_048_576)}"` }, 502, /failed/],
]

test('a handler that does not do the work: the hold is released, and nothing is charged', async (t) => {
  const { handler, post, balance, call, account, log } = await startHandled(t)
  for (const [name, answer, status, message] of FAILURES)
    await t.test(`it ${name}`, async () => {
      handler.answer = () => answer
      const refused = await post('/videos', { title: 'Foxes' })
      assert.deepEqual([refused.status, Object.keys(refused.body)], [status, ['message']], refused.text)
      assert.match(refused.body.message, message)
      assert.equal(refused.headers.get('retry-after'), status === 429 ? '7' : null)
      assert.deepEqual(await balance(), { credits: 217 })
    })
  const { data } = (await call('GET', `/v1/holds?account=${account}`)).body
  assert.deepEqual([...new Set(data.map((hold: { status: string }) => hold.status))], ['released'])
  assert.equal(log.filter((line) => line.includes('the handler failed')).length, FAILURES.filter(([, , status]) => status >= 500).length)
})

test('a handler that takes too long: 504, and the hold is released', async (t) => {
  const { handler, post, balance } = await startHandled(t, { environment: { OBOL_SHORTGENIUS_HANDLER_SECONDS: '1' } })
  handler.answer = () => undefined
  const { status, body } = await post('/images')
  assert.deepEqual([status, body], [504, { message: 'The service that does this work took too long. Nothing was charged.' }])
  assert.deepEqual(await balance(), { credits: 217 })
})

test('a handler that is not there: 502, and the hold is released', async (t) => {
  const { post, balance } = await startShop(t, { environment: { OBOL_SHORTGENIUS_HANDLER_URL: 'http://127.0.0.1:1' } })
  assert.equal((await post('/images')).status, 502)
  assert.deepEqual(await balance(), { credits: 217 })
})

test('the name and password of its address are sent to the handler, and its path is kept', async (t) => {
  const handler = await startHandler(t)
  const url = `${handler.url.replace('http://', 'http://obol:s%40cret@')}/hooks/`
  const { post } = await startShop(t, { environment: { OBOL_SHORTGENIUS_HANDLER_URL: url } })
  assert.equal((await post('/videos/drafts/quiz', {})).status, 200)
  const [{ path, headers } = assert.fail('nothing was handed over')] = handler.handed
  assert.deepEqual([path, headers.authorization], ['/hooks/videos/drafts/quiz', `Basic ${btoa('obol:s@cret')}`])
})

test('an Idempotency-Key with a handler', async (t) => {
  const { handler, post, balance } = await startHandled(t)
  const headers = { 'idempotency-key': 'one' }

  await t.test('sent again when the work was done, it is charged once, and the handler sees that it is the same', async () => {
    const first = await post('/videos', {}, headers)
    const again = await post('/videos', {}, headers)
    assert.deepEqual([again.status, again.text, again.headers.get('idempotent-replayed')], [200, first.text, 'true'])
    assert.equal(handler.handed[0]?.headers['idempotency-key'], handler.handed[1]?.headers['idempotency-key'])
    assert.deepEqual(await balance(), { credits: 207 })
  })

  await t.test('sent again while the work is being done, it does not start it again', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    handler.answer = async () => {
      await promise
      return { body: {} }
    }
    const running = post('/videos', {}, { 'idempotency-key': 'two' })
    while (handler.handed.length < 3) await new Promise((turn) => setTimeout(turn, 5))
    const { status, body } = await post('/videos', {}, { 'idempotency-key': 'two' })
    assert.deepEqual([status, Object.keys(body), handler.handed.length], [409, ['message'], 3])
    resolve()
    assert.equal((await running).status, 200)
    assert.deepEqual(await balance(), { credits: 197 })
  })

  await t.test('sent again when the work had failed, it says so', async () => {
    handler.answer = () => ({ status: 500, body: {} })
    assert.equal((await post('/videos', {}, { 'idempotency-key': 'three' })).status, 502)
    handler.answer = () => ({ body: {} })
    assert.equal((await post('/videos', {}, { 'idempotency-key': 'three' })).status, 409)
    assert.deepEqual(await balance(), { credits: 197 })
  })
})

test('a hundred requests at once never spend more than there is', async (t) => {
  const { handler, post, balance } = await startHandled(t, { amount: '60' })
  handler.answer = async () => {
    await new Promise((turn) => setTimeout(turn, 20))
    return { body: {} }
  }
  const answers = await Promise.all(Array.from({ length: 100 }, () => post('/videos')))
  const count = (status: number): number => answers.filter((answer) => answer.status === status).length
  assert.deepEqual([count(200), count(402) + count(429)], [6, 94])
  assert.deepEqual(await balance(), { credits: 0 })
})
