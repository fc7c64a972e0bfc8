/** Accounts and their API keys: who they are and what they may do. No credits move. */

import { type AccountState, MAX_KEYS } from '../account.ts'
import type { Context, Decision } from '../draft.ts'
import { openDraft } from '../due.ts'
import type { AccountProfile, KeySecret, KeyTerms } from '../record.ts'
import { type Refusal, refuse } from '../refusals.ts'
import type { AccountFacts, KeyFacts } from './facts.ts'

/** Opens an account: its first record. */
export function decideCreateAccount(state: AccountState, profile: AccountProfile, context: Context): Decision {
  const draft = openDraft(state, context)
  draft.append({ kind: 'account_created', ...profile, events: [] })
  return draft.done()
}

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
  draft.append({ kind: 'key_created', terms, secret, events: [] })
  return draft.done()
}

/** Names a key that must not be revoked. */
export interface LiveKey {
  readonly key: number
  /** Null: there is none. */
  readonly facts: KeyFacts | null
}

function refuseKey(facts: KeyFacts | null): Refusal {
  return facts === null ? refuse('key_not_found', 'No API key has this id.') : refuse('key_revoked', 'The API key has been revoked.')
}

/** Changes what a key may do. What its budget has counted stays, unless its period or zone changes. */
export function decideUpdateKey(
  state: AccountState,
  command: LiveKey & { readonly changes: Partial<KeyTerms> },
  context: Context,
): Decision | Refusal {
  const { key, facts, changes } = command
  const draft = openDraft(state, context)
  if (facts === null || facts.isRevoked) return refuseKey(facts)
  draft.append({ kind: 'key_updated', key, terms: { ...facts.terms, ...changes }, events: [] })
  return draft.done()
}

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

/** Ends a key at once. */
export function decideRevokeKey(state: AccountState, { key, facts }: LiveKey, context: Context): Decision | Refusal {
  if (facts === null || facts.isRevoked) return refuseKey(facts)
  const draft = openDraft(state, context)
  draft.append({ kind: 'key_revoked', key, events: [] })
  return draft.done()
}
