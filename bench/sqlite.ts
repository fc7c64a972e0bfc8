/** What is measured of the embedded store. */

import { ACCOUNTS, type Effort, loadPlan } from './loads.ts'
import { ask, load, startServer } from './processes.ts'
import { compare, interleaved, median, rateOf, report } from './report.ts'
import type { ServerReady } from './server.ts'
import type { StorePlan, StoreResult } from './store-bench.ts'

type Part = (effort: Effort, ready: ServerReady) => Promise<void>

/** Parts that share one server. */
const SERVED: Readonly<Record<string, Part>> = { http, reads, latency }
/** Parts that measure the store alone. */
const ALONE: Readonly<Record<string, (effort: Effort) => Promise<void>>> = { store, scale }

/** The parts, in their order. */
export const SQLITE_PARTS: readonly string[] = [...Object.keys(SERVED), ...Object.keys(ALONE)]

/** Measures those of the parts that are wanted. */
export async function benchSqlite(wanted: readonly string[], effort: Effort): Promise<void> {
  const served = Object.entries(SERVED).filter(([name]) => wanted.includes(name))
  if (served.length > 0) {
    const { ready, stop } = await startServer({ accounts: ACCOUNTS, postgres: null })
    for (const [, part] of served) await part(effort, ready)
    await stop()
  }
  for (const [name, part] of Object.entries(ALONE)) if (wanted.includes(name)) await part(effort)
}

async function http({ rounds, seconds }: Effort, ready: ServerReady): Promise<void> {
  for (const connections of [64, 256]) {
    const contenders = {
      'do-nothing': loadPlan(ready, '/noop', { seconds, connections }),
      charge: loadPlan(ready, '/v1/charges', { seconds, connections }),
      hot: loadPlan(ready, '/v1/charges', { seconds, connections, accounts: 1 }),
      'hand-written': loadPlan(ready, '/hand-written', { seconds, connections }),
    }
    const results = await interleaved(contenders, rounds, load)
    for (const [what, of, to, goal] of [
      ['charge / do-nothing POST', 'charge', 'do-nothing', '≥ 0.65'],
      ['charge / hand-written transaction per request', 'charge', 'hand-written', ''],
      [`one hot account / uniform over ${ACCOUNTS}`, 'hot', 'charge', '≥ 1'],
    ] as const)
      compare(results, { part: 'http', what: `${what}, ${connections} connections`, of, to, goal })
  }
}

async function reads({ rounds, seconds }: Effort, ready: ServerReady): Promise<void> {
  const contenders = {
    'do-nothing': loadPlan(ready, '/noop', { seconds, method: 'GET' }),
    credits: loadPlan(ready, '/v1/credits', { seconds, method: 'GET' }),
  }
  const results = await interleaved(contenders, rounds, load)
  compare(results, {
    part: 'reads',
    what: 'GET /v1/credits / do-nothing GET, 64 connections',
    of: 'credits',
    to: 'do-nothing',
    goal: '≥ 0.75',
  })
}

async function latency({ rounds, seconds }: Effort, ready: ServerReady): Promise<void> {
  const full = await load(loadPlan(ready, '/v1/charges', { seconds }))
  const results = await interleaved({ charges: loadPlan(ready, '/v1/charges', { seconds, rate: full.perSecond * 0.4 }) }, rounds, load)
  const p99s = (results.get('charges') ?? []).map(({ p99 = 0 }) => p99)
  report({
    part: 'latency',
    what: 'p99 of charges at 40 % of full load, open loop',
    figure: `${median(p99s).toFixed(1)} ms`,
    goal: '≤ 10 ms',
    detail: `${rateOf(results, 'charges')} [${p99s.map((p99) => p99.toFixed(1)).join(' ')}]`,
  })
}

async function store({ rounds, seconds }: Effort): Promise<void> {
  const plan = { accounts: ACCOUNTS, hot: false, batch: 200, seconds, url: null }
  const contenders: Readonly<Record<string, StorePlan>> = {
    store: { ...plan, subject: 'store' },
    'per-statement': { ...plan, subject: 'per-statement' },
    'per-transaction': { ...plan, subject: 'per-transaction' },
    append: { ...plan, subject: 'append' },
    hot: { ...plan, subject: 'store', hot: true },
  }
  const results = await interleaved(contenders, rounds, (one) => ask<StoreResult>('store-bench.ts', one))
  for (const [what, of, to, goal] of [
    ['store / hand-written statements, 200 charges to a commit', 'store', 'per-statement', '≥ 4.5'],
    ['store / bare append of the same rows, 200 to a commit', 'store', 'append', '≥ 0.30'],
    ['store / hand-written, a transaction per charge', 'store', 'per-transaction', ''],
    ['one hot account / uniform', 'hot', 'store', '≥ 1'],
  ] as const)
    compare(results, { part: 'store', what, of, to, goal })
  const bytes = median((results.get('store') ?? []).map(({ bytesPerCharge }) => bytesPerCharge))
  report({ part: 'store', what: 'bytes of the file per charge', figure: `${Math.round(bytes)} B`, goal: '', detail: '' })
}

/** Rounds of a million accounts, at most: to open them takes longer than to measure. */
const MAX_SCALE_ROUNDS = 3

async function scale({ rounds, seconds }: Effort): Promise<void> {
  const plan: StorePlan = { subject: 'store', accounts: ACCOUNTS, hot: false, batch: 200, seconds: seconds * 3, url: null }
  const contenders = { '10 000': plan, '1 000 000': { ...plan, accounts: 1_000_000 } }
  const results = await interleaved(contenders, Math.min(rounds, MAX_SCALE_ROUNDS), (one) => ask<StoreResult>('store-bench.ts', one))
  compare(results, {
    part: 'scale',
    what: 'store with 1 000 000 accounts / with 10 000',
    of: '1 000 000',
    to: '10 000',
    goal: '≥ 0.45',
  })
  const resident = median((results.get('1 000 000') ?? []).map(({ rssMegabytes }) => rssMegabytes))
  report({ part: 'scale', what: 'resident memory with 1 000 000 accounts', figure: `${Math.round(resident)} MB`, goal: '', detail: '' })
}
