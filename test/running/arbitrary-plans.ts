/** Plans, subscriptions and what is known of payments, made at random: for what is written down and must be read back. */

import fc from 'fast-check'
import type { CountedPeriod } from '../../src/core/calendar.ts'
import { MAX_MICROCREDITS, micro } from '../../src/core/credits.ts'
import type { Money, Payment, PaymentMethod } from '../../src/core/payment.ts'
import type { PlanTerms } from '../../src/core/plan.ts'
import type { Collection, PaymentAttempt, Subscription } from '../../src/core/subscription.ts'
import type { Begun, Proration } from '../../src/core/subscription-facts.ts'

/** Null prototypes would never come out of JSON, so the made objects have none. */
const PLAIN = { noNullPrototype: true } as const

const amount = fc.bigInt({ min: -MAX_MICROCREDITS, max: MAX_MICROCREDITS }).map(micro)
const seq = fc.integer({ min: 1, max: 2 ** 40 - 1 })
const ms = fc.integer({ min: 0, max: 8_640_000_000_000_000 })
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
const texts = fc.dictionary(text, text, { ...PLAIN, maxKeys: 4 })
const currency = fc.constantFrom('usd', 'eur', 'jpy')

export const money: fc.Arbitrary<Money> = fc.record({ amountMinor: fc.nat(), currency }, PLAIN)

export const payment: fc.Arbitrary<Payment> = fc.record(
  { reference: text, payment: text, isLive: fc.boolean(), amountMinor: fc.nat(), totalMinor: fc.nat(), currency },
  PLAIN,
)

export const paymentMethod: fc.Arbitrary<PaymentMethod> = fc.record(
  { provider: text, isLive: fc.boolean(), customer: text, method: text, label: text, fingerprint: fc.option(text) },
  PLAIN,
)

const allowance = { creditType: text, credits: amount }
const rollover = fc.record({ percent: fc.integer({ min: 1, max: 100 }), cap: fc.option(amount), periods: fc.nat() }, PLAIN)

export const planTerms: fc.Arbitrary<PlanTerms> = fc.record(
  {
    plan: text,
    version: fc.nat(),
    name: text,
    every: fc.record({ unit: fc.constantFrom('day', 'week', 'month', 'year'), count: fc.nat() }, PLAIN),
    timeZone: text,
    credits: fc.array(fc.record({ ...allowance, rollover: fc.option(rollover) }, PLAIN), { maxLength: 3 }),
    welcome: fc.array(fc.record({ ...allowance, lifeDays: fc.option(fc.nat()) }, PLAIN), { maxLength: 2 }),
    trial: fc.option(fc.record({ days: fc.nat(), credits: fc.array(fc.record(allowance, PLAIN), { maxLength: 2 }) }, PLAIN)),
    price: fc.option(money),
  },
  PLAIN,
)

export const period: fc.Arbitrary<CountedPeriod> = fc.record({ index: fc.integer({ min: -1 }), startMs: ms, endMs: ms }, PLAIN)

export const proration: fc.Arbitrary<Proration> = fc.record(
  { remainingMs: ms, periodMs: ms, creditedMinor: fc.nat(), chargedMinor: fc.nat() },
  PLAIN,
)

/** The fields of what begins, apart from what is due. */
export const BEGINNING = { terms: planTerms, anchorMs: ms, period, credit: fc.option(money) }
export const begun: fc.Arbitrary<Begun> = fc.record({ ...BEGINNING, due: fc.option(money) }, PLAIN)

const attempt: fc.Arbitrary<PaymentAttempt> = fc.record(
  {
    seq,
    amountMinor: fc.nat(),
    currency,
    via: fc.constantFrom('method', 'page'),
    provider: text,
    isLive: fc.boolean(),
    customer: fc.option(text),
    method: fc.option(text),
    payment: fc.option(text),
    page: fc.option(fc.record({ reference: text, url: text }, PLAIN)),
    expiresAtMs: fc.option(ms),
  },
  PLAIN,
)

const collection: fc.Arbitrary<Collection> = fc.record(
  {
    amountMinor: fc.nat(),
    currency,
    change: fc.option(fc.record({ terms: planTerms, proration }, PLAIN)),
    declines: fc.nat(),
    nextAttemptMs: fc.option(ms),
    graceEndsMs: fc.option(ms),
    attempt: fc.option(attempt),
    lastFailure: fc.option(text),
  },
  PLAIN,
)

export const subscription: fc.Arbitrary<Subscription> = fc.record(
  {
    seq,
    startedAtMs: ms,
    terms: planTerms,
    anchorMs: ms,
    phase: fc.constantFrom('trial', 'running', 'paused', 'ended'),
    period: fc.option(period),
    grants: fc.array(seq, { maxLength: 3 }),
    hasBegun: fc.boolean(),
    change: fc.option(planTerms),
    isCanceled: fc.boolean(),
    credit: fc.option(money),
    collection: fc.option(collection),
    lastPayment: fc.option(fc.record({ amountMinor: fc.nat(), currency, payment: text, atMs: ms }, PLAIN)),
    ended: fc.option(fc.record({ atMs: ms, reason: fc.constantFrom('canceled', 'unpaid') }, PLAIN)),
    metadata: texts,
  },
  PLAIN,
)
