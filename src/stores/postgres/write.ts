/**
 * What commits a batch: states move on if they are still those that it was decided on, records are appended, derived rows follow. All of it
 * happens or nothing: a state that has moved on fails the check of the batch's own row. It is one statement, or, for a batch that keeps
 * to one bucket, a statement for each table in one transaction: Citus has no node run statements that write several tables.
 */

import { type AccountState, sweepDueMs } from '../../core/account.ts'
import { encodeState } from '../../core/account-codec.ts'
import { statusOf } from '../../core/subscription.ts'
import { encodeSubscriptionText } from '../../core/subscription-codec.ts'
import type { DecidedBatch } from '../batch.ts'
import { encodeQuantities } from '../hour-rows.ts'
import type { Reach } from './address.ts'
import { bucketOf, hashes, lines, numbers, rowsOfBucket, texts } from './buckets.ts'
import type { DerivedRows, HoldDraft } from './rows.ts'
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

/** The statements that commit a batch: one, or one for each table. */
export function writesOf(
  batch: DecidedBatch,
  name: CommitName,
  { rows, reach }: { readonly rows: DerivedRows; readonly reach: Reach },
): readonly Write[] {
  const moved = [...batch.working]
    // A command may come to nothing: a key that is revoked again has no record.
    .filter(([, { entry, hash }]) => entry?.hash !== hash)
    .map(([account, { entry, state, hash }]): Moved => ({ account, expected: entry?.hash ?? null, state, hash }))
    .sort((a, b) => bucketOf(a.account) - bucketOf(b.account) || a.account - b.account)
  const parts = partsOf(batch, moved, rows)
  const own = { name, known: moved.filter(({ expected }) => expected !== null) }
  return reach === 'any' ? [inOneStatement(parts, batch, own)] : inStatements(parts, batch, own)
}

/** The bucket that a batch's own row is kept in: that of the account which is locked first. */
export function bucketOfBatch(batch: DecidedBatch): number {
  return Math.min(...[...batch.working.keys()].map(bucketOf))
}

/** A column of rows, with its values as they are sent; `json` ones are JSON texts, line by line. */
type Values = readonly [name: string, type: string, values: string]

/** What is written to one table. */
interface Part {
  readonly name: string
  readonly accounts: readonly number[]
  /** Columns of its rows besides bucket and account. */
  readonly columns: readonly Values[]
  /** Its text around the source of its rows, which is named t, and the place of the batch's tick. */
  readonly text: (rows: string, tick: () => string) => string
}

/** What a batch writes besides its own row, in the order of the tables. Parts that have no rows are left out. */
function partsOf(batch: DecidedBatch, moved: readonly Moved[], rows: DerivedRows): readonly Part[] {
  const known = moved.filter(({ expected }) => expected !== null)
  const opened = moved.filter(({ expected }) => expected === null)
  const openedHolds = rows.holds.filter(({ isOpened }) => isOpened)
  const changedHolds = rows.holds.filter(({ isOpened }) => !isOpened)
  return [
    ...(known.length > 0 ? [moveStates(known)] : []),
    ...(opened.length > 0 ? [openStates(opened)] : []),
    append(batch),
    ...(rows.grants.length > 0 ? [grants(rows.grants)] : []),
    ...(openedHolds.length > 0 ? [openHolds(openedHolds)] : []),
    ...(changedHolds.length > 0 ? [changeHolds(changedHolds)] : []),
    ...(rows.refunds.length > 0 ? [refunds(rows.refunds)] : []),
    ...(rows.hours.length > 0 ? [hours(rows.hours)] : []),
    ...(rows.subscriptions.length > 0 ? [subscriptions(rows.subscriptions)] : []),
    ...(rows.autoTopups.length > 0 ? [autoTopups(rows.autoTopups)] : []),
  ]
}

function stateColumns(moved: readonly Moved[]): readonly Values[] {
  return [
    ['seq', 'bigint', numbers(moved.map(({ state }) => state.seq))],
    ['hash', 'text', hashes(moved.map(({ hash }) => hash))],
    ['due_ms', 'bigint', numbers(moved.map(({ state }) => sweepDueMs(state)))],
    ['state', 'json', lines(moved.map(({ state }) => encodeState(state)))],
  ]
}

function moveStates(moved: readonly Moved[]): Part {
  return {
    name: 'moved',
    accounts: moved.map(({ account }) => account),
    columns: [...stateColumns(moved), ['expected', 'text', hashes(moved.map(({ expected }) => expected))]],
    text: (rows, tick) =>
      `update account_states s set seq = t.seq, hash = t.hash, tick = ${tick()}, due_ms = t.due_ms, state = t.state
       from ${rows} where s.bucket = t.bucket and s.account = t.account and s.hash = t.expected`,
  }
}

function openStates(opened: readonly Moved[]): Part {
  return {
    name: 'opened',
    accounts: opened.map(({ account }) => account),
    columns: stateColumns(opened),
    text: (rows, tick) =>
      `insert into account_states (bucket, account, seq, hash, tick, due_ms, state)
       select t.bucket, t.account, t.seq, t.hash, ${tick()}, t.due_ms, t.state from ${rows}`,
  }
}

