/** AudioPod's page, example by example. Its Python is run in test/dialect-clients.test.ts. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { dialectCaller, startScene, surfaceOf } from '../../../../test/running/dialects.ts'
import { makeKey, openAccount, startTestObol, type TestAnswer, type TestObol } from '../../../../test/running/obol.ts'
import { publishSamplePrices } from '../../../../test/running/sample-prices.ts'
import { STORE_KINDS, type StoreKind } from '../../../../test/running/store.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const at = (text: string): number => Date.parse(text)

interface PageScene extends TestObol {
  readonly account: string
  readonly ask: (method: string, path: string) => Promise<TestAnswer>
  /** Moves the clock, and charges. */
  readonly charge: (time: string, body: object) => Promise<string>
}

/** An account that lived as the one of the page did: a plan of 2000 a month, and 1000 bought. */
async function pageScene(t: TestContext, kind: StoreKind = 'sqlite'): Promise<PageScene> {
  const obol = await startTestObol(t, {}, kind)
  const { call, clock } = obol
  clock.nowMs = at('2023-11-01T00:00:00Z')
  const account = await openAccount(obol, '0')
  const { secret } = await makeKey(obol, account)
  const ask = dialectCaller(obol, surfaceOf('audiopod'))
  const charge: PageScene['charge'] = async (time, body) => {
    clock.nowMs = at(time)
    const { status, body: made } = await call('POST', '/v1/charges', { account, operation: 'other', ...body })
    assert.equal(status, 201)
    return made.id
  }
  return { ...obol, account, charge, ask: (method, path) => ask(secret, method, path) }
}

async function plan({ call, clock, account }: PageScene, from: string, to: string): Promise<void> {
  clock.nowMs = at(from)
  assert.equal((await call('POST', '/v1/grants', { account, amount: '2000', source: 'plan', expires_at: to })).status, 201)
}

/** The balance of the page, on the 15th of January. */
const BALANCE = {
  credits_balance: 1500,
  payg_balance: 750,
  total_available_credits: 2250,
  last_reset_at: '2024-01-01T00:00:00Z',
  total_credits_used: 3250,
  total_payg_credits_purchased: 1000,
  next_reset_date: '2024-02-01T00:00:00Z',
  credits_per_month: 2000,
}

/** The usage logs of the page, newest first; ids and the texts of numbers differ. */
const LOGS = [
  {
    credits_used: 15,
    service_type: 'voice_cloning',
    audio_duration: 180,
    credit_source: 'subscription',
    created_at: '2024-01-15T10:30:00Z',
    usage_metadata: { voice_id: '123', generation_type: 'speech_synthesis', language: 'en', quality: 'high' },
  },
  {
    credits_used: 50,
    service_type: 'music_generation',
    audio_duration: 30,
    credit_source: 'payg',
    created_at: '2024-01-15T09:15:00Z',
    usage_metadata: { task_type: 'text2music', duration_seconds: '30', quality: 'premium' },
  },
  {
    credits_used: 30,
    service_type: 'transcription',
    audio_duration: 300,
    credit_source: 'subscription',
    created_at: '2024-01-14T16:45:00Z',
    usage_metadata: { model_type: 'whisperx', language: 'en', speaker_diarization: 'true' },
  },
]

