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

/** How much may wait, and what may go together. */
interface QueueLimits<Item> {
  readonly maxWaiting: number
  readonly maxBatch: number
  /** Items of one batch have the same group; undefined: any items go together. */
  readonly groupOf?: ((item: Item) => number) | undefined
}

/**
 * A bounded queue that hands all that waits, at most `maxBatch` at a time, to one worker. One that takes its time gives a promise of
 * what is to be done once the next batch is on its way: whoever hears an answer has work to do, and the worker need not wait for that.
 */
export class CommandQueue<Item, Result> {
  readonly #limits: QueueLimits<Item>
  readonly #work: (batch: readonly Item[], settlement: Settlement<Result>) => void | Promise<() => void>
  /** By group, in the order in which groups are next. */
  readonly #waiting = new Map<number, Waiting<Item, Result>[]>()
  #length = 0
  #isScheduled = false
  #isWorking = false

  constructor(limits: QueueLimits<Item>, work: (batch: readonly Item[], settlement: Settlement<Result>) => void | Promise<() => void>) {
    this.#limits = limits
    this.#work = work
  }

  get length(): number {
    return this.#length
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
    return this.#length + items <= this.#limits.maxWaiting
  }

  #overloaded(): OverloadedError {
    return new OverloadedError(`${this.#length} commands wait already`)
  }

  #add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const group = this.#limits.groupOf?.(item) ?? 0
      const others = this.#waiting.get(group)
      if (others) others.push({ item, resolve, reject })
      else this.#waiting.set(group, [{ item, resolve, reject }])
      this.#length++
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isWorking || this.#length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.drainOnce()
      this.#schedule()
    })
  }

  /** Works off one batch now; a worker that takes its time is given the next one when it is done. */
  drainOnce(): void {
    const batch = this.#take()
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

  /** What has waited longest of the next group. What is left of it waits behind the other groups, so that none waits for ever. */
  #take(): readonly Waiting<Item, Result>[] {
    const [next] = this.#waiting
    if (!next) return []
    const [group, waiting] = next
    const batch = waiting.splice(0, this.#limits.maxBatch)
    this.#length -= batch.length
    this.#waiting.delete(group)
    if (waiting.length > 0) this.#waiting.set(group, waiting)
    return batch
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
