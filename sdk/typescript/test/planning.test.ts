/** What the seeds' clients work out by hand, on a real server: sufficiency, jobs, batches, usage, low credits, the feed. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'
import { affordableBatch, checkSufficiency, estimateJob, inMoney } from '../src/afford.ts'
import { InvalidKeyError } from '../src/api/problems.ts'
import { InvalidArgumentError } from '../src/errors.ts'
import { Obol } from '../src/obol.ts'
import { summarizeUsage } from '../src/usage-summary.ts'
import { type CreditLevel, followEvents, watchCredits } from '../src/watch.ts'

async function start(t: TestContext, credits: string, terms: Readonly<Record<string, unknown>> = {}) {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, credits)
  const { secret } = await makeKey(running, account, terms)
  const client = (apiKey: string): Obol => new Obol({ baseUrl: running.url, apiKey })
  return { ...running, account, operator: client(OPERATOR_KEY), customer: client(secret) }
}

/** So many seconds of transcription, at 11 credits each. */
const seconds = (second: number) => ({ operation: 'transcription', quantities: { second } })

test('whether a call can be paid for, and what is missing', async (t) => {
  const { customer } = await start(t, '1000')
  const enough = await checkSufficiency(customer, seconds(60))
  assert.deepEqual([enough.isSufficient, enough.required, enough.available, enough.shortfall], [true, '660', '1000', '0'])
  assert.match(enough.quoteId ?? '', /./)
  const short = await checkSufficiency(customer, seconds(120))
  assert.deepEqual([short.isSufficient, short.required, short.shortfall, short.isBudgetExceeded], [false, '1320', '320', false])
})

test('a budget that forbids a call is told apart from a balance that does', async (t) => {
  const { customer } = await start(t, '1000', { budget: { limit: '100', period: 'day' } })
  const { isSufficient, isBudgetExceeded } = await checkSufficiency(customer, seconds(60))
  assert.deepEqual([isSufficient, isBudgetExceeded], [false, true])
})

test('the operator names whose credits are asked about', async (t) => {
  const { operator, account } = await start(t, '1000')
  assert.equal((await checkSufficiency(operator, seconds(60), { account })).isSufficient, true)
  await assert.rejects(checkSufficiency(operator, seconds(60)), InvalidArgumentError)
})

test('a job of more items than one estimate takes is added up exactly', async (t) => {
  const { customer } = await start(t, '20000')
  const { requirements, isAffordable, items } = await estimateJob(
    customer,
    Array.from({ length: 1_001 }, () => seconds(1)),
  )
  assert.deepEqual([items, isAffordable], [1_001, true])
  assert.deepEqual(requirements, [{ creditType: 'credits', min: '11011', max: '11011', available: '20000', shortfall: '0' }])
  assert.equal(
    (
      await estimateJob(
        customer,
        Array.from({ length: 1_900 }, () => seconds(1)),
      )
    ).isAffordable,
    false,
  )
  assert.deepEqual((await estimateJob(customer, [])).requirements, [])
})

test('a job is done in batches as long as the credits reach', async (t) => {
  const { operator, customer, account } = await start(t, '1000')
  const done: number[] = []
  let rest: readonly number[] = [10, 20, 30, 40, 50]
  for (;;) {
    const next = await affordableBatch(customer, rest, { size: 3, work: seconds })
    if (next.batch.length === 0) {
      assert.deepEqual([next.rest, next.estimate.requirements[0]?.shortfall], [[40, 50], '100'])
      break
    }
    for (const second of next.batch) await operator.charges.create({ account, ...seconds(second) })
    done.push(...next.batch)
    rest = next.rest
  }
  assert.deepEqual(done, [10, 20, 30])
  assert.deepEqual((await affordableBatch(customer, [], { size: 3, work: seconds })).batch, [])
})

test('the largest batch that fits is found, whatever fits', async (t) => {
  const { customer } = await start(t, '110')
  for (const size of [1, 7, 9, 10, 11, 30]) {
    const { batch } = await affordableBatch(
      customer,
      Array.from({ length: 30 }, () => 1),
      { size, work: seconds },
    )
    assert.equal(batch.length, Math.min(size, 10))
  }
})

