import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RateLimiter } from './rate-limiter.ts'

const START_MS = Date.UTC(2026, 10, 20, 12)

function startLimiter(): { readonly clock: { nowMs: number }; readonly limiter: RateLimiter } {
  const clock = { nowMs: START_MS }
  return { clock, limiter: new RateLimiter(() => clock.nowMs) }
}

test('lets as many requests through at once as the limit says, and not one more', () => {
  for (const [requests, windowSeconds] of [
    [1, 1],
    [3, 10],
    [7, 60],
    [600, 60],
    [1_000_000, 86_400],
  ] as const) {
    const { limiter } = startLimiter()
    const limit = { requests, windowSeconds }
    const tries = Math.min(requests + 5, 5_000)
    const allowed = Array.from({ length: tries }, () => limiter.take('a', limit)).filter(({ isAllowed }) => isAllowed).length
    assert.equal(allowed, Math.min(requests, tries), `${requests} in ${windowSeconds} s`)
  }
})

test('counts down what remains, and a refused request takes nothing', () => {
  const { limiter } = startLimiter()
  const limit = { requests: 3, windowSeconds: 30 }
  const states = Array.from({ length: 5 }, () => limiter.take('a', limit))
  assert.deepEqual(
    states.map(({ isAllowed, remaining }) => [isAllowed, remaining]),
    [
      [true, 2],
      [true, 1],
      [true, 0],
      [false, 0],
      [false, 0],
    ],
  )
})

test('after the wait that it names, a request goes through; a moment before, none does', () => {
  const { clock, limiter } = startLimiter()
  const limit = { requests: 4, windowSeconds: 60 }
  for (let count = 0; count < 4; count++) limiter.take('a', limit)
  const refused = limiter.take('a', limit)
  assert.deepEqual([refused.isAllowed, refused.resetSeconds], [false, 15])
  clock.nowMs += 14_999
  assert.equal(limiter.take('a', limit).isAllowed, false)
  clock.nowMs += 1
  assert.equal(limiter.take('a', limit).isAllowed, true)
  assert.equal(limiter.take('a', limit).isAllowed, false)
})

test('says after how many seconds there is more, also when the last request was let through', () => {
  const { limiter } = startLimiter()
  const limit = { requests: 5, windowSeconds: 60 }
  const resets = Array.from({ length: 5 }, () => limiter.take('a', limit).resetSeconds)
  assert.deepEqual(resets, [12, 12, 12, 12, 12], 'one more request is allowed 12 seconds on, however many were sent')
})

test('the whole limit is there again when a window has passed without a request', () => {
  const { clock, limiter } = startLimiter()
  const limit = { requests: 5, windowSeconds: 60 }
  for (let count = 0; count < 9; count++) limiter.take('a', limit)
  clock.nowMs += 60_000
  assert.deepEqual(
    Array.from({ length: 6 }, () => limiter.take('a', limit).isAllowed),
    [true, true, true, true, true, false],
  )
})

test('names are counted apart', () => {
  const { limiter } = startLimiter()
  const limit = { requests: 1, windowSeconds: 60 }
  assert.equal(limiter.take('a', limit).isAllowed, true)
  assert.equal(limiter.take('b', limit).isAllowed, true)
  assert.equal(limiter.take('a', limit).isAllowed, false)
})

test('a clock that goes back neither opens the limit nor shuts it for longer than a window', () => {
  const { clock, limiter } = startLimiter()
  const limit = { requests: 2, windowSeconds: 10 }
  limiter.take('a', limit)
  limiter.take('a', limit)
  clock.nowMs -= 5_000
  assert.equal(limiter.take('a', limit).isAllowed, false)
  clock.nowMs = START_MS + 10_000
  assert.equal(limiter.take('a', limit).isAllowed, true)
})

test('whatever the pace, no window holds more than twice the limit, and a steady pace below it is never refused', () => {
  const anyLimit = fc.record({ requests: fc.integer({ min: 1, max: 50 }), windowSeconds: fc.integer({ min: 1, max: 100 }) })
  fc.assert(
    fc.property(anyLimit, fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 200 }), (limit, pauses) => {
      const { clock, limiter } = startLimiter()
      const passedMs: number[] = []
      for (const pause of pauses) {
        clock.nowMs += pause
        if (limiter.take('a', limit).isAllowed) passedMs.push(clock.nowMs)
      }
      const most = Math.max(
        0,
        ...passedMs.map((from) => passedMs.filter((at) => at >= from && at < from + limit.windowSeconds * 1000).length),
      )
      assert.ok(most <= limit.requests * 2, `${most} of ${limit.requests} in one window`)
    }),
  )
  fc.assert(
    fc.property(anyLimit, (limit) => {
      const { clock, limiter } = startLimiter()
      for (let count = 0; count < 100; count++) {
        assert.equal(limiter.take('a', limit).isAllowed, true)
        clock.nowMs += Math.ceil((limit.windowSeconds * 1000) / limit.requests)
      }
    }),
  )
})
