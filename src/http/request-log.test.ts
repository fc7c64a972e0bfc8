/** What the server logs: enough to find a request again, and no key of anybody. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fastify, type RawRequestDefaultExpression } from 'fastify'
import { pino } from 'pino'
import { caller, makeKey, OPERATOR_KEY, openAccount, startTestObol, type TestObol } from '../../test/running/obol.ts'
import { startObol } from '../app.ts'
import { readConfig } from '../config.ts'
import { redaction } from '../logging.ts'
import { requestLogger } from './request-logger.ts'

/** A server that logs every request, with the logger that a real one has. */
async function startLogging(t: TestContext): Promise<{ readonly call: TestObol['call']; readonly log: readonly string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-test-'))
  const log: string[] = []
  const settings = {
    OBOL_PORT: '0',
    OBOL_LOG_REQUESTS: 'true',
    OBOL_OPERATOR_KEY: OPERATOR_KEY,
    OBOL_DATABASE_URL: `sqlite:${join(folder, 'obol.db')}`,
  }
  const logger = pino({ level: 'debug', ...redaction() }, { write: (line: string) => log.push(line) })
  const obol = await startObol(readConfig(settings).config, { log: logger })
  t.after(async () => {
    await obol.close()
    rmSync(folder, { recursive: true })
  })
  return { call: caller(obol.address), log }
}

test('requests that are logged, failed ones included, have no key in them', async (t) => {
  const obol = await startLogging(t)
  const { call, log } = obol
  const account = await openAccount(obol, '1')
  const { secret, id } = await makeKey(obol, account, { budget: { limit: '0.5' } })
  const own = { key: secret }
  const answers = [
    await call('GET', '/v1/credits', undefined, own),
    await call('POST', '/v1/charges', { key: secret, operation: 'unit', amount: '1' }),
    await call('POST', '/v1/charges', { key: secret, operation: 'unit', wrong: true }),
    await call('POST', '/v1/charges', `{"key":"${secret}","operation":`),
    await call('POST', '/v1/keys/verify', { key: secret }),
    await call('DELETE', `/v1/keys/${id}`),
    await call('GET', '/v1/credits', undefined, own),
  ]
  const lines = log.join('')
  for (const { headers } of answers) assert.ok(lines.includes(headers.get('x-request-id') ?? 'none'), 'every request is found again')
  for (const secretText of [secret, OPERATOR_KEY]) assert.ok(!lines.includes(secretText))
})

test('a key that somebody put into an address is blanked in the log', async (t) => {
  const obol = await startLogging(t)
  const account = await openAccount(obol, '1')
  const { secret } = await makeKey(obol, account)
  for (const path of [
    `/v1/charges?account=${account}&key=${secret}`,
    `/v1/keys/${secret}`,
    `/v1/credits?api_key=${secret}`,
    `/v1/accounts/external:${secret}`,
  ])
    await obol.call('GET', path)
  assert.deepEqual(
    obol.log.filter((line) => line.includes(secret)),
    [],
  )
})

test('requests are not logged unless that is asked for; faults always are, with their cause and the request id', async (t) => {
  const { call, log, obol } = await startTestObol(t)
  await call('GET', '/v1/accounts')
  await call('GET', '/v1/nothing')
  await call('POST', '/v1/accounts', {})
  assert.deepEqual(
    log.filter((line) => line.includes('"reqId"')),
    [],
  )
  await obol.services.store.close()
  const { body } = await call('GET', '/v1/accounts')
  const faults = log.filter((line) => line.includes('"level":50') && line.includes(body.request_id))
  assert.equal(faults.length, 1)
})

test('the logger of a request is made when something is logged, and not for being looked at', () => {
  const made: object[] = []
  const lines: string[] = []
  const parent = pino({ onChild: (child) => made.push(child) }, { write: (line: string) => lines.push(line) })
  const log = requestLogger.call(fastify(), parent, { reqId: 'req-1' }, {}, {} as RawRequestDefaultExpression)
  for (const name of ['info', 'error', 'debug', 'fatal', 'warn', 'trace', 'child'] as const) assert.equal(typeof log[name], 'function')
  assert.equal(made.length, 0)
  log.info({ order: 7 }, 'done with %s', 'it')
  log.warn('twice')
  assert.equal(made.length, 1)
  const [first, second] = lines.map((line) => JSON.parse(line))
  assert.deepEqual([first.reqId, first.order, first.msg], ['req-1', 7, 'done with it'])
  assert.deepEqual([second.reqId, second.msg], ['req-1', 'twice'])
})
