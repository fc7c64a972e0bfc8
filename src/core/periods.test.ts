/** Periods that are counted from an anchor: month ends, leap years, clocks that change, dates that do not exist. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type PeriodLength, periodAfter, periodAt, periodOf, type Recurrence } from './calendar.ts'

const DAY_MS = 86_400_000

function recurrence(anchor: string, every: string, timeZone = 'UTC'): Recurrence {
  const [, count = '', unit = ''] = /^(\d+) ([a-z]+?)s?$/.exec(every) ?? []
  return { anchorMs: Date.parse(anchor), every: { unit: unit as PeriodLength['unit'], count: Number(count) }, timeZone }
}

/** The starts of the first periods, as short as they can be written. */
function starts(from: Recurrence, count: number): readonly string[] {
  const found = [periodOf(from, 0)]
  while (found.length < count) found.push(periodAfter(from, found.at(-1) ?? assert.fail()))
  for (const [at, period] of found.entries())
    if (at > 0) assert.equal(found[at - 1]?.endMs, period.startMs, 'each ends where the next begins')
  return found.map(({ startMs }) => new Date(startMs).toISOString().replace(/:00\.000Z$/, 'Z'))
}

type Case = readonly [name: string, from: Recurrence, expected: readonly string[]]

const MONTH_ENDS: readonly Case[] = [
  [
    'the 31st is the last day of shorter months, and the 31st again after them',
    recurrence('2027-12-31T10:15Z', '1 month'),
    ['2027-12-31T10:15Z', '2028-01-31T10:15Z', '2028-02-29T10:15Z', '2028-03-31T10:15Z', '2028-04-30T10:15Z', '2028-05-31T10:15Z'],
  ],
  [
    'the 30th falls short in February alone',
    recurrence('2027-01-30T00:00Z', '1 month'),
    ['2027-01-30T00:00Z', '2027-02-28T00:00Z', '2027-03-30T00:00Z', '2027-04-30T00:00Z'],
  ],
  [
    'the 29th falls short in February of common years alone',
    recurrence('2027-01-29T23:59Z', '1 month'),
    ['2027-01-29T23:59Z', '2027-02-28T23:59Z', '2027-03-29T23:59Z'],
  ],
  [
    'a quarter',
    recurrence('2026-11-30T12:00Z', '3 months'),
    ['2026-11-30T12:00Z', '2027-02-28T12:00Z', '2027-05-30T12:00Z', '2027-08-30T12:00Z'],
  ],
  [
    'years from a leap day',
    recurrence('2028-02-29T06:00Z', '1 year'),
    ['2028-02-29T06:00Z', '2029-02-28T06:00Z', '2030-02-28T06:00Z', '2031-02-28T06:00Z', '2032-02-29T06:00Z'],
  ],
  ['two years', recurrence('2026-06-15T06:00Z', '2 years'), ['2026-06-15T06:00Z', '2028-06-15T06:00Z', '2030-06-15T06:00Z']],
  [
    'months over the end of a year',
    recurrence('2026-11-15T06:00Z', '1 month'),
    ['2026-11-15T06:00Z', '2026-12-15T06:00Z', '2027-01-15T06:00Z'],
  ],
  ['weeks', recurrence('2026-12-28T06:00Z', '2 weeks'), ['2026-12-28T06:00Z', '2027-01-11T06:00Z', '2027-01-25T06:00Z']],
  [
    'days over the end of February',
    recurrence('2028-02-28T06:00Z', '1 day'),
    ['2028-02-28T06:00Z', '2028-02-29T06:00Z', '2028-03-01T06:00Z'],
  ],
  [
    'the last day of the month of the zone, not of UTC',
    recurrence('2027-01-31T02:00Z', '1 month', 'America/New_York'),
    // 21:00 on the 30th in New York.
    ['2027-01-31T02:00Z', '2027-03-01T02:00Z', '2027-03-31T01:00Z', '2027-05-01T01:00Z'],
  ],
]

