/** A database that cannot be used is refused with what to do about it; one that can is brought up to date, by one node for all. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT } from '../../../test/reading/project.ts'
import { atEnd } from '../../../test/running/ledger.ts'
import { dropSchema, newSchema, onSchema, testServer } from '../../../test/running/postgres.ts'
import { openAccount } from '../../../test/running/store-commands.ts'
import { postgresSchemaPage } from '../../../tools/reference/postgres-schema.ts'
import { StoreUnavailableError } from '../unavailable.ts'
import { auditDatabase } from './audit.ts'
import { openPostgresStore } from './postgres-store.ts'

async function schemaOf(t: TestContext): Promise<string> {
  const url = await newSchema()
  atEnd(t, () => dropSchema(url))
  return url
}

/** Opening it must be refused, with a message that says all this. */
async function assertUnavailable(url: string, ...said: readonly RegExp[]): Promise<void> {
  const outcome = await openPostgresStore({ url, patience: { connectMs: 500 } }).catch((fault: unknown) => fault)
  assert.ok(outcome instanceof StoreUnavailableError, String(outcome))
  for (const part of said) assert.match(outcome.message, part)
  assert.doesNotMatch(outcome.message, /hunter2|1234/, 'no message tells a password')
}

async function tablesOf(url: string): Promise<number> {
  const sql = 'select count(*)::integer as tables from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1'
  const rows = await onSchema<{ tables: number }>(url, sql, [new URL(url).searchParams.get('schema')])
  return rows[0]?.tables ?? 0
}

test('what is no address of a PostgreSQL database is refused', async () => {
  for (const url of ['postgres:/x', 'mysql://x/y', 'postgres://', '']) await assertUnavailable(url, /OBOL_DATABASE_URL|cannot be reached/)
  const { url } = await testServer()
  for (const schema of ['a;drop', 'A', '1', '', 'x'.repeat(60)])
    await assertUnavailable(`${url}?schema=${encodeURIComponent(schema)}`, /must be a name of lower-case letters/)
})

test('a URL cannot make commits less durable, nor overrule any other setting of a session', async () => {
  for (const parameter of ['options=-c%20synchronous_commit%3Doff', 'query_timeout=1', 'application_name=x', 'connectionString=x'])
    await assertUnavailable(
      `postgres://obol@127.0.0.1:1/x?${parameter}`,
      new RegExp(`may not have the parameter "${parameter.split('=')[0]}"`),
    )
  await assertUnavailable('postgres://obol@127.0.0.1:1/x?schema=other&sslmode=disable', /cannot be reached/)
})

test('a password that is not encoded is told as such, and no part of it is shown', async () => {
  const [part, rest] = ['1234', 'hunter2']
  for (const password of [
    `${part}/${rest}`,
    `${part}@${rest}`,
    `${part}#${rest}`,
    `${part}?${rest}`,
    `${part}?a=${rest}`,
    `a%zz${rest}`,
    `%${rest}`,
  ])
    await assertUnavailable(
      `postgres://obol:${password}@127.0.0.1:1/x`,
      /OBOL_DATABASE_URL|cannot be reached/,
      /%40|Check OBOL_DATABASE_URL/,
    )
  await assertUnavailable(`postgres://obol:${part}%2F${rest}@127.0.0.1:1/x`, /cannot be reached/)
})

test('a server that does not answer is given up', async (t) => {
  const silent = createServer().listen(0, '127.0.0.1')
  t.after(() => silent.close())
  await new Promise((resolve) => silent.once('listening', resolve))
  const address = silent.address()
  assert.ok(typeof address === 'object' && address)
  await assertUnavailable(`postgres://obol:hunter2@127.0.0.1:${address.port}/x`, /cannot be reached/, /time/)
})

test('a database in another encoding is refused', async (t) => {
  const { url } = await testServer()
  const named = new URL(url)
  await onSchema(url, "create database in_ascii encoding 'SQL_ASCII' template template0 locale 'C'")
  t.after(() => onSchema(url, 'drop database in_ascii with (force)'))
  named.pathname = '/in_ascii'
  await assertUnavailable(named.href, /SQL_ASCII/, /UTF8/)
})

test('a schema from a newer Obol is refused, by the server and by an audit, and left as it was', async (t) => {
  const url = await schemaOf(t)
  await (await openPostgresStore({ url })).close()
  const newest = readdirSync(join(import.meta.dirname, 'migrations')).length
  await onSchema(url, 'update schema_version set version = version + 1')
  await assertUnavailable(url, /newer Obol/, new RegExp(`schema ${newest + 1}, this one knows ${newest}`))
  await assert.rejects(auditDatabase(url), /this Obol reads/)
})

test('a schema of another program is known by whatever is in it', async (t) => {
  for (const own of ['table notes (text text)', 'view notes as select 1 as one', 'table schema_version (version integer)']) {
    const url = await schemaOf(t)
    await onSchema(url, `create schema ${new URL(url).searchParams.get('schema')}`)
    await onSchema(url, `create ${own}`)
    await assertUnavailable(url, /another program/)
    assert.equal(await tablesOf(url), 1)
  }
})

test('a user who may not make schemas can use one that was made for it', async (t) => {
  const url = await schemaOf(t)
  const schema = new URL(url).searchParams.get('schema')
  await onSchema(url, `create role lodger login; create schema ${schema} authorization lodger`)
  atEnd(t, () => onSchema(url, 'drop owned by lodger cascade; drop role lodger'))
  const store = await openPostgresStore({ url: url.replace('//obol@', '//lodger@') })
  await openAccount(store, 1, 5)
  await store.close()
})

test('an audit says so when there is no store', async () => {
  await assert.rejects(auditDatabase(await newSchema()), /has no Obol store/)
})

test('many nodes that start at once migrate once, and one that was cut short leaves nothing half done', async (t) => {
  const url = await schemaOf(t)
  const schema = new URL(url).searchParams.get('schema')
  // What is left by a node that ended between making the schema and its first migration.
  await onSchema(url, `create schema ${schema}`)
  const stores = await Promise.all(Array.from({ length: 6 }, () => openPostgresStore({ url })))
  for (const [index, store] of stores.entries()) await openAccount(store, index, 1)
  for (const store of stores) await store.close()
  const versions = await onSchema<{ version: number }>(url, 'select version from schema_version')
  assert.deepEqual(versions, [{ version: readdirSync(join(import.meta.dirname, 'migrations')).length }])
  assert.deepEqual((await auditDatabase(url)).differences, [])
})

test('schema.sql shows what the migrations build', async (t) => {
  // Servers of other versions word some constraints otherwise.
  if ((await testServer()).crash === null) return
  const url = await schemaOf(t)
  await (await openPostgresStore({ url })).close()
  const { path, text } = await postgresSchemaPage(url)
  assert.equal(readFileSync(join(ROOT, path), 'utf8'), text, 'run npm run generate')
})

test('stores in two schemas of one database know nothing of each other', async (t) => {
  const urls = [await schemaOf(t), await schemaOf(t)]
  const [one, other] = await Promise.all(urls.map((url) => openPostgresStore({ url })))
  assert.ok(one && other)
  await openAccount(one, 1, 5)
  assert.equal(await other.state(1), undefined)
  await Promise.all([one.close(), other.close()])
})
