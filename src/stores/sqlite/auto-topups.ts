/** The table auto_topups: written with an account's other rows. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { AutoTopupChange } from '../projections.ts'
import type { AskingAccountsQuery } from '../store.ts'

/** Finds accounts that wait to be topped up by themselves. */
export class AutoTopupReader {
  readonly #asking: StatementSync

  constructor(db: DatabaseSync) {
    this.#asking = db.prepare(
      'select account from auto_topups where asking_ms is not null and account > ? and asking_ms <= ? order by account limit ?',
    )
  }

  asking({ untilMs, after, limit }: AskingAccountsQuery): readonly number[] {
    const rows = this.#asking.all(after ?? -1, untilMs, limit) as unknown as { readonly account: number }[]
    return rows.map(({ account }) => account)
  }
}

/** Writes when an account is to be asked about, inside the caller's transaction. */
export class AutoTopupWriter {
  readonly #save: StatementSync

  constructor(db: DatabaseSync) {
    this.#save = db.prepare(
      'insert into auto_topups (account, asking_ms) values (?, ?) on conflict (account) do update set asking_ms = excluded.asking_ms',
    )
  }

  apply(account: number, { askingMs }: AutoTopupChange): void {
    this.#save.run(account, askingMs)
  }
}
