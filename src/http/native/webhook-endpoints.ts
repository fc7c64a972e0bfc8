/** `/v1/webhook-endpoints`: who is told of events; managed by the operator, or by whoever may for an account. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { isEventPattern } from '../../core/events.ts'
import { parseAttemptId } from '../../core/ids.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import {
  createEndpoint,
  findEndpoint,
  removeEndpoint,
  replayEvents,
  resendEvent,
  rotateEndpoint,
  tryEndpoint,
  updateEndpoint,
  viewEndpoint,
  type WantedChanges,
} from '../../operations/manage-webhooks.ts'
import type { AttemptPage } from '../../stores/webhooks/attempts.ts'
import type { EndpointOwner, EndpointRow } from '../../stores/webhooks/endpoints.ts'
import { MAX_URL_LENGTH, readTarget } from '../../webhooks/target.ts'
import { accountOf, mayRead, requireScope } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { DEFAULT_PAGE, listBody, PAGE_QUERY, type PageQuery } from '../pages.ts'
import { badInput, ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AccountIn, idParam, listOf, optionalBody, PROBLEMS_ANSWER, Time, TimeIn } from './schemas.ts'
import { timeIn, timeOut } from './values.ts'
import { AttemptBody, EndpointBody, renderAttempt, renderEndpoint } from './webhook-bodies.ts'

/** Longest that an old secret may go on signing after a rotation, and how long it does unless it is said. */
const MAX_OVERLAP_SECONDS = 7 * 86_400
const DEFAULT_OVERLAP_SECONDS = 86_400

const FIELDS = {
  description: Type.Optional(Type.String({ maxLength: 500, description: 'What it is for.' })),
  events: Type.Optional(
    Type.Unsafe<readonly string[] | null>({
      type: ['array', 'null'],
      items: { type: 'string', maxLength: 60 },
      minItems: 1,
      maxItems: 50,
      uniqueItems: true,
      description: 'Events to hear of, and families such as `charge.*`; null, or left out: all.',
      examples: [['credits.*', 'charge.created']],
    }),
  ),
} as const
const UrlIn = Type.String({
  maxLength: MAX_URL_LENGTH,
  description: 'Where to send to: https, port 443, 80 or one from 1024 on, no internal address.',
  examples: ['https://api.example.com/obol'],
})

/** Endpoints of all accounts that are listed together. */
const MAX_FAILED = 100

function isShown(disabled: EndpointRow['disabled'], failed = false): boolean {
  return !failed || (disabled !== null && disabled.reason !== 'requested')
}

/** Whose endpoints a request is about: the account that it names, the caller's own, or the operator's. */
async function ownerOf({ services }: NativeContext, request: FastifyRequest, named: string | undefined): Promise<EndpointOwner> {
  requireScope(request, 'webhooks:write')
  return request.identity?.kind === 'operator' && named === undefined ? 'operator' : accountOf(services, request, named)
}

/** The endpoint of an id, if the caller may manage it; another's is not found. */
async function endpointOf({ services }: NativeContext, request: FastifyRequest, id: string): Promise<EndpointRow> {
  requireScope(request, 'webhooks:write')
  const found = made(await findEndpoint(services, id))
  const isTheirs = found.owner === 'operator' ? request.identity?.kind === 'operator' : mayRead(request, found.owner)
  if (!isTheirs) throw refusalError(refuse('webhook_endpoint_not_found', 'No webhook endpoint has this id.'))
  return found
}

/** What an operation made, or an error for its refusal. */
function made<Made extends object | string>(outcome: Made | Refusal): Made {
  if (typeof outcome === 'object' && isRefusal(outcome)) throw refusalError(outcome)
  return outcome
}

function urlIn(text: string): URL {
  const url = readTarget(text)
  if (typeof url === 'string') throw badInput('#/url', url)
  return url
}

function filterIn(events: readonly string[] | null): readonly string[] {
  for (const [index, event] of (events ?? []).entries())
    if (!isEventPattern(event)) throw badInput(`#/events/${index}`, 'must be an event, or a family such as charge.*')
  return events ?? []
}

/** Adds the routes of webhook endpoints. */
export function webhookRoutes(app: NativeApp, context: NativeContext): void {
  createRoute(app, context)
  changeRoutes(app, context)
  secretRoutes(app, context)
  againRoutes(app, context)
  readRoutes(app, context)
  attemptRoutes(app, context)
}

function createRoute(app: NativeApp, context: NativeContext): void {
  const { services } = context
  app.post(
    '/webhook-endpoints',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'createWebhookEndpoint',
        tags: ['webhooks'],
        summary: 'Have events sent to an address',
        description:
          'What happens from then on is sent, signed by Standard Webhooks. By the operator, for an account or without one for all accounts; for its own account by a key with the scope `webhooks:write` or a user who is an owner. The secret is shown once.',
        body: Type.Object({ account: Type.Optional(AccountIn), url: UrlIn, ...FIELDS }, { additionalProperties: false }),
        response: { 201: EndpointBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const owner = await ownerOf(context, request, request.body.account)
      const { url, description = '', events = null } = request.body
      const isByOperator = request.identity?.kind === 'operator'
      const wanted = { owner, url: urlIn(url), isByOperator, description, filter: filterIn(events) }
      const endpoint = made(await createEndpoint(services, wanted))
      reply.code(201)
      return renderEndpoint(await viewEndpoint(services, endpoint), endpoint.secret)
    },
  )
}

