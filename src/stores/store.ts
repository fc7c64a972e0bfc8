/** What a store promises. SQLite keeps every word of it, and contract.test.ts holds each store to it. */

import type { AccountState, AccountStatus, UsageRow } from '../core/account.ts'
import type { Command } from '../core/command.ts'
import type { Microcredits } from '../core/credits.ts'
import type { ClosedGrant, EndedHold } from '../core/decisions/facts.ts'
import type { PriceRow } from '../core/price-parsing.ts'
import type { PurchaseFacts, PurchaseStatus } from '../core/purchase.ts'
import type { Actor, JournalRecord, KeyTerms } from '../core/record.ts'
import type { Refusal } from '../core/refusals.ts'
import type { Subscription } from '../core/subscription.ts'
import type { PlainData } from './plain-data.ts'

/**
 * The caller's name for a request, hashed; one per record that the request is to make. A hash is made of the account that the request is for
 * (`keyHash`), and never sent for another one: a store looks for it where that account is. Only openings have keys that are no account's own.
 */
export interface Idempotency {
  readonly keyHashes: readonly [string, ...string[]]
  /** Hash of method, path and body: the same key with another fingerprint is refused. */
  readonly fingerprint: string
}

/** One command on one account. */
export interface Transaction {
  /** The account's number. */
  readonly account: number
  /** A refusal when no command can be made any more: it is the answer, unless the keys name what was done before. */
  readonly command: Command | Refusal
  /** As many keys as `recordsMadeBy(command)`, each made for this account: no other has it; null: the caller named none. */
  readonly idempotency: Idempotency | null
  readonly actor: Actor
  readonly requestId: string | null
}

/** A command that took effect, now or when its idempotency key was first used. */
export interface Applied {
  /** The account's number: for a replayed `create_account`, that of the account made then. */
  readonly account: number
  /** The records that the command itself made, one per idempotency key; what time made, and a bonus, are left out. */
  readonly records: readonly JournalRecord[]
  readonly isReplay: boolean
}

/** What is known of an account besides its credits. */
export interface AccountRow {
  readonly number: number
  readonly name: string
  readonly externalId: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly capturePolicy: AccountState['capturePolicy']
  readonly status: AccountStatus
  readonly createdAtMs: number
}

/** An API key as it stands. */
export interface KeyRow {
  readonly account: number
  /** Sequence of the record that made it. */
  readonly seq: number
  readonly hint: string
  readonly terms: KeyTerms
  readonly createdAtMs: number
  readonly revokedAtMs: number | null
  /** Secrets before the last rotation work until then at most; null: there are none. */
  readonly previousUntilMs: number | null
  readonly lastUsedAtMs: number | null
}

/** A key found by one of its secrets. */
export interface FoundKey extends KeyRow {
  /** When the secret ends; null: with the key. */
  readonly secretUntilMs: number | null
}

/** A hold, live or ended. */
export interface HoldRow {
  readonly seq: number
  readonly status: 'live' | EndedHold['status']
  /** Set aside when it was opened, and by increases since. */
  readonly credits: Microcredits
  /** What it had set aside when it ended; zero while it is live. */
  readonly held: Microcredits
  readonly expiresAtMs: number
  /** Sequence of the charge that was recorded after it had expired; null: none. */
  readonly lateCharge: number | null
}

/** Which holds to list. */
export interface HoldFilter {
  readonly status: HoldRow['status']
  readonly atMs: number
}

/** A grant, open or closed. */
export interface GrantRow {
  readonly seq: number
  readonly status: 'open' | ClosedGrant['status']
}

/** Which purchases to list. */
export interface PurchaseFilter extends SeqPage {
  readonly having?: readonly PurchaseStatus[]
}

/** Purchases that the provider has to be asked about, after one that was named. */
export interface WatchedQuery {
  readonly openedBeforeMs: number
  readonly after: { readonly account: number; readonly seq: number } | null
  readonly limit: number
}

/** Subscriptions of which the payment provider has to be asked something, after one that was named. */
export interface AskingQuery {
  /** Inclusive. */
  readonly untilMs: number
  readonly after: { readonly account: number; readonly seq: number } | null
  readonly limit: number
}

/** Accounts that wait to be topped up by themselves, after one that was named. */
export interface AskingAccountsQuery {
  /** Inclusive. */
  readonly untilMs: number
  /** An account's number; null: from the first. */
  readonly after: number | null
  readonly limit: number
}

/** A page of an account's things, by sequence; newest first unless `after` is given. */
export interface SeqPage {
  readonly limit: number
  /** Only older ones. */
  readonly before?: number
  /** Only newer ones, oldest of them first. */
  readonly after?: number
}

/** Which of an account's records to read. */
export interface RecordQuery extends SeqPage {
  readonly kinds?: readonly JournalRecord['kind'][]
  /** Inclusive. */
  readonly fromMs?: number
  /** Exclusive. */
  readonly toMs?: number
  readonly operation?: string
  /** Sequence of an API key. */
  readonly key?: number
}

