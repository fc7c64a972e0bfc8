/** `/v1/keys` and `/v1/key`: API keys, their budgets and limits. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { BudgetTerms } from '../../core/account.ts'
import { isTimeZone, type Period } from '../../core/calendar.ts'
import { formatCredits } from '../../core/credits.ts'
import { type KeyChanges, NO_BUDGET } from '../../core/decisions/profile.ts'
import { type Address, accountId, objectId, parseObjectId } from '../../core/ids.ts'
import type { KeyScope, KeyTerms } from '../../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import { createKey, type ManagedKey, revokeKey, rotateKey, updateKey } from '../../operations/manage-keys.ts'
import { accountNow, viewBudget } from '../../operations/read-credits.ts'
import type { KeyRow } from '../../stores/store.ts'
import { accountOf, keyOf, mayRead, requireScope } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf } from '../idempotency.ts'
import { listBody, PAGE_QUERY, seqPage } from '../pages.ts'
import { badInput, ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import {
  AccountIn,
  AmountIn,
  decimalOut,
  idParam,
  listOf,
  Metadata,
  NullableAmount,
  NullableTime,
  nullableObject,
  Operation,
  optionalBody,
  PROBLEMS_ANSWER,
  StringMap,
  Time,
  TimeIn,
} from './schemas.ts'
import { nonNegativeIn, nullableAmountOut, nullableTimeOut, timeIn, timeOut } from './values.ts'
import { callerOf } from './work.ts'

const PERIODS = ['lifetime', 'day', 'week', 'month'] as const satisfies readonly Period[]
/** Longest that an old secret may go on working after a rotation. */
const MAX_OVERLAP_SECONDS = 30 * 86_400

const BudgetIn = Type.Object(
  {
    limit: Type.Optional(
      Type.Unsafe<string | number | null>({
        ...AmountIn,
        type: ['string', 'number', 'null'],
        description: 'Credits per period; null: unlimited, counted all the same.',
      }),
    ),
    period: Type.Optional(
      Type.Unsafe<Period>({ type: 'string', enum: [...PERIODS], description: 'Default `lifetime`. Weeks begin on Monday.' }),
    ),
    time_zone: Type.Optional(
      Type.String({ maxLength: 60, description: 'IANA name of the zone whose days, weeks and months count. Default UTC.' }),
    ),
    max_per_charge: Type.Optional(
      Type.Unsafe<string | number | null>({
        ...AmountIn,
        type: ['string', 'number', 'null'],
        description: 'Most credits of one charge or hold.',
      }),
    ),
  },
  { additionalProperties: false, description: 'What the key may spend. Live holds count. Checked in the same step as the balance.' },
)
const RateLimitIn = Type.Object(
  { requests: Type.Integer({ minimum: 1, maximum: 1_000_000 }), window_seconds: Type.Integer({ minimum: 1, maximum: 86_400 }) },
  { additionalProperties: false, description: "Requests per window. Without one, the server's default holds." },
)
const ScopeIn = Type.Unsafe<KeyScope>({
  type: 'string',
  enum: ['keys:write', 'webhooks:write', 'alerts:write'],
  description:
    '`keys:write`: make, change and revoke keys of its account; `webhooks:write`: manage its webhook endpoints; `alerts:write`: set, change and delete its alerts.',
})

const KEY_FIELDS = {
  name: Type.Optional(Type.String({ maxLength: 200 })),
  budget: Type.Optional(nullableObject(BudgetIn)),
  rate_limit: Type.Optional(nullableObject(RateLimitIn)),
  expires_at: Type.Optional(Type.Unsafe<string | null>({ ...TimeIn, type: ['string', 'null'] })),
  operations: Type.Optional(
    Type.Unsafe<string[] | null>({
      type: ['array', 'null'],
      items: Operation,
      maxItems: 100,
      description: 'Operations it may be charged for; null: all.',
    }),
  ),
  scopes: Type.Optional(Type.Array(ScopeIn, { maxItems: 10 })),
  metadata: Type.Optional(Metadata),
} as const
const KeyFields = Type.Object(KEY_FIELDS)

const Budget = Type.Object({
  limit: NullableAmount,
  period: Type.String(),
  time_zone: Type.String(),
  max_per_charge: NullableAmount,
  spent: decimalOut('Charged in this period.'),
  held: decimalOut('Set aside by live holds.'),
  remaining: NullableAmount,
  resets_at: NullableTime,
})

const Key = Type.Object(
  {
    object: Type.Literal('key'),
    id: Type.String(),
    account: Type.String(),
    name: Type.String(),
    hint: Type.String({ description: 'Prefix and last four characters of the secret.' }),
    secret: Type.Optional(
      Type.Unsafe<string | null>({
        type: ['string', 'null'],
        description: 'Shown once, in the answer that made it. Null when the request is a repeated one.',
      }),
    ),
    status: Type.Unsafe<'active' | 'expired' | 'revoked'>({ type: 'string', enum: ['active', 'expired', 'revoked'] }),
    budget: nullableObject(Budget),
    rate_limit: nullableObject(RateLimitIn),
    operations: Type.Unsafe<readonly string[] | null>({ type: ['array', 'null'], items: { type: 'string' } }),
    scopes: Type.Array(Type.String()),
    metadata: StringMap,
    expires_at: NullableTime,
    previous_secret_until: NullableTime,
    last_used_at: NullableTime,
    revoked_at: NullableTime,
    created_at: Time,
  },
  { description: 'An API key.' },
)

