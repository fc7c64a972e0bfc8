/** A long journal: how charges slow down on the way to ten million of them, then balances, pages, deep pages and months of usage. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Microcredits } from '../src/core/credits.ts'
import type { Decimal } from '../src/core/decimal.ts'
import { keyHash } from '../src/stores/chain.ts'
import { openPostgresStore } from '../src/stores/postgres/postgres-store.ts'
import { openSqliteStore } from '../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../src/stores/store.ts'
import { dropSchema, newSchema } from '../test/running/postgres.ts'
import { type Line, report } from './report.ts'

const ACCOUNTS = 10_000
const CHARGES = 10_000_000
const MILLION = 1_000_000
const AT_ONCE = 500
const READS = 300
const DAY_MS = 86_400_000

/** The stores, and where each is opened for it. */
const STORES: Readonly<Record<string, (clock: () => number) => Promise<OpenStore>>> = { history: onSqlite, 'postgres-history': onPostgres }

/** The parts, in their order. */
export const HISTORY_PARTS: readonly string[] = Object.keys(STORES)

interface OpenStore {
  readonly store: Store
  readonly close: () => Promise<void>
}

async function onSqlite(clock: () => number): Promise<OpenStore> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-history-'))
  const onFault = (fault: unknown): void => {
    throw fault
  }
  const store = openSqliteStore({ file: join(folder, 'obol.db'), clock, onFault })
  const close = async (): Promise<void> => {
    await store.close()
    rmSync(folder, { recursive: true })
  }
  return { store, close }
}

async function onPostgres(clock: () => number): Promise<OpenStore> {
  const url = await newSchema()
  const store = await openPostgresStore({ url, clock })
  const close = async (): Promise<void> => {
    await store.close()
    await dropSchema(url)
  }
  return { store, close }
}

/** For those of the parts that are wanted: fills a store with ten million charges over ninety days, then times reads of random accounts. */
export async function benchHistory(wanted: readonly string[]): Promise<void> {
  for (const [part, open] of Object.entries(STORES)) {
    if (!wanted.includes(part)) continue
    const endMs = Date.now()
    const clock = { nowMs: endMs - 90 * DAY_MS }
    const { store, close } = await open(() => clock.nowMs)
    reportFilling(part, await fill(store, clock, endMs))
    for (const line of await timeReads(store, endMs)) report({ ...line, part })
    await close()
  }
}

function reportFilling(part: string, rates: readonly number[]): void {
  const [first = Number.NaN, last = Number.NaN] = [rates[0], rates.at(-1)]
  const detail = `${Math.round(last)}/s; ${Math.round(first)}/s [${rates.map((rate) => Math.round(rate)).join(' ')}]`
  report({ part, what: `charges, the tenth million / the first, ${AT_ONCE} callers`, figure: (last / first).toFixed(2), goal: '', detail })
}

/** Charges per second of each million. */
async function fill(store: Store, clock: { nowMs: number }, endMs: number): Promise<readonly number[]> {
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
  const one = (name: number): Promise<unknown> => {
    const account = randomAccount()
    const idempotency = { keyHashes: [keyHash(account, `${name}`)], fingerprint: 'abcdefghijklmnopqrstuv' } as const
    return store.transact({ ...caller, idempotency, account, command: charge })
  }
  const rates: number[] = []
  let sinceMs = performance.now()
  for (let done = AT_ONCE; done <= CHARGES; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => one(done - index)))
    clock.nowMs += stepMs
    if (done % MILLION !== 0) continue
    rates.push(MILLION / ((performance.now() - sinceMs) / 1_000))
    sinceMs = performance.now()
  }
  return rates
}

function randomAccount(): number {
  return 1 + Math.floor(Math.random() * ACCOUNTS)
}

async function timeReads(store: Store, endMs: number): Promise<readonly Omit<Line, 'part'>[]> {
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
  const lines: Omit<Line, 'part'>[] = []
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
      what: `${what}, in a journal of 10 000 000`,
      figure: `${at(0.5)} ms`,
      goal: '',
      detail: `p99 ${at(0.99)} ms`,
    })
  }
  return lines
}
