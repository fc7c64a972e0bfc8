/** Work behind a response of node:http (Express, Fastify): where its end shows, and where its client's does. */

import type { HeldWork } from './held-work.ts'
import type { Refusal } from './refusals.ts'
import { bodyOf, creditHeaders, type Route } from './route.ts'

/** What is needed of a ServerResponse. */
export interface NodeResponse {
  statusCode: number
  readonly headersSent: boolean
  readonly writableEnded: boolean
  setHeader(name: string, value: string): unknown
  /** They have overloads, and are called with what they were called with. */
  end: (...values: never[]) => unknown
  writeHead: (...values: never[]) => unknown
  destroy: (...values: never[]) => unknown
  once(event: 'close', listener: () => void): unknown
}

/** The first failing status. */
const FIRST_BAD = 400

/**
 * Ends the work with the response. `close` without an ended response is the one sign of a client that has gone: `finish` comes on success
 * alone, and `close` of the request whenever its body was read. A response that this side destroyed, as a pipeline does whose source broke,
 * is work that has failed.
 */
export function followResponse(work: HeldWork, response: NodeResponse): void {
  const { end, writeHead, destroy } = response
  let isBroken = false
  // The last moment at which the answer can still say what it has cost.
  response.writeHead = (...values) => {
    response.writeHead = writeHead
    for (const [name, value] of Object.entries(creditHeaders(work))) response.setHeader(name, value)
    return writeHead.apply(response, values)
  }
  // A handler says its last word with `end`, to a client that is there and to one that has gone.
  response.end = (...values) => {
    response.end = end
    work.finish(response.statusCode < FIRST_BAD)
    return end.apply(response, values)
  }
  response.destroy = (...values) => {
    isBroken = true
    return destroy.apply(response, values)
  }
  response.once('close', () => {
    if (response.writableEnded) return
    if (isBroken) work.finish(false)
    else work.leave({ hasBegun: response.headersSent })
  })
}

/** Answers with a refusal. */
export function sendRefusal<Request>(route: Route<Request>, response: NodeResponse, refusal: Refusal): void {
  const { text, type } = bodyOf(route, refusal)
  response.statusCode = refusal.status
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value)
  response.setHeader('content-type', type)
  const end = response.end as (text: string) => unknown
  end.call(response, text)
}
