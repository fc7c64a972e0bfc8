/** Opens the database: a server that is new and safe enough, and a schema that is current. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg, { type Client } from 'pg'
import { OutOfServiceError } from '../store.ts'
import { StoreUnavailableError } from '../unavailable.ts'
import { type Address, type Patience, sessionConfig, sessionName } from './address.ts'
import { codeOf, messageOf } from './faults.ts'
import { endInTime, type Runner, type Statement } from './session.ts'
import { DISTRIBUTED } from './tables.ts'

const MIGRATIONS = join(import.meta.dirname, 'migrations')
const OLDEST_SERVER = 15
/** Named in the advisory lock that migrations are made under, with the schema's hash. */
const MIGRATION_LOCK = 0x0b01
/** Named in the advisory lock that keeps moves to one schema apart. */
const MOVE_LOCK = 0x0b02
/** A session is seen on the server for a moment after its process has ended. */
const ENDING_MS = 2_000
const ENDING_STEP_MS = 100
/** Nodes that start together wait for the one that migrates. */
const MIGRATION_PATIENCE_MS = 60_000

/** Checks the server and brings the schema up to date. Throws StoreUnavailableError with what to do about it. */
export async function prepareDatabase(address: Address, patience: Patience): Promise<void> {
  const client = await connect(address, { ...patience, lockMs: MIGRATION_PATIENCE_MS, statementMs: MIGRATION_PATIENCE_MS })
  try {
    await assertFit(client, address)
    await refuseUnfinished(client, address)
    await migrate(client, address)
    await assertReach(client, address)
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw cause
    throw new StoreUnavailableError(
      `The PostgreSQL database ${address.shown} cannot be prepared: ${messageOf(cause)}. ${adviceOnPreparing(cause, address)}`,
      { cause },
    )
  } finally {
    await endInTime(client, patience.silenceMs)
  }
}

function adviceOnPreparing(cause: unknown, { schema }: Address): string {
  switch (codeOf(cause)) {
    case '42501':
      return `Its user must be allowed to create the schema ${schema} and tables in it, or own the schema.`
    case '53100':
      return 'Make room on its disk, then start again: nothing was left half done.'
    case '55P03':
      return `Another server has been bringing it up to date for ${MIGRATION_PATIENCE_MS / 1_000} seconds: wait until it is done, then start again.`
    default:
      return 'Start again once that is mended: nothing was left half done.'
  }
}

/** Opens one session. Throws StoreUnavailableError. */
export async function connect(address: Address, patience: Patience): Promise<Client> {
  const client = new pg.Client({ ...sessionConfig(address, patience), pipeline: true })
  // A session that ends while nobody asks anything of it is found out by whoever asks next.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (cause) {
    throw new StoreUnavailableError(
      `The PostgreSQL database ${address.shown} cannot be reached: ${messageOf(cause)}. ${adviceOnConnecting(cause)}`,
      { cause },
    )
  }
}

function adviceOnConnecting(cause: unknown): string {
  switch (codeOf(cause)) {
    case '28P01':
    case '28000':
      return 'Check user and password in OBOL_DATABASE_URL, and that the server lets this user in from here.'
    case '3D000':
      return "Create the database (encoding 'UTF8'), or name another one in OBOL_DATABASE_URL."
    case '53300':
      return 'Raise max_connections of the server, or run fewer servers on it.'
    default:
      return 'Check OBOL_DATABASE_URL, and that the server runs and takes connections from here.'
  }
}

/** Opens a session that reads a schema which must be current. Throws StoreUnavailableError. */
export async function connectToRead(address: Address, patience: Patience): Promise<Client> {
  const client = await connect(address, patience)
  const newest = migrationFiles().length
  try {
    const version = await versionOf(client, address)
    if (version === newest) return client
    await refuseUnfinished(client, address)
    throw new StoreUnavailableError(
      version === null
        ? `The database ${address.shown} has no Obol store in its schema ${address.schema}. Name the store with OBOL_DATABASE_URL, or start Obol once to make it.`
        : `The store in ${address.shown} has schema ${version}, this Obol reads ${newest}. Start the server once to bring it up to date, or use the Obol that wrote it.`,
    )
  } catch (cause) {
    await endInTime(client, patience.silenceMs)
    throw cause
  }
}

