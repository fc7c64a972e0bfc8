/** Checkouts: credits that are being bought. What was paid for is given once, whatever is heard of it, and however often. */

import { type AccountState, MAX_OPEN_CHECKOUTS, MAX_OPEN_GRANTS, poolOf } from '../account.ts'
import { MAX_MICROCREDITS } from '../credits.ts'
import type { Context, Decision, Draft } from '../draft.ts'
import { openDraft } from '../due.ts'
import { termsOf } from '../evolve.ts'
import { objectId } from '../ids.ts'
import type { CheckoutTerms, Payment } from '../payment.ts'
import { DEFAULT_PRIORITIES } from '../priorities.ts'
import { boughtIn, type PurchaseFacts } from '../purchase.ts'
import type { CheckoutClosed, NewGrant, PaymentMismatched } from '../record.ts'
import { type Refusal, refuse } from '../refusals.ts'
import { failTopup } from './fail-topup.ts'
import { addGrant } from './grant.ts'

/** What is to be bought. */
export interface OpenCheckoutCommand {
  readonly terms: CheckoutTerms
  /** From when it is opened. */
  readonly ttlMs: number
}

/** Grants that one purchase may make when it is paid: the credits, and the bonus. */
const GRANTS_OF_PURCHASE = 2

/**
 * Opens a checkout. What could stand in the way of its credits is refused now: once it is paid, its grants are made even if the account
 * has come to have too many.
 */
export function decideOpenCheckout(state: AccountState, { terms, ttlMs }: OpenCheckoutCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const { checkouts, pools, clock } = draft.state
  if (terms.isLive && clock !== null) return NO_REAL_MONEY
  if (checkouts.length >= MAX_OPEN_CHECKOUTS)
    return refuse('too_many_open_checkouts', `The account has ${MAX_OPEN_CHECKOUTS} open checkouts; cancel some, or let them expire.`)
  const grants = pools.reduce((sum, pool) => sum + pool.grants.length, GRANTS_OF_PURCHASE * (checkouts.length + 1))
  if (grants > MAX_OPEN_GRANTS)
    return refuse('too_many_open_grants', `The account would have more than ${MAX_OPEN_GRANTS} open grants if all its checkouts were paid.`)
  const refusal = refuseAmount(draft, terms)
  if (refusal) return refusal
  draft.append({ kind: 'checkout_opened', terms, expiresAtMs: draft.nowMs + ttlMs, events: [] })
  return draft.done()
}

function refuseAmount(draft: Draft, terms: CheckoutTerms): Refusal | undefined {
  const left = poolOf(draft.state, terms.creditType).grants.reduce((sum, { remaining }) => sum + remaining, boughtIn(terms))
  if (left <= MAX_MICROCREDITS) return undefined
  return refuse('amount_out_of_range', 'The account would have more than 9200000000000 credits of this type.')
}

/** Time that somebody moves is no time to pay in. */
export const NO_REAL_MONEY = refuse('account_has_test_clock', 'An account that lives by a test clock takes no real money.')

const NOT_FOUND = refuse('checkout_session_not_found', 'No checkout session has this id.')

/** What is told again, or too late, changes nothing at all. */
export function nothingNew(state: AccountState): Decision {
  return { records: [], state }
}

/** Whether a checkout has come to its end: paid, or given up by the provider. Time alone ends none for good. */
function hasEnded({ purchase }: PurchaseFacts): boolean {
  return purchase.paid !== null || purchase.outcome !== null
}

/** Names a purchase. */
export interface OfPurchase {
  /** Null: there is none. */
  readonly facts: PurchaseFacts | null
}

/** Notes the provider's page of a checkout. The first one stays. */
export function decideLinkCheckout(
  state: AccountState,
  { facts, reference, url }: OfPurchase & { readonly reference: string; readonly url: string },
  context: Context,
): Decision | Refusal {
  if (facts === null) return NOT_FOUND
  if (hasEnded(facts) || facts.purchase.link !== null) return nothingNew(state)
  const draft = openDraft(state, context)
  draft.append({ kind: 'checkout_linked', purchase: facts.purchase.seq, reference, url, events: [] })
  return draft.done()
}

/** Keeps a checkout open that the customer has finished: its money is on its way. */
export function decidePendCheckout(
  state: AccountState,
  { facts, ttlMs }: OfPurchase & { readonly ttlMs: number },
  context: Context,
): Decision | Refusal {
  if (facts === null) return NOT_FOUND
  const draft = openDraft(state, context)
  const isOpen = draft.state.checkouts.some(({ seq }) => seq === facts.purchase.seq)
  if (hasEnded(facts) || (facts.status === 'pending' && isOpen)) return nothingNew(state)
  draft.append({ kind: 'checkout_pending', purchase: facts.purchase.seq, expiresAtMs: draft.nowMs + ttlMs, events: [] })
  return draft.done()
}

