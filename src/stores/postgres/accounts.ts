/** Reads accounts: their profiles and their states. */

import { type AccountState, emptyAccount } from '../../core/account.ts'
import { decodeState } from '../../core/account-codec.ts'
import { evolve } from '../../core/evolve.ts'
import { decodeRecord, type JournalRow } from '../../core/record-codec.ts'
import type { AccountRow } from '../store.ts'
import { bucketOf, sortedAccounts, texts } from './buckets.ts'
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

const STATES = `select s.account, s.seq, s.hash, s.tick, s.state from unnest($1::smallint[], $2::bigint[]) t(bucket, account)
                join account_states s on s.bucket = t.bucket and s.account = t.account`
const READ_STATES: Statement = { name: 'states', text: STATES }
const LOCK_STATES: Statement = { name: 'lock states', text: `${STATES} order by s.bucket, s.account for no key update of s` }
const RECORDS: Statement = {
  name: 'records up to',
  text: 'select seq, at_ms as "atMs", kind, body from journal where bucket = $1 and account = $2 and seq <= $3 order by seq',
}

/** Reads states; with `isLocked`, locks them in the order in which everybody does, until the transaction ends. */
export async function readStates(run: Runner, accounts: Iterable<number>, isLocked: boolean): Promise<ReadonlyMap<number, Entry>> {
  const wanted = sortedAccounts(accounts)
  const rows = await run<RawState>(isLocked ? LOCK_STATES : READ_STATES, [wanted.buckets, wanted.accounts])
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

type RawAccount = Omit<AccountRow, 'metadata'> & { readonly metadata: string }

const COLUMNS =
  'a.number, a.name, a.external_id as "externalId", a.metadata, a.capture_policy as "capturePolicy", a.status, a.created_at_ms as "createdAtMs"'
const OWNERS: Statement = {
  name: 'owners',
  text: 'select external_id as "externalId", number from accounts where external_id = any($1::text[])',
}
const PROFILES: Statement = {
  name: 'profiles',
  text: `select ${COLUMNS} from unnest($1::smallint[], $2::bigint[]) t(bucket, number) join accounts a on a.bucket = t.bucket and a.number = t.number`,
}
const NEWEST: Statement = {
  name: 'newest accounts',
  text: `select ${COLUMNS} from accounts a order by a.opened_tick desc, a.opened_place desc, a.number desc limit $1`,
}
const opening = '(select b.opened_tick, b.opened_place, b.number from accounts b where b.bucket = $1 and b.number = $2)'
const OLDER: Statement = {
  name: 'older accounts',
  text: `select ${COLUMNS} from accounts a where (a.opened_tick, a.opened_place, a.number) < ${opening}
         order by a.opened_tick desc, a.opened_place desc, a.number desc limit $3`,
}
const NEWER: Statement = {
  name: 'newer accounts',
  text: `select ${COLUMNS} from accounts a where (a.opened_tick, a.opened_place, a.number) > ${opening}
         order by a.opened_tick, a.opened_place, a.number limit $3`,
}
const DUE: Statement = { name: 'due', text: 'select account from account_states where due_ms <= $1 order by due_ms limit $2' }

/** The accounts that have external ids, by external id. */
export async function ownersOf(run: Runner, externalIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (externalIds.length === 0) return new Map()
  const wanted = texts(externalIds.map((externalId) => JSON.stringify(externalId)))
  const rows = await run<{ externalId: string; number: number }>(OWNERS, [wanted])
  return new Map(rows.map(({ externalId, number }) => [JSON.parse(externalId) as string, number]))
}

/** Profiles by account. */
export async function readProfiles(run: Runner, accounts: Iterable<number>): Promise<ReadonlyMap<number, AccountRow>> {
  const wanted = sortedAccounts(accounts)
  const rows = await run<RawAccount>(PROFILES, [wanted.buckets, wanted.accounts])
  return new Map(rows.map((row) => [row.number, decodeAccount(row)]))
}

/** A page of accounts, in the order in which they were opened. */
export async function listAccounts(
  run: Runner,
  { limit, before, after }: { readonly limit: number; readonly before?: number; readonly after?: number },
): Promise<readonly AccountRow[]> {
  const from = after ?? before
  const rows =
    from === undefined
      ? await run<RawAccount>(NEWEST, [limit])
      : await run<RawAccount>(after === undefined ? OLDER : NEWER, [bucketOf(from), from, limit])
  return rows.map(decodeAccount)
}

/** Accounts in which something is due, the longest overdue first. */
export async function dueAccounts(run: Runner, nowMs: number, limit: number): Promise<readonly number[]> {
  const rows = await run<{ account: number }>(DUE, [nowMs, limit])
  return rows.map(({ account }) => account)
}

function decodeAccount({ name, externalId, metadata, ...row }: RawAccount): AccountRow {
  return {
    ...row,
    name: JSON.parse(name) as string,
    externalId: externalId === null ? null : (JSON.parse(externalId) as string),
    metadata: JSON.parse(metadata) as Record<string, string>,
  }
}
