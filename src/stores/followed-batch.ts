/** A batch of records that were decided elsewhere: they are followed, not decided again. The same on every store. */

import { emptyAccount } from '../core/account.ts'
import { evolve } from '../core/evolve.ts'
import { decodeRecord } from '../core/record-codec.ts'
import type { Base, BatchRow, DecidedBatch, Pending, Working } from './batch.ts'
import { chainHash, genesisHash } from './chain.ts'

/** Follows records, each of which must continue its account's chain. */
export class FollowedBatch<Known extends Base> implements DecidedBatch<Known> {
  readonly pending: Pending[] = []
  readonly working = new Map<number, Working<Known>>()
  readonly #entryOf: (account: number) => Known | undefined

  /** `entryOf` gives an account as it was before the batch; undefined: the batch opens it. */
  constructor(entryOf: (account: number) => Known | undefined) {
    this.#entryOf = entryOf
  }

  /** Adds a record. Throws when it is not the one that comes next. */
  follow(row: BatchRow): void {
    const { account, seq, hash } = row
    const working = this.working.get(account) ?? this.#begun(account)
    if (seq !== working.state.seq + 1 || chainHash(working.hash, row) !== hash)
      throw new Error(`record ${seq} of account ${account}, at position ${row.position}, does not continue the account's journal`)
    const record = decodeRecord(row)
    working.state = evolve(working.state, record)
    working.hash = hash
    this.working.set(account, working)
    this.pending.push({ record, row, after: working.state })
  }

  #begun(account: number): Working<Known> {
    const entry = this.#entryOf(account)
    return entry
      ? { entry, state: entry.state, hash: entry.hash }
      : { entry: null, state: emptyAccount(account), hash: genesisHash(account) }
  }
}
