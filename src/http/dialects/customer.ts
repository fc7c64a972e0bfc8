/** Whose credits a dialect speaks of: those of the account whose key, or whose user's token, came with the request. */

import type { FastifyRequest } from 'fastify'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { type AccountAt, accountNow } from '../../operations/read-credits.ts'
import type { Services } from '../../operations/services.ts'
import type { KeyRow } from '../../stores/store.ts'
import { requireOwner } from '../access.ts'
import { refusalError } from '../error-handler.ts'

/** Who calls a dialect. */
export interface Customer {
  readonly account: number
  /** Null: a user asks. */
  readonly key: KeyRow | null
}

/** The caller. The operator's key has no account, and opens nothing here. Throws invalid_key. */
export function customerOf({ identity }: FastifyRequest): Customer {
  if (identity?.kind === 'customer') return { account: identity.key.account, key: identity.key }
  if (identity?.kind === 'user') return { account: identity.user.account, key: null }
  throw refusalError(refuse('invalid_key', "The operator's key has no account: use a key of the customer's."))
}

/** The caller, whose account is to pay for something. Throws role_required for a user who may only read. */
export function payingCustomerOf(request: FastifyRequest): Customer {
  if (request.identity?.kind === 'user') requireOwner(request)
  return customerOf(request)
}

/** The caller's account as it is now. */
export async function accountOfCustomer(services: Services, { account }: Customer): Promise<AccountAt> {
  const now = await accountNow(services, account)
  if (isRefusal(now)) throw refusalError(now)
  return now
}
