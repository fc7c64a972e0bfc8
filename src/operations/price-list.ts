/** The price books in memory: which one is in force, and any that was. */

import { bookAt, type OperationPrice, type PriceBook } from '../core/price-book.ts'
import { parsePrices } from '../core/price-parsing.ts'
import { type Refusal, refuse } from '../core/refusals.ts'
import type { PriceBookRow, Store } from '../stores/store.ts'

/** All published books, parsed once. */
export class PriceList {
  readonly #store: Store
  /** Whether all changes are heard of, whichever server makes them. */
  readonly #isCurrent: () => boolean
  #rows: readonly PriceBookRow[] = []
  #books: readonly PriceBook[] = []
  /** Counts the times that something is known to have been published, and up to which of them it was read. */
  #noted = 0
  #read = 0

  constructor(store: Store) {
    this.#store = store
    this.#isCurrent = store.watch(({ of }) => {
      if (of !== 'key') this.#noted++
    })
  }

  /** Reads the books from the store: at start, and after one was published. */
  async load(): Promise<void> {
    const noted = this.#noted
    const rows = await this.#store.priceBooks()
    this.#read = Math.max(this.#read, noted)
    // None is ever taken back, so fewer were read earlier than those that are known.
    if (rows.length <= this.#rows.length) return
    this.#books = rows.map(parseBook)
    this.#rows = rows
  }

  /** Reads the books again if another server has published one, or may have. */
  async keepUp(): Promise<void> {
    if (this.#noted > this.#read || !this.#isCurrent()) await this.load()
  }

  /** The book in force at a moment; undefined: none was published. */
  at(nowMs: number): PriceBook | undefined {
    return bookAt(this.#books, nowMs)
  }

  version(version: number): PriceBook | undefined {
    return this.#books.find((book) => book.version === version)
  }

  /** A version that is known to exist: if this server has not heard of it yet, another has just published it. */
  async published(version: number): Promise<PriceBook | undefined> {
    if (this.version(version) === undefined) await this.load()
    return this.version(version)
  }

  row(version: number): PriceBookRow | undefined {
    return this.#rows.find((row) => row.version === version)
  }

  /** Newest first. */
  get rows(): readonly PriceBookRow[] {
    return [...this.#rows].reverse()
  }
}

function parseBook({ version, effectiveAtMs, prices }: PriceBookRow): PriceBook {
  const parsed = parsePrices(prices)
  if ('faults' in parsed) throw new Error(`price book ${version} cannot be read: ${JSON.stringify(parsed.faults)}`)
  return { version, effectiveAtMs, operations: parsed.operations }
}

/** An operation's price in a book. A missing price is a refusal, never zero. */
export function priceOf(book: PriceBook | undefined, operation: string): OperationPrice | Refusal {
  const price = book?.operations.get(operation)
  if (price) return price
  const detail = book ? `Price book ${book.version} has no price for ${operation}.` : 'No price book is in force yet.'
  return refuse('price_not_configured', detail, { operation, price_version: book?.version ?? null })
}