/** Records that match, in the order asked for. */
export interface RecordPage {
  readonly records: readonly JournalRecord[]
  /** Where to go on; null: nothing more. A page may be short of its limit and still have more. */
  readonly next: number | null
}

/** Most records that one page looks at, so that a filter which matches little cannot hold everybody up. */
export const MAX_SCANNED_RECORDS = 5_000

/** One hour's roll-up row. */
export interface HourRow extends UsageRow {
  readonly hourMs: number
}

/** A published price book. */
export interface PriceBookRow {
  readonly version: number
  readonly effectiveAtMs: number
  readonly publishedAtMs: number
  readonly prices: readonly PriceRow[]
}

/** A price book to publish. */
export interface NewPriceBook {
  readonly effectiveAtMs: number | null
  readonly prices: readonly PriceRow[]
  readonly idempotency: Idempotency | null
}

/** A record with the account that it belongs to and its place in the store's own order. */
export interface FeedItem {
  readonly position: number
  readonly account: number
  readonly record: JournalRecord
}

/** That something of what servers keep in memory has changed, through whichever of them. */
export type Notice =
  /** An API key's terms, secrets or end. */
  | { readonly of: 'key'; readonly account: number; readonly seq: number }
  /** A price book was published. */
  | { readonly of: 'prices' }
  /** Some notices may have been missed. */
  | { readonly of: 'anything' }

/** Work of which one process on a store is enough. */
export type BackgroundWork =
  | 'book due'
  | 'issue invoices'
  | 'issue statements'
  | 'reconcile'
  | 'tell of sandbox'
  | 'pay for subscriptions'
  | 'move test clocks'
  | 'send webhooks'
  | 'send mails'
  | 'top up accounts'

/** What an audit found wrong. */
export interface Difference {
  /** Which check failed; docs/reference/audit.md explains each. */
  readonly check: AuditCheck
  /** The account's number; null: the store as a whole. */
  readonly account: number | null
  /** The record it was found at, if it was at one. */
  readonly seq: number | null
  readonly detail: string
}

/** The checks of an audit, each able to fail on its own. */
export const AUDIT_CHECKS = {
  positions: 'The journal is numbered 1, 2, 3 … without gaps.',
  records: 'Every record can be read.',
  sequence: "Each account's records are numbered 1, 2, 3 … without gaps, and their times do not go back.",
  chain: "Each record's hash covers the record and the hash before it.",
  decisions: 'Each record follows from the records before it: amounts, entries, conservation, holds.',
  balances: 'The balance that each record states is the balance that its account then had.',
  states: "Each account's kept state is what its records fold to, and its head hash is theirs.",
  history: "The index of each account's records leads to every one of them.",
  idempotency: 'Every idempotency key leads to its record, and none to two.',
  rollups: 'The hourly sums are those of the charges and refunds.',
  grants: 'The status kept of each grant is what its records say.',
  holds: 'The status kept of each hold is what its records say, and none is live past its end without being due.',
  refunds: 'What is kept as refunded of each charge is the sum of its refunds, and no more than the charge.',
  purchases: 'What is kept of each purchase is what its records say, and no more was given or taken than was paid for.',
  subscriptions: 'What is kept of each subscription is what its records say.',
  invoices: 'The invoices of each series are numbered 1, 2, 3 … without gaps.',
  auto_topups: 'Each account that waits to be topped up by itself is found by the background work.',
  accounts: 'The profile kept of each account is what its records say.',
  keys: 'What is kept of each API key is what its records say.',
  due: 'Every account with something due is found by the background work.',
} as const

/** The name of a check. */
export type AuditCheck = keyof typeof AUDIT_CHECKS

/** The result of an audit. */
export interface AuditReport {
  readonly checked: { readonly accounts: number; readonly records: number; readonly keys: number; readonly rollups: number }
  /** The first ones; empty: all is well. */
  readonly differences: readonly Difference[]
}

/** Most differences that one audit lists. */
export const MAX_DIFFERENCES = 100

/** Thrown when more commands wait than the store lets wait. Nothing was done; the caller may try again. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError'
}

/**
 * Thrown when the store can do nothing for now: its server is away, or its disk is full. Nothing was done; the caller may try again.
 * Its message is fit for strangers; the cause says more.
 */
export class OutOfServiceError extends Error {
  override readonly name = 'OutOfServiceError'
}

/** Where accounts live, and beside them the plain rows of what is not the ledger. */
export interface Store extends PlainData {
  /**
   * Runs a command: checks its idempotency keys, decides it on the account's state at the store's time, and answers once all
   * that was decided is durable. Commands that wait together are committed together, each as if it were alone.
   * Refuses account_not_found, external_id_taken, idempotency_key_reused, and whatever the core refuses. Rejects with
   * OverloadedError or OutOfServiceError when nothing was done, or with a fault.
   */
  transact(transaction: Transaction): Promise<Applied | Refusal>
  /**
   * As `transact`, for several commands, each for itself. Rejects with OverloadedError before anything is done, or with the fault of
   * one of them: then their idempotency keys tell what was done.
   */
  transactAll(transactions: readonly Transaction[]): Promise<readonly (Applied | Refusal)[]>

