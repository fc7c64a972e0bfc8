/** Tells at once that an idempotency key was never used, which is so for nearly every request: those need no look-up. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { spread } from '../key-prefix.ts'

/** Bits of a place in the filter, which has 32 MiB. With 25 million keys one look-up in thirty is in vain; with more, more are, and nothing else changes. */
const PLACE_BITS = 28

/** Keys read at a time while the filter is filled from the index. */
export const KEYS_AT_ONCE = 5_000

/** A Bloom filter over the prefixes of all idempotency keys. Until it has been filled from the index, any key may be known. */
export class KeyFilter {
  readonly #words = new Uint32Array(2 ** PLACE_BITS / 32)
  readonly #page: StatementSync
  #lastPrefix = -1
  #isFilled = false

  constructor(db: DatabaseSync) {
    this.#page = db.prepare('select distinct prefix from idempotency_keys where prefix > ? order by prefix limit ?')
  }

  /** False: no key with this prefix was ever written. */
  mayHave(prefix: number): boolean {
    return !this.#isFilled || (this.#has(spread(prefix, PLACE_BITS)) && this.#has(high(prefix)))
  }

  add(prefix: number): void {
    this.#set(spread(prefix, PLACE_BITS))
    this.#set(high(prefix))
  }

  /** Reads some more of the index; returns whether there is more to read. Keys written meanwhile are added as they come. */
  fillSome(): boolean {
    if (this.#isFilled) return false
    const rows = this.#page.all(this.#lastPrefix, KEYS_AT_ONCE) as { prefix: number }[]
    for (const { prefix } of rows) this.add(prefix)
    this.#lastPrefix = rows.at(-1)?.prefix ?? this.#lastPrefix
    this.#isFilled = rows.length < KEYS_AT_ONCE
    return !this.#isFilled
  }

  #has(bit: number): boolean {
    return ((this.#words[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0
  }

  #set(bit: number): void {
    this.#words[bit >>> 5] = (this.#words[bit >>> 5] ?? 0) | (1 << (bit & 31))
  }
}

/** A second place, which prefixes that share the first hardly ever share. */
function high(prefix: number): number {
  return Math.imul((prefix % 2 ** 29) + Math.floor(prefix / 2 ** 20), 0x85ebca6b) >>> 4
}
