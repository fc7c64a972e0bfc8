import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as alerts from '../../test/running/alerts.ts'
import { autoTopupTerms } from '../../test/running/arbitrary-auto-topups.ts'
import * as plans from '../../test/running/arbitrary-plans.ts'
import type { GrantTerms } from './account.ts'
import { MAX_MICROCREDITS, micro, ZERO } from './credits.ts'
import type { Decimal } from './decimal.ts'
import type { CheckoutTerms } from './payment.ts'
import type { Charged, JournalRecord, KeyTerms, NewGrant, Refunded } from './record.ts'
import { decodeKeyTerms, decodeRecord, encodeKeyTerms, encodeRecord } from './record-codec.ts'

type Kind = JournalRecord['kind']
type RecordOf<K extends Kind> = Extract<JournalRecord, { kind: K }>

/** Null prototypes would never come out of JSON, so the made objects have none. */
const PLAIN = { noNullPrototype: true } as const

const amount = fc.bigInt({ min: -MAX_MICROCREDITS, max: MAX_MICROCREDITS }).map(micro)
const seq = fc.integer({ min: 1, max: 2 ** 40 - 1 })
const ms = fc.integer({ min: 0, max: 8_640_000_000_000_000 })
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,20}$/)
const texts = fc.dictionary(text, text, { ...PLAIN, maxKeys: 4 })
const creditType = fc.constantFrom('credits', 'image_credits', 'high_quality_video_credits')
const quantity = fc.bigInt({ min: 0n, max: 10n ** 27n - 1n }).map((value) => value as Decimal)
const quantities = fc.dictionary(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,12}$/), quantity, { ...PLAIN, maxKeys: 4 })
const policy = fc.constantFrom('reject', 'cap', 'overdraft', null)
const timeZone = fc.constantFrom('UTC', 'America/New_York')
const period = fc.constantFrom('lifetime', 'day', 'week', 'month')

const head = {
  seq,
  atMs: ms,
  actor: fc.oneof(
    fc.constantFrom('operator' as const, 'provider' as const, 'time' as const),
    name.map((id) => `key_${id}` as const),
  ),
  requestId: fc.option(text),
  events: fc.subarray(['credits.exhausted', 'credits.recovered', 'key.budget_reached'] as const),
}
const movement = fc.record(
  { grant: fc.oneof(fc.constant(0), seq), remaining: amount, held: amount, remainingAfter: amount, heldAfter: amount },
  PLAIN,
)
const credits = {
  ...head,
  creditType,
  movements: fc.array(movement, { maxLength: 4 }),
  balance: fc.record({ settled: amount, held: amount }, PLAIN),
}
const work = {
  operation: name,
  key: fc.option(seq),
  quantities,
  attributes: texts,
  priceVersion: fc.option(seq),
  metadata: texts,
}
const holdAfter = fc.record({ total: amount, held: amount, expiresAtMs: ms }, PLAIN)
const endings = { expired: amount, voided: amount }
const profile = { name: text, externalId: fc.option(text), metadata: texts, capturePolicy: policy }
const grantTerms = {
  source: fc.constantFrom('plan', 'topup', 'promo', 'rollover', 'refund', 'adjustment'),
  priority: fc.integer({ min: -1_000, max: 1_000 }),
  effectiveAtMs: ms,
  expiresAtMs: fc.option(ms),
  paid: fc.boolean(),
  purchase: fc.option(seq),
}
const cost = fc.record({ amountMinor: fc.nat(), currency: fc.constantFrom('usd', 'eur', 'jpy') }, PLAIN)
const newGrant: fc.Arbitrary<NewGrant> = fc.record({ ...grantTerms, amount, cost: fc.option(cost), metadata: texts }, PLAIN)
const reopened: fc.Arbitrary<GrantTerms> = fc.record({ seq, ...grantTerms }, PLAIN)
const terms: fc.Arbitrary<KeyTerms> = fc.record(
  {
    name: text,
    budget: fc.option(fc.record({ limit: fc.option(amount), period, timeZone, maxPerCharge: fc.option(amount) }, PLAIN)),
    rateLimit: fc.option(fc.record({ requests: fc.nat(), windowSeconds: fc.nat() }, PLAIN)),
    expiresAtMs: fc.option(ms),
    operations: fc.option(fc.array(name, { maxLength: 3 })),
    scopes: fc.subarray(['keys:write'] as const),
    metadata: texts,
  },
  PLAIN,
)
const secret = fc.record({ hash: text, hint: text }, PLAIN)

