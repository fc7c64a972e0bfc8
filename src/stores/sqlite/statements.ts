/** Plain rows in the SQLite file, on the connection that the ledger writes on: a statement runs between its batches. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { checkedParts, type SqlValue, type Statements, UniqueViolationError } from '../statements.ts'

/** Result codes of SQLite for a row that is there already: by a unique index, by its primary key, by its row id. */
const UNIQUE_VIOLATIONS = new Set<unknown>([2067, 1555, 2579])

/** Statements on an open file. */
export class SqliteStatements implements Statements {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  async all<Row extends object>(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]> {
    checkedParts(sql, values)
    // A number would be bound as a float: `'a' || ?` would say `a1.0`.
    const bound = values.map((value) => (typeof value === 'number' ? BigInt(value) : value))
    try {
      return this.#statement(sql)
        .all(...bound)
        .map((row) => ({ ...row }) as Row)
    } catch (cause) {
      if (cause instanceof Error && 'errcode' in cause && UNIQUE_VIOLATIONS.has(cause.errcode))
        throw new UniqueViolationError('the row is there already', { cause })
      throw cause
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#prepared.get(sql)
    if (known) return known
    const made = this.#db.prepare(sql)
    this.#prepared.set(sql, made)
    return made
  }
}
