/** What goes wrong between a client and its server, and what becomes of the credits then. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'
import { TcpProxy } from '../../../test/running/proxy.ts'
import { InsufficientCreditsError, InternalErrorError, OverloadedError, RateLimitedError } from '../src/api/problems.ts'
import { CallAbortedError, ConnectionError, TimeoutError, UnexpectedAnswerError } from '../src/errors.ts'
import { Obol } from '../src/obol.ts'
import { sendHtml, sendJson, startForeignServer } from './foreign-server.ts'

const CHARGE = { account: 'acct_1', operation: 'unit' } as const
const GOOD = { object: 'charge', id: 'chg_1' }

function problem(code: string, members: object = {}): object {
  return { code, title: code, detail: 'No.', status: 0, ...members }
}

function clientOf(url: string, options: { readonly timeoutMs?: number; readonly maxRetries?: number } = {}): Obol {
  return new Obol({ baseUrl: url, apiKey: 'k', ...options })
}

test('a charge whose answer is lost is sent again under its key, and made once', async (t) => {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, '100')
  const proxy = await TcpProxy.start(running.url)
  t.after(() => proxy.stop())
  const obol = new Obol({ baseUrl: proxy.url, apiKey: OPERATOR_KEY, maxRetries: 3 })
  let isNext = true
  proxy.mishap = () => {
    const mishap = isNext ? 'cut after' : null
    isNext = false
    return mishap
  }
  await obol.charges.create({ account, operation: 'unit' })
  assert.ok(proxy.cuts >= 1)
  assert.equal((await obol.charges.list({ account }).toArray()).length, 1)
  assert.equal((await obol.accounts.credits(account)).credit_types.credits?.available, '99')
})

test('a charge that nobody answers ends in time, as one that may have taken effect', async (t) => {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, '100')
  const proxy = await TcpProxy.start(running.url)
  t.after(() => proxy.stop())
  proxy.mishap = () => 'silence'
  const lost = new Obol({ baseUrl: proxy.url, apiKey: OPERATOR_KEY, timeoutMs: 400, maxRetries: 1 })
  let key = ''
  await assert.rejects(lost.charges.create({ account, operation: 'unit' }), (error) => {
    assert.ok(error instanceof TimeoutError && error.mayHaveTakenEffect)
    assert.equal(error.attempts, 2)
    key = error.idempotencyKey ?? ''
    return true
  })
  const obol = new Obol({ baseUrl: running.url, apiKey: OPERATOR_KEY })
  let isReplay = false
  const onAnswer = (facts: { readonly isReplay: boolean }): void => {
    isReplay = facts.isReplay
  }
  await obol.charges.create({ account, operation: 'unit' }, { idempotencyKey: key, onAnswer })
  assert.ok(isReplay, 'the lost charge had been made')
  assert.equal((await obol.charges.list({ account }).toArray()).length, 1)
})

test('nobody there is a ConnectionError that says where, after every attempt', async (t) => {
  const { url } = await startForeignServer(t, (response) => response.destroy())
  await assert.rejects(clientOf(url).charges.create(CHARGE), (error) => {
    assert.ok(error instanceof ConnectionError)
    assert.equal(error.attempts, 3)
    assert.match(error.message, /127\.0\.0\.1:\d+ cannot be reached, or hung up/)
    return true
  })
  await assert.rejects(clientOf('http://127.0.0.1:9').credits.get(), ConnectionError)
})

test('the key stays the same through every attempt, and the body too', async (t) => {
  const { url, heard } = await startForeignServer(t, (response, nth) => {
    if (nth === 0) response.destroy()
    else if (nth === 1) sendHtml(response, 502)
    else sendJson(response, 201, GOOD)
  })
  await clientOf(url).charges.create(CHARGE)
  assert.equal(heard.length, 3)
  const [first] = heard
  assert.match(String(first?.headers['idempotency-key']), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  for (const { headers, body } of heard) {
    assert.equal(headers['idempotency-key'], first?.headers['idempotency-key'])
    assert.equal(body, first?.body)
  }
})

/** What is answered first, how often the call is sent in all, and what it ends with when nothing else comes. */
const ANSWERS: readonly (readonly [name: string, status: number, code: string, sent: number, kind: new (...values: never[]) => Error])[] = [
  ['402 is terminal', 402, 'insufficient_credits', 1, InsufficientCreditsError],
  ['500 is tried again under the key', 500, 'internal_error', 3, InternalErrorError],
  ['503 is tried again', 503, 'overloaded', 3, OverloadedError],
  ['429 is tried again', 429, 'rate_limited', 3, RateLimitedError],
]

for (const [name, status, code, sent, kind] of ANSWERS)
  test(name, async (t) => {
    const { url, heard } = await startForeignServer(t, (response) => sendJson(response, status, problem(code)))
    await assert.rejects(clientOf(url).charges.create(CHARGE), kind)
    assert.equal(heard.length, sent)
  })

test('Retry-After is waited for, and never shortened', async (t) => {
  const { url, heard } = await startForeignServer(t, (response, nth) => {
    if (nth === 0) sendJson(response, 429, problem('rate_limited'), { 'retry-after': '1' })
    else sendJson(response, 201, GOOD)
  })
  await clientOf(url).charges.create(CHARGE)
  const [first, second] = heard
  assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 990, 'a second has passed')
})