const checkoutTerms: fc.Arbitrary<CheckoutTerms> = fc.record(
  {
    provider: name,
    isLive: fc.boolean(),
    amountMinor: fc.nat(),
    currency: fc.constantFrom('usd', 'eur', 'jpy'),
    creditType,
    credits: amount,
    lifeMs: fc.option(ms),
    bonus: fc.option(fc.record({ credits: amount, lifeMs: fc.option(ms) }, PLAIN)),
    pack: fc.option(text),
    optionsVersion: fc.nat(),
    successUrl: fc.option(text),
    cancelUrl: fc.option(text),
    metadata: texts,
  },
  PLAIN,
)
const { payment } = plans
const refund = {
  charge: seq,
  credits: amount,
  operation: name,
  key: fc.option(seq),
  chargedAtMs: ms,
  reason: text,
  reopened: fc.array(reopened, { maxLength: 3 }),
  grant: fc.option(newGrant),
}
const ofSubscription = { ...head, subscription: seq }
const due = fc.option(plans.money)
const ofPurchase = { ...head, purchase: seq }
const creditsOfPurchase = { ...credits, purchase: seq }

function only<const K extends Kind>(kind: K): { readonly kind: fc.Arbitrary<K> } {
  return { kind: fc.constant(kind) }
}

/** Every kind of record, made at random. The type makes a new kind, or a new field, a compile error here. */
const RECORDS: { readonly [K in Kind]: fc.Arbitrary<RecordOf<K>> } = {
  account_created: fc.record(
    { ...only('account_created'), ...head, ...profile, clock: fc.option(fc.record({ clock: text, nowMs: ms }, PLAIN)) },
    PLAIN,
  ),
  account_updated: fc.record({ ...only('account_updated'), ...head, ...profile, status: fc.constantFrom('active', 'suspended') }, PLAIN),
  key_created: fc.record({ ...only('key_created'), ...head, terms, secret }, PLAIN),
  key_updated: fc.record({ ...only('key_updated'), ...head, key: seq, terms }, PLAIN),
  key_rotated: fc.record({ ...only('key_rotated'), ...head, key: seq, secret, previousUntilMs: ms }, PLAIN),
  key_revoked: fc.record({ ...only('key_revoked'), ...head, key: seq }, PLAIN),
  alert_created: fc.record({ ...only('alert_created'), ...head, watch: alerts.watch, terms: alerts.terms }, PLAIN),
  alert_updated: fc.record({ ...only('alert_updated'), ...head, alert: seq, terms: alerts.terms }, PLAIN),
  alert_deleted: fc.record({ ...only('alert_deleted'), ...head, alert: seq }, PLAIN),
  grant: fc.record({ ...only('grant'), ...credits, grant: newGrant }, PLAIN),
  grant_expired: fc.record({ ...only('grant_expired'), ...credits, grant: seq, credits: amount, dueMs: ms }, PLAIN),
  grant_voided: fc.record({ ...only('grant_voided'), ...credits, grant: seq, credits: amount, reason: text }, PLAIN),
  adjustment: fc.record({ ...only('adjustment'), ...credits, credits: amount, reason: text }, PLAIN),
  debt_repaid: fc.record({ ...only('debt_repaid'), ...credits, dueMs: ms }, PLAIN),
  charge: fc.record({ ...only('charge'), ...credits, ...work, credits: amount }, PLAIN),
  hold: fc.record({ ...only('hold'), ...credits, ...work, credits: amount, expiresAtMs: ms, policy }, PLAIN),
  hold_extended: fc.record({ ...only('hold_extended'), ...head, hold: seq, after: holdAfter }, PLAIN),
  hold_increased: fc.record({ ...only('hold_increased'), ...credits, hold: seq, credits: amount, after: holdAfter }, PLAIN),
  capture: fc.record(
    {
      ...only('capture'),
      ...credits,
      ...work,
      ...endings,
      hold: seq,
      credits: amount,
      final: fc.boolean(),
      unheld: amount,
      draws: fc.nat(4),
    },
    PLAIN,
  ),
  late_capture: fc.record({ ...only('late_capture'), ...credits, ...work, hold: seq, credits: amount }, PLAIN),
  hold_released: fc.record({ ...only('hold_released'), ...credits, ...endings, hold: seq, credits: amount, after: holdAfter }, PLAIN),
  hold_expired: fc.record({ ...only('hold_expired'), ...credits, ...endings, hold: seq, credits: amount, dueMs: ms }, PLAIN),
  refund: fc.record({ ...only('refund'), ...credits, ...refund }, PLAIN),
  outcome_reported: fc.record(
    { ...only('outcome_reported'), ...credits, ...refund, outcome: fc.constantFrom('failed', 'succeeded') },
    PLAIN,
  ),
  subscription_started: fc.record(
    { ...only('subscription_started'), ...head, ...plans.BEGINNING, due, isTrial: fc.boolean(), metadata: texts },
    PLAIN,
  ),
  subscription_renewed: fc.record({ ...only('subscription_renewed'), ...ofSubscription, ...plans.BEGINNING, due, dueMs: ms }, PLAIN),
  subscription_period_ended: fc.record({ ...only('subscription_period_ended'), ...ofSubscription, dueMs: ms }, PLAIN),
  subscription_granted: fc.record(
    {
      ...only('subscription_granted'),
      ...credits,
      subscription: seq,
      why: fc.constantFrom('period', 'trial', 'welcome', 'rollover', 'change'),
      dueMs: ms,
      grant: newGrant,
    },
    PLAIN,
  ),
  subscription_reduced: fc.record({ ...only('subscription_reduced'), ...credits, subscription: seq, credits: amount }, PLAIN),
  subscription_changed: fc.record(
    { ...only('subscription_changed'), ...ofSubscription, ...plans.BEGINNING, proration: plans.proration },
    PLAIN,
  ),
  subscription_change_planned: fc.record(
    { ...only('subscription_change_planned'), ...ofSubscription, terms: fc.option(plans.planTerms) },
    PLAIN,
  ),
  subscription_change_due: fc.record(
    { ...only('subscription_change_due'), ...ofSubscription, terms: plans.planTerms, due: plans.money, proration: plans.proration },
    PLAIN,
  ),
  subscription_paused: fc.record({ ...only('subscription_paused'), ...ofSubscription }, PLAIN),
  subscription_resumed: fc.record({ ...only('subscription_resumed'), ...ofSubscription, begun: fc.option(plans.begun) }, PLAIN),
  subscription_canceled: fc.record({ ...only('subscription_canceled'), ...ofSubscription }, PLAIN),
  subscription_ended: fc.record(
    { ...only('subscription_ended'), ...ofSubscription, reason: fc.constantFrom('canceled', 'unpaid'), dueMs: ms },
    PLAIN,
  ),
  subscription_payment_attempted: fc.record(
    {
      ...only('subscription_payment_attempted'),
      ...ofSubscription,
      amountMinor: fc.nat(),
      currency: fc.constantFrom('usd', 'eur'),
      via: fc.constantFrom('method', 'page'),
      provider: name,
      isLive: fc.boolean(),
      customer: fc.option(text),
      method: fc.option(text),
      expiresAtMs: fc.option(ms),
    },
    PLAIN,
  ),
  subscription_payment_linked: fc.record(
    { ...only('subscription_payment_linked'), ...ofSubscription, attempt: seq, reference: text, url: text },
    PLAIN,
  ),
  subscription_payment_pending: fc.record(
    { ...only('subscription_payment_pending'), ...ofSubscription, attempt: seq, payment: text },
    PLAIN,
  ),
  subscription_payment_failed: fc.record(
    {
      ...only('subscription_payment_failed'),
      ...ofSubscription,
      attempt: fc.option(seq),
      code: text,
      isDecline: fc.boolean(),
      nextAttemptMs: fc.option(ms),
      graceEndsMs: fc.option(ms),
    },
    PLAIN,
  ),
  subscription_paid: fc.record(
    {
      ...only('subscription_paid'),
      ...ofSubscription,
      attempt: fc.option(seq),
      covers: fc.record({ plan: text, version: seq, name: text, startMs: ms, endMs: ms, isChange: fc.boolean() }, PLAIN),
      payment,
    },
    PLAIN,
  ),
  subscription_payment_returned: fc.record(
    {
      ...only('subscription_payment_returned'),
      ...ofSubscription,
      attempt: seq,
      by: fc.constantFrom('refund', 'dispute', 'failed_refund'),
      name: text,
      amountMinor: seq,
      currency: text,
    },
    PLAIN,
  ),
  subscription_payment_mismatched: fc.record(
    {
      ...only('subscription_payment_mismatched'),
      ...ofSubscription,
      attempt: fc.option(seq),
      reason: fc.constantFrom('amount', 'currency', 'mode', 'not_due', 'ended'),
      payment,
    },
    PLAIN,
  ),
  payment_method_saved: fc.record({ ...only('payment_method_saved'), ...head, method: plans.paymentMethod }, PLAIN),
  payment_method_removed: fc.record({ ...only('payment_method_removed'), ...head, reason: text }, PLAIN),
  clock_advanced: fc.record({ ...only('clock_advanced'), ...head, nowMs: ms }, PLAIN),
  auto_topup_set: fc.record({ ...only('auto_topup_set'), ...head, terms: autoTopupTerms }, PLAIN),
  auto_topup_removed: fc.record({ ...only('auto_topup_removed'), ...head }, PLAIN),
  auto_topup_attempted: fc.record(
    { ...only('auto_topup_attempted'), ...head, terms: checkoutTerms, expiresAtMs: ms, customer: text, method: text, card: text },
    PLAIN,
  ),
  auto_topup_failed: fc.record(
    { ...only('auto_topup_failed'), ...ofPurchase, code: text, isDecline: fc.boolean(), nextAttemptMs: fc.option(ms) },
    PLAIN,
  ),
  auto_topup_capped: fc.record({ ...only('auto_topup_capped'), ...head, limit: fc.constantFrom('money', 'attempts'), untilMs: ms }, PLAIN),
  auto_topup_blocked: fc.record(
    { ...only('auto_topup_blocked'), ...head, reason: fc.constantFrom('no_payment_method', 'not_on_sale'), untilMs: fc.option(ms) },
    PLAIN,
  ),
  auto_topup_stood_down: fc.record({ ...only('auto_topup_stood_down'), ...head }, PLAIN),
  checkout_opened: fc.record({ ...only('checkout_opened'), ...head, terms: checkoutTerms, expiresAtMs: ms }, PLAIN),
  checkout_linked: fc.record({ ...only('checkout_linked'), ...ofPurchase, reference: text, url: text }, PLAIN),
  checkout_pending: fc.record({ ...only('checkout_pending'), ...ofPurchase, expiresAtMs: ms }, PLAIN),
  checkout_expired: fc.record({ ...only('checkout_expired'), ...ofPurchase }, PLAIN),
  checkout_closed: fc.record(
    { ...only('checkout_closed'), ...ofPurchase, outcome: fc.constantFrom('expired', 'failed', 'canceled') },
    PLAIN,
  ),
  payment_mismatched: fc.record(
    { ...only('payment_mismatched'), ...ofPurchase, reason: fc.constantFrom('amount', 'currency', 'mode', 'paid_before'), payment },
    PLAIN,
  ),
  topup_refund_requested: fc.record({ ...only('topup_refund_requested'), ...ofPurchase, amountMinor: fc.nat(), reason: text }, PLAIN),
  topup_refund_refused: fc.record({ ...only('topup_refund_refused'), ...ofPurchase, request: seq, reason: text }, PLAIN),
  topup: fc.record({ ...only('topup'), ...creditsOfPurchase, payment, grant: newGrant }, PLAIN),
  topup_refunded: fc.record(
    { ...only('topup_refunded'), ...creditsOfPurchase, refund: text, request: fc.option(seq), amountMinor: fc.nat(), credits: amount },
    PLAIN,
  ),
  topup_refund_reversed: fc.record(
    {
      ...only('topup_refund_reversed'),
      ...creditsOfPurchase,
      refund: text,
      request: fc.option(seq),
      amountMinor: fc.nat(),
      credits: amount,
      reopened: fc.array(reopened, { maxLength: 3 }),
      grant: fc.option(newGrant),
    },
    PLAIN,
  ),
  dispute_opened: fc.record({ ...only('dispute_opened'), ...creditsOfPurchase, dispute: text, amountMinor: fc.nat() }, PLAIN),
  dispute_closed: fc.record(
    {
      ...only('dispute_closed'),
      ...creditsOfPurchase,
      dispute: text,
      amountMinor: fc.nat(),
      outcome: fc.constantFrom('won', 'lost'),
      freeze: fc.option(seq),
      credits: amount,
      voided: amount,
      grant: fc.option(newGrant),
    },
    PLAIN,
  ),
}

