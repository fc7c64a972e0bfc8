/**
 * A naive model of Obol's credits, written from the rules of §3 of the design and from nothing else: it calls no decision
 * code of the core. Everything is a plain list that is searched and sorted anew each time: slow, and easy to believe.
 *
 * It answers plain commands, so it can stand beside the core, a store or the HTTP server. Amounts are bigint micro-credits,
 * times are ms, and grants, holds, charges and keys are known by the names that the caller gives them.
 */

import type { AccountStatus, CapturePolicy, GrantSource } from '../../src/core/account.ts'
import { MAX_KEYS, MAX_OPEN_CHECKOUTS, MAX_OPEN_GRANTS, MAX_OPEN_HOLDS } from '../../src/core/account.ts'
import { MAX_ALERTS } from '../../src/core/alert.ts'
import type { Period } from '../../src/core/calendar.ts'
import { formatCredits, MAX_MICROCREDITS } from '../../src/core/credits.ts'
import { MAX_PURCHASE_EVENTS } from '../../src/core/purchase.ts'
import type { RefusalCode } from '../../src/core/refusals.ts'
import { type AlertSpec, isAboutAlerts, lookAt, type ModelAlert, type Watched } from './alert-oracle.ts'
import { dueMoment, type Ledger, type ModelSubscription, passMoment, perform, type SubscriptionSpec } from './subscription-oracle.ts'

const DAY_MS = 86_400_000
const NEVER = Number.MAX_SAFE_INTEGER
const calendars: Record<string, Intl.DateTimeFormat> = {}
const PRIORITIES: Readonly<Record<GrantSource, number>> = { rollover: 10, plan: 20, promo: 30, adjustment: 30, refund: 35, topup: 40 }

export type BudgetSpec = Readonly<{ limit: bigint | null; period: Period; timeZone: string; maxPerCharge: bigint | null }>

/** What a call would cost in one credit type. */
export type Price = Readonly<{ creditType: string; credits: bigint }>

/** A charge and its name. The first price that the account can pay is what it pays. */
export type ChargeSpec = Readonly<{ as: string; key: string | null; prices: readonly [Price, ...Price[]] }>

/** Null: the source's priority, effective now, expiring never. */
type GrantTimes = Readonly<{ priority: number | null; effectiveAtMs: number | null; expiresAtMs: number | null }>
export type GrantSpec = Readonly<{ as: string; creditType: string; credits: bigint; source: GrantSource; paid: boolean }> & GrantTimes

/** Credits null: all that is held. */
type CaptureSpec = Readonly<{ as: string; hold: string; credits: bigint | null; final: boolean }> &
  Readonly<{ policy: CapturePolicy | null; serverPolicy: CapturePolicy }>

/** Credits null: all that is left of the charge. */
type RefundSpec = Readonly<{ as: string; charge: string; credits: bigint | null; grantDays: number }>

type Management =
  | Readonly<{ do: 'create_account'; policy: CapturePolicy | null; clockMs?: number }>
  | Readonly<{ do: 'update_account'; status: AccountStatus; policy: CapturePolicy | null }>
  | Readonly<{ do: 'create_key'; as: string; budget: BudgetSpec | null }>
  | Readonly<{ do: 'update_key'; key: string; budget: BudgetSpec | null }>
  | Readonly<{ do: 'rotate_key'; key: string }>
  | Readonly<{ do: 'revoke_key'; key: string }>

/** Credits of a type for money; life null: for ever. */
export type PurchaseSpec = Readonly<{ as: string; creditType: string; credits: bigint; lastsMs: number | null; amountMinor: number }> &
  Readonly<{ bonus: bigint | null; bonusLastsMs: number | null; ttlMs: number; isLive?: boolean }>

type DisputeSpec = Readonly<{ purchase: string; dispute: string; amountMinor: number }>

type Payments =
  | (Readonly<{ do: 'open_checkout' }> & PurchaseSpec)
  | Readonly<{ do: 'link_checkout'; purchase: string }>
  | Readonly<{ do: 'close_checkout'; purchase: string; outcome: 'expired' | 'canceled' }>
  | Readonly<{ do: 'pend_checkout'; purchase: string; ttlMs: number }>
  | Readonly<{ do: 'ask_refund'; as: string; purchase: string; amountMinor: number | null }>
  | Readonly<{ do: 'deny_refund'; purchase: string; request: string }>
  | Readonly<{ do: 'pay'; as: string; purchase: string; payment: string; amountMinor: number }>
  | Readonly<{ do: 'refund_payment'; as: string; purchase: string; refund: string; amountMinor: number; request: string | null }>
  | Readonly<{ do: 'fail_refund'; as: string; purchase: string; refund: string; amountMinor: number; grantDays: number }>
  | (Readonly<{ do: 'open_dispute'; as: string }> & DisputeSpec)
  | (Readonly<{ do: 'close_dispute'; as: string; outcome: 'won' | 'lost'; grantDays: number }> & DisputeSpec)

/** What may be asked of one account. */
export type Command =
  | Management
  | Payments
  | SubscriptionSpec
  | AlertSpec
  | Readonly<{ do: 'report_outcome'; as: string; charge: string; outcome: 'failed' | 'succeeded'; percent: number; grantDays: number }>
  | Readonly<{ do: 'advance_clock'; nowMs: number }>
  | (Readonly<{ do: 'grant' }> & GrantSpec)
  | Readonly<{ do: 'void'; grant: string }>
  | Readonly<{ do: 'adjust'; as: string; creditType: string; credits: bigint }>
  | (Readonly<{ do: 'charge' }> & ChargeSpec)
  | Readonly<{ do: 'charge_group'; charges: readonly ChargeSpec[] }>
  | (Readonly<{ do: 'hold'; ttlMs: number; policy: CapturePolicy | null }> & ChargeSpec)
  | Readonly<{ do: 'extend'; hold: string; ttlMs: number }>
  | Readonly<{ do: 'increase'; hold: string; credits: bigint }>
  | Readonly<{ do: 'release'; hold: string }>
  | (Readonly<{ do: 'capture' }> & CaptureSpec)
  | (Readonly<{ do: 'refund' }> & RefundSpec)

type Often = 'grant' | 'void' | 'adjust' | 'charge' | 'charge_group' | 'hold' | 'extend' | 'increase' | 'release' | 'capture' | 'refund'

export type ModelBalance = Readonly<{ settled: bigint; held: bigint }>

