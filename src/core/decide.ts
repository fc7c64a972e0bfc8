/** Decides a command on an account's state: the records to append, or a refusal. Synchronous and repeatable. */

import type { AccountState } from './account.ts'
import type { Command } from './command.ts'
import { decideCapture } from './decisions/capture.ts'
import { decideCharge, decideChargeGroup } from './decisions/charge.ts'
import type { EndedHold, Facts } from './decisions/facts.ts'
import { decideAdjustment, decideGrant, decideVoid } from './decisions/grant.ts'
import { decideExtend, decideHold, decideIncrease, decideRelease } from './decisions/hold.ts'
import {
  decideCreateAccount,
  decideCreateKey,
  decideRevokeKey,
  decideRotateKey,
  decideUpdateAccount,
  decideUpdateKey,
} from './decisions/profile.ts'
import { decideRefund } from './decisions/refund.ts'
import type { Context, Decision } from './draft.ts'
import { openDraft } from './due.ts'
import type { Refusal } from './refusals.ts'

/** What a command is decided with besides the state. */
export interface Surroundings extends Context {
  readonly facts: Facts
}

/** Decides any command. The same state, command and surroundings always give the same decision. */
export function decide(state: AccountState, command: Command, context: Surroundings): Decision | Refusal {
  switch (command.kind) {
    case 'charge':
      return decideCharge(state, command, context)
    case 'charge_group':
      return decideChargeGroup(state, command.charges, context)
    case 'hold':
      return decideHold(state, withoutKind(command), context)
    case 'capture':
      return decideCapture(state, { ...withoutKind(command), ended: endedHold(state, command.hold, context) }, context)
    case 'release':
      return decideRelease(state, { hold: command.hold, ended: endedHold(state, command.hold, context) }, context)
    case 'extend':
      return decideExtend(state, { ...command, ended: endedHold(state, command.hold, context) }, context)
    case 'increase':
      return decideIncrease(state, { ...command, ended: endedHold(state, command.hold, context) }, context)
    case 'refund':
      return decideRefund(state, { ...command, charge: context.facts.charge(command.charge) }, context)
    case 'grant':
      return decideGrant(state, command, context)
    case 'void_grant':
      return decideVoid(
        state,
        { ...command, closed: isOpenGrant(state, command.grant) ? null : context.facts.closedGrant(command.grant) },
        context,
      )
    case 'adjust':
      return decideAdjustment(state, command, context)
    case 'book_due':
      return openDraft(state, context).done()
    default:
      return decideProfile(state, command, context)
  }
}

type ProfileCommand = Extract<
  Command,
  { kind: 'create_account' | 'update_account' | 'create_key' | 'update_key' | 'rotate_key' | 'revoke_key' }
>

function decideProfile(state: AccountState, command: ProfileCommand, context: Surroundings): Decision | Refusal {
  switch (command.kind) {
    case 'create_account':
      return decideCreateAccount(state, withoutKind(command), context)
    case 'update_account':
      return decideUpdateAccount(state, { account: context.facts.profile(), changes: command.changes }, context)
    case 'create_key':
      return decideCreateKey(state, command, context)
    case 'update_key':
      return decideUpdateKey(state, { ...command, facts: context.facts.key(command.key) }, context)
    case 'rotate_key':
      return decideRotateKey(state, { ...command, facts: context.facts.key(command.key) }, context)
    case 'revoke_key':
      return decideRevokeKey(state, { key: command.key, facts: context.facts.key(command.key) }, context)
  }
}

function withoutKind<C extends Command>(command: C): Omit<C, 'kind'> {
  const { kind: _, ...rest } = command
  return rest
}

/** Asked only of holds that are not live: most captures need nothing but the state. */
function endedHold(state: AccountState, hold: number, context: Surroundings): EndedHold | null {
  return state.holds.some(({ seq }) => seq === hold) ? null : context.facts.endedHold(hold)
}

function isOpenGrant(state: AccountState, grant: number): boolean {
  return state.pools.some(({ grants }) => grants.some(({ seq }) => seq === grant))
}