for (const kind of STORE_KINDS)
  test(`the balance and the usage logs of the page are answered word for word, on ${kind}`, async (t) => {
    const scene = await pageScene(t, kind)
    const { call, account, charge, ask, clock } = scene
    await plan(scene, '2023-11-01T00:00:00Z', '2023-12-01T00:00:00Z')
    await charge('2023-11-20T00:00:00Z', { amount: '500' })
    await plan(scene, '2023-12-01T00:00:00Z', '2024-01-01T00:00:00Z')
    assert.equal((await call('POST', '/v1/grants', { account, amount: '1000', source: 'topup' })).status, 201)
    await charge('2023-12-10T00:00:00Z', { amount: '2000' })
    await charge('2023-12-20T00:00:00Z', { amount: '200' })
    await plan(scene, '2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z')
    await charge('2024-01-10T00:00:00Z', { amount: '455' })
    const [cloning, music, transcription] = LOGS
    assert.ok(cloning && music && transcription)
    const usedFor = { amount: '30', quantities: { minute: 5 }, metadata: transcription.usage_metadata }
    await charge('2024-01-14T16:45:00Z', { operation: 'transcription', ...usedFor })
    // The rest of the plan is set aside for a moment, so that the music is paid with what was bought.
    clock.nowMs = at('2024-01-15T09:14:00Z')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'other', amount: '1515' })).body.id
    const composed = { amount: '50', quantities: { second: 30 }, metadata: music.usage_metadata }
    await charge('2024-01-15T09:15:00Z', { operation: 'music_generation', ...composed })
    assert.equal((await call('POST', `/v1/holds/${hold}/release`)).status, 200)
    const { quality, ...metadata } = cloning.usage_metadata
    const cloned = { amount: '15', quantities: { seconds: 180 }, attributes: { quality }, metadata }
    await charge('2024-01-15T10:30:00Z', { operation: 'voice_cloning', ...cloned })
    const { status, headers, body } = await ask('GET', '/api/v1/credits/usage?limit=3')
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    for (const { id, user_credits_id } of body) {
      assert.match(id, UUID)
      assert.match(user_credits_id, UUID)
      assert.equal(user_credits_id, body[0].user_credits_id)
    }
    assert.equal(new Set(body.map(({ id }: { id: string }) => id)).size, 3)
    assert.deepEqual(
      body.map(({ id: _, user_credits_id: __, ...log }: Record<string, unknown>) => log),
      LOGS,
    )
    const balance = await ask('GET', '/api/v1/credits')
    assert.deepEqual([balance.status, balance.headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    assert.deepEqual(balance.body, { ...BALANCE, balance: BALANCE.credits_balance })
  })

test('the balance', async (t) => {
  const scene = await pageScene(t)
  const { call, account, ask, charge, clock } = scene
  const balance = async (): Promise<TestAnswer['body']> => (await ask('GET', '/api/v1/credits')).body

  await t.test('an account without anything has numbers all the same, and no dates', async () => {
    assert.deepEqual(await balance(), {
      credits_balance: 0,
      balance: 0,
      payg_balance: 0,
      total_available_credits: 0,
      last_reset_at: null,
      total_credits_used: 0,
      total_payg_credits_purchased: 0,
      next_reset_date: null,
      credits_per_month: 0,
    })
  })

  await t.test('promotions, refunds and corrections are of the subscription; what is held is not available', async () => {
    for (const source of ['promo', 'adjustment', 'topup', 'rollover']) await call('POST', '/v1/grants', { account, amount: '10.5', source })
    await call('POST', '/v1/grants', { account, amount: '7', source: 'topup', credit_type: 'image_credits' })
    const hold = (await call('POST', '/v1/holds', { account, operation: 'other', amount: '33' })).body.id
    const { credits_balance, payg_balance, total_available_credits, total_payg_credits_purchased } = await balance()
    assert.deepEqual([credits_balance, payg_balance, total_available_credits, total_payg_credits_purchased], [0, 9, 9, 10.5])
    await call('POST', `/v1/holds/${hold}/release`)
  })

  await t.test('a debt is nothing available, from no source', async () => {
    const hold = (await call('POST', '/v1/holds', { account, operation: 'other', amount: '42' })).body.id
    await call('POST', `/v1/holds/${hold}/capture`, { amount: '50', policy: 'overdraft' })
    const { credits_balance, payg_balance, total_available_credits, total_credits_used } = await balance()
    assert.deepEqual([credits_balance, payg_balance, total_available_credits, total_credits_used], [0, 0, 0, 50])
  })

  await t.test('a plan that has ended still says when it last gave credits', async () => {
    await plan(scene, '2023-12-01T00:00:00Z', '2024-01-01T00:00:00Z')
    clock.nowMs = at('2024-01-01T00:00:00Z')
    const { last_reset_at, next_reset_date, credits_per_month } = await balance()
    assert.deepEqual([last_reset_at, next_reset_date, credits_per_month], ['2023-12-01T00:00:00Z', null, 0])
  })

  await t.test('grants are counted once, however many there are and however often they are asked for', async () => {
    for (let count = 0; count < 205; count++) await call('POST', '/v1/grants', { account, amount: '1', source: 'topup' })
    for (let times = 0; times < 2; times++) assert.equal((await balance()).total_payg_credits_purchased, 215.5)
    await charge('2024-01-02T00:00:00Z', { amount: '1' })
    assert.equal((await balance()).total_payg_credits_purchased, 215.5)
  })

  await t.test('a subscription says when its period began, when the next one does, and what it gives', async () => {
    clock.nowMs = at('2025-01-31T08:00:00Z')
    const { id } = (await call('POST', '/v1/accounts', { name: 'Subscribed' })).body
    const { secret } = await makeKey(scene, id)
    await call('PUT', '/v1/plans/pro', { name: 'Pro', credits: [{ amount: '2000' }] })
    await call('POST', '/v1/subscriptions', { account: id, plan: 'pro' })
    clock.nowMs = at('2025-03-02T00:00:00Z')
    const { body } = await dialectCaller(scene, surfaceOf('audiopod'))(secret, 'GET', '/api/v1/credits')
    assert.deepEqual(
      [body.last_reset_at, body.next_reset_date, body.credits_per_month, body.credits_balance],
      ['2025-02-28T08:00:00Z', '2025-03-31T08:00:00Z', 2000, 2000],
    )
  })
})

