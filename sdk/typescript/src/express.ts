/** Credits on Express routes: `app.post('/videos', credits(obol, 'video.create'), handler)`. */

import type { HeldWork } from './hooks/held-work.ts'
import { followResponse, type NodeResponse, sendRefusal } from './hooks/node-response.ts'
import { openWork, type Route, type RouteOptions, type Terms } from './hooks/route.ts'
import type { Obol } from './obol.ts'

/** What is needed of a request of Express. */
export interface ExpressRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

const works = new WeakMap<object, HeldWork>()

/** The work of a request behind `credits`: `creditsOf(req).capture({ quantities: { second: 41 } })`. */
export function creditsOf(request: object): HeldWork {
  const work = works.get(request)
  if (work) return work
  throw new Error('The route has no credits: put credits(obol, …) before its handler.')
}

/**
 * Holds what a request's work needs at most before the handler runs, and refuses it if that cannot be paid for. A good answer is charged
 * for what the handler captured or counted, or for the whole hold; a bad one (400 and above, or an error) is not charged.
 */
export function credits<Request extends ExpressRequest>(
  obol: Obol,
  terms: Terms<Request>,
  options: RouteOptions<Request> = {},
): (request: Request, response: NodeResponse, next: (fault?: unknown) => void) => void {
  const route: Route<Request> = { obol, terms, options, header: ({ headers }, name) => one(headers[name]) }
  return (request, response, next) => {
    openWork(route, request).then((opened) => {
      if ('refusal' in opened) {
        sendRefusal(route, response, opened.refusal)
        return
      }
      works.set(request, opened.work)
      followResponse(opened.work, response)
      next()
    }, next)
  }
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}
