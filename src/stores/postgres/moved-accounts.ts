/**
 * Which watched accounts other processes have moved on: asked of the database every quarter of a second, as long as somebody watches, in
 * one statement for all, or one for each bucket where no statement may reach further. A notification from each commit would cost every
 * charge something, whether or not anybody watches.
 */

import type { Watchers } from '../watchers.ts'
import { onRows, runOnRows, sortedAccounts } from './buckets.ts'
import type { Runner } from './session.ts'

const POLL_MS = 250

const SEQS = onRows(
  'seqs',
  [['account', 'bigint']],
  (rows) => `select s.account, s.seq from ${rows} join account_states s on s.bucket = t.bucket and s.account = t.account`,
)

/** Tells watchers of what other processes did. */
export class MovedAccounts {
  readonly #watchers: Watchers
  readonly #run: Runner
  #seqs = new Map<number, number>()
  #polling: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(watchers: Watchers, run: Runner) {
    this.#watchers = watchers
    this.#run = run
  }

  /** Goes on asking until nobody watches any more. */
  start(): void {
    this.#timer ??= setInterval(() => {
      if (this.#watchers.accounts.length === 0) this.#stop()
      else
        this.#polling ??= this.#poll().finally(() => {
          this.#polling = null
        })
    }, POLL_MS)
    this.#timer.unref()
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  async #poll(): Promise<void> {
    const { accounts } = this.#watchers
    try {
      const rows = await runOnRows<{ account: number; seq: number }>(this.#run, SEQS, sortedAccounts(accounts))
      const before = this.#seqs
      this.#seqs = new Map(rows.map(({ account, seq }) => [account, seq]))
      for (const { account, seq } of rows) if (before.get(account) !== seq) this.#watchers.tell(account)
    } catch (fault) {
      if (!(fault instanceof Error)) throw fault
      // What has moved is not known: all of them look for themselves, and hear of the fault if it lasts.
      this.#seqs.clear()
      for (const account of accounts) this.#watchers.tell(account)
    }
  }

  async close(): Promise<void> {
    this.#stop()
    await this.#polling
  }
}
