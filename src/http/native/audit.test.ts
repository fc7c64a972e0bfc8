import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'

test('a ledger that adds up is verified, with what was checked', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  const empty = await call('GET', '/v1/audit/verify')
  assert.deepEqual(
    [empty.status, empty.body],
    [200, { object: 'audit', ok: true, checked: { accounts: 0, records: 0, idempotency_keys: 0, rollups: 0 }, differences: [] }],
  )
  await publishTestPrices(obol)
  const account = await openAccount(obol, '100')
  await openAccount(obol, '100')
  for (let count = 0; count < 5; count++) await call('POST', '/v1/charges', { account, operation: 'unit' })
  const { body } = await call('GET', '/v1/audit/verify')
  assert.deepEqual([body.ok, body.differences], [true, []])
  assert.deepEqual([body.checked.accounts, body.checked.records, body.checked.idempotency_keys], [2, 9, 9])
})

test('an audit runs beside charges without stopping them, and asked ten times at once answers ten times', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '1000')
  const [audits, charges] = await Promise.all([
    Promise.all(Array.from({ length: 10 }, () => call('GET', '/v1/audit/verify'))),
    Promise.all(Array.from({ length: 100 }, () => call('POST', '/v1/charges', { account, operation: 'unit' }))),
  ])
  assert.ok(charges.every(({ status }) => status === 201))
  assert.ok(audits.every(({ status, body }) => status === 200 && body.ok))
})

test('a ledger that somebody has changed is not verified: the check and the account are named', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  const account = await openAccount(obol, '100')
  await openAccount(obol, '100')
  const db = new DatabaseSync(obol.file)
  const rename = (name: string): void => {
    db.prepare('update accounts set name = ? where number = ?').run(name, Number.parseInt(account.slice(5), 32))
  }
  rename('Somebody else')
  const { status, body } = await call('GET', '/v1/audit/verify')
  rename('Test')
  db.close()
  assert.deepEqual([status, body.ok, body.differences.length], [200, false, 1])
  const [{ check, account: named, sequence, detail }] = body.differences
  assert.deepEqual([check, named, sequence], ['accounts', account, null])
  assert.match(detail, /Somebody else/)
  assert.equal((await call('GET', '/v1/audit/verify')).body.ok, true, 'mended again')
})
