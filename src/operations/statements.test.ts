/** Monthly statements: what they add up to, when they are issued, and that they are issued once. On each store. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { live } from '../../test/running/lived-account.ts'
import { servicesOn } from '../../test/running/services.ts'
import { openTestStore, STORE_KINDS, type StoreKind } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { micro, parseCredits } from '../core/credits.ts'
import type { StatementBody } from '../core/invoice-body.ts'
import { isRefusal } from '../core/refusals.ts'
import type { Store } from '../stores/store.ts'
import { issueMonthlyStatements } from './monthly-statements.ts'
import { accountInThePast } from './read-credits.ts'
import type { Services } from './services.ts'
import { issueStatement, parseMonth } from './statements.ts'

const ADA = 1
const { DAY_MS, HOUR_MS } = make

interface Scene {
  readonly store: Store
  readonly services: Services
  readonly clock: { nowMs: number }
  /** Has the statement issued, and gives what is in it; the code of a refusal. */
  readonly statement: (month: string, account?: number) => Promise<StatementBody | string>
}

async function openScene(t: TestContext, kind: StoreKind): Promise<Scene> {
  const { store, clock } = await openTestStore(t, kind)
  const services = await servicesOn(store, { clock: () => clock.nowMs, payments: null })
  const statement: Scene['statement'] = async (month, account = ADA) => {
    const issued = await issueStatement(services, { account, month })
    if (isRefusal(issued)) return issued.refused
    assert.ok(issued.view.body.about === 'month')
    return issued.view.body
  }
  return { store, services, clock, statement }
}

function body(answer: StatementBody | string): StatementBody {
  assert.ok(typeof answer === 'object', String(answer))
  return answer
}

/** All that an account had of a credit type just before a moment, debts taken off. */
async function wholeBefore(store: Store, atMs: number, creditType: string): Promise<bigint> {
  const then = await accountInThePast(store, ADA, atMs - 1)
  const pool = isRefusal(then) ? undefined : then.state.pools.find((each) => each.creditType === creditType)
  return (pool?.grants ?? []).reduce((sum, { remaining }) => sum + remaining, -(pool?.debt ?? 0n))
}

const amount = (text: string): bigint => parseCredits(text) ?? micro(0n)

/** Statements up to now, each proved by the account as it was when the month began and when it ended. */
async function assertAddsUp({ store, statement }: Scene, months: readonly string[]): Promise<void> {
  const closing = new Map<string, string>()
  for (const month of months) {
    const { creditTypes, usage, startMs, endMs } = body(await statement(month))
    for (const type of creditTypes) {
      const { creditType, opening } = type
      assert.equal(opening, closing.get(creditType) ?? '0', `${month} opens as the month before closed`)
      assert.equal(amount(opening), await wholeBefore(store, startMs, creditType))
      assert.equal(amount(type.closing), await wholeBefore(store, endMs, creditType))
      const used = usage.filter((row) => row.creditType === creditType)
      const sumOf = (field: 'used' | 'returned'): bigint => used.reduce((sum, row) => sum + amount(row[field]), 0n)
      assert.deepEqual([sumOf('used'), sumOf('returned')], [amount(type.used), amount(type.returned)])
      closing.set(creditType, type.closing)
    }
  }
}

