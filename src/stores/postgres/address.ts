/** Where a PostgreSQL store is: what its URL says, and the settings of every session on it. */

import type { ClientConfig, CustomTypesConfig } from 'pg'
import pg from 'pg'
import { StoreUnavailableError } from '../unavailable.ts'

/** How far one batch, and with it each statement on ledger tables, may reach: over any buckets, or over one. */
export type Reach = 'any' | 'bucket'

/** A database, and the schema in it that is Obol's. */
export interface Address {
  /** The URL without Obol's own parameters. */
  readonly url: string
  readonly schema: string
  /** Host, port and database, for messages: nothing secret. */
  readonly shown: string
  readonly reach: Reach
}

/** How long things may take before they are given up. */
export interface Patience {
  readonly connectMs: number
  /** A statement, on the server. */
  readonly statementMs: number
  /** A wait for another's lock. */
  readonly lockMs: number
  /** How much longer than the server's own limit an answer may take: after that the connection is as good as lost. */
  readonly silenceMs: number
  /** How long a command is tried again while the server cannot be reached. */
  readonly reconnectMs: number
}

/** What is waited for unless a store is told otherwise. */
export const DEFAULT_PATIENCE: Patience = { connectMs: 5_000, statementMs: 30_000, lockMs: 5_000, silenceMs: 2_000, reconnectMs: 20_000 }

const DEFAULT_SCHEMA = 'obol'
/** What a URL may say besides: where the server is, and how its connection is encrypted. The driver lets a URL overrule every setting. */
const PARAMETERS: readonly string[] = ['schema', 'host', 'sslmode', 'sslcert', 'sslkey', 'sslrootcert', 'sslnegotiation', 'uselibpqcompat']
const SCHEMA = /^[a-z_][a-z0-9_]{0,50}$/

/** Reads `postgres://user:password@host:port/database?schema=obol`. Throws StoreUnavailableError, whose text never has the password in it. */
export function readAddress(text: string, reach: Reach = 'any'): Address {
  if (!/^postgres(?:ql)?:\/\//.test(text) || !URL.canParse(text))
    throw new StoreUnavailableError(
      `OBOL_DATABASE_URL is no PostgreSQL address. It looks like postgres://user:password@host:5432/database. ${ENCODED}`,
    )
  const url = new URL(text)
  // A password with an @, / or # that is not encoded ends early, and the rest of it would be taken for host, path or parameter, and shown.
  if (/@/.test(`${url.pathname}${url.search}`) || url.hash !== '')
    throw new StoreUnavailableError(`OBOL_DATABASE_URL cannot be read: there is an @ or a # behind its host. ${ENCODED}`)
  if (![url.username, url.password, url.pathname].every(isEncoded))
    throw new StoreUnavailableError(`OBOL_DATABASE_URL cannot be read: there is a % in it that encodes nothing. ${ENCODED}`)
  const schema = url.searchParams.get('schema') ?? DEFAULT_SCHEMA
  if (!SCHEMA.test(schema))
    throw new StoreUnavailableError(
      `The schema ${JSON.stringify(schema)} of OBOL_DATABASE_URL must be a name of lower-case letters, digits and _.`,
    )
  const stray = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name))
  if (stray !== undefined)
    throw new StoreUnavailableError(
      `OBOL_DATABASE_URL may not have the parameter ${JSON.stringify(stray)}: Obol sets up its sessions itself, so that no commit is less durable than it says. It may have ${PARAMETERS.join(', ')}.`,
    )
  url.searchParams.delete('schema')
  return { url: url.href, schema, shown: `${url.searchParams.get('host') ?? url.host}${url.pathname}`, reach }
}

const ENCODED = 'In user and password, write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F and % as %25.'

function isEncoded(text: string): boolean {
  return !/%(?![0-9a-f]{2})/i.test(text)
}

/** 64-bit integers are numbers that JavaScript holds exactly: amounts, which may be larger, are read as text. */
function readInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond what a number holds exactly`)
  return value
}

const INT8 = 20
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? readInteger : pg.types.getTypeParser(oid, format as 'text'),
} as CustomTypesConfig

/** The name that the server knows each session on a schema by. */
export function sessionName(schema: string): string {
  return `obol ${schema}`
}

/** A statement on one bucket is planned for that bucket: on Citus, only then is it known on which node it runs. */
const PLANS: Readonly<Record<Reach, string>> = { any: 'force_generic_plan', bucket: 'force_custom_plan' }

/**
 * How a session is opened. Plans are made for no values in particular, and never scan a table as a whole: plans that are made
 * while a table is empty would go on scanning it when it is large.
 */
export function sessionConfig({ url, schema, reach }: Address, patience: Patience): ClientConfig {
  const settings = {
    search_path: schema,
    // What the database or the role sets must not change what a statement sees: each reads what was committed before it began.
    default_transaction_isolation: 'read\\ committed',
    statement_timeout: patience.statementMs,
    lock_timeout: patience.lockMs,
    // A process that is gone keeps its locks no longer than another one waits for them.
    idle_in_transaction_session_timeout: patience.lockMs,
    plan_cache_mode: PLANS[reach],
    jit: 'off',
    enable_seqscan: 'off',
    enable_hashjoin: 'off',
    enable_mergejoin: 'off',
    synchronous_commit: 'on',
    timezone: 'UTC',
  }
  return {
    connectionString: url,
    application_name: sessionName(schema),
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    connectionTimeoutMillis: patience.connectMs,
    query_timeout: patience.statementMs + patience.silenceMs,
    // A session that rests is heard of now and then, so that nothing on the way takes it for dead.
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    types,
  }
}
