/**
 * Ids for clients that expect UUIDs. Like all ids here they carry their address (docs/decisions/0002): the first ten digits are the
 * account's number, the last ten the sequence of the record. Version 8 is the one whose digits mean what their maker says (RFC 9562).
 */

import type { Address } from '../../core/ids.ts'

const DIGITS = 10

/** The UUID of what a record made; of the account itself with sequence 0. */
export function uuidOf({ account, seq }: Address): string {
  const number = account.toString(16).padStart(DIGITS, '0')
  return `${number.slice(0, 8)}-${number.slice(8)}00-8000-8000-00${seq.toString(16).padStart(DIGITS, '0')}`
}
