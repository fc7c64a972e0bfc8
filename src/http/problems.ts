/** Every problem that the native API answers with: its status, its title, and what to do. Each has a page in docs/reference/problems. */

import type { RefusalCode } from '../core/refusals.ts'
import { ALERT_PROBLEMS } from './alert-problems.ts'
import { PLAN_PROBLEMS } from './plan-problems.ts'
import { type Problem, refusal } from './problem.ts'
import { USER_PROBLEMS } from './user-problems.ts'
import { WEBHOOK_PROBLEMS } from './webhook-problems.ts'

const TRY_LATER = 'Wait for Retry-After seconds and send the same request again, with the same Idempotency-Key.'

const REFUSAL_PROBLEMS = {
  account_not_found: refusal('account_not_found', 404, 'Account not found', 'Check the id. An external id is written `external:<id>`.'),
  account_suspended: refusal(
    'account_suspended',
    403,
    'Account suspended',
    'The operator lifts it with `PATCH /v1/accounts/{account}` and `{"status":"active"}`.',
  ),
  external_id_taken: refusal(
    'external_id_taken',
    409,
    'External id taken',
    'Use the account that has it (`GET /v1/accounts/external:<id>`), or another external id.',
  ),
  amount_out_of_range: refusal('amount_out_of_range', 400, 'Amount out of range', 'Use smaller amounts, or a credit that is worth more.'),
  insufficient_credits: refusal(
    'insufficient_credits',
    402,
    'Insufficient credits',
    'Buy or grant `shortfall` credits or more, then send the request again. The same Idempotency-Key may be used: a refused request leaves none.',
  ),
  credits_in_flight: refusal(
    'credits_in_flight',
    429,
    'Credits in flight',
    'Wait for Retry-After seconds: the credits return when calls that are running end. Paying is not needed.',
  ),
  key_budget_exceeded: refusal(
    'key_budget_exceeded',
    402,
    'Key budget exceeded',
    'Raise the budget of the key, wait until it `resets_at`, or use another key. The balance of the account is not the cause.',
  ),
  key_charge_limit_exceeded: refusal(
    'key_charge_limit_exceeded',
    403,
    'Key charge limit exceeded',
    'Split the call, or raise `budget.max_per_charge` of the key.',
  ),
  operation_not_allowed: refusal(
    'operation_not_allowed',
    403,
    'Operation not allowed',
    'Use a key that allows the operation, or add it to `operations` of this one.',
  ),
  invalid_key: refusal('invalid_key', 401, 'Invalid API key', 'Check that the whole key was copied, and that it is for this server.'),
  key_expired: refusal('key_expired', 401, 'API key expired', 'Use the new secret, or another key.'),
  key_not_found: refusal('key_not_found', 404, 'API key not found', 'Check the id; `GET /v1/keys` lists the keys of an account.'),
  key_already_revoked: refusal('key_already_revoked', 409, 'API key already revoked', 'Make a new key.'),
  key_revoked: refusal('key_revoked', 401, 'API key revoked', 'Use another key. A revoked key never works again.'),
  price_not_configured: refusal(
    'price_not_configured',
    422,
    'Price not configured',
    'Publish a price book that prices the operation (`POST /v1/price-book`), or state an `amount`.',
  ),
  quantity_required: refusal(
    'quantity_required',
    400,
    'Quantity required',
    'State `quantity`, or `quantities` by unit when the price has several.',
  ),
  unknown_unit: refusal('unknown_unit', 400, 'Unknown unit', 'Use a unit of the price: `GET /v1/prices` lists them.'),
  effective_at_passed: refusal(
    'effective_at_passed',
    400,
    'Effective time passed',
    'Let `effective_at` be later than now, or leave it out.',
  ),
  quote_invalid: refusal(
    'quote_invalid',
    400,
    'Quote invalid',
    'Use the `quote_id` of an estimate that was made for this account, or leave it out.',
  ),
  quote_expired: refusal('quote_expired', 409, 'Quote expired', 'Ask for a new estimate.'),
  charge_not_found: refusal('charge_not_found', 404, 'Charge not found', 'Check the id.'),
  refund_exceeds_charge: refusal('refund_exceeds_charge', 409, 'Refund exceeds charge', 'Refund at most `refundable` credits.'),
  expiry_passed: refusal('expiry_passed', 400, 'Expiry passed', 'Let `expires_at` be later than now, and than `effective_at`.'),
  grant_not_found: refusal('grant_not_found', 404, 'Grant not found', 'Check the id.'),
  grant_closed: refusal('grant_closed', 409, 'Grant closed', 'Nothing is left of it to void.'),
  hold_not_found: refusal('hold_not_found', 404, 'Hold not found', 'Check the id.'),
  hold_already_captured: refusal(
    'hold_already_captured',
    409,
    'Hold already captured',
    'To charge more for the same work, make a charge of its own.',
  ),
  hold_already_released: refusal(
    'hold_already_released',
    409,
    'Hold already released',
    'To charge for the work after all, make a charge of its own.',
  ),
  hold_expired: refusal(
    'hold_expired',
    409,
    'Hold expired',
    'Capture it: work that was delivered is recorded as a late capture. Extend holds of long work before they expire.',
  ),
  hold_ttl_exceeded: refusal('hold_ttl_exceeded', 409, 'Hold lifetime exceeded', 'Capture the hold so far and open another one.'),
  capture_exceeds_hold: refusal(
    'capture_exceeds_hold',
    409,
    'Capture exceeds hold',
    'Increase the hold first, or capture with the policy `cap` or `overdraft`.',
  ),
  too_many_open_grants: refusal(
    'too_many_open_grants',
    409,
    'Too many open grants',
    'Grant larger amounts less often, or void grants that are not needed.',
  ),
  too_many_open_holds: refusal('too_many_open_holds', 409, 'Too many live holds', 'Capture or release holds as soon as their work ends.'),
  too_many_keys: refusal('too_many_keys', 409, 'Too many API keys', 'Revoke keys that are not used.'),
  too_many_open_checkouts: refusal(
    'too_many_open_checkouts',
    409,
    'Too many open checkouts',
    'Finish or cancel open checkout sessions; those that nobody pays expire by themselves.',
  ),
  checkout_session_not_found: refusal('checkout_session_not_found', 404, 'Checkout session not found', 'Check the id.'),
  checkout_closed: refusal(
    'checkout_closed',
    409,
    'Checkout session closed',
    'Read it: `status` says how it ended. Open a new one to buy more.',
  ),
  topups_not_offered: refusal(
    'topups_not_offered',
    409,
    'Top-ups not offered',
    'The operator sets what is on offer with `PUT /v1/topups/options`, and how it is paid with `OBOL_PAYMENTS`.',
  ),
  topup_amount_out_of_range: refusal(
    'topup_amount_out_of_range',
    400,
    'Top-up amount out of range',
    'Send `amount_minor` from `min_minor` to `max_minor`, or a `pack`: `GET /v1/topups/options` lists them.',
  ),
  pack_not_found: refusal('pack_not_found', 404, 'Pack not found', '`GET /v1/topups/options` lists the packs on offer.'),
  provider_changed: refusal(
    'provider_changed',
    409,
    'Payment provider changed',
    'Do it at the provider itself, or run a server with that one in `OBOL_PAYMENTS`.',
  ),
  topup_not_found: refusal('topup_not_found', 404, 'Top-up not found', 'Check the id. A checkout is a top-up once it is paid.'),
  topup_refund_exceeds_payment: refusal(
    'topup_refund_exceeds_payment',
    409,
    'Refund exceeds payment',
    'Refund at most `refundable_minor`, in minor units. Refunds that the provider has yet to make count as well.',
  ),
  nothing_to_dispute: refusal('nothing_to_dispute', 409, 'Nothing to dispute', 'Nothing: the credits were taken back before.'),
  invoice_not_found: refusal('invoice_not_found', 404, 'Invoice not found', 'Check the id; `GET /v1/invoices` lists those of an account.'),
  month_not_over: refusal(
    'month_not_over',
    409,
    'Month not over',
    'Ask again after `ends_at`, or for an earlier month. `GET /v1/usage` has the month so far.',
  ),
  month_before_account: refusal('month_before_account', 404, 'Month before account', 'Ask for a month in which the account existed.'),
  too_many_refunds: refusal(
    'too_many_refunds',
    409,
    'Too many refunds',
    'Refund the rest in one step, or correct the balance by an adjustment.',
  ),
  idempotency_key_reused: refusal(
    'idempotency_key_reused',
    422,
    'Idempotency key reused',
    'Use a new key for each request; use the same one only to send the same request again.',
  ),
  ...ALERT_PROBLEMS,
  ...PLAN_PROBLEMS,
  ...USER_PROBLEMS,
  ...WEBHOOK_PROBLEMS,
} as const satisfies Record<RefusalCode, Problem>

