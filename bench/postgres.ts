/** What is measured of the store on PostgreSQL, on a server of its own with full durability. */

import { openPostgresStore } from '../src/stores/postgres/postgres-store.ts'
import { newSchema } from '../test/running/postgres.ts'
import { openAccounts } from './accounts.ts'
import { fillHandWritten } from './hand-written-postgres.ts'
import type { LoadPlan, LoadResult } from './load.ts'
import { ACCOUNTS, type Effort, loadPlan } from './loads.ts'
import { ask, load, type RunningServer, startServer } from './processes.ts'
import { compare, interleaved, median, rateOf, report } from './report.ts'
import type { StorePlan, StoreResult } from './store-bench.ts'

const PARTS: Readonly<Record<string, (effort: Effort) => Promise<void>>> = {
  'postgres-http': http,
  'postgres-store': store,
  'postgres-growth': growth,
}

/** The parts, in their order. */
export const POSTGRES_PARTS: readonly string[] = Object.keys(PARTS)

/** Measures those of the parts that are wanted. */
export async function benchPostgres(wanted: readonly string[], effort: Effort): Promise<void> {
  for (const [name, part] of Object.entries(PARTS)) if (wanted.includes(name)) await part(effort)
}

async function http(effort: Effort): Promise<void> {
  const url = await newSchema()
  const first = await startServer({ accounts: ACCOUNTS, postgres: url })
  const second = await startServer({ accounts: ACCOUNTS, postgres: url, isSecond: true })
  for (const connections of [64, 256]) await uniform(effort, { first, second, connections })
  await hot(effort, first)
  await halfLoad(effort, first)
  await second.stop()
  await first.stop()
}

interface Nodes {
  readonly first: RunningServer
  readonly second: RunningServer
  readonly connections: number
}

/** Loads that run beside each other: one, or one for each node. */
async function loadAll(plans: readonly LoadPlan[]): Promise<LoadResult> {
  const results = await Promise.all(plans.map(load))
  const sum = (read: (result: LoadResult) => number): number => results.reduce((total, result) => total + read(result), 0)
  const [worst] = [...results].sort((a, b) => b.p99 - a.p99)
  if (!worst) throw new Error('no load was sent')
  return { ...worst, requests: sum(({ requests }) => requests), perSecond: sum(({ perSecond }) => perSecond) }
}

async function uniform({ rounds, seconds }: Effort, { first, second, connections }: Nodes): Promise<void> {
  const plan = (path: string): readonly LoadPlan[] => [loadPlan(first.ready, path, { seconds, connections })]
  const contenders: Readonly<Record<string, readonly LoadPlan[]>> = {
    'do-nothing': plan('/noop'),
    charge: plan('/v1/charges'),
    'hand-written': plan('/hand-written'),
    'ledger function': plan('/ledger-function'),
    'two nodes': [first, second].map(({ ready }) => loadPlan(ready, '/v1/charges', { seconds, connections: connections / 2 })),
  }
  const results = await interleaved(contenders, rounds, loadAll)
  for (const [what, of, to, goal] of [
    ['charge / hand-written transaction per request', 'charge', 'hand-written', connections === 64 ? '≥ 7' : '≥ 10'],
    ['charge / ledger function called once per batch', 'charge', 'ledger function', ''],
    ['charge / do-nothing POST', 'charge', 'do-nothing', '≥ 0.28'],
    ['two nodes on the same accounts / hand-written', 'two nodes', 'hand-written', connections === 64 ? '' : '≥ 8'],
  ] as const)
    compare(results, { part: 'postgres', what: `${what}, ${connections} connections`, of, to, goal })
}

