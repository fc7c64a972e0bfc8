/** ETags, and balances as time moves them: an answer is new when it says something new, and only then. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

test('the ETag of credits', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const inMs = (ms: number): string => new Date(clock.nowMs + ms).toISOString()
  const poll = (secret: string, etag: string): Promise<TestAnswer> =>
    call('GET', '/v1/credits', undefined, { key: secret, headers: { 'if-none-match': etag } })
  const open = async (
    amount: string,
    grant: object = {},
  ): Promise<{ account: string; secret: string; id: string; etag: () => Promise<string> }> => {
    const account = await openAccount(obol, amount, { ...grant })
    const key = await makeKey(obol, account, { budget: { limit: '1000', period: 'day' } })
    const etag = async (): Promise<string> => (await call('GET', '/v1/credits', undefined, { key: key.secret })).headers.get('etag') ?? ''
    return { account, ...key, etag }
  }
  /** Asks with the ETag that was true just before a moment, and at it. */
  const assertTurns = async (secret: string, atMs: number, read: (body: TestAnswer['body']) => unknown): Promise<readonly unknown[]> => {
    clock.nowMs = atMs - 1
    const before = await call('GET', '/v1/credits', undefined, { key: secret })
    const etag = before.headers.get('etag') ?? ''
    assert.equal((await poll(secret, etag)).status, 304, 'a moment before, nothing has changed')
    clock.nowMs = atMs
    const after = await poll(secret, etag)
    assert.equal(after.status, 200, 'at the moment, it has')
    assert.notEqual(after.headers.get('etag'), etag)
    assert.equal(after.body.as_of, new Date(atMs).toISOString(), 'and says since when')
    assert.equal((await poll(secret, after.headers.get('etag') ?? '')).status, 304)
    return [read(before.body), read(after.body)]
  }

  await t.test('is quoted, the same for the same answer, and spares the body of what is known', async () => {
    const { secret, etag } = await open('100')
    const known = await etag()
    assert.match(known, /^"[^"]+"$/)
    clock.nowMs += 60_000
    assert.equal(await etag(), known, 'a minute alone changes nothing')
    for (const header of [known, `W/${known}`, `"other", ${known}`, `"other",W/${known}`, '*']) {
      const { status, text, headers } = await poll(secret, header)
      assert.deepEqual([status, text, headers.get('etag')], [304, '', known], header)
      assert.deepEqual([headers.get('cache-control'), headers.get('vary')], ['private, no-cache', 'Authorization'])
    }
    for (const header of ['"other"', known.replaceAll('"', ''), '', '"*"']) {
      const { status, headers } = await poll(secret, header)
      assert.deepEqual([status, headers.get('cache-control'), headers.get('vary')], [200, 'private, no-cache', 'Authorization'], header)
    }
  })

  await t.test('changes with every charge, hold, grant and change of the key, and not with those of other accounts', async () => {
    const { account, id, etag } = await open('100')
    const seen = new Set([await etag()])
    const changes: readonly (() => Promise<TestAnswer>)[] = [
      () => call('POST', '/v1/charges', { account, operation: 'unit' }),
      () => call('POST', '/v1/holds', { account, operation: 'unit' }),
      () => call('POST', '/v1/grants', { account, amount: '1' }),
      () => call('POST', '/v1/adjustments', { account, amount: '-1', reason: 'test' }),
      () => call('PATCH', `/v1/keys/${id}`, { name: 'New name' }),
      () => call('PATCH', `/v1/accounts/${account}`, { status: 'suspended' }),
    ]
    for (const [index, change] of changes.entries()) {
      assert.ok((await change()).status < 300)
      seen.add(await etag())
      assert.equal(seen.size, index + 2)
    }
    const other = await openAccount(obol)
    await call('POST', '/v1/charges', { account: other, operation: 'unit' })
    seen.add(await etag())
    assert.equal(seen.size, changes.length + 1)
  })

  await t.test('is another for another key, whose budget is another', async () => {
    const { account, secret, etag } = await open('100')
    const other = await makeKey(obol, account)
    assert.equal((await poll(other.secret, await etag())).status, 200)
    assert.equal((await poll(secret, await etag())).status, 304)
  })

  await t.test('changes when a grant expires, by itself', async () => {
    const endMs = clock.nowMs + 10 * DAY_MS
    const { secret } = await open('100', { expires_at: new Date(endMs).toISOString() })
    assert.deepEqual(
      await assertTurns(secret, endMs - 7 * DAY_MS, ({ expiring_soon }) => expiring_soon.length),
      [0, 1],
      'a week ahead it is announced',
    )
    assert.deepEqual(await assertTurns(secret, endMs, ({ credit_types }) => credit_types.credits.available), ['100', '0'])
  })

  await t.test('changes when a hold expires, by itself', async () => {
    const { account, secret } = await open('100')
    await call('POST', '/v1/holds', { account, operation: 'unit', amount: '60', ttl_seconds: 120 })
    assert.deepEqual(await assertTurns(secret, clock.nowMs + 120_000, ({ credit_types }) => credit_types.credits.available), ['40', '100'])
  })

  await t.test('changes when a grant becomes effective, by itself', async () => {
    const { account, secret } = await open('1')
    const startMs = clock.nowMs + 2 * HOUR_MS
    await call('POST', '/v1/grants', { account, amount: '9', effective_at: new Date(startMs).toISOString() })
    assert.deepEqual(
      await assertTurns(secret, startMs, ({ credit_types }) => [credit_types.credits.available, credit_types.credits.pending]),
      [
        ['1', '9'],
        ['10', '0'],
      ],
    )
  })

  await t.test('changes when a grant becomes effective and pays a debt, by itself', async () => {
    const { account, secret } = await open('1')
    const startMs = clock.nowMs + 2 * HOUR_MS
    await call('POST', '/v1/grants', { account, amount: '9', effective_at: new Date(startMs).toISOString() })
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit' })).body.id
    await call('POST', `/v1/holds/${hold}/capture`, { amount: '5' })
    assert.deepEqual(
      await assertTurns(secret, startMs, ({ credit_types }) => [credit_types.credits.available, credit_types.credits.debt]),
      [
        ['-4', '4'],
        ['5', '0'],
      ],
    )
  })

  await t.test('changes each time the window of a budget turns, also when nothing was charged in between', async () => {
    const { id, secret } = await open('100')
    await call('POST', '/v1/charges', { key: id, operation: 'unit' })
    for (let turn = 0; turn < 3; turn++) {
      const { resets_at } = (await call('GET', '/v1/credits', undefined, { key: secret })).body.key.budget
      const turnMs = Date.parse(resets_at)
      assert.ok(turnMs > clock.nowMs, `turn ${turn}: resets_at ${resets_at} is past`)
      const nextDay = new Date(turnMs + DAY_MS).toISOString()
      const [before, after] = await assertTurns(secret, turnMs, ({ key }) => [key.budget.spent, key.budget.resets_at])
      assert.deepEqual(
        [before, after],
        [
          [turn === 0 ? '1' : '0', resets_at],
          ['0', nextDay],
        ],
      )
    }
  })

  await t.test('stands for the moments in between: nothing else that passes changes it', async () => {
    const { account, etag } = await open('100')
    const known = await etag()
    const text = (await call('GET', `/v1/accounts/${account}/credits`)).text
    for (let step = 0; step < 20; step++) {
      clock.nowMs += 1_000
      assert.equal(await etag(), known)
      assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, text)
    }
    assert.ok(inMs(0) > JSON.parse(text).as_of)
  })
})

