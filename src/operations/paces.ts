/** How fast accounts spend their credits, from the roll-ups of hours that are over: read once an hour for who asks. */

import { LEAST_PACE_MS, PACE_MS, type Pace } from '../core/forecast.ts'
import { HOUR_MS } from '../core/usage.ts'
import type { Store } from '../stores/store.ts'

/** Most accounts whose paces are remembered. */
const MAX_ACCOUNTS = 10_000

/** The paces of one account in one hour, by credit type; a type of which nothing was spent has none. */
export interface Paces {
  readonly hourMs: number
  readonly byType: ReadonlyMap<string, Pace>
}

/** Remembers the paces of accounts. Hours that are over do not change, so neither does what is remembered until the next. */
export class PaceBook {
  readonly #store: Pick<Store, 'usage'>
  readonly #known = new Map<number, Paces>()

  constructor(store: Pick<Store, 'usage'>) {
    this.#store = store
  }

  /** What is remembered of an account for the hour that a moment is in, by the account's time. */
  known(account: number, nowMs: number): Paces | undefined {
    const paces = this.#known.get(account)
    return paces?.hourMs === hourOf(nowMs) ? paces : undefined
  }

  /** Reads the paces of an account, and remembers them. */
  async read(account: number, nowMs: number): Promise<Paces> {
    const hourMs = hourOf(nowMs)
    const rows = await this.#store.usage(account, { fromMs: hourMs - PACE_MS, toMs: hourMs })
    const sums = new Map<string, { spent: bigint; readonly firstMs: number }>()
    for (const { creditType, hourMs: firstMs, credits, refunded } of rows) {
      const sum = sums.get(creditType)
      if (sum) sum.spent += credits - refunded
      else sums.set(creditType, { spent: credits - refunded, firstMs })
    }
    const byType = new Map<string, Pace>()
    for (const [creditType, { spent, firstMs }] of sums)
      if (spent > 0n) byType.set(creditType, { spent, overMs: Math.max(hourMs - firstMs, LEAST_PACE_MS), sinceMs: hourMs })
    const paces = { hourMs, byType }
    this.#remember(account, paces)
    return paces
  }

  #remember(account: number, paces: Paces): void {
    this.#known.delete(account)
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= MAX_ACCOUNTS) this.#known.delete(oldest)
    this.#known.set(account, paces)
  }
}

function hourOf(nowMs: number): number {
  return nowMs - (nowMs % HOUR_MS)
}
