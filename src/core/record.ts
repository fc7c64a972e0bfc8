/** Journal records: what happened to an account, complete enough that folding them gives its state, and nothing else is needed. */

import type { AccountStatus, BudgetTerms, CapturePolicy, ClockTime, GrantTerms } from './account.ts'
import type { AlertNews, AlertTerms, AlertWatch } from './alert.ts'
import type { AutoTopupFacts } from './auto-topup-facts.ts'
import type { Balance } from './balance.ts'
import type { Microcredits } from './credits.ts'
import type { Decimal } from './decimal.ts'
import type { UserId } from './ids.ts'
import type { CheckoutTerms, Payment } from './payment.ts'
import type { GrantReason, SubscriptionFacts } from './subscription-facts.ts'

/** One movement on one grant. Grant 0 is the account's debt, which is a grant with less than nothing remaining. */
export interface Movement {
  /** Sequence of the grant's record; 0: the debt. */
  readonly grant: number
  /** Change of what remains, held part included. */
  readonly remaining: Microcredits
  /** Change of what is held. */
  readonly held: Microcredits
  readonly remainingAfter: Microcredits
  readonly heldAfter: Microcredits
}

/** The pseudo-grant whose negative remainder is the account's debt. */
export const DEBT = 0

/** Who caused a record: the operator's key, a customer's key, a user, a payment provider, or time itself. */
export type Actor = 'operator' | 'provider' | 'time' | `key_${string}` | UserId

/** Values that callers attach; Obol stores and returns them and never looks inside. */
export type Metadata = Readonly<Record<string, string>>

interface RecordHead<Kind extends string> {
  readonly kind: Kind
  /** Position in the account's journal: 1, 2, 3 … without gaps. */
  readonly seq: number
  /** Never before the record before it. */
  readonly atMs: number
  readonly actor: Actor
  readonly requestId: string | null
  /** What subscribers hear besides the kind itself. */
  readonly events: readonly ExtraEvent[]
  /** Alerts that it makes fire or that are armed again; left out: none. */
  readonly alerts?: readonly AlertNews[]
}

/** Events that a record causes by what it does to a balance, rather than by its kind. */
export type ExtraEvent = 'credits.exhausted' | 'credits.recovered' | 'key.budget_reached' | AutoTopupEvent
/** Steps of automatic top-ups that other records bring about. */
type AutoTopupEvent = `auto_topup.${'triggered' | 'paid' | 'action_required' | 'suspended'}`

interface CreditsHead<Kind extends string> extends RecordHead<Kind> {
  readonly creditType: string
  readonly movements: readonly Movement[]
  /** The credit type's balance after the record. */
  readonly balance: Balance
}

/** What was used and what for: charges and holds carry it. */
export interface Work {
  readonly operation: string
  /** Sequence of the API key it counts against; null: none. */
  readonly key: number | null
  readonly quantities: Readonly<Record<string, Decimal>>
  readonly attributes: Readonly<Record<string, string>>
  /** The price book version that priced it; null: the caller named the amount. */
  readonly priceVersion: number | null
  readonly metadata: Metadata
}

/** A new grant, made by the record that carries it. */
export interface NewGrant extends Omit<GrantTerms, 'seq'> {
  readonly amount: Microcredits
  /** Money paid, in minor units of a lower-case ISO 4217 currency; null: nothing. */
  readonly cost: { readonly amountMinor: number; readonly currency: string } | null
  readonly metadata: Metadata
}

/** An account was opened: its first record. `clock` null: it lives in the store's own time. */
export type AccountCreated = RecordHead<'account_created'> & AccountProfile & { readonly clock: ClockTime | null }
/** What is known of an account, after a change. */
export type AccountUpdated = RecordHead<'account_updated'> & AccountProfile & { readonly status: AccountStatus }

/** What an operator says about an account. */
export interface AccountProfile {
  readonly name: string
  readonly externalId: string | null
  readonly metadata: Metadata
  readonly capturePolicy: CapturePolicy | null
}

/** What an API key may do. */
export interface KeyTerms {
  readonly name: string
  /** Null: no budget, nothing counted. */
  readonly budget: BudgetTerms | null
  /** Null: the server's default. */
  readonly rateLimit: { readonly requests: number; readonly windowSeconds: number } | null
  readonly expiresAtMs: number | null
  /** Operations it may be charged for; null: all. */
  readonly operations: readonly string[] | null
  readonly scopes: readonly KeyScope[]
  readonly metadata: Metadata
}

