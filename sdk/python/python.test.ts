/** The Python SDK's own tests, on a real server. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { OPERATOR_KEY, publishTestPrices, startTestObol } from '../../test/running/obol.ts'
import { runPython } from '../../test/running/python.ts'

/** A webhook that the reference implementation has signed. */
function signedWebhook(): string {
  const secret = `whsec_${randomBytes(32).toString('base64')}`
  const body = '{"type":"credits.low","timestamp":"2026-11-20T12:00:00Z","data":{"account":"acct_1","available":"9.5","name":"Łódź"}}'
  const at = new Date(Date.UTC(2026, 10, 20, 12))
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(at.getTime() / 1000),
    'webhook-signature': new Webhook(secret).sign('msg_1', at, body),
  }
  return JSON.stringify({ body, secret, headers, other: `whsec_${randomBytes(24).toString('base64')}` })
}

test('the tests of the Python SDK pass on a real server', async (t) => {
  const running = await startTestObol(t, { OBOL_TOP_UP_URL: 'https://example.com/buy', OBOL_RATE_LIMIT: '100000/1' })
  await publishTestPrices(running)
  const environment = {
    OBOL_TEST_URL: running.url,
    OBOL_TEST_OPERATOR_KEY: OPERATOR_KEY,
    OBOL_TEST_WEBHOOK: signedWebhook(),
  }
  const moving = setInterval(() => {
    running.clock.nowMs = Date.now()
  }, 10)
  t.after(() => clearInterval(moving))
  const { code, stderr } = await runPython(['-W', 'error', '-m', 'unittest', 'discover', '-s', 'tests', '-t', '.'], environment)
  assert.equal(code, 0, stderr)
  const [, count = '0'] = /^Ran (\d+) tests/m.exec(stderr) ?? []
  assert.ok(Number(count) >= 30, stderr)
  assert.match(stderr, /^OK$/m, 'none is skipped')
})
