/** Serves a dialect below its path prefix: its own keys, schemas, failures and OpenAPI document, and nothing of the others'. */

import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { handleErrors, type Teller } from '../error-handler.ts'
import { PROBLEMS, type ProblemError } from '../problems.ts'
import type { Dialect, DialectApp, DialectContext, Failure } from './dialect.ts'

/** A dialect under its name, which is its path prefix. */
export interface NamedDialect {
  readonly name: string
  readonly dialect: Dialect
}

/** A dialect with what it works with. */
export interface DialectOptions extends NamedDialect {
  readonly context: DialectContext
  readonly tell: Teller
}

export async function serveDialect(app: FastifyInstance, { name, dialect, context, tell }: DialectOptions): Promise<void> {
  app.setSerializerCompiler(() => JSON.stringify)
  handleErrors(app, tell)
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, secretOf: dialect.credentials.secretOf }
  })
  await app.register(swagger, documentOf(name, dialect))
  dialect.routes(app as unknown as DialectApp, context)
  app.get('/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, (request) => {
    const isAtRoot = request.originalUrl !== request.url
    return { ...app.swagger(), servers: [{ url: isAtRoot ? '/' : `/${name}`, description: 'This server.' }] }
  })
}

/** How a dialect tells errors. Keys that somebody put in the wrong place are not repeated. */
export function dialectTeller(dialect: Dialect, hide: (text: string) => string): Teller {
  return (problem) => {
    const { howTo, challenge } = dialect.credentials
    const failure = failureOf(problem)
    const text = problem.code === 'authentication_required' ? howTo : hide(problem.message)
    const { status, body } = dialect.tell({ ...failure, text })
    return { status, type: 'application/json; charset=utf-8', body, challenge }
  }
}

function failureOf({ code, members }: ProblemError): Omit<Failure, 'text'> {
  const { retry_after: retryAfter, errors } = members
  const [place, ...others] = Array.isArray(errors) ? (errors as readonly { readonly pointer: string }[]) : []
  return {
    code,
    status: PROBLEMS[code].status,
    retryAfterSeconds: typeof retryAfter === 'number' ? retryAfter : null,
    field: place !== undefined && others.length === 0 ? (place.pointer.split('/').at(-1) ?? null) : null,
  }
}

function documentOf(name: string, { title, description, tags, credentials, failureBody }: Dialect): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.1',
      info: { title, version: '1', description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
      servers: [{ url: `/${name}`, description: 'This server.' }],
      tags: Object.entries(tags).map(([tag, about]) => ({ name: tag, description: about })),
      components: { securitySchemes: { apiKey: { ...credentials.scheme, description: "A customer's API key." } } },
    },
    convertConstToEnum: false,
    transform: ({ schema, url, route }) => {
      if (schema?.hide) return { schema, url }
      const security = route.config?.access === 'public' ? [] : [{ apiKey: [] }]
      const failures = { default: { description: 'Whatever may go wrong.', content: { 'application/json': { schema: failureBody } } } }
      const response = { ...(schema?.response as object), ...failures }
      return { schema: { ...schema, security, response }, url }
    },
  }
}
