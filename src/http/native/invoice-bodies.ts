/** Invoices as they are answered. */

import { type Static, Type } from 'typebox'
import { accountId, objectId } from '../../core/ids.ts'
import type { InvoiceKind } from '../../core/invoice.ts'
import type { PurchaseBody, StatementBody } from '../../core/invoice-body.ts'
import type { InvoiceView } from '../../operations/invoices.ts'
import { Amount, nullable, nullableObject, StringMap, Time } from './schemas.ts'
import { timeOut } from './values.ts'

/** Every kind of invoice. */
export const INVOICE_KINDS = ['receipt', 'invoice', 'credit_note', 'statement'] as const satisfies readonly InvoiceKind[]
const ABOUT = ['payment', 'refund', 'dispute', 'failed_refund', 'month'] as const

/** A kind of invoice, as it is asked for and answered. */
export const Kind = Type.Unsafe<InvoiceKind>({ type: 'string', enum: [...INVOICE_KINDS] })

const Party = { name: nullable<string>('string'), address: Type.Array(Type.String()), tax_id: nullable<string>('string') }
const Tax = Type.Object({
  name: Type.String(),
  percent: nullable<string>('string', 'Null: the payment provider worked it out.', 'decimal'),
  amount_minor: Type.Integer(),
})
const Corrected = Type.Object({ id: Type.String(), number: Type.String() }, { description: 'The invoice that this one corrects.' })

const Purchase = Type.Object({
  topup: Type.String(),
  credit_type: Type.String(),
  credits: Amount,
  bonus_credits: nullable<string>('string', 'Given on top; null: none.', 'decimal'),
  provider: Type.String(),
  payment: Type.String({ description: "The provider's name of the payment." }),
  paid_at: Time,
})

const Subscription = Type.Object({
  subscription: Type.String(),
  plan: Type.String(),
  plan_version: Type.Integer(),
  name: Type.String({ description: 'Name of the plan.' }),
  starts_at: Time,
  ends_at: Time,
  is_change: Type.Boolean({ description: 'The difference for a change in the middle of a period.' }),
  provider: Type.String(),
  payment: Type.String({ description: "The provider's name of the payment." }),
  paid_at: Time,
})

const CreditTypeStatement = Type.Object(
  {
    credit_type: Type.String(),
    opening: Amount,
    purchased: Amount,
    from_plans: Amount,
    granted: Amount,
    used: Amount,
    returned: Amount,
    expired: Amount,
    taken_back: Amount,
    voided: Amount,
    closing: Amount,
  },
  {
    description:
      'closing = opening + purchased + from_plans + granted − used + returned − expired − taken_back − voided. Balances count credits that are not usable yet, and debts as less than nothing.',
  },
)
const Usage = Type.Object({
  operation: nullable<string>('string', 'Null: operations that there was no room for.'),
  credit_type: Type.String(),
  charges: Type.Integer(),
  used: Amount,
  returned: Amount,
  quantities: StringMap,
})
const Listed = Type.Object({
  number: Type.String(),
  kind: Kind,
  issued_at: Time,
  currency: Type.String(),
  total_minor: Type.Integer({ description: 'Below zero for a credit note.' }),
})
const Statement = Type.Object({
  month: Type.String({ examples: ['2026-11'] }),
  time_zone: Type.String(),
  starts_at: Time,
  ends_at: Time,
  credit_types: Type.Array(CreditTypeStatement),
  usage: Type.Array(Usage),
  invoices: Type.Array(Listed, { description: 'Receipts, invoices and credit notes of the month.' }),
  invoices_left_out: Type.Integer({ description: 'Those that there was no room for.' }),
})

