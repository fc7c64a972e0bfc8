/** Plain rows in the PostgreSQL schema, on the sessions of the readers: a statement is a transaction of its own. */

import { hash } from 'node:crypto'
import { checkedParts, type SqlValue, type Statements, UniqueViolationError } from '../statements.ts'
import { verdictOn } from './faults.ts'
import type { Readers } from './readers.ts'
import type { Statement } from './session.ts'

/** Statements on a schema. */
export class PostgresStatements implements Statements {
  readonly #readers: Readers
  readonly #prepared = new Map<string, Statement>()

  constructor(readers: Readers) {
    this.#readers = readers
  }

  async all<Row extends object>(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]> {
    const statement = this.#statement(sql, checkedParts(sql, values))
    const run = /^\s*select\b/i.test(sql) ? this.#readers.run : this.#readers.runOnce
    try {
      return (await run<{ [name: string]: unknown }>(statement, values)).map((row) => plain(row) as Row)
    } catch (cause) {
      if (verdictOn(cause) === 'overtaken') throw new UniqueViolationError('the row is there already', { cause })
      throw cause
    }
  }

  /** Prepared under a name made of its text, so that every session knows it by the same. */
  #statement(sql: string, parts: readonly string[]): Statement {
    const known = this.#prepared.get(sql)
    if (known) return known
    const text = parts.reduce((before, part, index) => `${before}$${index}${part}`)
    const made = { name: `plain ${hash('sha256', sql, 'base64url')}`, text }
    this.#prepared.set(sql, made)
    return made
  }
}

/** SQLite has no truth values, only 0 and 1. */
function plain(row: Readonly<Record<string, unknown>>): object {
  const answer: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(row)) answer[name] = typeof value === 'boolean' ? Number(value) : value
  return answer
}