test('a server that asks for more patience than a minute is not waited for', async (t) => {
  const { url, heard } = await startForeignServer(t, (response) => sendJson(response, 503, problem('not_ready'), { 'retry-after': '600' }))
  await assert.rejects(
    clientOf(url).credits.get(),
    (error) => error instanceof Error && 'retryAfterSeconds' in error && error.retryAfterSeconds === 600,
  )
  assert.equal(heard.length, 1)
})

test('HTML from a proxy is told as what it is', async (t) => {
  const page = await startForeignServer(t, (response) => sendHtml(response, 200))
  await assert.rejects(clientOf(page.url).credits.get(), (error) => {
    assert.ok(error instanceof UnexpectedAnswerError)
    assert.match(error.message, /does not speak Obol's API: 200, text\/html: <html><h1>Bad Gateway/)
    assert.match(error.whatToDo, /baseUrl/)
    return true
  })
  assert.equal(page.heard.length, 1, 'a page does not become an answer by asking again')
  const gateway = await startForeignServer(t, (response) => sendHtml(response, 504))
  await assert.rejects(clientOf(gateway.url).credits.get(), UnexpectedAnswerError)
  assert.equal(gateway.heard.length, 3)
})

test('a redirect is not followed: the key stays here, and a POST never becomes a GET', async (t) => {
  const elsewhere = await startForeignServer(t, (response) => sendJson(response, 200, GOOD))
  const { url, heard } = await startForeignServer(t, (response) => response.writeHead(301, { location: elsewhere.url }).end())
  await assert.rejects(
    clientOf(url).charges.create(CHARGE),
    (error) => error instanceof UnexpectedAnswerError && /a redirect to/.test(error.message),
  )
  assert.deepEqual([heard.length, elsewhere.heard.length], [1, 0])
})

test('an answer that breaks off half-way is never taken for one', async (t) => {
  const text = JSON.stringify(GOOD)
  const cut = await startForeignServer(t, (response, nth) => {
    if (nth === 0) {
      response.writeHead(201, { 'content-type': 'application/json', 'content-length': String(text.length) })
      response.write(text.slice(0, 10), () => response.destroy())
    } else sendJson(response, 201, GOOD)
  })
  assert.deepEqual(await clientOf(cut.url).charges.create(CHARGE), GOOD)
  assert.equal(cut.heard.length, 2)
  const short = await startForeignServer(t, (response) =>
    response.writeHead(201, { 'content-type': 'application/json' }).end(text.slice(0, 10)),
  )
  await assert.rejects(
    clientOf(short.url).charges.create(CHARGE),
    (error) => error instanceof ConnectionError && /breaks off/.test(error.message),
  )
  assert.equal(short.heard.length, 3)
})

test('an answer that comes drop by drop ends with the time of the attempt', async (t) => {
  const { url } = await startForeignServer(t, (response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const drops = setInterval(() => response.write(' '), 50)
    response.on('close', () => clearInterval(drops))
  })
  await assert.rejects(clientOf(url, { timeoutMs: 300, maxRetries: 0 }).credits.get(), TimeoutError)
})

test('a signal ends a call on its way, and while it waits to be sent again', async (t) => {
  const hanging = await startForeignServer(t, () => {})
  const signal = AbortSignal.timeout(100)
  await assert.rejects(
    clientOf(hanging.url).credits.get({}, { signal }),
    (error) => error instanceof CallAbortedError && error.cause === signal.reason,
  )
  const busy = await startForeignServer(t, (response) => sendJson(response, 503, problem('overloaded'), { 'retry-after': '50' }))
  await assert.rejects(clientOf(busy.url).credits.get({}, { signal: AbortSignal.timeout(100) }), CallAbortedError)
  await assert.rejects(clientOf(busy.url).credits.get({}, { signal: AbortSignal.abort() }), CallAbortedError)
  assert.equal(busy.heard.length, 1)
})

test('a fetch that ignores its signal cannot keep the caller', async () => {
  const fetch = (): Promise<Response> => new Promise(() => {})
  const obol = new Obol({ baseUrl: 'http://obol.test', apiKey: 'k', fetch, timeoutMs: 50, maxRetries: 1 })
  await assert.rejects(obol.credits.get(), TimeoutError)
})

test('a page that leads to itself does not go round for ever', async (t) => {
  const page = { object: 'list', has_more: true, next_cursor: 'chg_1', data: [GOOD] }
  const { url, heard } = await startForeignServer(t, (response) => sendJson(response, 200, page))
  await assert.rejects(clientOf(url).charges.list().toArray(), UnexpectedAnswerError)
  assert.equal(heard.length, 2)
})

test('no fault leaves a rejection that nobody handles', async (t) => {
  const unhandled: unknown[] = []
  const listener = (reason: unknown): void => {
    unhandled.push(reason)
  }
  process.on('unhandledRejection', listener)
  t.after(() => process.off('unhandledRejection', listener))
  const { url } = await startForeignServer(t, (response, nth) => {
    if (nth % 2 === 0) response.destroy()
  })
  const calls = Array.from({ length: 10 }, (_, index) =>
    clientOf(url, { timeoutMs: 100, maxRetries: 1 }).credits.get({}, index % 2 === 0 ? { signal: AbortSignal.timeout(30) } : {}),
  )
  const outcomes = await Promise.allSettled(calls)
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.deepEqual(unhandled, [])
})
