import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FOREVER_MS, isTimeZone, type Period, type Window, windowAt } from './calendar.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

function at(iso: string): number {
  const ms = Date.parse(iso)
  assert.ok(Number.isInteger(ms), iso)
  return ms
}

function texts({ startMs, endMs }: Window): readonly [string, string] {
  return [new Date(startMs).toISOString().replace(':00.000Z', 'Z'), new Date(endMs).toISOString().replace(':00.000Z', 'Z')]
}

type Case = readonly [zone: string, period: Period, moment: string, start: string, end: string]

function assertWindows(table: readonly Case[]): void {
  for (const [zone, period, moment, start, end] of table)
    assert.deepEqual(texts(windowAt(period, zone, at(moment))), [start, end], `${period} in ${zone} at ${moment}`)
}

test('days, weeks from Monday and months start at midnight UTC', () => {
  assertWindows([
    ['UTC', 'day', '2026-11-20T14:27:00.001Z', '2026-11-20T00:00Z', '2026-11-21T00:00Z'],
    ['UTC', 'day', '2026-11-20T00:00:00.000Z', '2026-11-20T00:00Z', '2026-11-21T00:00Z'],
    ['UTC', 'day', '2026-11-19T23:59:59.999Z', '2026-11-19T00:00Z', '2026-11-20T00:00Z'],
    ['UTC', 'day', '2024-02-29T12:00Z', '2024-02-29T00:00Z', '2024-03-01T00:00Z'],
    ['UTC', 'day', '2026-12-31T23:59Z', '2026-12-31T00:00Z', '2027-01-01T00:00Z'],
    ['UTC', 'week', '2026-11-16T00:00Z', '2026-11-16T00:00Z', '2026-11-23T00:00Z'],
    ['UTC', 'week', '2026-11-22T23:59:59.999Z', '2026-11-16T00:00Z', '2026-11-23T00:00Z'],
    ['UTC', 'week', '2027-01-01T12:00Z', '2026-12-28T00:00Z', '2027-01-04T00:00Z'],
    ['UTC', 'week', '2024-03-01T12:00Z', '2024-02-26T00:00Z', '2024-03-04T00:00Z'],
    ['UTC', 'week', '1970-01-01T00:00Z', '1969-12-29T00:00Z', '1970-01-05T00:00Z'],
    ['UTC', 'month', '2026-11-20T14:27Z', '2026-11-01T00:00Z', '2026-12-01T00:00Z'],
    ['UTC', 'month', '2026-12-31T23:59:59.999Z', '2026-12-01T00:00Z', '2027-01-01T00:00Z'],
    ['UTC', 'month', '2024-02-29T00:00Z', '2024-02-01T00:00Z', '2024-03-01T00:00Z'],
    ['UTC', 'month', '2100-02-28T00:00Z', '2100-02-01T00:00Z', '2100-03-01T00:00Z'],
  ])
})

