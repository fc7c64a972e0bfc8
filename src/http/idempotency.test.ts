/** One key, one effect, one answer: what happens when requests are sent again. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  makeKey,
  openAccount,
  publishTestPrices,
  startTestObol,
  TEST_PRICES,
  type TestAnswer,
  type TestObol,
} from '../../test/running/obol.ts'

const HOUR_MS = 3_600_000

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

function assertReplay(first: TestAnswer, again: TestAnswer): void {
  assert.equal(again.headers.get('idempotent-replayed'), 'true', again.text)
  assert.deepEqual([again.status, again.text], [first.status, first.text])
  for (const name of ['x-credits-charged', 'x-credits-remaining', 'x-credits-charge-id', 'content-type'])
    assert.equal(again.headers.get(name), first.headers.get(name), name)
}

/** A request that has an effect, and something that happens to what it made before it is sent again. */
interface Repeatable {
  readonly path: string
  readonly body?: unknown
  readonly afterwards: (first: TestAnswer) => Promise<unknown>
}

/** One request of each kind, prepared on an account of its own. */
function repeatables({ call }: TestObol, account: string): Readonly<Record<string, () => Promise<Repeatable>>> {
  const post = (path: string, body: unknown = {}): Promise<TestAnswer> => call('POST', path, body)
  const charge = { account, operation: 'unit', quantity: 2 }
  const spend = (): Promise<TestAnswer> => post('/v1/charges', { account, operation: 'unit', amount: '10' })
  const hold = async (): Promise<string> => (await post('/v1/holds', charge)).body.id
  return {
    'a new account': async () => ({
      path: '/v1/accounts',
      body: { name: 'One', metadata: { a: 'b' } },
      afterwards: ({ body }) => call('PATCH', `/v1/accounts/${body.id}`, { name: 'Two' }),
    }),
    'a grant': async () => ({ path: '/v1/grants', body: { account, amount: '5', priority: 1 }, afterwards: spend }),
    'a voided grant': async () => ({
      path: `/v1/grants/${(await post('/v1/grants', { account, amount: '5', priority: 1 })).body.id}/void`,
      body: { reason: 'a mistake' },
      afterwards: spend,
    }),
    'an adjustment up': async () => ({ path: '/v1/adjustments', body: { account, amount: '5', reason: 'found' }, afterwards: spend }),
    'an adjustment down': async () => ({ path: '/v1/adjustments', body: { account, amount: '-5', reason: 'lost' }, afterwards: spend }),
    'a charge': async () => ({ path: '/v1/charges', body: charge, afterwards: ({ body }) => post(`/v1/charges/${body.id}/refund`) }),
    'a refund': async () => ({
      path: `/v1/charges/${(await post('/v1/charges', charge)).body.id}/refund`,
      body: { amount: '1', reason: 'half' },
      afterwards: spend,
    }),
    'a hold': async () => ({ path: '/v1/holds', body: charge, afterwards: ({ body }) => post(`/v1/holds/${body.id}/capture`) }),
    'a capture': async () => ({
      path: `/v1/holds/${await hold()}/capture`,
      body: { quantity: 1 },
      afterwards: ({ body }) => post(`/v1/charges/${body.id}/refund`),
    }),
    'a release': async () => ({ path: `/v1/holds/${await hold()}/release`, body: {}, afterwards: spend }),
    'an extension': async () => {
      const id = await hold()
      return { path: `/v1/holds/${id}/extend`, body: { ttl_seconds: 3_600 }, afterwards: () => post(`/v1/holds/${id}/release`) }
    },
    'an increase': async () => {
      const id = await hold()
      return { path: `/v1/holds/${id}/increase`, body: { amount: '3' }, afterwards: () => post(`/v1/holds/${id}/capture`) }
    },
    'a price book': async () => ({
      path: '/v1/price-book',
      body: { prices: TEST_PRICES },
      afterwards: () => post('/v1/price-book', { prices: TEST_PRICES }),
    }),
  }
}

