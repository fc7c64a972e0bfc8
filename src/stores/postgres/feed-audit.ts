/** Audits the order of all records, and what no single account can tell. */

import type { AuditCheck } from '../store.ts'
import type { Runner } from './session.ts'

type ReportOn = (check: AuditCheck, account: number | null, detail: string) => void

/** Rows of which there must be none, each a difference of its check. `account` is null where there is none. */
const FEED_FAULTS: readonly (readonly [check: AuditCheck, detail: string, sql: string])[] = [
  [
    'positions',
    'a batch of the feed does not go on where the one before it ends',
    `select null::bigint as account from (select last_position, cardinality(seqs) as records, lag(last_position, 1, 0::bigint) over (order by last_position) as before
       from batches where last_position is not null) b where last_position - records <> before limit 1`,
  ],
  [
    'positions',
    'the feed is not numbered up to where it says',
    `select null::bigint as account from (select (select position from feed_head) as said, (select coalesce(max(last_position), 0) from batches) as numbered) f
       where said is distinct from numbered`,
  ],
  [
    'positions',
    'a record is in no batch, or in two',
    `select j.account from journal j left join (select t.account, t.seq, count(*) as times from batches b, unnest(b.accounts, b.seqs) t(account, seq)
       group by t.account, t.seq) b on b.account = j.account and b.seq = j.seq where b.times is distinct from 1 limit 5`,
  ],
  [
    'positions',
    'a batch names a record that does not exist',
    `select t.account from batches b, unnest(b.accounts, b.seqs) t(account, seq)
       where not exists (select 1 from journal j where j.account = t.account and j.seq = t.seq) limit 5`,
  ],
  [
    'positions',
    'the feed tells the records of an account in another order',
    `select account from (select t.account, t.seq, lag(t.seq, 1, 0::bigint) over (partition by t.account order by b.last_position nulls last, b.tick, t.place) as before
       from batches b, unnest(b.accounts, b.seqs) with ordinality t(account, seq, place)) f where seq <> before + 1 limit 5`,
  ],
  [
    'positions',
    'a batch says another time than that of its latest record',
    `select b.accounts[1] as account from batches b where b.seqs <> '{}' and b.at_ms is distinct from
       (select max(j.at_ms) from unnest(b.accounts, b.seqs) t(account, seq)
        join journal j on j.bucket = (t.account % 256)::smallint and j.account = t.account and j.seq = t.seq) limit 5`,
  ],
  [
    'positions',
    'the feed says another latest time than that of its records so far',
    `select account from (select accounts[1] as account, high_ms, max(at_ms) over (order by last_position) as highest from batches
       where last_position is not null) b where high_ms is distinct from highest limit 5`,
  ],
  [
    'states',
    'the kept state is not that of a batch of its tick',
    `select s.account from account_states s where not exists
       (select 1 from batches b where b.tick = s.tick and s.account = any(b.accounts)) limit 5`,
  ],
  [
    'accounts',
    'the account is not listed where it was opened',
    `select a.number as account from accounts a where not exists (select 1 from batches b where b.tick = a.opened_tick
       and b.accounts[a.opened_place + 1] = a.number and b.seqs[a.opened_place + 1] = 1) limit 5`,
  ],
  [
    'idempotency',
    'an idempotency key leads to two records',
    'select min(account) as account from journal where key_hash is not null group by key_hash having count(*) > 1 limit 5',
  ],
]

/** Checks the feed. Gives the number of records in the journal. */
export async function checkFeed(run: Runner, report: ReportOn): Promise<number> {
  for (const [check, detail, text] of FEED_FAULTS)
    for (const { account } of await run<{ account: number | null }>({ name: '', text }, [])) report(check, account, detail)
  const [journal] = await run<{ rows: number }>({ name: '', text: 'select count(*) as rows from journal' }, [])
  return journal?.rows ?? 0
}

/** Rows of accounts that do not exist. */
export async function checkOwners(run: Runner, report: ReportOn): Promise<void> {
  const text = `select distinct j.account from journal j where not exists
    (select 1 from accounts a where a.bucket = j.bucket and a.number = j.account) limit 20`
  for (const { account } of await run<{ account: number }>({ name: '', text }, []))
    report('accounts', account, 'there are records of an account that does not exist')
}
