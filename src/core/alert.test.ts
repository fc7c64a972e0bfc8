import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BALANCE, createAlert, DAILY, deleteAlert, news as newsAtRandom, updateAlert } from '../../test/running/alerts.ts'
import {
  type Amount,
  type Answer,
  booked,
  chargeOf,
  codeOf,
  DAY_MS,
  HOUR_MS,
  MemoryAccount,
  START_MS,
  seqOf,
  toMicro,
} from '../../test/running/memory-account.ts'
import * as buy from '../../test/running/purchases.ts'
import * as plan from '../../test/running/subscriptions.ts'
import type { BudgetTerms } from './account.ts'
import { isFired, MAX_ALERTS } from './alert.ts'
import { formatCredits } from './credits.ts'
import { eventsOf } from './events.ts'
import { evolve } from './evolve.ts'
import type { JournalRecord } from './record.ts'
import { decodeRecord, encodeRecord } from './record-codec.ts'

/** An account with so many credits, and an alert at 10 unless something else is said. */
function watched(credits: Amount, command = createAlert()): { readonly account: MemoryAccount; readonly alert: number } {
  const account = new MemoryAccount()
  if (credits !== 0) booked(account.grant(credits))
  return { account, alert: seqOf(account.send(command)) }
}

/** What records tell of alerts: `fired 8 of 10`, each with the event. */
function toldBy(records: readonly JournalRecord[]): readonly string[] {
  return records.flatMap((record) =>
    (record.alerts ?? []).map(({ turn, credits, threshold }) => `${turn} ${formatCredits(credits)} of ${formatCredits(threshold)}`),
  )
}

function told(answer: Answer): readonly string[] {
  return toldBy(booked(answer).records)
}

function hasFired(account: MemoryAccount, alert: number): boolean {
  const found = account.state.alerts.find(({ seq }) => seq === alert)
  return found !== undefined && isFired(found, Math.max(account.nowMs, account.state.atMs))
}

/** What lowers or lifts a balance of 30 so that an alert at 10 has something to tell, or has not. */
const STEPS: Readonly<Record<string, { readonly act: (account: MemoryAccount) => Answer; readonly tells: readonly string[] }>> = {
  'a charge that leaves more': { act: (account) => account.charge('19.999999'), tells: [] },
  'a charge that leaves just that': { act: (account) => account.charge(20), tells: ['fired 10 of 10'] },
  'a charge that leaves less': { act: (account) => account.charge(25), tells: ['fired 5 of 10'] },
  'a charge of another credit type': {
    act: (account) => [account.grant(9, { creditType: 'image_credits' }), account.charge(9, { creditType: 'image_credits' })][1] as Answer,
    tells: [],
  },
  'a hold: it may be released': { act: (account) => account.hold(25), tells: [] },
  'a capture': { act: (account) => account.capture(seqOf(account.hold(25)), 22), tells: ['fired 8 of 10'] },
  'a capture into debt': { act: (account) => account.capture(seqOf(account.hold(5)), 40), tells: ['fired -10 of 10'] },
  'an adjustment': { act: (account) => account.adjust(-21), tells: ['fired 9 of 10'] },
  'a voided grant': { act: (account) => account.void(2), tells: ['fired 0 of 10'] },
  'charges that succeed together': {
    act: (account) => account.chargeGroup([chargeOf(15), chargeOf(6), chargeOf(1)]),
    tells: ['fired 8 of 10'],
  },
}

for (const [what, { act, tells }] of Object.entries(STEPS))
  test(`an alert at 10 of 30 credits tells ${tells.length === 0 ? 'nothing of' : 'of'} ${what}`, () => {
    const { account } = watched(30)
    assert.deepEqual(told(act(account)), tells)
  })

