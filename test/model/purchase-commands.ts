/** Commands about purchases as the model words them, drawn at random, and as the core and stores take them. */

import fc from 'fast-check'
import type { AccountState } from '../../src/core/account.ts'
import type { PurchaseCommand } from '../../src/core/command.ts'
import { MICRO, micro } from '../../src/core/credits.ts'
import type { PurchaseFacts } from '../../src/core/purchase.ts'
import { takenFrom } from '../../src/core/purchase.ts'
import { paymentOf, termsOf } from '../running/purchases.ts'
import type { Command, Oracle } from './oracle.ts'

/** The part of the model's commands that is about purchases. */
export type PaymentCommand = Extract<Command, { readonly purchase: string }> | Extract<Command, { readonly do: 'open_checkout' }>

const DAY_MS = 86_400_000
const whole = (amount: number): bigint => BigInt(amount) * MICRO
const nullOr = <Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> => fc.option(arbitrary, { nil: null, freq: 2 })

/** Few amounts, so that refunds and disputes often come to all that was paid, and to more. */
const PRICES = [300, 1_000] as const
const minor = fc.constantFrom(100, 100, 300, 500, 1_000)
const lasts = nullOr(fc.constantFrom(60_000, DAY_MS, 9 * DAY_MS))
const wish = fc.record({
  creditType: fc.constantFrom('credits', 'credits', 'image_credits'),
  credits: fc.constantFrom(whole(10), whole(33), 33_333_333n, whole(100)),
  bonus: nullOr(fc.constantFrom(whole(5), whole(20))),
  lastsMs: lasts,
  bonusLastsMs: lasts,
  amountMinor: fc.constantFrom(...PRICES),
  ttlMs: fc.constantFrom(30 * 60_000, DAY_MS),
  isLive: fc.constantFrom(false, false, false, false, false, false, true),
})
const grantDays = fc.constantFrom(1, 30)
const outcome = fc.constantFrom('won' as const, 'lost' as const)

/** Who names things, and finds what was named before. */
export interface Names {
  readonly newName: () => string
  /** One of the latest purchases; now and then nothing that exists. */
  readonly purchase: (at: number) => string
  readonly request: (at: number) => string
  /** The purchase that a refund was asked for of; nothing that exists, if there is no such request. */
  readonly purchaseOf: (request: string) => string
  /** What a purchase costs. */
  readonly priceOf: (purchase: string) => number
}

type Make = (names: Names) => PaymentCommand

const draw = <Drawn>(weight: number, arbitrary: fc.Arbitrary<Drawn>, make: (drawn: Drawn, names: Names) => PaymentCommand) => ({
  weight,
  arbitrary: arbitrary.map(
    (drawn): Make =>
      (names) =>
        make(drawn, names),
  ),
})
const pick = fc.nat(60)
/** The provider's names of payments, refunds and disputes: few, so that much is told twice, and out of order. */
const few = fc.constantFrom('x', 'y', 'z')

/** One command about purchases. */
export const paymentCommand: fc.Arbitrary<Make> = fc.oneof(
  draw(5, wish, (drawn, names) => ({ do: 'open_checkout', as: names.newName(), ...drawn })),
  draw(8, fc.tuple(pick, few, fc.constantFrom(0, 0, 0, 0, 1)), ([at, payment, more], names) => {
    const purchase = names.purchase(at)
    return { do: 'pay', as: names.newName(), purchase, payment, amountMinor: names.priceOf(purchase) + more }
  }),
  draw(1, pick, (at, names) => ({ do: 'link_checkout', purchase: names.purchase(at) })),
  draw(2, fc.tuple(pick, fc.constantFrom('expired', 'canceled')), ([at, outcome], names) => ({
    do: 'close_checkout',
    purchase: names.purchase(at),
    outcome,
  })),
  draw(1, fc.tuple(pick, fc.constantFrom(60_000, 9 * DAY_MS)), ([at, ttlMs], names) => ({
    do: 'pend_checkout',
    purchase: names.purchase(at),
    ttlMs,
  })),
  draw(5, fc.tuple(pick, nullOr(minor)), ([at, amountMinor], names) => ({
    do: 'ask_refund',
    as: names.newName(),
    purchase: names.purchase(at),
    amountMinor,
  })),
  draw(6, pick, (at, names) => {
    const request = names.request(at)
    return { do: 'deny_refund', purchase: names.purchaseOf(request), request }
  }),
  draw(6, fc.tuple(pick, few, minor, nullOr(pick)), ([at, refund, amountMinor, which], names) => ({
    do: 'refund_payment',
    as: names.newName(),
    purchase: names.purchase(at),
    refund,
    amountMinor,
    request: which === null ? null : names.request(which),
  })),
  draw(4, fc.tuple(pick, few, minor, grantDays), ([at, refund, amountMinor, days], names) => ({
    do: 'fail_refund',
    as: names.newName(),
    purchase: names.purchase(at),
    refund,
    amountMinor,
    grantDays: days,
  })),
  draw(4, fc.tuple(pick, few, minor), ([at, dispute, amountMinor], names) => ({
    do: 'open_dispute',
    as: names.newName(),
    purchase: names.purchase(at),
    dispute,
    amountMinor,
  })),
  draw(4, fc.tuple(pick, few, minor, outcome, grantDays), ([at, dispute, amountMinor, how, days], names) => ({
    do: 'close_dispute',
    as: names.newName(),
    purchase: names.purchase(at),
    dispute,
    amountMinor,
    outcome: how,
    grantDays: days,
  })),
)

