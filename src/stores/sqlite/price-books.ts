/** Published price books and the server's own settings: few, small, and written at once. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { NewPriceBook, PriceBookRow } from '../store.ts'

interface RawBook {
  readonly version: number
  readonly effectiveAtMs: number
  readonly publishedAtMs: number
  readonly prices: string
  readonly fingerprint: string | null
}

const BOOK_COLUMNS = 'version, effective_at_ms as "effectiveAtMs", published_at_ms as "publishedAtMs", prices, fingerprint'

export class PriceBooks {
  readonly #all: StatementSync
  readonly #byKey: StatementSync
  readonly #insert: StatementSync

  constructor(db: DatabaseSync) {
    this.#all = db.prepare(`select ${BOOK_COLUMNS} from price_books order by version`)
    this.#byKey = db.prepare(`select ${BOOK_COLUMNS} from price_books where key_hash = ?`)
    this.#insert = db.prepare(
      `insert into price_books (version, effective_at_ms, published_at_ms, prices, key_hash, fingerprint)
       values ((select coalesce(max(version), 0) + 1 from price_books), ?, ?, ?, ?, ?) returning ${BOOK_COLUMNS}`,
    )
  }

  all(): readonly PriceBookRow[] {
    return (this.#all.all() as unknown as RawBook[]).map(decodeBook)
  }

  publish(
    { effectiveAtMs, prices, idempotency }: NewPriceBook,
    nowMs: number,
  ): { readonly book: PriceBookRow; readonly isReplay: boolean } | Refusal {
    const keyHash = idempotency?.keyHashes[0] ?? null
    const known = keyHash === null ? undefined : (this.#byKey.get(keyHash) as RawBook | undefined)
    if (known) {
      if (known.fingerprint === idempotency?.fingerprint) return { book: decodeBook(known), isReplay: true }
      return refuse('idempotency_key_reused', 'This idempotency key was used with another price book. Use a new key for a new book.')
    }
    if (effectiveAtMs !== null && effectiveAtMs < nowMs)
      return refuse('effective_at_passed', 'A price book cannot take effect in the past: charges that were made keep their prices.')
    const row = this.#insert.get(effectiveAtMs ?? nowMs, nowMs, JSON.stringify(prices), keyHash, idempotency?.fingerprint ?? null)
    return { book: decodeBook(row as unknown as RawBook), isReplay: false }
  }
}

function decodeBook({ version, effectiveAtMs, publishedAtMs, prices }: RawBook): PriceBookRow {
  return { version, effectiveAtMs, publishedAtMs, prices: JSON.parse(prices) as PriceBookRow['prices'] }
}

/** Values kept for the server itself. */
export class Settings {
  readonly #read: StatementSync
  readonly #save: StatementSync

  constructor(db: DatabaseSync) {
    this.#read = db.prepare('select value from settings where name = ?')
    this.#save = db.prepare('insert into settings (name, value) values (?, ?) on conflict (name) do update set value = excluded.value')
  }

  read(name: string): string | undefined {
    return (this.#read.get(name) as { value: string } | undefined)?.value
  }

  save(name: string, value: string): void {
    this.#save.run(name, value)
  }

  /** The value that is kept already, or this one. */
  keep(name: string, value: string): string {
    const known = this.read(name)
    if (known === undefined) this.save(name, value)
    return known ?? value
  }
}
