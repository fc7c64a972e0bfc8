/** Who wants to hear when an account's records have changed. */

/** Listeners by account. */
export class Watchers {
  readonly #listeners = new Map<number, Set<() => void>>()

  /** Calls a listener when the account may have changed, until the function that this gives is called. */
  watch(account: number, listener: () => void): () => void {
    const known = this.#listeners.get(account)
    const listeners = known ?? new Set()
    if (!known) this.#listeners.set(account, listeners)
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(account) === listeners) this.#listeners.delete(account)
    }
  }

  get accounts(): readonly number[] {
    return [...this.#listeners.keys()]
  }

  tell(account: number): void {
    for (const listener of this.#listeners.get(account) ?? []) listener()
  }

  /** Tells those who watch accounts when commands on them are answered; those that fail may have had their effect. */
  after<Answer>(commands: readonly { readonly account: number }[], answer: Promise<Answer>): Promise<Answer> {
    const watched = this.#listeners.size === 0 ? [] : commands.filter(({ account }) => this.#listeners.has(account))
    if (watched.length > 0) {
      const tell = (): void => {
        for (const { account } of watched) this.tell(account)
      }
      answer.then(tell, tell)
    }
    return answer
  }
}
