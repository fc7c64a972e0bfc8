/**
 * What a provider says of a purchase, put on record. Webhook, return page and reconciler all come here, and here the provider is asked
 * what is true now: so it matters neither who comes, nor how often, nor in what order. Each fact is told to the ledger under a
 * name that is the provider's own, and the ledger takes each once.
 */

import type { ProviderNews } from '../core/command.ts'
import { type Address, objectId, parseObjectId } from '../core/ids.ts'
import type { PurchaseFacts } from '../core/purchase.ts'
import { isRefusal } from '../core/refusals.ts'
import { type CheckoutNews, type DisputeNews, ProviderUnavailableError, type RefundNews } from '../payments/provider.ts'
import { fingerprintOf } from '../stores/chain.ts'
import { withInvoices } from './invoices.ts'
import type { Payments } from './payments.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'
import { hearOfPage, keepMethod } from './subscription-payments.ts'

/** A purchase, by its account and the sequence of the record that opened it. */
export interface PurchasePlace {
  readonly account: number
  readonly purchase: number
}

/** What a look at the provider led to. */
export type Fulfilment =
  | { readonly place: PurchasePlace; readonly facts: PurchaseFacts }
  /** A page on which a subscription is paid for. */
  | { readonly subscription: Address }
  /** The checkout is unknown, another system's, or another provider's. */
  | { readonly ignored: string }

/** How long money may be on its way before the checkout counts as expired, if nothing is heard. */
export const PENDING_MS = 30 * 86_400_000

/** Asks the provider about a checkout and puts all on record that is not yet. Rejects with ProviderUnavailableError. */
export async function fulfil(services: Services, payments: Payments, reference: string): Promise<Fulfilment> {
  const { provider } = payments
  const news = await provider.look(reference)
  const subscription = news && (await hearOfPage(services, payments, news))
  if (subscription) return { subscription }
  const place = news && placeOf(news.checkout)
  const before = place && (await services.store.purchase(place.account, place.purchase))
  if (!news || !place || !before) return { ignored: 'no checkout of this server' }
  if (before.purchase.terms.provider !== provider.name) return { ignored: 'a checkout of another provider' }
  // Before its payment is on record: after that, nobody looks whether it was kept, and what was left later may be of more use.
  if (news.status === 'paid' && news.method !== null && before.purchase.paid === null && before.purchase.mismatch === null)
    await keepMethod(services, place.account, { ...news.method, provider: provider.name, isLive: provider.isLive })
  const tellAll = async (): Promise<void> => {
    await tellCheckout(services, place, news)
    const { purchase } = await factsOf(services, place)
    // What becomes of a payment that gave no credits takes none: one that was not what was asked for, or one too many, is paid back elsewhere.
    if (purchase.paid === null || purchase.paid.payment.payment !== news.payment?.payment) return
    await tellRefunds(services, place, news.refunds)
    await askForRefunds(services, payments, place)
    await tellDisputes(services, place, news.disputes)
  }
  await (news.status === 'paid' ? withInvoices(services, place, tellAll) : tellAll())
  return { place, facts: await factsOf(services, place) }
}

async function factsOf({ store }: Services, { account, purchase }: PurchasePlace): Promise<PurchaseFacts> {
  const facts = await store.purchase(account, purchase)
  if (!facts) throw new Error(`purchase ${purchase} of account ${account} is gone`)
  return facts
}

/** As `fulfil`, for whoever can do without: if the provider does not answer, its events or the reconciler will tell. */
export async function tryToFulfil(services: Services, payments: Payments, reference: string): Promise<void> {
  try {
    await fulfil(services, payments, reference)
  } catch (fault) {
    if (!(fault instanceof ProviderUnavailableError)) throw fault
  }
}

function placeOf(checkout: string | null): PurchasePlace | undefined {
  const address = checkout === null ? undefined : parseObjectId('cs', checkout)
  return address && { account: address.account, purchase: address.seq }
}

