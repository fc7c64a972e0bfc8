/** The sample prices, as `npm start` publishes them. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { SAMPLE_PRICES_FILE } from '../../src/cli/samples.ts'
import type { TestObol } from './obol.ts'

/** Publishes the sample prices. */
export async function publishSamplePrices({ call }: Pick<TestObol, 'call'>): Promise<void> {
  const prices = JSON.parse(readFileSync(SAMPLE_PRICES_FILE, 'utf8')) as unknown
  assert.equal((await call('POST', '/v1/price-book', prices)).status, 201)
}
