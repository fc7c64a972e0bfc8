/**
 * Invoices of payments: issued once for each payment, refund and lost dispute, whoever hears of it first. A purchase is noted before
 * the ledger is told of money, and let go when it has all its invoices: what a crash leaves is seen to by the next look, or by a task.
 */

import type { Address } from '../core/ids.ts'
import {
  type Credited,
  type InvoicedFact,
  type InvoiceKind,
  type InvoiceSeries,
  invoiceNumber,
  type Money,
  moneyBack,
  moneyPaid,
} from '../core/invoice.ts'
import { type Buyer, decodeInvoiceBody, encodeInvoiceBody, type InvoiceBody, type PurchaseBody } from '../core/invoice-body.ts'
import type { Payment } from '../core/payment.ts'
import { MAX_PURCHASE_EVENTS } from '../core/purchase.ts'
import { type Refusal, refuse } from '../core/refusals.ts'
import type { InvoiceFilter, InvoiceRow, NewInvoice } from '../stores/invoices.ts'
import type { AccountRow } from '../stores/store.ts'
import { type InvoicedPayment, type PaymentPlace, paymentAt } from './invoiced-payments.ts'
import type { Services } from './services.ts'

/** An invoice with what was frozen into it. */
export interface InvoiceView extends Omit<InvoiceRow, 'body' | 'number'> {
  /** As it is written: `INV-000042`. */
  readonly number: string
  readonly body: InvoiceBody
}

function viewOf({ body, number, ...row }: InvoiceRow): InvoiceView {
  return { ...row, number: invoiceNumber({ series: row.series, number }), body: decodeInvoiceBody(body) }
}

/** Most invoices of one payment: its own, and two for each of its events. */
const MAX_OF_PURCHASE = 1 + 2 * MAX_PURCHASE_EVENTS
/** Purchases that are seen to at a time. */
const AT_ONCE = 100
/** Purchases that were noted within that are left to whoever noted them. */
const LEFT_MS = 10_000
/** What whoever noted a purchase told the ledger has been committed by then, or never will be. */
const TOLD_MS = 3_600_000

/** Issues what a purchase lacks, in the order of its facts: each corrects, or takes account of, those before it. */
async function invoicePurchase({ store, invoicing, clock }: Services, { account, purchase }: PaymentPlace): Promise<void> {
  const [paid, row] = [await paymentAt(store, { account, purchase }), await store.account(account)]
  if (!paid || !row) return
  const rows = await store.invoices.list(account, { purchase, after: 0, limit: MAX_OF_PURCHASE })
  const issued = new Map(rows.map((known) => [known.source, known]))
  for (const fact of paid.facts) {
    const source = sourceOf(account, purchase, fact.fact)
    const original = fact.corrects === null ? null : issued.get(sourceOf(account, purchase, fact.corrects))
    // What nothing was credited for cannot be taken back either.
    if (issued.has(source) || original === undefined) continue
    const made = { terms: invoicing, buyer: buyerOf(row), original, credited: creditedBy(issued.values()) }
    const content = contentOf(paid, fact, made)
    if (content !== null) issued.set(source, await store.invoices.issue({ account, purchase, source, issuedAtMs: clock(), ...content }))
  }
}

/** What the credit notes among a purchase's invoices have given back. */
function creditedBy(rows: Iterable<InvoiceRow>): Credited {
  let [totalMinor, taxMinor] = [0, 0]
  for (const row of rows) {
    const { about, money } = purchaseBody(row)
    const sign = about === 'payment' ? 0 : about === 'failed_refund' ? -1 : 1
    totalMinor += sign * money.totalMinor
    taxMinor += sign * (money.tax?.amountMinor ?? 0)
  }
  return { totalMinor, taxMinor }
}

function sourceOf(account: number, purchase: number, fact: string): string {
  return `purchase ${account} ${purchase} ${fact}`
}

/** Who an account's invoices are made out to: what its metadata says for that, else its name. */
export function buyerOf({ name, externalId, metadata }: AccountRow): Buyer {
  const { billing_name: billingName, billing_address: address, billing_tax_id: taxId, billing_email: email } = metadata
  return {
    name: billingName ?? name,
    address: (address ?? '').split('\n').filter((line) => line.trim() !== ''),
    taxId: taxId ?? null,
    email: email ?? null,
    externalId,
  }
}

