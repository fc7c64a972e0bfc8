/**
 * The one statement that commits a batch: states move on if they are still those that it was decided on, records are appended,
 * derived rows follow. All of it happens or nothing: a state that has moved on fails the check of the batch's own row.
 */

import type { AccountState } from '../../core/account.ts'
import { encodeState } from '../../core/account-codec.ts'
import { FOREVER_MS } from '../../core/calendar.ts'
import type { Base, Batch } from '../batch.ts'
import { encodeQuantities } from '../hour-rows.ts'
import { bucketOf, hashes, lines, numbers, texts } from './buckets.ts'
import { type DerivedRows, derivedRows, type HoldDraft } from './rows.ts'
import type { Statement } from './session.ts'

/** How a commit is known. */
export interface CommitName {
  readonly bucket: number
  readonly id: string
  readonly tick: number
}

/** A statement with its values. */
export interface Write {
  readonly statement: Statement
  readonly values: readonly unknown[]
}

/** An account as a batch leaves it. */
interface Moved {
  readonly account: number
  /** Hash of the state that it was decided on; null: the batch opens the account. */
  readonly expected: string | null
  readonly state: AccountState
  readonly hash: string
}

/** The statement that commits a batch. */
export function writeOf<Known extends Base>(batch: Batch<Known>, name: CommitName): Write {
  const moved = [...batch.working]
    // A command may come to nothing: a key that is revoked again has no record.
    .filter(([, { entry, hash }]) => entry?.hash !== hash)
    .map(([account, { entry, state, hash }]): Moved => ({ account, expected: entry?.hash ?? null, state, hash }))
    .sort((a, b) => bucketOf(a.account) - bucketOf(b.account) || a.account - b.account)
  const known = moved.filter(({ expected }) => expected !== null)
  const opened = moved.filter(({ expected }) => expected === null)
  const builder = new WriteBuilder()
  if (known.length > 0) builder.moveStates(known, name.tick)
  if (opened.length > 0) builder.openStates(opened, name.tick)
  builder.append(batch)
  const rows = derivedRows(batch as unknown as Batch)
  if (rows.grants.length > 0) builder.grants(rows.grants)
  const [openedHolds, changedHolds] = [rows.holds.filter(({ isOpened }) => isOpened), rows.holds.filter(({ isOpened }) => !isOpened)]
  if (openedHolds.length > 0) builder.openHolds(openedHolds)
  if (changedHolds.length > 0) builder.changeHolds(changedHolds)
  if (rows.refunds.length > 0) builder.refunds(rows.refunds)
  if (rows.hours.length > 0) builder.hours(rows.hours)
  return builder.done(batch, { name, states: known.length })
}

/** The bucket that a batch's own row is kept in: that of the account which is locked first. */
export function bucketOfBatch(batch: Batch<Base>): number {
  return Math.min(...[...batch.working.keys()].map(bucketOf))
}

/** Puts the parts of the statement together. The same parts give the same text, so that the server has it prepared. */
class WriteBuilder {
  readonly #names: string[] = []
  readonly #parts: string[] = []
  readonly #values: unknown[] = []

