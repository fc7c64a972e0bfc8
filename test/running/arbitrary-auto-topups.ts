/** Automatic top-ups made at random: for what is written down and must be read back. */

import fc from 'fast-check'
import type { AutoTopupTerms } from '../../src/core/auto-topup-facts.ts'
import type { AutoTopup, AutoTopupAttempt } from '../../src/core/auto-topup-state.ts'
import { MAX_MICROCREDITS, micro } from '../../src/core/credits.ts'
import { money } from './arbitrary-plans.ts'

/** Null prototypes would never come out of JSON, so the made objects have none. */
const PLAIN = { noNullPrototype: true } as const

const amount = fc.bigInt({ min: -MAX_MICROCREDITS, max: MAX_MICROCREDITS }).map(micro)
const seq = fc.integer({ min: 1, max: 2 ** 40 - 1 })
const ms = fc.integer({ min: 0, max: 8_640_000_000_000_000 })
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
const minor = fc.nat()
const currency = fc.constantFrom('usd', 'eur', 'jpy')

export const autoTopupTerms: fc.Arbitrary<AutoTopupTerms> = fc.record(
  {
    isOn: fc.boolean(),
    creditType: text,
    threshold: amount,
    size: fc.oneof(fc.record({ target: amount }, PLAIN), fc.record({ amountMinor: minor }, PLAIN)),
    monthlyCap: money,
    consent: fc.record({ by: text, text }, PLAIN),
  },
  PLAIN,
)

const attempt: fc.Arbitrary<AutoTopupAttempt> = fc.record(
  {
    purchase: seq,
    atMs: ms,
    amountMinor: minor,
    currency,
    provider: text,
    isLive: fc.boolean(),
    customer: text,
    method: text,
    card: text,
    page: fc.option(text),
    isPending: fc.boolean(),
  },
  PLAIN,
)

export const autoTopup: fc.Arbitrary<AutoTopup> = fc.record(
  {
    terms: fc.option(autoTopupTerms),
    agreedAtMs: ms,
    wantedSinceMs: fc.option(ms),
    pause: fc.option(fc.record({ why: fc.constantFrom('cooldown', 'money', 'no_payment_method'), untilMs: fc.option(ms) }, PLAIN)),
    attempt: fc.option(attempt),
    attemptsMs: fc.array(ms, { maxLength: 4 }),
    spent: fc.option(fc.record({ startMs: ms, endMs: ms, amountMinor: minor, currency }, PLAIN)),
    declined: fc.array(fc.record({ card: text, declines: fc.nat(), nextMs: fc.option(ms) }, PLAIN), { maxLength: 3 }),
    lastFailure: fc.option(fc.record({ code: text, atMs: ms }, PLAIN)),
    lastPaidMs: fc.option(ms),
  },
  PLAIN,
)
