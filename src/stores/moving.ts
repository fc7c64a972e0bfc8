/**
 * Moves a store to another place and kind. The journal is copied as it is, in the order of its records; everything else is made from it
 * again by the target, as if it had been committed there. Then both are audited and compared. The target has its name only when that is done:
 * until then it lies beside it, and no server starts there.
 */

import { createHash } from 'node:crypto'
import type { AccountState } from '../core/account.ts'
import { encodeState } from '../core/account-codec.ts'
import { balanceOf } from '../core/balance.ts'
import type { BatchRow } from './batch.ts'
import { PLAIN_TABLES } from './statements.ts'
import type { AccountRow, AuditReport } from './store.ts'

/** A price book as it is kept. */
export interface KeptBook {
  readonly version: number
  readonly effectiveAtMs: number
  readonly publishedAtMs: number
  readonly prices: string
  readonly keyHash: string | null
  readonly fingerprint: string | null
}

/** When an API key was last used. */
export interface KeyUse {
  readonly account: number
  readonly seq: number
  readonly atMs: number
}

/** An account as a store keeps it. */
export interface KeptAccount {
  readonly row: AccountRow
  readonly state: AccountState
  /** Hash of its last record. */
  readonly hash: string
  /** By sequence of the key. */
  readonly uses: readonly KeyUse[]
}

/** A row of a plain table: its values as texts, by the names of its columns in order. */
export type PlainRow = readonly (string | null)[]

/** A store that nothing but a move works on. */
export interface StoppedStore {
  /** Where it is, without secrets. */
  readonly shown: string
  records(): Promise<number>
  /** Rows of the journal after a position, in the order of the feed. */
  rows(after: number, limit: number): Promise<readonly BatchRow[]>
  /** Accounts in the order in which they were opened, after one of them. */
  accounts(after: number | null, limit: number): Promise<readonly KeptAccount[]>
  /** What the server keeps for itself; a store's own bookkeeping is left out. */
  settings(): Promise<ReadonlyMap<string, string>>
  priceBooks(): Promise<readonly KeptBook[]>
  /** Rows of a plain table in the order of its primary key, after one of them. */
  plainRows(table: string, after: PlainRow | null, limit: number): Promise<readonly PlainRow[]>
  audit(): Promise<AuditReport>
  close(): Promise<void>
}

/** Where a store is to be made. */
export interface MoveTarget extends StoppedStore {
  saveSettings(settings: ReadonlyMap<string, string>): Promise<void>
  saveBooks(books: readonly KeptBook[]): Promise<void>
  savePlainRows(table: string, rows: readonly PlainRow[]): Promise<void>
  /** Appends rows that continue what is there, and all that is derived from them. */
  append(rows: readonly BatchRow[]): Promise<void>
  saveUses(uses: readonly KeyUse[]): Promise<void>
  /** Finishes what is derived, so that it can be audited and read. */
  settle(): Promise<void>
  /** Gives the store its name. From then on servers start on it. */
  publish(): Promise<void>
}

/** How far a move is. */
export interface MoveProgress {
  readonly step: 'verify the source' | 'copy' | 'verify the target' | 'compare'
  readonly done: number
  readonly total: number
}

/** What was moved, the same on both sides. */
export interface Moved {
  readonly accounts: number
  readonly records: number
  readonly price_books: number
  readonly settings: number
  /** SHA-256 over all records in their order. */
  readonly journal_digest: string
  /** Settled credits of all accounts together, in micro-credits, by credit type. */
  readonly settled: Readonly<Record<string, bigint>>
}

/** Thrown when a move has not succeeded. The source is as it was, and the target has not got its name. */
export class MoveFailedError extends Error {
  override readonly name = 'MoveFailedError'
}

const ROWS_AT_ONCE = 2_000
const ACCOUNTS_AT_ONCE = 500

type Report = (progress: MoveProgress) => void

/** Copies, proves and publishes. Throws MoveFailedError. */
export async function moveStore(
  source: StoppedStore,
  target: MoveTarget,
  report: Report,
  plainTables: readonly string[] = PLAIN_TABLES,
): Promise<Moved> {
  const total = await source.records()
  report({ step: 'verify the source', done: 0, total })
  await assertSound(source, 'Nothing was moved. Run obol verify on it, and see docs/reference/audit.md.')
  await target.saveSettings(await source.settings())
  await target.saveBooks(await source.priceBooks())
  for (const table of plainTables) for await (const rows of plainRowsOf(source, table)) await target.savePlainRows(table, rows)
  for await (const rows of journalOf(source)) {
    await target.append(rows)
    report({ step: 'copy', done: rows.at(-1)?.position ?? 0, total })
  }
  for await (const accounts of accountsOf(source)) await target.saveUses(accounts.flatMap(({ uses }) => uses))
  await target.settle()
  report({ step: 'verify the target', done: 0, total })
  await assertSound(target, 'The source is as it was. Report this, with the first difference.')
  if ((await source.records()) !== total)
    throw new MoveFailedError(`${source.shown} was written while it was copied. Stop its servers, and move it again.`)
  const moved = await compare({ source, target, plainTables }, report)
  await target.publish()
  return moved
}

