/** Journal records: what happened to an account, complete enough that folding them gives its state, and nothing else is needed. */

import type { AccountStatus, BudgetTerms, CapturePolicy, GrantTerms } from './account.ts'
import type { Balance } from './balance.ts'
import type { Microcredits } from './credits.ts'
import type { Decimal } from './decimal.ts'
import type { UserId } from './ids.ts'

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

/** Who caused a record: the operator's key, a customer's key, a user, or time itself. */
export type Actor = 'operator' | 'time' | `key_${string}` | UserId

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
}

/** Events that a record causes by what it does to a balance, rather than by its kind. */
export type ExtraEvent = 'credits.exhausted' | 'credits.recovered' | 'key.budget_reached'

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

/** An account was opened: its first record. */
export type AccountCreated = RecordHead<'account_created'> & AccountProfile
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
export type KeyScope = 'keys:write'

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

/** One fact in an account's journal. */
export type JournalRecord =
  | CreditsRecord
  | AccountCreated
  | AccountUpdated
  | KeyCreated
  | KeyUpdated
  | KeyRotated
  | KeyRevoked
  | HoldExtended

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

/** The movements of a charge that took credits, in draw order. */
export function drawsOf(record: ChargeRecord): readonly Movement[] {
  return record.kind === 'capture' ? record.movements.slice(0, record.draws) : record.movements
}
