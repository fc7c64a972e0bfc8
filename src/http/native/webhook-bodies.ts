/** How webhook endpoints and attempts are written. */

import { type Static, Type } from 'typebox'
import { accountId } from '../../core/ids.ts'
import type { EndpointView } from '../../operations/manage-webhooks.ts'
import type { AttemptFailure, AttemptRow } from '../../stores/webhooks/attempts.ts'
import { MAX_COUNTED } from '../../stores/webhooks/deliveries.ts'
import type { DisabledReason } from '../../stores/webhooks/endpoints.ts'
import { NullableTime, nullable, nullableObject, Time } from './schemas.ts'
import { nullableTimeOut, timeOut } from './values.ts'

const DISABLED_REASONS = ['requested', 'gone', 'failing'] as const satisfies readonly DisabledReason[]
const FAILURES = [
  'name_not_found',
  'address_refused',
  'connection_failed',
  'timed_out',
  'not_accepted',
] as const satisfies readonly AttemptFailure[]
const CAUSES = ['event', 'resend', 'replay', 'test'] as const

/** An endpoint as it is answered. */
export const EndpointBody = Type.Object(
  {
    object: Type.Literal('webhook_endpoint'),
    id: Type.String(),
    account: nullable<string>('string', "The account whose events it hears; null: the operator's, which hears of all accounts."),
    url: Type.String(),
    description: Type.String(),
    events: Type.Unsafe<readonly string[] | null>({
      type: ['array', 'null'],
      items: { type: 'string' },
      description: 'Events and families of events that it hears; null: all.',
    }),
    secret: Type.Optional(Type.String({ description: 'What is signed with. Shown once, in the answer that made it.' })),
    previous_secret_until: NullableTime,
    status: Type.Unsafe<'enabled' | 'disabled'>({ type: 'string', enum: ['enabled', 'disabled'] }),
    disabled_reason: Type.Unsafe<DisabledReason | null>({
      type: ['string', 'null'],
      enum: [...DISABLED_REASONS, null],
      description: '`requested`: by a request; `gone`: it answered 410; `failing`: it accepted nothing for five days.',
    }),
    disabled_at: NullableTime,
    failing_since: nullable<string>('string', 'When the first attempt failed since one was accepted; null: it does not fail.'),
    waiting: nullableObject(
      Type.Object(
        { accounts: Type.Integer(), next_attempt_at: Time },
        { description: `Accounts of which there is something to send, counted up to ${MAX_COUNTED}; null: nothing waits.` },
      ),
    ),
    replaying: Type.Boolean({ description: 'Whether it is being sent a part of the past.' }),
    created_at: Time,
  },
  { description: 'Who is told of events.' },
)

/** Writes an endpoint; with its secret, when that was made by the request. */
export function renderEndpoint({ endpoint, waiting, isReplaying }: EndpointView, secret?: string): Static<typeof EndpointBody> {
  const { id, owner, url, description, filter, previous, disabled, health, createdAtMs } = endpoint
  return {
    object: 'webhook_endpoint',
    id,
    account: owner === 'operator' ? null : accountId(owner),
    url,
    description,
    events: filter.length === 0 ? null : [...filter],
    ...(secret === undefined ? {} : { secret }),
    previous_secret_until: nullableTimeOut(previous?.untilMs ?? null),
    status: disabled ? 'disabled' : 'enabled',
    disabled_reason: disabled?.reason ?? null,
    disabled_at: nullableTimeOut(disabled?.atMs ?? null),
    failing_since: nullableTimeOut(health.failingSinceMs),
    waiting: waiting && { accounts: waiting.accounts, next_attempt_at: timeOut(Math.max(waiting.nextMs, health.notBeforeMs)) },
    replaying: isReplaying,
    created_at: timeOut(createdAtMs),
  }
}

/** An attempt as it is answered. */
export const AttemptBody = Type.Object(
  {
    object: Type.Literal('webhook_attempt'),
    id: Type.String(),
    endpoint: Type.String(),
    event: Type.String({ description: 'Id of the event: the same in every attempt, and in the header `webhook-id`.' }),
    type: Type.String(),
    cause: Type.Unsafe<(typeof CAUSES)[number]>({
      type: 'string',
      enum: [...CAUSES],
      description: '`event`: it happened; `resend`, `replay`, `test`: somebody asked for it.',
    }),
    number: Type.Integer({ description: '1: the first attempt at the event.' }),
    outcome: Type.Unsafe<AttemptRow['outcome']>({
      type: 'string',
      enum: ['delivered', 'failed', 'given_up'],
      description: '`failed`: it is tried again.',
    }),
    status_code: nullable<number>('integer', 'What was answered; null: nothing.'),
    failure: Type.Unsafe<AttemptFailure | null>({ type: ['string', 'null'], enum: [...FAILURES, null] }),
    duration_ms: Type.Integer(),
    next_attempt_at: NullableTime,
    at: Time,
  },
  { description: 'One request to an endpoint, and what became of it.' },
)

function causeOf({ cause }: AttemptRow): (typeof CAUSES)[number] {
  if (cause === '') return 'event'
  if (cause === 'test') return 'test'
  return cause.startsWith('evt_') ? 'resend' : 'replay'
}

/** Writes an attempt. */
export function renderAttempt(attempt: AttemptRow): Static<typeof AttemptBody> {
  const { id, endpointId, eventId, eventType, number, outcome, statusCode, failure, durationMs, nextMs, atMs } = attempt
  return {
    object: 'webhook_attempt',
    id,
    endpoint: endpointId,
    event: eventId,
    type: eventType,
    cause: causeOf(attempt),
    number,
    outcome,
    status_code: statusCode,
    failure,
    duration_ms: durationMs,
    next_attempt_at: nullableTimeOut(nextMs),
    at: timeOut(atMs),
  }
}
