/** Refunds of payments: credits are taken back in proportion, and come back if the refund fails. */

import { type AccountState, poolOf } from '../account.ts'
import { least, MAX_MICROCREDITS, type Microcredits, ZERO } from '../credits.ts'
import type { Context, Decision, Draft, PoolDraft } from '../draft.ts'
import { openDraft } from '../due.ts'
import {
  claimOn,
  comesBack,
  endedIn,
  MAX_PURCHASE_EVENTS,
  type Purchase,
  type PurchaseFacts,
  refundableMinor,
  returnedMinor,
} from '../purchase.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { overdraw } from './capture.ts'
import { nothingNew, type OfPurchase } from './checkout.ts'
import type { TakenFacts } from './facts.ts'
import { emptiedSince, giveBack, openRefundGrant } from './refund.ts'

const NOT_FOUND = refuse('topup_not_found', 'No top-up has this id.')

/** What is known of a purchase that was paid for; a refusal, if it was not. */
export type PaidFacts = PurchaseFacts & { readonly purchase: Purchase & { readonly paid: NonNullable<Purchase['paid']> } }

/** The purchase, if it was paid for. */
export function paidPurchase(facts: PurchaseFacts | null): PaidFacts | Refusal {
  if (facts === null || facts.purchase.paid === null) return NOT_FOUND
  const { purchase } = facts
  return { ...facts, purchase: { ...purchase, paid: facts.purchase.paid } }
}

/** Refuses another refund or dispute of a purchase that has too many. */
export function refuseMore({ requests, refunds, disputes }: Purchase): Refusal | undefined {
  if (requests.length + refunds.length + disputes.length < MAX_PURCHASE_EVENTS) return undefined
  return refuse('too_many_refunds', `The top-up has ${MAX_PURCHASE_EVENTS} refunds and disputes already.`)
}

/** What is known of a purchase, with what the draft has booked since: its grants may have expired just now. */
export function withBooked<Facts extends PurchaseFacts>(draft: Draft, facts: Facts): Facts {
  const isOwn = (grant: number): boolean => facts.purchase.grants.includes(grant)
  const ended = draft.records.reduce((sum, record) => sum + endedIn(record, isOwn), facts.ended)
  return { ...facts, ended }
}

/** Puts on record that the provider is to pay money back. Refuses more than was paid, what goes back already taken off. */
export function decideRequestRefund(
  state: AccountState,
  { facts, amountMinor, reason }: OfPurchase & { readonly amountMinor: number | null; readonly reason: string },
  context: Context,
): Decision | Refusal {
  const paid = paidPurchase(facts)
  if (isRefusal(paid)) return paid
  const { purchase } = paid
  const refundable = refundableMinor(purchase)
  const amount = amountMinor ?? refundable
  if (amount > refundable || refundable === 0) {
    const figures = { requested_minor: amount, refundable_minor: refundable, currency: purchase.terms.currency }
    return refuse('topup_refund_exceeds_payment', `Of this top-up, ${figures.refundable_minor} minor units can be refunded.`, figures)
  }
  const refusal = refuseMore(purchase)
  if (refusal) return refusal
  const draft = openDraft(state, context)
  draft.append({ kind: 'topup_refund_requested', purchase: purchase.seq, amountMinor: amount, reason, events: [] })
  return draft.done()
}

/** Puts on record that the provider will not pay back what was asked for. */
export function decideRefuseRefund(
  state: AccountState,
  { facts, request, reason }: OfPurchase & { readonly request: number; readonly reason: string },
  context: Context,
): Decision | Refusal {
  const paid = paidPurchase(facts)
  if (isRefusal(paid)) return paid
  const { purchase } = paid
  if (!purchase.requests.some(({ seq, outcome }) => seq === request && outcome === null)) return nothingNew(state)
  const draft = openDraft(state, context)
  draft.append({ kind: 'topup_refund_refused', purchase: purchase.seq, request, reason, events: [] })
  return draft.done()
}

/** A refund as the provider tells of it. */
export interface RefundNews extends OfPurchase {
  readonly refund: string
  /** Sequence of the record that asked for it; null: it was made at the provider. */
  readonly request: number | null
  readonly amountMinor: number
}