const HTTP_PROBLEMS = {
  provider_unavailable: {
    status: 502,
    title: 'Payment provider unavailable',
    meaning: 'The payment provider did not answer. What was asked of it may have happened all the same.',
    fix: 'Send the same request again, with the same Idempotency-Key: it goes on where it was cut short.',
  },
  nothing_to_simulate: {
    status: 409,
    title: 'Nothing to simulate',
    meaning: 'What the sandbox is to let happen cannot happen to this payment as it is.',
    fix: 'Let a dispute begin before it ends, and refund before a refund fails.',
  },
  signature_invalid: {
    status: 400,
    title: 'Signature invalid',
    meaning: 'The event was not signed by the payment provider, was changed on its way, or is too old.',
    fix: 'Check `STRIPE_WEBHOOK_SECRET`, and that nothing between the provider and this server changes bodies. Nothing was done.',
  },
  invalid_request: {
    status: 400,
    title: 'Invalid request',
    meaning: 'The body, query or path does not have the form that the operation asks for.',
    fix: 'Mend each place that `errors` points to. Unknown fields are refused, never ignored.',
  },
  invalid_json: {
    status: 400,
    title: 'Invalid JSON',
    meaning: 'The body is not JSON, or has a number with more digits than JSON readers keep.',
    fix: 'Send JSON. Write long numbers as strings.',
  },
  invalid_cursor: {
    status: 400,
    title: 'Invalid cursor',
    meaning: 'The cursor is not an id of this list.',
    fix: 'Use the id of the first or last item of a page of the same list.',
  },
  idempotency_key_required: {
    status: 400,
    title: 'Idempotency key required',
    meaning: 'What moves credits needs a name, so that sending it twice cannot move them twice.',
    fix: 'Send an `Idempotency-Key` header: a new UUID for each request, the same one when the request is sent again.',
  },
  idempotency_key_invalid: {
    status: 400,
    title: 'Idempotency key invalid',
    meaning: 'The Idempotency-Key header is not 1 to 255 printable ASCII characters.',
    fix: 'Use a UUID.',
  },
  authentication_required: {
    status: 401,
    title: 'Authentication required',
    meaning: 'The request has no `Authorization: Bearer` header.',
    fix: 'Send an API key, or the access token of a user: `Authorization: Bearer <key>`.',
  },
  operator_key_required: {
    status: 403,
    title: 'Operator key required',
    meaning: 'Only the operator may do this.',
    fix: 'Call it from the operator’s own server with the operator key. Never give that key to customers.',
  },
  scope_required: {
    status: 403,
    title: 'Scope required',
    meaning: 'The key may read its account, and lacks the scope that this needs.',
    fix: 'Use a key with the scope, or ask the operator for one.',
  },
  role_required: {
    status: 403,
    title: 'Role required',
    meaning: 'Only a user who is an owner of the account may do this.',
    fix: 'Ask an owner of the account, or the operator.',
  },
  user_required: {
    status: 403,
    title: 'User required',
    meaning: 'This is about the user who asks, and a key is no user.',
    fix: 'Sign in (`POST /v1/auth/token`) and send the access token.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    meaning: 'There is nothing at this address.',
    fix: 'Check the path: /docs lists every operation.',
  },
  body_too_large: {
    status: 413,
    title: 'Body too large',
    meaning: 'The body is larger than this operation takes.',
    fix: 'Send less at once: split batches.',
  },
  headers_too_large: {
    status: 431,
    title: 'Headers too large',
    meaning: 'The headers of the request are larger than the server reads.',
    fix: 'Send fewer or shorter headers. Nothing that Obol reads is long.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    meaning: 'The body is not `application/json`.',
    fix: 'Send `Content-Type: application/json`.',
  },
  too_many_streams: {
    status: 429,
    title: 'Too many streams',
    meaning: 'The key or user has as many streams open as it may, or the account, or the server has.',
    fix: 'Close streams that are not used: one is enough for a page or a process. Then wait for Retry-After seconds.',
  },
  rate_limited: {
    status: 429,
    title: 'Rate limited',
    meaning: 'The key or user has sent more requests than its rate limit allows.',
    fix: TRY_LATER,
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    meaning: 'Obol failed. The log has the cause under the request id.',
    fix: 'Send the request again with the same Idempotency-Key: it takes effect once. If it goes on, report the request id.',
  },
  overloaded: {
    status: 503,
    title: 'Overloaded',
    meaning: 'More work waits than the server lets wait. Nothing was done.',
    fix: TRY_LATER,
  },
  not_ready: {
    status: 503,
    title: 'Not ready',
    meaning: 'The server is starting or stopping, or its store does not answer, cannot be written, or is out of room.',
    fix: TRY_LATER,
  },
} as const satisfies Record<string, Problem>

