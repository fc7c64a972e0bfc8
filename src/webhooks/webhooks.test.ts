/** What endpoints are promised: every event, in order within an account, again until it is accepted, and nobody waits for another. */

import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { type Received, type Receiver, startReceiver, until } from '../../test/running/receiver.ts'
import { openTestStore, STORE_KINDS, type StoreKind, type TestStore } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, openAccount } from '../../test/running/store-commands.ts'
import { addEndpoint, makeWebhooks, readMessage, type TestWebhooks, type WebhookOptions } from '../../test/running/webhooks.ts'
import { accountId } from '../core/ids.ts'
import type { EndpointRow, NewEndpoint } from '../stores/webhooks/endpoints.ts'
import { DISABLED_AFTER_MS, RETRY_WAITS_MS } from './schedule.ts'
import type { WebhookParts } from './webhooks.ts'

const [ADA, BOB, CAI] = [1, 2, 3]
const SECOND_MS = 1_000

interface World extends TestStore, TestWebhooks {
  readonly receiver: Receiver
  readonly endpoint: (about?: Partial<NewEndpoint>) => Promise<EndpointRow>
}

/** A store with accounts, of which nobody has heard yet. */
async function begin(t: TestContext, kind: StoreKind, options: WebhookOptions = {}): Promise<World> {
  const receiver = await startReceiver(t)
  const opened = await openTestStore(t, kind)
  const { store, clock } = opened
  for (const account of [ADA, BOB, CAI]) await openAccount(store, account)
  clock.nowMs += SECOND_MS
  const made = makeWebhooks(t, store, clock, options)
  const endpoint = (about: Partial<NewEndpoint> = {}): Promise<EndpointRow> =>
    addEndpoint(store, { url: `${receiver.url}/`, nowMs: clock.nowMs, ...about })
  return { ...opened, ...made, receiver, endpoint }
}

/** What a receiver has heard: events of accounts. */
function heard({ received }: Pick<Receiver, 'received'>, secret: string): readonly string[] {
  return received.map((request) => {
    const { account, sequence, type } = readMessage(request, secret)
    return `${account} ${sequence} ${type}`
  })
}

const event = (account: number, sequence: number, type = 'charge.created'): string => `${accountId(account)} ${sequence} ${type}`

for (const kind of STORE_KINDS)
  describe(`webhooks delivered from ${kind}`, () => {
    hearing(kind)
    trying(kind)
    failing(kind)
    stopping(kind)
  })

