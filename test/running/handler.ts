/** The operator's own service, which does the work that a dialect charges: a plain HTTP server that notes what it was handed. */

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** What the handler was handed. */
export interface HandedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** How it answers; undefined: it never does. */
export interface HandlerAnswer {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface TestHandler {
  readonly url: string
  readonly handed: HandedRequest[]
  /** What it answers from now on. */
  answer: (request: HandedRequest) => HandlerAnswer | undefined | Promise<HandlerAnswer | undefined>
}

/** Starts a handler; it is stopped when the test ends. */
export async function startHandler(t: TestContext): Promise<TestHandler> {
  const handed: HandedRequest[] = []
  const handler: TestHandler = { url: '', handed, answer: () => ({ body: { id: 'made' } }) }
  const server = createServer(async (request, reply) => {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: JSON.parse(text) as unknown }
    handed.push(one)
    const answer = await handler.answer(one)
    if (!answer) return
    const { status = 200, body, headers = {} } = answer
    reply.writeHead(status, { 'content-type': 'application/json', ...headers }).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(handler, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}
