/** Plans and subscriptions over HTTP: what is offered, what an account has of it, and what comes next. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { makeKey, openAccount, startTestObol, type TestAnswer, type TestObol } from '../../../test/running/obol.ts'

const DAY_MS = 86_400_000

type Body = TestAnswer['body']

interface Scene extends TestObol {
  readonly account: string
  readonly plan: (id: string, more?: object) => Promise<Body>
  readonly subscribe: (plan: string, more?: object) => Promise<Body>
  readonly credits: () => Promise<Body>
}

async function open(t: TestContext, startsAt = '2027-01-31T10:00:00Z'): Promise<Scene> {
  const obol = await startTestObol(t)
  obol.clock.nowMs = Date.parse(startsAt)
  const account = await openAccount(obol, '0')
  const { call } = obol
  const done = async (answer: Promise<TestAnswer>, status: number): Promise<Body> => {
    const { status: given, body } = await answer
    assert.equal(given, status, JSON.stringify(body))
    return body
  }
  return {
    ...obol,
    account,
    plan: (id, more = {}) => done(call('PUT', `/v1/plans/${id}`, { name: id, credits: [{ amount: '100' }], ...more }), 200),
    subscribe: (plan, more = {}) => done(call('POST', '/v1/subscriptions', { account, plan, ...more }), 201),
    credits: async () => (await call('GET', `/v1/credits?account=${account}`)).body,
  }
}

const FULL = {
  name: 'Team',
  credits: [
    { amount: '500', rollover: { percent: 50, cap: '100', periods: 2 } },
    { credit_type: 'image_credits', amount: 20, rollover: {} },
  ],
  period: { unit: 'week', count: 2 },
  time_zone: 'Europe/Berlin',
  welcome: [{ amount: '10', expires_in_days: 90 }],
  trial: { days: 14, credits: [{ amount: '25' }] },
  price: { amount_minor: 4_900, currency: 'eur' },
} as const

test('a plan is set in versions, and says all that it was set with', async (t) => {
  const { call, plan, account } = await open(t)
  const made = await plan('team', FULL)
  assert.deepEqual(made, {
    object: 'plan',
    id: 'team',
    version: 1,
    name: 'Team',
    archived: false,
    period: { unit: 'week', count: 2 },
    time_zone: 'Europe/Berlin',
    credits: [
      { credit_type: 'credits', amount: '500', rollover: { percent: 50, cap: '100', periods: 2 } },
      { credit_type: 'image_credits', amount: '20', rollover: { percent: 100, cap: null, periods: 1 } },
    ],
    welcome: [{ credit_type: 'credits', amount: '10', expires_in_days: 90 }],
    trial: { days: 14, credits: [{ credit_type: 'credits', amount: '25' }] },
    price: { amount_minor: 4_900, currency: 'eur' },
    created_at: made.created_at,
  })
  assert.deepEqual(await plan('team', FULL), made, 'the same again is no other version')
  assert.equal((await plan('team', { ...FULL, name: 'The team' })).version, 2)
  assert.equal((await plan('team', { ...FULL, name: 'The team', archived: true })).version, 3)
  await plan('basic')
  const { secret } = await makeKey({ call }, account)
  const { body } = await call('GET', '/v1/plans', undefined, { key: secret })
  assert.deepEqual(
    body.data.map(({ id, version, archived }: Body) => [id, version, archived]),
    [
      ['basic', 1, false],
      ['team', 3, true],
    ],
  )
  const { body: page } = await call('GET', '/v1/plans?limit=1')
  assert.deepEqual([page.has_more, page.next_cursor, page.data.length], [true, 'basic', 1])
  assert.equal((await call('GET', '/v1/plans/team?version=1')).body.name, 'Team')
  assert.equal((await call('PUT', '/v1/plans/team', FULL, { key: secret })).status, 403)
})

const WRONG: Readonly<Record<string, object>> = {
  'no credits': { credits: [] },
  'nothing of a type': { credits: [{ amount: '0' }] },
  'a type twice': { credits: [{ amount: '1' }, { amount: '2' }] },
  'a zone that is none': { time_zone: 'Mars/Olympus' },
  'an offset for a zone': { time_zone: '+05:30' },
  'more than all': { credits: [{ amount: '1', rollover: { percent: 101 } }] },
  'a period of nothing': { period: { unit: 'month', count: 0 } },
  'a field that nobody knows': { colour: 'red' },
}

for (const [what, more] of Object.entries(WRONG))
  test(`a plan with ${what} is turned away`, async (t) => {
    const { call } = await open(t)
    const { status, body } = await call('PUT', '/v1/plans/pro', { name: 'Pro', credits: [{ amount: '1' }], ...more })
    assert.deepEqual([status, body.code], [400, 'invalid_request'])
    assert.equal((await call('GET', '/v1/plans/pro')).status, 404)
  })

test('a subscription gives its credits each period, and the account sees the next ones coming', async (t) => {
  const { clock, plan, subscribe, credits, call, account } = await open(t)
  await plan('pro', { credits: [{ amount: '100', rollover: { percent: 50 } }] })
  const subscription = await subscribe('pro', { metadata: { from: 'sign-up' } })
  assert.deepEqual(
    [subscription.status, subscription.current_period, subscription.metadata],
    ['active', { start: '2027-01-31T10:00:00.000Z', end: '2027-02-28T10:00:00.000Z' }, { from: 'sign-up' }],
  )
  const { credit_types, next_renewal, renewals } = await credits()
  assert.equal(credit_types.credits.available, '100')
  assert.deepEqual(next_renewal, {
    subscription: subscription.id,
    plan: 'pro',
    at: '2027-02-28T10:00:00.000Z',
    credits: [{ credit_type: 'credits', amount: '100' }],
    price: null,
  })
  assert.deepEqual(renewals, [next_renewal])
  clock.nowMs = Date.parse('2027-05-01T00:00:00Z')
  assert.deepEqual((await credits()).credit_types.credits.sources, { plan: '100', rollover: '50' }, 'the first answer after three months')
  const now = (await call('GET', `/v1/subscriptions/${subscription.id}`)).body
  assert.equal(now.current_period.end, '2027-05-31T10:00:00.000Z')
  await call('POST', '/v1/charges', { account, operation: 'x', amount: '1' })
  const { body } = await call('GET', `/v1/journal?account=${account}&limit=100`)
  const renewed = body.data.filter(({ kind }: Body) => kind === 'subscription_renewed')
  assert.deepEqual(
    renewed.map(({ subject }: Body) => subject),
    Array(3).fill(subscription.id),
  )
})

test('a subscription is asked for once under one key', async (t) => {
  const { call, plan, account } = await open(t)
  await plan('pro')
  const ask = (): Promise<TestAnswer> => call('POST', '/v1/subscriptions', { account, plan: 'pro' }, { idempotencyKey: 'one' })
  const [first, second] = [await ask(), await ask()]
  assert.deepEqual([first.status, second.status, second.headers.get('idempotent-replayed')], [201, 201, 'true'])
  assert.equal(second.body.id, first.body.id)
  assert.equal((await call('POST', '/v1/subscriptions', { account, plan: 'pro' }, { idempotencyKey: null })).status, 400)
})

test('a change explains itself before it is made, and does what it said', async (t) => {
  const { clock, call, plan, subscribe, credits } = await open(t, '2027-04-01T00:00:00Z')
  await plan('small')
  await plan('large', { credits: [{ amount: '600' }, { credit_type: 'image_credits', amount: '30' }] })
  const { id } = await subscribe('small')
  clock.nowMs += 18 * DAY_MS
  const path = `/v1/subscriptions/${id}/change`
  const { body: preview } = await call('POST', `${path}/preview`, { plan: 'large' }, { idempotencyKey: null })
  assert.deepEqual(preview, {
    object: 'subscription_change_preview',
    plan: 'large',
    plan_version: 1,
    takes_effect: 'now',
    proration: { remaining_seconds: (12 * DAY_MS) / 1_000, period_seconds: (30 * DAY_MS) / 1_000, credited_minor: 0, charged_minor: 0 },
    credits: [
      { credit_type: 'credits', unused: '40', due: '240', taken: '0', given: '200' },
      { credit_type: 'image_credits', unused: '0', due: '12', taken: '0', given: '12' },
    ],
    to_pay: null,
    credit: null,
  })
  assert.equal((await credits()).credit_types.credits.available, '100', 'nothing has changed')
  const changed = await call('POST', path, { plan: 'large' }, { idempotencyKey: 'c' })
  assert.deepEqual([changed.status, changed.body.plan, changed.body.proration], [200, 'large', preview.proration])
  const again = await call('POST', path, { plan: 'large' }, { idempotencyKey: 'c' })
  assert.deepEqual([again.headers.get('idempotent-replayed'), again.body], ['true', changed.body])
  const { credit_types } = await credits()
  assert.deepEqual([credit_types.credits.available, credit_types.image_credits.available], ['300', '12'])
  const later = await call('POST', path, { plan: 'small', at: 'period_end' })
  assert.deepEqual(later.body.pending_change, { plan: 'small', plan_version: 1, waits_for: 'period_end' })
  assert.equal((await credits()).next_renewal.plan, 'small')
})

test('a subscription is paused, resumed and canceled, and says what comes of it', async (t) => {
  const { clock, call, plan, subscribe, credits } = await open(t)
  await plan('pro')
  const { id } = await subscribe('pro')
  const act = async (what: string, body?: object): Promise<Body> => (await call('POST', `/v1/subscriptions/${id}/${what}`, body)).body
  assert.equal((await act('pause')).status, 'paused')
  assert.equal((await credits()).next_renewal, null)
  clock.nowMs = Date.parse('2027-04-10T00:00:00Z')
  assert.equal((await credits()).credit_types.credits.available, '0')
  const resumed = await act('resume')
  assert.deepEqual([resumed.status, resumed.current_period.start], ['active', '2027-04-10T00:00:00.000Z'])
  const canceled = await act('cancel')
  assert.deepEqual([canceled.status, canceled.cancels_at, canceled.next_renewal], ['active', '2027-05-10T00:00:00.000Z', null])
  clock.nowMs = Date.parse('2027-06-01T00:00:00Z')
  const ended = (await call('GET', `/v1/subscriptions/${id}`)).body
  assert.deepEqual([ended.status, ended.ended_at, ended.ended_because], ['ended', '2027-05-10T00:00:00.000Z', 'canceled'])
  assert.equal((await credits()).credit_types.credits.available, '0')
  assert.equal((await subscribe('pro')).status, 'active', 'the plan may be had again')
  const { body } = await call('GET', `/v1/subscriptions?account=${(await credits()).account}`)
  assert.deepEqual(
    body.data.map(({ status }: Body) => status),
    ['active', 'ended'],
  )
})

test('customers see their own subscriptions, and change nothing', async (t) => {
  const { call, plan, subscribe, account } = await open(t)
  await plan('pro')
  const { id } = await subscribe('pro')
  const { secret } = await makeKey({ call }, account)
  const other = await makeKey({ call }, await openAccount({ call }, '0'))
  assert.equal((await call('GET', `/v1/subscriptions/${id}`, undefined, { key: secret })).status, 200)
  assert.equal((await call('GET', `/v1/subscriptions/${id}`, undefined, { key: other.secret })).status, 404)
  assert.deepEqual((await call('GET', '/v1/subscriptions', undefined, { key: other.secret })).body.data, [])
  for (const what of ['pause', 'resume', 'cancel', 'change'])
    assert.equal((await call('POST', `/v1/subscriptions/${id}/${what}`, { plan: 'pro' }, { key: secret })).status, 403, what)
})

test('an account on a test clock is moved through months by its clock, and the books are right', async (t) => {
  const obol = await startTestObol(t, { OBOL_TEST_CLOCKS: 'on' })
  const { call } = obol
  const { body: clock } = await call('POST', '/v1/test-clocks', { name: 'a year', now: '2031-01-31T00:00:00Z' })
  assert.deepEqual([clock.now, clock.status], ['2031-01-31T00:00:00.000Z', 'ready'])
  const { body: account } = await call('POST', '/v1/accounts', { name: 'Ada', test_clock: clock.id })
  assert.equal(account.created_at, '2031-01-31T00:00:00.000Z')
  await call('PUT', '/v1/plans/pro', { name: 'Pro', credits: [{ amount: '100' }] })
  await call('POST', '/v1/subscriptions', { account: account.id, plan: 'pro' })
  await call('POST', '/v1/grants', { account: account.id, amount: '5', expires_at: '2031-02-10T00:00:00Z' })
  const credits = async (): Promise<Body> => (await call('GET', `/v1/credits?account=${account.id}`)).body
  obol.clock.nowMs += 400 * DAY_MS
  assert.deepEqual([(await credits()).credit_types.credits.available, (await credits()).as_of], ['105', '2031-01-31T00:00:00.000Z'])
  const hold = (await call('POST', '/v1/holds', { account: account.id, operation: 'x', amount: '7', ttl_seconds: 3_600 })).body
  const moved = await call('POST', `/v1/test-clocks/${clock.id}/advance`, { to: '2031-03-01T00:00:00Z' })
  assert.deepEqual([moved.status, moved.body.now, moved.body.status], [200, '2031-03-01T00:00:00.000Z', 'ready'])
  const after = await credits()
  assert.deepEqual([after.credit_types.credits.available, after.credit_types.credits.held], ['100', '0'])
  assert.equal(after.next_renewal.at, '2031-03-31T00:00:00.000Z', 'the 31st comes back')
  assert.equal((await call('GET', `/v1/holds/${hold.id}`)).body.status, 'expired')
  const back = await call('POST', `/v1/test-clocks/${clock.id}/advance`, { to: '2031-02-01T00:00:00Z' })
  assert.equal(back.body.now, '2031-03-01T00:00:00.000Z')
  assert.equal((await call('POST', `/v1/test-clocks/${clock.id}/advance`, { to: '2040-01-01T00:00:00Z' })).status, 400)
  assert.deepEqual((await obol.obol.services.store.audit()).differences, [])
})

test('work that failed is made good by the report of it, as far as the policy goes, and once', async (t) => {
  const obol = await startTestObol(t, { OBOL_MAKE_GOOD_PERCENT: '50' })
  const { call } = obol
  const account = await openAccount(obol, '100')
  const { body: charge } = await call('POST', '/v1/charges', { account, operation: 'x', amount: '40' })
  const report = (status: string): Promise<TestAnswer> => call('POST', `/v1/charges/${charge.id}/outcome`, { status, reason: 'GPU lost' })
  assert.equal((await report('succeeded')).body.credits, '0')
  const failed = await report('failed')
  assert.deepEqual([failed.status, failed.body.credits, failed.body.balance.available], [201, '20', '80'])
  assert.equal((await report('failed')).body.credits, '0')
  const { body } = await call('GET', `/v1/journal?account=${account}&limit=1`)
  assert.deepEqual(
    [body.data[0].kind, body.data[0].subject, body.data[0].events],
    ['outcome_reported', charge.id, ['charge.outcome_reported']],
  )
  const usage = await call('GET', `/v1/usage?account=${account}&bucket=day`)
  assert.equal(JSON.stringify(usage.body).includes('"refunded":"20"'), true)
})
