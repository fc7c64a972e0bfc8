import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_ACCOUNT_NUMBER, MAX_SEQUENCE } from '../../core/ids.ts'
import { uuidOf } from './uuids.ts'

test('an address is a UUID of version 8, from which it can be read', () => {
  assert.equal(uuidOf({ account: 0x12_3456_789a, seq: 0xbc }), '12345678-9a00-8000-8000-0000000000bc')
  assert.equal(uuidOf({ account: MAX_ACCOUNT_NUMBER, seq: MAX_SEQUENCE }), 'ffffffff-ff00-8000-8000-00ffffffffff')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_ACCOUNT_NUMBER }), fc.integer({ min: 0, max: MAX_SEQUENCE }), (account, seq) => {
      const uuid = uuidOf({ account, seq })
      assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{2}00-8000-8000-00[0-9a-f]{10}$/)
      const digits = uuid.replaceAll('-', '')
      assert.deepEqual([Number.parseInt(digits.slice(0, 10), 16), Number.parseInt(digits.slice(-10), 16)], [account, seq])
    }),
  )
})