/** Ends a checkout that will not be paid. That it was canceled says more than that the provider then let it expire, whichever is heard first. */
export function decideCloseCheckout(
  state: AccountState,
  { facts, outcome }: OfPurchase & { readonly outcome: CheckoutClosed['outcome'] },
  context: Context,
): Decision | Refusal {
  if (facts === null) return NOT_FOUND
  const { paid, outcome: known } = facts.purchase
  const saysMore = outcome === 'canceled' && known === 'expired' && paid === null
  if (hasEnded(facts) && !saysMore) return nothingNew(state)
  const draft = openDraft(state, context)
  if (draft.state.autoTopup?.attempt?.purchase === facts.purchase.seq) return closeAttempt(draft, outcome, state)
  draft.append({ kind: 'checkout_closed', purchase: facts.purchase.seq, outcome, events: [] })
  return draft.done()
}

/** An automatic top-up is over with the page on which it was to be confirmed. Without one, only whoever asked for it knows what came of it. */
function closeAttempt(draft: Draft, outcome: CheckoutClosed['outcome'], state: AccountState): Decision | Refusal {
  const attempt = draft.state.autoTopup?.attempt
  if (!attempt || attempt.page === null) return outcome === 'canceled' ? ATTEMPT_IN_FLIGHT : nothingNew(state)
  failTopup(draft, { purchase: attempt.purchase, code: `page_${outcome}`, mayRetry: true, isDecline: true })
  return draft.done()
}

const ATTEMPT_IN_FLIGHT = refuse('payment_in_flight', 'It is being paid without the customer, and nobody knows yet what comes of it.')

/**
 * Gives what was paid for, once, even if the checkout has expired or was given up: the money is there. A payment that is not what was
 * asked for, or a second one, gives nothing and is put on record.
 */
export function decideFulfil(
  state: AccountState,
  { facts, payment }: OfPurchase & { readonly payment: Payment },
  context: Context,
): Decision | Refusal {
  if (facts === null) return NOT_FOUND
  const { purchase } = facts
  const reason = mismatchOf(facts, payment)
  if (reason === null && purchase.paid !== null) return nothingNew(state)
  const draft = openDraft(state, context)
  if (reason !== null) {
    draft.append({ kind: 'payment_mismatched', purchase: purchase.seq, reason, payment, events: [] })
    return draft.done()
  }
  const refusal = refuseAmount(draft, purchase.terms)
  if (refusal) return refusal
  giveCredits(draft, facts, payment)
  return draft.done()
}

/** Why a payment does not pay for the purchase; null: it does, or has. */
function mismatchOf({ purchase: { terms, paid } }: PurchaseFacts, payment: Payment): PaymentMismatched['reason'] | null {
  if (paid !== null) return paid.payment.payment === payment.payment ? null : 'paid_before'
  if (payment.isLive !== terms.isLive) return 'mode'
  if (payment.currency !== terms.currency) return 'currency'
  return payment.amountMinor === terms.amountMinor && payment.totalMinor >= terms.amountMinor ? null : 'amount'
}

function giveCredits(draft: Draft, { purchase: { seq, terms } }: PurchaseFacts, payment: Payment): void {
  const { creditType, credits, lifeMs, bonus, amountMinor, currency, isLive } = terms
  const topup = objectId('topup', draft.state.number, draft.nextSeq)
  const metadata = isLive ? { topup } : { topup, mode: 'test' }
  const common = { effectiveAtMs: draft.nowMs, purchase: seq, metadata }
  const grant: NewGrant = {
    ...common,
    amount: credits,
    source: 'topup',
    priority: DEFAULT_PRIORITIES.topup,
    expiresAtMs: lifeMs === null ? null : draft.nowMs + lifeMs,
    paid: true,
    cost: { amountMinor, currency },
  }
  const pool = draft.pool(creditType)
  pool.open(termsOf(draft.nextSeq, grant))
  pool.move(draft.nextSeq, credits, 0n)
  pool.repay()
  draft.append({ kind: 'topup', ...pool.fields, purchase: seq, payment, grant })
  if (bonus === null) return
  addGrant(draft, creditType, {
    ...common,
    amount: bonus.credits,
    source: 'promo',
    priority: DEFAULT_PRIORITIES.promo,
    expiresAtMs: bonus.lifeMs === null ? null : draft.nowMs + bonus.lifeMs,
    paid: false,
    cost: null,
  })
}