type KeyBody = Static<typeof Key>

/** Writes a key with what its budget has counted. */
export async function renderKey({ services }: NativeContext, key: KeyRow): Promise<KeyBody> {
  const nowMs = services.clock()
  const now = await accountNow(services, key.account)
  const budget = isRefusal(now) ? null : viewBudget(now, key)
  const { terms, previousUntilMs } = key
  const isExpired = terms.expiresAtMs !== null && terms.expiresAtMs <= nowMs
  return {
    object: 'key',
    id: objectId('key', key.account, key.seq),
    account: accountId(key.account),
    name: terms.name,
    hint: key.hint,
    status: key.revokedAtMs !== null ? 'revoked' : isExpired ? 'expired' : 'active',
    budget: budget && {
      limit: nullableAmountOut(budget.limit),
      period: budget.period,
      time_zone: budget.timeZone,
      max_per_charge: nullableAmountOut(budget.maxPerCharge),
      spent: formatCredits(budget.spent),
      held: formatCredits(budget.held),
      remaining: nullableAmountOut(budget.remaining),
      resets_at: nullableTimeOut(budget.resetsAtMs),
    },
    rate_limit: terms.rateLimit && { requests: terms.rateLimit.requests, window_seconds: terms.rateLimit.windowSeconds },
    operations: terms.operations,
    scopes: [...terms.scopes],
    metadata: terms.metadata,
    expires_at: nullableTimeOut(terms.expiresAtMs),
    previous_secret_until: previousUntilMs !== null && previousUntilMs > nowMs ? timeOut(previousUntilMs) : null,
    last_used_at: nullableTimeOut(key.lastUsedAtMs),
    revoked_at: nullableTimeOut(key.revokedAtMs),
    created_at: timeOut(key.createdAtMs),
  }
}