test('usage logs', async (t) => {
  const scene = await startScene(t, { amount: '10000' })
  const { call, account, secret, clock } = scene
  const audiopod = dialectCaller(scene, surfaceOf('audiopod'))
  const logs = async (query = ''): Promise<TestAnswer['body']> => (await audiopod(secret, 'GET', `/api/v1/credits/usage${query}`)).body
  const services = async (query: string): Promise<readonly string[]> =>
    (await logs(query)).map(({ service_type }: { service_type: string }) => service_type)
  const charge = async (operation: string, more: object = {}): Promise<string> =>
    (await call('POST', '/v1/charges', { account, operation, amount: '2', ...more })).body.id

  await t.test('there are none before the first charge', async () => assert.deepEqual(await logs(), []))

  await t.test('newest first, as many as asked for', async () => {
    for (const operation of ['a', 'b', 'c', 'd']) {
      clock.nowMs += 60_000
      await charge(operation)
    }
    assert.deepEqual(await services(''), ['d', 'c', 'b', 'a'])
    assert.deepEqual(await services('?limit=2'), ['d', 'c'])
  })

  await t.test('of one service, from a time on, before a time, by day', async () => {
    const before = new Date(clock.nowMs).toISOString()
    clock.nowMs += 2 * 86_400_000
    const day = new Date(clock.nowMs).toISOString().slice(0, 10)
    await charge('a')
    assert.deepEqual(await services('?service_type=a'), ['a', 'a'])
    assert.deepEqual(await services('?service_type=nothing'), [])
    assert.deepEqual(await services(`?end_date=${before}`), ['c', 'b', 'a'])
    assert.deepEqual(await services(`?start_date=${day}`), ['a'])
    assert.deepEqual(await services(`?start_date=${day}&end_date=${day}`), ['a'])
    assert.deepEqual(await services(`?start_date=${day}T00:00:00&end_date=${day}T00:00:00`), [])
  })

  await t.test('what was given back is taken off', async () => {
    const id = await charge('refunded')
    await call('POST', `/v1/charges/${id}/refund`, { amount: '0.5' })
    const [log] = await logs('?limit=1')
    assert.deepEqual([log.service_type, log.credits_used], ['refunded', 1.5])
  })

  await t.test('captures are in it; holds and charges of other credits are not', async () => {
    const hold = (await call('POST', '/v1/holds', { account, operation: 'held', amount: '5' })).body.id
    await call('POST', '/v1/grants', { account, amount: '5', credit_type: 'image_credits' })
    await charge('image', { credit_type: 'image_credits' })
    assert.deepEqual(await services('?limit=1'), ['refunded'])
    await call('POST', `/v1/holds/${hold}/capture`, { amount: '3' })
    const [log] = await logs('?limit=1')
    assert.deepEqual([log.service_type, log.credits_used], ['held', 3])
  })

  await t.test('a duration is a number of seconds where time was counted, and absent elsewhere', async () => {
    const table: readonly (readonly [object, number | undefined])[] = [
      [{ quantities: { minute: '1.5' } }, 90],
      [{ quantities: { hour: 1, second: '0.25' } }, 3600.25],
      [{ quantities: { character: 5 } }, undefined],
      [{}, undefined],
    ]
    for (const [more, seconds] of table) {
      await charge('timed', more)
      const [log] = await logs('?limit=1')
      assert.equal('audio_duration' in log, seconds !== undefined)
      assert.equal(log.audio_duration, seconds)
    }
  })

  await t.test('a limit or a date that is none is told in the product\u2019s way', async () => {
    for (const query of ['?limit=0', '?limit=1001', '?limit=x', '?limit=1.5', '?start_date=yesterday', '?end_date=2024-13-01']) {
      const { status, body } = await audiopod(secret, 'GET', `/api/v1/credits/usage${query}`)
      assert.deepEqual([status, typeof body.detail, body.message], [422, 'string', body.detail], query)
    }
  })

  await t.test('what a filter does not know is not looked at', async () => assert.equal((await services('?skip=1&limit=1')).length, 1))
})