/** What a row of each kind must say; anything else has a default and may be missing. */
const HEAD = ['actor']
const CREDITS = [...HEAD, 'creditType', 'balance']
const REQUIRED: Readonly<Record<Kind, readonly string[]>> = {
  account_created: [...HEAD, 'name'],
  account_updated: [...HEAD, 'name', 'status'],
  key_created: [...HEAD, 'terms', 'secret'],
  key_updated: [...HEAD, 'key', 'terms'],
  key_rotated: [...HEAD, 'key', 'secret', 'previousUntilMs'],
  key_revoked: [...HEAD, 'key'],
  alert_created: [...HEAD, 'watch', 'terms'],
  alert_updated: [...HEAD, 'alert', 'terms'],
  alert_deleted: [...HEAD, 'alert'],
  // A grant's own terms have a test of their own.
  grant: CREDITS,
  grant_expired: [...CREDITS, 'grant', 'credits', 'dueMs'],
  grant_voided: [...CREDITS, 'grant', 'credits', 'reason'],
  adjustment: [...CREDITS, 'credits', 'reason'],
  debt_repaid: [...CREDITS, 'dueMs'],
  charge: [...CREDITS, 'operation', 'credits'],
  hold: [...CREDITS, 'operation', 'credits', 'expiresAtMs'],
  hold_extended: [...HEAD, 'hold', 'after'],
  hold_increased: [...CREDITS, 'hold', 'credits', 'after'],
  capture: [...CREDITS, 'operation', 'hold', 'credits', 'final', 'unheld', 'draws', 'expired', 'voided'],
  late_capture: [...CREDITS, 'operation', 'hold', 'credits'],
  hold_released: [...CREDITS, 'hold', 'credits', 'expired', 'voided', 'after'],
  hold_expired: [...CREDITS, 'hold', 'credits', 'expired', 'voided', 'dueMs'],
  refund: [...CREDITS, 'charge', 'credits', 'operation', 'chargedAtMs', 'reason'],
  outcome_reported: [...CREDITS, 'charge', 'credits', 'operation', 'chargedAtMs', 'reason', 'outcome'],
  subscription_started: [...HEAD, 'terms', 'anchorMs', 'period', 'isTrial'],
  subscription_renewed: [...HEAD, 'subscription', 'terms', 'anchorMs', 'period', 'dueMs'],
  subscription_period_ended: [...HEAD, 'subscription', 'dueMs'],
  subscription_granted: [...CREDITS, 'subscription', 'why', 'dueMs', 'grant'],
  subscription_reduced: [...CREDITS, 'subscription', 'credits'],
  subscription_changed: [...HEAD, 'subscription', 'terms', 'anchorMs', 'period', 'proration'],
  subscription_change_planned: [...HEAD, 'subscription'],
  subscription_change_due: [...HEAD, 'subscription', 'terms', 'due', 'proration'],
  subscription_paused: [...HEAD, 'subscription'],
  subscription_resumed: [...HEAD, 'subscription'],
  subscription_canceled: [...HEAD, 'subscription'],
  subscription_ended: [...HEAD, 'subscription', 'reason', 'dueMs'],
  subscription_payment_attempted: [...HEAD, 'subscription', 'amountMinor', 'currency', 'via', 'provider', 'isLive'],
  subscription_payment_linked: [...HEAD, 'subscription', 'attempt', 'reference', 'url'],
  subscription_payment_pending: [...HEAD, 'subscription', 'attempt', 'payment'],
  subscription_payment_failed: [...HEAD, 'subscription', 'code', 'isDecline'],
  subscription_paid: [...HEAD, 'subscription', 'covers', 'payment'],
  subscription_payment_returned: [...HEAD, 'subscription', 'attempt', 'by', 'name', 'amountMinor', 'currency'],
  subscription_payment_mismatched: [...HEAD, 'subscription', 'reason', 'payment'],
  payment_method_saved: [...HEAD, 'method'],
  payment_method_removed: [...HEAD, 'reason'],
  clock_advanced: [...HEAD, 'nowMs'],
  auto_topup_set: [...HEAD, 'terms'],
  auto_topup_removed: HEAD,
  auto_topup_attempted: [...HEAD, 'terms', 'expiresAtMs', 'customer', 'method', 'card'],
  auto_topup_failed: [...HEAD, 'purchase', 'code', 'isDecline'],
  auto_topup_capped: [...HEAD, 'limit', 'untilMs'],
  auto_topup_blocked: [...HEAD, 'reason'],
  auto_topup_stood_down: HEAD,
  checkout_opened: [...HEAD, 'terms', 'expiresAtMs'],
  checkout_linked: [...HEAD, 'purchase', 'reference', 'url'],
  checkout_pending: [...HEAD, 'purchase', 'expiresAtMs'],
  checkout_expired: [...HEAD, 'purchase'],
  checkout_closed: [...HEAD, 'purchase', 'outcome'],
  payment_mismatched: [...HEAD, 'purchase', 'reason', 'payment'],
  topup_refund_requested: [...HEAD, 'purchase', 'amountMinor', 'reason'],
  topup_refund_refused: [...HEAD, 'purchase', 'request', 'reason'],
  topup: [...CREDITS, 'purchase', 'payment', 'grant'],
  topup_refunded: [...CREDITS, 'purchase', 'refund', 'amountMinor', 'credits'],
  topup_refund_reversed: [...CREDITS, 'purchase', 'refund', 'amountMinor', 'credits'],
  dispute_opened: [...CREDITS, 'purchase', 'dispute', 'amountMinor'],
  dispute_closed: [...CREDITS, 'purchase', 'dispute', 'amountMinor', 'outcome', 'credits', 'voided'],
}