async function assertSound(store: StoppedStore, advice: string): Promise<void> {
  const { differences } = await store.audit()
  const [first] = differences
  if (first) throw new MoveFailedError(`${store.shown} does not verify (${first.check}: ${first.detail}). ${advice}`)
}

async function* journalOf(store: StoppedStore): AsyncGenerator<readonly BatchRow[]> {
  for (let rows = await store.rows(0, ROWS_AT_ONCE); rows.length > 0; ) {
    yield rows
    rows = await store.rows(rows.at(-1)?.position ?? 0, ROWS_AT_ONCE)
  }
}

async function* accountsOf(store: StoppedStore): AsyncGenerator<readonly KeptAccount[]> {
  for (let accounts = await store.accounts(null, ACCOUNTS_AT_ONCE); accounts.length > 0; ) {
    yield accounts
    accounts = await store.accounts(accounts.at(-1)?.row.number ?? null, ACCOUNTS_AT_ONCE)
  }
}

async function* plainRowsOf(store: StoppedStore, table: string): AsyncGenerator<readonly PlainRow[]> {
  for (let rows = await store.plainRows(table, null, ROWS_AT_ONCE); rows.length > 0; ) {
    yield rows
    rows = await store.plainRows(table, rows.at(-1) ?? null, ROWS_AT_ONCE)
  }
}

interface Compared {
  readonly source: StoppedStore
  readonly target: StoppedStore
  readonly plainTables: readonly string[]
}

/** Compares everything, in the order in which each store has it. */
async function compare({ source, target, plainTables }: Compared, report: Report): Promise<Moved> {
  const [from, to] = await Promise.all([portraitOf(source, plainTables, () => {}), portraitOf(target, plainTables, report)])
  for (const [what, value] of Object.entries(from)) {
    const other = to[what as keyof Portrait]
    const [known, found] = [asText(value), asText(other)]
    if (known !== found)
      throw new MoveFailedError(`${target.shown} is not equal to ${source.shown}: its ${what} is ${found}, not ${known}.`)
  }
  const { accounts_digest: _, books_digest: __, settings_digest: ___, plain_digest: ____, ...moved } = from
  return moved
}

interface Portrait extends Moved {
  readonly accounts_digest: string
  readonly books_digest: string
  readonly settings_digest: string
  readonly plain_digest: string
}

/** All that two stores must have in common. */
async function portraitOf(store: StoppedStore, plainTables: readonly string[], report: Report): Promise<Portrait> {
  const { lastMs, ...journal } = await readJournal(store, report)
  const books = await store.priceBooks()
  const settings = [...(await store.settings())].sort()
  return {
    ...journal,
    ...(await readAccounts(store, lastMs)),
    price_books: books.length,
    settings: settings.length,
    books_digest: digestOf(books),
    settings_digest: digestOf(settings),
    plain_digest: await readPlain(store, plainTables),
  }
}

async function readJournal(
  store: StoppedStore,
  report: Report,
): Promise<Pick<Portrait, 'records' | 'journal_digest'> & { readonly lastMs: number }> {
  const total = await store.records()
  const digest = createHash('sha256')
  let records = 0
  let lastMs = 0
  for await (const rows of journalOf(store)) {
    for (const { position, account, seq, atMs, kind, keyHash, fingerprint, hash, body } of rows) {
      lastMs = Math.max(lastMs, atMs)
      digest.update(JSON.stringify([position, account, seq, atMs, kind, keyHash, fingerprint, hash, body]))
    }
    records += rows.length
    report({ step: 'compare', done: records, total })
  }
  return { records, journal_digest: digest.digest('base64url'), lastMs }
}

/** Balances are those at the time of the last record. */
async function readAccounts(store: StoppedStore, lastMs: number): Promise<Pick<Portrait, 'accounts' | 'settled' | 'accounts_digest'>> {
  const digest = createHash('sha256')
  const settled: Record<string, bigint> = {}
  let accounts = 0
  for await (const some of accountsOf(store))
    for (const { row, state, hash, uses } of some) {
      accounts++
      const balances = state.pools.map((pool) => [pool.creditType, balanceOf(pool, lastMs)] as const)
      for (const [creditType, balance] of balances) settled[creditType] = (settled[creditType] ?? 0n) + balance.settled
      digest.update(asText([row, encodeState(state), hash, uses, balances]))
    }
  return { accounts, settled, accounts_digest: digest.digest('base64url') }
}

async function readPlain(store: StoppedStore, tables: readonly string[]): Promise<string> {
  const digest = createHash('sha256')
  for (const table of tables) {
    digest.update(`${table}\n`)
    for await (const rows of plainRowsOf(store, table)) for (const row of rows) digest.update(JSON.stringify(row))
  }
  return digest.digest('base64url')
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(asText(value)).digest('base64url')
}

/** JSON whose fields are in one order, whichever they were read in; amounts in full. */
function asText(value: unknown): string {
  return JSON.stringify(value, (_, part) => {
    if (typeof part === 'bigint') return `${part}n`
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
