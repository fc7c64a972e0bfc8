/**
 * Writes to people when alerts fire. The feed is read once, and each mail is a row before it is sent: at least once, in the order of the
 * account for each address, and once as long as nobody dies between sending and noting it. One process does so at a time; two that take
 * themselves for the one do no harm, since a row is taken on before it is sent.
 */

import { parseEmail } from '../auth/emails.ts'
import type { Alert } from '../core/alert.ts'
import type { MailRow } from '../stores/mails.ts'
import type { FeedItem, Store } from '../stores/store.ts'
import { alertLetter, firedBy } from './alert-letter.ts'
import { LetterRefusedError, type Smtp } from './smtp.ts'

/** What a mailer works with. */
export interface MailerParts {
  readonly store: Pick<Store, 'account' | 'claim' | 'feed' | 'mails' | 'positionAt' | 'record' | 'state' | 'users'>
  readonly smtp: Pick<Smtp, 'send'>
  readonly clock: () => number
  readonly topUpUrl: string | null
  /** Told why a mail was not sent, in words without addresses. */
  readonly onFailure: (failure: string) => void
}

/** Records that are read at a time, and how often in one turn. */
const PAGE = 500
const PAGES_AT_ONCE = 20
/** Mails that are on their way at once. */
const SENT_AT_ONCE = 10
/** Mails that one turn sends. */
const SENT_PER_TURN = 100
/** How long a mail may be on its way before another process may take it for lost: longer than any server is waited for. */
const TAKEN_MS = 300_000
/** After each attempt that failed, how long until the next; after the last, the mail is given up. */
const RETRIES_MS = [60_000, 300_000, 900_000, 3_600_000, 3 * 3_600_000, 6 * 3_600_000, 12 * 3_600_000]
/** What is older is not written about: when mails were off, or nobody ran. */
const NEWS_MS = 86_400_000
/** Mails that are done are remembered for so long: by then nobody reads that part of the feed again. */
const KEPT_MS = 7 * 86_400_000
/** Owners of an account that are written to, at most. */
const MAX_OWNERS = 50

/** Sends e-mails about alerts. */
export class Mailer {
  readonly #parts: MailerParts
  #isReading = false
  #isStopping = false

  constructor(parts: MailerParts) {
    this.#parts = parts
  }

  /** Reads on in the feed, and sends what is due. */
  async turn(): Promise<void> {
    await this.#read()
    for (let sent = 0; sent < SENT_PER_TURN && !this.#isStopping; sent += SENT_AT_ONCE) {
      const due = await this.#parts.store.mails.due(this.#parts.clock(), SENT_AT_ONCE)
      if (due.length === 0 || !(await this.#isToGoOn())) return
      await Promise.all(due.map((mail) => this.#send(mail)))
    }
  }

  /** Forgets mails that were done long ago. */
  async tidy(): Promise<void> {
    await this.#parts.store.mails.removeDone(this.#parts.clock() - KEPT_MS)
  }

  /** Begins to send nothing more. */
  stop(): void {
    this.#isStopping = true
  }

  #isToGoOn(): Promise<boolean> {
    return this.#parts.store.claim('send mails')
  }

  async #read(): Promise<void> {
    const { store } = this.#parts
    if (!this.#isReading) await this.#skip()
    this.#isReading = true
    for (let page = 0; page < PAGES_AT_ONCE && !this.#isStopping && (await this.#isToGoOn()); page++) {
      const position = (await store.mails.position()) ?? 0
      const items = await store.feed(position, PAGE)
      const last = items.at(-1)
      if (!last) return
      for (const item of items) if (firedBy(item.record).length > 0) await this.#address(item)
      if (!(await store.mails.move(position, last.position)) || items.length < PAGE) return
    }
  }

  /** Begins where news begins that is young enough to be told. */
  async #skip(): Promise<void> {
    const { store, clock } = this.#parts
    const position = await store.mails.position()
    const isNew = position === null
    const young = (await store.positionAt(clock() - (isNew ? 0 : NEWS_MS))) - 1
    if (isNew) await store.mails.begin(young)
    else if (young > position) await store.mails.move(position, young)
  }

  /** Makes the mails that a record calls for: to those whom its alerts name now. An alert that is gone calls for none. */
  async #address({ account, record }: FeedItem): Promise<void> {
    const { store, clock } = this.#parts
    const state = await store.state(account)
    const told = new Set(firedBy(record).map(({ alert }) => alert))
    const alerts = state?.alerts.filter(({ seq }) => told.has(seq)) ?? []
    for (const recipient of await this.#recipientsOf(account, alerts))
      await store.mails.add({ account, seq: record.seq, recipient }, clock())
  }

  /** Each once, however it is written. */
  async #recipientsOf(account: number, alerts: readonly Alert[]): Promise<readonly string[]> {
    const owners = alerts.some(({ terms }) => terms.emailOwners) ? await this.#ownersOf(account) : []
    const all = [...owners, ...alerts.flatMap(({ terms }) => terms.emailTo)]
    return [...new Map(all.map((address) => [parseEmail(address)?.key ?? address, address])).values()]
  }

  async #ownersOf(account: number): Promise<readonly string[]> {
    const { users } = this.#parts.store
    // Only whoever has accepted the invitation has said that the address is theirs.
    const known = (await users.list({ account, limit: MAX_OWNERS })).filter((user) => user.password !== null && user.disabledAtMs === null)
    const memberships = await users.memberships(known.map(({ id }) => id))
    const owners = known.filter(({ id }) => memberships.get(id)?.some((one) => one.account === account && one.role === 'owner'))
    return owners.flatMap(({ email }) => email ?? [])
  }

  async #send(mail: MailRow): Promise<void> {
    const { store, clock, smtp, topUpUrl } = this.#parts
    if (this.#isStopping || !(await store.mails.take(mail, clock() + TAKEN_MS))) return
    const { account, seq, recipient } = mail
    const [record, known] = [await store.record(account, seq), await store.account(account)]
    const letter = record && known ? alertLetter({ account: known, record, recipient, topUpUrl }) : undefined
    try {
      if (letter) await smtp.send(letter)
    } catch (fault) {
      if (!(fault instanceof LetterRefusedError)) throw fault
      await this.#notSent(mail, fault)
      return
    }
    await store.mails.finish(mail, clock())
  }

  async #notSent(mail: MailRow, { message, isFinal }: LetterRefusedError): Promise<void> {
    const { store, clock, onFailure } = this.#parts
    const retryMs = isFinal ? undefined : RETRIES_MS[mail.attempts]
    onFailure(`an e-mail about alerts was not taken (${message}): ${retryMs === undefined ? 'it is given up' : 'it is tried again'}`)
    if (retryMs === undefined) await store.mails.finish(mail, clock())
    else await store.mails.putOff(mail, clock() + retryMs)
  }
}
