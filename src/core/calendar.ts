/** Calendar windows (days, ISO weeks from Monday, months) in UTC or a named time zone, from times given as arguments. */

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
  const asUtc = Date.UTC(year, month - 1, day)
  if (timeZone === 'UTC') return [asUtc]
  // The offsets a day before and a day after bracket any change: they lead to the midnight, or the change jumped over it.
  const offsets = [-DAY_MS, DAY_MS].map((away) => wallClockMs(asUtc + away, timeZone) - (asUtc + away))
  const candidates = [...new Set(offsets.map((offset) => asUtc - offset))].sort((a, b) => a - b)
  const exact = candidates.filter((candidate) => wallClockMs(candidate, timeZone) === asUtc)
  return exact.length > 0 ? exact : [afterGap(candidates, asUtc, timeZone)]
}

/** Midnight does not exist when clocks jump over it: binary search for the jump, the first moment of the new date. */
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
