/** Invoices on paper: receipts, invoices, credit notes and statements, made from what was frozen when they were issued. */

import { formatMoney } from '../core/currency.ts'
import type { InvoiceKind } from '../core/invoice.ts'
import type { InvoiceBody, PurchaseBody, Seller, StatementBody } from '../core/invoice-body.ts'
import { type Column, type Sheet, startSheet } from './sheet.ts'

/** What is printed. */
export interface PrintedInvoice {
  readonly number: string
  readonly kind: InvoiceKind
  readonly issuedAtMs: number
  /** Id of the account. */
  readonly account: string
  readonly body: InvoiceBody
}

const TITLES: Readonly<Record<InvoiceKind, string>> = {
  receipt: 'Receipt',
  invoice: 'Invoice',
  credit_note: 'Credit note',
  statement: 'Statement',
}

/** Prints an invoice as PDF: the same one gives the same bytes. */
export async function printInvoice(invoice: PrintedInvoice): Promise<Buffer> {
  const { number, kind, issuedAtMs, body } = invoice
  const title = TITLES[kind]
  const sheet = await startSheet({
    title: `${title} ${number}`,
    author: printable(body.seller.name ?? ''),
    createdAtMs: issuedAtMs,
    foot: `${title} ${number}`,
  })
  if (body.about === 'month') printStatement(sheet, invoice, body)
  else printPurchase(sheet, invoice, body)
  if (body.note !== null) sheet.text(printable(body.note))
  return sheet.end()
}

/** Names are written by strangers: what would break lines or be invisible becomes a space. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
}

/** A day, in UTC: `2026-11-29`. */
function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

function blocks(sheet: Sheet, { account, body: { seller, buyer } }: PrintedInvoice): void {
  const of = sellerLines(seller)
  const to = [
    buyer.name,
    ...buyer.address,
    ...(buyer.taxId === null ? [] : [`Tax number: ${buyer.taxId}`]),
    ...(buyer.email === null ? [] : [buyer.email]),
    buyer.externalId === null ? account : `${account} (${buyer.externalId})`,
  ]
  const sides = [...(of.length === 0 ? [] : [['From', of] as const]), ['To', to] as const]
  sheet.sides(...sides.map(([title, lines]) => [title, lines.map(printable)] as const))
}

function sellerLines({ name, address, taxId, contact }: Seller): readonly string[] {
  const lines = [name, ...address, taxId === null ? null : `Tax number: ${taxId}`, contact]
  return lines.filter((line) => line !== null)
}

const SAID: Readonly<Record<PurchaseBody['about'], (corrected: string) => string>> = {
  payment: () => '',
  refund: (corrected) => `Refund on ${corrected}`,
  dispute: (corrected) => `Payment of ${corrected} was charged back`,
  failed_refund: (corrected) => `${corrected} is taken back: its refund failed`,
}

const AMOUNTS: readonly Column[] = [
  { title: 'Description', share: 5 },
  { title: 'Amount', share: 2, align: 'right' },
]

function printPurchase(sheet: Sheet, invoice: PrintedInvoice, body: PurchaseBody): void {
  const { number, kind, issuedAtMs } = invoice
  const { money, corrects, sold } = body
  const amount = (minor: number): string => formatMoney(kind === 'credit_note' ? -minor : minor, money.currency)
  sheet.title(TITLES[kind], [number, `Issued ${dayOf(issuedAtMs)}`, `Paid ${dayOf(body.paidAtMs)}`])
  if (!body.isLive) sheet.warning('TEST: nothing real was paid, and this is no document of a sale.')
  blocks(sheet, invoice)
  const what = corrects === null ? soldIn(sold) : SAID[body.about](corrects.number)
  const rows = [
    [what, amount(money.netMinor)],
    ...(money.tax === null ? [] : [[taxName(money.tax), amount(money.tax.amountMinor)]]),
    ['Total', amount(money.totalMinor)],
  ]
  sheet.table(AMOUNTS, rows, (index) => index === rows.length - 1)
  if (corrects !== null) sheet.text(`This corrects ${corrects.number}: ${soldIn(sold)}.`)
  sheet.text(`Payment ${printable(body.payment)}, ${dayOf(body.paidAtMs)}, by ${printable(body.provider)}.`)
}

