/** Reads the table subscriptions, which is written with the records. */

import type { Subscription } from '../../core/subscription.ts'
import { decodeSubscriptionText } from '../../core/subscription-codec.ts'
import type { AskingQuery, SeqPage } from '../store.ts'
import { bucketOf } from './buckets.ts'
import type { Address } from './journal.ts'
import type { Runner, Statement } from './session.ts'
import { sweep } from './sweeps.ts'

const OF_ACCOUNT = 'select state from subscriptions where bucket = $1 and account = $2'
const AT: Statement = { name: 'subscription', text: `${OF_ACCOUNT} and seq = $3` }
const OLDER: Statement = { name: 'older subscriptions', text: `${OF_ACCOUNT} and seq < $3 order by seq desc limit $4` }
const NEWER: Statement = { name: 'newer subscriptions', text: `${OF_ACCOUNT} and seq > $3 order by seq limit $4` }
const ASKING_ROWS = 'asking_ms is not null and (account, seq) > ($1::bigint, $2::bigint) and asking_ms <= $3 order by account, seq limit $4'
const ASKING: Statement = { name: 'asking subscriptions', text: `select account, seq from subscriptions where ${ASKING_ROWS}` }
const ASKING_OF_BUCKET: Statement = {
  name: 'asking subscriptions of bucket',
  text: `select account, seq from subscriptions where bucket = $5 and ${ASKING_ROWS}`,
}
/** Subscriptions of a bucket that are read at a time. */
const ASKING_AT_ONCE = 8

interface RawSubscription {
  readonly state: string
  readonly [name: string]: unknown
}

type AskingRow = Address & { readonly [name: string]: unknown }

/** Reads subscriptions. */
export class SubscriptionReader {
  readonly #run: Runner

  constructor(run: Runner) {
    this.#run = run
  }

  async at(account: number, seq: number): Promise<Subscription | undefined> {
    const [row] = await this.#run<RawSubscription>(AT, [bucketOf(account), account, seq])
    return row && decodeSubscriptionText(row.state)
  }

  async list(account: number, { limit, before, after }: SeqPage): Promise<readonly Subscription[]> {
    const values = [bucketOf(account), account, after ?? before ?? Number.MAX_SAFE_INTEGER, limit]
    const rows = await this.#run<RawSubscription>(after === undefined ? OLDER : NEWER, values)
    return rows.map(({ state }) => decodeSubscriptionText(state))
  }

  asking({ untilMs, after, limit }: AskingQuery): Promise<readonly Address[]> {
    const run = this.#run
    const values = (last: Address | null, count: number): readonly number[] => [last?.account ?? -1, last?.seq ?? 0, untilMs, count]
    if (run.reach === 'any') return run<AskingRow>(ASKING, values(after, limit))
    return sweep<Address>({
      read: (bucket, last, count) => run<AskingRow>(ASKING_OF_BUCKET, [...values(last ?? after, count), bucket]),
      compare: (a, b) => a.account - b.account || a.seq - b.seq,
      limit,
      atOnce: ASKING_AT_ONCE,
    })
  }
}
