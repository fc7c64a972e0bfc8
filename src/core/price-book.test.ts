import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bookAt, type PriceBook } from './price-book.ts'

function book(version: number, effectiveAtMs: number): PriceBook {
  return { version, effectiveAtMs, operations: new Map() }
}

test('the version in force is the latest to have become effective', () => {
  const books = [book(1, 100), book(2, 200), book(3, 300)]
  const table: readonly (readonly [number, number | undefined])[] = [
    [0, undefined],
    [99, undefined],
    [100, 1],
    [199, 1],
    [200, 2],
    [299, 2],
    [300, 3],
    [Number.MAX_SAFE_INTEGER, 3],
  ]
  for (const [nowMs, version] of table) assert.equal(bookAt(books, nowMs)?.version, version, `at ${nowMs}`)
})

test('nothing is in force without books', () => {
  assert.equal(bookAt([], Number.MAX_SAFE_INTEGER), undefined)
})

test('a version that was published later but takes effect earlier does not win', () => {
  const books = [book(1, 100), book(2, 500), book(3, 300)]
  assert.deepEqual(
    [250, 300, 499, 500].map((nowMs) => bookAt(books, nowMs)?.version),
    [1, 3, 3, 2],
  )
})

test('of two versions that became effective together the newer is in force, whatever their order', () => {
  assert.equal(bookAt([book(7, 100), book(8, 100)], 100)?.version, 8)
  assert.equal(bookAt([book(8, 100), book(7, 100)], 100)?.version, 8)
  assert.equal(bookAt([book(9, 50), book(8, 100), book(7, 100)], 100)?.version, 8)
})

test('any set of versions has the one in force that sorting by effective time, then version, puts last', () => {
  const anyBooks = fc
    .array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 })
    .map((times) => times.map((effectiveAtMs, index) => book(index + 1, effectiveAtMs)))
    .chain((books) => fc.shuffledSubarray(books, { minLength: books.length }))
  fc.assert(
    fc.property(anyBooks, fc.integer({ min: -1, max: 21 }), (books, nowMs) => {
      const effective = books.filter(({ effectiveAtMs }) => effectiveAtMs <= nowMs)
      const last = effective.sort((a, b) => a.effectiveAtMs - b.effectiveAtMs || a.version - b.version).at(-1)
      assert.equal(bookAt(books, nowMs), last)
    }),
  )
})
