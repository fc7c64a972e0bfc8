/** Comma-separated values (RFC 4180), for spreadsheets. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SeqPage } from '../stores/store.ts'
import type { PageQuery } from './pages.ts'

/** Whether a request asks for CSV: by its `format`, or by its Accept header when it names none. */
export function wantsCsv({ headers }: FastifyRequest, format: 'json' | 'csv' | undefined): boolean {
  return format === 'csv' || (format === undefined && headers.accept?.includes('text/csv') === true)
}

/** Rows of one export, at most; a Link leads to the rest. */
export const MAX_EXPORTED = 10_000

/** How many records an export reads: as many as its `limit` says. */
export function exportLimit({ limit = MAX_EXPORTED }: PageQuery): number {
  return limit
}

/** A page of an export: the rows of each item, in the order in which the items were read, and where the next page begins. */
interface Export {
  readonly header: readonly string[]
  readonly items: readonly (readonly Row[])[]
  readonly page: SeqPage
  /** Id of the last item that was looked at; null: there are no more. */
  readonly next: string | null
}

/** Answers with a page of an export, in the order of its list, and leads to the rest. */
export function sendExport(request: FastifyRequest, reply: FastifyReply, { header, items, page, next }: Export): FastifyReply {
  const isBackwards = page.after !== undefined
  if (next !== null) reply.header('link', `<${nextUrl(request.url, isBackwards, next)}>; rel="next"`)
  return sendCsv(reply, header, (isBackwards ? items.toReversed() : items).flat())
}

function nextUrl(url: string, isBackwards: boolean, cursor: string): string {
  const next = new URL(url, 'http://obol')
  next.searchParams.set(isBackwards ? 'ending_before' : 'starting_after', cursor)
  next.searchParams.set('format', 'csv')
  return `${next.pathname}${next.search}`
}

/** Answers with CSV. */
export function sendCsv(reply: FastifyReply, header: readonly string[], rows: readonly Row[]): FastifyReply {
  return reply
    .type('text/csv; charset=utf-8')
    .serializer((text: string) => text)
    .send(writeCsv(header, rows))
}

type Row = readonly (string | number | null)[]

/** Writes rows under a header. Cells that a spreadsheet would run as a formula are kept as text. */
function writeCsv(header: readonly string[], rows: readonly Row[]): string {
  return [header, ...rows]
    .map((row) => row.map(cell).join(','))
    .join('\r\n')
    .concat('\r\n')
}

function cell(value: string | number | null): string {
  if (value === null) return ''
  const text = typeof value === 'string' && /^[=+@\t\r\0]|^-(?![\d.]+$)/.test(value) ? `'${value}` : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