/** What a command moved, and the balance of that credit type after it. */
type Done = Readonly<{ ok: true; credits: bigint; creditType: string | null; balance: ModelBalance | null }>

/** What came of a command. */
export type Outcome = Done | Readonly<{ refused: RefusalCode; index: number | null }>

type Named = Readonly<{ name: string; creditType: string }>
type GrantTerms = Named & Readonly<{ priority: number; effectiveAtMs: number; expiresAtMs: number; paid: boolean; purchase?: string }>
type Grant = GrantTerms & {
  /** What of it expired or was voided. */
  lost?: bigint
  /** Not held; what is held of it is in the parts of live holds. */
  free: bigint
  ended: 'expired' | 'voided' | null
}

/** Credits and the grant they are from; null: the debt. */
type Part = Readonly<{ grant: string | null; credits: bigint }>

type Owned = Named & Readonly<{ key: string | null }>
type HoldTerms = Owned & Readonly<{ effectiveAtMs: number; policy: CapturePolicy | null }>
type Hold = HoldTerms & {
  expiresAtMs: number
  parts: readonly Part[]
  status: 'live' | 'captured' | 'released' | 'expired'
  /** What it had set aside when it ended. */
  credits: bigint
  isLateCaptured: boolean
}

type PaymentRefund = Readonly<{ name: string; amountMinor: number; draws: readonly Part[] }> & { hasFailed: boolean }
type Dispute = Readonly<{ name: string; amountMinor: number }> & { frozen: readonly Part[]; taken: bigint; status: 'open' | 'won' | 'lost' }
type Purchase = Named &
  Readonly<{ spec: PurchaseSpec }> & {
    expiresAtMs: number
    isLinked: boolean
    isPending: boolean
    closedAs: 'expired' | 'canceled' | null
    /** Refunds that were asked for; those that wait have no answer. */
    requests: readonly Readonly<{ name: string; amountMinor: number; isAnswered: boolean }>[]
    payment: string | null
    refunds: readonly PaymentRefund[]
    disputes: readonly Dispute[]
    /** Credits that failed refunds took and others claim. */
    kept: bigint
  }

type Charge = Owned & Readonly<{ atMs: number; order: number; draws: readonly Part[] }> & { refunded: bigint }
type Key = Readonly<{ name: string }> & { isRevoked: boolean; budget: (BudgetSpec & { readonly since: number }) | null }
type Totals = Readonly<Record<'debt' | 'granted' | 'charged' | 'refunded' | 'expired' | 'voided', bigint>>

/** A refusal on its way out. */
class No extends Error {
  readonly refused: RefusalCode
  constructor(refused: RefusalCode) {
    super(refused)
    this.refused = refused
  }
}

/** All accounts. A refused command leaves them as they were. */
export class Oracle {
  readonly #accounts = new Map<string, Account>()

  apply(name: string, atMs: number, command: Command): Outcome {
    const known = this.#accounts.get(name)
    if (!known && command.do !== 'create_account') return { refused: 'account_not_found', index: null }
    const account = known ? known.copy() : new Account()
    try {
      const outcome = account.perform(atMs, command)
      account.tellOfAlerts()
      // What is told again changes nothing, not even the account's time.
      if (outcome !== NO_NEWS) this.#accounts.set(name, account.checked())
      return outcome
    } catch (thrown) {
      if (thrown instanceof No) return { refused: thrown.refused, index: command.do === 'charge_group' ? account.groupIndex : null }
      throw thrown
    }
  }

  /** An account as it is at a moment. What is done to it stays there. */
  look(name: string, atMs: number): Account {
    const account = this.#accounts.get(name)?.copy() ?? new Account()
    account.passTime(atMs)
    return account
  }
}

/** One account. Its time is that of the last command that did something, and never goes back. */
class Account implements Ledger, Watched {
  nowMs = 0
  /** The time of its test clock; null: it has none. */
  clockMs: number | null = null
  order = 0
  status: AccountStatus = 'active'
  policy: CapturePolicy | null = null
  grants: Grant[] = []
  holds: Hold[] = []
  charges: Charge[] = []
  purchases: Purchase[] = []
  subscriptions: ModelSubscription[] = []
  alerts: ModelAlert[] = []
  /** What the customer left to pay with; null: nothing. */
  method: string | null = null
  keys: Key[] = []
  sums: Record<string, Totals> = {}
  /** Which charge of a group is being decided. */
  groupIndex = 0

  copy(): Account {
    const { grants, holds, charges, keys, purchases, subscriptions, alerts } = this
    const lists = { grants: clones(grants), holds: clones(holds), charges: clones(charges), keys: clones(keys) }
    const more = { purchases: clones(purchases), subscriptions: clones(subscriptions), alerts: clones(alerts), sums: { ...this.sums } }
    return Object.assign(new Account(), this, lists, more)
  }

