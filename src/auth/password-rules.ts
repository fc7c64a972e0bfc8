/** Which passwords may be chosen: long ones. Nothing is asked about their characters, but that they are not a pattern. */

import type { Email } from '../stores/users.ts'

/** Fewest characters: a password is all that is asked for (NIST SP 800-63B). */
export const MIN_PASSWORD_LENGTH = 15
/** Longest, in bytes of UTF-8. */
export const MAX_PASSWORD_BYTES = 512
const MIN_DIFFERENT = 6
/** Characters that must not be neighbours of the one before them. */
const MIN_LEAPS = 5
/** Characters that a password needs besides its user's own address. */
const MIN_BESIDES_EMAIL = 8

/** What people type with a finger that wanders over the keyboard. */
const ROWS = "`1234567890-=qwertyuiop[]asdfghjkl;'zxcvbnm,./"

/** What is wrong with a password, as the end of a sentence; null: nothing. */
export function faultOfPassword(given: string, email: Email): string | null {
  const password = given.normalize('NFC')
  const characters = [...password]
  if (characters.length < MIN_PASSWORD_LENGTH) return `must have ${MIN_PASSWORD_LENGTH} characters or more; several words make a good one`
  if (!password.isWellFormed() || Buffer.byteLength(password) > MAX_PASSWORD_BYTES)
    return `must be text of ${MAX_PASSWORD_BYTES} bytes at most`
  const folded = [...password.toLowerCase()]
  if (new Set(folded).size < MIN_DIFFERENT) return `must have ${MIN_DIFFERENT} different characters or more`
  if (isRepeated(folded)) return 'must not be a shorter text over and over'
  if (isRun(folded)) return 'must not be characters in the order of the alphabet or the keyboard'
  if (besides(folded.join(''), email) < MIN_BESIDES_EMAIL) return 'must not be made of your e-mail address'
  return null
}

function isRepeated(characters: readonly string[]): boolean {
  const half = Math.floor(characters.length / 2)
  return Array.from({ length: half }, (_, index) => index + 1).some((period) =>
    characters.every((character, at) => character === characters[at % period]),
  )
}

/** Whether nearly every character is a neighbour of the one before it. */
function isRun(characters: readonly string[]): boolean {
  const leaps = characters.slice(1).filter((character, index) => !isNeighbour(characters[index] ?? '', character))
  return leaps.length < MIN_LEAPS
}

function isNeighbour(one: string, other: string): boolean {
  const step = (other.codePointAt(0) ?? 0) - (one.codePointAt(0) ?? 0)
  const [from, to] = [ROWS.indexOf(one), ROWS.indexOf(other)]
  return Math.abs(step) <= 1 || (from >= 0 && to >= 0 && Math.abs(to - from) <= 1)
}

/** Characters that are left when the address and its parts are taken out. */
function besides(password: string, { text, key }: Email): number {
  const parts = [text.toLowerCase(), key, ...key.split('@')].filter((part) => part.length > 3)
  return [...parts.reduce((rest, part) => rest.replaceAll(part, ''), password)].length
}
