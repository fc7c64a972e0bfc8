import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EVENTS, EVENTS_PER_RECORD, type EventType, eventPlace, isEventPattern, lets, seqOfPlace } from './events.ts'

const TYPES = Object.keys(EVENTS) as readonly EventType[]

test('events have places that count up as they happen, each in its record', () => {
  const places = [1, 2, 3, 2 ** 40 - 1].flatMap((seq) => Array.from({ length: EVENTS_PER_RECORD }, (_, index) => eventPlace(seq, index)))
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  )
  assert.equal(new Set(places).size, places.length)
  for (const [at, place] of places.entries()) assert.equal(seqOfPlace(place), [1, 2, 3, 2 ** 40 - 1][Math.floor(at / EVENTS_PER_RECORD)])
})

test('a filter may name events that there are, and families of them', () => {
  for (const type of TYPES) assert.ok(isEventPattern(type))
  for (const pattern of ['charge.*', 'credits.*', 'account.*']) assert.ok(isEventPattern(pattern), pattern)
  for (const text of ['', '*', '.*', 'charge', 'charge.', 'charge.*.*', 'char.*', 'charge.create', 'nothing.*', 'Charge.*'])
    assert.ok(!isEventPattern(text), text)
})

test('a filter lets through what it names, and an empty one everything', () => {
  assert.deepEqual(
    TYPES.filter((type) => lets(['charge.*', 'credits.exhausted'], type)),
    ['charge.created', 'charge.refunded', 'charge.outcome_reported', 'credits.exhausted'],
  )
  assert.deepEqual(
    TYPES.filter((type) => lets([], type)),
    TYPES,
  )
})
