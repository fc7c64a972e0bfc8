/** Automatic top-ups as they are answered. */

import { type Static, Type } from 'typebox'
import type { AccountState } from '../../core/account.ts'
import { type AutoTopupStatus, attemptsBefore, spentAt, standingOf } from '../../core/auto-topup.ts'
import type { AutoTopupAttempt } from '../../core/auto-topup-state.ts'
import { formatCredits } from '../../core/credits.ts'
import { accountId, objectId } from '../../core/ids.ts'
import type { AutoTopupView } from '../../operations/auto-topups.ts'
import { Amount, NullableAmount, nullable, nullableObject, Time } from './schemas.ts'
import { nullableTimeOut, timeOut } from './values.ts'

const STATUSES = [
  'off',
  'idle',
  'triggered',
  'charging',
  'requires_action',
  'cooling_down',
  'backing_off',
  'suspended',
  'capped',
  'blocked',
  'paused',
] as const satisfies readonly AutoTopupStatus[]

const Status = Type.Unsafe<AutoTopupStatus>({
  type: 'string',
  enum: [...STATUSES],
  description:
    '`requires_action`: the customer has to confirm the payment at `action_url`. `backing_off`: the card was declined, and is asked again at `next_attempt_at`. `suspended`: it is not asked again; another card is. `capped`: the most for the month, or of attempts in a day, is reached. `blocked`: it cannot be bought now. `paused`: a payment is disputed, or the account is suspended.',
})
const NextAttempt = nullable<string>('string', 'When it is tried next; null: not before something else happens.', 'date-time')
const ActionUrl = nullable<string>('string', 'Where the customer confirms the payment; null: nothing is to be confirmed.')

const Attempt = Type.Object(
  {
    checkout_session: Type.String({ description: 'Id of the purchase.' }),
    amount_minor: Type.Integer(),
    currency: Type.String(),
    action_url: ActionUrl,
    started_at: Time,
  },
  { description: 'A payment that has no outcome yet. There is one at most.' },
)

/** Automatic top-ups of an account. */
export const AutoTopupBody = Type.Object(
  {
    object: Type.Literal('auto_topup'),
    account: Type.String(),
    enabled: Type.Boolean(),
    status: Status,
    credit_type: Type.String(),
    threshold: Amount,
    target: NullableAmount,
    amount_minor: nullable<number>('integer', 'Money that is paid each time; null: what brings the credits to the target.'),
    monthly_cap_minor: Type.Integer({ description: 'Most money in a calendar month, in UTC.' }),
    currency: Type.String(),
    consent: Type.Object({
      by: Type.String(),
      text: Type.String({ description: 'What was agreed to: the text, or its version.' }),
      at: Time,
    }),
    spent_this_month_minor: Type.Integer({ description: 'Paid in this calendar month, or in flight.' }),
    attempts_in_24_hours: Type.Integer(),
    declines: Type.Integer({ description: 'Of the card that was declined last, since it last paid.' }),
    blocked_by: nullable<string>(
      'string',
      '`cooldown`, `money`, `attempts`, `no_payment_method`, `not_on_sale`, `amount_out_of_range`, `too_many_open_grants`, `payment_mismatched` or `charged_back`; null: nothing.',
    ),
    next_attempt_at: NextAttempt,
    attempt: nullableObject(Attempt),
    last_failure: nullableObject(Type.Object({ code: Type.String({ description: "The provider's reason." }), at: Time })),
    last_paid_at: nullable<string>('string', 'When an automatic top-up was last paid; null: never.', 'date-time'),
  },
  { description: 'How an account is topped up by itself, and where that stands.' },
)

function renderAttempt(account: number, attempt: AutoTopupAttempt): Static<typeof Attempt> {
  const { purchase, amountMinor, currency, page, atMs } = attempt
  return {
    checkout_session: objectId('cs', account, purchase),
    amount_minor: amountMinor,
    currency,
    action_url: page,
    started_at: timeOut(atMs),
  }
}

/** Writes automatic top-ups; null: there are none. */
export function renderAutoTopup(view: AutoTopupView | null): Static<typeof AutoTopupBody> | null {
  const terms = view?.autoTopup.terms
  if (!view || !terms) return null
  const { account, autoTopup, standing, nowMs } = view
  const { currency } = terms.monthlyCap
  const { pause, attempt, lastFailure, declined } = autoTopup
  return {
    object: 'auto_topup',
    account: accountId(account),
    enabled: terms.isOn,
    status: standing.status,
    credit_type: terms.creditType,
    threshold: formatCredits(terms.threshold),
    target: 'target' in terms.size ? formatCredits(terms.size.target) : null,
    amount_minor: 'amountMinor' in terms.size ? terms.size.amountMinor : null,
    monthly_cap_minor: terms.monthlyCap.amountMinor,
    currency,
    consent: { ...terms.consent, at: timeOut(autoTopup.agreedAtMs) },
    spent_this_month_minor: spentAt(autoTopup, { atMs: nowMs, currency }),
    attempts_in_24_hours: attemptsBefore(autoTopup, nowMs).length,
    declines: declined.at(-1)?.declines ?? 0,
    blocked_by: pause === null || (pause.untilMs ?? nowMs + 1) <= nowMs ? null : pause.why,
    next_attempt_at: nullableTimeOut(standing.nextAttemptMs),
    attempt: attempt && renderAttempt(account, attempt),
    last_failure: lastFailure && { code: lastFailure.code, at: timeOut(lastFailure.atMs) },
    last_paid_at: nullableTimeOut(autoTopup.lastPaidMs),
  }
}

/** What of it is shown beside the credits. */
export const AutoTopupSummary = Type.Object(
  { status: Status, next_attempt_at: NextAttempt, action_url: ActionUrl },
  { description: 'Where the automatic top-up stands.' },
)

/** Writes what is shown beside the credits at a moment. */
export function renderAutoTopupSummary(state: AccountState, nowMs: number): Static<typeof AutoTopupSummary> | null {
  const standing = standingOf(state, nowMs)
  if (!standing || !state.autoTopup?.terms) return null
  const { status, nextAttemptMs } = standing
  return { status, next_attempt_at: nullableTimeOut(nextAttemptMs), action_url: state.autoTopup.attempt?.page ?? null }
}

/** Moments at which that changes by time alone. */
export function autoTopupTurns(state: AccountState): readonly number[] {
  const nextMs = standingOf(state, 0)?.nextAttemptMs ?? null
  return nextMs === null ? [] : [nextMs]
}
