import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyAccount } from '../../core/account.ts'
import { keyHash } from '../chain.ts'
import { StateCache } from './state-cache.ts'

const keyOf = (name: number): string => keyHash(1, String(name))
const entry = (account: number) => ({ state: emptyAccount(account), hash: `hash of ${account}`, tick: 1 })

test('keys that were noted of late are known, but for a few whose place others took, and no others are', () => {
  const cache = new StateCache(10)
  const noted = 50_000
  for (let name = 0; name < noted; name++) cache.noteKey(keyOf(name))
  let known = 0
  let mistaken = 0
  for (let name = 0; name < noted; name++) {
    if (cache.hasSeen(keyOf(name))) known++
    if (cache.hasSeen(keyOf(noted + name))) mistaken++
  }
  assert.ok(known > 0.9 * noted && known <= noted, `${known} of ${noted}`)
  assert.equal(mistaken, 0)
  assert.equal(cache.hasSeen(keyOf(noted - 1)), true, 'the last one')
})

test('no more accounts are kept than may be, and those that were used longest ago go first', () => {
  const cache = new StateCache(3)
  for (const account of [1, 2, 3]) cache.keep(account, entry(account))
  cache.keep(1, entry(1))
  cache.keep(4, entry(4))
  assert.deepEqual(
    [1, 2, 3, 4].map((account) => cache.get(account)?.hash),
    ['hash of 1', undefined, 'hash of 3', 'hash of 4'],
  )
  cache.drop(4)
  assert.equal(cache.get(4), undefined)
})
