/** Reads of states: those that are asked for in one turn are read together. */

import type { AccountState } from '../../core/account.ts'
import { readStates } from './accounts.ts'
import type { Runner } from './session.ts'

interface Waiting {
  readonly resolve: (state: AccountState | undefined) => void
  readonly reject: (fault: unknown) => void
}

/** Reads states from the database, because another process may have moved them on. */
export class StateReads {
  readonly #run: Runner
  #waiting = new Map<number, Waiting[]>()

  constructor(run: Runner) {
    this.#run = run
  }

  read(account: number): Promise<AccountState | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) setImmediate(() => void this.#readAll())
      const others = this.#waiting.get(account)
      if (others) others.push({ resolve, reject })
      else this.#waiting.set(account, [{ resolve, reject }])
    })
  }

  async #readAll(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = new Map()
    try {
      const entries = await readStates(this.#run, waiting.keys(), false)
      for (const [account, callers] of waiting) for (const { resolve } of callers) resolve(entries.get(account)?.state)
    } catch (fault) {
      for (const callers of waiting.values()) for (const { reject } of callers) reject(fault)
    }
  }
}
