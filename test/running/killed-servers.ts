/** Servers as processes on one store: asked in turn, killed one by one. */

import assert from 'node:assert/strict'
import { caller, type TestObol } from './obol.ts'
import type { ServerProcess } from './process.ts'

type Call = TestObol['call']

/** Servers that run beside each other. */
export class KilledServers {
  readonly #all: readonly ServerProcess[]
  readonly #alive = new Map<ServerProcess, Call>()
  #asked = 0

  constructor(servers: readonly ServerProcess[]) {
    this.#all = servers
    for (const server of servers) this.#alive.set(server, caller(server.url))
  }

  /** Asks the next of them that has not been killed; when none is left, fails as a server that is gone does. */
  readonly call: Call = (...request) => {
    const calls = [...this.#alive.values()]
    const call = calls[this.#asked++ % calls.length]
    return call ? call(...request) : Promise.reject(new TypeError('every server was killed'))
  }

  get isGone(): boolean {
    return this.#alive.size === 0
  }

  /** Kills one of those that are left: which one, a number from 0 to 1 says. */
  kill(which: number): void {
    const left = [...this.#alive.keys()]
    const one = left[Math.floor(which * left.length)]
    if (!one) return
    this.#alive.delete(one)
    one.signal('SIGKILL')
  }

  /** Waits until all have ended, having complained of nothing. */
  async ended(): Promise<void> {
    for (const { ended } of this.#all) assert.equal((await ended).stderr, '')
  }

  /** Stops all of them gracefully. */
  async stop(): Promise<void> {
    for (const { code, stderr } of await Promise.all(this.#all.map((server) => server.stop()))) assert.deepEqual([code, stderr], [0, ''])
  }
}
