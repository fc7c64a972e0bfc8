/** API keys: made, changed, given a new secret, ended. */

import { hashSecret, hintOf, makeSecret } from '../auth/secrets.ts'
import type { Command } from '../core/command.ts'
import type { KeyChanges } from '../core/decisions/profile.ts'
import type { Address } from '../core/ids.ts'
import type { KeyTerms } from '../core/record.ts'
import { isRefusal, type Refusal } from '../core/refusals.ts'
import type { KeyRow } from '../stores/store.ts'
import { runCommand, runOnObject } from './run-command.ts'
import type { Caller, Services } from './services.ts'

/** A key after a command. */
export interface ManagedKey {
  readonly key: KeyRow
  /** Shown once: null when the command made none, or had made it before. */
  readonly secret: string | null
  readonly isReplay: boolean
}

/** Makes a key. */
export async function createKey(
  services: Services,
  caller: Caller,
  { account, terms }: { readonly account: number; readonly terms: KeyTerms },
): Promise<ManagedKey | Refusal> {
  const secret = makeSecret(services.policy.keyPrefix)
  const command = { kind: 'create_key', terms, secret: { hash: hashSecret(secret), hint: hintOf(secret) } } as const
  const outcome = await runCommand(services, caller, { account, command })
  if (isRefusal(outcome)) return outcome
  const seq = outcome.records[0]?.seq ?? 0
  return managed(services, { account, seq }, { secret: outcome.isReplay ? null : secret, isReplay: outcome.isReplay })
}

/** Changes what a key may do. */
export function updateKey(
  services: Services,
  caller: Caller,
  { key, changes }: { readonly key: Address; readonly changes: KeyChanges },
): Promise<ManagedKey | Refusal> {
  return change(services, caller, { key, command: { kind: 'update_key', key: key.seq, changes }, secret: null })
}

/** Gives a key a new secret; the old one works until the overlap ends. */
export function rotateKey(
  services: Services,
  caller: Caller,
  { key, overlapMs }: { readonly key: Address; readonly overlapMs: number },
): Promise<ManagedKey | Refusal> {
  const secret = makeSecret(services.policy.keyPrefix)
  const command = { kind: 'rotate_key', key: key.seq, secret: { hash: hashSecret(secret), hint: hintOf(secret) }, overlapMs } as const
  return change(services, caller, { key, command, secret })
}

/** Ends a key at once. */
export function revokeKey(services: Services, caller: Caller, key: Address): Promise<ManagedKey | Refusal> {
  return change(services, caller, { key, command: { kind: 'revoke_key', key: key.seq }, secret: null })
}

interface KeyChange {
  readonly key: Address
  readonly command: Command
  readonly secret: string | null
}

async function change(services: Services, caller: Caller, { key, command, secret }: KeyChange): Promise<ManagedKey | Refusal> {
  const outcome = await runOnObject(services, caller, { object: 'API key', account: key.account, command })
  if (isRefusal(outcome)) return outcome
  services.keyRing.forget(key.account, key.seq)
  return managed(services, key, { secret: outcome.isReplay ? null : secret, isReplay: outcome.isReplay })
}

async function managed({ store }: Services, { account, seq }: Address, rest: Omit<ManagedKey, 'key'>): Promise<ManagedKey> {
  const key = await store.key(account, seq)
  if (!key) throw new Error(`key ${seq} of account ${account} was made and is not there`)
  return { key, ...rest }
}