/** The schema in which a move makes a store that is to be in another. */
export function unfinishedSchema(schema: string): string {
  return `${schema}_moving`
}

async function refuseUnfinished(client: Client, { schema, shown }: Address): Promise<void> {
  const unfinished = unfinishedSchema(schema)
  const { rows } = await client.query<{ isThere: boolean }>('select to_regnamespace($1) is not null as "isThere"', [unfinished])
  if (rows[0]?.isThere)
    throw new StoreUnavailableError(
      `A move to ${shown}, schema ${schema}, has not been finished: the schema ${unfinished} is what there is of it. Run "obol migrate-store" again, which starts anew, or run "drop schema ${unfinished} cascade" in the database to do without.`,
    )
}

/**
 * Keeps other moves away from a schema, which must have nothing in it, as long as the session lasts. Rejects with
 * StoreUnavailableError.
 */
export async function takePlace(address: Address, patience: Patience): Promise<Client> {
  const client = await connect(address, patience)
  const { schema, shown } = address
  try {
    await assertFit(client, address)
    const { rows } = await client.query<{ isTaken: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as "isTaken"', [
      MOVE_LOCK,
      schema,
    ])
    if (!rows[0]?.isTaken) throw new StoreUnavailableError(`Another move to ${shown}, schema ${schema}, is under way. Wait for its end.`)
    if ((await versionOf(client, address)) !== null)
      throw new StoreUnavailableError(
        `The schema ${schema} of ${shown} has a store already. A store is moved to where none is: name another schema with ?schema=…, or drop this one.`,
      )
    return client
  } catch (cause) {
    await client.end()
    throw cause
  }
}

/** Removes what an earlier move left of a schema, if there is any. */
export async function dropUnfinished(client: Client, { schema }: Address): Promise<void> {
  await client.query(`drop schema if exists ${unfinishedSchema(schema)} cascade`)
}

/** Gives a schema that a move has made its name. An empty schema of that name makes way; one with anything in it does not. */
export async function publishSchema(client: Client, { schema }: Address): Promise<void> {
  await client.query(
    `begin; drop schema if exists ${schema} restrict; alter schema ${unfinishedSchema(schema)} rename to ${schema}; commit`,
  )
}

/** A store that is distributed cannot be written by statements that reach over nodes. */
async function assertReach(client: Client, { shown, reach }: Address): Promise<void> {
  const { rows } = await client.query('select 1 from settings where name = $1', [DISTRIBUTED])
  if (rows.length > 0 && reach !== 'bucket')
    throw new StoreUnavailableError(`The store in ${shown} is distributed with Citus. Set OBOL_POSTGRES_BATCH=bucket.`)
}

/** Throws StoreUnavailableError when other processes of Obol work on the schema. One that has just stopped is waited for. */
export async function refuseOthers(client: Client, { schema, shown }: Address): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += ENDING_STEP_MS) {
    const { rows } = await client.query<{ sessions: number }>(
      `select count(*)::integer as sessions from pg_stat_activity
       where datname = current_database() and application_name = $1 and pid <> pg_backend_pid()`,
      [sessionName(schema)],
    )
    const sessions = rows[0]?.sessions ?? 0
    if (sessions === 0) return
    if (waitedMs >= ENDING_MS)
      throw new StoreUnavailableError(
        `The store in ${shown}, schema ${schema}, is in use by other Obol processes (${sessions} sessions). Stop them first.`,
      )
    await new Promise((resolve) => setTimeout(resolve, ENDING_STEP_MS))
  }
}

const FITNESS: Statement = {
  name: 'fitness',
  text: `select current_setting('transaction_read_only') = 'on' as "isReadOnly", (select version from schema_version) as version`,
}

/** Whether a server that runs can go on. Throws OutOfServiceError when the database cannot be written, or is a newer Obol's by now. */
export async function assertReady(run: Runner): Promise<void> {
  const [database] = await run<{ isReadOnly: boolean; version: number | null }>(FITNESS, [])
  if (database?.isReadOnly === true) throw new OutOfServiceError('The database is read-only: it is a standby, or was made so.')
  if (database?.version !== migrationFiles().length)
    throw new OutOfServiceError('The database was brought up to date by a newer Obol: this server has to be upgraded, too.')
}

