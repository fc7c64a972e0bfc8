/** What a dialect is: another product's wire format over the same accounts, so that its clients work unchanged. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { TSchema } from 'typebox'
import type { Services } from '../../operations/services.ts'
import type { ProblemCode } from '../problems.ts'
import type { Credentials } from './credentials.ts'

/** A Fastify instance whose handlers are typed by their schemas. Paths begin at the root of the product's API. */
export type DialectApp = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, TypeBoxTypeProvider>

/** Whatever went wrong with a request, for the dialect to tell in its product's words. */
export interface Failure {
  readonly code: ProblemCode
  readonly status: number
  /** A sentence fit for strangers. */
  readonly text: string
  /** Null: waiting does not help, or nobody knows how long. */
  readonly retryAfterSeconds: number | null
  /** The field of the request that is wrong; null: it is none, or more than one. */
  readonly field: string | null
}

/** A failure as it is sent. */
export interface Envelope {
  readonly status: number
  readonly body: object
}

/** The operator's own service that does the work which a dialect charges. */
export interface HandlerSettings {
  /** Without a slash at its end. */
  readonly url: string
  readonly timeoutMs: number
}

/** What a dialect works with. */
export interface DialectContext {
  readonly services: Services
  /** Address of the server as its users see it. */
  readonly publicUrl: () => string
  /** Null: there is none. */
  readonly handler: HandlerSettings | null
}

/** A product's API. */
export interface Dialect {
  /** Of its OpenAPI document. */
  readonly title: string
  readonly description: string
  /** What its operations are about, each with a sentence. */
  readonly tags: Readonly<Record<string, string>>
  /** How its clients say who they are. */
  readonly credentials: Credentials
  /** The envelope of every failure, from a mistyped path to a full disk. */
  readonly tell: (failure: Failure) => Envelope
  /** What `tell` makes. */
  readonly failureBody: TSchema
  readonly routes: (app: DialectApp, context: DialectContext) => void
}
