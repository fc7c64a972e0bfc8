/** Published price books and the server's own settings, shared by all nodes: few, small, and written at once. */

import { type Refusal, refuse } from '../../core/refusals.ts'
import type { NewPriceBook, PriceBookRow } from '../store.ts'
import { tellAll } from './notices.ts'
import type { Readers } from './readers.ts'
import type { Runner, Statement } from './session.ts'

interface RawBook {
  readonly version: number
  readonly effectiveAtMs: number
  readonly publishedAtMs: number
  readonly prices: string
  readonly fingerprint: string | null
}

const COLUMNS = 'version, effective_at_ms as "effectiveAtMs", published_at_ms as "publishedAtMs", prices, fingerprint'
const ALL: Statement = { name: 'price books', text: `select ${COLUMNS} from price_books order by version` }
const BY_KEY: Statement = { name: 'price book by key', text: `select ${COLUMNS} from price_books where key_hash = $1` }
/** Publishing is rare: whoever publishes keeps others out until it is committed. */
const LOCK: Statement = { name: 'lock price books', text: 'lock table price_books in share row exclusive mode' }
const LAST: Statement = { name: 'last published', text: 'select max(published_at_ms) as "atMs" from price_books' }
const INSERT: Statement = {
  name: 'publish price book',
  text: `insert into price_books (version, effective_at_ms, published_at_ms, prices, key_hash, fingerprint)
         values ((select coalesce(max(version), 0) + 1 from price_books), $1, $2, $3, $4, $5) returning ${COLUMNS}`,
}

/** A book as it was published, now or when its key was first used. */
export interface Published {
  readonly book: PriceBookRow
  readonly isReplay: boolean
}

/** All price books, oldest first. */
export async function readPriceBooks(run: Runner): Promise<readonly PriceBookRow[]> {
  return (await run<RawBook & { [name: string]: unknown }>(ALL, [])).map(decodeBook)
}

/** Publishes a price book. Refuses idempotency_key_reused, and effective_at_passed. */
export function publishPriceBook(readers: Readers, book: NewPriceBook, clock: () => number): Promise<Published | Refusal> {
  // Done again, a book with a key is found by it; one without would be published twice.
  return readers.transaction((run) => publish(run, book, { clock, schema: readers.schema }), { isRepeatable: book.idempotency !== null })
}

async function publish(
  run: Runner,
  { effectiveAtMs, prices, idempotency }: NewPriceBook,
  { clock, schema }: { readonly clock: () => number; readonly schema: string },
): Promise<Published | Refusal> {
  const keyHash = idempotency?.keyHashes[0] ?? null
  await run(LOCK, [])
  // Not before the last one, even if that was published by a node whose clock is ahead: or it would never come into force.
  const [last] = await run<{ atMs: number }>(LAST, [])
  const nowMs = Math.max(clock(), last?.atMs ?? 0)
  const [known] = keyHash === null ? [] : await run<RawBook & { [name: string]: unknown }>(BY_KEY, [keyHash])
  if (known) {
    if (known.fingerprint === idempotency?.fingerprint) return { book: decodeBook(known), isReplay: true }
    return refuse('idempotency_key_reused', 'This idempotency key was used with another price book. Use a new key for a new book.')
  }
  if (effectiveAtMs !== null && effectiveAtMs < nowMs)
    return refuse('effective_at_passed', 'A price book cannot take effect in the past: charges that were made keep their prices.')
  const values = [effectiveAtMs ?? nowMs, nowMs, JSON.stringify(prices), keyHash, idempotency?.fingerprint ?? null]
  const [row] = await run<RawBook & { [name: string]: unknown }>(INSERT, values)
  if (!row) throw new Error('the price book was not inserted')
  const { statement, values: notices } = tellAll(schema, [{ of: 'prices' }])
  await run(statement, notices)
  return { book: decodeBook(row), isReplay: false }
}

function decodeBook({ version, effectiveAtMs, publishedAtMs, prices }: RawBook): PriceBookRow {
  return { version, effectiveAtMs, publishedAtMs, prices: JSON.parse(prices) as PriceBookRow['prices'] }
}

const SETTING: Statement = { name: 'setting', text: 'select value from settings where name = $1' }
const SAVE: Statement = {
  name: 'save setting',
  text: 'insert into settings (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value',
}
const KEEP: Statement = { name: 'keep setting', text: 'insert into settings (name, value) values ($1, $2) on conflict (name) do nothing' }

/** A value kept for the server. */
export async function readSetting(run: Runner, name: string): Promise<string | undefined> {
  const [row] = await run<{ value: string }>(SETTING, [name])
  return row?.value
}

/** Keeps a value for the server. */
export async function saveSetting(run: Runner, name: string, value: string): Promise<void> {
  await run(SAVE, [name, value])
}

/** The value that is kept already, or this one: of nodes that start together, one makes it for all. */
export async function keepSetting(run: Runner, name: string, value: string): Promise<string> {
  await run(KEEP, [name, value])
  return (await readSetting(run, name)) ?? value
}
