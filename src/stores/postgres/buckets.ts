/** Buckets, and columns of rows as PostgreSQL reads them: one array for each. */

/** Buckets that accounts are spread over. Fixed for good: it is part of every key. */
const BUCKETS = 256

/** The bucket of an account. Account numbers are random, so their last digits are as good as a hash. */
export function bucketOf(account: number): number {
  return account % BUCKETS
}

/** Numbers as an array literal. */
export function numbers(values: readonly (number | bigint | null)[]): string {
  return `{${values.map((value) => value ?? 'null').join(',')}}`
}

/** Hashes as an array literal: they hold nothing that must be quoted. */
export function hashes(values: readonly (string | null)[]): string {
  return `{${values.map((value) => value ?? 'null').join(',')}}`
}

/** Any texts as an array literal. */
export function texts(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'null' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`
}

/** JSON texts as one text, to be taken apart by `string_to_array(…, e'\\n')`: JSON has no line breaks, and nothing must be quoted. */
export function lines(values: readonly string[]): string {
  return values.join('\n')
}

/** Accounts as the arrays of their buckets and numbers, in the order in which everybody locks them. */
export function sortedAccounts(accounts: Iterable<number>): {
  readonly buckets: string
  readonly accounts: string
  readonly count: number
} {
  const sorted = [...new Set(accounts)].sort((a, b) => bucketOf(a) - bucketOf(b) || a - b)
  return { buckets: numbers(sorted.map(bucketOf)), accounts: numbers(sorted), count: sorted.length }
}
