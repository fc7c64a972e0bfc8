import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { hashSecret, hiderOf, hideSecrets, hintOf, isKeyPrefix, isWellFormed, KEY_PREFIX, makeSecret, OPERATOR_PREFIX } from './secrets.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The checksum as the documentation of the format states it, written anew: CRC-32 of all before it, six digits to base 62. */
function checksumOf(text: string): string {
  const digits: string[] = []
  for (let rest = BigInt(crc32(text)); digits.length < 6; rest /= 62n) digits.unshift(ALPHABET[Number(rest % 62n)] ?? '')
  return digits.join('')
}

test('a secret is its prefix, 32 random characters of base 62 and 6 of checksum', () => {
  for (const prefix of [KEY_PREFIX, OPERATOR_PREFIX, 'ap_', '']) {
    const secret = makeSecret(prefix)
    assert.match(secret, new RegExp(`^${prefix}[0-9A-Za-z]{38}$`))
    assert.equal(secret.slice(-6), checksumOf(secret.slice(0, -6)))
    assert.ok(isWellFormed(secret), secret)
  }
})

test('no two secrets are the same, and no character is likelier than another', () => {
  const secrets = Array.from({ length: 2_000 }, () => makeSecret(KEY_PREFIX).slice(KEY_PREFIX.length, -6))
  assert.equal(new Set(secrets).size, secrets.length)
  const counts = new Map<string, number>()
  for (const character of secrets.join('')) counts.set(character, (counts.get(character) ?? 0) + 1)
  const expected = (secrets.length * 32) / ALPHABET.length
  // Chi-squared with 61 degrees of freedom stays below 130 with all but one chance in a million; a plain modulo gives thousands.
  const chiSquared = [...ALPHABET].reduce((sum, character) => sum + ((counts.get(character) ?? 0) - expected) ** 2 / expected, 0)
  assert.ok(chiSquared < 130, `chi-squared ${chiSquared}`)
})

test('the checksum catches every mistyped character and every pair of swapped neighbours', () => {
  const secret = makeSecret(KEY_PREFIX)
  const mistyped: string[] = []
  for (let at = 0; at < secret.length; at++) {
    for (const character of ALPHABET)
      if (character !== secret[at]) mistyped.push(`${secret.slice(0, at)}${character}${secret.slice(at + 1)}`)
    const swapped = `${secret.slice(0, at)}${secret[at + 1] ?? ''}${secret[at]}${secret.slice(at + 2)}`
    if (swapped !== secret) mistyped.push(swapped)
  }
  assert.deepEqual(mistyped.filter(isWellFormed), [])
})

test('a text of another shape is no secret, whatever its checksum', () => {
  const secret = makeSecret(KEY_PREFIX)
  const short = `${KEY_PREFIX}${'a'.repeat(20)}`
  const texts = ['', ' ', KEY_PREFIX, secret.slice(0, -1), `${secret}0`, ` ${secret}`, `${secret} `, `${secret}\n`, secret.toLowerCase()]
  for (const text of [...texts, `${short}${checksumOf(short)}`, 'é'.repeat(48)])
    assert.equal(isWellFormed(text), false, JSON.stringify(text))
})

test('what may be shown of a secret is its prefix and its last four characters, and no more', () => {
  const secret = makeSecret(KEY_PREFIX)
  assert.equal(hintOf(secret), `obol_live_…${secret.slice(-4)}`)
  assert.ok(!hintOf(secret).includes(secret.slice(KEY_PREFIX.length, -4)))
})

test('the hash of a secret tells nothing of it and is always the same', () => {
  const secret = makeSecret(KEY_PREFIX)
  assert.match(hashSecret(secret), /^[A-Za-z0-9_-]{43}$/)
  assert.equal(hashSecret(secret), hashSecret(secret))
  assert.ok(!hashSecret(secret).includes(secret.slice(-6)))
})

test('a prefix of customer keys ends where it is seen to end, and is not that of the operator', () => {
  for (const prefix of [KEY_PREFIX, 'ap_', 'sk-', 'A-', 'my_company_live_']) assert.ok(isKeyPrefix(prefix), prefix)
  for (const text of ['', '_', '-', 'ap', '1p_', 'ap_ ', ' ap_', 'ap.', 'a*_', '\u00e9_', OPERATOR_PREFIX, `${'a'.repeat(20)}_`])
    assert.equal(isKeyPrefix(text), false, JSON.stringify(text))
})

test('a secret of any prefix is found in a text by its checksum, and what only looks like one is left alone', () => {
  const hash = hashSecret('anything')
  for (const prefix of ['ap_', 'sk-', 'other-prefix_', '']) {
    const secret = makeSecret(prefix)
    assert.equal(hideSecrets(`GET /x?key=${secret}&a=1`), 'GET /x?key=[redacted]&a=1')
    assert.equal(hideSecrets(`"${secret}", ${hash}`), `"[redacted]", ${hash}`)
    const mistyped = `${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`
    assert.equal(hideSecrets(mistyped), mistyped, 'nobody can tell what it was')
  }
})

test("what begins with the server's own prefix is blanked, mistyped and cut off too", () => {
  const hide = hiderOf('sk-')
  const secret = makeSecret('sk-')
  for (const text of [secret, secret.slice(0, -3), `${secret}0`, `sk-${'a'.repeat(8)}`])
    assert.equal(hide(`key ${text}.`), 'key [redacted].')
  for (const text of ['a task-force', 'sk-1234567', 'sk-']) assert.equal(hide(text), text)
  assert.equal(hide(makeSecret(KEY_PREFIX)), '[redacted]')
})
