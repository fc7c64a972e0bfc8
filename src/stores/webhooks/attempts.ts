/** Attempts: each request that was sent to an endpoint, and what became of it. A log, of which the newest are kept. */

import type { AttemptId, EndpointId } from '../../core/ids.ts'
import { inParts, type SqlValue, type Statements } from '../statements.ts'
import { filledUp } from './endpoints.ts'

/** Why an attempt failed, besides by the status that it was answered with. */
export type AttemptFailure =
  /** The name of the host leads nowhere. */
  | 'name_not_found'
  /** The address is internal, and not one that the operator allows. */
  | 'address_refused'
  /** No connection, or one that was lost before an answer came. */
  | 'connection_failed'
  /** No answer in time. */
  | 'timed_out'
  /** Another answer than 2xx. */
  | 'not_accepted'

/** One request, and what became of it. */
export interface AttemptRow {
  readonly id: AttemptId
  readonly endpointId: EndpointId
  readonly eventId: string
  readonly eventType: string
  /** Empty: it was sent because it happened; else the id of the event or of the replay that asked for it, or `test`. */
  readonly cause: string
  /** 1: the first attempt at the event. */
  readonly number: number
  readonly atMs: number
  readonly durationMs: number
  /** `failed`: it is tried again. */
  readonly outcome: 'delivered' | 'failed' | 'given_up'
  /** Null: there was no answer. */
  readonly statusCode: number | null
  /** Null: it was delivered. */
  readonly failure: AttemptFailure | null
  /** When it is tried again; null: it is not. */
  readonly nextMs: number | null
}

/** A page of an endpoint's attempts, newest first, or after one in the other direction; of one event, if one is named. */
export interface AttemptPage {
  readonly limit: number
  readonly before?: AttemptId
  readonly after?: AttemptId
  readonly eventId?: string
}

/** Attempts of one endpoint that are kept, at most, and for how long. */
export const MAX_KEPT_ATTEMPTS = 1_000
export const KEPT_ATTEMPTS_MS = 30 * 86_400_000

const ROWS_AT_ONCE = 32
/** Rows that one statement removes of as many as there may be. */
const PART = 500
const NAMES = [
  'endpoint_id',
  'id',
  'event_id',
  'event_type',
  'cause',
  'number',
  'at_ms',
  'duration_ms',
  'outcome',
  'status_code',
  'failure',
  'next_ms',
] as const
const NUMBERS: ReadonlySet<string> = new Set(['number', 'at_ms', 'duration_ms', 'status_code', 'next_ms'])
const ROW = `(${NAMES.map((name) => `cast(? as ${NUMBERS.has(name) ? 'bigint' : 'text'})`).join(', ')})`
const ADD = `insert into webhook_attempts (${NAMES.join(', ')})
  select ${NAMES.map((_, index) => `v.column${index + 1}`).join(', ')} from (values ${Array.from({ length: ROWS_AT_ONCE }, () => ROW).join(', ')}) as v
  where exists (select 1 from webhook_endpoints e where e.id = v.column1)
  on conflict (endpoint_id, id) do nothing`
const COLUMNS = `id, endpoint_id as "endpointId", event_id as "eventId", event_type as "eventType", cause, number, at_ms as "atMs",
  duration_ms as "durationMs", outcome, status_code as "statusCode", failure, next_ms as "nextMs"`
const NO_ROW: readonly SqlValue[] = NAMES.map(() => null)

/** Attempts. */
export class Attempts {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** Notes attempts; those at endpoints that are gone are left out. */
  async add(rows: readonly AttemptRow[]): Promise<void> {
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      const some = rows.slice(at, at + ROWS_AT_ONCE).map(valuesOf)
      await this.#statements.all(ADD, filledUp(some, ROWS_AT_ONCE, NO_ROW).flat())
    }
  }

  list(id: EndpointId, { limit, before, after, eventId }: AttemptPage): Promise<readonly AttemptRow[]> {
    const [compared, order] = after === undefined ? ['id < ?', 'id desc'] : ['id > ?', 'id']
    const ofEvent = eventId === undefined ? '' : 'and event_id = ?'
    return this.#statements.all<AttemptRow>(
      `select ${COLUMNS} from webhook_attempts where endpoint_id = ? and ${compared} ${ofEvent} order by ${order} limit ?`,
      [id, after ?? before ?? AFTER_ALL, ...(eventId === undefined ? [] : [eventId]), limit],
    )
  }

  /** Removes an endpoint's oldest beyond those that are kept. */
  async removeOldest(id: EndpointId): Promise<void> {
    await this.#statements.all(
      `delete from webhook_attempts where endpoint_id = ? and id <=
         (select id from webhook_attempts where endpoint_id = ? order by id desc limit 1 offset ${MAX_KEPT_ATTEMPTS})`,
      [id, id],
    )
  }

  /** Removes those that were made before a time. */
  async removeBefore(beforeMs: number): Promise<void> {
    await inParts(
      this.#statements,
      `delete from webhook_attempts where (endpoint_id, id) in (select endpoint_id, id from webhook_attempts where at_ms < ? limit ${PART}) returning id`,
      [beforeMs],
    )
  }
}

/** Orders after every id. */
const AFTER_ALL = 'wha_w'

function valuesOf(row: AttemptRow): readonly SqlValue[] {
  const { endpointId, id, eventId, eventType, cause, number, atMs, durationMs, outcome, statusCode, failure, nextMs } = row
  return [endpointId, id, eventId, eventType, cause, number, atMs, durationMs, outcome, statusCode, failure, nextMs]
}
