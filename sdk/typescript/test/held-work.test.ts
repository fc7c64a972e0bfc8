/** Work that a hold pays for, without a framework: what becomes of it when the server is away, or says no. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as soon } from 'node:timers/promises'
import { OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'
import { TcpProxy } from '../../../test/running/proxy.ts'
import { InsufficientCreditsError } from '../src/api/problems.ts'
import { ConnectionError } from '../src/errors.ts'
import { holdWork, WorkEndedError, withHeldWork } from '../src/hooks/held-work.ts'
import { Obol } from '../src/obol.ts'

async function start(t: TestContext) {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, '1000')
  const obol = new Obol({ baseUrl: running.url, apiKey: OPERATOR_KEY })
  const charged = async (): Promise<readonly string[]> => (await obol.charges.list({ account }).toArray()).map(({ credits }) => credits)
  const available = async (): Promise<string | undefined> => (await obol.accounts.credits(account)).credit_types.credits?.available
  return { ...running, account, obol, charged, available, terms: { account, operation: 'unit', quantity: 10 } }
}

test('work that ends while the server is away is charged when it is back, once', async (t) => {
  const { url, terms, charged } = await start(t)
  const proxy = await TcpProxy.start(url)
  t.after(() => proxy.stop())
  const obol = new Obol({ baseUrl: proxy.url, apiKey: OPERATOR_KEY, maxRetries: 0 })
  const work = await holdWork(obol, terms)
  proxy.isDown = true
  proxy.cutAll()
  await assert.rejects(work.capture({ quantity: 7 }), ConnectionError)
  assert.deepEqual(await charged(), [])
  proxy.isDown = false
  const { outcome } = await work.done
  assert.equal(outcome, 'captured')
  assert.deepEqual(await charged(), ['7'])
})

test('work that returns is charged, and its result is given; work that throws is not', async (t) => {
  const { obol, terms, charged, available } = await start(t)
  assert.equal(await withHeldWork(obol, terms, async () => 'result'), 'result')
  assert.deepEqual(await charged(), ['10'])
  const failing = withHeldWork(obol, terms, async () => {
    throw new Error('the work fails')
  })
  await assert.rejects(failing, /the work fails/)
  assert.equal(await available(), '990')
  await assert.rejects(
    withHeldWork(obol, { ...terms, quantity: 5_000 }, async () => 'result'),
    InsufficientCreditsError,
  )
})

test('work that breaks off is charged for what it had counted', async (t) => {
  const { obol, terms, charged } = await start(t)
  const failing = withHeldWork(obol, terms, async (work) => {
    work.count({ quantity: 3 })
    throw new Error('the work breaks off')
  })
  await assert.rejects(failing, /breaks off/)
  assert.deepEqual(await charged(), ['3'])
})

test('what was counted and is refused, as above the hold, is charged as the whole hold rather than nothing', async (t) => {
  const { obol, terms, charged } = await start(t)
  const faults: unknown[] = []
  const work = await holdWork(obol, { ...terms, policy: 'reject' }, { onFault: (fault) => faults.push(fault) })
  work.count({ quantity: 30 })
  work.finish(true)
  assert.equal((await work.done).outcome, 'captured')
  assert.deepEqual(await charged(), ['10'])
  assert.equal(faults.length, 1)
})

test('a capture that is refused leaves the work open, to be ended otherwise', async (t) => {
  const { obol, terms, charged } = await start(t)
  const work = await holdWork(obol, terms)
  await assert.rejects(work.capture({ quantities: { parsec: 1 } }))
  await work.capture({ quantity: 4 })
  assert.deepEqual(await charged(), ['4'])
})

test('work ends once: what comes after is told what came before', async (t) => {
  const { obol, terms, charged, available } = await start(t)
  const captured = await holdWork(obol, terms)
  await captured.capture({ quantity: 1 })
  await assert.rejects(captured.release(), WorkEndedError)
  const released = await holdWork(obol, terms)
  await Promise.all([released.release(), released.release()])
  await assert.rejects(released.capture(), WorkEndedError)
  assert.deepEqual([await charged(), await available()], [['1'], '999'])
})

test('work that leaves its scope without an end is let go', async (t) => {
  const { obol, terms, available } = await start(t)
  {
    await using work = await holdWork(obol, terms)
    assert.equal(work.hold.held, '10')
    assert.equal(await available(), '990')
  }
  assert.equal(await available(), '1000')
})

test('a hold is extended while its work goes on', async (t) => {
  const { obol, terms, clock } = await start(t)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const work = await holdWork(obol, terms, { ttlSeconds: 60, maxSeconds: 600 })
  clock.nowMs += 30_000
  t.mock.timers.tick(30_000)
  let hold = await obol.holds.get(work.hold.id)
  for (let turns = 0; turns < 1_000 && hold.expires_at === work.hold.expires_at; turns++) {
    await soon()
    hold = await obol.holds.get(work.hold.id)
  }
  assert.ok(hold.expires_at > work.hold.expires_at)
  await work.release()
})