test('balances at a past moment', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const at = (account: string, ms: number): Promise<TestAnswer> =>
    call('GET', `/v1/accounts/${account}/credits?at=${new Date(ms).toISOString()}`)

  await t.test('are the balances that were recorded then, whatever has happened since', async () => {
    const account = (await call('POST', '/v1/accounts', { name: 'Past' })).body.id
    const endMs = clock.nowMs + 40_000
    const steps: readonly (() => Promise<unknown>)[] = [
      () => call('POST', '/v1/grants', { account, amount: '100', expires_at: new Date(endMs).toISOString() }),
      () => call('POST', '/v1/grants', { account, amount: '50', credit_type: 'image_credits' }),
      () => call('POST', '/v1/grants', { account, amount: '25', effective_at: new Date(clock.nowMs + 30_000).toISOString() }),
      () => call('POST', '/v1/charges', { account, operation: 'unit', amount: '30' }),
      () => call('POST', '/v1/holds', { account, operation: 'unit', amount: '20', ttl_seconds: 60 }),
      () => call('POST', '/v1/charges', { account, operation: 'image', quantity: 7 }),
      ...Array.from({ length: 12 }, () => () => Promise.resolve()),
      () => call('POST', '/v1/charges', { account, operation: 'unit', amount: '5' }),
      async () => call('POST', `/v1/charges/${(await call('GET', `/v1/charges?account=${account}&limit=1`)).body.data[0].id}/refund`, {}),
    ]
    const recorded: { atMs: number; credit_types: unknown; sequence: number }[] = []
    for (const step of steps) {
      clock.nowMs += 5_000
      await step()
      const { credit_types, sequence } = (await call('GET', `/v1/accounts/${account}/credits`)).body
      recorded.push({ atMs: clock.nowMs, credit_types, sequence })
    }
    clock.nowMs += DAY_MS
    for (const { atMs, credit_types } of recorded) {
      const { status, body, headers } = await at(account, atMs)
      assert.equal(status, 200)
      assert.deepEqual(body.credit_types, credit_types, new Date(atMs).toISOString())
      assert.equal(body.as_of, new Date(atMs).toISOString())
      assert.equal(headers.get('etag'), null, 'the past needs no ETag')
    }
  })

  await t.test('change at the moment of a record, and not a millisecond before', async () => {
    const account = await openAccount(obol, '10')
    clock.nowMs += 5_000
    const chargedMs = clock.nowMs
    await call('POST', '/v1/charges', { account, operation: 'unit', amount: '4' })
    clock.nowMs += 5_000
    const available = async (ms: number): Promise<string> => (await at(account, ms)).body.credit_types.credits.available
    assert.deepEqual([await available(chargedMs - 1), await available(chargedMs), await available(chargedMs + 1)], ['10', '6', '6'])
  })

  await t.test('before the account there are none, and in the future none yet', async () => {
    const account = await openAccount(obol, '10')
    const before = await at(account, clock.nowMs - 1)
    assert.deepEqual([before.status, before.body.code], [404, 'account_not_found'])
    assert.equal((await at(account, clock.nowMs)).status, 200, 'now is no future')
    const after = await at(account, clock.nowMs + 1)
    assert.deepEqual([after.status, after.body.code, after.body.errors[0].pointer], [400, 'invalid_request', 'query/at'])
  })

  await t.test('are found past a thousand records', async () => {
    const account = await openAccount(obol, '3000')
    const batch = { charges: Array.from({ length: 1_000 }, () => ({ account, operation: 'unit' })) }
    const moments: number[] = []
    for (let count = 0; count < 2; count++) {
      clock.nowMs += 1_000
      await call('POST', '/v1/charges/batch', batch)
      moments.push(clock.nowMs)
    }
    const available = await Promise.all(moments.map(async (ms) => (await at(account, ms)).body.credit_types.credits.available))
    assert.deepEqual(available, ['2000', '1000'])
  })
})