test('multipliers are those of the page, under the sample prices', async (t) => {
  const scene = await startScene(t)
  const ask = dialectCaller(scene, surfaceOf('audiopod'))
  assert.deepEqual((await ask(scene.secret, 'GET', '/api/v1/credits/multipliers')).body, {}, 'before there are prices')
  await publishSamplePrices(scene)
  const { status, headers, body } = await ask(scene.secret, 'GET', '/api/v1/credits/multipliers')
  assert.deepEqual([status, headers.get('content-type')], [200, 'application/json; charset=utf-8'])
  const page = {
    voice_cloning_generation: 330,
    voice_conversion: 990,
    speech_translation: 3300,
    translation: 1650,
    speaker_diarization: 1650,
    speaker_extraction: 1650,
    denoise_audio: 330,
    spectral_denoise: 660,
    stem_extraction: 990,
    music_generation: 1320,
    transcription: 660,
    video_download: 6,
  }
  for (const [service, multiplier] of Object.entries(page)) assert.equal(body[service], multiplier, service)
  for (const service of ['text_to_speech', 'voice_cloning_training', 'transcription_with_diarization'])
    assert.equal(typeof body[service], 'number', `the page's own examples multiply with ${service}`)
})

test('multipliers are per what clients multiply with, whatever the price is per', async (t) => {
  const scene = await startScene(t)
  const { call } = scene
  const price = (operation: string, rate: string, [quantity, unit]: readonly [number, string], more: object = {}): object => ({
    operation,
    rate,
    per: { quantity, unit },
    ...more,
  })
  const prices = [
    price('transcription', '660', [1, 'hour']),
    price('translation', '1', [7, 'seconds']),
    price('music_generation', '2', [1, 'minutes']),
    price('text_to_speech', '0.5', [1, 'character']),
    price('constructor', '3', [2, 'request']),
    price('tiered', '1', [1, 'minute'], { tiers: [{ up_to: 10, rate: '5' }] }),
    price('two', '1', [1, 'input_tokens']),
    price('two', '1', [1, 'output_tokens']),
    price('image', '1', [1, 'image'], { credit_type: 'image_credits' }),
  ]
  assert.equal((await call('POST', '/v1/price-book', { prices })).status, 201)
  const { body } = await dialectCaller(scene, surfaceOf('audiopod'))(scene.secret, 'GET', '/api/v1/credits/multipliers')
  const expected = {
    transcription: 11,
    translation: 8.571429,
    music_generation: 1,
    text_to_speech: 500,
    constructor: 1.5,
    tiered: 5,
  }
  assert.deepEqual(JSON.parse(JSON.stringify(body)), expected)
})

test('a key may come in X-API-Key too, as newer clients send it', async (t) => {
  const scene = await startScene(t)
  const ask = dialectCaller(scene, surfaceOf('audiopod'))
  assert.equal((await ask(null, 'GET', '/api/v1/credits', { headers: { 'x-api-key': scene.secret } })).status, 200)
  const both = { 'x-api-key': 'nonsense', authorization: `Bearer ${scene.secret}` }
  assert.equal((await ask(null, 'GET', '/api/v1/credits', { headers: both })).status, 200)
  const { status, body } = await ask(null, 'GET', '/api/v1/credits', { headers: { 'x-api-key': 'nonsense' } })
  assert.deepEqual([status, Object.keys(body)], [401, ['detail', 'message']])
})
