/**
 * Invoices: rows that are final once they are there, numbered without gaps. Beside them the purchases that may lack one: noted
 * before the ledger hears of money and let go when they have all of theirs, so that no crash can come between for good.
 */

import type { InvoiceKind, InvoiceSeries } from '../core/invoice.ts'
import { first, type SqlValue, type Statements, UniqueViolationError } from './statements.ts'

/** An invoice to issue. */
export interface NewInvoice {
  readonly account: number
  readonly series: InvoiceSeries
  readonly kind: InvoiceKind
  /** Names what it is for: nothing gets two. */
  readonly source: string
  /** Sequence of the purchase; null: it is for none. */
  readonly purchase: number | null
  readonly issuedAtMs: number
  /** JSON; operations write and read it. */
  readonly body: string
}

/** An invoice that was issued. */
export interface InvoiceRow extends NewInvoice {
  /** 1, 2, 3 … within the account, as they were issued. */
  readonly ordinal: number
  /** 1, 2, 3 … within the series. */
  readonly number: number
}

/** Which of an account's invoices to list; by ordinal, newest first unless `after` is given. */
export interface InvoiceFilter {
  readonly limit: number
  /** Only older ones. */
  readonly before?: number
  /** Only newer ones, oldest of them first. */
  readonly after?: number
  readonly kinds?: readonly InvoiceKind[]
  readonly purchase?: number
  /** Issued at or after. */
  readonly fromMs?: number
  /** Issued before. */
  readonly toMs?: number
}

/** A purchase that may lack an invoice. */
export interface NotedPurchase {
  readonly account: number
  readonly purchase: number
  /** Rises when it is noted again. */
  readonly version: number
  readonly notedAtMs: number
}

/** Which noted purchases to see to. */
export interface NotedQuery {
  readonly account: number | null
  /** Only those that were noted before. */
  readonly beforeMs: number
  readonly limit: number
}

/** Times that an invoice is numbered anew when others are issued at the same time. */
const MAX_ATTEMPTS = 200

const COLUMNS = 'account, ordinal, series, number, kind, source, purchase, issued_at_ms as "issuedAtMs", body'
const NOTED = 'account, purchase, version, noted_at_ms as "notedAtMs"'
const INSERT = `insert into invoices (account, ordinal, series, number, kind, source, purchase, issued_at_ms, body)
  select cast(? as bigint), coalesce((select max(ordinal) from invoices where account = ?), 0) + 1,
    cast(? as text), coalesce((select max(number) from invoices where series = ?), 0) + 1,
    cast(? as text), cast(? as text), cast(? as bigint), cast(? as bigint), cast(? as text)
  where true on conflict (source) do nothing returning ${COLUMNS}`
const MATCHING = `account = ? and (cast(? as text) is null or kind in (?, ?, ?, ?)) and (cast(? as bigint) is null or purchase = ?)
  and issued_at_ms >= ? and issued_at_ms < ?`

/** Invoices of all accounts. */
export class Invoices {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** Issues an invoice, unless its source has one: then that is given. */
  async issue({ account, series, kind, source, purchase, issuedAtMs, body }: NewInvoice): Promise<InvoiceRow> {
    const values = [account, account, series, series, kind, source, purchase, issuedAtMs, body]
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const row = (await this.#insert(values)) ?? (await this.bySource(source))
      if (row) return row
    }
    throw new Error(`too many invoices are issued at once: ${source} got no number`)
  }

  /** Undefined: the source has one, or another one took the number first. */
  async #insert(values: readonly SqlValue[]): Promise<InvoiceRow | undefined> {
    try {
      return await first(this.#statements, INSERT, values)
    } catch (fault) {
      if (fault instanceof UniqueViolationError) return undefined
      throw fault
    }
  }

  bySource(source: string): Promise<InvoiceRow | undefined> {
    return first(this.#statements, `select ${COLUMNS} from invoices where source = ?`, [source])
  }

  at(account: number, ordinal: number): Promise<InvoiceRow | undefined> {
    return first(this.#statements, `select ${COLUMNS} from invoices where account = ? and ordinal = ?`, [account, ordinal])
  }

  list(account: number, { limit, before, after, kinds, purchase, fromMs, toMs }: InvoiceFilter): Promise<readonly InvoiceRow[]> {
    const [one = null, two = null, three = null, four = null] = kinds ?? []
    const having = [account, one, one, two, three, four, purchase ?? null, purchase ?? null, fromMs ?? 0, toMs ?? Number.MAX_SAFE_INTEGER]
    const select = `select ${COLUMNS} from invoices where ${MATCHING}`
    return after === undefined
      ? this.#statements.all(`${select} and ordinal < ? order by ordinal desc limit ?`, [
          ...having,
          before ?? Number.MAX_SAFE_INTEGER,
          limit,
        ])
      : this.#statements.all(`${select} and ordinal > ? order by ordinal limit ?`, [...having, after, limit])
  }

  /** Notes that a purchase may lack an invoice from now on: only who has noted it last may let it go. */
  async note(account: number, purchase: number, nowMs: number): Promise<NotedPurchase> {
    const again = 'do update set version = purchases_to_invoice.version + 1, noted_at_ms = excluded.noted_at_ms'
    const noted = await first<NotedPurchase>(
      this.#statements,
      `insert into purchases_to_invoice (account, purchase, version, noted_at_ms) values (?, ?, 1, ?)
       on conflict (account, purchase) ${again} returning ${NOTED}`,
      [account, purchase, nowMs],
    )
    if (!noted) throw new Error(`purchase ${purchase} of account ${account} was not noted`)
    return noted
  }

  /** Purchases that may lack an invoice, those that wait longest first. */
  noted({ account, beforeMs, limit }: NotedQuery): Promise<readonly NotedPurchase[]> {
    const select = `select ${NOTED} from purchases_to_invoice where`
    return account === null
      ? this.#statements.all(`${select} noted_at_ms < ? order by noted_at_ms limit ?`, [beforeMs, limit])
      : this.#statements.all(`${select} account = ? and noted_at_ms < ? order by noted_at_ms limit ?`, [account, beforeMs, limit])
  }

  /** Lets a purchase go that has all its invoices, unless it was noted again meanwhile. */
  async settle({ account, purchase, version }: NotedPurchase): Promise<void> {
    await this.#statements.all('delete from purchases_to_invoice where account = ? and purchase = ? and version = ?', [
      account,
      purchase,
      version,
    ])
  }
}