test('days that daylight saving makes shorter or longer end at the next local midnight', () => {
  assertWindows([
    ['America/New_York', 'day', '2026-03-08T12:00Z', '2026-03-08T05:00Z', '2026-03-09T04:00Z'],
    ['America/New_York', 'day', '2026-11-01T12:00Z', '2026-11-01T04:00Z', '2026-11-02T05:00Z'],
    ['America/New_York', 'day', '2026-07-05T03:59:59.999Z', '2026-07-04T04:00Z', '2026-07-05T04:00Z'],
    ['Europe/Berlin', 'day', '2026-03-29T12:00Z', '2026-03-28T23:00Z', '2026-03-29T22:00Z'],
    ['Europe/Berlin', 'day', '2026-10-25T12:00Z', '2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    ['Australia/Lord_Howe', 'day', '2026-04-05T00:00Z', '2026-04-04T13:00Z', '2026-04-05T13:30Z'],
    ['Asia/Kolkata', 'day', '2026-03-29T18:29:59.999Z', '2026-03-28T18:30Z', '2026-03-29T18:30Z'],
    ['Asia/Kolkata', 'day', '2026-03-29T18:30Z', '2026-03-29T18:30Z', '2026-03-30T18:30Z'],
  ])
})

test('weeks and months keep local midnights across a change of clocks', () => {
  assertWindows([
    ['America/New_York', 'week', '2026-03-08T12:00Z', '2026-03-02T05:00Z', '2026-03-09T04:00Z'],
    ['America/New_York', 'month', '2026-03-08T12:00Z', '2026-03-01T05:00Z', '2026-04-01T04:00Z'],
    ['America/New_York', 'month', '2026-12-01T04:59:59.999Z', '2026-11-01T04:00Z', '2026-12-01T05:00Z'],
    ['Europe/Berlin', 'week', '2026-10-25T12:00Z', '2026-10-18T22:00Z', '2026-10-25T23:00Z'],
    ['Europe/Berlin', 'month', '2026-12-31T23:00Z', '2026-12-31T23:00Z', '2027-01-31T23:00Z'],
    ['Asia/Kolkata', 'week', '2026-11-22T18:29Z', '2026-11-15T18:30Z', '2026-11-22T18:30Z'],
    ['Asia/Kolkata', 'month', '2026-02-28T18:30Z', '2026-02-28T18:30Z', '2026-03-31T18:30Z'],
    ['Pacific/Apia', 'month', '2026-11-30T10:59Z', '2026-10-31T11:00Z', '2026-11-30T11:00Z'],
    ['America/Sao_Paulo', 'month', '2018-11-04T12:00Z', '2018-11-01T03:00Z', '2018-12-01T02:00Z'],
    ['Africa/Cairo', 'month', '2024-10-31T12:00Z', '2024-09-30T21:00Z', '2024-10-31T22:00Z'],
  ])
})

test('a day whose midnight does not exist starts with the first moment after the gap', () => {
  assertWindows([
    ['America/Sao_Paulo', 'day', '2018-11-04T02:59:59.999Z', '2018-11-03T03:00Z', '2018-11-04T03:00Z'],
    ['America/Sao_Paulo', 'day', '2018-11-04T03:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z'],
    ['America/Sao_Paulo', 'week', '2018-11-04T12:00Z', '2018-10-29T03:00Z', '2018-11-05T02:00Z'],
    ['Africa/Cairo', 'day', '2024-04-25T21:59:59.999Z', '2024-04-24T22:00Z', '2024-04-25T22:00Z'],
    ['Africa/Cairo', 'day', '2024-04-25T22:00Z', '2024-04-25T22:00Z', '2024-04-26T21:00Z'],
    ['America/Havana', 'day', '2024-03-10T12:00Z', '2024-03-10T05:00Z', '2024-03-11T04:00Z'],
  ])
})

test('a day whose last hour comes twice lasts until the second one is over', () => {
  assertWindows([
    ['America/Sao_Paulo', 'day', '2018-02-17T12:00Z', '2018-02-17T02:00Z', '2018-02-18T03:00Z'],
    ['America/Sao_Paulo', 'day', '2018-02-18T02:30Z', '2018-02-17T02:00Z', '2018-02-18T03:00Z'],
    ['Africa/Cairo', 'day', '2024-10-31T21:30Z', '2024-10-30T21:00Z', '2024-10-31T22:00Z'],
  ])
})

test('a day whose first hour comes twice starts with the first one', () => {
  assertWindows([
    ['America/Havana', 'day', '2024-11-03T04:30Z', '2024-11-03T04:00Z', '2024-11-04T05:00Z'],
    ['America/Havana', 'day', '2024-11-03T05:30Z', '2024-11-03T04:00Z', '2024-11-04T05:00Z'],
  ])
})

test('a date that a zone left out belongs to no window', () => {
  // Samoa went from 29 December 2011 straight to the 31st.
  assertWindows([
    ['Pacific/Apia', 'day', '2011-12-30T09:59:59.999Z', '2011-12-29T10:00Z', '2011-12-30T10:00Z'],
    ['Pacific/Apia', 'day', '2011-12-30T10:00Z', '2011-12-30T10:00Z', '2011-12-31T10:00Z'],
    ['Pacific/Apia', 'week', '2011-12-30T10:00Z', '2011-12-26T10:00Z', '2012-01-01T10:00Z'],
    ['Pacific/Apia', 'month', '2011-12-30T10:00Z', '2011-12-01T10:00Z', '2011-12-31T10:00Z'],
  ])
})

test('a moment lies in its window where clocks that went back began a date twice', () => {
  // Newfoundland turned its clocks back at 00:01 until 2011: 7 November had begun, then came 59 minutes of the 6th again.
  const moment = at('2010-11-07T03:00Z')
  const { startMs, endMs } = windowAt('day', 'America/St_Johns', moment)
  assert.ok(startMs <= moment && moment < endMs, texts({ startMs, endMs }).join(' to '))
})

test('a lifetime never ends', () => {
  for (const zone of ['UTC', 'Asia/Kolkata'])
    assert.deepEqual(windowAt('lifetime', zone, at('2026-11-20T00:00Z')), { startMs: 0, endMs: FOREVER_MS })
  assert.ok(Number.isInteger(new Date(FOREVER_MS).getTime()))
  assert.ok(Number.isNaN(new Date(FOREVER_MS + 1).getTime()))
})

/** Zones with whole, half and quarter hours, clocks that change at midnight, by half an hour, or not at all. */
const ZONES = [
  'UTC',
  'America/New_York',
  'Europe/Berlin',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'Pacific/Apia',
  'America/Sao_Paulo',
  'America/Havana',
  'Africa/Cairo',
  'Asia/Beirut',
  'Australia/Lord_Howe',
  'Pacific/Kiritimati',
]

/** Moments at which clocks changed at, or next to, a local midnight; and others that begin years and months. */
const EDGES = [
  '2018-11-04T03:00Z',
  '2018-02-18T02:00Z',
  '2024-04-25T22:00Z',
  '2024-10-31T21:00Z',
  '2011-12-30T10:00Z',
  '2024-03-10T05:00Z',
  '2024-11-03T05:00Z',
  '2026-03-08T07:00Z',
  '2026-10-25T01:00Z',
  '2026-04-04T15:00Z',
  '2027-01-01T00:00Z',
  '2024-03-01T00:00Z',
].map(at)

const anyMoment = fc.oneof(
  fc.integer({ min: at('1990-01-01T00:00Z'), max: at('2060-01-01T00:00Z') }),
  fc.tuple(fc.constantFrom(...EDGES), fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS })).map(([edge, offset]) => edge + offset),
  fc.tuple(fc.constantFrom(...EDGES), fc.integer({ min: -2, max: 2 })).map(([edge, offset]) => edge + offset),
)
const anyPeriod = fc.constantFrom<Exclude<Period, 'lifetime'>>('day', 'week', 'month')

