/** `/v1/checkout-sessions`: credits that are being bought. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { type Address, accountId, objectId, parseObjectId } from '../../core/ids.ts'
import type { PurchaseStatus } from '../../core/purchase.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { TopupWish } from '../../core/topup-options.ts'
import { asOf, cancelCheckout, openCheckout, type PurchaseView, readCheckout } from '../../operations/checkouts.ts'
import { timeFor } from '../../operations/read-credits.ts'
import { accountOf, actorOf, keyOf, mayRead, requireOwner } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { requiredIdempotency } from '../idempotency.ts'
import { listBody, PAGE_QUERY, seqPage } from '../pages.ts'
import { badInput } from '../problems.ts'
import { MAX_RETURN_ADDRESS, returnAddressIn } from '../return-addresses.ts'
import type { NativeApp, NativeContext } from './app.ts'
import {
  AccountIn,
  Amount,
  idParam,
  listOf,
  Metadata,
  NullableTime,
  nullable,
  nullableObject,
  optionalBody,
  PROBLEMS_ANSWER,
  StringMap,
  Time,
} from './schemas.ts'
import { AmountMinor } from './topup-options.ts'
import { nullableTimeOut, timeOut } from './values.ts'
import { callerOf } from './work.ts'

const STATUSES = ['open', 'pending', 'paid', 'expired', 'failed', 'canceled'] as const satisfies readonly PurchaseStatus[]
const MODES = ['live', 'test'] as const

const Mismatch = Type.Object(
  {
    reason: Type.Unsafe<'amount' | 'currency' | 'mode' | 'paid_before'>({
      type: 'string',
      enum: ['amount', 'currency', 'mode', 'paid_before'],
    }),
    payment: Type.String({ description: "The provider's name of the payment." }),
    amount_minor: Type.Integer(),
    currency: Type.String(),
  },
  { description: 'A payment that is not what was asked for, or one too many: nothing was credited for it. Look at it, and refund it.' },
)

const CheckoutSession = Type.Object(
  {
    object: Type.Literal('checkout_session'),
    id: Type.String(),
    account: Type.String(),
    status: Type.Unsafe<PurchaseStatus>({
      type: 'string',
      enum: [...STATUSES],
      description:
        '`pending`: the customer is done, and the money is on its way. Money that arrives after the end is credited all the same.',
    }),
    url: nullable<string>('string', 'The page on which it is paid; null: there is none any more.'),
    provider: Type.String(),
    mode: Type.Unsafe<'live' | 'test'>({ type: 'string', enum: [...MODES], description: '`test`: nothing real is paid.' }),
    amount_minor: AmountMinor,
    currency: Type.String(),
    credit_type: Type.String(),
    credits: Amount,
    bonus_credits: nullable<string>('string', 'Given on top; null: none.', 'decimal'),
    pack: nullable<string>('string', 'The pack that was chosen; null: an amount was.'),
    topup: nullable<string>('string', 'Id of the top-up, once it is paid.'),
    mismatch: nullableObject(Mismatch),
    metadata: StringMap,
    expires_at: Time,
    paid_at: NullableTime,
    created_at: Time,
  },
  { description: 'Credits that are being bought, until they are paid or the session ends.' },
)

function renderCheckout({ account, purchase, status }: PurchaseView): Static<typeof CheckoutSession> {
  const { terms, link, paid, mismatch } = purchase
  const isOpen = status === 'open'
  return {
    object: 'checkout_session',
    id: objectId('cs', account, purchase.seq),
    account: accountId(account),
    status,
    url: isOpen ? (link?.url ?? null) : null,
    provider: terms.provider,
    mode: terms.isLive ? 'live' : 'test',
    amount_minor: terms.amountMinor,
    currency: terms.currency,
    credit_type: terms.creditType,
    credits: formatCredits(terms.credits),
    bonus_credits: terms.bonus && formatCredits(terms.bonus.credits),
    pack: terms.pack,
    topup: paid && objectId('topup', account, paid.seq),
    mismatch: mismatch && {
      reason: mismatch.reason,
      payment: mismatch.payment.payment,
      amount_minor: mismatch.payment.amountMinor,
      currency: mismatch.payment.currency,
    },
    metadata: terms.metadata,
    expires_at: timeOut(purchase.expiresAtMs),
    paid_at: nullableTimeOut(paid?.atMs ?? null),
    created_at: timeOut(purchase.openedAtMs),
  }
}

const AddressIn = Type.String({ maxLength: MAX_RETURN_ADDRESS, description: 'An http or https address.' })

const CheckoutBody = Type.Object(
  {
    account: Type.Optional(AccountIn),
    amount_minor: Type.Optional(AmountMinor),
    pack: Type.Optional(Type.String({ maxLength: 50, description: 'Id of a pack, instead of an amount.' })),
    success_url: Type.Optional(
      Type.String({ ...AddressIn, description: 'Where the customer goes once it is paid, or its money on its way.' }),
    ),
    cancel_url: Type.Optional(Type.String({ ...AddressIn, description: 'Where the customer goes who does not pay.' })),
    save_payment_method: Type.Optional(
      Type.Boolean({ description: 'Whether what the customer pays with is kept for payments without them. Default: no.' }),
    ),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
)

function wishIn({ amount_minor, pack }: Static<typeof CheckoutBody>): TopupWish {
  if (amount_minor !== undefined && pack !== undefined) throw badInput('#/pack', 'and amount_minor say the same: state one of them')
  if (pack !== undefined) return { pack }
  if (amount_minor !== undefined) return { amountMinor: amount_minor }
  throw badInput('#/amount_minor', 'or pack is required')
}

const NOT_FOUND = refuse('checkout_session_not_found', 'No checkout session has this id.')

function checkoutIn(id: string): Address {
  const address = parseObjectId('cs', id)
  if (!address) throw refusalError(NOT_FOUND)
  return address
}

function checkoutBody(view: PurchaseView | Refusal): Static<typeof CheckoutSession> {
  if (isRefusal(view)) throw refusalError(view)
  return renderCheckout(view)
}

/** Any key of the account buys; of its users, owners do. */
function requireBuyer(request: FastifyRequest): void {
  if (keyOf(request) === null) requireOwner(request)
}

