/** Signatures by Standard Webhooks 1.0: HMAC-SHA256 over the message's id, the time of the attempt, and the body. */

import { createHmac, randomBytes } from 'node:crypto'
import type { PreviousSecret } from '../stores/webhooks/endpoints.ts'

const PREFIX = 'whsec_'
const SECRET_BYTES = 32

/** Makes a secret: `whsec_` and 32 random bytes in base64. */
export function makeWebhookSecret(): string {
  return `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`
}

/** A message as it is sent. */
export interface Message {
  /** The same in every attempt. */
  readonly id: string
  readonly body: string
}

/** The secrets of an endpoint: during a rotation, two. */
export interface Secrets {
  readonly secret: string
  readonly previous: PreviousSecret | null
}

/** The headers of one attempt, signed with every secret that works at that time. */
export function signedHeaders({ id, body }: Message, { secret, previous }: Secrets, atMs: number): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(atMs / 1_000))
  const secrets = previous !== null && atMs < previous.untilMs ? [secret, previous.secret] : [secret]
  return {
    'content-type': 'application/json',
    'user-agent': 'Obol',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets.map((one) => `v1,${signature(one, `${id}.${timestamp}.${body}`)}`).join(' '),
  }
}

function signature(secret: string, content: string): string {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
  return createHmac('sha256', key).update(content).digest('base64')
}
