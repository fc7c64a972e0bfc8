/** Work that a hold pays for: opened before it begins, captured or let go when it ends, once, whatever happens on the way. */

import type { Charge, CreateHoldBody, Hold } from '../api/shapes.ts'
import { ApiError, ConflictError, ObolError, TryLaterError } from '../errors.ts'
import type { Obol } from '../obol.ts'
import type { AnswerFacts } from '../resource.ts'
import { type Counter, type Streaming, type Used, type WhenClientLeaves, wrapIterable, wrapStream } from './streams.ts'

/** How work is held. */
export interface HoldOptions {
  /** Seconds until the hold expires by itself, should nobody end it. Default 900. */
  readonly ttlSeconds?: number
  /** Longest that the work may take; longer than the hold's time, and the hold is extended meanwhile. Default: the hold's time. */
  readonly maxSeconds?: number
  /** Default `drain`. */
  readonly whenClientLeaves?: WhenClientLeaves
  /** Seconds that work which had begun to answer may go on after its client has gone, before it is charged as it is. Default 120. */
  readonly drainSeconds?: number
  /** Told of faults that nobody else hears of: a capture that did not come through, an extension that was refused. */
  readonly onFault?: (fault: unknown) => void
}

/** How work ended. */
export type Settlement =
  | { readonly outcome: 'captured'; readonly charge: Charge }
  | { readonly outcome: 'released' }
  /** Nobody ended it; the hold gave everything back by itself. A capture is still recorded, as a late one. */
  | { readonly outcome: 'expired' }
  /** The server could not be told, for as long as it was tried. */
  | { readonly outcome: 'unknown'; readonly fault: unknown }

const TTL_SECONDS = 900
const DRAIN_SECONDS = 120
/** Waits between attempts to end a hold when the server does not answer: about ten minutes in all. */
const SETTLE_WAITS_MS = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 180_000] as const
/** The part of a hold's time after which it is extended. */
const EXTEND_AT = 0.5

/** An end on its way. */
interface Ending {
  readonly kind: 'capture' | 'release'
  readonly settled: Promise<Charge | null>
}

/** The work was ended otherwise before, or has to end. */
export class WorkEndedError extends ObolError {
  override readonly name: string = 'WorkEndedError'
}

/** Work that is paid for by a hold. Made by `holdWork`. */
export class HeldWork implements Streaming {
  /** The hold as it was opened. */
  readonly hold: Hold
  /** Whether the hold had been opened by an earlier request under the same idempotency key. */
  readonly isRepeated: boolean
  /** Ends when the work should stop: it has taken too long, or its client has gone and nobody pays for more. */
  readonly signal: AbortSignal
  /** How it ended. Never rejects. */
  readonly done: Promise<Settlement>
  /** What was charged, once it was. */
  charge: Charge | null = null
  readonly #obol: Obol
  readonly #options: HoldOptions
  readonly #stopping = new AbortController()
  readonly #settle: (settlement: Settlement) => void
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()
  #ending: Ending | null = null
  #used: Used | null = null
  #streams = 0
  #hasLeft = false

  constructor(obol: Obol, opened: { readonly hold: Hold; readonly isRepeated: boolean }, options: HoldOptions) {
    this.hold = opened.hold
    this.isRepeated = opened.isRepeated
    this.#obol = obol
    this.#options = options
    this.signal = this.#stopping.signal
    let settle: (settlement: Settlement) => void = () => undefined
    this.done = new Promise((resolve) => {
      settle = resolve
    })
    this.#settle = settle
    this.#watchTime()
  }

  /** Whether it is ended, or about to be. */
  get isEnding(): boolean {
    return this.#ending !== null
  }

  /** Whether its client has gone. */
  get hasLeft(): boolean {
    return this.#hasLeft
  }

  /** What becomes of the work when its client leaves. */
  get whenClientLeaves(): WhenClientLeaves {
    return this.#options.whenClientLeaves ?? 'drain'
  }

  /** Says what was used so far. Work that breaks off is charged for it. */
  count(used: Used): void {
    this.#used = used
  }

