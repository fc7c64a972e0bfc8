/** Refunds: credits of a charge given back to where they came from, latest drawn first. */

import { type AccountState, type GrantTerms, MAX_OPEN_GRANTS, type OpenGrant, poolOf } from '../account.ts'
import { formatCredits, least, MAX_MICROCREDITS, type Microcredits, micro, most } from '../credits.ts'
import type { Context, Decision, Draft, PoolDraft } from '../draft.ts'
import { openDraft } from '../due.ts'
import { DEBT, drawsOf, type Movement, type NewGrant } from '../record.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import type { ChargeFacts, ClosedGrant } from './facts.ts'

/** Burn priority of credits that come back as a grant of their own. */
export const REFUND_PRIORITY = 35
const DAY_MS = 86_400_000

export interface RefundCommand {
  /** Null: there is no such charge. */
  readonly charge: ChargeFacts | null
  /** Null: all that has not been refunded yet. */
  readonly credits: Microcredits | null
  readonly reason: string
  /** Life of the grant that replaces ended ones. */
  readonly grantDays: number
}

/** Gives a charge back, whole or in part; the refunds of a charge never exceed it. */
export function decideRefund(state: AccountState, command: RefundCommand, context: Context): Decision | Refusal {
  const { charge, reason } = command
  if (!charge) return refuse('charge_not_found', 'No charge has this id.')
  const { record, refunded } = charge
  const refundable = micro(record.credits - refunded)
  const credits = command.credits ?? refundable
  if (credits > refundable || refundable === 0n) return refuseAbove(credits, refundable)
  const draft = openDraft(state, context)
  const given = backFrom(draft, state, { charge, credits, grantDays: command.grantDays })
  if (isRefusal(given)) return given
  draft.append({ kind: 'refund', ...given, reason })
  return draft.done()
}

/** What is to go back of a charge. */
export interface GivenBack {
  readonly charge: ChargeFacts
  readonly credits: Microcredits
  /** Life of the grant that replaces ended ones. */
  readonly grantDays: number
}

/** Gives credits of a charge back; `before` is the state before what was due was booked. The fields of the record that says so. */
export function backFrom(draft: Draft, before: AccountState, { charge, credits, grantDays }: GivenBack) {
  const { record, refunded } = charge
  const left = poolOf(draft.state, record.creditType).grants.reduce<bigint>((sum, { remaining }) => sum + remaining, credits)
  if (left > MAX_MICROCREDITS) return refuse('amount_out_of_range', 'The account would have more than 9200000000000 credits of this type.')
  const pool = draft.pool(record.creditType)
  const closedGrants = [...charge.closedGrants, ...emptiedSince(before, record.creditType)]
  const returned = giveBack(draft, pool, { draws: drawsOf(record), closedGrants, before: refunded, credits })
  const grant = openRefundGrant(draft, pool, { credits: returned.homeless, days: grantDays, purchase: null })
  pool.repay()
  const open = draft.state.pools.reduce((sum, { grants }) => sum + grants.length, returned.reopened.length + (grant ? 1 : 0))
  if (open > MAX_OPEN_GRANTS)
    return refuse('too_many_open_grants', `The refund would leave the account with more than ${MAX_OPEN_GRANTS} open grants.`)
  const { operation, key, atMs } = record
  return { ...pool.fields, charge: record.seq, credits, operation, key, chargedAtMs: atMs, reopened: returned.reopened, grant }
}

function refuseAbove(credits: Microcredits, refundable: Microcredits): Refusal {
  const facts = { requested: formatCredits(credits), refundable: formatCredits(refundable) }
  return refuse('refund_exceeds_charge', `${facts.refundable} credits of this charge can still be refunded.`, facts)
}

/** Credits that go back to where they were drawn. */
export interface Return {
  /** Where they came from, in draw order. */
  readonly draws: readonly Movement[]
  readonly closedGrants: readonly ClosedGrant[]
  /** Credits of the draws that went back before. */
  readonly before: bigint
  readonly credits: bigint
}

/** What became of them. */
export interface Returned {
  readonly reopened: readonly GrantTerms[]
  /** Credits whose grants have ended. */
  readonly homeless: bigint
}

/** Gives credits back, latest drawn first: to grants that are open or merely spent, and against the debt. */
export function giveBack(draft: Draft, pool: PoolDraft, { closedGrants, ...back }: Return): Returned {
  const { grants } = poolOf(draft.state, pool.creditType)
  const reopened: GrantTerms[] = []
  let homeless = 0n
  for (const { grant, part } of partsToReturn(back)) {
    if (grant === DEBT) {
      homeless += pool.forgive(part)
      continue
    }
    const home =
      grants.find((candidate) => candidate.seq === grant && isUsable(candidate, draft.nowMs)) ?? reopen(closedGrants, grant, draft.nowMs)
    if (home === undefined) {
      homeless += part
      continue
    }
    if ('status' in home && !reopened.some(({ seq }) => seq === grant)) {
      const { status: _, ...terms } = home
      reopened.push(terms)
      pool.open(terms)
    }
    pool.move(grant, part, 0n)
  }
  return { reopened, homeless }
}

/** Grants that were open before what was due was booked: one that is gone since, and has not expired, was emptied by it. */
export function emptiedSince(state: AccountState, creditType: string): readonly ClosedGrant[] {
  return poolOf(state, creditType).grants.flatMap(({ remaining: _, held: __, closed, ...terms }) =>
    closed === null ? [{ ...terms, status: 'spent' as const }] : [],
  )
}

function isUsable({ closed, expiresAtMs }: OpenGrant, nowMs: number): boolean {
  return closed === null && (expiresAtMs === null || nowMs < expiresAtMs)
}

function reopen(closed: readonly ClosedGrant[], seq: number, nowMs: number): ClosedGrant | undefined {
  return closed.find((grant) => grant.seq === seq && grant.status === 'spent' && (grant.expiresAtMs === null || nowMs < grant.expiresAtMs))
}

/** The draws in reverse, past what went back before, as far as the credits go. */
function partsToReturn({ draws, before, credits }: Omit<Return, 'closedGrants'>): { readonly grant: number; readonly part: bigint }[] {
  let skip = before
  let left = credits
  const parts: { grant: number; part: bigint }[] = []
  for (const { grant, remaining } of [...draws].reverse()) {
    const drawn = -remaining
    const part = least(most(0n, drawn - skip), left)
    skip = most(0n, skip - drawn)
    left -= part
    if (part > 0n) parts.push({ grant, part })
  }
  return parts
}

/** Opens a grant for credits that have no other to go back to; null when there are none. */
export function openRefundGrant(
  draft: Draft,
  pool: PoolDraft,
  { credits, days, purchase }: { readonly credits: bigint; readonly days: number; readonly purchase: number | null },
): NewGrant | null {
  if (credits === 0n) return null
  const expiresAtMs = draft.nowMs + days * DAY_MS
  const grant: NewGrant = {
    amount: micro(credits),
    source: 'refund',
    priority: REFUND_PRIORITY,
    effectiveAtMs: draft.nowMs,
    expiresAtMs,
    paid: false,
    purchase,
    cost: null,
    metadata: {},
  }
  pool.open({ ...grant, seq: draft.nextSeq })
  pool.move(draft.nextSeq, credits, 0n)
  return grant
}
