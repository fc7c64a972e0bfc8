/** Hourly roll-ups are, at every moment, the sums of the charges and refunds on record, the open hour included. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_OPEN_USAGE_ROWS } from '../../src/core/account.ts'
import { FOREVER_MS } from '../../src/core/calendar.ts'
import { MAX_MICROCREDITS } from '../../src/core/credits.ts'
import { type Decimal, parseDecimal } from '../../src/core/decimal.ts'
import { isCharge, type JournalRecord } from '../../src/core/record.ts'
import type { HourRow, Store } from '../../src/stores/store.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { openAccount, sendTogether, seqOf, transaction } from '../running/store-commands.ts'
import { recordsOf } from './looking.ts'

const ADA = 1
const ALWAYS = { fromMs: 0, toMs: FOREVER_MS }

/** A row that a test can add up. */
interface Row {
  readonly hourMs: number
  readonly operation: string
  readonly key: number | null
  readonly creditType: string
  charges: number
  credits: bigint
  refunds: number
  refunded: bigint
  quantities: Record<string, bigint>
}

function plain({ quantities, ...row }: HourRow): Row {
  return { ...row, quantities: { ...quantities } }
}

/** What the roll-ups must be, added up record by record. */
function sumsOf(records: readonly JournalRecord[], { fromMs, toMs } = ALWAYS): readonly Row[] {
  const rows = new Map<string, Row>()
  for (const record of records) {
    if (!isCharge(record) && record.kind !== 'refund') continue
    const { operation, key, creditType, credits, atMs } = record
    const hourMs = Math.floor(atMs / make.HOUR_MS) * make.HOUR_MS
    if (hourMs < fromMs || hourMs >= toMs) continue
    const name = JSON.stringify([hourMs, operation, key, creditType])
    const none = { hourMs, operation, key, creditType, charges: 0, credits: 0n, refunds: 0, refunded: 0n, quantities: {} }
    const row: Row = rows.get(name) ?? none
    rows.set(name, row)
    if (record.kind === 'refund') {
      row.refunds += 1
      row.refunded += credits
      continue
    }
    row.charges += 1
    row.credits += credits
    for (const [unit, quantity] of Object.entries(record.quantities)) row.quantities[unit] = (row.quantities[unit] ?? 0n) + quantity
  }
  return sorted([...rows.values()])
}

function sorted(rows: readonly Row[]): readonly Row[] {
  const name = (row: Row): string => JSON.stringify([row.operation, row.key, row.creditType])
  return rows.toSorted((a, b) => a.hourMs - b.hourMs || (name(a) < name(b) ? -1 : 1))
}

function decimal(text: string): Decimal {
  const value = parseDecimal(text)
  assert.ok(value !== undefined)
  return value
}

async function usageOf(store: Store, range = ALWAYS): Promise<readonly Row[]> {
  const rows = (await store.usage(ADA, range)).map(plain)
  assert.ok(
    rows.every(({ hourMs }, index) => hourMs >= (rows[index - 1]?.hourMs ?? 0)),
    'oldest first',
  )
  return sorted(rows)
}

