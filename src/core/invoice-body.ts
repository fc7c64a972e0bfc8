/** What is frozen into an invoice when it is issued: everything that is printed but its own number. Credits are decimal strings. */

import type { InvoicedFact, InvoiceKind, Money, Tax } from './invoice.ts'
import type { Covered } from './subscription-facts.ts'

/** Who sells, as the settings say when the invoice is issued. */
export interface Seller {
  readonly name: string | null
  readonly address: readonly string[]
  readonly taxId: string | null
  readonly contact: string | null
}

/** Who buys, as the account says when the invoice is issued. */
export interface Buyer {
  readonly name: string
  readonly address: readonly string[]
  readonly taxId: string | null
  readonly email: string | null
  /** The operator's own id for the account; null: none. */
  readonly externalId: string | null
}

/** How invoices are made out. */
export interface InvoiceTerms {
  /** What a payment gets. */
  readonly kind: 'receipt' | 'invoice'
  readonly seller: Seller
  /** Contained in the prices; null: none is shown. */
  readonly tax: Tax | null
  /** Printed at the foot; null: nothing. */
  readonly note: string | null
}

interface BodyHead {
  readonly seller: Seller
  readonly buyer: Buyer
  readonly note: string | null
}

/** What was paid for: credits, or a period of a plan. */
export type Sold =
  | {
      readonly of: 'topup'
      /** Sequence of the record that gave the credits. */
      readonly topup: number
      readonly creditType: string
      readonly credits: string
      readonly bonus: string | null
    }
  | ({ readonly of: 'subscription'; readonly subscription: number } & Covered)

/** The body of a receipt, an invoice or a credit note. */
export interface PurchaseBody extends BodyHead {
  readonly about: InvoicedFact['about']
  /** False: nothing real was paid. */
  readonly isLive: boolean
  readonly money: Money
  readonly sold: Sold
  readonly provider: string
  /** The provider's name of the payment. */
  readonly payment: string
  readonly paidAtMs: number
  /** The invoice that it corrects; null: none. */
  readonly corrects: { readonly ordinal: number; readonly number: string } | null
}

/** One credit type of a statement. */
export interface StatementType {
  readonly creditType: string
  readonly opening: string
  readonly purchased: string
  readonly fromPlans: string
  readonly granted: string
  readonly used: string
  readonly returned: string
  readonly expired: string
  readonly takenBack: string
  readonly voided: string
  readonly closing: string
}

/** What one operation took of a credit type. */
export interface StatementUsage {
  /** Null: the operations that did not fit. */
  readonly operation: string | null
  readonly creditType: string
  readonly charges: number
  readonly used: string
  readonly returned: string
  /** By unit. */
  readonly quantities: Readonly<Record<string, string>>
}

/** An invoice of the month, as its statement lists it. */
export interface StatementInvoice {
  readonly number: string
  readonly kind: InvoiceKind
  readonly issuedAtMs: number
  readonly currency: string
  /** Below zero for a credit note. */
  readonly totalMinor: number
}

/** The body of a monthly statement. */
export interface StatementBody extends BodyHead {
  readonly about: 'month'
  /** `2026-11`. */
  readonly month: string
  readonly timeZone: string
  readonly startMs: number
  readonly endMs: number
  readonly creditTypes: readonly StatementType[]
  readonly usage: readonly StatementUsage[]
  readonly invoices: readonly StatementInvoice[]
  /** Invoices of the month that the list has no room for. */
  readonly invoicesLeftOut: number
}

/** The body of any invoice. */
export type InvoiceBody = PurchaseBody | StatementBody

/** Writes a body. */
export function encodeInvoiceBody(body: InvoiceBody): string {
  return JSON.stringify(body)
}

/** Reads a body. */
export function decodeInvoiceBody(text: string): InvoiceBody {
  return JSON.parse(text) as InvoiceBody
}
