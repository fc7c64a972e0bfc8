/**
 * What a store asks of Citus, which is not to be had here: its functions are stood in for by some that write down how they are called.
 * That the ledger works on tables that are spread by bucket is what one-bucket.test.ts holds.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { atEnd } from '../../../test/running/ledger.ts'
import { dropSchema, newSchema, onSchema } from '../../../test/running/postgres.ts'
import { runObol } from '../../../test/running/process.ts'
import { openAccount } from '../../../test/running/store-commands.ts'
import { StoreUnavailableError } from '../unavailable.ts'
import { distributeStore } from './distribute.ts'
import { openPostgresStore } from './postgres-store.ts'
import { LEDGER_TABLES, SHARED_DIRECTORIES } from './tables.ts'

/** Functions with the names and parameters of Citus 13 and 14. The setting is one that only Citus knows the meaning of. */
const RECORDER = `
create table calls (place serial primary key, call text not null, unsafe_triggers text);
create function create_distributed_table(table_name regclass, distribution_column text, distribution_type text default 'hash',
    colocate_with text default 'default', shard_count integer default null) returns void language sql as $$
  insert into calls (call, unsafe_triggers) values (format('%s by %s with %s', table_name, distribution_column, colocate_with),
    current_setting('citus.enable_unsafe_triggers', true)) $$;
create function create_reference_table(table_name regclass) returns void language sql as $$
  insert into calls (call) values (format('%s everywhere', table_name)) $$;`

function workers(...results: readonly (readonly [isSuccess: boolean, result: string])[]): string {
  const rows = results.map(([isSuccess, result], index) => `('worker-${index + 1}', 5432, ${isSuccess}, '${result}')`)
  return `create or replace function run_command_on_workers(command text, parallel boolean default true,
    out nodename text, out nodeport integer, out success boolean, out result text) returns setof record language sql as $$
    values ${rows.join(', ')} $$;`
}

const DURABLE = workers([true, 'on on on'], [true, 'on on remote_apply'])

async function makeStore(t: TestContext, sql: string): Promise<string> {
  const url = await newSchema()
  atEnd(t, () => dropSchema(url))
  const store = await openPostgresStore({ url })
  await openAccount(store, 1, 5)
  await store.close()
  await onSchema(url, sql)
  return url
}

async function callsOn(url: string): Promise<readonly string[]> {
  const rows = await onSchema<{ call: string }>(url, 'select call from calls order by place')
  return rows.map(({ call }) => call)
}

async function assertRefused(url: string, message: RegExp): Promise<void> {
  await assert.rejects(distributeStore(url), (fault) => fault instanceof StoreUnavailableError && message.test(fault.message))
}

test('the ledger is spread by bucket, table by table beside the first, and directories that commits write go everywhere', async (t) => {
  const url = await makeStore(t, RECORDER + DURABLE)
  const { code, stdout, stderr } = await runObol(['migrate-store', '--distribute'], { env: { OBOL_DATABASE_URL: url } })
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(
    stdout,
    /^Distributed by bucket: journal, .*batches\.\nCopied to every node: .*\.\nStart its servers with OBOL_POSTGRES_BATCH=bucket\.\n$/,
  )
  assert.deepEqual(await callsOn(url), [
    ...LEDGER_TABLES.map((table) => `${table} by bucket with ${table === 'journal' ? 'none' : 'journal'}`),
    ...SHARED_DIRECTORIES.map((table) => `${table} everywhere`),
  ])
  const [keys] = await onSchema<{ definition: string }>(
    url,
    "select indexdef as definition from pg_indexes where schemaname = $1 and indexname = 'journal_keys'",
    [new URL(url).searchParams.get('schema')],
  )
  assert.match(keys?.definition ?? '', /UNIQUE INDEX .*\(bucket, key_hash\)/, 'a unique key has its bucket in it')
  const [journal] = await onSchema<{ unsafe_triggers: string }>(url, 'select unsafe_triggers from calls limit 1')
  assert.equal(journal?.unsafe_triggers, 'on', 'Citus takes no table with triggers otherwise')
  await assert.rejects(openPostgresStore({ url }), /is distributed with Citus\. Set OBOL_POSTGRES_BATCH=bucket/)
  const store = await openPostgresStore({ url, reach: 'bucket' })
  await openAccount(store, 2, 5)
  await store.close()
  await assertRefused(url, /has been distributed already, at 20.*OBOL_POSTGRES_BATCH=bucket/)
})

test('without the extension the command says what is missing, and changes nothing', async (t) => {
  const url = await makeStore(t, 'select 1')
  const { code, stdout, stderr } = await runObol(['migrate-store', '--distribute'], { env: { OBOL_DATABASE_URL: url } })
  assert.deepEqual([code, stdout], [69, ''])
  assert.match(
    stderr,
    /^obol: The database .* has no extension citus \(create_distributed_table, .*"create extension citus".*Nothing was changed\.\n$/,
  )
  await (await openPostgresStore({ url })).close()
})

test('workers that could lose charges, or cannot be asked, are refused', async (t) => {
  const url = await makeStore(t, RECORDER + workers([true, 'on on on'], [true, 'off on off']))
  await assertRefused(url, /The worker worker-2:5432 runs with fsync and synchronous_commit off/)
  await onSchema(url, workers([false, 'connection refused']))
  await assertRefused(url, /The worker worker-1:5432 cannot be asked: connection refused/)
  assert.deepEqual(await callsOn(url), [])
})

test('a store with running servers is not distributed', async (t) => {
  const url = await makeStore(t, RECORDER + DURABLE)
  const server = await openPostgresStore({ url })
  await assertRefused(url, /is in use by other Obol processes/)
  await server.close()
  await distributeStore(url)
})

test('when Citus refuses a table, nothing has happened', async (t) => {
  const refusing = `create or replace function create_reference_table(table_name regclass) returns void language plpgsql as
    $$ begin raise exception 'no such node'; end $$;`
  const url = await makeStore(t, RECORDER + DURABLE + refusing)
  await assertRefused(url, /cannot be distributed: no such node\. Nothing was changed/)
  assert.deepEqual(await callsOn(url), [])
  await (await openPostgresStore({ url })).close()
})

test('where there is no store, there is nothing to distribute', async () => {
  await assertRefused(await newSchema(), /has no Obol store/)
})
