/** What a route answers when credits refuse its work: the customer's own affair as it is, the operator's as a fault without details. */

import { ApiError, ObolError } from '../errors.ts'
import type { Obol } from '../obol.ts'

/** An answer for the customer. */
export interface Refusal {
  readonly status: number
  /** Besides the content type. */
  readonly headers: Readonly<Record<string, string>>
  /** RFC 9457: `code`, `detail`, and for credits `required`, `available`, `shortfall`, `top_up_url`. */
  readonly body: Readonly<Record<string, unknown>>
  /** What it was made of. */
  readonly cause: unknown
}

/** Refusals that are about the customer's account, key or request. Others are mistakes of the route, or of its operator key. */
const CUSTOMERS_OWN: ReadonlySet<string> = new Set([
  'insufficient_credits',
  'credits_in_flight',
  'key_budget_exceeded',
  'key_charge_limit_exceeded',
  'operation_not_allowed',
  'account_suspended',
  'rate_limited',
  'invalid_key',
  'key_expired',
  'key_revoked',
  'too_many_open_holds',
  'amount_out_of_range',
])

/** Members that are about the request to Obol, not about the customer's. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set(['instance', 'docs'])

/** Seconds after which a customer may try again when the credits cannot be asked. */
const TRY_AGAIN_SECONDS = 5

/** The answer to work that was refused. */
export async function refusalOf(obol: Obol, fault: unknown): Promise<Refusal> {
  if (fault instanceof ApiError && CUSTOMERS_OWN.has(fault.code) && !(fault.status === 401 && (await isOurKeyRefused(obol)))) {
    const members = Object.entries(fault.members).filter(([name]) => !NOT_PASSED_ON.has(name))
    const retryAfter = fault.retryAfterSeconds === null ? {} : { 'retry-after': String(fault.retryAfterSeconds) }
    return { status: fault.status, headers: retryAfter, body: Object.fromEntries(members), cause: fault }
  }
  if (fault instanceof ApiError && fault.status >= 400 && fault.status < 429)
    return problem(500, 'internal_error', 'The credits of this route are set up wrongly.', fault)
  if (!(fault instanceof ObolError)) throw fault
  const refusal = problem(503, 'credits_unavailable', 'Credits cannot be checked at the moment. Nothing was charged.', fault)
  return { ...refusal, headers: { 'retry-after': String(TRY_AGAIN_SECONDS) } }
}

/** The answer to a customer who sends no key. */
export function missingKey(): Refusal {
  const refusal = problem(401, 'authentication_required', 'Send an API key: Authorization: Bearer <key>.', null)
  return { ...refusal, headers: { 'www-authenticate': 'Bearer' } }
}

/** The answer to a request whose work an earlier one has begun, or done. */
export function repeatedWork(hold: string): Refusal {
  return problem(
    409,
    'request_repeated',
    `This request was sent before: its work is that of ${hold}. It is not done, or charged, again.`,
    null,
  )
}

function problem(status: number, code: string, detail: string, cause: unknown): Refusal {
  return { status, headers: {}, body: { type: `urn:obol:problem:${code}`, title: detail, status, code, detail }, cause }
}

/** How long it is believed that the route's own key works. */
const BELIEVED_MS = 60_000
const believedUntilMs = new WeakMap<Obol, number>()

/** A 401 may be about the customer's key, or about ours: we ask with ours alone. */
async function isOurKeyRefused(obol: Obol): Promise<boolean> {
  if ((believedUntilMs.get(obol) ?? 0) > Date.now()) return false
  try {
    await obol.accounts.list({ limit: 1 }).page()
    believedUntilMs.set(obol, Date.now() + BELIEVED_MS)
    return false
  } catch (fault) {
    if (fault instanceof ObolError) return true
    throw fault
  }
}
