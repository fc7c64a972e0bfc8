/** Obols in this process on one PostgreSQL schema, beside each other. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { type Obol, startObol } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { auditDatabase } from '../../src/stores/postgres/audit.ts'
import { atEnd } from './ledger.ts'
import { caller, OPERATOR_KEY, type TestObol } from './obol.ts'
import { dropSchema, newSchema } from './postgres.ts'

/** One of them. */
export interface Node extends Pick<TestObol, 'call'> {
  readonly obol: Obol
  /** Lines that it logged. */
  readonly log: readonly string[]
}

/** Starts one on the database of a URL; whoever starts it stops it. */
export async function startNode(url: string): Promise<Node> {
  const { config } = readConfig({ OBOL_PORT: '0', OBOL_DATABASE_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY })
  const log: string[] = []
  const obol = await startObol(config, { log: pino({ level: 'debug' }, { write: (line: string) => log.push(line) }) })
  return { obol, log, call: caller(obol.address) }
}

/** Starts several on a schema of their own, or on one that is named. At the end they are stopped, and the store must pass an audit. */
export async function startNodes(
  t: TestContext,
  count: number,
  on?: string,
): Promise<{ readonly url: string; readonly nodes: readonly [Node, ...Node[]] }> {
  const url = on ?? (await newSchema())
  const [first = await startNode(url), ...others] = await Promise.all(Array.from({ length: count }, () => startNode(url)))
  atEnd(t, async () => {
    await Promise.all([first, ...others].map(({ obol }) => obol.close()))
    const { differences } = await auditDatabase(url)
    if (on === undefined) await dropSchema(url)
    assert.deepEqual(differences, [], 'the store passes an audit after the test')
  })
  return { url, nodes: [first, ...others] }
}