export function usageContract(kind: ContractKind): void {
  test('the open hour counts a charge at once, with its key, credit type and quantities', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const key = await seqOf(store, ADA, make.createKey('secret'))
    assert.deepEqual(await usageOf(store), [])
    await make.make(store, ADA, make.charge('1.5', { operation: 'speech', key, quantities: { second: decimal('12.25') } }))
    await make.make(store, ADA, make.charge('2', { operation: 'speech', key, quantities: { second: decimal('0.000000000001') } }))
    const hourMs = clock.nowMs - (clock.nowMs % make.HOUR_MS)
    const credits = { charges: 2, credits: 3_500_000n, refunds: 0, refunded: 0n }
    const row = { hourMs, operation: 'speech', key, creditType: 'credits', ...credits, quantities: { second: decimal('12.250000000001') } }
    assert.deepEqual(await usageOf(store), [row])
  })

  test('an hour that is over stays as it was, wherever it is kept, and a refund counts in the hour in which it is made', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const charged = await seqOf(store, ADA, make.charge(5))
    clock.nowMs += make.HOUR_MS
    await make.make(store, ADA, make.refund(charged, 2))
    clock.nowMs += 3 * make.HOUR_MS
    await make.make(store, ADA, make.refund(charged, 1))
    const rows = await usageOf(store)
    assert.deepEqual(
      rows.map((row) => [row.charges, row.refunds, row.refunded]),
      [
        [1, 0, 0n],
        [0, 1, 2_000_000n],
        [0, 1, 1_000_000n],
      ],
    )
    assert.deepEqual(rows, sumsOf(await recordsOf(store, ADA)))
    const reopened = await reopen()
    assert.deepEqual(await usageOf(reopened), rows)
    await make.make(reopened, ADA, make.charge(1))
    assert.deepEqual(await usageOf(reopened), sumsOf(await recordsOf(reopened, ADA)))
  })

  test('an account that is only read, granted and held after its last charge keeps the hour of that charge', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await make.make(store, ADA, make.charge(5))
    const rows = await usageOf(store)
    clock.nowMs += 5 * make.HOUR_MS
    await make.make(store, ADA, make.grant(5))
    await make.make(store, ADA, make.hold(1))
    assert.deepEqual(await usageOf(store), rows)
    assert.deepEqual(await usageOf(await reopen()), rows)
  })

  test('a range holds the hours that begin from its start up to, not including, its end', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const first = clock.nowMs - (clock.nowMs % make.HOUR_MS)
    for (let hour = 0; hour < 6; hour++) {
      await make.make(store, ADA, make.charge(hour + 1))
      clock.nowMs += make.HOUR_MS
    }
    const records = await recordsOf(store, ADA)
    for (const open of [() => store, reopen]) {
      const from = await open()
      for (const startMs of [0, first - 1, first, first + 1, first + make.HOUR_MS, first + 5 * make.HOUR_MS])
        for (const endMs of [
          startMs,
          first + 1,
          first + 2 * make.HOUR_MS,
          first + 5 * make.HOUR_MS,
          first + 5 * make.HOUR_MS + 1,
          FOREVER_MS,
        ]) {
          const range = { fromMs: startMs, toMs: endMs }
          assert.deepEqual(await usageOf(from, range), sumsOf(records, range), `${startMs - first} to ${endMs - first}`)
        }
    }
  })

  test(`more than ${MAX_OPEN_USAGE_ROWS} operations in an hour add up all the same`, async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const charges = Array.from({ length: 5 * MAX_OPEN_USAGE_ROWS + 7 }, (_, index) =>
      make.charge(BigInt(index + 1), {
        operation: `operation ${(index * 37) % (2 * MAX_OPEN_USAGE_ROWS)}`,
        quantities: { call: decimal('1') },
      }),
    )
    for (let from = 0; from < charges.length; from += 50) {
      const sent = charges.slice(from, from + 50)
      await sendTogether(
        store,
        sent.map((command) => transaction(ADA, command)),
      )
      assert.deepEqual(await usageOf(store), sumsOf(await recordsOf(store, ADA)))
    }
    assert.equal((await usageOf(store)).length, 2 * MAX_OPEN_USAGE_ROWS)
    const reopened = await reopen()
    assert.deepEqual(await usageOf(reopened), sumsOf(await recordsOf(reopened, ADA)))
    clock.nowMs += make.HOUR_MS
    await make.make(reopened, ADA, make.charge(1))
    assert.deepEqual(await usageOf(reopened), sumsOf(await recordsOf(reopened, ADA)))
  })

  test('captures, late captures, groups and refunds of every kind are counted once', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await make.make(store, ADA, make.grant(100, { creditType: 'image_credits' }))
    const early = await seqOf(store, ADA, make.hold(10))
    const late = await seqOf(store, ADA, make.hold(10, { ttlMs: make.MINUTE_MS }))
    await make.make(store, ADA, make.capture(early, 3, { final: false, operation: 'part' }))
    const captured = await seqOf(store, ADA, make.capture(early, 4, { operation: 'rest', quantities: { image: decimal('4') } }))
    clock.nowMs += 2 * make.HOUR_MS
    await make.make(store, ADA, make.capture(late, 5, { operation: 'late' }))
    await make.make(store, ADA, make.chargeGroup(1, 2, 3))
    await make.make(store, ADA, make.charge(7, { creditType: 'image_credits' }))
    await sendTogether(store, [transaction(ADA, make.refund(captured, 1)), transaction(ADA, make.refund(captured))])
    const rows = sumsOf(await recordsOf(store, ADA))
    assert.equal(
      rows.reduce((sum, { charges }) => sum + charges, 0),
      7,
    )
    assert.deepEqual(await usageOf(store), rows)
    assert.deepEqual(await usageOf(await reopen()), rows)
  })

  test('sums that pass what 64 bits hold are kept exactly', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await make.make(store, ADA, make.createAccount())
    await make.make(store, ADA, make.grant(MAX_MICROCREDITS))
    const large = make.charge(MAX_MICROCREDITS, { quantities: { token: decimal('999999999999999') } })
    for (let time = 0; time < 3; time++) await make.make(store, ADA, make.refund(await seqOf(store, ADA, large)))
    const rows = await usageOf(store)
    assert.deepEqual(
      rows.map(({ credits, refunded, quantities }) => [credits, refunded, quantities]),
      [[3n * MAX_MICROCREDITS, 3n * MAX_MICROCREDITS, { token: 3n * decimal('999999999999999') }]],
    )
    clock.nowMs += make.HOUR_MS
    await make.make(store, ADA, make.charge(1))
    assert.deepEqual((await usageOf(store))[0], rows[0])
    const reopened = await reopen()
    assert.deepEqual((await usageOf(reopened))[0], rows[0])
    assert.deepEqual(await usageOf(reopened), sumsOf(await recordsOf(reopened, ADA)))
  })
}
