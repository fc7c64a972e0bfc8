/** `/v1/invoices`: receipts, invoices, credit notes and monthly statements. */

import { type Static, Type } from 'typebox'
import { objectId, parseObjectId } from '../../core/ids.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { type InvoiceView, listInvoices, readInvoice } from '../../operations/invoices.ts'
import { issueStatement, parseMonth } from '../../operations/statements.ts'
import { readTopup } from '../../operations/topups.ts'
import { accountOf, mayRead } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { invoiceLink } from '../invoice-files.ts'
import { listBody, PAGE_QUERY, seqPage } from '../pages.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { Invoice, Kind, renderInvoice } from './invoice-bodies.ts'
import { AccountIn, idParam, listOf, PROBLEMS_ANSWER, TimeIn } from './schemas.ts'
import { timeIn } from './values.ts'

const NOT_FOUND = refuse('invoice_not_found', 'No invoice has this id.')

const ListQuery = Type.Object(
  {
    account: Type.Optional(AccountIn),
    kind: Type.Optional(Kind),
    topup: Type.Optional(Type.String({ maxLength: 100, description: 'Only those of this top-up.' })),
    start: Type.Optional(TimeIn),
    end: Type.Optional(TimeIn),
    ...PAGE_QUERY,
  },
  { additionalProperties: false },
)

export function invoiceRoutes(app: NativeApp, context: NativeContext): void {
  const { services, problems } = context
  const body = (view: InvoiceView): Static<typeof Invoice> => {
    const link = invoiceLink(services, objectId('inv', view.account, view.ordinal))
    return renderInvoice(view, `${problems.publicUrl()}${link}`)
  }
  listRoute(app, context, body)
  readRoutes(app, context, body)
  statementRoute(app, context, body)
}

type Render = (view: InvoiceView) => Static<typeof Invoice>

function listRoute(app: NativeApp, { services }: NativeContext, body: Render): void {
  app.get(
    '/invoices',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listInvoices',
        tags: ['invoices'],
        summary: 'List invoices, newest first',
        description: 'Receipts, invoices, credit notes and statements, issued from `start` up to, not including, `end`.',
        querystring: ListQuery,
        response: { 200: listOf(Invoice), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { query } = request
      const account = await accountOf(services, request, query.account)
      const page = seqPage(query, { account, prefixes: ['inv'] })
      const views = await listInvoices(services, account, { ...page, ...(await filterIn(query, account)) })
      return listBody('/v1/invoices', page, views, body)
    },
  )

  async function filterIn({ kind, topup, start, end }: Static<typeof ListQuery>, account: number) {
    return {
      ...(kind === undefined ? {} : { kinds: [kind] }),
      ...(topup === undefined ? {} : { purchase: await purchaseOf(topup, account) }),
      ...(start === undefined ? {} : { fromMs: timeIn(start, 'query/start') }),
      ...(end === undefined ? {} : { toMs: timeIn(end, 'query/end') }),
    }
  }

  async function purchaseOf(topup: string, account: number): Promise<number> {
    const address = parseObjectId('topup', topup)
    const view = address?.account === account ? await readTopup(services, address) : refuse('topup_not_found', 'No top-up has this id.')
    if (isRefusal(view)) throw refusalError(view)
    return view.purchase.seq
  }
}

function readRoutes(app: NativeApp, { services, files }: NativeContext, body: Render): void {
  const params = idParam('invoice', 'Id of the invoice.')
  const found = async (request: Parameters<typeof mayRead>[0], id: string): Promise<InvoiceView> => {
    const address = parseObjectId('inv', id)
    const view = address && mayRead(request, address.account) ? await readInvoice(services, address) : NOT_FOUND
    if (isRefusal(view)) throw refusalError(view)
    return view
  }

  app.get(
    '/invoices/:invoice',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getInvoice',
        tags: ['invoices'],
        summary: 'Get an invoice',
        params,
        response: { 200: Invoice, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => body(await found(request, request.params.invoice)),
  )

  app.get(
    '/invoices/:invoice/pdf',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getInvoicePdf',
        tags: ['invoices'],
        summary: 'Get an invoice as PDF',
        description: 'It never changes: send `If-None-Match` with its ETag, and 304 says that you have it.',
        params,
        response: {
          200: { description: 'The file.', content: { 'application/pdf': { schema: Type.Unsafe({ type: 'string', format: 'binary' }) } } },
          304: Type.Null({ description: 'Nothing has changed since the ETag.' }),
          ...PROBLEMS_ANSWER,
        },
      },
    },
    async (request, reply) => files.send(request, reply, await found(request, request.params.invoice)),
  )
}

function statementRoute(app: NativeApp, { services }: NativeContext, body: Render): void {
  app.post(
    '/invoices',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'issueStatement',
        tags: ['invoices'],
        summary: 'Get the statement of a past month, issued now if it has not been',
        description:
          'A month in which something moved gets its statement by itself, within a day of its end. This gives it at once, and that of any month in which the account existed. Once issued it is final, and is answered again as it is.',
        body: Type.Object(
          { account: Type.Optional(AccountIn), month: Type.String({ pattern: '^\\d{4}-\\d\\d$', examples: ['2026-11'] }) },
          { additionalProperties: false },
        ),
        response: { 201: Invoice, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const account = await accountOf(services, request, request.body.account)
      const month = parseMonth(request.body.month)
      if (month === undefined) throw badInput('#/month', 'must be a month such as 2026-11')
      const issued = await issueStatement(services, { account, month })
      if (isRefusal(issued)) throw refusalError(issued)
      if (issued.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return body(issued.view)
    },
  )
}
