/** Commands: everything that can be asked of an account, as plain data. */

import type { AutoTopupTerms } from './auto-topup-facts.ts'
import type { Microcredits } from './credits.ts'
import type { CreateAlertCommand, UpdateAlertCommand } from './decisions/alert.ts'
import type { AutoTopupOffer } from './decisions/auto-topup.ts'
import type { CaptureCommand } from './decisions/capture.ts'
import type { ChangeCommand } from './decisions/change-plan.ts'
import type { ChargeCommand } from './decisions/charge.ts'
import type { OpenCheckoutCommand } from './decisions/checkout.ts'
import type { AccountFacts } from './decisions/facts.ts'
import type { FailTopupCommand } from './decisions/fail-topup.ts'
import type { AdjustCommand, GrantCommand } from './decisions/grant.ts'
import type { HoldCommand } from './decisions/hold.ts'
import type { OutcomeCommand } from './decisions/outcome.ts'
import type { KeyChanges, NewAccount } from './decisions/profile.ts'
import type { CancelCommand, OfSubscription, StartCommand } from './decisions/subscription.ts'
import type { FailCommand, OfAttempt, PayCommand, Payee, ReturnCommand } from './decisions/subscription-payment.ts'
import type { Payment, PaymentMethod } from './payment.ts'
import type { CheckoutClosed, KeySecret, KeyTerms } from './record.ts'

/** A capture, before the ledger has looked up what became of its hold. */
export type CaptureRequest = Omit<CaptureCommand, 'ended'>

/** A refund, before the ledger has looked up its charge. */
export interface RefundRequest {
  readonly charge: number
  /** Null: all that has not been refunded. */
  readonly credits: Microcredits | null
  readonly reason: string
  /** Life, in days, of the grant that replaces ended ones. */
  readonly grantDays: number
}

/** What a provider says of a purchase; each is told once, whatever is heard of it how often. `purchase` is a sequence. */
export type ProviderNews =
  | { readonly kind: 'link_checkout'; readonly purchase: number; readonly reference: string; readonly url: string }
  | { readonly kind: 'pend_checkout'; readonly purchase: number; readonly ttlMs: number }
  | { readonly kind: 'close_checkout'; readonly purchase: number; readonly outcome: CheckoutClosed['outcome'] }
  | { readonly kind: 'fulfil'; readonly purchase: number; readonly payment: Payment }
  | { readonly kind: 'refuse_topup_refund'; readonly purchase: number; readonly request: number; readonly reason: string }
  | ({ readonly kind: 'refund_topup' } & RefundTold)
  | ({ readonly kind: 'reverse_topup_refund'; readonly grantDays: number } & RefundTold)
  | ({ readonly kind: 'open_dispute' } & DisputeTold)
  | ({ readonly kind: 'close_dispute'; readonly outcome: 'won' | 'lost'; readonly grantDays: number } & DisputeTold)

interface RefundTold {
  readonly purchase: number
  /** The provider's name of the refund. */
  readonly refund: string
  /** Sequence of the record that asked for it; null: it was made at the provider. */
  readonly request: number | null
  readonly amountMinor: number
}

interface DisputeTold {
  readonly purchase: number
  /** The provider's name of the dispute. */
  readonly dispute: string
  readonly amountMinor: number
}

/** A command about a purchase. */
export type PurchaseCommand =
  | ProviderNews
  | ({ readonly kind: 'open_checkout' } & OpenCheckoutCommand)
  /** `amountMinor` null: all that can be refunded. */
  | {
      readonly kind: 'request_topup_refund'
      readonly purchase: number
      readonly amountMinor: number | null
      readonly reason: string
    }

/** What a provider says of a subscription's payments; each is told once. */
export type SubscriptionNews =
  | ({ readonly kind: 'link_payment_page'; readonly reference: string; readonly url: string } & OfAttempt)
  | ({ readonly kind: 'pend_payment'; readonly payment: string } & OfAttempt)
  | ({ readonly kind: 'fail_payment' } & FailCommand)
  | ({ readonly kind: 'pay_subscription' } & PayCommand)
  | ({ readonly kind: 'return_payment' } & ReturnCommand)

