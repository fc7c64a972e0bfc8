/** Spreads the ledger over the nodes of a Citus cluster, by bucket. Everything happens in one transaction, or nothing. */

import type { Client } from 'pg'
import { StoreUnavailableError } from '../unavailable.ts'
import { type Address, DEFAULT_PATIENCE, readAddress } from './address.ts'
import { connectToRead, refuseOthers } from './database.ts'
import { messageOf } from './faults.ts'
import { DISTRIBUTED, LEDGER_TABLES, MADE_DISTRIBUTABLE, SHARED_DIRECTORIES } from './tables.ts'

/** Copying the rows of a large store takes as long as it takes. */
const PATIENCE = { ...DEFAULT_PATIENCE, statementMs: 24 * 3_600_000 }
/** What is asked of the extension. */
const FUNCTIONS = ['create_distributed_table', 'create_reference_table', 'run_command_on_workers']

/** What was spread. */
export interface Distribution {
  readonly distributed: readonly string[]
  readonly copied: readonly string[]
}

/** Distributes a stopped store. Rejects with StoreUnavailableError and what to do; then nothing has changed. */
export async function distributeStore(url: string): Promise<Distribution> {
  const address = readAddress(url, 'bucket')
  const client = await connectToRead(address, PATIENCE)
  try {
    await assertCitus(client, address)
    await assertNotDistributed(client, address)
    await refuseOthers(client, address)
    await assertDurableWorkers(client)
    await distribute(client)
    return { distributed: LEDGER_TABLES, copied: SHARED_DIRECTORIES }
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw cause
    throw new StoreUnavailableError(`The store in ${address.shown} cannot be distributed: ${messageOf(cause)}. Nothing was changed.`, {
      cause,
    })
  } finally {
    await client.end()
  }
}

async function assertCitus(client: Client, { shown }: Address): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    'select distinct proname as name from pg_proc where proname = any($1) and pg_function_is_visible(oid)',
    [FUNCTIONS],
  )
  const known = new Set(rows.map(({ name }) => name))
  const missing = FUNCTIONS.filter((name) => !known.has(name))
  if (missing.length === 0) return
  throw new StoreUnavailableError(
    `The database ${shown} has no extension citus (${missing.join(', ')} is not there). Install Citus on this server and on its workers, run "create extension citus" in the database on each of them, add the workers with citus_add_node, and try again. Nothing was changed.`,
  )
}

async function assertNotDistributed(client: Client, { shown }: Address): Promise<void> {
  const { rows } = await client.query<{ value: string }>('select value from settings where name = $1', [DISTRIBUTED])
  if (rows[0])
    throw new StoreUnavailableError(
      `The store in ${shown} has been distributed already, at ${rows[0].value}. Run its servers with OBOL_POSTGRES_BATCH=bucket.`,
    )
}

/** What this server promises of a commit, the nodes that hold the rows have to promise too. */
async function assertDurableWorkers(client: Client): Promise<void> {
  const settings = ['fsync', 'full_page_writes', 'synchronous_commit']
  const command = `select concat_ws(' ', ${settings.map((name) => `current_setting('${name}')`).join(', ')})`
  const { rows } = await client.query<{ nodename: string; nodeport: number; success: boolean; result: string }>(
    'select nodename, nodeport, success, result from run_command_on_workers($1)',
    [command],
  )
  for (const { nodename, nodeport, success, result } of rows) {
    const node = `The worker ${nodename}:${nodeport}`
    if (!success) throw new StoreUnavailableError(`${node} cannot be asked: ${result}. Nothing was changed.`)
    const off = settings.filter((_, index) => result.split(' ')[index] === 'off')
    if (off.length > 0)
      throw new StoreUnavailableError(
        `${node} runs with ${off.join(' and ')} off, so it could lose charges that were answered. Turn that on. Nothing was changed.`,
      )
  }
}

/** Tables of one bucket come to lie on one node. The trigger that guards the journal looks at nothing but the statement, on any node. */
async function distribute(client: Client): Promise<void> {
  await client.query('begin')
  await client.query(MADE_DISTRIBUTABLE)
  await client.query('set local citus.enable_unsafe_triggers = on')
  const [first, ...others] = LEDGER_TABLES
  await client.query("select create_distributed_table($1::regclass, 'bucket', colocate_with => 'none')", [first])
  for (const table of others)
    await client.query("select create_distributed_table($1::regclass, 'bucket', colocate_with => $2)", [table, first])
  for (const table of SHARED_DIRECTORIES) await client.query('select create_reference_table($1::regclass)', [table])
  await client.query('insert into settings (name, value) values ($1, $2)', [DISTRIBUTED, new Date().toISOString()])
  await client.query('commit')
}
