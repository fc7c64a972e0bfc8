import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EventSource, openEventSource, type SentEvent } from '../../../test/running/event-source.ts'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, startTestObol, type TestObol } from '../../../test/running/obol.ts'
import { signUp } from '../../../test/running/people.ts'
import { until } from '../../../test/running/receiver.ts'
import { startServers } from '../../../test/running/servers.ts'
import { STORE_KINDS, type StoreKind } from '../../../test/running/store.ts'
import { MAX_CHANGES, MAX_STREAMS_OF_ONE } from './credit-streams.ts'

const PATH = '/v1/credits/stream'

interface World extends TestObol {
  readonly account: string
  readonly key: string
  readonly keyId: string
  readonly charge: (amount?: string) => Promise<void>
  readonly follow: (options?: { readonly key?: string; readonly lastEventId?: string; readonly path?: string }) => Promise<EventSource>
}

async function begin(t: TestContext, kind: StoreKind = 'sqlite'): Promise<World> {
  const obol = await startTestObol(t, { OBOL_RATE_LIMIT: '100000/60' }, kind)
  await publishTestPrices(obol)
  const account = await openAccount(obol, '1000')
  const { id: keyId, secret: key } = await makeKey(obol, account, { budget: { limit: '500' } })
  const charge = async (amount = '1'): Promise<void> => {
    const { status, text } = await obol.call('POST', '/v1/charges', { key, operation: 'unit', amount })
    assert.equal(status, 201, text)
  }
  const follow: World['follow'] = ({ path = PATH, ...options } = {}) => openEventSource(t, `${obol.url}${path}`, { key, ...options })
  return { ...obol, account, key, keyId, charge, follow }
}

const available = ({ data }: SentEvent): string => data.credits.credit_types.credits.available
const kinds = ({ data }: SentEvent): readonly string[] => data.changes.map(({ kind }: { kind: string }) => kind)

