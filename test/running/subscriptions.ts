/** Subscriptions for tests: plans and commands about them, with what tests seldom care about filled in. */

import type { SubscriptionCommand } from '../../src/core/command.ts'
import { type Microcredits, micro, parseCredits } from '../../src/core/credits.ts'
import type { Payment, PaymentMethod } from '../../src/core/payment.ts'
import type { PlanTerms, Rollover } from '../../src/core/plan.ts'
import type { JournalRecord } from '../../src/core/record.ts'
import type { Subscription } from '../../src/core/subscription.ts'
import { evolveSubscription, evolveSubscriptions } from '../../src/core/subscription-fold.ts'

function credits(amount: number): Microcredits {
  return parseCredits(amount) ?? micro(0n)
}

/** What a plan gives unless a test says otherwise: 100 credits a month, for nothing. */
export interface PlanWish extends Partial<Omit<PlanTerms, 'credits' | 'welcome' | 'trial' | 'price' | 'every'>> {
  /** By credit type. */
  readonly gives?: Readonly<Record<string, number>>
  /** Of every credit type. */
  readonly rollover?: { readonly percent: number; readonly cap?: number; readonly periods?: number }
  /** Such as `1 month`. */
  readonly every?: string
  readonly welcome?: number
  readonly trial?: { readonly days: number; readonly credits: number }
  /** In euro cents; by default it costs nothing. */
  readonly price?: number
}

function lengthOf(every: string): PlanTerms['every'] {
  const [, count = '1', unit = 'month'] = /^(\d+) ([a-z]+?)s?$/.exec(every) ?? []
  return { unit: unit as PlanTerms['every']['unit'], count: Number(count) }
}

function rolloverOf(wish: PlanWish['rollover']): Rollover | null {
  if (!wish) return null
  return { percent: wish.percent, cap: wish.cap === undefined ? null : credits(wish.cap), periods: wish.periods ?? 1 }
}

/** A version of a plan. */
export function planOf(wish: PlanWish = {}): PlanTerms {
  const { gives = { credits: 100 }, rollover, every = '1 month', welcome, trial, price, ...terms } = wish
  return {
    plan: 'pro',
    version: 1,
    name: 'Pro',
    timeZone: 'UTC',
    ...terms,
    every: lengthOf(every),
    credits: Object.entries(gives).map(([creditType, amount]) => {
      return { creditType, credits: credits(amount), rollover: rolloverOf(rollover) }
    }),
    welcome: welcome === undefined ? [] : [{ creditType: 'credits', credits: credits(welcome), lifeDays: null }],
    trial: trial ? { days: trial.days, credits: [{ creditType: 'credits', credits: credits(trial.credits) }] } : null,
    price: price === undefined ? null : { amountMinor: price, currency: 'eur' },
  }
}

type StartOptions = Partial<Omit<Extract<SubscriptionCommand, { kind: 'start_subscription' }>, 'kind' | 'terms'>>

export function start(wish: PlanWish = {}, options: StartOptions = {}): SubscriptionCommand {
  return { kind: 'start_subscription', terms: planOf(wish), anchorMs: null, withTrial: true, metadata: {}, ...options }
}

export function change(subscription: number, wish: PlanWish, at: 'now' | 'period_end' = 'now'): SubscriptionCommand {
  return { kind: 'change_plan', subscription, terms: planOf(wish), at }
}

export function pause(subscription: number): SubscriptionCommand {
  return { kind: 'pause_subscription', subscription }
}

export function resume(subscription: number): SubscriptionCommand {
  return { kind: 'resume_subscription', subscription }
}

export function cancel(subscription: number, at: 'now' | 'period_end' = 'period_end'): SubscriptionCommand {
  return { kind: 'cancel_subscription', subscription, at }
}

const PAYEE = { provider: 'sandbox', isLive: false } as const

export function attempt(subscription: number): SubscriptionCommand {
  return { kind: 'attempt_payment', subscription, ...PAYEE }
}

export function openPage(subscription: number, ttlMs = 3_600_000): SubscriptionCommand {
  return { kind: 'open_payment_page', subscription, ...PAYEE, ttlMs }
}

export function linkPage(subscription: number, attemptSeq: number): SubscriptionCommand {
  return { kind: 'link_payment_page', subscription, attempt: attemptSeq, reference: `page ${attemptSeq}`, url: 'https://pay.example/' }
}