test('requests that are sent again', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const kinds = Object.keys(repeatables(obol, ''))
  const prepare = (kind: string, account: string): Promise<Repeatable> => {
    const make = repeatables(obol, account)[kind]
    if (!make) throw new Error(`there is no ${kind}`)
    return make()
  }

  for (const kind of kinds) {
    await t.test(`${kind}: the same request again has the same answer, byte for byte, and no second effect`, async () => {
      const account = await openAccount(obol)
      const { path, body } = await prepare(kind, account)
      const options = { idempotencyKey: crypto.randomUUID() }
      const first = await call('POST', path, body, options)
      assert.ok(first.status < 300, first.text)
      assert.equal(first.headers.get('idempotent-replayed'), null)
      const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
      clock.nowMs += 1_000
      for (let count = 0; count < 3; count++) assertReplay(first, await call('POST', path, body, options))
      assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
    })

    await t.test(`${kind}: the first answer is the answer for ever, whatever has become of the thing since`, async () => {
      const account = await openAccount(obol)
      const { path, body, afterwards } = await prepare(kind, account)
      const options = { idempotencyKey: crypto.randomUUID() }
      const first = await call('POST', path, body, options)
      assert.ok(first.status < 300, first.text)
      await afterwards(first)
      clock.nowMs += HOUR_MS
      assertReplay(first, await call('POST', path, body, options))
    })
  }

  // A release has no other body that would be right.
  for (const kind of kinds.filter((each) => each !== 'a release')) {
    await t.test(`${kind}: another body under the same key is 422, and changes nothing`, async () => {
      const account = await openAccount(obol)
      const { path, body } = await prepare(kind, account)
      const other = changed(body)
      const options = { idempotencyKey: crypto.randomUUID() }
      assert.ok((await call('POST', path, body, options)).status < 300)
      const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
      assertProblem(await call('POST', path, other, options), 422, 'idempotency_key_reused')
      assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
    })
  }
})

/** Another body that is right for the same request. */
function changed(body: unknown): unknown {
  const fields = body as Record<string, unknown>
  if ('prices' in fields) return { prices: TEST_PRICES.slice(1) }
  if ('ttl_seconds' in fields) return { ttl_seconds: 7_200 }
  if ('name' in fields) return { name: 'Other' }
  if ('quantity' in fields) return { ...fields, quantity: 1.5 }
  if ('amount' in fields) return { ...fields, amount: String(fields.amount).replace(/\d/, '1').concat('.5') }
  return { reason: 'another' }
}

test('retries that come late', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const soon = (): string => new Date(clock.nowMs + HOUR_MS).toISOString()

  const table: Readonly<Record<string, () => Promise<{ path: string; body: unknown; afterwards?: () => Promise<unknown> }>>> = {
    'a grant whose end has passed meanwhile': async () => ({ path: '/v1/grants', body: { account, amount: '5', expires_at: soon() } }),
    'a price book that has taken effect meanwhile': async () => ({
      path: '/v1/price-book',
      body: { prices: TEST_PRICES, effective_at: soon() },
    }),
    'a charge by a quote that has expired meanwhile': async () => {
      const { quote_id } = (await call('POST', '/v1/estimates', { account, items: [{ operation: 'unit' }] })).body
      return { path: '/v1/charges', body: { account, operation: 'unit', quote_id } }
    },
    'a hold by a quote that has expired meanwhile': async () => {
      const { quote_id } = (await call('POST', '/v1/estimates', { account, items: [{ operation: 'unit' }] })).body
      return { path: '/v1/holds', body: { account, operation: 'unit', quote_id, ttl_seconds: 86_400 } }
    },
    'a charge for an operation that is not priced any more': async () => ({
      path: '/v1/charges',
      body: { account, operation: 'unit' },
      afterwards: () => call('POST', '/v1/price-book', { prices: TEST_PRICES.slice(1) }),
    }),
    'a charge against a key that may not be charged for the operation any more': async () => {
      const { id: key } = await makeKey(obol, account)
      return {
        path: '/v1/charges',
        body: { key, operation: 'unit' },
        afterwards: () => call('PATCH', `/v1/keys/${key}`, { operations: ['image'] }),
      }
    },
    'a charge against a key that is revoked by now': async () => {
      const { secret, id } = await makeKey(obol, account)
      return { path: '/v1/charges', body: { key: secret, operation: 'unit' }, afterwards: () => call('DELETE', `/v1/keys/${id}`) }
    },
    'a charge against a key that has expired by now': async () => {
      const { id: key } = await makeKey(obol, account, { expires_at: soon() })
      return { path: '/v1/charges', body: { key, operation: 'unit' } }
    },
    'a charge that would exceed the balance by now': async () => {
      const poor = await openAccount(obol, '1')
      return { path: '/v1/charges', body: { account: poor, operation: 'unit' } }
    },
    'a charge against an account that is suspended by now': async () => {
      const other = await openAccount(obol)
      return {
        path: '/v1/charges',
        body: { account: other, operation: 'unit' },
        afterwards: () => call('PATCH', `/v1/accounts/${other}`, { status: 'suspended' }),
      }
    },
  }
  for (const [what, prepare] of Object.entries(table)) {
    await t.test(`${what} has the first answer: the caller learns that it was done`, async () => {
      await publishTestPrices(obol)
      const { path, body, afterwards } = await prepare()
      const options = { idempotencyKey: crypto.randomUUID() }
      const first = await call('POST', path, body, options)
      assert.equal(first.status, 201, first.text)
      clock.nowMs += 2 * HOUR_MS
      await afterwards?.()
      assertReplay({ ...first, text: '' }, { ...(await call('POST', path, body, options)), text: '' })
    })
  }

  await t.test('a key whose first request made its secret shows it once: again, the key is the same and the secret is null', async () => {
    const body = { account, name: 'Once', expires_at: new Date(clock.nowMs + 100 * HOUR_MS).toISOString() }
    const options = { idempotencyKey: crypto.randomUUID() }
    const first = await call('POST', '/v1/keys', body, options)
    const again = await call('POST', '/v1/keys', body, options)
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
    assert.deepEqual([again.status, again.body], [201, { ...first.body, secret: null }])
    const rotation = { idempotencyKey: crypto.randomUUID() }
    const rotated = await call('POST', `/v1/keys/${first.body.id}/rotate`, {}, rotation)
    const rotatedAgain = await call('POST', `/v1/keys/${first.body.id}/rotate`, {}, rotation)
    assert.deepEqual([rotatedAgain.status, rotatedAgain.body], [200, { ...rotated.body, secret: null }])
    assert.equal((await call('GET', '/v1/key', undefined, { key: rotated.body.secret })).status, 200, 'the second call rotated nothing')
  })

  await t.test('a key that expires has the first answer after its end', async () => {
    const body = { account, expires_at: soon() }
    const options = { idempotencyKey: crypto.randomUUID() }
    const first = await call('POST', '/v1/keys', body, options)
    clock.nowMs += 2 * HOUR_MS
    const again = await call('POST', '/v1/keys', body, options)
    assert.deepEqual([again.status, again.body.id, again.headers.get('idempotent-replayed')], [201, first.body.id, 'true'])
  })
})

