import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  booked,
  chargeOf,
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
import { DEFAULT_PRIORITIES } from '../priorities.ts'
import type { NewGrant } from '../record.ts'

const UNLIMITED = { limit: null, period: 'lifetime', timeZone: 'UTC', maxPerCharge: null } as const

test('100 charges of 1 against 60 credits: exactly 60 succeed', () => {
  const account = new MemoryAccount()
  account.grant(60)
  const codes = Array.from({ length: 100 }, () => codeOf(account.charge(1)))
  assert.deepEqual(codes, [...Array(60).fill('ok'), ...Array(40).fill('insufficient_credits')])
  assert.deepEqual(account.balance(), { settled: '0', held: '0', available: '0' })
})

test('a charge takes exactly its credits, down to a millionth', () => {
  const account = new MemoryAccount()
  account.grant(1)
  for (const amount of ['0.000001', '0.333333', '0.666666']) booked(account.charge(amount))
  assert.equal(account.balance().settled, '0')
  assert.equal(codeOf(account.charge('0.000001')), 'insufficient_credits')
})

test('a charge of nothing succeeds, even in a credit type that the account never had', () => {
  const account = new MemoryAccount()
  const { record } = booked(account.charge(0, { creditType: 'image_credits' }))
  assert.deepEqual('movements' in record && record.movements, [])
})

type Terms = Partial<NewGrant>
const soon = { expiresAtMs: START_MS + DAY_MS }
const later = { expiresAtMs: START_MS + 2 * DAY_MS }

/** The first of each pair burns first, whatever the rules below it say. */
const BURN_ORDER: readonly { readonly rule: string; readonly first: Terms; readonly second: Terms }[] = [
  { rule: 'the lower priority', first: { priority: 1, paid: true }, second: { priority: 2, ...soon } },
  { rule: 'what expires first', first: { ...soon, paid: true }, second: later },
  { rule: 'what expires before what never does', first: { ...later, paid: true }, second: {} },
  { rule: 'unpaid before paid', first: { paid: false, effectiveAtMs: START_MS }, second: { paid: true, effectiveAtMs: START_MS - 1 } },
  { rule: 'what became effective first', first: { effectiveAtMs: START_MS - 2 }, second: { effectiveAtMs: START_MS - 1 } },
]

for (const { rule, first, second } of BURN_ORDER)
  test(`grants burn in order: ${rule}, whichever was made first`, () => {
    for (const isMadeFirst of [true, false]) {
      const account = new MemoryAccount()
      const [a, b] = [isMadeFirst ? first : second, isMadeFirst ? second : first].map((terms) =>
        seqOf(account.grant(10, { priority: 5, ...terms })),
      )
      const { record } = booked(account.charge(15))
      const drawn = 'movements' in record && record.movements.map(({ grant }) => grant)
      assert.deepEqual(drawn, isMadeFirst ? [a, b] : [b, a])
    }
  })

test('grants that are alike in all else burn in the order in which they were made', () => {
  const account = new MemoryAccount()
  const [a, b] = [seqOf(account.grant(10)), seqOf(account.grant(10))]
  booked(account.charge(10))
  assert.deepEqual(account.remaining(), [[b, '10']])
  assert.ok(a < b)
})

test('what resets burns first and what was paid for burns last: rollover, plan, promo, refund, top-up', () => {
  const sources = ['topup', 'refund', 'promo', 'plan', 'rollover'] as const
  assert.deepEqual(
    sources.map((source) => DEFAULT_PRIORITIES[source]),
    [40, 35, 30, 20, 10],
  )
  const account = new MemoryAccount()
  const made = sources.map((source) => seqOf(account.grant(1, { source })))
  for (let left = sources.length; left > 0; left -= 1) {
    booked(account.charge(1))
    const open = account.remaining().map(([grant]) => grant)
    assert.deepEqual(open, made.slice(0, left - 1).reverse())
  }
})