/** Whether a command of the model is about purchases. */
export function isPaymentCommand(command: Command): command is PaymentCommand {
  return command.do === 'open_checkout' || 'purchase' in command
}

/** A command of the model, as the core takes it; `seq` finds what was named. */
export function commandOf(command: PaymentCommand, seq: (name: string) => number): PurchaseCommand {
  if (command.do === 'open_checkout') {
    const { creditType, credits, bonus, lastsMs, bonusLastsMs, amountMinor, ttlMs, isLive = false } = command
    const bought = { ...termsOf({ creditType, amountMinor, lifeMs: lastsMs, isLive }), credits: micro(credits) }
    const terms = { ...bought, bonus: bonus === null ? null : { credits: micro(bonus), lifeMs: bonusLastsMs } }
    return { kind: 'open_checkout', terms, ttlMs }
  }
  const purchase = seq(command.purchase)
  switch (command.do) {
    case 'link_checkout':
      return { kind: 'link_checkout', purchase, reference: `page ${purchase}`, url: `https://pay.example/${purchase}` }
    case 'pend_checkout':
      return { kind: 'pend_checkout', purchase, ttlMs: command.ttlMs }
    case 'close_checkout':
      return { kind: 'close_checkout', purchase, outcome: command.outcome }
    case 'pay':
      return { kind: 'fulfil', purchase, payment: paymentOf(purchase, { payment: command.payment, amountMinor: command.amountMinor }) }
    case 'ask_refund':
      return { kind: 'request_topup_refund', purchase, amountMinor: command.amountMinor, reason: '' }
    case 'deny_refund':
      return { kind: 'refuse_topup_refund', purchase, request: seq(command.request), reason: '' }
    case 'refund_payment': {
      const { refund, amountMinor, request } = command
      return { kind: 'refund_topup', purchase, refund, amountMinor, request: request === null ? null : seq(request) }
    }
    case 'fail_refund': {
      const { refund, amountMinor, grantDays: days } = command
      return { kind: 'reverse_topup_refund', purchase, refund, amountMinor, request: null, grantDays: days }
    }
    case 'open_dispute':
      return { kind: 'open_dispute', purchase, dispute: command.dispute, amountMinor: command.amountMinor }
    case 'close_dispute': {
      const { dispute, amountMinor, outcome: how, grantDays: days } = command
      return { kind: 'close_dispute', purchase, dispute, amountMinor, outcome: how, grantDays: days }
    }
  }
}

/** What is frozen of a purchase, was taken of it, and was lost unspent, as the model says it. */
export type PurchaseFigures = ReturnType<ReturnType<Oracle['look']>['purchase']>

/** The same, as the state and what is kept of the purchase say it. */
export function figuresOf({ purchase, ended }: PurchaseFacts, state: AccountState): PurchaseFigures {
  const parts = state.freezes.filter((freeze) => freeze.purchase === purchase.seq).flatMap((freeze) => freeze.parts)
  return { frozen: parts.reduce((sum, { held }) => sum + held, 0n), taken: takenFrom(purchase), lost: ended }
}
