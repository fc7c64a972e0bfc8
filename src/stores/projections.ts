/** What each record changes outside the account's state: the status of grants and holds, the refunds of charges, purchases and subscriptions. */

import { type AccountState, poolOf } from '../core/account.ts'
import { askingTopupOwnMs } from '../core/auto-topup.ts'
import { type Microcredits, ZERO } from '../core/credits.ts'
import type { EndedHold } from '../core/decisions/facts.ts'
import { endedIn, type PurchaseStatus, statusAfter } from '../core/purchase.ts'
import { type CreditsRecord, DEBT, givesBack, grantMadeBy, type JournalRecord, movesCredits, reopenedBy } from '../core/record.ts'
import { purchaseOf } from '../core/record-subjects.ts'
import { askingOwnMs, type Subscription } from '../core/subscription.ts'
import { evolveSubscription } from '../core/subscription-fold.ts'
import type { GrantRow } from './store.ts'

/** A grant was opened, spent, expired or voided. */
export interface GrantChange {
  readonly table: 'grants'
  readonly seq: number
  readonly status: GrantRow['status']
}

/** A hold was opened, or more was set aside for it, or it was given more time. */
export interface LiveHoldChange {
  readonly table: 'live_holds'
  readonly seq: number
  /** Set aside by this record. */
  readonly credits: Microcredits
  /** Null: as it was. */
  readonly expiresAtMs: number | null
}

/** A hold ended. */
export interface EndedHoldChange {
  readonly table: 'ended_holds'
  readonly seq: number
  readonly status: EndedHold['status']
  /** What it had set aside when it ended. */
  readonly held: Microcredits
}

/** A charge was recorded for a hold that had expired. */
export interface LateCaptureChange {
  readonly table: 'late_captures'
  readonly hold: number
  readonly charge: number
}

/** More of a charge was refunded. */
export interface RefundChange {
  readonly table: 'refunds'
  readonly charge: number
  readonly credits: Microcredits
}

/** Something new of a purchase. */
export interface PurchaseChange {
  readonly table: 'purchases'
  readonly seq: number
  /** Null: as it was. */
  readonly status: PurchaseStatus | null
  /** The record that is to be folded in; null: only what stands beside the fold changes, which needs no look at it. */
  readonly record: JournalRecord | null
  /** Credits of its grants that expired or were voided with this record. */
  readonly ended: bigint
}

/** A subscription as a record leaves it. */
export interface SubscriptionChange {
  readonly table: 'subscriptions'
  readonly subscription: Subscription
  /** When the payment provider has to be asked something, by the store's time; null: not before anything else happens. */
  readonly askingMs: number | null
}

/** When the payment provider has to be asked something of an account's automatic top-ups, by the store's time; null: not before anything else happens. */
export interface AutoTopupChange {
  readonly table: 'auto_topups'
  readonly askingMs: number | null
}

/** A change to one row of a derived table. */
export type ObjectChange =
  | GrantChange
  | LiveHoldChange
  | EndedHoldChange
  | LateCaptureChange
  | RefundChange
  | PurchaseChange
  | SubscriptionChange
  | AutoTopupChange

/** An account's state before and after one record. */
export interface Step {
  readonly before: AccountState
  readonly after: AccountState
}

/** The changes that one record makes, in order. */
export function objectChanges(record: JournalRecord, step: Step): readonly ObjectChange[] {
  const changes: ObjectChange[] = []
  if (movesCredits(record)) grantChanges(record, step, changes)
  const change = holdChange(record)
  if (change) changes.push(change)
  if (givesBack(record) && record.credits > 0n) changes.push({ table: 'refunds', charge: record.charge, credits: record.credits })
  purchaseChanges(record, step.before, changes)
  if (step.before.subscriptions !== step.after.subscriptions || record.kind === 'clock_advanced') subscriptionChanges(record, step, changes)
  if (step.after.autoTopup !== null) autoTopupChange(step, changes)
  return changes
}

/** Most records change nothing of it: a charge that is far from the threshold. */
function autoTopupChange({ before, after }: Step, changes: ObjectChange[]): void {
  const isSame =
    before.autoTopup === after.autoTopup &&
    before.paymentMethod === after.paymentMethod &&
    before.disputes === after.disputes &&
    before.status === after.status &&
    before.clock === after.clock
  if (!isSame) changes.push({ table: 'auto_topups', askingMs: askingTopupOwnMs(after) })
}

