/**
 * Test clocks: made, read and moved. The clock's row says where it is to be; each account that lives by it is moved by a record of its own.
 * A move that is cut short is finished by whoever comes next: moving an account to where it is already changes nothing.
 */

import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { TestClockRow } from '../stores/test-clocks.ts'
import type { Caller, Services } from './services.ts'

/** Most accounts that live by one clock. */
export const MAX_CLOCK_ACCOUNTS = 100
/** Furthest that a clock is moved at once: all that becomes due by that is booked in one turn. */
export const MAX_STEP_MS = 2 * 366 * 86_400_000
const ACCOUNTS_AT_ONCE = 20
const CLOCKS_AT_ONCE = 100

const OFF = refuse('test_clocks_off', 'This server has no test clocks.')
const NOT_FOUND = refuse('test_clock_not_found', 'No test clock has this id.')

/** Makes a clock. Refuses test_clocks_off. */
export async function makeTestClock(
  { store, policy, clock }: Services,
  wish: Pick<TestClockRow, 'id' | 'name'> & { readonly nowMs: number | null },
): Promise<TestClockRow | Refusal> {
  if (!policy.testClocks) return OFF
  const createdAtMs = clock()
  const nowMs = wish.nowMs ?? createdAtMs
  const row = { id: wish.id, name: wish.name, nowMs, reachedMs: nowMs, createdAtMs }
  await store.testClocks.add(row)
  return row
}

/** Reads a clock. Refuses test_clocks_off and test_clock_not_found. */
export async function readTestClock({ store, policy }: Services, id: string): Promise<TestClockRow | Refusal> {
  if (!policy.testClocks) return OFF
  return (await store.testClocks.at(id)) ?? NOT_FOUND
}

/** Clocks in order of their ids. Refuses test_clocks_off. */
export async function listTestClocks(
  { store, policy }: Services,
  page: { readonly after: string; readonly limit: number },
): Promise<readonly TestClockRow[] | Refusal> {
  return policy.testClocks ? store.testClocks.list(page) : OFF
}

/** Moves a clock, and every account that lives by it. A time that it has passed changes nothing. */
export async function advanceTestClock(services: Services, caller: Caller, id: string, toMs: number): Promise<TestClockRow | Refusal> {
  const before = await readTestClock(services, id)
  if (isRefusal(before)) return before
  await services.store.testClocks.advance(id, toMs)
  await moveAccounts(services, id, caller)
  return readTestClock(services, id)
}

/** Finishes moves that were cut short. */
export async function finishMoves(services: Services): Promise<void> {
  if (!services.policy.testClocks) return
  for (const { id } of await services.store.testClocks.moving(CLOCKS_AT_ONCE))
    await moveAccounts(services, id, { actor: 'operator', requestId: null })
}

async function moveAccounts({ store }: Services, id: string, by: Pick<Caller, 'actor' | 'requestId'>): Promise<void> {
  const clock = await store.testClocks.at(id)
  if (!clock) return
  const { nowMs } = clock
  for (let accounts = await store.testClocks.accounts(id, { after: -1, limit: ACCOUNTS_AT_ONCE }); accounts.length > 0; ) {
    const moves = accounts.map((account) => store.transact(moveOf(account, nowMs, by)))
    // One that is bound and was never opened has no time.
    for (const outcome of await Promise.all(moves))
      if (isRefusal(outcome) && outcome.refused !== 'account_not_found') throw new Error(`a clock could not be moved: ${outcome.detail}`)
    accounts = await store.testClocks.accounts(id, { after: accounts.at(-1) ?? 0, limit: ACCOUNTS_AT_ONCE })
  }
  await store.testClocks.reached(id, nowMs)
}

function moveOf(account: number, nowMs: number, { actor, requestId }: Pick<Caller, 'actor' | 'requestId'>) {
  return { account, command: { kind: 'advance_clock', nowMs }, idempotency: null, actor, requestId } as const
}

/** Binds an account that is about to be opened to a clock; gives the clock. Refuses too_many_clock_accounts. */
export async function bindToClock(services: Services, id: string, account: number): Promise<TestClockRow | Refusal> {
  const clock = await readTestClock(services, id)
  if (isRefusal(clock)) return clock
  const bound = await services.store.testClocks.accounts(id, { after: -1, limit: MAX_CLOCK_ACCOUNTS })
  if (bound.length >= MAX_CLOCK_ACCOUNTS)
    return refuse('too_many_clock_accounts', `${MAX_CLOCK_ACCOUNTS} accounts live by the clock already.`)
  await services.store.testClocks.bind(id, account)
  return clock
}

/** A clock may have been moved between the binding and the opening: then the account is moved after it. */
export async function catchUp({ store }: Services, id: string, account: number, by: Pick<Caller, 'actor' | 'requestId'>): Promise<void> {
  const clock = await store.testClocks.at(id)
  if (clock) await store.transact(moveOf(account, clock.nowMs, by))
}
