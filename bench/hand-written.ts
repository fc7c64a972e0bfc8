/**
 * What the store is measured against, on the same engine and with the same guarantees: the charge as it is written by hand, and the
 * bare append of the rows that a charge leaves. A table per thing, an index per question, a statement per step.
 */

import { hash } from 'node:crypto'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { CHARGE, FUNDS, numberOf, PRIORITIES } from './accounts.ts'

const SCHEMA = `
pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536; pragma wal_autocheckpoint = 4000;
create table grants (id integer primary key, account integer not null, priority integer not null, expires_at integer, remaining integer not null check (remaining >= 0)) strict;
create index grants_by_account on grants (account, priority, expires_at, id);
create table charges (id integer primary key, account integer not null, key text not null, operation text not null, credits integer not null,
  draws text not null, quantities text not null, balance integer not null, created_at integer not null, hash text not null, unique (account, key)) strict;
create table heads (account integer primary key, hash text not null) strict;
create table rollups (account integer, hour integer, operation text, charges integer not null, credits integer not null, primary key (account, hour, operation)) strict, without rowid;
`

/** A ledger written by hand. */
export class HandWritten {
  readonly #db: DatabaseSync
  readonly #seen: StatementSync
  readonly #grants: StatementSync
  readonly #take: StatementSync
  readonly #head: StatementSync
  readonly #saveHead: StatementSync
  readonly #insert: StatementSync
  readonly #addUp: StatementSync

  constructor(file: string) {
    this.#db = new DatabaseSync(file)
    this.#db.exec(SCHEMA)
    this.#seen = this.#db.prepare('select balance from charges where account = ? and key = ?')
    this.#grants = this.#db.prepare(
      'select id, remaining from grants where account = ? and remaining > 0 and (expires_at is null or expires_at > ?) order by priority, expires_at, id',
    )
    this.#grants.setReadBigInts(true)
    this.#take = this.#db.prepare('update grants set remaining = remaining - ? where id = ?')
    this.#head = this.#db.prepare('select hash from heads where account = ?')
    this.#saveHead = this.#db.prepare(
      'insert into heads (account, hash) values (?, ?) on conflict (account) do update set hash = excluded.hash',
    )
    this.#insert = this.#db.prepare(
      'insert into charges (account, key, operation, credits, draws, quantities, balance, created_at, hash) values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    )
    this.#addUp = this.#db.prepare(
      'insert into rollups (account, hour, operation, charges, credits) values (?, ?, ?, 1, ?) on conflict (account, hour, operation) do update set charges = charges + 1, credits = credits + excluded.credits',
    )
  }

  fill(accounts: number): void {
    const grant = this.#db.prepare('insert into grants (account, priority, expires_at, remaining) values (?, ?, ?, ?)')
    this.#db.exec('begin')
    for (let index = 0; index < accounts; index++) for (const priority of PRIORITIES) grant.run(numberOf(index), priority, null, FUNDS)
    this.#db.exec('commit')
  }

  begin(): void {
    this.#db.exec('begin immediate')
  }

  commit(): void {
    this.#db.exec('commit')
  }

  /** Charges one account, inside the caller's transaction. */
  charge(account: number, key: string): bigint {
    const nowMs = Date.now()
    if (this.#seen.get(account, key)) throw new Error('the key was used before')
    const grants = this.#grants.all(account, nowMs) as unknown as { id: bigint; remaining: bigint }[]
    const before = grants.reduce((sum, { remaining }) => sum + remaining, 0n)
    if (before < CHARGE) throw new Error('the account is short of credits')
    let left: bigint = CHARGE
    const draws: [string, string][] = []
    for (const { id, remaining } of grants) {
      const part = remaining < left ? remaining : left
      if (part === 0n) break
      this.#take.run(part, id)
      draws.push([`${id}`, `${part}`])
      left -= part
    }
    const quantities = '{"input_tokens":"374","output_tokens":"44"}'
    const previous = (this.#head.get(account) as { hash: string } | undefined)?.hash ?? ''
    const head = hash('sha256', `${previous}${account}${key}${JSON.stringify(draws)}${nowMs}`, 'base64url')
    this.#insert.run(account, key, 'llm.chat', CHARGE, JSON.stringify(draws), quantities, before - CHARGE, nowMs, head)
    this.#saveHead.run(account, head)
    this.#addUp.run(account, nowMs - (nowMs % 3_600_000), 'llm.chat', CHARGE)
    return before - CHARGE
  }

  close(): void {
    this.#db.close()
  }
}

/** Appends rows to a table like the journal, with nothing decided and nothing derived. */
export class BareAppend {
  readonly #db: DatabaseSync
  readonly #insert: StatementSync
  #position = 0

  constructor(file: string) {
    this.#db = new DatabaseSync(file)
    this.#db.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536; pragma wal_autocheckpoint = 4000;
      create table journal (position integer primary key, account integer not null, seq integer not null, at_ms integer not null, kind text not null,
        key_hash text, fingerprint text, hash text not null, body text not null) strict`)
    this.#insert = this.#db.prepare(
      'insert into journal (position, account, seq, at_ms, kind, key_hash, fingerprint, hash, body) values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    )
  }

  /** Appends a batch of copies of one row in one transaction. */
  append(row: { readonly body: string; readonly hash: string; readonly keyHash: string }, count: number): void {
    this.#db.exec('begin immediate')
    for (let index = 0; index < count; index++)
      this.#insert.run(
        ++this.#position,
        123_456_789,
        this.#position,
        1_700_000_000_000,
        'charge',
        row.keyHash,
        row.keyHash,
        row.hash,
        row.body,
      )
    this.#db.exec('commit')
  }

  close(): void {
    this.#db.close()
  }
}
