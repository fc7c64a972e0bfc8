/** Pages as VideoDB's clients ask for them: so many, after so many. */

import { type Static, Type } from 'typebox'
import type { SeqPage } from '../../../stores/store.ts'

const MAX_LIMIT = 100
const DEFAULT_LIMIT = 10
/** Rows that may be passed over: each of them is read. */
const MAX_OFFSET = 10_000
const ROWS_AT_ONCE = 200

/** The query of a page. */
export const OffsetQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_LIMIT, description: `Rows, at most; default ${DEFAULT_LIMIT}.` })),
  offset: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_OFFSET, description: 'Rows that are passed over; default 0.' })),
})

/** A page of what is read newest first, by sequence. */
export async function offsetPage<Row>(
  { limit = DEFAULT_LIMIT, offset = 0 }: Static<typeof OffsetQuery>,
  read: (page: SeqPage) => Promise<readonly Row[]>,
  seqOf: (row: Row) => number,
): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (let before: number | undefined; rows.length < offset + limit; ) {
    const page = await read({ limit: ROWS_AT_ONCE, ...(before === undefined ? {} : { before }) })
    rows.push(...page)
    const last = page.at(-1)
    if (last === undefined || page.length < ROWS_AT_ONCE) break
    before = seqOf(last)
  }
  return rows.slice(offset, offset + limit)
}
