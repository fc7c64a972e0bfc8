/** Holds: credits set aside for work whose cost is known only at the end. Check and hold are one step. */

import { type AccountState, type CapturePolicy, MAX_OPEN_HOLDS, type OpenHold } from '../account.ts'
import { MAX_MICROCREDITS, type Microcredits, micro, ZERO } from '../credits.ts'
import type { Context, Decision, Draft } from '../draft.ts'
import { letGo, openDraft } from '../due.ts'
import { heldBy, holdAfter } from '../holds.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { admit, type ChargeCommand } from './charge.ts'
import type { EndedHold } from './facts.ts'

/** Shortest and longest life of a hold, counted from when it is made. */
export const MIN_HOLD_TTL_MS = 60_000
export const MAX_HOLD_TTL_MS = 24 * 3_600_000
/** Life of a hold that does not say. */
export const DEFAULT_HOLD_TTL_MS = 15 * 60_000

export interface HoldCommand extends ChargeCommand {
  readonly ttlMs: number
  /** Null: the account's policy, or the server's. */
  readonly policy: CapturePolicy | null
}

/** Sets credits aside. Refuses as a charge would, and too_many_open_holds. */
export function decideHold(state: AccountState, command: HoldCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const { offers, ttlMs, policy, ...work } = command
  const offer = admit(draft, offers, work)
  if (isRefusal(offer)) return offer
  if (draft.state.holds.length >= MAX_OPEN_HOLDS) {
    return refuse('too_many_open_holds', `The account has ${MAX_OPEN_HOLDS} live holds; capture or release some first.`)
  }
  const pool = draft.pool(offer.creditType)
  pool.hold(offer.credits)
  draft.append({ kind: 'hold', ...pool.fields, ...work, credits: offer.credits, expiresAtMs: draft.nowMs + ttlMs, policy })
  return draft.done()
}

/** Names a hold that must be live. */
export interface LiveHold {
  readonly hold: number
  /** What became of it, if it is not live. */
  readonly ended: EndedHold | null
}

/** The live hold, or the refusal that says how it ended. */
export function liveHold(draft: Draft, { hold, ended }: LiveHold): OpenHold | Refusal {
  const live = draft.state.holds.find((candidate) => candidate.seq === hold)
  return live ?? refuseEnded(draft, hold, ended)
}

function refuseEnded(draft: Draft, hold: number, ended: EndedHold | null): Refusal {
  const status = ended?.status ?? (draft.hasExpired(hold) ? 'expired' : null)
  switch (status) {
    case 'captured':
      return refuse('hold_already_captured', 'The hold was captured before.')
    case 'released':
      return refuse('hold_already_released', 'The hold was released before.')
    case 'expired':
      return refuse('hold_expired', 'The hold has expired; only a late capture is possible.')
    case null:
      return refuse('hold_not_found', 'No hold has this id.')
  }
}

/** Gives all that a live hold has set aside back. */
export function decideRelease(state: AccountState, command: LiveHold, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const hold = liveHold(draft, command)
  if (isRefusal(hold)) return hold
  const pool = draft.pool(hold.creditType)
  const ended = letGo(draft.state, pool, hold)
  const after = { ...holdAfter(hold), held: ZERO }
  draft.append({ kind: 'hold_released', ...pool.fields, ...ended, hold: hold.seq, credits: heldBy(hold), after })
  return draft.done()
}

/** Sets a live hold's end anew, counted from now; never beyond 24 hours from when it was made, and never earlier than it was. */
export function decideExtend(state: AccountState, command: LiveHold & { readonly ttlMs: number }, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const hold = liveHold(draft, command)
  if (isRefusal(hold)) return hold
  const expiresAtMs = Math.max(hold.expiresAtMs, draft.nowMs + command.ttlMs)
  const latestMs = hold.createdAtMs + MAX_HOLD_TTL_MS
  if (expiresAtMs > latestMs)
    return refuse('hold_ttl_exceeded', 'A hold may live for at most 24 hours.', { latest: new Date(latestMs).toISOString() })
  draft.append({ kind: 'hold_extended', hold: hold.seq, after: { ...holdAfter(hold), expiresAtMs }, events: [] })
  return draft.done()
}

/** Sets more credits aside for a live hold. Refuses as a new hold would. */
export function decideIncrease(
  state: AccountState,
  command: LiveHold & { readonly credits: Microcredits },
  context: Context,
): Decision | Refusal {
  const draft = openDraft(state, context)
  const hold = liveHold(draft, command)
  if (isRefusal(hold)) return hold
  const { credits } = command
  if (hold.total + credits > MAX_MICROCREDITS)
    return refuse('amount_out_of_range', 'The hold would have set aside more than 9200000000000 credits.')
  const against = { key: hold.key, perCharge: heldBy(hold) + credits, hold: hold.seq }
  const offer = admit(draft, [{ creditType: hold.creditType, credits }], against)
  if (isRefusal(offer)) return offer
  const pool = draft.pool(hold.creditType)
  pool.hold(credits)
  const { total, held, expiresAtMs } = holdAfter(hold)
  const after = { total: micro(total + credits), held: micro(held + credits), expiresAtMs }
  draft.append({ kind: 'hold_increased', ...pool.fields, hold: hold.seq, credits, after })
  return draft.done()
}
