import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as alerts from '../../test/running/alerts.ts'
import { autoTopup } from '../../test/running/arbitrary-auto-topups.ts'
import { paymentMethod, subscription } from '../../test/running/arbitrary-plans.ts'
import {
  type AccountState,
  emptyAccount,
  type Freeze,
  type KeyBudget,
  type OpenGrant,
  type OpenHold,
  type Pool,
  type UsageRow,
} from './account.ts'
import { decodeState, encodeState, STATE_FORMAT } from './account-codec.ts'
import type { Alert } from './alert.ts'
import { FOREVER_MS } from './calendar.ts'
import { MAX_MICROCREDITS, micro, ZERO } from './credits.ts'
import type { Decimal } from './decimal.ts'

/** Null prototypes would never come out of JSON, so the made objects have none. */
const PLAIN = { noNullPrototype: true } as const

const amount = fc.bigInt({ min: -MAX_MICROCREDITS, max: MAX_MICROCREDITS }).map(micro)
const seq = fc.integer({ min: 0, max: 2 ** 40 - 1 })
const ms = fc.integer({ min: 0, max: FOREVER_MS })
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
const policy = fc.constantFrom('reject', 'cap', 'overdraft', null)
// Sums of quantities may grow past what one quantity may be.
const sum = fc.bigInt({ min: 0n, max: 10n ** 40n }).map((value) => value as Decimal)

const grant: fc.Arbitrary<OpenGrant> = fc.record(
  {
    seq,
    source: fc.constantFrom('plan', 'topup', 'promo', 'rollover', 'refund', 'adjustment'),
    priority: fc.integer({ min: -1_000, max: 1_000 }),
    effectiveAtMs: ms,
    expiresAtMs: fc.option(ms),
    paid: fc.boolean(),
    purchase: fc.option(seq),
    remaining: amount,
    held: amount,
    closed: fc.constantFrom('expired', 'voided', null),
  },
  PLAIN,
)

const pool: fc.Arbitrary<Pool> = fc.record(
  {
    creditType: text,
    grants: fc.array(grant, { maxLength: 4 }),
    debt: amount,
    granted: amount,
    charged: amount,
    refunded: amount,
    expired: amount,
    voided: amount,
  },
  PLAIN,
)

const parts = fc.array(fc.record({ grant: seq, held: amount }, PLAIN), { maxLength: 3 })
const freeze: fc.Arbitrary<Freeze> = fc.record({ seq, purchase: seq, creditType: text, parts }, PLAIN)

const hold: fc.Arbitrary<OpenHold> = fc.record(
  {
    seq,
    creditType: text,
    operation: text,
    key: fc.option(seq),
    createdAtMs: ms,
    expiresAtMs: ms,
    policy,
    total: amount,
    parts,
  },
  PLAIN,
)

const budget: fc.Arbitrary<KeyBudget> = fc.record(
  {
    key: seq,
    limit: fc.option(amount),
    period: fc.constantFrom('lifetime', 'day', 'week', 'month'),
    timeZone: text,
    maxPerCharge: fc.option(amount),
    windowStartMs: ms,
    windowEndMs: ms,
    sinceSeq: seq,
    spent: amount,
  },
  PLAIN,
)

const usageRow: fc.Arbitrary<UsageRow> = fc.record(
  {
    operation: text,
    key: fc.option(seq),
    creditType: text,
    charges: fc.nat(),
    credits: amount,
    refunds: fc.nat(),
    refunded: amount,
    quantities: fc.dictionary(text, sum, { ...PLAIN, maxKeys: 4 }),
  },
  PLAIN,
)

const alert: fc.Arbitrary<Alert> = fc.record(
  {
    seq,
    createdAtMs: ms,
    watch: alerts.watch,
    terms: alerts.terms,
    fired: fc.option(fc.record({ atMs: ms, untilMs: fc.option(ms) }, PLAIN)),
    day: fc.option(fc.record({ startMs: ms, endMs: ms, spent: amount }, PLAIN)),
  },
  PLAIN,
)

