/** Commands: everything that can be asked of an account, as plain data. */

import type { Microcredits } from './credits.ts'
import type { CaptureCommand } from './decisions/capture.ts'
import type { ChargeCommand } from './decisions/charge.ts'
import type { AccountFacts } from './decisions/facts.ts'
import type { AdjustCommand, GrantCommand } from './decisions/grant.ts'
import type { HoldCommand } from './decisions/hold.ts'
import type { KeyChanges } from './decisions/profile.ts'
import type { AccountProfile, KeySecret, KeyTerms } from './record.ts'

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

export type Command =
  | ({ readonly kind: 'create_account' } & AccountProfile)
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
  /** Books what is due by time, and nothing else. */
  | { readonly kind: 'book_due' }

/** Records that a command makes when it succeeds, what time makes not counted: one idempotency key for each. */
export function recordsMadeBy(command: Command): number {
  if (command.kind === 'charge_group') return command.charges.length
  return command.kind === 'book_due' ? 0 : 1
}
