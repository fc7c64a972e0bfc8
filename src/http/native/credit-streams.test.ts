/** A client that does not read holds no memory, and is told what it missed once it reads again. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fastify from 'fastify'
import { openEventSource } from '../../../test/running/event-source.ts'
import { until } from '../../../test/running/receiver.ts'
import { openTestStore } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { HOUR_MS, openAccount } from '../../../test/running/store-commands.ts'
import type { Store } from '../../stores/store.ts'
import { EventStream } from '../event-stream.ts'
import { CreditStreams } from './credit-streams.ts'
import { RenderedCredits } from './credits.ts'

const ADA = 1
const BOB = 2
/** More than any machine keeps on its way between two of its processes. */
const TOO_MUCH = 200e6

/** A server that has one stream. */
async function serve(t: TestContext): Promise<{ readonly url: string; readonly stream: Promise<EventStream> }> {
  const app = fastify()
  const { promise: stream, resolve } = Promise.withResolvers<EventStream>()
  app.get('/', async (_request, reply) => {
    // One stream stands for many.
    reply.raw.setMaxListeners(0)
    resolve(new EventStream(reply))
    return reply
  })
  t.after(async () => {
    ;(await stream).end('test')
    await app.close()
  })
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), stream }
}

/** Sends until the client does not take any more. Returns the characters that it took. */
async function flood(stream: EventStream): Promise<number> {
  const data = JSON.stringify('x'.repeat(100_000))
  let sent = 0
  let quietTurns = 0
  while (quietTurns < 5 && sent < TOO_MUCH) {
    if (stream.isBehind) quietTurns++
    else {
      stream.send({ id: '0', data })
      sent += data.length
      quietTurns = 0
    }
    await sleep(stream.isBehind ? 20 : 0)
  }
  return sent
}

test('a client that does not read is not sent to, and is told everything at once when it reads again', async (t) => {
  const { store, clock } = await openTestStore(t)
  await openAccount(store, ADA)
  const { url, stream: opening } = await serve(t)
  const client = await openEventSource(t, url, { key: 'none' })
  const stream = await opening
  client.pause()
  const taken = await flood(stream)
  assert.ok(taken < TOO_MUCH, 'at some point it is behind')
  const faults: unknown[] = []
  const streams = new CreditStreams({ store, clock: () => clock.nowMs }, new RenderedCredits(null, store), (fault) => faults.push(fault))
  streams.follow({ stream, account: ADA, key: null, since: 0, name: null, recheck: async () => null })
  const before = process.memoryUsage().heapUsed
  for (let time = 0; time < 50; time++) {
    await make.make(store, ADA, make.charge(1))
    await sleep(5)
  }
  assert.equal(stream.isBehind, true)
  assert.ok(process.memoryUsage().heapUsed - before < 50e6)
  client.resume()
  await until(() => client.events.at(-1)?.data.object === 'credits_update', 'it is told')
  const told = client.events.filter(({ data }) => data.object === 'credits_update')
  assert.equal(told.length, 1)
  assert.deepEqual(
    told[0]?.data.changes.map(({ sequence }: { sequence: number }) => sequence),
    Array.from({ length: 52 }, (_, index) => index + 1),
  )
  assert.deepEqual(faults, [])
})

test('who comes while others are being told is told all that it missed, and nothing of what it knows', async (t) => {
  const { store, clock } = await openTestStore(t)
  await openAccount(store, ADA)
  for (let time = 0; time < 5; time++) await make.make(store, ADA, make.charge(1))
  const [first, second] = [await serve(t), await serve(t)]
  const clients = [await openEventSource(t, first.url, { key: 'none' }), await openEventSource(t, second.url, { key: 'none' })]
  const [one, other] = [await first.stream, await second.stream]
  const follow = (stream: EventStream, since: number): void =>
    streams.follow({ stream, account: ADA, key: null, since, name: null, recheck: async () => null })
  let hasJoined = false
  const slow = {
    state: store.state.bind(store),
    watchAccount: store.watchAccount.bind(store),
    // The other one comes after the state was read for the first.
    recordsAfter: async (...query: Parameters<Store['recordsAfter']>) => {
      if (!hasJoined) follow(other, 2)
      hasJoined = true
      return store.recordsAfter(...query)
    },
    key: store.key.bind(store),
  }
  const streams = new CreditStreams({ store: slow, clock: () => clock.nowMs }, new RenderedCredits(null, store), (fault) =>
    assert.fail(String(fault)),
  )
  follow(one, 5)
  await Promise.all(clients.map((client) => client.wait(1)))
  assert.deepEqual(
    clients.map(({ events }) => events.flatMap(({ data }) => data.changes.map(({ sequence }: { sequence: number }) => sequence))),
    [
      [6, 7],
      [3, 4, 5, 6, 7],
    ],
  )
})

