/** Stores for tests: one of each kind, in a place of its own, closed and audited when the test ends. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { auditDatabase } from '../../src/stores/postgres/audit.ts'
import { openPostgresStore } from '../../src/stores/postgres/postgres-store.ts'
import { auditFile } from '../../src/stores/sqlite/audit.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import type { AuditReport, Store } from '../../src/stores/store.ts'
import { dropSchema, newSchema } from './postgres.ts'

export interface TestStore {
  readonly store: Store
  /** The time that the store takes it to be; a test may move it. */
  readonly clock: { nowMs: number }
  /** Closes the store and opens it again, as a restart does. */
  readonly reopen: () => Promise<Store>
  /** Path of its file, or URL of its schema. */
  readonly file: string
}

/** The kinds of store. */
export const STORE_KINDS = ['sqlite', 'postgres'] as const

/** Those that the contract holds for; the last one keeps each batch inside one bucket. */
export const CONTRACT_KINDS = [...STORE_KINDS, 'postgres-bucket'] as const

export type StoreKind = (typeof STORE_KINDS)[number]

export type ContractKind = (typeof CONTRACT_KINDS)[number]

/** A moment that tests begin at: a Friday, shortly after noon. */
export const TEST_START_MS = Date.UTC(2026, 10, 20, 12, 30)

/** Where a test's store is, and how it is opened, audited and taken away. */
export interface Place {
  readonly file: string
  /** As the setting OBOL_DATABASE_URL says it. */
  readonly databaseUrl: string
  readonly open: (clock: () => number) => Promise<Store>
  readonly audit: () => Promise<AuditReport>
  readonly remove: () => Promise<void>
}

function raise(fault: unknown): void {
  throw fault
}

async function sqlitePlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-store-'))
  const file = join(folder, 'obol.db')
  return {
    file,
    databaseUrl: `sqlite:${file}`,
    open: async (clock) => openSqliteStore({ file, clock, onFault: raise }),
    audit: async () => auditFile(file),
    remove: async () => rmSync(folder, { recursive: true }),
  }
}

async function postgresPlace(reach: 'any' | 'bucket'): Promise<Place> {
  const url = await newSchema()
  return {
    file: url,
    databaseUrl: url,
    open: (clock) => openPostgresStore({ url, clock, reach }),
    // Bucket by bucket, as one-bucket.test.ts has it, it finds the same and asks some thousand times.
    audit: () => auditDatabase(url),
    remove: () => dropSchema(url),
  }
}

/** A place for one store, in which there is nothing yet. */
export function newPlace(kind: ContractKind): Promise<Place> {
  return PLACES[kind]()
}

const PLACES: Readonly<Record<ContractKind, () => Promise<Place>>> = {
  sqlite: sqlitePlace,
  postgres: () => postgresPlace('any'),
  'postgres-bucket': () => postgresPlace('bucket'),
}

/** Opens a store. At the end of the test it is closed, and must pass an audit. */
export async function openTestStore(t: TestContext, kind: ContractKind = 'sqlite'): Promise<TestStore> {
  const place = await newPlace(kind)
  const clock = { nowMs: TEST_START_MS }
  const open = (): Promise<Store> => place.open(() => clock.nowMs)
  let store = await open()
  t.after(async () => {
    await store.close()
    const { differences } = await place.audit()
    await place.remove()
    assert.deepEqual(differences, [], 'the store passes an audit after the test')
  })
  const reopen = async (): Promise<Store> => {
    await store.close()
    store = await open()
    return store
  }
  return { store, clock, file: place.file, reopen }
}
