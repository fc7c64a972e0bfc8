/** `/v1/events`: what subscribers hear of all accounts, in the order in which it happened. */

import { type Static, Type } from 'typebox'
import { EVENTS_PER_RECORD, eventsOf } from '../../core/events.ts'
import { accountId, eventId } from '../../core/ids.ts'
import type { JournalRecord } from '../../core/record.ts'
import { DEFAULT_PAGE, PAGE_QUERY } from '../pages.ts'
import { ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { RecordBody, renderRecord } from './journal.ts'
import { PROBLEMS_ANSWER, Time } from './schemas.ts'
import { timeOut } from './values.ts'

const Event = Type.Object({
  object: Type.Literal('event'),
  id: Type.String(),
  type: Type.String(),
  account: Type.String(),
  created_at: Time,
  record: RecordBody,
})

export type EventOut = Static<typeof Event>

const Events = Type.Object({
  object: Type.Literal('events'),
  data: Type.Array(Event),
  next: Type.String({ description: 'Give it as `after` to go on.' }),
})

export function eventRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/events',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listEvents',
        tags: ['journal'],
        summary: 'Read the events of all accounts, oldest first',
        description:
          'Events are written with what they tell of. Give the `next` of one answer as the `after` of the following: none is missed, and none is told twice.',
        querystring: Type.Object(
          {
            after: Type.Optional(
              Type.String({ pattern: '^[0-9]{1,15}$', description: 'Where the last answer ended. Default: from the first.' }),
            ),
            limit: PAGE_QUERY.limit,
          },
          { additionalProperties: false },
        ),
        response: { 200: Events, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const after = Number(request.query.after ?? 0)
      if (!Number.isSafeInteger(after)) throw new ProblemError('invalid_cursor', 'after is not the `next` of an answer.')
      const { data, next } = await readEvents(services, after, request.query.limit ?? DEFAULT_PAGE)
      return { object: 'events' as const, data, next: String(next) }
    },
  )
}

/**
 * Events after a place, which counts EVENTS_PER_RECORD for each record before it and one for each event told of the record at it: so
 * an answer may end between two events of one record.
 */
async function readEvents(
  { store }: NativeContext['services'],
  after: number,
  limit: number,
): Promise<{ readonly data: readonly EventOut[]; readonly next: number }> {
  const from = Math.floor(after / EVENTS_PER_RECORD)
  const data: EventOut[] = []
  let next = after
  for (const { position, account, record } of await store.feed(from - 1, limit + 1)) {
    const first = position === from ? after % EVENTS_PER_RECORD : 0
    const places = [...eventsOf(record).keys()].slice(first, first + limit - data.length)
    const events = places.map((index) => renderEvent(account, record, index))
    data.push(...events)
    next = position * EVENTS_PER_RECORD + first + events.length
    if (data.length === limit) break
  }
  return { data, next }
}

/** Writes the event of a record that is at a place among its events. */
export function renderEvent(account: number, record: JournalRecord, index: number): EventOut {
  const type = eventsOf(record)[index]
  if (type === undefined) throw new Error(`record ${record.seq} of account ${account} has no event ${index}`)
  return {
    object: 'event',
    id: eventId(account, record.seq, index),
    type,
    account: accountId(account),
    created_at: timeOut(record.atMs),
    record: renderRecord(account, record),
  }
}
