/** What the operator sells, in versions. */

import { first, type Statements } from './statements.ts'

/** One version. */
export interface TopupOptionsRow {
  /** 1, 2, 3 … in the order in which they were set. */
  readonly version: number
  /** JSON; operations write and read it. */
  readonly options: string
  readonly createdAtMs: number
}

const COLUMNS = 'version, options, created_at_ms as "createdAtMs"'

/** Versions of what is sold. */
export class TopupOptionsRows {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** The version in force; undefined: nothing was ever set. */
  latest(): Promise<TopupOptionsRow | undefined> {
    return first(this.#statements, `select ${COLUMNS} from topup_options order by version desc limit 1`, [])
  }

  /** Adds a version; false: another one has taken its number. */
  async add({ version, options, createdAtMs }: TopupOptionsRow): Promise<boolean> {
    const sql = `insert into topup_options (version, options, created_at_ms) values (?, ?, ?) on conflict (version) do nothing returning version`
    return (await first(this.#statements, sql, [version, options, createdAtMs])) !== undefined
  }
}
