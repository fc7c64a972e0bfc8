/** Price books: checked, published whole, and tried out on the past before they are. */

import { setImmediate } from 'node:timers/promises'
import type { PriceBook } from '../core/price-book.ts'
import { type PriceFault, type PriceRow, parsePrices } from '../core/price-parsing.ts'
import { type ChargeRecord, isCharge } from '../core/record.ts'
import { isRefusal, type Refusal } from '../core/refusals.ts'
import { keyHash } from '../stores/chain.ts'
import type { PriceBookRow } from '../stores/store.ts'
import { priceUsage } from './price-work.ts'
import type { Caller, Services } from './services.ts'

/** A price book to publish. */
export interface PublishRequest {
  readonly prices: readonly PriceRow[]
  /** Null: now. */
  readonly effectiveAtMs: number | null
}

/** Publishes a book, which replaces all prices from when it takes effect. Returns the faults of one that is wrong. */
export async function publishPrices(
  services: Services,
  caller: Caller,
  { prices, effectiveAtMs }: PublishRequest,
): Promise<{ readonly book: PriceBookRow; readonly isReplay: boolean } | { readonly faults: readonly PriceFault[] } | Refusal> {
  const parsed = parsePrices(prices)
  if ('faults' in parsed) return parsed
  const { idempotency: named } = caller
  const idempotency = named && { keyHashes: [keyHash('prices', named.key)] as const, fingerprint: named.fingerprint }
  const published = await services.store.publishPrices({ prices, effectiveAtMs, idempotency })
  if (!isRefusal(published)) await services.prices.load()
  return published
}

/** Most records that a trial reads. */
export const MAX_TRIAL_RECORDS = 1_000_000
/** Most accounts that a trial lists: those whose cost changes most. */
export const MAX_TRIAL_ACCOUNTS = 100
const RECORDS_AT_ONCE = 500

/** Sums of a trial. */
export interface TrialSum {
  readonly charges: number
  readonly charged: bigint
  /** What the same work would have cost. */
  readonly repriced: bigint
}

/** What a period would have cost under a draft. */
export interface PriceTrial {
  readonly operations: ReadonlyMap<string, TrialSum>
  readonly accounts: readonly (TrialSum & { readonly account: number })[]
  readonly total: TrialSum
  /** Charges that the draft cannot price, by refusal. */
  readonly unpriced: ReadonlyMap<string, number>
  /** Charges whose amount was named by the caller: prices do not touch them. */
  readonly named: number
  /** The period has more records than a trial reads. */
  readonly isTruncated: boolean
}

/** Prices a past period again under a draft, changing nothing. */
export async function tryPrices(
  { store }: Services,
  draft: readonly PriceRow[],
  period: { readonly fromMs: number; readonly toMs: number },
): Promise<PriceTrial | { readonly faults: readonly PriceFault[] }> {
  const parsed = parsePrices(draft)
  if ('faults' in parsed) return parsed
  const trial = new Trial({ version: 0, effectiveAtMs: 0, operations: parsed.operations })
  let after = (await store.positionAt(period.fromMs)) - 1
  for (let read = 0; read < MAX_TRIAL_RECORDS; ) {
    const items = await store.feed(after, RECORDS_AT_ONCE)
    for (const { account, record } of items) {
      if (record.atMs >= period.toMs) return trial.done(false)
      if (isCharge(record)) trial.add(account, record)
    }
    after = items.at(-1)?.position ?? after
    read += items.length
    if (items.length < RECORDS_AT_ONCE) return trial.done(false)
    await setImmediate()
  }
  return trial.done(true)
}

class Trial {
  readonly #draft: PriceBook
  readonly #operations = new Map<string, TrialSum>()
  readonly #accounts = new Map<number, TrialSum>()
  readonly #unpriced = new Map<string, number>()
  #total: TrialSum = { charges: 0, charged: 0n, repriced: 0n }
  #named = 0

  constructor(draft: PriceBook) {
    this.#draft = draft
  }

  add(account: number, { operation, quantities, attributes, credits, priceVersion }: ChargeRecord): void {
    if (priceVersion === null) {
      this.#named++
      return
    }
    const priced = priceUsage(this.#draft, { operation, quantity: null, quantities, attributes })
    if (isRefusal(priced)) {
      this.#unpriced.set(priced.refused, (this.#unpriced.get(priced.refused) ?? 0) + 1)
      return
    }
    const sum = { charges: 1, charged: credits, repriced: priced.call.credits }
    this.#total = plus(this.#total, sum)
    this.#operations.set(operation, plus(this.#operations.get(operation), sum))
    this.#accounts.set(account, plus(this.#accounts.get(account), sum))
  }

  done(isTruncated: boolean): PriceTrial {
    const accounts = [...this.#accounts].map(([account, sum]) => ({ account, ...sum }))
    const change = ({ charged, repriced }: TrialSum): bigint => (repriced > charged ? repriced - charged : charged - repriced)
    accounts.sort((a, b) => (change(a) === change(b) ? a.account - b.account : change(a) > change(b) ? -1 : 1))
    return {
      operations: this.#operations,
      accounts: accounts.slice(0, MAX_TRIAL_ACCOUNTS),
      total: this.#total,
      unpriced: this.#unpriced,
      named: this.#named,
      isTruncated,
    }
  }
}

function plus(a: TrialSum | undefined, b: TrialSum): TrialSum {
  return a ? { charges: a.charges + b.charges, charged: a.charged + b.charged, repriced: a.repriced + b.repriced } : b
}
