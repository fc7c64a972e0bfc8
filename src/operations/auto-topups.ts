/**
 * Automatic top-ups: set, read, and carried out. Every attempt is on record, and counted, before the provider hears of it, and is known to
 * the provider by its record: so whatever is cut short is asked about again, by anyone, and nothing is paid for twice. What was paid is
 * credited as every purchase is.
 */

import { timeOf } from '../core/account.ts'
import type { AutoTopupStanding } from '../core/auto-topup.ts'
import { standingOf } from '../core/auto-topup.ts'
import type { AutoTopupSize, Consent } from '../core/auto-topup-facts.ts'
import type { AutoTopup, AutoTopupAttempt } from '../core/auto-topup-state.ts'
import type { Microcredits } from '../core/credits.ts'
import type { FailTopupCommand } from '../core/decisions/fail-topup.ts'
import { viewAt } from '../core/due.ts'
import { accountId, objectId } from '../core/ids.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import { priceTopup } from '../core/topup-options.ts'
import type { OffSessionOutcome } from '../payments/provider.ts'
import { fingerprintOf } from '../stores/chain.ts'
import { orderFor } from './checkouts.ts'
import { fulfil, tell } from './fulfil.ts'
import { type Payments, pageEndsMs } from './payments.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'
import { type PayingOptions, readPaymentMethod } from './subscription-payments.ts'
import { readTopupOptions } from './topup-options.ts'

const ACCOUNTS_AT_ONCE = 100
const TIME = { actor: 'time', requestId: null } as const
const PROVIDER = { actor: 'provider', requestId: null } as const
const NOT_OFFERED = refuse('topups_not_offered', 'This server sells no credits now.')

/** How an account is to be topped up. */
export interface AutoTopupRequest {
  readonly account: number
  readonly isOn: boolean
  /** Null: the one that is sold. */
  readonly creditType: string | null
  readonly threshold: Microcredits
  readonly size: AutoTopupSize
  /** Most money in a calendar month, in minor units of the currency in which credits are sold. */
  readonly monthlyCapMinor: number
  readonly consent: Consent
}

/** What an account has of automatic top-ups, as it is now. */
export interface AutoTopupView {
  readonly account: number
  readonly autoTopup: AutoTopup
  readonly standing: AutoTopupStanding
  readonly nowMs: number
}

/** Sets how an account is topped up. Refuses topups_not_offered, credit_type_not_sold, and an amount that is not sold. */
export async function setAutoTopup(services: Services, caller: Caller, request: AutoTopupRequest): Promise<AutoTopupView | Refusal> {
  const { account, isOn, threshold, size, monthlyCapMinor, consent } = request
  const options = services.payments && (await readTopupOptions(services))
  if (!options) return NOT_OFFERED
  const creditType = request.creditType ?? options.creditType
  if (creditType !== options.creditType)
    return refuse('credit_type_not_sold', `Credits of this type are not sold; ${options.creditType} are.`)
  const bought = 'amountMinor' in size ? priceTopup(options, size) : null
  if (bought !== null && isRefusal(bought)) return bought
  const monthlyCap = { amountMinor: monthlyCapMinor, currency: options.currency }
  const command = { kind: 'set_auto_topup', terms: { isOn, creditType, threshold, size, monthlyCap, consent } } as const
  const outcome = await runCommand(services, caller, { account, command })
  if (isRefusal(outcome)) return outcome
  const view = await readAutoTopup(services, account)
  if (view === null) throw new Error(`account ${account} has no automatic top-ups that were just set`)
  return view
}

/** Takes automatic top-ups away. */
export async function removeAutoTopup(services: Services, caller: Caller, account: number): Promise<Refusal | null> {
  const outcome = await runCommand(services, caller, { account, command: { kind: 'remove_auto_topup' } })
  return isRefusal(outcome) ? outcome : null
}

/** What an account has of automatic top-ups; null: none. */
export async function readAutoTopup({ store, clock }: Services, account: number): Promise<AutoTopupView | null> {
  const kept = await store.state(account)
  if (!kept?.autoTopup) return null
  const state = viewAt(kept, clock())
  const nowMs = timeOf(state, clock())
  const standing = standingOf(state, nowMs)
  const { autoTopup } = state
  return autoTopup?.terms && standing ? { account, autoTopup, standing, nowMs } : null
}

/** Sees to every account that is to be topped up. One that fails does not keep the others: the first fault is thrown in the end. */
export async function topUpAccounts(services: Services, options: PayingOptions): Promise<void> {
  const { store, payments, clock } = services
  if (payments === null) return
  const faults: unknown[] = []
  const untilMs = options.isThorough ? Number.MAX_SAFE_INTEGER : clock()
  for (let after: number | null = null; ; ) {
    const page: readonly number[] = await store.askingTopups({ untilMs, after, limit: ACCOUNTS_AT_ONCE })
    for (const account of page) {
      try {
        await topUp(services, payments, { account, ...options })
      } catch (fault) {
        faults.push(fault)
      }
    }
    after = page.at(-1) ?? null
    if (after === null) break
  }
  if (faults.length > 0) throw faults[0]
}