export function checkoutSessionRoutes(app: NativeApp, context: NativeContext): void {
  writeRoutes(app, context)
  readRoutes(app, context)
}

function writeRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/checkout-sessions',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'createCheckoutSession',
        tags: ['topups'],
        summary: 'Open a checkout session',
        description:
          'Send the customer to its `url`. The credits are there as soon as the provider says that it is paid. Needs an `Idempotency-Key`; sent again with it, the session is answered as it has become.',
        body: CheckoutBody,
        response: { 201: CheckoutSession, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      requireBuyer(request)
      const { body } = request
      const wish = wishIn(body)
      const successUrl = returnAddressIn(body.success_url, '#/success_url')
      const cancelUrl = returnAddressIn(body.cancel_url, '#/cancel_url')
      const account = await accountOf(services, request, body.account)
      const caller = callerOf(request, requiredIdempotency(request))
      const { metadata = {}, save_payment_method: keepsMethod = false } = body
      const view = await openCheckout(services, caller, { account, wish, successUrl, cancelUrl, metadata, keepsMethod })
      if (isRefusal(view)) throw refusalError(view)
      if (view.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return renderCheckout(view)
    },
  )

  app.post(
    '/checkout-sessions/:checkout_session/cancel',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'cancelCheckoutSession',
        tags: ['topups'],
        summary: 'Cancel a checkout session',
        description: 'Its page takes no money any more. Refused when it was paid before; canceled twice, it stays canceled.',
        params: idParam('checkout_session', 'Id of the checkout session.'),
        body: optionalBody({}),
        response: { 200: CheckoutSession, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      requireBuyer(request)
      const address = checkoutIn(request.params.checkout_session)
      if (!mayRead(request, address.account)) throw refusalError(NOT_FOUND)
      return checkoutBody(await cancelCheckout(services, { actor: actorOf(request), requestId: request.id }, address))
    },
  )
}

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/checkout-sessions',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listCheckoutSessions',
        tags: ['topups'],
        summary: 'List checkout sessions, newest first',
        querystring: Type.Object({ account: Type.Optional(AccountIn), ...PAGE_QUERY }, { additionalProperties: false }),
        response: { 200: listOf(CheckoutSession), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const account = await accountOf(services, request, request.query.account)
      const page = seqPage(request.query, { account, prefixes: ['cs'] })
      const rows = await services.store.purchases(account, page)
      const nowMs = await timeFor(services, account)
      return listBody('/v1/checkout-sessions', page, rows, (facts) => renderCheckout(asOf({ ...facts, account }, nowMs)))
    },
  )

  app.get(
    '/checkout-sessions/:checkout_session',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getCheckoutSession',
        tags: ['topups'],
        summary: 'Get a checkout session',
        params: idParam('checkout_session', 'Id of the checkout session.'),
        response: { 200: CheckoutSession, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const address = checkoutIn(request.params.checkout_session)
      return checkoutBody(mayRead(request, address.account) ? await readCheckout(services, address) : NOT_FOUND)
    },
  )
}
