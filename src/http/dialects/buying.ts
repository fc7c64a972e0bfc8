/** Credits that a dialect's customers buy: the same checkout sessions as everybody's. */

import type { FastifyRequest } from 'fastify'
import { isRefusal, refuse } from '../../core/refusals.ts'
import type { TopupWish } from '../../core/topup-options.ts'
import { openCheckout, type PurchaseView } from '../../operations/checkouts.ts'
import type { Services } from '../../operations/services.ts'
import { type OfferedOptions, readTopupOptions } from '../../operations/topup-options.ts'
import { actorOf } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf } from '../idempotency.ts'
import { payingCustomerOf } from './customer.ts'

/** What is on offer. Throws topups_not_offered. */
export async function offerOf(services: Services): Promise<OfferedOptions> {
  const options = services.payments === null ? undefined : await readTopupOptions(services)
  if (!options) throw refusalError(refuse('topups_not_offered', 'This server sells no credits now.'))
  return options
}

/** What a customer wants to buy, and where they go afterwards. */
export interface DialectPurchase {
  readonly dialect: string
  readonly wish: TopupWish
  readonly successUrl: string | null
  readonly cancelUrl: string | null
}

/** Opens a checkout for whoever calls. Requests without an Idempotency-Key, as most clients send them, are each their own. */
export async function openDialectCheckout(services: Services, request: FastifyRequest, purchase: DialectPurchase): Promise<PurchaseView> {
  const { dialect, wish, successUrl, cancelUrl } = purchase
  const { account } = payingCustomerOf(request)
  const caller = { actor: actorOf(request), requestId: request.id, idempotency: idempotencyOf(request) }
  const view = await openCheckout(services, caller, { account, wish, successUrl, cancelUrl, metadata: { dialect }, keepsMethod: false })
  if (isRefusal(view)) throw refusalError(view)
  return view
}
