/** Events: what subscribers hear of each record. */

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
  'adjustment.created': 'The operator took credits to correct a balance.',
  'charge.created': 'Credits were charged.',
  'charge.refunded': 'Credits of a charge were given back.',
  'hold.created': 'Credits were set aside.',
  'hold.increased': 'More credits were set aside for a hold.',
  'hold.extended': 'A hold was given more time.',
  'hold.captured': 'A hold was charged, in full or in part, in time or late.',
  'hold.released': 'A hold gave back all that it had set aside.',
  'hold.expired': 'A hold ran out and gave back what it had set aside.',
  'debt.repaid': 'A grant that became effective paid what the account owed.',
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
  grant: ['grant.created'],
  grant_expired: ['grant.expired'],
  grant_voided: ['grant.voided'],
  adjustment: ['adjustment.created'],
  debt_repaid: ['debt.repaid'],
  charge: ['charge.created'],
  capture: ['charge.created', 'hold.captured'],
  late_capture: ['charge.created', 'hold.captured'],
  refund: ['charge.refunded'],
  hold: ['hold.created'],
  hold_increased: ['hold.increased'],
  hold_extended: ['hold.extended'],
  hold_released: ['hold.released'],
  hold_expired: ['hold.expired'],
}

/** The events of a record, in order: those of its kind, and those of what it did to a balance. */
export function eventsOf(record: JournalRecord): readonly EventType[] {
  return record.events.length === 0 ? BY_KIND[record.kind] : [...BY_KIND[record.kind], ...record.events]
}
