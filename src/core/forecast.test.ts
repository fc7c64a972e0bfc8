import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, DAY_MS, HOUR_MS, MemoryAccount, START_MS, seqOf, toMicro } from '../../test/running/memory-account.ts'
import * as buy from '../../test/running/purchases.ts'
import { FORECAST_MS, perDay, runsOutMs } from './forecast.ts'

/** Ten credits a day. */
const PACE = { spent: toMicro(20), overMs: 2 * DAY_MS, sinceMs: START_MS } as const

/** In how many days an account runs out; null: not within ten years. */
function daysOf(account: MemoryAccount, pace: Parameters<typeof runsOutMs>[2] = PACE): number | null {
  const outMs = runsOutMs({ state: account.state, asOfMs: account.nowMs }, 'credits', pace)
  return outMs === null ? null : (outMs - START_MS) / DAY_MS
}

const ACCOUNTS: Readonly<Record<string, { readonly has: (account: MemoryAccount) => unknown; readonly days: number | null }>> = {
  'of nothing': { has: () => undefined, days: 0 },
  'of 100 credits': { has: (account) => account.grant(100), days: 10 },
  'of several grants': { has: (account) => [account.grant(30), account.grant(25, { expiresAtMs: START_MS + 90 * DAY_MS })], days: 5.5 },
  'of credits that expire before they are spent': {
    has: (account) => [account.grant(30), account.grant(100, { expiresAtMs: START_MS + 4 * DAY_MS })],
    days: 7,
  },
  'of credits that expire while others burn': {
    has: (account) => [account.grant(50, { priority: 1 }), account.grant(30, { expiresAtMs: START_MS + 4 * DAY_MS })],
    days: 5,
  },
  'of credits that expire while they burn': {
    has: (account) => [account.grant(20, { priority: 1 }), account.grant(50, { expiresAtMs: START_MS + 4 * DAY_MS })],
    days: 4,
  },
  'of credits that are held': { has: (account) => [account.grant(40), account.hold(30)], days: 4 },
  'of credits of another type, or for later': {
    has: (account) => [account.grant(40, { creditType: 'image_credits' }), account.grant(40, { effectiveAtMs: START_MS + HOUR_MS })],
    days: 0,
  },
  'of a debt': { has: (account) => [account.grant(5), account.capture(seqOf(account.hold(1)), 9)], days: 0 },
  'of credits for twenty years': { has: (account) => account.grant(73_000), days: null },
  'of credits for just ten years': { has: (account) => account.grant(36_500), days: FORECAST_MS / DAY_MS },
}

for (const [what, { has, days }] of Object.entries(ACCOUNTS))
  test(`an account ${what} runs out in ${days === null ? 'more than ten years' : `${days} days`}, at ten credits a day`, () => {
    const account = new MemoryAccount()
    has(account)
    assert.equal(daysOf(account), days)
  })

test('what a dispute has frozen is not counted on', () => {
  const account = new MemoryAccount()
  const purchase = seqOf(account.send(buy.openCheckout({ credits: 100, amountMinor: 1_000 })))
  booked(account.send(buy.fulfil(purchase)))
  booked(account.send(buy.openDispute(purchase, 'dispute', 600)))
  assert.equal(daysOf(account), 4)
})

test('a pace is told by the day, rounded down to a micro-credit', () => {
  assert.equal(perDay(PACE), toMicro(10))
  assert.equal(perDay({ spent: toMicro('0.000005'), overMs: 2 * DAY_MS, sinceMs: 0 }), toMicro('0.000002'))
})
