import assert from 'node:assert/strict'
import { test } from 'node:test'
import { livesOfAlerts } from '../../test/running/alerts.ts'
import { livesOfAutoTopups } from '../../test/running/auto-topups.ts'
import { booked, DAY_MS, HOUR_MS, MemoryAccount, MINUTE_MS, START_MS, seqOf, toMicro } from '../../test/running/memory-account.ts'
import { livesOfPurchases } from '../../test/running/purchases.ts'
import { grant } from '../../test/running/store-commands.ts'
import { livesOfSubscriptions } from '../../test/running/subscriptions.ts'
import { RECORD_KINDS } from '../../tools/reference/journal.ts'
import { type AccountState, emptyAccount, type OpenGrant, type OpenHold, type Pool } from './account.ts'
import { micro } from './credits.ts'
import { evolve } from './evolve.ts'
import { assertSound } from './invariants.ts'
import type { Captured, CreditsRecord, JournalRecord, Movement } from './record.ts'

function buy(account: MemoryAccount): void {
  const purchases = livesOfPurchases()
  for (let next = purchases.next(); !next.done; ) next = purchases.next(seqOf(account.send(next.value)))
}

function watch(account: MemoryAccount): void {
  const alerts = livesOfAlerts()
  for (let next = alerts.next(); !next.done; ) next = alerts.next(seqOf(account.send(next.value)))
}

function subscribe(account: MemoryAccount): void {
  const subscriptions = livesOfSubscriptions()
  let seq = 0
  for (let next = subscriptions.next(); !next.done; next = subscriptions.next(seq))
    if (typeof next.value === 'number') account.wait(next.value)
    else seq = seqOf(account.send(next.value))
}

function topUp(account: MemoryAccount): void {
  const topups = livesOfAutoTopups(grant(60_000))
  let seq = 0
  for (let next = topups.next(); !next.done; next = topups.next(seq))
    if (typeof next.value === 'number') account.wait(next.value)
    else seq = seqOf(account.send(next.value))
}

/** An account to which everything has happened that can happen to one. */
function fullLife(): MemoryAccount {
  const account = MemoryAccount.onClock(START_MS)
  const key = seqOf(account.createKey({ limit: toMicro(500), period: 'day', timeZone: 'UTC', maxPerCharge: null }))
  account.grant(100, { source: 'plan', expiresAtMs: START_MS + DAY_MS })
  account.grant(50, { paid: true })
  const voided = seqOf(account.grant(20, { creditType: 'image_credits' }))
  const charge = seqOf(account.charge(30, { key }))
  account.refund(charge, 10)
  const holds = [40, 20, 10, 5].map((amount) => seqOf(account.hold(amount, { key, ttlMs: HOUR_MS })))
  const [captured = 0, released = 0, extended = 0, late = 0] = holds
  account.increase(captured, 5)
  account.capture(captured, 10, { final: false })
  account.capture(captured, 200)
  account.release(released)
  account.extend(extended, 2 * HOUR_MS)
  account.void(voided)
  account.grant(30, { effectiveAtMs: START_MS + MINUTE_MS })
  topUp(account)
  buy(account)
  account.wait(90 * MINUTE_MS)
  account.capture(late)
  account.adjust(100)
  account.adjust(-3)
  account.wait(DAY_MS)
  account.update({ status: 'suspended' })
  account.updateKey(key, { name: 'new' })
  account.rotateKey(key)
  account.revokeKey(key)
  account.refund(charge)
  account.grant(4, { expiresAtMs: account.nowMs + 1 })
  account.wait(1)
  account.adjust(1)
  account.update({ status: 'active' })
  const failed = seqOf(account.charge(2))
  account.send({ kind: 'report_outcome', charge: failed, outcome: 'failed', percent: 50, reason: '', grantDays: 30 })
  watch(account)
  subscribe(account)
  return account
}

test('a journal with every kind of record in it folds to the state, which is sound after every record', () => {
  const { journal, state } = fullLife()
  assert.deepEqual(new Set(journal.map(({ kind }) => kind)), new Set(RECORD_KINDS))
  let folded = emptyAccount(1)
  for (const record of journal) {
    folded = evolve(folded, record)
    assertSound(folded, 'dueMs' in record ? record.dueMs : record.atMs)
    assert.deepEqual([folded.seq, folded.atMs], [record.seq, record.atMs])
  }
  assert.deepEqual(folded, state)
})

