/** Accounts that benches charge, and what they are charged. The same for every contender. */

import type { Microcredits } from '../src/core/credits.ts'
import type { Decimal } from '../src/core/decimal.ts'
import { keyHash } from '../src/stores/chain.ts'
import type { Store } from '../src/stores/store.ts'

/** What each of an account's grants has. */
export const FUNDS = 100_000_000_000n as Microcredits
/** What a charge takes: 374 input tokens and 44 output tokens. */
export const CHARGE = 82_500n as Microcredits
/** The priorities of an account's grants. */
export const PRIORITIES = [20, 30, 40] as const
/** Accounts that are opened at once. */
const AT_ONCE = 500

const CALLER = { idempotency: null, actor: 'operator', requestId: null } as const

/** Numbers of accounts are spread over their range, as random ones are. */
export function numberOf(index: number): number {
  return (1_000_003 + index * 1_097_511) % 1_099_511_627_689
}

/** Opens accounts with three grants each. */
export async function openAccounts(store: Store, count: number): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => openAccount(store, numberOf(from + index))))
}

async function openAccount(store: Store, account: number): Promise<void> {
  const command = { kind: 'create_account', name: 'bench', externalId: null, metadata: {}, capturePolicy: null } as const
  await store.transact({ ...CALLER, account, command })
  for (const priority of PRIORITIES) {
    const terms = { source: 'plan', priority, effectiveAtMs: null, expiresAtMs: null, paid: false, cost: null, metadata: {} } as const
    await store.transact({ ...CALLER, account, command: { kind: 'grant', creditType: 'credits', grant: { amount: FUNDS, ...terms } } })
  }
}

/** Charges an account under an idempotency key of its own. */
export async function chargeOnce(store: Store, account: number, key: string): Promise<void> {
  const outcome = await store.transact({
    account,
    idempotency: { keyHashes: [keyHash(account, key)], fingerprint: 'abcdefghijklmnopqrstuv' },
    actor: 'operator',
    requestId: 'req_0123456789_abcdef',
    command: {
      kind: 'charge',
      offers: [{ creditType: 'credits', credits: CHARGE }],
      operation: 'llm.chat',
      key: null,
      quantities: { input_tokens: 374_000_000_000_000n as Decimal, output_tokens: 44_000_000_000_000n as Decimal },
      attributes: {},
      priceVersion: 1,
      metadata: {},
    },
  })
  if ('refused' in outcome) throw new Error(outcome.detail)
}