function decodeBody({ seq: at, atMs, kind }: JournalRecord, body: string): JournalRecord {
  return decodeRecord({ seq: at, atMs, kind, body })
}

/** The body of a record with some of its fields set anew; undefined takes one out. */
function changed(record: JournalRecord, fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...(JSON.parse(encodeRecord(record)) as object), ...fields })
}

for (const [kind, records] of Object.entries<fc.Arbitrary<JournalRecord>>(RECORDS)) {
  test(`records of kind ${kind} are read back as they were written`, () => {
    fc.assert(fc.property(records, (record) => assert.deepEqual(decodeBody(record, encodeRecord(record)), record)))
  })

  test(`a record of kind ${kind} always gives the same text, in whatever order it was built`, () => {
    fc.assert(
      fc.property(records, (record) => {
        const written = encodeRecord(record)
        const rebuilt = Object.fromEntries(Object.entries(structuredClone(record)).reverse()) as unknown as JournalRecord
        assert.equal(encodeRecord(rebuilt), written)
        assert.equal(encodeRecord(decodeBody(record, written)), written)
      }),
    )
  })

  test(`a record of kind ${kind} is read back from a row of another time`, () => {
    fc.assert(
      fc.property(records, ms, (record, rowAtMs) => {
        const { seq: at, kind: of } = record
        assert.deepEqual(decodeRecord({ seq: at, atMs: rowAtMs, kind: of, body: encodeRecord(record, rowAtMs) }), record)
      }),
    )
  })

  test(`a row of kind ${kind} that lacks a field is a fault, unless the field has a default`, () => {
    const [record] = fc.sample(records, { numRuns: 1, seed: 1 })
    assert.ok(record)
    const body: Readonly<Record<string, unknown>> = JSON.parse(encodeRecord(record))
    const required = REQUIRED[record.kind]
    for (const field of required) {
      assert.ok(field in body, field)
      assert.throws(() => decodeBody(record, changed(record, { [field]: undefined })), /lacks/, field)
    }
    const least = Object.fromEntries(Object.entries(body).filter(([field]) => required.includes(field)))
    if (kind !== 'grant') assert.doesNotThrow(() => decodeBody(record, JSON.stringify(least)))
  })
}