export function pend(subscription: number, attemptSeq: number, payment = 'on its way'): SubscriptionCommand {
  return { kind: 'pend_payment', subscription, attempt: attemptSeq, payment }
}

export function decline(subscription: number, attemptSeq: number, mayRetry = true): SubscriptionCommand {
  return { kind: 'fail_payment', subscription, attempt: attemptSeq, code: 'card_declined', mayRetry, isDecline: true }
}

export function closePage(subscription: number, attemptSeq: number): SubscriptionCommand {
  return { kind: 'fail_payment', subscription, attempt: attemptSeq, code: 'page_expired', mayRetry: true, isDecline: false }
}

export function pay(subscription: number, amountMinor: number, payment: Partial<Payment> = {}): SubscriptionCommand {
  const told = { reference: 'page', payment: 'payment', isLive: false, amountMinor, totalMinor: amountMinor, currency: 'eur', ...payment }
  return { kind: 'pay_subscription', subscription, attempt: null, payment: told }
}

type Return = Pick<Extract<SubscriptionCommand, { kind: 'return_payment' }>, 'by' | 'name' | 'amountMinor'>

export function giveBack(subscription: number, attemptSeq: number, wish: Partial<Return> = {}): SubscriptionCommand {
  const told = { by: 'refund', name: 'refund', amountMinor: 100, ...wish } as const
  return { kind: 'return_payment', subscription, attempt: attemptSeq, currency: 'eur', ...told }
}

export const METHOD: PaymentMethod = {
  provider: 'sandbox',
  isLive: false,
  customer: 'customer',
  method: 'card',
  label: 'visa 4242',
  fingerprint: 'f',
}

export function saveMethod(method: Partial<PaymentMethod> = {}): SubscriptionCommand {
  return { kind: 'save_payment_method', method: { ...METHOD, ...method } }
}

/** Something that happens to subscriptions: a command, or time that passes, in ms. */
export type Happening = SubscriptionCommand | number

/** All that can happen to subscriptions; each command is given back the sequence of its record. The last one goes on. */
export function* livesOfSubscriptions(): Generator<Happening, void, number> {
  const dayMs = 86_400_000
  const free = yield start({
    plan: 'free',
    every: '1 week',
    rollover: { percent: 50, periods: 2 },
    welcome: 3,
    trial: { days: 2, credits: 4 },
  })
  yield 10 * dayMs
  yield change(free, { plan: 'small', every: '1 week', gives: { credits: 10, image_credits: 1 } })
  yield change(free, { plan: 'free', every: '1 week' }, 'period_end')
  yield pause(free)
  yield 10 * dayMs
  yield resume(free)
  yield cancel(free)
  yield 10 * dayMs
  yield saveMethod()
  const paid = yield start({ plan: 'paid', price: 900 }, { metadata: { from: 'a test' } })
  const asked = yield attempt(paid)
  yield pend(paid, asked)
  yield pay(paid, 900)
  yield giveBack(paid, asked)
  yield change(paid, { plan: 'dearer', price: 5_000 })
  const page = yield openPage(paid)
  yield linkPage(paid, page)
  yield closePage(paid, page)
  yield pay(paid, 1, { payment: 'not asked for' })
  yield removeMethod()
  yield 31 * dayMs
  yield attempt(paid)
  yield 8 * dayMs
  yield giveBack(paid, asked, { by: 'dispute', name: 'too late' })
  yield start({ plan: 'last', rollover: { percent: 100, cap: 20 }, price: 300 })
}

export function removeMethod(): SubscriptionCommand {
  return { kind: 'remove_payment_method', reason: 'asked for' }
}

/** All subscriptions that an account ever had, as its records leave them; those that have ended, too. */
export function subscriptionsIn(records: readonly JournalRecord[]): readonly Subscription[] {
  const all = new Map<number, Subscription>()
  let live: readonly Subscription[] = []
  for (const record of records) {
    const after = evolveSubscriptions(live, record)
    for (const one of live) if (!after.some(({ seq }) => seq === one.seq)) all.set(one.seq, evolveSubscription(one, record))
    for (const one of after) all.set(one.seq, one)
    live = after
  }
  return [...all.values()]
}