test('each crossing is told once, and told again only after the balance was clear of the threshold by a tenth of it', () => {
  const { account, alert } = watched(30)
  const steps = [
    account.charge(20),
    account.charge(5),
    account.grant(5),
    account.grant(1),
    account.charge(2),
    account.grant('2.000001'),
    account.charge('1.000002'),
    account.charge(1),
  ]
  assert.deepEqual(steps.map(told), [['fired 10 of 10'], [], [], [], [], ['recovered 11.000001 of 10'], ['fired 9.999999 of 10'], []])
  assert.ok(hasFired(account, alert))
})

test('an alert that is set when it has something to tell does so at once, and so does one whose threshold is changed', () => {
  const { account, alert } = watched(5)
  assert.deepEqual(toldBy(account.journal), ['fired 5 of 10'])
  assert.deepEqual(told(account.send(updateAlert(alert, { credits: 2 }))), ['recovered 5 of 2'])
  assert.deepEqual(told(account.send(updateAlert(alert, { credits: 6, level: 'critical' }))), ['fired 5 of 6'])
  assert.deepEqual(told(account.send(updateAlert(alert, { name: 'other' }))), [])
})

test('warning and critical alerts of one balance are told by one record, and by one event of it', () => {
  const { account } = watched(30)
  booked(account.send(createAlert({ credits: 3, level: 'critical' })))
  const { record } = booked(account.charge(28))
  assert.deepEqual(
    record.alerts?.map(({ level }) => level),
    ['warning', 'critical'],
  )
  assert.deepEqual(eventsOf(record), ['charge.created', 'credits.low'])
  assert.deepEqual(eventsOf(booked(account.grant(100)).record), ['grant.created', 'alert.recovered'])
})

test('an event of an alert comes besides those of the balance', () => {
  const { account } = watched(30)
  assert.deepEqual(eventsOf(booked(account.charge(30)).record), ['charge.created', 'credits.exhausted', 'credits.low'])
})

test('what expires is told of when it has, by the record that time makes', () => {
  const { account } = watched(8, createAlert({ credits: 10 }))
  booked(account.grant(50, { expiresAtMs: START_MS + HOUR_MS }))
  account.wait(2 * HOUR_MS)
  const { records } = booked(account.charge(1))
  assert.deepEqual(
    records.map(({ kind, alerts }) => [kind, toldBy([{ alerts } as JournalRecord])]),
    [
      ['grant_expired', ['fired 8 of 10']],
      ['charge', []],
    ],
  )
})

test('a refund lifts the balance, and a refund of a payment and a dispute lower it', () => {
  const { account } = watched(0, createAlert({ credits: 100 }))
  const purchase = seqOf(account.send(buy.openCheckout({ credits: 1_000, amountMinor: 1_000 })))
  assert.deepEqual(told(account.send(buy.fulfil(purchase))), ['recovered 1000 of 100'])
  assert.deepEqual(told(account.send(buy.openDispute(purchase, 'dispute', 950))), ['fired 50 of 100'])
  assert.deepEqual(told(account.send(buy.closeDispute(purchase, 'won', 'dispute', 950))), ['recovered 1000 of 100'])
  assert.deepEqual(told(account.send(buy.refundTopup(purchase, 'refund', 920))), ['fired 80 of 100'])
  const charge = seqOf(account.charge(80))
  booked(account.grant(60))
  assert.deepEqual(told(account.refund(charge)), ['recovered 140 of 100'])
})

test('a renewal that takes away what is left and gives anew tells of nothing', () => {
  const { account } = watched(0, createAlert({ percent: 20 }))
  booked(account.send(plan.start({ gives: { credits: 100 } })))
  booked(account.charge(70))
  account.wait(40 * DAY_MS)
  const { records } = booked(account.charge(1))
  assert.ok(records.some(({ kind }) => kind === 'subscription_renewed'))
  assert.deepEqual(toldBy(account.journal), [])
})

