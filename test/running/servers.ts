/** Servers on one store of either kind, as many as the kind allows; stopped and audited when the test ends. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { type Obol, type ObolOptions, startObol } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { redaction } from '../../src/logging.ts'
import { auditDatabase } from '../../src/stores/postgres/audit.ts'
import { auditFile } from '../../src/stores/sqlite/audit.ts'
import type { AuditReport } from '../../src/stores/store.ts'
import { caller, OPERATOR_KEY, type TestObol } from './obol.ts'
import { dropSchema, newSchema } from './postgres.ts'
import type { StoreKind } from './store.ts'

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

interface Place {
  readonly url: string
  readonly audit: () => Promise<AuditReport>
  readonly remove: () => Promise<void>
}

async function placeOf(kind: StoreKind): Promise<Place> {
  if (kind === 'postgres') {
    const url = await newSchema()
    return { url, audit: () => auditDatabase(url), remove: () => dropSchema(url) }
  }
  const folder = mkdtempSync(join(tmpdir(), 'obol-servers-'))
  const file = join(folder, 'obol.db')
  return { url: `sqlite:${file}`, audit: async () => auditFile(file), remove: async () => rmSync(folder, { recursive: true }) }
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
  const place = await placeOf(kind)
  const clock = { nowMs: Date.now() }
  const log: string[] = []
  const start = async (): Promise<TestServer> => {
    const environment = { OBOL_PORT: '0', OBOL_DATABASE_URL: place.url, OBOL_OPERATOR_KEY: OPERATOR_KEY, ...options.environment }
    const logger = pino({ level: 'debug', ...redaction() }, { write: (line: string) => log.push(line) })
    const obol = await startObol(readConfig(environment).config, { ...options, clock: () => clock.nowMs, log: logger })
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