interface Making {
  readonly terms: Services['invoicing']
  readonly buyer: Buyer
  /** The invoice that is corrected; null: none is. */
  readonly original: InvoiceRow | null
  readonly credited: Credited
}

const SERIES = {
  live: { payment: 'INV', refund: 'CN', dispute: 'CN', failed_refund: 'INV' },
  test: { payment: 'TEST-INV', refund: 'TEST-CN', dispute: 'TEST-CN', failed_refund: 'TEST-INV' },
} as const satisfies Readonly<Record<string, Readonly<Record<InvoicedFact['about'], InvoiceSeries>>>>

/** The invoice of a fact; null: all that was paid has been credited, and there is nothing to give back. */
function contentOf(paid: InvoicedPayment, fact: InvoicedFact, made: Making): Pick<NewInvoice, 'series' | 'kind' | 'body'> | null {
  const { terms, buyer, original } = made
  const { payment, atMs, provider, sold } = paid
  const { isLive } = payment
  const money = moneyOf(fact, payment, made)
  if (money.totalMinor === 0) return null
  const body: PurchaseBody = {
    about: fact.about,
    isLive,
    seller: terms.seller,
    buyer,
    note: terms.note,
    money,
    sold,
    provider,
    payment: payment.payment,
    paidAtMs: atMs,
    corrects: original && { ordinal: original.ordinal, number: invoiceNumber(original) },
  }
  const isCredit = fact.about === 'refund' || fact.about === 'dispute'
  const kind: InvoiceKind = isCredit ? 'credit_note' : terms.kind
  return { series: SERIES[isLive ? 'live' : 'test'][fact.about], kind, body: encodeInvoiceBody(body) }
}

/** What a failed refund takes back is what its credit note gave. */
function moneyOf({ about, amountMinor }: InvoicedFact, payment: Payment, { terms, original, credited }: Making): Money {
  if (original === null) return moneyPaid(payment, terms.tax)
  const { money } = purchaseBody(original)
  return about === 'failed_refund' ? money : moneyBack(money, amountMinor, credited)
}

function purchaseBody({ source, body }: InvoiceRow): PurchaseBody {
  const decoded = decodeInvoiceBody(body)
  if (decoded.about === 'month') throw new Error(`${source} is a statement`)
  return decoded
}

/** Tells the ledger of money of a purchase or of a subscription, and issues what it lacks then. If that is cut short, it is noted what is to be done. */
export async function withInvoices(services: Services, { account, purchase }: PaymentPlace, tell: () => Promise<void>): Promise<void> {
  const { store, clock } = services
  const noted = await store.invoices.note(account, purchase, clock())
  await tell()
  await invoicePurchase(services, noted)
  await store.invoices.settle(noted)
}

/** Issues what noted purchases lack: all of an account's, or what was left of all accounts'. */
export async function issueNoted(services: Services, account: number | null = null): Promise<void> {
  const { invoices } = services.store
  const nowMs = services.clock()
  const beforeMs = account === null ? nowMs - LEFT_MS : Number.MAX_SAFE_INTEGER
  const noted = await invoices.noted({ account, beforeMs, limit: AT_ONCE })
  const faults: unknown[] = []
  for (const each of noted) {
    try {
      await invoicePurchase(services, each)
      // Sooner, the ledger may yet take what it is being told of the purchase.
      if (each.notedAtMs < nowMs - TOLD_MS) await invoices.settle(each)
    } catch (fault) {
      faults.push(fault)
    }
  }
  if (faults.length > 0) throw faults[0]
}

/** A page of an account's invoices, newest first. Those of a payment that has just been made are there. */
export async function listInvoices(services: Services, account: number, filter: InvoiceFilter): Promise<readonly InvoiceView[]> {
  await issueNoted(services, account)
  return (await services.store.invoices.list(account, filter)).map(viewOf)
}

/** Reads an invoice. Refuses invoice_not_found. */
export async function readInvoice({ store }: Pick<Services, 'store'>, { account, seq }: Address): Promise<InvoiceView | Refusal> {
  const row = await store.invoices.at(account, seq)
  return row ? viewOf(row) : refuse('invoice_not_found', 'No invoice has this id.')
}