/** What a key may do beyond reading its account. */
export type KeyScope = 'keys:write' | 'webhooks:write' | 'alerts:write'

/** A key's secret as the store keeps it. */
export interface KeySecret {
  /** SHA-256 of the secret, base64url. */
  readonly hash: string
  /** What may be shown: prefix and last four characters. */
  readonly hint: string
}

/** An API key was made. */
export type KeyCreated = RecordHead<'key_created'> & { readonly terms: KeyTerms; readonly secret: KeySecret }
/** What an API key may do, after a change. */
export type KeyUpdated = RecordHead<'key_updated'> & { readonly key: number; readonly terms: KeyTerms }
/** An API key got a new secret. */
export type KeyRotated = RecordHead<'key_rotated'> & { readonly key: number; readonly secret: KeySecret; readonly previousUntilMs: number }
/** An API key was ended. */
export type KeyRevoked = RecordHead<'key_revoked'> & { readonly key: number }

/** An alert was set, changed or taken away. */
export type AlertRecord =
  | (RecordHead<'alert_created'> & { readonly watch: AlertWatch; readonly terms: AlertTerms })
  | (RecordHead<'alert_updated'> & { readonly alert: number; readonly terms: AlertTerms })
  | (RecordHead<'alert_deleted'> & { readonly alert: number })

/** Credits were given. */
export type GrantMade = CreditsHead<'grant'> & { readonly grant: NewGrant }
/** A grant reached its end. */
export type GrantExpired = CreditsHead<'grant_expired'> & { readonly grant: number; readonly credits: Microcredits; readonly dueMs: number }
/** What was unspent of a grant was taken back. */
export type GrantVoided = CreditsHead<'grant_voided'> & { readonly grant: number; readonly credits: Microcredits; readonly reason: string }
/** Credits were taken to correct a balance. */
export type Adjusted = CreditsHead<'adjustment'> & { readonly credits: Microcredits; readonly reason: string }
/** A grant that became effective paid off what the account owed. */
export type DebtRepaid = CreditsHead<'debt_repaid'> & { readonly dueMs: number }

/** Credits were charged. */
export type Charged = CreditsHead<'charge'> & Work & { readonly credits: Microcredits }

/** Credits were set aside. */
export type HoldOpened = CreditsHead<'hold'> &
  Work & { readonly credits: Microcredits; readonly expiresAtMs: number; readonly policy: CapturePolicy | null }
/** What a change leaves of a hold: with it, the record alone says what the change was answered with. */
export interface HoldAfter {
  /** Set aside when it was opened, and by increases since. */
  readonly total: Microcredits
  /** Still set aside. */
  readonly held: Microcredits
  readonly expiresAtMs: number
}

/** A hold got more time. */
export type HoldExtended = RecordHead<'hold_extended'> & { readonly hold: number; readonly after: HoldAfter }
/** More credits were set aside for a hold. */
export type HoldIncreased = CreditsHead<'hold_increased'> & {
  readonly hold: number
  readonly credits: Microcredits
  readonly after: HoldAfter
}

/** What leaves with released credits whose grant had ended under the hold. */
interface Endings {
  readonly expired: Microcredits
  readonly voided: Microcredits
}

/** A charge that takes its credits from a hold. The first `draws` movements are the charge; the rest is what was let go. */
export type Captured = CreditsHead<'capture'> &
  Work &
  Endings & {
    readonly hold: number
    readonly credits: Microcredits
    /** The hold ends with it. */
    readonly final: boolean
    /** Credits that left the hold, taken or let go. */
    readonly unheld: Microcredits
    readonly draws: number
  }
/** A charge for a hold that had expired. */
export type LateCaptured = CreditsHead<'late_capture'> & Work & { readonly hold: number; readonly credits: Microcredits }
export type HoldReleased = CreditsHead<'hold_released'> &
  Endings & { readonly hold: number; readonly credits: Microcredits; readonly after: HoldAfter }