test('usage is summed up by service and by day, refunds taken off', async (t) => {
  const { operator, customer, account, clock } = await start(t, '1000')
  const first = await operator.charges.create({ account, ...seconds(10) })
  await operator.charges.refund(first.id, { amount: '10' })
  clock.nowMs += 86_400_000
  await operator.charges.create({ account, operation: 'unit', quantity: 3 })
  await operator.charges.create({ account, operation: 'unit', quantity: '0.5' })
  const summary = await summarizeUsage(customer, { until: new Date(clock.nowMs + 1) })
  assert.deepEqual([summary.credits, summary.charges], ['103.5', 3])
  assert.deepEqual(summary.operations, [
    { operation: 'transcription', credits: '100', charges: 1, average: '100', quantities: { second: '10' } },
    { operation: 'unit', credits: '3.5', charges: 2, average: '1.75', quantities: { request: '3.5' } },
  ])
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
  assert.deepEqual(summary.daily, [
    { day: day(clock.nowMs - 86_400_000), credits: '100' },
    { day: day(clock.nowMs), credits: '3.5' },
  ])
})

test('a watch tells each level once, and ends with its signal', async (t) => {
  const { operator, customer, account } = await start(t, '1000')
  const ending = new AbortController()
  const levels: (readonly [CreditLevel, string])[] = []
  for await (const { level, available } of watchCredits(customer, {
    warning: '500',
    critical: '100',
    everyMs: 20,
    signal: ending.signal,
  })) {
    levels.push([level, available])
    if (level === 'enough' && levels.length > 1) ending.abort()
    else if (level === 'critical') await operator.grants.create({ account, amount: '5000' })
    else await operator.charges.create({ account, operation: 'unit', quantity: level === 'enough' ? 600 : 350 })
  }
  assert.deepEqual(levels, [
    ['enough', '1000'],
    ['warning', '400'],
    ['critical', '50'],
    ['enough', '5050'],
  ])
})

test('a watch outlives a server that is away, and not a key that is revoked', async (t) => {
  const { url, operator, customer, account } = await start(t, '50')
  let failures = 2
  const shaky = new Obol({
    baseUrl: url,
    apiKey: OPERATOR_KEY,
    maxRetries: 0,
    fetch: (address, init) => (failures-- > 0 ? Promise.reject(new TypeError('fetch failed')) : fetch(address, init)),
  })
  for await (const { level } of watchCredits(shaky, { account, warning: '100', critical: '10', everyMs: 10 })) {
    assert.equal(level, 'warning')
    break
  }
  const [key] = await operator.keys.list({ account }).toArray()
  const watch = watchCredits(customer, { warning: '100', critical: '10', everyMs: 10 })
  await watch.next()
  await operator.keys.revoke(key?.id ?? '')
  await assert.rejects(
    watch.next(),
    (error) => error instanceof Error && (error instanceof InvalidKeyError || error.name === 'KeyRevokedError'),
  )
})

test('the feed is followed from where a reader ended', async (t) => {
  const { operator, account } = await start(t, '100')
  await operator.charges.create({ account, operation: 'unit' })
  const types: string[] = []
  let next: string | null = null
  for await (const followed of followEvents(operator, { everyMs: 10 })) {
    types.push(followed.event.type)
    next = followed.next ?? next
    if (followed.event.type.startsWith('charge.')) break
  }
  assert.ok(types.some((type) => type.startsWith('grant.')))
  const ending = new AbortController()
  await operator.charges.create({ account, operation: 'unit' })
  const later: string[] = []
  for await (const { event } of followEvents(operator, { everyMs: 10, signal: ending.signal, ...(next === null ? {} : { after: next }) })) {
    later.push(event.type)
    if (event.type.startsWith('charge.')) ending.abort()
  }
  assert.equal(later.filter((type) => type.startsWith('charge.')).length, 1)
})

test('credits are shown as money without a float', () => {
  assert.equal(inMoney('660', '1000'), '0.66')
  assert.equal(inMoney('1', '7500'), '0.000133')
  assert.throws(() => inMoney('1', '0'), InvalidArgumentError)
})