  /**
   * Passes a stream on, of the web or of Node: its end is the end of the work, and what `counter` reads from its pieces is what is
   * charged, even if the stream breaks off or its client goes away.
   */
  wrap<Chunk>(source: ReadableStream<Chunk>, counter?: Counter<Chunk>): ReadableStream<Chunk>
  wrap<Chunk>(source: AsyncIterable<Chunk>, counter?: Counter<Chunk>): AsyncGenerator<Chunk, void, undefined>
  wrap<Chunk>(source: ReadableStream<Chunk> | AsyncIterable<Chunk>, counter?: Counter<Chunk>): unknown {
    return 'getReader' in source ? wrapStream(this, source, counter) : wrapIterable(this, source, counter)
  }

  /**
   * Charges what was used; without a word, what was counted, or all that is held. The second time it gives the first charge again. When
   * the server cannot be reached it throws, and goes on trying by itself.
   */
  async capture(used: Used = this.#used ?? {}): Promise<Charge> {
    if (this.#ending?.kind === 'release') throw new WorkEndedError('The hold was let go: make a charge of its own.')
    const ending = this.#ending ?? this.#end('capture', () => this.#captureOnce(used))
    const charge = await ending.settled
    if (charge === null) throw new WorkEndedError('The hold was let go: make a charge of its own.')
    return charge
  }

  async #captureOnce(used: Used): Promise<Charge> {
    // The key is the hold's: however often and by whomever it is captured, it is one charge.
    const charge = await this.#obol.holds.capture(this.hold.id, used, { idempotencyKey: `${this.hold.id}-capture` })
    this.charge = charge
    return charge
  }

  /** Gives back what is held. */
  async release(): Promise<void> {
    if (this.#ending?.kind === 'capture') throw new WorkEndedError('The hold was captured: refund the charge instead.')
    const ending = this.#ending ?? this.#end('release', () => this.#releaseOnce())
    await ending.settled
  }

  async #releaseOnce(): Promise<null> {
    try {
      await this.#obol.holds.release(this.hold.id, { idempotencyKey: `${this.hold.id}-release` })
    } catch (fault) {
      // It has ended by itself, which comes to the same.
      if (!(fault instanceof ConflictError)) throw fault
    }
    return null
  }

  /** The work has ended. Well: it is charged for what was counted, or for the whole hold. Badly: for what was counted, if anything was. */
  finish(isGood: boolean): void {
    if (!isGood || this.#streams === 0) this.#conclude(isGood)
  }

  #conclude(isGood: boolean): void {
    if (this.#ending) return
    const used = this.#used
    const ended = used || isGood ? this.#captureSomehow(used) : this.release()
    ended.catch((fault: unknown) => {
      this.reportFault(fault)
      if (!isPassing(fault)) this.#settle({ outcome: 'unknown', fault })
    })
  }

  /** What was counted may be refused, as above the hold: then the hold is charged as a whole, rather than nothing. */
  async #captureSomehow(used: Used | null): Promise<void> {
    try {
      await this.capture(used ?? {})
    } catch (fault) {
      if (used === null || isPassing(fault)) throw fault
      this.reportFault(fault)
      await this.capture({})
    }
  }

  /** The client has gone before it had its answer. */
  leave({ hasBegun }: { readonly hasBegun: boolean }): void {
    if (this.#ending || this.#hasLeft) return
    this.#hasLeft = true
    if (this.whenClientLeaves !== 'drain') this.#stopping.abort(new WorkEndedError('The client has gone.'))
    if (this.whenClientLeaves === 'capture') this.#conclude(true)
    else if (this.whenClientLeaves === 'release') this.#background(this.release())
    // Work that has not begun to answer may take its time: what it says in the end is recorded, after the hold's time as a late capture.
    else if (hasBegun) this.#later((this.#options.drainSeconds ?? DRAIN_SECONDS) * 1_000, () => this.#conclude(true))
  }

  /** A stream of the work has begun. Returns what is told of its end. */
  openStream(): (isGood: boolean) => void {
    this.#streams++
    let isOpen = true
    return (isGood) => {
      if (!isOpen) return
      isOpen = false
      this.#streams--
      this.finish(isGood)
    }
  }

  /** `await using` ends what was not ended: it did not get to its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.finish(false)
    await this.done
  }

  /** Told of faults that nobody waits for. */
  reportFault(fault: unknown): void {
    this.#options.onFault?.(fault)
  }

  #background(settled: Promise<unknown>): void {
    settled.catch((fault: unknown) => this.reportFault(fault))
  }