const calendars = new Map(ZONES.map((timeZone) => [timeZone, new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' })]))

/** The name of the day, week (its Monday) or month that a zone's own calendar shows at a moment. */
function labelAt(period: Exclude<Period, 'lifetime'>, zone: string, atMs: number): string {
  const date = calendars.get(zone)?.format(atMs) ?? ''
  assert.match(date, /^\d{4}-\d\d-\d\d$/)
  if (period === 'day') return date
  if (period === 'month') return date.slice(0, 7)
  const dayMs = Date.parse(date)
  const monday = dayMs - ((new Date(dayMs).getUTCDay() + 6) % 7) * DAY_MS
  return new Date(monday).toISOString().slice(0, 10)
}

for (const zone of ZONES) {
  test(`a window holds its moment and exactly the moments that share its name, in ${zone}`, () => {
    fc.assert(
      fc.property(anyPeriod, anyMoment, fc.nat(999), (period, atMs, part) => {
        const { startMs, endMs } = windowAt(period, zone, atMs)
        assert.ok(startMs <= atMs && atMs < endMs)
        const inside = [startMs, atMs, startMs + Math.floor(((endMs - startMs) * part) / 1_000), endMs - 1]
        assert.equal(new Set(inside.map((moment) => labelAt(period, zone, moment))).size, 1)
        for (const outside of [startMs - 1, endMs]) assert.notEqual(labelAt(period, zone, outside), labelAt(period, zone, atMs))
      }),
      { numRuns: 400 },
    )
  })

  test(`windows of a period tile time, in ${zone}`, () => {
    fc.assert(
      fc.property(anyPeriod, anyMoment, (period, atMs) => {
        const window = windowAt(period, zone, atMs)
        assert.deepEqual(windowAt(period, zone, window.startMs), window)
        assert.deepEqual(windowAt(period, zone, window.endMs - 1), window)
        assert.equal(windowAt(period, zone, window.endMs).startMs, window.endMs)
        assert.equal(windowAt(period, zone, window.startMs - 1).endMs, window.startMs)
      }),
      { numRuns: 400 },
    )
  })
}

test('zones are known by their names, and nothing else is a zone', () => {
  const known = [...ZONES, 'Etc/UTC', 'US/Eastern', 'Asia/Calcutta', 'Europe/London']
  assert.deepEqual(
    known.filter((name) => !isTimeZone(name)),
    [],
  )
  const unknown = [
    '',
    ' ',
    'Mars/Phobos',
    'Europe/Berlin ',
    'Europe',
    'UTC+1',
    'GMT+3',
    'local',
    '__proto__',
    'constructor',
    '../etc/passwd',
  ]
  assert.deepEqual(
    unknown.filter((name) => isTimeZone(name)),
    [],
  )
})

test('a window in an unknown zone is a fault', () => {
  for (const period of ['day', 'week', 'month'] as const) assert.throws(() => windowAt(period, 'Mars/Phobos', 0), RangeError)
})

test('every zone of the IANA database is known by its own name, and by no other spelling', () => {
  const zones = Intl.supportedValuesOf('timeZone')
  assert.deepEqual(
    zones.filter((zone) => !isTimeZone(zone)),
    [],
  )
  for (const other of ['america/new_york', 'EUROPE/BERLIN', '+05:30', 'GMT+2', 'utc', '']) assert.equal(isTimeZone(other), false, other)
})
