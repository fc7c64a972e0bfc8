/**
 * How subscriptions are paid for: without the customer, by what they left for that, or on a page. Every attempt is on record before the
 * provider hears of it, and is known to the provider by its record: so whatever is cut short is asked about again, by anyone, and no period
 * is paid for twice.
 */

import type { SubscriptionNews } from '../core/command.ts'
import { type Address, accountId, objectId, parseObjectId } from '../core/ids.ts'
import type { ReturnedMoney } from '../core/invoice.ts'
import type { Payment, PaymentMethod } from '../core/payment.ts'
import type { JournalRecord } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { PaymentAttempt } from '../core/subscription.ts'
import { type CheckoutNews, type OffSessionOutcome, ProviderUnavailableError } from '../payments/provider.ts'
import { fingerprintOf } from '../stores/chain.ts'
import { type PaymentPlace, paymentAt } from './invoiced-payments.ts'
import { withInvoices } from './invoices.ts'
import { type Payments, pageEndsMs } from './payments.ts'
import { timeFor } from './read-credits.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'
import { readSubscription, type SubscriptionView } from './subscriptions.ts'

const SUBSCRIPTIONS_AT_ONCE = 100
const TIME = { actor: 'time', requestId: null } as const
const PROVIDER = { actor: 'provider', requestId: null } as const
const NOT_OFFERED = refuse('topups_not_offered', 'This server takes no payments now.')

/** How far a look at the payments goes. */
export interface PayingOptions {
  /** Also asks about what only takes its time: pages that are open, and money that is on its way. */
  readonly isThorough: boolean
}

/** Sees to every subscription that has to be paid for. One that fails does not keep the others: the first fault is thrown in the end. */
export async function payForSubscriptions(services: Services, options: PayingOptions): Promise<void> {
  const { store, payments, clock } = services
  if (payments === null) return
  const faults: unknown[] = []
  for (let after: Address | null = null; ; ) {
    const page: readonly Address[] = await store.askingSubscriptions({ untilMs: clock(), after, limit: SUBSCRIPTIONS_AT_ONCE })
    for (const address of page) {
      try {
        await payFor(services, payments, { address, ...options })
      } catch (fault) {
        faults.push(fault)
      }
    }
    after = page.at(-1) ?? null
    if (after === null) break
  }
  if (faults.length > 0) throw faults[0]
}

interface Paying extends PayingOptions {
  readonly address: Address
}

async function payFor(services: Services, payments: Payments, { address, isThorough }: Paying): Promise<void> {
  const before = await attemptOf(services, address)
  if (before === undefined) return
  if (before === null) await makeAttempt(services, payments, address)
  const attempt = before ?? (await attemptOf(services, address))
  if (!attempt || !isOf(payments, attempt)) return
  if (attempt.via === 'page') {
    if (attempt.page === null) await leavePage(services, { address, attempt }, await timeFor(services, address.account))
    else if (isThorough) await lookAtPage(services, payments, attempt.page.reference)
    return
  }
  if (attempt.payment !== null && !isThorough) return
  const outcome =
    attempt.payment === null
      ? await askOffSession(payments, { address, attempt, isRepeated: before !== null })
      : await payments.provider.lookAtPayment(attempt.payment)
  await tellOutcome(services, { address, attempt }, outcome)
}

/** Whether an attempt is one of this provider, with money of its kind. */
function isOf({ provider }: Payments, attempt: PaymentAttempt): boolean {
  return attempt.provider === provider.name && attempt.isLive === provider.isLive
}

/** Gives a page up that the provider never made, and that would be of no use any more; false: it may still be made. */
async function leavePage(services: Services, { address, attempt }: InFlight, untilMs: number): Promise<boolean> {
  if ((attempt.expiresAtMs ?? untilMs) > untilMs) return false
  const of = { subscription: address.seq, attempt: attempt.seq }
  await tell(services, address, { kind: 'fail_payment', ...of, code: 'page_expired', mayRetry: true, isDecline: false })
  return true
}

/** What is in flight; null: nothing is; undefined: nothing is wanted. */
async function attemptOf(services: Services, address: Address): Promise<PaymentAttempt | null | undefined> {
  const view = await readSubscription(services, address)
  return isRefusal(view) ? undefined : view.subscription.collection?.attempt
}

