/**
 * Sessions, and the pairs of tokens that they were given. A refresh token is used by the pair that follows it: the insert of that pair is
 * the one statement in which it is checked, used and replaced, so no token is used twice and none is lost half-way.
 */

import type { UserId } from '../core/ids.ts'
import { first, type Statements } from './statements.ts'
import type { Role } from './users.ts'

/** A session to open, with its first pair of tokens. */
export interface NewSession {
  readonly id: string
  readonly userId: UserId
  /** The user's, as it was when the password was found right. */
  readonly epoch: number
  readonly addressMark: string
  readonly tokens: TokenHashes
  readonly account: number | null
  readonly nowMs: number
  readonly untilMs: number
}

/** A pair of tokens as it is kept. */
export interface TokenHashes {
  readonly access: string
  readonly refresh: string
}

/** What an access token opens at this moment. */
export interface Standing {
  readonly session: string
  readonly userId: UserId
  readonly email: string | null
  readonly isOperator: boolean
  /** Null: what operators may. */
  readonly account: number | null
  /** Null: the user does not belong to that account, or any more. */
  readonly role: Role | null
  readonly untilMs: number
  /** Whether the session has not ended, by whatever cause. */
  readonly isLive: boolean
}

/** What is known of a refresh token. */
export interface RefreshToken {
  readonly session: string
  /** Null: it has not been used. */
  readonly usedAtMs: number | null
  /** Whether its session has not ended, by whatever cause. */
  readonly isLive: boolean
}

/** Why a session ended before its time: its user signed out, or a refresh token was used again. */
export type SessionEnding = 'sign_out' | 'reuse'

/** Sessions of one user, at most: the oldest are ended for new ones. */
export const MAX_SESSIONS = 50

const REMOVED_AT_ONCE = 500

/** What makes a session `s` of a user `u` a live one, with a value for the time. */
const LIVE = 's.ended_at_ms is null and s.until_ms > ? and s.epoch = u.epoch and u.disabled_at_ms is null'
const OPENED = 'from session_tokens t join sessions s on s.id = t.session_id join users u on u.id = s.user_id'

/** Sessions and their tokens. */
export class Sessions {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** Opens a session, and removes the user's oldest beyond the limit. */
  async open({ id, userId, epoch, addressMark, tokens, account, nowMs, untilMs }: NewSession): Promise<void> {
    await this.#statements.all(
      'insert into sessions (id, user_id, epoch, address_mark, created_at_ms, until_ms) values (?, ?, ?, ?, ?, ?)',
      [id, userId, epoch, addressMark, nowMs, untilMs],
    )
    await this.#statements.all(
      'insert into session_tokens (refresh_hash, access_hash, session_id, account, created_at_ms) values (?, ?, ?, ?, ?)',
      [tokens.refresh, tokens.access, id, account, nowMs],
    )
    await this.#statements.all(
      `delete from sessions where user_id = ? and id not in
         (select id from sessions where user_id = ? order by created_at_ms desc, id desc limit ?)`,
      [userId, userId, MAX_SESSIONS],
    )
  }

  /**
   * Uses a refresh token: the next pair follows it, for the same account unless another is named. False: it is none, has been used, its
   * session is over, or the user may not open the account.
   */
  async refresh(
    hash: string,
    next: { readonly tokens: TokenHashes; readonly account: number | null; readonly nowMs: number },
  ): Promise<boolean> {
    const rows = await this.#statements.all(
      `insert into session_tokens (refresh_hash, access_hash, session_id, account, follows, created_at_ms)
       select ?, ?, s.id, coalesce(cast(? as bigint), t.account), t.refresh_hash, ? ${OPENED}
       where t.refresh_hash = ? and ${LIVE} and (
         (t.account is null and cast(? as bigint) is null and u.is_operator = 1)
         or exists (select 1 from memberships m where m.user_id = u.id and m.account = coalesce(cast(? as bigint), t.account)))
       on conflict (follows) do nothing returning session_id`,
      [next.tokens.refresh, next.tokens.access, next.account, next.nowMs, hash, next.nowMs, next.account, next.account],
    )
    return rows.length === 1
  }

  /** What is known of a refresh token; undefined: nobody was given it, or its session is long over. */
  async refreshToken(hash: string, nowMs: number): Promise<RefreshToken | undefined> {
    const row = await first<Omit<RefreshToken, 'isLive'> & { readonly isLive: number }>(
      this.#statements,
      `select s.id as session, n.created_at_ms as "usedAtMs", ${LIVE} as "isLive" ${OPENED}
       left join session_tokens n on n.follows = t.refresh_hash where t.refresh_hash = ?`,
      [nowMs, hash],
    )
    return row && { ...row, isLive: row.isLive === 1 }
  }

  /** What an access token opens; undefined: nobody was given it, or its session is long over. */
  async standing(accessHash: string, nowMs: number): Promise<Standing | undefined> {
    const row = await first<Omit<Standing, 'isOperator' | 'isLive'> & { readonly isOperator: number; readonly isLive: number }>(
      this.#statements,
      `select s.id as session, u.id as "userId", u.email, u.is_operator as "isOperator", t.account, m.role, s.until_ms as "untilMs",
         ${LIVE} as "isLive" ${OPENED} left join memberships m on m.user_id = u.id and m.account = t.account where t.access_hash = ?`,
      [nowMs, accessHash],
    )
    return row && { ...row, isOperator: row.isOperator === 1, isLive: row.isLive === 1 }
  }

  /** Ends a session at once; one that has ended stays as it is. */
  async end(session: string, by: SessionEnding, nowMs: number): Promise<void> {
    await this.#statements.all('update sessions set ended_at_ms = ?, ended_by = ? where id = ? and ended_at_ms is null', [
      nowMs,
      by,
      session,
    ])
  }

  /** Whether a user has a session, live or not, that was opened from an address. */
  async isKnownAddress(userId: UserId, addressMark: string): Promise<boolean> {
    const rows = await this.#statements.all('select id from sessions where user_id = ? and address_mark = ? limit 1', [userId, addressMark])
    return rows.length > 0
  }

  /** Removes some of what is left of sessions whose time was up before a moment: so few rows that nobody is held up. Whether there may be more. */
  async removeEnded(beforeMs: number): Promise<boolean> {
    const tokens = await this.#statements.all(
      `delete from session_tokens where refresh_hash in
         (select t.refresh_hash from sessions s join session_tokens t on t.session_id = s.id where s.until_ms < ? limit ?) returning session_id`,
      [beforeMs, REMOVED_AT_ONCE],
    )
    if (tokens.length > 0) return true
    const sessions = await this.#statements.all(
      'delete from sessions where id in (select id from sessions where until_ms < ? order by until_ms limit ?) returning id',
      [beforeMs, REMOVED_AT_ONCE],
    )
    return sessions.length > 0
  }
}
