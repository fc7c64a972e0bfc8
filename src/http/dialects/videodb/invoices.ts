/** `/billing/invoices`: what was paid, and what went back. */

import { type Static, Type } from 'typebox'
import { objectId } from '../../../core/ids.ts'
import { type InvoiceView, listInvoices } from '../../../operations/invoices.ts'
import { invoiceLink } from '../../invoice-files.ts'
import { customerOf } from '../customer.ts'
import type { DialectApp, DialectContext } from '../dialect.ts'
import { moneyOut } from '../money.ts'
import { number } from '../numbers.ts'
import { Time, timeOut } from '../times.ts'
import { OffsetQuery, offsetPage } from './pages.ts'

const BillingInvoice = Type.Object({
  id: Type.String({ examples: ['inv_0000000100000001'] }),
  number: Type.String({ examples: ['INV-000001'] }),
  amount: number('What was paid, in the currency; below zero for a credit note.', [100]),
  currency: Type.String({ examples: ['usd'] }),
  status: Type.Literal('paid'),
  pdf_url: Type.String({ description: 'Opens the PDF without a key, for a month.' }),
  created_at: Time,
  date: Type.String({ description: 'The day of it, in UTC.', examples: ['2024-01-15'] }),
})

export function invoiceRoute(app: DialectApp, { services, publicUrl }: DialectContext): void {
  app.get(
    '/billing/invoices',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listInvoices',
        tags: ['Billing'],
        summary: 'List receipts, invoices and credit notes, newest first',
        querystring: OffsetQuery,
        response: { 200: Type.Object({ success: Type.Literal(true), data: Type.Array(BillingInvoice) }) },
      },
    },
    async (request) => {
      const { account } = customerOf(request)
      const kinds = ['receipt', 'invoice', 'credit_note'] as const
      const views = await offsetPage(
        request.query,
        (page) => listInvoices(services, account, { ...page, kinds }),
        ({ ordinal }) => ordinal,
      )
      const linkOf = (id: string): string => `${publicUrl()}${invoiceLink(services, id)}`
      return { success: true as const, data: views.map((view) => rowOf(view, linkOf)) }
    },
  )
}

function rowOf(
  { account, ordinal, number: name, kind, issuedAtMs, body }: InvoiceView,
  linkOf: (id: string) => string,
): Static<typeof BillingInvoice> {
  if (body.about === 'month') throw new Error(`invoice ${ordinal} of account ${account} is a statement`)
  const { currency, totalMinor } = body.money
  const id = objectId('inv', account, ordinal)
  const created = timeOut(issuedAtMs)
  return {
    id,
    number: name,
    amount: moneyOut(kind === 'credit_note' ? -totalMinor : totalMinor, currency),
    currency,
    status: 'paid',
    pdf_url: linkOf(id),
    created_at: created,
    date: created.slice(0, 10),
  }
}