function hearing(kind: StoreKind): void {
  test('an endpoint hears each event from when it was made, in order, as the feed has it, signed', async (t) => {
    const { store, receiver, endpoint, turn } = await begin(t, kind)
    const { secret } = await endpoint({ owner: ADA })
    await make.make(store, ADA, make.charge(1))
    await make.make(store, BOB, make.charge(1))
    const hold = await make.seqOf(store, ADA, make.hold(10))
    await make.make(store, ADA, make.capture(hold, 4))
    await turn()
    assert.deepEqual(heard(receiver, secret), [
      event(ADA, 3),
      event(ADA, 4, 'hold.created'),
      event(ADA, 5, 'charge.created'),
      event(ADA, 5, 'hold.captured'),
    ])
    const [first] = receiver.received
    assert.match(first?.headers['webhook-id'] as string, /^evt_[0-9a-v]{16}_0$/)
    assert.deepEqual(Object.keys(JSON.parse(first?.body ?? '')), ['type', 'timestamp', 'data'])
    await turn()
    assert.equal(receiver.received.length, 4, 'nothing is sent twice')
  })

  test('the operator hears of all accounts, and each endpoint what it asks for', async (t) => {
    const { store, receiver, endpoint, turn } = await begin(t, kind)
    const all = await endpoint()
    const some = await startReceiver(t)
    const { secret } = await endpoint({ url: some.url, filter: ['hold.*', 'credits.exhausted'] })
    await make.make(store, ADA, make.charge(1))
    await make.make(store, BOB, make.charge(1_000))
    await make.make(store, ADA, make.hold(1))
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.deepEqual(heard(some, secret).toSorted(), [event(ADA, 4, 'hold.created'), event(BOB, 3, 'credits.exhausted')])
    const told = heard(receiver, all.secret)
    assert.deepEqual(
      told.filter((one) => one.startsWith(accountId(ADA))),
      [event(ADA, 3), event(ADA, 4, 'hold.created'), event(ADA, 5)],
    )
    assert.deepEqual(
      told.filter((one) => one.startsWith(accountId(BOB))),
      [event(BOB, 3), event(BOB, 3, 'credits.exhausted')],
    )
  })

  test('what was before nobody is told, however much it was', async (t) => {
    const { store, clock, receiver, endpoint, turn } = await begin(t, kind)
    for (let time = 0; time < 30; time++) await make.make(store, ADA, make.charge(1))
    await turn()
    clock.nowMs += SECOND_MS
    const { secret } = await endpoint({ owner: ADA })
    await turn()
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.deepEqual(heard(receiver, secret), [event(ADA, 33)])
  })

  test('many accounts and a long history are told completely, each account in order', async (t) => {
    const { store, receiver, endpoint, turn } = await begin(t, kind)
    const { secret } = await endpoint({ filter: ['charge.created'] })
    const accounts = Array.from({ length: 60 }, (_, index) => 100 + index)
    await Promise.all(accounts.map((account) => openAccount(store, account)))
    for (let time = 0; time < 12; time++) await Promise.all(accounts.map((account) => make.make(store, account, make.charge(1))))
    await until(async () => {
      await turn()
      return receiver.received.length >= 720
    }, 'all are told')
    const told = heard(receiver, secret)
    assert.equal(told.length, 720)
    for (const account of accounts)
      assert.deepEqual(
        told.filter((one) => one.startsWith(`${accountId(account)} `)),
        Array.from({ length: 12 }, (_, index) => event(account, 3 + index)),
      )
  })

  test('a change of what an endpoint asks for holds for what is sent from then on', async (t) => {
    const { store, clock, receiver, endpoint, turn } = await begin(t, kind)
    const { id, secret } = await endpoint({ owner: ADA })
    receiver.answer = () => 500
    await make.make(store, ADA, make.charge(1))
    const hold = await make.seqOf(store, ADA, make.hold(1))
    await make.make(store, ADA, make.charge(1))
    await turn()
    await store.webhooks.endpoints.update(id, { filter: ['hold.*'] })
    receiver.answer = () => 200
    clock.nowMs += MINUTE_MS
    await turn()
    assert.deepEqual(heard(receiver, secret).slice(1), [event(ADA, hold, 'hold.created')])
    assert.equal(await store.webhooks.deliveries.waiting(id), null)
  })

  test('a record of very many entries is sent with the first of them', async (t) => {
    const { store, receiver, endpoint, turn } = await begin(t, kind)
    const { secret } = await endpoint({ owner: ADA, filter: ['charge.created'] })
    for (let time = 0; time < 300; time++) await make.make(store, ADA, make.grant(1))
    await make.make(store, ADA, make.charge(1_250))
    await turn()
    const [request] = receiver.received
    assert.ok(request !== undefined && request.body.length < 20_000, `${request?.body.length} characters`)
    const { record } = readMessage(request, secret).data as { record: { entries: unknown[]; entries_left_out: number } }
    assert.deepEqual([record.entries.length, record.entries_left_out], [50, 201])
  })
}

/** Moves the clock on to when the next attempt may be made. */
async function toNext({ store, clock }: Pick<World, 'store' | 'clock'>, { id }: EndpointRow): Promise<number> {
  const [waiting, endpoint] = await Promise.all([store.webhooks.deliveries.waiting(id), store.webhooks.endpoints.byId(id)])
  assert.ok(waiting && endpoint, 'something waits')
  const nextMs = Math.max(waiting.nextMs, endpoint.health.notBeforeMs)
  assert.ok(nextMs > clock.nowMs, 'it would have been sent')
  const waitedMs = nextMs - clock.nowMs
  clock.nowMs = nextMs
  return waitedMs
}