const anyState: fc.Arbitrary<AccountState> = fc.record(
  {
    number: fc.integer({ min: 0, max: 2 ** 40 - 1 }),
    seq,
    atMs: ms,
    status: fc.constantFrom('active', 'suspended'),
    capturePolicy: policy,
    pools: fc.array(pool, { maxLength: 3 }),
    holds: fc.array(hold, { maxLength: 3 }),
    checkouts: fc.array(fc.record({ seq, expiresAtMs: ms }, PLAIN), { maxLength: 3 }),
    freezes: fc.array(freeze, { maxLength: 3 }),
    subscriptions: fc.array(subscription, { maxLength: 2 }),
    paymentMethod: fc.option(paymentMethod),
    clock: fc.option(fc.record({ clock: text, nowMs: ms }, PLAIN)),
    disputes: fc.array(text, { maxLength: 2 }),
    autoTopup: fc.option(autoTopup),
    budgets: fc.array(budget, { maxLength: 3 }),
    alerts: fc.array(alert, { maxLength: 3 }),
    keys: fc.nat(),
    hour: fc.record({ startMs: ms, rows: fc.array(usageRow, { maxLength: 3 }) }, PLAIN),
    dueMs: ms,
  },
  PLAIN,
)

/** A small state with one of everything, and one of every default. */
const STATE: AccountState = {
  number: 5,
  seq: 12,
  atMs: 1_795_000_000_000,
  status: 'active',
  capturePolicy: 'cap',
  pools: [
    {
      creditType: 'credits',
      grants: [
        {
          seq: 3,
          source: 'plan',
          priority: 20,
          effectiveAtMs: 1,
          expiresAtMs: 2,
          paid: true,
          purchase: null,
          remaining: micro(10n),
          held: micro(4n),
          closed: 'expired',
        },
        {
          seq: 4,
          source: 'promo',
          priority: 30,
          effectiveAtMs: 1,
          expiresAtMs: null,
          paid: false,
          purchase: 2,
          remaining: ZERO,
          held: ZERO,
          closed: null,
        },
      ],
      debt: micro(1n),
      granted: micro(2n),
      charged: micro(3n),
      refunded: micro(4n),
      expired: micro(5n),
      voided: micro(MAX_MICROCREDITS),
    },
  ],
  holds: [
    {
      seq: 6,
      creditType: 'credits',
      operation: 'op',
      key: null,
      createdAtMs: 7,
      expiresAtMs: 8,
      policy: null,
      total: micro(5n),
      parts: [{ grant: 3, held: micro(4n) }],
    },
  ],
  checkouts: [{ seq: 9, expiresAtMs: 10 }],
  freezes: [{ seq: 11, purchase: 2, creditType: 'credits', parts: [{ grant: 4, held: micro(6n) }] }],
  subscriptions: [],
  paymentMethod: null,
  clock: null,
  disputes: [],
  autoTopup: null,
  budgets: [
    {
      key: 2,
      limit: micro(9n),
      period: 'day',
      timeZone: 'UTC',
      maxPerCharge: null,
      windowStartMs: 10,
      windowEndMs: 11,
      sinceSeq: 2,
      spent: micro(-1n),
    },
  ],
  alerts: [],
  keys: 1,
  hour: {
    startMs: 3_600_000,
    rows: [
      {
        operation: 'op',
        key: 2,
        creditType: 'credits',
        charges: 1,
        credits: micro(3n),
        refunds: 0,
        refunded: ZERO,
        quantities: { second: 1_500_000_000_000n as Decimal },
      },
    ],
  },
  dueMs: FOREVER_MS,
}

const STATE_TEXT =
  '[3,5,12,1795000000000,"active","cap",' +
  '[["credits",[[3,"plan",20,1,2,1,null,"10","4","expired"],[4,"promo",30,1,null,0,2,"0","0",null]],"1","2","3","4","5","9200000000000000000"]],' +
  '[[6,"credits","op",null,7,8,null,"5",[[3,"4"]]]],' +
  '[[9,10]],[[11,2,"credits",[[4,"6"]]]],' +
  '[[2,"9","day","UTC",null,10,11,2,"-1"]],' +
  '1,3600000,[["op",2,"credits",1,"3",0,"0",[["second","1500000000000"]]]],8640000000000000]'

