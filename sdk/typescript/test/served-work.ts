/** What the handlers of the hooks' suite do, and the four frameworks that serve them. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '@hono/node-server'
import express, { type ErrorRequestHandler } from 'express'
import { fastify } from 'fastify'
import { Hono } from 'hono'
import * as onExpress from '../src/express.ts'
import * as onFastify from '../src/fastify.ts'
import * as onHono from '../src/hono.ts'
import type { HeldWork } from '../src/hooks/held-work.ts'
import type { RouteOptions, RouteTerms } from '../src/hooks/route.ts'
import * as onNext from '../src/next.ts'
import type { Obol } from '../src/obol.ts'

/** What a request asks a handler to do. */
export interface Asked {
  readonly does: keyof typeof DOINGS
}

/** What a handler answers with: JSON, or a stream. */
type Answer = { readonly status: number; readonly json: object } | { readonly stream: AsyncIterable<string> }

/** Gates that a test opens for handlers that wait. */
export interface Gates {
  readonly opened: Promise<void>
  /** The work of the last request. */
  work: HeldWork | null
}

const CHUNKS = 10
const CHUNK_MS = 40

/** A chunk for each second of work. */
async function* seconds(breaksAt = Number.POSITIVE_INFINITY): AsyncGenerator<string> {
  for (let second = 1; second <= CHUNKS; second++) {
    if (second > breaksAt) throw new Error('the work breaks off')
    yield `${second}\n`
    await sleep(CHUNK_MS)
  }
}

const counted = (chunk: string | Uint8Array) => ({ quantities: { second: Number(String(chunk)) } })
const fine: Answer = { status: 200, json: { is: 'done' } }

/** What handlers do. Each second of work costs 11 credits; 60 seconds are held. */
const DOINGS = {
  good: async () => fine,
  bad: async () => ({ status: 400, json: { is: 'bad' } }),
  throws: async () => {
    throw new Error('the handler throws')
  },
  captures: async (work: HeldWork) => {
    await work.capture({ quantities: { second: 30 } })
    return fine
  },
  'captures and throws': async (work: HeldWork) => {
    await work.capture({ quantities: { second: 30 } })
    throw new Error('the handler throws')
  },
  'captures twice': async (work: HeldWork) => {
    const charges = await Promise.all([work.capture({ quantities: { second: 30 } }), work.capture({ quantities: { second: 40 } })])
    const again = await work.capture()
    return { status: 200, json: { charges: [...charges, again].map(({ id }) => id) } }
  },
  releases: async (work: HeldWork) => {
    await work.release()
    return fine
  },
  waits: async (_work: HeldWork, gates: Gates) => {
    await gates.opened
    return fine
  },
  'waits and captures': async (work: HeldWork, gates: Gates) => {
    await gates.opened
    await work.capture({ quantities: { second: 20 } })
    return fine
  },
  hangs: () => new Promise<Answer>(() => undefined),
  streams: async (work: HeldWork) => ({ stream: work.wrap(seconds(), counted) }),
  'streams without counting': async () => ({ stream: seconds() }),
  'streams without counting and breaks': async () => ({ stream: seconds(3) }),
  'streams and breaks': async (work: HeldWork) => ({ stream: work.wrap(seconds(3), counted) }),
} as const satisfies Readonly<Record<string, (work: HeldWork, gates: Gates) => Promise<Answer>>>

function handle(work: HeldWork, { does }: Asked, gates: Gates): Promise<Answer> {
  gates.work = work
  return DOINGS[does](work, gates)
}

/** What a framework serves: one route, `/work`, with credits on it. */
export interface Serving {
  readonly obol: Obol
  readonly terms: () => RouteTerms
  readonly options: RouteOptions<unknown>
  readonly gates: Gates
}

type Starter = (t: TestContext, serving: Serving) => Promise<string>

async function listen(t: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/work`
}

const startExpress: Starter = (t, { obol, terms, options, gates }) => {
  const app = express()
  app.use(express.json())
  app.post('/work', onExpress.credits(obol, terms, options), async (request, response) => {
    const answer = await handle(onExpress.creditsOf(request), request.body as Asked, gates)
    if ('stream' in answer) await pipeline(Readable.from(answer.stream), response)
    else response.status(answer.status).json(answer.json)
  })
  const failing: ErrorRequestHandler = (_fault, _request, response, _next) => {
    if (response.headersSent) response.destroy()
    else response.status(500).json({ is: 'a fault' })
  }
  app.use(failing)
  return listen(t, createServer(app))
}

const startFastify: Starter = async (t, { obol, terms, options, gates }) => {
  const app = fastify({ forceCloseConnections: true })
  app.post('/work', { preHandler: onFastify.credits(obol, terms, options) }, async (request, reply) => {
    const answer = await handle(onFastify.creditsOf(request), request.body as Asked, gates)
    if ('stream' in answer) return reply.send(Readable.from(answer.stream))
    return reply.code(answer.status).send(answer.json)
  })
  t.after(() => app.close())
  return `${await app.listen({ port: 0, host: '127.0.0.1' })}/work`
}

function responseOf(answer: Answer): Response {
  if ('stream' in answer) return new Response(ReadableStream.from(bytes(answer.stream)) as ReadableStream<Uint8Array<ArrayBuffer>>)
  return Response.json(answer.json, { status: answer.status })
}

async function* bytes(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const text of texts) yield new TextEncoder().encode(text)
}

const startHono: Starter = async (t, { obol, terms, options, gates }) => {
  const app = new Hono()
  app.post('/work', onHono.credits(obol, terms, options), async (context) => {
    return responseOf(await handle(onHono.creditsOf(context), await context.req.json<Asked>(), gates))
  })
  app.onError((_fault, context) => context.json({ is: 'a fault' }, 500))
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/work`
}

/** Serves route handlers of Next as Next does: a Request with a signal, and a Response whose body is read as the client takes it. */
const startNext: Starter = (t, { obol, terms, options, gates }) => {
  const POST = onNext.withCredits(
    obol,
    terms,
    async (request, work) => responseOf(await handle(work, (await request.json()) as Asked, gates)),
    {
      ...options,
      // Next calls it when the client has gone, too: before the handler has ended.
      after: (task) => void task(),
    },
  )
  return listen(
    t,
    createServer((request, response) => {
      answerAsNext(POST, request, response).catch(() => {
        if (response.headersSent) response.destroy()
        else response.writeHead(500).end()
      })
    }),
  )
}

async function answerAsNext(
  handler: (request: Request, context: unknown) => Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort()
  })
  const headers = new Headers(Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]))
  const body = Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>>
  const request = new Request('http://next.test/work', { method: 'POST', headers, body, duplex: 'half', signal: gone.signal })
  const response = await handler(request, {})
  // A client that has gone by now is not answered: the body is neither read nor cancelled.
  if (gone.signal.aborted) return
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  const reader = response.body?.getReader()
  // A body that broke off cannot be cancelled any more, and says so.
  gone.signal.addEventListener('abort', () => void reader?.cancel().then(undefined, () => undefined))
  for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) outgoing.write(next.value)
  outgoing.end()
}

/** The frameworks that have hooks. */
export const FRAMEWORKS: Readonly<Record<'Express' | 'Fastify' | 'Hono' | 'Next', Starter>> = {
  Express: startExpress,
  Fastify: startFastify,
  Hono: startHono,
  Next: startNext,
}