/** Every problem, by its code. */
export const PROBLEMS = { ...REFUSAL_PROBLEMS, ...HTTP_PROBLEMS } as const

/** The code that clients switch on. */
export type ProblemCode = keyof typeof PROBLEMS

/** The URI that identifies a problem type, the same on every server. */
export function problemType(code: ProblemCode): string {
  return `urn:obol:problem:${code}`
}

/** A place in a request that is wrong. */
export interface ProblemPlace {
  /** JSON pointer as a URI fragment (`#/amount`), or `query/limit`, `path/account`, `header/idempotency-key`. */
  readonly pointer: string
  readonly detail: string
}

/** The pointer to a field of what another pointer leads to (RFC 6901). */
export function pointerTo(parent: string, field: string): string {
  return `${parent}/${encodeURIComponent(field.replaceAll('~', '~0').replaceAll('/', '~1'))}`
}

/** Thrown to answer with a problem. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly code: ProblemCode
  readonly members: Readonly<Record<string, unknown>>

  constructor(code: ProblemCode, detail: string, members: Readonly<Record<string, unknown>> = {}, options: ErrorOptions = {}) {
    super(detail, options)
    this.code = code
    this.members = members
  }
}

/** Bad input at one place. */
export function badInput(pointer: string, detail: string): ProblemError {
  return new ProblemError('invalid_request', `${pointer} ${detail}`, { errors: [{ pointer, detail }] })
}
