/** Finds whom a request is about: an account by id or external id, or an API key and its account. */

import { faultOf, type KeyFault, type ShownKey } from '../auth/key-ring.ts'
import { parseAccountId, parseObjectId } from '../core/ids.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { KeyRow } from '../stores/store.ts'
import type { Services } from './services.ts'

const EXTERNAL = 'external:'

/** The number of the account that a text names: `acct_…` or `external:<external id>`. Refuses account_not_found. */
export async function findAccount({ store }: Services, text: string): Promise<number | Refusal> {
  const number = text.startsWith(EXTERNAL) ? await store.accountByExternalId(text.slice(EXTERNAL.length)) : parseAccountId(text)
  return number ?? refuse('account_not_found', `No account is named ${text.slice(0, 100)}.`)
}

/** Whom a charge or hold is against. */
export interface Target {
  readonly account: number
  /** Null: the account alone, with no key's limits. */
  readonly key: KeyRow | null
  /** Why the key may not be used any more; null: it may. */
  readonly fault: Refusal | null
}

/** The target that a request names by account, by key (secret or id), or by both. */
export async function findTarget(
  services: Services,
  named: { readonly account: string | null; readonly key: string | null },
): Promise<Target | Refusal> {
  const account = named.account === null ? null : (parseAccountId(named.account) ?? (await findAccount(services, named.account)))
  if (account !== null && typeof account !== 'number') return account
  if (named.key === null)
    return account === null ? refuse('account_not_found', 'Name an account or a key.') : { account, key: null, fault: null }
  const shown = await findKey(services, named.key)
  if (isRefusal(shown)) return shown
  const { key, fault } = shown
  if (account !== null && key.account !== account) return refuse('key_not_found', 'The account has no such key.')
  return { account: key.account, key, fault: fault && refuseFault(fault) }
}

/** Refuses a key that may not be used any more. */
export function refuseFault(fault: KeyFault): Refusal {
  return refuse(fault, 'The API key may not be used any more.')
}

/** The key of a secret or an id, whether or not it may be used. Refuses invalid_key, key_not_found. */
export async function findKey({ store, keyRing, clock }: Services, text: string): Promise<ShownKey | Refusal> {
  const address = parseObjectId('key', text)
  if (!address) return (await keyRing.find(text)) ?? refuse('invalid_key', 'The API key does not open an account.')
  const key = await store.key(address.account, address.seq)
  return key ? { key, fault: faultOf(key, clock()) } : refuse('key_not_found', 'No API key has this id.')
}
