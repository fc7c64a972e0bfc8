import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDecimal } from '../../../core/decimal.ts'
import { parsePrices } from '../../../core/price-parsing.ts'
import { measuresOfSeries, measuresOfSpeech, measuresOfVideo, quantitiesFor, secondsOf } from './measures.ts'

test('a video is as long as the request asks for, or as its narration takes; never nothing', () => {
  assert.equal(secondsOf({ duration: 61.2 }), 62)
  assert.equal(secondsOf({ duration: '90' }), 90)
  assert.equal(secondsOf({ duration: 5, scenes: [{ caption: 'x'.repeat(1_000) }] }), 5)
  assert.equal(secondsOf({ scenes: [{ caption: 'x'.repeat(15) }, { caption: 'x'.repeat(14) }] }), 2)
  assert.equal(secondsOf({ script: 'x'.repeat(31) }), 3)
  assert.equal(secondsOf({ quiz: { questions: [{ question: 'x'.repeat(10), options: [{ text: 'x'.repeat(10), correct: true }] }] } }), 2)
  for (const body of [{}, { scenes: [] }, { scenes: [null, 5, {}] }]) assert.equal(secondsOf(body), 1)
})

test('characters are counted as people do', () => {
  assert.deepEqual(measuresOfSpeech({ text: '🦊é' }), { character: 2, second: 1 })
  assert.deepEqual(measuresOfVideo({ scenes: [{ caption: '🦊' }, { caption: 'é' }] }), { video: 1, second: 1, scene: 2, character: 3 })
})

test('a series is as many videos as it has topics', () => {
  assert.deepEqual(measuresOfSeries({ topics: [{}, {}], duration: 30 }), { video: 2, second: 60 })
  assert.deepEqual(measuresOfSeries({}), { video: 1, second: 1 })
})

/** What is stated to a price per this unit. */
function statedFor(...units: readonly string[]): Readonly<Record<string, string>> {
  const parsed = parsePrices(units.map((unit) => ({ operation: 'a', rate: '1', per: { quantity: '1', unit } })))
  assert.ok('operations' in parsed)
  const price = parsed.operations.get('a')
  assert.ok(price)
  const quantities = quantitiesFor(price, { second: 90, scene: 3, image: 1 })
  return Object.fromEntries(Object.entries(quantities).map(([unit, quantity]) => [unit, formatDecimal(quantity)]))
}

test('a price is told what it asks for, under its own name for it, and nothing else', () => {
  assert.deepEqual(statedFor('scene'), { scene: '3' })
  assert.deepEqual(statedFor('scenes'), { scenes: '3' })
  assert.deepEqual(statedFor('minute'), { second: '90' })
  assert.deepEqual(statedFor('seconds'), { seconds: '90' })
  assert.deepEqual(statedFor('request'), {})
  assert.deepEqual(statedFor('image', 'scene'), { image: '1', scene: '3' })
  assert.deepEqual(statedFor('token'), {})
})
