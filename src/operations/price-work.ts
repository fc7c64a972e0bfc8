/** Prices a piece of work: what a charge, a hold, a capture or an estimate of it comes to. */

import type { Microcredits } from '../core/credits.ts'
import type { Decimal } from '../core/decimal.ts'
import type { Offer } from '../core/decisions/charge.ts'
import type { OperationPrice, PriceBook } from '../core/price-book.ts'
import { isSameDimension, type PricedCall, priceCall, quantityOf } from '../core/pricing.ts'
import { isRefusal, type Refusal } from '../core/refusals.ts'
import { priceOf } from './price-list.ts'

/** What was used. */
export interface StatedUsage {
  readonly operation: string
  /** In the unit of the price's only component. */
  readonly quantity: Decimal | null
  readonly quantities: Readonly<Record<string, Decimal>> | null
  readonly attributes: Readonly<Record<string, string>>
}

/** Work with what it costs, in the credit types that may pay for it. */
export interface PricedWork {
  readonly offers: readonly [Offer, ...Offer[]]
  readonly quantities: Readonly<Record<string, Decimal>>
  readonly price: OperationPrice
  readonly call: PricedCall
}

/** Prices usage under a book. Refuses price_not_configured, quantity_required, unknown_unit, amount_out_of_range. */
export function priceUsage(book: PriceBook | undefined, usage: StatedUsage): PricedWork | Refusal {
  const price = priceOf(book, usage.operation)
  if (isRefusal(price)) return price
  const stated = statedQuantities(price, usage)
  if (isRefusal(stated)) return stated
  const call = priceCall(price, { quantities: stated.quantities, attributes: usage.attributes })
  if (isRefusal(call)) return call
  return { offers: offersOf(price, call.credits), quantities: countedQuantities(stated.quantities, call), price, call }
}

/** What was stated, in its own units, and what was counted without being stated: the request itself. */
function countedQuantities(stated: PricedWork['quantities'], { lines }: PricedCall): PricedWork['quantities'] {
  const names = Object.keys(stated)
  const implied = lines.filter(({ unit, quantity }) => quantity > 0n && !names.some((name) => isSameDimension(name, unit)))
  return implied.length === 0 ? stated : { ...stated, ...Object.fromEntries(implied.map(({ unit, quantity }) => [unit, quantity])) }
}

/** The amount in each credit type that may pay. */
export function offersOf(price: OperationPrice, credits: Microcredits): readonly [Offer, ...Offer[]] {
  return [{ creditType: price.creditType, credits }, ...price.fallbackCreditTypes.map((creditType) => ({ creditType, credits }))]
}

function statedQuantities(price: OperationPrice, { quantity, quantities }: StatedUsage): Pick<PricedWork, 'quantities'> | Refusal {
  if (quantity === null) return { quantities: quantities ?? {} }
  const stated = quantityOf(price, quantity)
  return isRefusal(stated) ? stated : { quantities: { ...quantities, ...stated.quantities } }
}