test('a share is that of what plans give in the period, and of nothing it is not compared', () => {
  const { account, alert } = watched(5, createAlert({ percent: 20 }))
  assert.ok(!hasFired(account, alert), 'there is no plan')
  const subscription = seqOf(account.send(plan.start({ gives: { credits: 100, image_credits: 7 } })))
  booked(account.charge(84))
  assert.deepEqual(told(account.charge(1)), ['fired 20 of 20'])
  booked(account.send(plan.change(subscription, { plan: 'small', gives: { credits: 50 } }, 'period_end')))
  account.wait(31 * DAY_MS)
  const { records } = booked(account.send({ kind: 'book_due' }))
  assert.deepEqual(toldBy(records), ['recovered 55 of 10'])
  booked(account.send(plan.cancel(subscription, 'now')))
  assert.ok(!hasFired(account, alert), 'what it had to tell of is not there any more')
})

test('a period that nobody has paid for is told of: its credits do not come', () => {
  const account = new MemoryAccount()
  const subscription = seqOf(account.send(plan.start({ price: 900 })))
  booked(account.send(plan.pay(subscription, 900)))
  booked(account.send(createAlert({ percent: 10 })))
  account.wait(31 * DAY_MS)
  assert.deepEqual(told(account.send({ kind: 'book_due' })), ['fired 0 of 10'])
  assert.deepEqual(told(account.send(plan.pay(subscription, 900, { payment: 'second' }))), ['recovered 100 of 10'])
})

test('a grant that was made for later lifts the balance unseen, and a fall after that is told of', () => {
  const { account } = watched(5)
  booked(account.grant(20, { effectiveAtMs: START_MS + HOUR_MS }))
  account.wait(2 * HOUR_MS)
  assert.deepEqual(told(account.charge(18)), ['recovered 25 of 10', 'fired 7 of 10'])
})

// What is spent in a day.

test('what is spent in a day is told of once a day, refunds of the same day taken off', () => {
  const { account, alert } = watched(1_000, createAlert({ watch: DAILY, credits: 50 }))
  assert.deepEqual(told(account.charge(49)), [])
  const charge = booked(account.charge(2))
  assert.deepEqual(toldBy(charge.records), ['fired 51 of 50'])
  assert.deepEqual(eventsOf(charge.record), ['charge.created', 'spend.high'])
  assert.deepEqual(told(account.charge(5)), [])
  assert.deepEqual(told(account.refund(charge.seq)), [])
  const hold = seqOf(account.hold(100))
  assert.deepEqual(told(account.charge(1, { creditType: 'credits' })), [])
  assert.deepEqual(told(account.refund(seqOf(account.charge(10)), 10)), [])
  account.wait(13 * HOUR_MS)
  assert.ok(!hasFired(account, alert), 'a new day, and it is armed')
  assert.deepEqual(told(account.capture(hold, 60)), ['fired 60 of 50'])
})

test('a refund that brings a day clear of the threshold arms the alert again', () => {
  const { account } = watched(1_000, createAlert({ watch: DAILY, credits: 50 }))
  const charges = [account.charge(30), account.charge(30)].map(seqOf)
  assert.deepEqual(told(account.refund(charges[0] ?? 0, 15)), [])
  assert.deepEqual(told(account.refund(charges[0] ?? 0, 1)), ['recovered 44 of 50'])
  assert.deepEqual(told(account.charge(6)), ['fired 50 of 50'])
})

test('a day is that of the zone, counts from when the alert was made, and refunds of earlier charges do not count in it', () => {
  const account = new MemoryAccount()
  booked(account.grant(1_000))
  const before = seqOf(account.charge(40))
  booked(account.send(createAlert({ watch: { of: 'daily_spend', creditType: 'credits', timeZone: 'Asia/Tokyo' }, credits: 50 })))
  assert.deepEqual([account.refund(before), account.charge(49)].map(told), [[], []])
  // Noon in UTC is nine in the evening in Tokyo.
  account.wait(3 * HOUR_MS)
  assert.deepEqual([account.charge(49), account.charge(1)].map(told), [[], ['fired 50 of 50']])
})

// What is spent of a key's budget.

