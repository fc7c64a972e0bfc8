/** Secrets of keys and tokens: a prefix that says what they are, 190 random bits, and a checksum that catches typing errors. */

import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_LENGTH = 32
const CHECKSUM_LENGTH = 6

/** The prefix of customer keys, unless the operator sets another (`OBOL_KEY_PREFIX`). */
export const KEY_PREFIX = 'obol_live_'
/** The prefix of operator keys that Obol makes. */
export const OPERATOR_PREFIX = 'obol_admin_'
/** The prefix of refresh tokens. */
export const REFRESH_PREFIX = 'obol_refresh_'
/** The prefixes of tokens that set a password once. */
export const ONE_TIME_PREFIXES = { invitation: 'obol_invitation_', password_reset: 'obol_reset_' } as const

/** Makes a secret: prefix, 32 random characters, 6 of checksum. */
export function makeSecret(prefix: string): string {
  let random = ''
  while (random.length < RANDOM_LENGTH) {
    // 248 is the largest multiple of 62 below 256: larger bytes would make some characters likelier than others.
    for (const byte of randomBytes(RANDOM_LENGTH * 2)) if (byte < 248 && random.length < RANDOM_LENGTH) random += ALPHABET[byte % 62]
  }
  return `${prefix}${random}${checksum(`${prefix}${random}`)}`
}

function checksum(text: string): string {
  let rest = crc32(text)
  let written = ''
  for (let at = 0; at < CHECKSUM_LENGTH; at++) {
    written = `${ALPHABET[rest % 62]}${written}`
    rest = Math.floor(rest / 62)
  }
  return written
}

const SHAPE = new RegExp(`^[A-Za-z0-9_-]{0,32}[0-9A-Za-z]{${RANDOM_LENGTH + CHECKSUM_LENGTH}}$`)

/** Whether a text can be a secret that Obol made: nothing else needs a look-up. */
export function isWellFormed(secret: string): boolean {
  return SHAPE.test(secret) && checksum(secret.slice(0, -CHECKSUM_LENGTH)) === secret.slice(-CHECKSUM_LENGTH)
}

/** The hash under which a secret is kept: SHA-256, base64url. Enough for secrets that nobody can guess. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/** What may be the prefix of customer keys: it ends where everybody sees it end, and is not the operator's. */
export function isKeyPrefix(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_-]{0,18}[_-]$/.test(text) && text !== OPERATOR_PREFIX
}

const KNOWN =
  /\b(?:(?:obol_(?:live|test|admin|refresh|invitation|reset)_|[sr]k_(?:live|test)_)\w+|whsec_[\w+/=]+|eyJ[\w-]+\.[\w-]+\.[\w-]*)/g
/** Long enough to be a secret of any prefix: the checksum tells whether it is one. */
const LONG_WORD = new RegExp(`[\\w-]{${RANDOM_LENGTH + CHECKSUM_LENGTH},}`, 'g')
const HIDDEN = '[redacted]'

/** Blanks secrets in a text: what begins with a known prefix, mistyped or not, and every secret that Obol made under any. */
export function hideSecrets(text: string): string {
  return text.replace(KNOWN, HIDDEN).replace(LONG_WORD, (word) => (isWellFormed(word) ? HIDDEN : word))
}

/** As `hideSecrets`, for a server whose customer keys begin with `prefix`: mistyped ones are blanked as well. */
export function hiderOf(prefix: string): (text: string) => string {
  const own = new RegExp(`\\b${prefix}[A-Za-z0-9]{8,}`, 'g')
  return (text) => hideSecrets(text.replace(own, HIDDEN))
}

/** What may be shown of a secret: its prefix and last four characters. */
export function hintOf(secret: string): string {
  return `${secret.slice(0, Math.max(0, secret.length - RANDOM_LENGTH - CHECKSUM_LENGTH))}…${secret.slice(-4)}`
}
