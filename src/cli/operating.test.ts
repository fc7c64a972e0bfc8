/** What docs/guides/operating.md and docs/reference/audit.md tell operators to do, done. */

import assert from 'node:assert/strict'
import { renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { blocksOf, rowsOf } from '../../test/reading/markdown.ts'
import { filesOf, textOf } from '../../test/reading/project.ts'
import { makeFolder, runObol, type ServerProcess, startServer } from '../../test/running/process.ts'
import { auditFile } from '../stores/sqlite/audit.ts'
import { PLAIN_TABLES } from '../stores/statements.ts'
import { makeClient } from './client.ts'

const KEY = 'the-operator-key-of-operating-tests'

interface Operated {
  readonly server: ServerProcess
  readonly file: string
  readonly call: ReturnType<typeof makeClient>['call']
}

async function operate(t: TestContext, folder: string, key = KEY): Promise<Operated> {
  const file = join(folder, 'obol.db')
  const server = await startServer(t, 'serve', { cwd: folder, env: { OBOL_DATABASE_URL: `sqlite:${file}`, OBOL_OPERATOR_KEY: key } })
  return { server, file, call: makeClient(server.url, key).call }
}

/** A little of everything that tables are derived from. */
async function live(call: Operated['call']): Promise<string> {
  const { id } = (await call('POST', '/v1/accounts', { name: 'A', external_id: 'a' })).body as { id: string }
  await call('POST', '/v1/grants', { account: id, amount: '100', expires_at: '2999-01-01T00:00:00Z' }, 'grant-1')
  const charge = (await call('POST', '/v1/charges', { account: id, operation: 'x', amount: '40' }, 'charge-1')).body as { id: string }
  await call('POST', `/v1/charges/${charge.id}/refund`, { amount: '10' }, 'refund-1')
  for (const end of ['release', 'capture', null]) {
    const hold = (await call('POST', '/v1/holds', { account: id, operation: 'x', amount: '5' })).body as { id: string }
    if (end !== null) await call('POST', `/v1/holds/${hold.id}/${end}`, {})
  }
  return id
}

async function available(call: Operated['call'], account: string): Promise<string | undefined> {
  const { body } = await call('GET', `/v1/accounts/${account}/credits`)
  return (body as { credit_types: Record<string, { available: string }> }).credit_types.credits?.available
}

/** The statement of the guide that copies a store, for another place. */
function backupStatement(copy: string): string {
  const [, statement = ''] = /sqlite3 \S+ "(vacuum into '[^']+')"/.exec(textOf('docs/guides/operating.md')) ?? []
  assert.match(statement, /^vacuum into/)
  return statement.replace(/'[^']+'/, `'${copy}'`)
}

test('a copy that is made while the server charges is one moment of the store: it verifies, and a server starts on it', async (t) => {
  const { call, file, server } = await operate(t, makeFolder(t))
  const account = await live(call)
  const charging = Promise.all(
    Array.from({ length: 60 }, (_, index) => call('POST', '/v1/charges', { account, operation: 'x', amount: '0.1' }, `during-${index}`)),
  )
  const restored = makeFolder(t)
  const copy = join(restored, 'obol.db')
  const db = new DatabaseSync(file, { timeout: 5_000 })
  db.exec(backupStatement(copy))
  db.close()
  await charging
  const { code, stdout } = await runObol(['verify'], { env: { OBOL_DATABASE_URL: `sqlite:${copy}` } })
  assert.deepEqual([code, stdout.endsWith('Everything adds up.\n')], [0, true])
  assert.equal((await server.stop()).code, 0)

  const again = await operate(t, restored)
  for (let index = 0; index < 60; index++)
    await again.call('POST', '/v1/charges', { account, operation: 'x', amount: '0.1' }, `during-${index}`)
  assert.equal(await available(again.call, account), '54', 'what the copy has is not charged twice, and what it lacks is charged')
})

test('after a graceful stop there is no log, and the one file is everything', async (t) => {
  const folder = makeFolder(t)
  const first = await operate(t, folder)
  const account = await live(first.call)
  assert.equal((await first.server.stop()).code, 0)
  assert.equal(statSync(`${first.file}-wal`, { throwIfNoEntry: false })?.size ?? 0, 0)
  const moved = makeFolder(t)
  renameSync(first.file, join(moved, 'obol.db'))
  const second = await operate(t, moved)
  assert.equal(await available(second.call, account), '60')
  assert.deepEqual(auditFile(second.file).differences, [])
})

test('derived tables that are wrong are made anew from the journal, as the page on audits says', async (t) => {
  const folder = makeFolder(t)
  const first = await operate(t, folder)
  const account = await live(first.call)
  assert.equal((await first.server.stop()).code, 0)
  const before = auditFile(first.file)
  const [block] = blocksOf(textOf('docs/reference/audit.md')).filter(({ language }) => language === 'sql')
  const db = new DatabaseSync(first.file)
  db.exec(
    "delete from idempotency_keys; delete from refunds; delete from purchases; update holds set status = 'live'; update grants set status = 'voided'",
  )
  const wrong = new Set(auditFile(first.file).differences.map(({ check }) => check))
  assert.deepEqual([...wrong].toSorted(), ['grants', 'holds', 'idempotency', 'refunds'])
  db.exec(block?.text ?? '')
  db.close()

  const second = await operate(t, folder)
  assert.equal(await available(second.call, account), '60')
  const replay = await second.call('POST', '/v1/charges', { account, operation: 'x', amount: '40' }, 'charge-1')
  assert.equal(replay.replayed, true, 'idempotency keys are found again')
  assert.equal((await second.server.stop()).code, 0)
  assert.deepEqual(auditFile(first.file), before)
})

test('every table that is derived is among those that the page on audits makes anew', () => {
  const [block] = blocksOf(textOf('docs/reference/audit.md')).filter(({ language }) => language === 'sql')
  const emptied = [...(block?.text ?? '').matchAll(/delete from (\w+);/g)].map(([, table]) => table)
  const [, derived = ''] = textOf('src/stores/sqlite/migrations/0001-ledger.sql').split('-- Written back in sweeps')
  const later = filesOf(/^src\/stores\/sqlite\/migrations\/(?!0001).*\.sql$/).map(({ text }) => text)
  const tables = [...[derived, ...later].join('').matchAll(/^create table (\w+)/gm)]
    .map(([, table = '']) => table)
    .filter((table) => !PLAIN_TABLES.includes(table))
  assert.ok(tables.length >= 8)
  assert.deepEqual(emptied.toSorted(), tables.toSorted())
})

test('a lost operator key is replaced by setting another one', async (t) => {
  const folder = makeFolder(t)
  const first = await operate(t, folder)
  assert.equal((await first.server.stop()).code, 0)
  const second = await operate(t, folder, 'another-key-of-the-operator')
  assert.equal((await second.call('GET', '/v1/accounts')).status, 200)
  await assert.rejects(makeClient(second.server.url, KEY).call('GET', '/v1/accounts'), /invalid_key/)
})

test('a store whose log was thrown away after a kill is found out, which is why copies need all three files', async (t) => {
  const folder = makeFolder(t)
  const { server, file, call } = await operate(t, folder)
  await live(call)
  server.signal('SIGKILL')
  await server.ended
  assert.ok(statSync(`${file}-wal`).size > 0, 'what was charged is in the log')
  for (const end of ['-wal', '-shm']) rmSync(`${file}${end}`)
  const { code } = await runObol(['verify'], { env: { OBOL_DATABASE_URL: `sqlite:${file}` } })
  assert.notEqual(code, 0)
})

/** Where each limit of the guide is in the code, in the order in which a row gives them. */
const LIMITS: Readonly<Record<string, readonly (readonly [file: string, name: string])[]>> = {
  'open grants, live holds, API keys that are not revoked, of one account': [['core/account.ts', 'MAX_OPEN_GRANTS']],
  'charges in a batch; items of an estimate': [['http/native/charges.ts', 'MAX_BATCH_CHARGES']],
  'operations in a price book; rows; rows of one operation': [
    ['core/price-book.ts', 'MAX_OPERATIONS'],
    ['http/native/price-schema.ts', 'MAX_ROWS'],
    ['core/price-book.ts', 'MAX_COMPONENTS'],
  ],
  'tiers, modifiers of a row; fallback credit types': [
    ['core/price-book.ts', 'MAX_TIERS'],
    ['core/price-book.ts', 'MAX_MODIFIERS'],
    ['core/price-book.ts', 'MAX_FALLBACKS'],
  ],
  'items of a page; rows of a CSV': [
    ['http/pages.ts', 'MAX_PAGE'],
    ['http/csv.ts', 'MAX_EXPORTED'],
  ],
  'commands that wait for the disk': [['stores/sqlite/sqlite-store.ts', 'MAX_WAITING']],
}

test('the limits that the guide gives are those of the code', () => {
  const rows = new Map(rowsOf(textOf('docs/guides/operating.md')).map(([name = '', value = '']) => [name, value]))
  for (const [name, places] of Object.entries(LIMITS)) {
    const numbers = [...(rows.get(name) ?? '').matchAll(/\d+/g)].map(([number]) => Number(number))
    const values = places.map(([file, constant]) => {
      const [, value = ''] = new RegExp(`const ${constant} = ([\\d_]+)$`, 'm').exec(textOf(`src/${file}`)) ?? []
      return Number(value.replaceAll('_', ''))
    })
    assert.deepEqual(numbers, values, name)
  }
})
