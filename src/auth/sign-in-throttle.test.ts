import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf, SignInThrottle } from './sign-in-throttle.ts'

const START_MS = Date.UTC(2026, 10, 20, 12)
const MINUTE_MS = 60_000

function startThrottle(): { readonly clock: { nowMs: number }; readonly throttle: SignInThrottle } {
  const clock = { nowMs: START_MS }
  return { clock, throttle: new SignInThrottle(() => clock.nowMs) }
}

const ADA = { email: 'ada@x.y', address: '192.0.2.1' }

/** How many of so many failures at once are let through. */
function failures(throttle: SignInThrottle, count: number, attempt: (index: number) => Parameters<SignInThrottle['begin']>[0]): number {
  let passed = 0
  for (let index = 0; index < count; index++) {
    const { waitSeconds, forget } = throttle.begin(attempt(index))
    if (waitSeconds === null) passed++
    else forget()
  }
  return passed
}

test('ten failures of one user from one address, and then one in a minute and a half', () => {
  const { clock, throttle } = startThrottle()
  assert.equal(
    failures(throttle, 30, () => ADA),
    10,
  )
  assert.equal(throttle.begin(ADA).waitSeconds, 90)
  clock.nowMs += 89_000
  assert.equal(throttle.begin(ADA).waitSeconds, 1)
  clock.nowMs += 1_000
  assert.equal(
    failures(throttle, 3, () => ADA),
    1,
  )
  clock.nowMs += 15 * MINUTE_MS
  assert.equal(
    failures(throttle, 30, () => ADA),
    10,
    'after a quarter of an hour all is forgotten',
  )
})

test('the same user is let in elsewhere, and another user from there, while one pair is refused', () => {
  const { throttle } = startThrottle()
  failures(throttle, 30, () => ADA)
  assert.equal(throttle.begin({ ...ADA, address: '192.0.2.2' }).waitSeconds, null)
  assert.equal(throttle.begin({ ...ADA, email: 'bob@x.y' }).waitSeconds, null)
})

test('fifty failures from one address, whoever they name', () => {
  const { throttle } = startThrottle()
  assert.equal(
    failures(throttle, 200, (index) => ({ ...ADA, email: `user${index}@x.y` })),
    50,
  )
  assert.equal(throttle.begin({ email: 'ada@x.y', address: '192.0.2.2' }).waitSeconds, null)
  assert.equal(throttle.begin({ email: 'ada@x.y', address: ADA.address }).waitSeconds, 18)
})

test('fifty failures of one user from many addresses: then strangers wait, and only they', () => {
  const { clock, throttle } = startThrottle()
  for (let index = 0; index < 50; index++)
    assert.equal(throttle.begin({ ...ADA, address: `198.51.100.${index}` }).strangersWaitSeconds, null, `failure ${index}`)
  const next = throttle.begin({ ...ADA, address: '203.0.113.1' })
  assert.deepEqual([next.waitSeconds, next.strangersWaitSeconds], [null, 72])
  next.forget()
  assert.equal(throttle.begin({ email: 'bob@x.y', address: '203.0.113.1' }).strangersWaitSeconds, null)
  clock.nowMs += 60 * MINUTE_MS
  assert.equal(throttle.begin(ADA).strangersWaitSeconds, null)
})

test('what is refused at one limit, or succeeds, counts at none', () => {
  const { throttle } = startThrottle()
  for (let index = 0; index < 500; index++) throttle.begin(ADA).forget()
  assert.equal(
    failures(throttle, 500, () => ADA),
    10,
  )
  assert.equal(
    failures(throttle, 100, (index) => ({ ...ADA, email: `user${index}@x.y` })),
    40,
    'of the address, ten were counted',
  )
})

test('however many names are tried, none is let through more often, and what was counted stays counted', () => {
  const { throttle } = startThrottle()
  failures(throttle, 10, () => ADA)
  for (let index = 0; index < 100_000; index++)
    throttle.begin({ email: `user${index}@x.y`, address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}` })
  assert.notEqual(throttle.begin(ADA).waitSeconds, null)
})

test('few are refused for what others did, even while a hundred thousand pairs are being tried', () => {
  const { throttle } = startThrottle()
  const attempt = (index: number): Parameters<SignInThrottle['begin']>[0] => ({
    email: `user${index}@x.y`,
    address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
  })
  const refused = Array.from({ length: 100_000 }, (_, index) => throttle.begin(attempt(index))).filter(
    ({ waitSeconds }) => waitSeconds !== null,
  )
  assert.ok(refused.length < 1_000, `${refused.length} of 100000 were refused`)
})

test('sixty refreshes of one session, and then one a minute', () => {
  const { clock, throttle } = startThrottle()
  assert.equal(Array.from({ length: 100 }, () => throttle.refresh('a')).filter((wait) => wait === null).length, 60)
  assert.deepEqual([throttle.refresh('a'), throttle.refresh('b')], [60, null])
  clock.nowMs += MINUTE_MS
  assert.equal(throttle.refresh('a'), null)
})

test('a clock that is put back shuts nobody out for longer than a window', () => {
  const { clock, throttle } = startThrottle()
  failures(throttle, 10, () => ADA)
  clock.nowMs -= 24 * 60 * MINUTE_MS
  assert.equal(throttle.begin(ADA).waitSeconds, 90)
})

test('an address counts as what its owner has: one of IPv4, 2⁶⁴ of IPv6', () => {
  for (const [address, network] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002:ffff::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['192.0.2.1:61234', '192.0.2.1'],
    ['[2001:db8:1:2::1]:61234', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::1]', '2001:db8:1:2::/64'],
    ['unknown', 'unknown'],
  ] as const)
    assert.equal(networkOf(address), network, address)
})
