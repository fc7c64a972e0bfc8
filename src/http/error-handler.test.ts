/** What the server says when a request is wrong: always a problem, always at the right place, never more than a stranger may know. */

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../test/running/obol.ts'

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual(
    [answer.status, answer.headers.get('content-type'), answer.body.code],
    [status, 'application/problem+json; charset=utf-8', code],
    answer.text,
  )
}

/** The status line and the content type of the answer to bytes that no HTTP client would send. */
function sendRaw(url: string, bytes: string): Promise<{ readonly status: number; readonly type: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (data) => {
      text += data
    })
    socket.on('error', reject)
    socket.on('close', () => {
      const [, status = '0'] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? []
      const [, type = ''] = /content-type: ([^\r]*)/i.exec(text) ?? []
      resolve({ status: Number(status), type })
    })
  })
}

test('requests that are wrong', async (t) => {
  const obol = await startTestObol(t)
  const { call, url } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const grant = { account, amount: '1' }
  const book = (more: object): object => ({ prices: [{ operation: 'a', rate: '1', per: { quantity: 1, unit: 'request' }, ...more }] })

  await t.test('the pointer leads to the field that is wrong', async () => {
    const table: readonly (readonly [path: string, body: unknown, pointer: string])[] = [
      ['/v1/accounts', {}, '#/name'],
      ['/v1/accounts', { name: 1 }, '#/name'],
      ['/v1/accounts', { name: 'a', nickname: 'b' }, '#/nickname'],
      ['/v1/accounts', { name: 'a', metadata: { b: 1 } }, '#/metadata/b'],
      ['/v1/accounts', { name: 'a', metadata: [] }, '#/metadata'],
      ['/v1/grants', { ...grant, amount: true }, '#/amount'],
      ['/v1/grants', { ...grant, cost: { amount_minor: 1, currency: 'usd', vat: 1 } }, '#/cost/vat'],
      ['/v1/grants', { ...grant, cost: { amount_minor: 1 } }, '#/cost/currency'],
      ['/v1/keys', { account, budget: { limits: '1' } }, '#/budget/limits'],
      ['/v1/keys', { account, rate_limit: { requests: 0, window_seconds: 1 } }, '#/rate_limit/requests'],
      ['/v1/keys', { account, operations: ['ok', 'Not Ok'] }, '#/operations/1'],
      ['/v1/price-book', book({ pre: {} }), '#/prices/0/pre'],
      ['/v1/price-book', book({ modifiers: [{ attribute: 'a', equals: 'b', multiply: 2, times: 2 }] }), '#/prices/0/modifiers/0/times'],
      ['/v1/price-book', book({ tiers: [{ rate: '-1' }] }), '#/prices/0/tiers/0/rate'],
      ['/v1/estimates', { items: [{ operation: 'unit' }, {}] }, '#/items/1/operation'],
      ['/v1/charges/batch', { charges: [{ account, operation: 'unit', price: 1 }] }, '#/charges/0/price'],
      ['/v1/charges/batch', { charges: [] }, '#/charges'],
    ]
    for (const [path, body, pointer] of table) {
      const answer = await call('POST', path, body)
      assertProblem(answer, 400, 'invalid_request')
      const pointers = answer.body.errors.map((error: { pointer: string }) => error.pointer)
      assert.ok(pointers.includes(pointer), `${path} ${JSON.stringify(body)}: ${pointers} has no ${pointer}`)
      for (const { detail } of answer.body.errors) assert.equal(typeof detail, 'string')
    }
  })

  await t.test('the pointer is a JSON pointer in a URI fragment, whatever the field is called', async () => {
    const table: readonly (readonly [name: string, escaped: string])[] = [
      ['a/b', 'a~1b'],
      ['a~b', 'a~0b'],
      ['a b', 'a%20b'],
      ['ä', '%C3%A4'],
      ['a%b', 'a%25b'],
      ['', ''],
    ]
    for (const [name, escaped] of table) {
      const answer = await call('POST', '/v1/grants', { ...grant, [name]: 1 })
      assert.deepEqual([answer.status, answer.body.errors?.[0]?.pointer], [400, `#/${escaped}`], JSON.stringify(name))
    }
    const inside = await call('POST', '/v1/grants', { ...grant, metadata: { 'a/b c': 1 } })
    assert.equal(inside.body.errors[0].pointer, '#/metadata/a~1b%20c')
  })

  await t.test('a wrong query or path says which part it is in', async () => {
    const table: readonly (readonly [path: string, pointer: string])[] = [
      ['/v1/accounts?limit=0', 'query/limit'],
      ['/v1/accounts?limit=101', 'query/limit'],
      ['/v1/accounts?limit=1.5', 'query/limit'],
      ['/v1/accounts?limit=', 'query/limit'],
      ['/v1/accounts?limit=ten', 'query/limit'],
      ['/v1/accounts?limit=1&limit=2', 'query/limit'],
      ['/v1/accounts?page=2', 'query/page'],
      [`/v1/charges?account=${account}&account=${account}`, 'query/account'],
      [`/v1/charges?account=${account}&start=yesterday`, 'query/start'],
      [`/v1/charges?account=${account}&end=2026-11-31T00:00:00Z`, 'query/end'],
      [`/v1/charges?account=${account}&start=2016-12-31T23:59:60Z`, 'query/start'],
      [`/v1/charges?account=${account}&format=xml`, 'query/format'],
      [`/v1/usage?account=${account}&bucket=week`, 'query/bucket'],
      [`/v1/usage?account=${account}&group_by=account`, 'query/group_by/0'],
      [`/v1/usage?account=${account}&time_zone=Mars/Phobos`, 'query/time_zone'],
      [`/v1/holds?account=${account}&status=open`, 'query/status'],
      ['/v1/charges', 'query/account'],
      ['/v1/price-book/first', 'path/version'],
      ['/v1/price-book/0', 'path/version'],
    ]
    for (const [path, pointer] of table) {
      const answer = await call('GET', path)
      assertProblem(answer, 400, 'invalid_request')
      assert.ok(
        answer.body.errors.some((error: { pointer: string }) => error.pointer === pointer),
        `${path}: ${answer.text}`,
      )
    }
  })

  await t.test('an address that is none is a problem too: no client has to read a second form of error', async () => {
    const table: readonly (readonly [path: string, status: number])[] = [
      ['/v1/accounts/external:100%', 400],
      ['/v1/charges/%ZZ', 400],
      [`/v1/charges/${'a'.repeat(400)}`, 404],
      ['/v1/nothing', 404],
      ['/', 404],
      ['//v1/credits', 404],
      ['/V1/credits', 404],
      ['/v1/credits/', 404],
    ]
    for (const [path, status] of table) {
      const answer = await call('GET', path)
      assert.deepEqual(
        [answer.status, answer.headers.get('content-type')],
        [status, 'application/problem+json; charset=utf-8'],
        `${path}: ${answer.text}`,
      )
      assert.equal(answer.headers.get('x-request-id'), answer.body.request_id)
    }
  })

  await t.test('a method that a path does not have is not found', async () => {
    for (const [method, path] of [
      ['PUT', '/v1/charges'],
      ['DELETE', '/v1/accounts'],
      ['PATCH', '/v1/credits'],
      ['OPTIONS', '/v1/credits'],
    ] as const) {
      assertProblem(await call(method, path), 404, 'not_found')
    }
  })

  await t.test('what cannot be read as HTTP is answered as a problem too', async () => {
    for (const [bytes, status] of [
      ['GARBAGE\r\n\r\n', 400],
      [`GET /v1/credits HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ] as const) {
      assert.deepEqual(await sendRaw(url, bytes), { status, type: 'application/problem+json; charset=utf-8' })
    }
  })

  await t.test('neither the words nor the address of a problem repeat a key that somebody put in the wrong place', async () => {
    const { secret } = await makeKey(obol, account)
    const answers = [
      await call('POST', '/v1/charges', { account: secret, operation: 'unit' }),
      await call('POST', '/v1/grants', { account: `external:${secret}`, amount: '1' }),
      await call('GET', `/v1/credits?account=${secret}`),
      await call('GET', `/v1/accounts/${secret}`),
      await call('GET', `/v1/keys/${secret}`),
      await call('GET', `/v1/nothing/${secret}`),
      await call('GET', `/v1/charges?account=${account}&key=${secret}`),
      await call('POST', '/v1/charges', `{"account":"${account}","key":"${secret}"`),
    ]
    const leaks = answers.filter(({ text }) => text.includes(secret)).map(({ text }) => text)
    assert.deepEqual(leaks, [])
  })

  await t.test('a fault tells the caller a request id and nothing else; the log has the cause under it', async () => {
    const broken = await startTestObol(t)
    await broken.obol.services.store.close()
    const { status, body, text } = await broken.call('GET', '/v1/accounts')
    assert.deepEqual([status, body.detail], [500, 'Obol failed. The log has the cause under this request id.'])
    assert.doesNotMatch(text, /sqlite|database|stack|\.ts|Error:/i)
    const [line = ''] = broken.log.filter((each) => each.includes(body.request_id) && each.includes('"level":50'))
    assert.match(line, /"err":\{"type":"Error","message":".+","stack":".+accounts\.ts/)
  })

  await t.test('nothing that was wrong has changed the account', async () => {
    const { sequence } = (await call('GET', `/v1/accounts/${account}/credits`)).body
    const { data } = (await call('GET', `/v1/journal?account=${account}`)).body
    assert.deepEqual(
      data.map(({ kind }: { kind: string }) => kind),
      ['key_created', 'grant', 'account_created'],
    )
    assert.equal(sequence, 3)
  })
})

test('every answer keeps browsers and caches from making more of it than it is', async (t) => {
  const { call } = await startTestObol(t)
  for (const path of ['/v1/accounts', '/v1/nothing', '/livez', '/openapi.json', '/problems/not_found']) {
    const { headers } = await call('GET', path)
    assert.deepEqual([headers.get('x-content-type-options'), headers.get('cache-control')], ['nosniff', 'no-store'], path)
    for (const name of ['server', 'x-powered-by', 'access-control-allow-origin']) assert.equal(headers.get(name), null, `${path} ${name}`)
  }
})
