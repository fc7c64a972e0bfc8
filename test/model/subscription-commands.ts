/** Commands about subscriptions as the model words them, drawn at random, and as the core and stores take them. */

import fc from 'fast-check'
import type { AccountState } from '../../src/core/account.ts'
import type { SubscriptionCommand } from '../../src/core/command.ts'
import type { PlanTerms } from '../../src/core/plan.ts'
import type { JournalRecord } from '../../src/core/record.ts'
import type { Collection, Subscription } from '../../src/core/subscription.ts'
import * as make from '../running/subscriptions.ts'
import type { ModelSubscription, SubscriptionSpec } from './subscription-oracle.ts'

const DAY_MS = 86_400_000
const pick = fc.nat(60)

/** Few plans, so that most changes are between those that there are, and few amounts, so that payments often fit. */
const PLANS: readonly PlanTerms[] = [
  { plan: 'free', rollover: { percent: 50, cap: 20, periods: 2 }, every: '1 week', gives: { credits: 60 } },
  { plan: 'trial', trial: { days: 3, credits: 10 }, welcome: 7, gives: { credits: 40, image_credits: 9 }, rollover: { percent: 100 } },
  { plan: 'monthly', timeZone: 'Europe/Berlin', gives: { credits: 100 }, rollover: { percent: 33 } },
  { plan: 'daily', every: '1 day', gives: { image_credits: 5 } },
  { plan: 'small', price: 500, gives: { credits: 50 }, rollover: { percent: 100, cap: 30 } },
  { plan: 'large', price: 2_000, gives: { credits: 200, image_credits: 11 }, welcome: 5 },
  { plan: 'large', version: 2, price: 1_000, gives: { credits: 90 }, rollover: { percent: 50 } },
  { plan: 'weekly', price: 500, every: '1 week', timeZone: 'Europe/Berlin', gives: { credits: 30 } },
].map(make.planOf)
const ABROAD: PlanTerms = { ...make.planOf({ plan: 'abroad', gives: { credits: 80 } }), price: { amountMinor: 700, currency: 'usd' } }

const plan = fc.constantFrom(...PLANS, ...PLANS, ABROAD)
const at = fc.constantFrom('now' as const, 'period_end' as const)
const few = fc.constantFrom('x', 'y', 'z')

/** Who names things, and finds what was named before. */
export interface SubscriptionNames {
  readonly newName: () => string
  /** One of the latest subscriptions, those that have not ended preferred; now and then nothing that exists. */
  readonly subscription: (at: number) => string
  /** The payment that was last asked for of a subscription, or another one. */
  readonly attempt: (subscription: string, at: number) => string
  readonly nowMs: () => number
  /** What is wanted for it, in minor units, and in which currency. */
  readonly wanted: (subscription: string) => { readonly amountMinor: number; readonly currency: string }
}

type Make = (names: SubscriptionNames) => SubscriptionSpec

const draw = <Drawn>(
  weight: number,
  arbitrary: fc.Arbitrary<Drawn>,
  spec: (drawn: Drawn, names: SubscriptionNames) => SubscriptionSpec,
) => ({
  weight,
  arbitrary: arbitrary.map(
    (drawn): Make =>
      (names) =>
        spec(drawn, names),
  ),
})

/** One command about subscriptions. */
export const subscriptionCommand: fc.Arbitrary<Make> = fc.oneof(
  draw(
    10,
    fc.tuple(plan, fc.constantFrom(null, null, null, 0, 1, 20, 400, -1), fc.boolean()),
    ([terms, daysAgo, withTrial], { newName, nowMs }) => {
      return { do: 'subscribe', as: newName(), plan: terms, anchorMs: daysAgo === null ? null : nowMs() - daysAgo * DAY_MS, withTrial }
    },
  ),
  draw(7, fc.tuple(pick, plan, at), ([which, terms, when], { subscription }) => {
    return { do: 'change_plan', subscription: subscription(which), plan: terms, at: when }
  }),
  draw(4, pick, (which, { subscription }) => ({ do: 'pause', subscription: subscription(which) })),
  draw(5, pick, (which, { subscription }) => ({ do: 'resume', subscription: subscription(which) })),
  draw(2, fc.tuple(pick, at), ([which, when], { subscription }) => ({ do: 'cancel', subscription: subscription(which), at: when })),
  draw(7, pick, (which, { newName, subscription }) => ({ do: 'attempt', as: newName(), subscription: subscription(which) })),
  draw(5, pick, (which, { newName, subscription }) => ({
    do: 'open_page',
    as: newName(),
    subscription: subscription(which),
    ttlMs: DAY_MS,
  })),
  draw(6, pick, (which, { subscription, attempt }) => {
    const name = subscription(which)
    return { do: 'link_page', subscription: name, attempt: attempt(name, which) }
  }),
  draw(3, pick, (which, { subscription, attempt }) => {
    const name = subscription(which)
    return { do: 'pend_payment', subscription: name, attempt: attempt(name, which) }
  }),
  draw(6, fc.tuple(pick, fc.boolean(), fc.boolean()), ([which, mayRetry, isDecline], { subscription, attempt }) => {
    const name = subscription(which)
    return { do: 'fail_payment', subscription: name, attempt: attempt(name, which), mayRetry, isDecline }
  }),
  draw(9, fc.tuple(pick, few, fc.constantFrom(0, 0, 0, 0, 1)), ([which, payment, more], { subscription, attempt, wanted }) => {
    const name = subscription(which)
    const { amountMinor, currency } = wanted(name)
    const told = { payment: `${payment} ${which % 3}`, amountMinor: amountMinor + more, currency }
    return { do: 'pay_plan', subscription: name, attempt: which % 2 === 0 ? attempt(name, which) : null, ...told }
  }),
  draw(2, fc.tuple(pick, few, fc.constantFrom(100, 500)), ([which, refund, amountMinor], { subscription, attempt }) => {
    const name = subscription(which)
    return { do: 'return_payment', subscription: name, attempt: attempt(name, which), refund, amountMinor }
  }),
  draw(2, few, (method) => ({ do: 'save_method', method })),
  draw(1, fc.constant(null), () => ({ do: 'remove_method' })),
)

