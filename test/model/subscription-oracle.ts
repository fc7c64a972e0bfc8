/**
 * The naive model's subscriptions: what they give, when, and how they are paid for, written from the rules and not from the core. Every
 * period is counted from its anchor anew, and a plan's every allowance is looked up each time.
 */

import type { Money } from '../../src/core/payment.ts'
import type { PlanTerms } from '../../src/core/plan.ts'
import type { RefusalCode } from '../../src/core/refusals.ts'
import { MAX_SUBSCRIPTIONS } from '../../src/core/subscription.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const RETRIES = [DAY_MS, 2 * DAY_MS, 3 * DAY_MS]
const GRACE_MS = 7 * DAY_MS
const MOST = 9_200_000_000_000_000_000n

type Of = Readonly<{ subscription: string }>

/** What may be asked of subscriptions. */
export type SubscriptionSpec =
  | Readonly<{ do: 'subscribe'; as: string; plan: PlanTerms; anchorMs: number | null; withTrial: boolean }>
  | (Readonly<{ do: 'change_plan'; plan: PlanTerms; at: 'now' | 'period_end' }> & Of)
  | (Readonly<{ do: 'pause' }> & Of)
  | (Readonly<{ do: 'resume' }> & Of)
  | (Readonly<{ do: 'cancel'; at: 'now' | 'period_end' }> & Of)
  | (Readonly<{ do: 'attempt'; as: string }> & Of)
  | (Readonly<{ do: 'open_page'; as: string; ttlMs: number }> & Of)
  | (Readonly<{ do: 'link_page'; attempt: string }> & Of)
  | (Readonly<{ do: 'pend_payment'; attempt: string }> & Of)
  | (Readonly<{ do: 'fail_payment'; attempt: string; mayRetry: boolean; isDecline: boolean }> & Of)
  | (Readonly<{ do: 'pay_plan'; attempt: string | null; payment: string; amountMinor: number; currency: string }> & Of)
  | (Readonly<{ do: 'return_payment'; attempt: string; refund: string; amountMinor: number }> & Of)
  | Readonly<{ do: 'save_method'; method: string }>
  | Readonly<{ do: 'remove_method' }>

interface Attempt {
  readonly name: string
  readonly isLinked: boolean
  readonly isPending: boolean
}

interface Change {
  readonly plan: PlanTerms
  readonly share: Share
}

interface Share {
  readonly left: bigint
  readonly whole: bigint
}

interface Due extends Money {
  readonly change: Change | null
  readonly declines: number
  readonly nextMs: number | null
  readonly graceMs: number | null
  readonly attempt: Attempt | null
}

interface Period {
  /** How many periods after the anchor it begins; −1: a trial. */
  readonly number: number
  readonly startMs: number
  readonly endMs: number
}

/** A subscription that has not ended. */
export interface ModelSubscription {
  readonly name: string
  plan: PlanTerms
  anchorMs: number
  phase: 'trial' | 'running' | 'paused'
  period: Period | null
  /** Names of the grants of the period. */
  grants: readonly string[]
  /** Grants that it has made. */
  made: number
  hasBegun: boolean
  next: PlanTerms | null
  isCanceled: boolean
  credit: Money | null
  due: Due | null
  lastPayment: string | null
}

/** What the account does for its subscriptions. */
export interface Ledger {
  readonly nowMs: number
  subscriptions: ModelSubscription[]
  method: string | null
  /** All that an account has of a type, in micro-credits. */
  allOf(creditType: string): bigint
  give(grant: Readonly<{ name: string; creditType: string; credits: bigint; priority: number; expiresAtMs: number; paid: boolean }>): void
  freeOf(names: readonly string[], creditType: string): bigint
  end(names: readonly string[], how: 'expired' | 'voided'): void
  take(names: readonly string[], creditType: string, credits: bigint): void
}

/** What came of a command: something, nothing that was not so before, or a refusal. */
export type SubscriptionOutcome = 'done' | 'no news' | { readonly no: RefusalCode }

const no = (code: RefusalCode): SubscriptionOutcome => ({ no: code })

