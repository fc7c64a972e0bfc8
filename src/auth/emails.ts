/** E-mail addresses: which texts are one, and when two are the same. */

import { domainToASCII } from 'node:url'
import type { Email } from '../stores/users.ts'

/** Longest address and longest part before the @, in bytes of UTF-8 (RFC 5321). */
const MAX_BYTES = 254
const MAX_LOCAL_BYTES = 64

/** No spaces, nothing invisible, nothing that would need quotes; dots stand between characters. */
const LOCAL = /^(?!\.)(?!.*\.\.)[^\s\p{C}"(),:;<>@[\\\]]+(?<!\.)$/u
const DOMAIN = /^[\p{L}\p{M}\p{N}.-]+$/u
const ASCII_DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * Reads an address; undefined: it is none. Two are the same when they differ in case, in how their characters are composed, or in how
 * the domain is written: nobody can then be mistaken for another user by an address that looks the same. Mail goes to the text as written.
 */
export function parseEmail(given: string): Email | undefined {
  const text = given.normalize('NFC')
  const at = text.lastIndexOf('@')
  const [local, domain] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)]
  const key = local.normalize('NFKC').toLowerCase().normalize('NFKC')
  if (![local, key].every((part) => LOCAL.test(part) && Buffer.byteLength(part) <= MAX_LOCAL_BYTES)) return undefined
  const ascii = DOMAIN.test(domain) ? domainToASCII(domain) : ''
  const email = { text, key: `${key}@${ascii}` }
  return ASCII_DOMAIN.test(ascii) && [email.text, email.key].every((one) => Buffer.byteLength(one) <= MAX_BYTES) ? email : undefined
}
