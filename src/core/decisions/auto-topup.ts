/**
 * Automatic top-ups: set, tried and failed. An attempt is a purchase that nobody has to open: on record, and counted, before the provider
 * hears of it. What it is paid with, and once, is decided where every purchase is.
 */

import { type AccountState, MAX_OPEN_GRANTS, poolOf } from '../account.ts'
import {
  ATTEMPT_OPEN_MS,
  askingTopupMs,
  attemptsBefore,
  BLOCKED_MS,
  cardOf,
  isLow,
  MAX_ATTEMPTS_PER_DAY,
  monthAt,
  spentAt,
  wantingTo,
} from '../auto-topup.ts'
import type { AutoTopupBlock, AutoTopupTerms } from '../auto-topup-facts.ts'
import type { AutoTopup } from '../auto-topup-state.ts'
import { availableOf, balanceOf } from '../balance.ts'
import { MAX_MICROCREDITS } from '../credits.ts'
import type { Context, Decision, Draft } from '../draft.ts'
import { openDraft } from '../due.ts'
import type { PaymentMethod } from '../payment.ts'
import { isRefusal } from '../refusals.ts'
import { type Bought, priceTopup, type TopupOptions, worthOf } from '../topup-options.ts'
import { nothingNew } from './checkout.ts'
import { type FailTopupCommand, failTopup } from './fail-topup.ts'
import { methodFor, type Payee } from './subscription-payment.ts'

const DAY_MS = 86_400_000

/** Sets how an account is topped up. What was tried, declined and spent before counts on. */
export function decideSetAutoTopup(state: AccountState, { terms }: { readonly terms: AutoTopupTerms }, context: Context): Decision {
  const draft = openDraft(state, context)
  const isWanted = terms.isOn && isLow(terms, availableIn(draft, terms.creditType))
  draft.append({ kind: 'auto_topup_set', terms, events: isWanted ? ['auto_topup.triggered'] : [] })
  return draft.done()
}

/** Takes automatic top-ups away. An attempt in flight comes to its end all the same. */
export function decideRemoveAutoTopup(state: AccountState, context: Context): Decision {
  const draft = openDraft(state, context)
  if (!draft.state.autoTopup?.terms) return nothingNew(state)
  draft.append({ kind: 'auto_topup_removed', events: [] })
  return draft.done()
}

function availableIn(draft: Draft, creditType: string): bigint {
  return availableOf(balanceOf(poolOf(draft.state, creditType), draft.nowMs))
}

/** What is on sale now, and who takes the money. */
export interface AutoTopupOffer extends Payee {
  /** Null: nothing is on sale. */
  readonly options: (TopupOptions & { readonly version: number }) | null
}

/** Puts an attempt on record, if one is due and no limit forbids it; or what keeps it from being made. */
export function decideAttemptTopup(state: AccountState, offer: AutoTopupOffer, context: Context): Decision {
  const draft = openDraft(state, context)
  const { autoTopup } = draft.state
  const dueMs = askingTopupMs(draft.state)
  const terms = autoTopup?.terms
  if (!terms || autoTopup.attempt !== null || dueMs === null || dueMs > draft.nowMs) return nothingNew(state)
  if (isBeingRenewed(draft.state, terms.creditType)) return nothingNew(state)
  if (isLow(terms, availableIn(draft, terms.creditType))) tryToBuy(draft, { autoTopup, terms, offer })
  else draft.append({ kind: 'auto_topup_stood_down', events: [] })
  return draft.done()
}

/** Whether a plan's credits are about to come: the period is being paid for without the customer, and that was not declined. */
function isBeingRenewed({ subscriptions, paymentMethod }: AccountState, creditType: string): boolean {
  return subscriptions.some(({ terms, collection }) => {
    if (collection === null || collection.declines > 0 || paymentMethod === null) return false
    const isByMethod = collection.attempt === null ? collection.nextAttemptMs !== null : collection.attempt.via === 'method'
    return collection.change === null && isByMethod && terms.credits.some((given) => given.creditType === creditType)
  })
}