const CHARGE: Charged = {
  kind: 'charge',
  seq: 7,
  atMs: 1_795_000_000_000,
  actor: 'key_0000000000000002',
  requestId: 'req_1',
  events: ['credits.exhausted'],
  creditType: 'credits',
  movements: [{ grant: 3, remaining: micro(-330_000_001n), held: ZERO, remainingAfter: ZERO, heldAfter: ZERO }],
  balance: { settled: ZERO, held: ZERO },
  operation: 'transcription',
  key: 2,
  quantities: { second: 1_500_000_000_000n as Decimal },
  attributes: { quality: 'premium' },
  priceVersion: 4,
  metadata: { job: '9' },
  credits: micro(330_000_001n),
}

const REFUND: Refunded = {
  kind: 'refund',
  seq: 9,
  atMs: 1_795_000_000_000,
  actor: 'operator',
  requestId: null,
  events: [],
  creditType: 'credits',
  movements: [],
  balance: { settled: micro(-MAX_MICROCREDITS), held: micro(MAX_MICROCREDITS) },
  charge: 7,
  credits: micro(1n),
  operation: 'transcription',
  key: null,
  chargedAtMs: 1_795_000_000_000,
  reason: 'failed',
  reopened: [{ seq: 3, source: 'plan', priority: 20, effectiveAtMs: 0, expiresAtMs: null, paid: false, purchase: null }],
  grant: {
    source: 'refund',
    priority: 35,
    effectiveAtMs: 1,
    expiresAtMs: 2,
    paid: true,
    purchase: null,
    amount: micro(1n),
    cost: null,
    metadata: {},
  },
}