/** When a subscription changes by itself. */
export function dueMoment({ period, due }: ModelSubscription): number {
  const graceMs = due === null || due.attempt !== null ? null : due.graceMs
  return Math.min(period?.endMs ?? Number.MAX_SAFE_INTEGER, graceMs ?? Number.MAX_SAFE_INTEGER)
}

/** Lets everything happen that is due at this very moment, one subscription after the other. */
export function passMoment(ledger: Ledger): void {
  for (const one of [...ledger.subscriptions]) {
    const graceMs = one.due === null || one.due.attempt !== null ? null : one.due.graceMs
    if (graceMs !== null && graceMs <= ledger.nowMs) remove(ledger, one)
    else if (one.period !== null && one.period.endMs <= ledger.nowMs) endPeriod(ledger, one, one.period)
  }
}

function remove(ledger: Ledger, one: ModelSubscription): void {
  ledger.subscriptions = ledger.subscriptions.filter((other) => other !== one)
}

function endPeriod(ledger: Ledger, one: ModelSubscription, period: Period): void {
  const { plan: before, phase, anchorMs } = one
  const left = new Map(before.credits.map(({ creditType }) => [creditType, ledger.freeOf(one.grants, creditType)]))
  ledger.end(one.grants, 'expired')
  one.grants = []
  if (one.isCanceled) {
    remove(ledger, one)
    return
  }
  if (phase === 'paused') {
    one.period = null
    rollOver(ledger, one, { plan: before, left, endsMs: (periods) => startOf(anchorMs, before, period.number + 1 + periods) })
    return
  }
  const plan = one.next ?? before
  const isCountedOn = phase === 'running' && isAlike(plan, before)
  if (!isCountedOn) one.anchorMs = period.endMs
  begin(one, plan, isCountedOn ? period.number + 1 : 0)
  const { number } = one.period ?? period
  if (phase !== 'trial') rollOver(ledger, one, { plan: before, left, endsMs: (periods) => startOf(one.anchorMs, plan, number + periods) })
  if (one.due === null) givePeriod(ledger, one)
}

interface Rolling {
  readonly plan: PlanTerms
  readonly left: ReadonlyMap<string, bigint>
  readonly endsMs: (periods: number) => number
}

function rollOver(ledger: Ledger, one: ModelSubscription, { plan, left, endsMs }: Rolling): void {
  for (const { creditType, rollover } of plan.credits) {
    if (rollover === null) continue
    const part = ((left.get(creditType) ?? 0n) * BigInt(rollover.percent)) / 100n
    const credits = rollover.cap !== null && rollover.cap < part ? rollover.cap : part
    give(ledger, one, { creditType, credits, priority: 10, expiresAtMs: endsMs(rollover.periods), paid: false })
  }
}

/** The period that begins takes the customer's money first; what is then wanting is due. */
function begin(one: ModelSubscription, plan: PlanTerms, number: number): void {
  const startMs = startOf(one.anchorMs, plan, number)
  one.plan = plan
  one.period = { number, startMs, endMs: startOf(one.anchorMs, plan, number + 1) }
  one.phase = 'running'
  one.next = null
  one.isCanceled = false
  const { price } = plan
  const usable = price !== null && one.credit?.currency === price.currency ? one.credit.amountMinor : 0
  const used = Math.min(usable, price?.amountMinor ?? 0)
  if (one.credit !== null && used > 0)
    one.credit = one.credit.amountMinor > used ? { ...one.credit, amountMinor: one.credit.amountMinor - used } : null
  const wanting = (price?.amountMinor ?? 0) - used
  const fresh = { change: null, declines: 0, nextMs: startMs, graceMs: null, attempt: null }
  if (price === null || wanting === 0) one.due = null
  else one.due = { ...(one.due?.change === null ? one.due : fresh), amountMinor: wanting, currency: price.currency }
}

