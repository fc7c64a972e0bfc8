/** Sessions on the server: one that is opened again when it is lost, and a pool of them for reads. */

import pg, { type Client, type Pool, type PoolClient, type QueryResultRow } from 'pg'
import { type Address, type Patience, type Reach, sessionConfig } from './address.ts'
import { ConnectionLostError, faultOf, messageOf, verdictOn } from './faults.ts'

/** A statement with a name, under which the server keeps it prepared. */
export interface Statement {
  readonly name: string
  readonly text: string
}

/** Runs a statement. */
export type Run = <Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]) => Promise<readonly Row[]>

/** Anything that runs statements. */
export interface Runner extends Run {
  /** How far each of its statements on ledger tables may reach. */
  readonly reach: Reach
}

/** Makes a runner. */
export function runnerOf(reach: Reach, run: Run): Runner {
  return Object.assign<Run, { reach: Reach }>((statement, values) => run(statement, values), { reach })
}

/** Thrown when the server cannot be reached for longer than anybody should wait. Nothing was done. */
export class ServerLostError extends Error {
  override readonly name = 'ServerLostError'
}

/** Statements that begin and end transactions. */
export const BEGIN: Statement = { name: 'begin', text: 'begin' }
/** One moment of the whole database, for reads that must agree with each other. */
export const BEGIN_SNAPSHOT: Statement = { name: 'begin snapshot', text: 'begin isolation level repeatable read read only' }
export const COMMIT: Statement = { name: 'commit', text: 'commit' }
export const ROLLBACK: Statement = { name: 'rollback', text: 'rollback' }

/** Wait before a lost server is tried again. */
const RETRY_MS = 100
const MAX_READERS = 8

/** Thrown when the server did not say whether a commit took effect, and cannot be asked. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError'
}

/** Commits; what is lost on the way is not known, and not done again. */
async function committed(run: Runner): Promise<void> {
  try {
    await run(COMMIT, [])
  } catch (cause) {
    if (verdictOn(cause) !== 'lost') throw cause
    throw outcomeUnknown(cause)
  }
}

function outcomeUnknown(cause: unknown): OutcomeUnknownError {
  return new OutcomeUnknownError('The connection to PostgreSQL was lost during a commit: it may have happened or not.', { cause })
}

/** One session of a lane. Statements that are sent in one turn travel together. */
export class Session {
  readonly patience: Patience
  /** Runs a prepared statement on the session, which must be open. */
  readonly run: Runner
  readonly #address: Address
  #client: Client | null = null

  constructor(address: Address, patience: Patience) {
    this.#address = address
    this.patience = patience
    this.run = runnerOf(address.reach, (statement, values) => this.#run(statement, values))
  }

  async #run<Row extends QueryResultRow>({ name, text }: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    const client = this.#client
    if (client === null) throw new ConnectionLostError('the session is not open')
    try {
      const { rows } = await client.query<Row>({ name, text, values: [...values] })
      return rows
    } catch (fault) {
      throw faultOf(fault)
    }
  }

  get isOpen(): boolean {
    return this.#client !== null
  }

  /** Opens the session if it is not. Throws ServerLostError when that does not succeed in time. */
  async open(): Promise<void> {
    const endMs = performance.now() + this.patience.reconnectMs
    while (this.#client === null) {
      const client = new pg.Client({ ...sessionConfig(this.#address, this.patience), pipeline: true })
      // Whoever waits for an answer hears of it; the next one opens the session again.
      client.on('error', () => this.drop())
      client.on('end', () => this.#forget(client))
      try {
        await client.connect()
        this.#client = client
      } catch (cause) {
        if (performance.now() > endMs)
          throw new ServerLostError(`The PostgreSQL database ${this.#address.shown} cannot be reached: ${messageOf(cause)}.`, { cause })
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  #forget(client: Client): void {
    if (this.#client === client) this.#client = null
  }

  /** Lets go of a session in which something may be left over: what it began and did not commit never happens. */
  drop(): void {
    const client = this.#client
    this.#client = null
    if (client) endQuietly(client)
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = null
    await client?.end()
  }
}

/** Ends a session that is broken: whether the server hears of it makes no difference. */
function endQuietly(client: Client): void {
  const socket = (client as unknown as { readonly connection?: { readonly stream?: { destroy(): void } } }).connection?.stream
  socket?.destroy()
}

/** A pool of sessions for reads, which are tried again on another session when one is lost. */
export class Readers {
  /** Runs a prepared statement on any session. */
  readonly run: Runner
  /** As `run`, for a statement that writes: it is tried again only when nothing can have come of it. */
  readonly runOnce: Runner
  readonly #pool: Pool
  readonly #patience: Patience

  constructor(address: Address, patience: Patience) {
    this.#patience = patience
    this.run = runnerOf(address.reach, (statement, values) => this.#run(statement, values))
    this.runOnce = runnerOf(address.reach, (statement, values) => this.#runOnce(statement, values))
    this.#pool = new pg.Pool({ ...sessionConfig(address, patience), pipeline: true, max: MAX_READERS, idleTimeoutMillis: 60_000 })
    // A session that ends while it rests is taken out of the pool.
    this.#pool.on('error', () => undefined)
    // One that ends while it is asked something rejects what was asked; unheard, its own event would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
  }

  async #run<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { rows } = await this.#pool.query<Row>({ ...statement, values: [...values] })
        return rows
      } catch (cause) {
        const fault = faultOf(cause)
        if (attempt > MAX_READERS || this.#pool.ended || verdictOn(fault) !== 'lost') throw fault
        if (attempt > 2) await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  async #runOnce<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    for (let attempt = 1; ; attempt++) {
      const { run, release } = await this.#connect()
      try {
        const rows = await run<Row>(statement, values)
        release(false)
        return rows
      } catch (fault) {
        const verdict = verdictOn(fault)
        release(verdict === 'lost')
        if (verdict === 'lost') throw outcomeUnknown(fault)
        if (attempt > MAX_READERS || verdict !== 'again') throw fault
      }
    }
  }

  /** Runs statements in one transaction. It is tried again as a whole, unless its commit may have happened. */
  async inTransaction<Value>(work: (run: Runner) => Promise<Value>, begin: Statement = BEGIN): Promise<Value> {
    for (let attempt = 1; ; attempt++) {
      const { run, release } = await this.#connect()
      try {
        await run(begin, [])
        const value = await work(run)
        await committed(run)
        release(false)
        return value
      } catch (fault) {
        release(true)
        if (attempt > MAX_READERS || this.#pool.ended || verdictOn(fault) === 'refused') throw fault
      }
    }
  }

  async #connect(): Promise<{ readonly run: Runner; readonly release: (isBroken: boolean) => void }> {
    const client = await this.#session()
    const run = runnerOf(this.run.reach, async (statement, values) => {
      try {
        return (await client.query({ ...statement, values: [...values] })).rows
      } catch (fault) {
        throw faultOf(fault)
      }
    })
    return { run, release: (isBroken) => client.release(isBroken) }
  }

  /** A session of the pool. Nothing is done yet, so a server that cannot be reached is tried again. */
  async #session(): Promise<PoolClient> {
    const endMs = performance.now() + this.#patience.reconnectMs
    for (;;) {
      try {
        return await this.#pool.connect()
      } catch (cause) {
        const fault = faultOf(cause)
        if (performance.now() > endMs || this.#pool.ended || verdictOn(fault) === 'refused') throw fault
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  async close(): Promise<void> {
    if (!this.#pool.ended) await this.#pool.end()
  }
}
