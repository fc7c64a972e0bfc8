/** Disputes: what is unspent of a purchase is frozen while the bank decides, and then free again or taken. */

import { type AccountState, type Freeze, MAX_FREEZES, poolOf } from '../account.ts'
import { least, micro, ZERO } from '../credits.ts'
import type { Context, Decision, Draft, PoolDraft } from '../draft.ts'
import { openDraft } from '../due.ts'
import { claimOn, type Purchase, returnedMinor } from '../purchase.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { nothingNew, type OfPurchase } from './checkout.ts'
import { openRefundGrant } from './refund.ts'
import { paidPurchase, refuseMore, takeBack, withBooked } from './take-back.ts'

/** A dispute as the provider tells of it. */
export interface DisputeNews extends OfPurchase {
  readonly dispute: string
  readonly amountMinor: number
}

const GONE_BACK = refuse('nothing_to_dispute', 'The money in dispute has gone back already: nothing is left to freeze or take.')

/**
 * Freezes what is unspent of a purchase, as far as a refund of the disputed amount would take it. What holds have set aside stays theirs.
 * Refuses nothing_to_dispute when all of it has gone back before.
 */
export function decideOpenDispute(state: AccountState, { facts, dispute, amountMinor }: DisputeNews, context: Context): Decision | Refusal {
  const paid = paidPurchase(facts)
  if (isRefusal(paid)) return paid
  const { purchase } = paid
  if (purchase.disputes.some((known) => known.dispute === dispute)) return nothingNew(state)
  const refusal = refuseNew(purchase)
  if (refusal) return refusal
  const draft = openDraft(state, context)
  const claim = claimOn(withBooked(draft, paid), returnedMinor(purchase) + amountMinor)
  const pool = draft.pool(purchase.terms.creditType)
  if (draft.state.freezes.length < MAX_FREEZES) freeze(pool, { state: draft.state, grants: purchase.grants, credits: claim })
  draft.append({ kind: 'dispute_opened', ...pool.fields, purchase: purchase.seq, dispute, amountMinor })
  return draft.done()
}

/** Refuses a dispute of what has gone back, or one too many. */
function refuseNew(purchase: Purchase): Refusal | undefined {
  return returnedMinor(purchase) >= (purchase.paid?.payment.totalMinor ?? 0) ? GONE_BACK : refuseMore(purchase)
}

function freeze(
  pool: PoolDraft,
  { state, grants, credits }: { readonly state: AccountState; readonly grants: readonly number[]; readonly credits: bigint },
): void {
  let left = credits
  for (const seq of grants) {
    const grant = poolOf(state, pool.creditType).grants.find((candidate) => candidate.seq === seq)
    if (!grant || grant.closed !== null) continue
    const part = least(pool.freeOf(grant), left)
    if (part > 0n) pool.move(seq, 0n, part)
    left -= part
  }
}

/** The end of a dispute. */
export interface DisputeEnd extends DisputeNews {
  readonly outcome: 'won' | 'lost'
  /** Life of the grant that replaces ended ones. */
  readonly grantDays: number
}

/**
 * Ends a dispute, once. Won: exactly what was frozen is free again. Lost: credits are taken as a refund of the amount would, first of what
 * was frozen; refunds and disputes together never take more than was bought.
 */
export function decideCloseDispute(state: AccountState, command: DisputeEnd, context: Context): Decision | Refusal {
  const { facts, dispute, amountMinor, outcome, grantDays } = command
  const paid = paidPurchase(facts)
  if (isRefusal(paid)) return paid
  const { purchase } = paid
  const known = purchase.disputes.find((candidate) => candidate.dispute === dispute)
  if (known && known.status !== 'open') return nothingNew(state)
  const refusal = known ? undefined : refuseNew(purchase)
  if (refusal) return refusal
  const draft = openDraft(state, context)
  const claim = outcome === 'won' ? ZERO : claimOn(withBooked(draft, paid), returnedMinor(purchase) + amountMinor)
  const pool = draft.pool(purchase.terms.creditType)
  const frozen = draft.state.freezes.find(({ seq }) => seq === (known?.freeze ?? 0))
  const thawed = thaw(draft, pool, { parts: frozen?.parts ?? [], claim })
  const over = takeBack(pool, { state: draft.state, purchase, credits: claim - thawed.taken })
  if (over) return over
  const grant = openRefundGrant(draft, pool, { credits: thawed.homeless, days: grantDays, purchase: purchase.seq })
  pool.repay()
  const news = { purchase: purchase.seq, dispute, amountMinor, outcome, freeze: known?.freeze ?? null }
  draft.append({ kind: 'dispute_closed', ...pool.fields, ...news, credits: claim, voided: micro(thawed.voided), grant })
  return draft.done()
}

interface Thawed {
  readonly taken: bigint
  /** Of a grant that has expired meanwhile. */
  readonly homeless: bigint
  /** Of a grant that the operator has voided meanwhile. */
  readonly voided: bigint
}

/** Takes the claim out of what was frozen, as far as it goes, and lets go of the rest. */
function thaw(draft: Draft, pool: PoolDraft, { parts, claim }: { readonly parts: Freeze['parts']; readonly claim: bigint }): Thawed {
  const { grants } = poolOf(draft.state, pool.creditType)
  const thawed = { taken: 0n, homeless: 0n, voided: 0n }
  for (const { grant: seq, held } of parts) {
    const part = least(held, claim - thawed.taken)
    if (part > 0n) pool.move(seq, -part, -part)
    thawed.taken += part
    const rest = held - part
    if (rest === 0n) continue
    const closed = grants.find((grant) => grant.seq === seq)?.closed ?? null
    pool.move(seq, closed === null ? 0n : -rest, -rest)
    if (closed === 'expired') thawed.homeless += rest
    if (closed === 'voided') thawed.voided += rest
  }
  return thawed
}
