/** What the operator sells: credits for money, freely or in packs, in versions that are never edited. */

import type { Microcredits } from './credits.ts'
import { MAX_MICROCREDITS, micro } from './credits.ts'
import { formatMoney, minorDigits } from './currency.ts'
import type { CheckoutTerms } from './payment.ts'
import { type Refusal, refuse } from './refusals.ts'

/** Most packs of one version. */
export const MAX_PACKS = 20
const DAY_MS = 86_400_000

/** Credits that are sold together for one price. */
export interface TopupPack {
  readonly id: string
  readonly name: string
  readonly amountMinor: number
  /** Null: what the price comes to by `creditsPerUnit`. */
  readonly credits: Microcredits | null
  /** Given on top; null: nothing. */
  readonly bonus: Microcredits | null
  /** Life of the bonus once it is paid for; null: for ever. */
  readonly bonusDays: number | null
}

/** One version of what is sold. */
export interface TopupOptions {
  /** ISO 4217, lower case. */
  readonly currency: string
  readonly creditType: string
  /** Credits for one unit of money: a dollar, a yen. */
  readonly creditsPerUnit: Microcredits
  /** Least and most that may be paid freely. */
  readonly minMinor: number
  readonly maxMinor: number
  /** Life of what is bought, once it is paid for; null: for ever. */
  readonly lifeDays: number | null
  readonly packs: readonly TopupPack[]
}

/** What somebody wants to buy: for an amount, or a pack by its id. */
export type TopupWish = { readonly amountMinor: number } | { readonly pack: string }

/** What is bought. */
export type Bought = Pick<CheckoutTerms, 'amountMinor' | 'currency' | 'creditType' | 'credits' | 'lifeMs' | 'bonus' | 'pack'>

/** Prices a wish. Credits are rounded down to a millionth. Refuses topup_amount_out_of_range and pack_not_found. */
export function priceTopup(options: TopupOptions, wish: TopupWish): Bought | Refusal {
  const { currency, creditType, minMinor, maxMinor } = options
  const common = { currency, creditType, lifeMs: lifeOf(options.lifeDays) }
  if ('amountMinor' in wish) {
    const { amountMinor } = wish
    if (amountMinor < minMinor || amountMinor > maxMinor) {
      const facts = { min_minor: minMinor, max_minor: maxMinor, currency }
      const detail = `A top-up is ${formatMoney(minMinor, currency)} to ${formatMoney(maxMinor, currency)}.`
      return refuse('topup_amount_out_of_range', detail, facts)
    }
    return { ...common, amountMinor, credits: creditsFor(options, amountMinor), bonus: null, pack: null }
  }
  const pack = options.packs.find(({ id }) => id === wish.pack)
  if (!pack) return refuse('pack_not_found', 'No pack on offer has this id.')
  const bonus = pack.bonus && { credits: pack.bonus, lifeMs: lifeOf(pack.bonusDays) }
  return { ...common, amountMinor: pack.amountMinor, credits: creditsOf(options, pack), bonus, pack: pack.id }
}

/** Credits of a pack, its bonus not counted. */
export function creditsOf(options: Pick<TopupOptions, 'currency' | 'creditsPerUnit'>, { credits, amountMinor }: TopupPack): Microcredits {
  return credits ?? creditsFor(options, amountMinor)
}

function creditsFor({ currency, creditsPerUnit }: Pick<TopupOptions, 'currency' | 'creditsPerUnit'>, amountMinor: number): Microcredits {
  return micro((BigInt(amountMinor) * creditsPerUnit) / 10n ** BigInt(minorDigits(currency)))
}

function lifeOf(days: number | null): number | null {
  return days === null ? null : days * DAY_MS
}

/** The least money that buys so many credits, in minor units; if that is more than may be paid freely, one more than that. */
export function worthOf({ currency, creditsPerUnit, maxMinor }: TopupOptions, credits: bigint): number {
  const units = 10n ** BigInt(minorDigits(currency))
  const wanted = (credits * units + creditsPerUnit - 1n) / creditsPerUnit
  return wanted > maxMinor ? maxMinor + 1 : Number(wanted)
}

/** What is wrong with a version; null: nothing. */
export function faultInOptions({ minMinor, maxMinor, packs, ...options }: TopupOptions): string | null {
  if (minMinor > maxMinor) return 'min_minor must not be above max_minor'
  const rate = { currency: options.currency, creditsPerUnit: options.creditsPerUnit }
  if (exactCredits(rate, minMinor) < 1n) return 'min_minor must be worth a millionth of a credit at least'
  if (exactCredits(rate, maxMinor) > MAX_MICROCREDITS) return 'max_minor is worth more credits than an account can hold'
  const ids = new Set(packs.map(({ id }) => id))
  if (ids.size < packs.length) return 'two packs have the same id'
  const isSold = (pack: TopupPack): boolean => {
    const credits = pack.credits ?? exactCredits(rate, pack.amountMinor)
    return credits >= 1n && credits + (pack.bonus ?? 0n) <= MAX_MICROCREDITS
  }
  const wrong = packs.find((pack) => !isSold(pack))
  return wrong ? `the pack ${wrong.id} must have a millionth of a credit at least, and no more than an account can hold` : null
}

function exactCredits({ currency, creditsPerUnit }: Pick<TopupOptions, 'currency' | 'creditsPerUnit'>, amountMinor: number): bigint {
  return (BigInt(amountMinor) * creditsPerUnit) / 10n ** BigInt(minorDigits(currency))
}
