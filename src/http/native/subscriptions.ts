/** `/v1/subscriptions`: the plans that accounts have. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { type Address, parseObjectId } from '../../core/ids.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import { findAccount } from '../../operations/find-account.ts'
import { despitePage } from '../../operations/subscription-payments.ts'
import {
  type ChangeRequest,
  changeSubscription,
  listSubscriptions,
  previewChange,
  readSubscription,
  runOnSubscription,
  type SubscriptionChanged,
  subscribe,
} from '../../operations/subscriptions.ts'
import { accountOf, mayRead } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf, requiredIdempotency } from '../idempotency.ts'
import { listBody, PAGE_QUERY, seqPage } from '../pages.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AccountIn, idParam, listOf, Metadata, nullableObject, optionalBody, PROBLEMS_ANSWER, TimeIn } from './schemas.ts'
import {
  ChangePreview,
  ProrationBody,
  renderPreview,
  renderProration,
  renderSubscription,
  SubscriptionBody,
} from './subscription-bodies.ts'
import { timeIn } from './values.ts'
import { callerOf } from './work.ts'

const NOT_FOUND = refuse('subscription_not_found', 'No subscription has this id.')
const params = idParam('subscription', 'Id of the subscription.')
const PlanIn = Type.String({ minLength: 1, maxLength: 50, description: 'Id of a plan.' })
const Version = Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Its version; by default the one in force.' })
const At = Type.Unsafe<'now' | 'period_end'>({ type: 'string', enum: ['now', 'period_end'] })

const ChangeBody = Type.Object(
  {
    plan: PlanIn,
    version: Type.Optional(Version),
    at: Type.Optional(Type.Unsafe<'now' | 'period_end'>({ ...At, description: 'Default `now`.' })),
  },
  { additionalProperties: false },
)

const ChangedBody = Type.Object(
  { ...SubscriptionBody.properties, proration: nullableObject(ProrationBody) },
  { title: 'ChangedSubscription' },
)

function addressIn(id: string): Address {
  const address = parseObjectId('sub', id)
  if (!address) throw refusalError(NOT_FOUND)
  return address
}

function changeIn({ plan, version, at = 'now' }: Static<typeof ChangeBody>): ChangeRequest {
  return { plan, version: version ?? null, at }
}

function answer(reply: FastifyReply, outcome: SubscriptionChanged | Refusal): Static<typeof SubscriptionBody> {
  if (isRefusal(outcome)) throw refusalError(outcome)
  if (outcome.isReplay) reply.header('idempotent-replayed', 'true')
  return renderSubscription(outcome)
}

export function subscriptionRoutes(app: NativeApp, context: NativeContext): void {
  startRoute(app, context)
  changeRoutes(app, context)
  stateRoutes(app, context)
  readRoutes(app, context)
}

function startRoute(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/subscriptions',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createSubscription',
        tags: ['plans'],
        summary: 'Subscribe an account to a plan',
        description:
          'Credits come at once; of a plan that costs something, with the payment: by what the customer left for that, or on a page (`POST /v1/subscriptions/{subscription}/payment-page`). Needs an `Idempotency-Key`; sent again with it, the subscription is answered as it has become.',
        body: Type.Object(
          {
            account: AccountIn,
            plan: PlanIn,
            version: Type.Optional(Version),
            anchor: Type.Optional(
              Type.String({
                ...TimeIn,
                description: 'From when periods are counted, in the past: the one that holds now is the first. Default: from now.',
              }),
            ),
            trial: Type.Optional(Type.Boolean({ description: 'Whether the trial of the plan comes first, if it has one. Default: yes.' })),
            metadata: Type.Optional(Metadata),
          },
          { additionalProperties: false },
        ),
        response: { 201: SubscriptionBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { plan, version, anchor, trial = true, metadata = {} } = request.body
      const account = await findAccount(services, request.body.account)
      if (typeof account !== 'number') throw refusalError(account)
      const anchorMs = anchor === undefined ? null : timeIn(anchor, '#/anchor')
      const wish = { account, plan, version: version ?? null, anchorMs, withTrial: trial, metadata }
      const body = answer(reply, await subscribe(services, callerOf(request, requiredIdempotency(request)), wish))
      reply.code(201)
      return body
    },
  )
}

function changeRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/subscriptions/:subscription/change',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'changeSubscription',
        tags: ['plans'],
        summary: 'Change a subscription to another plan, or to another version of it',
        description:
          '`now`: what was meant for the rest of the period is taken back as far as it is unspent, and the new plan gives its part; what that costs more is to be paid first, what it costs less counts for later periods. `period_end`, in a trial and while it is paused: with the next period.',
        params,
        body: ChangeBody,
        response: { 200: ChangedBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const address = addressIn(request.params.subscription)
      const caller = callerOf(request, requiredIdempotency(request))
      const wish = { address, request: changeIn(request.body) }
      const outcome = await despitePage(services, address, () => changeSubscription(services, caller, wish))
      const body = answer(reply, outcome)
      const record = isRefusal(outcome) ? undefined : outcome.record
      return { ...body, proration: record && 'proration' in record ? renderProration(record.proration) : null }
    },
  )

  app.post(
    '/subscriptions/:subscription/change/preview',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'previewSubscriptionChange',
        tags: ['plans'],
        summary: 'Work out what a change would come to, and make none',
        params,
        body: ChangeBody,
        response: { 200: ChangePreview, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const change = await previewChange(services, addressIn(request.params.subscription), changeIn(request.body))
      if (isRefusal(change)) throw refusalError(change)
      return renderPreview(change)
    },
  )
}

function stateRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/subscriptions/:subscription/cancel',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'cancelSubscription',
        tags: ['plans'],
        summary: 'Cancel a subscription',
        description:
          'It ends with its period, and until then goes on as it is; `at` `now`: at once, and what is unspent of the period goes with it. One that is not paid for, or is paused, ends at once.',
        params,
        body: optionalBody({ at: Type.Optional(Type.Unsafe<'now' | 'period_end'>({ ...At, description: 'Default `period_end`.' })) }),
        response: { 200: SubscriptionBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const address = addressIn(request.params.subscription)
      const at = request.body?.at ?? 'period_end'
      const command = { kind: 'cancel_subscription', subscription: address.seq, at } as const
      const caller = callerOf(request, idempotencyOf(request))
      return answer(reply, await despitePage(services, address, () => runOnSubscription(services, caller, address, command)))
    },
  )

  const simple = [
    {
      path: 'pause',
      operationId: 'pauseSubscription',
      summary: 'Pause a subscription',
      description: 'Its period goes on to its end, and none follows until it is resumed.',
      kind: 'pause_subscription',
    },
    {
      path: 'resume',
      operationId: 'resumeSubscription',
      summary: 'Let a subscription go on that is paused, or is to end',
      description: 'If the period of a paused one is over, another begins now.',
      kind: 'resume_subscription',
    },
  ] as const
  for (const { path, kind, ...said } of simple)
    app.post(
      `/subscriptions/:subscription/${path}`,
      {
        config: { access: 'operator' },
        schema: { ...said, tags: ['plans'], params, body: optionalBody({}), response: { 200: SubscriptionBody, ...PROBLEMS_ANSWER } },
      },
      async (request: FastifyRequest<{ Params: { subscription: string } }>, reply: FastifyReply) => {
        const address = addressIn(request.params.subscription)
        const caller = callerOf(request, idempotencyOf(request))
        return answer(reply, await runOnSubscription(services, caller, address, { kind, subscription: address.seq }))
      },
    )
}

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/subscriptions',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listSubscriptions',
        tags: ['plans'],
        summary: "List an account's subscriptions, newest first",
        querystring: Type.Object({ account: Type.Optional(AccountIn), ...PAGE_QUERY }, { additionalProperties: false }),
        response: { 200: listOf(SubscriptionBody), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const account = await accountOf(services, request, request.query.account)
      const page = seqPage(request.query, { account, prefixes: ['sub'] })
      return listBody('/v1/subscriptions', page, await listSubscriptions(services, account, page), renderSubscription)
    },
  )

  app.get(
    '/subscriptions/:subscription',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getSubscription',
        tags: ['plans'],
        summary: 'Get a subscription',
        params,
        response: { 200: SubscriptionBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const address = addressIn(request.params.subscription)
      const view = mayRead(request, address.account) ? await readSubscription(services, address) : NOT_FOUND
      if (isRefusal(view)) throw refusalError(view)
      return renderSubscription(view)
    },
  )
}
