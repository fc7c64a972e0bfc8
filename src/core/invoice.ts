/** Invoices: which a purchase is to have, what they are numbered as, and how their money is made up. Money in minor units. */

import type { Purchase } from './purchase.ts'
import type { ReturnedBy } from './subscription-facts.ts'

/** What an invoice is. A receipt claims no tax. */
export type InvoiceKind = 'receipt' | 'invoice' | 'credit_note' | 'statement'

/** Numbers run within a series. What was tried out without money has series of its own, so that it leaves no trace in the others. */
export type InvoiceSeries = 'INV' | 'CN' | 'ST' | 'TEST-INV' | 'TEST-CN'

const NUMBER_DIGITS = 6

/** An invoice's number as it is written: `INV-000042`. */
export function invoiceNumber({ series, number }: { readonly series: InvoiceSeries; readonly number: number }): string {
  return `${series}-${String(number).padStart(NUMBER_DIGITS, '0')}`
}

/** A fact of a purchase that is to have an invoice of its own. */
export interface InvoicedFact {
  /** Names the fact within the purchase: nothing is invoiced twice. */
  readonly fact: string
  readonly about: 'payment' | 'refund' | 'dispute' | 'failed_refund'
  /** What is paid, or goes back. */
  readonly amountMinor: number
  /** The fact that it undoes, wholly or in part; null: none. */
  readonly corrects: string | null
}

/** The name of the fact that a purchase was paid. */
const PAYMENT_FACT = 'payment'

/**
 * What a purchase is to have invoices for: its payment; refunds and lost disputes, which get credit notes; refunds that came to
 * nothing after all, which take their credit notes back. Facts are only ever added.
 */
export function invoicedFacts({ paid, refunds, disputes }: Purchase): readonly InvoicedFact[] {
  if (paid === null) return []
  const { totalMinor } = paid.payment
  const facts: InvoicedFact[] = [{ fact: PAYMENT_FACT, about: 'payment', amountMinor: totalMinor, corrects: null }]
  for (const { refund, seq, amountMinor, isReversed } of refunds) {
    // A refund that had failed before it was seen moved nothing.
    if (seq === null) continue
    const fact = `refund ${refund}`
    facts.push({ fact, about: 'refund', amountMinor, corrects: PAYMENT_FACT })
    if (isReversed) facts.push({ fact: `failed ${fact}`, about: 'failed_refund', amountMinor, corrects: fact })
  }
  for (const { dispute, amountMinor, status } of disputes)
    if (status === 'lost') facts.push({ fact: `dispute ${dispute}`, about: 'dispute', amountMinor, corrects: PAYMENT_FACT })
  return facts
}

/** Money of a payment for a subscription that went back, or came again. */
export interface ReturnedMoney {
  readonly by: ReturnedBy
  readonly name: string
  readonly amountMinor: number
}

/** As `invoicedFacts`, of a payment for a subscription. */
export function invoicedReturns(totalMinor: number, returns: readonly ReturnedMoney[]): readonly InvoicedFact[] {
  const facts = returns.map(({ by, name, amountMinor }): InvoicedFact => {
    if (by === 'failed_refund') return { fact: `failed refund ${name}`, about: by, amountMinor, corrects: `refund ${name}` }
    return { fact: `${by} ${name}`, about: by, amountMinor, corrects: PAYMENT_FACT }
  })
  return [{ fact: PAYMENT_FACT, about: 'payment', amountMinor: totalMinor, corrects: null }, ...facts]
}

/** A tax on what is sold. */
export interface Tax {
  readonly name: string
  /** Percent, a decimal with at most three digits behind its point: `23`, `8.875`. */
  readonly percent: string
}

/** An amount of money with the tax that is in it. */
export interface Money {
  readonly currency: string
  readonly netMinor: number
  /** Null: no tax is shown. */
  readonly tax: { readonly name: string; readonly percent: string | null; readonly amountMinor: number } | null
  readonly totalMinor: number
}

/** What was paid. `amountMinor` is before any tax that the provider has added. */
export interface PaidMoney {
  readonly amountMinor: number
  readonly totalMinor: number
  readonly currency: string
}

/** Splits a payment: the tax is what the provider has added; where it added none, the price has the seller's tax in it. */
export function moneyPaid({ amountMinor, totalMinor, currency }: PaidMoney, tax: Tax | null): Money {
  if (totalMinor > amountMinor)
    return {
      currency,
      netMinor: amountMinor,
      tax: { name: tax?.name ?? 'Tax', percent: null, amountMinor: totalMinor - amountMinor },
      totalMinor,
    }
  if (tax === null) return { currency, netMinor: totalMinor, tax: null, totalMinor }
  const contained = taxIn(totalMinor, tax)
  return { currency, netMinor: totalMinor - contained, tax: { ...tax, amountMinor: contained }, totalMinor }
}

const THOUSANDTHS = 1_000n

/** `total × rate ÷ (100 % + rate)`, halves rounded up. */
function taxIn(totalMinor: number, { percent }: Tax): number {
  const [whole = '0', fraction = ''] = percent.split('.')
  const rate = BigInt(whole) * THOUSANDTHS + BigInt(fraction.padEnd(3, '0'))
  const all = 100n * THOUSANDTHS + rate
  return Number((BigInt(totalMinor) * rate * 2n + all) / (all * 2n))
}

/** What credit notes have given back of a payment, those left out that were taken back. */
export interface Credited {
  readonly totalMinor: number
  readonly taxMinor: number
}

/**
 * A part of a payment that goes back, after what was credited before: never more than is left, and with so much of the tax that credit notes over
 * the whole payment have all of its tax.
 */
export function moneyBack({ currency, tax, totalMinor }: Money, amountMinor: number, credited: Credited): Money {
  const amount = Math.min(amountMinor, totalMinor - credited.totalMinor)
  if (tax === null) return { currency, netMinor: amount, tax: null, totalMinor: amount }
  const due = Number((BigInt(tax.amountMinor) * BigInt(credited.totalMinor + amount)) / BigInt(totalMinor))
  const share = Math.min(amount, Math.max(0, due - credited.taxMinor))
  return { currency, netMinor: amount - share, tax: { ...tax, amountMinor: share }, totalMinor: amount }
}