async function hot({ rounds, seconds }: Effort, { ready }: RunningServer): Promise<void> {
  const contenders = {
    charge: loadPlan(ready, '/v1/charges', { seconds, accounts: 1 }),
    'hand-written': loadPlan(ready, '/hand-written', { seconds, accounts: 1 }),
    'ledger function': loadPlan(ready, '/ledger-function', { seconds, accounts: 1 }),
  }
  const results = await interleaved(contenders, rounds, load)
  const part = 'postgres'
  compare(results, {
    part,
    what: 'one hot account: charge / hand-written, 64 connections',
    of: 'charge',
    to: 'hand-written',
    goal: '≥ 25',
  })
  compare(results, {
    part,
    what: 'one hot account: charge / ledger function, 64 connections',
    of: 'charge',
    to: 'ledger function',
    goal: '',
  })
}

async function halfLoad({ rounds, seconds }: Effort, { ready }: RunningServer): Promise<void> {
  const full = await load(loadPlan(ready, '/v1/charges', { seconds }))
  const results = await interleaved({ charges: loadPlan(ready, '/v1/charges', { seconds, rate: full.perSecond / 2 }) }, rounds, load)
  const p99s = (results.get('charges') ?? []).map(({ p99 = 0 }) => p99)
  report({
    part: 'postgres',
    what: 'p99 of charges at half load, open loop',
    figure: `${median(p99s).toFixed(1)} ms`,
    goal: '≤ 20 ms',
    detail: `${rateOf(results, 'charges')} [${p99s.map((p99) => p99.toFixed(1)).join(' ')}]`,
  })
}

async function openSchema(accounts: number): Promise<string> {
  const url = await newSchema()
  const opened = await openPostgresStore({ url })
  await openAccounts(opened, accounts)
  await opened.close()
  return url
}

async function store({ rounds, seconds }: Effort): Promise<void> {
  const url = await openSchema(ACCOUNTS)
  await fillHandWritten(url, ACCOUNTS)
  for (const batch of [64, 256]) {
    const plan = { accounts: ACCOUNTS, batch, seconds, url, hot: false }
    const contenders: Readonly<Record<string, StorePlan>> = {
      store: { ...plan, subject: 'postgres' },
      'hand-written': { ...plan, subject: 'postgres-hand' },
      'ledger function': { ...plan, subject: 'postgres-function' },
      'hot store': { ...plan, subject: 'postgres', hot: true },
      'hot hand-written': { ...plan, subject: 'postgres-hand', hot: true },
    }
    const results = await interleaved(contenders, rounds, (one) => ask<StoreResult>('store-bench.ts', one))
    for (const [what, of, to] of [
      ['store alone / hand-written', 'store', 'hand-written'],
      ['store alone / ledger function', 'store', 'ledger function'],
      ['store alone on one hot account / hand-written', 'hot store', 'hot hand-written'],
    ] as const)
      compare(results, { part: 'postgres', what: `${what}, ${batch} callers`, of, to, goal: '' })
  }
}

/** Accounts of the large store. */
const MANY_ACCOUNTS = 1_000_000
/** Rounds of growth, at most. */
const MAX_GROWTH_ROUNDS = 3

/** How much slower a large store is: by its accounts. Its charges are counted up while it is measured. */
async function growth({ rounds, seconds }: Effort): Promise<void> {
  const [few, many] = [await openSchema(ACCOUNTS), await openSchema(MANY_ACCOUNTS)]
  const plan = { subject: 'postgres', batch: 256, seconds: seconds * 3, hot: false } as const
  const contenders: Readonly<Record<string, StorePlan>> = {
    '10 000': { ...plan, url: few, accounts: ACCOUNTS },
    '1 000 000': { ...plan, url: many, accounts: MANY_ACCOUNTS },
  }
  const results = await interleaved(contenders, Math.min(rounds, MAX_GROWTH_ROUNDS), (one) => ask<StoreResult>('store-bench.ts', one))
  compare(results, {
    part: 'postgres',
    what: 'store with 1 000 000 accounts / with 10 000, 256 callers',
    of: '1 000 000',
    to: '10 000',
    goal: '',
  })
}
