/** Measures one thing in a process of its own: a store alone, or what it is compared with. Tells its parent how many per second. */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPostgresStore } from '../src/stores/postgres/postgres-store.ts'
import { openSqliteStore } from '../src/stores/sqlite/sqlite-store.ts'
import { chargeOnce, numberOf, openAccounts } from './accounts.ts'
import { BareAppend, HandWritten } from './hand-written.ts'
import { handWritten, ledgerFunction } from './hand-written-postgres.ts'
import { answerParent } from './processes.ts'
import type { Figures } from './report.ts'

/** Subjects whose names begin with `postgres` run on a schema that has its accounts already; the others on a file of their own. */
export type StoreSubject = 'store' | 'per-statement' | 'per-transaction' | 'append' | 'postgres' | 'postgres-hand' | 'postgres-function'

export interface StorePlan {
  readonly subject: StoreSubject
  readonly accounts: number
  /** One account takes every charge. */
  readonly hot: boolean
  /** Charges in one commit, or callers that wait at once. */
  readonly batch: number
  readonly seconds: number
  /** The PostgreSQL schema; null: none is needed. */
  readonly url: string | null
}

export interface StoreResult extends Figures {
  readonly cpuMicroseconds: number
  readonly bytesPerCharge: number
  readonly rssMegabytes: number
}

/** Runs charges until the time is over; returns how many. */
type Run = (untilMs: number) => Promise<number>

interface Subject {
  readonly run: Run
  readonly close: () => Promise<void>
}

/** Callers that each charge again once they are answered. */
function runCallers(charge: (account: number, key: string) => Promise<unknown>, { accounts, hot, batch }: StorePlan): Run {
  let count = 0
  const caller = async (untilMs: number): Promise<void> => {
    while (performance.now() < untilMs)
      await charge(numberOf(hot ? 0 : Math.floor(Math.random() * accounts)), `${process.pid}-${process.hrtime.bigint()}-${count++}`)
  }
  return async (untilMs) => {
    const before = count
    await Promise.all(Array.from({ length: batch }, () => caller(untilMs)))
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
      for (let index = 0; index < size; index++)
        ledger.charge(numberOf(hot ? 0 : Math.floor(Math.random() * accounts)), `${process.pid}-${count++}`)
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

async function subjectOf(plan: StorePlan, file: string): Promise<Subject> {
  const url = plan.url ?? ''
  switch (plan.subject) {
    case 'postgres': {
      const store = await openPostgresStore({ url })
      return { run: runCallers((account, key) => chargeOnce(store, account, key), plan), close: () => store.close() }
    }
    case 'postgres-hand':
    case 'postgres-function': {
      const ledger = plan.subject === 'postgres-hand' ? handWritten(url) : ledgerFunction(url)
      return { run: runCallers(ledger.charge, plan), close: ledger.close }
    }
    case 'store': {
      const store = openSqliteStore({
        file,
        onFault: (fault) => {
          throw fault
        },
      })
      await openAccounts(store, plan.accounts)
      return { run: runCallers((account, key) => chargeOnce(store, account, key), plan), close: () => store.close() }
    }
    case 'append': {
      const table = new BareAppend(file)
      return { run: runAppend(table, plan), close: async () => table.close() }
    }
    case 'per-statement':
    case 'per-transaction': {
      const ledger = new HandWritten(file)
      ledger.fill(plan.accounts)
      return { run: runHandWritten(ledger, plan), close: async () => ledger.close() }
    }
  }
}

async function measure(plan: StorePlan): Promise<StoreResult> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-bench-'))
  const file = join(folder, 'bench.db')
  const { run, close } = await subjectOf(plan, file)
  await run(performance.now() + 1_000)
  const cpu = process.cpuUsage()
  const size = (): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const sizeBefore = size()
  const startedMs = performance.now()
  const count = await run(startedMs + plan.seconds * 1000)
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const rssMegabytes = process.memoryUsage.rss() / 1e6
  await close()
  const bytesPerCharge = (size() - sizeBefore) / count
  rmSync(folder, { recursive: true })
  return { perSecond: count / seconds, cpuMicroseconds: (user + system) / count, bytesPerCharge, rssMegabytes }
}

answerParent(measure)
