/** Credits on route handlers of Next: `export const POST = withCredits(obol, 'video.create', handler, { after })`. */

import type { HeldWork } from './hooks/held-work.ts'
import { openWork, type Route, type RouteOptions, type Terms } from './hooks/route.ts'
import { followBody, followSignal, refusalResponse } from './hooks/web-response.ts'
import type { Obol } from './obol.ts'

/** How credits are taken on a route handler. */
export interface NextOptions extends RouteOptions<Request> {
  /** `after` of `next/server`: keeps a serverless process until the work has ended. It never ends it: it runs too early for that. */
  readonly after?: (task: () => Promise<unknown>) => void
}

/** A handler that is given the work that its request pays for. */
export type WorkHandler<Context> = (request: Request, work: HeldWork, context: Context) => Response | Promise<Response>

/**
 * Wraps a handler: holds what its work needs at most, refuses what cannot be paid for, and ends the work with the body of the response.
 * Terms that read the body read a copy: `async (request) => (await request.clone().json())`.
 */
export function withCredits<Context = unknown>(
  obol: Obol,
  terms: Terms<Request>,
  handler: WorkHandler<Context>,
  options: NextOptions = {},
): (request: Request, context: Context) => Promise<Response> {
  const { after, ...rest } = options
  const route: Route<Request> = { obol, terms, options: rest, header: ({ headers }, name) => headers.get(name) }
  return async (request, context) => {
    const opened = await openWork(route, request)
    if ('refusal' in opened) return refusalResponse(route, opened.refusal)
    const { work } = opened
    after?.(() => work.done)
    followSignal(work, request.signal)
    try {
      return followBody(work, await handler(request, work, context), request.signal)
    } catch (fault) {
      work.finish(false)
      throw fault
    }
  }
}
