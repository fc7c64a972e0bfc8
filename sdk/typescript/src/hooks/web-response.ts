/** Work behind a Response of the web platform (Hono, Next, workers): it ends when the body has been read to its end. */

import type { HeldWork } from './held-work.ts'
import type { Refusal } from './refusals.ts'
import { bodyOf, creditHeaders, type Route } from './route.ts'
import { wrapStream } from './streams.ts'

/** The first failing status. */
const FIRST_BAD = 400

/** A client that goes away before there is an answer. */
export function followSignal(work: HeldWork, signal: AbortSignal): void {
  const leave = (): void => work.leave({ hasBegun: false })
  if (signal.aborted) leave()
  else signal.addEventListener('abort', leave, { once: true })
}

/**
 * A response whose body ends the work, with what it has cost in its headers if that is known. Where the client has gone, a server may neither
 * read nor cancel the body (Next does not): then it is cancelled here, and the work goes on or stops as its options say.
 */
export function followBody(work: HeldWork, response: Response, signal: AbortSignal): Response {
  const isGood = response.status < FIRST_BAD
  if (!isGood || response.body === null || work.isEnding) {
    work.finish(isGood)
    return withHeaders(response, response.body, work)
  }
  const body = wrapStream(work, response.body)
  const cancel = (): void => {
    if (!body.locked) body.cancel().catch((fault: unknown) => work.reportFault(fault))
  }
  if (work.hasLeft) {
    cancel()
    return withHeaders(response, null, work)
  }
  signal.addEventListener('abort', cancel, { once: true })
  return withHeaders(response, body, work)
}

/** Headers of a response may be fixed, so it is made anew. */
function withHeaders(response: Response, body: ReadableStream | null, work: HeldWork): Response {
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(creditHeaders(work))) headers.set(name, value)
  return new Response(body, { status: response.status, statusText: response.statusText, headers })
}

/** A refusal as a response. */
export function refusalResponse<Request>(route: Route<Request>, refusal: Refusal): Response {
  const { text, type } = bodyOf(route, refusal)
  return new Response(text, { status: refusal.status, headers: { ...refusal.headers, 'content-type': type } })
}
