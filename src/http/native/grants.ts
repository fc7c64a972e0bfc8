/** `/v1/grants`: credits given. */

import { type Static, Type } from 'typebox'
import type { GrantSource } from '../../core/account.ts'
import { formatCredits } from '../../core/credits.ts'
import { type Address, accountId, objectId, parseObjectId } from '../../core/ids.ts'
import { DEFAULT_PRIORITIES } from '../../core/priorities.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import { findAccount } from '../../operations/find-account.ts'
import { grantCredits, voidGrant } from '../../operations/grant-credits.ts'
import { type GrantView, grantAfter, readGrant } from '../../operations/read-grant.ts'
import { accountOf, mayRead } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf, requiredIdempotency } from '../idempotency.ts'
import { listBody, PAGE_QUERY, seqPage } from '../pages.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import {
  AccountIn,
  Amount,
  AmountIn,
  CreditType,
  decimalOut,
  idParam,
  listOf,
  Metadata,
  NullableTime,
  nullableObject,
  optionalBody,
  PROBLEMS_ANSWER,
  StringMap,
  Time,
  TimeIn,
} from './schemas.ts'
import { nullableTimeOut, positiveIn, timeIn, timeOut } from './values.ts'
import { callerOf } from './work.ts'

const SOURCES = ['plan', 'topup', 'promo', 'rollover', 'refund', 'adjustment'] as const satisfies readonly GrantSource[]
const Source = Type.Unsafe<GrantSource>({
  type: 'string',
  enum: [...SOURCES],
  description: 'Where the credits come from. It sets the default priority.',
})
const Cost = Type.Object(
  {
    amount_minor: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Money paid, in minor units.' }),
    currency: Type.String({ pattern: '^[a-z]{3}$', description: 'ISO 4217, lower case.' }),
  },
  { additionalProperties: false, description: 'What was paid for the credits: paid ones burn last.' },
)

const Grant = Type.Object(
  {
    object: Type.Literal('grant'),
    id: Type.String(),
    account: Type.String(),
    credit_type: Type.String(),
    amount: Amount,
    remaining: decimalOut('Left, what is held included.'),
    held: Amount,
    source: Source,
    status: Type.Unsafe<GrantView['status']>({ type: 'string', enum: ['pending', 'open', 'spent', 'expired', 'voided'] }),
    priority: Type.Integer({ description: 'Lower burns first.' }),
    effective_at: Time,
    expires_at: NullableTime,
    cost: nullableObject(Cost),
    metadata: StringMap,
    created_at: Time,
  },
  { description: 'A lot of credits.' },
)

export function renderGrant(view: GrantView): Static<typeof Grant> {
  const { account, seq, creditType, terms, remaining, held, status, createdAtMs } = view
  return {
    object: 'grant',
    id: objectId('grant', account, seq),
    account: accountId(account),
    credit_type: creditType,
    amount: formatCredits(terms.amount),
    remaining: formatCredits(remaining),
    held: formatCredits(held),
    source: terms.source,
    status,
    priority: terms.priority,
    effective_at: timeOut(terms.effectiveAtMs),
    expires_at: nullableTimeOut(terms.expiresAtMs),
    cost: terms.cost && { amount_minor: terms.cost.amountMinor, currency: terms.cost.currency },
    metadata: terms.metadata,
    created_at: timeOut(createdAtMs),
  }
}

const GrantBody = Type.Object(
  {
    account: AccountIn,
    amount: AmountIn,
    credit_type: Type.Optional(CreditType),
    source: Type.Optional(Source),
    priority: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1000,
        description: `Lower burns first. By source: ${SOURCES.map((source) => `${source} ${DEFAULT_PRIORITIES[source]}`).join(', ')}.`,
      }),
    ),
    effective_at: Type.Optional(TimeIn),
    expires_at: Type.Optional(Type.Unsafe<string | null>({ ...TimeIn, type: ['string', 'null'] })),
    cost: Type.Optional(Cost),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
)

