/**
 * The parts of a SQLite store, put together as the store does but without its timers: a test says when to write back. And
 * images of its files, as a crash would leave them.
 */

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { TestContext } from 'node:test'
import type { Outcome } from '../../src/stores/batch.ts'
import { AccountReader } from '../../src/stores/sqlite/accounts.ts'
import { auditFile } from '../../src/stores/sqlite/audit.ts'
import { openDatabase } from '../../src/stores/sqlite/database.ts'
import { FactsReader } from '../../src/stores/sqlite/facts.ts'
import { Journal } from '../../src/stores/sqlite/journal.ts'
import { KeyFilter } from '../../src/stores/sqlite/key-filter.ts'
import { Ledger } from '../../src/stores/sqlite/ledger.ts'
import { Memory } from '../../src/stores/sqlite/memory.ts'
import { KeyReader, ProfileWriter } from '../../src/stores/sqlite/profiles.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import { WriteBack } from '../../src/stores/sqlite/write-back.ts'
import type { AuditReport, Store, Transaction } from '../../src/stores/store.ts'
import { TEST_START_MS } from './store.ts'
import { codeOf } from './store-commands.ts'

export interface TestLedger {
  readonly file: string
  readonly db: DatabaseSync
  readonly ledger: Ledger
  readonly memory: Memory
  readonly writeBack: WriteBack
  readonly journal: Journal
  readonly keyFilter: KeyFilter
  readonly clock: { nowMs: number }
  /** Runs commands that wait together. */
  readonly run: (transactions: readonly Transaction[]) => readonly Outcome[]
  /** Closes the file as it is: what was not written back stays so. */
  readonly close: () => void
}

const endings = new WeakMap<TestContext, (() => unknown)[]>()

/** Does something when the test ends; what was begun last ends first. */
export function atEnd(t: TestContext, end: () => unknown): void {
  const known = endings.get(t)
  if (known) known.push(end)
  else {
    const list = [end]
    endings.set(t, list)
    t.after(async () => {
      for (const one of list.toReversed()) await one()
    })
  }
}

/** A folder that is removed when the test ends. */
export function testFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'obol-sqlite-'))
  atEnd(t, () => rmSync(folder, { recursive: true }))
  return folder
}

/** Opens a ledger on a file; it is closed when the test ends. */
export function openTestLedger(t: TestContext, file = join(testFolder(t), 'obol.db'), maxAccounts = 10_000): TestLedger {
  const { db, close: closeFile } = openDatabase(file)
  const clock = { nowMs: TEST_START_MS }
  const memory = new Memory(maxAccounts)
  const keyFilter = new KeyFilter(db)
  const accounts = new AccountReader(db)
  const journal = new Journal(db)
  const writeBack = new WriteBack(db, memory)
  const profiles = new ProfileWriter(db)
  const facts = new FactsReader(db, accounts, new KeyReader(db))
  const ledger = new Ledger({ db, journal, memory, writeBack, keyFilter, accounts, profiles, facts, clock: () => clock.nowMs })
  ledger.rebuild()
  const close = (): void => {
    if (db.isOpen) closeFile()
  }
  atEnd(t, close)
  const run = (transactions: readonly Transaction[]): readonly Outcome[] => {
    const outcomes: Outcome[] = []
    ledger.run(transactions, (index, outcome) => {
      assert.equal(outcomes[index], undefined, 'each command is answered once')
      outcomes[index] = outcome
    })
    assert.equal(outcomes.filter((outcome) => outcome !== undefined).length, transactions.length, 'every command is answered')
    return outcomes
  }
  return { file, db, ledger, memory, writeBack, journal, keyFilter, clock, run, close }
}

/** What became of a command, in a word. */
export function wordFor(outcome: Outcome | undefined): string {
  if (outcome === undefined) return 'nothing'
  return 'fault' in outcome ? 'fault' : codeOf(outcome)
}

/** The files of a store as they are now, copied: what a machine that stops now would find. The log may be cut short. */
export function crashImage(t: TestContext, file: string, walBytes?: number): string {
  const image = join(testFolder(t), 'obol.db')
  copyFileSync(file, image)
  if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${image}-wal`)
  if (walBytes !== undefined) truncateSync(`${image}-wal`, walBytes)
  return image
}

/** Bytes of a store's write-ahead log. */
export function walBytes(file: string): number {
  return existsSync(`${file}-wal`) ? statSync(`${file}-wal`).size : 0
}

/** Opens a store on a file that is there already; it is closed when the test ends. */
export function openStoreOn(t: TestContext, file: string): Store {
  const store = openSqliteStore({
    file,
    clock: () => TEST_START_MS,
    onFault: (fault) => {
      throw fault
    },
  })
  atEnd(t, () => store.close())
  return store
}

/** Changes a file that no store has open, as a hand or a fault might. */
export function tamper(file: string, change: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(file, { enableForeignKeyConstraints: false })
  try {
    change(db)
  } finally {
    db.close()
  }
}

/** The audit of a file, which must find nothing. */
export function assertSoundFile(file: string, message: string): AuditReport {
  const report = auditFile(file)
  assert.deepEqual(report.differences, [], message)
  return report
}