function givePeriod(ledger: Ledger, one: ModelSubscription): void {
  const { plan, period, hasBegun } = one
  if (period === null) throw new Error('the model has no period to give for')
  const paid = plan.price !== null
  for (const { creditType, credits } of plan.credits)
    own(one, give(ledger, one, { creditType, credits, priority: 20, expiresAtMs: period.endMs, paid }))
  one.hasBegun = true
  if (hasBegun) return
  for (const { creditType, credits, lifeDays } of plan.welcome) {
    const expiresAtMs = lifeDays === null ? Number.MAX_SAFE_INTEGER : ledger.nowMs + lifeDays * DAY_MS
    give(ledger, one, { creditType, credits, priority: 30, expiresAtMs, paid: false })
  }
}

function own(one: ModelSubscription, name: string | null): void {
  if (name !== null) one.grants = [...one.grants, name]
}

/** Gives as much as the account can hold. */
function give(
  ledger: Ledger,
  one: ModelSubscription,
  grant: Readonly<{ creditType: string; credits: bigint; priority: number; expiresAtMs: number; paid: boolean }>,
): string | null {
  const room = MOST - ledger.allOf(grant.creditType)
  const credits = grant.credits < room ? grant.credits : room
  if (credits <= 0n) return null
  one.made += 1
  const name = `${one.name} #${one.made}`
  ledger.give({ ...grant, name, credits })
  return name
}

/** Does what is asked. */
export function perform(ledger: Ledger, command: SubscriptionSpec): SubscriptionOutcome {
  if (command.do === 'save_method') return saveMethod(ledger, command.method)
  if (command.do === 'remove_method') return removeMethod(ledger)
  if (command.do === 'subscribe') return subscribe(ledger, command)
  // What goes back of a payment is put on record, whatever has become of the subscription, and takes no credits.
  if (command.do === 'return_payment') return 'done'
  const one = ledger.subscriptions.find(({ name }) => name === command.subscription)
  if (command.do === 'pay_plan') return pay(ledger, one, command)
  if ('attempt' in command) {
    const attempt = one?.due?.attempt
    return one?.due && attempt?.name === command.attempt ? hear(ledger, one, one.due, command) : 'no news'
  }
  if (!one) return no('subscription_not_found')
  switch (command.do) {
    case 'attempt':
      return attempt(ledger, one, command.as)
    case 'open_page':
      return openPage(one, command.as)
    case 'change_plan':
      return changePlan(ledger, one, command)
    case 'pause':
      return pause(one)
    case 'resume':
      return resume(ledger, one)
    case 'cancel':
      return cancel(ledger, one, command.at)
  }
}

function plansOf({ plan, next, due }: ModelSubscription): readonly string[] {
  return [plan.plan, next?.plan ?? plan.plan, due?.change?.plan.plan ?? plan.plan]
}

function subscribe(ledger: Ledger, { as: name, plan, anchorMs, withTrial }: Extract<SubscriptionSpec, { do: 'subscribe' }>) {
  const { subscriptions, nowMs } = ledger
  if (subscriptions.some((other) => plansOf(other).includes(plan.plan))) return no('already_subscribed')
  if (subscriptions.length >= MAX_SUBSCRIPTIONS) return no('too_many_subscriptions')
  if (anchorMs !== null && anchorMs > nowMs) return no('anchor_in_future')
  const one: ModelSubscription = {
    name,
    plan,
    anchorMs: anchorMs ?? nowMs,
    phase: 'running',
    period: null,
    grants: [],
    made: 0,
    hasBegun: false,
    next: null,
    isCanceled: false,
    credit: null,
    due: null,
    lastPayment: null,
  }
  ledger.subscriptions = [...subscriptions, one]
  if (plan.trial !== null && withTrial) {
    const days = { every: { unit: 'day', count: plan.trial.days }, timeZone: plan.timeZone } as const
    one.anchorMs = startOf(nowMs, days, 1)
    one.phase = 'trial'
    one.period = { number: -1, startMs: nowMs, endMs: one.anchorMs }
    for (const { creditType, credits } of plan.trial.credits)
      own(one, give(ledger, one, { creditType, credits, priority: 30, expiresAtMs: one.anchorMs, paid: false }))
    return 'done'
  }
  let number = 0
  while (startOf(one.anchorMs, plan, number + 1) <= nowMs) number += 1
  begin(one, plan, number)
  if (one.due === null) givePeriod(ledger, one)
  return 'done'
}