export function grantRoutes(app: NativeApp, context: NativeContext): void {
  writeRoutes(app, context)
  readRoutes(app, context)
}

/** Reads the validity of a grant. Whether it is over is the ledger's to say. */
function validityIn({ effective_at, expires_at }: Static<typeof GrantBody>): { effectiveAtMs: number | null; expiresAtMs: number | null } {
  const effectiveAtMs = effective_at === undefined ? null : timeIn(effective_at, '#/effective_at')
  const expiresAtMs = expires_at === undefined || expires_at === null ? null : timeIn(expires_at, '#/expires_at')
  if (expiresAtMs !== null && effectiveAtMs !== null && expiresAtMs <= effectiveAtMs)
    throw badInput('#/expires_at', 'must be later than effective_at')
  return { effectiveAtMs, expiresAtMs }
}

function writeRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/grants',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createGrant',
        tags: ['grants'],
        summary: 'Give an account credits',
        description: 'A debt of the credit type is repaid first. Needs an `Idempotency-Key`.',
        body: GrantBody,
        response: { 201: Grant, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { body } = request
      const amount = positiveIn(body.amount, '#/amount')
      const validity = validityIn(body)
      const account = await findAccount(services, body.account)
      if (typeof account !== 'number') throw refusalError(account)
      const outcome = await grantCredits(services, callerOf(request, requiredIdempotency(request)), {
        account,
        amount,
        creditType: body.credit_type ?? 'credits',
        source: body.source ?? 'promo',
        priority: body.priority ?? null,
        ...validity,
        cost: body.cost ? { amountMinor: body.cost.amount_minor, currency: body.cost.currency } : null,
        metadata: body.metadata ?? {},
      })
      if (isRefusal(outcome)) throw refusalError(outcome)
      if (outcome.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return grantBody(await grantAfter(services, outcome))
    },
  )

  app.post(
    '/grants/:grant/void',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'voidGrant',
        tags: ['grants'],
        summary: 'Take back what is unspent of a grant',
        description: 'What holds have set aside stays theirs, and is voided when they let it go.',
        params: idParam('grant', 'Id of the grant.'),
        body: optionalBody({ reason: Type.Optional(Type.String({ maxLength: 500 })) }),
        response: { 200: Grant, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const grant = grantIn(request.params.grant)
      const outcome = await voidGrant(services, callerOf(request, idempotencyOf(request)), { grant, reason: request.body?.reason ?? '' })
      if (isRefusal(outcome)) throw refusalError(outcome)
      if (outcome.isReplay) reply.header('idempotent-replayed', 'true')
      return grantBody(await grantAfter(services, outcome))
    },
  )
}

function grantBody(view: GrantView | Refusal): Static<typeof Grant> {
  if (isRefusal(view)) throw refusalError(view)
  return renderGrant(view)
}

function grantIn(id: string): Address {
  const address = parseObjectId('grant', id)
  if (!address) throw refusalError(refuse('grant_not_found', 'No grant has this id.'))
  return address
}

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/grants',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listGrants',
        tags: ['grants'],
        summary: 'List grants, newest first',
        querystring: Type.Object({ account: Type.Optional(AccountIn), ...PAGE_QUERY }, { additionalProperties: false }),
        response: { 200: listOf(Grant), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const account = await accountOf(services, request, request.query.account)
      const page = seqPage(request.query, { account, prefixes: ['grant'] })
      const rows = await services.store.grants(account, page)
      const views = await Promise.all(rows.map(({ seq }) => readGrant(services, { account, seq })))
      return listBody('/v1/grants', page, views, grantBody)
    },
  )

  app.get(
    '/grants/:grant',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getGrant',
        tags: ['grants'],
        summary: 'Get a grant',
        params: idParam('grant', 'Id of the grant.'),
        response: { 200: Grant, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const grant = grantIn(request.params.grant)
      return grantBody(
        mayRead(request, grant.account) ? await readGrant(services, grant) : refuse('grant_not_found', 'No grant has this id.'),
      )
    },
  )
}
