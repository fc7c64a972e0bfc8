import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { makeWebhookSecret, signedHeaders } from './signature.ts'

const MESSAGE = { id: 'evt_1k2m3n4p0000002f_0', body: '{"type":"charge.created","data":{"text":"ä € 𝄞"}}' }

test('the reference implementation takes what is signed, and nothing that was altered', () => {
  const secret = makeWebhookSecret()
  const nowMs = Date.now()
  const headers = { ...signedHeaders(MESSAGE, { secret, previous: null }, nowMs) }
  assert.deepEqual(new Webhook(secret).verify(MESSAGE.body, headers), JSON.parse(MESSAGE.body))
  const altered: readonly (readonly [body: string, headers: Record<string, string>])[] = [
    [MESSAGE.body.replace('charge', 'grant'), headers],
    [MESSAGE.body, { ...headers, 'webhook-id': 'evt_1k2m3n4p0000002f_1' }],
    [MESSAGE.body, { ...headers, 'webhook-timestamp': `${Number(headers['webhook-timestamp']) + 1}` }],
    [MESSAGE.body, { ...headers, ...signedHeaders(MESSAGE, { secret: makeWebhookSecret(), previous: null }, nowMs) }],
    [MESSAGE.body, { ...signedHeaders(MESSAGE, { secret, previous: null }, nowMs - 6 * 60_000) }],
  ]
  for (const [body, given] of altered) assert.throws(() => new Webhook(secret).verify(body, given))
})

test('the reference implementation signs the same', () => {
  const secret = makeWebhookSecret()
  const atMs = Date.UTC(2026, 10, 20, 12, 0, 0, 999)
  assert.equal(
    signedHeaders(MESSAGE, { secret, previous: null }, atMs)['webhook-signature'],
    new Webhook(secret).sign(MESSAGE.id, new Date(atMs), MESSAGE.body),
  )
})

test('while a secret is replaced, whoever has either takes what is signed; afterwards, the new one alone', () => {
  const [secret, old] = [makeWebhookSecret(), makeWebhookSecret()]
  const nowMs = Date.now()
  const during = { ...signedHeaders(MESSAGE, { secret, previous: { secret: old, untilMs: nowMs + 1 } }, nowMs) }
  for (const known of [secret, old]) assert.ok(new Webhook(known).verify(MESSAGE.body, during))
  const afterwards = { ...signedHeaders(MESSAGE, { secret, previous: { secret: old, untilMs: nowMs } }, nowMs) }
  assert.ok(new Webhook(secret).verify(MESSAGE.body, afterwards))
  assert.throws(() => new Webhook(old).verify(MESSAGE.body, afterwards))
})

test('secrets have 32 random bytes, as the standard writes them', () => {
  const secrets = Array.from({ length: 50 }, makeWebhookSecret)
  assert.equal(new Set(secrets).size, secrets.length)
  for (const secret of secrets) assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
})
