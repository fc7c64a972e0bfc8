import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, chargeOf, MemoryAccount, MINUTE_MS, HOUR_MS as ONE_HOUR_MS, seqOf, toMicro } from '../../test/running/memory-account.ts'
import { MAX_OPEN_USAGE_ROWS, type OpenHour, type UsageRow } from './account.ts'
import { type Decimal, ONE } from './decimal.ts'
import type { JournalRecord } from './record.ts'
import { addQuantities, closedRows, evolveHour, HOUR_MS } from './usage.ts'

/** An account with credits of two types, on the hour. */
function accountOnTheHour(): MemoryAccount {
  const account = new MemoryAccount()
  account.grant(1_000)
  account.grant(1_000, { creditType: 'image_credits' })
  return account
}

/** What is counted of each row: charges, their credits, refunds, theirs. */
function counts(rows: readonly UsageRow[]): readonly (readonly [string, number, bigint, number, bigint])[] {
  return rows.map(({ operation, charges, credits, refunds, refunded }) => [operation, charges, credits, refunds, refunded])
}

test('the hour of the roll-ups is an hour', () => {
  assert.equal(HOUR_MS, ONE_HOUR_MS)
})

test('charges are counted per operation, API key and credit type, in the order in which each first came', () => {
  const account = accountOnTheHour()
  const key = seqOf(account.createKey())
  account.charge(1, { operation: 'speech' })
  account.charge(2, { operation: 'speech', key })
  account.charge(4, { operation: 'speech', creditType: 'image_credits' })
  account.charge(8, { operation: 'video' })
  account.charge(16, { operation: 'speech' })
  assert.deepEqual(
    account.state.hour.rows.map((row) => [row.operation, row.key, row.creditType, row.charges, row.credits]),
    [
      ['speech', null, 'credits', 2, toMicro(17)],
      ['speech', key, 'credits', 1, toMicro(2)],
      ['speech', null, 'image_credits', 1, toMicro(4)],
      ['video', null, 'credits', 1, toMicro(8)],
    ],
  )
})

test('quantities are summed unit by unit', () => {
  const account = accountOnTheHour()
  const units = (input: bigint, output?: bigint): Record<string, Decimal> =>
    Object.fromEntries(
      Object.entries({ input, output }).flatMap(([unit, count]) => (count === undefined ? [] : [[unit, (count * ONE) as Decimal]])),
    )
  account.charge(1, { quantities: units(100n, 5n) })
  account.charge(1, { quantities: units(50n) })
  account.charge(1, { quantities: units(7n, 2n) })
  assert.deepEqual(account.state.hour.rows[0]?.quantities, units(157n, 7n))
})

test('adding quantities changes neither of the two', () => {
  const [a, b] = [Object.freeze({ x: ONE }), Object.freeze({ x: ONE, y: ONE })]
  assert.deepEqual(addQuantities(a, b), { x: 2n * ONE, y: ONE })
})

test('a refund counts in the hour in which it is made, beside the charges and not against them', () => {
  const account = accountOnTheHour()
  const charge = seqOf(account.charge(10, { operation: 'speech' }))
  account.refund(charge, 3)
  assert.deepEqual(counts(account.state.hour.rows), [['speech', 1, toMicro(10), 1, toMicro(3)]])
  account.wait(HOUR_MS)
  account.refund(charge, 2)
  assert.deepEqual(counts(account.state.hour.rows), [['speech', 0, 0n, 1, toMicro(2)]])
})

test('captures and late captures count as the charges that they are; holds and what they let go count as nothing', () => {
  const account = accountOnTheHour()
  const [captured, released, late] = [1, 2, 3].map(() => seqOf(account.hold(10, { operation: 'video', ttlMs: MINUTE_MS })))
  account.capture(captured ?? 0, 4)
  account.release(released ?? 0)
  account.wait(MINUTE_MS)
  account.capture(late ?? 0, 5)
  account.adjust(-1)
  account.void(2)
  assert.deepEqual(counts(account.state.hour.rows), [['video', 2, toMicro(9), 0, 0n]])
})

