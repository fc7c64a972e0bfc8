/** Captures: the charge at the end of a hold, at what the work really cost. */

import type { AccountState, CapturePolicy, HoldPart, OpenHold } from '../account.ts'
import { formatCredits, least, type Microcredits, micro, ZERO } from '../credits.ts'
import type { Context, Decision, Draft, PoolDraft } from '../draft.ts'
import { letGo, openDraft } from '../due.ts'
import { heldBy } from '../holds.ts'
import type { Work } from '../record.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { budgetEvents } from './charge.ts'
import { type LiveHold, liveHold } from './hold.ts'

export interface CaptureCommand extends LiveHold {
  readonly creditType: string
  readonly work: Work
  /** What the work cost; null: all that is held. */
  readonly credits: Microcredits | null
  /** Whether the hold ends and lets the rest go. */
  readonly final: boolean
  /** Above the hold: the request's policy, and the server's for when neither request, hold nor account has one. */
  readonly policy: CapturePolicy | null
  readonly serverPolicy: CapturePolicy
}

/**
 * Captures a hold. Up to what is held it always succeeds; above that the policy decides: `reject` refuses, `cap` takes what
 * is held, `overdraft` takes the rest from the account, below zero if need be. After expiry the charge is made under the
 * same policy, once.
 */
export function decideCapture(state: AccountState, command: CaptureCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const hold = liveHold(draft, command)
  if (!isRefusal(hold)) return captureLive(draft, hold, command)
  return hold.refused === 'hold_expired' ? captureLate(draft, state, command) : hold
}

function policyOf(state: AccountState, command: CaptureCommand, hold: CapturePolicy | null): CapturePolicy {
  return command.policy ?? hold ?? state.capturePolicy ?? command.serverPolicy
}

function captureLive(draft: Draft, hold: OpenHold, command: CaptureCommand): Decision | Refusal {
  const held = heldBy(hold)
  const wanted = command.credits ?? held
  const policy = policyOf(draft.state, command, hold.policy)
  if (wanted > held && policy === 'reject') return refuseAbove(wanted, held)
  const credits = wanted > held && policy === 'cap' ? held : wanted
  const pool = draft.pool(hold.creditType)
  const rest = takeParts(pool, hold, least(credits, held))
  if (credits > held) pool.owe(pool.draw(credits - held))
  const draws = pool.movements.length
  const ended = command.final ? letGo(draft.state, pool, { creditType: hold.creditType, parts: rest }) : { expired: ZERO, voided: ZERO }
  const unheld = command.final ? held : micro(least(credits, held))
  const spent = { credits, nowMs: draft.nowMs }
  const { events, ...fields } = pool.fields
  const { work, final } = command
  draft.append({
    kind: 'capture',
    ...fields,
    ...work,
    ...ended,
    hold: hold.seq,
    credits,
    final,
    unheld,
    draws,
    events: [...events, ...budgetEvents(draft.state, work.key, spent)],
  })
  return draft.done()
}

/** Takes credits from a hold's parts in draw order; returns the parts that are left. */
function takeParts(pool: PoolDraft, hold: OpenHold, credits: bigint): readonly HoldPart[] {
  let left = credits
  const rest: HoldPart[] = []
  for (const { grant, held } of hold.parts) {
    const taken = least(left, held)
    if (taken > 0n) pool.move(grant, -taken, -taken)
    if (taken < held) rest.push({ grant, held: micro(held - taken) })
    left -= taken
  }
  return rest
}

function refuseAbove(wanted: Microcredits, held: Microcredits): Refusal {
  const facts = { required: formatCredits(wanted), held: formatCredits(held), excess: formatCredits(wanted - held) }
  return refuse('capture_exceeds_hold', `The capture of ${facts.required} is ${facts.excess} above what is held.`, facts)
}

/** Work that was delivered is recorded even when its hold ran out first, as a direct charge. */
function captureLate(draft: Draft, before: AccountState, command: CaptureCommand): Decision | Refusal {
  const { ended, hold: seq, work } = command
  if (ended?.isLateCaptured) return refuse('hold_already_captured', 'The hold was captured before, after it had expired.')
  const live = before.holds.find((candidate) => candidate.seq === seq)
  const held = live ? heldBy(live) : (ended?.credits ?? ZERO)
  const wanted = command.credits ?? held
  const pool = draft.pool(command.creditType)
  const available = pool.available > 0n ? pool.available : ZERO
  const policy = policyOf(draft.state, command, live?.policy ?? ended?.policy ?? null)
  if (wanted > available && policy === 'reject') return refuseLate(command.creditType, wanted, available)
  const credits = wanted > available && policy === 'cap' ? available : wanted
  pool.owe(pool.draw(credits))
  const { events, ...fields } = pool.fields
  draft.append({
    kind: 'late_capture',
    ...fields,
    ...work,
    hold: seq,
    credits,
    events: [...events, ...budgetEvents(draft.state, work.key, { credits, nowMs: draft.nowMs })],
  })
  return draft.done()
}

function refuseLate(creditType: string, wanted: Microcredits, available: Microcredits): Refusal {
  const facts = {
    credit_type: creditType,
    required: formatCredits(wanted),
    available: formatCredits(available),
    shortfall: formatCredits(wanted - available),
  }
  return refuse('insufficient_credits', `The hold has expired, and ${facts.required} ${creditType} are not available any more.`, facts)
}