test('folding changes neither the state nor the record that it is given', () => {
  const { journal } = fullLife()
  const before = journal.map((record) => structuredClone(record))
  let state = emptyAccount(1)
  for (const record of journal) {
    const copy = structuredClone(state)
    const next = evolve(state, record)
    assert.deepEqual(state, copy)
    state = next
  }
  assert.deepEqual(journal, before)
})

test('a spent grant leaves the state, and one that has ended leaves it when nothing holds it any longer', () => {
  const account = new MemoryAccount()
  account.grant(10)
  booked(account.charge(10))
  assert.deepEqual(account.state.pools[0]?.grants, [])
  const voided = seqOf(account.grant(10))
  const hold = seqOf(account.hold(4))
  booked(account.void(voided))
  assert.deepEqual(
    account.state.pools[0]?.grants.map(({ seq, remaining, closed }) => [seq, remaining, closed]),
    [[voided, toMicro(4), 'voided']],
  )
  booked(account.capture(hold))
  assert.deepEqual(account.state.pools[0]?.grants, [])
})

test('pools are kept by the names of their credit types, and grants in burn order', () => {
  const account = new MemoryAccount()
  for (const creditType of ['video_credits', 'credits', 'image_credits']) account.grant(1, { creditType })
  const [last, first] = [9, 1].map((priority) => seqOf(account.grant(1, { priority })))
  assert.deepEqual(
    account.state.pools.map(({ creditType }) => creditType),
    ['credits', 'image_credits', 'video_credits'],
  )
  const burning = account.state.pools[0]?.grants.map(({ seq }) => seq)
  assert.deepEqual([burning?.at(0), burning?.at(-1)], [first, 3])
  assert.ok(last)
})

test('charges, refunds, expiries and voids are totalled, and granted = settled + charged − refunded + expired + voided', () => {
  for (const pool of fullLife().state.pools) {
    const left = pool.grants.reduce((sum, { remaining }) => sum + remaining, -pool.debt)
    assert.equal(pool.granted, left + pool.charged - pool.refunded + pool.expired + pool.voided)
    assert.ok(pool.charged + pool.voided > 0n)
  }
})

// Damaged journals.

/** A grant of 80, a hold of 60 on it, a charge of 10, and a capture of 80 that leaves a debt of 10. */
function shortLife(): { readonly journal: readonly JournalRecord[]; readonly hold: number } {
  const account = new MemoryAccount()
  account.grant(80)
  const hold = seqOf(account.hold(60))
  account.charge(10)
  account.capture(hold, 80)
  return { journal: account.journal, hold }
}

type Tamper = (record: CreditsRecord) => CreditsRecord

function inMovement(index: number, change: (movement: Movement) => Partial<Movement>): Tamper {
  return (record) => ({
    ...record,
    movements: record.movements.map((movement, at) => (at === index ? { ...movement, ...change(movement) } : movement)),
  })
}

/** One field of one record is off; the record is the one at `at` of grant (2), hold (3), charge (4) and capture (5). */
const DAMAGES: readonly { readonly what: string; readonly at: number; readonly tamper: Tamper; readonly error: RegExp }[] = [
  { what: 'a sequence is left out', at: 4, tamper: (record) => ({ ...record, seq: 5 }), error: /cannot follow/ },
  { what: 'a sequence comes twice', at: 4, tamper: (record) => ({ ...record, seq: 3 }), error: /cannot follow/ },
  { what: 'a record is older than the one before', at: 4, tamper: (record) => ({ ...record, atMs: START_MS - 1 }), error: /older/ },
  {
    what: 'more was taken than the charge says',
    at: 4,
    tamper: inMovement(0, ({ remaining, remainingAfter }) => ({
      remaining: micro(remaining - 1n),
      remainingAfter: micro(remainingAfter - 1n),
    })),
    error: /moves/,
  },
  {
    what: 'a charge says more than was taken',
    at: 4,
    tamper: (record) => ({ ...record, credits: toMicro(11) }) as CreditsRecord,
    error: /moves/,
  },
  { what: 'a movement is missing', at: 4, tamper: (record) => ({ ...record, movements: [] }), error: /moves/ },
  {
    what: 'what is left after a movement is off',
    at: 4,
    tamper: inMovement(0, () => ({ remainingAfter: toMicro(61) })),
    error: /disagrees/,
  },
  { what: 'what is held after a movement is off', at: 4, tamper: inMovement(0, () => ({ heldAfter: toMicro(59) })), error: /disagrees/ },
  { what: 'a movement is on a grant that is not there', at: 4, tamper: inMovement(0, () => ({ grant: 99 })), error: /not open/ },
  {
    what: 'more is held than there is',
    at: 3,
    tamper: inMovement(0, () => ({ held: toMicro(81), heldAfter: toMicro(81) })),
    error: /would leave/,
  },
  {
    what: 'less than nothing is held',
    at: 3,
    tamper: inMovement(0, () => ({ held: toMicro(-1), heldAfter: toMicro(-1) })),
    error: /would leave/,
  },
  {
    what: 'the debt after a capture is off',
    at: 5,
    tamper: inMovement(2, () => ({ remainingAfter: toMicro(-11) })),
    error: /disagrees with the debt/,
  },
  {
    what: 'a capture is of a hold that is not live',
    at: 5,
    tamper: (record) => ({ ...(record as Captured), hold: 99 }),
    error: /not live/,
  },
]

