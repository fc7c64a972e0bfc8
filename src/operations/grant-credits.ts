/** Grants, voids, adjustments and refunds: what the operator does to balances. */

import type { GrantSource } from '../core/account.ts'
import type { Microcredits } from '../core/credits.ts'
import type { Address } from '../core/ids.ts'
import { DEFAULT_PRIORITIES } from '../core/priorities.ts'
import type { Metadata, NewGrant } from '../core/record.ts'
import type { Refusal } from '../core/refusals.ts'
import type { Applied } from '../stores/store.ts'
import { runCommand, runOnObject } from './run-command.ts'
import type { Caller, Services } from './services.ts'

/** Credits to give. */
export interface GrantRequest {
  readonly account: number
  readonly creditType: string
  readonly amount: Microcredits
  readonly source: GrantSource
  /** Null: that of the source. */
  readonly priority: number | null
  /** Null: now. */
  readonly effectiveAtMs: number | null
  readonly expiresAtMs: number | null
  readonly cost: NewGrant['cost']
  readonly metadata: Metadata
}

/** Gives an account credits. A debt of the credit type is repaid first. */
export function grantCredits(services: Services, caller: Caller, request: GrantRequest): Promise<Applied | Refusal> {
  const { account, creditType, amount, source, effectiveAtMs, expiresAtMs, cost, metadata } = request
  const priority = request.priority ?? DEFAULT_PRIORITIES[source]
  const grant = { amount, source, priority, effectiveAtMs, expiresAtMs, paid: cost !== null && cost.amountMinor > 0, cost, metadata }
  return runCommand(services, caller, { account, command: { kind: 'grant', creditType, grant } })
}

/** Takes back what is unspent of a grant. */
export function voidGrant(
  services: Services,
  caller: Caller,
  { grant, reason }: { readonly grant: Address; readonly reason: string },
): Promise<Applied | Refusal> {
  return runOnObject(services, caller, {
    object: 'grant',
    account: grant.account,
    command: { kind: 'void_grant', grant: grant.seq, reason },
  })
}

/** A correction of a balance. */
export interface AdjustmentRequest {
  readonly account: number
  readonly creditType: string
  /** Above zero: given; below: taken. */
  readonly credits: Microcredits
  readonly reason: string
}

/** Corrects a balance, with the reason on record. */
export function adjustCredits(
  services: Services,
  caller: Caller,
  { account, creditType, credits, reason }: AdjustmentRequest,
): Promise<Applied | Refusal> {
  return runCommand(services, caller, { account, command: { kind: 'adjust', creditType, credits, reason } })
}

/** A charge to give back. */
export interface RefundRequest {
  readonly charge: Address
  /** Null: all that was not refunded yet. */
  readonly credits: Microcredits | null
  readonly reason: string
}

/** What became of charged work. */
export interface OutcomeRequest {
  readonly charge: Address
  readonly outcome: 'failed' | 'succeeded'
  readonly reason: string
}

/** Puts on record what became of charged work. What failed is given back as far as the policy goes; reported again, no more. */
export function reportOutcome(services: Services, caller: Caller, { charge, outcome, reason }: OutcomeRequest): Promise<Applied | Refusal> {
  const { refundGrantDays: grantDays, makeGoodPercent: percent } = services.policy
  return runOnObject(services, caller, {
    object: 'charge',
    account: charge.account,
    command: { kind: 'report_outcome', charge: charge.seq, outcome, percent, reason, grantDays },
  })
}

/** Gives a charge back, whole or in part, to the grants that it came from. */
export function refundCharge(services: Services, caller: Caller, { charge, credits, reason }: RefundRequest): Promise<Applied | Refusal> {
  const { refundGrantDays: grantDays } = services.policy
  return runOnObject(services, caller, {
    object: 'charge',
    account: charge.account,
    command: { kind: 'refund', charge: charge.seq, credits, reason, grantDays },
  })
}
