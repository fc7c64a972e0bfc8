/**
 * Balances as they change. An account is looked at when it may have changed, a few times a second at most, however many follow it; each
 * follower is sent the whole truth of that moment, and the records that led to it. Whoever is slow is sent less often, and no less.
 */

import type { AccountState } from '../../core/account.ts'
import type { JournalRecord } from '../../core/record.ts'
import type { Services } from '../../operations/services.ts'
import type { KeyRow, Store } from '../../stores/store.ts'
import type { EventStream } from '../event-stream.ts'
import type { RenderedCredits } from './credits.ts'
import { renderRecord } from './journal.ts'

/** Who follows an account. */
export interface Follower {
  readonly stream: EventStream
  readonly account: number
  /** What the follower's key may still spend is told as well; null: no key asks. */
  readonly key: KeyRow | null
  /** Sequence of the last record that the follower knows of; null: it begins. */
  readonly since: number | null
  /** Under which name streams are counted; null: only with all others. */
  readonly name: string | null
  /** Why the follower may not ask any more; null: may still. */
  readonly recheck: () => Promise<string | null>
}

interface Following {
  readonly follower: Follower
  key: KeyRow | null
  /** The last record that was told; null: nothing yet. */
  seq: number | null
  /** What was told last. */
  etag: string
  /** Until then what was told stays true, unless the account changes. */
  untilMs: number
  /** When it is found out next whether the follower may still ask, on the clock that only goes forward. */
  recheckMs: number
  isRechecking: boolean
}

/** An account that somebody follows. */
interface Followed {
  readonly account: number
  readonly followings: Set<Following>
  readonly stopWatching: () => void
  /** When it may be looked at again, on the clock that only goes forward. */
  nextLookMs: number
  timer: NodeJS.Timeout | null
  isLooking: boolean
  isStale: boolean
}

/** Streams of one key or user, of all of one account, and of this server. */
export const MAX_STREAMS_OF_ONE = 10
export const MAX_STREAMS_OF_ACCOUNT = 200
export const MAX_STREAMS = 2_000
/** Records that are told with one change, at most; who missed more reads the journal. */
export const MAX_CHANGES = 100

/** Shortest time between two looks at an account, and how much longer it is for each character that a follower is sent. */
const LOOK_MS = 50
const LOOK_MS_PER_CHARACTER = 0.01
const TICK_MS = 1_000
/** How often it is found out whether followers may still ask; changes of keys are seen in the journal, and found out at once. */
const RECHECK_MS = 3_000

/** What streams work with. */
interface StreamServices extends Pick<Services, 'clock'> {
  readonly store: Pick<Store, 'key' | 'recordsAfter' | 'state' | 'watchAccount'>
}

/** Everybody who follows an account on this server. */
export class CreditStreams {
  readonly #services: StreamServices
  readonly #rendered: RenderedCredits
  readonly #onFault: (fault: unknown) => void
  readonly #accounts = new Map<number, Followed>()
  readonly #counts = new Map<string, number>()
  #count = 0
  /** Why no stream is open any more; null: streams may be. */
  #endReason: string | null = null
  #ticking: NodeJS.Timeout | null = null

  constructor(services: StreamServices, rendered: RenderedCredits, onFault: (fault: unknown) => void) {
    this.#services = services
    this.#rendered = rendered
    this.#onFault = onFault
  }

