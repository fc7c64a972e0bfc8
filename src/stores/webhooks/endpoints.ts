/** Webhook endpoints: who is to hear of events, with what secret, in what state, and which process delivers to each. */

import type { EventFilter } from '../../core/events.ts'
import type { EndpointId } from '../../core/ids.ts'
import { first, type SqlValue, type Statements, UniqueViolationError } from '../statements.ts'

/** Whose events an endpoint hears: an account's by its number, or those of all accounts. */
export type EndpointOwner = number | 'operator'

/** Why an endpoint hears nothing: somebody asked for that, its server said that it is gone, or it failed for days. */
export type DisabledReason = 'requested' | 'gone' | 'failing'

/** What is signed with, besides the secret, until a time. */
export interface PreviousSecret {
  readonly secret: string
  readonly untilMs: number
}

/** An endpoint as it stands. */
export interface EndpointRow {
  readonly id: EndpointId
  readonly owner: EndpointOwner
  readonly url: string
  /** The operator named its address. */
  readonly isByOperator: boolean
  readonly description: string
  readonly filter: EventFilter
  readonly secret: string
  readonly previous: PreviousSecret | null
  /** It hears of what happens from then on. */
  readonly sinceMs: number
  /** Null: it hears. */
  readonly disabled: { readonly atMs: number; readonly reason: DisabledReason } | null
  readonly health: Health
  readonly createdAtMs: number
  /** How often it was told that there is something to do. */
  readonly wakes: number
}

/** How an endpoint fares. */
export interface Health {
  /** Rounds of attempts since one was accepted. */
  readonly failures: number
  /** When the first of them failed; null: it does not fail. */
  readonly failingSinceMs: number | null
  /** Nothing is sent before. */
  readonly notBeforeMs: number
}

/** An endpoint to make. */
export type NewEndpoint = Pick<EndpointRow, 'id' | 'owner' | 'url' | 'isByOperator' | 'description' | 'filter' | 'secret'> & {
  readonly nowMs: number
}

/** What may change of an endpoint; what is undefined stays. */
export type EndpointChanges = Partial<Pick<EndpointRow, 'url' | 'isByOperator' | 'description' | 'filter'>>

/** Who takes endpoints on: a process, by a name of `PROCESS_LENGTH` characters, and which time that it does. */
export interface Taker {
  readonly process: string
  readonly round: number
}

/** Characters of the name of a process. */
export const PROCESS_LENGTH = 12

/** Endpoints of one account, and of the operator, at most. */
export const MAX_ENDPOINTS = { account: 20, operator: 50 } as const

/** How the operator, who has no account number, is kept. */
const OPERATOR = -1
/** A time that never comes. */
const NEVER_MS = Number.MAX_SAFE_INTEGER
/** Accounts that are asked for in one statement. */
const OWNERS_AT_ONCE = 50
/** An owner that there is not: fills the places that a statement has too many. */
const NOBODY = -2

interface RawEndpoint {
  readonly id: EndpointId
  readonly owner: number
  readonly url: string
  readonly byOperator: number
  readonly description: string
  readonly filter: string
  readonly secret: string
  readonly previousSecret: string | null
  readonly previousUntilMs: number | null
  readonly sinceMs: number
  readonly disabledAtMs: number | null
  readonly disabledReason: DisabledReason | null
  readonly failures: number
  readonly failingSinceMs: number | null
  readonly notBeforeMs: number
  readonly wakes: number
  readonly createdAtMs: number
}

const COLUMNS = `id, owner, url, by_operator as "byOperator", description, filter, secret, previous_secret as "previousSecret",
  previous_until_ms as "previousUntilMs", since_ms as "sinceMs", disabled_at_ms as "disabledAtMs", disabled_reason as "disabledReason",
  failures, failing_since_ms as "failingSinceMs", not_before_ms as "notBeforeMs", wakes, created_at_ms as "createdAtMs"`
const IS_NOT_TAKEN = `(taken_by is null or substr(taken_by, 1, ${PROCESS_LENGTH}) <> ?)`
const HEALTHY = 'failures = 0, failing_since_ms = null, not_before_ms = 0'

/** Endpoints. */
export class Endpoints {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  async #one(sql: string, values: readonly SqlValue[]): Promise<EndpointRow | undefined> {
    const row = await first<RawEndpoint>(this.#statements, sql, values)
    return row && decode(row)
  }

  byId(id: EndpointId): Promise<EndpointRow | undefined> {
    return this.#one(`select ${COLUMNS} from webhook_endpoints where id = ?`, [id])
  }