  /** The account's state after all that has been answered; undefined: no such account. What is due by time is not booked in it. */
  state(account: number): Promise<AccountState | undefined>
  account(account: number): Promise<AccountRow | undefined>
  accountByExternalId(externalId: string): Promise<number | undefined>
  /** Newest first, or after a number in the other direction. */
  accounts(page: { readonly limit: number; readonly before?: number; readonly after?: number }): Promise<readonly AccountRow[]>

  keyBySecret(hash: string): Promise<FoundKey | undefined>
  key(account: number, seq: number): Promise<KeyRow | undefined>
  keys(account: number, page: SeqPage): Promise<readonly KeyRow[]>
  /** Notes when keys were last used. Not part of the ledger. */
  touchKeys(uses: readonly { readonly account: number; readonly seq: number; readonly atMs: number }[]): Promise<void>

  record(account: number, seq: number): Promise<JournalRecord | undefined>
  records(account: number, query: RecordQuery): Promise<RecordPage>
  /** An account's records after a sequence, oldest first: for whoever follows an account, record by record. */
  recordsAfter(account: number, seq: number, limit: number): Promise<readonly JournalRecord[]>
  /**
   * Calls a listener soon after the account's records have changed, whichever process did it, and at times when they have not, until
   * the function that this gives is called.
   */
  watchAccount(account: number, listener: () => void): () => void
  grant(account: number, seq: number): Promise<GrantRow | undefined>
  grants(account: number, page: SeqPage): Promise<readonly GrantRow[]>
  hold(account: number, seq: number): Promise<HoldRow | undefined>
  /** Only those of a status, if one is named: a live hold whose time is up at `atMs` counts as expired, booked or not. */
  holds(account: number, page: SeqPage & { readonly having?: HoldFilter }): Promise<readonly HoldRow[]>
  /** Credits refunded of each charge; charges that have none are left out. */
  refunds(account: number, charges: readonly number[]): Promise<ReadonlyMap<number, Microcredits>>
  purchase(account: number, seq: number): Promise<PurchaseFacts | undefined>
  purchases(account: number, filter: PurchaseFilter): Promise<readonly PurchaseFacts[]>
  /** Purchases of all accounts that wait for news of the provider, in order of account and sequence. */
  watchedPurchases(query: WatchedQuery): Promise<readonly { readonly account: number; readonly seq: number }[]>
  /** As its last record left it: what is due since is not booked in it. */
  subscription(account: number, seq: number): Promise<Subscription | undefined>
  subscriptions(account: number, page: SeqPage): Promise<readonly Subscription[]>
  /** Subscriptions of all accounts that have to be paid for, in order of account and sequence. */
  askingSubscriptions(query: AskingQuery): Promise<readonly { readonly account: number; readonly seq: number }[]>
  /** Accounts of whose automatic top-ups the provider has to be asked something, by number. */
  askingTopups(query: AskingAccountsQuery): Promise<readonly number[]>
  /** Roll-up rows of an account with fromMs ≤ hour < toMs, the open hour included, oldest first. */
  usage(account: number, range: { readonly fromMs: number; readonly toMs: number }): Promise<readonly HourRow[]>

  priceBooks(): Promise<readonly PriceBookRow[]>
  /** Refuses idempotency_key_reused, and effective_at_passed by the store's time. */
  publishPrices(book: NewPriceBook): Promise<{ readonly book: PriceBookRow; readonly isReplay: boolean } | Refusal>

  /** Records of all accounts after a position, in the order in which they were committed. */
  feed(after: number, limit: number): Promise<readonly FeedItem[]>
  /** The position of the first record at or after a time. */
  positionAt(atMs: number): Promise<number>

  /**
   * Tells of what any process changes from now on, until the store is closed. Gives whether everything has been told that was
   * changed until a second ago: while that is not so, whatever is kept in memory may be out of date.
   */
  watch(tell: (notice: Notice) => void): () => boolean

  /**
   * Whether some background work is this process's to do now. Of all that ask, one at a time is told so, for as long as it goes on
   * asking; if it dies, another one within seconds. That saves work and no more: what is done must be right whoever does it.
   */
  claim(work: BackgroundWork): Promise<boolean>
  /** Accounts in which something is due by time, at most `limit`. */
  dueAccounts(nowMs: number, limit: number): Promise<readonly number[]>
  /** Derives everything again from the journal and compares. */
  audit(): Promise<AuditReport>

  /** A secret of the store's own, made with it. */
  readonly secret: string
  /** A value kept for the server itself, such as the hash of its operator key. */
  setting(name: string): Promise<string | undefined>
  saveSetting(name: string, value: string): Promise<void>
  /** Keeps a value unless one is kept already, and gives the one that is: of processes that do this at once, all get the same. */
  keepSetting(name: string, value: string): Promise<string>

  /** Throws when the store cannot answer. */
  ping(): Promise<void>
  /** Finishes what was accepted, and lets go. */
  close(): Promise<void>
}
