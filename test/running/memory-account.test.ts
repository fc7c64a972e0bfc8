import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatCredits } from '../../src/core/credits.ts'
import { MemoryAccount, MINUTE_MS, seqOf } from './memory-account.ts'

test('an ended hold is reported with how it ended and what it had set aside', () => {
  const account = new MemoryAccount()
  account.grant(100)
  const [captured, released, expired, live] = [1, 2, 3, 4].map((credits) => seqOf(account.hold(credits, { ttlMs: credits * MINUTE_MS })))
  assert.ok(captured && released && expired && live)
  account.capture(captured)
  account.release(released)
  account.wait(3 * MINUTE_MS)
  account.capture(expired)
  const facts = [captured, released, expired, live, 999].map((hold) => account.endedHold(hold))
  assert.deepEqual(
    facts.map((ended) => ended && [ended.status, formatCredits(ended.credits), ended.isLateCaptured]),
    [['captured', '1', false], ['released', '2', false], ['expired', '3', true], null, null],
  )
})

test('a grant that is no longer open is reported with how it ended', () => {
  const account = new MemoryAccount()
  const spent = seqOf(account.grant(1, { priority: 1 }))
  account.charge(1)
  const voided = seqOf(account.grant(2))
  account.void(voided)
  const expired = seqOf(account.grant(3, { expiresAtMs: account.nowMs + 1 }))
  const open = seqOf(account.grant(4))
  account.wait(1)
  account.charge(1)
  assert.deepEqual(
    [spent, voided, expired, open, 999].map((grant) => account.closedGrant(grant)?.status ?? null),
    ['spent', 'voided', 'expired', null, null],
  )
})

test('a decision that changes the state it was given is caught', () => {
  const account = new MemoryAccount()
  assert.throws(() => account.decide((state) => Object.assign(state, { seq: 99, records: [], state })), TypeError)
})
