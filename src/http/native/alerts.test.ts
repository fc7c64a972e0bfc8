import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer, type TestObol } from '../../../test/running/obol.ts'

/** A server with an account of 100 credits, and what is asked of it. */
async function start(t: Parameters<typeof startTestObol>[0]) {
  const obol = await startTestObol(t)
  await publishTestPrices(obol)
  const account = await openAccount(obol, '100')
  const charge = (amount: string, more: object = {}): Promise<TestAnswer> =>
    obol.call('POST', '/v1/charges', { account, operation: 'unit', amount, ...more })
  const set = (body: object): Promise<TestAnswer> => obol.call('POST', '/v1/alerts', { account, ...body })
  return { obol, account, charge, set }
}

/** The events of an account's last records, oldest first. */
async function eventsOf({ call }: TestObol, account: string): Promise<readonly string[]> {
  const { body } = await call('GET', `/v1/journal?account=${account}&limit=100`)
  return body.data.toReversed().flatMap(({ events }: { events: string[] }) => events)
}

test('an alert is set, fires once, is shown, changed, and deleted', async (t) => {
  const { obol, account, charge, set } = await start(t)
  const { call } = obol
  const made = await set({
    watch: 'balance',
    threshold: '30',
    level: 'critical',
    name: 'low',
    email_to: ['Ada@Example.com', 'ada@example.com'],
  })
  assert.equal(made.status, 201, made.text)
  const { id, created_at, ...rest } = made.body
  assert.match(id, /^alert_[0-9a-v]{16}$/)
  assert.equal(new Date(created_at).toISOString(), created_at)
  assert.deepEqual(rest, {
    object: 'alert',
    account,
    name: 'low',
    watch: 'balance',
    level: 'critical',
    credit_type: 'credits',
    key: null,
    time_zone: null,
    threshold: '30',
    threshold_percent: null,
    email_owners: true,
    email_to: ['Ada@Example.com'],
    status: 'armed',
    current: '100',
    fires_at: '30',
    fired_at: null,
  })
  assert.equal((await charge('75')).status, 201)
  await charge('1')
  const fired = (await call('GET', `/v1/alerts/${id}`)).body
  assert.deepEqual([fired.status, fired.current, fired.fired_at !== null], ['fired', '24', true])
  const { alerts } = (await call('GET', `/v1/accounts/${account}/credits`)).body
  assert.deepEqual(alerts, [
    {
      alert: id,
      watch: 'balance',
      level: 'critical',
      credit_type: 'credits',
      key: null,
      status: 'fired',
      current: '24',
      fires_at: '30',
      fired_at: fired.fired_at,
    },
  ])
  const changed = await call('PATCH', `/v1/alerts/${id}`, { threshold: 5, email_owners: false })
  assert.deepEqual([changed.status, changed.body.status, changed.body.fires_at, changed.body.email_owners], [200, 'armed', '5', false])
  assert.deepEqual((await call('GET', `/v1/alerts?account=${account}`)).body.data, [changed.body])
  const deleted = await call('DELETE', `/v1/alerts/${id}`)
  assert.deepEqual([deleted.status, deleted.body], [200, changed.body])
  assert.equal((await call('DELETE', `/v1/alerts/${id}`)).status, 404)
  const told = (await eventsOf(obol, account)).filter((type) => type.startsWith('alert') || type === 'credits.low')
  assert.deepEqual(told, ['alert.created', 'credits.low', 'alert.updated', 'alert.recovered', 'alert.deleted'])
})

test('a record says what it told of alerts', async (t) => {
  const { obol, account, charge, set } = await start(t)
  const { id } = (await set({ watch: 'balance', threshold: '30' })).body
  await charge('80')
  const { body } = await obol.call('GET', `/v1/journal?account=${account}&limit=2`)
  const [last, before] = body.data
  assert.deepEqual(last.alerts, [
    { alert: id, turn: 'fired', watch: 'balance', level: 'warning', credit_type: 'credits', key: null, current: '20', fires_at: '30' },
  ])
  assert.equal(before.alerts, undefined)
  assert.equal(before.subject, id)
})

