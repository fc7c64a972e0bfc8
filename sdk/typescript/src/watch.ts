/** Watches a balance, and the feed of events. */

import { type Amount, compareAmounts } from './amounts.ts'
import type { Credits, Event } from './api/shapes.ts'
import { ConnectionError, InvalidArgumentError, TimeoutError, TryLaterError } from './errors.ts'
import type { Obol } from './obol.ts'
import { pause } from './pause.ts'
import type { AnswerFacts } from './resource.ts'

/** How much is left, in words. */
export type CreditLevel = 'enough' | 'warning' | 'critical'

/** What is watched, and how closely. */
export interface WatchOptions {
  /** At or below: `warning`. */
  readonly warning: Amount
  /** At or below: `critical`. */
  readonly critical: Amount
  /** Default `credits`. */
  readonly creditType?: string
  /** For the operator: whose credits. */
  readonly account?: string
  /** Between two looks. Default one minute. A look at an unchanged balance is answered with 304. */
  readonly everyMs?: number
  readonly signal?: AbortSignal | undefined
}

/** A level that the balance has come to. */
export interface LevelChange {
  readonly level: CreditLevel
  /** Credits that can be charged now. */
  readonly available: Amount
  readonly credits: Credits
}

const EVERY_MS = 60_000

/**
 * Tells the level at first, and then each time that it changes. A server that is away for a while is waited for; a key that does not
 * work any more ends the watch with its error. The signal ends it without one.
 */
export async function* watchCredits(obol: Obol, options: WatchOptions): AsyncGenerator<LevelChange, void, undefined> {
  const { creditType = 'credits', account, everyMs = EVERY_MS, signal } = options
  if (compareAmounts(options.warning, options.critical) < 0) throw new InvalidArgumentError('critical must not be above warning.')
  const query = account === undefined ? {} : { account }
  let etag: string | null = null
  let last: CreditLevel | null = null
  const onAnswer = ({ headers }: AnswerFacts): void => {
    etag = headers.get('etag') ?? etag
  }
  while (!signal?.aborted) {
    const headers: Readonly<Record<string, string>> = etag === null ? {} : { 'if-none-match': etag }
    // Null: nothing has changed since the last look.
    const credits: Credits | null = await looking(() => obol.credits.get(query, { headers, onAnswer, signal }), signal)
    const available = credits?.credit_types[creditType]?.available ?? '0'
    const level: CreditLevel | null = credits ? levelOf(available, options) : last
    if (credits && level && level !== last) {
      last = level
      yield { level, available, credits }
    }
    await pause(everyMs, signal)
  }
}

function levelOf(available: Amount, { warning, critical }: WatchOptions): CreditLevel {
  if (compareAmounts(available, critical) <= 0) return 'critical'
  return compareAmounts(available, warning) <= 0 ? 'warning' : 'enough'
}

/** What passes by itself is not worth ending a watch for; neither is the end that the watcher asked for. */
async function looking<Value>(look: () => Promise<Value>, signal: AbortSignal | undefined): Promise<Value | null> {
  try {
    return await look()
  } catch (fault) {
    const isPassing = fault instanceof ConnectionError || fault instanceof TimeoutError || fault instanceof TryLaterError
    if (isPassing || signal?.aborted) return null
    throw fault
  }
}

/** How a feed is followed. */
export interface FollowOptions {
  /** Where an earlier reader ended: the `next` of its last event. Default: from the first event. */
  readonly after?: string
  /** Between two looks when there is nothing new. Default one second. */
  readonly everyMs?: number
  readonly signal?: AbortSignal | undefined
}

/** An event, and where to go on after it. */
export interface FollowedEvent {
  readonly event: Event
  /** Where to go on once every event up to here is dealt with. Keep it; null: more of the same page are to come. */
  readonly next: string | null
}

const FEED_EVERY_MS = 1_000

/** Every event of the server, in order, for ever: the operator's way to react to what happens. The signal ends it. */
export async function* followEvents(obol: Obol, options: FollowOptions = {}): AsyncGenerator<FollowedEvent, void, undefined> {
  const { everyMs = FEED_EVERY_MS, signal } = options
  let after = options.after
  while (!signal?.aborted) {
    const asked: string | undefined = after
    const page = await looking(() => obol.events.list(asked === undefined ? {} : { after: asked }, { signal }), signal)
    for (const [index, event] of (page?.data ?? []).entries())
      yield { event, next: page && index === page.data.length - 1 ? page.next : null }
    after = page?.next ?? after
    if (!page || page.data.length === 0) await pause(everyMs, signal)
  }
}