interface Trying {
  readonly autoTopup: AutoTopup
  readonly terms: AutoTopupTerms
  readonly offer: AutoTopupOffer
}

function tryToBuy(draft: Draft, { autoTopup, terms, offer }: Trying): void {
  const payer = methodFor(draft.state, offer)
  if (payer === null) {
    block(draft, 'no_payment_method')
    return
  }
  const bought = boughtBy(draft, terms, offer)
  if (typeof bought === 'string') {
    block(draft, bought)
    return
  }
  const capped = cappedBy(draft, { autoTopup, terms, bought })
  if (capped === null) ask(draft, bought, { payer, offer })
  else draft.append({ kind: 'auto_topup_capped', ...capped, events: [] })
}

function ask(draft: Draft, bought: Bought, { payer, offer }: { readonly payer: PaymentMethod; readonly offer: AutoTopupOffer }): void {
  const { provider, isLive, options } = offer
  const { customer, method } = payer
  const sold = { provider, isLive, optionsVersion: options?.version ?? 0 }
  const terms = { ...bought, ...sold, successUrl: null, cancelUrl: null, metadata: { source: 'auto_topup' } }
  const expiresAtMs = draft.nowMs + ATTEMPT_OPEN_MS
  draft.append({ kind: 'auto_topup_attempted', terms, expiresAtMs, customer, method, card: cardOf(payer), events: [] })
}

/** What is not there comes with what the customer leaves; what is on sale changes without the account hearing of it. */
function block(draft: Draft, reason: AutoTopupBlock): void {
  const untilMs = reason === 'no_payment_method' ? null : draft.nowMs + BLOCKED_MS
  draft.append({ kind: 'auto_topup_blocked', reason, untilMs, events: [] })
}

/** What is bought: as much as closes the gap, and no less than is sold; or why nothing can be. */
function boughtBy(draft: Draft, { size, creditType, monthlyCap }: AutoTopupTerms, { options }: AutoTopupOffer): Bought | AutoTopupBlock {
  if (options === null || options.creditType !== creditType || options.currency !== monthlyCap.currency) return 'not_on_sale'
  const wanting = 'target' in size ? wantingTo(size.target, availableIn(draft, creditType)) : 0n
  const amountMinor = 'target' in size ? Math.max(options.minMinor, worthOf(options, wanting)) : size.amountMinor
  const bought = priceTopup(options, { amountMinor })
  if (isRefusal(bought)) return 'amount_out_of_range'
  const { grants } = poolOf(draft.state, creditType)
  const after = grants.reduce<bigint>((sum, { remaining }) => sum + remaining, bought.credits)
  if (after > MAX_MICROCREDITS) return 'amount_out_of_range'
  const open = draft.state.pools.reduce((sum, pool) => sum + pool.grants.length, 1)
  return open > MAX_OPEN_GRANTS ? 'too_many_open_grants' : bought
}

interface Capping extends Omit<Trying, 'offer'> {
  readonly bought: Bought
}

function cappedBy(
  { nowMs }: Draft,
  { autoTopup, terms: { monthlyCap }, bought: { amountMinor, currency } }: Capping,
): { readonly limit: 'money' | 'attempts'; readonly untilMs: number } | null {
  if (spentAt(autoTopup, { atMs: nowMs, currency }) + amountMinor > monthlyCap.amountMinor)
    return { limit: 'money', untilMs: monthAt(nowMs).endMs }
  const recent = attemptsBefore(autoTopup, nowMs)
  const [first] = recent
  return first === undefined || recent.length < MAX_ATTEMPTS_PER_DAY ? null : { limit: 'attempts', untilMs: first + DAY_MS }
}

/** Puts on record that an attempt came to nothing, and when its card may be asked again. One that has an outcome already keeps it. */
export function decideFailTopup(state: AccountState, command: FailTopupCommand, context: Context): Decision {
  const draft = openDraft(state, context)
  return failTopup(draft, command) ? draft.done() : nothingNew(state)
}
