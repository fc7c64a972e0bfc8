/** Checkouts: opened, given a page by the provider, read and canceled. */

import type { PurchaseCommand } from '../core/command.ts'
import { formatCredits } from '../core/credits.ts'
import { type Address, accountId, objectId } from '../core/ids.ts'
import type { CheckoutTerms } from '../core/payment.ts'
import { boughtIn, type PurchaseFacts } from '../core/purchase.ts'
import type { Metadata } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import { priceTopup, type TopupWish } from '../core/topup-options.ts'
import type { CheckoutOrder } from '../payments/provider.ts'
import { fulfil, tell } from './fulfil.ts'
import { type Payments, pageEndsMs } from './payments.ts'
import { timeFor } from './read-credits.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'
import { readTopupOptions } from './topup-options.ts'

/** A checkout to open. */
export interface CheckoutRequest {
  readonly account: number
  readonly wish: TopupWish
  readonly successUrl: string | null
  readonly cancelUrl: string | null
  readonly metadata: Metadata
  /** The customer leaves what they pay with, for payments without them. */
  readonly keepsMethod: boolean
}

/** A purchase as it is, with its account. */
export interface PurchaseView extends PurchaseFacts {
  readonly account: number
}

const NOT_OFFERED = refuse('topups_not_offered', 'This server sells no credits now.')
const NOT_FOUND = refuse('checkout_session_not_found', 'No checkout session has this id.')

/**
 * Opens a checkout and has the provider make its page. Whatever is cut short on the way is taken up again by the same request under the same
 * key: the provider makes one page for one checkout. Rejects with ProviderUnavailableError.
 */
export async function openCheckout(
  services: Services,
  caller: Caller,
  request: CheckoutRequest,
): Promise<(PurchaseView & { readonly isReplay: boolean }) | Refusal> {
  const { payments } = services
  const command = payments === null ? NOT_OFFERED : await commandFor(services, payments, request)
  const { account } = request
  const outcome = await runCommand(services, caller, { account, command })
  if (isRefusal(outcome)) return outcome
  const [record] = outcome.records
  if (record?.kind !== 'checkout_opened') throw new Error('the command opened no checkout')
  const view = await withPage(services, { account, seq: record.seq })
  return isRefusal(view) ? view : { ...view, isReplay: outcome.isReplay }
}

async function commandFor(services: Services, { provider }: Payments, request: CheckoutRequest): Promise<PurchaseCommand | Refusal> {
  const options = await readTopupOptions(services)
  if (!options) return NOT_OFFERED
  const bought = priceTopup(options, request.wish)
  if (isRefusal(bought)) return bought
  const { successUrl, cancelUrl, metadata, keepsMethod } = request
  const sold = { provider: provider.name, isLive: provider.isLive, optionsVersion: options.version }
  const plain: CheckoutTerms = { ...bought, ...sold, successUrl, cancelUrl, metadata }
  const terms = keepsMethod ? { ...plain, keepsMethod } : plain
  return { kind: 'open_checkout', terms, ttlMs: provider.checkoutTtlMs }
}

/** The checkout, with a page if it can still be paid: one that has none is given it. */
async function withPage(services: Services, address: Address): Promise<PurchaseView | Refusal> {
  const view = await readCheckout(services, address)
  const { payments } = services
  if (isRefusal(view) || payments === null) return view
  const { purchase, status } = view
  const leftMs = purchase.expiresAtMs - (await timeFor(services, address.account))
  const isWanting = status === 'open' && purchase.link === null && leftMs > 0
  const isOurs = purchase.terms.provider === payments.provider.name && purchase.terms.isLive === payments.provider.isLive
  if (!isWanting || !isOurs) return view
  const customer = purchase.terms.keepsMethod ? await customerOf(services, payments, address.account) : null
  const hasTestClock = (await services.store.state(address.account))?.clock != null
  const expiresAtMs = hasTestClock ? pageEndsMs(services.clock(), payments.provider) : purchase.expiresAtMs
  const { reference, url } = await payments.provider.makeCheckout(orderFor(payments, view, { expiresAtMs, customer }))
  await tell(
    services,
    { account: address.account, purchase: address.seq },
    { kind: 'link_checkout', purchase: address.seq, reference, url },
  )
  return readCheckout(services, address)
}

