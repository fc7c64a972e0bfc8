/**
 * Hears from the other nodes, by PostgreSQL's LISTEN and NOTIFY, what was changed of what servers keep in memory. It has a session
 * of its own, which it opens again when it is lost; what may have been missed in between is told as `anything`. So that a
 * connection on which nothing comes is told apart from a time in which nothing happens, it asks every now and then whether it listens.
 */

import pg, { type Client } from 'pg'
import type { Notice } from '../store.ts'
import { type Address, type Patience, sessionConfig } from './address.ts'
import { channelOf, readNotice } from './notices.ts'
import { endQuietly } from './session.ts'

/** How often it asks, and how long an answer may take. */
const BEAT_MS = 250
const BEAT_LIMIT_MS = 2_000
/** Notices are current when all of them have come that were sent until so long ago. */
const CURRENT_MS = 1_000
/** Waits before a lost session is opened again: a random part of them, doubled each time. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 5_000

/** Answered after all notices that were sent before it was asked. */
const IS_LISTENING = 'select 1 from pg_listening_channels() c where c = $1'

/** Listens from when somebody first wants to know, until it is closed. */
export class Listener {
  readonly #address: Address
  readonly #patience: Patience
  readonly #tells: ((notice: Notice) => void)[] = []
  #client: Client | null = null
  #listening: Promise<void> | null = null
  #isClosed = false
  /** All that was sent before has been heard. */
  #heardUntilMs = Number.NEGATIVE_INFINITY
  /** Ends the wait that is under way. */
  #wake: () => void = () => undefined

  constructor(address: Address, patience: Patience) {
    this.#address = address
    this.#patience = patience
  }

  /** Tells of every notice from now on; gives whether all have been told that were sent until a second ago. */
  watch(tell: (notice: Notice) => void): () => boolean {
    this.#tells.push(tell)
    this.#listening ??= this.#listenAlways()
    return () => performance.now() - this.#heardUntilMs < CURRENT_MS
  }

  async #listenAlways(): Promise<void> {
    for (let failures = 0; !this.#isClosed; failures++) {
      const startedMs = performance.now()
      try {
        await this.#listen()
      } catch (fault) {
        // Nobody has to be told of it: as nothing is current now, whatever is kept is read again all the time.
        if (!(fault instanceof Error)) throw fault
      }
      this.#drop()
      if (performance.now() - startedMs > LONGEST_WAIT_MS) failures = 0
      if (!this.#isClosed) await this.#wait(Math.random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures))
    }
  }

  /** Listens until the session is lost. */
  async #listen(): Promise<void> {
    const client = new pg.Client({ ...sessionConfig(this.#address, this.#patience), query_timeout: BEAT_LIMIT_MS })
    this.#client = client
    client.on('error', () => this.#wake())
    client.on('notification', ({ payload }) => this.#tell(readNotice(payload)))
    await client.connect()
    const channel = channelOf(this.#address.schema)
    await client.query(`listen "${channel}"`)
    this.#tell({ of: 'anything' })
    while (!this.#isClosed) {
      const askedMs = performance.now()
      const { rowCount } = await client.query(IS_LISTENING, [channel])
      if (rowCount !== 1) return
      this.#heardUntilMs = askedMs
      await this.#wait(BEAT_MS)
    }
  }

  #tell(notice: Notice): void {
    for (const tell of this.#tells) tell(notice)
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #drop(): void {
    const client = this.#client
    this.#client = null
    if (client) endQuietly(client)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake()
    // Nothing is under way that the server would have to know of, and one that is only being opened never says goodbye.
    this.#drop()
    await this.#listening
  }
}
