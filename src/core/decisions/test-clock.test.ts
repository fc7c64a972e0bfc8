import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, DAY_MS, HOUR_MS, MemoryAccount, seqOf, toMicro } from '../../../test/running/memory-account.ts'
import * as plan from '../../../test/running/subscriptions.ts'
import { timeOf } from '../account.ts'
import { currentBudget } from '../budget.ts'
import { viewAt } from '../due.ts'

const PAST = Date.parse('2020-02-28T12:00:00Z')
function advance(account: MemoryAccount, ms: number): ReturnType<MemoryAccount['send']> {
  return account.send({ kind: 'advance_clock', nowMs: (account.state.clock?.nowMs ?? 0) + ms })
}

test('an account that lives by a test clock is of its time from its first record on, whatever the store’s time is', () => {
  const account = MemoryAccount.onClock(PAST)
  account.nowMs += 30 * DAY_MS
  account.grant(10, { expiresAtMs: PAST + DAY_MS })
  account.charge(3)
  assert.deepEqual(new Set(account.journal.map(({ atMs }) => atMs)), new Set([PAST]))
  assert.equal(timeOf(account.state, account.nowMs), PAST)
  assert.equal(account.state.hour.startMs, PAST)
})

test('what becomes due when the clock is moved is booked with that, in order and as of its moment', () => {
  const account = MemoryAccount.onClock(PAST)
  account.send(plan.start({ rollover: { percent: 50 } }))
  const hold = seqOf(account.hold(20, { ttlMs: HOUR_MS }))
  const { record, records } = booked(advance(account, 32 * DAY_MS))
  assert.deepEqual([record.kind, record.atMs], ['clock_advanced', PAST])
  assert.deepEqual(
    records.map(({ kind, atMs }) => [kind, (atMs - PAST) / DAY_MS]),
    [
      ['clock_advanced', 0],
      ['hold_expired', 32],
      ['grant_expired', 32],
      ['subscription_renewed', 32],
      ['subscription_granted', 32],
      ['subscription_granted', 32],
    ],
  )
  assert.equal(codeOf(account.release(hold)), 'hold_expired')
  const view = viewAt(account.state, account.nowMs + 300 * DAY_MS)
  assert.equal(view, account.state, 'the store’s time does nothing to it')
})

test('a clock stands until it is moved, and never goes back', () => {
  const account = MemoryAccount.onClock(PAST)
  account.grant(10, { expiresAtMs: PAST + DAY_MS })
  account.nowMs += 400 * DAY_MS
  booked(account.charge(1))
  assert.equal(booked(advance(account, 0)).records.length, 0)
  assert.equal(booked(advance(account, -1)).records.length, 0)
  booked(advance(account, DAY_MS - 1))
  booked(account.charge(1))
  booked(advance(account, 1))
  assert.equal(codeOf(account.charge(1)), 'insufficient_credits')
})

test('budgets turn with the clock', () => {
  const account = MemoryAccount.onClock(PAST)
  account.grant(100)
  const key = seqOf(account.createKey({ limit: toMicro(10), period: 'day', timeZone: 'UTC', maxPerCharge: null }))
  booked(account.charge(10, { key }))
  assert.equal(codeOf(account.charge(1, { key })), 'key_budget_exceeded')
  booked(advance(account, DAY_MS))
  booked(account.charge(1, { key }))
  const [budget] = account.state.budgets
  assert.ok(budget)
  assert.equal(currentBudget(budget, timeOf(account.state, 0)).windowStartMs, Date.parse('2020-02-29T00:00:00Z'))
})

test('a clock may be ahead of the store as well', () => {
  const account = MemoryAccount.onClock(Date.parse('2099-01-31T00:00:00Z'))
  account.send(plan.start())
  booked(advance(account, 28 * DAY_MS))
  assert.equal(account.state.subscriptions[0]?.period?.startMs, Date.parse('2099-02-28T00:00:00Z'))
})

test('an account that lives in real time has no clock that could be moved', () => {
  const account = new MemoryAccount()
  const { state } = account
  assert.deepEqual(booked(account.send({ kind: 'advance_clock', nowMs: 8e15 })).records, [])
  assert.equal(account.state, state)
})
