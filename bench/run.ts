/**
 * `npm run bench`: measures Obol against what it is compared with, on this machine, in one run. Rounds are interleaved and ratios are
 * formed within a round, because machines change their speed; the median of the rounds is what counts.
 *
 *   npm run bench                     everything that fits in some minutes
 *   npm run bench -- http store       some of: http, latency, store, scale, reads
 *   npm run bench -- history          reads on a journal of ten million records: some minutes more
 *   npm run bench -- --rounds 9       more rounds (default 5)
 *   npm run bench -- --record         writes the figures to bench/RESULTS.md
 */

import { type ChildProcess, fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchHistory } from './history.ts'
import type { LoadPlan, LoadResult } from './load.ts'
import { OPERATOR_KEY, type ServerPlan, type ServerReady } from './server.ts'
import type { StorePlan, StoreResult } from './store-bench.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    record: { type: 'boolean', default: false },
  },
})
const ROUNDS = Number(values.rounds)
const SECONDS = Number(values.seconds)
const PARTS = ['http', 'reads', 'latency', 'store', 'scale'] as const
const wanted: readonly string[] = positionals.length > 0 ? positionals : PARTS

/** A line of the results. */
interface Line {
  readonly part: string
  readonly what: string
  readonly ratio: string
  readonly goal: string
  readonly detail: string
}

const lines: Line[] = []

function report(line: Line): void {
  lines.push(line)
  console.log(`${line.part.padEnd(8)} ${line.what.padEnd(64)} ${line.ratio.padStart(8)}  ${line.goal.padEnd(8)} ${line.detail}`)
}

/** What `npm start` gives Node: charges make much that is soon garbage, and a larger nursery copies less of it. */
const NODE_OPTIONS = ['--max-semi-space-size=32']

function ask<Result>(file: string, plan: unknown): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, file), { stdio: 'inherit', execArgv: NODE_OPTIONS })
    child.once('message', (result) => resolve(result as Result))
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
    child.send(plan as object)
  })
}

async function startServer(plan: ServerPlan): Promise<{ readonly ready: ServerReady; readonly stop: () => Promise<void> }> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'server.ts'), { stdio: 'inherit', execArgv: NODE_OPTIONS })
  child.send(plan)
  const ready = await new Promise<ServerReady>((resolve, reject) => {
    child.once('message', (message) => resolve(message as ServerReady))
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
  })
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.send('stop')
    })
  return { ready, stop }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function rounds(values: readonly number[]): string {
  return `[${values.map((value) => value.toFixed(2)).join(' ')}]`
}

const ACCOUNTS = 10_000

function loadPlan(ready: ServerReady, path: string, more: Partial<LoadPlan>): LoadPlan {
  const isRead = more.method === 'GET'
  return {
    port: ready.port,
    method: 'POST',
    path,
    key: isRead ? ready.key : OPERATOR_KEY,
    connections: 64,
    seconds: SECONDS,
    warmUpSeconds: 0.5,
    rate: null,
    accountsFile: isRead ? null : ready.accountsFile,
    accounts: ACCOUNTS,
    expectedStatus: isRead ? 200 : 201,
    ...more,
  }
}

async function load(plan: LoadPlan): Promise<LoadResult> {
  const result = await ask<LoadResult>('load.ts', plan)
  if (result.unexpected > 0) throw new Error(`${plan.path}: ${result.unexpected} unexpected answers`)
  return result
}

interface Contender {
  readonly name: string
  readonly plan: LoadPlan
}

/** Runs contenders in turn, round by round; gives each one's results in order. */
async function interleaved(contenders: readonly Contender[]): Promise<ReadonlyMap<string, readonly LoadResult[]>> {
  const results = new Map<string, LoadResult[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) for (const { name, plan } of contenders) results.get(name)?.push(await load(plan))
  return results
}

function ratios(results: ReadonlyMap<string, readonly LoadResult[]>, of: string, to: string): readonly number[] {
  const base = results.get(to) ?? []
  return (results.get(of) ?? []).map(({ perSecond }, round) => perSecond / (base[round]?.perSecond ?? Number.NaN))
}

