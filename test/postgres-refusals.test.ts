/** A database that cannot be used: the server says what is wrong and what to do, ends with 69, changes nothing, and tells no password. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { openPostgresStore } from '../src/stores/postgres/postgres-store.ts'
import { OPERATOR_KEY } from './running/obol.ts'
import { startOldServer } from './running/old-server.ts'
import { newDatabase, newSchema, onSchema, standbyServer, testServer, USER_WITH_PASSWORD } from './running/postgres.ts'
import { runObol } from './running/process.ts'

const PASSWORD = 'hunter2-hunter2'

/** A database that cannot be used, and what is said of it. */
interface Refused {
  readonly url: string
  readonly said: RegExp
  readonly todo: RegExp
}

/** The URL of the tests' database with another user, host, port or database. */
async function changed(change: (url: URL) => void): Promise<string> {
  const url = new URL((await testServer()).url)
  change(url)
  return url.href
}

const DATABASES: Readonly<Record<string, (t: TestContext) => Promise<Refused | null>>> = {
  'a host that does not exist': async () => ({
    url: `postgres://obol:${PASSWORD}@nowhere.invalid:5432/obol`,
    said: /nowhere\.invalid:5432\/obol cannot be reached: .*nowhere\.invalid/,
    todo: /Check OBOL_DATABASE_URL, and that the server runs/,
  }),
  'a port on which nothing listens': async () => ({
    url: `postgres://obol:${PASSWORD}@127.0.0.1:1/obol`,
    said: /127\.0\.0\.1:1\/obol cannot be reached: .*ECONNREFUSED/,
    todo: /takes connections from here/,
  }),
  'a port on which something else listens': async (t) => {
    const web = createServer().listen(0, '127.0.0.1')
    await once(web, 'listening')
    t.after(() => web.close())
    const address = web.address()
    return {
      url: `postgres://obol:${PASSWORD}@127.0.0.1:${typeof address === 'object' ? address?.port : ''}/obol`,
      said: /cannot be reached/,
      todo: /Check OBOL_DATABASE_URL/,
    }
  },
  'a wrong password': async (t) => {
    const { url, crash } = await testServer()
    // Whether a server that is not ours asks anybody for a password is not for us to say.
    if (crash === null) return null
    await onSchema(url, `create role ${USER_WITH_PASSWORD} login password '${PASSWORD}-after-all'`)
    t.after(() => onSchema(url, `drop role ${USER_WITH_PASSWORD}`))
    return {
      url: await changed((named) => Object.assign(named, { username: USER_WITH_PASSWORD, password: PASSWORD })),
      said: /password authentication failed/,
      todo: /Check user and password in OBOL_DATABASE_URL/,
    }
  },
  'a user who does not exist': async () => ({
    url: await changed((named) => Object.assign(named, { username: 'nobody_of_the_kind' })),
    said: /nobody_of_the_kind/,
    todo: /Check user and password/,
  }),
  'a database that does not exist': async () => ({
    url: await changed((named) => Object.assign(named, { pathname: '/nothing_of_the_kind' })),
    said: /"nothing_of_the_kind" does not exist/,
    todo: /Create the database \(encoding 'UTF8'\), or name another one/,
  }),
  'a server that is too old': async (t) => ({
    url: await startOldServer(t, { major: '14', version: '14.19' }),
    said: /is version 14\.19; Obol needs 15 or newer/,
    todo: /Upgrade it, or name another one/,
  }),
  'a server without fsync': async (t) => ({
    url: await startOldServer(t, { major: '18', version: '18.4', encoding: 'UTF8', fsync: 'off', pages: 'on' }),
    said: /could lose charges that were answered/,
    todo: /Turn both on/,
  }),
  'a standby': async () => ({
    url: (await standbyServer()).url,
    said: /is a standby, which cannot be written/,
    todo: /Name the primary in OBOL_DATABASE_URL/,
  }),
  'a database that was made read-only': async (t) => {
    const { url, drop } = await newDatabase()
    t.after(drop)
    await onSchema(url, `alter database ${new URL(url).pathname.slice(1)} set default_transaction_read_only = on`)
    return { url, said: /lets this user only read/, todo: /default_transaction_read_only/ }
  },
  'a schema of a newer Obol': async (t) => {
    const { url, drop } = await newDatabase()
    t.after(drop)
    await (await openPostgresStore({ url })).close()
    await onSchema(`${url}?schema=obol`, 'update schema_version set version = version + 1')
    return { url, said: /was written by a newer Obol \(schema \d+, this one knows \d+\)/, todo: /Start that version, or restore a backup/ }
  },
  'a schema of another program': async (t) => {
    const url = await newSchema()
    const schema = new URL(url).searchParams.get('schema')
    await onSchema(url, `create schema ${schema}; create table ${schema}.schema_version (version text, description text)`)
    t.after(() => onSchema(url, `drop schema ${schema} cascade`))
    return { url, said: /belongs to another program/, todo: /Name one of its own in OBOL_DATABASE_URL, with \?schema=/ }
  },
  'a user who may not make the schema': async (t) => {
    const { url } = await testServer()
    await onSchema(url, 'create role may_only_read login')
    t.after(() => onSchema(url, 'drop role may_only_read'))
    const named = await changed((one) => Object.assign(one, { username: 'may_only_read' }))
    return {
      url: `${named}?schema=test_not_allowed`,
      said: /permission denied/,
      todo: /must be allowed to create the schema test_not_allowed/,
    }
  },
}

/** All that is in the database of a URL, if it is on the tests' own server. */
async function contentsOf(url: string): Promise<readonly object[]> {
  const [named, { url: own }] = [new URL(url), await testServer()]
  const databases = await onSchema<{ name: string }>(own, 'select datname as name from pg_database')
  const name = named.pathname.slice(1)
  if (named.host !== new URL(own).host || !databases.some((database) => database.name === name)) return []
  return onSchema(
    await changed((one) => Object.assign(one, { pathname: named.pathname })),
    'select n.nspname, c.relname from pg_namespace n left join pg_class c on c.relnamespace = n.oid order by 1, 2',
  )
}

for (const [what, make] of Object.entries(DATABASES))
  test(`${what} is refused with what to do about it`, async (t) => {
    const refused = await make(t)
    if (refused === null) return
    const { url, said, todo } = refused
    const before = await contentsOf(url)
    const env = { OBOL_DATABASE_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY, OBOL_PORT: '0' }
    const { code, stdout, stderr } = await runObol(['serve'], { env })
    assert.deepEqual([code, stdout], [69, ''], stderr)
    assert.match(stderr, /^obol: .*\n$/, 'one line')
    assert.match(stderr, said)
    assert.match(stderr, todo)
    assert.ok(!stderr.includes(PASSWORD), 'no message tells a password')
    assert.deepEqual(await contentsOf(url), before, 'nothing is half done')
  })
