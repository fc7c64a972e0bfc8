import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgumentError } from './errors.ts'
import { writeBody, writeQuery } from './json.ts'
import { segment } from './resource.ts'

/** What JSON would change without a word, and the place that the error has to name. */
const REFUSED: readonly (readonly [body: object, place: RegExp])[] = [
  [{ budget: { limit: Number.NaN } }, /^budget\.limit is NaN/],
  [{ amount: Number.POSITIVE_INFINITY }, /^amount is Infinity/],
  [{ amount: 0.1 }, /^amount is 0\.1, a float/],
  [{ charges: [{ amount: 1 }, { amount: 2.5 }] }, /^charges\.1\.amount is 2\.5, a float/],
  [{ amount: 2 ** 60 }, /more than a number holds exactly/],
  [{ amount: 5n }, /^amount is a bigint/],
  [{ amount: undefined }, /^amount is undefined/],
  [{ quantities: { second: undefined, quantity: undefined } }, /^quantities\.quantity is undefined/],
  [{ expires_at: new Date('no date') }, /^expires_at is an invalid date/],
  [{ metadata: { of: () => 1 } }, /^metadata\.of is a function/],
]

for (const [body, place] of REFUSED)
  test(`a body is refused before it is sent: ${place.source}`, () => {
    assert.throws(
      () => writeBody(body),
      (error) => error instanceof InvalidArgumentError && place.test(error.message),
    )
  })

test('quantities may be numbers, and times dates', () => {
  const body = { quantity: 45.5, quantities: { second: 0.1 }, ttl_seconds: 60, expires_at: new Date(0), name: undefined, limit: null }
  assert.equal(
    writeBody(body),
    '{"quantity":45.5,"quantities":{"second":0.1},"ttl_seconds":60,"expires_at":"1970-01-01T00:00:00.000Z","limit":null}',
  )
})

test('a query repeats lists, and leaves out what is undefined', () => {
  assert.equal(
    writeQuery({ group_by: ['key', 'operation'], start: new Date(0), limit: 5, account: undefined }),
    '?group_by=key&group_by=operation&start=1970-01-01T00%3A00%3A00.000Z&limit=5',
  )
  assert.equal(writeQuery({}), '')
  assert.throws(() => writeQuery({ account: null }), InvalidArgumentError)
  assert.throws(() => writeQuery({ start: new Date(Number.NaN) }), InvalidArgumentError)
})

test('an id that would lead to another address is refused', () => {
  assert.equal(segment('account', 'external:a/b?c'), 'external%3Aa%2Fb%3Fc')
  for (const id of ['', '.', '..', undefined as unknown as string, null as unknown as string, {} as string])
    assert.throws(() => segment('account', id), InvalidArgumentError)
})
