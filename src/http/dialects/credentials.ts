/** How clients say who they are: in the Authorization header, or in one of their product's own. */

import type { FastifyRequest } from 'fastify'
import { bearerOf } from '../access.ts'

/** Where a product's clients put their key. */
export interface Credentials {
  /** Undefined: the request has none. */
  readonly secretOf: (request: FastifyRequest) => string | undefined
  /** Told to those who send none. */
  readonly howTo: string
  /** Of the answer to those who have none or a wrong one (RFC 9110 §11.6.1). */
  readonly challenge: string
  /** As OpenAPI says it. */
  readonly scheme:
    | { readonly type: 'http'; readonly scheme: 'bearer' }
    | { readonly type: 'apiKey'; readonly in: 'header'; readonly name: string }
}

/** `Authorization: Bearer <key>`. */
export const BEARER: Credentials = {
  secretOf: bearerOf,
  howTo: 'Send an API key: Authorization: Bearer <key>.',
  challenge: 'Bearer',
  scheme: { type: 'http', scheme: 'bearer' },
}

const PLAIN = /^[\x21-\x7e]{1,2048}$/

/** A key in a header of its own. */
export function keyHeader(name: string): Credentials {
  const secretOf = ({ headers }: FastifyRequest): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' && PLAIN.test(value) ? value : undefined
  }
  const howTo = `Send an API key: ${name}: <key>.`
  return { secretOf, howTo, challenge: `ApiKey header="${name}"`, scheme: { type: 'apiKey', in: 'header', name } }
}