/** The same with what most accounts have not. */
const SUBSCRIBED: AccountState = {
  ...STATE,
  subscriptions: [
    {
      seq: 7,
      startedAtMs: 1,
      terms: {
        plan: 'pro',
        version: 2,
        name: 'Pro',
        every: { unit: 'month', count: 1 },
        timeZone: 'UTC',
        credits: [{ creditType: 'credits', credits: micro(9n), rollover: { percent: 50, cap: micro(3n), periods: 1 } }],
        welcome: [{ creditType: 'credits', credits: micro(2n), lifeDays: null }],
        trial: { days: 7, credits: [{ creditType: 'credits', credits: micro(1n) }] },
        price: { amountMinor: 900, currency: 'eur' },
      },
      anchorMs: 2,
      phase: 'running',
      period: { index: 0, startMs: 2, endMs: 3 },
      grants: [8],
      hasBegun: true,
      change: null,
      isCanceled: false,
      credit: { amountMinor: 4, currency: 'eur' },
      collection: {
        amountMinor: 900,
        currency: 'eur',
        change: null,
        declines: 1,
        nextAttemptMs: null,
        graceEndsMs: 6,
        attempt: {
          seq: 9,
          amountMinor: 900,
          currency: 'eur',
          via: 'page',
          provider: 'sandbox',
          isLive: false,
          customer: null,
          method: null,
          payment: null,
          page: { reference: 'r', url: 'u' },
          expiresAtMs: 5,
        },
        lastFailure: 'declined',
      },
      lastPayment: { amountMinor: 900, currency: 'eur', payment: 'p', atMs: 2 },
      ended: null,
      metadata: { a: 'b' },
    },
  ],
  paymentMethod: { provider: 'sandbox', isLive: false, customer: 'c', method: 'm', label: 'visa 4242', fingerprint: null },
  clock: { clock: 'clk_1', nowMs: 1 },
}

const PLAN_TEXT =
  '{"plan":"pro","version":2,"name":"Pro","every":{"unit":"month","count":1},"timeZone":"UTC",' +
  '"credits":[{"creditType":"credits","credits":"9","rollover":{"percent":50,"cap":"3","periods":1}}],' +
  '"welcome":[{"creditType":"credits","credits":"2","lifeDays":null}],' +
  '"trial":{"days":7,"credits":[{"creditType":"credits","credits":"1"}]},"price":{"amountMinor":900,"currency":"eur"}}'
const SUBSCRIBED_TEXT =
  `${STATE_TEXT.slice(0, -1)},{"subscriptions":[{"seq":7,"startedAtMs":1,"terms":${PLAN_TEXT},"anchorMs":2,"phase":"running",` +
  '"period":{"index":0,"startMs":2,"endMs":3},"grants":[8],"hasBegun":true,"change":null,"isCanceled":false,' +
  '"credit":{"amountMinor":4,"currency":"eur"},"collection":{"amountMinor":900,"currency":"eur","change":null,"declines":1,' +
  '"nextAttemptMs":null,"graceEndsMs":6,"attempt":{"seq":9,"amountMinor":900,"currency":"eur","via":"page","provider":"sandbox",' +
  '"isLive":false,"customer":null,"method":null,"payment":null,"expiresAtMs":5,"page":{"reference":"r","url":"u"}},"lastFailure":"declined"},' +
  '"lastPayment":{"amountMinor":900,"currency":"eur","payment":"p","atMs":2},"ended":null,"metadata":{"a":"b"}}],' +
  '"paymentMethod":{"provider":"sandbox","isLive":false,"customer":"c","method":"m","label":"visa 4242","fingerprint":null},' +
  '"clock":{"clock":"clk_1","nowMs":1}}]'

test('every state is read back as it was written', () => {
  fc.assert(
    fc.property(anyState, (state) => assert.deepEqual(decodeState(encodeState(state)), state)),
    { numRuns: 300 },
  )
})

test('an account without records is read back as it was written', () => {
  assert.deepEqual(decodeState(encodeState(emptyAccount(9))), emptyAccount(9))
})

test('a state that was read and written again gives the same text', () => {
  fc.assert(
    fc.property(anyState, (state) => {
      const written = encodeState(state)
      const read = decodeState(written)
      assert.ok(read)
      assert.equal(encodeState(read), written)
      assert.equal(encodeState(structuredClone(state)), written)
    }),
  )
})