  /** The next value's place in the statement. */
  #value(value: unknown, type: string): string {
    this.#values.push(value)
    return `$${this.#values.length}::${type}`
  }

  /** Columns of `json` hold JSON texts, line by line. */
  #rows(columns: readonly (readonly [name: string, type: string, values: string])[]): string {
    const arrays = columns.map(([, type, values]) =>
      type === 'json' ? `string_to_array(${this.#value(values, 'text')}, e'\\n')` : this.#value(values, `${type}[]`),
    )
    return `unnest(${arrays.join(', ')}) t(${columns.map(([name]) => name).join(', ')})`
  }

  #part(name: string, sql: string): void {
    this.#names.push(name)
    this.#parts.push(`${name} as (${sql})`)
  }

  #accountColumns(accounts: readonly number[]): [name: string, type: string, values: string][] {
    return [
      ['bucket', 'smallint', numbers(accounts.map(bucketOf))],
      ['account', 'bigint', numbers(accounts)],
    ]
  }

  #stateColumns(moved: readonly Moved[]): [name: string, type: string, values: string][] {
    return [
      ...this.#accountColumns(moved.map(({ account }) => account)),
      ['seq', 'bigint', numbers(moved.map(({ state }) => state.seq))],
      ['hash', 'text', hashes(moved.map(({ hash }) => hash))],
      ['due_ms', 'bigint', numbers(moved.map(({ state }) => (state.dueMs === FOREVER_MS ? null : state.dueMs)))],
      ['state', 'json', lines(moved.map(({ state }) => encodeState(state)))],
    ]
  }

  moveStates(moved: readonly Moved[], tick: number): void {
    const rows = this.#rows([...this.#stateColumns(moved), ['expected', 'text', hashes(moved.map(({ expected }) => expected))]])
    this.#part(
      'moved',
      `update account_states s set seq = t.seq, hash = t.hash, tick = ${this.#value(tick, 'bigint')}, due_ms = t.due_ms, state = t.state
       from ${rows} where s.bucket = t.bucket and s.account = t.account and s.hash = t.expected returning 1`,
    )
  }

  openStates(opened: readonly Moved[], tick: number): void {
    this.#part(
      'opened',
      `insert into account_states (bucket, account, seq, hash, tick, due_ms, state)
       select t.bucket, t.account, t.seq, t.hash, ${this.#value(tick, 'bigint')}, t.due_ms, t.state from ${this.#rows(this.#stateColumns(opened))}`,
    )
  }

  append({ pending }: Pick<Batch<Base>, 'pending'>): void {
    const rows = pending.map(({ row }) => row)
    const from = this.#rows([
      ...this.#accountColumns(rows.map(({ account }) => account)),
      ['seq', 'bigint', numbers(rows.map(({ seq }) => seq))],
      ['at_ms', 'bigint', numbers(rows.map(({ atMs }) => atMs))],
      ['kind', 'text', hashes(rows.map(({ kind }) => kind))],
      ['key_hash', 'text', hashes(rows.map(({ keyHash }) => keyHash))],
      ['fingerprint', 'text', hashes(rows.map(({ fingerprint }) => fingerprint))],
      ['hash', 'text', hashes(rows.map(({ hash }) => hash))],
      ['body', 'json', lines(rows.map(({ body }) => body))],
    ])
    this.#part(
      'appended',
      `insert into journal (bucket, account, seq, at_ms, kind, key_hash, fingerprint, hash, body)
       select t.bucket, t.account, t.seq, t.at_ms, t.kind, t.key_hash, t.fingerprint, t.hash, t.body from ${from}`,
    )
  }

  #ownedColumns(rows: readonly { readonly account: number; readonly seq: number }[]): [name: string, type: string, values: string][] {
    return [...this.#accountColumns(rows.map(({ account }) => account)), ['seq', 'bigint', numbers(rows.map(({ seq }) => seq))]]
  }

  grants(rows: DerivedRows['grants']): void {
    const from = this.#rows([...this.#ownedColumns(rows), ['status', 'text', hashes(rows.map(({ status }) => status))]])
    this.#part(
      'granted',
      `insert into grants (bucket, account, seq, status) select t.bucket, t.account, t.seq, t.status from ${from}
       on conflict (bucket, account, seq) do update set status = excluded.status`,
    )
  }

  #holdColumns(holds: readonly HoldDraft[]): [name: string, type: string, values: string][] {
    return [
      ...this.#ownedColumns(holds),
      ['status', 'text', hashes(holds.map(({ status }) => status))],
      ['credits', 'bigint', numbers(holds.map(({ credits }) => credits))],
      ['held', 'bigint', numbers(holds.map(({ held }) => held))],
      ['expires_at_ms', 'bigint', numbers(holds.map(({ expiresAtMs }) => expiresAtMs))],
      ['late_charge', 'bigint', numbers(holds.map(({ lateCharge }) => lateCharge))],
    ]
  }

  openHolds(holds: readonly HoldDraft[]): void {
    this.#part(
      'held',
      `insert into holds (bucket, account, seq, status, credits, held, expires_at_ms, late_charge)
       select t.bucket, t.account, t.seq, coalesce(t.status, 'live'), t.credits, coalesce(t.held, 0), t.expires_at_ms, t.late_charge
       from ${this.#rows(this.#holdColumns(holds))}`,
    )
  }

  changeHolds(holds: readonly HoldDraft[]): void {
    this.#part(
      'unheld',
      `update holds h set status = coalesce(t.status, h.status), credits = h.credits + t.credits, held = coalesce(t.held, h.held),
         expires_at_ms = coalesce(t.expires_at_ms, h.expires_at_ms), late_charge = coalesce(t.late_charge, h.late_charge)
       from ${this.#rows(this.#holdColumns(holds))} where h.bucket = t.bucket and h.account = t.account and h.seq = t.seq`,
    )
  }

  refunds(rows: DerivedRows['refunds']): void {
    const from = this.#rows([...this.#ownedColumns(rows), ['credits', 'bigint', numbers(rows.map(({ credits }) => credits))]])
    this.#part(
      'refunded',
      `insert into refunds (bucket, account, charge, refunded) select t.bucket, t.account, t.seq, t.credits from ${from}
       on conflict (bucket, account, charge) do update set refunded = refunds.refunded + excluded.refunded`,
    )
  }

  hours(rows: DerivedRows['hours']): void {
    const from = this.#rows([
      ...this.#accountColumns(rows.map(({ account }) => account)),
      ['hour_ms', 'bigint', numbers(rows.map(({ hour }) => hour.hourMs))],
      ['operation', 'text', texts(rows.map(({ hour }) => hour.operation))],
      ['key', 'bigint', numbers(rows.map(({ hour }) => hour.key ?? 0))],
      ['credit_type', 'text', texts(rows.map(({ hour }) => hour.creditType))],
      ['closed_by', 'bigint', numbers(rows.map(({ closedBy }) => closedBy))],
      ['charges', 'bigint', numbers(rows.map(({ hour }) => hour.charges))],
      ['credits', 'numeric', numbers(rows.map(({ hour }) => hour.credits))],
      ['refunds', 'bigint', numbers(rows.map(({ hour }) => hour.refunds))],
      ['refunded', 'numeric', numbers(rows.map(({ hour }) => hour.refunded))],
      ['quantities', 'text', texts(rows.map(({ hour }) => encodeQuantities(hour.quantities)))],
    ])
    const columns = 'hour_ms, operation, key, credit_type, closed_by, charges, credits, refunds, refunded, quantities'
    this.#part(
      'counted',
      `insert into rollups (bucket, account, ${columns}) select t.bucket, t.account, ${columns
        .split(', ')
        .map((column) => `t.${column}`)
        .join(', ')} from ${from}`,
    )
  }

  done({ pending }: Pick<Batch<Base>, 'pending'>, { name, states }: { readonly name: CommitName; readonly states: number }): Write {
    const values = [
      this.#value(name.bucket, 'smallint'),
      this.#value(name.id, 'uuid'),
      this.#value(name.tick, 'bigint'),
      this.#value(Math.max(...pending.map(({ record }) => record.atMs)), 'bigint'),
      this.#value(states, 'integer'),
      states > 0 ? '(select count(*) from moved)' : '0',
      this.#value(numbers(pending.map(({ row }) => row.account)), 'bigint[]'),
      this.#value(numbers(pending.map(({ row }) => row.seq)), 'bigint[]'),
    ]
    const text = `with ${this.#parts.join(',\n')}
      insert into batches (bucket, id, tick, at_ms, states, moved, accounts, seqs) values (${values.join(', ')})`
    return { statement: { name: `write ${this.#names.map((part) => part.slice(0, 2)).join(' ')}`, text }, values: this.#values }
  }
}

/**
 * Gives up a commit whose outcome was lost: afterwards it cannot happen any more, unless it has. Waits for one that is still on its
 * way, and may be asked again: a batch that was given up is known by its having no records.
 */
export const GIVE_UP: Statement = {
  name: 'give up',
  text: `insert into batches (bucket, id, tick, at_ms, states, moved, accounts, seqs) values ($1, $2, $3, 0, 0, 0, '{}', '{}')
         on conflict (bucket, id) do update set tick = batches.tick returning cardinality(seqs) > 0 as "hasHappened"`,
}
