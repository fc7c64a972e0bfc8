/** What the OpenAPI document says besides its operations. */

import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { Access } from '../access.ts'

const TAGS = [
  { name: 'credits', description: 'What an account has and can spend.' },
  { name: 'charges', description: 'Credits taken for operations, and given back.' },
  { name: 'holds', description: 'Credits set aside for work whose cost is known only at the end.' },
  { name: 'usage', description: 'What was used, over time.' },
  { name: 'journal', description: 'What happened, record by record.' },
  { name: 'prices', description: 'What things cost, and what work would.' },
  { name: 'keys', description: 'API keys, their budgets and limits.' },
  { name: 'accounts', description: 'Who holds credits.' },
  { name: 'alerts', description: 'What people are told of before it matters.' },
  { name: 'grants', description: 'Credits given, voided, corrected.' },
  { name: 'topups', description: 'Credits bought: what is on offer, checkout sessions, payments and their refunds.' },
  { name: 'invoices', description: 'Receipts, invoices, credit notes and monthly statements.' },
  { name: 'plans', description: 'Credits for each period: plans, and the subscriptions that accounts have to them.' },
  { name: 'test-clocks', description: 'Time that tests move.' },
  { name: 'auth', description: 'Users sign in, and stay so.' },
  { name: 'users', description: 'Who may sign in, and to which accounts.' },
  { name: 'webhooks', description: 'Who is told of events, and how that went.' },
  { name: 'audit', description: 'Proof that it all adds up.' },
]

export const OPENAPI = {
  openapi: {
    openapi: '3.1.1',
    info: {
      title: 'Obol',
      version: '1',
      description:
        'The credits server for AI APIs. Amounts are decimal strings of credits. Send an `Idempotency-Key` with whatever moves credits: the same key and body have one effect and one answer, for ever.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'This server.' }],
    tags: TAGS,
    components: {
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: "A customer's API key, for its own account." },
        accessToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: "A user's access token, for an account or for the operator.",
        },
        operatorKey: { type: 'http', scheme: 'bearer', description: "The operator's key." },
      },
    },
  },
  convertConstToEnum: false,
  refResolver: {
    buildLocalReference: (json, _baseUri, _fragment, index) => (typeof json.$id === 'string' ? json.$id : `schema${index}`),
  },
  /** Bodies that may be left out are of the type object or null. */
  transformObject: (document) => {
    if (!('openapiObject' in document)) throw new Error('the document is not OpenAPI')
    const { openapiObject } = document
    for (const path of Object.values(openapiObject.paths ?? {})) {
      const body = path?.post?.requestBody
      if (body && 'content' in body && isNullable(body.content['application/json']?.schema)) body.required = false
    }
    return openapiObject
  },
  transform: ({ schema, url, route }) => {
    const access = route.config?.access
    const headers = IDEMPOTENT.has(String(route.method)) && !UNNAMED.test(url) ? { headers: idempotencyHeader(url) } : {}
    return { schema: { ...schema, ...headers, ...(schema?.hide ? {} : { security: SECURITY[access ?? 'operator'] }) }, url }
  },
} as const satisfies FastifyDynamicSwaggerOptions

function isNullable(schema: object | undefined): boolean {
  return schema !== undefined && 'type' in schema && Array.isArray(schema.type) && schema.type.includes('null')
}

const IDEMPOTENT = new Set(['POST'])
/** Posts that change nothing or end something once by themselves, and those about users and webhooks: what is sent twice is answered by what is there, by a token that works once, or has an effect that may come twice. */
const UNNAMED =
  /\/(estimates|trial|verify|simulate|invoices|preview|advance|test-clocks)$|checkout-sessions\/.*\/cancel$|^\/v1\/(auth|me|users|webhook-endpoints)\b/

/** By what a route is opened. */
const SECURITY: Readonly<Record<Access, readonly Readonly<Record<string, readonly string[]>>[]>> = {
  public: [{}],
  account: [{ apiKey: [] }, { accessToken: [] }, { operatorKey: [] }],
  operator: [{ operatorKey: [] }, { accessToken: [] }],
  user: [{ accessToken: [] }],
}

/** Posts that move credits or money, and are refused without a name. */
const NAMED = /\/(charges|batch|holds|grants|adjustments|capture|increase|refund|outcome|checkout-sessions|subscriptions|change)$/

function idempotencyHeader(url: string) {
  const name = { type: 'string', maxLength: 255, description: "The caller's name for the request, such as a UUID." } as const
  return { type: 'object', properties: { 'idempotency-key': name }, required: NAMED.test(url) ? ['idempotency-key'] : [] } as const
}
