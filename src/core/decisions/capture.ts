/** Captures: the charge at the end of a hold, at what the work really cost. */

import type { AccountState, CapturePolicy, HoldPart, OpenHold } from '../account.ts'
import { formatCredits, least, MAX_MICROCREDITS, type Microcredits, micro, ZERO } from '../credits.ts'
import type { Context, Decision, Draft, PoolDraft } from '../draft.ts'
import { letGo, openDraft } from '../due.ts'
import { heldBy } from '../holds.ts'
import type { Work } from '../record.ts'
import { isRefusal, type Refusal, refuse } from '../refusals.ts'
import { budgetEvents, refuseCredits } from './charge.ts'
import { type LiveHold, liveHold } from './hold.ts'

/** A capture, with what is known of its hold if that is not live. */
export interface CaptureCommand extends LiveHold {
  readonly creditType: string
  readonly work: Work
  /**
   * What the quantities of the work cost at its price version, and whether they are those that the hold was opened with; null: the
   * price had no part in it.
   */
  readonly priced: { readonly credits: Microcredits; readonly isInherited: boolean } | null
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
  const over = overdraw(pool, credits - least(credits, held))
  if (over) return over
  const draws = pool.movements.length
  const { final } = command
  const ended = final ? letGo(draft.state, pool, { creditType: hold.creditType, parts: rest }) : { expired: ZERO, voided: ZERO }
  const unheld = final ? held : micro(least(credits, held))
  const { events, ...fields } = pool.fields
  const { operation, key } = hold
  const work = { ...workDone(command, { credits, held }), operation, key }
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
    events: [...events, ...budgetEvents(draft, key, credits)],
  })
  return draft.done()
}

/** Takes credits from the account, and what it does not have as a debt. Refuses a debt that no store could hold. */
export function overdraw(pool: PoolDraft, credits: bigint): Refusal | undefined {
  const wanting = pool.draw(credits)
  if (pool.debt + wanting > MAX_MICROCREDITS) return refuse('amount_out_of_range', 'The account would owe more than 9200000000000 credits.')
  pool.owe(wanting)
  return undefined
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

/**
 * The work that a capture records. A charge of another amount than its quantities cost has no price version to explain it, and what the
 * hold was opened for was used only if the first capture takes all of it.
 */
function workDone({ work, priced }: CaptureCommand, { credits, held }: { readonly credits: bigint; readonly held: bigint }): Work {
  if (priced === null || (credits === priced.credits && (!priced.isInherited || held === priced.credits))) return work
  return { ...work, priceVersion: null, quantities: priced.isInherited ? {} : work.quantities }
}

/** Work that was delivered is recorded even when its hold ran out first, as a direct charge. */
function captureLate(draft: Draft, before: AccountState, command: CaptureCommand): Decision | Refusal {
  const { ended, hold: seq, creditType } = command
  if (ended?.isLateCaptured) return refuse('hold_already_captured', 'The hold was captured before, after it had expired.')
  const live = before.holds.find((candidate) => candidate.seq === seq)
  const held = live ? heldBy(live) : (ended?.credits ?? ZERO)
  const wanted = command.credits ?? held
  const pool = draft.pool(creditType)
  const available = pool.available > 0n ? pool.available : ZERO
  const policy = policyOf(draft.state, command, live?.policy ?? ended?.policy ?? null)
  if (wanted > available && policy === 'reject') return refuseCredits(draft.state, { creditType, credits: wanted }, draft.nowMs)
  const credits = wanted > available && policy === 'cap' ? available : wanted
  const over = overdraw(pool, credits)
  if (over) return over
  const work = workDone(command, { credits, held })
  const { events, ...fields } = pool.fields
  draft.append({
    kind: 'late_capture',
    ...fields,
    ...work,
    hold: seq,
    credits,
    events: [...events, ...budgetEvents(draft, work.key, credits)],
  })
  return draft.done()
}
