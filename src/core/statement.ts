/** What happened to an account's credits in a stretch of time, so that opening balance and movements give the closing balance exactly. */

import type { Pool } from './account.ts'
import type { Window } from './calendar.ts'
import { totalsOf } from './evolve.ts'
import { type CreditsRecord, type JournalRecord, movesCredits } from './record.ts'
import { purchaseOf } from './record-subjects.ts'

/**
 * Movements of one credit type, each zero or more but for corrections of an earlier time: closing = opening + purchased + from plans +
 * granted − used + returned − expired − taken back − voided. In micro-credits.
 */
export interface Movements {
  /** Bought, bonuses included. */
  readonly purchased: bigint
  /** Given by subscriptions: periods, trials, changes, and what rolled over, which expired just before. */
  readonly fromPlans: bigint
  readonly granted: bigint
  /** Charged. */
  readonly used: bigint
  /** Given back of charges. */
  readonly returned: bigint
  readonly expired: bigint
  /** Taken because money went back, or with a change to a smaller plan; below zero when some of it came again. */
  readonly takenBack: bigint
  /** Voided or corrected by the operator. */
  readonly voided: bigint
}

/** One credit type's part of a statement. Balances count what is not usable yet, too, and debts as less than nothing. */
export interface TypeStatement extends Movements {
  readonly creditType: string
  readonly opening: bigint
  readonly closing: bigint
}

const NOTHING: Movements = { purchased: 0n, fromPlans: 0n, granted: 0n, used: 0n, returned: 0n, expired: 0n, takenBack: 0n, voided: 0n }

/** When a record took effect: what time does counts from when it was due, whenever it was booked. */
export function effectiveMs(record: JournalRecord): number {
  return 'dueMs' in record ? record.dueMs : record.atMs
}

/** What a record did to its credit type. */
export function movementsOf(record: CreditsRecord): Movements {
  const { granted, charged, refunded, expired, voided } = totalsOf(record)
  const common = { ...NOTHING, used: charged, returned: refunded, expired }
  if (record.kind === 'dispute_closed') return { ...common, takenBack: record.credits, voided: record.voided }
  if (record.kind === 'subscription_granted') return { ...common, fromPlans: granted }
  if (record.kind === 'subscription_reduced') return { ...common, takenBack: voided }
  if (record.kind === 'topup_refunded' || record.kind === 'topup_refund_reversed') return { ...common, takenBack: voided }
  return purchaseOf(record) === null ? { ...common, granted, voided } : { ...common, purchased: granted, voided }
}

function sum(a: Movements, b: Movements): Movements {
  return {
    purchased: a.purchased + b.purchased,
    fromPlans: a.fromPlans + b.fromPlans,
    granted: a.granted + b.granted,
    used: a.used + b.used,
    returned: a.returned + b.returned,
    expired: a.expired + b.expired,
    takenBack: a.takenBack + b.takenBack,
    voided: a.voided + b.voided,
  }
}

/** What movements add to a balance. */
export function changeBy({ purchased, fromPlans, granted, used, returned, expired, takenBack, voided }: Movements): bigint {
  return purchased + fromPlans + granted - used + returned - expired - takenBack - voided
}

/** Everything that an account has of a credit type, debts taken off. */
function wholeOf({ granted, charged, refunded, expired, voided }: Pool): bigint {
  return granted - charged + refunded - expired - voided
}

/** Reads records from the beginning of a stretch of time on, and works back from what the account has now. */
export class StatementSums {
  readonly #window: Window
  readonly #inside = new Map<string, Movements>()
  readonly #since = new Map<string, bigint>()

  constructor(window: Window) {
    this.#window = window
  }

  /** Counts a record. Those of the stretch and after it have to be counted, those before it may be. */
  count(record: JournalRecord): void {
    const atMs = effectiveMs(record)
    if (!movesCredits(record) || atMs < this.#window.startMs) return
    const { creditType } = record
    const movements = movementsOf(record)
    if (Object.values(movements).every((credits) => credits === 0n)) return
    this.#since.set(creditType, (this.#since.get(creditType) ?? 0n) + changeBy(movements))
    if (atMs < this.#window.endMs) this.#inside.set(creditType, sum(this.#inside.get(creditType) ?? NOTHING, movements))
  }

  /** Whether anything moved in the stretch. */
  get isEmpty(): boolean {
    return this.#inside.size === 0
  }

  /** The statement, from what the account has after the last record that was counted. Credit types that had and moved nothing are left out. */
  statement(pools: readonly Pool[]): readonly TypeStatement[] {
    return pools.flatMap((pool) => {
      const { creditType } = pool
      const inside = this.#inside.get(creditType)
      const opening = wholeOf(pool) - (this.#since.get(creditType) ?? 0n)
      if (inside === undefined && opening === 0n) return []
      const movements = inside ?? NOTHING
      return [{ creditType, opening, ...movements, closing: opening + changeBy(movements) }]
    })
  }
}
