/** API keys by their secrets, kept in memory while they are used. */

import type { FoundKey, KeyRow, Store } from '../stores/store.ts'
import { hashSecret, isWellFormed } from './secrets.ts'

/** Keys kept in memory, at most. */
const MAX_KEPT_KEYS = 50_000
/** Uses noted until they are written, at most; when more keys are used in between, the rest is written next time. */
const MAX_USES = 50_000

/** Why a key may not be used. */
export type KeyFault = 'key_revoked' | 'key_expired'

/** A key that somebody has shown, by its secret or its id. */
export interface ShownKey {
  readonly key: KeyRow
  /** Null: it may be used. */
  readonly fault: KeyFault | null
}

/** How long a key is believed while it is not certain that changes which other servers make of it are heard of. */
const MAX_AGE_MS = 1_000

/** A key in memory, and when it was read. */
interface KeptKey {
  readonly key: FoundKey
  readonly readAtMs: number
}

/** Finds keys, and forgets them when they change. */
export class KeyRing {
  readonly #store: Store
  readonly #clock: () => number
  /** Whether all changes are heard of, whichever server makes them. */
  readonly #isCurrent: () => boolean
  readonly #byHash = new Map<string, KeptKey>()
  readonly #hashes = new Map<string, Set<string>>()
  readonly #uses = new Map<string, { account: number; seq: number; atMs: number }>()

  /** Counts what was forgotten: a key that was being read meanwhile may have been read before it changed. */
  #forgotten = 0

  constructor(store: Store, clock: () => number) {
    this.#store = store
    this.#clock = clock
    this.#isCurrent = store.watch((notice) => {
      if (notice.of === 'key') this.forget(notice.account, notice.seq)
      if (notice.of === 'anything') this.clear()
    })
  }

  /** The key of a secret's hash, if it may be used now and is in memory: the way nearly every request takes. */
  findKept(hash: string): KeyRow | undefined {
    const key = this.#fresh(hash)
    return key !== undefined && this.#faultOf(key) === null ? this.#use(key) : undefined
  }

  #fresh(hash: string): FoundKey | undefined {
    const kept = this.#byHash.get(hash)
    return kept !== undefined && (this.#isCurrent() || this.#clock() - kept.readAtMs < MAX_AGE_MS) ? kept.key : undefined
  }

  /** The key of a secret; undefined: no key of this server has it. */
  async find(secret: string): Promise<ShownKey | undefined> {
    if (!isWellFormed(secret)) return undefined
    const hash = hashSecret(secret)
    const key = this.#fresh(hash) ?? (await this.#load(hash))
    if (!key) return undefined
    const fault = this.#faultOf(key)
    return { key: fault === null ? this.#use(key) : key, fault }
  }

  async #load(hash: string): Promise<FoundKey | undefined> {
    const [readAtMs, forgotten] = [this.#clock(), this.#forgotten]
    const key = await this.#store.keyBySecret(hash)
    if (!key || this.#forgotten !== forgotten) return key
    if (this.#byHash.size >= MAX_KEPT_KEYS) this.clear()
    this.#byHash.set(hash, { key, readAtMs })
    const name = nameOf(key)
    const hashes = this.#hashes.get(name)
    if (hashes) hashes.add(hash)
    else this.#hashes.set(name, new Set([hash]))
    return key
  }

  #faultOf(key: FoundKey): KeyFault | null {
    const nowMs = this.#clock()
    return faultOf(key, nowMs) ?? (key.secretUntilMs !== null && key.secretUntilMs <= nowMs ? 'key_expired' : null)
  }

  #use(key: FoundKey): KeyRow {
    const name = nameOf(key)
    const use = this.#uses.get(name)
    if (use) use.atMs = this.#clock()
    else if (this.#uses.size < MAX_USES) this.#uses.set(name, { account: key.account, seq: key.seq, atMs: this.#clock() })
    return key
  }

  /** Forgets a key that has changed. */
  forget(account: number, seq: number): void {
    this.#forgotten++
    const name = nameOf({ account, seq })
    for (const hash of this.#hashes.get(name) ?? []) this.#byHash.delete(hash)
    this.#hashes.delete(name)
  }

  clear(): void {
    this.#forgotten++
    this.#byHash.clear()
    this.#hashes.clear()
  }

  /** Writes down when keys were last used. */
  async saveUses(): Promise<void> {
    const uses = [...this.#uses.values()]
    this.#uses.clear()
    if (uses.length > 0) await this.#store.touchKeys(uses)
  }
}

/** Why a key may not be used at a moment, whichever of its secrets was shown. */
export function faultOf(key: KeyRow, nowMs: number): KeyFault | null {
  if (key.revokedAtMs !== null) return 'key_revoked'
  return key.terms.expiresAtMs !== null && key.terms.expiresAtMs <= nowMs ? 'key_expired' : null
}

function nameOf({ account, seq }: { readonly account: number; readonly seq: number }): string {
  return `${account}.${seq}`
}
