/** Quotes: an estimate's price version, pinned for a while, in a text that only servers on this store can make. */

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { PriceBook } from '../core/price-book.ts'
import { type Refusal, refuse } from '../core/refusals.ts'
import type { Services } from './services.ts'

/** How long a quote pins its prices. */
export const QUOTE_TTL_MS = 15 * 60_000

const QUOTE = /^quote_([0-9a-z]{1,11})_([0-9a-z]{1,11})_([A-Za-z0-9_-]{22})$/

/** Makes a quote for an account. */
export function makeQuote(
  { store }: Services,
  quoted: { readonly account: number; readonly version: number; readonly untilMs: number },
): string {
  const { version, untilMs } = quoted
  return `quote_${version.toString(36)}_${untilMs.toString(36)}_${sign(store.secret, quoted)}`
}

function sign(
  secret: string,
  { account, version, untilMs }: { readonly account: number; readonly version: number; readonly untilMs: number },
): string {
  return createHmac('sha256', secret).update(`quote ${account} ${version} ${untilMs}`).digest('base64url').slice(0, 22)
}

/** The price book that a quote pins for the account. Refuses quote_invalid and quote_expired. */
export async function bookOfQuote({ store, prices, clock }: Services, quote: string, account: number): Promise<PriceBook | Refusal> {
  const [, version36, until36, signature] = QUOTE.exec(quote) ?? []
  if (version36 === undefined || until36 === undefined || signature === undefined) return refuse('quote_invalid', 'This is not a quote id.')
  const version = Number.parseInt(version36, 36)
  const untilMs = Number.parseInt(until36, 36)
  const isOwn = timingSafeEqual(Buffer.from(signature), Buffer.from(sign(store.secret, { account, version, untilMs })))
  const book = isOwn ? await prices.published(version) : undefined
  if (!book) return refuse('quote_invalid', 'The quote was not made by this server for this account.')
  if (untilMs <= clock()) return refuse('quote_expired', `The quote was good until ${new Date(untilMs).toISOString()}.`)
  return book
}
