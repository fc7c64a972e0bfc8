/** Where the store of a run is, for each kind of store: how it is restarted, how it crashes, and that what it leaves is sound. */

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auditDatabase } from '../../src/stores/postgres/audit.ts'
import { openPostgresStore } from '../../src/stores/postgres/postgres-store.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../../src/stores/store.ts'
import { assertSoundFile } from '../running/ledger.ts'
import { dropSchema, newSchema } from '../running/postgres.ts'
import { TcpProxy } from '../running/proxy.ts'
import type { StoreKind } from '../running/store.ts'

/** A store, restarted and crashed as a run wants it. */
export interface Place {
  /** The store to ask now. */
  readonly store: () => Store
  /** What happens between two turns. */
  readonly restart: (event: 'restart' | 'crash') => Promise<void>
  /** Whether a crash makes it forget the latest time that it knew of and nothing was recorded at. */
  readonly forgetsTime: boolean
  /** Closes it: what it leaves must be sound. Then opens it again. */
  readonly assertSound: () => Promise<void>
  readonly remove: () => Promise<void>
}

/** The times that a store may go by. */
export interface Clocks {
  /** That of the machine, which may be set back. */
  readonly machine: () => number
  /** That of a machine whose clock is never set back. */
  readonly steady: () => number
}

/** Makes a place for a run. */
export const PLACES: Readonly<Record<StoreKind, (clocks: Clocks) => Promise<Place>>> = { sqlite: sqlitePlace, postgres: postgresPlace }

/** A file. When it crashes, the store goes on with a copy of what the crash has left. */
async function sqlitePlace({ machine }: Clocks): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-model-'))
  let file = join(folder, 'obol.db')
  let crashes = 0
  const open = (): Store =>
    openSqliteStore({ file, clock: machine, onFault: (fault) => assert.fail(String(fault)), maxCachedAccounts: 100 })
  let store = open()
  const crash = (): void => {
    const before = file
    crashes += 1
    mkdirSync(join(folder, `${crashes}`))
    file = join(folder, `${crashes}`, 'obol.db')
    for (const part of ['', '-wal']) if (existsSync(`${before}${part}`)) copyFileSync(`${before}${part}`, `${file}${part}`)
    assertSoundFile(file, 'what a crash leaves is sound')
  }
  return {
    store: () => store,
    restart: async (event) => {
      if (event === 'crash') crash()
      await store.close()
      store = open()
    },
    forgetsTime: true,
    assertSound: async () => {
      await store.close()
      assertSoundFile(file, 'the file is sound in the end')
      store = open()
    },
    remove: async () => {
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Two nodes on one schema, asked in turn, so that what each remembers is out of date. When they crash, all their connections are cut. */
async function postgresPlace({ steady }: Clocks): Promise<Place> {
  const url = await newSchema()
  const proxy = await TcpProxy.start(url)
  const open = (): Promise<Store> => openPostgresStore({ url: proxy.url, clock: steady, maxCachedAccounts: 100 })
  const nodes = [await open(), await open()]
  let asked = 0
  const closeAll = async (): Promise<void> => {
    for (const node of nodes) await node.close()
  }
  const openAll = async (): Promise<void> => {
    for (const at of nodes.keys()) nodes[at] = await open()
  }
  return {
    store: () => nodes[asked++ % nodes.length] ?? assert.fail('there are nodes'),
    restart: async (event) => {
      if (event === 'crash') proxy.cutAll()
      else await closeAll().then(openAll)
    },
    forgetsTime: false,
    assertSound: async () => {
      await closeAll()
      assert.deepEqual((await auditDatabase(url)).differences, [], 'the schema is sound in the end')
      await openAll()
    },
    remove: async () => {
      await closeAll()
      await proxy.stop()
      await dropSchema(url)
    },
  }
}