function rate(results: ReadonlyMap<string, readonly LoadResult[]>, of: string): string {
  const all = results.get(of) ?? []
  return `${Math.round(median(all.map(({ perSecond }) => perSecond)))}/s, p50 ${median(all.map(({ p50 }) => p50)).toFixed(1)} ms, p99 ${median(all.map(({ p99 }) => p99)).toFixed(1)} ms`
}

async function benchHttp(ready: ServerReady): Promise<void> {
  for (const connections of [64, 256]) {
    const results = await interleaved([
      { name: 'noop', plan: loadPlan(ready, '/noop', { connections }) },
      { name: 'charge', plan: loadPlan(ready, '/v1/charges', { connections }) },
      { name: 'hot', plan: loadPlan(ready, '/v1/charges', { connections, accounts: 1 }) },
      { name: 'hand-written', plan: loadPlan(ready, '/hand-written', { connections }) },
    ])
    const toNoop = ratios(results, 'charge', 'noop')
    report({
      part: 'http',
      what: `charge / do-nothing POST, ${connections} connections`,
      ratio: median(toNoop).toFixed(2),
      goal: '≥ 0.65',
      detail: `${rate(results, 'charge')}; do-nothing ${rate(results, 'noop')} ${rounds(toNoop)}`,
    })
    const toHand = ratios(results, 'charge', 'hand-written')
    report({
      part: 'http',
      what: `charge / hand-written transaction per request, ${connections} connections`,
      ratio: median(toHand).toFixed(2),
      goal: '',
      detail: `hand-written ${rate(results, 'hand-written')} ${rounds(toHand)}`,
    })
    const toUniform = ratios(results, 'hot', 'charge')
    report({
      part: 'http',
      what: `one hot account / uniform over ${ACCOUNTS}, ${connections} connections`,
      ratio: median(toUniform).toFixed(2),
      goal: '≥ 1',
      detail: `hot ${rate(results, 'hot')} ${rounds(toUniform)}`,
    })
  }
}

async function benchReads(ready: ServerReady): Promise<void> {
  const results = await interleaved([
    { name: 'noop', plan: loadPlan(ready, '/noop', { method: 'GET' }) },
    { name: 'credits', plan: loadPlan(ready, '/v1/credits', { method: 'GET' }) },
  ])
  const toNoop = ratios(results, 'credits', 'noop')
  report({
    part: 'reads',
    what: 'GET /v1/credits / do-nothing GET, 64 connections',
    ratio: median(toNoop).toFixed(2),
    goal: '≥ 0.75',
    detail: `${rate(results, 'credits')}; do-nothing ${rate(results, 'noop')} ${rounds(toNoop)}`,
  })
}

async function benchLatency(ready: ServerReady): Promise<void> {
  const full = await load(loadPlan(ready, '/v1/charges', {}))
  const p99s: number[] = []
  const p50s: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const { p50, p99 } = await load(loadPlan(ready, '/v1/charges', { rate: full.perSecond * 0.4 }))
    p50s.push(p50)
    p99s.push(p99)
  }
  report({
    part: 'latency',
    what: 'p99 of charges at 40 % of full load, open loop',
    ratio: `${median(p99s).toFixed(1)} ms`,
    goal: '≤ 10 ms',
    detail: `at ${Math.round(full.perSecond * 0.4)}/s, p50 ${median(p50s).toFixed(1)} ms ${rounds(p99s)}`,
  })
}

