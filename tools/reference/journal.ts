/** docs/reference/journal.md: what each kind of record says. */

import { EVENTS, type EventType, eventsOf } from '../../src/core/events.ts'
import type { JournalRecord } from '../../src/core/record.ts'
import { markdown, type Page, table } from './page.ts'

type Kind = JournalRecord['kind']

/** What each kind of record says happened. The compiler asks for every kind there is. */
const KINDS: Readonly<Record<Kind, string>> = {
  account_created: 'The account was opened. Always its first record.',
  account_updated: 'Name, external id, metadata, capture policy or status were changed; the record holds all of them as they are then.',
  key_created: 'An API key was made. The record holds the hash of its secret, never the secret.',
  key_updated: 'Name, budget, limits, operations, scopes or end of an API key were changed.',
  key_rotated: 'An API key got a new secret; the old one works until a stated time.',
  key_revoked: 'An API key was ended, for ever.',
  alert_created: 'An alert was set: what it watches, and from which threshold on.',
  alert_updated: 'Name, level, threshold or addresses of an alert were changed; the record holds all of them as they are then.',
  alert_deleted: 'An alert was taken away.',
  grant: 'Credits were given. What the account owed of that credit type was repaid first: the entry without a grant.',
  grant_expired: 'A grant reached its end. What was left and not held is gone; what is held stays with its holds.',
  grant_voided: 'The operator took back what was unspent and not held.',
  adjustment: 'The operator took credits, in burn order, to correct a balance. Corrections upwards are of kind `grant`.',
  debt_repaid: 'A grant that had been made for later became effective, and paid what the account owed.',
  charge: 'Credits were taken for an operation.',
  hold: 'Credits were set aside for an operation. Nothing is spent yet.',
  hold_increased: 'More credits were set aside for a hold.',
  hold_extended: 'A hold was given more time.',
  capture: 'A charge that took its credits from a hold. A final one ended the hold and let go of the rest.',
  late_capture: 'A charge for a hold that had expired, taken from the account as it was by then.',
  hold_released: 'A hold ended without a charge and gave back all that it had set aside.',
  hold_expired: 'A hold ran out of time and gave back all that it had set aside.',
  outcome_reported:
    'The operator reported what became of charged work. What failed was made good: given back as a refund is, as far as the policy goes.',
  subscription_started: 'Somebody subscribed to a plan: its terms as they are kept, and the first period or the trial.',
  subscription_renewed: 'A period followed another, as of `dueMs`. Its credits are the next records, or come with the payment.',
  subscription_period_ended: "A paused subscription's period ended, and none followed.",
  subscription_granted:
    'Credits of a subscription were given as of `dueMs`: for a period, for a trial, once (`welcome`), rolled over, or for a change of plan.',
  subscription_reduced: 'What was meant for the rest of a period was taken back, because the plan was changed to a smaller one.',
  subscription_changed:
    'A subscription has another plan from now on; `proration` says how much of the period was left, and what that is in money.',
  subscription_change_planned: 'A subscription has another plan from its next period on; without terms: it has not, after all.',
  subscription_change_due: 'A subscription has another plan as soon as the difference is paid.',
  subscription_paused: 'A subscription was paused: its period goes on to its end, and none follows.',
  subscription_resumed: 'A subscription goes on, with a period that begins now or with the one that has not ended.',
  subscription_canceled: 'A subscription will end with its period.',
  subscription_ended: 'A subscription is over: it was canceled, or not paid for in time.',
  subscription_payment_attempted:
    'A payment is about to be asked for, by what the customer left for that or on a page. Written before the provider hears of it.',
  subscription_payment_linked: 'The provider has a page for the attempt.',
  subscription_payment_pending: 'The money of the attempt is on its way.',
  subscription_payment_failed: 'An attempt came to nothing, or none could be made: when the next one is, and when the subscription ends.',
  subscription_paid: 'A subscription was paid for. The credits are the next records.',
  subscription_payment_returned:
    'Money of a payment for a subscription went back, by a refund or a lost dispute; or a refund failed after it had. No credits move.',
  subscription_payment_mismatched: 'A payment is not what was due. Nothing was given.',
  payment_method_saved:
    'A customer left something for payments that are made without them. The record holds names of it, never its numbers.',
  payment_method_removed: 'It was forgotten.',
  clock_advanced: 'The test clock that the account lives by was moved. What became due by that are the next records.',
  refund: 'Credits of a charge were given back to the grants that they came from; credits of ended grants came back as a new grant.',
  auto_topup_set: 'How the account is topped up by itself was set or changed: when, how much, the most in a month, and who agreed to what.',
  auto_topup_removed: 'The account is topped up by itself no longer.',
  auto_topup_attempted:
    'A payment for an automatic top-up is about to be asked for, of this customer and what they left. The record names the purchase, and was written before the provider heard of it.',
  auto_topup_failed: 'An attempt came to nothing, and when the same card may be asked again; null: never.',
  auto_topup_capped: 'The most that may be paid in a month, or tried in a day, was reached, until then.',
  auto_topup_blocked: 'Credits should be bought and could not be: why, and until when that holds.',
  auto_topup_stood_down: 'By the time credits were to be bought there were enough again.',
  checkout_opened: 'A checkout was opened: what is bought, for how much, and with which provider. A purchase begins.',
  checkout_linked: 'The provider made a page for the checkout.',
  checkout_pending: 'The customer has done their part; the money is on its way.',
  checkout_expired: 'Nothing was heard of the checkout in time. A payment that arrives later counts all the same.',
  checkout_closed: 'The provider says that the checkout will not be paid.',
  payment_mismatched: 'A payment is not what was asked for, or one too many. Nothing was credited.',
  topup: 'The purchase was paid for, and its credits were given. A bonus is the next record, of kind `grant`.',
  topup_refund_requested: 'The operator asked the provider to pay money back. Credits are taken when the provider says that it does.',
  topup_refund_refused: 'The provider will not pay back what the operator asked for.',
  topup_refunded:
    'Money was paid back, and credits were taken in proportion: first from the grants of the purchase, then in burn order, the rest as a debt.',
  topup_refund_reversed: 'A refund came to nothing, and what it took is back where it came from.',
  dispute_opened: 'The payment is disputed. What is unspent of the purchase is frozen: its entries hold it.',
  dispute_closed: 'The dispute has ended. Won: what was frozen is free again. Lost: credits were taken, first of what was frozen.',
}