const BUDGET: BudgetTerms = { limit: toMicro(100), period: 'day', timeZone: 'UTC', maxPerCharge: null }

test("a share of a key's budget is told of once in its window, and what is held does not count", () => {
  const account = new MemoryAccount()
  booked(account.grant(1_000))
  const key = seqOf(account.createKey(BUDGET))
  const alert = seqOf(account.send(createAlert({ watch: { of: 'key_budget', key }, percent: 80 })))
  assert.deepEqual([account.hold(90, { key }), account.charge(10)].map(told), [[], []])
  const [hold] = account.state.holds
  assert.deepEqual(told(account.capture(hold?.seq ?? 0, 85)), ['fired 85 of 80'])
  assert.deepEqual(eventsOf(account.journal.at(-1) as JournalRecord), ['charge.created', 'hold.captured', 'key.budget_low'])
  account.wait(DAY_MS)
  assert.ok(!hasFired(account, alert))
  assert.deepEqual(told(account.charge(80, { key })), ['fired 80 of 80'])
  assert.deepEqual(told(account.updateKey(key, { budget: { ...BUDGET, limit: toMicro(200) } })), ['recovered 80 of 160'])
  booked(account.updateKey(key, { budget: null }))
  assert.equal(account.state.alerts.length, 1, 'without a budget it waits')
  booked(account.revokeKey(key))
  assert.equal(account.state.alerts.length, 0, 'it ends with the key')
})

// Bounds and refusals.

test('an alert that is not there is neither changed nor deleted, and one that is deleted tells of nothing', () => {
  const { account, alert } = watched(30)
  assert.deepEqual([account.send(updateAlert(99, {})), account.send(deleteAlert(99))].map(codeOf), ['alert_not_found', 'alert_not_found'])
  booked(account.send(deleteAlert(alert)))
  assert.equal(codeOf(account.send(deleteAlert(alert))), 'alert_not_found')
  assert.deepEqual(told(account.charge(30)), [])
})

test(`an account has ${MAX_ALERTS} alerts at most`, () => {
  const { account } = watched(30)
  const more = Array.from({ length: MAX_ALERTS }, () => codeOf(account.send(createAlert({ watch: BALANCE }))))
  assert.deepEqual(more, [...Array.from({ length: MAX_ALERTS - 1 }, () => 'ok'), 'too_many_alerts'])
})

test('a key whose budget is to be watched is there and not revoked', () => {
  const { account } = watched(30)
  const key = seqOf(account.createKey())
  booked(account.revokeKey(key))
  const codes = [99, key].map((one) => codeOf(account.send(createAlert({ watch: { of: 'key_budget', key: one } }))))
  assert.deepEqual(codes, ['key_not_found', 'key_already_revoked'])
})

// Records.

test('what a record tells of alerts is read back as it was written', () => {
  const { account } = watched(30)
  const records = [booked(account.charge(1)).record, booked(account.grant(1)).record]
  fc.assert(
    fc.property(fc.constantFrom(...records), fc.array(newsAtRandom, { maxLength: 3 }), (record, alerts) => {
      const said: JournalRecord = { ...record, alerts }
      assert.deepEqual(decodeRecord({ ...record, body: encodeRecord(said) }), said)
    }),
  )
})

test('a record that tells of a crossing twice, or of an alert that is not there, is a fault', () => {
  const { account, alert } = watched(30)
  const before = account.state
  const { record } = booked(account.charge(25))
  assert.deepEqual(evolve(before, record), account.state)
  const [news] = record.alerts ?? []
  assert.ok(news)
  assert.throws(() => evolve(before, { ...record, alerts: [news, news] }), /alert/)
  assert.throws(() => evolve(before, { ...record, alerts: [{ ...news, turn: 'recovered' }] }), new RegExp(`alert ${alert} has recovered`))
  assert.throws(() => evolve(before, { ...record, alerts: [{ ...news, alert: 99 }] }), /alert 99/)
})
