import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Answer,
  booked,
  codeOf,
  DAY_MS,
  HOUR_MS,
  MemoryAccount,
  MINUTE_MS,
  refusal,
  START_MS,
  seqOf,
  toMicro,
} from '../../../test/running/memory-account.ts'
import type { CapturePolicy } from '../account.ts'

const TTL_MS = 15 * MINUTE_MS
const POLICIES = ['reject', 'cap', 'overdraft'] as const

/** An account with 150 credits and a hold of 100 on them. */
function accountWithHold(policy: CapturePolicy | null = null): { readonly account: MemoryAccount; readonly hold: number } {
  const account = new MemoryAccount()
  account.grant(150)
  return { account, hold: seqOf(account.hold(100, { ttlMs: TTL_MS, policy })) }
}

function creditsOf(answer: Answer): string {
  const { record } = booked(answer)
  return 'credits' in record ? String(Number(record.credits) / 1e6) : 'none'
}

/** Of 150 credits, 100 are held. What a capture takes, and what is then settled; null: it is refused. */
const CAPTURES: readonly {
  readonly wanted: number | null
  readonly taken: Readonly<Record<CapturePolicy, readonly [string, string] | null>>
}[] = [
  { wanted: null, taken: { reject: ['100', '50'], cap: ['100', '50'], overdraft: ['100', '50'] } },
  { wanted: 0, taken: { reject: ['0', '150'], cap: ['0', '150'], overdraft: ['0', '150'] } },
  { wanted: 60, taken: { reject: ['60', '90'], cap: ['60', '90'], overdraft: ['60', '90'] } },
  { wanted: 100, taken: { reject: ['100', '50'], cap: ['100', '50'], overdraft: ['100', '50'] } },
  { wanted: 130, taken: { reject: null, cap: ['100', '50'], overdraft: ['130', '20'] } },
  { wanted: 200, taken: { reject: null, cap: ['100', '50'], overdraft: ['200', '-50'] } },
]

for (const { wanted, taken } of CAPTURES)
  for (const policy of POLICIES) {
    const expected = taken[policy]
    test(`a capture of ${wanted ?? 'all'} of a hold of 100 under ${policy} ${expected ? `takes ${expected[0]}` : 'is refused'}`, () => {
      const { account, hold } = accountWithHold()
      const answer = account.capture(hold, wanted, { policy })
      if (expected === null) {
        const { refused, facts } = refusal(answer)
        assert.equal(refused, 'capture_exceeds_hold')
        assert.deepEqual(facts, { required: String(wanted), held: '100', excess: String(Number(wanted) - 100) })
        assert.deepEqual(account.balance(), { settled: '150', held: '100', available: '50' })
      } else {
        assert.equal(creditsOf(answer), expected[0])
        assert.deepEqual(account.balance(), { settled: expected[1], held: '0', available: expected[1] })
      }
    })
  }

test('the policy is that of the request, else of the hold, else of the account, else of the server', () => {
  const outcomes: Readonly<Record<CapturePolicy, string>> = { reject: 'capture_exceeds_hold', cap: '100', overdraft: '120' }
  const said = [null, ...POLICIES]
  const combinations = said.flatMap((request) =>
    said.flatMap((onHold) => said.flatMap((onAccount) => POLICIES.map((onServer) => ({ request, onHold, onAccount, onServer })))),
  )
  for (const { request, onHold, onAccount, onServer } of combinations) {
    const { account, hold } = accountWithHold(onHold)
    account.update({ capturePolicy: onAccount })
    const answer = account.capture(hold, 120, { policy: request, serverPolicy: onServer })
    const outcome = codeOf(answer) === 'ok' ? creditsOf(answer) : codeOf(answer)
    assert.equal(outcome, outcomes[request ?? onHold ?? onAccount ?? onServer], `${request} ${onHold} ${onAccount} ${onServer}`)
  }
})

test('the policy of the account is the one in force when the capture is made', () => {
  const account = new MemoryAccount('reject')
  account.grant(150)
  const hold = seqOf(account.hold(100))
  assert.equal(codeOf(account.capture(hold, 120)), 'capture_exceeds_hold')
  account.update({ capturePolicy: 'cap' })
  assert.equal(creditsOf(account.capture(hold, 120)), '100')
})