function append({ pending }: DecidedBatch): Part {
  const rows = pending.map(({ row }) => row)
  return {
    name: 'appended',
    accounts: rows.map(({ account }) => account),
    columns: [
      ['seq', 'bigint', numbers(rows.map(({ seq }) => seq))],
      ['at_ms', 'bigint', numbers(rows.map(({ atMs }) => atMs))],
      ['kind', 'text', hashes(rows.map(({ kind }) => kind))],
      ['key_hash', 'text', hashes(rows.map(({ keyHash }) => keyHash))],
      ['fingerprint', 'text', hashes(rows.map(({ fingerprint }) => fingerprint))],
      ['hash', 'text', hashes(rows.map(({ hash }) => hash))],
      ['body', 'json', lines(rows.map(({ body }) => body))],
    ],
    text: (source) =>
      `insert into journal (bucket, account, seq, at_ms, kind, key_hash, fingerprint, hash, body)
       select t.bucket, t.account, t.seq, t.at_ms, t.kind, t.key_hash, t.fingerprint, t.hash, t.body from ${source}`,
  }
}

function owned(rows: readonly { readonly account: number; readonly seq: number }[]): {
  readonly accounts: readonly number[]
  readonly seqs: Values
} {
  return { accounts: rows.map(({ account }) => account), seqs: ['seq', 'bigint', numbers(rows.map(({ seq }) => seq))] }
}

function grants(rows: DerivedRows['grants']): Part {
  const { accounts, seqs } = owned(rows)
  return {
    name: 'granted',
    accounts,
    columns: [seqs, ['status', 'text', hashes(rows.map(({ status }) => status))]],
    text: (source) =>
      `insert into grants (bucket, account, seq, status) select t.bucket, t.account, t.seq, t.status from ${source}
       on conflict (bucket, account, seq) do update set status = excluded.status`,
  }
}

function holdColumns(holds: readonly HoldDraft[]): readonly Values[] {
  return [
    owned(holds).seqs,
    ['status', 'text', hashes(holds.map(({ status }) => status))],
    ['credits', 'bigint', numbers(holds.map(({ credits }) => credits))],
    ['held', 'bigint', numbers(holds.map(({ held }) => held))],
    ['expires_at_ms', 'bigint', numbers(holds.map(({ expiresAtMs }) => expiresAtMs))],
    ['late_charge', 'bigint', numbers(holds.map(({ lateCharge }) => lateCharge))],
  ]
}

function openHolds(holds: readonly HoldDraft[]): Part {
  return {
    name: 'held',
    accounts: owned(holds).accounts,
    columns: holdColumns(holds),
    text: (source) =>
      `insert into holds (bucket, account, seq, status, credits, held, expires_at_ms, late_charge)
       select t.bucket, t.account, t.seq, coalesce(t.status, 'live'), t.credits, coalesce(t.held, 0), t.expires_at_ms, t.late_charge from ${source}`,
  }
}

function changeHolds(holds: readonly HoldDraft[]): Part {
  return {
    name: 'unheld',
    accounts: owned(holds).accounts,
    columns: holdColumns(holds),
    text: (source) =>
      `update holds h set status = coalesce(t.status, h.status), credits = h.credits + t.credits, held = coalesce(t.held, h.held),
         expires_at_ms = coalesce(t.expires_at_ms, h.expires_at_ms), late_charge = coalesce(t.late_charge, h.late_charge)
       from ${source} where h.bucket = t.bucket and h.account = t.account and h.seq = t.seq`,
  }
}

function refunds(rows: DerivedRows['refunds']): Part {
  const { accounts, seqs } = owned(rows)
  return {
    name: 'refunded',
    accounts,
    columns: [seqs, ['credits', 'bigint', numbers(rows.map(({ credits }) => credits))]],
    text: (source) =>
      `insert into refunds (bucket, account, charge, refunded) select t.bucket, t.account, t.seq, t.credits from ${source}
       on conflict (bucket, account, charge) do update set refunded = refunds.refunded + excluded.refunded`,
  }
}

function hours(rows: DerivedRows['hours']): Part {
  const columns = 'hour_ms, operation, key, credit_type, closed_by, charges, credits, refunds, refunded, quantities'
  const read = columns.replaceAll(/\w+/g, (column) => `t.${column}`)
  return {
    name: 'counted',
    accounts: rows.map(({ account }) => account),
    columns: [
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
    ],
    text: (source) => `insert into rollups (bucket, account, ${columns}) select t.bucket, t.account, ${read} from ${source}`,
  }
}