test('what time did is told when it is so, and its record when it is booked', async (t) => {
  const { store, clock } = await openTestStore(t)
  await openAccount(store, ADA)
  const { seq } = await make.make(store, ADA, make.grant(7, { expiresAtMs: clock.nowMs + HOUR_MS }))
  const { url, stream } = await serve(t)
  const client = await openEventSource(t, url, { key: 'none' })
  const streams = new CreditStreams({ store, clock: () => clock.nowMs }, new RenderedCredits(null, store), (fault) =>
    assert.fail(String(fault)),
  )
  streams.follow({ stream: await stream, account: ADA, key: null, since: null, name: null, recheck: async () => null })
  await client.wait(1)
  clock.nowMs += HOUR_MS
  await client.wait(2)
  await make.send(store, ADA, make.BOOK_DUE)
  await client.wait(3)
  assert.deepEqual(
    client.events.map(({ id, data }) => [
      id,
      data.credits.credit_types.credits.expired,
      data.changes.map(({ kind }: { kind: string }) => kind),
    ]),
    [
      [String(seq), '0', []],
      [String(seq), '7', []],
      [String(seq + 1), '7', ['grant_expired']],
    ],
  )
})

test('streams are counted under their names, by account, and in all', async (t) => {
  const { store, clock } = await openTestStore(t)
  await openAccount(store, ADA)
  await openAccount(store, BOB)
  const { url, stream: opening } = await serve(t)
  const client = await openEventSource(t, url, { key: 'none' })
  const streams = new CreditStreams({ store, clock: () => clock.nowMs }, new RenderedCredits(null, store), (fault) =>
    assert.fail(String(fault)),
  )
  const stream = await opening
  const hasRoom = (name: string | null, account = ADA): boolean => streams.hasRoomFor({ name, account })
  const follow = (name: string | null, count: number): void => {
    for (let time = 0; time < count; time++) {
      assert.equal(hasRoom(name), true)
      streams.follow({ stream, account: ADA, key: null, since: null, name, recheck: async () => null })
    }
  }
  follow('ada', 10)
  assert.deepEqual([hasRoom('ada'), hasRoom('bob'), hasRoom(null)], [false, true, true])
  for (let key = 1; key < 20; key++) follow(`key ${key}`, 10)
  assert.deepEqual([hasRoom('bob'), hasRoom('bob', BOB), hasRoom(null)], [false, true, true], 'those of an account have a bound')
  follow(null, 1_800)
  assert.deepEqual([hasRoom('bob', BOB), hasRoom(null)], [false, false])
  await client.wait(1)
  client.close()
  await until(() => hasRoom('ada'), 'they are gone')
})

test('a stream that is opened while the server stops ends at once', async (t) => {
  const { store, clock } = await openTestStore(t)
  await openAccount(store, ADA)
  const { url, stream } = await serve(t)
  const client = await openEventSource(t, url, { key: 'none' })
  const streams = new CreditStreams({ store, clock: () => clock.nowMs }, new RenderedCredits(null, store), (fault) =>
    assert.fail(String(fault)),
  )
  streams.endAll('server_stopping')
  streams.follow({ stream: await stream, account: ADA, key: null, since: null, name: 'ada', recheck: async () => null })
  await until(client.hasEnded, 'it ends')
  assert.deepEqual(
    client.events.map(({ type, data }) => [type, data]),
    [['end', { reason: 'server_stopping' }]],
  )
  assert.equal(streams.hasRoomFor({ name: 'ada', account: ADA }), true)
})
