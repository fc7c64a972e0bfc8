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

/**
 * A bounded queue that hands all that waits, at most `maxBatch` at a time, to one worker. One that takes its time gives a promise of
 * what is to be done once the next batch is on its way: whoever hears an answer has work to do, and the worker need not wait for that.
 */
export class CommandQueue<Item, Result> {
  readonly #maxWaiting: number
  readonly #maxBatch: number
  readonly #work: (batch: readonly Item[], settlement: Settlement<Result>) => void | Promise<() => void>
  #waiting: Waiting<Item, Result>[] = []
  #isScheduled = false
  #isWorking = false

  constructor(
    limits: { readonly maxWaiting: number; readonly maxBatch: number },
    work: (batch: readonly Item[], settlement: Settlement<Result>) => void | Promise<() => void>,
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
    return this.hasRoomFor(1) ? this.#add(item) : Promise.reject(this.#overloaded())
  }

  /** As `push`, for several at once: all of them wait, or none does. */
  pushAll(items: readonly Item[]): Promise<Result[]> {
    return this.hasRoomFor(items.length) ? Promise.all(items.map((item) => this.#add(item))) : Promise.reject(this.#overloaded())
  }

  /** Whether so many more may wait. */
  hasRoomFor(items: number): boolean {
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
    if (this.#isScheduled || this.#isWorking || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.drainOnce()
      this.#schedule()
    })
  }

  /** Works off one batch now; a worker that takes its time is given the next one when it is done. */
  drainOnce(): void {
    const batch = this.#waiting.splice(0, this.#maxBatch)
    if (batch.length === 0) return
    // Whoever was settled before a fault stays settled: a promise keeps its first answer.
    const failAll = (fault: unknown): void => {
      for (const { reject } of batch) reject(fault)
    }
    try {
      const working = this.#work(
        batch.map(({ item }) => item),
        { resolve: (index, result) => batch[index]?.resolve(result), reject: (index, fault) => batch[index]?.reject(fault) },
      )
      if (working instanceof Promise) this.#waitFor(working, failAll)
    } catch (fault) {
      failAll(fault)
    }
  }

  #waitFor(working: Promise<() => void>, failAll: (fault: unknown) => void): void {
    this.#isWorking = true
    const goOn = (then: () => void): void => {
      this.#isWorking = false
      this.drainOnce()
      then()
      this.#schedule()
    }
    void working.then(goOn, (fault: unknown) => goOn(() => failAll(fault)))
  }
}
