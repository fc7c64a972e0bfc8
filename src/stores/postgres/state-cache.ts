/** States as this process last saw them. Only a hint: each write names the version that it follows from. */

import { prefixOf, spread } from '../key-prefix.ts'
import type { Entry } from './accounts.ts'

/** Bits of a place for idempotency keys. Each place has the last two keys that belong there: 2 MiB, and of the last 50 000 keys nineteen in twenty. */
const PLACE_BITS = 17

/** States by account, least recently used first, and the idempotency keys that were used of late. */
export class StateCache {
  readonly #maxAccounts: number
  readonly #entries = new Map<number, Entry>()
  /** Numbers that keys begin with, two to a place. */
  readonly #seen = new Float64Array(2 ** (PLACE_BITS + 1))

  constructor(maxAccounts: number) {
    this.#maxAccounts = maxAccounts
  }

  get(account: number): Entry | undefined {
    return this.#entries.get(account)
  }

  keep(account: number, entry: Entry): void {
    // Nothing is forgotten before the cache is full, so the order need not be right much before.
    if (this.#entries.size > this.#maxAccounts / 2) this.#entries.delete(account)
    this.#entries.set(account, entry)
    if (this.#entries.size <= this.#maxAccounts) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  drop(account: number): void {
    this.#entries.delete(account)
  }

  /** Whether this process has seen a key used: then the request is likely a repeated one. The write finds the others out. */
  hasSeen(keyHash: string): boolean {
    const prefix = prefixOf(keyHash)
    const at = 2 * spread(prefix, PLACE_BITS)
    return this.#seen[at] === prefix || this.#seen[at + 1] === prefix
  }

  noteKey(keyHash: string): void {
    const prefix = prefixOf(keyHash)
    const at = 2 * spread(prefix, PLACE_BITS)
    this.#seen[at + 1] = this.#seen[at] ?? 0
    this.#seen[at] = prefix
  }
}
