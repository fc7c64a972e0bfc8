/** `/v1/holds`: credits set aside for work whose cost is known only at the end. */

import type { FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import type { CapturePolicy } from '../../core/account.ts'
import { formatCredits } from '../../core/credits.ts'
import { formatDecimals } from '../../core/decimal.ts'
import { DEFAULT_HOLD_TTL_MS, MAX_HOLD_TTL_MS, MIN_HOLD_TTL_MS } from '../../core/decisions/hold.ts'
import { type Address, accountId, objectId, parseObjectId } from '../../core/ids.ts'
import { movesCredits } from '../../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import { type CaptureHoldRequest, captureHold, extendHold, increaseHold, openHold, releaseHold } from '../../operations/hold.ts'
import { timeFor } from '../../operations/read-credits.ts'
import { type HoldView, holdAfter, readHold } from '../../operations/read-hold.ts'
import type { Applied } from '../../stores/store.ts'
import { accountOf, mayRead } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf, requiredIdempotency } from '../idempotency.ts'
import { listBody, PAGE_QUERY, seqPage } from '../pages.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { sendCharge } from './charge-answer.ts'
import { Charge, renderBalance } from './charge-bodies.ts'
import {
  AccountIn,
  AmountIn,
  Attributes,
  Balance,
  DecimalIn,
  decimalMap,
  decimalOut,
  idParam,
  listOf,
  Metadata,
  nullable,
  optionalBody,
  PROBLEMS_ANSWER,
  Quantities,
  StringMap,
  Time,
} from './schemas.ts'
import { decimalIn, nonNegativeIn, positiveIn, quantitiesIn, refuseBoth, timeOut } from './values.ts'
import { callerOf, WORK_FIELDS, workIn } from './work.ts'

const Policy = Type.Unsafe<CapturePolicy>({
  type: 'string',
  enum: ['reject', 'cap', 'overdraft'],
  description: 'What a capture above the hold does: refuse, take what is held, or take the rest from the account, below zero if need be.',
})
const Ttl = Type.Integer({
  minimum: MIN_HOLD_TTL_MS / 1000,
  maximum: MAX_HOLD_TTL_MS / 1000,
  description: `Seconds until the hold expires by itself: ${MIN_HOLD_TTL_MS / 1000} to ${MAX_HOLD_TTL_MS / 1000}, by default ${DEFAULT_HOLD_TTL_MS / 1000}.`,
})

const Hold = Type.Object(
  {
    object: Type.Literal('hold'),
    id: Type.String(),
    account: Type.String(),
    operation: Type.String(),
    status: Type.Unsafe<HoldView['status']>({ type: 'string', enum: ['live', 'captured', 'released', 'expired'] }),
    credits: decimalOut('Set aside when it was opened, and by increases since.'),
    held: decimalOut('Still set aside.'),
    credit_type: Type.String(),
    quantities: decimalMap(),
    attributes: StringMap,
    price_version: nullable<number>('integer'),
    key: nullable<string>('string'),
    late_charge: nullable<string>('string', 'The charge that was recorded for it after it had expired.'),
    policy: nullable<string>('string', 'Its own capture policy.'),
    metadata: StringMap,
    balance: Type.Optional(Balance),
    created_at: Time,
    expires_at: Time,
  },
  { description: 'Credits set aside. `balance` comes with the answer to a change.' },
)

type HoldBody = Static<typeof Hold>

export function renderHold(view: HoldView): HoldBody {
  const { account, opened, status, credits, held, expiresAtMs, lateCharge } = view
  const { seq, operation, creditType, quantities, attributes, priceVersion, key, policy, metadata, atMs } = opened
  return {
    object: 'hold',
    id: objectId('hold', account, seq),
    account: accountId(account),
    operation,
    status,
    credits: formatCredits(credits),
    held: formatCredits(held),
    credit_type: creditType,
    quantities: formatDecimals(quantities),
    attributes,
    price_version: priceVersion,
    key: key === null ? null : objectId('key', account, key),
    late_charge: lateCharge === null ? null : objectId('chg', account, lateCharge),
    policy,
    metadata,
    created_at: timeOut(atMs),
    expires_at: timeOut(expiresAtMs),
  }
}

export function holdRoutes(app: NativeApp, context: NativeContext): void {
  openRoute(app, context)
  captureRoute(app, context)
  changeRoutes(app, context)
  readRoutes(app, context)
}

/** The address in a hold's id. */
function holdIn(id: string): Address {
  const address = parseObjectId('hold', id)
  if (!address) throw refusalError(refuse('hold_not_found', 'No hold has this id.'))
  return address
}

/** Answers with the hold and the balance as a command left them. */
async function sendHold({ services }: NativeContext, reply: FastifyReply, outcome: Applied | Refusal): Promise<HoldBody> {
  if (isRefusal(outcome)) throw refusalError(outcome)
  const [record] = outcome.records
  if (outcome.isReplay) reply.header('idempotent-replayed', 'true')
  const view = await holdAfter(services, outcome)
  if (isRefusal(view)) throw refusalError(view)
  if (!record || !movesCredits(record)) return renderHold(view)
  const balance = renderBalance(record)
  reply.header('x-credits-remaining', balance.available)
  return { ...renderHold(view), balance }
}

function openRoute(app: NativeApp, context: NativeContext): void {
  app.post(
    '/holds',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createHold',
        tags: ['holds'],
        summary: 'Hold credits for work whose cost is known at the end',
        description:
          'Check and hold are one step. State the most that the work can come to. Short of credits: 402; held by others: 429 `credits_in_flight`.',
        body: Type.Object(
          { ...WORK_FIELDS, ttl_seconds: Type.Optional(Ttl), policy: Type.Optional(Policy) },
          { additionalProperties: false },
        ),
        response: { 201: Hold, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { ttl_seconds: ttl, policy = null } = request.body
      const work = await workIn(context, request.body)
      const ttlMs = ttl === undefined ? DEFAULT_HOLD_TTL_MS : ttl * 1000
      const outcome = await openHold(context.services, callerOf(request, requiredIdempotency(request)), { ...work, ttlMs, policy })
      reply.code(201)
      return sendHold(context, reply, outcome)
    },
  )
}