/** Puts an attempt on record, if one is due and can be made. */
async function makeAttempt(services: Services, { provider }: Payments, address: Address): Promise<void> {
  const command = { kind: 'attempt_payment', subscription: address.seq, provider: provider.name, isLive: provider.isLive } as const
  await runCommand(services, { ...TIME, idempotency: null }, { account: address.account, command })
}

interface InFlight {
  readonly address: Address
  readonly attempt: PaymentAttempt
}

async function askOffSession(
  { provider }: Payments,
  { address, attempt, isRepeated }: InFlight & { readonly isRepeated: boolean },
): Promise<OffSessionOutcome> {
  const { amountMinor, currency, seq, customer, method } = attempt
  if (customer === null || method === null) throw new Error(`attempt ${seq} of account ${address.account} says not who is asked`)
  const order = { attempt: objectId('pay', address.account, seq), account: accountId(address.account), amountMinor, currency }
  return provider.payOffSession({ ...order, customer, paymentMethod: method, isRepeated })
}

async function tellOutcome(services: Services, { address, attempt }: InFlight, outcome: OffSessionOutcome): Promise<void> {
  const of = { subscription: address.seq, attempt: attempt.seq }
  switch (outcome.status) {
    case 'paid': {
      const { isLive, amountMinor, currency } = attempt
      const { payment } = outcome
      const told = { reference: payment, payment, isLive, amountMinor, totalMinor: amountMinor, currency }
      return hearOfPayment(services, { address, attempt: attempt.seq, payment: told, refunds: [], disputes: [] })
    }
    case 'pending':
      await tell(services, address, { kind: 'pend_payment', ...of, payment: outcome.payment })
      return
    case 'needs_action':
      await tell(services, address, { kind: 'fail_payment', ...of, code: 'authentication_required', mayRetry: false, isDecline: true })
      return
    case 'declined':
      await tell(services, address, { kind: 'fail_payment', ...of, code: outcome.code, mayRetry: outcome.mayRetry, isDecline: true })
      return
    case 'unusable': {
      const known = await readPaymentMethod(services, address.account)
      const command = { kind: 'remove_payment_method', reason: outcome.reason.slice(0, 500) } as const
      // What the customer left since then may be of use.
      if (known?.customer === attempt.customer && known.method === attempt.method)
        await runCommand(services, { ...PROVIDER, idempotency: null }, { account: address.account, command })
      await tell(services, address, { kind: 'fail_payment', ...of, code: 'no_payment_method', mayRetry: false, isDecline: false })
      return
    }
  }
}

/** The name of a fact: whoever hears of it names it so, and the ledger takes it once. */
function nameOf(news: SubscriptionNews): string {
  if (news.kind === 'pay_subscription') return `${news.kind} ${news.payment.payment}`
  return news.kind === 'return_payment' ? `${news.by} ${news.name} of ${news.attempt}` : `${news.kind} ${news.attempt}`
}

async function tell(services: Services, { account }: Pick<Address, 'account'>, news: SubscriptionNews): Promise<readonly JournalRecord[]> {
  const key = nameOf(news)
  const caller = { ...PROVIDER, idempotency: { key, fingerprint: fingerprintOf('TELL', key, ''), item: 0 } }
  const outcome = await runCommand(services, caller, { account, command: news })
  if (isRefusal(outcome)) throw new Error(`${news.kind} of subscription ${news.subscription}: ${outcome.detail}`)
  return outcome.records
}

/** Asks the provider about a page on which a subscription is paid for. */
async function lookAtPage(services: Services, payments: Payments, reference: string): Promise<void> {
  const news = await payments.provider.look(reference)
  if (news) await hearOfPage(services, payments, news)
}

/** Puts on record what a provider says of a page; undefined: it is no page of a subscription. */
export async function hearOfPage(services: Services, { provider }: Payments, news: CheckoutNews): Promise<Address | undefined> {
  const place = news.checkout === null ? undefined : parseObjectId('pay', news.checkout)
  const record = place && (await services.store.record(place.account, place.seq))
  if (!place || record?.kind !== 'subscription_payment_attempted' || record.provider !== provider.name) return undefined
  const address = { account: place.account, seq: record.subscription }
  const of = { subscription: record.subscription, attempt: record.seq }
  const { status, payment, method, reference } = news
  if (status === 'paid' && payment !== null) {
    const { refunds, disputes } = news
    // Only as long as the payment is news: what the customer left since then, or took away, is not undone by a later look.
    if (method !== null && (await attemptOf(services, address))?.seq === record.seq)
      await keepMethod(services, address.account, { ...method, provider: provider.name, isLive: payment.isLive })
    await hearOfPayment(services, { address, attempt: record.seq, payment, refunds, disputes })
  } else if (status === 'pending') await tell(services, address, { kind: 'pend_payment', ...of, payment: reference })
  else if (status === 'expired')
    await tell(services, address, { kind: 'fail_payment', ...of, code: 'page_expired', mayRetry: true, isDecline: false })
  else if (status === 'failed')
    await tell(services, address, { kind: 'fail_payment', ...of, code: 'payment_failed', mayRetry: true, isDecline: true })
  return address
}