/** An invoice as it is answered. */
export const Invoice = Type.Object(
  {
    object: Type.Literal('invoice'),
    id: Type.String(),
    number: Type.String({ examples: ['INV-000042'] }),
    kind: Kind,
    about: Type.Unsafe<(typeof ABOUT)[number]>({
      type: 'string',
      enum: [...ABOUT],
      description: '`failed_refund` takes a credit note back, `dispute` is a payment that was charged back.',
    }),
    mode: nullable<'live' | 'test'>('string', '`test`: nothing real was paid. Null for a statement.'),
    account: Type.String(),
    currency: nullable<string>('string', 'Null for a statement.'),
    net_minor: nullable<number>('integer', 'Without tax; null for a statement.'),
    tax: nullableObject(Tax),
    total_minor: nullable<number>('integer', 'What was paid, or of a credit note what went back; null for a statement.'),
    purchase: nullableObject(Purchase),
    subscription: nullableObject(Subscription),
    corrects: nullableObject(Corrected),
    statement: nullableObject(Statement),
    seller: Type.Object({ ...Party, contact: nullable<string>('string') }),
    buyer: Type.Object({ ...Party, email: nullable<string>('string'), external_id: nullable<string>('string') }),
    note: nullable<string>('string'),
    pdf_url: Type.String({ description: 'Opens the PDF without a key, for a month.' }),
    issued_at: Time,
  },
  { description: 'A receipt, invoice, credit note or statement: final, and numbered without gaps in its series.' },
)

/** Writes an invoice. */
export function renderInvoice(view: InvoiceView, pdfUrl: string): Static<typeof Invoice> {
  const { account, ordinal, number, kind, issuedAtMs, body } = view
  const { seller, buyer, note } = body
  return {
    object: 'invoice',
    id: objectId('inv', account, ordinal),
    number,
    kind,
    about: body.about,
    account: accountId(account),
    ...(body.about === 'month' ? ofMonth(body) : ofPurchase(account, body)),
    seller: { name: seller.name, address: [...seller.address], tax_id: seller.taxId, contact: seller.contact },
    buyer: { name: buyer.name, address: [...buyer.address], tax_id: buyer.taxId, email: buyer.email, external_id: buyer.externalId },
    note,
    pdf_url: pdfUrl,
    issued_at: timeOut(issuedAtMs),
  }
}

type Content = Pick<
  Static<typeof Invoice>,
  'mode' | 'currency' | 'net_minor' | 'tax' | 'total_minor' | 'purchase' | 'subscription' | 'corrects' | 'statement'
>

function ofPurchase(account: number, body: PurchaseBody): Content {
  const { isLive, money, corrects } = body
  const { currency, netMinor, tax, totalMinor } = money
  return {
    mode: isLive ? 'live' : 'test',
    currency,
    net_minor: netMinor,
    tax: tax && { name: tax.name, percent: tax.percent, amount_minor: tax.amountMinor },
    total_minor: totalMinor,
    ...soldOut(account, body),
    corrects: corrects && { id: objectId('inv', account, corrects.ordinal), number: corrects.number },
    statement: null,
  }
}

function soldOut(account: number, { sold, provider, payment, paidAtMs }: PurchaseBody): Pick<Content, 'purchase' | 'subscription'> {
  const paid = { provider, payment, paid_at: timeOut(paidAtMs) }
  if (sold.of === 'topup') {
    const { topup, creditType, credits, bonus } = sold
    const purchase = { topup: objectId('topup', account, topup), credit_type: creditType, credits, bonus_credits: bonus, ...paid }
    return { purchase, subscription: null }
  }
  const { subscription, plan, version, name, startMs, endMs, isChange } = sold
  const period = { starts_at: timeOut(startMs), ends_at: timeOut(endMs), is_change: isChange }
  const covered = { subscription: objectId('sub', account, subscription), plan, plan_version: version, name, ...period }
  return { purchase: null, subscription: { ...covered, ...paid } }
}

const NOTHING_PAID = {
  mode: null,
  currency: null,
  net_minor: null,
  tax: null,
  total_minor: null,
  purchase: null,
  subscription: null,
} as const

function ofMonth({ month, timeZone, startMs, endMs, creditTypes, usage, invoices, invoicesLeftOut }: StatementBody): Content {
  const statement = {
    month,
    time_zone: timeZone,
    starts_at: timeOut(startMs),
    ends_at: timeOut(endMs),
    credit_types: creditTypes.map(({ creditType, fromPlans, takenBack, ...amounts }) => ({
      credit_type: creditType,
      ...amounts,
      from_plans: fromPlans,
      taken_back: takenBack,
    })),
    usage: usage.map(({ creditType, quantities, ...used }) => ({ ...used, credit_type: creditType, quantities: { ...quantities } })),
    invoices: invoices.map(({ issuedAtMs, totalMinor, ...listed }) => ({
      ...listed,
      issued_at: timeOut(issuedAtMs),
      total_minor: totalMinor,
    })),
    invoices_left_out: invoicesLeftOut,
  }
  return { ...NOTHING_PAID, corrects: null, statement }
}
