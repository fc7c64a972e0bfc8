/** A receiver of webhooks for tests: a real server on this machine that notes what it gets, and answers as the test says. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

/** A request that came. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** How a request is answered: with a status, or in any way that a server can. */
export type Answering = (request: Received, response: ServerResponse) => number | undefined

export interface Receiver {
  readonly url: string
  readonly port: number
  readonly received: readonly Received[]
  /** Connections that were made to it. */
  readonly connections: () => number
  /** Answers from now on in another way. */
  answer: Answering
  readonly close: () => Promise<void>
}

/** Longest that a test waits for what a receiver is to get, on a busy machine. */
const PATIENCE_MS = 20_000

/** Starts a receiver that accepts everything. It is closed when the test ends. */
export async function startReceiver(t: TestContext, { host = '127.0.0.1', port = 0 } = {}): Promise<Receiver> {
  const received: Received[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((request, response) => void take(request, response))
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = (await request.setEncoding('utf8').toArray()).join('')
    const got = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body }
    received.push(got)
    const status = receiver.answer(got, response)
    if (status !== undefined) response.writeHead(status).end()
  }
  server.on('connection', (socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  // Without a host Node takes all addresses, of IPv6 too where there is any.
  server.listen(port, host === '::' ? undefined : host)
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const close = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  t.after(close)
  const receiver: Receiver = {
    url: `http://${host}:${address.port}`,
    port: address.port,
    received,
    connections: () => connections,
    answer: () => 200,
    close,
  }
  return receiver
}

/** Waits until something is so. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string, patienceMs = PATIENCE_MS): Promise<void> {
  for (const endMs = performance.now() + patienceMs; !(await isSo()); await sleep(10))
    assert.ok(performance.now() < endMs, `in vain: ${what}`)
}