const CLOCK_CHANGES: readonly Case[] = [
  [
    'days keep their time of day when clocks go forward and back',
    recurrence('2026-03-27T08:30Z', '1 day', 'Europe/Berlin'),
    ['2026-03-27T08:30Z', '2026-03-28T08:30Z', '2026-03-29T07:30Z', '2026-03-30T07:30Z'],
  ],
  [
    'months keep their time of day',
    recurrence('2026-02-20T14:00Z', '1 month', 'America/New_York'),
    ['2026-02-20T14:00Z', '2026-03-20T13:00Z', '2026-04-20T13:00Z'],
  ],
  [
    'a time that clocks jump over is the first moment after the jump, for that period alone',
    recurrence('2026-03-28T01:30Z', '1 day', 'Europe/Berlin'),
    ['2026-03-28T01:30Z', '2026-03-29T01:00Z', '2026-03-30T00:30Z'],
  ],
  [
    'a midnight that does not exist',
    recurrence('2018-11-03T03:00Z', '1 day', 'America/Sao_Paulo'),
    ['2018-11-03T03:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z'],
  ],
  [
    'a time that comes twice is the first one',
    recurrence('2026-10-24T00:30Z', '1 day', 'Europe/Berlin'),
    ['2026-10-24T00:30Z', '2026-10-25T00:30Z', '2026-10-26T01:30Z'],
  ],
  [
    'an anchor in an hour that comes a second time is where it is',
    recurrence('2026-10-25T01:30Z', '1 day', 'Europe/Berlin'),
    ['2026-10-25T01:30Z', '2026-10-26T01:30Z', '2026-10-27T01:30Z'],
  ],
  [
    'clocks that change by half an hour',
    recurrence('2026-04-03T15:00Z', '1 day', 'Australia/Lord_Howe'),
    ['2026-04-03T15:00Z', '2026-04-04T15:30Z', '2026-04-05T15:30Z'],
  ],
  [
    'a date that a zone has left out has no period of its own',
    // Samoa went from 29 December 2011 straight to the 31st.
    recurrence('2011-12-28T10:00Z', '1 day', 'Pacific/Apia'),
    ['2011-12-28T10:00Z', '2011-12-29T10:00Z', '2011-12-30T10:00Z', '2011-12-31T10:00Z'],
  ],
]

for (const [name, from, expected] of [...MONTH_ENDS, ...CLOCK_CHANGES])
  test(`periods: ${name}`, () => assert.deepEqual(starts(from, expected.length), expected))

test('a part of a second is kept, but for a jump of the clocks', () => {
  const from = recurrence('2026-03-28T01:30:15.250Z', '1 day', 'Europe/Berlin')
  const [second, third] = [periodOf(from, 1), periodOf(from, 2)]
  assert.equal(new Date(second.startMs).toISOString(), '2026-03-29T01:00:00.000Z')
  assert.equal(new Date(third.startMs).toISOString(), '2026-03-30T00:30:15.250Z')
})

const ZONES = [
  'UTC',
  'America/New_York',
  'Europe/Berlin',
  'Asia/Kolkata',
  'Pacific/Apia',
  'America/Sao_Paulo',
  'Africa/Cairo',
  'Australia/Lord_Howe',
]
const anyRecurrence: fc.Arbitrary<Recurrence> = fc.record({
  anchorMs: fc.integer({ min: Date.UTC(2005, 0, 1), max: Date.UTC(2040, 0, 1) }),
  every: fc.record({ unit: fc.constantFrom('day', 'week', 'month', 'year'), count: fc.integer({ min: 1, max: 13 }) }),
  timeZone: fc.constantFrom(...ZONES),
})

/** The date and the time of day that a zone's own calendar shows. */
function shown(atMs: number, timeZone: string): readonly [date: string, time: string] {
  const [date = '', time = ''] = new Date(atMs).toLocaleString('sv-SE', { timeZone }).split(' ')
  return [date, time]
}

test('periods tile time, whichever way they are found', () => {
  fc.assert(
    fc.property(anyRecurrence, fc.integer({ min: 0, max: 60 }), fc.nat(999), (from, index, part) => {
      const period = periodOf(from, index)
      assert.ok(period.endMs > period.startMs)
      assert.equal(periodAfter(from, period).startMs, period.endMs)
      const within = period.startMs + Math.floor(((period.endMs - period.startMs) * part) / 1_000)
      const { startMs, endMs } = periodAt(from, within)
      assert.deepEqual([startMs, endMs], [period.startMs, period.endMs])
    }),
    { numRuns: 500 },
  )
})

/** The date on which a period must begin, by counting on a calendar. */
function expectedDate(date: string, { unit, count }: PeriodLength, index: number): string {
  if (unit === 'day' || unit === 'week')
    return new Date(Date.parse(date) + index * count * (unit === 'week' ? 7 : 1) * DAY_MS).toISOString().slice(0, 10)
  const months = index * count * (unit === 'year' ? 12 : 1)
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number)
  const last = new Date(Date.UTC(year, month + months, 0)).getUTCDate()
  return new Date(Date.UTC(year, month - 1 + months, Math.min(day, last))).toISOString().slice(0, 10)
}

test('a period begins at the anchor on the calendar of its zone: same time of day, same day of the month or the last one', () => {
  fc.assert(
    fc.property(anyRecurrence, fc.integer({ min: 1, max: 40 }), (from, index) => {
      const [date, time] = shown(from.anchorMs, from.timeZone)
      const { startMs } = periodOf(from, index)
      const start = shown(startMs, from.timeZone)
      const expected = [expectedDate(date, from.every, index), time]
      // Unless clocks jumped over it: they show a later time, and showed an earlier one a moment before.
      if (start.join() !== expected.join()) {
        assert.ok(start.join() > expected.join())
        assert.ok(shown(startMs - 1, from.timeZone).join() < expected.join())
      }
    }),
    { numRuns: 500 },
  )
})