/** A hold ran out. */
export type HoldExpired = CreditsHead<'hold_expired'> &
  Endings & { readonly hold: number; readonly credits: Microcredits; readonly dueMs: number }

/** Credits of a charge were given back. */
export type Refunded = CreditsHead<'refund'> & {
  /** Sequence of the charge's record. */
  readonly charge: number
  readonly credits: Microcredits
  readonly operation: string
  readonly key: number | null
  /** When the charge was made: budgets give back only what they counted in the same window. */
  readonly chargedAtMs: number
  readonly reason: string
  /** Spent grants that credits go back to. */
  readonly reopened: readonly GrantTerms[]
  /** Credits whose grants have ended come back as this new grant. */
  readonly grant: NewGrant | null
}

/** The operator reported what became of charged work. What failed was made good as a refund is, as far as the policy goes. */
export type OutcomeReported = Omit<Refunded, 'kind'> & RecordHead<'outcome_reported'> & { readonly outcome: 'failed' | 'succeeded' }

/** Credits of a subscription were given, as of the moment they were due. */
export type SubscriptionGranted = CreditsHead<'subscription_granted'> & {
  readonly subscription: number
  readonly why: GrantReason
  readonly dueMs: number
  readonly grant: NewGrant
}
/** Credits of a subscription's period were taken back, because it was changed to a smaller plan. */
export type SubscriptionReduced = CreditsHead<'subscription_reduced'> & { readonly subscription: number; readonly credits: Microcredits }
/** Something new of a subscription, of how it is paid for, or of a test clock, that moves no credits. */
export type SubscriptionRecord = { [Kind in keyof SubscriptionFacts]: RecordHead<Kind> & SubscriptionFacts[Kind] }[keyof SubscriptionFacts]

/** A checkout was opened: a purchase begins. Its record names the purchase. */
export type CheckoutOpened = RecordHead<'checkout_opened'> & { readonly terms: CheckoutTerms; readonly expiresAtMs: number }

interface PurchaseHead<Kind extends string> extends RecordHead<Kind> {
  /** Sequence of the record that opened the checkout. */
  readonly purchase: number
}

/** The provider has a page for a checkout. */
export type CheckoutLinked = PurchaseHead<'checkout_linked'> & { readonly reference: string; readonly url: string }
/** The customer has done their part, and the money is on its way. */
export type CheckoutPending = PurchaseHead<'checkout_pending'> & { readonly expiresAtMs: number }
/** A checkout was given up because nothing was heard of it in time. A payment that arrives later counts all the same. */
export type CheckoutExpired = PurchaseHead<'checkout_expired'>
/** The provider says that a checkout will not be paid. */
export type CheckoutClosed = PurchaseHead<'checkout_closed'> & { readonly outcome: 'expired' | 'failed' | 'canceled' }
/** A payment is not what was asked for: nothing was credited, and the operator has to look at it. */
export type PaymentMismatched = PurchaseHead<'payment_mismatched'> & {
  readonly reason: 'amount' | 'currency' | 'mode' | 'paid_before'
  readonly payment: Payment
}
/** The operator asks the provider to pay money back. */
export type TopupRefundRequested = PurchaseHead<'topup_refund_requested'> & { readonly amountMinor: number; readonly reason: string }
/** The provider will not pay back what the operator asked for. */
export type TopupRefundRefused = PurchaseHead<'topup_refund_refused'> & {
  /** Sequence of the record that asked for it. */
  readonly request: number
  readonly reason: string
}

interface PurchaseCreditsHead<Kind extends string> extends CreditsHead<Kind> {
  readonly purchase: number
}

