/** Invoices as PDF: for whoever may read them, and for a while for whoever was given a link. */

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { accountId, objectId, parseObjectId } from '../core/ids.ts'
import { isRefusal } from '../core/refusals.ts'
import { type InvoiceView, readInvoice } from '../operations/invoices.ts'
import type { Services } from '../operations/services.ts'
import { etagOf, matchesEtag } from './etags.ts'
import { ProblemError } from './problems.ts'

const TOKEN_BYTES = 18
const DAY_MS = 86_400_000
/** Days that a link works for. */
export const LINK_DAYS = 30
/** Files that are kept: to print one takes some 30 ms, in which nothing else is done. */
const MAX_KEPT = 100

/** A printed invoice. */
interface InvoiceFile {
  readonly bytes: Buffer
  readonly etag: string
}

/** Prints invoices, and keeps what was asked for last: they never change. */
export class InvoiceFiles {
  readonly #kept = new Map<string, Promise<InvoiceFile>>()

  /** Answers with the file of an invoice. */
  async send(request: FastifyRequest, reply: FastifyReply, view: InvoiceView): Promise<FastifyReply> {
    const { bytes, etag } = await this.#fileOf(view)
    reply.header('etag', etag).header('cache-control', 'private, no-cache').header('vary', 'Authorization')
    if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
    return reply.header('content-disposition', `inline; filename="${view.number}.pdf"`).type('application/pdf').send(bytes)
  }

  #fileOf(view: InvoiceView): Promise<InvoiceFile> {
    const id = objectId('inv', view.account, view.ordinal)
    const file = this.#kept.get(id) ?? this.#print(view)
    // What was asked for last is kept longest; what failed is not.
    this.#kept.delete(id)
    this.#kept.set(id, file)
    file.catch(() => this.#kept.delete(id))
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest)
    return file
  }

  async #print(view: InvoiceView): Promise<InvoiceFile> {
    // Loaded with the first of them: what prints is large.
    const { printInvoice } = await import('../invoices/invoice-pdf.ts')
    const bytes = await printInvoice({ ...view, account: accountId(view.account) })
    return { bytes, etag: etagOf(bytes) }
  }
}

/** The path at which an invoice can be opened by whoever has it, until a day that lies a month ahead. */
export function invoiceLink({ store, clock }: Pick<Services, 'store' | 'clock'>, invoice: string): string {
  const untilDay = Math.ceil(clock() / DAY_MS) + LINK_DAYS
  return `/invoices/${invoice}/pdf?until=${untilDay}&token=${tokenOf(store.secret, invoice, untilDay).toString('base64url')}`
}

function tokenOf(secret: string, invoice: string, untilDay: number): Buffer {
  return createHmac('sha256', secret).update(`open ${invoice} until ${untilDay}`).digest().subarray(0, TOKEN_BYTES)
}

const NOT_FOUND = new ProblemError('not_found', 'There is no such invoice, or the link is too old: ask for a new one.')

/** Serves what the links lead to. */
export async function invoicePages(
  app: FastifyInstance,
  { services, files }: { readonly services: Services; readonly files: InvoiceFiles },
): Promise<void> {
  const options = { config: { access: 'public' }, schema: { hide: true } } as const
  app.get<{ Params: { invoice: string }; Querystring: { until?: string; token?: string } }>(
    '/invoices/:invoice/pdf',
    options,
    async (request, reply) => {
      const { invoice } = request.params
      const { until, token } = request.query
      const address = parseObjectId('inv', invoice)
      if (!address || !opens(services, { invoice, until: String(until), token: String(token) })) throw NOT_FOUND
      const view = await readInvoice(services, address)
      if (isRefusal(view)) throw NOT_FOUND
      return files.send(request, reply, view)
    },
  )
}

function opens(
  { store, clock }: Services,
  { invoice, until, token }: { readonly invoice: string; readonly until: string; readonly token: string },
): boolean {
  const given = Buffer.from(token, 'base64url')
  const untilDay = /^\d{1,9}$/.test(until) ? Number(until) : 0
  if (given.length !== TOKEN_BYTES || untilDay * DAY_MS <= clock()) return false
  return timingSafeEqual(given, tokenOf(store.secret, invoice, untilDay))
}