test('journals written with these texts stay readable: the texts never change', () => {
  const written =
    '{"operation":"transcription","key":2,"quantities":{"second":"1.5"},"attributes":{"quality":"premium"},"priceVersion":4,' +
    '"metadata":{"job":"9"},"creditType":"credits","movements":[[3,"-330000001","0","0","0"]],"balance":["0","0"],' +
    '"credits":"330000001","actor":"key_0000000000000002","requestId":"req_1","events":["credits.exhausted"]}'
  assert.equal(encodeRecord(CHARGE), written)
  assert.deepEqual(decodeBody(CHARGE, written), CHARGE)
  const refunded =
    '{"creditType":"credits","balance":["-9200000000000000000","9200000000000000000"],"charge":7,"credits":"1",' +
    '"operation":"transcription","chargedAtMs":1795000000000,"reason":"failed",' +
    '"reopened":[{"seq":3,"source":"plan","priority":20,"effectiveAtMs":0,"expiresAtMs":null,"paid":false}],' +
    '"grant":{"source":"refund","priority":35,"effectiveAtMs":1,"expiresAtMs":2,"paid":true,"amount":"1","cost":null,"metadata":{}},' +
    '"actor":"operator"}'
  assert.equal(encodeRecord(REFUND), refunded)
  assert.deepEqual(decodeBody(REFUND, refunded), REFUND)
})