const ENDPOINT = {
  tags: ['webhooks'],
  params: idParam('webhook_endpoint', 'Id of the endpoint.'),
  response: { 200: EndpointBody, ...PROBLEMS_ANSWER },
}

function changeRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context

  app.patch(
    '/webhook-endpoints/:webhook_endpoint',
    {
      config: { access: 'account' },
      schema: {
        ...ENDPOINT,
        operationId: 'updateWebhookEndpoint',
        summary: 'Change an endpoint, disable or enable it',
        description:
          'What is left out stays as it is. A disabled endpoint hears nothing and forgets what waited; once it is enabled, it hears of what happens from then on. Replay what it missed.',
        body: Type.Object(
          {
            url: Type.Optional(UrlIn),
            ...FIELDS,
            status: Type.Optional(Type.Unsafe<'enabled' | 'disabled'>({ type: 'string', enum: ['enabled', 'disabled'] })),
          },
          { additionalProperties: false, minProperties: 1 },
        ),
      },
    },
    async (request) => {
      const endpoint = await endpointOf(context, request, request.params.webhook_endpoint)
      const { url, description, events, status } = request.body
      const changes: WantedChanges = {
        ...(url === undefined ? {} : { url: urlIn(url) }),
        ...(description === undefined ? {} : { description }),
        ...(events === undefined ? {} : { filter: filterIn(events) }),
        ...(status === undefined ? {} : { isEnabled: status === 'enabled' }),
      }
      const isByOperator = request.identity?.kind === 'operator'
      return renderEndpoint(await viewEndpoint(services, made(await updateEndpoint(services, endpoint, { changes, isByOperator }))))
    },
  )

  app.delete(
    '/webhook-endpoints/:webhook_endpoint',
    {
      config: { access: 'account' },
      schema: {
        ...ENDPOINT,
        operationId: 'deleteWebhookEndpoint',
        summary: 'Remove an endpoint, with its attempts',
        description: 'Answers with the endpoint as it was.',
      },
    },
    async (request) => {
      const endpoint = await endpointOf(context, request, request.params.webhook_endpoint)
      const view = await viewEndpoint(services, endpoint)
      await removeEndpoint(services, endpoint)
      return renderEndpoint(view)
    },
  )
}

function secretRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context

  app.post(
    '/webhook-endpoints/:webhook_endpoint/rotate',
    {
      config: { access: 'account' },
      schema: {
        ...ENDPOINT,
        operationId: 'rotateWebhookSecret',
        summary: 'Give an endpoint a new secret',
        description:
          'For `overlap_seconds` more (default one day) everything is signed with both secrets, so that both can be in use while the old one is replaced.',
        body: optionalBody({ overlap_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_OVERLAP_SECONDS })) }),
      },
    },
    async (request) => {
      const endpoint = await endpointOf(context, request, request.params.webhook_endpoint)
      const overlapMs = (request.body?.overlap_seconds ?? DEFAULT_OVERLAP_SECONDS) * 1_000
      const rotated = made(await rotateEndpoint(services, endpoint, overlapMs))
      return renderEndpoint(await viewEndpoint(services, rotated), rotated.secret)
    },
  )

  app.post(
    '/webhook-endpoints/:webhook_endpoint/test',
    {
      config: { access: 'account' },
      schema: {
        ...ENDPOINT,
        operationId: 'testWebhookEndpoint',
        summary: 'Send a test event, now and once',
        description:
          'Answers with what became of it, within 15 seconds. Its type is `webhook.test`; it is sent to disabled endpoints as well.',
        response: { 200: AttemptBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => renderAttempt(await tryEndpoint(services, await endpointOf(context, request, request.params.webhook_endpoint))),
  )
}

const ResendBody = Type.Object({ object: Type.Literal('webhook_resend'), endpoint: Type.String(), event: Type.String() })
const ReplayBody = Type.Object({
  object: Type.Literal('webhook_replay'),
  id: Type.String(),
  endpoint: Type.String(),
  start: Time,
  end: Time,
})

function againRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context

  app.post(
    '/webhook-endpoints/:webhook_endpoint/resend',
    {
      config: { access: 'account' },
      schema: {
        ...ENDPOINT,
        operationId: 'resendEvent',
        summary: 'Send an event again',
        description:
          'Any event of what the endpoint may hear of, whether it asks for the type or not, with its old id. It is sent beside what else waits, and tried again until it is accepted.',
        body: Type.Object(
          { event: Type.String({ maxLength: 100, description: 'Id of the event.', examples: ['evt_gjl1g9qm0000000b_0'] }) },
          { additionalProperties: false },
        ),
        response: { 202: ResendBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const endpoint = await endpointOf(context, request, request.params.webhook_endpoint)
      const event = made(await resendEvent(services, endpoint, request.body.event))
      reply.code(202)
      return { object: 'webhook_resend' as const, endpoint: endpoint.id, event }
    },
  )

  app.post(
    '/webhook-endpoints/:webhook_endpoint/replay',
    {
      config: { access: 'account' },
      schema: {
        ...ENDPOINT,
        operationId: 'replayEvents',
        summary: 'Send a part of the past again',
        description:
          'Every event from `start` up to, and without, `end` (default: now) that the endpoint asks for, with its old id, in order within each account. What happens meanwhile is sent beside it. One replay of an endpoint runs at a time.',
        body: Type.Object({ start: TimeIn, end: Type.Optional(TimeIn) }, { additionalProperties: false }),
        response: { 202: ReplayBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const endpoint = await endpointOf(context, request, request.params.webhook_endpoint)
      const { start, end } = request.body
      const range = { startMs: timeIn(start, '#/start'), endMs: end === undefined ? services.clock() + 1 : timeIn(end, '#/end') }
      if (range.endMs <= range.startMs) throw badInput('#/start', 'must be before `end`, and not later than now')
      const id = made(await replayEvents(services, endpoint, range))
      reply.code(202)
      return { object: 'webhook_replay' as const, id, endpoint: endpoint.id, start: timeOut(range.startMs), end: timeOut(range.endMs) }
    },
  )
}

function readRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context

  app.get(
    '/webhook-endpoints',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listWebhookEndpoints',
        tags: ['webhooks'],
        summary: 'List endpoints, newest first',
        description: `All there are: the account's, or the operator's own when the operator names no account. With \`failed=true\` the operator sees those of all accounts that were disabled because of how they fared, the latest ${MAX_FAILED} of them.`,
        querystring: Type.Object(
          { account: Type.Optional(AccountIn), failed: Type.Optional(Type.Boolean()) },
          { additionalProperties: false },
        ),
        response: { 200: listOf(EndpointBody), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const owner = await ownerOf(context, request, request.query.account)
      const { endpoints: rows } = services.store.webhooks
      const ofAll = request.query.failed === true && owner === 'operator'
      const endpoints = ofAll
        ? await rows.failed(MAX_FAILED)
        : (await rows.list(owner)).filter(({ disabled }) => isShown(disabled, request.query.failed))
      const data: Static<typeof EndpointBody>[] = []
      for (const endpoint of endpoints) data.push(renderEndpoint(await viewEndpoint(services, endpoint)))
      return { object: 'list' as const, url: '/v1/webhook-endpoints', has_more: false, next_cursor: null, data }
    },
  )

  app.get(
    '/webhook-endpoints/:webhook_endpoint',
    {
      config: { access: 'account' },
      schema: { ...ENDPOINT, operationId: 'getWebhookEndpoint', summary: 'Get an endpoint, and what waits for it' },
    },
    async (request) => renderEndpoint(await viewEndpoint(services, await endpointOf(context, request, request.params.webhook_endpoint))),
  )
}

/** Reads a page of attempts. Throws invalid_cursor. */
function attemptPage(
  { limit = DEFAULT_PAGE, starting_after: before, ending_before: after }: PageQuery,
  eventId: string | undefined,
): AttemptPage {
  if (before !== undefined && after !== undefined)
    throw new ProblemError('invalid_cursor', 'Give starting_after or ending_before, not both.')
  const cursor = before ?? after
  const id = cursor === undefined ? undefined : parseAttemptId(cursor)
  if (cursor !== undefined && id === undefined) throw new ProblemError('invalid_cursor', 'The cursor is not an id of this list.')
  const page = { limit: limit + 1, ...(eventId === undefined ? {} : { eventId }) }
  if (id === undefined) return page
  return after === undefined ? { ...page, before: id } : { ...page, after: id }
}

function attemptRoutes(app: NativeApp, context: NativeContext): void {
  app.get(
    '/webhook-endpoints/:webhook_endpoint/attempts',
    {
      config: { access: 'account' },
      schema: {
        ...ENDPOINT,
        operationId: 'listWebhookAttempts',
        summary: 'List attempts at an endpoint, newest first',
        description: 'The newest thousand of the last thirty days.',
        querystring: Type.Object(
          { event: Type.Optional(Type.String({ maxLength: 100, description: 'Only attempts at this event.' })), ...PAGE_QUERY },
          { additionalProperties: false },
        ),
        response: { 200: listOf(AttemptBody), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { id } = await endpointOf(context, request, request.params.webhook_endpoint)
      const { event, ...query } = request.query
      const page = attemptPage(query, event)
      const rows = await context.services.store.webhooks.attempts.list(id, page)
      return listBody(
        `/v1/webhook-endpoints/${id}/attempts`,
        { limit: page.limit, ...(page.after === undefined ? {} : { after: 0 }) },
        rows,
        renderAttempt,
      )
    },
  )
}
