/** The price book: what each operation costs, in versions that are published whole and never edited. */

import type { Microcredits } from './credits.ts'
import type { Decimal, Rounding } from './decimal.ts'

/** Most operations a book may price. */
export const MAX_OPERATIONS = 1_000
/** Most components (rows of one operation, each with its own unit) that an operation may have. */
export const MAX_COMPONENTS = 16
/** Most tiers, and most modifiers, of one component. */
export const MAX_TIERS = 32
export const MAX_MODIFIERS = 32
/** Most credit types that a price may fall back to. */
export const MAX_FALLBACKS = 8

/** Units above the previous tier's end, up to and including `upTo`, cost `rate` (credits per `per`). */
export interface Tier {
  /** In units; null: without end. */
  readonly upTo: Decimal | null
  /** Credits per `per.quantity` units. */
  readonly rate: Decimal
}

/** Multiplies a component when the call's attribute has this value: `quality=premium ×2`. */
export interface Modifier {
  readonly attribute: string
  readonly equals: string
  readonly multiply: Decimal
}

/** One measured part of an operation's price: `rate` credits per `per` units. */
export interface PriceComponent {
  readonly unit: string
  readonly per: Decimal
  readonly rate: Decimal
  /** Bill per started step of this many units; null: exactly. */
  readonly step: Decimal | null
  /** Graduated: each tier prices only the units inside it. Empty: `rate` prices them all. */
  readonly tiers: readonly Tier[]
  readonly modifiers: readonly Modifier[]
}

/** What one operation costs. */
export interface OperationPrice {
  readonly operation: string
  readonly creditType: string
  /** Credit types that pay the same amount when the first cannot cover it, in order. */
  readonly fallbackCreditTypes: readonly string[]
  readonly components: readonly PriceComponent[]
  /** Least credits for a call that used anything at all; null: none. */
  readonly minimum: Microcredits | null
  /** Most credits for one call; null: none. */
  readonly cap: Microcredits | null
  readonly rounding: Rounding
}

/** One published version of all prices. */
export interface PriceBook {
  readonly version: number
  readonly effectiveAtMs: number
  readonly operations: ReadonlyMap<string, OperationPrice>
}

/** The version that prices a call at a moment: the latest to have become effective, the newer of two that did so together. */
export function bookAt(books: readonly PriceBook[], nowMs: number): PriceBook | undefined {
  let found: PriceBook | undefined
  for (const book of books) {
    if (book.effectiveAtMs > nowMs) continue
    if (!found || book.effectiveAtMs > found.effectiveAtMs || (book.effectiveAtMs === found.effectiveAtMs && book.version > found.version))
      found = book
  }
  return found
}