function isUnpaid({ due }: ModelSubscription): boolean {
  return due !== null && due.change === null
}

/** Why nothing can be changed in a period; undefined: it can. */
function inactive(one: ModelSubscription): SubscriptionOutcome | undefined {
  if (one.phase !== 'running' || one.isCanceled) return no('subscription_not_active')
  return isUnpaid(one) ? no('subscription_unpaid') : undefined
}

function forgetChange(one: ModelSubscription): void {
  one.next = null
  if (one.due?.change) one.due = null
}

function pause(one: ModelSubscription): SubscriptionOutcome {
  if (one.phase === 'paused') return 'no news'
  if (one.due?.attempt) return no('payment_in_flight')
  const wrong = inactive(one)
  if (wrong) return wrong
  const { next } = one
  forgetChange(one)
  one.next = next
  one.phase = 'paused'
  return 'done'
}

function resume(ledger: Ledger, one: ModelSubscription): SubscriptionOutcome {
  if (one.phase !== 'paused' && !one.isCanceled) return no('subscription_not_paused')
  if (one.period !== null) {
    one.phase = one.phase === 'trial' ? 'trial' : 'running'
    one.isCanceled = false
    return 'done'
  }
  one.anchorMs = ledger.nowMs
  begin(one, one.next ?? one.plan, 0)
  one.grants = []
  if (one.due === null) givePeriod(ledger, one)
  return 'done'
}

function cancel(ledger: Ledger, one: ModelSubscription, at: 'now' | 'period_end'): SubscriptionOutcome {
  if (at === 'period_end' && one.isCanceled) return 'no news'
  if (one.due?.attempt) return no('payment_in_flight')
  if (at === 'period_end' && one.phase !== 'paused' && !isUnpaid(one)) {
    forgetChange(one)
    one.isCanceled = true
    return 'done'
  }
  if (at === 'now') ledger.end(one.grants, 'voided')
  remove(ledger, one)
  return 'done'
}

type Changing = Extract<SubscriptionSpec, { do: 'change_plan' }>

function isSamePlan(a: PlanTerms, b: PlanTerms): boolean {
  return a.plan === b.plan && a.version === b.version
}

/** Why a plan cannot be changed to; undefined: it can. */
function wrongChange(ledger: Ledger, one: ModelSubscription, plan: PlanTerms): SubscriptionOutcome | undefined {
  if (one.due?.attempt) return no('payment_in_flight')
  if (isSamePlan(one.plan, plan) && one.next === null && !one.due?.change) return no('plan_unchanged')
  if (one.isCanceled) return no('subscription_not_active')
  if (ledger.subscriptions.some((other) => other !== one && plansOf(other).includes(plan.plan))) return no('already_subscribed')
  const currency = one.plan.price?.currency ?? one.credit?.currency ?? plan.price?.currency
  return plan.price !== null && currency !== plan.price.currency ? no('plan_currency_differs') : undefined
}

function changePlan(ledger: Ledger, one: ModelSubscription, { plan, at }: Changing): SubscriptionOutcome {
  const wrong = wrongChange(ledger, one, plan)
  if (wrong) return wrong
  if (at === 'period_end' || one.phase !== 'running') {
    const isSame = isSamePlan(one.plan, plan)
    forgetChange(one)
    one.next = isSame ? null : plan
    return 'done'
  }
  if (one.period === null) throw new Error('the model has no period to change a plan in')
  const notNow = inactive(one)
  if (notNow) return notNow
  const share = { left: BigInt(one.period.endMs - ledger.nowMs), whole: BigInt(one.period.endMs - one.period.startMs) }
  const wanting = costOf(one, plan, share)
  const currency = plan.price?.currency ?? one.plan.price?.currency ?? one.credit?.currency ?? ''
  if (wanting > 0) {
    one.next = null
    const nothing = { declines: 0, nextMs: ledger.nowMs, graceMs: null, attempt: null }
    one.due = { amountMinor: wanting, currency, change: { plan, share }, ...nothing }
    return 'done'
  }
  changeNow(ledger, one, { plan, share })
  one.credit = wanting < 0 ? { amountMinor: -wanting, currency } : null
  return 'done'
}