test("what is spent in a day, and of a key's budget, is watched in the zone and by the key that are named", async (t) => {
  const { obol, account, charge, set } = await start(t)
  const { id: key } = await makeKey(obol, account, { budget: { limit: '40', period: 'month' } })
  const daily = (await set({ watch: 'daily_spend', threshold: 20, time_zone: 'Asia/Tokyo' })).body
  const budget = (await set({ watch: 'key_budget', key, threshold_percent: 50 })).body
  assert.deepEqual(
    [daily, budget].map(({ credit_type, key: watched, time_zone, fires_at }) => [credit_type, watched, time_zone, fires_at]),
    [
      ['credits', null, 'Asia/Tokyo', '20'],
      [null, key, null, '20'],
    ],
  )
  await charge('20', { account: undefined, key })
  const { alerts } = (await obol.call('GET', `/v1/accounts/${account}/credits`)).body
  assert.deepEqual(
    alerts.map(({ status, current }: TestAnswer['body']) => [status, current]),
    [
      ['fired', '20'],
      ['fired', '20'],
    ],
  )
  obol.clock.nowMs += 86_400_000
  const later = (await obol.call('GET', `/v1/accounts/${account}/credits`)).body
  assert.deepEqual(
    later.alerts.map(({ status, current }: TestAnswer['body']) => [status, current]),
    [
      ['armed', '0'],
      ['fired', '20'],
    ],
  )
})

test('the same request sets one alert, and another is told that it is not it', async (t) => {
  const { obol, account } = await start(t)
  const body = { account, watch: 'balance', threshold: '30' }
  const first = await obol.call('POST', '/v1/alerts', body, { idempotencyKey: 'one' })
  const again = await obol.call('POST', '/v1/alerts', body, { idempotencyKey: 'one' })
  assert.deepEqual([again.status, again.body], [201, first.body])
  await obol.call('DELETE', `/v1/alerts/${first.body.id}`)
  assert.equal((await obol.call('POST', '/v1/alerts', body, { idempotencyKey: 'one' })).body.id, first.body.id)
  assert.deepEqual((await obol.call('GET', `/v1/alerts?account=${account}`)).body.data, [])
})

const WRONG: Readonly<Record<string, { readonly body: object; readonly pointer: string }>> = {
  'no threshold': { body: { watch: 'balance' }, pointer: '#/threshold' },
  'two thresholds': { body: { watch: 'balance', threshold: 1, threshold_percent: 1 }, pointer: '#/threshold' },
  'a balance below nothing': { body: { watch: 'balance', threshold: -1 }, pointer: '#/threshold' },
  'nothing spent': { body: { watch: 'daily_spend', threshold: 0 }, pointer: '#/threshold' },
  'a share of nothing': { body: { watch: 'balance', threshold_percent: 0 }, pointer: '#/threshold_percent' },
  'a share beyond the whole': { body: { watch: 'balance', threshold_percent: 101 }, pointer: '#/threshold_percent' },
  'a zone that is none': { body: { watch: 'daily_spend', threshold: 1, time_zone: 'Mars/Olympus' }, pointer: '#/time_zone' },
  'a zone of a balance': { body: { watch: 'balance', threshold: 1, time_zone: 'UTC' }, pointer: '#/time_zone' },
  'a key of a balance': { body: { watch: 'balance', threshold: 1, key: 'key_0000000000000001' }, pointer: '#/key' },
  'no key': { body: { watch: 'key_budget', threshold: 1 }, pointer: '#/key' },
  'a credit type of a key': { body: { watch: 'key_budget', threshold: 1, credit_type: 'credits' }, pointer: '#/credit_type' },
  'an address that is none': { body: { watch: 'balance', threshold: 1, email_to: ['a@b.example', 'x'] }, pointer: '#/email_to/1' },
  'more addresses than may be': { body: { watch: 'balance', threshold: 1, email_to: Array(6).fill('a@b.example') }, pointer: '#/email_to' },
  'a watch that there is not': { body: { watch: 'weather', threshold: 1 }, pointer: '#/watch' },
}

