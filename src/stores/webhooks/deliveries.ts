/**
 * Deliveries: how far each endpoint has heard of each account. One row stands for all that waits there, because what waits is in the
 * journal; so rows are bounded, and order within an account comes by itself.
 */

import type { EndpointId } from '../../core/ids.ts'
import { first, inParts, type SqlValue, type Statements } from '../statements.ts'
import { filledUp } from './endpoints.ts'

/** How far an endpoint has heard of an account. Places are those of `core/events.ts`. */
export interface DeliveryRow extends DeliveryKey {
  /** The last event that it has heard, or will not hear any more; of one event that is sent again, how often it was. */
  readonly donePlace: number
  /** The last event that there is to hear; of one event that is sent again, how often that was asked for. */
  readonly toldPlace: number
  /** Attempts at the event that is next. */
  readonly attempts: number
  /** When the first of them was made. */
  readonly firstAttemptMs: number | null
  readonly dueMs: number
}

/** Names a delivery. */
export interface DeliveryKey {
  readonly endpointId: EndpointId
  readonly account: number
  /** Empty: what happens. Else why it is sent again: the id of an event, or of a replay. */
  readonly cause: string
}

/** News for an endpoint: events of an account, from after one place up to another. */
export interface News extends DeliveryKey {
  readonly afterPlace: number
  readonly upToPlace: number
}

/** What a delivery has come to. */
export type DeliveryStep = DeliveryKey & Pick<DeliveryRow, 'donePlace' | 'attempts' | 'firstAttemptMs' | 'dueMs'>

/** Events that wait to be sent again to one endpoint because that was asked for, at most. */
export const MAX_RESENDS = 1_000
/** Waiting accounts that are counted, at most. */
export const MAX_COUNTED = 1_000
/** Rows that one statement changes of as many as there may be. */
const PART = 500
/** Rows that one statement writes. */
const ROWS_AT_ONCE = 32

const COLUMNS = `endpoint_id as "endpointId", account, cause, done_place as "donePlace", told_place as "toldPlace", attempts,
  first_attempt_ms as "firstAttemptMs", due_ms as "dueMs"`
const IS_WAITING = 'done_place < told_place'

/** A list of rows of values, each of its type, as many as a statement takes: what is filled up has no first value. */
function rowsOf(types: readonly ('text' | 'bigint')[]): string {
  const row = `(${types.map((type) => `cast(? as ${type})`).join(', ')})`
  return `(values ${Array.from({ length: ROWS_AT_ONCE }, () => row).join(', ')}) as v`
}

/** The places in the feed up to which news was told when it was read: it is written only if that is still so. */
export interface Guard {
  readonly replay: EndpointId | null
  readonly position: number
}

const TOLD = `insert into webhook_deliveries (endpoint_id, account, cause, done_place, told_place, attempts, due_ms)
  select v.column1, v.column2, v.column3, v.column4, v.column5, 0, cast(? as bigint)
  from ${rowsOf(['text', 'bigint', 'text', 'bigint', 'bigint'])}
  where v.column1 is not null and exists (select 1 from webhook_endpoints e where e.id = v.column1 and e.disabled_at_ms is null)`
/** What waits already goes on where it is; what had come to its end begins anew after what lies between and is not for it. */
const ON_KNOWN = `on conflict (endpoint_id, account, cause) do update set
  done_place = case when webhook_deliveries.done_place >= webhook_deliveries.told_place and excluded.done_place > webhook_deliveries.done_place
    then excluded.done_place else webhook_deliveries.done_place end,
  due_ms = case when webhook_deliveries.done_place >= webhook_deliveries.told_place then excluded.due_ms else webhook_deliveries.due_ms end,
  told_place = case when excluded.told_place > webhook_deliveries.told_place then excluded.told_place else webhook_deliveries.told_place end`
/** What is asked for while it is on its way is sent once more. */
const ON_AGAIN = `on conflict (endpoint_id, account, cause) do update set told_place = webhook_deliveries.told_place + 1,
  due_ms = case when webhook_deliveries.done_place >= webhook_deliveries.told_place then excluded.due_ms else webhook_deliveries.due_ms end`
const MAY_WAIT = `(select count(*) from webhook_deliveries d where d.endpoint_id = v.column1 and substr(d.cause, 1, 4) = 'evt_' and d.done_place < d.told_place) < ${MAX_RESENDS}`
const FEED_IS_AT = 'coalesce((select f.position from webhook_feed f), 0) = ?'
const REPLAY_IS_AT = '(select r.position from webhook_replays r where r.endpoint_id = ?) = ?'

const SETTLE = `update webhook_deliveries set done_place = v.column4, attempts = v.column5, first_attempt_ms = v.column6, due_ms = v.column7
  from ${rowsOf(['text', 'bigint', 'text', 'bigint', 'bigint', 'bigint', 'bigint'])}
  where webhook_deliveries.endpoint_id = v.column1 and webhook_deliveries.account = v.column2 and webhook_deliveries.cause = v.column3
    and exists (select 1 from webhook_endpoints e where e.id = v.column1 and e.taken_by = ?)
  returning webhook_deliveries.account`

