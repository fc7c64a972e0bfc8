/** Users and the accounts that they belong to. Each change names the state that it changes, so that of two one comes first. */

import type { UserId } from '../core/ids.ts'
import { first, type SqlValue, type Statements, UniqueViolationError } from './statements.ts'

/** What a user may do in an account: an owner everything that its customers may, a member read and estimate. */
export type Role = 'owner' | 'member'

/** What a one-time token is for. */
export type OneTimePurpose = 'invitation' | 'password_reset'

/** A user as it stands. */
export interface UserRow {
  readonly id: UserId
  /** As it was written; null: the first operator user, until they have said who they are. */
  readonly email: string | null
  /** PHC string; null: none has been chosen yet. */
  readonly password: string | null
  readonly isOperator: boolean
  /** Null: may sign in. */
  readonly disabledAtMs: number | null
  /** Sessions of an earlier one are over. */
  readonly epoch: number
  /** Until when the one-time token works; null: there is none. */
  readonly oneTimeUntilMs: number | null
  readonly createdAtMs: number
}

/** An address as it was written, and as addresses are compared. */
export interface Email {
  readonly text: string
  readonly key: string
}

/** A token that sets a password once, as it is kept. */
export interface OneTimeToken {
  readonly hash: string
  readonly purpose: OneTimePurpose
  readonly untilMs: number
}

/** A user to make. */
export interface NewUser {
  readonly id: UserId
  readonly email: Email
  readonly isOperator: boolean
  readonly invitation: OneTimeToken
  readonly nowMs: number
}

/** What may change of a user; what is undefined stays. */
export interface UserChanges {
  readonly email?: Email
  readonly isOperator?: boolean
  readonly isDisabled?: boolean
}

/** That a user belongs to an account. */
export interface Membership {
  readonly account: number
  readonly role: Role
}

/** Which users to list, newest first; only those of an account, if one is named. */
export interface UserPage {
  readonly limit: number
  /** Only older ones than this. */
  readonly before?: UserRow
  /** Only newer ones, oldest of them first. */
  readonly after?: UserRow
  readonly account?: number
}

/** How an operator user without an address is invited. */
export interface AddedOperator {
  readonly nowMs: number
  readonly isRenewed: boolean
}

/** Accounts that a user may belong to, at most. */
export const MAX_MEMBERSHIPS = 100

type RawUser = Omit<UserRow, 'isOperator'> & { readonly isOperator: number }

const COLUMNS = `id, email, password, is_operator as "isOperator", disabled_at_ms as "disabledAtMs", epoch,
  one_time_until_ms as "oneTimeUntilMs", created_at_ms as "createdAtMs"`
const NO_ONE_TIME = 'one_time_hash = null, one_time_purpose = null, one_time_until_ms = null'

/** Users and memberships. */
export class Users {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  async #one(sql: string, values: readonly SqlValue[]): Promise<UserRow | undefined> {
    const row = await first<RawUser>(this.#statements, sql, values)
    return row && decodeUser(row)
  }

  byId(id: UserId): Promise<UserRow | undefined> {
    return this.#one(`select ${COLUMNS} from users where id = ?`, [id])
  }

  byEmail(key: string): Promise<UserRow | undefined> {
    return this.#one(`select ${COLUMNS} from users where email_key = ?`, [key])
  }

