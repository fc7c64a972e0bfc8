/** Checkouts as the sandbox keeps them: rows of another party, as it were, that Obol learns of only over HTTP. */

import { first, type Statements } from './statements.ts'

/** A checkout of the sandbox. */
export interface SandboxRow {
  /** The sandbox's name of it, which nobody can guess. */
  readonly id: string
  /** Obol's id of it. */
  readonly checkout: string
  /** Rises with each change: only who has read it may replace it. */
  readonly version: number
  /** When there is something to do or to tell; null: nothing. */
  readonly dueMs: number | null
  /** JSON; the sandbox writes and reads it. */
  readonly state: string
}

const COLUMNS = 'select id, checkout, version, due_ms as "dueMs", state from sandbox_checkouts'

/** The sandbox's checkouts. */
export class SandboxCheckouts {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  at(id: string): Promise<SandboxRow | undefined> {
    return first(this.#statements, `${COLUMNS} where id = ?`, [id])
  }

  /** Adds a checkout, or finds the one that was made for the same id of Obol's before. */
  async add({ id, checkout, version, dueMs, state }: SandboxRow): Promise<SandboxRow> {
    const insert =
      'insert into sandbox_checkouts (id, checkout, version, due_ms, state) values (?, ?, ?, ?, ?) on conflict (checkout) do nothing'
    await this.#statements.all(insert, [id, checkout, version, dueMs, state])
    const row = await first<SandboxRow>(this.#statements, `${COLUMNS} where checkout = ?`, [checkout])
    if (!row) throw new Error(`the sandbox has no checkout for ${checkout}`)
    return row
  }

  /** Replaces the version before; false: somebody else has. */
  async replace({ id, version, dueMs, state }: Omit<SandboxRow, 'checkout'>): Promise<boolean> {
    const update = 'update sandbox_checkouts set version = ?, due_ms = ?, state = ? where id = ? and version = ? returning version'
    return (await first(this.#statements, update, [version, dueMs, state, id, version - 1])) !== undefined
  }

  /** Those with something to do or to tell, the longest waiting first. */
  due(nowMs: number, limit: number): Promise<readonly SandboxRow[]> {
    return this.#statements.all(`${COLUMNS} where due_ms <= ? order by due_ms limit ?`, [nowMs, limit])
  }
}
