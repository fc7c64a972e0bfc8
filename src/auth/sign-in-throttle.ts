/**
 * How often passwords may be tried. Failures are counted for each address, for each user from each address, and for each user from
 * everywhere; a success takes its own count back. Counts fade by themselves, so nobody is locked out for longer than a while, and no
 * stranger can shut a user out from where that user has signed in before.
 */

import { createHmac, hash, randomBytes } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { RateLimit } from './rate-limiter.ts'

/** Failed sign-ins, whoever they name, from one address: many people may be behind it. */
const PER_ADDRESS: RateLimit = { requests: 50, windowSeconds: 900 }
/** Failed sign-ins of one user from one address. */
const PER_USER_AT_ADDRESS: RateLimit = { requests: 10, windowSeconds: 900 }
/** Failed sign-ins of one user from anywhere: it holds for addresses where that user has never signed in. */
const PER_USER: RateLimit = { requests: 50, windowSeconds: 3_600 }
/** Refreshes of one session. */
const PER_SESSION: RateLimit = { requests: 60, windowSeconds: 3_600 }

/** Places of each of the two tables: one MiB in all, whatever is tried. */
const PLACES = 65_536

/** Who tries to sign in, from where. */
export interface Attempt {
  /** As addresses of e-mail are compared, whether or not a user has it. */
  readonly email: string
  /** The address that the request came from. */
  readonly address: string
}

/** An attempt that has been counted. */
export interface CountedAttempt {
  /** Seconds until the next one may be made; null: this one may. */
  readonly waitSeconds: number | null
  /** Seconds until the next one may be made where the user has never signed in before; null: this one may. */
  readonly strangersWaitSeconds: number | null
  /** Takes the count back: the password was right, or was not looked at. */
  readonly forget: () => void
}

/** Counts attempts. */
export class SignInThrottle {
  readonly #counts: FadingCounts

  constructor(clock: () => number) {
    this.#counts = new FadingCounts(clock)
  }

  /** Counts an attempt before it is made, so that attempts at the same time do not get past. */
  begin({ email, address }: Attempt): CountedAttempt {
    const from = networkOf(address)
    const counted = [
      this.#counts.add(`address ${from}`, PER_ADDRESS),
      this.#counts.add(`user ${email} at ${from}`, PER_USER_AT_ADDRESS),
      this.#counts.add(`user ${email}`, PER_USER),
    ] as const
    const [atAddress, ofUserThere, ofUser] = counted.map(({ waitSeconds }) => waitSeconds)
    const wait = Math.max(atAddress ?? 0, ofUserThere ?? 0)
    return {
      waitSeconds: wait === 0 ? null : wait,
      strangersWaitSeconds: ofUser ?? null,
      forget: () => {
        for (const { forget } of counted) forget()
      },
    }
  }

  /** Counts a refresh; seconds to wait, or null: it may be made. */
  refresh(session: string): number | null {
    return this.#counts.add(`session ${session}`, PER_SESSION).waitSeconds
  }
}

interface Counted {
  readonly waitSeconds: number | null
  readonly forget: () => void
}

/**
 * Counts by the generic cell rate algorithm in two tables of fixed size, each name at a place of its own in both. Names that share
 * a place in one are told apart by the other; a key that is made at start keeps anybody from choosing names that share both. Nothing
 * is ever pushed out, so no flood of names makes a count start anew.
 */
class FadingCounts {
  readonly #clock: () => number
  readonly #key = randomBytes(16).toString('base64url')
  readonly #tables = [new Float64Array(PLACES), new Float64Array(PLACES)] as const

  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** Counts a name once, unless it has reached the limit. */
  add(name: string, { requests, windowSeconds }: RateLimit): Counted {
    const nowMs = this.#clock()
    const windowMs = windowSeconds * 1000
    const costMs = windowMs / requests
    const digest = Buffer.from(hash('sha256', `${this.#key}${name}`, 'hex'), 'hex')
    const places = this.#tables.map((table, index) => ({ table, at: digest.readUInt16LE(2 * index) }))
    // A clock that was put back shuts nobody out for longer than a window.
    const filledMs = Math.min(windowMs, ...places.map(({ table, at }) => Math.max(0, (table[at] ?? 0) - nowMs)))
    const overMs = filledMs + costMs - windowMs
    if (overMs > 1) return { waitSeconds: Math.ceil(overMs / 1000), forget: () => {} }
    for (const { table, at } of places) table[at] = Math.max(table[at] ?? 0, nowMs) + costMs
    const forget = (): void => {
      for (const { table, at } of places) table[at] = (table[at] ?? 0) - costMs
    }
    return { waitSeconds: null, forget }
  }
}

/** What is kept of an address, so that it is known again: nobody without the store's secret can tell which it was. */
export function addressMark(secret: string, address: string): string {
  return createHmac('sha256', secret)
    .update(`address ${networkOf(address)}`)
    .digest('base64url')
}

/**
 * Whoever has an IPv6 address has 2⁶⁴ of them: they count as one. An IPv4 address is the same in either notation. Some proxies
 * forward an address with its port, which anybody may change.
 */
export function networkOf(address: string): string {
  const plain = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address)?.[1] ?? /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? address
  const [bare = ''] = plain.split('%', 1)
  if (!isIPv6(bare)) return bare
  const groups = groupsOf(bare)
  const isIpv4 = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xff_ff
  if (isIpv4)
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.')
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The eight numbers of an IPv6 address, in whichever notation it is. */
function groupsOf(address: string): readonly number[] {
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const [left = [], right = []] = [head, tail].map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}