test('what is at its default is not said', () => {
  const plain: Charged = {
    ...CHARGE,
    requestId: null,
    events: [],
    movements: [],
    key: null,
    quantities: {},
    attributes: {},
    priceVersion: null,
    metadata: {},
  }
  assert.deepEqual(Object.keys(JSON.parse(encodeRecord(plain))), ['operation', 'creditType', 'balance', 'credits', 'actor'])
})

test('a text says no place, time or kind: the row does', () => {
  const moved = { seq: CHARGE.seq + 1, atMs: 5, kind: 'charge', body: encodeRecord(CHARGE) }
  assert.deepEqual(decodeRecord(moved), { ...CHARGE, seq: CHARGE.seq + 1, atMs: 5 })
})

test('a row of an unknown kind is a fault', () => {
  for (const kind of ['', 'Charge', 'charges', '__proto__', 'constructor'])
    assert.throws(() => decodeRecord({ seq: 1, atMs: 1, kind, body: encodeRecord(CHARGE) }), /unknown kind/, kind)
})

test('a row whose text is cut off, or is no object, is a fault', () => {
  const written = encodeRecord(CHARGE)
  for (let length = 0; length < written.length; length++) assert.throws(() => decodeBody(CHARGE, written.slice(0, length)))
  for (const body of ['null', '[]', '0', '""', 'true', '{}']) assert.throws(() => decodeBody(CHARGE, body), body)
})