  /** What the account has and what of that is held. Grants count from when they are effective. */
  balance(creditType: string): ModelBalance {
    const begun = this.grants.filter((grant) => grant.creditType === creditType && grant.effectiveAtMs <= this.nowMs)
    const held = sum([...this.#live(creditType).flatMap((hold) => hold.parts), ...this.#frozen(creditType)])
    return { settled: begun.reduce((total, grant) => total + grant.free, held) - this.totals(creditType).debt, held }
  }

  totals(creditType: string): Totals {
    return this.sums[creditType] ?? { debt: 0n, granted: 0n, charged: 0n, refunded: 0n, expired: 0n, voided: 0n }
  }

  /** Grants with anything left, in burn order. */
  openGrants(creditType: string): readonly Readonly<{ name: string; remaining: bigint; held: bigint }>[] {
    const grants = this.grants.filter((grant) => grant.creditType === creditType && this.#left(grant) > 0n).sort(burnsBefore)
    return grants.map((grant) => ({ name: grant.name, remaining: this.#left(grant), held: this.#left(grant) - grant.free }))
  }

  /** What counts against a key's budget now; null: it has none. */
  budgetUse(name: string): Readonly<{ spent: bigint; held: bigint }> | null {
    const budget = this.keys.find((key) => key.name === name)?.budget
    if (!budget) return null
    const isCounted = ({ key, order, atMs }: Charge): boolean =>
      key === name && order > budget.since && windowOf(atMs, budget) === windowOf(this.nowMs, budget)
    const spent = this.charges.filter(isCounted).reduce((total, charge) => total + sum(charge.draws) - charge.refunded, 0n)
    return { spent, held: sum(this.#live().flatMap((hold) => (hold.key === name ? hold.parts : []))) }
  }

  /** granted = settled + charged − refunded + expired + voided, grants to come included. */
  checked(): this {
    for (const creditType of Object.keys(this.sums)) {
      const { debt, granted, charged, refunded, expired, voided } = this.totals(creditType)
      const grants = this.grants.filter((grant) => grant.creditType === creditType)
      const left = grants.reduce((total, grant) => total + this.#left(grant), -debt)
      if (granted !== left + charged - refunded + expired + voided || debt < 0n || grants.some(({ free }) => free < 0n))
        throw new Error(`the model itself is wrong: it has ${formatCredits(left)} ${creditType} left`)
    }
    return this
  }

  /** Books everything that time alone changes, moment by moment: holds end, then grants end, then what is free pays a debt. */
  passTime(atMs: number): void {
    const untilMs = Math.max(this.clockMs ?? atMs, this.nowMs)
    do {
      // What happens at one moment may make others: they are looked up anew each time.
      const moments = [...this.#live(), ...this.grants].flatMap((thing) => [thing.effectiveAtMs, thing.expiresAtMs])
      const next = Math.min(...[...moments, ...this.subscriptions.map(dueMoment)].filter((time) => this.nowMs < time))
      this.nowMs = Math.min(next, untilMs)
      this.#passMoment()
    } while (this.nowMs < untilMs)
  }

  #passMoment(): void {
    for (const hold of this.#live()) if (hold.expiresAtMs <= this.nowMs) this.#endHold(hold, 'expired')
    passMoment(this)
    for (const grant of this.grants) if (!grant.ended && grant.expiresAtMs <= this.nowMs) this.#endGrant(grant, 'expired')
    for (const creditType of Object.keys(this.sums)) this.#repay(creditType)
    this.tellOfAlerts()
  }

  tellOfAlerts(): void {
    for (const alert of this.alerts) lookAt(alert, this)
  }

  usable(creditType: string): bigint {
    return this.balance(creditType).settled - sum(this.#frozen(creditType))
  }

  windowNow(period: Period, timeZone: string): string {
    return windowOf(this.nowMs, { period, timeZone })
  }

  spentToday(creditType: string, timeZone: string, after: number): bigint {
    const day = { period: 'day', timeZone } as const
    const today = this.charges.filter(
      (charge) => charge.creditType === creditType && charge.order > after && windowOf(charge.atMs, day) === windowOf(this.nowMs, day),
    )
    return today.reduce((total, charge) => total + sum(charge.draws) - charge.refunded, 0n)
  }

  budgetOf(name: string): ReturnType<Watched['budgetOf']> {
    const budget = this.keys.find((key) => key.name === name)?.budget
    return budget ? { ...budget, spent: this.budgetUse(name)?.spent ?? 0n } : null
  }

  allOf(creditType: string): bigint {
    return this.grants.reduce((total, grant) => (grant.creditType === creditType ? total + this.#left(grant) : total), 0n)
  }

  give({ name, creditType, credits, priority, expiresAtMs, paid }: Parameters<Ledger['give']>[0]): void {
    this.#add(creditType, 'granted', credits)
    this.grants.push({ name, creditType, priority, effectiveAtMs: this.nowMs, expiresAtMs, paid, free: credits, ended: null })
    this.#repay(creditType)
  }

  freeOf(names: readonly string[], creditType: string): bigint {
    return this.#ownOf(names, creditType).reduce((total, grant) => total + grant.free, 0n)
  }

  end(names: readonly string[], how: 'expired' | 'voided'): void {
    for (const grant of this.#ownOf(names)) if (how === 'expired' || this.#left(grant) > 0n) this.#endGrant(grant, how)
  }

  take(names: readonly string[], creditType: string, credits: bigint): void {
    const own = [...this.#ownOf(names, creditType)].sort(burnsBefore)
    const { taken } = split(
      own.map((grant) => ({ grant: grant.name, credits: grant.free })),
      credits,
    )
    for (const part of taken) for (const grant of own) if (grant.name === part.grant) grant.free -= part.credits
    this.#add(creditType, 'voided', credits)
  }

  #ownOf(names: readonly string[], creditType?: string): readonly Grant[] {
    return this.grants.filter((one) => names.includes(one.name) && one.ended === null && one.creditType === (creditType ?? one.creditType))
  }

  perform(atMs: number, command: Command): Done {
    if (command.do === 'create_account' && command.clockMs !== undefined) this.clockMs = command.clockMs
    this.passTime(atMs)
    this.order += 1
    if (command.do === 'grant') return this.#grant(command)
    if (command.do === 'void') return this.#void(command.grant)
    if (command.do === 'adjust') return this.#adjust(command.as, command.creditType, command.credits)
    if (command.do === 'charge') return this.#charge(command)
    if (command.do === 'charge_group') return this.#chargeGroup(command.charges)
    if (command.do === 'hold') return this.#hold(command, command.ttlMs, command.policy)
    if (command.do === 'extend') return this.#extend(this.#liveHold(command.hold), command.ttlMs)
    if (command.do === 'increase') return this.#increase(this.#liveHold(command.hold), command.credits)
    if (command.do === 'release') return this.#endHold(this.#liveHold(command.hold), 'released')
    if (command.do === 'capture') return this.#capture(command)
    if (command.do === 'refund') return this.#refund(command)
    return this.#performRarer(command)
  }

  #performRarer(command: Exclude<Command, Readonly<{ do: Often }>>): Done {
    if (command.do === 'report_outcome') return this.#report(command)
    if (command.do === 'advance_clock') return this.#advance(command.nowMs)
    if (isAboutSubscriptions(command)) return this.#subscribe(command)
    if (isAboutAlerts(command)) return this.#watch(command)
    if (isPayment(command)) return this.#performPayment(command)
    this.#manage(command)
    return NOTHING
  }

  #performPayment(command: Payments): Done {
    switch (command.do) {
      case 'open_checkout':
        return this.#openCheckout(command)
      case 'pay':
        return this.#pay(command)
      case 'ask_refund':
        return this.#askRefund(command)
      case 'deny_refund':
        return this.#denyRefund(this.#paid(command.purchase), command.request)
      case 'refund_payment':
        return this.#refundPayment(command)
      case 'fail_refund':
        return this.#failRefund(command)
      case 'open_dispute':
        return this.#openDispute(command)
      case 'close_dispute':
        return this.#closeDispute(command)
      default:
        return this.#noteCheckout(this.#purchase(command.purchase), command)
    }
  }

  /** Commands that move no credits. */
  #manage(command: Management): void {
    if (command.do === 'update_account') this.status = command.status
    if (command.do === 'create_account' || command.do === 'update_account') this.policy = command.policy
    else if (command.do === 'create_key') this.#createKey(command.as, command.budget)
    else if (command.do === 'update_key') this.#updateKey(this.#liveKey(command.key), command.budget)
    else if (command.do === 'rotate_key') this.#liveKey(command.key)
    else if (command.do === 'revoke_key') this.#revokeKey(this.#key(command.key))
    else throw new Error(`the model does not know ${JSON.stringify(command satisfies never)}`)
  }

  #revokeKey(key: Key): void {
    Object.assign(key, { isRevoked: true, budget: null })
    this.alerts = this.alerts.filter(({ watch }) => watch.of !== 'key_budget' || watch.key !== key.name)
  }

  #watch(command: AlertSpec): Done {
    if (command.do === 'set_alert') {
      const { as: name, watch, threshold } = command
      if (this.alerts.length >= MAX_ALERTS) throw new No('too_many_alerts')
      if (watch.of === 'key_budget') this.#liveKey(watch.key)
      this.alerts.push({ name, watch, threshold, since: this.order, fired: null, told: [] })
      return NOTHING
    }
    const alert = this.alerts.find(({ name }) => name === command.alert)
    if (!alert) throw new No('alert_not_found')
    if (command.do === 'change_alert') alert.threshold = command.threshold
    else this.alerts = this.alerts.filter((other) => other !== alert)
    return NOTHING
  }

  #createKey(name: string, budget: BudgetSpec | null): void {
    if (this.keys.filter((key) => !key.isRevoked).length >= MAX_KEYS) throw new No('too_many_keys')
    this.keys.push({ name, isRevoked: false, budget: budget && { ...budget, since: this.order } })
  }

  /** A changed limit keeps the count; a changed period or zone starts a new one. */
  #updateKey(key: Key, budget: BudgetSpec | null): void {
    const isSameCount = key.budget?.period === budget?.period && key.budget?.timeZone === budget?.timeZone
    key.budget = budget && { ...budget, since: key.budget && isSameCount ? key.budget.since : this.order }
  }

  #grant({ as: name, creditType, credits, source, paid, ...when }: GrantSpec): Done {
    const from = when.effectiveAtMs ?? this.nowMs
    if ((when.expiresAtMs ?? NEVER) <= Math.max(this.nowMs, from)) throw new No('expiry_passed')
    if (this.grants.filter((grant) => this.#left(grant) > 0n).length >= MAX_OPEN_GRANTS) throw new No('too_many_open_grants')
    const over = credits + this.grants.reduce((sum, grant) => (grant.creditType === creditType ? sum + this.#left(grant) : sum), 0n)
    if (over > MAX_MICROCREDITS) throw new No('amount_out_of_range')
    this.#add(creditType, 'granted', credits)
    const times = { effectiveAtMs: from, expiresAtMs: when.expiresAtMs ?? NEVER }
    this.grants.push({ name, creditType, priority: when.priority ?? PRIORITIES[source], ...times, paid, free: credits, ended: null })
    this.#repay(creditType)
    return this.#did(creditType, credits)
  }

  #void(name: string): Done {
    const grant = this.grants.find((candidate) => candidate.name === name)
    if (!grant) throw new No('grant_not_found')
    if (grant.ended || this.#left(grant) === 0n) throw new No('grant_closed')
    const credits = grant.free
    this.#endGrant(grant, 'voided')
    return this.#did(grant.creditType, credits)
  }

  #adjust(as: string, creditType: string, credits: bigint): Done {
    const terms = { source: 'adjustment', priority: null, effectiveAtMs: null, expiresAtMs: null, paid: false } as const
    if (credits > 0n) return this.#grant({ as, creditType, credits, ...terms })
    this.#requireAvailable([{ creditType, credits: -credits }], null)
    this.#draw(creditType, -credits)
    this.#add(creditType, 'voided', -credits)
    return this.#did(creditType, -credits)
  }

  #charge({ as, key, prices }: ChargeSpec): Done {
    const { creditType, credits } = this.#admit(prices, key === null ? null : this.#usableKey(key), null)
    return this.#recordCharge(as, key, creditType, this.#draw(creditType, credits))
  }

  #chargeGroup(charges: readonly ChargeSpec[]): Done {
    const outcomes = charges.map((charge, index) => {
      this.groupIndex = index
      return this.#charge(charge)
    })
    return { ...(outcomes.at(-1) ?? NOTHING), credits: outcomes.reduce((total, { credits }) => total + credits, 0n) }
  }

  #hold({ as: name, key, prices }: ChargeSpec, ttlMs: number, policy: CapturePolicy | null): Done {
    const user = key === null ? null : this.#usableKey(key)
    if (this.#live().length >= MAX_OPEN_HOLDS) throw new No('too_many_open_holds')
    const { creditType, credits } = this.#admit(prices, user, null)
    const parts = this.#draw(creditType, credits)
    const terms = { name, creditType, key, policy, effectiveAtMs: this.nowMs, expiresAtMs: this.nowMs + ttlMs }
    this.holds.push({ ...terms, parts, status: 'live', credits: 0n, isLateCaptured: false })
    return this.#did(creditType, credits)
  }

  #extend(hold: Hold, ttlMs: number): Done {
    const expiresAtMs = Math.max(hold.expiresAtMs, this.nowMs + ttlMs)
    if (expiresAtMs > hold.effectiveAtMs + DAY_MS) throw new No('hold_ttl_exceeded')
    hold.expiresAtMs = expiresAtMs
    return NOTHING
  }

  #increase(hold: Hold, credits: bigint): Done {
    const key = this.keys.find(({ name }) => name === hold.key) ?? null
    this.#admit([{ creditType: hold.creditType, credits }], key, hold)
    hold.parts = [...hold.parts, ...this.#draw(hold.creditType, credits)]
    return this.#did(hold.creditType, credits)
  }

  #capture({ as, hold: name, credits: stated, final, policy: requested, serverPolicy }: CaptureSpec): Done {
    const hold = this.#liveHold(name, true)
    const { creditType, key } = hold
    const isLive = hold.status === 'live'
    const wanted = stated ?? (isLive ? sum(hold.parts) : hold.credits)
    const credits = this.#limit(requested ?? hold.policy ?? this.policy ?? serverPolicy, wanted, hold)
    const { taken, rest } = split(hold.parts, credits)
    hold.parts = rest
    hold.isLateCaptured = !isLive
    this.#recordCharge(as, key, creditType, [...taken, ...this.#drawOrOwe(creditType, credits - sum(taken))])
    if (isLive && final) this.#endHold(hold, 'captured')
    return this.#did(creditType, credits)
  }

  /** What a capture comes to under its policy: the bound is what is held or, once the hold has expired, what is available. */
  #limit(policy: CapturePolicy, wanted: bigint, { status, parts, creditType }: Hold): bigint {
    const bound = status === 'live' ? sum(parts) : -smaller(-this.#available(creditType), 0n)
    if (wanted <= bound || policy === 'overdraft') return wanted
    if (policy === 'cap') return bound
    throw status === 'live' ? new No('capture_exceeds_hold') : this.#shortOf(creditType, wanted)
  }

  #refund({ as: name, charge: of, credits: stated, grantDays }: RefundSpec): Done {
    const charge = this.charges.find((candidate) => candidate.name === of)
    if (!charge) throw new No('charge_not_found')
    const refundable = sum(charge.draws) - charge.refunded
    const credits = stated ?? refundable
    if (credits > refundable || refundable === 0n) throw new No('refund_exceeds_charge')
    return this.#giveBackOf(charge, credits, { name, grantDays })
  }

  #giveBackOf(charge: Charge, credits: bigint, { name, grantDays }: { readonly name: string; readonly grantDays: number }): Done {
    const { creditType } = charge
    const homeless = this.#giveBack(creditType, split(split([...charge.draws].reverse(), charge.refunded).rest, credits).taken)
    charge.refunded += credits
    this.#add(creditType, 'refunded', credits)
    this.#giveAnew({ name, creditType }, homeless, grantDays)
    if (this.grants.filter((grant) => this.#left(grant) > 0n).length > MAX_OPEN_GRANTS) throw new No('too_many_open_grants')
    this.#repay(creditType)
    return this.#did(creditType, credits)
  }

  /** What failed is refunded up to a part of the charge, what was refunded before counted in. */
  #report({ as, charge: of, outcome, percent, grantDays }: Extract<Command, { do: 'report_outcome' }>): Done {
    const charge = this.charges.find((candidate) => candidate.name === of)
    if (!charge) throw new No('charge_not_found')
    const wanted = outcome === 'failed' ? (sum(charge.draws) * BigInt(percent)) / 100n : 0n
    return this.#giveBackOf(charge, wanted > charge.refunded ? wanted - charge.refunded : 0n, { name: as, grantDays })
  }

  #advance(nowMs: number): Done {
    if (this.clockMs === null || nowMs <= this.clockMs) return NO_NEWS
    this.clockMs = nowMs
    this.passTime(nowMs)
    return NOTHING
  }

  #subscribe(command: SubscriptionSpec): Done {
    const outcome = perform(this, command)
    if (outcome === 'no news') return NO_NEWS
    if (outcome !== 'done') throw new No(outcome.no)
    // A grace that was over while a payment was in flight is over now.
    this.passTime(this.nowMs)
    return NOTHING
  }

  /** Gives parts back to where they are from; what has nowhere to go is left over. */
  #giveBack(creditType: string, parts: readonly Part[]): bigint {
    let homeless = 0n
    for (const part of parts) {
      const home = this.grants.find((grant) => grant.name === part.grant && grant.ended === null)
      const forgiven = part.grant === null ? smaller(part.credits, this.totals(creditType).debt) : 0n
      this.#add(creditType, 'debt', -forgiven)
      if (home) home.free += part.credits
      else homeless += part.credits - forgiven
    }
    return homeless
  }

  /** Credits whose grants have ended are given as a new one. */
  #giveAnew(named: Named & { readonly purchase?: string }, credits: bigint, days: number): void {
    const times = { effectiveAtMs: this.nowMs, expiresAtMs: this.nowMs + days * DAY_MS }
    if (credits > 0n) this.grants.push({ ...named, priority: PRIORITIES.refund, ...times, paid: false, free: credits, ended: null })
  }