interface Paid extends Pick<CheckoutNews, 'refunds' | 'disputes'> {
  readonly address: Address
  /** Sequence of its record. */
  readonly attempt: number
  readonly payment: Payment
}

/** Puts a payment on record, with what went back of it, and issues its invoices. One that is not what was due has none: it is refunded elsewhere. */
async function hearOfPayment(services: Services, { address, attempt, payment, refunds, disputes }: Paid): Promise<void> {
  const { account, seq: subscription } = address
  await withInvoices(services, { account, purchase: attempt }, async () => {
    const [record] = await tell(services, address, { kind: 'pay_subscription', subscription, attempt, payment })
    if (record?.kind !== 'subscription_paid') return
    for (const { by, name, amountMinor } of await returnsOf(services, { account, purchase: attempt }, { refunds, disputes })) {
      const money = { amountMinor, currency: payment.currency }
      await tell(services, address, { kind: 'return_payment', subscription, attempt, by, name, ...money })
    }
  })
}

/** What went back. A refund that had failed before it was seen moved nothing. */
async function returnsOf(
  { store }: Services,
  place: PaymentPlace,
  { refunds, disputes }: Pick<CheckoutNews, 'refunds' | 'disputes'>,
): Promise<readonly ReturnedMoney[]> {
  const lost = disputes.filter(({ status }) => status === 'lost')
  const known = refunds.length === 0 ? undefined : await paymentAt(store, place)
  const wasSeen = (refund: string): boolean => known?.facts.some(({ fact }) => fact === `refund ${refund}`) ?? false
  return [
    ...refunds.flatMap(({ refund, amountMinor, status }): readonly ReturnedMoney[] => {
      if (status === 'standing') return [{ by: 'refund', name: refund, amountMinor }]
      return wasSeen(refund) ? [{ by: 'failed_refund', name: refund, amountMinor }] : []
    }),
    ...lost.map(({ dispute, amountMinor }) => ({ by: 'dispute', name: dispute, amountMinor }) as const),
  ]
}

/** Keeps what a customer left to pay with. */
export async function keepMethod(services: Services, account: number, method: PaymentMethod): Promise<void> {
  await runCommand(services, { ...PROVIDER, idempotency: null }, { account, command: { kind: 'save_payment_method', method } })
}

/** What has become of an attempt to be paid on a page, after a look at the provider, if that may be asked; undefined: there is no such attempt. */
export async function lookAtAttempt(
  services: Services,
  { account, seq }: Address,
  mayAsk: () => boolean,
): Promise<'open' | 'pending' | 'paid' | 'failed' | undefined> {
  const record = await services.store.record(account, seq)
  if (record?.kind !== 'subscription_payment_attempted') return undefined
  const address = { account, seq: record.subscription }
  const before = await attemptOf(services, address)
  if (before?.seq === seq && before.page !== null && services.payments !== null && mayAsk())
    await tryToLook(services, services.payments, before.page.reference)
  const view = await readSubscription(services, address)
  if (isRefusal(view)) return undefined
  const attempt = view.subscription.collection?.attempt
  if (attempt?.seq === seq) return attempt.payment === null ? 'open' : 'pending'
  const { lastPayment } = view.subscription
  return lastPayment !== null && lastPayment.atMs >= record.atMs ? 'paid' : 'failed'
}

/** If the provider does not answer, its events or the next look will tell. */
async function tryToLook(services: Services, payments: Payments, reference: string): Promise<void> {
  try {
    await lookAtPage(services, payments, reference)
  } catch (fault) {
    if (!(fault instanceof ProviderUnavailableError)) throw fault
  }
}

/**
 * Opens a page on which the customer pays for what is due, or finds the one that is open. Refuses nothing_to_pay, and payment_in_flight
 * while it is being paid without them. Rejects with ProviderUnavailableError: asked again, it goes on where it was cut short.
 */
