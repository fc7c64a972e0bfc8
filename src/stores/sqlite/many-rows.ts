/** Inserts many rows with few calls into SQLite. */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

/** Inserts rows of one table: so many with each statement as fit, then one by one. */
export class ManyRows {
  readonly #columns: number
  readonly #rowsAtOnce: number
  readonly #one: StatementSync
  readonly #many: StatementSync

  /** `insert` is the statement up to its values, `end` what follows them. */
  constructor(
    db: DatabaseSync,
    {
      insert,
      columns,
      end = '',
      rowsAtOnce,
    }: { readonly insert: string; readonly columns: number; readonly end?: string; readonly rowsAtOnce: number },
  ) {
    const row = `(${Array(columns).fill('?').join(', ')})`
    this.#columns = columns
    this.#rowsAtOnce = rowsAtOnce
    this.#one = db.prepare(`${insert} values ${row} ${end}`)
    this.#many = db.prepare(`${insert} values ${Array(rowsAtOnce).fill(row).join(', ')} ${end}`)
  }

  /** Inserts rows, given as the values of all of them in a row. */
  insert(values: readonly SQLInputValue[]): void {
    let from = 0
    const many = this.#columns * this.#rowsAtOnce
    for (; from + many <= values.length; from += many) this.#many.run(...values.slice(from, from + many))
    for (; from < values.length; from += this.#columns) this.#one.run(...values.slice(from, from + this.#columns))
  }
}
