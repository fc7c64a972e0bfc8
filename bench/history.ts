/** Reads on a long journal: ten million charges, then balances, pages, deep pages and months of usage. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Microcredits } from '../src/core/credits.ts'
import type { Decimal } from '../src/core/decimal.ts'
import { openSqliteStore } from '../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../src/stores/store.ts'
import type { Line } from './report.ts'

const ACCOUNTS = 10_000
const CHARGES = 10_000_000
const AT_ONCE = 500
const READS = 300
const DAY_MS = 86_400_000

/** Fills a store with ten million charges over ninety days, then times reads of random accounts. */
export async function benchHistory(): Promise<readonly Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-history-'))
  const endMs = Date.now()
  const clock = { nowMs: endMs - 90 * DAY_MS }
  const store = openSqliteStore({
    file: join(folder, 'obol.db'),
    clock: () => clock.nowMs,
    onFault: (fault) => {
      throw fault
    },
  })
  await fill(store, clock, endMs)
  const startedMs = performance.now()
  const lines = await timeReads(store, endMs)
  console.log(`reads took ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  await store.close()
  rmSync(folder, { recursive: true })
  return lines
}

async function fill(store: Store, clock: { nowMs: number }, endMs: number): Promise<void> {
  const caller = { idempotency: null, actor: 'operator', requestId: null } as const
  const funds = {
    amount: 1_000_000_000_000_000n as Microcredits,
    source: 'topup',
    priority: 40,
    effectiveAtMs: null,
    expiresAtMs: null,
    paid: false,
    cost: null,
    metadata: {},
  } as const
  for (let account = 1; account <= ACCOUNTS; account++) {
    await store.transact({
      ...caller,
      account,
      command: { kind: 'create_account', name: 'bench', externalId: null, metadata: {}, capturePolicy: null },
    })
    await store.transact({ ...caller, account, command: { kind: 'grant', creditType: 'credits', grant: funds } })
  }
  const stepMs = (endMs - clock.nowMs) / (CHARGES / AT_ONCE)
  const charge = {
    kind: 'charge',
    offers: [{ creditType: 'credits', credits: 82_500n as Microcredits }],
    operation: 'llm.chat',
    key: null,
    quantities: { input_tokens: 374_000_000_000_000n as Decimal },
    attributes: {},
    priceVersion: 1,
    metadata: {},
  } as const
  for (let done = 0; done < CHARGES; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => store.transact({ ...caller, account: randomAccount(), command: charge })))
    clock.nowMs += stepMs
    if (done % 500_000 === 0) process.stderr.write(`\r${done / 1_000_000} million charges`)
  }
  process.stderr.write('\n')
}

function randomAccount(): number {
  return 1 + Math.floor(Math.random() * ACCOUNTS)
}

async function timeReads(store: Store, endMs: number): Promise<readonly Line[]> {
  const reads: readonly (readonly [what: string, read: () => Promise<unknown>])[] = [
    ['balance', () => store.state(randomAccount())],
    ['last 50 charges', () => store.records(randomAccount(), { kinds: ['charge'], limit: 50 })],
    ['50 charges, 500 records back', () => store.records(randomAccount(), { kinds: ['charge'], limit: 50, before: 500 })],
    [
      '50 charges of a day a month ago',
      () => store.records(randomAccount(), { kinds: ['charge'], limit: 50, fromMs: endMs - 31 * DAY_MS, toMs: endMs - 30 * DAY_MS }),
    ],
    ['a month of usage from roll-ups', () => store.usage(randomAccount(), { fromMs: endMs - 30 * DAY_MS, toMs: endMs })],
  ]
  const lines: Line[] = []
  for (const [what, read] of reads) {
    const times: number[] = []
    for (let index = 0; index < READS; index++) {
      const startedMs = performance.now()
      await read()
      times.push(performance.now() - startedMs)
    }
    times.sort((a, b) => a - b)
    const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(3)
    lines.push({
      part: 'history',
      what: `${what}, in a journal of 10 000 000`,
      figure: `${at(0.5)} ms`,
      goal: '',
      detail: `p99 ${at(0.99)} ms`,
    })
  }
  return lines
}
