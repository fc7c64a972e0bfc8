/** Finds accounts in the table auto_topups, which is written with the records. */

import type { AskingAccountsQuery } from '../store.ts'
import type { Runner, Statement } from './session.ts'
import { sweep } from './sweeps.ts'

const WAITING = 'asking_ms is not null and account > $1::bigint and asking_ms <= $2 order by account limit $3'
const ASKING: Statement = { name: 'asking top-ups', text: `select account from auto_topups where ${WAITING}` }
const ASKING_OF_BUCKET: Statement = {
  name: 'asking top-ups of bucket',
  text: `select account from auto_topups where bucket = $4 and ${WAITING}`,
}
/** Accounts of a bucket that are read at a time. */
const ASKING_AT_ONCE = 8

interface AskingRow {
  readonly account: number
  readonly [name: string]: unknown
}

/** Accounts that wait to be topped up by themselves, by number. */
export async function askingTopups(run: Runner, { untilMs, after, limit }: AskingAccountsQuery): Promise<readonly number[]> {
  const values = (last: number | null, count: number): readonly number[] => [last ?? -1, untilMs, count]
  const rows =
    run.reach === 'any'
      ? await run<AskingRow>(ASKING, values(after, limit))
      : await sweep<AskingRow>({
          read: (bucket, last, count) => run<AskingRow>(ASKING_OF_BUCKET, [...values(last?.account ?? after, count), bucket]),
          compare: (a, b) => a.account - b.account,
          limit,
          atOnce: ASKING_AT_ONCE,
        })
  return rows.map(({ account }) => account)
}
