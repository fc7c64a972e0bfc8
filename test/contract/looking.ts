/** Everything that a store shows of an account, read page by page, and checked against the fold of its records. */

import assert from 'node:assert/strict'
import { type AccountState, emptyAccount } from '../../src/core/account.ts'
import { encodeState } from '../../src/core/account-codec.ts'
import { FOREVER_MS } from '../../src/core/calendar.ts'
import { evolve } from '../../src/core/evolve.ts'
import type { PurchaseFacts } from '../../src/core/purchase.ts'
import { isCharge, type JournalRecord } from '../../src/core/record.ts'
import { opensPurchase } from '../../src/core/record-subjects.ts'
import type { Subscription } from '../../src/core/subscription.ts'
import type { RecordQuery, SeqPage, Store } from '../../src/stores/store.ts'
import { purchaseIn } from '../running/purchases.ts'
import { subscriptionsIn } from '../running/subscriptions.ts'

type Paging = Pick<SeqPage, 'before' | 'after' | 'limit'>

/** All items of a list by pages of a size, from the newest back or from the oldest on; in the order of their sequences. */
export async function walk<Item extends { readonly seq: number }>(
  read: (page: Paging) => Promise<readonly Item[]>,
  limit: number,
  direction: 'older' | 'newer' = 'older',
): Promise<readonly Item[]> {
  const found: Item[] = []
  for (let items = await read(direction === 'older' ? { limit } : { limit, after: 0 }); items.length > 0; ) {
    assert.ok(items.length <= limit, 'no page is longer than asked for')
    found.push(...items)
    const last = items.at(-1)?.seq ?? 0
    items = await read(direction === 'older' ? { limit, before: last } : { limit, after: last })
  }
  return direction === 'older' ? found.reverse() : found
}

/** All records that match, by pages of a size, in either direction; in the order of their sequences. */
export async function walkRecords(
  store: Store,
  account: number,
  { direction = 'older', ...query }: Omit<RecordQuery, 'before' | 'after'> & { readonly direction?: 'older' | 'newer' },
): Promise<readonly JournalRecord[]> {
  const found: JournalRecord[] = []
  let cursor: number | null = direction === 'older' ? Number.MAX_SAFE_INTEGER : 0
  while (cursor !== null) {
    const from: number = cursor
    const page = await store.records(account, { ...query, ...(direction === 'older' ? { before: from } : { after: from }) })
    assert.ok(page.records.length <= query.limit, 'no page is longer than asked for')
    const isFurther: boolean = page.next === null || (direction === 'older' ? page.next < from : page.next > from)
    assert.ok(isFurther, 'each page leads on')
    found.push(...page.records)
    cursor = page.next
  }
  return direction === 'older' ? found.reverse() : found
}

/** All of an account's records. */
export function recordsOf(store: Store, account: number): Promise<readonly JournalRecord[]> {
  return walkRecords(store, account, { limit: 1_000, direction: 'newer' })
}

/** The account's state, which must be what its records fold to. */
export async function stateOf(store: Store, account: number): Promise<AccountState> {
  const state = await store.state(account)
  assert.ok(state, 'the account has a state')
  const folded = (await recordsOf(store, account)).reduce(evolve, emptyAccount(account))
  assert.equal(encodeState(folded), encodeState(state), 'the state is what the records fold to')
  return state
}

/** All that the store shows of an account. */
export async function everythingOf(store: Store, account: number): Promise<Readonly<Record<string, unknown>>> {
  const records = await recordsOf(store, account)
  const charges = records.filter(isCharge).map(({ seq }) => seq)
  return {
    state: encodeState(await stateOf(store, account)),
    account: await store.account(account),
    keys: await walk((page) => store.keys(account, page), 100),
    records,
    grants: await walk((page) => store.grants(account, page), 100),
    holds: await walk((page) => store.holds(account, page), 100),
    purchases: await purchasesOf(store, account),
    subscriptions: await subscriptionsOf(store, account),
    refunds: [...(await store.refunds(account, charges))],
    usage: await store.usage(account, { fromMs: 0, toMs: FOREVER_MS }),
  }
}

/** All of an account's purchases, which must be what its records say of them, one by one and in every list. */
export async function purchasesOf(store: Store, account: number): Promise<readonly PurchaseFacts[]> {
  const records = await recordsOf(store, account)
  const expected = records.flatMap((record) => (opensPurchase(record) ? (purchaseIn(records, record.seq) ?? []) : []))
  for (const facts of expected) assert.deepEqual(await store.purchase(account, facts.purchase.seq), facts)
  const read = async (page: Paging): Promise<readonly (PurchaseFacts & { readonly seq: number })[]> =>
    (await store.purchases(account, page)).map((facts) => ({ seq: facts.purchase.seq, ...facts }))
  for (const direction of ['older', 'newer'] as const)
    assert.deepEqual(
      (await walk(read, 2, direction)).map(({ seq: _, ...facts }) => facts),
      expected,
    )
  return expected
}

/** All of an account's subscriptions, which must be what its records say of them, one by one and in every list. */
export async function subscriptionsOf(store: Store, account: number): Promise<readonly Subscription[]> {
  const expected = subscriptionsIn(await recordsOf(store, account))
  for (const one of expected) assert.deepEqual(await store.subscription(account, one.seq), one)
  for (const direction of ['older', 'newer'] as const)
    assert.deepEqual(await walk((page) => store.subscriptions(account, page), 2, direction), expected)
  return expected
}

/** Whether a promise comes true before long: for what a store does by itself. */
export async function before(deadlineMs: number, holds: () => Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + deadlineMs
  while (performance.now() < endMs) {
    if (await holds()) return true
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return holds()
}
