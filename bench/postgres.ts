/**
 * Measures the PostgreSQL store alone against the charge as it is written by hand (BEGIN … FOR UPDATE … COMMIT, a pool of 16), on the
 * same server, in interleaved rounds. `node bench/postgres.ts [rounds] [seconds] [accounts]`
 */

import { type ChildProcess, fork } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'
import type { Microcredits } from '../src/core/credits.ts'
import type { Decimal } from '../src/core/decimal.ts'
import { keyHash } from '../src/stores/chain.ts'
import { openPostgresStore } from '../src/stores/postgres/postgres-store.ts'
import type { Store } from '../src/stores/store.ts'
import { newSchema } from '../test/running/postgres.ts'

interface Plan {
  readonly subject: 'store' | 'hand'
  readonly url: string
  readonly accounts: number
  readonly clients: number
  readonly isHot: boolean
  readonly lanes: number
  readonly seconds: number
}

interface Result {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicroseconds: number
}

const FUNDS = 100_000_000_000n as Microcredits
const PRICE = 82_500n as Microcredits

/** Account numbers are spread over their range, as random ones are. */
function numberOf(index: number): number {
  return (index * 1_097_511) % 1_099_511_627_689
}

async function fill(store: Store, accounts: number): Promise<void> {
  const caller = { idempotency: null, actor: 'operator', requestId: null } as const
  const open = async (account: number): Promise<void> => {
    const command = { kind: 'create_account', name: 'bench', externalId: null, metadata: {}, capturePolicy: null } as const
    await store.transact({ ...caller, account, command })
    for (const priority of [20, 30, 40]) {
      const grant = {
        amount: FUNDS,
        source: 'plan',
        priority,
        effectiveAtMs: null,
        expiresAtMs: null,
        paid: false,
        cost: null,
        metadata: {},
      } as const
      await store.transact({ ...caller, account, command: { kind: 'grant', creditType: 'credits', grant } })
    }
  }
  for (let from = 0; from < accounts; from += 500)
    await Promise.all(Array.from({ length: Math.min(500, accounts - from) }, (_, index) => open(numberOf(from + index))))
}

type Charge = (account: number, key: string) => Promise<void>