/** Deliveries. */
export class Deliveries {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** Notes news for endpoints that hear, unless the feed, or the replay, has been read on meanwhile: then somebody else has. */
  async tell(news: readonly News[], guard: Guard, nowMs: number): Promise<void> {
    const guarded = guard.replay === null ? FEED_IS_AT : REPLAY_IS_AT
    const expected: SqlValue[] = guard.replay === null ? [guard.position] : [guard.replay, guard.position]
    for (let at = 0; at < news.length; at += ROWS_AT_ONCE) {
      const rows = news.slice(at, at + ROWS_AT_ONCE).map(newsValues)
      await this.#statements.all(`${TOLD} and ${guarded} ${ON_KNOWN}`, [
        nowMs,
        ...filledUp(rows, ROWS_AT_ONCE, NO_NEWS).flat(),
        ...expected,
      ])
    }
  }

  /** Notes that an event is to be sent once more. False: the endpoint does not hear, or too many wait. */
  async resend(endpointId: EndpointId, account: number, event: string, nowMs: number): Promise<boolean> {
    const row = newsValues({ endpointId, account, cause: event, afterPlace: 0, upToPlace: 1 })
    return this.#tellOne(`${TOLD} and ${MAY_WAIT} ${ON_AGAIN} returning account`, row, nowMs)
  }

  /** Notes that a part of an account's past is to be sent again. False: the endpoint does not hear. */
  async replay(news: News, nowMs: number): Promise<boolean> {
    return this.#tellOne(`${TOLD} on conflict do nothing returning account`, newsValues(news), nowMs)
  }

  async #tellOne(sql: string, row: readonly SqlValue[], nowMs: number): Promise<boolean> {
    return (await this.#statements.all(sql, [nowMs, ...filledUp([row], ROWS_AT_ONCE, NO_NEWS).flat()])).length === 1
  }

  /** What an endpoint is to be sent now, the longest waiting first. */
  due(id: EndpointId, nowMs: number, limit: number): Promise<readonly DeliveryRow[]> {
    return this.#statements.all<DeliveryRow>(
      `select ${COLUMNS} from webhook_deliveries where endpoint_id = ? and ${IS_WAITING} and due_ms <= ? order by due_ms, account limit ?`,
      [id, nowMs, limit],
    )
  }

  /** Notes what deliveries of one endpoint have come to. False: the endpoint was taken away from whoever delivered to it, or disabled. */
  async settle(steps: readonly DeliveryStep[], by: string): Promise<boolean> {
    let settled = 0
    for (let at = 0; at < steps.length; at += ROWS_AT_ONCE) {
      const rows = steps.slice(at, at + ROWS_AT_ONCE).map(stepValues)
      settled += (await this.#statements.all(SETTLE, [...filledUp(rows, ROWS_AT_ONCE, NO_STEP).flat(), by])).length
    }
    return settled === steps.length
  }

  /** Lets all that waits for an endpoint be tried at once: it answers again. */
  async hasten(id: EndpointId, nowMs: number): Promise<void> {
    await inParts(
      this.#statements,
      `update webhook_deliveries set due_ms = ? where endpoint_id = ? and (account, cause) in
         (select account, cause from webhook_deliveries where endpoint_id = ? and ${IS_WAITING} and due_ms > ? limit ${PART}) returning account`,
      [nowMs, id, id, nowMs],
    )
  }

  /** Accounts of which an endpoint is still to hear something, counted up to a limit, and when it is tried next; null: nothing waits. */
  async waiting(id: EndpointId): Promise<{ readonly accounts: number; readonly nextMs: number } | null> {
    const row = await first<{ accounts: number; nextMs: number | null }>(
      this.#statements,
      `select (select count(distinct w.account) from
           (select account from webhook_deliveries where endpoint_id = ? and ${IS_WAITING} limit ${MAX_COUNTED}) w) as accounts,
         (select min(due_ms) from webhook_deliveries where endpoint_id = ? and ${IS_WAITING}) as "nextMs"`,
      [id, id],
    )
    return row === undefined || row.nextMs === null ? null : { accounts: row.accounts, nextMs: row.nextMs }
  }

  /** Whether events of a replay wait for an endpoint. */
  async isReplaying(id: EndpointId): Promise<boolean> {
    const sql = `select account from webhook_deliveries where endpoint_id = ? and substr(cause, 1, 4) = 'whr_' and ${IS_WAITING} limit 1`
    return (await this.#statements.all(sql, [id])).length > 0
  }

  /** Forgets all that an endpoint was to hear. */
  async forget(id: EndpointId): Promise<void> {
    await inParts(
      this.#statements,
      `delete from webhook_deliveries where endpoint_id = ? and (account, cause) in
         (select account, cause from webhook_deliveries where endpoint_id = ? limit ${PART}) returning account`,
      [id, id],
    )
  }

  /** Removes what has been heard: what was sent again at once, and the rest when nothing came since a time. */
  async removeDone(beforeMs: number): Promise<void> {
    await inParts(this.#statements, removing("cause <> ''"), [])
    await inParts(this.#statements, removing("cause = '' and due_ms < ?"), [beforeMs])
  }
}

/** Removes some of what waits no more even then. */
function removing(which: string): string {
  return `delete from webhook_deliveries where done_place >= told_place and (endpoint_id, account, cause) in
    (select endpoint_id, account, cause from webhook_deliveries where done_place >= told_place and ${which} limit ${PART}) returning account`
}

const NO_NEWS: readonly SqlValue[] = [null, null, null, null, null]
const NO_STEP: readonly SqlValue[] = [null, null, null, null, null, null, null]

function newsValues({ endpointId, account, cause, afterPlace, upToPlace }: News): readonly SqlValue[] {
  return [endpointId, account, cause, afterPlace, upToPlace]
}

function stepValues({ endpointId, account, cause, donePlace, attempts, firstAttemptMs, dueMs }: DeliveryStep): readonly SqlValue[] {
  return [endpointId, account, cause, donePlace, attempts, firstAttemptMs, dueMs]
}