async function tellCheckout(services: Services, place: PurchasePlace, { status, payment }: CheckoutNews): Promise<void> {
  const { purchase } = place
  if (status === 'paid' && payment !== null) await tell(services, place, { kind: 'fulfil', purchase, payment })
  else if (status === 'pending') await tell(services, place, { kind: 'pend_checkout', purchase, ttlMs: PENDING_MS })
  else if (status === 'expired' || status === 'failed') await tell(services, place, { kind: 'close_checkout', purchase, outcome: status })
}

async function tellRefunds(services: Services, place: PurchasePlace, refunds: readonly RefundNews[]): Promise<void> {
  const { account, purchase } = place
  for (const { refund, request: asked, amountMinor, status } of refunds) {
    const request = requestOf(account, asked)
    if (status === 'standing') {
      await tell(services, place, { kind: 'refund_topup', purchase, refund, request, amountMinor })
      continue
    }
    const { refundGrantDays: grantDays } = services.policy
    await tell(services, place, { kind: 'reverse_topup_refund', purchase, refund, request, amountMinor, grantDays })
  }
}

async function tellDisputes(services: Services, place: PurchasePlace, disputes: readonly DisputeNews[]): Promise<void> {
  for (const { dispute, amountMinor, status } of disputes) {
    const told = { purchase: place.purchase, dispute, amountMinor }
    // What is refused here, and why, is on record already: the money has gone back.
    if (status === 'open') await tell(services, place, { kind: 'open_dispute', ...told })
    else await tell(services, place, { kind: 'close_dispute', ...told, outcome: status, grantDays: services.policy.refundGrantDays })
  }
}

function requestOf(account: number, request: string | null): number | null {
  const address = request === null ? undefined : parseObjectId('trf', request)
  return address?.account === account ? address.seq : null
}

/** Asks the provider for refunds that the operator asked for and that it has neither made nor refused. */
async function askForRefunds(services: Services, { provider }: Payments, place: PurchasePlace): Promise<void> {
  const { account, purchase } = place
  const facts = await services.store.purchase(account, purchase)
  if (!facts?.purchase.paid) return
  for (const { seq, amountMinor, outcome } of facts.purchase.requests) {
    if (outcome !== null) continue
    const { payment } = facts.purchase.paid
    const answer = await provider.refund({ payment, request: objectId('trf', account, seq), amountMinor })
    if ('refused' in answer)
      await tell(services, place, { kind: 'refuse_topup_refund', purchase, request: seq, reason: answer.refused.slice(0, 500) })
    else await tellRefunds(services, place, [answer])
  }
}

/** The provider's own name of a fact: whoever hears of it names it so. */
function nameOf(news: ProviderNews): string {
  const { kind, purchase } = news
  switch (news.kind) {
    case 'fulfil':
      return `${kind} ${purchase} ${news.payment.payment}`
    case 'refund_topup':
    case 'reverse_topup_refund':
      return `${kind} ${purchase} ${news.refund}`
    case 'open_dispute':
    case 'close_dispute':
      return `${kind} ${purchase} ${news.dispute}`
    case 'close_checkout':
      return `${kind} ${purchase} ${news.outcome}`
    case 'refuse_topup_refund':
      return `${kind} ${purchase} ${news.request}`
    default:
      return `${kind} ${purchase}`
  }
}

const PROVIDER = { actor: 'provider', requestId: null } as const

/** Tells the ledger one fact. What it will not take (money that has gone back already) changes nothing, and is heard again with any later news. */
export async function tell(
  services: Services,
  { account }: PurchasePlace,
  news: ProviderNews,
  by: Pick<Caller, 'actor' | 'requestId'> = PROVIDER,
): Promise<void> {
  const key = nameOf(news)
  const caller = { ...by, idempotency: { key, fingerprint: fingerprintOf('TELL', key, ''), item: 0 } }
  const outcome = await runCommand(services, caller, { account, command: news })
  if (isRefusal(outcome) && !HARMLESS.has(outcome.refused)) throw new Error(`${news.kind} of purchase ${news.purchase}: ${outcome.detail}`)
}

/** Refusals that say that there is nothing to do. Any other one is a fault: money has moved, and the ledger would not hear of it. */
const HARMLESS: ReadonlySet<string> = new Set(['nothing_to_dispute'])
