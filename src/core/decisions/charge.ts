/** Charges: credits taken for an operation, whole or not at all. */

import { type AccountState, poolOf } from '../account.ts'
import { availableOf, balanceOf } from '../balance.ts'
import { checkBudget, currentBudget, heldByKey, remainingOf } from '../budget.ts'
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

function addCharge(draft: Draft, { offers, ...work }: ChargeCommand): Refusal | undefined {
  const offer = admit(draft, offers, work.key)
  if (isRefusal(offer)) return offer
  const pool = draft.pool(offer.creditType)
  pool.draw(offer.credits)
  const events = budgetEvents(draft.state, work.key, { credits: offer.credits, nowMs: draft.nowMs })
  const { events: balanceEvents, ...fields } = pool.fields
  draft.append({ kind: 'charge', ...fields, ...work, credits: offer.credits, events: [...balanceEvents, ...events] })
  return undefined
}

/** Picks the credit type that pays, or refuses: the way in that charges and holds share. */
export function admit(draft: Draft, offers: ChargeCommand['offers'], key: number | null): Offer | Refusal {
  const { state, nowMs } = draft
  if (state.status === 'suspended') return refuse('account_suspended', 'The account is suspended and takes no new charges or holds.')
  const over = checkBudget(state, { key, credits: offers[0].credits }, nowMs)
  if (over) return over
  return (
    offers.find((offer) => availableOf(balanceOf(poolOf(state, offer.creditType), nowMs)) >= offer.credits) ??
    refuseCredits(state, offers[0], nowMs)
  )
}

/** Says whether paying or waiting would help: 402 when the balance is short, 429 when only live holds are in the way. */
function refuseCredits(state: AccountState, { creditType, credits }: Offer, nowMs: number): Refusal {
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
  if (balance.held === 0n || balance.settled < credits)
    return refuse('insufficient_credits', `Needs ${facts.required} ${creditType}, available ${facts.available}.`, facts)
  const ends = state.holds.filter((hold) => hold.creditType === creditType).map((hold) => hold.expiresAtMs)
  const seconds = Math.max(1, Math.ceil((Math.min(...ends) - nowMs) / 1000))
  const detail = `Needs ${facts.required} ${creditType}, available ${facts.available}; ${facts.held} are set aside by live holds.`
  return refuse('credits_in_flight', detail, { ...facts, retry_after: Math.min(seconds, MAX_RETRY_SECONDS) })
}

interface Spending {
  readonly credits: Microcredits
  readonly nowMs: number
}

/** Tells subscribers when a charge uses the last of a key's budget. */
export function budgetEvents(state: AccountState, key: number | null, { credits, nowMs }: Spending): readonly 'key.budget_reached'[] {
  if (key === null) return []
  const budget = state.budgets.find((candidate) => candidate.key === key)
  if (!budget) return []
  const remaining = remainingOf(currentBudget(budget, nowMs), heldByKey(state, key))
  return remaining !== null && remaining > 0n && remaining <= credits ? ['key.budget_reached'] : []
}
