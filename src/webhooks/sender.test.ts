import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startReceiver, until } from '../../test/running/receiver.ts'
import type { Resolve } from './names.ts'
import { Networks, parseNetwork } from './networks.ts'
import { type Answer, InterruptedError, type Outgoing, Sender } from './sender.ts'

const LOOPBACK = ['127.0.0.0/8', '::1/128']
const NOBODY: Resolve = async () => []
const NEVER_STOPS = new AbortController().signal

interface SenderOptions {
  readonly allowed?: readonly string[]
  readonly resolve?: Resolve
  readonly limitMs?: number
}

function makeSender(t: TestContext, { allowed = LOOPBACK, resolve = NOBODY, limitMs = 15_000 }: SenderOptions = {}): Sender {
  const networks = new Networks(allowed.map((text) => parseNetwork(text) ?? assert.fail(text)))
  const sender = new Sender({ networks, resolve, limitMs })
  t.after(() => sender.close())
  return sender
}

function outgoing(url: string, isByOperator = true): Outgoing {
  return { url, isByOperator, headers: { 'content-type': 'application/json', 'webhook-id': 'evt_1' }, body: '{"a":1}' }
}

const refused = { failure: 'address_refused', statusCode: null, retryAfterMs: null }

test('a request arrives as it was sent, and any 2xx accepts it', async (t) => {
  const receiver = await startReceiver(t)
  const sender = makeSender(t)
  for (const status of [200, 201, 202, 204, 299]) {
    receiver.answer = () => status
    assert.deepEqual(await sender.send(outgoing(`${receiver.url}/hooks?x=1`), NEVER_STOPS), {
      failure: null,
      statusCode: status,
      retryAfterMs: null,
    })
  }
  const [first] = receiver.received
  assert.deepEqual([first?.method, first?.path, first?.body], ['POST', '/hooks?x=1', '{"a":1}'])
  assert.deepEqual([first?.headers['content-type'], first?.headers['webhook-id']], ['application/json', 'evt_1'])
  assert.ok(receiver.connections() < 5, 'connections are used again')
})

test('no other status accepts, and no redirect is followed', async (t) => {
  const [receiver, other] = [await startReceiver(t), await startReceiver(t)]
  const sender = makeSender(t)
  for (const status of [301, 302, 303, 307, 308]) {
    receiver.answer = (_, response) => {
      response.writeHead(status, { location: `${other.url}/secret` }).end()
      return undefined
    }
    const { failure, statusCode } = await sender.send(outgoing(receiver.url), NEVER_STOPS)
    assert.deepEqual([failure, statusCode], ['not_accepted', status])
  }
  assert.deepEqual([other.connections(), other.received], [0, []])
  for (const status of [400, 401, 404, 410, 429, 500, 503]) {
    receiver.answer = () => status
    const { failure, statusCode } = await sender.send(outgoing(receiver.url), NEVER_STOPS)
    assert.deepEqual([failure, statusCode], ['not_accepted', status])
  }
})

test('Retry-After is heard in both its forms, an hour at most', async (t) => {
  const receiver = await startReceiver(t)
  const sender = makeSender(t)
  const after = async (value: string): Promise<number | null> => {
    receiver.answer = (_, response) => {
      response.writeHead(429, { 'retry-after': value }).end()
      return undefined
    }
    return (await sender.send(outgoing(receiver.url), NEVER_STOPS)).retryAfterMs
  }
  assert.deepEqual([await after('7'), await after('86400'), await after('soon')], [7_000, 3_600_000, null])
  const time = (await after(new Date(Date.now() + 60_000).toUTCString())) ?? 0
  assert.ok(time > 50_000 && time <= 60_000, `${time}`)
  assert.equal(await after(new Date(0).toUTCString()), 0)
})