for (const kind of STORE_KINDS)
  describe(`a stream of a balance on ${kind}`, () => {
    test('tells first what is so, then each change with what led to it', async (t) => {
      const { call, key, charge, follow, account } = await begin(t, kind)
      const stream = await follow()
      assert.equal(stream.status, 200)
      const [first] = await stream.wait(1)
      assert.ok(first)
      assert.deepEqual(
        [first.type, first.data.object, first.data.changes, first.data.changes_complete],
        ['message', 'credits_update', [], true],
      )
      assert.deepEqual(first.data.credits, (await call('GET', '/v1/credits', undefined, { key })).body)
      assert.equal(first.id, String(first.data.credits.sequence))
      await charge('10')
      const [, second] = await stream.wait(2)
      assert.ok(second)
      assert.deepEqual([available(second), kinds(second), second.data.credits.key.budget.remaining], ['990', ['charge'], '490'])
      assert.equal(second.data.changes[0].id, (await call('GET', `/v1/journal?account=${account}&limit=1`)).body.data[0].id)
      await call('POST', '/v1/grants', { account, amount: '5' })
      const [, , third] = await stream.wait(3)
      assert.ok(third)
      assert.deepEqual([available(third), kinds(third), third.id], ['995', ['grant'], String(third.data.credits.sequence)])
    })

    test('misses nothing when changes come quickly, and ends at what is so', async (t) => {
      const { call, key, charge, follow } = await begin(t, kind)
      const streams = await Promise.all(Array.from({ length: 5 }, () => follow()))
      await Promise.all(streams.map((stream) => stream.wait(1)))
      await Promise.all(Array.from({ length: 60 }, () => charge()))
      const { body } = await call('GET', '/v1/credits', undefined, { key })
      for (const stream of streams) {
        await until(() => stream.events.at(-1)?.data.credits.sequence === body.sequence, 'the last state is told')
        assert.deepEqual(stream.events.at(-1)?.data.credits, body)
        const told = stream.events.flatMap(({ data }) => data.changes.map(({ sequence }: { sequence: number }) => sequence))
        assert.deepEqual(
          told,
          Array.from({ length: 60 }, (_, index) => body.sequence - 59 + index),
        )
      }
    })

    test('shows a charge soon', async (t) => {
      const { charge, follow } = await begin(t, kind)
      const stream = await follow()
      await stream.wait(1)
      const waited: number[] = []
      for (let time = 0; time < 10; time++) {
        await sleep(100)
        await charge()
        const chargedMs = performance.now()
        await stream.wait(time + 2)
        waited.push((stream.events.at(-1)?.atMs ?? Number.POSITIVE_INFINITY) - chargedMs)
      }
      // A busy machine is late now and then; a way that takes long is late each time.
      const third = waited.toSorted((a, b) => a - b)[2] ?? Number.POSITIVE_INFINITY
      assert.ok(third < 800, `${waited.map(Math.floor).join(', ')} ms`)
    })

    test('goes on where it was left, and says when too much was missed', async (t) => {
      const { charge, follow } = await begin(t, kind)
      const stream = await follow()
      const [first] = await stream.wait(1)
      stream.close()
      const lastEventId = first?.id ?? ''
      for (let time = 0; time < 3; time++) await charge()
      const [resumed] = await (await follow({ lastEventId })).wait(1)
      assert.ok(resumed)
      assert.deepEqual([kinds(resumed), resumed.data.changes_complete, available(resumed)], [['charge', 'charge', 'charge'], true, '997'])
      const [again] = await (await follow({ lastEventId: resumed.id ?? '' })).wait(1)
      assert.ok(again)
      assert.deepEqual([again.data.changes, again.data.changes_complete, again.id], [[], true, resumed.id])
      for (let time = 0; time < MAX_CHANGES; time++) await charge()
      for (const missed of [lastEventId, '999999']) {
        const [late] = await (await follow({ lastEventId: missed })).wait(1)
        assert.ok(late)
        assert.deepEqual([late.data.changes, late.data.changes_complete, available(late)], [[], false, '897'])
      }
      assert.equal((await follow({ lastEventId: 'nonsense' })).status, 400)
      assert.equal((await follow({ lastEventId: '' })).status, 200)
    })

    test('tells what time alone changes', async (t) => {
      const { call, clock, account, follow } = await begin(t, kind)
      const at = (ms: number): string => new Date(clock.nowMs + ms).toISOString()
      await call('POST', '/v1/grants', { account, amount: '7', effective_at: at(60_000), expires_at: at(120_000) })
      const stream = await follow()
      const [first] = await stream.wait(1)
      assert.equal(first && available(first), '1000')
      clock.nowMs += 60_000
      await until(() => stream.events.some((event) => available(event) === '1007'), 'the grant becomes effective')
      clock.nowMs += 60_000
      await until(() => stream.events.some((event) => kinds(event).includes('grant_expired')), 'the grant expires')
      assert.equal(available(stream.events.at(-1) as SentEvent), '1000')
    })

    test('ends with its key', async (t) => {
      const { call, clock, account, key, keyId, follow, ...obol } = await begin(t, kind)
      const other = await makeKey({ call }, account)
      const brief = await makeKey({ call }, account, { expires_at: new Date(clock.nowMs + 60_000).toISOString() })
      const [stream, lasting, short, operator] = [
        await follow(),
        await follow({ key: other.secret }),
        await follow({ key: brief.secret }),
        await follow({ key: OPERATOR_KEY, path: `${PATH}?account=${account}` }),
      ]
      await Promise.all([stream, lasting, short, operator].map((one) => one.wait(1)))
      assert.equal((await call('DELETE', `/v1/keys/${keyId}`)).status, 200)
      await until(stream.hasEnded, 'the stream of the revoked key ends')
      const last = stream.events.at(-1)
      assert.deepEqual([last?.type, last?.data], ['end', { reason: 'key_revoked' }])
      clock.nowMs += 61_000
      await until(short.hasEnded, 'the stream of the key that has expired ends')
      assert.deepEqual(short.events.at(-1)?.data, { reason: 'key_expired' })
      assert.deepEqual([lasting.hasEnded(), operator.hasEnded()], [false, false])
      await until(() => operator.events.some((event) => kinds(event).includes('key_revoked')), 'the operator is told')
      assert.equal(operator.events[0]?.data.credits.key, null)
      assert.ok(obol.url)
    })
  })

