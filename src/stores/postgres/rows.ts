/** The rows that a batch makes in the derived tables, each row once: one statement may not touch a row twice. */

import type { AccountState } from '../../core/account.ts'
import { emptyAccount } from '../../core/account.ts'
import { closedRows } from '../../core/usage.ts'
import type { DecidedBatch } from '../batch.ts'
import {
  type AutoTopupChange,
  type EndedHoldChange,
  type LateCaptureChange,
  type LiveHoldChange,
  type ObjectChange,
  objectChanges,
  type PurchaseChange,
  type SubscriptionChange,
} from '../projections.ts'
import type { GrantRow, HoldRow, HourRow } from '../store.ts'

interface Owned {
  readonly account: number
  readonly seq: number
}

/** A hold that the batch opened, or what it changed of one. */
export interface HoldDraft extends Owned {
  isOpened: boolean
  /** Null: as it was. */
  status: HoldRow['status'] | null
  /** Set aside by the batch. */
  credits: bigint
  held: bigint | null
  expiresAtMs: number | null
  lateCharge: number | null
}

/** Rows of the derived tables. */
export interface DerivedRows {
  readonly grants: readonly (Owned & { readonly status: GrantRow['status'] })[]
  readonly holds: readonly HoldDraft[]
  /** `seq` is the charge's. */
  readonly refunds: readonly (Owned & { readonly credits: bigint })[]
  readonly hours: readonly { readonly account: number; readonly closedBy: number; readonly hour: HourRow }[]
  /** In order. Each has a statement of its own: they are rare. */
  readonly purchases: readonly { readonly account: number; readonly change: PurchaseChange }[]
  readonly subscriptions: readonly (Owned & { readonly change: SubscriptionChange })[]
  readonly autoTopups: readonly { readonly account: number; readonly change: AutoTopupChange }[]
}

/** What the records of a batch change besides states. */
export function derivedRows({ pending, working }: DecidedBatch): DerivedRows {
  const rows = new RowsOfBatch()
  const states = new Map<number, AccountState>()
  for (const { record, row, after } of pending) {
    const { account, seq } = row
    const before = states.get(account) ?? working.get(account)?.entry?.state ?? emptyAccount(account)
    states.set(account, after)
    for (const hour of closedRows(before.hour, after.hour))
      rows.hours.push({ account, closedBy: seq, hour: { ...hour, hourMs: before.hour.startMs } })
    // Most records are charges that leave every grant open: nothing else of theirs is kept elsewhere.
    for (const change of objectChanges(record, { before, after })) rows.add(account, seq, change)
  }
  return rows.done()
}

class RowsOfBatch {
  readonly hours: DerivedRows['hours'][number][] = []
  readonly #purchases: DerivedRows['purchases'][number][] = []
  readonly #grants = new Map<string, DerivedRows['grants'][number]>()
  readonly #holds = new Map<string, HoldDraft>()
  readonly #refunds = new Map<string, DerivedRows['refunds'][number]>()
  readonly #subscriptions = new Map<string, DerivedRows['subscriptions'][number]>()
  readonly #autoTopups = new Map<number, DerivedRows['autoTopups'][number]>()

  /** `by` is the sequence of the record that makes the change. */
  add(account: number, by: number, change: ObjectChange): void {
    switch (change.table) {
      case 'grants':
        this.#grants.set(`${account}:${change.seq}`, { account, seq: change.seq, status: change.status })
        break
      case 'purchases':
        this.#purchases.push({ account, change })
        break
      case 'subscriptions': {
        const { seq } = change.subscription
        this.#subscriptions.set(`${account}:${seq}`, { account, seq, change })
        break
      }
      case 'auto_topups':
        this.#autoTopups.set(account, { account, change })
        break
      case 'refunds':
        this.#refund(account, change.charge, change.credits)
        break
      default:
        this.#changeHold(account, by, change)
    }
  }

  #refund(account: number, seq: number, credits: bigint): void {
    const known = this.#refunds.get(`${account}:${seq}`)?.credits ?? 0n
    this.#refunds.set(`${account}:${seq}`, { account, seq, credits: known + credits })
  }

  #changeHold(account: number, by: number, change: LiveHoldChange | EndedHoldChange | LateCaptureChange): void {
    const seq = change.table === 'late_captures' ? change.hold : change.seq
    const hold = this.#hold(account, seq)
    if (change.table === 'late_captures') hold.lateCharge = change.charge
    else if (change.table === 'ended_holds') {
      hold.status = change.status
      hold.held = change.held
    } else {
      hold.credits += change.credits
      hold.expiresAtMs = change.expiresAtMs ?? hold.expiresAtMs
      hold.isOpened ||= seq === by
    }
  }

  #hold(account: number, seq: number): HoldDraft {
    const name = `${account}:${seq}`
    const known = this.#holds.get(name)
    if (known) return known
    const made: HoldDraft = { account, seq, isOpened: false, status: null, credits: 0n, held: null, expiresAtMs: null, lateCharge: null }
    this.#holds.set(name, made)
    return made
  }

  done(): DerivedRows {
    return {
      grants: [...this.#grants.values()],
      holds: [...this.#holds.values()],
      refunds: [...this.#refunds.values()],
      hours: this.hours,
      purchases: this.#purchases,
      subscriptions: [...this.#subscriptions.values()],
      autoTopups: [...this.#autoTopups.values()],
    }
  }
}
