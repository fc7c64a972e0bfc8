/** Reads accounts: their profiles and their states. */

import { type AccountState, emptyAccount } from '../../core/account.ts'
import { decodeState } from '../../core/account-codec.ts'
import { evolve } from '../../core/evolve.ts'
import { decodeRecord, type JournalRow } from '../../core/record-codec.ts'
import type { AccountRow } from '../store.ts'
import { bucketOf, onRows, runOnRows, sortedAccounts, texts } from './buckets.ts'
import type { Runner, Statement } from './session.ts'

/** An account's state as it was committed. */
export interface Entry {
  readonly state: AccountState
  /** Hash of the account's last record: the state's version. */
  readonly hash: string
  /** That of the batch which wrote it: batches that follow from it have a higher one. */
  readonly tick: number
}

interface RawState {
  readonly account: number
  readonly seq: number
  readonly hash: string
  readonly tick: number
  readonly state: string
}

const states = (rows: string): string =>
  `select s.account, s.seq, s.hash, s.tick, s.state from ${rows} join account_states s on s.bucket = t.bucket and s.account = t.account`
const READ_STATES = onRows('states', [['account', 'bigint']], states)
const LOCK_STATES = onRows(
  'lock states',
  [['account', 'bigint']],
  (rows) => `${states(rows)} order by s.bucket, s.account for no key update of s`,
)
const RECORDS: Statement = {
  name: 'records up to',
  text: 'select seq, at_ms as "atMs", kind, body from journal where bucket = $1 and account = $2 and seq <= $3 order by seq',
}

/** Reads states; with `isLocked`, locks them in the order in which everybody does, until the transaction ends. */
export async function readStates(run: Runner, accounts: Iterable<number>, isLocked: boolean): Promise<ReadonlyMap<number, Entry>> {
  const rows = await runOnRows<RawState>(run, isLocked ? LOCK_STATES : READ_STATES, sortedAccounts(accounts))
  const entries = new Map<number, Entry>()
  for (const { account, seq, hash, tick, state } of rows)
    entries.set(account, { state: decodeState(state) ?? (await fold(run, account, seq)), hash, tick })
  return entries
}

/** A state that an older Obol wrote is folded anew from its records. */
async function fold(run: Runner, account: number, seq: number): Promise<AccountState> {
  const rows = await run<JournalRow>(RECORDS, [bucketOf(account), account, seq])
  return rows.map(decodeRecord).reduce(evolve, emptyAccount(account))
}

/** A row of an account as it is kept. */
export type RawAccount = Omit<AccountRow, 'metadata'> & { readonly metadata: string }

/** The columns of a row `a` of the accounts, under the names of RawAccount. */
export const ACCOUNT_COLUMNS =
  'a.number, a.name, a.external_id as "externalId", a.metadata, a.capture_policy as "capturePolicy", a.status, a.created_at_ms as "createdAtMs"'
const OWNERS: Statement = {
  name: 'owners',
  text: 'select external_id as "externalId", account from external_ids where external_id = any($1::text[])',
}
const PROFILES = onRows(
  'profiles',
  [['account', 'bigint']],
  (rows) => `select ${ACCOUNT_COLUMNS} from ${rows} join accounts a on a.bucket = t.bucket and a.number = t.account`,
)

/** The accounts that have external ids, by external id. */
export async function ownersOf(run: Runner, externalIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (externalIds.length === 0) return new Map()
  const wanted = texts(externalIds.map((externalId) => JSON.stringify(externalId)))
  const rows = await run<{ externalId: string; account: number }>(OWNERS, [wanted])
  return new Map(rows.map(({ externalId, account }) => [JSON.parse(externalId) as string, account]))
}

/** Profiles by account. */
export async function readProfiles(run: Runner, accounts: Iterable<number>): Promise<ReadonlyMap<number, AccountRow>> {
  const rows = await runOnRows<RawAccount>(run, PROFILES, sortedAccounts(accounts))
  return new Map(rows.map((row) => [row.number, decodeAccount(row)]))
}

/** Reads a row of the accounts. */
export function decodeAccount({ name, externalId, metadata, ...row }: RawAccount): AccountRow {
  return {
    ...row,
    name: JSON.parse(name) as string,
    externalId: externalId === null ? null : (JSON.parse(externalId) as string),
    metadata: JSON.parse(metadata) as Record<string, string>,
  }
}