/** A purchase was paid for: its credits were given. A bonus is the record behind it. */
export type ToppedUp = PurchaseCreditsHead<'topup'> & { readonly payment: Payment; readonly grant: NewGrant }
/** Money of a purchase was paid back: credits were taken in proportion. */
export type TopupRefunded = PurchaseCreditsHead<'topup_refunded'> & {
  /** The provider's name of the refund. */
  readonly refund: string
  /** Sequence of the record that asked for it; null: it was made at the provider. */
  readonly request: number | null
  readonly amountMinor: number
  readonly credits: Microcredits
}
/** A refund of a payment came to nothing: the customer has back what it took. */
export type TopupRefundReversed = PurchaseCreditsHead<'topup_refund_reversed'> & {
  readonly refund: string
  readonly request: number | null
  readonly amountMinor: number
  /** What comes back; nothing when the refund was never seen to succeed. */
  readonly credits: Microcredits
  readonly reopened: readonly GrantTerms[]
  /** Credits whose grants have ended come back as this new grant. */
  readonly grant: NewGrant | null
}
/** A payment is disputed: what is unspent of the purchase is frozen, as far as the dispute goes. */
export type DisputeOpened = PurchaseCreditsHead<'dispute_opened'> & {
  /** The provider's name of the dispute. */
  readonly dispute: string
  readonly amountMinor: number
}
/** A dispute has ended. What was frozen is free again, but for what a lost one takes. */
export type DisputeClosed = PurchaseCreditsHead<'dispute_closed'> & {
  readonly dispute: string
  readonly amountMinor: number
  readonly outcome: 'won' | 'lost'
  /** Sequence of the record that froze something; null: nothing was frozen. */
  readonly freeze: number | null
  /** What was taken; nothing when it was won. */
  readonly credits: Microcredits
  /** What was frozen of a grant that the operator has voided meanwhile, and went with it. */
  readonly voided: Microcredits
  /** What was frozen of a grant that has expired meanwhile is free as this new grant. */
  readonly grant: NewGrant | null
}

/** Something new of how an account is topped up by itself. */
export type AutoTopupRecord = { [Kind in keyof AutoTopupFacts]: RecordHead<Kind> & AutoTopupFacts[Kind] }[keyof AutoTopupFacts]
export type AutoTopupAttempted = Extract<AutoTopupRecord, { kind: 'auto_topup_attempted' }>

/** Records that say something new of a purchase. */
export type PurchaseRecord =
  | CheckoutOpened
  | CheckoutLinked
  | CheckoutPending
  | CheckoutExpired
  | CheckoutClosed
  | PaymentMismatched
  | TopupRefundRequested
  | TopupRefundRefused
  | ToppedUp
  | TopupRefunded
  | TopupRefundReversed
  | DisputeOpened
  | DisputeClosed

/** Records that move credits. */
export type CreditsRecord =
  | GrantMade
  | GrantExpired
  | GrantVoided
  | Adjusted
  | DebtRepaid
  | Charged
  | HoldOpened
  | HoldIncreased
  | Captured
  | LateCaptured
  | HoldReleased
  | HoldExpired
  | Refunded
  | OutcomeReported
  | SubscriptionGranted
  | SubscriptionReduced
  | ToppedUp
  | TopupRefunded
  | TopupRefundReversed
  | DisputeOpened
  | DisputeClosed

/** One fact in an account's journal. */
export type JournalRecord =
  | CreditsRecord
  | AccountCreated
  | AccountUpdated
  | KeyCreated
  | KeyUpdated
  | KeyRotated
  | KeyRevoked
  | AlertRecord
  | HoldExtended
  | PurchaseRecord
  | SubscriptionRecord
  | AutoTopupRecord

/** Records that are charges: their ids begin with `chg_`. */
export type ChargeRecord = Charged | Captured | LateCaptured

/** Whether a record moves credits. */
export function movesCredits(record: JournalRecord): record is CreditsRecord {
  return 'movements' in record
}

/** Whether a record is a charge. */
export function isCharge(record: JournalRecord): record is ChargeRecord {
  return record.kind === 'charge' || record.kind === 'capture' || record.kind === 'late_capture'
}

/** The grant that a record makes; null: it makes none. */
export function grantMadeBy(record: JournalRecord): NewGrant | null {
  return 'grant' in record && typeof record.grant === 'object' ? record.grant : null
}

/** Spent grants that a record opens again, because credits go back to them. */
export function reopenedBy(record: JournalRecord): readonly GrantTerms[] {
  return 'reopened' in record ? record.reopened : []
}

/** Whether a record gives credits of a charge back. */
export function givesBack(record: JournalRecord): record is Refunded | OutcomeReported {
  return record.kind === 'refund' || record.kind === 'outcome_reported'
}

/** The movements of a charge that took credits, in draw order. */
export function drawsOf(record: ChargeRecord): readonly Movement[] {
  return record.kind === 'capture' ? record.movements.slice(0, record.draws) : record.movements
}