  #openCheckout(spec: PurchaseSpec): Done {
    const { as: name, creditType, credits, bonus } = spec
    if (spec.isLive && this.clockMs !== null) throw new No('account_has_test_clock')
    const open = this.purchases.filter((one) => this.#isOpen(one))
    if (open.length >= MAX_OPEN_CHECKOUTS) throw new No('too_many_open_checkouts')
    if (this.grants.filter((grant) => this.#left(grant) > 0n).length + 2 * open.length + 2 > MAX_OPEN_GRANTS)
      throw new No('too_many_open_grants')
    this.#requireRoom(creditType, credits + (bonus ?? 0n))
    const nothing = { isLinked: false, isPending: false, closedAs: null, payment: null, requests: [], refunds: [], disputes: [], kept: 0n }
    this.purchases.push({ name, creditType, spec, expiresAtMs: this.nowMs + spec.ttlMs, ...nothing })
    return NOTHING
  }

  #requireRoom(creditType: string, credits: bigint): void {
    const left = this.grants.reduce((total, grant) => (grant.creditType === creditType ? total + this.#left(grant) : total), credits)
    if (left > MAX_MICROCREDITS) throw new No('amount_out_of_range')
  }

  #isOpen({ payment, closedAs, expiresAtMs }: Purchase): boolean {
    return payment === null && closedAs === null && this.nowMs < expiresAtMs
  }

  #purchase(name: string): Purchase {
    const purchase = this.purchases.find((one) => one.name === name)
    if (!purchase) throw new No('checkout_session_not_found')
    return purchase
  }

  #noteCheckout(purchase: Purchase, command: Extract<Payments, { do: 'link_checkout' | 'close_checkout' | 'pend_checkout' }>): Done {
    const isKnown =
      command.do === 'link_checkout' ? purchase.isLinked : command.do === 'pend_checkout' && purchase.isPending && this.#isOpen(purchase)
    const isCanceledAfterAll = command.do === 'close_checkout' && command.outcome === 'canceled' && purchase.closedAs === 'expired'
    if (purchase.payment !== null || (purchase.closedAs !== null && !isCanceledAfterAll) || isKnown) return NO_NEWS
    if (command.do === 'link_checkout') purchase.isLinked = true
    if (command.do === 'close_checkout') purchase.closedAs = command.outcome
    if (command.do === 'pend_checkout') Object.assign(purchase, { isPending: true, expiresAtMs: this.nowMs + command.ttlMs })
    return NOTHING
  }