test('an hour begins on the hour, up to and not including the next', () => {
  const account = accountOnTheHour()
  const cases = [
    { atMs: 0, starts: 0, charges: 1 },
    { atMs: HOUR_MS - 1, starts: 0, charges: 2 },
    { atMs: HOUR_MS, starts: 1, charges: 1 },
    { atMs: 5 * HOUR_MS + 1, starts: 5, charges: 1 },
  ]
  const firstMs = account.nowMs
  for (const { atMs, starts, charges } of cases) {
    account.nowMs = firstMs + atMs
    account.charge(1)
    assert.deepEqual([account.state.hour.startMs, account.state.hour.rows[0]?.charges], [firstMs + starts * HOUR_MS, charges])
  }
})

/** Folds records one by one, writing out what closes, as a store does. */
function written(records: readonly JournalRecord[]): { readonly rows: readonly UsageRow[]; readonly open: OpenHour } {
  let open: OpenHour = { startMs: 0, rows: [] }
  const rows: UsageRow[] = []
  for (const record of records) {
    const next = evolveHour(open, record)
    rows.push(...closedRows(open, next))
    open = next
  }
  return { rows, open }
}

test('rows are written out once, when their hour closes, and an hour in which nothing is charged closes nothing', () => {
  const account = accountOnTheHour()
  account.charge(1, { operation: 'a' })
  account.charge(2, { operation: 'b' })
  account.wait(HOUR_MS)
  account.grant(5)
  assert.deepEqual(counts(written(account.journal).rows), [], 'a grant closes no hour')
  account.charge(4, { operation: 'a' })
  account.charge(8, { operation: 'a' })
  const { rows, open } = written(account.journal)
  assert.deepEqual(counts(rows), [
    ['a', 1, toMicro(1), 0, 0n],
    ['b', 1, toMicro(2), 0, 0n],
  ])
  assert.deepEqual(counts(open.rows), [['a', 2, toMicro(12), 0, 0n]])
})

test(`an hour with more than ${MAX_OPEN_USAGE_ROWS} rows is written out early, and nothing is lost or counted twice`, () => {
  const account = accountOnTheHour()
  const operations = MAX_OPEN_USAGE_ROWS * 2 + 1
  account.quickly(() => {
    for (let round = 0; round < 2; round += 1)
      for (let index = 0; index < operations; index += 1) {
        booked(account.charge(1, { operation: `op${index}` }))
        assert.ok(account.state.hour.rows.length <= MAX_OPEN_USAGE_ROWS)
      }
  })
  const { rows, open } = written(account.journal)
  const sums = new Map<string, bigint>()
  for (const { operation, credits } of [...rows, ...open.rows]) sums.set(operation, (sums.get(operation) ?? 0n) + credits)
  assert.equal(sums.size, operations)
  assert.deepEqual(new Set(sums.values()), new Set([toMicro(2)]))
  assert.deepEqual(open, account.state.hour)
})

test('a group of charges that fills the hour several times over is written out record by record', () => {
  const account = accountOnTheHour()
  const group = Array.from({ length: MAX_OPEN_USAGE_ROWS * 3 }, (_, index) => chargeOf(1, { operation: `op${index}` }))
  const { records } = booked(account.chargeGroup(group))
  const { rows, open } = written(records)
  const total = [...rows, ...open.rows].reduce((sum, { credits }) => sum + credits, 0n)
  assert.equal(total, toMicro(group.length))
})

test('records that charge nothing leave the hour as it was', () => {
  const account = accountOnTheHour()
  const hour: OpenHour = { startMs: 0, rows: [] }
  for (const record of account.journal) assert.equal(evolveHour(hour, record), hour)
  assert.equal(account.state.hour.rows.length, 0)
})
