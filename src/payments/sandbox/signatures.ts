/** Signed events of the sandbox: `t=<unix seconds>,v1=<HMAC-SHA256 of "<t>.<body>">`, as Stripe signs its own. */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { SignatureInvalidError } from '../provider.ts'

/** The header that carries the signature. */
export const SIGNATURE_HEADER = 'sandbox-signature'
/** Events that were signed longer ago, or as much in the future, are refused. */
const TOLERANCE_SECONDS = 300

/** Signs the body of an event. */
export function sign(secret: string, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000)
  return `t=${seconds},v1=${macOf(secret, seconds, body).toString('hex')}`
}

function macOf(secret: string, seconds: number, body: string | Buffer): Buffer {
  return createHmac('sha256', secret).update(`${seconds}.`).update(body).digest()
}

const SIGNATURE = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/

/** Throws SignatureInvalidError unless a body was signed with the secret, not long ago. */
export function checkSignature(
  secret: string,
  { body, signature }: { readonly body: Buffer; readonly signature: string },
  nowMs: number,
): void {
  const [, seconds, mac] = SIGNATURE.exec(signature) ?? []
  if (seconds === undefined || mac === undefined) throw new SignatureInvalidError('the event has no signature of the sandbox')
  if (!timingSafeEqual(macOf(secret, Number(seconds), body), Buffer.from(mac, 'hex')))
    throw new SignatureInvalidError('the signature of the event is not that of its body')
  if (Math.abs(nowMs / 1000 - Number(seconds)) > TOLERANCE_SECONDS) throw new SignatureInvalidError('the event was signed too long ago')
}
