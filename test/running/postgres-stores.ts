/** Stores on a PostgreSQL schema of their own: one behind a proxy, or several beside each other. Closed and audited when the test ends. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { auditDatabase } from '../../src/stores/postgres/audit.ts'
import { openPostgresStore, type PostgresOptions } from '../../src/stores/postgres/postgres-store.ts'
import type { Store } from '../../src/stores/store.ts'
import { atEnd } from './ledger.ts'
import { dropSchema, newSchema, onSchema } from './postgres.ts'
import { TcpProxy } from './proxy.ts'
import { TEST_START_MS } from './store.ts'

/** A store behind a proxy. */
export interface Proxied {
  readonly store: Store
  readonly proxy: TcpProxy
  /** The URL that leads straight to the server. */
  readonly url: string
}

/** Opens a store behind a proxy of its own. */
export async function openProxied(t: TestContext, options: Partial<PostgresOptions> = {}): Promise<Proxied> {
  const url = await schemaOf(t)
  const proxy = await TcpProxy.start(url)
  const store = await openPostgresStore({ url: proxy.url, clock: () => TEST_START_MS, ...options })
  atEnd(t, async () => {
    proxy.mishap = () => null
    proxy.answer = (data) => data
    proxy.isDown = false
    await store.close()
    await proxy.stop()
  })
  return { store, proxy, url }
}

/** Stores on one schema. */
export interface Nodes {
  readonly nodes: readonly [Store, Store, ...Store[]]
  readonly url: string
  readonly clock: { nowMs: number }
}

/** Opens several stores at once; `on` is the database, if it is not that of all tests. */
export async function openNodes(
  t: TestContext,
  count: number,
  { on, ...options }: Partial<PostgresOptions> & { readonly on?: string } = {},
): Promise<Nodes> {
  const url = await schemaOf(t, on)
  const clock = { nowMs: TEST_START_MS }
  const [first, second, ...others] = await Promise.all(
    Array.from({ length: count }, () => openPostgresStore({ url, clock: () => clock.nowMs, ...options })),
  )
  assert.ok(first && second)
  const nodes = [first, second, ...others] as const
  atEnd(t, async () => {
    for (const node of nodes) await node.close()
  })
  return { nodes, url, clock }
}

/** A schema that is audited and taken away when the test ends. */
async function schemaOf(t: TestContext, on?: string): Promise<string> {
  const url = await newSchema(on)
  atEnd(t, async () => {
    const { differences } = await auditDatabase(url)
    await dropSchema(url)
    assert.deepEqual(differences, [])
  })
  return url
}

/** Charges that are in the journal of a schema. */
export async function chargesOn(url: string): Promise<number> {
  const rows = await onSchema<{ charges: number }>(url, "select count(*)::integer as charges from journal where kind = 'charge'")
  return rows[0]?.charges ?? 0
}