/** What a change costs: below zero, what is left over. */
function costOf(one: ModelSubscription, plan: PlanTerms, share: Share): number {
  const back = partOf(BigInt(one.plan.price?.amountMinor ?? 0), share)
  const full = BigInt(plan.price?.amountMinor ?? 0)
  const cost = isAlike(one.plan, plan) ? partOf(full, share) : full
  return Number(cost - back) - (one.credit?.amountMinor ?? 0)
}

function partOf(amount: bigint, { left, whole }: Share): bigint {
  return (amount * left) / whole
}

/** Of the old plan what the rest of the period was meant for goes, of the new one as much comes; what was spent of the old is taken off. */
function changeNow(ledger: Ledger, one: ModelSubscription, { plan, share }: Change): void {
  const { plan: before } = one
  const isOne = isAlike(before, plan)
  const amountIn = ({ credits }: PlanTerms, type: string): bigint => credits.find(({ creditType }) => creditType === type)?.credits ?? 0n
  const types = new Set([...before.credits, ...plan.credits].map(({ creditType }) => creditType))
  const moves = [...types].map((type) => {
    const unused = partOf(amountIn(before, type), share)
    const unspent = ledger.freeOf(one.grants, type)
    const taken = unused < unspent ? unused : unspent
    const wanted = (isOne ? partOf(amountIn(plan, type), share) : amountIn(plan, type)) - (unused - taken)
    const given = wanted > 0n ? wanted : 0n
    const both = !isOne ? 0n : taken < given ? taken : given
    return { type, taken: taken - both, given: given - both }
  })
  const old = one.grants
  forgetChange(one)
  one.plan = plan
  if (!isOne) {
    one.anchorMs = ledger.nowMs
    one.period = { number: 0, startMs: ledger.nowMs, endMs: startOf(ledger.nowMs, plan, 1) }
    one.grants = []
  }
  const { endMs } = one.period ?? { endMs: 0 }
  for (const { type, taken, given } of moves) {
    ledger.take(old, type, taken)
    own(one, give(ledger, one, { creditType: type, credits: given, priority: 20, expiresAtMs: endMs, paid: plan.price !== null }))
  }
}

function removeMethod(ledger: Ledger): SubscriptionOutcome {
  if (ledger.method === null) return 'no news'
  ledger.method = null
  return 'done'
}

function saveMethod(ledger: Ledger, method: string): SubscriptionOutcome {
  if (ledger.method === method) return 'no news'
  ledger.method = method
  for (const one of ledger.subscriptions) if (one.due?.attempt === null) one.due = { ...one.due, nextMs: ledger.nowMs }
  return 'done'
}

function openPage(one: ModelSubscription, name: string): SubscriptionOutcome {
  if (one.due === null) return no('nothing_to_pay')
  if (one.due.attempt !== null) return no('payment_in_flight')
  one.due = { ...one.due, attempt: { name, isLinked: false, isPending: false }, nextMs: null }
  return 'done'
}

function attempt(ledger: Ledger, one: ModelSubscription, name: string): SubscriptionOutcome {
  const { due } = one
  if (due === null || due.attempt !== null || due.nextMs === null || due.nextMs > ledger.nowMs) return 'no news'
  if (ledger.method === null) fail(ledger, one, due, { mayRetry: false, isDecline: false })
  else one.due = { ...due, attempt: { name, isLinked: false, isPending: false }, nextMs: null }
  return 'done'
}

/** Later attempts wait longer and longer; after the last, and for a change, there is none. A change that is not paid for keeps nothing up. */
function fail(
  ledger: Ledger,
  one: ModelSubscription,
  due: Due,
  { mayRetry, isDecline }: Readonly<{ mayRetry: boolean; isDecline: boolean }>,
): void {
  const declines = due.declines + (isDecline ? 1 : 0)
  const wait = declines === 0 ? 0 : RETRIES[declines - 1]
  const isAgain = mayRetry && due.change === null && wait !== undefined
  const graceMs = due.change === null ? Math.max(ledger.nowMs, due.graceMs ?? ledger.nowMs + GRACE_MS) : null
  one.due = { ...due, attempt: null, declines, nextMs: isAgain ? ledger.nowMs + wait : null, graceMs }
}