function soldIn(sold: PurchaseBody['sold']): string {
  if (sold.of === 'subscription') {
    const period = `${printable(sold.name)}, ${dayOf(sold.startMs)} to ${dayOf(sold.endMs)}`
    return sold.isChange ? `Change to ${period}` : period
  }
  const { creditType, credits, bonus } = sold
  const name = creditType.replaceAll('_', ' ')
  return bonus === null ? `${credits} ${name}` : `${credits} ${name}, and ${bonus} as a bonus`
}

function taxName({ name, percent }: NonNullable<PurchaseBody['money']['tax']>): string {
  return printable(percent === null ? name : `${name} ${percent} %`)
}

const MOVEMENTS: readonly Column[] = [
  { title: 'Credits', share: 5 },
  { title: 'Amount', share: 3, align: 'right' },
]
const USAGE: readonly Column[] = [
  { title: 'Operation', share: 4 },
  { title: 'Quantities', share: 4 },
  { title: 'Charges', share: 1.3, align: 'right' },
  { title: 'Used', share: 2, align: 'right' },
  { title: 'Returned', share: 2, align: 'right' },
]
const INVOICES: readonly Column[] = [
  { title: 'Number', share: 3 },
  { title: 'Issued', share: 2 },
  { title: 'Total', share: 2, align: 'right' },
]

function printStatement(sheet: Sheet, invoice: PrintedInvoice, body: StatementBody): void {
  const { number, issuedAtMs } = invoice
  sheet.title('Statement', [number, `Issued ${dayOf(issuedAtMs)}`, `Month ${body.month}, ${body.timeZone}`])
  blocks(sheet, invoice)
  if (body.creditTypes.length === 0) sheet.text('There was nothing in this month, and nothing before it.')
  for (const type of body.creditTypes) {
    const rows = [
      ['Opening balance', type.opening],
      ['Bought', type.purchased],
      ['Given by plans', type.fromPlans],
      ['Given', type.granted],
      ['Used', minus(type.used)],
      ['Returned', type.returned],
      ['Expired', minus(type.expired)],
      ['Taken back with payments and plans', minus(type.takenBack)],
      ['Voided and corrected', minus(type.voided)],
      ['Closing balance', type.closing],
    ]
    const shown = rows.filter(([, value], index) => index === 0 || index === rows.length - 1 || value !== '0')
    sheet.heading(type.creditType.replaceAll('_', ' ')).table(MOVEMENTS, shown, (index) => index === 0 || index === shown.length - 1)
  }
  if (body.usage.length > 0) sheet.heading('Usage').table(USAGE, body.usage.map(usageRow))
  printInvoices(sheet, body)
}

function minus(amount: string): string {
  if (amount === '0') return amount
  return amount.startsWith('-') ? amount.slice(1) : `-${amount}`
}

function usageRow({ operation, creditType, charges, quantities, used, returned }: StatementBody['usage'][number]): readonly string[] {
  const amounts = Object.entries(quantities).map(([unit, quantity]) => `${quantity} ${unit}`)
  const name = creditType.replaceAll('_', ' ')
  return [
    operation ?? 'other operations',
    amounts.join(', '),
    String(charges),
    `${used} ${name}`,
    returned === '0' ? '' : `${returned} ${name}`,
  ]
}

function printInvoices(sheet: Sheet, { invoices, invoicesLeftOut }: StatementBody): void {
  if (invoices.length === 0) return
  const rows = invoices.map(({ number, issuedAtMs, totalMinor, currency }) => [
    number,
    dayOf(issuedAtMs),
    formatMoney(totalMinor, currency),
  ])
  sheet.heading('Payments and refunds').table(INVOICES, rows)
  if (invoicesLeftOut > 0) sheet.text(`And ${invoicesLeftOut} more.`)
}