test('a capture takes from the hold in draw order, and lets go in reverse', () => {
  const account = new MemoryAccount()
  const [plan, promo, topup] = [30, 30, 30].map((amount, index) => seqOf(account.grant(amount, { priority: index })))
  const hold = seqOf(account.hold(80))
  const { record } = booked(account.capture(hold, 40))
  assert.ok(record.kind === 'capture')
  assert.deepEqual(
    record.movements.map(({ grant, remaining, held }) => [grant, Number(remaining) / 1e6, Number(held) / 1e6]),
    [
      [plan, -30, -30],
      [promo, -10, -10],
      [topup, 0, -20],
      [promo, 0, -20],
    ],
  )
  assert.equal(record.draws, 2)
  assert.deepEqual(account.remaining(), [
    [promo, '20'],
    [topup, '30'],
  ])
})

test('what a capture takes beyond its hold comes from free credits in burn order, and only then becomes debt', () => {
  const account = new MemoryAccount()
  account.grant(40, { priority: 2 })
  const hold = seqOf(account.hold(30))
  account.grant(20, { priority: 1 })
  booked(account.capture(hold, 55))
  assert.equal(account.debt(), '0')
  assert.equal(account.balance().settled, '5')
  assert.deepEqual(
    account.remaining().map(([, remaining]) => remaining),
    ['5'],
  )
})

test('a capture beyond its hold leaves what other holds have set aside alone', () => {
  const { account, hold } = accountWithHold()
  const other = seqOf(account.hold(50))
  booked(account.capture(hold, 160))
  assert.deepEqual(account.balance(), { settled: '-10', held: '50', available: '-60' })
  assert.equal(account.debt(), '60')
  assert.equal(creditsOf(account.capture(other)), '50')
  assert.equal(account.balance().settled, '-60')
})

// Debt.

test('a debt blocks charges, holds and increases until it is repaid', () => {
  const { account, hold } = accountWithHold()
  booked(account.capture(hold, 151))
  assert.deepEqual([account.charge(1), account.hold(1), account.charge(0)].map(codeOf), Array(3).fill('insufficient_credits'))
  booked(account.grant(2))
  assert.equal(codeOf(account.charge(1)), 'ok')
})

/** Whatever becomes free pays a debt of 40 first. */
const REPAYMENTS: Readonly<
  Record<string, { readonly repay: (account: MemoryAccount) => unknown; readonly debt: string; readonly available: string }>
> = {
  'a smaller grant': { repay: (account) => account.grant(15), debt: '25', available: '-25' },
  'a grant of the same size': { repay: (account) => account.grant(40), debt: '0', available: '0' },
  'a larger grant': { repay: (account) => account.grant(60), debt: '0', available: '20' },
  'an adjustment': { repay: (account) => account.adjust(60), debt: '0', available: '20' },
  'a grant of another credit type': {
    repay: (account) => account.grant(60, { creditType: 'image_credits' }),
    debt: '40',
    available: '-40',
  },
  'a grant that is not effective yet': {
    repay: (account) => account.grant(60, { effectiveAtMs: START_MS + DAY_MS }),
    debt: '40',
    available: '-40',
  },
  'a grant that has become effective': {
    repay: (account) => [account.grant(60, { effectiveAtMs: START_MS + MINUTE_MS }), account.wait(MINUTE_MS)],
    debt: '0',
    available: '20',
  },
  'a hold that is released': { repay: (account) => account.release(account.held()[0]?.[0] ?? 0), debt: '0', available: '10' },
  'a hold that expires': { repay: (account) => account.wait(TTL_MS), debt: '0', available: '10' },
  'the part of a hold that a capture lets go': {
    repay: (account) => account.capture(account.held()[0]?.[0] ?? 0, 5),
    debt: '0',
    available: '5',
  },
}

for (const [what, { repay, debt, available }] of Object.entries(REPAYMENTS))
  test(`of a debt of 40, ${debt} is left after ${what}`, () => {
    const account = new MemoryAccount()
    account.grant(150)
    const hold = seqOf(account.hold(100, { ttlMs: HOUR_MS }))
    account.hold(50, { ttlMs: TTL_MS })
    booked(account.capture(hold, 140))
    assert.equal(account.debt(), '40')
    repay(account)
    assert.equal(account.debt(), debt)
    assert.equal(account.balance().available, available)
  })

// In parts.

test('a hold is captured in parts while it lives, and lets the rest go with the last', () => {
  const { account, hold } = accountWithHold()
  assert.equal(creditsOf(account.capture(hold, 30, { final: false })), '30')
  assert.deepEqual(account.balance(), { settled: '120', held: '70', available: '50' })
  assert.equal(creditsOf(account.capture(hold, 20, { final: false })), '20')
  assert.deepEqual(account.held(), [[hold, '50']])
  assert.equal(creditsOf(account.capture(hold, 10)), '10')
  assert.deepEqual(account.balance(), { settled: '90', held: '0', available: '90' })
  assert.equal(codeOf(account.capture(hold, 1)), 'hold_already_captured')
})

