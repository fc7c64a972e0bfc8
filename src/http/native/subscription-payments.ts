/** How subscriptions are paid for: a page for what is due, and what the customer has left for payments without them. */

import { Type } from 'typebox'
import { parseObjectId } from '../../core/ids.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { forgetPaymentMethod, openPaymentPage, readPaymentMethod } from '../../operations/subscription-payments.ts'
import { accountOf, keyOf, mayRead, requireOwner } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf } from '../idempotency.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AccountIn, idParam, nullableObject, optionalBody, PROBLEMS_ANSWER } from './schemas.ts'
import { renderSubscription, SubscriptionBody } from './subscription-bodies.ts'
import { callerOf } from './work.ts'

const PaymentMethodBody = Type.Object(
  {
    object: Type.Literal('payment_method'),
    provider: Type.String(),
    mode: Type.Unsafe<'live' | 'test'>({ type: 'string', enum: ['live', 'test'], description: '`test`: nothing real is paid.' }),
    label: Type.String({ description: 'What may be shown of it, such as `visa 4242`.' }),
  },
  { description: 'What a customer has left for payments that are made without them.' },
)
const Holder = Type.Object({ account: Type.Optional(AccountIn) }, { additionalProperties: false })
const Answer = Type.Object({ payment_method: nullableObject(PaymentMethodBody) })

const NOT_FOUND = refuse('subscription_not_found', 'No subscription has this id.')

export function subscriptionPaymentRoutes(app: NativeApp, context: NativeContext): void {
  pageRoute(app, context)
  methodRoutes(app, context)
}

function pageRoute(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/subscriptions/:subscription/payment-page',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'openSubscriptionPaymentPage',
        tags: ['plans'],
        summary: 'Open a page on which the customer pays for what is due',
        description:
          'Send the customer to `payment.page_url`. The credits are there as soon as the provider says that it is paid; what they pay with is kept for the next periods. While a page is open, the same one is answered.',
        params: idParam('subscription', 'Id of the subscription.'),
        body: optionalBody({}),
        response: { 200: SubscriptionBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      // Any key of the account pays; of its users, owners do.
      if (keyOf(request) === null) requireOwner(request)
      const address = parseObjectId('sub', request.params.subscription)
      if (!address || !mayRead(request, address.account)) throw refusalError(NOT_FOUND)
      const view = await openPaymentPage(services, callerOf(request, idempotencyOf(request)), address)
      if (isRefusal(view)) throw refusalError(view)
      return renderSubscription(view)
    },
  )
}

function methodRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/payment-method',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getPaymentMethod',
        tags: ['plans'],
        summary: 'Get what the customer has left for payments without them',
        querystring: Holder,
        response: { 200: Answer, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const method = await readPaymentMethod(services, await accountOf(services, request, request.query.account))
      if (method === null) return { payment_method: null }
      const { provider, isLive, label } = method
      const mode = isLive ? ('live' as const) : ('test' as const)
      return { payment_method: { object: 'payment_method' as const, provider, mode, label } }
    },
  )

  app.delete(
    '/payment-method',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'deletePaymentMethod',
        tags: ['plans'],
        summary: 'Forget what the customer has left for payments without them',
        description: 'Subscriptions go on; what is due is then paid for on a page.',
        querystring: Holder,
        response: { 200: Answer, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      if (keyOf(request) === null) requireOwner(request)
      const account = await accountOf(services, request, request.query.account)
      const refusal = await forgetPaymentMethod(services, callerOf(request, null), account)
      if (refusal) throw refusalError(refusal)
      return { payment_method: null }
    },
  )
}