/** A command about subscriptions, or about how they are paid for. */
export type SubscriptionCommand =
  | SubscriptionNews
  | ({ readonly kind: 'start_subscription' } & StartCommand)
  | ({ readonly kind: 'change_plan' } & ChangeCommand)
  | ({ readonly kind: 'pause_subscription' } & OfSubscription)
  | ({ readonly kind: 'resume_subscription' } & OfSubscription)
  | ({ readonly kind: 'cancel_subscription' } & CancelCommand)
  | ({ readonly kind: 'attempt_payment' } & OfSubscription & Payee)
  | ({ readonly kind: 'open_payment_page'; readonly ttlMs: number } & OfSubscription & Payee)
  | { readonly kind: 'save_payment_method'; readonly method: PaymentMethod }
  | { readonly kind: 'remove_payment_method'; readonly reason: string }

/** A command about alerts. */
export type AlertCommand =
  | ({ readonly kind: 'create_alert' } & CreateAlertCommand)
  | ({ readonly kind: 'update_alert' } & UpdateAlertCommand)
  | { readonly kind: 'delete_alert'; readonly alert: number }

/** A command about automatic top-ups. */
export type AutoTopupCommand =
  | { readonly kind: 'set_auto_topup'; readonly terms: AutoTopupTerms }
  | { readonly kind: 'remove_auto_topup' }
  | ({ readonly kind: 'attempt_auto_topup' } & AutoTopupOffer)
  | AutoTopupNews

/** What comes of an attempt to top up an account by itself; it is told once. */
type AutoTopupNews = { readonly kind: 'fail_auto_topup' } & FailTopupCommand

/** What became of charged work, before the ledger has looked up its charge. */
export type OutcomeReport = Omit<OutcomeCommand, 'charge'> & { readonly charge: number }

export type Command =
  | ({ readonly kind: 'create_account' } & NewAccount)
  | { readonly kind: 'update_account'; readonly changes: Partial<AccountFacts> }
  | { readonly kind: 'create_key'; readonly terms: KeyTerms; readonly secret: KeySecret }
  | { readonly kind: 'update_key'; readonly key: number; readonly changes: KeyChanges }
  | { readonly kind: 'rotate_key'; readonly key: number; readonly secret: KeySecret; readonly overlapMs: number }
  | { readonly kind: 'revoke_key'; readonly key: number }
  | ({ readonly kind: 'grant' } & GrantCommand)
  | { readonly kind: 'void_grant'; readonly grant: number; readonly reason: string }
  | ({ readonly kind: 'adjust' } & AdjustCommand)
  | ({ readonly kind: 'charge' } & ChargeCommand)
  | { readonly kind: 'charge_group'; readonly charges: readonly ChargeCommand[] }
  | ({ readonly kind: 'refund' } & RefundRequest)
  | ({ readonly kind: 'hold' } & HoldCommand)
  | ({ readonly kind: 'capture' } & CaptureRequest)
  | { readonly kind: 'release'; readonly hold: number }
  | { readonly kind: 'extend'; readonly hold: number; readonly ttlMs: number }
  | { readonly kind: 'increase'; readonly hold: number; readonly credits: Microcredits }
  | PurchaseCommand
  | SubscriptionCommand
  | AlertCommand
  | AutoTopupCommand
  | ({ readonly kind: 'report_outcome' } & OutcomeReport)
  | { readonly kind: 'advance_clock'; readonly nowMs: number }
  /** Books what is due by time, and nothing else. */
  | { readonly kind: 'book_due' }

const NEWS: Readonly<Record<(ProviderNews | SubscriptionNews | AutoTopupNews)['kind'], true>> = {
  fail_auto_topup: true,
  link_payment_page: true,
  pend_payment: true,
  fail_payment: true,
  pay_subscription: true,
  return_payment: true,
  link_checkout: true,
  pend_checkout: true,
  close_checkout: true,
  fulfil: true,
  refuse_topup_refund: true,
  refund_topup: true,
  reverse_topup_refund: true,
  open_dispute: true,
  close_dispute: true,
}

/** Whether a command passes on what a provider says. */
export function isProviderNews(command: Command): command is ProviderNews | SubscriptionNews | AutoTopupNews {
  return Object.hasOwn(NEWS, command.kind)
}

/**
 * Records that a command makes when it succeeds, each with an idempotency key: the first ones. What time makes is not counted, nor what
 * follows from them: a bonus, the credits of a subscription.
 */
export function recordsMadeBy(command: Command): number {
  if (command.kind === 'charge_group') return command.charges.length
  return command.kind === 'book_due' ? 0 : 1
}
