/** Decides a command on an account's state: the records to append, or a refusal. Synchronous and repeatable. */

import type { AccountState } from './account.ts'
import type { AlertCommand, Command, PurchaseCommand, SubscriptionCommand } from './command.ts'
import { decideCreateAlert, decideDeleteAlert, decideUpdateAlert } from './decisions/alert.ts'
import { decideAttemptTopup, decideFailTopup, decideRemoveAutoTopup, decideSetAutoTopup } from './decisions/auto-topup.ts'
import { decideCapture } from './decisions/capture.ts'
import { decideChange } from './decisions/change-plan.ts'
import { decideCharge, decideChargeGroup } from './decisions/charge.ts'
import { decideCloseCheckout, decideFulfil, decideLinkCheckout, decideOpenCheckout, decidePendCheckout } from './decisions/checkout.ts'
import { decideCloseDispute, decideOpenDispute } from './decisions/dispute.ts'
import type { EndedHold, Facts } from './decisions/facts.ts'
import { decideAdjustment, decideGrant, decideVoid } from './decisions/grant.ts'
import { decideExtend, decideHold, decideIncrease, decideRelease } from './decisions/hold.ts'
import { decideOutcome } from './decisions/outcome.ts'
import {
  decideCreateAccount,
  decideCreateKey,
  decideRevokeKey,
  decideRotateKey,
  decideUpdateAccount,
  decideUpdateKey,
} from './decisions/profile.ts'
import { decideRefund } from './decisions/refund.ts'
import { decideCancel, decidePause, decideResume, decideStart } from './decisions/subscription.ts'
import {
  decideAttempt,
  decideFailPayment,
  decideLinkPage,
  decideOpenPage,
  decidePay,
  decidePendPayment,
  decideRemoveMethod,
  decideReturn,
  decideSaveMethod,
} from './decisions/subscription-payment.ts'
import { decideRefuseRefund, decideRequestRefund, decideReverseRefund, decideTopupRefund } from './decisions/take-back.ts'
import { decideAdvanceClock } from './decisions/test-clock.ts'
import type { Context, Decision } from './draft.ts'
import { openDraft } from './due.ts'
import { takenSeq } from './purchase.ts'
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
    case 'report_outcome':
      return decideOutcome(state, { ...command, charge: context.facts.charge(command.charge) }, context)
    case 'advance_clock':
      return decideAdvanceClock(state, command, context)
    case 'book_due':
      return openDraft(state, context).done()
    case 'set_auto_topup':
      return decideSetAutoTopup(state, command, context)
    case 'remove_auto_topup':
      return decideRemoveAutoTopup(state, context)
    case 'attempt_auto_topup':
      return decideAttemptTopup(state, command, context)
    case 'fail_auto_topup':
      return decideFailTopup(state, command, context)
    case 'create_account':
    case 'update_account':
    case 'create_key':
    case 'update_key':
    case 'rotate_key':
    case 'revoke_key':
      return decideProfile(state, command, context)
    case 'create_alert':
    case 'update_alert':
    case 'delete_alert':
      return decideAlert(state, command, context)
    default:
      return 'purchase' in command || command.kind === 'open_checkout'
        ? decidePurchase(state, command, context)
        : decideSubscription(state, command, context)
  }
}

function decideAlert(state: AccountState, command: AlertCommand, context: Surroundings): Decision | Refusal {
  switch (command.kind) {
    case 'create_alert':
      return decideCreateAlert(state, command, context)
    case 'update_alert':
      return decideUpdateAlert(state, command, context)
    case 'delete_alert':
      return decideDeleteAlert(state, command, context)
  }
}

function decideSubscription(state: AccountState, command: SubscriptionCommand, context: Context): Decision | Refusal {
  switch (command.kind) {
    case 'start_subscription':
      return decideStart(state, command, context)
    case 'change_plan':
      return decideChange(state, command, context)
    case 'pause_subscription':
      return decidePause(state, command, context)
    case 'resume_subscription':
      return decideResume(state, command, context)
    case 'cancel_subscription':
      return decideCancel(state, command, context)
    case 'attempt_payment':
      return decideAttempt(state, command, context)
    case 'open_payment_page':
      return decideOpenPage(state, command, context)
    case 'link_payment_page':
      return decideLinkPage(state, command, context)
    case 'pend_payment':
      return decidePendPayment(state, command, context)
    case 'fail_payment':
      return decideFailPayment(state, command, context)
    case 'pay_subscription':
      return decidePay(state, command, context)
    case 'return_payment':
      return decideReturn(state, command, context)
    case 'save_payment_method':
      return decideSaveMethod(state, command, context)
    case 'remove_payment_method':
      return decideRemoveMethod(state, command, context)
  }
}

function decidePurchase(state: AccountState, command: PurchaseCommand, context: Surroundings): Decision | Refusal {
  if (command.kind === 'open_checkout') return decideOpenCheckout(state, command, context)
  const facts = context.facts.purchase(command.purchase)
  switch (command.kind) {
    case 'link_checkout':
      return decideLinkCheckout(state, { ...command, facts }, context)
    case 'pend_checkout':
      return decidePendCheckout(state, { ...command, facts }, context)
    case 'close_checkout':
      return decideCloseCheckout(state, { ...command, facts }, context)
    case 'fulfil':
      return decideFulfil(state, { ...command, facts }, context)
    case 'request_topup_refund':
      return decideRequestRefund(state, { ...command, facts }, context)
    case 'refuse_topup_refund':
      return decideRefuseRefund(state, { ...command, facts }, context)
    case 'refund_topup':
      return decideTopupRefund(state, { ...command, facts }, context)
    case 'reverse_topup_refund': {
      const taken = takenSeq(facts?.purchase, command.refund)
      return decideReverseRefund(state, { ...command, facts, taken: taken === null ? null : context.facts.taken(taken) }, context)
    }
    case 'open_dispute':
      return decideOpenDispute(state, { ...command, facts }, context)
    case 'close_dispute':
      return decideCloseDispute(state, { ...command, facts }, context)
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