function subscriptions(rows: DerivedRows['subscriptions']): Part {
  const { accounts, seqs } = owned(rows)
  return {
    name: 'subscribed',
    accounts,
    columns: [
      seqs,
      ['status', 'text', hashes(rows.map(({ change }) => statusOf(change.subscription)))],
      ['asking_ms', 'bigint', numbers(rows.map(({ change }) => change.askingMs))],
      ['state', 'json', lines(rows.map(({ change }) => encodeSubscriptionText(change.subscription)))],
    ],
    text: (source) =>
      `insert into subscriptions (bucket, account, seq, status, asking_ms, state)
       select t.bucket, t.account, t.seq, t.status, t.asking_ms, t.state from ${source}
       on conflict (bucket, account, seq) do update set status = excluded.status, asking_ms = excluded.asking_ms, state = excluded.state`,
  }
}

function autoTopups(rows: DerivedRows['autoTopups']): Part {
  return {
    name: 'topped_up',
    accounts: rows.map(({ account }) => account),
    columns: [['asking_ms', 'bigint', numbers(rows.map(({ change }) => change.askingMs))]],
    text: (source) =>
      `insert into auto_topups (bucket, account, asking_ms) select t.bucket, t.account, t.asking_ms from ${source}
       on conflict (bucket, account) do update set asking_ms = excluded.asking_ms`,
  }
}

/** Values of a statement, each with its place in it. */
class Placed {
  readonly values: unknown[] = []

  add(value: unknown, type: string): string {
    this.values.push(value)
    return `$${this.values.length}::${type}`
  }

  /** The arrays of a part's rows besides their buckets, and the names of those columns. */
  rows({ accounts, columns }: Part): { readonly names: string; readonly arrays: string } {
    const all: readonly Values[] = [['account', 'bigint', numbers(accounts)], ...columns]
    const arrays = all.map(([, type, values]) =>
      type === 'json' ? `string_to_array(${this.add(values, 'text')}, e'\\n')` : this.add(values, `${type}[]`),
    )
    return { names: all.map(([name]) => name).join(', '), arrays: arrays.join(', ') }
  }
}

/** What the batch's own row is made of. */
interface OwnRow {
  readonly name: CommitName
  /** The accounts whose states were to be moved on. */
  readonly known: readonly Moved[]
}

const OWN_COLUMNS = 'insert into batches (bucket, id, tick, at_ms, states, accounts, seqs, moved)'

/** The values of OWN_COLUMNS but the last. */
function ownValues(placed: Placed, { pending }: DecidedBatch, { name, known }: OwnRow): string {
  return [
    placed.add(name.bucket, 'smallint'),
    placed.add(name.id, 'uuid'),
    placed.add(name.tick, 'bigint'),
    placed.add(Math.max(...pending.map(({ row }) => row.atMs)), 'bigint'),
    placed.add(known.length, 'integer'),
    placed.add(numbers(pending.map(({ row }) => row.account)), 'bigint[]'),
    placed.add(numbers(pending.map(({ row }) => row.seq)), 'bigint[]'),
  ].join(', ')
}

/** Everything in one statement. The same parts give the same text, so that the server has it prepared. */
function inOneStatement(parts: readonly Part[], batch: DecidedBatch, own: OwnRow): Write {
  const placed = new Placed()
  const tables = parts.map((part) => {
    const buckets = placed.add(numbers(part.accounts.map(bucketOf)), 'smallint[]')
    const { names, arrays } = placed.rows(part)
    const text = part.text(`unnest(${buckets}, ${arrays}) t(bucket, ${names})`, () => placed.add(own.name.tick, 'bigint'))
    return `${part.name} as (${text}${part.name === 'moved' ? ' returning 1' : ''})`
  })
  const moved = own.known.length > 0 ? '(select count(*) from moved)' : '0'
  const text = `with ${tables.join(',\n')} ${OWN_COLUMNS} values (${ownValues(placed, batch, own)}, ${moved})`
  return { statement: { name: `write ${parts.map(({ name }) => name.slice(0, 2)).join(' ')}`, text }, values: placed.values }
}

/** A statement for each table, all of one bucket. Whether states were moved on is seen by their having the new hashes. */
function inStatements(parts: readonly Part[], batch: DecidedBatch, own: OwnRow): readonly Write[] {
  const writes = parts.map((part): Write => {
    const placed = new Placed()
    placed.add(own.name.bucket, 'smallint')
    const { names, arrays } = placed.rows(part)
    const text = part.text(rowsOfBucket(names, arrays), () => placed.add(own.name.tick, 'bigint'))
    return { statement: { name: `write ${part.name}`, text }, values: placed.values }
  })
  const placed = new Placed()
  const values = ownValues(placed, batch, own)
  const accounts = placed.add(numbers(own.known.map(({ account }) => account)), 'bigint[]')
  const moved = placed.add(hashes(own.known.map(({ hash }) => hash)), 'text[]')
  const text = `${OWN_COLUMNS} select ${values}, count(*)::integer from unnest(${accounts}, ${moved}) t(account, hash)
    join account_states s on s.bucket = $1::smallint and s.account = t.account and s.hash = t.hash`
  return [...writes, { statement: { name: 'write batch', text }, values: placed.values }]
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
