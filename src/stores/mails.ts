/** E-mails about alerts that are to be sent, and how far the feed has been read for them. */

import { first, type Statements } from './statements.ts'

/** A mail to one address about one record. */
export interface MailRow {
  readonly account: number
  /** Sequence of the record that it tells of. */
  readonly seq: number
  readonly recipient: string
  /** How often it was tried, the attempt that is being made included. */
  readonly attempts: number
}

/** Names a mail. */
export type MailKey = Omit<MailRow, 'attempts'>

/** Mails of an account that may wait at once: what is more is not sent. */
export const MAX_WAITING_MAILS = 100

const AT = 'account = ? and seq = ? and recipient = ?'

/** Mails, and the reading of the feed. */
export class Mails {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** The position up to which the feed was read; null: nobody has begun. */
  async position(): Promise<number | null> {
    return (await first<{ position: number }>(this.#statements, 'select position from mail_feed', []))?.position ?? null
  }

  /** Begins to read the feed after a position, unless somebody has begun. */
  async begin(position: number): Promise<void> {
    await this.#statements.all('insert into mail_feed (single, position) values (1, ?) on conflict (single) do nothing', [position])
  }

  /** Moves on, unless somebody else has: then false. */
  async move(from: number, to: number): Promise<boolean> {
    const moved = 'update mail_feed set position = ? where position = ? returning position'
    return (await first(this.#statements, moved, [to, from])) !== undefined
  }

  /** Adds a mail. One that is there already, waiting or sent, stays as it is. */
  async add({ account, seq, recipient }: MailKey, nowMs: number): Promise<void> {
    await this.#statements.all(
      `insert into mails (account, seq, recipient, attempts, due_ms)
       select cast(? as bigint), cast(? as bigint), cast(? as text), 0, cast(? as bigint)
       where (select count(*) from mails where account = ? and done_ms is null) < ?
       on conflict (account, seq, recipient) do nothing`,
      [account, seq, recipient, nowMs, account, MAX_WAITING_MAILS],
    )
  }

  /** Mails whose time has come, the longest waiting first; of an account and address only the one that comes first. */
  due(nowMs: number, limit: number): Promise<readonly MailRow[]> {
    return this.#statements.all(
      `select account, seq, recipient, attempts from mails where done_ms is null and due_ms <= ? and not exists (
         select 1 from mails as before where before.account = mails.account and before.recipient = mails.recipient
           and before.seq < mails.seq and before.done_ms is null)
       order by due_ms, account, seq, recipient limit ?`,
      [nowMs, limit],
    )
  }

  /**
   * Takes a mail on: it is not due again before a moment, by when whoever sends it is done with it or dead. False: somebody else has, so of
   * two who mean to send it one does.
   */
  async take({ account, seq, recipient, attempts }: MailRow, untilMs: number): Promise<boolean> {
    const taken = `update mails set attempts = attempts + 1, due_ms = ? where ${AT} and attempts = ? and done_ms is null returning attempts`
    return (await first(this.#statements, taken, [untilMs, account, seq, recipient, attempts])) !== undefined
  }

  /** Notes when a mail is to be tried again. */
  async putOff({ account, seq, recipient }: MailKey, dueMs: number): Promise<void> {
    await this.#statements.all(`update mails set due_ms = ? where ${AT} and done_ms is null`, [dueMs, account, seq, recipient])
  }

  /** Notes that a mail was sent, or given up. */
  async finish({ account, seq, recipient }: MailKey, nowMs: number): Promise<void> {
    await this.#statements.all(`update mails set done_ms = ? where ${AT}`, [nowMs, account, seq, recipient])
  }

  /** Forgets mails that were done before a moment. */
  async removeDone(beforeMs: number): Promise<void> {
    await this.#statements.all('delete from mails where done_ms < ?', [beforeMs])
  }
}