async function benchStore(): Promise<void> {
  const plan = { accounts: ACCOUNTS, hot: false, batch: 200, seconds: SECONDS }
  const plans: Readonly<Record<string, StorePlan>> = {
    store: { ...plan, subject: 'store' },
    'per-statement': { ...plan, subject: 'per-statement' },
    'per-transaction': { ...plan, subject: 'per-transaction' },
    append: { ...plan, subject: 'append' },
    hot: { ...plan, subject: 'store', hot: true },
  }
  const results = new Map<string, StoreResult[]>(Object.keys(plans).map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, one] of Object.entries(plans)) results.get(name)?.push(await ask<StoreResult>('store-bench.ts', one))
  const of = (name: string): readonly StoreResult[] => results.get(name) ?? []
  const compare = (a: string, b: string): readonly number[] =>
    of(a).map(({ perSecond }, round) => perSecond / (of(b)[round]?.perSecond ?? Number.NaN))
  const shown = (name: string): string =>
    `${name} ${Math.round(median(of(name).map(({ perSecond }) => perSecond)))}/s, ${median(of(name).map(({ cpuMicroseconds }) => cpuMicroseconds)).toFixed(1)} µs CPU`
  for (const [name, against, what, goal] of [
    ['store', 'per-statement', 'store / hand-written statements, 200 charges to a commit', '≥ 4.5'],
    ['store', 'append', 'store / bare append of the same rows, 200 to a commit', '≥ 0.30'],
    ['store', 'per-transaction', 'store / hand-written, a transaction per charge', ''],
    ['hot', 'store', 'one hot account / uniform', '≥ 1'],
  ] as const) {
    const found = compare(name, against)
    report({ part: 'store', what, ratio: median(found).toFixed(2), goal, detail: `${shown(name)}; ${shown(against)} ${rounds(found)}` })
  }
  report({
    part: 'store',
    what: 'bytes of the file per charge',
    ratio: `${Math.round(median(of('store').map(({ bytesPerCharge }) => bytesPerCharge)))} B`,
    goal: '',
    detail: '',
  })
}

async function benchScale(): Promise<void> {
  const plan: StorePlan = { subject: 'store', accounts: ACCOUNTS, hot: false, batch: 200, seconds: SECONDS * 3 }
  const found: number[] = []
  const large: StoreResult[] = []
  for (let round = 0; round < Math.min(ROUNDS, 3); round++) {
    const small = await ask<StoreResult>('store-bench.ts', plan)
    const big = await ask<StoreResult>('store-bench.ts', { ...plan, accounts: 1_000_000 })
    large.push(big)
    found.push(big.perSecond / small.perSecond)
  }
  const rss = median(large.map(({ rssMegabytes }) => rssMegabytes))
  report({
    part: 'scale',
    what: 'store with 1 000 000 accounts / with 10 000',
    ratio: median(found).toFixed(2),
    goal: '≥ 0.45',
    detail: `${Math.round(median(large.map(({ perSecond }) => perSecond)))}/s, ${Math.round(rss)} MB resident ${rounds(found)}`,
  })
}

function recordResults(): void {
  const [cpu] = cpus()
  const table = lines.map(({ part, what, ratio, goal, detail }) => `| ${part} | ${what} | **${ratio}** | ${goal} | ${detail} |`).join('\n')
  const text = `# Results

Written by \`npm run bench -- --record\`. Ratios are formed within a round and the median of the rounds is given, all rounds behind it: absolute
figures depend on the machine and on what else it does, ratios hardly do.

- when: ${new Date().toISOString().slice(0, 10)}
- machine: ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}
- command: \`npm run bench -- ${process.argv.slice(2).join(' ')}\` (${ROUNDS} rounds of ${SECONDS} s; load generator and server share the cores)
- the store: SQLite, WAL, \`synchronous=FULL\`: every answer after a full sync

| part | what | figure | goal | detail |
|---|---|---|---|---|
${table}
`
  writeFileSync(join(import.meta.dirname, 'RESULTS.md'), text)
}

const needsServer = ['http', 'reads', 'latency'].some((part) => wanted.includes(part))
if (needsServer) {
  const { ready, stop } = await startServer({ accounts: ACCOUNTS })
  if (wanted.includes('http')) await benchHttp(ready)
  if (wanted.includes('reads')) await benchReads(ready)
  if (wanted.includes('latency')) await benchLatency(ready)
  await stop()
}
if (wanted.includes('store')) await benchStore()
if (wanted.includes('scale')) await benchScale()
if (wanted.includes('history')) for (const line of await benchHistory()) report(line)
if (values.record) recordResults()