  /** Whether another stream of an account may be opened under a name. */
  hasRoomFor({ name, account }: Pick<Follower, 'name' | 'account'>): boolean {
    if (this.#count >= MAX_STREAMS) return false
    if (name === null) return true
    const isRoom = (counted: string, most: number): boolean => (this.#counts.get(counted) ?? 0) < most
    return isRoom(name, MAX_STREAMS_OF_ONE) && isRoom(accountName(account), MAX_STREAMS_OF_ACCOUNT)
  }

  /** Follows an account until the stream ends: what is so now is told at once. */
  follow(follower: Follower): void {
    const { stream, account, key, since } = follower
    if (this.#endReason !== null) {
      stream.end(this.#endReason)
      return
    }
    const following: Following = { follower, key, seq: since, etag: '', untilMs: 0, recheckMs: 0, isRechecking: false }
    following.recheckMs = performance.now() + RECHECK_MS
    this.#add(follower, 1)
    const followed = this.#accounts.get(account) ?? this.#begin(account)
    followed.followings.add(following)
    stream.onCaughtUp(() => this.#look(followed))
    stream.onClosed(() => this.#leave(followed, following))
    this.#look(followed)
  }

  #add({ name, account }: Follower, change: 1 | -1): void {
    this.#count += change
    if (name === null) return
    for (const counted of [name, accountName(account)]) {
      const count = (this.#counts.get(counted) ?? 0) + change
      if (count === 0) this.#counts.delete(counted)
      else this.#counts.set(counted, count)
    }
  }

  #begin(account: number): Followed {
    const followed: Followed = {
      account,
      followings: new Set(),
      stopWatching: this.#services.store.watchAccount(account, () => this.#look(followed)),
      nextLookMs: 0,
      timer: null,
      isLooking: false,
      isStale: false,
    }
    this.#accounts.set(account, followed)
    this.#ticking ??= setInterval(() => this.#tick(), TICK_MS).unref()
    return followed
  }

  #leave(followed: Followed, following: Following): void {
    if (!followed.followings.delete(following)) return
    this.#add(following.follower, -1)
    if (followed.followings.size > 0) return
    followed.stopWatching()
    if (followed.timer !== null) clearTimeout(followed.timer)
    this.#accounts.delete(followed.account)
    if (this.#accounts.size > 0 || this.#ticking === null) return
    clearInterval(this.#ticking)
    this.#ticking = null
  }

  /** Looks at an account as soon as it may be looked at again. */
  #look(followed: Followed): void {
    followed.isStale = true
    if (followed.isLooking || followed.timer !== null || followed.followings.size === 0) return
    const waitMs = followed.nextLookMs - performance.now()
    if (waitMs <= 0) void this.#lookNow(followed)
    else
      followed.timer = setTimeout(() => {
        followed.timer = null
        void this.#lookNow(followed)
      }, waitMs)
  }

  async #lookNow(followed: Followed): Promise<void> {
    followed.isLooking = true
    followed.isStale = false
    try {
      const longest = await this.#tellAll(followed)
      followed.nextLookMs = performance.now() + LOOK_MS + longest * LOOK_MS_PER_CHARACTER
    } catch (fault) {
      this.#onFault(fault)
      followed.nextLookMs = performance.now() + TICK_MS
      followed.isStale = true
    } finally {
      followed.isLooking = false
    }
    if (followed.isStale) this.#look(followed)
  }

  /**
   * Tells each follower what is so now. Returns the characters of the longest that was sent. Who comes meanwhile is told at the next
   * look: what is read here is what those need who are there when it begins.
   */
  async #tellAll({ account, followings }: Followed): Promise<number> {
    const { store, clock } = this.#services
    const present = [...followings]
    const state = await store.state(account)
    if (!state) throw new Error(`account ${account} is followed and is not there`)
    const nowMs = clock()
    const preparing = this.#rendered.prepare(state, nowMs)
    if (preparing) await preparing
    const told = present.flatMap(({ seq }) => (seq !== null && isNear(seq, state) ? [seq] : []))
    const from = Math.min(state.seq, ...told)
    const records = from < state.seq ? (await store.recordsAfter(account, from, MAX_CHANGES)).filter(({ seq }) => seq <= state.seq) : []
    const changes = records.map((record) => ({ seq: record.seq, text: JSON.stringify(renderRecord(account, record)) }))
    let longest = 0
    for (const following of present) {
      await this.#refreshKey(following, { state, records })
      if (!following.follower.stream.isBehind) longest = Math.max(longest, this.#tell(following, { state, changes, nowMs }))
    }
    return longest
  }

  #tell(
    following: Following,
    now: {
      readonly state: AccountState
      readonly changes: readonly { readonly seq: number; readonly text: string }[]
      readonly nowMs: number
    },
  ): number {
    const { state, nowMs } = now
    const { text, etag, untilMs } = this.#rendered.of(state, following.key, nowMs)
    following.untilMs = untilMs
    // What time did is so before it is booked: the record of it is told when it is there, although nothing else is new.
    if (following.etag === etag && following.seq === state.seq) return 0
    const since = following.seq ?? state.seq
    const isComplete = isNear(since, state)
    const changes = isComplete ? now.changes.flatMap((change) => (change.seq > since ? [change.text] : [])) : []
    const data = `{"object":"credits_update","credits":${text},"changes":[${changes.join(',')}],"changes_complete":${isComplete}}`
    following.follower.stream.send({ id: String(state.seq), data })
    following.seq = state.seq
    following.etag = etag
    return data.length
  }

  /** A follower's key that has changed is read anew; whether it may still ask is found out at the next ticks. */
  async #refreshKey(
    following: Following,
    { state, records }: { readonly state: AccountState; readonly records: readonly JournalRecord[] },
  ): Promise<void> {
    const { key, seq } = following
    if (key === null || seq === null) return
    const isChanged =
      !isNear(seq, state) ||
      records.some((record) => record.seq > seq && 'key' in record && record.key === key.seq && record.kind.startsWith('key_'))
    if (!isChanged) return
    following.key = (await this.#services.store.key(key.account, key.seq)) ?? key
    following.recheckMs = 0
  }

  #tick(): void {
    const nowMs = this.#services.clock()
    for (const followed of this.#accounts.values())
      for (const following of followed.followings) {
        following.follower.stream.keepAlive()
        if (nowMs >= following.untilMs) this.#look(followed)
        if (isToBeRechecked(following, nowMs)) void this.#recheck(following)
      }
  }

  async #recheck(following: Following): Promise<void> {
    following.isRechecking = true
    const wasAskedFor = following.recheckMs === 0
    try {
      const reason = await following.follower.recheck()
      if (reason !== null) following.follower.stream.end(reason)
    } catch (fault) {
      this.#onFault(fault)
    } finally {
      following.isRechecking = false
      // What another server changed is known here within a second or two: then it is asked once more.
      following.recheckMs = performance.now() + (wasAskedFor ? 2 * TICK_MS : RECHECK_MS)
    }
  }

  /** Ends every stream, and those that are opened from now on. */
  endAll(reason: string): void {
    this.#endReason = reason
    for (const { followings } of this.#accounts.values()) for (const { follower } of followings) follower.stream.end(reason)
  }
}

/** Under which the streams of an account's keys and users are counted. */
function accountName(account: number): string {
  return `account ${account}`
}

function isToBeRechecked({ key, recheckMs, isRechecking }: Following, nowMs: number): boolean {
  const hasExpired = key !== null && key.terms.expiresAtMs !== null && nowMs >= key.terms.expiresAtMs
  return !isRechecking && (hasExpired || performance.now() >= recheckMs)
}

/** Whether the records after a sequence are few enough to be told. A sequence that is still to come is one of another store. */
function isNear(seq: number, state: AccountState): boolean {
  return seq <= state.seq && state.seq - seq <= MAX_CHANGES
}
