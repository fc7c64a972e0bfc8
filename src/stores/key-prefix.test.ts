import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyHash } from './chain.ts'
import { prefixOf } from './key-prefix.ts'

test('a prefix is an integer that JavaScript holds exactly, the same for hashes that begin alike', () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (key, account) => {
      const hash = keyHash(account, key)
      const prefix = prefixOf(hash)
      assert.ok(Number.isSafeInteger(prefix) && prefix >= 0)
      assert.equal(prefixOf(`${hash.slice(0, 7)}${'-'.repeat(15)}`), prefix)
    }),
    { seed: 3, numRuns: 1_000 },
  )
  const prefixes = new Set(Array.from({ length: 100_000 }, (_, index) => prefixOf(keyHash(1, String(index)))))
  assert.ok(prefixes.size > 99_900, `${prefixes.size} prefixes of 100 000 keys`)
})
