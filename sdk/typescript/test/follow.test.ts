/** A balance that is followed: on a real server, and on streams that break, end and say nothing of use. */

import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'
import { ApiError, UnexpectedAnswerError } from '../src/errors.ts'
import { Obol } from '../src/obol.ts'
import { sendHtml, sendJson, startForeignServer } from './foreign-server.ts'

async function start(t: TestContext, credits: string) {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, credits)
  const { secret, id } = await makeKey(running, account)
  const client = (apiKey: string): Obol => new Obol({ baseUrl: running.url, apiKey })
  return { ...running, account, key: id, operator: client(OPERATOR_KEY), customer: client(secret) }
}

const event = (id: number, members: Readonly<Record<string, unknown>> = {}): string =>
  `id: ${id}\ndata: ${JSON.stringify({ credits: { sequence: id }, changes: [], changes_complete: true, ...members })}\n\n`

function sendStream(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).write(text)
}

test('a follower is told what is so, then each change, and ends with its signal', async (t) => {
  const { operator, customer, account } = await start(t, '1000')
  const ending = new AbortController()
  const seen: (readonly [string | undefined, readonly string[]])[] = []
  for await (const { credits, changes, changesComplete } of customer.followCredits({ signal: ending.signal })) {
    assert.equal(changesComplete, true)
    seen.push([credits.credit_types.credits?.available, changes.map(({ kind }) => kind)])
    if (seen.length === 3) ending.abort()
    else await operator.charges.create({ account, operation: 'unit', quantity: 100 })
  }
  assert.deepEqual(seen, [
    ['1000', []],
    ['900', ['charge']],
    ['800', ['charge']],
  ])
})

test('a follower that comes back is told what it missed', async (t) => {
  const { operator, account } = await start(t, '1000')
  let id = ''
  for await (const update of operator.followCredits({ account })) {
    id = update.id
    break
  }
  await operator.charges.create({ account, operation: 'unit', quantity: 1 })
  await operator.charges.create({ account, operation: 'unit', quantity: 2 })
  for await (const { credits, changes } of operator.followCredits({ account, after: id })) {
    assert.equal(credits.credit_types.credits?.available, '997')
    assert.deepEqual(
      changes.map(({ kind }) => kind),
      ['charge', 'charge'],
    )
    break
  }
})

test('a key that is revoked ends the following with its error', async (t) => {
  const { operator, customer, key } = await start(t, '50')
  const updates = customer.followCredits()
  await updates.next()
  await operator.keys.revoke(key)
  // That it was revoked may be told as a change first.
  const following = async (): Promise<void> => {
    for await (const { id } of updates) assert.match(id, /^\d+$/)
  }
  await assert.rejects(following(), (error) => error instanceof ApiError && error.status === 401)
})

test('a stream that breaks is opened again where it was, and what passes is waited for', async (t) => {
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => sendHtml(response, 502),
    (response) => sendStream(response, event(7)),
    (response) => response.destroy(),
    (response) => sendStream(response, `${event(9)}event: end\ndata: {"reason":"server_stopping"}\n\n`),
    (response) => sendStream(response, event(11)),
  ]
  const { url, heard } = await startForeignServer(t, (response, nth) => {
    answers[nth]?.(response)
    if (nth === 1) setTimeout(() => response.destroy(), 50)
  })
  const ids: string[] = []
  for await (const { id } of new Obol({ baseUrl: url, apiKey: 'obol_live_x' }).followCredits({ account: 'a b' })) {
    ids.push(id)
    if (id === '11') break
  }
  assert.deepEqual(ids, ['7', '9', '11'])
  assert.deepEqual(
    heard.map(({ headers }) => headers['last-event-id']),
    [undefined, undefined, '7', '7', '9'],
  )
  assert.ok(
    heard.every((request) => request.url === '/v1/credits/stream?account=a+b' && request.headers.authorization === 'Bearer obol_live_x'),
  )
})

test('each connection asks for a key of its own: access tokens end', async (t) => {
  const { url, heard } = await startForeignServer(t, (response, nth) =>
    sendStream(response, nth === 0 ? `${event(1)}event: end\ndata: {"reason":"token_expired"}\n\n` : event(2)),
  )
  let tokens = 0
  for await (const { id } of new Obol({ baseUrl: url, apiKey: () => `token${++tokens}` }).followCredits()) if (id === '2') break
  assert.deepEqual(
    heard.map(({ headers }) => headers.authorization),
    ['Bearer token1', 'Bearer token2'],
  )
})

const USELESS: readonly (readonly [string, (response: ServerResponse) => void, RegExp])[] = [
  ['a page', (response) => sendHtml(response, 200), /does not speak Obol's API: 200, text\/html/],
  ['JSON', (response) => sendJson(response, 200, {}), /no stream of events: 200/],
  ['a redirect', (response) => response.writeHead(302, { location: '/login' }).end(), /a redirect to \/login/],
  ['an event that is not JSON', (response) => sendStream(response, 'data: hello\n\n'), /not what the API says/],
  ['a line without an end', (response) => sendStream(response, 'x'.repeat(5_000_000)), /no end/],
]

for (const [what, answer, message] of USELESS)
  test(`${what} in place of a stream is an error, once`, async (t) => {
    const { url, heard } = await startForeignServer(t, answer)
    const updates = new Obol({ baseUrl: url, apiKey: 'obol_live_x' }).followCredits()
    await assert.rejects(updates.next(), (error) => error instanceof UnexpectedAnswerError && message.test(error.message))
    assert.equal(heard.length, 1)
  })

test('a problem is the error of its code, with the id of the request', async (t) => {
  const problem = { type: 'about:blank', title: 'x', status: 403, code: 'operator_only', detail: 'Not you.' }
  const { url } = await startForeignServer(t, (response) => sendJson(response, 403, problem, { 'x-request-id': 'req_1' }))
  const updates = new Obol({ baseUrl: url, apiKey: 'obol_live_x' }).followCredits()
  await assert.rejects(
    updates.next(),
    (error) => error instanceof ApiError && error.code === 'operator_only' && error.requestId === 'req_1',
  )
})

test('a server that does not answer is left when the signal says so', { timeout: 20_000 }, async (t) => {
  const { url } = await startForeignServer(t, () => undefined)
  const updates = new Obol({ baseUrl: url, apiKey: 'obol_live_x' }).followCredits({ signal: AbortSignal.timeout(100) })
  assert.deepEqual(await updates.next(), { done: true, value: undefined })
})
