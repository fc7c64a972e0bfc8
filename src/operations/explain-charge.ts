/** Explains a charge: how its price came about, which grants paid and why those, what its key's budget said. */

import { setImmediate } from 'node:timers/promises'
import { emptyAccount, type OpenGrant, poolOf } from '../core/account.ts'
import type { Microcredits } from '../core/credits.ts'
import { evolve } from '../core/evolve.ts'
import type { Address } from '../core/ids.ts'
import type { OperationPrice, PriceBook } from '../core/price-book.ts'
import { type PricedCall, priceCall } from '../core/pricing.ts'
import { type ChargeRecord, isCharge } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Services } from './services.ts'

/** A charge with how its price came about. */
export interface ChargeExplanation {
  readonly record: ChargeRecord
  readonly refunded: Microcredits
  /** Null: the caller named the amount. */
  readonly price: { readonly version: number; readonly operation: OperationPrice; readonly call: PricedCall } | null
}

/** Reads a charge and prices it again under the version that it was charged at. Refuses charge_not_found. */
export async function explainCharge({ store, prices }: Services, { account, seq }: Address): Promise<ChargeExplanation | Refusal> {
  const record = await store.record(account, seq)
  if (!record || !isCharge(record)) return refuse('charge_not_found', 'No charge has this id.')
  const refunded = ((await store.refunds(account, [seq])).get(seq) ?? 0n) as Microcredits
  const book = record.priceVersion === null ? undefined : await prices.published(record.priceVersion)
  return { record, refunded, price: repriced(book, record) }
}

function repriced(book: PriceBook | undefined, { operation, quantities, attributes }: ChargeRecord): ChargeExplanation['price'] {
  const price = book?.operations.get(operation)
  const call = price && priceCall(price, { quantities, attributes })
  return book && price && call && !isRefusal(call) ? { version: book.version, operation: price, call } : null
}

/** Records read at a time to find the grants as they stood before a charge. */
const RECORDS_AT_ONCE = 500

/** The grants that a charge could have drawn on, in burn order, as they stood just before it. */
export async function grantsBefore({ store }: Services, { account, seq }: Address, creditType: string): Promise<readonly OpenGrant[]> {
  let state = emptyAccount(account)
  let after: number | null = 0
  while (after !== null) {
    const page: Awaited<ReturnType<typeof store.records>> = await store.records(account, { limit: RECORDS_AT_ONCE, after })
    for (const record of page.records) {
      if (record.seq >= seq) return poolOf(state, creditType).grants
      state = evolve(state, record)
    }
    after = page.next
    await setImmediate()
  }
  return poolOf(state, creditType).grants
}