const INTRODUCTION = `
# Journal

An account's journal is the list of all that happened to it: one record each, numbered 1, 2, 3 … (\`sequence\`), never changed and never
deleted. Balances, grants, holds, usage and statuses are folded from it and can be folded again at any time: that is what \`obol verify\` does.
\`GET /v1/journal\` lists it, newest first, as JSON or CSV.

A record that moves credits has **entries**: one movement on one grant each, with what remained and what was held before and after. An entry
whose \`grant\` is null is on the account's debt, which is a grant with less than nothing remaining. \`balance\` is that of the credit type right
after the record.

Whichever record makes alerts fire, or lets them be armed again, carries that as \`alerts\`: so each crossing is told once.

Each record is hashed together with the hash before it, beginning with the account's number, so a record that is changed, moved, left out or
added behind Obol's back breaks the chain from there on.

\`actor\` is \`operator\`, \`provider\` (what a payment provider said), \`time\` (what was due: expiries, and debts repaid by grants that had been
made for later) or the id of an API key or of a user.
What is due is decided by the time it was due at, and booked when the account is next touched, within about a second; reading an account
before that shows it as booked.
`

/** The kinds of record, in the order of the page. */
export const RECORD_KINDS = Object.keys(KINDS) as readonly Kind[]

/** The events that a record of a kind always makes. */
export function eventsOfKind(kind: Kind): readonly EventType[] {
  // Only kind and extra events decide; the rest of a record does not matter here.
  return eventsOf({ kind, events: [] } as unknown as JournalRecord)
}

/** The page of the journal. */
export function journalPage(): Page {
  const rows = RECORD_KINDS.map((kind) => [
    `\`${kind}\``,
    KINDS[kind],
    eventsOfKind(kind)
      .map((event) => `\`${event}\``)
      .join(', '),
  ])
  return markdown('docs/reference/journal.md', `${INTRODUCTION}\n## Kinds\n\n${table(['Kind', 'What happened', 'Events'], rows)}`)
}

const EVENTS_INTRODUCTION = `
# Events

An event is news that a journal record makes. It is written with the record, in the same transaction: what happened has its events, and what
did not happen has none. Read them with \`GET /v1/events\` and the operator's key, oldest first; give the \`next\` of one answer as the \`after\` of
the following. Nothing is missed and nothing is told twice as long as \`next\` is kept. Or have them sent to you: [webhooks](../guides/webhooks.md).

An event has an \`id\` that never changes, a \`type\`, the \`account\`, \`created_at\`, and the \`record\` that made it ([journal](journal.md)). Events
of one account come in the order of its journal. New types may be added: ignore those that you do not know.
`

/** The page of the events. */
export function eventsPage(): Page {
  const rows = (Object.keys(EVENTS) as EventType[]).map((type) => {
    const kinds = RECORD_KINDS.filter((kind) => eventsOfKind(kind).includes(type)).map((kind) => `\`${kind}\``)
    return [`\`${type}\``, EVENTS[type], kinds.length > 0 ? kinds.join(', ') : 'whichever record does it']
  })
  return markdown('docs/reference/events.md', `${EVENTS_INTRODUCTION}\n${table(['Event', 'When', 'Records'], rows)}`)
}