function chargeOn(store: Store): Charge {
  return async (account, key) => {
    const outcome = await store.transact({
      account,
      idempotency: { keyHashes: [keyHash(account, key)], fingerprint: 'abcdefghijklmnopqrstuv' },
      actor: 'operator',
      requestId: 'req_0123456789_abcdef',
      command: {
        kind: 'charge',
        offers: [{ creditType: 'credits', credits: PRICE }],
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
}

const HAND_SCHEMA = `
create table hand_accounts (id bigint primary key, balance bigint not null, hash text not null);
create table hand_grants (id bigserial primary key, account bigint not null, priority integer not null, expires_at timestamptz, remaining bigint not null check (remaining >= 0));
create index on hand_grants (account, priority, expires_at, id);
create table hand_charges (id bigserial primary key, account bigint not null, key text not null, operation text not null, credits bigint not null,
  draws jsonb not null, quantities jsonb not null, balance bigint not null, created_at timestamptz not null default now(), unique (account, key));
create table hand_rollups (account bigint, hour timestamptz, operation text, charges bigint not null, credits bigint not null, primary key (account, hour, operation));`

function poolOn(url: string): pg.Pool {
  const named = new URL(url)
  const schema = named.searchParams.get('schema')
  named.searchParams.delete('schema')
  return new pg.Pool({ connectionString: named.href, max: 16, options: `-c search_path=${schema}` })
}

function chargeByHand(pool: pg.Pool): Charge {
  return async (account, key) => {
    const client = await pool.connect()
    const run = async (name: string, text: string, values: unknown[]) => (await client.query({ name, text, values })).rows
    try {
      await client.query('begin')
      const [head] = await run('h1', 'select balance, hash from hand_accounts where id = $1 for update', [account])
      const [known] = await run('h2', 'select balance from hand_charges where account = $1 and key = $2', [account, key])
      if (known) return
      const grants = await run(
        'h3',
        'select id, remaining from hand_grants where account = $1 and remaining > 0 and (expires_at is null or expires_at > now()) order by priority, expires_at, id',
        [account],
      )
      await run('h4', 'update hand_grants set remaining = remaining - $2 where id = $1', [grants[0].id, PRICE])
      const balance = BigInt(head.balance) - PRICE
      await run(
        'h5',
        'insert into hand_charges (account, key, operation, credits, draws, quantities, balance) values ($1, $2, $3, $4, $5, $6, $7)',
        [account, key, 'llm.chat', PRICE, JSON.stringify([[grants[0].id, `${PRICE}`]]), '{"input_tokens":374,"output_tokens":44}', balance],
      )
      await run(
        'h6',
        `insert into hand_rollups values ($1, date_trunc('hour', now()), 'llm.chat', 1, $2) on conflict (account, hour, operation) do update set charges = hand_rollups.charges + 1, credits = hand_rollups.credits + excluded.credits`,
        [account, PRICE],
      )
      await run('h7', 'update hand_accounts set balance = $2, hash = $3 where id = $1', [account, balance, 'x'.repeat(43)])
    } finally {
      await client.query('commit')
      client.release()
    }
  }
}

async function load(charge: Charge, { accounts, clients, isHot }: Plan, untilMs: number): Promise<number[]> {
  const waits: number[] = []
  let count = 0
  const client = async (): Promise<void> => {
    for (let nowMs = performance.now(); nowMs < untilMs; ) {
      await charge(numberOf(isHot ? 0 : Math.floor(Math.random() * accounts)), `${process.pid} ${count++}`)
      const doneMs = performance.now()
      waits.push(doneMs - nowMs)
      nowMs = doneMs
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return waits.sort((a, b) => a - b)
}

async function measure(plan: Plan): Promise<Result> {
  const store = plan.subject === 'store' ? await openPostgresStore({ url: plan.url, lanes: plan.lanes }) : null
  const pool = plan.subject === 'hand' ? poolOn(plan.url) : null
  const charge = store ? chargeOn(store) : chargeByHand(pool as pg.Pool)
  await load(charge, plan, performance.now() + 1_000)
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  const waits = await load(charge, plan, startedMs + plan.seconds * 1_000)
  const seconds = (performance.now() - startedMs) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  await store?.close()
  await pool?.end()
  const at = (part: number): number => waits[Math.floor(part * waits.length)] ?? 0
  return { perSecond: waits.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), cpuMicroseconds: (user + system) / waits.length }
}

function inProcesses(plan: Plan, processes: number): Promise<readonly Result[]> {
  const one = (): Promise<Result> =>
    new Promise((resolve, reject) => {
      const child: ChildProcess = fork(import.meta.filename, {
        stdio: 'inherit',
        execArgv: process.env.PROF ? ['--cpu-prof', '--cpu-prof-dir=/tmp/prof'] : [],
      })
      child.once('message', (result) => resolve(result as Result))
      child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)))
      child.send(plan)
    })
  return Promise.all(Array.from({ length: processes }, one))
}

const SHAPES: Readonly<Record<string, Partial<Plan> & { readonly processes?: number }>> = {
  'hand 64': { subject: 'hand', clients: 64 },
  'store 64': { clients: 64 },
  'store 64, 2 lanes': { clients: 64, lanes: 2 },
  'store 256': { clients: 256 },
  'store 256, 2 lanes': { clients: 256, lanes: 2 },
  'store 512': { clients: 512 },
  'store 256, 2 processes': { clients: 128, processes: 2 },
  'hand hot 64': { subject: 'hand', clients: 64, isHot: true },
  'store hot 64': { clients: 64, isHot: true },
  'store hot 64, 2 processes': { clients: 32, isHot: true, processes: 2 },
}

/** CPU time of all processes of PostgreSQL on this machine, in µs. */
function serverCpu(): number {
  return readdirSync('/proc').reduce((sum, name) => {
    if (!/^\d+$/.test(name)) return sum
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return stat.includes('(postgres)') ? sum + [11, 12, 13, 14].reduce((ticks, at) => ticks + Number(fields[at]), 0) * 10_000 : sum
    } catch {
      return sum
    }
  }, 0)
}

async function compare(rounds: number, seconds: number, accounts: number): Promise<void> {
  const url = await newSchema()
  const store = await openPostgresStore({ url })
  await fill(store, accounts)
  await store.close()
  const pool = poolOn(url)
  await pool.query(HAND_SCHEMA)
  const numbers = Array.from({ length: accounts }, (_, index) => numberOf(index))
  await pool.query(`insert into hand_accounts select id, 300000000000, repeat('x', 43) from unnest($1::bigint[]) t(id)`, [numbers])
  await pool.query(
    'insert into hand_grants (account, priority, remaining) select id, p, 100000000000 from unnest($1::bigint[]) t(id), unnest(array[20, 30, 40]) p',
    [numbers],
  )
  await pool.query('vacuum analyze')
  await pool.end()
  const base: Plan = { subject: 'store', url, accounts, clients: 64, isHot: false, lanes: 1, seconds }
  const only = process.env.SHAPES?.split(';')
  for (let round = 0; round < rounds; round++)
    for (const [name, { processes = 1, ...changes }] of Object.entries(SHAPES)) {
      if (only && !only.includes(name)) continue
      const before = serverCpu()
      const results = await inProcesses({ ...base, ...changes }, processes)
      const perSecond = results.reduce((sum, result) => sum + result.perSecond, 0)
      const { p50Ms = 0, p99Ms = 0, cpuMicroseconds = 0 } = results[0] ?? {}
      console.log(
        `${round} ${name.padEnd(28)} ${perSecond.toFixed(0).padStart(7)}/s  p50 ${p50Ms.toFixed(1)} p99 ${p99Ms.toFixed(1)} ms  node ${cpuMicroseconds.toFixed(0)} µs, postgres ${((serverCpu() - before) / (perSecond * (seconds + 1))).toFixed(0)} µs`,
      )
    }
}

if (process.send) {
  process.once('message', (plan: Plan) => {
    measure(plan).then(
      (result) => process.send?.(result, () => process.exit()),
      (fault: unknown) => {
        throw fault
      },
    )
  })
} else {
  const [, , rounds = '3', seconds = '3', accounts = '10000'] = process.argv
  await compare(Number(rounds), Number(seconds), Number(accounts))
}
