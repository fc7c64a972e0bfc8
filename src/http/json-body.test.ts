/** Bodies: JSON and nothing else, no digit lost, nothing done when they cannot be read. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../test/running/obol.ts'

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('bodies', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const sequence = async (): Promise<number> => (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence
  const grantOf = (fields: string): string => `{"account":"${account}",${fields}}`

  /** Sends a body under one idempotency key, expects it refused, and that neither effect nor key is left of it. */
  const assertRefused = async (
    text: string,
    status: number,
    code: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    const before = await sequence()
    const idempotencyKey = crypto.randomUUID()
    assertProblem(await call('POST', '/v1/grants', text, { idempotencyKey, headers }), status, code)
    assert.equal(await sequence(), before, text.slice(0, 80))
    const after = await call('POST', '/v1/grants', grantOf('"amount":"0.000001"'), { idempotencyKey })
    assert.deepEqual([after.status, after.headers.get('idempotent-replayed')], [201, null], text.slice(0, 80))
  }

  await t.test('what is not JSON is 400 invalid_json', async () => {
    const texts = [
      '{',
      '{"account"}',
      `{'account':'${account}'}`,
      grantOf('"amount":1,'),
      grantOf('"amount":NaN'),
      grantOf('"amount":Infinity'),
      grantOf('"amount":-Infinity'),
      grantOf('"amount":01'),
      grantOf('"amount":+1'),
      grantOf('"amount":.5'),
      grantOf('"amount":1.'),
      grantOf('"amount":0x10'),
      grantOf('"amount":1_000'),
      grantOf('"amount":undefined'),
      grantOf('"amount":1n'),
      `${grantOf('"amount":1')} {}`,
      '\ufeff{}',
      'amount=1',
      '<grant/>',
    ]
    for (const text of texts) await assertRefused(text, 400, 'invalid_json')
  })

  await t.test('JSON that is no object is 400 invalid_request, also when there is no body at all', async () => {
    for (const text of ['null', 'true', '1', '"text"', '[]', `[${grantOf('"amount":1')}]`, ''])
      await assertRefused(text, 400, 'invalid_request')
    assertProblem(await call('POST', '/v1/grants'), 400, 'invalid_request')
  })

  await t.test('a number that would lose digits on the way is 400 invalid_json, never rounded', async () => {
    const numbers = [
      '9007199254740993',
      '-9007199254740993',
      '1234567890123.4567',
      '123456789012.123456',
      '0.1000000000000000055511151231257827',
      '1.0000000000000000000001',
      '1111111111111111111111111111111111111111',
    ]
    for (const number of numbers) {
      await assertRefused(grantOf(`"amount":${number}`), 400, 'invalid_json')
      await assertRefused(grantOf(`"amount":"1","metadata":{"n":[${number}]}`), 400, 'invalid_json')
    }
  })

  await t.test('a number with an exponent loses no digits either: neither its last ones nor, by being too small, all of them', async () => {
    const numbers = [
      '123456789012.123456e0',
      '123456789012.123456E+0',
      '1.23456789012123456e11',
      '9007199254.7409931e0',
      '1e-400',
      '-1e-400',
      '1e-330',
    ]
    const accepted: string[] = []
    for (const number of numbers) {
      const { status, body } = await call('POST', '/v1/charges', `{"account":"${account}","operation":"unit","amount":${number}}`)
      if (status !== 400 && status !== 402) accepted.push(`${number} as ${body.credits}`)
      const granted = await call('POST', '/v1/grants', grantOf(`"amount":${number}`))
      if (granted.status !== 400) accepted.push(`${number} as ${granted.body.amount}`)
    }
    assert.deepEqual(accepted, [])
  })

  await t.test('a number that loses nothing is taken as it stands', async () => {
    for (const [number, amount] of [
      ['1', '1'],
      ['1.0', '1'],
      ['1.50', '1.5'],
      ['1e3', '1000'],
      ['1E3', '1000'],
      ['1.5e-5', '0.000015'],
      ['1000000e-6', '1'],
      ['0.000001', '0.000001'],
      ['1.000000000000000000000000', '1'],
      ['10000000.123456', '10000000.123456'],
      ['123456789.123456', '123456789.123456'],
      ['900000000000.5', '900000000000.5'],
    ] as const) {
      const { status, body } = await call('POST', '/v1/grants', grantOf(`"amount":${number}`))
      assert.deepEqual([status, body.amount], [201, amount], number)
    }
  })

  await t.test('a text that looks like a long number is left alone', async () => {
    const metadata = { note: 'a, 12345678901234567890', 'b: 12345678901234567890': '[9007199254740993', proto: '__proto__' }
    const { status, body } = await call('POST', '/v1/grants', { account, amount: '1', metadata })
    assert.deepEqual([status, body.metadata], [201, metadata])
  })

  await t.test('a field that is named to reach the prototype of an object is 400', async () => {
    for (const name of ['__proto__', '\\u005f_proto__', '\\u005F\\u005Fproto__']) {
      await assertRefused(grantOf(`"amount":"1","${name}":{"admin":true}`), 400, 'invalid_json')
      await assertRefused(grantOf(`"amount":"1","metadata":{"${name}":"x"}`), 400, 'invalid_json')
    }
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      await assertRefused(grantOf(`"amount":"1","${name}":{}`), 400, 'invalid_request')
      const kept = await call('POST', '/v1/grants', grantOf(`"amount":"1","metadata":{"${name}":"kept"}`))
      assert.deepEqual([kept.status, kept.body.metadata], [201, { [name]: 'kept' }])
    }
  })

  await t.test('another media type is 415, with or without a body that would be right', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
      'application/xml',
      'application/merge-patch+json',
      'application/json-seq',
      'json',
    ])
      await assertRefused(grantOf('"amount":"1"'), 415, 'unsupported_media_type', { 'content-type': type })
    for (const type of ['application/json; charset=utf-8', 'application/json;charset=UTF-8', 'Application/JSON'])
      assert.equal((await call('POST', '/v1/grants', grantOf('"amount":"1"'), { headers: { 'content-type': type } })).status, 201, type)
  })

  await t.test('a body above 256 KiB is 413, and one just below is read', async () => {
    const padded = (bytes: number): string => grantOf('"amount":"1"').padEnd(bytes, ' ')
    await assertRefused(padded(262_145), 413, 'body_too_large')
    await assertRefused(padded(5_000_000), 413, 'body_too_large')
    assert.equal((await call('POST', '/v1/grants', padded(262_144))).status, 201)
  })

  await t.test('a batch and a price book may have 1 MiB, and no more', async () => {
    const charge = { account, operation: 'unit', metadata: { note: 'x'.repeat(400) } }
    const charges = JSON.stringify({ charges: Array.from({ length: 1_000 }, () => charge) })
    assert.ok(charges.length > 262_144 && charges.length < 1_048_576)
    assert.equal((await call('POST', '/v1/charges/batch', charges)).status, 200)
    const before = await sequence()
    for (const path of ['/v1/charges/batch', '/v1/price-book', '/v1/price-book/trial'])
      assertProblem(await call('POST', path, '{}'.padEnd(1_048_577, ' ')), 413, 'body_too_large')
    assert.equal(await sequence(), before)
  })

  await t.test('a body of a hundred thousand brackets is refused like any other', async () => {
    for (const bracket of ['[', '{"a":']) {
      const answer = await call('POST', '/v1/grants', grantOf(`"amount":"1","metadata":${bracket.repeat(40_000)}`))
      assertProblem(answer, 400, 'invalid_json')
    }
    const closed = await call('POST', '/v1/grants', grantOf(`"amount":"1","metadata":${'['.repeat(100_000)}${']'.repeat(100_000)}`))
    assertProblem(closed, 400, 'invalid_request')
  })

  await t.test('clients that send a content type with every GET, and an empty Cookie, are served', async () => {
    const { status } = await call('GET', `/v1/credits?account=${account}`, undefined, {
      headers: { 'content-type': 'application/json', cookie: '' },
    })
    assert.equal(status, 200)
    assert.equal(
      (await call('DELETE', '/v1/keys/key_0000000000000001', undefined, { headers: { 'content-type': 'application/json' } })).status,
      404,
    )
  })

  await t.test('an operation whose body has no required field is served without one', async () => {
    const hold = async (): Promise<string> => (await call('POST', '/v1/holds', { account, operation: 'unit' })).body.id
    const charge = (await call('POST', '/v1/charges', { account, operation: 'unit' })).body.id
    const grant = (await call('POST', '/v1/grants', { account, amount: '1' })).body.id
    const key = (await call('POST', '/v1/keys', { account })).body.id
    const paths = {
      release: `/v1/holds/${await hold()}/release`,
      capture: `/v1/holds/${await hold()}/capture`,
      refund: `/v1/charges/${charge}/refund`,
      void: `/v1/grants/${grant}/void`,
      rotate: `/v1/keys/${key}/rotate`,
    }
    const refused: string[] = []
    for (const [name, path] of Object.entries(paths)) if ((await call('POST', path)).status >= 300) refused.push(name)
    assert.deepEqual(refused, [])
  })
})