test('a charge states every movement with what was there after it', () => {
  const account = new MemoryAccount()
  const plan = seqOf(account.grant(30, { source: 'plan' }))
  const topup = seqOf(account.grant(50, { source: 'topup' }))
  account.hold(10)
  const { record } = booked(account.charge(35))
  assert.ok(record.kind === 'charge')
  assert.deepEqual(record.movements, [
    { grant: plan, remaining: toMicro(-20), held: 0n, remainingAfter: toMicro(10), heldAfter: toMicro(10) },
    { grant: topup, remaining: toMicro(-15), held: 0n, remainingAfter: toMicro(35), heldAfter: 0n },
  ])
  assert.deepEqual(record.balance, { settled: toMicro(45), held: toMicro(10) })
})

test('a grant pays from the moment it is effective up to, and not including, the moment it expires', () => {
  const cases = [
    { atMs: -1, code: 'insufficient_credits' },
    { atMs: 0, code: 'ok' },
    { atMs: HOUR_MS - 1, code: 'ok' },
    { atMs: HOUR_MS, code: 'insufficient_credits' },
  ]
  for (const { atMs, code } of cases) {
    const account = new MemoryAccount()
    const effectiveAtMs = START_MS + DAY_MS
    account.grant(5, { effectiveAtMs, expiresAtMs: effectiveAtMs + HOUR_MS })
    account.nowMs = effectiveAtMs + atMs
    assert.equal(codeOf(account.charge(5)), code, `${atMs} ms after it became effective`)
  }
})

test('a refused charge says what is missing, and writes nothing', () => {
  const account = new MemoryAccount()
  account.grant('10.5')
  const before = account.journal.length
  const { refused, facts } = refusal(account.charge(12))
  assert.equal(refused, 'insufficient_credits')
  assert.deepEqual(facts, { credit_type: 'credits', required: '12', available: '10.5', settled: '10.5', held: '0', shortfall: '1.5' })
  assert.equal(account.journal.length, before)
})

/** Against 100 credits: 402 when paying is what helps, 429 when waiting for live holds does. */
const IN_FLIGHT: readonly {
  readonly what: string
  readonly prepare: (account: MemoryAccount) => void
  readonly credits: number
  readonly code: string
}[] = [
  { what: 'nothing is held', prepare: () => undefined, credits: 101, code: 'insufficient_credits' },
  { what: 'holds are in the way', prepare: (account) => account.hold(60), credits: 100, code: 'credits_in_flight' },
  { what: 'holds are in the way, but the rest is enough', prepare: (account) => account.hold(60), credits: 40, code: 'ok' },
  { what: 'even all that is held would not be enough', prepare: (account) => account.hold(60), credits: 101, code: 'insufficient_credits' },
  { what: 'only another credit type is held', prepare: (account) => holdImages(account), credits: 101, code: 'insufficient_credits' },
  { what: 'what is held would go to pay a debt', prepare: (account) => runIntoDebt(account), credits: 50, code: 'insufficient_credits' },
  {
    what: 'what is held has expired under its hold',
    prepare: (account) => holdThenExpire(account),
    credits: 101,
    code: 'insufficient_credits',
  },
  {
    what: 'what is held was voided under its hold',
    prepare: (account) => holdThenVoid(account),
    credits: 50,
    code: 'insufficient_credits',
  },
]

function holdImages(account: MemoryAccount): void {
  account.grant(100, { creditType: 'image_credits' })
  account.hold(100, { creditType: 'image_credits' })
}

function runIntoDebt(account: MemoryAccount): void {
  const overrun = seqOf(account.hold(10))
  account.hold(90)
  account.capture(overrun, 60)
}

function holdThenExpire(account: MemoryAccount): void {
  account.grant(50, { source: 'plan', expiresAtMs: account.nowMs + MINUTE_MS })
  account.hold(50)
  account.wait(MINUTE_MS)
}

function holdThenVoid(account: MemoryAccount): void {
  const grant = account.remaining()[0]?.[0] ?? 0
  account.hold(80)
  account.void(grant)
}

for (const { what, prepare, credits, code } of IN_FLIGHT)
  test(`a charge of ${credits} against 100 is answered ${code} when ${what}`, () => {
    const account = new MemoryAccount()
    account.grant(100)
    prepare(account)
    assert.equal(codeOf(account.charge(credits)), code)
  })

