/** How Stripe turns requests away, and how it lists things. */

/** Thrown for what Stripe turns away. */
export class Refused extends Error {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  constructor(status: number, body: Readonly<Record<string, unknown>>) {
    super(String(body.message))
    this.status = status
    this.body = body
  }
}

/** What is wrong with a request. */
export function invalid(message: string, code?: string): Refused {
  return new Refused(400, { type: 'invalid_request_error', message, ...(code === undefined ? {} : { code }) })
}

/** That there is no such thing. */
export function missing(kind: string, id: string): Refused {
  return new Refused(404, { type: 'invalid_request_error', code: 'resource_missing', message: `No such ${kind}: '${id}'` })
}

/** Throws that there is no such thing. */
export function refuseMissing(kind: string, id: string): never {
  throw missing(kind, id)
}

/** A list as Stripe answers it. */
export function list(url: string, data: readonly object[]): object {
  return { object: 'list', url, has_more: false, data }
}
