/** Charges: credits taken for an operation, whole or not at all. */

import { type AccountState, poolOf } from '../account.ts'
import { availableOf, balanceOf } from '../balance.ts'
import { checkBudget, currentBudget, type KeySpending } from '../budget.ts'
import { formatCredits, type Microcredits } from '../credits.ts'
import type { Context, Decision, Draft } from '../draft.ts'
import { openDraft } from '../due.ts'
import type { Work } from '../record.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'

/** What a call costs in one credit type. */
export interface Offer {
  readonly creditType: string
  readonly credits: Microcredits
}

/** A priced call: its work, and the credit types that may pay for it, the first preferred. */
export interface ChargeCommand extends Work {
  readonly offers: readonly [Offer, ...Offer[]]
}

/** Longest that a refused caller is told to wait for live holds to end: clients sleep all of it. */
const MAX_RETRY_SECONDS = 5

/** Charges an account. Order of refusals: account_suspended, key limits and budget, then credits. */
export function decideCharge(state: AccountState, command: ChargeCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  return addCharge(draft, command) ?? draft.done()
}

/** Charges that succeed or fail together, in order, each seeing those before it. The first refusal refuses them all. */
export function decideChargeGroup(state: AccountState, commands: readonly ChargeCommand[], context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  for (const [index, command] of commands.entries()) {
    const refusal = addCharge(draft, command)
    if (refusal) return { ...refusal, facts: { ...refusal.facts, index } }
  }
  return draft.done()
}

function addCharge(draft: Draft, command: ChargeCommand): Refusal | undefined {
  const { operation, key, quantities, attributes, priceVersion, metadata } = command
  const offer = admit(draft, command.offers, { key })
  if (isRefusal(offer)) return offer
  const { creditType, credits } = offer
  const pool = draft.pool(creditType)
  pool.draw(credits)
  const reached = budgetEvents(draft, key, credits)
  // Field by field and heading included: copies of objects are what a decision takes longest over.
  draft.place({
    kind: 'charge',
    seq: draft.nextSeq,
    atMs: draft.nowMs,
    actor: draft.actor,
    requestId: draft.requestId,
    operation,
    key,
    quantities,
    attributes,
    priceVersion,
    metadata,
    creditType,
    movements: pool.movements,
    balance: pool.balance,
    credits,
    events: reached.length === 0 ? pool.events : [...pool.events, ...reached],
  })
  return undefined
}

/** Picks the credit type that pays, or refuses: the way in that charges and holds share. */
export function admit(
  draft: Draft,
  offers: ChargeCommand['offers'],
  against: Pick<KeySpending, 'key' | 'perCharge'> & { readonly hold?: number },
): Offer | Refusal {
  const { state, nowMs } = draft
  if (state.status === 'suspended') return refuse('account_suspended', 'The account is suspended and takes no new charges or holds.')
  const over = checkBudget(state, { ...against, credits: offers[0].credits }, nowMs)
  if (over) return over
  return (
    offers.find((offer) => availableOf(balanceOf(poolOf(state, offer.creditType), nowMs)) >= offer.credits) ??
    refuseOffers(state, { offers, hold: against.hold ?? null }, nowMs)
  )
}

/** Waiting helps when one of the credit types is only held; otherwise the refusal is about the first. */
function refuseOffers(
  state: AccountState,
  { offers, hold }: { readonly offers: ChargeCommand['offers']; readonly hold: number | null },
  nowMs: number,
): Refusal {
  const [first, ...others] = offers
  const refusal = refuseCredits(state, { ...first, hold }, nowMs)
  if (refusal.refused === 'credits_in_flight') return refusal
  return (
    others.map((offer) => refuseCredits(state, { ...offer, hold }, nowMs)).find(({ refused }) => refused === 'credits_in_flight') ?? refusal
  )
}

/**
 * Says whether paying or waiting would help: insufficient_credits when the balance is short, credits_in_flight when only live
 * holds are in the way. What holds keep of ended grants does not come back, nor what the hold has that asks for more: waiting for
 * those does not help.
 */
export function refuseCredits(
  state: AccountState,
  { creditType, credits, hold: asking = null }: Offer & { readonly hold?: number | null },
  nowMs: number,
): Refusal {
  const balance = balanceOf(poolOf(state, creditType), nowMs)
  const available = availableOf(balance)
  const facts = {
    credit_type: creditType,
    required: formatCredits(credits),
    available: formatCredits(available),
    settled: formatCredits(balance.settled),
    held: formatCredits(balance.held),
    shortfall: formatCredits(credits - available),
  }
  const open = new Set(poolOf(state, creditType).grants.flatMap(({ seq, closed }) => (closed === null ? [seq] : [])))
  const others = state.holds.filter((hold) => hold.creditType === creditType && hold.seq !== asking)
  const parts = others.flatMap((hold) => hold.parts).filter(({ grant }) => open.has(grant))
  const returning = parts.reduce((sum, { held }) => sum + held, 0n)
  if (available + returning < credits)
    return refuse('insufficient_credits', `Needs ${facts.required} ${creditType}, available ${facts.available}.`, facts)
  const ends = others.map((hold) => hold.expiresAtMs)
  const seconds = Math.max(1, Math.ceil((Math.min(...ends) - nowMs) / 1000))
  const detail = `Needs ${facts.required} ${creditType}, available ${facts.available}; ${facts.held} are set aside by live holds.`
  return refuse('credits_in_flight', detail, { ...facts, retry_after: Math.min(seconds, MAX_RETRY_SECONDS) })
}

/** Tells subscribers when a charge spends the last of a key's budget. What is merely held is not spent yet. */
export function budgetEvents(draft: Draft, key: number | null, credits: Microcredits): readonly 'key.budget_reached'[] {
  const stored = draft.state.budgets.find((candidate) => candidate.key === key)
  if (!stored) return []
  const { limit, spent } = currentBudget(stored, draft.nowMs)
  return limit !== null && spent < limit && spent + credits >= limit ? ['key.budget_reached'] : []
}
