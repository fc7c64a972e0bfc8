/** Where customers are sent from a checkout. */

import { badInput } from './problems.ts'

/** Characters of an address, written out: providers take no longer ones. */
export const MAX_RETURN_ADDRESS = 2_000

/** Reads where a customer is to be sent; null: nowhere. Whoever opens a checkout chooses: it is their customer. Throws invalid_request. */
export function returnAddressIn(text: string | undefined, pointer: string): string | null {
  if (text === undefined) return null
  const url = URL.canParse(text) ? new URL(text) : null
  const isFit = url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === ''
  if (!isFit) throw badInput(pointer, 'must be an http or https address, without a name or password in it')
  if (url.href.length > MAX_RETURN_ADDRESS)
    throw badInput(pointer, `must have at most ${MAX_RETURN_ADDRESS} characters, written as an address`)
  return url.href
}
