/** `/billing/checkout`, `/billing/topup` and `/billing/checkouts`: credits that are being bought. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { objectId } from '../../../core/ids.ts'
import type { PurchaseFacts, PurchaseStatus } from '../../../core/purchase.ts'
import { asOf } from '../../../operations/checkouts.ts'
import type { Services } from '../../../operations/services.ts'
import { badInput } from '../../problems.ts'
import { returnAddressIn } from '../../return-addresses.ts'
import { offerOf, openDialectCheckout } from '../buying.ts'
import { customerOf } from '../customer.ts'
import type { DialectApp, DialectContext } from '../dialect.ts'
import { MoneyIn, moneyIn, moneyOut } from '../money.ts'
import { number } from '../numbers.ts'
import { Time, timeOut } from '../times.ts'
import { OffsetQuery, offsetPage } from './pages.ts'

const Address = Type.Optional(Type.String({ maxLength: 2_000 }))

const CheckoutBody = Type.Object({
  mode: Type.Optional(Type.Unsafe<'payment' | 'subscription'>({ type: 'string', enum: ['payment', 'subscription'] })),
  amount: Type.Optional(MoneyIn),
  plan_id: Type.Optional(Type.String({ maxLength: 50, description: 'Id of a pack, instead of an amount.' })),
  currency: Type.Optional(Type.String({ pattern: '^[A-Za-z]{3}$', description: 'That of the offer, if it is stated.' })),
  success_url: Address,
  cancel_url: Address,
  successUrl: Address,
  cancelUrl: Address,
  redirect_url: Address,
  redirectUrl: Address,
})

const Url = Type.String({ description: 'The page on which it is paid.' })
const Id = Type.String({ examples: ['cs_0000000100000002'] })
const Opened = Type.Object(
  {
    success: Type.Literal(true),
    data: Type.Object({ url: Url, id: Id }),
    id: Id,
    checkout_url: Url,
    checkoutUrl: Url,
    session_id: Id,
    sessionId: Id,
    payment_url: Url,
    paymentUrl: Url,
  },
  { description: "The page and the session, by each name that the product's pages read them by." },
)

const Checkout = Type.Object({
  id: Id,
  amount: number('The price, in the currency.', [100]),
  currency: Type.String({ examples: ['usd'] }),
  status: Type.Unsafe<'completed' | 'pending' | 'expired'>({ type: 'string', enum: ['completed', 'pending', 'expired'] }),
  created_at: Time,
  createdAt: Time,
})
const Checkouts = Type.Object({
  success: Type.Literal(true),
  data: Type.Array(Checkout),
  checkouts: Type.Array(Checkout, { description: 'The same.' }),
})

const STATUSES = {
  paid: 'completed',
  open: 'pending',
  pending: 'pending',
  expired: 'expired',
  failed: 'expired',
  canceled: 'expired',
} as const satisfies Readonly<Record<PurchaseStatus, string>>

export function checkoutRoutes(app: DialectApp, { services }: DialectContext): void {
  for (const [path, operationId, summary] of [
    ['/billing/checkout', 'createCheckout', 'Create a checkout session for credits'],
    ['/billing/topup', 'createTopup', 'Create a checkout session for credits'],
  ] as const)
    app.post(
      path,
      {
        config: { access: 'account' },
        schema: { operationId, tags: ['Billing'], summary, body: CheckoutBody, response: { 200: Opened } },
      },
      async (request) => openFor(services, request, request.body),
    )

  app.get(
    '/billing/checkouts',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listCheckouts',
        tags: ['Billing'],
        summary: 'List checkout sessions, newest first',
        querystring: OffsetQuery,
        response: { 200: Checkouts },
      },
    },
    async (request) => {
      const { account } = customerOf(request)
      const nowMs = services.clock()
      const purchases = await offsetPage(request.query, (page) => services.store.purchases(account, page), seqOfPurchase)
      const data = purchases.map((facts) => rowOf(asOf({ ...facts, account }, nowMs)))
      return { success: true as const, data, checkouts: data }
    },
  )
}

function seqOfPurchase({ purchase }: PurchaseFacts): number {
  return purchase.seq
}

async function openFor(services: Services, request: FastifyRequest, body: Static<typeof CheckoutBody>): Promise<Static<typeof Opened>> {
  if (body.mode === 'subscription') throw badInput('#/mode', 'must be payment: this server sells credits, and no subscriptions')
  const { currency } = await offerOf(services)
  if (body.currency !== undefined && body.currency.toLowerCase() !== currency) throw badInput('#/currency', `must be ${currency}`)
  const view = await openDialectCheckout(services, request, {
    dialect: 'videodb',
    wish: wishOf(body, currency),
    successUrl: returnAddressIn(body.success_url ?? body.successUrl ?? body.redirect_url ?? body.redirectUrl, '#/success_url'),
    cancelUrl: returnAddressIn(body.cancel_url ?? body.cancelUrl, '#/cancel_url'),
  })
  const id = objectId('cs', view.account, view.purchase.seq)
  const url = view.purchase.link?.url ?? ''
  const names = { id, checkout_url: url, checkoutUrl: url, session_id: id, sessionId: id, payment_url: url, paymentUrl: url }
  return { success: true, data: { url, id }, ...names }
}

/** Its own example states both: then the amount counts. */
function wishOf(
  { amount, plan_id: pack }: Static<typeof CheckoutBody>,
  currency: string,
): Parameters<typeof openDialectCheckout>[2]['wish'] {
  if (amount !== undefined) return { amountMinor: moneyIn(amount, currency, '#/amount') }
  if (pack !== undefined) return { pack }
  throw badInput('#/amount', 'is required')
}

function rowOf({ account, purchase, status }: ReturnType<typeof asOf>): Static<typeof Checkout> {
  const { amountMinor, currency } = purchase.terms
  const created = timeOut(purchase.openedAtMs)
  return {
    id: objectId('cs', account, purchase.seq),
    amount: moneyOut(amountMinor, currency),
    currency,
    status: STATUSES[status],
    created_at: created,
    createdAt: created,
  }
}