export async function openPaymentPage(services: Services, caller: Caller, address: Address): Promise<SubscriptionView | Refusal> {
  const { payments } = services
  if (payments === null) return NOT_OFFERED
  const { provider } = payments
  const open = await attemptOf(services, address)
  // Providers make no page that is over at once: for one of which less than half its time is left, there is another.
  const latestMs = (await timeFor(services, address.account)) + provider.checkoutTtlMs / 2
  const isLeft = open?.via === 'page' && open.page === null && (await leavePage(services, { address, attempt: open }, latestMs))
  if (open?.via !== 'page' || isLeft) {
    const payee = { provider: provider.name, isLive: provider.isLive }
    const command = { kind: 'open_payment_page', subscription: address.seq, ...payee, ttlMs: provider.checkoutTtlMs } as const
    const opened = await runCommand(services, { ...caller, idempotency: null }, { account: address.account, command })
    if (isRefusal(opened)) return opened.refused === 'account_not_found' ? NOT_FOUND : opened
  }
  const view = await readSubscription(services, address)
  const attempt = isRefusal(view) ? undefined : view.subscription.collection?.attempt
  if (isRefusal(view) || !attempt || attempt.page !== null || !isOf(payments, attempt)) return view
  await linkPage(services, payments, { address, attempt, title: view.subscription.terms.name })
  return readSubscription(services, address)
}

const NOT_FOUND = refuse('subscription_not_found', 'No subscription has this id.')

async function linkPage(
  services: Services,
  { provider, returnUrl }: Payments,
  { address, attempt, title }: InFlight & { readonly title: string },
): Promise<void> {
  const { amountMinor, currency, seq } = attempt
  const checkout = objectId('pay', address.account, seq)
  const back = { returnUrl: returnUrl(checkout), cancelUrl: returnUrl(checkout) }
  const state = await services.store.state(address.account)
  const known = state?.paymentMethod
  const customer = known && known.provider === provider.name && known.isLive === provider.isLive ? known.customer : null
  const { reference, url } = await provider.makeCheckout({
    checkout,
    account: accountId(address.account),
    amountMinor,
    currency,
    title,
    // The same, whenever it is asked for again; but the provider's time is not that of a test clock.
    expiresAtMs: state?.clock ? pageEndsMs(services.clock(), provider) : (attempt.expiresAtMs ?? pageEndsMs(services.clock(), provider)),
    ...back,
    keepsMethod: true,
    customer,
  })
  await tell(services, address, { kind: 'link_payment_page', subscription: address.seq, attempt: seq, reference, url })
}

/**
 * Does what a payment in flight would get in the way of. A page that is open, and not paid, keeps nothing from being done: it is closed, so
 * that the provider takes no money on it any more. Rejects with ProviderUnavailableError.
 */
export async function despitePage<Done extends object>(
  services: Services,
  address: Address,
  act: () => Promise<Done | Refusal>,
): Promise<Done | Refusal> {
  const outcome = await act()
  const isInTheWay = isRefusal(outcome) && outcome.refused === 'payment_in_flight'
  return isInTheWay && (await closePaymentPage(services, address)) ? act() : outcome
}

/** Closes a page that is open; false: there is none. */
async function closePaymentPage(services: Services, address: Address): Promise<boolean> {
  const { payments } = services
  const attempt = await attemptOf(services, address)
  if (payments === null || attempt?.via !== 'page' || attempt.provider !== payments.provider.name) return false
  // Nobody was ever given it, so nobody can pay on it.
  if (attempt.page === null) return leavePage(services, { address, attempt }, Number.MAX_SAFE_INTEGER)
  await payments.provider.cancel(attempt.page.reference)
  await lookAtPage(services, payments, attempt.page.reference)
  return true
}

/** What a customer has left to pay with; null: nothing. */
export async function readPaymentMethod({ store }: Services, account: number): Promise<PaymentMethod | null> {
  return (await store.state(account))?.paymentMethod ?? null
}

/** Forgets what a customer left to pay with. */
export async function forgetPaymentMethod(services: Services, caller: Caller, account: number): Promise<Refusal | null> {
  const command = { kind: 'remove_payment_method', reason: 'asked for' } as const
  const outcome = await runCommand(services, caller, { account, command })
  return isRefusal(outcome) ? outcome : null
}