test('whoever does not answer in time has not accepted', async (t) => {
  const receiver = await startReceiver(t)
  const sender = makeSender(t, { limitMs: 200, resolve: () => new Promise(() => {}) })
  receiver.answer = () => undefined
  const timedOut: Answer = { failure: 'timed_out', statusCode: null, retryAfterMs: null }
  assert.deepEqual(await sender.send(outgoing(receiver.url), NEVER_STOPS), timedOut)
  assert.deepEqual(await sender.send(outgoing('https://slow-name.test/'), NEVER_STOPS), timedOut)
  const silent = createServer().listen(0, '127.0.0.1')
  t.after(() => silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  const startedMs = performance.now()
  assert.deepEqual(await sender.send(outgoing(`https://127.0.0.1:${port}/`), NEVER_STOPS), timedOut)
  assert.ok(performance.now() - startedMs < 4_000, 'a connection that is not there yet is given up as well')
})

test('a status accepts whatever befalls the body, of which little is read', async (t) => {
  const receiver = await startReceiver(t)
  const sender = makeSender(t, { limitMs: 2_000 })
  receiver.answer = (_, response) => {
    response.writeHead(200).write('a')
    return undefined
  }
  assert.equal((await sender.send(outgoing(receiver.url), NEVER_STOPS)).failure, null, 'a body that never ends')
  receiver.answer = (_, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('a')
    setTimeout(() => response.destroy(), 20)
    return undefined
  }
  assert.equal((await sender.send(outgoing(receiver.url), NEVER_STOPS)).failure, null, 'a body that breaks off')
  let written = 0
  receiver.answer = (_, response) => {
    response.writeHead(200)
    const more = (): void => {
      while (!response.destroyed && written < 1e9) {
        written += 65_536
        if (!response.write(Buffer.alloc(65_536))) {
          response.once('drain', more)
          return
        }
      }
    }
    more()
    return undefined
  }
  assert.equal((await makeSender(t).send(outgoing(receiver.url), NEVER_STOPS)).failure, null, 'a body without end')
  let before = -1
  await until(async () => {
    before = written
    await sleep(50)
    return written === before
  }, 'it stops')
  assert.ok(written < 50e6, `${written} bytes were sent`)
})

test('what cannot be connected to, breaks off, or does not speak TLS has not accepted', async (t) => {
  const receiver = await startReceiver(t)
  const sender = makeSender(t)
  const failed: Answer = { failure: 'connection_failed', statusCode: null, retryAfterMs: null }
  assert.deepEqual(await sender.send(outgoing(receiver.url.replace('http:', 'https:')), NEVER_STOPS), failed)
  receiver.answer = (_, response) => {
    response.socket?.resetAndDestroy()
    return undefined
  }
  assert.deepEqual(await sender.send(outgoing(receiver.url), NEVER_STOPS), failed)
  await receiver.close()
  assert.deepEqual(await sender.send(outgoing(receiver.url), NEVER_STOPS), failed)
  assert.deepEqual(await sender.send(outgoing('https://nobody.test/'), NEVER_STOPS), { ...failed, failure: 'name_not_found' })
})

test('a request that is on its way when the server stops is given up', async (t) => {
  const receiver = await startReceiver(t)
  const sender = makeSender(t)
  receiver.answer = () => undefined
  const stop = new AbortController()
  const sending = sender.send(outgoing(receiver.url), stop.signal)
  setTimeout(() => stop.abort(), 50)
  await assert.rejects(sending, InterruptedError)
  await assert.rejects(sender.send(outgoing(receiver.url), stop.signal), InterruptedError)
})

/** Ways to write an address of this machine, or of its neighbours. */
const INSIDE = [
  ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001', '127.0.0.1.'],
  [
    '0',
    '0.0.0.0',
    '[::]',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[::ffff:0:7f00:1]',
    '①②⑦.0.0.1',
  ],
  ['localhost', 'LOCALHOST', 'localhost.', 'a.localhost'],
  ['10.0.0.1', '172.16.0.1', '192.168.0.1', '169.254.169.254', '100.100.100.200', '[fd00:ec2::254]', '[fe80::1]', '[64:ff9b::7f00:1]'],
].flat()

test('nobody reaches inside: however an address is written, no connection is made', async (t) => {
  const receiver = await startReceiver(t, { host: '::' })
  const resolve: Resolve = async (name) => (/localhost$/i.test(name) ? ['127.0.0.1', '::1'] : [])
  const closed = makeSender(t, { allowed: [], resolve })
  const open = makeSender(t, { resolve })
  for (const host of INSIDE)
    for (const scheme of ['http', 'https']) {
      const url = `${scheme}://${host}:${receiver.port}/`
      assert.deepEqual(await closed.send(outgoing(url), NEVER_STOPS), refused, `${url}: the operator allows nothing`)
      assert.deepEqual(await open.send(outgoing(url, false), NEVER_STOPS), refused, `${url}: a customer named it`)
      assert.equal(await closed.isRefused(new URL(url), true), true, url)
      assert.equal(await open.isRefused(new URL(url), false), true, url)
    }
  assert.equal(receiver.connections(), 0)
  assert.equal(
    (await open.send(outgoing(`http://localhost:${receiver.port}`), NEVER_STOPS)).failure,
    null,
    'the operator may, where it is allowed',
  )
})

test('a name that leads inside is refused, and so is one that leads inside besides', async (t) => {
  const receiver = await startReceiver(t)
  const names: Readonly<Record<string, readonly string[]>> = {
    'four.test': ['127.0.0.1'],
    'six.test': ['::1'],
    'mapped.test': ['::ffff:127.0.0.1'],
    'metadata.test': ['169.254.169.254'],
    'both.test': ['93.184.215.14', '127.0.0.1'],
    'public.test': ['93.184.215.14'],
  }
  const sender = makeSender(t, { allowed: [], resolve: async (name) => names[name] ?? [] })
  for (const name of Object.keys(names)) {
    const url = `https://${name}:${receiver.port}/`
    const isInside = name !== 'public.test'
    assert.equal(await sender.isRefused(new URL(url), true), isInside, name)
    if (isInside) assert.deepEqual(await sender.send(outgoing(url), NEVER_STOPS), refused, name)
  }
  assert.equal(await sender.isRefused(new URL('https://nowhere.test'), false), false, 'it may lead somewhere later')
  assert.equal(receiver.connections(), 0)
})

test('a name whose server cannot be asked refuses nothing when an endpoint is made, and fails when it is sent to', async (t) => {
  const fault = Object.assign(new Error('no answer'), { code: 'ETIMEOUT', syscall: 'queryA' })
  const sender = makeSender(t, { resolve: () => Promise.reject(fault) })
  assert.equal(await sender.isRefused(new URL('https://a.test'), false), false)
  assert.equal((await sender.send(outgoing('https://a.test'), NEVER_STOPS)).failure, 'name_not_found')
})

test('a name that leads elsewhere the next time it is asked is of no use', async (t) => {
  const answers = [['93.184.215.14'], ['127.0.0.1'], ['93.184.215.14']]
  const rebinding = makeSender(t, { allowed: [], resolve: async () => answers.shift() ?? [] })
  assert.equal(await rebinding.isRefused(new URL('https://rebind.test'), false), false, 'at first it is public')
  assert.deepEqual(await rebinding.send(outgoing('https://rebind.test', false), NEVER_STOPS), refused, 'then it is not')

  const here = await startReceiver(t, { host: '127.0.0.2' })
  const there = await startReceiver(t, { host: '127.0.0.3', port: here.port })
  const asked: string[] = []
  const resolve: Resolve = async (name) => {
    asked.push(name)
    return asked.length === 1 ? ['127.0.0.2'] : ['127.0.0.3']
  }
  const sender = makeSender(t, { allowed: ['127.0.0.2/32'], resolve })
  const url = `http://twice.test:${here.port}/`
  assert.equal((await sender.send(outgoing(url), NEVER_STOPS)).failure, null)
  assert.deepEqual(asked, ['twice.test'], 'it connects to the very address that was looked at')
  await here.close()
  await until(async () => (await sender.send(outgoing(url), NEVER_STOPS)).failure === 'address_refused', 'a new connection is refused')
  assert.equal(there.connections(), 0)
})

test('a connection that may go inside is not lent to a request that may not', async (t) => {
  const receiver = await startReceiver(t)
  const sender = makeSender(t)
  assert.equal((await sender.send(outgoing(receiver.url), NEVER_STOPS)).failure, null)
  assert.deepEqual(await sender.send(outgoing(receiver.url, false), NEVER_STOPS), refused)
  assert.equal(receiver.received.length, 1)
})