test('a call that any of its credit types could pay, were it not for holds, is to be sent again, and not to be paid for', () => {
  const offers = [
    { creditType: 'image_credits', credits: toMicro(8) },
    { creditType: 'credits', credits: toMicro(8) },
  ] as const
  const account = new MemoryAccount()
  account.grant(7, { creditType: 'image_credits' })
  account.grant(10)
  account.hold(5)
  const { refused, facts } = refusal(account.charge(0, { offers }))
  assert.deepEqual([refused, facts.credit_type, facts.held], ['credits_in_flight', 'credits', '5'])
  account.charge(4)
  const short = refusal(account.charge(0, { offers }))
  assert.deepEqual([short.refused, short.facts.credit_type], ['insufficient_credits', 'image_credits'])
})

test('whoever is refused for holds is told to retry when the first of them ends, and never in more than 5 seconds', () => {
  const cases = [
    { leftMs: 60_000, seconds: 5 },
    { leftMs: 4_001, seconds: 5 },
    { leftMs: 4_000, seconds: 4 },
    { leftMs: 1, seconds: 1 },
  ]
  for (const { leftMs, seconds } of cases) {
    const account = new MemoryAccount()
    account.grant(100)
    account.hold(50, { ttlMs: 2 * MINUTE_MS })
    account.hold(50, { ttlMs: 3 * MINUTE_MS })
    account.wait(2 * MINUTE_MS - leftMs)
    assert.equal(refusal(account.charge(1)).facts.retry_after, seconds)
  }
})

test('an account in debt is refused until it has paid, and the shortfall counts the debt', () => {
  const account = new MemoryAccount()
  account.grant(10)
  account.capture(seqOf(account.hold(10)), 25)
  const { refused, facts } = refusal(account.charge(5))
  assert.equal(refused, 'insufficient_credits')
  assert.equal(facts.shortfall, '20')
  account.grant(20)
  assert.equal(codeOf(account.charge(5)), 'ok')
  assert.equal(account.balance().settled, '0')
})

test('a call is paid whole from the first credit type that can pay all of it', () => {
  const offers = [
    { creditType: 'image_credits', credits: toMicro(8) },
    { creditType: 'promo_credits', credits: toMicro(8) },
    { creditType: 'credits', credits: toMicro(8) },
  ] as const
  const cases = [
    { image: 8, promo: 8, paid: 'image_credits' },
    { image: 7, promo: 8, paid: 'promo_credits' },
    { image: 7, promo: 7, paid: 'credits' },
  ]
  for (const { image, promo, paid } of cases) {
    const account = new MemoryAccount()
    account.grant(image, { creditType: 'image_credits' })
    account.grant(promo, { creditType: 'promo_credits' })
    account.grant(8)
    const { record } = booked(account.charge(0, { offers }))
    assert.equal('creditType' in record && record.creditType, paid)
    assert.equal(
      account.balance(paid).settled,
      paid === 'credits' ? '0' : String({ image_credits: image - 8, promo_credits: promo - 8 }[paid]),
    )
  }
})

test('a call that no credit type can pay is refused in words about the first, and takes nothing from any', () => {
  const account = new MemoryAccount()
  account.grant(7)
  account.grant(6, { creditType: 'image_credits' })
  const offers = [
    { creditType: 'image_credits', credits: toMicro(8) },
    { creditType: 'credits', credits: toMicro(8) },
  ] as const
  const { refused, facts } = refusal(account.charge(0, { offers }))
  assert.equal(refused, 'insufficient_credits')
  assert.deepEqual([facts.credit_type, facts.shortfall], ['image_credits', '2'])
  assert.deepEqual([account.balance().settled, account.balance('image_credits').settled], ['7', '6'])
})

test('a suspended account takes no charges and no holds, and takes them again once it is active', () => {
  const account = new MemoryAccount()
  account.grant(10)
  booked(account.update({ status: 'suspended' }))
  assert.deepEqual([account.charge(1), account.hold(1), account.charge(0)].map(codeOf), Array(3).fill('account_suspended'))
  booked(account.update({ status: 'active' }))
  assert.deepEqual([account.charge(1), account.hold(1)].map(codeOf), ['ok', 'ok'])
})

