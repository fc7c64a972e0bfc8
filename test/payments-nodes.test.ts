/** Servers on one PostgreSQL: one of them at a time asks the payment provider for lost news, and one tells what happened in the sandbox. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { startObol } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { auditDatabase } from '../src/stores/postgres/audit.ts'
import { openPostgresStore } from '../src/stores/postgres/postgres-store.ts'
import type { BackgroundWork } from '../src/stores/store.ts'
import { atEnd } from './running/ledger.ts'
import { caller, OPERATOR_KEY, openAccount } from './running/obol.ts'
import { dropSchema, newSchema } from './running/postgres.ts'
import { press, TEST_OPTIONS, until } from './running/sandbox.ts'

/** Longer than it takes until a server first asks the provider. */
const FIRST_MS = 8_000

/** Another server that has claimed some work, and does none of it. */
async function idleHolder(t: TestContext, url: string, work: BackgroundWork): Promise<{ readonly leave: () => Promise<void> }> {
  const store = await openPostgresStore({ url })
  assert.equal(await store.claim(work), true)
  const claiming = setInterval(() => void store.claim(work), 500)
  const leave = async (): Promise<void> => {
    clearInterval(claiming)
    await store.close()
  }
  atEnd(t, leave)
  return { leave }
}

test('a server leaves it to another one to ask the provider, and to tell of the sandbox, until that one is gone', async (t) => {
  const url = await newSchema()
  atEnd(t, async () => {
    const { differences } = await auditDatabase(url)
    await dropSchema(url)
    assert.deepEqual(differences, [])
  })
  const [telling, asking] = [await idleHolder(t, url, 'tell of sandbox'), await idleHolder(t, url, 'reconcile')]
  const clock = { nowMs: Date.now() }
  const settings = { OBOL_PORT: '0', OBOL_DATABASE_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY, OBOL_PAYMENTS: 'sandbox' }
  const obol = await startObol(readConfig(settings).config, { clock: () => clock.nowMs, log: pino({ level: 'silent' }) })
  atEnd(t, () => obol.close())
  const call = caller(obol.address)
  assert.equal((await call('PUT', '/v1/topups/options', TEST_OPTIONS)).status, 200)
  const account = await openAccount({ call }, '0')
  const pay = async (): Promise<() => Promise<string>> => {
    const { body } = await call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 })
    assert.equal((await press(body, 'pay')).status, 303)
    return async () => (await call('GET', `/v1/checkout-sessions/${body.id}`)).body.status
  }
  const first = await pay()
  clock.nowMs += 20 * 60_000
  await sleep(FIRST_MS)
  assert.equal(await first(), 'open', 'nobody has told of it, and nobody has asked')
  await asking.leave()
  await until(first, (status) => status === 'paid')
  const second = await pay()
  await sleep(1_000)
  assert.equal(await second(), 'open', 'nobody has told of it')
  await telling.leave()
  await until(second, (status) => status === 'paid')
})
