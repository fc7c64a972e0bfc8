/** The table purchases: written in the transaction of the records, and read. */

import { evolvePurchase, isWatched, type Purchase, type PurchaseFacts } from '../../core/purchase.ts'
import { decodePurchase, encodePurchase } from '../../core/purchase-codec.ts'
import { opensPurchase } from '../../core/record-subjects.ts'
import type { PurchaseFilter, WatchedQuery } from '../store.ts'
import { bucketOf, onRows, runOnRows, texts } from './buckets.ts'
import { type Address, addresses } from './journal.ts'
import type { DerivedRows } from './rows.ts'
import type { Runner, Statement } from './session.ts'
import { sweep } from './sweeps.ts'
import type { Write } from './write.ts'

const INSERT: Statement = {
  name: 'insert purchase',
  text: `insert into purchases (bucket, account, seq, status, opened_at_ms, watched, ended, state)
         values ($1, $2, $3, 'open', $4, $5, 0, $6)`,
}
const UPDATE: Statement = {
  name: 'update purchase',
  text: `update purchases set status = coalesce($4, status), ended = ended + $5, watched = coalesce($6, watched), state = coalesce($7, state)
         where bucket = $1 and account = $2 and seq = $3`,
}

/** Purchases by account and sequence, as they were before a batch. */
export type KnownPurchases = ReadonlyMap<string, PurchaseFacts>

/** The name under which a purchase is known. */
export function purchaseName(account: number, seq: number): string {
  return `${account}:${seq}`
}

/** The statements that a batch's news of purchases make, in their order; most batches have none. */
export function purchaseWrites(changes: DerivedRows['purchases'], known: KnownPurchases): readonly Write[] {
  const folded = new Map<string, Purchase>()
  return changes.map(({ account, change: { seq, status, record, ended } }) => {
    const owner = [bucketOf(account), account, seq]
    if (record === null) return { statement: UPDATE, values: [...owner, status, ended, null, null] }
    const name = purchaseName(account, seq)
    const purchase = evolvePurchase(folded.get(name) ?? known.get(name)?.purchase ?? null, record)
    folded.set(name, purchase)
    const after = [isWatched(purchase), encodePurchase(purchase)]
    if (opensPurchase(record)) return { statement: INSERT, values: [...owner, purchase.openedAtMs, ...after] }
    return { statement: UPDATE, values: [...owner, status, ended, ...after] }
  })
}

/** A row of the purchases, as it is read. */
interface RawPurchase {
  readonly status: PurchaseFacts['status']
  readonly ended: string
  readonly state: string
  readonly [name: string]: unknown
}

/** The columns of a purchase `p`. */
const PURCHASE_COLUMNS = 'p.status, p.ended::text as ended, p.state'

function decodePurchaseRow({ status, ended, state }: RawPurchase): PurchaseFacts {
  return { purchase: decodePurchase(state), status, ended: BigInt(ended) }
}

const PURCHASES = onRows(
  'purchases at',
  [
    ['account', 'bigint'],
    ['seq', 'bigint'],
  ],
  (rows) =>
    `select p.account, p.seq, ${PURCHASE_COLUMNS}
     from ${rows} join purchases p on p.bucket = t.bucket and p.account = t.account and p.seq = t.seq`,
)

/** Purchases at places of the ledger; those that there are. */
export async function readPurchases(run: Runner, wanted: readonly Address[]): Promise<KnownPurchases> {
  const rows = await runOnRows<RawPurchase & Address>(run, PURCHASES, addresses(wanted))
  return new Map(rows.map((row) => [purchaseName(row.account, row.seq), decodePurchaseRow(row)]))
}

const OF_ACCOUNT = `select ${PURCHASE_COLUMNS} from purchases p where p.bucket = $1 and p.account = $2`
const AT: Statement = { name: 'purchase', text: `${OF_ACCOUNT} and p.seq = $3` }
/** Some statuses; null: any. */
const HAVING = '($4::text[] is null or p.status = any($4::text[]))'
const OLDER: Statement = { name: 'older purchases', text: `${OF_ACCOUNT} and p.seq < $3 and ${HAVING} order by p.seq desc limit $5` }
const NEWER: Statement = { name: 'newer purchases', text: `${OF_ACCOUNT} and p.seq > $3 and ${HAVING} order by p.seq limit $5` }
const WATCHED: Statement = {
  name: 'watched purchases',
  text: `select account, seq from purchases where watched and (account, seq) > ($1::bigint, $2::bigint) and opened_at_ms < $3
         order by account, seq limit $4`,
}
const WATCHED_OF_BUCKET: Statement = {
  name: 'watched purchases of bucket',
  text: `select account, seq from purchases where bucket = $5 and watched and (account, seq) > ($1::bigint, $2::bigint) and opened_at_ms < $3
         order by account, seq limit $4`,
}
/** Watched purchases of a bucket that are read at a time. */
const WATCHED_AT_ONCE = 8

/** Reads purchases. */
export class PurchaseReader {
  readonly #run: Runner

  constructor(run: Runner) {
    this.#run = run
  }

  async at(account: number, seq: number): Promise<PurchaseFacts | undefined> {
    const [row] = await this.#run<RawPurchase>(AT, [bucketOf(account), account, seq])
    return row && decodePurchaseRow(row)
  }

  async list(account: number, { limit, before, after, having }: PurchaseFilter): Promise<readonly PurchaseFacts[]> {
    const from = after ?? before ?? Number.MAX_SAFE_INTEGER
    const values = [bucketOf(account), account, from, having === undefined ? null : texts(having), limit]
    return (await this.#run<RawPurchase>(after === undefined ? OLDER : NEWER, values)).map(decodePurchaseRow)
  }

  watched({ openedBeforeMs, after, limit }: WatchedQuery): Promise<readonly Address[]> {
    const run = this.#run
    const values = (last: Address | null, count: number): readonly number[] => [last?.account ?? -1, last?.seq ?? 0, openedBeforeMs, count]
    if (run.reach === 'any') return run<WatchedRow>(WATCHED, values(after, limit))
    return sweep<Address>({
      read: (bucket, last, count) => run<WatchedRow>(WATCHED_OF_BUCKET, [...values(last ?? after, count), bucket]),
      compare: (a, b) => a.account - b.account || a.seq - b.seq,
      limit,
      atOnce: WATCHED_AT_ONCE,
    })
  }
}

type WatchedRow = Address & { readonly [name: string]: unknown }
