/** What operations work with: the store, the prices in force, and the settings that are policy. */

import type { AccessTokens } from '../auth/access-tokens.ts'
import type { InFlight } from '../auth/in-flight.ts'
import type { KeyRing } from '../auth/key-ring.ts'
import type { Passwords } from '../auth/passwords.ts'
import type { SignInThrottle } from '../auth/sign-in-throttle.ts'
import type { SignedIn } from '../auth/signed-in.ts'
import type { CapturePolicy } from '../core/account.ts'
import type { InvoiceTerms } from '../core/invoice-body.ts'
import type { Actor } from '../core/record.ts'
import type { Store } from '../stores/store.ts'
import type { Sender } from '../webhooks/sender.ts'
import type { Trials } from '../webhooks/trials.ts'
import type { Payments } from './payments.ts'
import type { PriceList } from './price-list.ts'

/** Settings that decide what operations do. */
export interface Policy {
  /** What a capture above its hold does when neither request, hold nor account says. */
  readonly capturePolicy: CapturePolicy
  /** Life of a grant that stands in for ended ones on a refund. */
  readonly refundGrantDays: number
  /** Of a charge whose work failed, in whole percent, that is made good. */
  readonly makeGoodPercent: number
  /** Whether accounts may live by clocks that tests move. */
  readonly testClocks: boolean
  /** Where customers buy credits; null: nowhere that Obol knows. */
  readonly topUpUrl: string | null
  /** What the secrets of new customer keys begin with. */
  readonly keyPrefix: string
}

/** What users sign in by. */
export interface SignInParts {
  readonly passwords: Passwords
  readonly tokens: AccessTokens
  readonly throttle: SignInThrottle
  readonly signedIn: SignedIn
  /** Refresh tokens that are being used. */
  readonly refreshing: InFlight
}

/** What is sent to others by. */
export interface SendingParts {
  readonly sender: Sender
  readonly trials: Trials
}

/** What every operation works with. */
export interface Services {
  readonly store: Store
  readonly prices: PriceList
  readonly keyRing: KeyRing
  readonly signIn: SignInParts
  readonly sending: SendingParts
  readonly policy: Policy
  /** How invoices are made out. */
  readonly invoicing: InvoiceTerms
  /** Null: this server sells nothing. */
  readonly payments: Payments | null
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** Who asks, under which name, and as which request. */
export interface Caller {
  readonly actor: Actor
  readonly requestId: string | null
  readonly idempotency: IdempotencyKey | null
}

/** An idempotency key as the caller sent it, with the fingerprint of the request that it names. */
export interface IdempotencyKey {
  readonly key: string
  readonly fingerprint: string
  /** Place in the batch that the request is, or 0. */
  readonly item: number
}
