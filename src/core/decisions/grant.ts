/** Grants: credits given, taken back unspent, and corrected. */

import { type AccountState, MAX_OPEN_GRANTS, type OpenGrant, poolOf } from '../account.ts'
import { MAX_MICROCREDITS, type Microcredits, micro } from '../credits.ts'
import type { Context, Decision, Draft } from '../draft.ts'
import { openDraft } from '../due.ts'
import { DEFAULT_PRIORITIES } from '../priorities.ts'
import type { NewGrant } from '../record.ts'
import { type Refusal, refuse } from '../refusals.ts'
import { refuseCredits } from './charge.ts'
import type { ClosedGrant } from './facts.ts'

export interface GrantCommand {
  readonly creditType: string
  /** With `effectiveAtMs` null: from now. */
  readonly grant: Omit<NewGrant, 'effectiveAtMs' | 'purchase'> & { readonly effectiveAtMs: number | null }
}

/** Gives credits. A debt of the credit type is repaid from them first, as soon as they are effective. */
export function decideGrant(state: AccountState, { creditType, grant }: GrantCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const effectiveAtMs = grant.effectiveAtMs ?? draft.nowMs
  if (grant.expiresAtMs !== null && grant.expiresAtMs <= Math.max(draft.nowMs, effectiveAtMs)) {
    return refuse('expiry_passed', 'The grant would end before it becomes effective, or has ended already.')
  }
  const refusal = refuseGrant(draft, creditType, grant.amount)
  if (refusal) return refusal
  addGrant(draft, creditType, { ...grant, effectiveAtMs, purchase: null })
  return draft.done()
}

function refuseGrant(draft: Draft, creditType: string, amount: Microcredits): Refusal | undefined {
  const open = draft.state.pools.reduce((sum, pool) => sum + pool.grants.length, 0)
  if (open >= MAX_OPEN_GRANTS)
    return refuse('too_many_open_grants', `The account has ${MAX_OPEN_GRANTS} open grants; let some be spent, expire or be voided first.`)
  const left = poolOf(draft.state, creditType).grants.reduce<bigint>((sum, { remaining }) => sum + remaining, amount)
  if (left > MAX_MICROCREDITS) return refuse('amount_out_of_range', 'The account would have more than 9200000000000 credits of this type.')
  return undefined
}

/** Gives credits; a debt is repaid from them first. */
export function addGrant(draft: Draft, creditType: string, grant: NewGrant): void {
  const terms = { ...grant, seq: draft.nextSeq }
  const pool = draft.pool(creditType)
  pool.open(terms)
  pool.move(draft.nextSeq, grant.amount, 0n)
  pool.repay()
  draft.append({ kind: 'grant', ...pool.fields, grant })
}

/** A grant to void, and what is known of it. */
export interface VoidCommand {
  readonly grant: number
  /** The grant when it is not open; null: there is none. */
  readonly closed: ClosedGrant | null
  readonly reason: string
}

/** Takes back what is unspent of a grant. What holds have set aside stays theirs, and is voided when they let it go. */
export function decideVoid(state: AccountState, command: VoidCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const pool = draft.state.pools.find(({ grants }) => grants.some(({ seq }) => seq === command.grant))
  const grant = pool?.grants.find(({ seq }) => seq === command.grant)
  if (!pool || !grant) return refuseClosed(command.closed?.status ?? endedJustNow(state, command.grant, draft.nowMs))
  if (grant.closed !== null) return refuseClosed(grant.closed)
  voidGrant(draft, pool.creditType, { grant, reason: command.reason })
  return draft.done()
}

/** Takes back what is unspent of an open grant. */
export function voidGrant(
  draft: Draft,
  creditType: string,
  { grant, reason }: { readonly grant: OpenGrant; readonly reason: string },
): void {
  const moves = draft.pool(creditType)
  const credits = micro(moves.freeOf(grant))
  // Also when all of it is held: the movement says what is left.
  moves.move(grant.seq, -credits, 0n)
  draft.append({ kind: 'grant_voided', ...moves.fields, grant: grant.seq, credits, reason })
}

/** How a grant ended that was open before what was due was booked. */
function endedJustNow(state: AccountState, seq: number, nowMs: number): ClosedGrant['status'] | null {
  const grant = state.pools.flatMap(({ grants }) => grants).find((candidate) => candidate.seq === seq)
  if (!grant) return null
  if (grant.closed !== null) return grant.closed
  return grant.expiresAtMs !== null && grant.expiresAtMs <= nowMs ? 'expired' : 'spent'
}

function refuseClosed(status: ClosedGrant['status'] | null): Refusal {
  if (status === null) return refuse('grant_not_found', 'No grant has this id.')
  return refuse('grant_closed', `The grant is ${status} already.`, { grant_status: status })
}

/** A correction of a balance. */
export interface AdjustCommand {
  readonly creditType: string
  /** Above zero: given, as a grant; below: taken, in burn order. */
  readonly credits: Microcredits
  readonly reason: string
}

/** Corrects a balance, with the reason on record. It never takes more than is available. */
export function decideAdjustment(
  state: AccountState,
  { creditType, credits, reason }: AdjustCommand,
  context: Context,
): Decision | Refusal {
  const draft = openDraft(state, context)
  if (credits > 0n) {
    const refusal = refuseGrant(draft, creditType, credits)
    if (refusal) return refusal
    addGrant(draft, creditType, {
      amount: credits,
      source: 'adjustment',
      priority: DEFAULT_PRIORITIES.adjustment,
      effectiveAtMs: draft.nowMs,
      expiresAtMs: null,
      paid: false,
      purchase: null,
      cost: null,
      metadata: { reason },
    })
    return draft.done()
  }
  const taken = micro(-credits)
  const pool = draft.pool(creditType)
  if (pool.available < taken) return refuseCredits(draft.state, { creditType, credits: taken }, draft.nowMs)
  pool.draw(taken)
  draft.append({ kind: 'adjustment', ...pool.fields, credits: taken, reason })
  return draft.done()
}
