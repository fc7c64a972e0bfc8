/** Accounts: opened, changed. */

import { randomInt } from 'node:crypto'
import type { AccountFacts } from '../core/decisions/facts.ts'
import { MAX_ACCOUNT_NUMBER } from '../core/ids.ts'
import type { AccountProfile } from '../core/record.ts'
import { isRefusal, type Refusal } from '../core/refusals.ts'
import type { AccountRow, Applied } from '../stores/store.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'
import { bindToClock, catchUp } from './test-clocks.ts'

/** An account as it was opened, and whether an earlier request did so. */
export interface OpenedAccount {
  readonly account: AccountRow
  readonly isReplay: boolean
}

/** Opens an account under a new random number. Refuses external_id_taken. */
export async function createAccount(
  services: Services,
  caller: Caller,
  { testClock, ...profile }: AccountProfile & { readonly testClock: string | null },
): Promise<OpenedAccount | Refusal> {
  const account = await unusedNumber(services)
  const clock = testClock === null ? null : await bindToClock(services, testClock, account)
  const bound = clock && !isRefusal(clock) ? { clock: { clock: clock.id, nowMs: clock.nowMs } } : {}
  const command = clock && isRefusal(clock) ? clock : ({ kind: 'create_account', ...profile, ...bound } as const)
  const outcome = await runCommand(services, caller, { account, command })
  if (isRefusal(outcome)) return outcome
  if (testClock !== null) await catchUp(services, testClock, outcome.account, caller)
  return { account: opened(outcome), isReplay: outcome.isReplay }
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
