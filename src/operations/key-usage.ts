/** What a key has spent since it was made: the hourly roll-ups added up, those of closed hours once. */

import { HOUR_MS } from '../core/usage.ts'
import type { HourRow, KeyRow, Store } from '../stores/store.ts'

/** Sums kept, at most; when there are more, they are added up anew. */
const MAX_KEPT = 50_000
/** An hour may still be counted in by a server whose clock is behind by up to this. */
const SETTLED_MS = HOUR_MS

interface Kept {
  /** The hours before it are in the sum. */
  readonly beforeMs: number
  readonly spent: bigint
}

export class KeyUsage {
  readonly #store: Store
  readonly #kept = new Map<string, Kept>()

  constructor(store: Store) {
    this.#store = store
  }

  /** Micro-credits charged by a key until now, refunds taken off, of all credit types: what a budget would have counted. */
  async spentBy({ account, seq, createdAtMs }: KeyRow, nowMs: number): Promise<bigint> {
    const name = `${account}.${seq}`
    const { beforeMs, spent } = this.#kept.get(name) ?? { beforeMs: floorHour(createdAtMs), spent: 0n }
    const rows = (await this.#store.usage(account, { fromMs: beforeMs, toMs: nowMs + HOUR_MS })).filter(({ key }) => key === seq)
    const closedMs = Math.max(beforeMs, floorHour(nowMs) - SETTLED_MS)
    const closed = spent + sum(rows.filter(({ hourMs }) => hourMs < closedMs))
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear()
    this.#kept.set(name, { beforeMs: closedMs, spent: closed })
    return closed + sum(rows.filter(({ hourMs }) => hourMs >= closedMs))
  }
}

function floorHour(ms: number): number {
  return ms - (ms % HOUR_MS)
}

function sum(rows: readonly HourRow[]): bigint {
  return rows.reduce((total, { credits, refunded }) => total + credits - refunded, 0n)
}
