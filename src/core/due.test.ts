import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, DAY_MS, HOUR_MS, MemoryAccount, MINUTE_MS, START_MS, seqOf, toMicro } from '../../test/running/memory-account.ts'
import { FOREVER_MS } from './calendar.ts'
import { openDraft, viewAt } from './due.ts'
import type { JournalRecord } from './record.ts'

/** What the next command books before its own record. */
function bookedByTime(account: MemoryAccount): readonly JournalRecord[] {
  return booked(account.grant(1, { creditType: 'other' })).records.slice(0, -1)
}

/** Kind, credits and due time in minutes of each record. */
function summary(records: readonly JournalRecord[]): readonly unknown[] {
  return records.map((record) => [
    record.kind,
    'credits' in record ? Number(record.credits) / 1e6 : null,
    'dueMs' in record ? (record.dueMs - START_MS) / MINUTE_MS : null,
  ])
}

test('what was due is booked before a command, in the order in which it was due', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + 3 * MINUTE_MS })
  account.grant(20, { expiresAtMs: START_MS + 1 * MINUTE_MS, creditType: 'image_credits' })
  account.hold(5, { ttlMs: 2 * MINUTE_MS })
  account.hold(4, { ttlMs: 4 * MINUTE_MS })
  account.wait(DAY_MS)
  assert.deepEqual(summary(bookedByTime(account)), [
    ['grant_expired', 20, 1],
    ['hold_expired', 5, 2],
    ['grant_expired', 6, 3],
    ['hold_expired', 4, 4],
  ])
  assert.deepEqual(account.balance(), { settled: '0', held: '0', available: '0' })
})

test('records of time carry the time of the command, say when they were due, and are caused by nobody', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
  account.wait(DAY_MS)
  const [record] = bookedByTime(account)
  assert.ok(record?.kind === 'grant_expired')
  assert.deepEqual([record.atMs, record.dueMs, record.actor, record.requestId], [START_MS + DAY_MS, START_MS + HOUR_MS, 'time', null])
})

test('at one moment holds end before grants, so a hold that ends with its grant lets the credits expire with it', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
  account.hold(4, { ttlMs: HOUR_MS })
  account.wait(HOUR_MS)
  const records = bookedByTime(account)
  assert.deepEqual(summary(records), [
    ['hold_expired', 4, 60],
    ['grant_expired', 10, 60],
  ])
  assert.deepEqual(records[0]?.kind === 'hold_expired' && [records[0].expired, records[0].voided], [0n, 0n])
})

test('credits of a hold that expires before its grant are free in between, and expire with the grant', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
  account.hold(10, { ttlMs: MINUTE_MS })
  account.wait(MINUTE_MS)
  assert.equal(account.balance().available, '10')
  account.wait(HOUR_MS)
  assert.equal(account.balance().settled, '0')
})

test('credits that a hold frees pay a debt as of the moment they became free, even if their grant expired right after', () => {
  const account = new MemoryAccount()
  account.grant(50, { expiresAtMs: START_MS + 10 * MINUTE_MS })
  const overrun = seqOf(account.hold(20, { ttlMs: HOUR_MS }))
  account.hold(30, { ttlMs: 5 * MINUTE_MS })
  booked(account.capture(overrun, 45))
  account.wait(DAY_MS)
  assert.deepEqual([account.debt(), account.balance().settled], ['0', '0'])
  assert.deepEqual(summary(bookedByTime(account)), [
    ['hold_expired', 30, 5],
    ['grant_expired', 5, 10],
  ])
})

for (const holdMinutes of [10, 15])
  test(`credits of a grant that expired after 10 minutes pay no debt when a hold lets go of them after ${holdMinutes}`, () => {
    const account = new MemoryAccount()
    account.grant(50, { expiresAtMs: START_MS + 10 * MINUTE_MS })
    const overrun = seqOf(account.hold(20, { ttlMs: HOUR_MS }))
    account.hold(30, { ttlMs: holdMinutes * MINUTE_MS })
    booked(account.capture(overrun, 45))
    account.wait(DAY_MS)
    assert.equal(account.debt(), '25')
  })