function trying(kind: StoreKind): void {
  test('an event that is not accepted is tried again by the schedule, with the same id, and the account waits for it', async (t) => {
    const world = await begin(t, kind)
    const { store, clock, receiver, endpoint, turn } = world
    const made = await endpoint({ owner: ADA })
    receiver.answer = () => 500
    await make.make(store, ADA, make.charge(1))
    await make.make(store, ADA, make.hold(1))
    await turn()
    for (const waitMs of RETRY_WAITS_MS.slice(0, 5)) {
      clock.nowMs += waitMs - 1
      await turn()
      const before = receiver.received.length
      clock.nowMs += 1
      await turn()
      assert.equal(receiver.received.length, before + 1, `after ${waitMs} ms and not before`)
    }
    receiver.answer = () => 200
    await toNext(world, made)
    await turn()
    assert.deepEqual(heard(receiver, made.secret), [...Array.from({ length: 7 }, () => event(ADA, 3)), event(ADA, 4, 'hold.created')])
    assert.equal(new Set(receiver.received.slice(0, 7).map(({ headers }) => headers['webhook-id'])).size, 1)
    assert.equal(new Set(receiver.received.slice(0, 7).map(({ body }) => body)).size, 1, 'the same event is the same text')
    const times = receiver.received.map(({ headers }) => Number(headers['webhook-timestamp']))
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) === 5, 'the time is that of the attempt')
  })

  test('an event that is never accepted is given up after ten attempts, and the next one follows', async (t) => {
    const world = await begin(t, kind, { chance: () => 0.5 })
    const { store, clock, receiver, endpoint, turn } = world
    const made = await endpoint({ owner: ADA })
    receiver.answer = ({ body }) => (body.includes('"sequence":3') ? 400 : 200)
    await make.make(store, ADA, make.charge(1))
    await make.make(store, ADA, make.charge(1))
    const waits: number[] = []
    await turn()
    while ((await store.webhooks.deliveries.waiting(made.id)) !== null) {
      waits.push(await toNext(world, made))
      await turn()
    }
    assert.deepEqual(
      waits,
      [...RETRY_WAITS_MS.map((waitMs) => (waitMs * 11) / 10), 17_600],
      'and at last the endpoint is left alone a little',
    )
    assert.deepEqual(heard(receiver, made.secret), [...Array.from({ length: 10 }, () => event(ADA, 3)), event(ADA, 4)])
    const log = (await store.webhooks.attempts.list(made.id, { limit: 100 })).toReversed()
    assert.deepEqual(
      log.map(({ number, outcome, statusCode, failure }) => [number, outcome, statusCode, failure]),
      [
        ...Array.from({ length: 9 }, (_, index) => [index + 1, 'failed', 400, 'not_accepted']),
        [10, 'given_up', 400, 'not_accepted'],
        [1, 'delivered', 200, null],
      ],
    )
    assert.ok(clock.nowMs - (log[0]?.atMs ?? 0) >= 75 * HOUR_MS)
    assert.deepEqual([log[0]?.nextMs, log[9]?.nextMs, log[0]?.eventType], [log[1]?.atMs, null, 'charge.created'])
  })

  test('one account that is not accepted holds up no other', async (t) => {
    const { store, clock, receiver, endpoint, turn } = await begin(t, kind)
    const { secret } = await endpoint()
    receiver.answer = ({ body }) => (body.includes(accountId(ADA)) ? 422 : 200)
    for (let time = 0; time < 3; time++) for (const account of [ADA, BOB, CAI]) await make.make(store, account, make.charge(1))
    await turn()
    const told = (account: number): readonly string[] => heard(receiver, secret).filter((one) => one.startsWith(accountId(account)))
    assert.deepEqual([told(ADA).length, told(BOB).length, told(CAI).length], [1, 3, 3])
    receiver.answer = () => 200
    clock.nowMs += 5 * SECOND_MS
    await turn()
    assert.deepEqual(told(ADA), [event(ADA, 3), event(ADA, 3), event(ADA, 4), event(ADA, 5)])
  })

  test('an endpoint that never answers holds up no other', async (t) => {
    const { store, receiver, endpoint, webhooks } = await begin(t, kind)
    const hanging = await startReceiver(t)
    hanging.answer = () => undefined
    await endpoint({ url: hanging.url })
    for (let number = 0; number < 10; number++) await endpoint({ url: `${hanging.url}/${number}`, owner: ADA })
    const { secret } = await endpoint({ owner: ADA })
    await make.make(store, ADA, make.charge(1))
    await webhooks.turn()
    await until(() => receiver.received.length === 1 && hanging.received.length === 11, 'all are sent to')
    await make.make(store, ADA, make.charge(1))
    await until(async () => {
      await webhooks.turn()
      return receiver.received.length === 2
    }, 'the next event is told while the others hang')
    assert.deepEqual(heard(receiver, secret), [event(ADA, 3), event(ADA, 4)])
    assert.equal(hanging.received.length, 11)
    hanging.answer = () => 200
    await hanging.close()
    await webhooks.settled()
  })

  test('an overloaded endpoint is left alone for as long as it asks', async (t) => {
    const { store, clock, receiver, endpoint, turn } = await begin(t, kind)
    await endpoint()
    receiver.answer = (_, response) => {
      response.writeHead(429, { 'retry-after': '90' }).end()
      return undefined
    }
    await make.make(store, ADA, make.charge(1))
    await turn()
    receiver.answer = () => 200
    await make.make(store, BOB, make.charge(1))
    clock.nowMs += 89_999
    await turn()
    assert.equal(receiver.received.length, 1, 'no account is sent')
    clock.nowMs += 1
    await turn()
    assert.equal(receiver.received.length, 3)
  })

  test('an endpoint that is away is asked seldom, and hears everything at once when it is back', async (t) => {
    const world = await begin(t, kind)
    const { store, clock, receiver, endpoint, turn } = world
    const made = await endpoint()
    receiver.answer = () => 503
    for (const account of [ADA, BOB, CAI]) await make.make(store, account, make.charge(1))
    for (const endMs = clock.nowMs + 2 * HOUR_MS; clock.nowMs < endMs; clock.nowMs += 10 * SECOND_MS) await turn()
    assert.ok(receiver.received.length < 16, `${receiver.received.length} attempts in two hours`)
    receiver.answer = () => 200
    const before = receiver.received.length
    await make.make(store, 4, make.createAccount())
    await turn()
    clock.nowMs += 10 * MINUTE_MS
    await turn()
    await turn()
    const after = receiver.received.slice(before)
    assert.deepEqual(
      after.map((request) => readMessage(request, made.secret).account).toSorted(),
      [ADA, BOB, CAI, 4].map(accountId),
      'those that would have waited for hours are told as well',
    )
  })
}