test('parts of a hold over several grants are captured in draw order, one after the other', () => {
  const account = new MemoryAccount()
  const grants = [10, 10, 10].map((amount, priority) => seqOf(account.grant(amount, { priority })))
  const hold = seqOf(account.hold(30))
  const left = [4, 8, 13].map((amount) => {
    booked(account.capture(hold, amount, { final: false }))
    return grants.map((grant) => account.remaining().find(([seq]) => seq === grant)?.[1] ?? '0')
  })
  assert.deepEqual(left, [
    ['6', '10', '10'],
    ['0', '8', '10'],
    ['0', '0', '5'],
  ])
})

test('a hold that was captured in parts to the end is still live, holds nothing, and can be ended in every way', () => {
  const endings: Readonly<Record<string, (account: MemoryAccount, hold: number) => Answer>> = {
    capture: (account, hold) => account.capture(hold),
    release: (account, hold) => account.release(hold),
    increase: (account, hold) => account.increase(hold, 50),
  }
  for (const ending of Object.values(endings)) {
    const { account, hold } = accountWithHold()
    booked(account.capture(hold, null, { final: false }))
    assert.deepEqual(account.held(), [[hold, '0']])
    assert.equal(codeOf(ending(account, hold)), 'ok')
    assert.equal(account.balance().settled, '50')
  }
})

test('a part above what is left of the hold falls under the policy', () => {
  for (const [policy, outcome] of [
    ['reject', 'capture_exceeds_hold'],
    ['cap', '70'],
    ['overdraft', '80'],
  ] as const) {
    const { account, hold } = accountWithHold()
    booked(account.capture(hold, 30, { final: false }))
    const answer = account.capture(hold, 80, { policy, final: false })
    assert.equal(codeOf(answer) === 'ok' ? creditsOf(answer) : codeOf(answer), outcome)
  }
})

test('a hold that was captured in part and then released gives back only what it still held', () => {
  const { account, hold } = accountWithHold()
  booked(account.capture(hold, 30, { final: false }))
  booked(account.release(hold))
  assert.deepEqual(account.balance(), { settled: '120', held: '0', available: '120' })
})

// Late.

/** Of 150 credits, 100 were held until the hold expired. */
const LATE: readonly {
  readonly wanted: number | null
  readonly policy: CapturePolicy
  readonly outcome: string
  readonly settled: string
}[] = [
  { wanted: null, policy: 'reject', outcome: '100', settled: '50' },
  { wanted: 40, policy: 'reject', outcome: '40', settled: '110' },
  { wanted: 150, policy: 'reject', outcome: '150', settled: '0' },
  { wanted: 151, policy: 'reject', outcome: 'insufficient_credits', settled: '150' },
  { wanted: 151, policy: 'cap', outcome: '150', settled: '0' },
  { wanted: 151, policy: 'overdraft', outcome: '151', settled: '-1' },
]

for (const { wanted, policy, outcome, settled } of LATE)
  test(`a late capture of ${wanted ?? 'all'} under ${policy} comes to ${outcome}, whether or not the expiry was booked before`, () => {
    for (const isBooked of [true, false]) {
      const { account, hold } = accountWithHold()
      account.wait(TTL_MS)
      if (isBooked) account.grant(1, { creditType: 'other' })
      const answer = account.capture(hold, wanted, { policy })
      assert.equal(codeOf(answer) === 'ok' ? creditsOf(answer) : codeOf(answer), outcome)
      assert.equal(account.balance().settled, settled)
      if (codeOf(answer) === 'ok') assert.equal(booked(answer).record.kind, 'late_capture')
    }
  })

test('a late capture is made once, and the hold cannot be used after it', () => {
  const { account, hold } = accountWithHold()
  account.wait(TTL_MS)
  booked(account.capture(hold, 10))
  assert.deepEqual([account.capture(hold, 10), account.release(hold), account.extend(hold, TTL_MS)].map(codeOf), [
    'hold_already_captured',
    'hold_expired',
    'hold_expired',
  ])
  assert.equal(account.balance().settled, '140')
})

test('a late capture that was refused may be tried again', () => {
  const { account, hold } = accountWithHold()
  booked(account.charge(50))
  account.wait(TTL_MS)
  booked(account.charge(60))
  assert.equal(codeOf(account.capture(hold, null, { policy: 'reject' })), 'insufficient_credits')
  booked(account.grant(60))
  assert.equal(codeOf(account.capture(hold, null, { policy: 'reject' })), 'ok')
})

