/** A pool of sessions for reads and for the little that is written beside the lanes. Whatever can be done again is, when a session is lost. */

import pg, { type Client, type Pool, type PoolClient, type QueryResultRow } from 'pg'
import { OverloadedError } from '../store.ts'
import { type Address, type Patience, sessionConfig } from './address.ts'
import { faultOf, outOfService, verdictOn } from './faults.ts'
import {
  Absence,
  BEGIN,
  BEGIN_SNAPSHOT,
  COMMIT,
  endQuietly,
  OutcomeUnknownError,
  pauseAfter,
  type Runner,
  runnerOf,
  type Statement,
  unreachable,
} from './session.ts'

/** Sessions of the pool. */
const MAX_READERS = 8
/** Reads that may wait for one of them; more are turned away. */
const MAX_WAITING = 10_000
const IDLE_MS = 60_000

/** Sessions for reads. */
export class Readers {
  /** Runs a statement that may be run twice. Throws OutOfServiceError when the server is away for too long. */
  readonly run: Runner
  /** As `run`, for a statement that writes: it is tried again only when nothing can have come of it, and else throws OutcomeUnknownError. */
  readonly runOnce: Runner
  /** As `run`, for an answer now or never: only a session that had long been lost is replaced. */
  readonly soon: Runner
  readonly #address: Address
  readonly #patience: Patience
  readonly #pool: Pool
  readonly #clients = new Set<Client>()
  readonly #absence: Absence

  constructor(address: Address, patience: Patience) {
    this.#address = address
    this.#patience = patience
    this.#absence = new Absence(patience.reconnectMs)
    this.run = runnerOf(address.reach, (statement, values) => this.#persist(() => this.#once(statement, values)))
    this.runOnce = runnerOf(address.reach, (statement, values) => this.#runOnce(statement, values))
    this.soon = runnerOf(address.reach, (statement, values) => this.#runSoon(statement, values))
    this.#pool = new pg.Pool({ ...sessionConfig(address, patience), pipeline: true, max: MAX_READERS, idleTimeoutMillis: IDLE_MS })
    // A session that ends while it rests is taken out of the pool; one that ends while it is in use is found out by whoever uses it.
    this.#pool.on('error', () => undefined)
    this.#pool.on('connect', (client) => {
      this.#clients.add(client)
      client.on('error', () => undefined)
    })
    this.#pool.on('remove', (client) => this.#clients.delete(client))
  }

  get schema(): string {
    return this.#address.schema
  }

  async #runOnce<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#persist(async () => {
      const client = await this.#take()
      return this.#ask<Row>(client, statement, values).catch((fault: unknown) => {
        throw verdictOn(fault) === 'lost' ? outcomeUnknown(fault) : fault
      })
    })
  }

  async #runSoon<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    try {
      return await this.#once<Row>(statement, values)
    } catch (fault) {
      if (verdictOn(fault) !== 'lost') throw fault
      return this.#once<Row>(statement, values)
    }
  }

  async #once<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#ask<Row>(await this.#take(), statement, values)
  }

  /** A statement by itself leaves nothing over, if its session is still there. */
  async #ask<Row extends QueryResultRow>(client: PoolClient, statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    try {
      const rows = await this.#asking(client)<Row>(statement, values)
      client.release()
      return rows
    } catch (fault) {
      const verdict = verdictOn(fault)
      client.release(verdict === 'lost' || verdict === 'elsewhere')
      throw fault
    }
  }

  /** What statements read in one moment of the whole database. */
  snapshot<Value>(work: (run: Runner) => Promise<Value>): Promise<Value> {
    return this.#persist(async () =>
      this.#use(await this.#take(), async (run) => {
        await run(BEGIN_SNAPSHOT, [])
        const value = await work(run)
        await run(COMMIT, [])
        return value
      }),
    )
  }

  /**
   * Runs statements in one transaction. It is tried again as a whole; but when its commit may have happened, only if that
   * would come to the same: else it throws OutcomeUnknownError.
   */
  transaction<Value>(work: (run: Runner) => Promise<Value>, { isRepeatable }: { readonly isRepeatable: boolean }): Promise<Value> {
    return this.#persist(async () =>
      this.#use(await this.#take(), async (run) => {
        await run(BEGIN, [])
        const value = await work(run)
        await run(COMMIT, []).catch((fault: unknown) => {
          throw isRepeatable || verdictOn(fault) !== 'lost' ? fault : outcomeUnknown(fault)
        })
        return value
      }),
    )
  }

  async #persist<Value>(attempt: () => Promise<Value>): Promise<Value> {
    const endMs = performance.now() + this.#patience.reconnectMs
    for (let tries = 1; ; tries++) {
      try {
        const value = await attempt()
        this.#absence.end()
        return value
      } catch (fault) {
        const verdict = verdictOn(fault)
        if (verdict === 'refused' || verdict === 'overtaken') throw fault
        const isAway = (verdict === 'lost' || verdict === 'elsewhere') && this.#absence.isTooLong()
        if (verdict === 'unable' || isAway || performance.now() > endMs) throw outOfService(fault)
        await pauseAfter(tries)
      }
    }
  }

  async #take(): Promise<PoolClient> {
    if (this.#pool.ending) throw new Error('the store is closed')
    if (this.#pool.waitingCount >= MAX_WAITING) throw new OverloadedError(`${MAX_WAITING} reads wait already`)
    try {
      return await this.#pool.connect()
    } catch (cause) {
      throw unreachable(this.#address, cause)
    }
  }

  /** A session that met a fault in a transaction is not used again, so that nothing of what it began is left over. */
  async #use<Value>(client: PoolClient, work: (run: Runner) => Promise<Value>): Promise<Value> {
    try {
      const value = await work(this.#asking(client))
      client.release()
      return value
    } catch (fault) {
      client.release(true)
      throw fault
    }
  }

  #asking(client: PoolClient): Runner {
    return runnerOf(this.#address.reach, async (statement, values) => {
      try {
        return (await client.query({ ...statement, values: [...values] })).rows
      } catch (fault) {
        throw faultOf(fault)
      }
    })
  }

  async close(): Promise<void> {
    if (this.#pool.ending) return
    const timer = setTimeout(() => this.#clients.forEach(endQuietly), this.#patience.silenceMs)
    await this.#pool.end().finally(() => clearTimeout(timer))
  }
}

function outcomeUnknown(cause: unknown): OutcomeUnknownError {
  return new OutcomeUnknownError('The connection to PostgreSQL was lost during a commit: it may have happened or not.', { cause })
}