interface ToppingUp extends PayingOptions {
  readonly account: number
}

/** What is in flight is asked about by its name. A page where it is to be confirmed is looked at as every checkout is. */
async function topUp(services: Services, payments: Payments, { account, isThorough }: ToppingUp): Promise<void> {
  const before = await attemptOf(services, account)
  const attempt = before ?? (await makeAttempt(services, payments, account))
  if (attempt === null || attempt.page !== null || (attempt.isPending && !isThorough)) return
  const { provider } = payments
  if (attempt.provider !== provider.name || attempt.isLive !== provider.isLive) return
  const { purchase, amountMinor, currency, customer, method } = attempt
  const outcome = await provider.payOffSession({
    attempt: objectId('pay', account, purchase),
    checkout: objectId('cs', account, purchase),
    account: accountId(account),
    customer,
    paymentMethod: method,
    amountMinor,
    currency,
    // Another server may have asked, or this one before it was stopped. One that was made just now has a name that is as new.
    isRepeated: before !== null,
  })
  await tellOutcome(services, payments, { account, attempt, outcome })
}

async function attemptOf({ store }: Services, account: number): Promise<AutoTopupAttempt | null> {
  return (await store.state(account))?.autoTopup?.attempt ?? null
}

/** Puts an attempt on record, if one is due; gives the one that is in flight then, whoever made it. */
async function makeAttempt(services: Services, { provider }: Payments, account: number): Promise<AutoTopupAttempt | null> {
  const options = (await readTopupOptions(services)) ?? null
  const command = { kind: 'attempt_auto_topup', options, provider: provider.name, isLive: provider.isLive } as const
  const outcome = await runCommand(services, { ...TIME, idempotency: null }, { account, command })
  if (isRefusal(outcome)) throw new Error(`the attempt to top account ${account} up: ${outcome.detail}`)
  return attemptOf(services, account)
}

interface Answered {
  readonly account: number
  readonly attempt: AutoTopupAttempt
  readonly outcome: OffSessionOutcome
}

async function tellOutcome(services: Services, payments: Payments, { account, attempt, outcome }: Answered): Promise<void> {
  const { purchase } = attempt
  switch (outcome.status) {
    case 'paid':
    case 'pending':
      // Looked at as a checkout is: amount and currency are verified there, and it is credited once, whoever comes first.
      await fulfil(services, payments, outcome.payment)
      return
    case 'needs_action':
      return openPage(services, payments, { account, attempt })
    case 'declined':
      return tellFailure(services, account, { purchase, code: outcome.code, mayRetry: outcome.mayRetry, isDecline: true })
    case 'unusable': {
      const known = await readPaymentMethod(services, account)
      const command = { kind: 'remove_payment_method', reason: outcome.reason.slice(0, 500) } as const
      // What the customer left since then may be of use.
      if (known?.customer === attempt.customer && known.method === attempt.method)
        await runCommand(services, { ...PROVIDER, idempotency: null }, { account, command })
      return tellFailure(services, account, { purchase, code: 'no_payment_method', mayRetry: false, isDecline: false })
    }
  }
}

async function tellFailure(services: Services, account: number, failure: FailTopupCommand): Promise<void> {
  const key = `fail_auto_topup ${failure.purchase}`
  const caller = { ...PROVIDER, idempotency: { key, fingerprint: fingerprintOf('TELL', key, ''), item: 0 } }
  const outcome = await runCommand(services, caller, { account, command: { kind: 'fail_auto_topup', ...failure } })
  if (isRefusal(outcome)) throw new Error(`the failure of attempt ${failure.purchase}: ${outcome.detail}`)
}

/** Opens the page on which the customer confirms what could not be paid without them. Asked for again, it is the same page. */
async function openPage(services: Services, payments: Payments, { account, attempt }: Omit<Answered, 'outcome'>): Promise<void> {
  const { purchase } = attempt
  const facts = await services.store.purchase(account, purchase)
  if (!facts) throw new Error(`purchase ${purchase} of account ${account} is gone`)
  const expiresAtMs = pageEndsMs(services.clock(), payments.provider)
  const order = orderFor(payments, { ...facts, account }, { expiresAtMs, customer: attempt.customer })
  const { reference, url } = await payments.provider.makeCheckout({ ...order, keepsMethod: true })
  await tell(services, { account, purchase }, { kind: 'link_checkout', purchase, reference, url })
}