/** Under which name the provider knows a customer who has left something there; null: under none. */
async function customerOf({ store }: Services, { provider }: Payments, account: number): Promise<string | null> {
  const known = (await store.state(account))?.paymentMethod
  return known && known.provider === provider.name && known.isLive === provider.isLive ? known.customer : null
}

/** What the provider is asked for. Its time is not that of a test clock. */
export function orderFor(
  { returnUrl }: Payments,
  { account, purchase }: PurchaseView,
  { expiresAtMs, customer }: Pick<CheckoutOrder, 'expiresAtMs' | 'customer'>,
): CheckoutOrder {
  const { terms, seq } = purchase
  const checkout = objectId('cs', account, seq)
  return {
    checkout,
    account: accountId(account),
    amountMinor: terms.amountMinor,
    currency: terms.currency,
    title: `${formatCredits(boughtIn(terms))} ${terms.creditType.replaceAll('_', ' ')}`,
    expiresAtMs,
    returnUrl: returnUrl(checkout),
    cancelUrl: terms.cancelUrl ?? returnUrl(checkout),
    keepsMethod: terms.keepsMethod ?? false,
    customer,
  }
}

/** Reads a checkout. One whose time is up counts as expired, whether or not that has been booked. Refuses checkout_session_not_found. */
export async function readCheckout(services: Services, { account, seq }: Address): Promise<PurchaseView | Refusal> {
  const facts = await services.store.purchase(account, seq)
  return facts ? asOf({ ...facts, account }, await timeFor(services, account)) : NOT_FOUND
}

/** A purchase as it is at a moment. */
export function asOf(view: PurchaseView, nowMs: number): PurchaseView {
  const isOpen = view.status === 'open' || view.status === 'pending'
  return isOpen && view.purchase.expiresAtMs <= nowMs ? { ...view, status: 'expired' } : view
}

/**
 * Cancels a checkout that is not paid: the provider takes no money for it any more. Refuses checkout_closed for one that has ended, or was
 * paid at the last moment. Rejects with ProviderUnavailableError.
 */
export async function cancelCheckout(
  services: Services,
  by: Pick<Caller, 'actor' | 'requestId'>,
  address: Address,
): Promise<PurchaseView | Refusal> {
  const { payments } = services
  const view = await readCheckout(services, address)
  if (isRefusal(view)) return view
  const { purchase, status } = view
  if (status === 'canceled') return view
  if (status !== 'open') return refuseClosed(status)
  if (purchase.link !== null) {
    if (payments?.provider.name !== purchase.terms.provider) return PROVIDER_CHANGED
    const { reference } = purchase.link
    await payments.provider.cancel(reference)
    const news = await payments.provider.look(reference)
    if (news?.status !== 'expired') {
      await fulfil(services, payments, reference)
      const now = await readCheckout(services, address)
      return isRefusal(now) ? now : refuseClosed(now.status)
    }
  }
  const command = { kind: 'close_checkout', purchase: address.seq, outcome: 'canceled' } as const
  const outcome = await runCommand(services, { ...by, idempotency: null }, { account: address.account, command })
  return isRefusal(outcome) ? outcome : readCheckout(services, address)
}

function refuseClosed(status: string): Refusal {
  return refuse('checkout_closed', `The checkout session is ${status}.`, { checkout_status: status })
}

/** Refuses what takes the provider that a purchase was made with. */
export const PROVIDER_CHANGED = refuse('provider_changed', 'It was opened with a payment provider that this server does not use now.')