for (const kind of STORE_KINDS) {
  test(`opening balance and movements give the closing balance, whatever happened (${kind})`, async (t) => {
    const scene = await openScene(t, kind)
    const { store, clock } = scene
    await live(store, ADA, clock)
    // Ends in a month of which the books are written late, as after a server that was stopped.
    await make.make(store, ADA, make.grant(70, { source: 'plan', expiresAtMs: Date.UTC(2027, 1, 28, 23) }))
    await make.make(store, ADA, make.hold(5, { ttlMs: DAY_MS }))
    await make.make(store, ADA, make.grant(3, { creditType: 'image_credits' }))
    clock.nowMs = Date.UTC(2027, 1, 5, 10, 20)
    await make.make(store, ADA, make.charge(9, { operation: 'video' }))
    await make.make(store, ADA, make.grant(40, { effectiveAtMs: clock.nowMs + 40 * DAY_MS }))
    clock.nowMs = Date.UTC(2027, 2, 15)
    await make.make(store, ADA, make.charge(1))
    clock.nowMs = Date.UTC(2027, 3, 1)
    await assertAddsUp(scene, ['2026-11', '2026-12', '2027-01', '2027-02', '2027-03'])
    const { creditTypes } = body(await scene.statement('2027-02'))
    const [credits, images] = creditTypes
    assert.ok(credits && images)
    assert.equal(amount(credits.expired) > 0n, true)
    assert.deepEqual([credits.granted, credits.used, images.opening, images.closing], ['40', '9', '3', '3'])
  })

  test(`a statement is final, issued once by many at once, and for past months of the account alone (${kind})`, async (t) => {
    const { store, services, clock, statement } = await openScene(t, kind)
    await make.openAccount(store, ADA, 10)
    await make.make(store, ADA, make.charge(4))
    assert.equal(await statement('2026-11'), 'month_not_over')
    assert.equal(await statement('2026-10'), 'month_before_account')
    assert.equal(await statement('2026-11', 2), 'account_not_found')
    clock.nowMs = Date.UTC(2026, 11, 1)
    const many = await Promise.all(Array.from({ length: 6 }, () => issueStatement(services, { account: ADA, month: '2026-11' })))
    const ids = many.map((issued) => (isRefusal(issued) ? issued.refused : issued.view.number))
    assert.deepEqual(
      ids,
      Array.from({ length: 6 }, () => 'ST-000001'),
    )
    const before = body(await statement('2026-11'))
    assert.deepEqual(before.creditTypes, [
      {
        creditType: 'credits',
        opening: '0',
        purchased: '0',
        fromPlans: '0',
        granted: '10',
        used: '4',
        returned: '0',
        expired: '0',
        takenBack: '0',
        voided: '0',
        closing: '6',
      },
    ])
    await make.make(store, ADA, make.charge(1))
    assert.deepEqual(body(await statement('2026-11')), before)
    clock.nowMs = Date.UTC(2027, 1, 1)
    assert.equal(body(await statement('2027-01')).usage.length, 0)
  })

  test(`months are those of UTC, unless the account names a zone that exists (${kind})`, async (t) => {
    const { store, clock, statement } = await openScene(t, kind)
    await make.openAccount(store, ADA, 10)
    await make.make(store, ADA, make.updateAccount({ metadata: { time_zone: 'Asia/Kolkata' } }))
    await make.openAccount(store, 2, 10)
    await make.make(store, 2, make.updateAccount({ metadata: { time_zone: 'Nowhere/Else' } }))
    // The month ends at 18:30 of UTC, in the middle of an hour.
    clock.nowMs = Date.UTC(2026, 10, 30, 18, 29)
    await make.make(store, ADA, make.charge(1))
    assert.equal(await statement('2026-11'), 'month_not_over')
    clock.nowMs = Date.UTC(2026, 10, 30, 18, 30)
    await make.make(store, ADA, make.charge(2))
    const { usage, timeZone, endMs } = body(await statement('2026-11'))
    assert.deepEqual([usage.map(({ used }) => used), timeZone, endMs], [['1'], 'Asia/Kolkata', clock.nowMs])
    assert.equal(await statement('2026-11', 2), 'month_not_over')
    clock.nowMs = Date.UTC(2026, 11, 1)
    assert.equal(body(await statement('2026-11', 2)).timeZone, 'UTC')
  })

  test(`every account in which something moved gets its statement by itself, once, months in order (${kind})`, async (t) => {
    const { store, services, clock } = await openScene(t, kind)
    for (let number = 1; number <= 105; number++) await make.make(store, number, make.createAccount())
    for (const number of [1, 60, 105]) await make.make(store, number, make.grant(5))
    const turn = (): Promise<void> => issueMonthlyStatements(services)
    const issued = async (number: number): Promise<readonly string[]> => {
      const rows = await store.invoices.list(number, { after: 0, limit: 10 })
      return rows.map(({ source }) => source)
    }
    await turn()
    clock.nowMs = Date.UTC(2026, 11, 1, 13)
    await turn()
    assert.deepEqual(await issued(1), [], 'somewhere the month goes on')
    clock.nowMs = Date.UTC(2026, 11, 1, 14)
    await Promise.all([turn(), turn()])
    // A server that is killed goes on where it was.
    const anew = await servicesOn(store, { clock: () => clock.nowMs, payments: null })
    await issueMonthlyStatements(anew)
    await turn()
    for (const number of [1, 60, 105]) assert.deepEqual(await issued(number), [`statement ${number} 2026-11`])
    assert.deepEqual(await issued(2), [])
    await make.make(store, 1, make.charge(1))
    clock.nowMs = Date.UTC(2027, 1, 1) + 14 * HOUR_MS
    for (let turns = 0; turns < 6; turns++) await turn()
    assert.deepEqual(await issued(1), ['statement 1 2026-11', 'statement 1 2026-12'])
    assert.deepEqual(await issued(60), ['statement 60 2026-11'])
  })
}

test('months are written as they are, and nothing else is one', () => {
  assert.deepEqual([parseMonth('2026-11'), parseMonth('2026-01')], ['2026-11', '2026-01'])
  for (const text of ['2026-13', '2026-00', '26-11', '2026-1', '1999-11', '2026-11-01', '']) assert.equal(parseMonth(text), undefined)
})
