/** Cursor pages: newest first, `starting_after` and `ending_before` by id, one more than asked for tells whether there is more. */

import { Type } from 'typebox'
import { type IdPrefix, parseObjectId } from '../core/ids.ts'
import type { SeqPage } from '../stores/store.ts'
import { ProblemError } from './problems.ts'

export const MAX_PAGE = 100
export const DEFAULT_PAGE = 20

/** The query fields of a page. */
export const PAGE_QUERY = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_PAGE,
      description: `Items of a page; by default ${DEFAULT_PAGE}, of an export as many as fit.`,
    }),
  ),
  starting_after: Type.Optional(
    Type.String({ maxLength: 100, description: 'Id of the last item of the page before: goes on with older ones.' }),
  ),
  ending_before: Type.Optional(
    Type.String({ maxLength: 100, description: 'Id of the first item of the page after: goes back to newer ones.' }),
  ),
} as const

export interface PageQuery {
  readonly limit?: number
  readonly starting_after?: string
  readonly ending_before?: string
}

/** Reads a page of one account's things. Throws invalid_cursor for ids of another kind or account. */
export function seqPage(query: PageQuery, cursors: { readonly account: number; readonly prefixes: readonly IdPrefix[] }): SeqPage {
  const limit = (query.limit ?? DEFAULT_PAGE) + 1
  if (query.starting_after !== undefined && query.ending_before !== undefined)
    throw new ProblemError('invalid_cursor', 'Give starting_after or ending_before, not both.')
  if (query.starting_after !== undefined) return { limit, before: cursorSeq('starting_after', query.starting_after, cursors) }
  if (query.ending_before !== undefined) return { limit, after: cursorSeq('ending_before', query.ending_before, cursors) }
  return { limit }
}

function cursorSeq(
  field: string,
  id: string,
  { account, prefixes }: { readonly account: number; readonly prefixes: readonly IdPrefix[] },
): number {
  for (const prefix of prefixes) {
    const address = parseObjectId(prefix, id)
    if (address?.account === account) return address.seq
  }
  throw new ProblemError('invalid_cursor', `${field} is not an id of this list.`)
}

/** A list as it is sent. */
export interface ListBody<Item> {
  readonly object: 'list'
  readonly url: string
  readonly has_more: boolean
  /** What to give as `starting_after`, or as `ending_before` when going back; null: there is no more. */
  readonly next_cursor: string | null
  readonly data: readonly Item[]
}

/** Cuts the item too many off a page, and puts a page of newer items in order. */
export function listBody<Row, Item extends { readonly id: string }>(
  url: string,
  { limit, after }: SeqPage,
  rows: readonly Row[],
  render: (row: Row) => Item,
): ListBody<Item> {
  const hasMore = rows.length >= limit
  const data = rows.slice(0, limit - 1).map(render)
  const next_cursor = hasMore ? (data.at(-1)?.id ?? null) : null
  if (after !== undefined) data.reverse()
  return { object: 'list', url, has_more: hasMore, next_cursor, data }
}

/** A page of records. One that matched little says where its search ended, so that even an empty page leads on. */
export function recordList<Item extends { readonly id: string }>(
  url: string,
  page: SeqPage,
  { items, next }: { readonly items: readonly Item[]; readonly next: string | null },
): ListBody<Item> {
  const body = listBody(url, page, items, (item) => item)
  return body.has_more || next === null ? body : { ...body, has_more: true, next_cursor: next }
}
