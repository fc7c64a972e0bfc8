import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import {
  type CallOptions,
  makeKey,
  OPERATOR_KEY,
  openAccount,
  publishTestPrices,
  startTestObol,
  type TestAnswer,
  type TestObol,
} from '../../../test/running/obol.ts'
import { signUp } from '../../../test/running/people.ts'
import { type Receiver, startReceiver, until } from '../../../test/running/receiver.ts'
import { STORE_KINDS, type StoreKind } from '../../../test/running/store.ts'
import { readMessage } from '../../../test/running/webhooks.ts'

const PATH = '/v1/webhook-endpoints'
const HOOK = 'https://hooks.example.com/obol'
const ALLOWED = { OBOL_WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8' }
const HOUR_MS = 3_600_000

const told = ({ status, body }: TestAnswer): readonly unknown[] => [status, body.code]

interface World extends TestObol {
  readonly account: string
  readonly receiver: Receiver
  readonly charge: (account?: string) => Promise<string>
  readonly endpoint: (about?: Readonly<Record<string, unknown>>, options?: CallOptions) => Promise<TestAnswer['body']>
  /** Ids of events that came, in order. */
  readonly heard: () => readonly string[]
}

async function begin(t: TestContext, kind: StoreKind = 'sqlite'): Promise<World> {
  const obol = await startTestObol(t, ALLOWED, kind)
  const receiver = await startReceiver(t)
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const charge = async (of = account): Promise<string> => {
    const { status, body, text } = await obol.call('POST', '/v1/charges', { account: of, operation: 'unit' })
    assert.equal(status, 201, text)
    return body.id
  }
  obol.clock.nowMs += 1_000
  const endpoint: World['endpoint'] = async (about = {}, options = {}) => {
    const { status, body, text } = await obol.call('POST', PATH, { url: receiver.url, ...about }, options)
    assert.equal(status, 201, text)
    return body
  }
  const heard = (): readonly string[] => receiver.received.map(({ headers }) => String(headers['webhook-id']))
  return { ...obol, account, receiver, charge, endpoint, heard }
}

const eventOf = (charge: string): string => `${charge.replace('chg_', 'evt_')}_0`

test('an endpoint is what was said of it; its secret is shown once', async (t) => {
  const { call, account, endpoint } = await begin(t)
  const made = await endpoint({ account, url: HOOK, events: ['credits.*', 'charge.created'], description: 'the shop' })
  const { secret, created_at, ...others } = made
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  assert.deepEqual(others, {
    object: 'webhook_endpoint',
    id: made.id,
    account,
    url: HOOK,
    description: 'the shop',
    events: ['credits.*', 'charge.created'],
    previous_secret_until: null,
    status: 'enabled',
    disabled_reason: null,
    disabled_at: null,
    failing_since: null,
    waiting: null,
    replaying: false,
  })
  const { secret: _, ...shown } = made
  assert.deepEqual((await call('GET', `${PATH}/${made.id}`)).body, shown)
  const all = await endpoint({ url: 'https://other.example.com' })
  assert.deepEqual([all.account, all.events, all.url], [null, null, 'https://other.example.com/'])
  assert.deepEqual(
    (await call('GET', PATH)).body.data.map(({ id }: { id: string }) => id),
    [all.id],
  )
  assert.deepEqual((await call('GET', `${PATH}?account=${account}`)).body.data, [shown])
  assert.equal(created_at, shown.created_at)
})

test('what cannot be an endpoint is refused, each at its place', async (t) => {
  const { call, account } = await begin(t)
  const bad: readonly (readonly [body: object, pointer: string])[] = [
    [{}, '#/url'],
    [{ url: 'hooks.example.com' }, '#/url'],
    [{ url: 'https://ada:secret@hooks.example.com' }, '#/url'],
    [{ url: 'https://hooks.example.com:22' }, '#/url'],
    [{ url: HOOK, events: [] }, '#/events'],
    [{ url: HOOK, events: ['charge.created', 'charge.nothing'] }, '#/events/1'],
    [{ url: HOOK, events: ['*'] }, '#/events/0'],
    [{ url: HOOK, events: ['charge.*', 'charge.*'] }, '#/events'],
    [{ url: HOOK, secret: 'whsec_mine' }, '#/secret'],
    [{ url: HOOK, description: 'x'.repeat(501) }, '#/description'],
  ]
  for (const [body, pointer] of bad) {
    const answer = await call('POST', PATH, body)
    assert.deepEqual(told(answer), [400, 'invalid_request'], JSON.stringify(body))
    assert.equal(answer.body.errors[0].pointer, pointer)
  }
  for (const url of ['https://10.0.0.1', 'https://[::1]/', 'https://169.254.169.254/latest', 'https://0x0a.1'])
    assert.deepEqual(told(await call('POST', PATH, { url, account })), [400, 'webhook_address_refused'], url)
  assert.deepEqual(told(await call('POST', PATH, { url: HOOK, account: 'external:nobody' })), [404, 'account_not_found'])
})

test('whoever may not manage endpoints cannot see them; those of others are not found', async (t) => {
  const world = await begin(t)
  const { call, account, endpoint } = world
  const other = await openAccount(world)
  const [plain, scoped, foreign] = [
    await makeKey(world, account),
    await makeKey(world, account, { scopes: ['webhooks:write'] }),
    await makeKey(world, other, { scopes: ['webhooks:write'] }),
  ]
  const own = await endpoint({ url: HOOK }, { key: scoped.secret })
  assert.equal(own.account, account)
  const operators = await endpoint({ url: HOOK })
  const { access: owner } = await signUp(world, 'owner@example.com', { account, role: 'owner' })
  const { access: member } = await signUp(world, 'member@example.com', { account, role: 'member' })
  for (const key of [scoped.secret, owner, OPERATOR_KEY])
    assert.equal((await call('GET', `${PATH}/${own.id}`, undefined, { key })).status, 200)
  const actions: readonly (readonly [method: string, path: string, body?: object])[] = [
    ['GET', ''],
    ['GET', '/attempts'],
    ['PATCH', '', { description: 'mine' }],
    ['DELETE', ''],
    ['POST', '/rotate'],
    ['POST', '/test'],
    ['POST', '/resend', { event: 'evt_0000000000000001_0' }],
    ['POST', '/replay', { start: '2020-01-01T00:00:00Z' }],
  ]
  for (const [method, path, body] of actions) {
    const ask = async (id: string, key: string) => told(await call(method, `${PATH}/${id}${path}`, body, { key }))
    assert.deepEqual(await ask(own.id, plain.secret), [403, 'scope_required'], path)
    assert.deepEqual(await ask(own.id, member), [403, 'role_required'], path)
    assert.deepEqual(await ask(own.id, foreign.secret), [404, 'webhook_endpoint_not_found'], path)
    assert.deepEqual(await ask(operators.id, scoped.secret), [404, 'webhook_endpoint_not_found'], path)
    assert.deepEqual(await ask('nonsense', scoped.secret), [404, 'webhook_endpoint_not_found'], path)
  }
  assert.deepEqual(told(await call('POST', PATH, { url: HOOK, account: other }, { key: scoped.secret })), [404, 'account_not_found'])
  assert.deepEqual(told(await call('GET', PATH, undefined, { key: plain.secret })), [403, 'scope_required'])
})

test('a customer reaches no internal address, whatever the operator allows for itself', async (t) => {
  const world = await begin(t)
  const { call, clock, account, receiver, endpoint, charge } = world
  const { secret: key } = await makeKey(world, account, { scopes: ['webhooks:write'] })
  clock.nowMs += 1_000
  assert.deepEqual(told(await call('POST', PATH, { url: receiver.url }, { key })), [400, 'webhook_address_refused'])
  assert.deepEqual(told(await call('POST', PATH, { url: 'http://hooks.example.com' }, { key })), [400, 'webhook_address_refused'])
  const made = await endpoint({ account })
  assert.deepEqual(told(await call('PATCH', `${PATH}/${made.id}`, { url: `${receiver.url}/mine` }, { key })), [
    400,
    'webhook_address_refused',
  ])
  assert.equal((await call('PATCH', `${PATH}/${made.id}`, { description: 'ours' }, { key })).body.url, `${receiver.url}/`)
  await charge()
  await until(() => receiver.received.length === 1, 'what the operator named is reached')
  assert.equal((await call('PATCH', `${PATH}/${made.id}`, { url: HOOK }, { key })).status, 200)
  await charge()
  await until(async () => (await call('GET', `${PATH}/${made.id}`)).body.waiting !== null, 'it is tried')
  assert.equal(receiver.received.length, 1)
})

for (const kind of STORE_KINDS)
  describe(`webhooks of a server on ${kind}`, () => {
    test('events are sent within a second or two, as the feed has them', async (t) => {
      const { call, account, receiver, endpoint, charge, heard } = await begin(t, kind)
      const { id, secret } = await endpoint({ account })
      const charges = [await charge(), await charge(), await charge()]
      await until(() => receiver.received.length === 3, 'all are sent')
      assert.deepEqual(heard(), charges.map(eventOf))
      const { data } = (await call('GET', '/v1/events?limit=100')).body
      const feed = data.filter((event: { id: string }) => heard().includes(event.id))
      assert.deepEqual(
        receiver.received.map((request) => readMessage(request, secret).data),
        feed,
      )
      await until(async () => (await call('GET', `${PATH}/${id}/attempts`)).body.data.length === 3, 'all are noted')
      const attempts = (await call('GET', `${PATH}/${id}/attempts`)).body
      assert.deepEqual(
        attempts.data.map(({ event, cause, number, outcome, status_code, failure, next_attempt_at }: Record<string, unknown>) => [
          event,
          cause,
          number,
          outcome,
          status_code,
          failure,
          next_attempt_at,
        ]),
        charges.toReversed().map((one) => [eventOf(one), 'event', 1, 'delivered', 200, null, null]),
      )
      const page = (await call('GET', `${PATH}/${id}/attempts?limit=2`)).body
      assert.deepEqual([page.has_more, page.next_cursor], [true, page.data[1].id])
      const next = (await call('GET', `${PATH}/${id}/attempts?limit=2&starting_after=${page.next_cursor}`)).body
      assert.deepEqual([...page.data, ...next.data], attempts.data)
      const back = (await call('GET', `${PATH}/${id}/attempts?limit=2&ending_before=${next.data[0].id}`)).body
      assert.deepEqual(back.data, page.data)
      const ofEvent = (await call('GET', `${PATH}/${id}/attempts?event=${eventOf(charges[1] ?? '')}`)).body
      assert.deepEqual(ofEvent.data, [attempts.data[1]])
    })

    test('what fails shows, waits, and is sent again', async (t) => {
      const { call, clock, account, receiver, endpoint, charge, heard } = await begin(t, kind)
      const { id } = await endpoint({ account })
      receiver.answer = () => 500
      const first = await charge()
      await until(async () => (await call('GET', `${PATH}/${id}`)).body.failing_since !== null, 'it fails')
      const { body } = await call('GET', `${PATH}/${id}`)
      assert.deepEqual([body.status, body.waiting.accounts], ['enabled', 1])
      assert.ok(Date.parse(body.waiting.next_attempt_at) - clock.nowMs >= 5_000)
      receiver.answer = () => 200
      clock.nowMs += 6_000
      await until(() => receiver.received.length === 2, 'it is tried again')
      assert.deepEqual(heard(), [eventOf(first), eventOf(first)])
      await until(async () => (await call('GET', `${PATH}/${id}`)).body.failing_since === null, 'it does not fail any more')
    })

    test('one event is sent again whenever that is asked for, with its old id', async (t) => {
      const world = await begin(t, kind)
      const { call, account, receiver, endpoint, charge, heard } = world
      const { id } = await endpoint({ account, events: ['hold.*'] })
      const event = eventOf(await charge())
      for (let time = 1; time <= 2; time++) {
        const { status, body } = await call('POST', `${PATH}/${id}/resend`, { event })
        assert.deepEqual([status, body], [202, { object: 'webhook_resend', endpoint: id, event }])
        await until(() => receiver.received.length === time, 'it is sent')
      }
      assert.deepEqual(heard(), [event, event])
      await until(async () => (await call('GET', `${PATH}/${id}/attempts`)).body.data[1]?.cause === 'resend', 'it is noted')
      const foreign = eventOf(await charge(await openAccount(world)))
      for (const unknown of [foreign, event.replace(/_0$/, '_7'), event.replace(/.{4}_0$/, 'vvvv_0'), 'nonsense'])
        assert.deepEqual(told(await call('POST', `${PATH}/${id}/resend`, { event: unknown })), [404, 'event_not_found'], unknown)
    })

    test('a part of the past is sent again, in order, to an endpoint of an account and to one of the operator', async (t) => {
      const world = await begin(t, kind)
      const { call, clock, account, receiver, endpoint, charge } = world
      const other = await openAccount(world)
      const early = await charge()
      clock.nowMs += HOUR_MS
      const start = new Date(clock.nowMs).toISOString()
      const [first, elsewhere, second] = [await charge(), await charge(other), await charge()]
      clock.nowMs += HOUR_MS
      const end = new Date(clock.nowMs).toISOString()
      const late = await charge()
      clock.nowMs += HOUR_MS
      const own = await endpoint({ account, url: `${receiver.url}/own`, events: ['charge.created'] })
      const all = await endpoint({ url: `${receiver.url}/all`, events: ['charge.created'] })
      const heardAt = (path: string): readonly string[] =>
        receiver.received.filter((request) => request.path === path).map(({ headers }) => String(headers['webhook-id']))
      const { status, body } = await call('POST', `${PATH}/${own.id}/replay`, { start, end })
      assert.equal(status, 202)
      assert.match(body.id, /^whr_/)
      assert.deepEqual([body.start, body.end], [start, end])
      assert.equal((await call('POST', `${PATH}/${all.id}/replay`, { start, end })).status, 202)
      await until(() => receiver.received.length === 5, 'all are sent')
      assert.deepEqual(heardAt('/own'), [first, second].map(eventOf))
      assert.deepEqual(heardAt('/all').toSorted(), [first, elsewhere, second].map(eventOf).toSorted())
      for (const { id } of [own, all])
        await until(async () => (await call('GET', `${PATH}/${id}`)).body.replaying === false, 'the replay is over')
      assert.equal((await call('POST', `${PATH}/${own.id}/replay`, { start: '2020-01-01T00:00:00Z' })).status, 202)
      await until(() => heardAt('/own').length === 6, 'everything is sent')
      assert.deepEqual(heardAt('/own').slice(2), [early, first, second, late].map(eventOf))
      const attempts = (await call('GET', `${PATH}/${own.id}/attempts?limit=100`)).body.data
      assert.ok(attempts.every(({ cause }: { cause: string }) => cause === 'replay'))
      for (const range of [{ start: end, end: start }, { start: '2999-01-01T00:00:00Z' }, { start: 'yesterday' }])
        assert.deepEqual(told(await call('POST', `${PATH}/${own.id}/replay`, range)), [400, 'invalid_request'])
    })

    test('an endpoint that answers 410 is disabled with its reason; enabled again, it hears of what happens from then on', async (t) => {
      const { call, clock, log, account, receiver, endpoint, charge, heard } = await begin(t, kind)
      const { id } = await endpoint({ account })
      receiver.answer = () => 410
      const missed = await charge()
      await until(async () => (await call('GET', `${PATH}/${id}`)).body.status === 'disabled', 'it is disabled')
      const { body } = await call('GET', `${PATH}/${id}`)
      assert.deepEqual([body.disabled_reason, body.waiting, body.disabled_at], ['gone', null, new Date(clock.nowMs).toISOString()])
      await until(() => log.some((line) => line.includes('a webhook endpoint was disabled') && line.includes(id)), 'it is logged')
      assert.deepEqual(told(await call('POST', `${PATH}/${id}/resend`, { event: eventOf(missed) })), [409, 'webhook_endpoint_disabled'])
      await endpoint({ account, url: HOOK, events: ['hold.*'] })
      for (const query of ['?failed=true', `?failed=true&account=${account}`])
        assert.deepEqual((await call('GET', `${PATH}${query}`)).body.data, [body], query)
      await charge()
      clock.nowMs += HOUR_MS
      receiver.answer = () => 200
      const enabled = (await call('PATCH', `${PATH}/${id}`, { status: 'enabled' })).body
      assert.deepEqual([enabled.status, enabled.disabled_reason, enabled.disabled_at], ['enabled', null, null])
      const after = await charge()
      await until(() => receiver.received.length === 2, 'it hears again')
      assert.deepEqual(heard(), [missed, after].map(eventOf))
    })
  })

test('a test event is sent at once, to a disabled endpoint as well, and its outcome is the answer', async (t) => {
  const { call, account, receiver, endpoint } = await begin(t)
  const { id, secret } = await endpoint({ account })
  const { status, body } = await call('POST', `${PATH}/${id}/test`)
  assert.equal(status, 200)
  const { id: attempt, duration_ms, at, event, ...others } = body
  assert.deepEqual(others, {
    object: 'webhook_attempt',
    endpoint: id,
    type: 'webhook.test',
    cause: 'test',
    number: 1,
    outcome: 'delivered',
    status_code: 200,
    failure: null,
    next_attempt_at: null,
  })
  const [request] = receiver.received
  const message = new Webhook(secret).verify(request?.body ?? '', { ...request?.headers } as Record<string, string>) as Record<
    string,
    unknown
  >
  assert.deepEqual(message, {
    type: 'webhook.test',
    timestamp: at,
    data: { object: 'webhook_test', id: event, endpoint: id, created_at: at },
  })
  await call('PATCH', `${PATH}/${id}`, { status: 'disabled' })
  receiver.answer = () => 301
  const failed = (await call('POST', `${PATH}/${id}/test`)).body
  assert.deepEqual([failed.outcome, failed.status_code, failed.failure], ['given_up', 301, 'not_accepted'])
  assert.deepEqual((await call('GET', `${PATH}/${id}/attempts`)).body.data, [failed, body])
  assert.ok(duration_ms >= 0 && attempt !== failed.id)
})

test('trials are bounded, those of one owner and all: when too many are on their way, another is turned away', async (t) => {
  const obol = await begin(t)
  const { call, account, receiver, endpoint } = obol
  const accounts = [account, ...(await Promise.all(Array.from({ length: 5 }, () => openAccount(obol))))]
  // What was done to them is before the endpoints, which are to be sent trials alone.
  obol.clock.nowMs += 1_000
  const ids: string[] = []
  for (const one of accounts) ids.push((await endpoint({ account: one })).id)
  const [id] = ids
  const answers: (() => void)[] = []
  receiver.answer = (_, response) => {
    answers.push(() => response.writeHead(200).end())
    return undefined
  }
  const some = (count: number, at: string | undefined) => Array.from({ length: count }, () => call('POST', `${PATH}/${at}/test`))
  const trials = some(3, id)
  await until(() => answers.length === 3, 'those of one are on their way')
  assert.deepEqual(told(await call('POST', `${PATH}/${id}/test`)), [503, 'overloaded'], 'it may have no more')
  trials.push(...ids.slice(1).flatMap((other, index) => some(index < 4 ? 3 : 1, other)))
  await until(() => answers.length === 16, 'all are on their way')
  assert.deepEqual(told(await call('POST', `${PATH}/${ids.at(-1)}/test`)), [503, 'overloaded'], 'nobody may have more')
  for (const answer of answers) answer()
  assert.ok((await Promise.all(trials)).every(({ status }) => status === 200))
})

test('a secret is replaced, the old one signs until the overlap ends, and a removed endpoint is gone', async (t) => {
  const { call, clock, account, endpoint } = await begin(t)
  const made = await endpoint({ account, url: HOOK })
  const rotated = (await call('POST', `${PATH}/${made.id}/rotate`, { overlap_seconds: 60 })).body
  assert.notEqual(rotated.secret, made.secret)
  assert.equal(rotated.previous_secret_until, new Date(clock.nowMs + 60_000).toISOString())
  assert.equal((await call('GET', `${PATH}/${made.id}`)).body.secret, undefined)
  assert.equal(
    (await call('POST', `${PATH}/${made.id}/rotate`)).body.previous_secret_until,
    new Date(clock.nowMs + 86_400_000).toISOString(),
  )
  assert.equal((await call('DELETE', `${PATH}/${made.id}`)).body.id, made.id)
  assert.deepEqual(told(await call('GET', `${PATH}/${made.id}`)), [404, 'webhook_endpoint_not_found'])
  assert.deepEqual(told(await call('DELETE', `${PATH}/${made.id}`)), [404, 'webhook_endpoint_not_found'])
})
