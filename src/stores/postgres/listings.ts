/** Lists over all accounts: in the order in which they were opened, and by what is due. */

import type { AccountRow } from '../store.ts'
import { ACCOUNT_COLUMNS, decodeAccount, type RawAccount } from './accounts.ts'
import { bucketOf } from './buckets.ts'
import type { Readers } from './readers.ts'
import type { Runner, Statement } from './session.ts'
import { sweep } from './sweeps.ts'

/** When an account was opened, which orders accounts. */
interface Opening {
  readonly tick: number
  readonly place: number
  readonly number: number
}

type OpenedAccount = RawAccount & Opening

const OPENED = `select ${ACCOUNT_COLUMNS}, a.opened_tick as tick, a.opened_place as place from accounts a`
const PLACE = '(a.opened_tick, a.opened_place, a.number)'
const OPENING: Statement = {
  name: 'opening',
  text: 'select opened_tick as tick, opened_place as place, number from accounts where bucket = $1 and number = $2',
}
const OLDER = `${PLACE} < ($1::bigint, $2::integer, $3::bigint) order by a.opened_tick desc, a.opened_place desc, a.number desc limit $4`
const NEWER = `${PLACE} > ($1::bigint, $2::integer, $3::bigint) order by a.opened_tick, a.opened_place, a.number limit $4`
const LISTS = {
  any: {
    older: { name: 'older accounts', text: `${OPENED} where ${OLDER}` },
    newer: { name: 'newer accounts', text: `${OPENED} where ${NEWER}` },
  },
  bucket: {
    older: { name: 'older accounts of bucket', text: `${OPENED} where a.bucket = $5 and ${OLDER}` },
    newer: { name: 'newer accounts of bucket', text: `${OPENED} where a.bucket = $5 and ${NEWER}` },
  },
} as const
/** Before and after all that was ever opened. */
const OLDEST: Opening = { tick: -1, place: 0, number: 0 }
const NEWEST: Opening = { tick: Number.MAX_SAFE_INTEGER, place: 0, number: 0 }
/** Accounts of a bucket that are read at a time: there are 256 buckets, and a page seldom needs more of one. */
const ACCOUNTS_AT_ONCE = 4

/** A page of accounts, in the order in which they were opened: back from the newest or from one, or onwards from one. */
export async function listAccounts(
  readers: Readers,
  { limit, before, after }: { readonly limit: number; readonly before?: number; readonly after?: number },
): Promise<readonly AccountRow[]> {
  const given = after ?? before
  const from = given === undefined ? NEWEST : await openingOf(readers, given)
  return from ? listFrom(readers, from, { limit, direction: after === undefined ? 'older' : 'newer' }) : []
}

/** As `listAccounts`, onwards from the first. */
export async function listAllAccounts(readers: Readers, after: number | null, limit: number): Promise<readonly AccountRow[]> {
  const from = after === null ? OLDEST : await openingOf(readers, after)
  return from ? listFrom(readers, from, { limit, direction: 'newer' }) : []
}

async function openingOf(readers: Readers, account: number): Promise<Opening | undefined> {
  const [opening] = await readers.run<Opening & { [name: string]: unknown }>(OPENING, [bucketOf(account), account])
  return opening
}

interface Listing {
  readonly limit: number
  readonly direction: 'older' | 'newer'
}

async function listFrom(readers: Readers, from: Opening, listing: Listing): Promise<readonly AccountRow[]> {
  const rows = await readFrom(readers, from, listing)
  return rows.map(({ tick: _, place: __, ...row }) => decodeAccount(row))
}

async function readFrom(readers: Readers, from: Opening, { limit, direction }: Listing): Promise<readonly OpenedAccount[]> {
  const values = ({ tick, place, number }: Opening, count: number): readonly number[] => [tick, place, number, count]
  if (readers.run.reach === 'any') return readers.run<OpenedAccount>(LISTS.any[direction], values(from, limit))
  const sign = direction === 'older' ? -1 : 1
  return readers.snapshot((run) =>
    sweep<OpenedAccount>({
      read: (bucket, last, count) => run(LISTS.bucket[direction], [...values(last ?? from, count), bucket]),
      compare: (a, b) => sign * (a.tick - b.tick || a.place - b.place || a.number - b.number),
      limit,
      atOnce: ACCOUNTS_AT_ONCE,
    }),
  )
}

interface Due {
  readonly account: number
  readonly dueMs: number
}

const DUE: Statement = {
  name: 'due',
  text: 'select account, due_ms as "dueMs" from account_states where due_ms <= $1 order by due_ms limit $2',
}
const DUE_OF_BUCKET: Statement = {
  name: 'due of bucket',
  text: `select account, due_ms as "dueMs" from account_states
         where bucket = $5 and due_ms <= $1 and (due_ms, account) > ($3::bigint, $4::bigint) order by due_ms, account limit $2`,
}
const DUE_AT_ONCE = 8

/** Accounts in which something is due, the longest overdue first. */
export async function dueAccounts(readers: Readers, nowMs: number, limit: number): Promise<readonly number[]> {
  const { run } = readers
  const rows = run.reach === 'any' ? await run<Due & { [name: string]: unknown }>(DUE, [nowMs, limit]) : await sweepDue(run, nowMs, limit)
  return rows.map(({ account }) => account)
}

function sweepDue(run: Runner, nowMs: number, limit: number): Promise<readonly Due[]> {
  return sweep<Due>({
    read: (bucket, last, count) =>
      run<Due & { [name: string]: unknown }>(DUE_OF_BUCKET, [nowMs, count, last?.dueMs ?? -1, last?.account ?? -1, bucket]),
    compare: (a, b) => a.dueMs - b.dueMs || a.account - b.account,
    limit,
    atOnce: DUE_AT_ONCE,
  })
}
