/** Measures one thing in a process of its own: the store alone, or what it is compared with. Tells its parent how many per second. */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Microcredits } from '../src/core/credits.ts'
import type { Decimal } from '../src/core/decimal.ts'
import { keyHash } from '../src/stores/chain.ts'
import { openSqliteStore } from '../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../src/stores/store.ts'
import { BareAppend, HAND_CHARGE, HandWritten } from './hand-written.ts'

export type StoreSubject = 'store' | 'per-statement' | 'per-transaction' | 'append'

export interface StorePlan {
  readonly subject: StoreSubject
  readonly accounts: number
  /** One account takes every charge. */
  readonly hot: boolean
  /** Charges in one commit, or callers that wait at once. */
  readonly batch: number
  readonly seconds: number
}

export interface StoreResult {
  readonly perSecond: number
  readonly cpuMicroseconds: number
  readonly bytesPerCharge: number
  readonly rssMegabytes: number
}

/** Runs charges until the time is over; returns how many. */
type Run = (untilMs: number) => Promise<number>

const FUNDS = 100_000_000_000n as Microcredits

async function fill(store: Store, accounts: number): Promise<void> {
  const caller = { idempotency: null, actor: 'operator', requestId: null } as const
  const open = async (account: number): Promise<void> => {
    await store.transact({
      ...caller,
      account,
      command: { kind: 'create_account', name: 'bench', externalId: null, metadata: {}, capturePolicy: null },
    })
    for (const [source, priority] of [
      ['plan', 20],
      ['promo', 30],
      ['topup', 40],
    ] as const) {
      const grant = { amount: FUNDS, source, priority, effectiveAtMs: null, expiresAtMs: null, paid: false, cost: null, metadata: {} }
      await store.transact({ ...caller, account, command: { kind: 'grant', creditType: 'credits', grant } })
    }
  }
  for (let from = 0; from < accounts; from += 500)
    await Promise.all(Array.from({ length: Math.min(500, accounts - from) }, (_, index) => open(numberOf(from + index))))
}

/** Account numbers are spread over their range, as random ones are. */
function numberOf(index: number): number {
  return (index * 1_097_511) % 1_099_511_627_689
}

function runStore(store: Store, { accounts, hot, batch }: StorePlan): Run {
  let count = 0
  const client = async (untilMs: number): Promise<void> => {
    while (performance.now() < untilMs) {
      const account = numberOf(hot ? 0 : Math.floor(Math.random() * accounts))
      const outcome = await store.transact({
        account,
        idempotency: { keyHashes: [keyHash(account, `${process.pid}-${count++}`)], fingerprint: 'abcdefghijklmnopqrstuv' },
        actor: 'operator',
        requestId: 'req_0123456789_abcdef',
        command: {
          kind: 'charge',
          offers: [{ creditType: 'credits', credits: HAND_CHARGE as Microcredits }],
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
  return async (untilMs) => {
    const before = count
    await Promise.all(Array.from({ length: batch }, () => client(untilMs)))
    return count - before
  }
}

function runHandWritten(ledger: HandWritten, { accounts, hot, batch, subject }: StorePlan): Run {
  let count = 0
  return async (untilMs) => {
    const before = count
    while (performance.now() < untilMs) {
      const size = subject === 'per-transaction' ? 1 : batch
      ledger.begin()
      for (let index = 0; index < size; index++) ledger.charge(hot ? 0 : Math.floor(Math.random() * accounts), `${process.pid}-${count++}`)
      ledger.commit()
    }
    return count - before
  }
}

function runAppend(table: BareAppend, { batch }: StorePlan): Run {
  const row = JSON.parse(readFileSync(join(import.meta.dirname, 'charge-row.json'), 'utf8')) as Parameters<BareAppend['append']>[0]
  return async (untilMs) => {
    let count = 0
    for (; performance.now() < untilMs; count += batch) table.append(row, batch)
    return count
  }
}

async function subjectOf(plan: StorePlan, file: string): Promise<{ readonly run: Run; readonly close: () => Promise<void> }> {
  if (plan.subject === 'store') {
    const store = openSqliteStore({
      file,
      onFault: (fault) => {
        throw fault
      },
    })
    await fill(store, plan.accounts)
    return { run: runStore(store, plan), close: () => store.close() }
  }
  if (plan.subject === 'append') {
    const table = new BareAppend(file)
    return { run: runAppend(table, plan), close: async () => table.close() }
  }
  const ledger = new HandWritten(file)
  ledger.fill(plan.accounts)
  return { run: runHandWritten(ledger, plan), close: async () => ledger.close() }
}

async function measure(plan: StorePlan): Promise<StoreResult> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-bench-'))
  const file = join(folder, 'bench.db')
  const { run, close } = await subjectOf(plan, file)
  await run(performance.now() + 1_000)
  const cpu = process.cpuUsage()
  const sizeBefore = statSync(file).size
  const startedMs = performance.now()
  const count = await run(startedMs + plan.seconds * 1000)
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const rssMegabytes = process.memoryUsage.rss() / 1e6
  await close()
  const bytesPerCharge = (statSync(file).size - sizeBefore) / count
  rmSync(folder, { recursive: true })
  return { perSecond: count / seconds, cpuMicroseconds: (user + system) / count, bytesPerCharge, rssMegabytes }
}

if (process.send) {
  process.once('message', (plan: StorePlan) => {
    measure(plan).then(
      (result) => process.send?.(result, () => process.disconnect()),
      (fault: unknown) => {
        throw fault
      },
    )
  })
}
