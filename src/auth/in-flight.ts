/** Which tokens are being used at this moment: requests that send one of them at the same time are one client's. */

/** Counts uses that have begun and not ended. It holds as many names as there are requests. */
export class InFlight {
  readonly #uses = new Map<string, number>()

  /** Does work on a name, and tells it whether it has company. */
  async use<Value>(name: string, work: (isBesideAnother: boolean) => Promise<Value>): Promise<Value> {
    const others = this.#uses.get(name) ?? 0
    this.#uses.set(name, others + 1)
    try {
      return await work(others > 0)
    } finally {
      const left = (this.#uses.get(name) ?? 1) - 1
      if (left === 0) this.#uses.delete(name)
      else this.#uses.set(name, left)
    }
  }
}
