/** Credits on Hono routes: `app.post('/videos', credits(obol, 'video.create'), handler)`. */

import type { HeldWork } from './hooks/held-work.ts'
import { openWork, type Route, type RouteOptions, type Terms } from './hooks/route.ts'
import { followBody, followSignal, refusalResponse } from './hooks/web-response.ts'
import type { Obol } from './obol.ts'

/** What is needed of a context of Hono. */
export interface HonoContext {
  readonly req: { readonly raw: Request; header(name: string): string | undefined }
  res: Response
  readonly error?: Error | undefined
}

const works = new WeakMap<object, HeldWork>()

/** The work of a request behind `credits`. */
export function creditsOf(context: HonoContext): HeldWork {
  const work = works.get(context)
  if (work) return work
  throw new Error('The route has no credits: put credits(obol, …) before its handler.')
}

/** Holds what a request's work needs at most before the handler runs, and refuses it if that cannot be paid for. */
export function credits<Context extends HonoContext>(
  obol: Obol,
  terms: Terms<Context>,
  options: RouteOptions<Context> = {},
): (context: Context, next: () => Promise<void>) => Promise<Response | undefined> {
  const route: Route<Context> = { obol, terms, options, header: ({ req }, name) => req.header(name) }
  return async (context, next) => {
    const opened = await openWork(route, context)
    if ('refusal' in opened) return refusalResponse(route, opened.refusal)
    const { work } = opened
    works.set(context, work)
    followSignal(work, context.req.raw.signal)
    keepRunning(context, work)
    try {
      await next()
    } catch (fault) {
      work.finish(false)
      throw fault
    }
    const followed = followBody(work, context.res, context.req.raw.signal)
    // Hono merges the headers of a response that is replaced: it has to be taken away first.
    context.res = undefined as unknown as Response
    context.res = followed
    return undefined
  }
}

/** On workers the platform is asked to wait for the end of the work; elsewhere there is no such context. */
function keepRunning(context: HonoContext, work: HeldWork): void {
  try {
    const { executionCtx } = context as { readonly executionCtx?: { waitUntil(promise: Promise<unknown>): void } }
    executionCtx?.waitUntil(work.done)
  } catch (fault) {
    // Hono throws where the platform has none.
    if (!(fault instanceof Error)) throw fault
  }
}
