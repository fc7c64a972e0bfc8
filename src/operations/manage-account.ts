/** Accounts: opened, changed. */

import { randomInt } from 'node:crypto'
import type { AccountFacts } from '../core/decisions/facts.ts'
import { MAX_ACCOUNT_NUMBER } from '../core/ids.ts'
import type { AccountProfile } from '../core/record.ts'
import { isRefusal, type Refusal } from '../core/refusals.ts'
import type { AccountRow, Applied } from '../stores/store.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'

/** An account as it was opened, and whether an earlier request did so. */
export interface OpenedAccount {
  readonly account: AccountRow
  readonly isReplay: boolean
}

/** Opens an account under a new random number. Refuses external_id_taken. */
export async function createAccount(services: Services, caller: Caller, profile: AccountProfile): Promise<OpenedAccount | Refusal> {
  const account = await unusedNumber(services)
  const outcome = await runCommand(services, caller, { account, command: { kind: 'create_account', ...profile } })
  return isRefusal(outcome) ? outcome : { account: opened(outcome), isReplay: outcome.isReplay }
}

/** The account as it was opened: said by its first record, so that asking again has the same answer. */
function opened({ account: number, records: [record] }: Applied): AccountRow {
  if (record?.kind !== 'account_created') throw new Error('the command opened no account')
  const { name, externalId, metadata, capturePolicy, atMs } = record
  return { number, name, externalId, metadata, capturePolicy, status: 'active', createdAtMs: atMs }
}

async function unusedNumber({ store }: Services): Promise<number> {
  for (;;) {
    const number = randomInt(1, MAX_ACCOUNT_NUMBER)
    if ((await store.account(number)) === undefined) return number
  }
}

/** Changes what is known of an account, or suspends it. */
export async function updateAccount(
  services: Services,
  caller: Caller,
  { account, changes }: { readonly account: number; readonly changes: Partial<AccountFacts> },
): Promise<AccountRow | Refusal> {
  const outcome = await runCommand(services, caller, { account, command: { kind: 'update_account', changes } })
  if (isRefusal(outcome)) return outcome
  const row = await services.store.account(account)
  if (!row) throw new Error(`account ${account} was changed and has no profile`)
  return row
}
