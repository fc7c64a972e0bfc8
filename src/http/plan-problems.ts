/** Problems of plans, subscriptions, automatic top-ups and test clocks. */

import { refusal } from './problem.ts'

/** The problems that refusals about plans, subscriptions, automatic top-ups and test clocks are answered with. */
export const PLAN_PROBLEMS = {
  already_subscribed: refusal(
    'already_subscribed',
    409,
    'Already subscribed',
    'Change the subscription that the account has (`POST /v1/subscriptions/{subscription}/change`), or cancel it first.',
  ),
  too_many_subscriptions: refusal('too_many_subscriptions', 409, 'Too many subscriptions', 'Cancel some of them, at once, first.'),
  anchor_in_future: refusal(
    'anchor_in_future',
    400,
    'Anchor in the future',
    'Send an `anchor` that has passed, or none: periods are then counted from now.',
  ),
  subscription_not_found: refusal(
    'subscription_not_found',
    404,
    'Subscription not found',
    'Check the id; `GET /v1/subscriptions` lists those that have not ended.',
  ),
  subscription_not_active: refusal(
    'subscription_not_active',
    409,
    'Subscription not active',
    'Resume it first (`POST /v1/subscriptions/{subscription}/resume`), or wait until its trial is over.',
  ),
  subscription_not_paused: refusal('subscription_not_paused', 409, 'Subscription not paused', 'Nothing: it goes on anyway.'),
  subscription_unpaid: refusal(
    'subscription_unpaid',
    409,
    'Subscription unpaid',
    'Pay for the period first: `POST /v1/subscriptions/{subscription}/payment-page` opens a page for that.',
  ),
  credit_type_not_sold: refusal(
    'credit_type_not_sold',
    400,
    'Credit type not sold',
    'Leave `credit_type` out, or send the one of `GET /v1/topups/options`.',
  ),
  payment_in_flight: refusal(
    'payment_in_flight',
    409,
    'Payment in flight',
    'Send the same request again when the payment has an outcome; `GET /v1/subscriptions/{subscription}`, or `GET /v1/auto-topup`, shows it.',
  ),
  nothing_to_pay: refusal('nothing_to_pay', 409, 'Nothing to pay', 'Nothing: the next payment is due with the next period.'),
  plan_unchanged: refusal('plan_unchanged', 409, 'Plan unchanged', 'Nothing: the subscription has this version of the plan.'),
  plan_currency_differs: refusal(
    'plan_currency_differs',
    409,
    'Plan of another currency',
    'Change to a plan of the same currency, or cancel the subscription and subscribe to the other plan.',
  ),
  plan_not_found: refusal('plan_not_found', 404, 'Plan not found', 'Check id and version; `GET /v1/plans` lists the plans.'),
  plan_archived: refusal('plan_archived', 409, 'Plan archived', 'Choose another plan, or offer it again with `PUT /v1/plans/{plan}`.'),
  account_has_test_clock: refusal(
    'account_has_test_clock',
    409,
    'Account has a test clock',
    'Pay with play money (the sandbox, or a test key of the provider), and read what moved in the journal; or use an account that lives in real time.',
  ),
  test_clocks_off: refusal(
    'test_clocks_off',
    403,
    'No test clocks',
    'Run a server for tests with `OBOL_TEST_CLOCKS=on`; `obol dev` has them. Never on a server with real customers.',
  ),
  test_clock_not_found: refusal('test_clock_not_found', 404, 'Test clock not found', 'Check the id; `GET /v1/test-clocks` lists them.'),
  too_many_clock_accounts: refusal('too_many_clock_accounts', 409, 'Too many accounts on a clock', 'Make another clock.'),
} as const