type Heard = Extract<SubscriptionSpec, { do: 'link_page' | 'pend_payment' | 'fail_payment' }>

/** What is heard of the attempt that is in flight. */
function hear(ledger: Ledger, one: ModelSubscription, due: Due, command: Heard): SubscriptionOutcome {
  const { attempt: known } = due
  if (known === null) throw new Error('the model has no such attempt')
  if (command.do === 'fail_payment') {
    fail(ledger, one, due, command)
    return 'done'
  }
  const field = command.do === 'link_page' ? 'isLinked' : 'isPending'
  if (known[field]) return 'no news'
  one.due = { ...due, attempt: { ...known, [field]: true } }
  return 'done'
}

function pay(ledger: Ledger, one: ModelSubscription | undefined, told: Extract<SubscriptionSpec, { do: 'pay_plan' }>): SubscriptionOutcome {
  if (!one) return 'done'
  if (one.lastPayment === told.payment) return 'no news'
  const { due } = one
  if (due === null) return 'done'
  if (due.amountMinor !== told.amountMinor || due.currency !== told.currency) {
    if (due.attempt !== null && due.attempt.name === told.attempt) fail(ledger, one, due, { mayRetry: false, isDecline: false })
    return 'done'
  }
  one.due = null
  one.lastPayment = told.payment
  if (due.change === null) givePeriod(ledger, one)
  else {
    changeNow(ledger, one, due.change)
    one.credit = null
  }
  return 'done'
}

type Counting = Pick<PlanTerms, 'every' | 'timeZone'>

function isAlike(a: Counting, b: Counting): boolean {
  return a.every.unit === b.every.unit && a.every.count === b.every.count && a.timeZone === b.timeZone
}

const offsets: Record<string, Intl.DateTimeFormat> = {}

/** What is added to a moment for the wall clock of a zone. */
function offsetAt(atMs: number, timeZone: string): number {
  if (timeZone === 'UTC') return 0
  offsets[timeZone] ??= new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
  const name = offsets[timeZone].formatToParts(atMs).find(({ type }) => type === 'timeZoneName')?.value ?? ''
  const [, sign = '+', hours = '0', minutes = '0'] = /GMT([+-])(\d\d):(\d\d)/.exec(name) ?? []
  return (sign === '-' ? -1 : 1) * (Number(hours) * HOUR_MS + Number(minutes) * 60_000)
}

/** The moment so many periods after an anchor: at its time of day; on the last day of a month that lacks its day. */
export function startOf(anchorMs: number, { every: { unit, count }, timeZone }: Counting, periods: number): number {
  if (periods === 0) return anchorMs
  const local = new Date(anchorMs + offsetAt(anchorMs, timeZone))
  const timeOfDay = local.getTime() - Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate())
  const steps = periods * count
  if (unit === 'day' || unit === 'week') return momentAt(local.getTime() + steps * (unit === 'week' ? 7 : 1) * DAY_MS, timeZone)
  const [year, month] = [local.getUTCFullYear(), local.getUTCMonth() + steps * (unit === 'year' ? 12 : 1)]
  let day = local.getUTCDate()
  while (new Date(Date.UTC(year, month, day)).getUTCDate() !== day) day -= 1
  return momentAt(Date.UTC(year, month, day) + timeOfDay, timeZone)
}

/** The first moment at which a wall clock shows a time; a time that it jumps over is the end of the jump, which is at a whole hour. */
function momentAt(wallMs: number, timeZone: string): number {
  const [before, after] = [offsetAt(wallMs - DAY_MS, timeZone), offsetAt(wallMs + DAY_MS, timeZone)]
  const moments = [wallMs - before, wallMs - after].sort((a, b) => a - b)
  const exact = moments.find((moment) => moment + offsetAt(moment, timeZone) === wallMs)
  return exact ?? Math.floor((wallMs - before) / HOUR_MS) * HOUR_MS
}