  /** Makes a user; undefined: another one has the address. */
  add({ id, email, isOperator, invitation, nowMs }: NewUser): Promise<UserRow | undefined> {
    return this.#one(
      `insert into users (id, email, email_key, is_operator, epoch, one_time_hash, one_time_purpose, one_time_until_ms, created_at_ms)
       values (?, ?, ?, ?, 0, ?, ?, ?, ?) on conflict (email_key) do nothing returning ${COLUMNS}`,
      [id, email.text, email.key, isOperator ? 1 : 0, invitation.hash, invitation.purpose, invitation.untilMs, nowMs],
    )
  }

  /**
   * Invites an operator user who is to say their own address. Undefined: that user is there already, and was not, if `isRenewed`, given
   * another token in place of the one before, because they have accepted.
   */
  addOperator(id: UserId, { hash, purpose, untilMs }: OneTimeToken, made: AddedOperator): Promise<UserRow | undefined> {
    const renewed = `update set one_time_hash = excluded.one_time_hash, one_time_purpose = excluded.one_time_purpose,
      one_time_until_ms = excluded.one_time_until_ms where users.password is null`
    return this.#one(
      `insert into users (id, is_operator, epoch, one_time_hash, one_time_purpose, one_time_until_ms, created_at_ms)
       values (?, 1, 0, ?, ?, ?, ?) on conflict (id) do ${made.isRenewed ? renewed : 'nothing'} returning ${COLUMNS}`,
      [id, hash, purpose, untilMs, made.nowMs],
    )
  }

  /** As `#one`, where another user may have the address that is written. */
  async #oneWithEmail(sql: string, values: readonly SqlValue[]): Promise<UserRow | undefined | 'email_taken'> {
    try {
      return await this.#one(sql, values)
    } catch (fault) {
      if (fault instanceof UniqueViolationError) return 'email_taken'
      throw fault
    }
  }

  /** Gives a user a one-time token in place of the one before, if the user has a password or none as `purpose` asks. */
  offer(id: UserId, { hash, purpose, untilMs }: OneTimeToken): Promise<UserRow | undefined> {
    return this.#one(
      `update users set one_time_hash = ?, one_time_purpose = ?, one_time_until_ms = ?
       where id = ? and password is ${purpose === 'invitation' ? '' : 'not '}null returning ${COLUMNS}`,
      [hash, purpose, untilMs, id],
    )
  }

  /** The user whose one-time token this is, if it still works. */
  byOneTime(hash: string, purpose: OneTimePurpose, nowMs: number): Promise<UserRow | undefined> {
    const works = 'one_time_hash = ? and one_time_purpose = ? and one_time_until_ms > ? and disabled_at_ms is null'
    return this.#one(`select ${COLUMNS} from users where ${works}`, [hash, purpose, nowMs])
  }

  /**
   * Sets a password by a one-time token, which works once, and ends the user's sessions. Undefined: the token does not work any
   * more; 'email_taken': another user has the address that is given, and nothing was done.
   */
  redeem(
    hash: string,
    set: { readonly password: string; readonly email: Email | null; readonly nowMs: number },
  ): Promise<UserRow | undefined | 'email_taken'> {
    return this.#oneWithEmail(
      `update users set password = ?, epoch = epoch + 1, email = coalesce(email, cast(? as text)), email_key = coalesce(email_key, cast(? as text)), ${NO_ONE_TIME}
       where one_time_hash = ? and one_time_until_ms > ? and disabled_at_ms is null returning ${COLUMNS}`,
      [set.password, set.email?.text ?? null, set.email?.key ?? null, hash, set.nowMs],
    )
  }

  /** Replaces the password that a user was found to know, and ends their sessions; undefined: it has been replaced meanwhile. */
  changePassword(id: UserId, { from, to }: { readonly from: string; readonly to: string }): Promise<UserRow | undefined> {
    return this.#one(
      `update users set password = ?, epoch = epoch + 1, ${NO_ONE_TIME} where id = ? and password = ? and disabled_at_ms is null returning ${COLUMNS}`,
      [to, id, from],
    )
  }

  /** Keeps a known password in another form. */
  async keepPasswordAs(id: UserId, { from, to }: { readonly from: string; readonly to: string }): Promise<void> {
    await this.#statements.all('update users set password = ? where id = ? and password = ?', [to, id, from])
  }

  /**
   * Changes a user. One who is disabled has no sessions and no one-time token any more. Undefined: there is none; 'email_taken':
   * another user has the address, and nothing was done.
   */
  update(id: UserId, { email, isOperator, isDisabled }: UserChanges, nowMs: number): Promise<UserRow | undefined | 'email_taken'> {
    const sets: (readonly [sql: string, ...values: SqlValue[]])[] = []
    if (email !== undefined) sets.push(['email = ?, email_key = ?', email.text, email.key])
    if (isOperator !== undefined) sets.push(['is_operator = ?', isOperator ? 1 : 0])
    if (isDisabled === false) sets.push(['disabled_at_ms = null'])
    if (isDisabled === true) sets.push([`disabled_at_ms = coalesce(disabled_at_ms, ?), epoch = epoch + 1, ${NO_ONE_TIME}`, nowMs])
    const values = sets.flatMap(([, ...given]) => given)
    return this.#oneWithEmail(`update users set ${sets.map(([sql]) => sql).join(', ')} where id = ? returning ${COLUMNS}`, [...values, id])
  }

  /** Users, newest first, or after one in the other direction. */
  async list({ limit, before, after, account }: UserPage): Promise<readonly UserRow[]> {
    const from = after ?? before
    const conditions: (readonly [sql: string, ...values: SqlValue[]])[] = []
    if (account !== undefined) conditions.push(['id in (select user_id from memberships where account = ?)', account])
    if (from !== undefined) conditions.push([`(created_at_ms, id) ${after ? '>' : '<'} (?, ?)`, from.createdAtMs, from.id])
    const where = conditions.length === 0 ? '' : `where ${conditions.map(([sql]) => sql).join(' and ')}`
    const order = after ? 'created_at_ms, id' : 'created_at_ms desc, id desc'
    const rows = await this.#statements.all<RawUser>(`select ${COLUMNS} from users ${where} order by ${order} limit ?`, [
      ...conditions.flatMap(([, ...values]) => values),
      limit,
    ])
    return rows.map(decodeUser)
  }

  /** The accounts of users, by user, the oldest membership first. */
  async memberships(ids: readonly UserId[]): Promise<ReadonlyMap<UserId, readonly Membership[]>> {
    const found = await Promise.all(
      ids.map((id) =>
        this.#statements.all<Membership>('select account, role from memberships where user_id = ? order by created_at_ms, account', [id]),
      ),
    )
    return new Map(ids.map((id, index) => [id, found[index] ?? []]))
  }

  /** Makes a user belong to an account, in a role. False: there is no such user, or it belongs to as many as it may. */
  async join(id: UserId, { account, role }: Membership, nowMs: number): Promise<boolean> {
    const rows = await this.#statements.all(
      `insert into memberships (user_id, account, role, created_at_ms) select id, ?, ?, ? from users
       where id = ? and (select count(*) from memberships where user_id = users.id and account <> ?) < ?
       on conflict (user_id, account) do update set role = excluded.role returning account`,
      [account, role, nowMs, id, account, MAX_MEMBERSHIPS],
    )
    return rows.length === 1
  }

  /** Ends a user's membership; false: there was none. */
  async leave(id: UserId, account: number): Promise<boolean> {
    return (
      (await this.#statements.all('delete from memberships where user_id = ? and account = ? returning account', [id, account])).length ===
      1
    )
  }
}

function decodeUser({ isOperator, ...row }: RawUser): UserRow {
  return { ...row, isOperator: isOperator === 1 }
}