test('charges may add up to more than an account can hold at once', () => {
  const most = '9200000000000'
  const account = new MemoryAccount()
  account.grant(most)
  booked(account.refund(seqOf(account.charge(most))))
  booked(account.charge(most))
  assert.equal(account.balance().settled, '0')
})

test('of several reasons to refuse, suspension comes first, then the limits of the key, then credits', () => {
  const terms = { limit: toMicro(10), period: 'day', timeZone: 'UTC', maxPerCharge: toMicro(20) } as const
  const cases = [
    { isSuspended: true, credits: 50, code: 'account_suspended' },
    { isSuspended: false, credits: 50, code: 'key_charge_limit_exceeded' },
    { isSuspended: false, credits: 15, code: 'key_budget_exceeded' },
    { isSuspended: false, credits: 6, code: 'insufficient_credits' },
  ]
  for (const { isSuspended, credits, code } of cases) {
    const account = new MemoryAccount()
    account.grant(5)
    const key = seqOf(account.createKey(terms))
    const hold = seqOf(account.hold(0, { key }))
    if (isSuspended) account.update({ status: 'suspended' })
    assert.equal(codeOf(account.charge(credits, { key })), code, 'a charge')
    assert.equal(codeOf(account.hold(credits, { key })), code, 'a hold')
    assert.equal(codeOf(account.increase(hold, credits)), code, 'an increase')
  }
})

test('a group of charges is made whole, in order, each seeing those before it', () => {
  const account = new MemoryAccount()
  account.grant(10)
  const { records } = booked(account.chargeGroup([chargeOf(4), chargeOf(5), chargeOf(1)]))
  assert.deepEqual(
    records.map((record) => 'balance' in record && record.balance.settled),
    [toMicro(6), toMicro(1), toMicro(0)],
  )
})

test('a group is refused whole at its first refusal, which says where it is', () => {
  const cases = [
    { amounts: [11, 1], index: 0 },
    { amounts: [4, 7, 1], index: 1 },
    { amounts: [4, 5, 2, 50], index: 2 },
  ]
  for (const { amounts, index } of cases) {
    const account = new MemoryAccount()
    account.grant(10)
    const refused = refusal(account.chargeGroup(amounts.map((amount) => chargeOf(amount))))
    assert.deepEqual([refused.refused, refused.facts.index], ['insufficient_credits', index])
    assert.equal(account.balance().settled, '10')
  }
})

test('charges of a group count against the budget of their key together', () => {
  const account = new MemoryAccount()
  account.grant(100)
  const key = seqOf(account.createKey({ ...UNLIMITED, limit: toMicro(10) }))
  const refused = refusal(account.chargeGroup([chargeOf(6, { key }), chargeOf(50), chargeOf(5, { key })]))
  assert.deepEqual([refused.refused, refused.facts.index], ['key_budget_exceeded', 2])
})

test('when the clock goes back, time stands still: nothing that expired returns, and no record is older than the one before', () => {
  const account = new MemoryAccount()
  account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
  account.grant(5)
  account.wait(HOUR_MS)
  booked(account.charge(1))
  account.wait(-2 * HOUR_MS)
  assert.equal(codeOf(account.charge(5)), 'insufficient_credits')
  const { record } = booked(account.charge(4))
  assert.equal(record.atMs, START_MS + HOUR_MS)
})

test('subscribers hear when a charge takes the last credit, and not before', () => {
  const account = new MemoryAccount()
  account.grant(10)
  const events = [9, 1, 0].map((amount) => booked(account.charge(amount)).record.events)
  assert.deepEqual(events, [[], ['credits.exhausted'], []])
  assert.deepEqual(booked(account.grant(5)).record.events, ['credits.recovered'])
  assert.deepEqual(booked(account.grant(5)).record.events, [])
})

test("subscribers hear when a charge uses the last of a key's budget, and not before", () => {
  const account = new MemoryAccount()
  account.grant(100)
  const key = seqOf(account.createKey({ ...UNLIMITED, limit: toMicro(10) }))
  const events = [9, 1, 0].map((amount) => booked(account.charge(amount, { key })).record.events)
  assert.deepEqual(events, [[], ['key.budget_reached'], []])
  assert.deepEqual(booked(account.charge(1)).record.events, [])
})