/** A command of the model, as the core takes it; `seq` finds what was named. */
export function coreCommandOf(command: SubscriptionSpec, seq: (name: string) => number): SubscriptionCommand {
  switch (command.do) {
    case 'subscribe': {
      const { plan: terms, anchorMs, withTrial } = command
      return { kind: 'start_subscription', terms, anchorMs, withTrial, metadata: {} }
    }
    case 'change_plan':
      return { kind: 'change_plan', subscription: seq(command.subscription), terms: command.plan, at: command.at }
    case 'pause':
      return make.pause(seq(command.subscription))
    case 'resume':
      return make.resume(seq(command.subscription))
    case 'cancel':
      return make.cancel(seq(command.subscription), command.at)
    case 'attempt':
      return make.attempt(seq(command.subscription))
    case 'open_page':
      return make.openPage(seq(command.subscription), command.ttlMs)
    case 'link_page':
      return make.linkPage(seq(command.subscription), seq(command.attempt))
    case 'pend_payment':
      return make.pend(seq(command.subscription), seq(command.attempt))
    case 'fail_payment': {
      const { mayRetry, isDecline } = command
      const of = { subscription: seq(command.subscription), attempt: seq(command.attempt) }
      return { kind: 'fail_payment', ...of, code: 'card_declined', mayRetry, isDecline }
    }
    case 'pay_plan': {
      const { payment, amountMinor, currency, attempt } = command
      const told = make.pay(seq(command.subscription), amountMinor, { payment, currency })
      return told.kind === 'pay_subscription' ? { ...told, attempt: attempt === null ? null : seq(attempt) } : told
    }
    case 'return_payment': {
      const { refund: name, amountMinor } = command
      return make.giveBack(seq(command.subscription), seq(command.attempt), { by: 'refund', name, amountMinor })
    }
    case 'save_method':
      return make.saveMethod({ method: command.method })
    case 'remove_method':
      return make.removeMethod()
  }
}

/** What can be seen of a subscription, as the state says it. */
export function figuresOfState({ subscriptions }: AccountState): readonly object[] {
  return subscriptions.map((one: Subscription) => {
    const { terms, change, anchorMs, phase, period, hasBegun, isCanceled, credit, collection } = one
    const plans = [terms, change, collection?.change?.terms ?? null].map((each) => each && `${each.plan} ${each.version}`)
    return {
      plans,
      anchorMs,
      phase,
      period: period && [period.startMs, period.endMs],
      hasBegun,
      isCanceled,
      credit: credit && { ...credit },
      due: collection && figuresOfDue(collection),
    }
  })
}

function figuresOfDue({ amountMinor, currency, declines, nextAttemptMs, graceEndsMs, attempt }: Collection): readonly unknown[] {
  return [amountMinor, currency, declines, nextAttemptMs, graceEndsMs, attempt !== null && attempt.payment !== null]
}

/** The same, as the model says it. */
export function figuresOfModel(subscriptions: readonly ModelSubscription[]): readonly object[] {
  return subscriptions.map(({ plan: terms, next, anchorMs, phase, period, hasBegun, isCanceled, credit, due }) => {
    const plans = [terms, next, due?.change?.plan ?? null].map((each) => each && `${each.plan} ${each.version}`)
    return {
      plans,
      anchorMs,
      phase,
      period: period && [period.startMs, period.endMs],
      hasBegun,
      isCanceled,
      credit: credit && { ...credit },
      due: due && [due.amountMinor, due.currency, due.declines, due.nextMs, due.graceMs, due.attempt?.isPending === true],
    }
  })
}

const GIVEN = /^(.*) #(\d+)$/

function givenBy(records: readonly JournalRecord[], subscription: number | undefined): readonly number[] {
  return records.flatMap((record) => (record.kind === 'subscription_granted' && record.subscription === subscription ? [record.seq] : []))
}

/** Sequence of a grant that a subscription has made, by the name that the model gives it; undefined: there is none. */
export function seqOfGiven(name: string, records: readonly JournalRecord[], seq: (name: string) => number | undefined): number | undefined {
  const [, of, number] = GIVEN.exec(name) ?? []
  return of === undefined ? undefined : givenBy(records, seq(of))[Number(number) - 1]
}

/** The names that the model gives to grants which some records have made, of those of a journal. */
export function namesOfGiven(
  records: readonly JournalRecord[],
  journal: readonly JournalRecord[],
  subscriptions: readonly string[],
  seq: (name: string) => number | undefined,
): readonly string[] {
  if (!records.some(({ kind }) => kind === 'subscription_granted')) return []
  const [first] = records
  return subscriptions.flatMap((of) =>
    givenBy(journal, seq(of)).flatMap((grant, index) => (grant >= (first?.seq ?? 0) ? [`${of} #${index + 1}`] : [])),
  )
}