for (const { what, at, tamper, error } of DAMAGES)
  test(`a journal in which ${what} is not folded`, () => {
    const { journal } = shortLife()
    const damaged = journal.map((record) => (record.seq === at ? tamper(record as CreditsRecord) : record))
    assert.throws(() => damaged.reduce(evolve, emptyAccount(1)), error)
    assert.equal(journal.reduce(evolve, emptyAccount(1)).seq, 5, 'while the undamaged one is')
  })

test('a debt is never repaid beyond what is owed', () => {
  const { journal } = shortLife()
  const repaid: JournalRecord = {
    kind: 'debt_repaid',
    seq: 6,
    atMs: START_MS,
    actor: 'time',
    requestId: null,
    events: [],
    creditType: 'credits',
    movements: [{ grant: 0, remaining: toMicro(11), held: micro(0n), remainingAfter: toMicro(1), heldAfter: micro(0n) }],
    balance: { settled: toMicro(1), held: micro(0n) },
    dueMs: START_MS,
  }
  assert.throws(() => [...journal, repaid].reduce(evolve, emptyAccount(1)), /moves|debt/)
})

// Unsound states.

/** A state with 100 credits of which 40 are held, changed in one place. */
function soundState(): AccountState {
  const account = new MemoryAccount()
  account.grant(100)
  account.hold(40)
  return account.state
}

const inPool =
  (change: (pool: Pool) => Partial<Pool>) =>
  (state: AccountState): AccountState => ({ ...state, pools: state.pools.map((pool) => ({ ...pool, ...change(pool) })) })
const inGrant = (change: Partial<OpenGrant>) => inPool(({ grants }) => ({ grants: grants.map((grant) => ({ ...grant, ...change })) }))
const inHold =
  (change: (hold: OpenHold) => Partial<OpenHold>) =>
  (state: AccountState): AccountState => ({ ...state, holds: state.holds.map((hold) => ({ ...hold, ...change(hold) })) })

const UNSOUND: Readonly<Record<string, (state: AccountState) => AccountState>> = {
  'more is left than was granted': inGrant({ remaining: toMicro(101) }),
  'less is left than was granted': inGrant({ remaining: toMicro(99) }),
  'a total is off': inPool(() => ({ expired: micro(1n) })),
  'a debt is owed that nothing explains': inPool(() => ({ debt: micro(1n) })),
  'a debt stands beside free credits': inPool(() => ({ debt: toMicro(5), charged: toMicro(5) })),
  'more is held than live holds say': inGrant({ held: toMicro(41) }),
  'less is held than live holds say': inGrant({ held: toMicro(39) }),
  'a hold draws on less than the grant says': inHold(({ parts }) => ({ parts: parts.map((part) => ({ ...part, held: toMicro(1) })) })),
  'a hold is gone and its credits still held': (state) => ({ ...state, holds: [] }),
}

for (const [what, spoil] of Object.entries(UNSOUND))
  test(`a state is not sound when ${what}`, () => {
    const state = soundState()
    assertSound(state)
    assert.throws(() => assertSound(spoil(state)), Error)
  })

test('a debt beside held credits is sound: they belong to their hold', () => {
  const account = new MemoryAccount()
  account.grant(50)
  const overrun = seqOf(account.hold(10))
  account.hold(40)
  booked(account.capture(overrun, 60))
  assertSound(account.state)
  assert.equal(account.debt(), '50')
})
