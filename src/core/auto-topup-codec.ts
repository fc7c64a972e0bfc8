/** Automatic top-ups as plain JSON: their terms in the journal, and what an account's state has of them. */

import type { AutoTopupTerms } from './auto-topup-facts.ts'
import type { AutoTopup } from './auto-topup-state.ts'
import type { Microcredits } from './credits.ts'

type EncodedSize = { readonly target: string } | { readonly amountMinor: number }

/** The terms as plain JSON. */
export interface EncodedAutoTopupTerms extends Omit<AutoTopupTerms, 'threshold' | 'size'> {
  readonly threshold: string
  readonly size: EncodedSize
}

/** Writes the terms. */
export function encodeAutoTopupTerms({ isOn, creditType, threshold, size, monthlyCap, consent }: AutoTopupTerms): EncodedAutoTopupTerms {
  return {
    isOn,
    creditType,
    threshold: threshold.toString(),
    size: 'target' in size ? { target: size.target.toString() } : { amountMinor: size.amountMinor },
    monthlyCap: { amountMinor: monthlyCap.amountMinor, currency: monthlyCap.currency },
    consent: { by: consent.by, text: consent.text },
  }
}

/** Reads the terms. */
export function decodeAutoTopupTerms({ threshold, size, ...terms }: EncodedAutoTopupTerms): AutoTopupTerms {
  const units = (text: string): Microcredits => BigInt(text) as Microcredits
  return { ...terms, threshold: units(threshold), size: 'target' in size ? { target: units(size.target) } : size }
}

/** What the state has, as plain JSON. */
export interface EncodedAutoTopup extends Omit<AutoTopup, 'terms'> {
  readonly terms: EncodedAutoTopupTerms | null
}

/** Writes what the state has. What was folded from equal records gives equal texts. */
export function encodeAutoTopup({ terms, attempt, spent, ...rest }: AutoTopup): EncodedAutoTopup {
  const { agreedAtMs, wantedSinceMs, pause, attemptsMs, declined, lastFailure, lastPaidMs } = rest
  return {
    terms: terms && encodeAutoTopupTerms(terms),
    agreedAtMs,
    wantedSinceMs,
    pause: pause && { why: pause.why, untilMs: pause.untilMs },
    attempt: attempt && {
      purchase: attempt.purchase,
      atMs: attempt.atMs,
      amountMinor: attempt.amountMinor,
      currency: attempt.currency,
      provider: attempt.provider,
      isLive: attempt.isLive,
      customer: attempt.customer,
      method: attempt.method,
      card: attempt.card,
      page: attempt.page,
      isPending: attempt.isPending,
    },
    attemptsMs,
    spent: spent && { startMs: spent.startMs, endMs: spent.endMs, amountMinor: spent.amountMinor, currency: spent.currency },
    declined: declined.map(({ card, declines, nextMs }) => ({ card, declines, nextMs })),
    lastFailure: lastFailure && { code: lastFailure.code, atMs: lastFailure.atMs },
    lastPaidMs,
  }
}

/** Reads what the state has. */
export function decodeAutoTopup({ terms, ...rest }: EncodedAutoTopup): AutoTopup {
  return { ...rest, terms: terms && decodeAutoTopupTerms(terms) }
}
