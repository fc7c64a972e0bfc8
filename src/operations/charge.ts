/** Charges work to an account: one call, many, or many together or not at all. */

import type { Command } from '../core/command.ts'
import type { Microcredits } from '../core/credits.ts'
import type { Decimal } from '../core/decimal.ts'
import type { ChargeCommand, Offer } from '../core/decisions/charge.ts'
import type { PriceBook } from '../core/price-book.ts'
import { DEFAULT_CREDIT_TYPE } from '../core/price-parsing.ts'
import type { Metadata } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Applied } from '../stores/store.ts'
import type { Target } from './find-account.ts'
import { offersOf, priceUsage, type StatedUsage } from './price-work.ts'
import { bookOfQuote } from './quotes.ts'
import { type Order, runCommand, runCommands } from './run-command.ts'
import type { Caller, Services } from './services.ts'

/** Work that someone is to pay for. */
export interface WorkRequest extends StatedUsage {
  readonly target: Target
  /** Credits named by the caller; null: priced by the book. */
  readonly amount: Microcredits | null
  /** For a named amount; null: the price's, or `credits`. */
  readonly creditType: string | null
  /** A quote whose prices hold; null: those in force. */
  readonly quote: string | null
  readonly metadata: Metadata
}

/** Charges one piece of work. */
export async function charge(services: Services, caller: Caller, request: WorkRequest): Promise<Applied | Refusal> {
  return runCommand(services, caller, await orderOf(services, request))
}

/** Charges several pieces of work, each for itself, by their places in what the caller's idempotency key names. */
export async function chargeEach(
  services: Services,
  caller: Caller,
  requests: readonly { readonly place: number; readonly work: WorkRequest }[],
): Promise<readonly (Applied | Refusal)[]> {
  const orders = await Promise.all(requests.map(async ({ place, work }) => ({ place, ...(await orderOf(services, work)) })))
  return runCommands(services, caller, orders)
}

async function orderOf(services: Services, request: WorkRequest): Promise<Order> {
  const work = await priceRequest(services, request)
  return { account: request.target.account, command: isRefusal(work) ? work : { kind: 'charge', ...work } }
}

/** Charges several pieces of work of one account, all or none. The first refusal refuses them all, with its `index`. */
export async function chargeTogether(services: Services, caller: Caller, requests: readonly WorkRequest[]): Promise<Applied | Refusal> {
  const account = requests[0]?.target.account
  if (account === undefined) throw new Error('a batch has at least one charge')
  return runCommand(services, caller, { account, command: await chargeGroup(services, requests), records: requests.length })
}

async function chargeGroup(services: Services, requests: readonly WorkRequest[]): Promise<Command | Refusal> {
  const charges: ChargeCommand[] = []
  for (const [index, request] of requests.entries()) {
    const work = await priceRequest(services, request)
    if (isRefusal(work)) return { ...work, facts: { ...work.facts, index } }
    charges.push(work)
  }
  return { kind: 'charge_group', charges }
}

/** Prices a request and checks what its key allows. */
export async function priceRequest(services: Services, request: WorkRequest): Promise<ChargeCommand | Refusal> {
  const { target, operation, metadata, attributes } = request
  if (target.fault) return target.fault
  const allowed = target.key?.terms.operations ?? null
  if (allowed !== null && !allowed.includes(operation))
    return refuse('operation_not_allowed', `The key may not be charged for ${operation}.`, { operation })
  const book = request.quote === null ? services.prices.at(services.clock()) : await bookOfQuote(services, request.quote, target.account)
  if (book && isRefusal(book)) return book
  const key = target.key?.seq ?? null
  if (request.amount !== null)
    return {
      offers: namedOffers(book, request, request.amount),
      operation,
      key,
      quantities: namedQuantities(book, request),
      attributes,
      priceVersion: null,
      metadata,
    }
  const priced = priceUsage(book, request)
  if (isRefusal(priced)) return priced
  return { offers: priced.offers, operation, key, quantities: priced.quantities, attributes, priceVersion: book?.version ?? null, metadata }
}

function namedOffers(
  book: PriceBook | undefined,
  { operation, creditType }: WorkRequest,
  credits: Microcredits,
): readonly [Offer, ...Offer[]] {
  const price = book?.operations.get(operation)
  if (creditType !== null || !price) return [{ creditType: creditType ?? DEFAULT_CREDIT_TYPE, credits }]
  return offersOf(price, credits)
}

/** Quantities beside a named amount are kept for the record; a bare one counts the price's unit, or `unit`. */
export function namedQuantities(
  book: PriceBook | undefined,
  { operation, quantity, quantities }: StatedUsage,
): Readonly<Record<string, Decimal>> {
  if (quantity === null) return quantities ?? {}
  const components = book?.operations.get(operation)?.components ?? []
  const unit = components.length === 1 ? (components[0]?.unit ?? 'unit') : 'unit'
  return { ...quantities, [unit]: quantity }
}
