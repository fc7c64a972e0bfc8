/** Passwords as they are kept: Argon2id, a few at a time, and the same work whether or not there is one to compare with. */

import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { OverloadedError } from '../stores/store.ts'

/** What OWASP asks for: 19 MiB, two passes. One hash takes some 40 ms. */
const MEMORY_KIB = 19_456
const PASSES = 2
const LANES = 1
const SALT_BYTES = 16
const TAG_BYTES = 32

/** How a password is hashed. */
interface Parameters {
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
}

interface Kept extends Parameters {
  readonly salt: Buffer
  readonly tag: Buffer
}

const CURRENT: Parameters = { memory: MEMORY_KIB, passes: PASSES, parallelism: LANES }
/** Compared with when there is nothing to compare with: it takes as long, and nothing is equal to it. */
const NOBODY: Kept = { ...CURRENT, salt: Buffer.alloc(SALT_BYTES), tag: Buffer.alloc(TAG_BYTES) }

/** Hashes at once, at most: half of the machine and half of the threads of Node, so that charges and reads of files go on. */
const MAX_AT_ONCE = Math.max(1, Math.min(2, Math.floor(availableParallelism() / 2)))
/** Hashes that may wait; more are turned away, so that nobody waits longer than a few seconds. */
const MAX_WAITING = 64

/** Hashes and compares passwords. Both reject with OverloadedError, before anything is done, when too many wait. */
export class Passwords {
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** What is kept of a password: a PHC string. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES)
    return written({ ...CURRENT, salt, tag: await this.#derive(password, { ...CURRENT, salt }) })
  }

  /** Whether a password is the one that was kept; null: none was, and it takes as long. */
  async isRight(password: string, kept: string | null): Promise<boolean> {
    const known = (kept === null ? undefined : read(kept)) ?? NOBODY
    const tag = await this.#derive(password, known)
    return timingSafeEqual(tag, known.tag) && known !== NOBODY
  }

  /** Whether what was kept was made with other parameters than are used now. */
  isOutdated(kept: string): boolean {
    const { memory, passes, parallelism } = read(kept) ?? NOBODY
    return memory !== MEMORY_KIB || passes !== PASSES || parallelism !== LANES
  }

  /** The same characters, typed on another keyboard, are the same password (RFC 8265); nothing else is changed. */
  async #derive(password: string, { salt, ...parameters }: Parameters & { readonly salt: Buffer }): Promise<Buffer> {
    await this.#turn()
    try {
      const message = password.normalize('NFC')
      return await new Promise((resolve, reject) =>
        argon2('argon2id', { message, nonce: salt, tagLength: TAG_BYTES, ...parameters }, (fault, tag) =>
          fault ? reject(fault) : resolve(tag),
        ),
      )
    } finally {
      this.#done()
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < MAX_AT_ONCE) this.#running++
    else if (this.#waiting.length >= MAX_WAITING) throw new OverloadedError(`${MAX_WAITING} passwords wait to be hashed already`)
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Whoever has waited longest takes the place. */
  #done(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#running--
  }
}

const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{43})$/

function read(kept: string): Kept | undefined {
  const [, memory, passes, parallelism, salt, tag] = PHC.exec(kept) ?? []
  if (salt === undefined || tag === undefined) return undefined
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  }
}

function written({ memory, passes, parallelism, salt, tag }: Kept): string {
  const [salted, hashed] = [salt, tag].map((bytes) => bytes.toString('base64').replaceAll('=', ''))
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${salted}$${hashed}`
}
