import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GIVEN_UP_MS, pauseAfter, RETRY_WAITS_MS, waitAfter } from './schedule.ts'

const HOUR_MS = 3_600_000

test('an event is tried ten times in a little more than three days, each wait a little longer by chance', () => {
  for (const chance of [0, 0.5, 0.999]) {
    let atMs = 0
    const waits: number[] = []
    for (let attempts = 1; ; attempts++) {
      const wait = waitAfter(attempts, atMs, () => chance)
      if (wait === null) break
      waits.push(wait)
      atMs += wait
    }
    assert.equal(waits.length, 9)
    for (const [at, wait] of waits.entries()) assert.equal(wait, Math.floor((RETRY_WAITS_MS[at] ?? 0) * (1 + 0.2 * chance)))
    assert.ok(atMs >= 75 * HOUR_MS && atMs < 92 * HOUR_MS, `${atMs / HOUR_MS} hours`)
  }
})

test('attempts that came early do not make an event be given up before its time', () => {
  for (let attempts = 1; attempts < 40; attempts++)
    assert.notEqual(
      waitAfter(attempts, GIVEN_UP_MS - 1, () => 0),
      null,
    )
  assert.equal(
    waitAfter(40, GIVEN_UP_MS - 1, () => 0),
    24 * HOUR_MS,
  )
  assert.equal(
    waitAfter(1, GIVEN_UP_MS, () => 0),
    null,
  )
})

test('an overloaded endpoint is left alone at once and longer each time, one that refuses after a while', () => {
  const seconds = (isOverloaded: boolean): readonly number[] =>
    [1, 2, 3, 5, 6, 7, 9, 10, 50, 2_000].map((failures) => pauseAfter(failures, isOverloaded, () => 0) / 1_000)
  assert.deepEqual(seconds(true), [1, 2, 4, 16, 32, 64, 256, 300, 300, 300])
  assert.deepEqual(seconds(false), [0, 0, 0, 0, 1, 2, 8, 16, 300, 300])
  assert.equal(
    pauseAfter(10, true, () => 0.999),
    359_940,
  )
})