test('a grant row that lacks its grant is a fault', () => {
  const [record] = fc.sample(RECORDS.grant, { numRuns: 1, seed: 1 })
  assert.ok(record)
  assert.throws(() => decodeBody(record, changed(record, { grant: undefined })))
})

/** Those of the values that a row gets away with saying where an amount belongs. */
function readable(values: readonly unknown[]): readonly unknown[] {
  return values.filter((value) =>
    [{ credits: value }, { movements: [[3, value, '0', '0', '0']] }, { balance: ['0', value] }].some((damage) => {
      try {
        decodeBody(CHARGE, changed(CHARGE, damage))
        return true
      } catch {
        return false
      }
    }),
  )
}

test('an amount that is no integer of micro-credits is a fault', () => {
  assert.deepEqual(readable(['x', '1.5', '1e3', '1n', null, {}, 1.5]), [])
})

test('an amount that only BigInt takes for an integer, such as an empty text, is a fault', () => {
  assert.deepEqual(readable(['', ' ', ' 1', '0x10', [], ['1'], true]), [])
})

test('movements and balances that are cut short are a fault', () => {
  for (const damage of [
    { movements: [[3, '1', '0', '0']] },
    { movements: [null] },
    { movements: {} },
    { balance: ['0'] },
    { balance: null },
  ])
    assert.throws(() => decodeBody(CHARGE, changed(CHARGE, damage)), JSON.stringify(damage))
})

test('a quantity that is no decimal is a fault', () => {
  for (const second of ['-1', 'x', '', '1e3', null, [], '0.0000000000001'])
    assert.throws(() => decodeBody(CHARGE, changed(CHARGE, { quantities: { second } })), String(second))
})

test('a quantity is kept whatever its unit is called', () => {
  const record: Charged = { ...CHARGE, quantities: Object.fromEntries(['__proto__', 'constructor'].map((unit) => [unit, 5n as Decimal])) }
  assert.deepEqual(decodeBody(record, encodeRecord(record)), record)
})

test("a key's terms are read back from plain JSON", () => {
  fc.assert(fc.property(terms, (sent) => assert.deepEqual(decodeKeyTerms(JSON.parse(JSON.stringify(encodeKeyTerms(sent)))), sent)))
})
