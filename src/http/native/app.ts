/** What the resources of the native API are written against. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { RateLimiter } from '../../auth/rate-limiter.ts'
import type { Services } from '../../operations/services.ts'
import type { ProblemContext } from '../error-handler.ts'
import type { InvoiceFiles } from '../invoice-files.ts'

/** A Fastify instance whose handlers are typed by their schemas. */
export type NativeApp = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, TypeBoxTypeProvider>

/** What handlers need besides the request. */
export interface NativeContext {
  readonly services: Services
  readonly limiter: RateLimiter
  readonly problems: ProblemContext
  readonly files: InvoiceFiles
}
