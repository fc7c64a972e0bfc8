/** Verifies webhooks (Standard Webhooks 1.0.0), with the Web Crypto that every platform has. */

import { type CallFacts, ObolError } from './errors.ts'

const NO_CALL: CallFacts = { requestId: null, idempotencyKey: null, attempts: 0 }

/** The message is not one of the server's, or too old, or was changed on its way. Answer it with 400, and do nothing else. */
export class WebhookVerificationError extends ObolError {
  override readonly name: string = 'WebhookVerificationError'
  override readonly whatToDo: string =
    'Give the body as it was received, before anything parses it, with the headers and the secret of this endpoint.'

  constructor(message: string, options: ErrorOptions = {}) {
    super(message, NO_CALL, options)
  }
}

/** News that a webhook brings. The same `id` may come twice: do it once. */
export interface WebhookEvent {
  readonly id: string
  readonly type: string
  readonly timestamp: string
  readonly data: unknown
}

/** What was received, and what it is held against. */
export interface ReceivedWebhook {
  /** The body, exactly as it was received. */
  readonly body: string | Uint8Array
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
  /** `whsec_…`: the endpoint's secret; during a rotation both. */
  readonly secret: string | readonly string[]
  /** How far the message's time may be from now. Default 5 minutes. */
  readonly toleranceSeconds?: number
  /** Default: the clock. */
  readonly nowMs?: number
}

const TOLERANCE_SECONDS = 300

/** Gives the event of a webhook. Throws WebhookVerificationError for one that is not the server's, or not from now. */
export async function verifyWebhook(received: ReceivedWebhook): Promise<WebhookEvent> {
  const { body, headers, secret, toleranceSeconds = TOLERANCE_SECONDS, nowMs = Date.now() } = received
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) throw new WebhookVerificationError('The body was parsed already.')
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature')
  checkTime(timestamp, { toleranceSeconds, nowMs })
  const secrets = typeof secret === 'string' ? [secret] : secret
  const content = signedContent(`${id}.${timestamp}.`, body)
  if (!(await isSigned(content, { secrets, signatures }))) throw new WebhookVerificationError('No signature is of these secrets.')
  return readEvent(id, body)
}

function headerOf(headers: ReceivedWebhook['headers'], name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  if (typeof value === 'string' && value !== '') return value
  throw new WebhookVerificationError(`The header ${name} is missing.`)
}

function checkTime(text: string, { toleranceSeconds, nowMs }: { readonly toleranceSeconds: number; readonly nowMs: number }): void {
  const seconds = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  if (!(Math.abs(nowMs / 1000 - seconds) <= toleranceSeconds)) throw new WebhookVerificationError('The message is not from now.')
}

function signedContent(head: string, body: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const first = new TextEncoder().encode(head)
  const second = typeof body === 'string' ? new TextEncoder().encode(body) : body
  const content = new Uint8Array(first.length + second.length)
  content.set(first)
  content.set(second, first.length)
  return content
}

async function isSigned(
  content: Uint8Array<ArrayBuffer>,
  { secrets, signatures }: { readonly secrets: readonly string[]; readonly signatures: string },
): Promise<boolean> {
  const stated = signatures.split(' ').flatMap((one) => (one.startsWith('v1,') ? [bytesOf(one.slice('v1,'.length))] : []))
  for (const secret of secrets) {
    const key = await crypto.subtle.importKey('raw', secretBytes(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
    for (const signature of stated) if (signature && (await crypto.subtle.verify('HMAC', key, signature, content))) return true
  }
  return false
}

function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
  const bytes = secret.startsWith('whsec_') ? bytesOf(secret.slice('whsec_'.length)) : null
  if (bytes && bytes.length > 0) return bytes
  throw new WebhookVerificationError('The secret is not one of a webhook endpoint: it begins with whsec_.')
}

/** The bytes of base64; null: it is none. */
function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 === 1) return null
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

function readEvent(id: string, body: string | Uint8Array): WebhookEvent {
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body)
  try {
    const { type, timestamp, data } = JSON.parse(text) as Readonly<Record<string, unknown>>
    if (typeof type === 'string' && typeof timestamp === 'string') return { id, type, timestamp, data }
  } catch (cause) {
    throw new WebhookVerificationError('The body is not JSON.', { cause })
  }
  throw new WebhookVerificationError('The body is no event.')
}
