/** Runs a command on an account in the caller's name. */

import { type Command, isProviderNews, recordsMadeBy } from '../core/command.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import { keyHash } from '../stores/chain.ts'
import type { Applied, Idempotency, Transaction } from '../stores/store.ts'
import type { Caller, IdempotencyKey, Services } from './services.ts'

/** What is to be done, and to which account. */
export interface Order {
  readonly account: number
  /** A refusal when no command can be made: it is the answer, unless the request was carried out before. */
  readonly command: Command | Refusal
  /** Records that the command would make, where a refusal stands in its place; by default 1. */
  readonly records?: number
}

/** Runs a command; its idempotency key, if the caller named one, counts for this account only. */
export function runCommand({ store }: Services, caller: Caller, order: Order): Promise<Applied | Refusal> {
  return store.transact(transactionOf(caller, order))
}

/** Runs several commands, each for itself, under the caller's idempotency key and its own place. All are taken on, or none is. */
export function runCommands(
  { store }: Services,
  caller: Caller,
  orders: readonly (Order & { readonly place: number })[],
): Promise<readonly (Applied | Refusal)[]> {
  const at = (item: number): Caller => ({ ...caller, idempotency: caller.idempotency && { ...caller.idempotency, item } })
  return store.transactAll(orders.map((order) => transactionOf(at(order.place), order)))
}

/** As `runCommand`, for a command on something that an id names: an id whose account does not exist names nothing. */
export async function runOnObject(
  services: Services,
  caller: Caller,
  { object, ...order }: Order & { readonly object: 'charge' | 'hold' | 'grant' | 'topup' | 'API key' },
): Promise<Applied | Refusal> {
  const outcome = await runCommand(services, caller, order)
  if (!isRefusal(outcome) || outcome.refused !== 'account_not_found') return outcome
  return refuse(object === 'API key' ? 'key_not_found' : `${object}_not_found`, `No ${object} has this id.`)
}

function transactionOf({ actor, requestId, idempotency }: Caller, order: Order): Transaction {
  const { account, command } = order
  return { account, command, actor, requestId, idempotency: idempotency && idempotencyOf(idempotency, order) }
}

/** Where a command's idempotency key counts: what a provider says is named apart from what callers do. */
function scopeOf(account: number, command: Command | Refusal): Parameters<typeof keyHash>[0] {
  if (isRefusal(command)) return account
  if (command.kind === 'create_account') return 'accounts'
  return isProviderNews(command) ? `provider:${account}` : account
}

function idempotencyOf({ key, fingerprint, item }: IdempotencyKey, { account, command, records = 1 }: Order): Idempotency {
  const scope = scopeOf(account, command)
  const count = isRefusal(command) ? records : recordsMadeBy(command)
  const first = keyHash(scope, key, item)
  const others = Array.from({ length: count - 1 }, (_, index) => keyHash(scope, key, item + index + 1))
  return { keyHashes: [first, ...others], fingerprint }
}
