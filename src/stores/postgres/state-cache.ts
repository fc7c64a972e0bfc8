/** States as this process last saw them. Only a hint: each write names the version that it follows from. */

import type { Entry } from './accounts.ts'

/** Idempotency keys that are remembered, twice over. */
const KEYS_PER_GENERATION = 50_000

/** States by account, least recently used first, and the idempotency keys that were used of late. */
export class StateCache {
  readonly #maxAccounts: number
  readonly #entries = new Map<number, Entry>()
  #keys = new Set<string>()
  #olderKeys = new Set<string>()

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

  /** Whether this process has seen a key used: then the request is likely a repeated one. */
  hasSeen(keyHash: string): boolean {
    return this.#keys.has(keyHash) || this.#olderKeys.has(keyHash)
  }

  noteKey(keyHash: string): void {
    this.#keys.add(keyHash)
    if (this.#keys.size < KEYS_PER_GENERATION) return
    this.#olderKeys = this.#keys
    this.#keys = new Set()
  }
}
