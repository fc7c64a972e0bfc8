import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { type ReceivedWebhook, verifyWebhook, WebhookVerificationError } from './webhooks.ts'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`
const OTHER = `whsec_${randomBytes(24).toString('base64')}`
const BODY = '{"type":"credits.low","timestamp":"2026-11-20T12:00:00Z","data":{"account":"acct_1","available":"9.5","name":"Łódź"}}'
const NOW_MS = Date.UTC(2026, 10, 20, 12)

/** Signed by the reference implementation. */
function received(change: Partial<ReceivedWebhook> = {}, signers: readonly string[] = [SECRET], atMs = NOW_MS): ReceivedWebhook {
  const signature = signers.map((secret) => new Webhook(secret).sign('msg_1', new Date(atMs), BODY)).join(' ')
  const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': String(atMs / 1000), 'webhook-signature': signature }
  return { body: BODY, headers, secret: SECRET, nowMs: NOW_MS, ...change }
}

test('what the reference implementation signs is verified, in text and bytes, whatever the headers are kept in', async () => {
  const event = { id: 'msg_1', ...JSON.parse(BODY) }
  const { headers } = received()
  for (const change of [
    {},
    { body: new TextEncoder().encode(BODY) },
    { headers: new Headers(headers as Record<string, string>) },
    { headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value])) },
  ])
    assert.deepEqual(await verifyWebhook(received(change)), event)
})

test('during a rotation either secret will do, on either side', async () => {
  assert.equal((await verifyWebhook(received({ secret: [OTHER, SECRET] }))).type, 'credits.low')
  assert.equal((await verifyWebhook(received({}, [OTHER, SECRET]))).type, 'credits.low')
})

/** What must not be believed, and why. */
const REFUSED: readonly (readonly [name: string, change: Partial<ReceivedWebhook>, reason: RegExp])[] = [
  ['another secret', { secret: OTHER }, /No signature/],
  ['a changed body', { body: BODY.replace('9.5', '9.6') }, /No signature/],
  ['a body that was parsed and written again', { body: JSON.stringify(JSON.parse(BODY), null, 1) }, /No signature/],
  ['a parsed body', { body: JSON.parse(BODY) as string }, /parsed already/],
  ['an old message', { nowMs: NOW_MS + 301_000 }, /not from now/],
  ['a message from the future', { nowMs: NOW_MS - 301_000 }, /not from now/],
  ['no signature', { headers: { 'webhook-id': 'msg_1', 'webhook-timestamp': String(NOW_MS / 1000) } }, /webhook-signature is missing/],
  ['a signature that is none', { headers: { ...received().headers, 'webhook-signature': 'v1,### v2,abc v1,' } }, /No signature/],
  ['a time that is none', { headers: { ...received().headers, 'webhook-timestamp': '1e9' } }, /not from now/],
  ['another id', { headers: { ...received().headers, 'webhook-id': 'msg_2' } }, /No signature/],
  ['a secret that is none', { secret: 'abc' }, /begins with whsec_/],
  ['an empty secret', { secret: 'whsec_' }, /begins with whsec_/],
]

for (const [name, change, reason] of REFUSED)
  test(`a webhook is not believed: ${name}`, async () => {
    await assert.rejects(
      verifyWebhook(received(change)),
      (error) => error instanceof WebhookVerificationError && reason.test(error.message),
    )
  })