interface Server {
  readonly major: number
  readonly version: string
  readonly encoding: string
  readonly fsync: string
  readonly pages: string
  readonly isStandby: boolean
  readonly isReadOnly: boolean
}

async function assertFit(client: Client, { shown }: Address): Promise<void> {
  const settings = `select current_setting('server_version_num')::integer / 10000 as major, current_setting('server_version') as version,
    current_setting('server_encoding') as encoding, current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
    pg_is_in_recovery() as "isStandby", current_setting('transaction_read_only') = 'on' as "isReadOnly"`
  const { rows } = await client.query<Server>(settings)
  const [server] = rows
  if (!server) throw new Error('the server does not say what it is')
  const fault = (what: string): StoreUnavailableError => new StoreUnavailableError(`The PostgreSQL server of ${shown} ${what}`)
  if (server.major < OLDEST_SERVER)
    throw fault(`is version ${server.version}; Obol needs ${OLDEST_SERVER} or newer. Upgrade it, or name another one.`)
  if (server.encoding !== 'UTF8')
    throw fault(`keeps this database in ${server.encoding}; Obol needs UTF8. Create the database with encoding 'UTF8'.`)
  if (server.isStandby) throw fault('is a standby, which cannot be written. Name the primary in OBOL_DATABASE_URL.')
  if (server.isReadOnly)
    throw fault('lets this user only read (default_transaction_read_only is on). Turn that off for the database and its user.')
  if (server.fsync !== 'on' || server.pages !== 'on')
    throw fault('runs with fsync or full_page_writes off, so it could lose charges that were answered. Turn both on.')
}

function migrationFiles(): readonly string[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}-[a-z0-9-]+\.sql$/.test(name))
    .sort()
}

/** Columns of the table that says the schema's version: other programs have one of that name, too. */
const VERSION_COLUMNS = 'single boolean, version integer'

/** The schema's version; null: it is not there, or empty. Throws StoreUnavailableError when it is another program's. */
async function versionOf(client: Client, { schema, shown }: Address): Promise<number | null> {
  const { rows } = await client.query<{ tables: number; own: number }>(
    `select count(*)::integer as tables, count(*) filter (where c.relname = 'schema_version' and $2 =
       (select string_agg(a.attname || ' ' || format_type(a.atttypid, null), ', ' order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))::integer as own
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f')`,
    [schema, VERSION_COLUMNS],
  )
  if ((rows[0]?.own ?? 0) === 0) {
    if ((rows[0]?.tables ?? 0) === 0) return null
    throw new StoreUnavailableError(
      `The schema ${schema} of ${shown} belongs to another program. Name one of its own in OBOL_DATABASE_URL, with ?schema=…`,
    )
  }
  const found = await client.query<{ version: number }>('select version from schema_version')
  return found.rows[0]?.version ?? null
}

/** Applies the numbered files that the schema has not seen, each in its own transaction, while no other node does. */
async function migrate(client: Client, address: Address): Promise<void> {
  const { schema, shown } = address
  await client.query('select pg_advisory_lock($1, hashtext($2))', [MIGRATION_LOCK, schema])
  const files = migrationFiles()
  const version = await versionOf(client, address)
  if (version !== null && version > files.length)
    throw new StoreUnavailableError(
      `The store in ${shown} was written by a newer Obol (schema ${version}, this one knows ${files.length}). Start that version, or restore a backup.`,
    )
  if (version === null) await begin(client, schema)
  for (const [index, name] of files.entries()) {
    if (index < (version ?? 0)) continue
    await client.query(`begin;\n${readFileSync(join(MIGRATIONS, name), 'utf8')}\n;update schema_version set version = ${index + 1}; commit`)
  }
}

/** Makes the schema, unless somebody has made it for a user who may not. */
async function begin(client: Client, schema: string): Promise<void> {
  const { rows } = await client.query('select 1 from pg_namespace where nspname = $1', [schema])
  const create = rows.length === 0 ? `create schema ${schema};` : ''
  await client.query(
    `begin; ${create} create table schema_version (single boolean primary key default true check (single), version integer not null); insert into schema_version (version) values (0); commit`,
  )
}
