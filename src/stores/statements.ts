/**
 * Data that is not the ledger: plain rows, whose SQL is written once for both engines. Each statement is atomic by itself and durable
 * before its answer, and none spans another, so what depends on a state names it: `update … where id = ? and state = ? returning …`,
 * `insert … on conflict (…) do nothing returning …`.
 */

/** What a statement is given. Numbers are integers; a boolean is kept as 0 or 1. */
export type SqlValue = string | number | bigint | null

/** Runs SQL that SQLite and PostgreSQL both understand. */
export interface Statements {
  /**
   * Runs one statement, with a value for each `?`, and gives its rows: integers as numbers, truth as 0 or 1. What may pass 2⁵³ is read
   * with `cast(… as text)`, sums with `cast(… as bigint)`; names in answers are quoted (`as "createdAtMs"`), and a value
   * whose type nothing tells is cast (`cast(? as bigint) is null`). Texts are few and kept prepared: no value is written into one.
   * Rejects with UniqueViolationError, or with a fault. A `select` is tried again when its connection is lost; whether anything
   * else took effect is then not known.
   */
  all<Row extends object>(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]>
}

/** Thrown when a row would be there twice. Nothing was done. */
export class UniqueViolationError extends Error {
  override readonly name = 'UniqueViolationError'
}

/** The first row that a statement gives; undefined: none. */
export async function first<Row extends object>(
  statements: Statements,
  sql: string,
  values: readonly SqlValue[],
): Promise<Row | undefined> {
  const [row] = await statements.all<Row>(sql, values)
  return row
}

/**
 * Runs a statement that changes a part of the rows that it is about, and gives them, until none is left: however many there are, no
 * transaction is long, and others have their turn in between.
 */
export async function inParts(statements: Statements, sql: string, values: readonly SqlValue[]): Promise<void> {
  while ((await statements.all(sql, values)).length > 0) await new Promise((resolve) => setImmediate(resolve))
}

const LARGEST = 2n ** 63n - 1n

/**
 * The statement between its values. Throws a fault for what one of the engines could not keep or would read otherwise: a
 * character of zero, half a character, a fraction, a number beyond 64 bits.
 */
export function checkedParts(sql: string, values: readonly SqlValue[]): readonly string[] {
  const parts = sql.split('?')
  if (parts.length !== values.length + 1) throw new Error(`a statement with ${parts.length - 1} marks was given ${values.length} values`)
  for (const value of values) {
    if (typeof value === 'string' && (value.includes('\0') || !value.isWellFormed())) throw new Error('a text that cannot be stored')
    if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new Error(`${value} is no integer that a number holds exactly`)
    if (typeof value === 'bigint' && (value > LARGEST || value < -LARGEST - 1n)) throw new Error(`${value} is beyond 64 bits`)
  }
  return parts
}

/**
 * The tables of such data, in an order in which each comes after those that it refers to. They are derived from nothing: whoever
 * moves or copies a store takes them along.
 */
export const PLAIN_TABLES: readonly string[] = [
  'users',
  'memberships',
  'sessions',
  'session_tokens',
  'signing_keys',
  'topup_options',
  'sandbox_checkouts',
  'invoices',
  'purchases_to_invoice',
  'webhook_endpoints',
  'webhook_deliveries',
  'webhook_attempts',
  'webhook_feed',
  'webhook_replays',
  'plans',
  'test_clocks',
  'test_clock_accounts',
  'mails',
  'mail_feed',
]