test('grants that become effective pay a debt one after the other, each as of its own moment', () => {
  const account = new MemoryAccount()
  booked(account.capture(seqOf(account.hold(0)), 50))
  account.grant(20, { effectiveAtMs: START_MS + 2 * MINUTE_MS, expiresAtMs: START_MS + 3 * MINUTE_MS })
  account.grant(20, { effectiveAtMs: START_MS + 5 * MINUTE_MS })
  account.grant(20, { effectiveAtMs: START_MS + 9 * MINUTE_MS })
  account.wait(HOUR_MS)
  const records = bookedByTime(account)
  assert.deepEqual(
    records.map((record) => record.kind === 'debt_repaid' && [(record.dueMs - START_MS) / MINUTE_MS, record.balance.settled]),
    [
      [2, toMicro(-30)],
      [5, toMicro(-10)],
      [9, toMicro(10)],
    ],
  )
  assert.equal(account.balance().available, '10')
})

test('a grant that ends a debt when it becomes effective tells subscribers that credits have recovered', () => {
  const account = new MemoryAccount()
  booked(account.capture(seqOf(account.hold(0)), 5))
  account.grant(20, { effectiveAtMs: START_MS + MINUTE_MS })
  account.wait(MINUTE_MS)
  assert.deepEqual(
    bookedByTime(account).map(({ events }) => events),
    [['credits.recovered']],
  )
})

test('grants that become effective at one moment pay a debt in burn order', () => {
  const account = new MemoryAccount()
  booked(account.capture(seqOf(account.hold(0)), 15))
  const effectiveAtMs = START_MS + MINUTE_MS
  const late = seqOf(account.grant(10, { effectiveAtMs, priority: 2 }))
  account.grant(10, { effectiveAtMs, priority: 1 })
  account.wait(MINUTE_MS)
  assert.deepEqual(account.remaining(), [[late, '5']])
})

test('a grant that becomes effective books nothing when nothing is owed', () => {
  const account = new MemoryAccount()
  account.grant(10, { effectiveAtMs: START_MS + MINUTE_MS })
  account.wait(MINUTE_MS)
  assert.deepEqual(bookedByTime(account), [])
})

test('an expiry that takes the last credit tells subscribers', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + MINUTE_MS })
  account.grant(5, { expiresAtMs: START_MS + 2 * MINUTE_MS })
  account.wait(HOUR_MS)
  assert.deepEqual(
    bookedByTime(account).map(({ events }) => events),
    [[], ['credits.exhausted']],
  )
})

test('nothing is due a millisecond early, and everything at the very moment', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + MINUTE_MS })
  assert.equal(account.state.dueMs, START_MS + MINUTE_MS)
  const bookedAt = (ms: number): number => viewAt(account.state, START_MS + ms).seq - account.state.seq
  assert.deepEqual([MINUTE_MS - 1, MINUTE_MS, DAY_MS].map(bookedAt), [0, 1, 1])
})

test('a look at an account changes nothing, and costs nothing while nothing is due', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + MINUTE_MS })
  const { state } = account
  assert.equal(viewAt(state, START_MS), state)
  assert.notEqual(viewAt(state, START_MS + MINUTE_MS), state)
  assert.equal(account.state, state)
})

test('a look with a clock that has gone back behind the last record sees what a command at that clock would book', () => {
  const account = new MemoryAccount()
  account.quickly(() => account.grant(10, { effectiveAtMs: START_MS - DAY_MS, expiresAtMs: START_MS - MINUTE_MS }))
  const nowMs = START_MS - HOUR_MS
  const { state } = openDraft(account.state, { nowMs, actor: 'operator', requestId: null })
  assert.deepEqual(viewAt(account.state, nowMs), state)
})

