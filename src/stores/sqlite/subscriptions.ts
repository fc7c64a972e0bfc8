/** The table subscriptions: written with an account's other rows, read when they are up to date. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type Subscription, statusOf } from '../../core/subscription.ts'
import { decodeSubscriptionText, encodeSubscriptionText } from '../../core/subscription-codec.ts'
import type { SubscriptionChange } from '../projections.ts'
import type { AskingQuery, SeqPage } from '../store.ts'

interface RawSubscription {
  readonly state: string
}

/** Reads subscriptions. */
export class SubscriptionReader {
  readonly #at: StatementSync
  readonly #older: StatementSync
  readonly #newer: StatementSync
  readonly #asking: StatementSync

  constructor(db: DatabaseSync) {
    const ofAccount = 'select state from subscriptions where account = ?'
    this.#at = db.prepare(`${ofAccount} and seq = ?`)
    this.#older = db.prepare(`${ofAccount} and seq < ? order by seq desc limit ?`)
    this.#newer = db.prepare(`${ofAccount} and seq > ? order by seq limit ?`)
    this.#asking = db.prepare(
      'select account, seq from subscriptions where asking_ms is not null and (account, seq) > (?, ?) and asking_ms <= ? order by account, seq limit ?',
    )
  }

  at(account: number, seq: number): Subscription | undefined {
    const row = this.#at.get(account, seq) as RawSubscription | undefined
    return row && decodeSubscriptionText(row.state)
  }

  list(account: number, { limit, before, after }: SeqPage): readonly Subscription[] {
    const statement = after === undefined ? this.#older : this.#newer
    const rows = statement.all(account, after ?? before ?? Number.MAX_SAFE_INTEGER, limit) as unknown as RawSubscription[]
    return rows.map(({ state }) => decodeSubscriptionText(state))
  }

  asking({ untilMs, after, limit }: AskingQuery): readonly { readonly account: number; readonly seq: number }[] {
    const rows = this.#asking.all(after?.account ?? -1, after?.seq ?? 0, untilMs, limit)
    return rows as unknown as { account: number; seq: number }[]
  }
}

/** Writes subscriptions, inside the caller's transaction. */
export class SubscriptionWriter {
  readonly #save: StatementSync

  constructor(db: DatabaseSync) {
    this.#save = db.prepare(
      `insert into subscriptions (account, seq, status, asking_ms, state) values (?, ?, ?, ?, ?)
       on conflict (account, seq) do update set status = excluded.status, asking_ms = excluded.asking_ms, state = excluded.state`,
    )
  }

  apply(account: number, { subscription, askingMs }: SubscriptionChange): void {
    this.#save.run(account, subscription.seq, statusOf(subscription), askingMs, encodeSubscriptionText(subscription))
  }
}
