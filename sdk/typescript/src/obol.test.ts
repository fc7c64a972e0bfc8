/** The client against a real server: what a customer's developer and an operator's engineer do first. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'
import { outcomeError } from './answers.ts'
import {
  HoldExpiredError,
  InsufficientCreditsError,
  InvalidKeyError,
  InvalidRequestError,
  OperatorKeyRequiredError,
} from './api/problems.ts'
import { ApiError, InvalidArgumentError, PaymentRequiredError } from './errors.ts'
import { Obol } from './obol.ts'
import type { AnswerFacts } from './resource.ts'

async function start(t: TestContext, credits = '1000') {
  const running = await startTestObol(t, { OBOL_TOP_UP_URL: 'https://example.com/buy' })
  await publishTestPrices(running)
  const account = await openAccount(running, credits)
  const { secret } = await makeKey(running, account)
  const client = (apiKey: string): Obol => new Obol({ baseUrl: running.url, apiKey })
  return { ...running, account, operator: client(OPERATOR_KEY), customer: client(secret), client }
}

test("a customer's key reads the balance of its account in three lines", async (t) => {
  const { customer } = await start(t)
  const credits = await customer.credits.get()
  assert.equal(credits.credit_types.credits?.available, '1000')
})

test('work is held, captured and given back, and amounts stay decimal strings', async (t) => {
  const { operator, account } = await start(t)
  const hold = await operator.holds.create({ account, operation: 'transcription', quantities: { second: 60 } })
  assert.equal(hold.held, '660')
  const charge = await operator.holds.capture(hold.id, { quantities: { second: 45.5 } })
  assert.equal(charge.credits, '500.5')
  const refund = await operator.charges.refund(charge.id, { amount: '0.5', reason: 'noise' })
  assert.equal(refund.balance.available, '500')
})

test('short of credits is an error that says how much is missing and where to get it, and is sent once', async (t) => {
  const { operator, account } = await start(t, '12.5')
  await assert.rejects(operator.charges.create({ account, operation: 'transcription', quantities: { second: 90 } }), (error) => {
    assert.ok(error instanceof InsufficientCreditsError && error instanceof PaymentRequiredError)
    assert.deepEqual(
      [error.required, error.available, error.shortfall, error.creditType, error.topUpUrl, error.status],
      ['990', '12.5', '977.5', 'credits', 'https://example.com/buy', 402],
    )
    assert.match(error.requestId ?? '', /^req_/)
    assert.equal(error.attempts, 1)
    assert.ok(!error.mayHaveTakenEffect)
    assert.match(error.whatToDo, /Buy or grant/)
    return true
  })
})

test('an item of a batch that fails has the error of its call', async (t) => {
  const { operator, account } = await start(t, '10')
  const unit = { account, operation: 'unit' }
  const { data } = await operator.charges.createBatch({ charges: [unit, { ...unit, quantity: 100 }] })
  const [fine, failed] = data.map(outcomeError)
  assert.equal(fine, null)
  assert.ok(failed instanceof InsufficientCreditsError)
  assert.equal(failed.shortfall, '91')
})

test('the same idempotency key gives the first answer again, and says so', async (t) => {
  const { operator, account } = await start(t)
  const heard: AnswerFacts[] = []
  const options = { idempotencyKey: 'job-1', onAnswer: (facts: AnswerFacts) => heard.push(facts) }
  const first = await operator.charges.create({ account, operation: 'unit' }, options)
  const second = await operator.charges.create({ account, operation: 'unit' }, options)
  assert.deepEqual(second, first)
  assert.deepEqual(
    heard.map(({ isReplay, status }) => [isReplay, status]),
    [
      [false, 201],
      [true, 201],
    ],
  )
})

test('two calls without a key of their own are two charges', async (t) => {
  const { operator, account } = await start(t)
  const charges = await Promise.all([1, 2].map(() => operator.charges.create({ account, operation: 'unit' })))
  assert.equal(new Set(charges.map(({ id }) => id)).size, 2)
})

test('what is wrong with a request is told with its places, a bad key and a missing right by their own classes', async (t) => {
  const { operator, customer, client, account } = await start(t)
  const misspelled = { account, operation: 'unit', quantitees: {} }
  await assert.rejects(operator.charges.create(misspelled), (error) => {
    assert.ok(error instanceof InvalidRequestError)
    assert.deepEqual(error.errors, [{ pointer: '#/quantitees', detail: 'is not a known field' }])
    return true
  })
  await assert.rejects(client('obol_live_nothing').credits.get(), InvalidKeyError)
  await assert.rejects(customer.charges.create({ account, operation: 'unit' }), OperatorKeyRequiredError)
})

test('a hold that has expired refuses more time, and records work that was delivered', async (t) => {
  const { operator, account, clock } = await start(t)
  const hold = await operator.holds.create({ account, operation: 'unit', ttl_seconds: 60 })
  clock.nowMs += 61_000
  await assert.rejects(operator.holds.extend(hold.id, { ttl_seconds: 60 }), HoldExpiredError)
  assert.equal((await operator.holds.capture(hold.id)).credits, '1')
})

test('lists are read to their end, page by page, in either direction', async (t) => {
  const { operator, account } = await start(t)
  const made: string[] = []
  for (let index = 0; index < 7; index++) made.unshift((await operator.charges.create({ account, operation: 'unit' })).id)
  const ids = async (query: Parameters<typeof operator.charges.list>[0]): Promise<readonly string[]> =>
    (await operator.charges.list(query).toArray()).map(({ id }) => id)
  assert.deepEqual(await ids({ account, limit: 3 }), made)
  assert.deepEqual(await ids({ account, limit: 2, starting_after: made[1] ?? '' }), made.slice(2))
  assert.deepEqual((await ids({ account, limit: 2, ending_before: made[6] ?? '' })).toSorted(), made.slice(0, 6).toSorted())
  assert.equal((await operator.charges.list({ account, limit: 2 }).toArray({ limit: 3 })).length, 3)
  const { data, has_more: hasMore } = await operator.charges.list({ account, limit: 3 }).page()
  assert.deepEqual([data.length, hasMore], [3, true])
})

test('an export is one file, however many parts it comes in', async (t) => {
  const { operator, account } = await start(t)
  for (let index = 0; index < 5; index++) await operator.charges.create({ account, operation: 'unit' })
  const whole = await operator.charges.csv({ account }).text()
  const parts: string[] = []
  for await (const part of operator.charges.csv({ account, limit: 2 })) parts.push(part)
  assert.ok(parts.length >= 3)
  assert.equal(parts.join(''), whole)
  assert.equal(whole.trim().split('\r\n').length, 6)
  assert.match(await operator.usage.csv({ account, group_by: ['operation'] }).text(), /^start,/)
})

test('a list that nobody reads asks for nothing', async (t) => {
  const { url } = await start(t)
  let calls = 0
  const obol = new Obol({
    baseUrl: url,
    apiKey: OPERATOR_KEY,
    fetch: (address, init) => {
      calls++
      return fetch(address, init)
    },
  })
  obol.charges.list({})
  obol.charges.csv({})
  assert.equal(calls, 0)
})

test('options that cannot work are refused before anything is sent, and no error repeats a key', () => {
  for (const baseUrl of ['', 'localhost:4000', 'ftp://x', 'https://x?y=1', 'https://user@x'])
    assert.throws(() => new Obol({ baseUrl, apiKey: 'k' }), InvalidArgumentError)
  for (const apiKey of ['', 'a b', 'secret\n'])
    assert.throws(
      () => new Obol({ baseUrl: 'http://x', apiKey }),
      (error) => error instanceof InvalidArgumentError && !error.message.includes('secret'),
    )
  assert.throws(() => new Obol({ baseUrl: 'http://x', apiKey: 'k', timeoutMs: 0 }), InvalidArgumentError)
  assert.throws(() => new Obol({ baseUrl: 'http://x', apiKey: 'k', maxRetries: 0.5 }), InvalidArgumentError)
})

test('a client without an address or a key can be made, as while an application is built, and says so when it is called', async () => {
  for (const options of [
    { baseUrl: undefined, apiKey: 'k' },
    { baseUrl: 'http://obol.test', apiKey: undefined },
  ])
    await assert.rejects(new Obol(options).credits.get(), InvalidArgumentError)
})

test('a key may be given anew for every attempt, and an address may have a path', async (t) => {
  const { url, account } = await start(t)
  const obol = new Obol({ baseUrl: `${url}/`, apiKey: async () => OPERATOR_KEY })
  assert.equal((await obol.accounts.get(account)).id, account)
  await assert.rejects(new Obol({ baseUrl: url, apiKey: () => '' }).credits.get(), InvalidArgumentError)
})

test('a code that is newer than the SDK is an error of its family', async (t) => {
  const { url } = await start(t)
  const problem = { code: 'card_declined', title: 'Card declined', detail: 'No.', status: 402, request_id: 'req_1' }
  const headers = { 'content-type': 'application/problem+json', 'x-request-id': 'req_1' }
  const fetch = async (): Promise<Response> => new Response(JSON.stringify(problem), { status: 402, headers })
  await assert.rejects(new Obol({ baseUrl: url, apiKey: 'k', fetch }).credits.get(), (error) => {
    assert.ok(error instanceof PaymentRequiredError && error instanceof ApiError)
    assert.deepEqual([error.code, error.requestId, error.whatToDo], ['card_declined', 'req_1', ''])
    return true
  })
})