test('a late capture under cap takes nothing from an account in debt, and is made all the same', () => {
  const { account, hold } = accountWithHold()
  booked(account.capture(seqOf(account.hold(50)), 200))
  account.wait(TTL_MS)
  assert.equal(account.balance().settled, '-50')
  assert.equal(creditsOf(account.capture(hold, 10, { policy: 'cap' })), '0')
  assert.equal(account.balance().settled, '-50')
  assert.equal(codeOf(account.capture(hold, 10)), 'hold_already_captured')
})

test('a late capture that only live holds are in the way of is told to wait, not to pay', () => {
  const { account, hold } = accountWithHold()
  account.wait(TTL_MS)
  booked(account.hold(150))
  assert.equal(codeOf(account.capture(hold, 100, { policy: 'reject' })), 'credits_in_flight')
})

test('a late capture in parts: what was captured in time stays, the rest is captured once', () => {
  const { account, hold } = accountWithHold()
  booked(account.capture(hold, 30, { final: false }))
  account.wait(TTL_MS)
  assert.equal(creditsOf(account.capture(hold)), '70')
  assert.equal(account.balance().settled, '50')
  assert.equal(codeOf(account.capture(hold)), 'hold_already_captured')
})

test('a late capture follows the policy of the hold, even though the hold is gone', () => {
  for (const isBooked of [true, false]) {
    const { account, hold } = accountWithHold('cap')
    account.wait(TTL_MS)
    if (isBooked) account.grant(1, { creditType: 'other' })
    assert.equal(creditsOf(account.capture(hold, 200)), '150')
  }
})

test('a late capture does not get back what expired under the hold: it pays with what is there', () => {
  const account = new MemoryAccount()
  account.grant(100, { expiresAtMs: START_MS + MINUTE_MS })
  const hold = seqOf(account.hold(100, { ttlMs: TTL_MS }))
  account.wait(TTL_MS)
  booked(account.capture(hold))
  assert.equal(account.balance().settled, '-100')
})

// What else captures answer to.

test('delivered work is recorded: a capture needs neither an active account nor room in the budget of its key', () => {
  const account = new MemoryAccount()
  account.grant(100)
  const key = seqOf(account.createKey({ limit: toMicro(50), period: 'day', timeZone: 'UTC', maxPerCharge: toMicro(50) }))
  const holds = [0, 1].map(() => seqOf(account.hold(20, { key, ttlMs: TTL_MS })))
  account.update({ status: 'suspended' })
  assert.equal(codeOf(account.capture(holds[0] ?? 0, 70)), 'ok')
  account.wait(TTL_MS)
  assert.equal(codeOf(account.capture(holds[1] ?? 0, 70)), 'ok')
  assert.equal(account.balance().settled, '-40')
})

test('a capture that would owe more than an account can hold is refused, and is no fault', () => {
  const most = 9_200_000_000_000n * 1_000_000n
  const account = new MemoryAccount()
  const holds = [0, 1].map(() => seqOf(account.hold(0)))
  assert.equal(codeOf(account.capture(holds[0] ?? 0, most)), 'ok')
  assert.equal(codeOf(account.capture(holds[1] ?? 0, most)), 'amount_out_of_range')
})

test("subscribers hear when a capture uses the last of a key's budget", () => {
  const limited = { limit: toMicro(100), period: 'lifetime', timeZone: 'UTC', maxPerCharge: null } as const
  const account = new MemoryAccount()
  account.grant(500)
  const key = seqOf(account.createKey(limited))
  const hold = booked(account.hold(100, { key }))
  const events = [...hold.record.events, ...booked(account.capture(hold.seq, 100)).record.events]
  assert.deepEqual(events, ['key.budget_reached'], 'once, with the hold or with its capture')
})

test("subscribers do not hear that a key's budget is used up while some of it is left", () => {
  const limited = { limit: toMicro(100), period: 'lifetime', timeZone: 'UTC', maxPerCharge: null } as const
  for (const [held, captured] of [
    [50, 50],
    [90, 20],
    [100, 99],
  ] as const) {
    const account = new MemoryAccount()
    account.grant(500)
    const key = seqOf(account.createKey(limited))
    const hold = seqOf(account.hold(held, { key }))
    assert.deepEqual(booked(account.capture(hold, captured)).record.events, [], `${captured} of ${held} held, of a budget of 100`)
  }
})
