/** Servers on one store of either kind, as many as the kind allows; stopped and audited when the test ends. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { type Obol, type ObolOptions, startObol } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { redaction } from '../../src/logging.ts'
import { caller, OPERATOR_KEY, type TestObol } from './obol.ts'
import { newPlace, type StoreKind } from './store.ts'

/** A server that a test calls. */
export interface TestServer extends Pick<TestObol, 'call'> {
  readonly obol: Obol
}

export interface Servers {
  readonly first: TestServer
  readonly all: readonly TestServer[]
  /** The time that all of them take it to be. */
  readonly clock: { nowMs: number }
  /** Lines that they logged. */
  readonly log: string[]
  /** Stops the first one and starts another in its place. */
  readonly restart: () => Promise<TestServer>
}

/** Starts servers; more than one only on PostgreSQL. */
export async function startServers(
  t: TestContext,
  kind: StoreKind,
  {
    count = 1,
    ...options
  }: Pick<ObolOptions, 'onFirstOperator'> & {
    readonly count?: number
    readonly environment?: Readonly<Record<string, string>>
  } = {},
): Promise<Servers> {
  const place = await newPlace(kind)
  const clock = { nowMs: Date.now() }
  const log: string[] = []
  const start = async (): Promise<TestServer> => {
    const environment = { OBOL_PORT: '0', OBOL_DATABASE_URL: place.databaseUrl, OBOL_OPERATOR_KEY: OPERATOR_KEY, ...options.environment }
    const logger = pino({ level: 'debug', ...redaction() }, { write: (line: string) => log.push(line) })
    const obol = await startObol(readConfig(environment).config, {
      resolve: async () => [],
      ...options,
      clock: () => clock.nowMs,
      log: logger,
    })
    return { obol, call: caller(obol.address) }
  }
  const all = await Promise.all(Array.from({ length: count }, start))
  t.after(async () => {
    await Promise.all(all.map(({ obol }) => obol.close()))
    const { differences } = await place.audit()
    await place.remove()
    assert.deepEqual(differences, [], 'the store passes an audit after the test')
  })
  const restart = async (): Promise<TestServer> => {
    await all[0]?.obol.close()
    const started = await start()
    all[0] = started
    return started
  }
  return { first: all[0] ?? assert.fail('a server at least'), all, clock, log, restart }
}
