/**
 * Ids that carry their address: prefix, the account's number, and the sequence of the journal record that made the thing.
 * `chg_1k2m3n4p0000002f` is record 0x4f of account `acct_1k2m3n4p`, so no index is needed to find it, on any store or shard.
 * docs/decisions/0002 has the reasons.
 */

/** What an id can name. The prefix tells a reader which, and keeps a hold's id out of a charge's place. */
export type IdPrefix =
  | 'key'
  | 'grant'
  | 'chg'
  | 'hold'
  | 'rfd'
  | 'adj'
  | 'rec'
  | 'evt'
  | 'cs'
  | 'topup'
  | 'trf'
  | 'inv'
  | 'sub'
  | 'pay'
  | 'alert'

/** Account numbers are random and below 2⁴⁰, so they tell nobody how many accounts there are. */
export const MAX_ACCOUNT_NUMBER = 2 ** 40 - 1

/** The most records that one account's journal can hold: 2⁴⁰ − 1. */
export const MAX_SEQUENCE = 2 ** 40 - 1

/** Where a thing is: its account, and the sequence of the record that made it. */
export interface Address {
  readonly account: number
  readonly seq: number
}

/** Every pair of digits: numbers above 2³¹ are slow to write otherwise, and ids are written with every answer. */
const PAIRS: readonly string[] = Array.from({ length: 32 * 32 }, (_, value) => value.toString(32).padStart(2, '0'))

/** Writes a number below 2⁴⁰ with 8 digits. */
function write(value: number): string {
  const high = Math.floor(value / 2 ** 20)
  const low = value % 2 ** 20
  return `${PAIRS[high >> 10]}${PAIRS[high & 1023]}${PAIRS[low >> 10]}${PAIRS[low & 1023]}`
}

/** The id of an account: `acct_` and 8 characters of 0-9 a-v. */
export function accountId(account: number): string {
  return `acct_${write(account)}`
}

/** The id of something that a journal record made: prefix, `_`, and 16 characters that order as they were made. */
export function objectId(prefix: IdPrefix, account: number, seq: number): string {
  return `${prefix}_${write(account)}${write(seq)}`
}

const ACCOUNT_ID = /^acct_[0-9a-v]{8}$/
const OBJECT_ID = /^([a-z]+)_([0-9a-v]{8})([0-9a-v]{8})$/

/** The account's number in an `acct_…` id; undefined when it is not one. */
export function parseAccountId(id: string): number | undefined {
  return ACCOUNT_ID.test(id) ? Number.parseInt(id.slice(5), 32) : undefined
}

/** The address in an id of the given kind; undefined when it is not one. */
export function parseObjectId(prefix: IdPrefix, id: string): Address | undefined {
  const match = OBJECT_ID.exec(id)
  if (match?.[1] !== prefix || match[2] === undefined || match[3] === undefined) return undefined
  return { account: Number.parseInt(match[2], 32), seq: Number.parseInt(match[3], 32) }
}

/** The id of a user: users belong to no one account, so their ids are random. */
export type UserId = `user_${string}`

/** Makes the id of a user of 80 random bits: `user_` and 16 characters. */
export function userId(random: bigint): UserId {
  return `user_${longId(random)}`
}

const USER_ID = /^user_[0-9a-v]{16}$/

/** The id of a user that a text is; undefined when it is none. */
export function parseUserId(text: string): UserId | undefined {
  return USER_ID.test(text) ? (text as UserId) : undefined
}

/** The id of one of a record's events: `evt_`, the record's address, and the event's place among them. */
export function eventId(account: number, seq: number, index: number): string {
  return `${objectId('evt', account, seq)}_${index}`
}

const EVENT_ID = /^(evt_[0-9a-v]{16})_(\d{1,2})$/

/** The address in the id of an event, and its place among the record's events; undefined when it is not one. */
export function parseEventId(id: string): (Address & { readonly index: number }) | undefined {
  const [, record = '', index = ''] = EVENT_ID.exec(id) ?? []
  const address = parseObjectId('evt', record)
  return address && { ...address, index: Number(index) }
}

/** The id of a webhook endpoint, of an attempt at one, or of a replay: endpoints may belong to no account, so these are no addresses. */
export type EndpointId = `whe_${string}`
export type AttemptId = `wha_${string}`
export type ReplayId = `whr_${string}`

/** Makes the id of a webhook endpoint of 80 random bits. */
export function endpointId(random: bigint): EndpointId {
  return `whe_${longId(random)}`
}

/** Makes the id of a replay of 80 random bits. */
export function replayId(random: bigint): ReplayId {
  return `whr_${longId(random)}`
}

/** Makes the id of an attempt at a time: ids order as the times do, and within one time by `tail`, of which 32 bits count. */
export function attemptId(atMs: number, tail: number): AttemptId {
  return `wha_${longId((BigInt(atMs) << 32n) | BigInt.asUintN(32, BigInt(tail)))}`
}

function longId(value: bigint): string {
  return BigInt.asUintN(80, value).toString(32).padStart(16, '0')
}

const ENDPOINT_ID = /^whe_[0-9a-v]{16}$/
const ATTEMPT_ID = /^wha_[0-9a-v]{16}$/

/** The id of a webhook endpoint that a text is; undefined when it is none. */
export function parseEndpointId(text: string): EndpointId | undefined {
  return ENDPOINT_ID.test(text) ? (text as EndpointId) : undefined
}

/** The id of an attempt that a text is; undefined when it is none. */
export function parseAttemptId(text: string): AttemptId | undefined {
  return ATTEMPT_ID.test(text) ? (text as AttemptId) : undefined
}