/** The part of a budget that a body states. */
function budgetIn({ limit, period, time_zone: timeZone, max_per_charge: maxPerCharge }: Static<typeof BudgetIn>): Partial<BudgetTerms> {
  if (timeZone !== undefined && !isTimeZone(timeZone))
    throw badInput('#/budget/time_zone', 'must be the IANA name of a time zone, such as Europe/Berlin')
  return {
    ...(limit === undefined ? {} : { limit: limit === null ? null : nonNegativeIn(limit, '#/budget/limit') }),
    ...(period === undefined ? {} : { period }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(maxPerCharge === undefined
      ? {}
      : { maxPerCharge: maxPerCharge === null ? null : nonNegativeIn(maxPerCharge, '#/budget/max_per_charge') }),
  }
}

/** The terms that a body states; what it leaves out is left out. */
function termsIn(body: Static<typeof KeyFields>): KeyChanges {
  const { name, budget, rate_limit: rateLimit, expires_at, operations, scopes, metadata } = body
  const expiresAtMs = expires_at === undefined || expires_at === null ? null : timeIn(expires_at, '#/expires_at')
  return {
    ...(name === undefined ? {} : { name }),
    ...(budget === undefined ? {} : { budget: budget && budgetIn(budget) }),
    ...(rateLimit === undefined
      ? {}
      : { rateLimit: rateLimit && { requests: rateLimit.requests, windowSeconds: rateLimit.window_seconds } }),
    ...(expires_at === undefined ? {} : { expiresAtMs }),
    ...(operations === undefined ? {} : { operations }),
    ...(scopes === undefined ? {} : { scopes }),
    ...(metadata === undefined ? {} : { metadata }),
  }
}

/** Rate limits protect the operator, and scopes are the operator's to give. */
function refuseOperatorTerms({ identity }: FastifyRequest, { rate_limit, scopes }: Static<typeof KeyFields>): void {
  if (identity?.kind === 'operator' || (rate_limit === undefined && scopes === undefined)) return
  throw new ProblemError('operator_key_required', 'Only the operator sets rate limits and scopes.')
}

const NO_TERMS: KeyTerms = { name: '', budget: null, rateLimit: null, expiresAtMs: null, operations: null, scopes: [], metadata: {} }

export function keyRoutes(app: NativeApp, context: NativeContext): void {
  createRoute(app, context)
  changeRoutes(app, context)
  readRoutes(app, context)
}

async function managedBody(context: NativeContext, managed: ManagedKey | Refusal): Promise<KeyBody> {
  if (isRefusal(managed)) throw refusalError(managed)
  return renderKey(context, managed.key)
}

function createRoute(app: NativeApp, context: NativeContext): void {
  const { services } = context
  app.post(
    '/keys',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'createKey',
        tags: ['keys'],
        summary: 'Make an API key',
        description:
          'By the operator for any account; for their own, by a key with the scope `keys:write` or a user who is an owner. The secret is shown once.',
        body: Type.Object({ account: Type.Optional(AccountIn), ...KEY_FIELDS }, { additionalProperties: false }),
        response: { 201: Key, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      requireScope(request, 'keys:write')
      refuseOperatorTerms(request, request.body)
      if (request.identity?.kind === 'operator' && request.body.account === undefined) throw badInput('#/account', 'is required')
      const account = await accountOf(services, request, request.body.account)
      const { budget = null, ...others } = termsIn(request.body)
      const terms = { ...NO_TERMS, ...others, budget: budget && { ...NO_BUDGET, ...budget } }
      const made = await createKey(services, callerOf(request, idempotencyOf(request)), { account, terms })
      const body = await managedBody(context, made)
      if (!isRefusal(made) && made.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return { ...body, secret: isRefusal(made) ? null : made.secret }
    },
  )
}

/** The address of a key that the caller may know of; another's is not found. */
function keyIn(request: FastifyRequest, id: string): Address {
  const address = parseObjectId('key', id)
  if (!address || !mayRead(request, address.account)) throw refusalError(refuse('key_not_found', 'No API key has this id.'))
  return address
}

function changeRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context
  const params = idParam('key', 'Id of the key.')
  const schema = { tags: ['keys'], params, response: { 200: Key, ...PROBLEMS_ANSWER } }

  app.patch(
    '/keys/:key',
    {
      config: { access: 'account' },
      schema: {
        ...schema,
        operationId: 'updateKey',
        summary: 'Change what a key may do',
        description:
          'What is left out stays as it is, in a budget too. A changed limit never resets what was counted; a changed period or time zone starts a new count.',
        body: Type.Object(KEY_FIELDS, { additionalProperties: false, minProperties: 1 }),
      },
    },
    async (request) => {
      requireScope(request, 'keys:write')
      refuseOperatorTerms(request, request.body)
      const changes = termsIn(request.body)
      return managedBody(context, await updateKey(services, callerOf(request, null), { key: keyIn(request, request.params.key), changes }))
    },
  )

  app.delete(
    '/keys/:key',
    { config: { access: 'account' }, schema: { ...schema, operationId: 'revokeKey', summary: 'Revoke a key, at once and for ever' } },
    async (request) => {
      requireScope(request, 'keys:write')
      return managedBody(context, await revokeKey(services, callerOf(request, null), keyIn(request, request.params.key)))
    },
  )

  app.post(
    '/keys/:key/rotate',
    {
      config: { access: 'account' },
      schema: {
        ...schema,
        operationId: 'rotateKey',
        summary: 'Give a key a new secret',
        description:
          'The old secret goes on working for `overlap_seconds` (default one day), so that both can be in use while it is replaced.',
        body: optionalBody({ overlap_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_OVERLAP_SECONDS })) }),
      },
    },
    async (request, reply) => {
      requireScope(request, 'keys:write')
      const overlapMs = (request.body?.overlap_seconds ?? 86_400) * 1000
      const rotated = await rotateKey(services, callerOf(request, idempotencyOf(request)), {
        key: keyIn(request, request.params.key),
        overlapMs,
      })
      const body = await managedBody(context, rotated)
      if (!isRefusal(rotated) && rotated.isReplay) reply.header('idempotent-replayed', 'true')
      return { ...body, secret: isRefusal(rotated) ? null : rotated.secret }
    },
  )
}

function readRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context

  app.get(
    '/key',
    {
      config: { access: 'account' },
      schema: { operationId: 'getOwnKey', tags: ['keys'], summary: 'Get the key that asks', response: { 200: Key, ...PROBLEMS_ANSWER } },
    },
    async (request) => {
      const key = keyOf(request)
      if (!key) throw new ProblemError('invalid_request', "This is about a customer's key: ask with one.")
      return renderKey(context, (await services.store.key(key.account, key.seq)) ?? key)
    },
  )

  app.get(
    '/keys',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listKeys',
        tags: ['keys'],
        summary: 'List API keys, newest first',
        querystring: Type.Object({ account: Type.Optional(AccountIn), ...PAGE_QUERY }, { additionalProperties: false }),
        response: { 200: listOf(Key), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const account = await accountOf(services, request, request.query.account)
      const page = seqPage(request.query, { account, prefixes: ['key'] })
      const rows = await services.store.keys(account, page)
      const bodies = await Promise.all(rows.map((row) => renderKey(context, row)))
      return listBody('/v1/keys', page, bodies, (body) => body)
    },
  )

  app.get(
    '/keys/:key',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getKey',
        tags: ['keys'],
        summary: 'Get an API key',
        params: idParam('key', 'Id of the key.'),
        response: { 200: Key, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { account, seq } = keyIn(request, request.params.key)
      const key = await services.store.key(account, seq)
      if (!key) throw refusalError(refuse('key_not_found', 'No API key has this id.'))
      return renderKey(context, key)
    },
  )
}
