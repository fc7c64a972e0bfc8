/** A session on the server that is opened again when it is lost, and what all sessions have in common. */

import pg, { type Client, type QueryResultRow } from 'pg'
import { type Address, type Patience, type Reach, sessionConfig } from './address.ts'
import { ConnectionLostError, faultOf, messageOf, outOfService } from './faults.ts'

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

/** Statements that begin and end transactions. */
export const BEGIN: Statement = { name: 'begin', text: 'begin' }
/** One moment of the whole database, for reads that must agree with each other. */
export const BEGIN_SNAPSHOT: Statement = { name: 'begin snapshot', text: 'begin isolation level repeatable read read only' }
export const COMMIT: Statement = { name: 'commit', text: 'commit' }
export const ROLLBACK: Statement = { name: 'rollback', text: 'rollback' }

/** Waits before something is tried again: at first hardly any, in the end so long at most. */
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 200

/** Thrown when the server did not say whether a commit took effect, and cannot be asked. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError'
}

/** Waits after so many attempts, a random time, so that two who were in each other's way do not meet again. */
export function pauseAfter(attempts: number): Promise<void> {
  const longestMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempts - 1))
  return new Promise((resolve) => setTimeout(resolve, Math.random() * longestMs))
}

/**
 * For how long the server has been away. It is waited for as long as patience says, and no longer, however many wait for it one
 * after the other: who comes later hears at once that it is still away.
 */
export class Absence {
  readonly #limitMs: number
  #sinceMs: number | null = null

  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /** Notes that it is away; whether that has been so for too long. */
  isTooLong(): boolean {
    this.#sinceMs ??= performance.now()
    return performance.now() - this.#sinceMs > this.#limitMs
  }

  end(): void {
    this.#sinceMs = null
  }
}

/** One session of a lane. Statements that are sent in one turn travel together. */
export class Session {
  readonly patience: Patience
  /** Runs a prepared statement on the session, which must be open. */
  readonly run: Runner
  readonly #address: Address
  readonly #absence: Absence
  #client: Client | null = null

  constructor(address: Address, patience: Patience) {
    this.#address = address
    this.patience = patience
    this.run = runnerOf(address.reach, (statement, values) => this.#run(statement, values))
    this.#absence = new Absence(patience.reconnectMs)
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

  get schema(): string {
    return this.#address.schema
  }

  /** Opens the session if it is not. Throws OutOfServiceError when that does not succeed in time. */
  async open(): Promise<void> {
    for (let attempt = 1; this.#client === null; attempt++) {
      const client = new pg.Client({ ...sessionConfig(this.#address, this.patience), pipeline: true })
      // Whoever waits for an answer hears of it; the next one opens the session again. A client that was let go has no say in the one after it.
      client.on('error', () => this.#forget(client))
      client.on('end', () => this.#forget(client))
      try {
        await client.connect()
        this.#client = client
        this.#absence.end()
      } catch (cause) {
        endQuietly(client)
        if (this.#absence.isTooLong()) throw outOfService(unreachable(this.#address, cause))
        await pauseAfter(attempt)
      }
    }
  }

  #forget(client: Client): void {
    if (this.#client === client) this.drop()
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
    if (client) await endInTime(client, this.patience.silenceMs)
  }
}

/** That nobody is where a server should be. */
export function unreachable({ shown }: Address, cause: unknown): ConnectionLostError {
  return new ConnectionLostError(`the PostgreSQL database ${shown} cannot be reached: ${messageOf(cause)}`, { cause })
}

/** Ends a session that is broken: whether the server hears of it makes no difference. */
export function endQuietly(client: Client): void {
  const socket = (client as unknown as { readonly connection?: { readonly stream?: { destroy(): void } } }).connection?.stream
  socket?.destroy()
}

/** Ends a session; a server that does not say goodbye in time is not waited for. */
export async function endInTime(client: Client, limitMs: number): Promise<void> {
  const timer = setTimeout(() => endQuietly(client), limitMs)
  await client.end().finally(() => clearTimeout(timer))
}
