/** Credits on Fastify routes: `app.post('/videos', { preHandler: credits(obol, 'video.create') }, handler)`. */

import type { HeldWork } from './hooks/held-work.ts'
import { followResponse, type NodeResponse } from './hooks/node-response.ts'
import { bodyOf, openWork, type Route, type RouteOptions, type Terms } from './hooks/route.ts'
import type { Obol } from './obol.ts'

/** What is needed of a request of Fastify. */
export interface FastifyRequestLike {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** What is needed of a reply of Fastify. */
export interface FastifyReplyLike {
  readonly raw: NodeResponse
  code(status: number): unknown
  header(name: string, value: string): unknown
  send(payload: unknown): unknown
}

const works = new WeakMap<object, HeldWork>()

/** The work of a request behind `credits`. */
export function creditsOf(request: object): HeldWork {
  const work = works.get(request)
  if (work) return work
  throw new Error('The route has no credits: give it { preHandler: credits(obol, …) }.')
}

/**
 * Holds what a request's work needs at most before the handler runs, and refuses it if that cannot be paid for. It listens to the raw
 * response: onResponse and onRequestAbort are both silent when the client of a POST goes away.
 */
export function credits<Request extends FastifyRequestLike>(
  obol: Obol,
  terms: Terms<Request>,
  options: RouteOptions<Request> = {},
): (request: Request, reply: FastifyReplyLike) => Promise<unknown> {
  const header = ({ headers }: Request, name: string): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' ? value : value?.[0]
  }
  const route: Route<Request> = { obol, terms, options, header }
  return async (request, reply) => {
    const opened = await openWork(route, request)
    if ('work' in opened) {
      works.set(request, opened.work)
      followResponse(opened.work, reply.raw)
      return undefined
    }
    const { text, type } = bodyOf(route, opened.refusal)
    reply.code(opened.refusal.status)
    for (const [name, value] of Object.entries(opened.refusal.headers)) reply.header(name, value)
    reply.header('content-type', type)
    return reply.send(text)
  }
}
