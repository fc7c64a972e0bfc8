/**
 * Ticks order batches as they follow from each other, on any number of nodes: a hybrid of clock and counter. A batch's tick is above
 * that of every state it was decided on and of every batch of this process before it, and near the time otherwise.
 */

/** Ticks in one millisecond: the product stays an integer that a number holds exactly until the year 2248. */
const TICKS_PER_MS = 1_024

/** Gives out ticks, each above the one before. */
export class Ticks {
  #last: number

  constructor(last: number) {
    this.#last = last
  }

  /** The next tick, after those of some states. */
  after(nowMs: number, ticks: readonly number[]): number {
    let tick = Math.max(nowMs * TICKS_PER_MS, this.#last + 1)
    for (const other of ticks) tick = Math.max(tick, other + 1)
    this.#last = tick
    return tick
  }
}