test('the Idempotency-Key header', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const body = { account, operation: 'unit', attributes: { a: '1', b: '2' }, metadata: { x: 'y' } }
  const charge = (idempotencyKey: string | null, sent: unknown = body): Promise<TestAnswer> =>
    call('POST', '/v1/charges', sent, { idempotencyKey })
  const balance = async (): Promise<string> => (await call('GET', `/v1/accounts/${account}/credits`)).text

  await t.test('is needed for charges and batches: 400 without', async () => {
    const before = await balance()
    assertProblem(await charge(null), 400, 'idempotency_key_required')
    assertProblem(await call('POST', '/v1/charges/batch', { charges: [body] }, { idempotencyKey: null }), 400, 'idempotency_key_required')
    assert.equal(await balance(), before)
  })

  await t.test('is 1 to 255 printable ASCII characters: 400 otherwise', async () => {
    const before = await balance()
    for (const key of ['', '""', '"', 'a'.repeat(256), `"${'a'.repeat(256)}"`, 'é', 'Schlüssel', '"ß"', 'a\tb'])
      assertProblem(await charge(key), 400, 'idempotency_key_invalid')
    assert.equal(await balance(), before)
    for (const key of ['a', '0', 'a b', '!~', '{"json":true}', 'a'.repeat(255), `"${'b'.repeat(255)}"`])
      assert.equal((await charge(key)).status, 201, key)
  })

  await t.test('is the same quoted, as a structured field, and bare', async () => {
    const name = crypto.randomUUID()
    const first = await charge(name)
    assertReplay(first, await charge(`"${name}"`))
    assertReplay(first, await charge(` ${name} `))
    assert.equal((await charge(name.toUpperCase())).headers.get('idempotent-replayed'), null, 'case counts')
  })

  await t.test('looks at what the body says: the order of its fields and its white space do not matter', async () => {
    const name = crypto.randomUUID()
    const first = await charge(name)
    const { account: who, operation, attributes, metadata } = body
    assertReplay(first, await charge(name, { metadata, attributes: { b: attributes.b, a: attributes.a }, operation, account: who }))
    assertReplay(first, await charge(name, JSON.stringify(body, null, 4)))
    assertReplay(first, await charge(name, JSON.stringify(body).replace('unit', '\\u0075nit')))
    for (const other of [
      { ...body, quantity: 1 },
      { ...body, metadata: {} },
      { ...body, attributes: { a: '2', b: '1' } },
    ])
      assertProblem(await charge(name, other), 422, 'idempotency_key_reused')
  })

  await t.test('names one request: the same key and body on another route is 422', async () => {
    const name = crypto.randomUUID()
    assert.equal((await charge(name)).status, 201)
    const before = await balance()
    assertProblem(await call('POST', '/v1/holds', body, { idempotencyKey: name }), 422, 'idempotency_key_reused')
    assertProblem(await call('POST', '/v1/grants', { account, amount: '1' }, { idempotencyKey: name }), 422, 'idempotency_key_reused')
    assertProblem(await call('POST', '/v1/keys', { account }, { idempotencyKey: name }), 422, 'idempotency_key_reused')
    assert.equal(await balance(), before)
  })

  await t.test('belongs to its account: another account may use the same', async () => {
    const name = crypto.randomUUID()
    const other = await openAccount(obol)
    assert.equal((await charge(name)).status, 201)
    const { status, headers, body: made } = await charge(name, { ...body, account: other })
    assert.deepEqual([status, headers.get('idempotent-replayed'), made.account], [201, null, other])
  })

  await t.test('is not used up by a request that was refused: after the cause is gone it serves', async () => {
    const poor = await openAccount(obol, '0')
    const { id: key } = await makeKey(obol, poor, { budget: { limit: '0' }, operations: ['image'] })
    const idempotencyKey = crypto.randomUUID()
    const work = { account: poor, key, operation: 'dubbing', quantity: 1 }
    const send = (): Promise<TestAnswer> => call('POST', '/v1/charges', work, { idempotencyKey })
    assertProblem(await send(), 403, 'operation_not_allowed')
    await call('PATCH', `/v1/keys/${key}`, { operations: null })
    assertProblem(await send(), 422, 'price_not_configured')
    await call('POST', '/v1/price-book', {
      prices: [...TEST_PRICES, { operation: 'dubbing', rate: 1, per: { quantity: 1, unit: 'minute' } }],
    })
    await call('PATCH', `/v1/accounts/${poor}`, { status: 'suspended' })
    assertProblem(await send(), 403, 'account_suspended')
    await call('PATCH', `/v1/accounts/${poor}`, { status: 'active' })
    assertProblem(await send(), 402, 'key_budget_exceeded')
    await call('PATCH', `/v1/keys/${key}`, { budget: null })
    assertProblem(await send(), 402, 'insufficient_credits')
    await call('POST', '/v1/grants', { account: poor, amount: '1' })
    const hold = await call('POST', '/v1/holds', { account: poor, operation: 'unit' })
    assertProblem(await send(), 429, 'credits_in_flight')
    await call('POST', `/v1/holds/${hold.body.id}/release`, {})
    const first = await send()
    assert.deepEqual([first.status, first.headers.get('idempotent-replayed')], [201, null])
    assertReplay(first, await send())
  })

  await t.test('makes one charge of twenty that arrive at once', async () => {
    const name = crypto.randomUUID()
    const { sequence } = JSON.parse(await balance())
    const answers = await Promise.all(Array.from({ length: 20 }, () => charge(name)))
    assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1)
    assert.equal(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null).length, 1)
    assert.equal(JSON.parse(await balance()).sequence, sequence + 1)
  })

  await t.test('means nothing to reads', async () => {
    for (const path of ['/v1/accounts', `/v1/charges?account=${account}`])
      assert.equal((await call('GET', path, undefined, { headers: { 'idempotency-key': 'ü' } })).status, 200)
  })

  await t.test('never keeps a PATCH from being carried out: an answer that says it was done says the truth', async () => {
    const { id: key } = await makeKey(obol, account)
    for (const path of [`/v1/accounts/${account}`, `/v1/keys/${key}`]) {
      const headers = { 'idempotency-key': crypto.randomUUID() }
      await call('PATCH', path, { name: 'One' }, { headers })
      await call('PATCH', path, { name: 'Two' })
      const { status, body: answered } = await call('PATCH', path, { name: 'One' }, { headers })
      assert.deepEqual([status, answered.name, (await call('GET', path)).body.name], [200, 'One', 'One'], path)
    }
  })
})