  /** Refunds may be asked for up to what was paid; what waits and what has gone back counts. */
  #askRefund({ as: name, purchase: of, amountMinor: asked }: Extract<Payments, { do: 'ask_refund' }>): Done {
    const purchase = this.#paid(of)
    const waits = purchase.requests.reduce((total, { amountMinor, isAnswered }) => (isAnswered ? total : total + amountMinor), 0)
    const left = purchase.spec.amountMinor - this.#gone(purchase).minor - waits
    if ((asked ?? left) > left || left <= 0) throw new No('topup_refund_exceeds_payment')
    this.#requireFew(purchase)
    purchase.requests = [...purchase.requests, { name, amountMinor: asked ?? left, isAnswered: false }]
    return NOTHING
  }

  #denyRefund(purchase: Purchase, name: string): Done {
    if (!purchase.requests.some((request) => request.name === name && !request.isAnswered)) return NO_NEWS
    this.#answer(purchase, name)
    return NOTHING
  }

  #answer(purchase: Purchase, name: string | null): void {
    purchase.requests = purchase.requests.map((request) => (request.name === name ? { ...request, isAnswered: true } : request))
  }

  #requireFew({ requests, refunds, disputes }: Purchase): void {
    if (requests.length + refunds.length + disputes.length >= MAX_PURCHASE_EVENTS) throw new No('too_many_refunds')
  }

  /** Only the first payment of the right amount counts, whenever it comes. All are of play money, which pays for nothing real. */
  #pay({ as, purchase: name, payment, amountMinor }: Extract<Payments, { do: 'pay' }>): Done {
    const purchase = this.#purchase(name)
    const { creditType, spec } = purchase
    if (purchase.payment === payment) return NO_NEWS
    if (purchase.payment !== null || amountMinor !== spec.amountMinor || spec.isLive) return NOTHING
    this.#requireRoom(creditType, spec.credits + (spec.bonus ?? 0n))
    purchase.payment = payment
    const give = (grant: string, credits: bigint, lastsMs: number | null, isPaid: boolean): void => {
      const times = { effectiveAtMs: this.nowMs, expiresAtMs: lastsMs === null ? NEVER : this.nowMs + lastsMs }
      const terms = { name: grant, creditType, priority: isPaid ? PRIORITIES.topup : PRIORITIES.promo, paid: isPaid, purchase: name }
      this.#add(creditType, 'granted', credits)
      this.grants.push({ ...terms, ...times, free: credits, ended: null })
      this.#repay(creditType)
    }
    give(as, spec.credits, spec.lastsMs, true)
    const first = this.#did(creditType, spec.credits)
    if (spec.bonus !== null) give(`${as}'s bonus`, spec.bonus, spec.bonusLastsMs, false)
    return first
  }

  #paid(name: string): Purchase {
    const purchase = this.purchases.find((one) => one.name === name && one.payment !== null)
    if (!purchase) throw new No('topup_not_found')
    return purchase
  }

  /** Money that has gone back, and credits that were taken for it and have not come back. */
  #gone({ spec, refunds, disputes, kept }: Purchase): Readonly<{ minor: number; taken: bigint }> {
    const standing = refunds.filter(({ hasFailed }) => !hasFailed)
    const lost = disputes.filter(({ status }) => status === 'lost')
    const minor = [...standing, ...lost].reduce((total, { amountMinor }) => total + amountMinor, 0)
    const taken = lost.reduce((total, dispute) => total + dispute.taken, kept + sum(standing.flatMap(({ draws }) => draws)))
    return { minor: Math.min(minor, spec.amountMinor), taken }
  }

  /** What another such amount takes: the whole's proportion rounded down, and never what expired or was voided, nor anything twice. */
  #claim(purchase: Purchase, amountMinor: number): bigint {
    const { spec, name } = purchase
    const bought = spec.credits + (spec.bonus ?? 0n)
    const { minor, taken } = this.#gone(purchase)
    const lost = this.grants.reduce((total, grant) => (grant.purchase === name ? total + (grant.lost ?? 0n) : total), 0n)
    const due = (bought * BigInt(Math.min(minor + amountMinor, spec.amountMinor))) / BigInt(spec.amountMinor) - taken
    return [due, bought - taken - lost].reduce(smaller) > 0n ? [due, bought - taken - lost].reduce(smaller) : 0n
  }

  /** Takes from the purchase's own grants, then wherever there is anything, then on credit. */
  #takeBack({ name, creditType }: Purchase, credits: bigint): readonly Part[] {
    const own = this.grants.filter((grant) => grant.purchase === name && grant.ended === null)
    const { taken } = split(
      own.map((grant) => ({ grant: grant.name, credits: grant.free })),
      credits,
    )
    for (const part of taken) for (const grant of own) if (grant.name === part.grant) grant.free -= part.credits
    this.#add(creditType, 'voided', credits)
    return [...taken, ...this.#drawOrOwe(creditType, credits - sum(taken))]
  }

  #refundPayment({ purchase: of, refund: name, amountMinor, request }: Extract<Payments, { do: 'refund_payment' }>): Done {
    const purchase = this.#paid(of)
    if (purchase.refunds.some((known) => known.name === name)) return NO_NEWS
    this.#requireFew(purchase)
    this.#answer(purchase, request)
    const credits = this.#claim(purchase, amountMinor)
    purchase.refunds = [...purchase.refunds, { name, amountMinor, draws: this.#takeBack(purchase, credits), hasFailed: false }]
    return this.#did(purchase.creditType, credits)
  }

  #failRefund({ as, purchase: of, refund: name, amountMinor, grantDays }: Extract<Payments, { do: 'fail_refund' }>): Done {
    const purchase = this.#paid(of)
    const { creditType, refunds } = purchase
    const known = refunds.find((refund) => refund.name === name)
    if (known?.hasFailed) return NO_NEWS
    if (!known) this.#requireFew(purchase)
    const draws = [...(known?.draws ?? [])].reverse()
    const { taken } = this.#gone(purchase)
    purchase.refunds = [...refunds.filter((refund) => refund !== known), { name, amountMinor, draws: [], hasFailed: true }]
    const back = known ? this.#comesBack(purchase, known, taken) : 0n
    const { taken: own } = split(draws, back)
    this.#requireRoom(creditType, back)
    purchase.kept += sum(draws) - back
    this.#add(creditType, 'voided', -back)
    this.#giveAnew({ name: as, creditType, purchase: of }, this.#giveBack(creditType, own) + back - sum(own), grantDays)
    this.#repay(creditType)
    return this.#did(creditType, back)
  }

  /** All that it took, unless the rest of what has gone back claims some of it, or did of one before. `taken` is from before it failed. */
  #comesBack({ spec, refunds, disputes, kept }: Purchase, { amountMinor, draws }: PaymentRefund, taken: bigint): bigint {
    const rest = [...refunds.filter(({ hasFailed }) => !hasFailed), ...disputes.filter(({ status }) => status === 'lost')]
    const minor = rest.reduce((total, one) => total + one.amountMinor, 0)
    if (kept === 0n && minor + amountMinor <= spec.amountMinor) return sum(draws)
    const claimed = ((spec.credits + (spec.bonus ?? 0n)) * BigInt(Math.min(minor, spec.amountMinor))) / BigInt(spec.amountMinor)
    return taken <= claimed ? 0n : smaller(taken - claimed, sum(draws) + kept)
  }

  #openDispute({ purchase: of, dispute: name, amountMinor }: Extract<Payments, { do: 'open_dispute' }>): Done {
    const purchase = this.#paid(of)
    if (purchase.disputes.some((known) => known.name === name)) return NO_NEWS
    if (this.#gone(purchase).minor >= purchase.spec.amountMinor) throw new No('nothing_to_dispute')
    this.#requireFew(purchase)
    const own = this.grants.filter((grant) => grant.purchase === of && grant.ended === null)
    const free = own.map((grant) => ({ grant: grant.name, credits: grant.free }))
    const { taken: frozen } = split(free, this.#claim(purchase, amountMinor))
    for (const part of frozen) for (const grant of own) if (grant.name === part.grant) grant.free -= part.credits
    purchase.disputes = [...purchase.disputes, { name, amountMinor, frozen, taken: 0n, status: 'open' }]
    return this.#did(purchase.creditType, 0n)
  }

  #closeDispute({ as, purchase: of, dispute: name, amountMinor, outcome, grantDays }: Extract<Payments, { do: 'close_dispute' }>): Done {
    const purchase = this.#paid(of)
    const { creditType, disputes } = purchase
    const known = disputes.find((dispute) => dispute.name === name)
    if (known && known.status !== 'open') return NO_NEWS
    if (!known && this.#gone(purchase).minor >= purchase.spec.amountMinor) throw new No('nothing_to_dispute')
    if (!known) this.#requireFew(purchase)
    const claim = outcome === 'won' ? 0n : this.#claim(purchase, amountMinor)
    const { taken, rest } = split(known?.frozen ?? [], claim)
    purchase.disputes = [
      ...disputes.filter((dispute) => dispute !== known),
      { name, amountMinor, frozen: [], taken: claim, status: outcome },
    ]
    this.#add(creditType, 'voided', sum(taken))
    let homeless = 0n
    for (const part of rest) {
      const grant = this.grants.find((candidate) => candidate.name === part.grant)
      if (grant?.ended === 'expired') homeless += part.credits
      else if (grant?.ended === 'voided') this.#lose(grant, 'voided', part.credits)
      else if (grant) grant.free += part.credits
    }
    this.#takeBack(purchase, claim - sum(taken))
    this.#giveAnew({ name: as, creditType, purchase: of }, homeless, grantDays)
    this.#repay(creditType)
    return this.#did(creditType, claim)
  }

  #lose(grant: Grant, how: 'expired' | 'voided', credits: bigint): void {
    this.#add(grant.creditType, how, credits)
    grant.lost = (grant.lost ?? 0n) + credits
  }

  /** What of a purchase is frozen, was taken, and was lost unspent. */
  purchase(name: string): Readonly<{ frozen: bigint; taken: bigint; lost: bigint }> {
    const purchase = this.purchases.find((one) => one.name === name)
    if (!purchase) throw new Error(`there is no ${name}`)
    const lost = this.grants.reduce((total, grant) => (grant.purchase === name ? total + (grant.lost ?? 0n) : total), 0n)
    return { frozen: sum(purchase.disputes.flatMap(({ frozen }) => frozen)), taken: this.#gone(purchase).taken, lost }
  }

  #frozen(creditType: string): readonly Part[] {
    const purchases = this.purchases.filter((purchase) => purchase.creditType === creditType)
    return purchases.flatMap(({ disputes }) => disputes.flatMap(({ frozen }) => frozen))
  }

  /** The price that will be paid, or a refusal: suspended first, then the key's limits, then credits. */
  #admit(prices: ChargeSpec['prices'], key: Key | null, increased: Hold | null): Price {
    if (this.status === 'suspended') throw new No('account_suspended')
    const { credits } = prices[0]
    const { limit = null, maxPerCharge = null } = key?.budget ?? {}
    if (maxPerCharge !== null && sum(increased?.parts ?? []) + credits > maxPerCharge) throw new No('key_charge_limit_exceeded')
    const { spent, held } = (key && this.budgetUse(key.name)) ?? { spent: 0n, held: 0n }
    if (limit !== null && credits > 0n && spent + held + credits > limit) throw new No('key_budget_exceeded')
    return this.#requireAvailable(prices, increased)
  }

  #requireAvailable(prices: ChargeSpec['prices'], increased: Hold | null): Price {
    const price = prices.find(({ creditType, credits }) => this.#available(creditType) >= credits)
    if (price) return price
    const reasons = prices.map(({ creditType, credits }) => this.#shortOf(creditType, credits, increased))
    throw reasons.find(({ refused }) => refused === 'credits_in_flight') ?? reasons[0]
  }

  /** Does it take paying, or only waiting: would the credits be there if every other live hold let go now? */
  #shortOf(creditType: string, credits: bigint, increased: Hold | null = null): No {
    const isHome = (part: Part): boolean => this.grants.some((grant) => grant.name === part.grant && grant.ended === null)
    const others = this.#live(creditType).filter((hold) => hold !== increased)
    const whenLetGo = this.#available(creditType) + sum(others.flatMap((hold) => hold.parts.filter(isHome)))
    return new No(whenLetGo >= credits ? 'credits_in_flight' : 'insufficient_credits')
  }

  /** Takes free credits in burn order, as far as they reach. */
  #draw(creditType: string, credits: bigint): readonly Part[] {
    const grants = this.#eligible(creditType)
    const free = grants.map((grant) => ({ grant: grant.name, credits: grant.free }))
    const { taken } = split(free, credits)
    for (const part of taken) for (const grant of grants) if (grant.name === part.grant) grant.free -= part.credits
    return taken
  }

  /** Takes free credits in burn order; what they do not cover, the account owes. */
  #drawOrOwe(creditType: string, credits: bigint): readonly Part[] {
    const parts = this.#draw(creditType, credits)
    const owed = credits - sum(parts)
    this.#add(creditType, 'debt', owed)
    return owed > 0n ? [...parts, { grant: null, credits: owed }] : parts
  }

  /** Whatever is free pays the debt first. */
  #repay(creditType: string): void {
    this.#add(creditType, 'debt', -sum(this.#draw(creditType, this.totals(creditType).debt)))
  }

  #recordCharge(name: string, key: string | null, creditType: string, draws: readonly Part[]): Done {
    this.charges.push({ name, creditType, key, atMs: this.nowMs, order: this.order, draws, refunded: 0n })
    this.#add(creditType, 'charged', sum(draws))
    return this.#did(creditType, sum(draws))
  }

  /** Lets go of what is held: back to its grants, or away with those that have ended. */
  #endHold(hold: Hold, status: Hold['status']): Done {
    for (const { grant: name, credits } of hold.parts) {
      const grant = this.grants.find((candidate) => candidate.name === name)
      if (grant?.ended) this.#lose(grant, grant.ended, credits)
      else if (grant) grant.free += credits
    }
    const credits = sum(hold.parts)
    Object.assign(hold, { status, credits, parts: [] })
    this.#repay(hold.creditType)
    return this.#did(hold.creditType, credits)
  }

  #endGrant(grant: Grant, ended: 'expired' | 'voided'): void {
    this.#lose(grant, ended, grant.free)
    Object.assign(grant, { free: 0n, ended })
  }

  /** A hold that can still be used; a capture may also come late, once. */
  #liveHold(name: string, mayBeLate = false): Hold {
    const hold = this.holds.find((candidate) => candidate.name === name)
    if (!hold) throw new No('hold_not_found')
    if (hold.status === 'live' || (mayBeLate && hold.status === 'expired' && !hold.isLateCaptured)) return hold
    if (hold.status === 'expired') throw new No(mayBeLate ? 'hold_already_captured' : 'hold_expired')
    throw new No(`hold_already_${hold.status}`)
  }

  #key(name: string): Key {
    const key = this.keys.find((candidate) => candidate.name === name)
    if (!key) throw new No('key_not_found')
    return key
  }

  /** A key that can still be changed. */
  #liveKey(name: string): Key {
    const key = this.#key(name)
    if (key.isRevoked) throw new No('key_already_revoked')
    return key
  }

  /** A key that work can be charged to. */
  #usableKey(name: string): Key {
    const key = this.#key(name)
    if (key.isRevoked) throw new No('key_revoked')
    return key
  }

  #eligible(creditType: string): readonly Grant[] {
    return this.grants
      .filter((grant) => grant.creditType === creditType && grant.ended === null)
      .filter((grant) => grant.effectiveAtMs <= this.nowMs && this.nowMs < grant.expiresAtMs)
      .sort(burnsBefore)
  }

  #available(creditType: string): bigint {
    return this.#eligible(creditType).reduce((total, grant) => total + grant.free, -this.totals(creditType).debt)
  }

  #live(creditType?: string): readonly Hold[] {
    return this.holds.filter((hold) => hold.status === 'live' && (creditType === undefined || hold.creditType === creditType))
  }

  /** What remains of a grant, held parts included. */
  #left(grant: Grant): bigint {
    const parts = [...this.#live(grant.creditType).flatMap((hold) => hold.parts), ...this.#frozen(grant.creditType)]
    return grant.free + sum(parts.filter((part) => part.grant === grant.name))
  }

  #add(creditType: string, total: keyof Totals, credits: bigint): void {
    this.sums[creditType] = { ...this.totals(creditType), [total]: this.totals(creditType)[total] + credits }
  }

  #did(creditType: string, credits: bigint): Done {
    return { ok: true, credits, creditType, balance: this.balance(creditType) }
  }
}