test('a balance is streamed by each of several servers on PostgreSQL, whichever makes the charge', async (t) => {
  const { all, first, clock } = await startServers(t, 'postgres', { count: 2 })
  await publishTestPrices(first)
  const account = await openAccount(first, '1000')
  const { id, secret: key } = await makeKey(first, account)
  const streams = await Promise.all(all.map(({ obol }) => openEventSource(t, `${obol.address}${PATH}`, { key })))
  await Promise.all(streams.map((stream) => stream.wait(1)))
  const waited: number[] = []
  for (let time = 0; time < 10; time++) {
    await sleep(100)
    const maker = all[time % 2] ?? first
    const { status } = await maker.call('POST', '/v1/charges', { account, operation: 'unit', amount: '1' })
    assert.equal(status, 201)
    const chargedMs = performance.now()
    for (const stream of streams) await stream.wait(time + 2)
    waited.push((streams[(time + 1) % 2]?.events.at(-1)?.atMs ?? Number.POSITIVE_INFINITY) - chargedMs)
  }
  const third = waited.toSorted((a, b) => a - b)[2] ?? Number.POSITIVE_INFINITY
  assert.ok(third < 900, `${waited.map(Math.floor).join(', ')} ms on the other server`)
  for (const { events } of streams) assert.equal(available(events.at(-1) as SentEvent), '990')
  await first.call('DELETE', `/v1/keys/${id}`)
  clock.nowMs += 2_000
  for (const stream of streams) await until(stream.hasEnded, 'the key is revoked on both')
})

test('a user’s stream ends with the session, and with the membership', async (t) => {
  const world = await begin(t)
  const { call, account, follow } = world
  const { access, refresh } = await signUp(world, 'ada@example.com', { account, role: 'member' })
  const { access: other, id } = await signUp(world, 'bob@example.com', { account, role: 'member' })
  const [stream, others] = [await follow({ key: access }), await follow({ key: other })]
  await Promise.all([stream.wait(1), others.wait(1)])
  await call('POST', '/v1/auth/logout', { refresh_token: refresh })
  await call('DELETE', `/v1/users/${id}/memberships/${account}`)
  await until(() => stream.hasEnded() && others.hasEnded(), 'both end')
  assert.deepEqual([stream.events.at(-1)?.data, others.events.at(-1)?.data], [{ reason: 'session_ended' }, { reason: 'session_ended' }])
})

test('a stream is for those who may read the account, and each may have so many', async (t) => {
  const world = await begin(t)
  const { call, key, account, follow } = world
  const other = await openAccount(world)
  assert.equal((await call('GET', PATH, undefined, { key: null })).status, 401)
  assert.equal((await call('GET', `${PATH}?account=${other}`, undefined, { key })).status, 404)
  assert.equal((await call('GET', PATH)).status, 400, 'the operator names an account')
  assert.equal((await call('HEAD', PATH, undefined, { key })).status, 404)
  const streams = await Promise.all(Array.from({ length: MAX_STREAMS_OF_ONE }, () => follow()))
  assert.ok(streams.every(({ status }) => status === 200))
  const refused = await call('GET', PATH, undefined, { key })
  assert.deepEqual([refused.status, refused.body.code, refused.headers.get('retry-after')], [429, 'too_many_streams', '10'])
  assert.equal((await follow({ key: (await makeKey(world, account)).secret })).status, 200, 'another key has its own')
  streams[0]?.close()
  await until(async () => {
    const one = await follow()
    one.close()
    return one.status === 200
  }, 'a stream that was closed makes room')
})

test('the headers keep proxies from holding events back', async (t) => {
  const { follow } = await begin(t)
  const { headers, text, wait } = await follow()
  await wait(1)
  assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8')
  assert.equal(headers['cache-control'], 'no-cache, no-transform')
  assert.equal(headers['x-accel-buffering'], 'no')
  assert.ok(headers['x-request-id'] && headers.ratelimit)
  assert.match(text(), /^retry: 3000\n\nid: \d+\ndata: \{/)
})

test('a server that stops ends its streams and does not wait for them', async (t) => {
  const servers = await startServers(t, 'sqlite')
  await publishTestPrices(servers.first)
  const account = await openAccount(servers.first, '1000')
  const { secret: key } = await makeKey(servers.first, account)
  const streams = await Promise.all(Array.from({ length: 5 }, () => openEventSource(t, `${servers.first.obol.address}${PATH}`, { key })))
  await Promise.all(streams.map((stream) => stream.wait(1)))
  streams[0]?.pause()
  const startedMs = performance.now()
  await servers.first.obol.close()
  assert.ok(performance.now() - startedMs < 15_000, `${performance.now() - startedMs} ms`)
  await until(() => streams.slice(1).every(({ hasEnded }) => hasEnded()), 'all that are read have ended')
  for (const { events } of streams.slice(1))
    assert.deepEqual([events.at(-1)?.type, events.at(-1)?.data], ['end', { reason: 'server_stopping' }])
})
