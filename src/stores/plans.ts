/** The operator's plans, in versions that are never edited. */

import { first, type Statements } from './statements.ts'

/** One version of a plan. */
export interface PlanRow {
  readonly id: string
  /** 1, 2, 3 … in the order in which they were set. */
  readonly version: number
  /** Not offered any more. */
  readonly isArchived: boolean
  /** JSON; operations write and read it. */
  readonly terms: string
  readonly createdAtMs: number
}

type RawPlan = Omit<PlanRow, 'isArchived'> & { readonly isArchived: number }

const COLUMNS = 'select p.id, p.version, p.is_archived as "isArchived", p.terms, p.created_at_ms as "createdAtMs" from plans p'
const IS_LATEST = 'p.version = (select max(q.version) from plans q where q.id = p.id)'

/** Versions of plans. */
export class Plans {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** The version in force; undefined: there is no such plan. */
  async latest(id: string): Promise<PlanRow | undefined> {
    return decoded(await first<RawPlan>(this.#statements, `${COLUMNS} where p.id = ? order by p.version desc limit 1`, [id]))
  }

  async at(id: string, version: number): Promise<PlanRow | undefined> {
    return decoded(await first<RawPlan>(this.#statements, `${COLUMNS} where p.id = ? and p.version = ?`, [id, version]))
  }

  /** The versions in force, in order of their ids, after one of them. */
  async list({ after, limit }: { readonly after: string; readonly limit: number }): Promise<readonly PlanRow[]> {
    const rows = await this.#statements.all<RawPlan>(`${COLUMNS} where p.id > ? and ${IS_LATEST} order by p.id limit ?`, [after, limit])
    return rows.flatMap((row) => decoded(row) ?? [])
  }

  /** Adds a version; false: another one has taken its number. */
  async add({ id, version, isArchived, terms, createdAtMs }: PlanRow): Promise<boolean> {
    const sql =
      'insert into plans (id, version, is_archived, terms, created_at_ms) values (?, ?, ?, ?, ?) on conflict (id, version) do nothing returning version'
    return (await first(this.#statements, sql, [id, version, isArchived ? 1 : 0, terms, createdAtMs])) !== undefined
  }
}

function decoded(row: RawPlan | undefined): PlanRow | undefined {
  return row && { ...row, isArchived: row.isArchived === 1 }
}
