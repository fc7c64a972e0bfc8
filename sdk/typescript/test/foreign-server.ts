/** A server that is not Obol, as clients meet it on the way: a proxy, a login page, something that hangs or breaks off. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** What a client sent. */
export interface Heard {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly atMs: number
}

/** A running server, and what it has heard. */
export interface ForeignServer {
  readonly url: string
  readonly heard: readonly Heard[]
}

/** Answers the nth request, counted from 0, when its whole body is there. */
export type Answering = (response: ServerResponse, nth: number) => void

/** Starts one. It ends with the test, whatever is still open. */
export async function startForeignServer(t: TestContext, answer: Answering): Promise<ForeignServer> {
  const heard: Heard[] = []
  const server = createServer((request, response) => {
    const atMs = performance.now()
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      heard.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body, atMs })
      answer(response, heard.length - 1)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard }
}

/** Answers with JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  const type = status >= 400 ? 'application/problem+json' : 'application/json'
  response.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(body))
}

/** Answers with a page. */
export function sendHtml(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'text/html', ...headers }).end('<html><h1>Bad Gateway</h1></html>')
}
