import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answer, booked, codeOf, DAY_MS, MemoryAccount, START_MS, seqOf, toMicro } from '../../../test/running/memory-account.ts'

function report(account: MemoryAccount, charge: number, outcome: 'failed' | 'succeeded' = 'failed', percent = 100): Answer {
  return account.send({ kind: 'report_outcome', charge, outcome, percent, reason: 'the job crashed', grantDays: 30 })
}

function charged(): { readonly account: MemoryAccount; readonly charge: number; readonly key: number } {
  const account = new MemoryAccount()
  const key = seqOf(account.createKey({ limit: toMicro(50), period: 'day', timeZone: 'UTC', maxPerCharge: null }))
  account.grant(100)
  return { account, key, charge: seqOf(account.charge(40, { key })) }
}

test('work that failed is given back to where its credits came from, to the budget, and with its own kind of record', () => {
  const { account, charge } = charged()
  const { record } = booked(report(account, charge))
  assert.ok(record.kind === 'outcome_reported')
  assert.deepEqual([record.charge, record.outcome, record.credits, record.reason], [charge, 'failed', toMicro(40), 'the job crashed'])
  assert.deepEqual([account.balance().available, account.state.budgets[0]?.spent], ['100', 0n])
  const [row] = account.state.hour.rows
  assert.deepEqual([row?.refunds, row?.refunded], [1, toMicro(40)])
})

const PARTS = [
  [50, 0, '80'],
  [50, 15, '80'],
  [50, 30, '90'],
  [100, 15, '100'],
  [0, 0, '60'],
  [33, 0, '73.2'],
] as const

for (const [percent, refunded, given] of PARTS)
  test(`of 40 that failed ${percent} % are made good, when ${refunded} were refunded before: ${given} of 100 are there`, () => {
    const { account, charge } = charged()
    if (refunded > 0) account.refund(charge, refunded)
    booked(report(account, charge, 'failed', percent))
    assert.equal(account.balance().available, given)
  })

test('what is made good counts as refunded: the rest can be refunded, and no more', () => {
  const { account, charge } = charged()
  booked(report(account, charge, 'failed', 25))
  assert.equal(codeOf(account.refund(charge, 31)), 'refund_exceeds_charge')
  booked(account.refund(charge, 30))
})

test('work that succeeded is on record, and nothing moves', () => {
  const { account, charge } = charged()
  const { record } = booked(report(account, charge, 'succeeded'))
  assert.ok(record.kind === 'outcome_reported')
  assert.deepEqual([record.credits, record.movements, account.balance().available], [0n, [], '60'])
  assert.equal(account.state.hour.rows[0]?.refunds, 0)
})

test('credits whose grant has ended come back as a grant of their own', () => {
  const account = new MemoryAccount()
  account.grant(40, { expiresAtMs: START_MS + DAY_MS })
  const charge = seqOf(account.charge(40))
  account.wait(2 * DAY_MS)
  const { record } = booked(report(account, charge))
  assert.deepEqual(record.kind === 'outcome_reported' && record.grant?.source, 'refund')
  assert.equal(account.balance().available, '40')
})

test('there is no outcome of a charge that does not exist', () => {
  assert.equal(codeOf(report(new MemoryAccount(), 99)), 'charge_not_found')
})