  /** Makes an endpoint. 'url_taken': the owner has one with this address; 'too_many': the owner has as many as may be. */
  async add(made: NewEndpoint): Promise<EndpointRow | 'url_taken' | 'too_many'> {
    const owner = ownerNumber(made.owner)
    const row = await this.#one(
      `insert into webhook_endpoints (id, owner, url, by_operator, description, filter, secret, since_ms, failures, due_ms, not_before_ms,
         wakes, created_at_ms)
       select cast(? as text), cast(? as bigint), cast(? as text), cast(? as bigint), cast(? as text), cast(? as text), cast(? as text), cast(? as bigint), 0,
         ${NEVER_MS}, 0, 0, cast(? as bigint)
       where (select count(*) from webhook_endpoints where owner = ?) < ?
       on conflict (owner, url) do nothing returning ${COLUMNS}`,
      [
        made.id,
        owner,
        made.url,
        made.isByOperator ? 1 : 0,
        JSON.stringify(made.description),
        JSON.stringify(made.filter),
        made.secret,
        made.nowMs,
        made.nowMs,
        owner,
        made.owner === 'operator' ? MAX_ENDPOINTS.operator : MAX_ENDPOINTS.account,
      ],
    )
    if (row) return row
    const taken = await this.#statements.all('select id from webhook_endpoints where owner = ? and url = ?', [owner, made.url])
    return taken.length > 0 ? 'url_taken' : 'too_many'
  }

  /** The endpoints of an owner, newest first. */
  async list(owner: EndpointOwner): Promise<readonly EndpointRow[]> {
    const sql = `select ${COLUMNS} from webhook_endpoints where owner = ? order by created_at_ms desc, id desc`
    return (await this.#statements.all<RawEndpoint>(sql, [ownerNumber(owner)])).map(decode)
  }

  /** Endpoints of all owners that were disabled because of how they fared, the latest first. */
  async failed(limit: number): Promise<readonly EndpointRow[]> {
    const sql = `select ${COLUMNS} from webhook_endpoints where disabled_reason <> 'requested' order by disabled_at_ms desc, id desc limit ?`
    return (await this.#statements.all<RawEndpoint>(sql, [limit])).map(decode)
  }

  /** Changes an endpoint. Undefined: there is none; 'url_taken': the owner has another one with the address, and nothing was done. */
  async update(id: EndpointId, changes: EndpointChanges): Promise<EndpointRow | undefined | 'url_taken'> {
    const { url, isByOperator, description, filter } = changes
    const by = isByOperator === undefined ? null : isByOperator ? 1 : 0
    try {
      return await this.#one(
        `update webhook_endpoints set url = coalesce(cast(? as text), url), by_operator = coalesce(cast(? as bigint), by_operator),
           description = coalesce(cast(? as text), description), filter = coalesce(cast(? as text), filter) where id = ? returning ${COLUMNS}`,
        [
          url ?? null,
          by,
          description === undefined ? null : JSON.stringify(description),
          filter === undefined ? null : JSON.stringify(filter),
          id,
        ],
      )
    } catch (fault) {
      if (fault instanceof UniqueViolationError) return 'url_taken'
      throw fault
    }
  }

  async remove(id: EndpointId): Promise<void> {
    await this.#statements.all('delete from webhook_endpoints where id = ?', [id])
  }

  /** Gives an endpoint another secret; the one before signs as well until a time. Undefined: there is no such endpoint. */
  rotate(id: EndpointId, secret: string, previousUntilMs: number): Promise<EndpointRow | undefined> {
    return this.#one(
      `update webhook_endpoints set previous_secret = secret, previous_until_ms = ?, secret = ? where id = ? returning ${COLUMNS}`,
      [previousUntilMs, secret, id],
    )
  }

  /** Lets an endpoint hear of nothing any more, and whoever delivers to it finds out. Undefined: it is disabled already, or gone. */
  disable(id: EndpointId, reason: DisabledReason, nowMs: number): Promise<EndpointRow | undefined> {
    return this.#one(
      `update webhook_endpoints set disabled_at_ms = ?, disabled_reason = ?, taken_by = null where id = ? and disabled_at_ms is null returning ${COLUMNS}`,
      [nowMs, reason, id],
    )
  }

  /** Lets an endpoint hear of what happens from now on. Undefined: it is not disabled, or gone. */
  enable(id: EndpointId, nowMs: number): Promise<EndpointRow | undefined> {
    return this.#one(
      `update webhook_endpoints set disabled_at_ms = null, disabled_reason = null, since_ms = ?, due_ms = ${NEVER_MS}, ${HEALTHY}
       where id = ? and disabled_at_ms is not null returning ${COLUMNS}`,
      [nowMs, id],
    )
  }

  /** Since when the first of those that hear does so, and whether accounts have any; undefined: nobody hears. */
  async hearing(): Promise<{ readonly sinceMs: number; readonly ofAccounts: boolean } | undefined> {
    const sql = 'select min(since_ms) as "sinceMs", max(owner) as last from webhook_endpoints where disabled_at_ms is null'
    const row = await first<{ sinceMs: number | null; last: number | null }>(this.#statements, sql, [])
    return row === undefined || row.sinceMs === null || row.last === null
      ? undefined
      : { sinceMs: row.sinceMs, ofAccounts: row.last !== OPERATOR }
  }

  /** The endpoints of owners that hear. */
  async hearingOf(owners: readonly EndpointOwner[]): Promise<readonly EndpointRow[]> {
    const sql = `select ${COLUMNS} from webhook_endpoints where disabled_at_ms is null and owner in (${marks(OWNERS_AT_ONCE)})`
    const rows: RawEndpoint[] = []
    for (let at = 0; at < owners.length; at += OWNERS_AT_ONCE) {
      const some = owners.slice(at, at + OWNERS_AT_ONCE).map(ownerNumber)
      rows.push(...(await this.#statements.all<RawEndpoint>(sql, filledUp(some, OWNERS_AT_ONCE, NOBODY))))
    }
    return rows.map(decode)
  }

  /** Tells endpoints that there is something to do. */
  async wake(ids: readonly EndpointId[], nowMs: number): Promise<void> {
    const sql = `update webhook_endpoints set wakes = wakes + 1, due_ms = case when due_ms > ? then ? else due_ms end
                 where id in (${marks(OWNERS_AT_ONCE)})`
    for (let at = 0; at < ids.length; at += OWNERS_AT_ONCE)
      await this.#statements.all(sql, [nowMs, nowMs, ...filledUp(ids.slice(at, at + OWNERS_AT_ONCE), OWNERS_AT_ONCE, '')])
  }

  /**
   * Takes on endpoints that have something to do, the longest waiting first: those that another process has taken on, too. So one process
   * at a time is to ask; another one that still delivers finds out when it writes down what came of it.
   */
  async take({ process, round }: Taker, nowMs: number, limit: number): Promise<readonly EndpointRow[]> {
    const rows = await this.#statements.all<RawEndpoint>(
      `update webhook_endpoints set taken_by = ?
       where id in (select id from webhook_endpoints where disabled_at_ms is null and due_ms <= ? and not_before_ms <= ?
                      and ${IS_NOT_TAKEN} order by due_ms limit ?)
         and disabled_at_ms is null and ${IS_NOT_TAKEN} returning ${COLUMNS}`,
      [process + round, nowMs, nowMs, process, limit, process],
    )
    return rows.map(decode)
  }

  /**
   * Lets go of an endpoint until its next delivery is due, if nothing was told to it since `wakes` was read. False: something was, or
   * it was taken away.
   */
  async letGo({ id, wakes }: Pick<EndpointRow, 'id' | 'wakes'>, by: string): Promise<boolean> {
    const rows = await this.#statements.all(
      `update webhook_endpoints set taken_by = null, due_ms = coalesce((select min(d.due_ms) from webhook_deliveries d
         where d.endpoint_id = webhook_endpoints.id and d.done_place < d.told_place), ${NEVER_MS})
       where id = ? and taken_by = ? and wakes = ? returning id`,
      [id, by, wakes],
    )
    return rows.length === 1
  }

  /** Notes how an endpoint fares. False: it was taken away from whoever delivered to it. */
  async noteHealth(id: EndpointId, { failures, failingSinceMs, notBeforeMs }: Health, by: string): Promise<boolean> {
    const rows = await this.#statements.all(
      'update webhook_endpoints set failures = ?, failing_since_ms = ?, not_before_ms = ? where id = ? and taken_by = ? returning id',
      [failures, failingSinceMs, notBeforeMs, id, by],
    )
    return rows.length === 1
  }

  /** Lets go of an endpoint as it is: it is taken on again at once. */
  async free(id: EndpointId, by: string): Promise<void> {
    await this.#statements.all('update webhook_endpoints set taken_by = null where id = ? and taken_by = ?', [id, by])
  }
}

/** So many marks for values. */
export function marks(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ')
}

/** As many values as a statement has marks. */
export function filledUp<Value>(values: readonly Value[], count: number, filling: Value): Value[] {
  return [...values, ...Array.from({ length: count - values.length }, () => filling)]
}

function ownerNumber(owner: EndpointOwner): number {
  return owner === 'operator' ? OPERATOR : owner
}

function decode(row: RawEndpoint): EndpointRow {
  const { id, url, secret, previousSecret, previousUntilMs, sinceMs, disabledAtMs, disabledReason, wakes, createdAtMs } = row
  const { failures, failingSinceMs, notBeforeMs } = row
  return {
    id,
    owner: row.owner === OPERATOR ? 'operator' : row.owner,
    url,
    isByOperator: row.byOperator === 1,
    description: JSON.parse(row.description) as string,
    filter: JSON.parse(row.filter) as EventFilter,
    secret,
    previous: previousSecret === null || previousUntilMs === null ? null : { secret: previousSecret, untilMs: previousUntilMs },
    sinceMs,
    disabled: disabledAtMs === null || disabledReason === null ? null : { atMs: disabledAtMs, reason: disabledReason },
    health: { failures, failingSinceMs, notBeforeMs },
    createdAtMs,
    wakes,
  }
}
