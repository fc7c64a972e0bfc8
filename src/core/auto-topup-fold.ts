/** How records change what an account has of automatic top-ups. The only way it ever changes, live, on recovery and in an audit. */

import {
  attemptsBefore,
  autoTopupEvents,
  COOLDOWN_MS,
  cardReadyMs,
  MAX_ATTEMPTS_PER_DAY,
  MAX_DECLINED_CARDS,
  MAX_DECLINES,
  monthAt,
  paysFor,
  spentAt,
} from './auto-topup.ts'
import type { AutoTopup, AutoTopupAttempt } from './auto-topup-state.ts'
import type { AutoTopupRecord, JournalRecord, PaymentMismatched } from './record.ts'

type Of<Kind extends AutoTopupRecord['kind']> = Extract<AutoTopupRecord, { kind: Kind }>

const NOTHING: AutoTopup = {
  terms: null,
  agreedAtMs: 0,
  wantedSinceMs: null,
  pause: null,
  attempt: null,
  attemptsMs: [],
  spent: null,
  declined: [],
  lastFailure: null,
  lastPaidMs: null,
}

/** What an account has of automatic top-ups after a record; null: nothing yet. Throws a fault when the record does not follow. */
export function evolveAutoTopup(before: AutoTopup | null, record: JournalRecord): AutoTopup | null {
  if (record.kind === 'auto_topup_set') return set(before ?? NOTHING, record)
  if (before === null) return null
  const after = change(before, record)
  const isTriggered = record.events.length > 0 && record.events.includes('auto_topup.triggered')
  return isTriggered ? { ...after, wantedSinceMs: record.atMs } : after
}

function change(before: AutoTopup, record: JournalRecord): AutoTopup {
  switch (record.kind) {
    case 'auto_topup_removed':
      return { ...before, terms: null, wantedSinceMs: null, pause: lasting(before) }
    case 'auto_topup_attempted':
      return attempted(before, record)
    case 'auto_topup_failed':
      return failed(before, record)
    case 'auto_topup_capped':
      return { ...before, pause: { why: record.limit, untilMs: record.untilMs } }
    case 'auto_topup_blocked':
      return { ...before, pause: { why: record.reason, untilMs: record.untilMs } }
    case 'auto_topup_stood_down':
      return { ...before, wantedSinceMs: null, pause: lasting(before) }
    case 'payment_method_saved':
      return before.pause?.why === 'no_payment_method' ? { ...before, pause: null } : before
    case 'checkout_linked':
      return withAttempt(before, record.purchase, { page: record.url })
    case 'checkout_pending':
      return withAttempt(before, record.purchase, { isPending: true })
    case 'payment_mismatched':
      return mismatched(before, record)
    case 'dispute_closed':
      // Whoever had a payment taken back by the bank is not asked for another one until they agree to it anew.
      return record.outcome === 'lost' ? { ...before, pause: { why: 'charged_back', untilMs: null } } : before
    case 'topup':
      return paysFor(before, record) ? paid(before, record.atMs) : before
    default:
      return before
  }
}

/** What terms have no say in: that something was just paid, and what may be tried in a day. */
function lasting({ pause }: AutoTopup): AutoTopup['pause'] {
  return pause?.why === 'cooldown' || pause?.why === 'attempts' ? pause : null
}

/** What an attempt in flight was for stays wanted until it has an outcome, unless there are credits enough by the new terms. */
function set(before: AutoTopup, { terms, atMs, events }: Of<'auto_topup_set'>): AutoTopup {
  const known = before.terms?.consent
  const isSame = known !== undefined && known.by === terms.consent.by && known.text === terms.consent.text
  const isWanted = events.includes('auto_topup.triggered')
  return {
    ...before,
    terms,
    agreedAtMs: isSame ? before.agreedAtMs : atMs,
    wantedSinceMs: isWanted ? (before.wantedSinceMs ?? atMs) : null,
    pause: lasting(before),
  }
}

