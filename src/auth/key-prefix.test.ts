/** `OBOL_KEY_PREFIX`: what new keys begin with. Keys that were made before it was set work as they did. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { caller, makeKey, OPERATOR_KEY, openAccount, type TestObol } from '../../test/running/obol.ts'
import { startObol } from '../app.ts'
import { readConfig } from '../config.ts'
import { redaction } from '../logging.ts'
import { hiderOf, isWellFormed } from './secrets.ts'

interface Running extends Pick<TestObol, 'call'> {
  readonly log: readonly string[]
  readonly stop: () => Promise<void>
}

async function start(file: string, prefix: string): Promise<Running> {
  const log: string[] = []
  const settings = { OBOL_PORT: '0', OBOL_OPERATOR_KEY: OPERATOR_KEY, OBOL_DATABASE_URL: `sqlite:${file}`, OBOL_LOG_REQUESTS: 'true' }
  const { config } = readConfig({ ...settings, OBOL_KEY_PREFIX: prefix })
  const logger = pino({ level: 'debug', ...redaction(hiderOf(prefix)) }, { write: (line: string) => log.push(line) })
  const obol = await startObol(config, { log: logger })
  return { call: caller(obol.address), log, stop: () => obol.close() }
}

function storeFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'obol-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'obol.db')
}

test('keys of every prefix that a server ever had open their account, and typing errors in any are seen', async (t) => {
  const file = storeFile(t)
  const secrets: string[] = []
  let account = ''
  for (const prefix of ['obol_live_', 'ap_', 'sk-']) {
    const obol = await start(file, prefix)
    if (account === '') account = await openAccount(obol)
    const { secret } = await makeKey(obol, account)
    assert.match(secret, new RegExp(`^${prefix}[0-9A-Za-z]{38}$`))
    secrets.push(secret)
    const rotated = (await obol.call('POST', `/v1/keys/${(await makeKey(obol, account)).id}/rotate`, {})).body
    assert.ok(rotated.secret.startsWith(prefix))
    assert.equal(rotated.hint, `${prefix}…${rotated.secret.slice(-4)}`)
    for (const each of secrets) {
      assert.equal((await obol.call('GET', '/v1/credits', undefined, { key: each })).body.account, account, prefix)
      const mistyped = `${each.slice(0, -8)}${each.at(-8) === 'a' ? 'b' : 'a'}${each.slice(-7)}`
      assert.equal(isWellFormed(mistyped), false)
      assert.equal((await obol.call('GET', '/v1/credits', undefined, { key: mistyped })).body.code, 'invalid_key')
    }
    await obol.stop()
  }
})

test('a key of the prefix in the wrong place is neither logged nor repeated, whole, mistyped or of a former prefix', async (t) => {
  const file = storeFile(t)
  const before = await start(file, 'obol_live_')
  const account = await openAccount(before)
  const { secret: former } = await makeKey(before, account)
  await before.stop()
  const obol = await start(file, 'sk-')
  const { secret } = await makeKey(obol, account)
  const mistyped = `${secret.slice(0, -1)}!`
  for (const each of [secret, former, mistyped]) {
    const { text } = await obol.call('GET', `/v1/accounts/${encodeURIComponent(each)}`)
    const { text: unrouted } = await obol.call('GET', `/nothing/${each}?key=${each}`)
    for (const answer of [text, unrouted]) assert.ok(!answer.includes(each.slice(0, -1)), answer)
  }
  await obol.stop()
  const leaks = obol.log.filter((line) => [secret, former, mistyped].some((each) => line.includes(each.slice(0, -1))))
  assert.deepEqual(leaks, [])
  assert.ok(obol.log.some((line) => line.includes('/nothing/[redacted]')))
})
