/** Clocks that tests move, and the accounts that live by them. An account's own time is in its journal. */

import { first, type Statements } from './statements.ts'

/** A test clock. */
export interface TestClockRow {
  readonly id: string
  readonly name: string
  readonly nowMs: number
  /** Every account that follows it has got so far; behind `nowMs` while it is being moved. */
  readonly reachedMs: number
  readonly createdAtMs: number
}

const COLUMNS = 'select id, name, now_ms as "nowMs", reached_ms as "reachedMs", created_at_ms as "createdAtMs" from test_clocks'

/** Test clocks. */
export class TestClocks {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  at(id: string): Promise<TestClockRow | undefined> {
    return first(this.#statements, `${COLUMNS} where id = ?`, [id])
  }

  /** In order of their ids, after one of them. */
  list({ after, limit }: { readonly after: string; readonly limit: number }): Promise<readonly TestClockRow[]> {
    return this.#statements.all(`${COLUMNS} where id > ? order by id limit ?`, [after, limit])
  }

  /** Those that are being moved. */
  moving(limit: number): Promise<readonly TestClockRow[]> {
    return this.#statements.all(`${COLUMNS} where reached_ms < now_ms order by id limit ?`, [limit])
  }

  async add({ id, name, nowMs, reachedMs, createdAtMs }: TestClockRow): Promise<void> {
    const sql = 'insert into test_clocks (id, name, now_ms, reached_ms, created_at_ms) values (?, ?, ?, ?, ?)'
    await this.#statements.all(sql, [id, name, nowMs, reachedMs, createdAtMs])
  }

  /** Moves a clock on. One that is there already, or further, stays. */
  async advance(id: string, nowMs: number): Promise<void> {
    await this.#statements.all('update test_clocks set now_ms = ? where id = ? and now_ms < ?', [nowMs, id, nowMs])
  }

  /** Notes that every account has got so far. */
  async reached(id: string, reachedMs: number): Promise<void> {
    await this.#statements.all('update test_clocks set reached_ms = ? where id = ? and reached_ms < ?', [reachedMs, id, reachedMs])
  }

  /** Binds an account to a clock, before it is opened. */
  async bind(clock: string, account: number): Promise<void> {
    const sql = 'insert into test_clock_accounts (clock, account) values (?, ?) on conflict (clock, account) do nothing'
    await this.#statements.all(sql, [clock, account])
  }

  /** Accounts that are bound to a clock, whether or not they were opened; in order, after one of them. */
  async accounts(clock: string, { after, limit }: { readonly after: number; readonly limit: number }): Promise<readonly number[]> {
    const sql = 'select account from test_clock_accounts where clock = ? and account > ? order by account limit ?'
    return (await this.#statements.all<{ account: number }>(sql, [clock, after, limit])).map(({ account }) => account)
  }
}