/**
 * Takes credits back for money that was paid back, once per refund: first from the purchase's own grants, then in burn order, and what
 * is not there any more becomes a debt.
 */
export function decideTopupRefund(
  state: AccountState,
  { facts, refund, request, amountMinor }: RefundNews,
  context: Context,
): Decision | Refusal {
  const paid = paidPurchase(facts)
  if (isRefusal(paid)) return paid
  const { purchase } = paid
  if (purchase.refunds.some((known) => known.refund === refund)) return nothingNew(state)
  const refusal = refuseMore(purchase)
  if (refusal) return refusal
  const draft = openDraft(state, context)
  const credits = claimOn(withBooked(draft, paid), returnedMinor(purchase) + amountMinor)
  const pool = draft.pool(purchase.terms.creditType)
  const over = takeBack(pool, { state: draft.state, purchase, credits })
  if (over) return over
  draft.append({ kind: 'topup_refunded', ...pool.fields, purchase: purchase.seq, refund, request, amountMinor, credits })
  return draft.done()
}

/** What is to be taken of a purchase. */
export interface Taking {
  readonly state: AccountState
  readonly purchase: Purchase
  readonly credits: bigint
}

/** Takes what is free of the purchase's own grants, then what is free of others, and leaves the rest as a debt. */
export function takeBack(pool: PoolDraft, { state, purchase, credits }: Taking): Refusal | undefined {
  const { grants } = poolOf(state, purchase.terms.creditType)
  let left = credits
  for (const seq of purchase.grants) {
    const grant = grants.find((candidate) => candidate.seq === seq)
    if (!grant || grant.closed !== null) continue
    const part = least(pool.freeOf(grant), left)
    if (part > 0n) pool.move(seq, -part, 0n)
    left -= part
  }
  return overdraw(pool, left)
}

/** A refund that came to nothing, with what it took. */
export interface ReversalNews extends RefundNews {
  /** Null: it was never seen to succeed. */
  readonly taken: TakenFacts | null
  /** Life of the grant that replaces ended ones. */
  readonly grantDays: number
}

/** Gives back what a refund took, once, as far as nothing else claims it; and what others that failed had left. One that was not known before takes nothing from now on. */
export function decideReverseRefund(state: AccountState, command: ReversalNews, context: Context): Decision | Refusal {
  const { facts, refund, request, amountMinor, taken, grantDays } = command
  const paid = paidPurchase(facts)
  if (isRefusal(paid)) return paid
  const { purchase } = paid
  const known = purchase.refunds.find((candidate) => candidate.refund === refund)
  if (known?.isReversed) return nothingNew(state)
  if (known && !taken) throw new Error(`what refund ${refund} took is not on record`)
  const refusal = known ? undefined : refuseMore(purchase)
  if (refusal) return refusal
  const draft = openDraft(state, context)
  const pool = draft.pool(purchase.terms.creditType)
  const credits = known ? comesBack(purchase, known) : ZERO
  if (isTooMuch(draft, pool.creditType, credits)) return TOO_MUCH
  const closedGrants = [...(taken?.closedGrants ?? []), ...emptiedSince(state, pool.creditType)]
  const own = least(credits, known?.credits ?? 0n)
  const { reopened, homeless } = giveBack(draft, pool, { draws: taken?.record.movements ?? [], closedGrants, before: 0n, credits: own })
  // What an earlier one had to leave behind comes back with this one, and has no other home any more.
  const grant = openRefundGrant(draft, pool, { credits: homeless + credits - own, days: grantDays, purchase: purchase.seq })
  pool.repay()
  const news = { purchase: purchase.seq, refund, request, amountMinor }
  draft.append({ kind: 'topup_refund_reversed', ...pool.fields, ...news, credits, reopened, grant })
  return draft.done()
}

const TOO_MUCH = refuse('amount_out_of_range', 'The account would have more than 9200000000000 credits of this type.')

function isTooMuch(draft: Draft, creditType: string, credits: Microcredits): boolean {
  return poolOf(draft.state, creditType).grants.reduce<bigint>((sum, { remaining }) => sum + remaining, credits) > MAX_MICROCREDITS
}
