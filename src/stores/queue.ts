/** Commands that wait for the next commit. Nothing is timed: the next batch forms while the last one commits. */

import { OverloadedError } from './store.ts'

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (fault: unknown) => void
}

/** Settles one item of a batch, by its place in it. */
export interface Settlement<Result> {
  readonly resolve: (index: number, result: Result) => void
  readonly reject: (index: number, fault: unknown) => void
}

/** A bounded queue that hands all that waits, at most `maxBatch` at a time, to one worker. */
export class CommandQueue<Item, Result> {
  readonly #maxWaiting: number
  readonly #maxBatch: number
  readonly #work: (batch: readonly Item[], settlement: Settlement<Result>) => void
  #waiting: Waiting<Item, Result>[] = []
  #isScheduled = false

  constructor(
    limits: { readonly maxWaiting: number; readonly maxBatch: number },
    work: (batch: readonly Item[], settlement: Settlement<Result>) => void,
  ) {
    this.#maxWaiting = limits.maxWaiting
    this.#maxBatch = limits.maxBatch
    this.#work = work
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Waits for the next batch. Throws OverloadedError, before anything is done, when too many wait already. */
  push(item: Item): Promise<Result> {
    return this.#hasRoomFor(1) ? this.#add(item) : Promise.reject(this.#overloaded())
  }

  /** As `push`, for several at once: all of them wait, or none does. */
  pushAll(items: readonly Item[]): Promise<Result[]> {
    return this.#hasRoomFor(items.length) ? Promise.all(items.map((item) => this.#add(item))) : Promise.reject(this.#overloaded())
  }

  #hasRoomFor(items: number): boolean {
    return this.#waiting.length + items <= this.#maxWaiting
  }

  #overloaded(): OverloadedError {
    return new OverloadedError(`${this.#waiting.length} commands wait already`)
  }

  #add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.drainOnce()
      this.#schedule()
    })
  }

  /** Works off one batch now. */
  drainOnce(): void {
    const batch = this.#waiting.splice(0, this.#maxBatch)
    if (batch.length === 0) return
    try {
      this.#work(
        batch.map(({ item }) => item),
        { resolve: (index, result) => batch[index]?.resolve(result), reject: (index, fault) => batch[index]?.reject(fault) },
      )
    } catch (fault) {
      // Whoever was settled before stays settled: a promise keeps its first answer.
      for (const { reject } of batch) reject(fault)
    }
  }
}
