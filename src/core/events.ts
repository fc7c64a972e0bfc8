/** Events: what subscribers hear of each record. */

import type { AlertNews, AlertWatch } from './alert.ts'
import type { JournalRecord } from './record.ts'

/** Every event, and when it happens. */
export const EVENTS = {
  'account.created': 'An account was opened.',
  'account.updated': 'An account was changed, suspended or reactivated.',
  'key.created': 'An API key was made.',
  'key.updated': 'What an API key may do was changed.',
  'key.rotated': 'An API key got a new secret.',
  'key.revoked': 'An API key was revoked.',
  'key.budget_reached': "A charge or capture used the last of a key's budget for the period.",
  'grant.created': 'Credits were given.',
  'grant.expired': 'A grant reached its end; what was left of it and not held is gone.',
  'grant.voided': 'What was unspent of a grant was taken back.',
  'adjustment.created': 'Credits were taken: to correct a balance, or because a subscription was changed to a smaller plan.',
  'charge.created': 'Credits were charged.',
  'charge.refunded': 'Credits of a charge were given back.',
  'hold.created': 'Credits were set aside.',
  'hold.increased': 'More credits were set aside for a hold.',
  'hold.extended': 'A hold was given more time.',
  'hold.captured': 'A hold was charged, in full or in part, in time or late.',
  'hold.released': 'A hold gave back all that it had set aside.',
  'hold.expired': 'A hold ran out and gave back what it had set aside.',
  'charge.outcome_reported': 'The operator reported what became of charged work. What failed was made good, as far as the policy goes.',
  'subscription.created': 'Somebody subscribed to a plan.',
  'subscription.renewed': "A subscription's next period began. Its credits come at once, or with the payment.",
  'subscription.period_ended': "A paused subscription's period ended, and none followed.",
  'subscription.changed': 'A subscription changed to another plan, or to another version of its plan.',
  'subscription.change_planned': 'A subscription will have another plan from its next period on, or will not after all.',
  'subscription.change_due': 'A subscription will have another plan as soon as the difference is paid.',
  'subscription.paused': 'A subscription was paused: no period follows.',
  'subscription.resumed': 'A subscription goes on that was paused, or was to end.',
  'subscription.canceled': 'A subscription will end with its period.',
  'subscription.ended': 'A subscription is over: it was canceled, or not paid for.',
  'subscription.payment_attempted': 'A payment for a subscription is about to be asked for.',
  'subscription.payment_linked': 'The provider has a page on which a subscription can be paid for.',
  'subscription.payment_pending': 'Money for a subscription is on its way.',
  'subscription.payment_failed':
    'A payment for a subscription came to nothing. The record says when it is tried again, and when the subscription ends.',
  'subscription.paid': 'A subscription was paid for.',
  'subscription.payment_returned': 'Money of a subscription was refunded or charged back, or comes again. Credits stay as they are.',
  'subscription.payment_mismatched': 'A payment for a subscription is not what was due. Nothing was given: look at it, and refund it.',
  'payment_method.saved': 'A customer left something for payments that are made without them.',
  'payment_method.removed': 'What a customer had left for such payments is forgotten.',
  'auto_topup.updated': 'How an account is topped up by itself was set or changed.',
  'auto_topup.removed': 'An account is topped up by itself no longer.',
  'auto_topup.triggered': 'The available credits fell to the threshold: credits are to be bought.',
  'auto_topup.attempted': 'A payment for an automatic top-up is about to be asked for.',
  'auto_topup.action_required': 'The customer has to confirm an automatic top-up, on the page that the record names.',
  'auto_topup.paid': 'An automatic top-up was paid for.',
  'auto_topup.failed': 'An automatic top-up came to nothing. The record says why, and when the same card may be asked again.',
  'auto_topup.suspended': 'The card was declined for good, or too often: it is not asked again. Another card is.',
  'auto_topup.capped': 'The most that may be paid in a month, or tried in a day, was reached.',
  'auto_topup.blocked': 'Credits should be bought and cannot be: the record says why.',
  'auto_topup.stood_down': 'By the time credits were to be bought there were enough again.',
  'account.clock_advanced': 'The test clock that an account lives by was moved.',
  'debt.repaid': 'A grant that became effective paid what the account owed.',
  'checkout.created': 'A checkout was opened.',
  'checkout.linked': 'The provider has a page for a checkout.',
  'checkout.pending': 'A customer has done their part of a checkout, and the money is on its way.',
  'checkout.expired': 'Nothing was heard of a checkout in time. A payment that arrives later counts all the same.',
  'checkout.closed': 'The provider says that a checkout will not be paid: it has expired, failed or was canceled.',
  'topup.mismatched': 'A payment is not what was asked for, or one too many. Nothing was credited: look at it, and refund it.',
  'topup.paid': 'A purchase was paid for, and its credits were given.',
  'topup.refund_requested': 'The operator asked the provider to pay money of a top-up back.',
  'topup.refund_refused': 'The provider will not pay back what the operator asked for.',
  'topup.refunded': 'Money of a top-up was paid back, and credits were taken in proportion.',
  'topup.refund_reversed': 'A refund of a top-up came to nothing, and the credits that it took are back.',
  'topup.disputed': 'The payment of a top-up is disputed, and what is unspent of it is frozen.',
  'topup.dispute_closed': 'A dispute was won, and what was frozen is free again; or lost, and credits were taken.',
  'credits.low': 'A balance fell to the threshold of an alert, or below it.',
  'spend.high': 'What was spent of a credit type in a day reached the threshold of an alert.',
  'key.budget_low': "What was spent with a key reached the threshold of an alert on the key's budget.",
  'alert.recovered': 'What an alert had told of is over, and the alert is armed again.',
  'alert.created': 'An alert was set.',
  'alert.updated': 'An alert was changed.',
  'alert.deleted': 'An alert was taken away.',
  'credits.exhausted': 'The settled balance of a credit type fell to zero or below.',
  'credits.recovered': 'The settled balance of a credit type rose above zero again.',
} as const

