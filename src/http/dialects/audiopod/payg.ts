/** `/api/v1/credits/payg`: credits that are bought as they are needed. */

import { Type } from 'typebox'
import { objectId } from '../../../core/ids.ts'
import { boughtIn } from '../../../core/purchase.ts'
import { offerOf, openDialectCheckout } from '../buying.ts'
import { customerOf } from '../customer.ts'
import type { DialectApp, DialectContext } from '../dialect.ts'
import { MoneyIn, moneyIn, moneyOut } from '../money.ts'
import { creditsOut, number } from '../numbers.ts'

const PaygInfo = Type.Object({
  credits_per_dollar: number('Credits for one unit of the currency.', [7500]),
  min_amount_usd: number('The least that may be paid, in the currency.', [1]),
  max_amount_usd: number('The most that may be paid, in the currency.', [1000]),
  currency: Type.String({ description: 'ISO 4217.', examples: ['USD'] }),
})

const Session = Type.Object({
  session_id: Type.String({ examples: ['cs_0000000100000002'] }),
  credits_to_receive: number('Credits once it is paid.', [187500]),
  amount_usd: number('The price, in the currency.', [25]),
  checkout_url: Type.String({ description: 'The page on which it is paid.' }),
})

export function paygRoutes(app: DialectApp, { services }: DialectContext): void {
  app.get(
    '/api/v1/credits/payg/info',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getPaygInfo',
        tags: ['Credits'],
        summary: 'Get what pay-as-you-go credits cost',
        response: { 200: PaygInfo },
      },
    },
    async (request) => {
      customerOf(request)
      const { creditsPerUnit, minMinor, maxMinor, currency } = await offerOf(services)
      return {
        credits_per_dollar: creditsOut(creditsPerUnit),
        min_amount_usd: moneyOut(minMinor, currency),
        max_amount_usd: moneyOut(maxMinor, currency),
        currency: currency.toUpperCase(),
      }
    },
  )

  app.post(
    '/api/v1/credits/payg/create-checkout-session',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'createPaygCheckoutSession',
        tags: ['Credits'],
        summary: 'Create a checkout session for pay-as-you-go credits',
        body: Type.Object({ amount_usd: MoneyIn }),
        response: { 200: Session },
      },
    },
    async (request) => {
      const { currency } = await offerOf(services)
      const wish = { amountMinor: moneyIn(request.body.amount_usd, currency, '#/amount_usd') }
      const { account, purchase } = await openDialectCheckout(services, request, {
        dialect: 'audiopod',
        wish,
        successUrl: null,
        cancelUrl: null,
      })
      return {
        session_id: objectId('cs', account, purchase.seq),
        credits_to_receive: creditsOut(boughtIn(purchase.terms)),
        amount_usd: moneyOut(purchase.terms.amountMinor, purchase.terms.currency),
        checkout_url: purchase.link?.url ?? '',
      }
    },
  )
}