/** Every limit is held to here: a journal that passes one is damaged, or a bug wrote it. */
function attempted(before: AutoTopup, record: Of<'auto_topup_attempted'>): AutoTopup {
  const { seq, atMs, card, customer, method } = record
  const { provider, isLive, amountMinor, currency } = record.terms
  const fault = limitPassed(before, record)
  if (fault !== null) throw new Error(`record ${seq} tries to top up ${fault}`)
  const attempt = { purchase: seq, atMs, provider, isLive, amountMinor, currency, customer, method, card, page: null, isPending: false }
  const spent = { ...monthAt(atMs), amountMinor: spentAt(before, { atMs, currency }) + amountMinor, currency }
  return { ...before, attempt, pause: null, attemptsMs: [...attemptsBefore(before, atMs), atMs], spent }
}

/** Which limit an attempt would pass; null: none. */
export function limitPassed(
  before: AutoTopup,
  { atMs, card, terms: { amountMinor, currency, creditType } }: Pick<Of<'auto_topup_attempted'>, 'atMs' | 'card' | 'terms'>,
): string | null {
  const { terms, attempt, wantedSinceMs } = before
  if (terms === null || !terms.isOn || terms.creditType !== creditType) return 'what nobody asked for'
  if (attempt !== null) return 'while another attempt is in flight'
  if (wantedSinceMs === null) return 'while there are credits enough'
  const readyMs = cardReadyMs(before, card)
  if (readyMs === null || readyMs > atMs) return 'by a card that was declined'
  if (attemptsBefore(before, atMs).length >= MAX_ATTEMPTS_PER_DAY) return 'too often in a day'
  const { monthlyCap } = terms
  if (monthlyCap.currency !== currency || spentAt(before, { atMs, currency }) + amountMinor > monthlyCap.amountMinor)
    return 'for more than the monthly cap'
  return null
}

function failed(before: AutoTopup, { seq, purchase, code, isDecline, nextAttemptMs, atMs }: Of<'auto_topup_failed'>): AutoTopup {
  const { attempt } = before
  if (attempt?.purchase !== purchase) throw new Error(`record ${seq} ends attempt ${purchase}, which is not in flight`)
  const after = { ...before, attempt: null, spent: givenBack(before, attempt), lastFailure: { code, atMs } }
  if (!isDecline) return after
  const declines = (before.declined.find(({ card }) => card === attempt.card)?.declines ?? 0) + 1
  if (declines >= MAX_DECLINES && nextAttemptMs !== null) throw new Error(`record ${seq} lets a card be declined too often`)
  const others = before.declined.filter(({ card }) => card !== attempt.card)
  const declined = [...others, { card: attempt.card, declines, nextMs: nextAttemptMs }].slice(-MAX_DECLINED_CARDS)
  return { ...after, declined }
}

/** What came to nothing costs nothing, in the month in which it was counted. */
function givenBack({ spent }: AutoTopup, { atMs, amountMinor, currency }: AutoTopupAttempt): AutoTopup['spent'] {
  const isCounted = spent !== null && spent.startMs <= atMs && spent.currency === currency
  return isCounted ? { ...spent, amountMinor: spent.amountMinor - amountMinor } : spent
}

function paid(before: AutoTopup, atMs: number): AutoTopup {
  const declined = before.declined.filter(({ card }) => card !== before.attempt?.card)
  const pause = { why: 'cooldown', untilMs: atMs + COOLDOWN_MS } as const
  return { ...before, attempt: null, wantedSinceMs: null, pause, declined, lastPaidMs: atMs }
}

/** Money came that was not asked for: it counts, and nothing more is asked for until somebody has looked at it. */
function mismatched(before: AutoTopup, { purchase, atMs }: PaymentMismatched): AutoTopup {
  if (before.attempt?.purchase !== purchase) return before
  const lastFailure = { code: 'payment_mismatched', atMs }
  return { ...before, attempt: null, pause: { why: 'payment_mismatched', untilMs: null }, lastFailure }
}

function withAttempt(before: AutoTopup, purchase: number, told: Partial<AutoTopupAttempt>): AutoTopup {
  return before.attempt?.purchase === purchase ? { ...before, attempt: { ...before.attempt, ...told } } : before
}

/** Why the events of a record are not those that it causes; undefined: they are. */
export function wrongTopupEvents(before: AutoTopup | null, record: JournalRecord): string | undefined {
  const told = record.events.filter((event) => event.startsWith('auto_topup.'))
  if (record.kind === 'auto_topup_set') return undefined
  const caused = before === null ? [] : autoTopupEvents(before, record)
  return told.join() === caused.join() ? undefined : `it tells ${told.join() || 'nothing'} where it causes ${caused.join() || 'nothing'}`
}
