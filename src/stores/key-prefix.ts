/** Idempotency keys by numbers, which take less room than their hashes. */

/** Characters of a key's hash that make its prefix: 7 of 7 bits fit an integer that JavaScript holds exactly. */
const PREFIX_LENGTH = 7

/** The number under which an idempotency key's hash is indexed. Two keys may share it; the journal row tells. */
export function prefixOf(keyHash: string): number {
  let prefix = 0
  for (let at = 0; at < PREFIX_LENGTH; at++) prefix = prefix * 128 + keyHash.charCodeAt(at)
  return prefix
}

/** A number of so many bits, at most 32, for a prefix, which has 49 of which every 7 hold one character: neighbors lie far apart. */
export function spread(prefix: number, bits: number): number {
  return Math.imul((prefix % 2 ** 32) ^ Math.floor(prefix / 2 ** 32), 0x9e3779b1) >>> (32 - bits)
}
