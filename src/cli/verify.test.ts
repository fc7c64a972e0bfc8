import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { openAccount, publishTestPrices, startTestObol } from '../../test/running/obol.ts'
import { type Ended, makeFolder, runObol, startServer } from '../../test/running/process.ts'
import { makeClient } from './client.ts'

const KEY = 'the-operator-key-of-verify-tests'

function verify(file: string, ...more: readonly string[]): Promise<Ended> {
  return runObol(['verify', ...more], { env: { OBOL_DATABASE_URL: `sqlite:${file}` } })
}

/** A store that a server has written and left. */
async function makeStore(t: TestContext): Promise<string> {
  const file = `${makeFolder(t)}/obol.db`
  const server = await startServer(t, 'serve', { env: { OBOL_DATABASE_URL: `sqlite:${file}`, OBOL_OPERATOR_KEY: KEY } })
  const { call } = makeClient(server.url, KEY)
  const { body } = await call('POST', '/v1/accounts', { name: 'A' })
  const { id } = body as { id: string }
  await call('POST', '/v1/grants', { account: id, amount: '10' })
  await call('POST', '/v1/charges', { account: id, operation: 'x', amount: '4' }, 'charge-1')
  assert.equal((await server.stop()).code, 0)
  return file
}

test('a store is verified while its server runs, and the server goes on', async (t) => {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running)
  assert.equal((await running.call('POST', '/v1/charges', { account, operation: 'unit' })).status, 201)
  const { code, stdout, stderr } = await verify(running.file)
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^1 accounts, 3 records, 3 idempotency keys and 0 roll-ups checked\.\nEverything adds up\.\n$/)
  assert.equal((await running.call('POST', '/v1/charges', { account, operation: 'unit' })).status, 201)
})

test('a store is verified when no server runs, with JSON as the API gives it', async (t) => {
  const file = await makeStore(t)
  const { code, stdout, stderr } = await verify(file, '--json')
  assert.deepEqual([code, stderr], [0, ''])
  assert.deepEqual(JSON.parse(stdout), {
    object: 'audit',
    ok: true,
    checked: { accounts: 1, records: 3, idempotency_keys: 3, rollups: 0 },
    differences: [],
  })
})

test('a store that was tampered with is found out: the difference is named, and the command ends with 1', async (t) => {
  const file = await makeStore(t)
  const db = new DatabaseSync(file)
  db.exec(
    "drop trigger journal_rows_are_never_changed; update journal set body = replace(body, '4000000', '3000000') where kind = 'charge'",
  )
  db.close()
  const { code, stdout, stderr } = await verify(file)
  assert.deepEqual([code, stderr], [1, ''])
  assert.match(stdout, /^chain: acct_[0-9a-v]{8} record 3: .+$/m)
  assert.match(stdout, /\d+ differences\.\n$/)
  const asJson = await verify(file, '--json')
  assert.equal(asJson.code, 1)
  const { ok, differences } = JSON.parse(asJson.stdout) as { ok: boolean; differences: { check: string; sequence: number }[] }
  assert.equal(ok, false)
  assert.ok(differences.some(({ check, sequence }) => check === 'chain' && sequence === 3))
})

test('a store that another version has written is refused with what to do', async (t) => {
  const file = await makeStore(t)
  const db = new DatabaseSync(file)
  db.exec('pragma user_version = 99')
  db.close()
  const { code, stdout, stderr } = await verify(file)
  assert.deepEqual([code, stdout], [69, ''])
  assert.match(stderr, /^obol: .*obol\.db has schema 99, this Obol reads \d+\. .*use the Obol that wrote it\.\n$/)
})

test('a file that is no store is refused, and not changed', async (t) => {
  const file = `${makeFolder(t)}/other.db`
  const db = new DatabaseSync(file)
  db.exec('create table other (x)')
  db.close()
  const { code, stderr } = await verify(file)
  assert.equal(code, 69)
  assert.match(stderr, /^obol: .*other\.db has schema 0/)
})
