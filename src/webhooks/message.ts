/** Messages: what is sent of an event. The same event is the same text, whenever it is sent. */

import type { JournalRecord } from '../core/record.ts'
import type { Message } from './signature.ts'

/** An event as the API shows it, as far as it matters here. */
export interface ShownEvent {
  readonly id: string
  readonly type: string
  readonly created_at: string
  readonly record: { readonly entries: readonly unknown[] }
}

/** Shows the event of a record that is at a place among its events. */
export type ShowEvent = (account: number, record: JournalRecord, index: number) => ShownEvent

/** Entries of a record that are sent, so that a message stays below the 20 kB that the standard advises; the journal has them all. */
const MAX_ENTRIES = 50

/** The message of an event, by Standard Webhooks: its type and time, and the event. */
export function messageOf(event: ShownEvent): Message {
  const { id, type, created_at: timestamp, record } = event
  const leftOut = record.entries.length - MAX_ENTRIES
  const data =
    leftOut <= 0 ? event : { ...event, record: { ...record, entries: record.entries.slice(0, MAX_ENTRIES), entries_left_out: leftOut } }
  return { id, body: JSON.stringify({ type, timestamp, data }) }
}

/** The type of the event that nothing makes: it is sent when somebody tries an endpoint out. */
export const TEST_EVENT = 'webhook.test'

/** The message of a trial. */
export function testMessage(id: string, endpoint: string, atMs: number): Message {
  const timestamp = new Date(atMs).toISOString()
  return {
    id,
    body: JSON.stringify({ type: TEST_EVENT, timestamp, data: { object: 'webhook_test', id, endpoint, created_at: timestamp } }),
  }
}
