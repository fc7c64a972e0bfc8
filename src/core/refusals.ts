/** Every expected no: a code that clients switch on, and what the code means. A refused command changes nothing. */

/** What each refusal means. The HTTP status, the page and the fix of each are in src/http/problems.ts. */
export const REFUSALS = {
  account_not_found: 'No account has this id or external id.',
  account_suspended: 'The account is suspended: it can be read and credited, and takes no new charges or holds.',
  external_id_taken: 'Another account has this external id.',
  amount_out_of_range: 'The credits would leave the range of ±9.2·10¹² that an account can hold.',
  insufficient_credits: 'The account has fewer credits available than the call costs.',
  credits_in_flight: 'The balance would cover the call, but live holds have set the credits aside.',
  key_budget_exceeded: "The call would exceed the key's own budget. The account may have credits.",
  key_charge_limit_exceeded: 'One call would cost more than the key may spend at once.',
  operation_not_allowed: 'The key is limited to other operations.',
  invalid_key: 'The key is not one of this server.',
  key_expired: 'The key is past its end, or was replaced by rotation and the overlap is over.',
  key_not_found: 'No API key has this id.',
  key_revoked: 'The API key has been revoked.',
  key_already_revoked: 'The API key was revoked before, so it cannot be changed or given a new secret.',
  price_not_configured: 'The price book in force has no price for the operation. Unpriced work is refused, never free.',
  quantity_required: 'The price needs a quantity that the call did not state.',
  unknown_unit: 'The call stated a unit that the price does not have.',
  effective_at_passed: 'A price book would take effect in the past, where charges have been made already.',
  quote_invalid: 'The quote id was not made by this server for this account.',
  quote_expired: 'The quote is past its time.',
  charge_not_found: 'No charge has this id.',
  refund_exceeds_charge: 'The refunds of a charge may not add up to more than the charge.',
  expiry_passed: 'The end that the request names is past, or not later than the beginning.',
  grant_not_found: 'No grant has this id.',
  grant_closed: 'The grant is spent, expired or voided already.',
  hold_not_found: 'No hold has this id.',
  hold_already_captured: 'The hold was captured before. A hold ends once.',
  hold_already_released: 'The hold was released before. A hold ends once.',
  hold_expired: 'The hold has expired. Only a late capture is possible.',
  hold_ttl_exceeded: 'A hold may live for at most 24 hours from when it was made.',
  capture_exceeds_hold: 'The capture is above the hold, and the policy in force is to reject that.',
  too_many_open_grants: 'The account has as many open grants as one account may have.',
  too_many_open_holds: 'The account has as many live holds as one account may have.',
  too_many_keys: 'The account has as many API keys as one account may have.',
  too_many_open_checkouts: 'The account has as many open checkouts as one account may have.',
  checkout_session_not_found: 'No checkout session has this id.',
  checkout_closed: 'The checkout session is paid, or has ended in another way.',
  topups_not_offered: 'This server sells no credits: payments are off, or nothing is on offer yet.',
  credit_type_not_sold: 'Credits of this type are not on offer.',
  topup_amount_out_of_range: 'The amount is below or above what a top-up may be.',
  pack_not_found: 'No pack on offer has this id.',
  provider_changed: 'The purchase was made with a payment provider that this server does not use now.',
  topup_not_found: 'No top-up has this id.',
  topup_refund_exceeds_payment: 'The refunds of a top-up may not add up to more than was paid for it.',
  nothing_to_dispute: 'What is disputed has gone back to the customer already: nothing is left to be frozen or taken.',
  invoice_not_found: 'No invoice has this id.',
  month_not_over: 'The month has not ended yet, where the account is: its statement would not be final.',
  month_before_account: 'The account was opened after the month had ended.',
  too_many_refunds: 'The top-up has as many refunds and disputes as one top-up may have.',
  already_subscribed: 'The account has a subscription to the plan that has not ended.',
  too_many_subscriptions: 'The account has as many subscriptions as one account may have.',
  anchor_in_future: 'Periods are to be counted from a moment that is to come.',
  subscription_not_found: 'No subscription has this id, or it has ended.',
  subscription_not_active: 'The subscription is paused, in its trial, or to end with its period.',
  subscription_not_paused: 'The subscription is neither paused nor to end with its period.',
  subscription_unpaid: 'The period of the subscription that has begun is not paid for.',
  payment_in_flight: 'A payment is being made, and nobody knows yet what comes of it.',
  nothing_to_pay: 'Nothing is to be paid for the subscription now.',
  plan_unchanged: 'The subscription has this version of the plan already.',
  plan_currency_differs: 'The plan costs another currency than the one before it, so the difference cannot be worked out.',
  plan_not_found: 'No plan has this id, or this version.',
  plan_archived: 'The plan is not offered any more.',
  test_clocks_off: 'The server has no test clocks.',
  test_clock_not_found: 'No test clock has this id.',
  account_has_test_clock: 'The account lives by a test clock, so it takes no real money and gets no monthly statements.',
  too_many_clock_accounts: 'As many accounts live by the test clock as may.',
  alert_not_found: 'No alert has this id.',
  too_many_alerts: 'The account has as many alerts as one account may have.',
  idempotency_key_reused: 'The idempotency key was used before, with another request.',
  invalid_credentials: 'The e-mail address or the password is wrong. Which of them is not said.',
  wrong_password: 'The current password is not the one that was sent with the new one.',
  too_many_attempts: 'Passwords were tried, or tokens refreshed, more often than is allowed in so short a time.',
  user_disabled: 'The user may not sign in any more.',
  no_membership: 'The user belongs to no account.',
  invalid_token: 'The access token is not one of this server, or was altered.',
  token_expired: 'The access token is past its time.',
  session_ended: 'The session is over: by sign-out, a changed password, time, or because the user may not open the account any more.',
  invalid_refresh_token: 'The refresh token is not one of this server, or its session is long over.',
  refresh_token_used: 'The refresh token was used by another request at the same time. Nothing was ended.',
  refresh_token_reused: 'The refresh token had been used before. Somebody may have a copy of it, so its session was ended.',
  invalid_one_time_token: 'The invitation or the reset of a password is not one of this server, was used before, or is past its time.',
  invalid_email: 'The e-mail address is missing, is none, or is not the one that was invited.',
  email_taken: 'Another user has this e-mail address.',
  password_unacceptable: 'The password is too easy to guess, or too long.',
  user_not_found: 'No user has this id.',
  membership_not_found: 'The user does not belong to the account.',
  too_many_memberships: 'The user belongs to as many accounts as one user may.',
  invitation_pending: 'The user has not accepted the invitation, so there is no password to reset.',
  invitation_accepted: 'The user has accepted the invitation before.',
  webhook_endpoint_not_found: 'No webhook endpoint has this id.',
  webhook_url_taken: 'There is a webhook endpoint with this address already.',
  webhook_address_refused: 'The address of the webhook endpoint is internal, or would be reached without TLS.',
  webhook_endpoint_disabled: 'The webhook endpoint is disabled: nothing is sent to it.',
  webhook_replay_running: 'The webhook endpoint is being sent a part of the past already.',
  too_many_webhook_endpoints: 'There are as many webhook endpoints as one account, or the operator, may have.',
  too_many_resends: 'As many events wait to be sent again as may.',
  event_not_found: 'The webhook endpoint hears of no event with this id.',
} as const

/** The code of a refusal. */
export type RefusalCode = keyof typeof REFUSALS

/** Figures that explain a refusal: amounts are decimal strings of credits, times RFC 3339, durations whole seconds. */
export type RefusalFacts = Readonly<Record<string, string | number | null>>

/** An expected no, as a value. */
export interface Refusal {
  readonly refused: RefusalCode
  /** A sentence fit for strangers. */
  readonly detail: string
  readonly facts: RefusalFacts
}

/** Makes a refusal. */
export function refuse(refused: RefusalCode, detail: string, facts: RefusalFacts = {}): Refusal {
  return { refused, detail, facts }
}

/** Tells a refusal from a result. */
export function isRefusal(value: object): value is Refusal {
  return 'refused' in value
}
