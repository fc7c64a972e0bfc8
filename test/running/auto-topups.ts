/** Automatic top-ups for tests: commands about them with what tests seldom care about filled in. */

import type { AutoTopupTerms } from '../../src/core/auto-topup-facts.ts'
import type { AutoTopupCommand, Command } from '../../src/core/command.ts'
import { micro, parseCredits } from '../../src/core/credits.ts'
import type { TopupOptions } from '../../src/core/topup-options.ts'
import * as buy from './purchases.ts'
import { removeMethod, saveMethod } from './subscriptions.ts'

const HOUR_MS = 3_600_000

function credits(amount: number): AutoTopupTerms['threshold'] {
  return parseCredits(amount) ?? micro(0n)
}

/** What is on sale: 10 credits for a euro, from 1.00 to 1000.00. */
export const OPTIONS: TopupOptions & { readonly version: number } = {
  currency: 'eur',
  creditType: 'credits',
  creditsPerUnit: credits(10),
  minMinor: 100,
  maxMinor: 100_000,
  lifeDays: null,
  packs: [],
  version: 1,
}

/** What is asked for unless a test says otherwise: at 10 credits, 100 for 10.00, and 50.00 a month at most. */
export interface TermsWish {
  readonly isOn?: boolean
  readonly creditType?: string
  readonly threshold?: number
  readonly target?: number
  readonly amountMinor?: number
  readonly capMinor?: number
  readonly text?: string
}

export function termsOf({
  threshold = 10,
  target,
  amountMinor = 1_000,
  capMinor = 5_000,
  text = 'v1',
  ...wish
}: TermsWish = {}): AutoTopupTerms {
  return {
    isOn: true,
    creditType: 'credits',
    ...wish,
    threshold: credits(threshold),
    size: target === undefined ? { amountMinor } : { target: credits(target) },
    monthlyCap: { amountMinor: capMinor, currency: 'eur' },
    consent: { by: 'Ada', text },
  }
}

export function setTopup(wish: TermsWish = {}): AutoTopupCommand {
  return { kind: 'set_auto_topup', terms: termsOf(wish) }
}

export const REMOVE_TOPUP: AutoTopupCommand = { kind: 'remove_auto_topup' }

type Attempt = Extract<AutoTopupCommand, { kind: 'attempt_auto_topup' }>

export function attemptTopup(offer: Partial<Omit<Attempt, 'kind'>> = {}): AutoTopupCommand {
  return { kind: 'attempt_auto_topup', options: OPTIONS, provider: 'sandbox', isLive: false, ...offer }
}

export function failTopup(purchase: number, mayRetry = true, isDecline = true): AutoTopupCommand {
  return { kind: 'fail_auto_topup', purchase, code: 'card_declined', mayRetry, isDecline }
}

/** All that can happen to automatic top-ups, of an account that has some thousands of credits; each command is given back the sequence of its record. The last attempt stays in flight. No dispute may be open. */
export function* livesOfAutoTopups(give: Command): Generator<Command | number, void, number> {
  const low = { threshold: 50_000, capMinor: 5_000 }
  yield saveMethod()
  yield setTopup(low)
  yield failTopup(yield attemptTopup())
  yield HOUR_MS
  const paid = yield attemptTopup()
  yield buy.linkCheckout(paid)
  yield buy.fulfil(paid)
  yield HOUR_MS
  const wrong = yield attemptTopup()
  yield buy.pendCheckout(wrong)
  yield buy.fulfil(wrong, { amountMinor: 1_001 })
  yield setTopup({ ...low, capMinor: 2_500 })
  yield attemptTopup()
  yield setTopup({ ...low, text: 'v2' })
  yield removeMethod()
  yield attemptTopup()
  yield saveMethod()
  yield attemptTopup({ options: null })
  yield give
  yield 24 * HOUR_MS
  yield attemptTopup()
  yield setTopup({ threshold: 40_000 })
  yield REMOVE_TOPUP
  yield setTopup({ threshold: 4_000_000, target: 4_000_010, capMinor: 90_000_000 })
  yield attemptTopup({ options: { ...OPTIONS, maxMinor: 90_000_000 } })
  yield removeMethod()
}