  #end(kind: Ending['kind'], attempt: () => Promise<Charge | null>): Ending {
    const settled = attempt()
    const ending = { kind, settled }
    this.#ending = ending
    settled.then(
      (charge) => this.#ended(charge),
      (fault: unknown) => this.#failed(fault, attempt),
    )
    return ending
  }

  #ended(charge: Charge | null): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#settle(charge ? { outcome: 'captured', charge } : { outcome: 'released' })
  }

  /** A no of the server leaves the work open, to be ended otherwise; anything else is tried again, for minutes. */
  #failed(fault: unknown, attempt: () => Promise<Charge | null>): void {
    if (!isPassing(fault)) {
      this.#ending = null
      return
    }
    void this.#keepTrying(attempt)
  }

  async #keepTrying(attempt: () => Promise<Charge | null>): Promise<void> {
    let last: unknown = null
    for (const ms of SETTLE_WAITS_MS) {
      await new Promise<void>((resolve) => this.#later(ms, resolve))
      try {
        this.#ended(await attempt())
        return
      } catch (fault) {
        last = fault
        if (!isPassing(fault)) break
      }
    }
    this.reportFault(last)
    this.#settle({ outcome: 'unknown', fault: last })
  }

  #watchTime(): void {
    const ttlSeconds = this.#options.ttlSeconds ?? TTL_SECONDS
    const maxSeconds = this.#options.maxSeconds ?? ttlSeconds
    this.#later(maxSeconds * 1_000, () => {
      this.#stopping.abort(new WorkEndedError(`The work has taken longer than ${maxSeconds} seconds.`))
      if (!this.#ending) this.#settle({ outcome: 'expired' })
    })
    if (maxSeconds > ttlSeconds) this.#extendLater(ttlSeconds, Date.now() + maxSeconds * 1_000)
  }

  #extendLater(ttlSeconds: number, endMs: number): void {
    this.#later(ttlSeconds * 1_000 * EXTEND_AT, () => {
      if (this.#ending || this.signal.aborted || Date.now() >= endMs) return
      this.#obol.holds.extend(this.hold.id, { ttl_seconds: ttlSeconds }).then(
        () => this.#extendLater(ttlSeconds, endMs),
        (fault: unknown) => this.reportFault(fault),
      )
    })
  }

  /** Timers do not keep a process alive that has nothing else to do. */
  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, ms)
    this.#timers.add(timer)
    const { unref } = timer as { readonly unref?: () => void }
    unref?.call(timer)
  }
}

/** Whether the same may succeed later. */
function isPassing(fault: unknown): boolean {
  return fault instanceof ObolError && (fault.mayHaveTakenEffect || fault instanceof TryLaterError || !(fault instanceof ApiError))
}

/** What work needs at most, and who pays: `account` or `key`. */
export type WorkTerms = Omit<CreateHoldBody, 'ttl_seconds'>

/** Holds the credits that work needs at most. Throws what refuses it: then the work must not begin. */
export async function holdWork(
  obol: Obol,
  terms: WorkTerms,
  { idempotencyKey, ...options }: HoldOptions & { readonly idempotencyKey?: string } = {},
): Promise<HeldWork> {
  let isRepeated = false
  const onAnswer = ({ isReplay }: AnswerFacts): void => {
    isRepeated = isReplay
  }
  const body = { ...terms, ttl_seconds: options.ttlSeconds ?? TTL_SECONDS }
  const hold = await obol.holds.create(body, { onAnswer, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) })
  return new HeldWork(obol, { hold, isRepeated }, options)
}

/** Holds, works, and captures; work that throws is charged for what was counted, and else let go. */
export async function withHeldWork<Result>(
  obol: Obol,
  terms: WorkTerms,
  run: (work: HeldWork) => Promise<Result>,
  options: HoldOptions = {},
): Promise<Result> {
  const work = await holdWork(obol, terms, options)
  let isGood = false
  try {
    const result = await run(work)
    isGood = true
    return result
  } finally {
    work.finish(isGood)
    await work.done
  }
}
