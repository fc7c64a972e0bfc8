/** The HTTP server: every plugin on one screen. */

import swagger from '@fastify/swagger'
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { RateLimit, RateLimiter } from '../auth/rate-limiter.ts'
import { hiderOf } from '../auth/secrets.ts'
import type { Services } from '../operations/services.ts'
import { Sandbox } from '../payments/sandbox/sandbox.ts'
import { guardAccess } from './access.ts'
import { returnPage } from './checkout/return-page.ts'
import { sandboxPages } from './checkout/sandbox-page.ts'
import type { HandlerSettings } from './dialects/dialect.ts'
import { type DialectName, INSTALLED_DIALECTS } from './dialects/installed.ts'
import type { Mounts } from './dialects/mounts.ts'
import { dialectTeller, type NamedDialect, serveDialect } from './dialects/serve-dialect.ts'
import { answerUnreadable, answerUnrouted, handleErrors, type ProblemContext, problemTeller, type Teller } from './error-handler.ts'
import { healthRoutes, refuseWhileStopping } from './health.ts'
import { InvoiceFiles, invoicePages } from './invoice-files.ts'
import { parseJson } from './json-body.ts'
import { keySetRoute } from './native/key-set.ts'
import { nativeApi } from './native/native-api.ts'
import { OPENAPI } from './native/openapi.ts'
import { problemPages } from './problem-pages.ts'
import { referencePage } from './reference-page.ts'
import { requestIds } from './request-ids.ts'
import { requestLogger } from './request-logger.ts'
import { SCHEMA_COMPILERS } from './schema-compilers.ts'

export interface ServerOptions {
  readonly services: Services
  readonly limiter: RateLimiter
  readonly operatorKeyHash: string
  readonly defaultRateLimit: RateLimit
  readonly operatorRateLimit: RateLimit | null
  /** Address of the server as its users see it; null: the one where it listens. */
  readonly publicUrl: string | null
  readonly dialects: DialectSettings
  /** Addresses and networks of proxies whose X-Forwarded-For is believed; null: none. */
  readonly trustedProxies: readonly string[] | null
  readonly logger: FastifyBaseLogger
  /** Logs every request; otherwise failures only. */
  readonly logRequests: boolean
}

/** Which dialects are served, and where besides their path prefixes. */
export interface DialectSettings {
  readonly names: readonly DialectName[]
  readonly mounts: Mounts
  /** By the dialect that they do the work of. */
  readonly handlers: Readonly<Partial<Record<string, HandlerSettings>>>
}

/** Largest body of an operation that does not say otherwise. */
const BODY_BYTES = 262_144
/** Longest that a request may take to arrive. */
const REQUEST_TIMEOUT_MS = 30_000
/** Above the idle time of common proxies, so that they close connections before this server does. */
const KEEP_ALIVE_MS = 72_000

/** An external id of 200 characters, each of four bytes, percent-encoded. */
const MAX_PARAM_LENGTH = 2_500

/** Builds the server; it listens when told to. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { services, logger, logRequests } = options
  const { mounts } = options.dialects
  const { topUpUrl, keyPrefix } = services.policy
  const problems: ProblemContext = { publicUrl: () => options.publicUrl ?? app.listeningOrigin, topUpUrl, hide: hiderOf(keyPrefix) }
  const dialects = await loadDialects(options.dialects, problems)
  const tell = problemTeller(problems)
  const tellerOf = (dialect: string | undefined): Teller => dialects.find(({ name }) => name === dialect)?.tell ?? tell
  const nextId = requestIds()
  const app: FastifyInstance = fastify({
    loggerInstance: logger,
    childLoggerFactory: requestLogger,
    logController: new LogController({ disableRequestLogging: !logRequests }),
    genReqId: nextId,
    rewriteUrl: (request) => mounts.pathOf(request),
    frameworkErrors: (error, request, reply) => answerUnrouted(error, request, reply, tellerOf(request.url.split('/', 2)[1])),
    clientErrorHandler: (error, socket) => answerUnreadable(error, socket, nextId(), tellerOf(mounts.onPort(socket.localPort))),
    return503OnClosing: false,
    trustProxy: options.trustedProxies === null ? false : [...options.trustedProxies],
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    allowErrorHandlerOverride: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    schemaController: SCHEMA_COMPILERS,
  })
  const files = new InvoiceFiles()
  readBodies(app)
  setHeaders(app)
  handleErrors(app, tell)
  refuseWhileStopping(app)
  guardAccess(app, { ...options, keyRing: services.keyRing, signedIn: services.signIn.signedIn })
  await app.register(healthRoutes, { store: services.store })
  await app.register(problemPages)
  await app.register(returnPage, { services, limiter: options.limiter })
  await app.register(invoicePages, { services, files })
  if (services.payments?.provider instanceof Sandbox) await app.register(sandboxPages, { sandbox: services.payments.provider })
  await app.register(async (native) => {
    await native.register(swagger, OPENAPI)
    await native.register(keySetRoute, services.signIn)
    await native.register(nativeApi, { prefix: '/v1', services, limiter: options.limiter, problems, files })
    native.get('/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, () => native.swagger())
    await native.register(referencePage)
  })
  for (const dialect of dialects) {
    const context = { services, publicUrl: problems.publicUrl, handler: options.dialects.handlers[dialect.name] ?? null }
    await app.register(serveDialect, { prefix: `/${dialect.name}`, ...dialect, context })
  }
  return app
}

async function loadDialects(
  { names }: DialectSettings,
  { hide }: ProblemContext,
): Promise<readonly (NamedDialect & { readonly tell: Teller })[]> {
  const load = async (name: DialectName) => {
    const dialect = await INSTALLED_DIALECTS[name]()
    return { name, dialect, tell: dialectTeller(dialect, hide) }
  }
  return Promise.all(names.map(load))
}

/** JSON and nothing else, with no digit lost. An empty body is none: clients send the content type with every request. */
function readBodies(app: FastifyInstance): void {
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, text === '' ? undefined : parseJson(text as string))
    } catch (error) {
      done(error as Error)
    }
  })
}

function setHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    done()
  })
}