function failing(kind: StoreKind): void {
  test('an endpoint that says that it is gone is disabled, and hears nothing more', async (t) => {
    const { store, clock, receiver, endpoint, turn, disabled } = await begin(t, kind)
    const gone = await endpoint({ owner: ADA })
    const other = await startReceiver(t)
    await endpoint({ owner: ADA, url: other.url })
    receiver.answer = () => 410
    await make.make(store, ADA, make.charge(1))
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.deepEqual(disabled, [[gone.id, 'gone']])
    assert.deepEqual((await store.webhooks.endpoints.byId(gone.id))?.disabled, { atMs: clock.nowMs, reason: 'gone' })
    clock.nowMs += DAY_MS
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.deepEqual([receiver.received.length, other.received.length], [1, 3])
    const [log] = await store.webhooks.attempts.list(gone.id, { limit: 10 })
    assert.deepEqual([log?.statusCode, log?.outcome, log?.nextMs], [410, 'given_up', null])
    receiver.answer = () => 200
    await store.webhooks.endpoints.enable(gone.id, clock.nowMs + 1)
    clock.nowMs += SECOND_MS
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.deepEqual(heard({ received: receiver.received.slice(1) }, gone.secret), [event(ADA, 6)], 'what happened meanwhile is left out')
  })

  test('an endpoint at which nothing was accepted for days is disabled; one that accepts now and then is not', async (t) => {
    const world = await begin(t, kind)
    const { store, clock, receiver, endpoint, turn, disabled } = world
    const failed = await endpoint({ owner: ADA, url: `${receiver.url}/never` })
    const mixed = await endpoint({ owner: ADA, url: `${receiver.url}/seldom` })
    receiver.answer = ({ path, body }) => (path === '/seldom' && !body.includes('"sequence":3') ? 200 : 500)
    const startMs = clock.nowMs
    for (let days = 0; days < 6 && disabled.length === 0; days += 0.25) {
      await make.make(store, ADA, make.charge(1))
      await turn()
      clock.nowMs += DAY_MS / 4
    }
    assert.deepEqual(disabled, [[failed.id, 'failing']])
    assert.ok(clock.nowMs - startMs >= DISABLED_AFTER_MS, 'not before')
    const row = await store.webhooks.endpoints.byId(failed.id)
    assert.equal(row?.disabled?.reason, 'failing')
    assert.equal(row?.health.failingSinceMs, startMs)
    assert.equal((await store.webhooks.endpoints.byId(mixed.id))?.disabled, null)
    assert.equal((await store.webhooks.endpoints.byId(mixed.id))?.health.failingSinceMs, null)
  })

  test('redirects, internal addresses and names that lead nowhere are failures, and nobody else is asked', async (t) => {
    const elsewhere = await startReceiver(t)
    const names: Readonly<Record<string, readonly string[]>> = { 'inside.test': ['127.0.0.1'] }
    const { store, receiver, endpoint, turn } = await begin(t, kind, { resolve: async (name) => names[name] ?? [] })
    receiver.answer = (_, response) => {
      response.writeHead(307, { location: elsewhere.url }).end()
      return undefined
    }
    const made = [
      await endpoint({ owner: ADA }),
      await endpoint({ owner: ADA, url: `${elsewhere.url}/`, isByOperator: false }),
      await endpoint({ owner: ADA, url: `https://inside.test:${elsewhere.port}/`, isByOperator: false }),
      await endpoint({ owner: ADA, url: `https://nowhere.test:${elsewhere.port}/` }),
    ]
    await make.make(store, ADA, make.charge(1))
    await turn()
    const failures = await Promise.all(made.map(({ id }) => store.webhooks.attempts.list(id, { limit: 10 })))
    assert.deepEqual(
      failures.map((log) => log.map(({ failure, statusCode }) => [failure, statusCode])),
      [[['not_accepted', 307]], [['address_refused', null]], [['address_refused', null]], [['name_not_found', null]]],
    )
    assert.equal(elsewhere.connections(), 0)
  })

  test('while a secret is replaced both sign, afterwards the new one alone', async (t) => {
    const { store, clock, receiver, endpoint, turn } = await begin(t, kind)
    const { id, secret: old } = await endpoint({ owner: ADA })
    const next = (await store.webhooks.endpoints.rotate(id, 'whsec_bmV3IHNlY3JldCwgbG9uZyBlbm91Z2g=', clock.nowMs + HOUR_MS))?.secret ?? ''
    const signs = (secret: string, { headers, body }: Received): boolean => {
      const sentAt = new Date(Number(headers['webhook-timestamp']) * 1_000)
      const signed = new Webhook(secret).sign(String(headers['webhook-id']), sentAt, body)
      return String(headers['webhook-signature']).split(' ').includes(signed)
    }
    await make.make(store, ADA, make.charge(1))
    await turn()
    clock.nowMs += HOUR_MS
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.deepEqual(
      receiver.received.map((request) => [signs(next, request), signs(old, request)]),
      [
        [true, true],
        [true, false],
      ],
    )
  })

  test('an endpoint that is removed or disabled while something is on its way hears nothing more', async (t) => {
    const { store, clock, receiver, endpoint, webhooks } = await begin(t, kind)
    const [one, two] = [await endpoint({ owner: ADA }), await endpoint({ owner: ADA, url: `${receiver.url}/two` })]
    const answers: (() => void)[] = []
    receiver.answer = (_, response) => {
      answers.push(() => response.writeHead(200).end())
      return undefined
    }
    for (let time = 0; time < 3; time++) await make.make(store, ADA, make.charge(1))
    await webhooks.turn()
    await until(() => answers.length === 2, 'both are on their way')
    await store.webhooks.endpoints.remove(one.id)
    await store.webhooks.endpoints.disable(two.id, 'requested', clock.nowMs)
    await store.webhooks.deliveries.forget(two.id)
    for (const answer of answers) answer()
    await webhooks.settled()
    clock.nowMs += HOUR_MS
    await webhooks.turn()
    await webhooks.settled()
    assert.equal(receiver.received.length, 2)
  })
}

