import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { startTestObol } from '../test/running/obol.ts'
import { hideSecrets, KEY_PREFIX, makeSecret, ONE_TIME_PREFIXES, OPERATOR_PREFIX, REFRESH_PREFIX } from './auth/secrets.ts'
import { redaction } from './logging.ts'

/** What a logger with redaction writes, as it was written and as it reads. */
function logged(write: (log: ReturnType<typeof pino>) => void): { readonly text: string; readonly line: Record<string, unknown> } {
  let text = ''
  const stream = {
    write: (chunk: string) => {
      text += chunk
    },
  }
  write(pino(redaction(), stream))
  return { text, line: JSON.parse(text) as Record<string, unknown> }
}

const SECRETS = [
  makeSecret(KEY_PREFIX),
  makeSecret(OPERATOR_PREFIX),
  makeSecret(REFRESH_PREFIX),
  makeSecret(ONE_TIME_PREFIXES.invitation),
  makeSecret(ONE_TIME_PREFIXES.password_reset),
  'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl-_',
  'obol_test_abc123',
  'whsec_c2VjcmV0',
  'sk_live_abc123',
  'sk_test_abc123',
]

test('secrets are blanked in a text, wherever they stand, and nothing else is', () => {
  for (const secret of SECRETS) {
    assert.equal(hideSecrets(`the key ${secret} is wrong`), 'the key [redacted] is wrong')
    assert.equal(hideSecrets(`{"key":"${secret}"},${secret}`), '{"key":"[redacted]"},[redacted]')
  }
  const plain = 'chg_1k2m3n4p0000002f of acct_1k2m3n4p, key_1k2m3n4p00000003, obol verify, obol_live'
  assert.equal(hideSecrets(plain), plain)
})

test('secrets are blanked in the message, the stack and the cause of an error', () => {
  for (const secret of SECRETS) {
    const fault = new Error(`refused ${secret}`, { cause: new Error(`because of ${secret}`) })
    const { text, line } = logged((log) => log.error({ err: fault }, 'the request failed'))
    assert.ok(!text.includes(secret), text)
    const { type, message, cause, stack } = line.err as Record<string, string>
    assert.deepEqual([type, message, cause], ['Error', 'refused [redacted]', 'because of [redacted]'])
    assert.match(stack ?? '', /refused \[redacted\]\n +at /)
  }
})

test('what is thrown and is no error is logged as a text, without secrets', () => {
  assert.equal(logged((log) => log.error({ err: `odd ${SECRETS[0]}` }, 'x')).line.err, 'odd [redacted]')
})

test('headers and fields that hold secrets are blanked by where they stand', () => {
  const { line } = logged((log) =>
    log.info({
      req: { method: 'POST', headers: { authorization: 'Bearer x', cookie: 'a=b', 'idempotency-key': 'job-1', accept: '*/*' } },
      res: { headers: { 'set-cookie': 'a=b' } },
      body: {
        password: 'p',
        secret: 's',
        api_key: 'k',
        token: 't',
        access_token: 'a',
        refresh_token: 'r',
        current_password: 'c',
        name: 'Ada',
      },
    }),
  )
  assert.deepEqual(line.req, {
    method: 'POST',
    headers: { authorization: '[redacted]', cookie: '[redacted]', 'idempotency-key': '[redacted]', accept: '*/*' },
  })
  assert.deepEqual(line.res, { headers: { 'set-cookie': '[redacted]' } })
  const hidden = ['password', 'secret', 'api_key', 'token', 'access_token', 'refresh_token', 'current_password']
  assert.deepEqual(line.body, { ...Object.fromEntries(hidden.map((name) => [name, '[redacted]'])), name: 'Ada' })
})

test('a server that logs every request logs no key, no idempotency key and no body', async (t) => {
  const { call, log } = await startTestObol(t, { OBOL_LOG_REQUESTS: 'true' })
  const secret = makeSecret(KEY_PREFIX)
  await call('GET', '/v1/credits', undefined, { key: secret })
  await call('POST', '/v1/keys/verify', { key: secret }, { idempotencyKey: 'the-name-of-a-request' })
  await call('POST', '/v1/accounts', { name: 'A name that is nobody else’s business' })
  const text = log.join('')
  assert.ok(log.length >= 3 && text.includes('/v1/credits'), 'requests are logged')
  for (const secretText of [secret, 'the-name-of-a-request', 'nobody else', 'the-operator-key'])
    assert.ok(!text.includes(secretText), secretText)
})
