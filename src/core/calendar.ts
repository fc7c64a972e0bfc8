/**
 * Calendar windows (days, ISO weeks from Monday, months), and periods that are counted from an anchor, in UTC or a named time zone,
 * from times given as arguments.
 */

/** How often a budget starts anew. */
export type Period = 'lifetime' | 'day' | 'week' | 'month'

/** A stretch of time: from `startMs` up to, not including, `endMs`. */
export interface Window {
  readonly startMs: number
  readonly endMs: number
}

/** The end of time that a Date can hold, for windows that never end. */
export const FOREVER_MS = 8_640_000_000_000_000

const DAY_MS = 86_400_000

interface LocalDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
}

/** The window of a period that holds `atMs`. A local midnight that daylight saving skips is the first moment after the gap. */
export function windowAt(period: Period, timeZone: string, atMs: number): Window {
  if (period === 'lifetime') return { startMs: 0, endMs: FOREVER_MS }
  const { year, month, day } = localDate(atMs, timeZone)
  const weekday = (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7
  // Date.UTC carries a day of 0 or 32, and a month of 0 or 13, over into the neighbouring one.
  const startOf = (index: number): readonly number[] => {
    if (period === 'month') return midnights({ year, month: month + index, day: 1 }, timeZone)
    return midnights({ year, month, day: period === 'day' ? day + index : day - weekday + 7 * index }, timeZone)
  }
  const [startMs = atMs] = startOf(0)
  // Clocks may fall back from a new date into the old one: then the new one begins a second time, and that is the old one's end.
  const endMs = startOf(1).find((moment) => moment > atMs) ?? FOREVER_MS
  return { startMs, endMs }
}

/** Names as the IANA database writes them; offsets such as +05:30 mean different things to different systems. */
const ZONE_NAME = /^(?:UTC|(?:US|[A-Z][a-z]+)(?:\/[A-Z][A-Za-z0-9_+-]*){1,2})$/

/** Whether a name is a time zone that this runtime knows. */
export function isTimeZone(name: string): boolean {
  if (!ZONE_NAME.test(name)) return false
  try {
    formatterOf(name)
    return true
  } catch (error) {
    // Intl reports an unknown zone with a RangeError; anything else is a fault.
    if (error instanceof RangeError) return false
    throw error
  }
}

const MAX_FORMATTERS = 600
const formatters = new Map<string, Intl.DateTimeFormat>()

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  if (formatters.size < MAX_FORMATTERS) formatters.set(timeZone, made)
  return made
}

/** The wall clock of a zone at a moment, read as if it were UTC. */
function wallClockMs(atMs: number, timeZone: string): number {
  const parts: Record<string, number> = {}
  for (const { type, value } of formatterOf(timeZone).formatToParts(atMs)) parts[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

function localDate(atMs: number, timeZone: string): LocalDate {
  const local = new Date(timeZone === 'UTC' ? atMs : wallClockMs(atMs, timeZone))
  return { year: local.getUTCFullYear(), month: local.getUTCMonth() + 1, day: local.getUTCDate() }
}

/** The moments at which the clocks of a zone show the midnight that begins a date: nearly always one, in order. */
function midnights({ year, month, day }: LocalDate, timeZone: string): readonly number[] {
  return momentsOf(Date.UTC(year, month - 1, day), timeZone)
}

/**
 * The moments at which the clocks of a zone show a time of whole seconds (read as if it were UTC): nearly always one, in order. A time
 * that clocks jump over is the first moment after the jump.
 */
function momentsOf(asUtc: number, timeZone: string): readonly number[] {
  if (timeZone === 'UTC') return [asUtc]
  // The offsets a day before and a day after bracket any change: they lead to the time, or the change jumped over it.
  const offsets = [-DAY_MS, DAY_MS].map((away) => wallClockMs(asUtc + away, timeZone) - (asUtc + away))
  const candidates = [...new Set(offsets.map((offset) => asUtc - offset))].sort((a, b) => a - b)
  const exact = candidates.filter((candidate) => wallClockMs(candidate, timeZone) === asUtc)
  return exact.length > 0 ? exact : [afterGap(candidates, asUtc, timeZone)]
}

/** The time does not exist when clocks jump over it: binary search for the jump, the first moment of a later time. */
function afterGap(candidates: readonly number[], asUtc: number, timeZone: string): number {
  let before = Math.min(...candidates) - 3_600_000
  let after = Math.max(...candidates) + 3_600_000
  while (after - before > 1) {
    const middle = before + ((after - before) >> 1)
    if (wallClockMs(middle, timeZone) < asUtc) before = middle
    else after = middle
  }
  return after
}

/** How long a period is. */
export interface PeriodLength {
  readonly unit: 'day' | 'week' | 'month' | 'year'
  readonly count: number
}

/** Periods that follow each other from an anchor, on the calendar and the wall clock of a zone. */
export interface Recurrence {
  readonly anchorMs: number
  readonly every: PeriodLength
  readonly timeZone: string
}

/** One of the periods of a recurrence. */
export interface CountedPeriod extends Window {
  /** The first one is 0. */
  readonly index: number
}

/** The period of a number. One that the zone has left out (a date that was skipped) is that after it. */
export function periodOf(recurrence: Recurrence, index: number): CountedPeriod {
  const startMs = startOf(recurrence, index)
  return { index, startMs, endMs: startOf(recurrence, indexAfter(recurrence, index)) }
}

/** The period that follows one. */
export function periodAfter(recurrence: Recurrence, { index }: Pick<CountedPeriod, 'index'>): CountedPeriod {
  return periodOf(recurrence, indexAfter(recurrence, index))
}

/** The period that holds a moment, which is not before the anchor. */
export function periodAt(recurrence: Recurrence, atMs: number): CountedPeriod {
  let below = 0
  let above = 1
  while (startOf(recurrence, above) <= atMs) above *= 2
  while (above - below > 1) {
    const middle = below + ((above - below) >> 1)
    if (startOf(recurrence, middle) <= atMs) below = middle
    else above = middle
  }
  return periodOf(recurrence, below)
}

/** The number of the first period that begins later than one. */
function indexAfter(recurrence: Recurrence, index: number): number {
  const startMs = startOf(recurrence, index)
  let next = index + 1
  while (startOf(recurrence, next) <= startMs) next++
  return next
}

/** When a period begins: at the anchor's time of day; a day that a month lacks is its last one. */
function startOf({ anchorMs, every, timeZone }: Recurrence, index: number): number {
  if (index === 0) return anchorMs
  const partMs = anchorMs % 1_000
  const anchor = new Date(timeZone === 'UTC' ? anchorMs - partMs : wallClockMs(anchorMs - partMs, timeZone))
  const local = later(anchor, every, index)
  const [moment = local] = momentsOf(local, timeZone)
  // After a jump of the clocks the part of a second has no meaning.
  return timeZone === 'UTC' || wallClockMs(moment, timeZone) === local ? moment + partMs : moment
}

const UNIT_DAYS = { day: 1, week: 7 } as const

/** A date and time on the wall clock, so many periods later. */
function later(from: Date, { unit, count }: PeriodLength, periods: number): number {
  if (unit === 'day' || unit === 'week') return from.getTime() + periods * count * UNIT_DAYS[unit] * DAY_MS
  const month = from.getUTCMonth() + periods * count * (unit === 'year' ? 12 : 1)
  const year = from.getUTCFullYear()
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  return Date.UTC(year, month, Math.min(from.getUTCDate(), lastDay)) + (from.getTime() % DAY_MS)
}
