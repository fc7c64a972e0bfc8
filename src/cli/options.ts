/** Options and arguments that several commands take, and the server that they talk to. */

import { Argument, InvalidArgumentError, Option } from 'commander'
import type { Client } from './client.ts'
import { clientFromEnvironment } from './settings.ts'

/** Options of commands that print something. */
export interface Printing {
  readonly json?: boolean
}

/** Options of commands that print a page of a list. */
export interface Paging extends Printing {
  readonly limit: string
  readonly after?: string
}

/** What such options say of themselves. */
export const JSON_OPTION = new Option('--json', 'print JSON instead of a table')
export const LIMIT_OPTION = new Option('--limit <count>', 'how many, 100 at most').default('100')
export const AFTER_OPTION = new Option('--after <id>', 'go on after this one')
export const ACCOUNT = new Argument('<account>', 'its id, or external:<external id>')
export const KEY_OPTION = new Option(
  '--idempotency-key <key>',
  'name of the request: sending it again with the same name has no second effect',
)

/** The server that the environment names. */
export function client(): Client {
  return clientFromEnvironment(process.env)
}

/** Writes the fields that are set as a query. */
export function query(fields: Readonly<Record<string, string | undefined>>): string {
  const set = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined)
  return set.length === 0 ? '' : `?${new URLSearchParams(set)}`
}

/** Reads a time. Throws InvalidArgumentError. */
export function time(value: string): string {
  if (/^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value))) return value
  throw new InvalidArgumentError('Write it as 2027-01-01T00:00:00Z.')
}