/** The type of an event. */
export type EventType = keyof typeof EVENTS

const BY_KIND: Readonly<Record<JournalRecord['kind'], readonly EventType[]>> = {
  account_created: ['account.created'],
  account_updated: ['account.updated'],
  key_created: ['key.created'],
  key_updated: ['key.updated'],
  key_rotated: ['key.rotated'],
  key_revoked: ['key.revoked'],
  alert_created: ['alert.created'],
  alert_updated: ['alert.updated'],
  alert_deleted: ['alert.deleted'],
  grant: ['grant.created'],
  grant_expired: ['grant.expired'],
  grant_voided: ['grant.voided'],
  adjustment: ['adjustment.created'],
  debt_repaid: ['debt.repaid'],
  charge: ['charge.created'],
  capture: ['charge.created', 'hold.captured'],
  late_capture: ['charge.created', 'hold.captured'],
  refund: ['charge.refunded'],
  outcome_reported: ['charge.outcome_reported'],
  subscription_started: ['subscription.created'],
  subscription_renewed: ['subscription.renewed'],
  subscription_period_ended: ['subscription.period_ended'],
  subscription_granted: ['grant.created'],
  subscription_reduced: ['adjustment.created'],
  subscription_changed: ['subscription.changed'],
  subscription_change_planned: ['subscription.change_planned'],
  subscription_change_due: ['subscription.change_due'],
  subscription_paused: ['subscription.paused'],
  subscription_resumed: ['subscription.resumed'],
  subscription_canceled: ['subscription.canceled'],
  subscription_ended: ['subscription.ended'],
  subscription_payment_attempted: ['subscription.payment_attempted'],
  subscription_payment_linked: ['subscription.payment_linked'],
  subscription_payment_pending: ['subscription.payment_pending'],
  subscription_payment_failed: ['subscription.payment_failed'],
  subscription_paid: ['subscription.paid'],
  subscription_payment_returned: ['subscription.payment_returned'],
  subscription_payment_mismatched: ['subscription.payment_mismatched'],
  payment_method_saved: ['payment_method.saved'],
  payment_method_removed: ['payment_method.removed'],
  clock_advanced: ['account.clock_advanced'],
  auto_topup_set: ['auto_topup.updated'],
  auto_topup_removed: ['auto_topup.removed'],
  auto_topup_attempted: ['auto_topup.attempted'],
  auto_topup_failed: ['auto_topup.failed'],
  auto_topup_capped: ['auto_topup.capped'],
  auto_topup_blocked: ['auto_topup.blocked'],
  auto_topup_stood_down: ['auto_topup.stood_down'],
  hold: ['hold.created'],
  hold_increased: ['hold.increased'],
  hold_extended: ['hold.extended'],
  hold_released: ['hold.released'],
  hold_expired: ['hold.expired'],
  checkout_opened: ['checkout.created'],
  checkout_linked: ['checkout.linked'],
  checkout_pending: ['checkout.pending'],
  checkout_expired: ['checkout.expired'],
  checkout_closed: ['checkout.closed'],
  payment_mismatched: ['topup.mismatched'],
  topup: ['topup.paid', 'grant.created'],
  topup_refund_requested: ['topup.refund_requested'],
  topup_refund_refused: ['topup.refund_refused'],
  topup_refunded: ['topup.refunded'],
  topup_refund_reversed: ['topup.refund_reversed'],
  dispute_opened: ['topup.disputed'],
  dispute_closed: ['topup.dispute_closed'],
}

/** What is told when an alert fires. */
const BY_WATCH: Readonly<Record<AlertWatch['of'], EventType>> = {
  balance: 'credits.low',
  daily_spend: 'spend.high',
  key_budget: 'key.budget_low',
}

/** The events of a record, in order: those of its kind, those of what it did to a balance, and those of alerts, each type once. */
export function eventsOf(record: JournalRecord): readonly EventType[] {
  const { kind, events, alerts } = record
  if (events.length === 0 && alerts === undefined) return BY_KIND[kind]
  return [...BY_KIND[kind], ...events, ...new Set((alerts ?? []).map(eventOf))]
}

function eventOf({ turn, watch }: AlertNews): EventType {
  return turn === 'fired' ? BY_WATCH[watch.of] : 'alert.recovered'
}

/** More events than any record has. */
export const EVENTS_PER_RECORD = 16

/** The place of an event in its account's history: later events have higher ones. */
export function eventPlace(seq: number, index: number): number {
  return seq * EVENTS_PER_RECORD + index
}

/** The record that a place is in. */
export function seqOfPlace(place: number): number {
  return Math.floor(place / EVENTS_PER_RECORD)
}

/** Which events somebody wants: names, and families such as `charge.*`; none: all of them. */
export type EventFilter = readonly string[]

/** Whether a text may be in a filter: an event that there is, or a family of such. */
export function isEventPattern(text: string): boolean {
  return (Object.keys(EVENTS) as EventType[]).some((type) => type === text || isOfFamily(type, text))
}

/** Whether a filter lets a type through. */
export function lets(filter: EventFilter, type: EventType): boolean {
  return filter.length === 0 || filter.some((pattern) => pattern === type || isOfFamily(type, pattern))
}

function isOfFamily(type: EventType, pattern: string): boolean {
  return pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))
}