test('what is wrong with an alert is said where it is', async (t) => {
  const { obol, set } = await start(t)
  for (const [what, { body, pointer }] of Object.entries(WRONG)) {
    const answer = await set(body)
    assert.deepEqual([answer.status, answer.body.code, answer.body.errors?.[0]?.pointer], [400, 'invalid_request', pointer], what)
  }
  assert.equal((await set({ watch: 'key_budget', threshold: 1, key: 'key_0000000000000001' })).body.code, 'key_not_found')
  assert.equal((await obol.call('POST', '/v1/alerts', { watch: 'balance', threshold: 1 })).status, 400)
})

test('customers set alerts as owners or with the scope, for their own account', async (t) => {
  const { obol, account } = await start(t)
  const other = await openAccount(obol, '1')
  const writer = await makeKey(obol, account, { scopes: ['alerts:write'] })
  const reader = await makeKey(obol, account)
  const body = { watch: 'balance', threshold: '3' }
  const made = await obol.call('POST', '/v1/alerts', body, { key: writer.secret })
  assert.equal(made.status, 201, made.text)
  assert.equal((await obol.call('POST', '/v1/alerts', body, { key: reader.secret })).body.code, 'scope_required')
  assert.equal((await obol.call('POST', '/v1/alerts', { ...body, account: other }, { key: writer.secret })).body.code, 'account_not_found')
  assert.equal((await obol.call('GET', `/v1/alerts/${made.body.id}`, undefined, { key: reader.secret })).status, 200)
  assert.equal((await obol.call('DELETE', `/v1/alerts/${made.body.id}`, undefined, { key: reader.secret })).body.code, 'scope_required')
})

test('a balance shows when it runs out, by what was spent in the last seven days of hours that are over', async (t) => {
  const { obol, account, charge } = await start(t)
  const forecast = async (): Promise<readonly unknown[]> => {
    const { credit_types } = (await obol.call('GET', `/v1/accounts/${account}/credits`)).body
    return [credit_types.credits.spent_per_day, credit_types.credits.runs_out_on]
  }
  const { clock } = obol
  clock.nowMs = Date.UTC(2027, 0, 10, 9, 30)
  assert.deepEqual(await forecast(), [null, null], 'nothing was spent')
  const { id } = (await charge('12')).body
  await charge('3')
  assert.deepEqual(await forecast(), [null, null], 'the hour is not over')
  clock.nowMs = Date.UTC(2027, 0, 10, 10)
  assert.deepEqual(await forecast(), ['15', '2027-01-16'], 'a pace is that of a day at least')
  await obol.call('POST', `/v1/charges/${id}/refund`, { amount: '5' })
  assert.deepEqual(await forecast(), ['15', '2027-01-16'], 'a balance of 90 now, at the same pace')
  clock.nowMs = Date.UTC(2027, 0, 11, 19)
  assert.deepEqual(await forecast(), ['7.058823', '2027-01-24'], '10 credits in the 34 hours since the first')
  clock.nowMs = Date.UTC(2027, 0, 17, 11)
  assert.deepEqual(await forecast(), [null, null], 'only a refund is younger than seven days')
  const { credit_types } = (await obol.call('GET', `/v1/accounts/${account}/credits?at=2027-01-10T12:00:00Z`)).body
  assert.deepEqual([credit_types.credits.spent_per_day, credit_types.credits.runs_out_on], [null, null], 'the past has no forecast')
})

test('a balance that was read stays the same answer until an hour is over in which credits were spent', async (t) => {
  const { obol, account, charge } = await start(t)
  obol.clock.nowMs = Date.UTC(2027, 0, 10, 9, 30)
  await charge('12')
  const tagOf = async (): Promise<string | null> => (await obol.call('GET', `/v1/accounts/${account}/credits`)).headers.get('etag')
  const first = await tagOf()
  obol.clock.nowMs += 1_799_999
  assert.equal(await tagOf(), first)
  obol.clock.nowMs += 1
  assert.notEqual(await tagOf(), first)
})
