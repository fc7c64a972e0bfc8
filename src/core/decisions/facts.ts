/** What decisions about past records need besides the account's state: read by the store, in the same transaction. */

import type { AccountStatus, CapturePolicy, GrantTerms } from '../account.ts'
import type { Microcredits } from '../credits.ts'
import type { PurchaseFacts } from '../purchase.ts'
import type { AccountProfile, ChargeRecord, KeyTerms, TopupRefunded } from '../record.ts'

/** A hold that is no longer live. */
export interface EndedHold {
  readonly status: 'captured' | 'released' | 'expired'
  /** What it had set aside when it ended. */
  readonly credits: Microcredits
  /** A charge was recorded for it after it had expired. */
  readonly isLateCaptured: boolean
  /** Its own capture policy; null: the account's or the server's. */
  readonly policy: CapturePolicy | null
}

/** An API key as it stands. */
export interface KeyFacts {
  readonly terms: KeyTerms
  readonly isRevoked: boolean
}

/** An account as it stands. */
export interface AccountFacts extends AccountProfile {
  readonly status: AccountStatus
}

/** A grant that is no longer open. */
export interface ClosedGrant extends GrantTerms {
  readonly status: 'spent' | 'expired' | 'voided'
}

/** A charge that is to be refunded. */
export interface ChargeFacts {
  readonly record: ChargeRecord
  /** Credits of it that were refunded before. */
  readonly refunded: Microcredits
  /** Those of the grants it drew on that are no longer open. */
  readonly closedGrants: readonly ClosedGrant[]
}

/** A refund of a payment, whose credits are to come back. */
export interface TakenFacts {
  readonly record: TopupRefunded
  /** Those of the grants it drew on that are no longer open. */
  readonly closedGrants: readonly ClosedGrant[]
}

/** Answers about past records, read in the decision's own transaction. Things are named by their record's sequence. */
export interface Facts {
  /** Null: there is no such charge. */
  charge(seq: number): ChargeFacts | null
  /** Null: there is no such hold, or it is live. */
  endedHold(seq: number): EndedHold | null
  /** Null: there is no such grant, or it is open. */
  closedGrant(seq: number): ClosedGrant | null
  key(seq: number): KeyFacts | null
  /** Null: there is no such purchase. */
  purchase(seq: number): PurchaseFacts | null
  /** What a refund of a payment took, by the sequence of its record. Null: there is no such refund. */
  taken(seq: number): TakenFacts | null
  profile(): AccountFacts
}