/** Those that the record has changed; those of a clock that was moved may have something to ask now. */
function subscriptionChanges(record: JournalRecord, { before, after }: Step, changes: ObjectChange[]): void {
  const isMoved = record.kind === 'clock_advanced'
  const left = after.subscriptions.filter((subscription) => isMoved || !before.subscriptions.includes(subscription))
  const ended = before.subscriptions.filter(({ seq }) => !after.subscriptions.some((other) => other.seq === seq))
  for (const subscription of [...left, ...ended.map((one) => evolveSubscription(one, record))])
    changes.push({ table: 'subscriptions', subscription, askingMs: askingOwnMs(subscription, after.clock) })
}

function purchaseChanges(record: JournalRecord, before: AccountState, changes: ObjectChange[]): void {
  const own = purchaseOf(record)
  // Charges and most others say nothing of a purchase, and end no grant.
  if (own !== null) {
    const ended = endedIn(record, () => false)
    // Time expires a checkout in any decision on its account, with no look at the purchase.
    changes.push({
      table: 'purchases',
      seq: own,
      status: statusAfter(record),
      record: record.kind === 'checkout_expired' ? null : record,
      ended,
    })
  } else if (movesCredits(record) && endedIn(record, () => true) > 0n) {
    for (const [seq, grants] of purchasedGrants(before, record.creditType)) {
      const ended = endedIn(record, (grant) => grants.has(grant))
      if (ended > 0n) changes.push({ table: 'purchases', seq, status: null, record: null, ended })
    }
  }
}

/** The open grants that purchases made, by purchase. */
function purchasedGrants(state: AccountState, creditType: string): ReadonlyMap<number, ReadonlySet<number>> {
  const found = new Map<number, Set<number>>()
  for (const { seq, purchase } of poolOf(state, creditType).grants) {
    if (purchase === null) continue
    const known = found.get(purchase)
    if (known) known.add(seq)
    else found.set(purchase, new Set([seq]))
  }
  return found
}

function grantChanges(record: CreditsRecord, { before, after }: Step, changes: ObjectChange[]): void {
  for (const seq of openedBy(record)) changes.push({ table: 'grants', seq, status: 'open' })
  const ended = endedBy(record)
  if (ended) changes.push({ table: 'grants', ...ended })
  const left = poolOf(after, record.creditType).grants
  for (const { grant, remainingAfter } of record.movements) {
    if (remainingAfter !== 0n || grant === DEBT || grant === ended?.seq || left.some(({ seq }) => seq === grant)) continue
    // A grant that ended under a hold keeps the status with which it ended.
    const known = poolOf(before, record.creditType).grants.find(({ seq }) => seq === grant)
    if (!known?.closed) changes.push({ table: 'grants', seq: grant, status: 'spent' })
  }
}

/** Grants that a record makes or reopens. */
function openedBy(record: CreditsRecord): readonly number[] {
  return [...reopenedBy(record).map(({ seq }) => seq), ...(grantMadeBy(record) ? [record.seq] : [])]
}

function endedBy(record: CreditsRecord): Omit<GrantChange, 'table'> | undefined {
  if (record.kind === 'grant_expired') return { seq: record.grant, status: 'expired' }
  return record.kind === 'grant_voided' ? { seq: record.grant, status: 'voided' } : undefined
}

function holdChange(record: JournalRecord): ObjectChange | undefined {
  switch (record.kind) {
    case 'hold':
      return { table: 'live_holds', seq: record.seq, credits: record.credits, expiresAtMs: record.expiresAtMs }
    case 'hold_increased':
      return { table: 'live_holds', seq: record.hold, credits: record.credits, expiresAtMs: null }
    case 'hold_extended':
      return { table: 'live_holds', seq: record.hold, credits: ZERO, expiresAtMs: record.after.expiresAtMs }
    case 'capture':
      return record.final ? { table: 'ended_holds', seq: record.hold, status: 'captured', held: record.unheld } : undefined
    case 'hold_released':
      return { table: 'ended_holds', seq: record.hold, status: 'released', held: record.credits }
    case 'hold_expired':
      return { table: 'ended_holds', seq: record.hold, status: 'expired', held: record.credits }
    case 'late_capture':
      return { table: 'late_captures', hold: record.hold, charge: record.seq }
    default:
      return undefined
  }
}
