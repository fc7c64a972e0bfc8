/** Stores for tests: one of each kind, in a folder of its own, closed and audited when the test ends. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { auditFile } from '../../src/stores/sqlite/audit.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../../src/stores/store.ts'

export interface TestStore {
  readonly store: Store
  /** The time that the store takes it to be; a test may move it. */
  readonly clock: { nowMs: number }
  /** Closes the store and opens it again, as a restart does. */
  readonly reopen: () => Promise<Store>
  /** Path of its file. */
  readonly file: string
}

/** The kinds of store that the contract holds for. */
export const STORE_KINDS = ['sqlite'] as const

export type StoreKind = (typeof STORE_KINDS)[number]

/** A moment that tests begin at: a Friday, shortly after noon. */
export const TEST_START_MS = Date.UTC(2026, 10, 20, 12, 30)

/** Opens a store. At the end of the test it is closed, and must pass an audit. */
export async function openTestStore(t: TestContext, _kind: StoreKind = 'sqlite'): Promise<TestStore> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-store-'))
  const file = join(folder, 'obol.db')
  const clock = { nowMs: TEST_START_MS }
  const open = (): Store =>
    openSqliteStore({
      file,
      clock: () => clock.nowMs,
      onFault: (fault) => {
        throw fault
      },
    })
  let store = open()
  t.after(async () => {
    await store.close()
    const { differences } = auditFile(file)
    rmSync(folder, { recursive: true })
    assert.deepEqual(differences, [], 'the store passes an audit after the test')
  })
  const reopen = async (): Promise<Store> => {
    await store.close()
    store = open()
    return store
  }
  return { store, clock, file, reopen }
}
