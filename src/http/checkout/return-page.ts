/** `/checkout/…/return`: where customers come back to from the provider. It looks at once, and sends them on. */

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { RateLimit, RateLimiter } from '../../auth/rate-limiter.ts'
import { formatMoney } from '../../core/currency.ts'
import { type Address, objectId, parseObjectId } from '../../core/ids.ts'
import type { PurchaseStatus } from '../../core/purchase.ts'
import { isRefusal } from '../../core/refusals.ts'
import { type PurchaseView, readCheckout } from '../../operations/checkouts.ts'
import { tryToFulfil } from '../../operations/fulfil.ts'
import type { Services } from '../../operations/services.ts'
import { lookAtAttempt } from '../../operations/subscription-payments.ts'
import { html, sendPage } from '../html.ts'
import { ProblemError } from '../problems.ts'

const TOKEN_BYTES = 18

/** The path of the page for a checkout: its token keeps those out who were not sent there. */
export function returnPath(secret: string, checkout: string): string {
  return `/checkout/${checkout}/return?token=${tokenOf(secret, checkout).toString('base64url')}`
}

function tokenOf(secret: string, checkout: string): Buffer {
  return createHmac('sha256', secret).update(`return from ${checkout}`).digest().subarray(0, TOKEN_BYTES)
}

/** How soon a customer whose money is on its way is shown how it stands. */
const REFRESH_SECONDS = 5

/** How often the provider is asked for one checkout, however often its page is loaded: the page needs no key. */
const LOOKS: RateLimit = { requests: 20, windowSeconds: 60 }

interface ReturnParts {
  readonly services: Services
  readonly limiter: RateLimiter
}

/** Serves the page. */
export async function returnPage(app: FastifyInstance, parts: ReturnParts): Promise<void> {
  const options = { config: { access: 'public' }, schema: { hide: true } } as const
  app.get<{ Params: { checkout: string }; Querystring: { token?: string } }>(
    '/checkout/:checkout/return',
    options,
    async (request, reply) => {
      const { checkout } = request.params
      const { token = '' } = request.query
      if (checkout.startsWith('pay_')) return sendPaidPage(parts, reply, { checkout, token })
      const view = await returned(parts, { checkout, token })
      const { terms } = view.purchase
      if (terms.successUrl !== null && (view.status === 'paid' || view.status === 'pending'))
        return reply.redirect(withCheckout(terms.successUrl, view), 303)
      return sendPage(reply, { title: 'Checkout', body: bodyOf(view), refreshSeconds: view.status === 'pending' ? REFRESH_SECONDS : null })
    },
  )
}

interface Ticket {
  readonly checkout: string
  readonly token: string
}

/** What the page's path names. Keeps those out who were not sent there. */
function addressIn(services: Services, prefix: 'cs' | 'pay', { checkout, token }: Ticket): Address {
  const address = parseObjectId(prefix, checkout)
  const given = Buffer.from(token, 'base64url')
  if (!address || given.length !== TOKEN_BYTES || !timingSafeEqual(given, tokenOf(services.store.secret, checkout))) throw NOT_FOUND
  return address
}

function mayAsk({ limiter }: ReturnParts, { checkout }: Ticket): boolean {
  return limiter.take(`return from ${checkout}`, LOOKS).isAllowed
}

/** For those who have paid for a subscription, or have not: what has become of the attempt. */
async function sendPaidPage(parts: ReturnParts, reply: FastifyReply, ticket: Ticket): Promise<FastifyReply> {
  const { services } = parts
  const outcome = await lookAtAttempt(services, addressIn(services, 'pay', ticket), () => mayAsk(parts, ticket))
  if (outcome === undefined) throw NOT_FOUND
  const [title, text] = SAID[outcome]
  const body = html`<section>
<h1>${title}</h1>
<p role="status">${text}</p>
</section>`
  return sendPage(reply, { title: 'Checkout', body, refreshSeconds: outcome === 'pending' ? REFRESH_SECONDS : null })
}

/** The checkout that a customer comes back from, as the provider has it now; as it is on record, if that was asked too often. */
async function returned(parts: ReturnParts, ticket: Ticket): Promise<PurchaseView> {
  const { services } = parts
  const address = addressIn(services, 'cs', ticket)
  const before = await readCheckout(services, address)
  if (isRefusal(before)) throw NOT_FOUND
  const { link, paid } = before.purchase
  if (services.payments !== null && link !== null && paid === null && mayAsk(parts, ticket))
    await tryToFulfil(services, services.payments, link.reference)
  const view = await readCheckout(services, address)
  if (isRefusal(view)) throw NOT_FOUND
  return view
}

const NOT_FOUND = new ProblemError('not_found', 'There is no such checkout.')

function withCheckout(successUrl: string, { account, purchase }: PurchaseView): string {
  const url = new URL(successUrl)
  url.searchParams.set('checkout_session', objectId('cs', account, purchase.seq))
  return url.href
}

const SAID: Readonly<Record<PurchaseStatus, readonly [title: string, text: string]>> = {
  paid: ['Paid', 'Your credits are ready to use.'],
  pending: ['On its way', 'Your credits are there as soon as the money has arrived. This can take a while; you may close this page.'],
  open: ['Not paid yet', 'Nothing was paid. You can go on where you left off.'],
  expired: ['Expired', 'Nothing was paid in time. If you pay all the same, it is credited.'],
  failed: ['Payment failed', 'Nothing was paid.'],
  canceled: ['Canceled', 'Nothing was paid.'],
}

function bodyOf({ purchase, status }: PurchaseView): ReturnType<typeof html> {
  const { terms, link } = purchase
  const [title, text] = SAID[status]
  const note = terms.isLive ? [] : [html`<div class="note">Test mode. No real money is paid here.</div>`]
  const goOn = status === 'open' && link !== null ? [html`<a class="button first" href="${link.url}">Go on</a>`] : []
  return html`${note}
<section>
<h1>${title}</h1>
<p class="price">${formatMoney(terms.amountMinor, terms.currency)}</p>
<p role="status">${text}</p>
${goOn}
</section>`
}
