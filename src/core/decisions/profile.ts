/** Accounts and their API keys: who they are and what they may do. No credits move. */

import { type AccountState, type BudgetTerms, type ClockTime, MAX_KEYS } from '../account.ts'
import type { Context, Decision } from '../draft.ts'
import { openDraft } from '../due.ts'
import type { AccountProfile, KeySecret, KeyTerms } from '../record.ts'
import { type Refusal, refuse } from '../refusals.ts'
import type { AccountFacts, KeyFacts } from './facts.ts'

/** What an account is opened with. */
export interface NewAccount extends AccountProfile {
  /** The test clock that it lives by, for ever, and the time of it; by default the store's own time. */
  readonly clock?: ClockTime
}

/** Opens an account: its first record, at the time that it is for the account. */
export function decideCreateAccount(state: AccountState, { clock, ...profile }: NewAccount, context: Context): Decision {
  const draft = openDraft(state, clock ? { ...context, nowMs: clock.nowMs } : context)
  draft.append({ kind: 'account_created', ...profile, clock: clock ?? null, events: [] })
  return draft.done()
}

/** What is to change of an account. */
export interface UpdateAccountCommand {
  readonly account: AccountFacts
  readonly changes: Partial<AccountFacts>
}

/** Changes what is known of an account, and whether it takes charges. */
export function decideUpdateAccount(state: AccountState, { account, changes }: UpdateAccountCommand, context: Context): Decision {
  const draft = openDraft(state, context)
  draft.append({ kind: 'account_updated', ...account, ...changes, events: [] })
  return draft.done()
}

/** Makes an API key. */
export function decideCreateKey(
  state: AccountState,
  { terms, secret }: { readonly terms: KeyTerms; readonly secret: KeySecret },
  context: Context,
): Decision | Refusal {
  const draft = openDraft(state, context)
  if (draft.state.keys >= MAX_KEYS) return refuse('too_many_keys', `The account has ${MAX_KEYS} API keys; revoke some first.`)
  if (hasPassed(terms.expiresAtMs, draft.nowMs)) return KEY_EXPIRY_PASSED
  draft.append({ kind: 'key_created', terms, secret, events: [] })
  return draft.done()
}

const KEY_EXPIRY_PASSED = refuse('expiry_passed', 'The key would have expired already. To end a key now, revoke it.')

function hasPassed(expiresAtMs: number | null, nowMs: number): boolean {
  return expiresAtMs !== null && expiresAtMs <= nowMs
}

/** A budget that limits nothing and counts all the same. */
export const NO_BUDGET: BudgetTerms = { limit: null, period: 'lifetime', timeZone: 'UTC', maxPerCharge: null }

/** What is to change of a key's terms; of a budget, what is left out stays as it is. */
export interface KeyChanges extends Partial<Omit<KeyTerms, 'budget'>> {
  readonly budget?: Partial<BudgetTerms> | null
}

/** Names a key that must not be revoked. */
export interface LiveKey {
  readonly key: number
  /** Null: there is none. */
  readonly facts: KeyFacts | null
}

function refuseKey(facts: KeyFacts | null): Refusal {
  return facts === null
    ? refuse('key_not_found', 'No API key has this id.')
    : refuse('key_already_revoked', 'The API key was revoked: it can be read, not changed.')
}

/** Changes what a key may do. What its budget has counted stays, unless its period or zone changes. */
export function decideUpdateKey(
  state: AccountState,
  command: LiveKey & { readonly changes: KeyChanges },
  context: Context,
): Decision | Refusal {
  const { key, facts, changes } = command
  const draft = openDraft(state, context)
  if (facts === null || facts.isRevoked) return refuseKey(facts)
  if (hasPassed(changes.expiresAtMs ?? null, draft.nowMs)) return KEY_EXPIRY_PASSED
  const { budget, ...others } = changes
  const terms = {
    ...facts.terms,
    ...others,
    ...(budget === undefined ? {} : { budget: budget && { ...(facts.terms.budget ?? NO_BUDGET), ...budget } }),
  }
  draft.append({ kind: 'key_updated', key, terms, events: [] })
  return draft.done()
}

/** A new secret for a key. */
export interface RotateCommand extends LiveKey {
  readonly secret: KeySecret
  /** The old secret works for this long; 0: it ends now. */
  readonly overlapMs: number
}

/** Gives a key a new secret; the old one works until the overlap ends. */
export function decideRotateKey(
  state: AccountState,
  { key, facts, secret, overlapMs }: RotateCommand,
  context: Context,
): Decision | Refusal {
  if (facts === null || facts.isRevoked) return refuseKey(facts)
  const draft = openDraft(state, context)
  draft.append({ kind: 'key_rotated', key, secret, previousUntilMs: draft.nowMs + overlapMs, events: [] })
  return draft.done()
}

/** Ends a key at once. One that has ended already stays as it is. */
export function decideRevokeKey(state: AccountState, { key, facts }: LiveKey, context: Context): Decision | Refusal {
  if (facts === null) return refuseKey(facts)
  const draft = openDraft(state, context)
  if (!facts.isRevoked) draft.append({ kind: 'key_revoked', key, events: [] })
  return draft.done()
}