const CaptureBody = optionalBody({
  amount: Type.Optional(AmountIn),
  quantity: Type.Optional(DecimalIn),
  quantities: Type.Optional(Quantities),
  attributes: Type.Optional(Attributes),
  final: Type.Optional(Type.Boolean({ description: 'Whether the hold ends and lets the rest go. Default true.' })),
  policy: Type.Optional(Policy),
  metadata: Type.Optional(Metadata),
})

function captureIn({
  amount,
  quantity,
  quantities,
  attributes,
  final,
  policy,
  metadata,
}: NonNullable<Static<typeof CaptureBody>>): CaptureHoldRequest {
  return {
    amount: amount === undefined ? null : nonNegativeIn(amount, '#/amount'),
    quantity: quantity === undefined ? null : decimalIn(quantity, '#/quantity'),
    quantities: quantities === undefined ? null : quantitiesIn(quantities, '#/quantities'),
    attributes: attributes ?? null,
    final: final ?? true,
    policy: policy ?? null,
    metadata: metadata ?? null,
  }
}

function captureRoute(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/holds/:hold/capture',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'captureHold',
        tags: ['holds'],
        summary: 'Charge what the work really cost',
        description:
          'By `amount`, or by what was used at the prices of the hold; without either, all that is held. The answer is the charge. After expiry it is a late capture: recorded once, as a direct charge.',
        params: idParam('hold', 'Id of the hold.'),
        body: CaptureBody,
        response: { 201: Charge, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const hold = holdIn(request.params.hold)
      const stated = request.body ?? {}
      refuseBoth(stated, '#')
      const caller = callerOf(request, requiredIdempotency(request))
      const outcome = await captureHold(services, caller, { hold, request: captureIn(stated) })
      return sendCharge(reply, outcome)
    },
  )
}

const NoBody = optionalBody({})

function changeRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context
  const params = idParam('hold', 'Id of the hold.')
  const schema = { tags: ['holds'], params, response: { 200: Hold, ...PROBLEMS_ANSWER } }

  app.post(
    '/holds/:hold/release',
    {
      config: { access: 'operator' },
      schema: { ...schema, operationId: 'releaseHold', summary: 'Give back all that a hold has set aside', body: NoBody },
    },
    async (request, reply) => {
      const hold = holdIn(request.params.hold)
      const outcome = await releaseHold(services, callerOf(request, idempotencyOf(request)), hold)
      return sendHold(context, reply, outcome)
    },
  )

  app.post(
    '/holds/:hold/extend',
    {
      config: { access: 'operator' },
      schema: {
        ...schema,
        operationId: 'extendHold',
        summary: 'Give a hold more time',
        description: 'Counted from now; never beyond 24 hours from when the hold was opened.',
        body: Type.Object({ ttl_seconds: Ttl }, { additionalProperties: false }),
      },
    },
    async (request, reply) => {
      const hold = holdIn(request.params.hold)
      const outcome = await extendHold(services, callerOf(request, idempotencyOf(request)), {
        hold,
        ttlMs: request.body.ttl_seconds * 1000,
      })
      return sendHold(context, reply, outcome)
    },
  )

  app.post(
    '/holds/:hold/increase',
    {
      config: { access: 'operator' },
      schema: {
        ...schema,
        operationId: 'increaseHold',
        summary: 'Set more credits aside',
        description: 'Refused as a new hold would be: stop the work then, or capture what is held.',
        body: Type.Object({ amount: AmountIn }, { additionalProperties: false }),
      },
    },
    async (request, reply) => {
      const hold = holdIn(request.params.hold)
      const credits = positiveIn(request.body.amount, '#/amount')
      const outcome = await increaseHold(services, callerOf(request, requiredIdempotency(request)), { hold, credits })
      return sendHold(context, reply, outcome)
    },
  )
}

const STATUSES = ['live', 'captured', 'released', 'expired'] as const

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/holds',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listHolds',
        tags: ['holds'],
        summary: 'List holds, newest first',
        querystring: Type.Object(
          {
            account: Type.Optional(AccountIn),
            status: Type.Optional(Type.Unsafe<(typeof STATUSES)[number]>({ type: 'string', enum: [...STATUSES] })),
            ...PAGE_QUERY,
          },
          { additionalProperties: false },
        ),
        response: { 200: listOf(Hold), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { query } = request
      const account = await accountOf(services, request, query.account)
      const page = seqPage(query, { account, prefixes: ['hold'] })
      const having = query.status === undefined ? {} : { having: { status: query.status, atMs: await timeFor(services, account) } }
      const rows = await services.store.holds(account, { ...page, ...having })
      const views = await Promise.all(rows.map(({ seq }) => readHold(services, { account, seq })))
      return listBody(
        '/v1/holds',
        page,
        views.flatMap((view) => (isRefusal(view) ? [] : [view])),
        renderHold,
      )
    },
  )

  app.get(
    '/holds/:hold',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getHold',
        tags: ['holds'],
        summary: 'Get a hold',
        params: idParam('hold', 'Id of the hold.'),
        response: { 200: Hold, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const hold = holdIn(request.params.hold)
      const view = mayRead(request, hold.account) ? await readHold(services, hold) : refuse('hold_not_found', 'No hold has this id.')
      if (isRefusal(view)) throw refusalError(view)
      return renderHold(view)
    },
  )
}