test('a look in two steps sees what one step sees', () => {
  const account = new MemoryAccount()
  account.grant(50, { expiresAtMs: START_MS + 10 * MINUTE_MS })
  const overrun = seqOf(account.hold(20, { ttlMs: HOUR_MS }))
  account.hold(30, { ttlMs: 5 * MINUTE_MS })
  booked(account.capture(overrun, 45))
  account.grant(7, { effectiveAtMs: START_MS + 7 * MINUTE_MS })
  const { atMs: _, ...once } = viewAt(account.state, START_MS + HOUR_MS)
  for (let minutes = 0; minutes <= 60; minutes += 1) {
    const { atMs: __, ...twice } = viewAt(viewAt(account.state, START_MS + minutes * MINUTE_MS), START_MS + HOUR_MS)
    assert.deepEqual(twice, once, `with a stop after ${minutes} minutes`)
  }
})

test('a draft that is opened when nothing is due has no records, and one that is has only those of time', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + MINUTE_MS })
  const context = { nowMs: START_MS, actor: 'operator', requestId: 'req_1' } as const
  assert.deepEqual(openDraft(account.state, context).done(), { records: [], state: account.state })
  const { records } = openDraft(account.state, { ...context, nowMs: START_MS + MINUTE_MS }).done()
  assert.deepEqual(
    records.map(({ kind, actor }) => [kind, actor]),
    [['grant_expired', 'time']],
  )
})

/** When something is next due. */
const DUE: readonly { readonly what: string; readonly prepare: (account: MemoryAccount) => unknown; readonly minutes: number | null }[] = [
  { what: 'nothing ever ends', prepare: (account) => account.grant(10), minutes: null },
  { what: 'a grant expires', prepare: (account) => account.grant(10, { expiresAtMs: START_MS + 9 * MINUTE_MS }), minutes: 9 },
  {
    what: 'a hold expires first',
    prepare: (account) => [account.grant(10, { expiresAtMs: START_MS + 9 * MINUTE_MS }), account.hold(1, { ttlMs: 3 * MINUTE_MS })],
    minutes: 3,
  },
  { what: 'the hold was released', prepare: (account) => [account.grant(10), account.release(seqOf(account.hold(1)))], minutes: null },
  {
    what: 'the hold was extended',
    prepare: (account) => [account.grant(10), account.extend(seqOf(account.hold(1, { ttlMs: 3 * MINUTE_MS })), 7 * MINUTE_MS)],
    minutes: 7,
  },
  {
    what: 'the grant was spent',
    prepare: (account) => [account.grant(10, { expiresAtMs: START_MS + 9 * MINUTE_MS }), account.charge(10)],
    minutes: null,
  },
  {
    what: 'the grant was spent in part',
    prepare: (account) => [account.grant(10, { expiresAtMs: START_MS + 9 * MINUTE_MS }), account.charge(9)],
    minutes: 9,
  },
  {
    what: 'the grant was voided',
    prepare: (account) => account.void(seqOf(account.grant(10, { expiresAtMs: START_MS + 9 * MINUTE_MS }))),
    minutes: null,
  },
  {
    what: 'a grant becomes effective and nothing is owed',
    prepare: (account) => account.grant(10, { effectiveAtMs: START_MS + 4 * MINUTE_MS }),
    minutes: null,
  },
  {
    what: 'a grant becomes effective and something is owed',
    prepare: (account) => [account.grant(10, { effectiveAtMs: START_MS + 4 * MINUTE_MS }), account.capture(seqOf(account.hold(0)), 5)],
    minutes: 4,
  },
]

for (const { what, prepare, minutes } of DUE)
  test(`the account is ${minutes === null ? 'never due' : `due in ${minutes} minutes`} when ${what}`, () => {
    const account = new MemoryAccount()
    prepare(account)
    assert.equal(account.state.dueMs, minutes === null ? FOREVER_MS : START_MS + minutes * MINUTE_MS)
  })