const ABOUT_SUBSCRIPTIONS: Readonly<Record<SubscriptionSpec['do'], true>> = {
  subscribe: true,
  change_plan: true,
  pause: true,
  resume: true,
  cancel: true,
  attempt: true,
  open_page: true,
  link_page: true,
  pend_payment: true,
  fail_payment: true,
  pay_plan: true,
  return_payment: true,
  save_method: true,
  remove_method: true,
}

/** Whether a command is about subscriptions or how they are paid for. */
export function isAboutSubscriptions(command: Command): command is SubscriptionSpec {
  return Object.hasOwn(ABOUT_SUBSCRIPTIONS, command.do)
}

function isPayment(command: Command): command is Payments {
  return command.do === 'open_checkout' || 'purchase' in command
}

const NOTHING: Done = { ok: true, credits: 0n, creditType: null, balance: null }
const NO_NEWS: Done = { ...NOTHING }

const clones = <Thing extends object>(things: readonly Thing[]): Thing[] => things.map((thing) => ({ ...thing }))
const sum = (parts: readonly Part[]): bigint => parts.reduce((total, part) => total + part.credits, 0n)
const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b)

/** Takes credits from the front of a list of parts. */
function split(parts: readonly Part[], credits: bigint): Readonly<{ taken: readonly Part[]; rest: readonly Part[] }> {
  let left = credits
  const taken: Part[] = []
  const rest: Part[] = []
  for (const { grant, credits: there } of parts) {
    const now = smaller(there, left)
    left -= now
    if (now > 0n) taken.push({ grant, credits: now })
    if (there > now) rest.push({ grant, credits: there - now })
  }
  return { taken, rest }
}

/** Priority ascending → expires_at ascending (never last) → unpaid before paid → effective_at → id (here: the order of the list). */
function burnsBefore(a: Grant, b: Grant): number {
  return a.priority - b.priority || a.expiresAtMs - b.expiresAtMs || Number(a.paid) - Number(b.paid) || a.effectiveAtMs - b.effectiveAtMs
}

/** A name for the window of a budget that a moment falls in, by the date on a wall calendar in its zone. 1970 began on a Thursday. */
function windowOf(atMs: number, { period, timeZone }: Pick<BudgetSpec, 'period' | 'timeZone'>): string {
  if (period === 'lifetime') return 'always'
  calendars[timeZone] ??= new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' })
  const date = calendars[timeZone].format(atMs)
  if (period === 'day') return date
  return period === 'month' ? date.slice(0, 7) : `week ${Math.floor((Date.parse(date) / DAY_MS + 3) / 7)}`
}
