/** The server on which every operation of the API is called, once in each language. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { startTestObol, type TestObol } from './obol.ts'

const DAY_MS = 86_400_000

/** Starts a server that sells credits, forty days ahead: the month in which its account `external:before` was opened is over. */
export async function startConformanceObol(t: TestContext): Promise<TestObol> {
  const obol = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox', OBOL_TEST_CLOCKS: 'on' })
  const { status } = await obol.call('POST', '/v1/accounts', { name: 'Before', external_id: 'before' })
  assert.equal(status, 201)
  obol.clock.nowMs += 40 * DAY_MS
  return obol
}