/** The same, with disputes and automatic top-ups. */
const TOPPED_UP: AccountState = {
  ...STATE,
  disputes: ['2 d'],
  autoTopup: {
    terms: {
      isOn: true,
      creditType: 'credits',
      threshold: micro(1n),
      size: { target: micro(2n) },
      monthlyCap: { amountMinor: 5_000, currency: 'eur' },
      consent: { by: 'Ada', text: 'v1' },
    },
    agreedAtMs: 1,
    wantedSinceMs: 2,
    pause: { why: 'cooldown', untilMs: 3 },
    attempt: {
      purchase: 4,
      atMs: 5,
      amountMinor: 1_000,
      currency: 'eur',
      provider: 'sandbox',
      isLive: false,
      customer: 'c',
      method: 'm',
      card: 'f',
      page: 'u',
      isPending: false,
    },
    attemptsMs: [5],
    spent: { startMs: 0, endMs: 9, amountMinor: 1_000, currency: 'eur' },
    declined: [{ card: 'f', declines: 1, nextMs: null }],
    lastFailure: { code: 'card_declined', atMs: 6 },
    lastPaidMs: null,
  },
}
const TOPPED_UP_TEXT =
  `${STATE_TEXT.slice(0, -1)},{"subscriptions":[],"paymentMethod":null,"clock":null,"disputes":["2 d"],"autoTopup":{` +
  '"terms":{"isOn":true,"creditType":"credits","threshold":"1","size":{"target":"2"},"monthlyCap":{"amountMinor":5000,"currency":"eur"},' +
  '"consent":{"by":"Ada","text":"v1"}},"agreedAtMs":1,"wantedSinceMs":2,"pause":{"why":"cooldown","untilMs":3},"attempt":{"purchase":4,' +
  '"atMs":5,"amountMinor":1000,"currency":"eur","provider":"sandbox","isLive":false,"customer":"c","method":"m","card":"f","page":"u",' +
  '"isPending":false},"attemptsMs":[5],"spent":{"startMs":0,"endMs":9,"amountMinor":1000,"currency":"eur"},' +
  '"declined":[{"card":"f","declines":1,"nextMs":null}],"lastFailure":{"code":"card_declined","atMs":6},"lastPaidMs":null}}]'

test('different states give different texts', () => {
  const changes: readonly Partial<AccountState>[] = [
    { number: 6 },
    { seq: 13 },
    { atMs: 1_795_000_000_001 },
    { status: 'suspended' },
    { capturePolicy: null },
    { pools: [] },
    { holds: [] },
    { budgets: [] },
    { keys: 2 },
    { hour: { startMs: 0, rows: STATE.hour.rows } },
    { hour: { startMs: 3_600_000, rows: [] } },
    { dueMs: 0 },
    { subscriptions: SUBSCRIBED.subscriptions },
    { paymentMethod: SUBSCRIBED.paymentMethod },
    { clock: SUBSCRIBED.clock },
    { disputes: ['2 d'] },
    { autoTopup: TOPPED_UP.autoTopup },
  ]
  const written = [STATE, ...changes.map((change) => ({ ...STATE, ...change }))].map(encodeState)
  assert.equal(new Set(written).size, changes.length + 1)
})

test('equal states give equal texts, in whatever order their units were counted', () => {
  const [a, b] = [1n as Decimal, 2n as Decimal]
  const counted = (quantities: UsageRow['quantities']): AccountState => ({
    ...STATE,
    hour: { startMs: 0, rows: STATE.hour.rows.map((row) => ({ ...row, quantities })) },
  })
  const [first, second] = [counted({ input: a, output: b }), counted({ output: b, input: a })]
  assert.deepEqual(first, second)
  assert.equal(encodeState(first), encodeState(second))
})

test('a text of this format never changes shape: another shape needs another format', () => {
  assert.equal(STATE_FORMAT, 3)
  for (const [state, written] of [
    [STATE, STATE_TEXT],
    [SUBSCRIBED, SUBSCRIBED_TEXT],
    [TOPPED_UP, TOPPED_UP_TEXT],
  ] as const) {
    assert.equal(encodeState(state), written)
    assert.deepEqual(decodeState(written), state)
  }
})

test('a text of another format is read as none', () => {
  for (const format of [0, STATE_FORMAT + 1, -1, 1.5, `${STATE_FORMAT}`, null, [STATE_FORMAT], true])
    assert.equal(decodeState(JSON.stringify([format, ...JSON.parse(STATE_TEXT).slice(1)])), undefined, JSON.stringify(format))
  for (const other of ['[]', '{}', '0', '""', '"1"']) assert.equal(decodeState(other), undefined, other)
})

test('a text that is cut off is a fault', () => {
  for (let length = 0; length < STATE_TEXT.length; length++) assert.throws(() => decodeState(STATE_TEXT.slice(0, length)), SyntaxError)
})