function stopping(kind: StoreKind): void {
  test('a fault in one account keeps no other from being told, nothing is told twice for it, and it goes on once that is mended', async (t) => {
    const { store, clock, receiver, endpoint } = await begin(t, kind)
    const { secret } = await endpoint()
    let isBroken = true
    const broken: WebhookParts['store'] = {
      claim: (work) => store.claim(work),
      feed: (after, limit) => store.feed(after, limit),
      positionAt: (atMs) => store.positionAt(atMs),
      recordsAfter: (account, seq, limit) =>
        isBroken && account === ADA ? Promise.reject(new Error('unreadable')) : store.recordsAfter(account, seq, limit),
      webhooks: store.webhooks,
    }
    const faults: unknown[] = []
    const { turn } = makeWebhooks(t, broken, clock, { onFault: (fault) => faults.push(fault) })
    for (const account of [ADA, BOB, CAI]) await make.make(store, account, make.charge(1))
    await turn()
    assert.deepEqual(faults.map(String), ['Error: unreadable'])
    assert.deepEqual(heard(receiver, secret).toSorted(), [event(BOB, 3), event(CAI, 3)])
    await turn()
    assert.equal(faults.length, 1, 'it is left alone for a while')
    clock.nowMs += 5 * SECOND_MS
    await turn()
    isBroken = false
    clock.nowMs += 5 * SECOND_MS
    await turn()
    assert.deepEqual([faults.length, heard(receiver, secret).slice(2)], [2, [event(ADA, 3)]])
  })

  test('a server that stops waits a little, gives up what hangs without counting it, and another goes on at once', async (t) => {
    const { store, clock, receiver, endpoint, webhooks } = await begin(t, kind)
    const { id, secret } = await endpoint({ owner: ADA })
    receiver.answer = () => undefined
    await make.make(store, ADA, make.charge(1))
    await webhooks.turn()
    await until(() => receiver.received.length === 1, 'it is on its way')
    const startedMs = performance.now()
    await webhooks.stop()
    assert.ok(performance.now() - startedMs < 10_000)
    assert.deepEqual(await store.webhooks.attempts.list(id, { limit: 10 }), [])
    receiver.answer = () => 200
    const { turn } = makeWebhooks(t, store, clock)
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.deepEqual(heard(receiver, secret), [event(ADA, 3), event(ADA, 3), event(ADA, 4)])
  })

  test('what is old is removed: attempts, and deliveries in which nothing waits', async (t) => {
    const { store, clock, endpoint, turn, webhooks } = await begin(t, kind)
    const { id } = await endpoint({ owner: ADA })
    await make.make(store, ADA, make.charge(1))
    await turn()
    clock.nowMs += 29 * DAY_MS
    await webhooks.tidy()
    assert.equal((await store.webhooks.attempts.list(id, { limit: 10 })).length, 1)
    clock.nowMs += 2 * DAY_MS
    await webhooks.tidy()
    assert.equal((await store.webhooks.attempts.list(id, { limit: 10 })).length, 0)
    await make.make(store, ADA, make.charge(1))
    await turn()
    assert.equal((await store.webhooks.attempts.list(id, { limit: 10 })).length, 1)
  })
}
