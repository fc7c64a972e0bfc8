/**
 * Every kind of damage is planted with SQL in a sound store, in a transaction that is rolled back, and an audit of that transaction
 * must report it under its check: any value of any row changed, any row lost, a row too many.
 */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Client } from 'pg'
import { atEnd } from '../../../test/running/ledger.ts'
import { live } from '../../../test/running/lived-account.ts'
import { dropSchema, newSchema, onSchema } from '../../../test/running/postgres.ts'
import { TcpProxy } from '../../../test/running/proxy.ts'
import { TEST_START_MS } from '../../../test/running/store.ts'
import type { AuditCheck } from '../store.ts'
import { DEFAULT_PATIENCE, readAddress } from './address.ts'
import { auditDatabase, auditInThread, auditTransaction, groupsOf } from './audit.ts'
import { connect } from './database.ts'
import { openPostgresStore } from './postgres-store.ts'

const ADA = 101
const BOB = 202
let url = ''
let client: Client

before(async () => {
  url = await newSchema()
  const clock = { nowMs: TEST_START_MS }
  const store = await openPostgresStore({ url, clock: () => clock.nowMs })
  for (const account of [ADA, BOB]) await live(store, account, clock)
  await store.feed(0, 40)
  await live(store, 303, clock)
  await store.close()
  client = await connect(readAddress(url), DEFAULT_PATIENCE)
  await client.query('begin')
  for (const table of ['journal']) await client.query(`alter table ${table} disable trigger all`)
})

after(async () => {
  await client.end()
  await dropSchema(url)
})

/** The checks that an audit fails after a change; the change is taken back. */
async function planted(sql: string, values: readonly unknown[] = []): Promise<readonly AuditCheck[]> {
  await client.query('savepoint sound')
  const { rowCount } = await client.query(sql, [...values])
  assert.equal(rowCount, 1, sql)
  const { differences } = await auditTransaction(client)
  await client.query('rollback to sound')
  return [...new Set(differences.map(({ check }) => check))].sort()
}

test('a number that is missing among invoices is found', async () => {
  const insert = (number: number): string =>
    `insert into invoices (account, ordinal, series, number, kind, source, issued_at_ms, body) values (1, ${number}, 'INV', ${number}, 'receipt', 'test ${number}', 1, '{}')`
  assert.deepEqual(await planted(insert(1)), [])
  assert.deepEqual(await planted(insert(2)), ['invoices'])
})

/** Whether a change is one that its table takes; it is not made. */
async function isTaken(sql: string): Promise<boolean> {
  await client.query('savepoint sound')
  const outcome = await client.query(sql).then(
    ({ rowCount }) => rowCount === 1,
    (refused: unknown) => {
      assert.match(String(refused), /violates|constraint|out of range/)
      return false
    },
  )
  await client.query('rollback to sound')
  return outcome
}

interface Column {
  readonly name: string
  readonly type: string
  readonly isKey: boolean
}

async function columnsOf(table: string): Promise<readonly Column[]> {
  return onSchema<Column & Record<string, unknown>>(
    url,
    `select a.attname as name, format_type(a.atttypid, null) as type, exists (select 1 from pg_index i where i.indrelid = a.attrelid
       and i.indisprimary and a.attnum = any(i.indkey)) as "isKey" from pg_attribute a
     where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [table],
  )
}

/** Rows of one table that are damaged, about: the first of each kind or status, and others that are spread over the table. */
const MOST_ROWS = 60

/** A condition that is true of one row alone, for each row that is damaged; `shift` says which of the others these are. */
async function rowsOf(table: string, shift = 0): Promise<readonly string[]> {
  const columns = await columnsOf(table)
  const keys = columns.filter(({ isKey }) => isKey).map(({ name }) => name)
  const sort = columns.find(({ name }) => name === 'kind' || name === 'status')?.name ?? "''"
  const key = keys.map((name) => `${name}::text`).join(', ')
  const rows = await onSchema<Record<string, string>>(
    url,
    `select ${key}, ${sort} as "sortOfRow" from ${table} order by ${keys.join(', ')}`,
  )
  const step = Math.ceil(rows.length / MOST_ROWS)
  const seen = new Set<string | undefined>()
  const isFirst = ({ sortOfRow }: Record<string, string>): boolean => seen.size < seen.add(sortOfRow).size
  return rows
    .filter((row, at) => isFirst(row) || (at + shift) % step === 0)
    .map((row) => keys.map((name) => `${name}::text = '${row[name]}'`).join(' and '))
}

/** Values that a column might be changed to; the first that its table takes, and that is another one, is planted. */
function otherValues({ name, type }: Column): readonly string[] {
  if (type.endsWith('[]')) return [`${name} || 999::bigint`]
  if (type === 'uuid') return ['gen_random_uuid()']
  if (type === 'boolean') return [`not ${name}`]
  if (type !== 'text') return [`coalesce(${name}, 0) + 1`, `coalesce(${name}, 0) + 1000`]
  const statuses = ['open', 'spent', 'expired', 'voided', 'live', 'captured', 'released', 'active', 'suspended', 'cap', 'reject']
  if (name === 'status' || name === 'capture_policy') return statuses.map((status) => `'${status}'`)
  if (/hash|fingerprint/.test(name))
    return [`'~' || substr(${name}, 2)`, `coalesce(${name}, '') || 'x'`, `coalesce(${name}, '${'k'.repeat(22)}')`]
  return [`coalesce(${name}, '') || ' '`]
}

/** A statement that changes a value of a row to something that it was not; null: its table takes no other value there. */
async function changeOf(table: string, column: Column, row: string): Promise<string | null> {
  for (const value of otherValues(column)) {
    const sql = `update ${table} set ${column.name} = ${value} where ${row} and ${column.name} is distinct from ${value}`
    if (await isTaken(sql)) return sql
  }
  return null
}

test('a sound store has no differences, whoever audits it', async () => {
  const { checked, differences } = await auditDatabase(url)
  assert.deepEqual(differences, [])
  assert.equal(checked.accounts, 3)
  assert.ok(checked.records > 80 && checked.keys > 60 && checked.rollups >= 12, JSON.stringify(checked))
  assert.deepEqual(await auditInThread(readAddress(url)), { checked, differences })
  assert.deepEqual((await auditTransaction(client)).differences, [])
  await assert.rejects(auditInThread(readAddress(await newSchema())), /has no Obol store/)
})

test('accounts are audited together while they have few records, and alone when they have many', () => {
  const groups = groupsOf(
    [3, 3, 4, 1, 20, 0, 9, 2].map((records) => ({ records })),
    10,
  )
  assert.deepEqual(
    groups.map((group) => group.map(({ records }) => records)),
    [[3, 3, 4], [1], [20], [0, 9], [2]],
  )
  assert.deepEqual(groupsOf([], 10), [])
})

test('an audit that takes its time between two statements is not ended for it', async (t) => {
  const proxy = await TcpProxy.start(url)
  atEnd(t, () => proxy.stop())
  const slow = await connect(readAddress(proxy.url), { ...DEFAULT_PATIENCE, lockMs: 100 })
  atEnd(t, () => slow.end())
  await slow.query('begin isolation level repeatable read read only')
  proxy.mishap = (data) => (data.includes('rollups') ? 'delay' : null)
  assert.deepEqual((await auditTransaction(slow)).differences, [])
  assert.ok(proxy.cuts > 0, 'it took its time')
})

/** Which check watches over a table, and the columns of it that are no part of the ledger, or that another check watches. */
const TABLES: Readonly<Record<string, { readonly checks: readonly AuditCheck[]; readonly except: readonly string[] }>> = {
  account_states: { checks: ['states', 'due'], except: [] },
  rollups: { checks: ['rollups'], except: [] },
  grants: { checks: ['grants'], except: [] },
  holds: { checks: ['holds'], except: [] },
  refunds: { checks: ['refunds'], except: [] },
  purchases: { checks: ['purchases'], except: [] },
  subscriptions: { checks: ['subscriptions'], except: [] },
  auto_topups: { checks: ['auto_topups'], except: [] },
  accounts: { checks: ['accounts'], except: [] },
  api_keys: { checks: ['keys'], except: ['last_used_at_ms'] },
  key_secrets: { checks: ['keys'], except: [] },
  external_ids: { checks: ['accounts'], except: [] },
  opening_keys: { checks: ['idempotency'], except: [] },
  journal: { checks: ['positions', 'records', 'sequence', 'chain', 'decisions', 'history', 'accounts'], except: [] },
  // How many states a commit moved, its tick, and where its own row is kept, were of use only until it was numbered; that it is may be
  // noted late.
  batches: {
    checks: ['positions', 'states', 'accounts'],
    except: ['bucket', 'id', 'tick', 'states', 'moved', 'accounts', 'seqs', 'is_numbered'],
  },
  feed: { checks: ['positions'], except: [] },
  feed_head: { checks: ['positions'], except: ['single', 'high_ms', 'tick'] },
}

for (const [table, { checks, except }] of Object.entries(TABLES)) {
  test(`any change of any value in ${table} is found`, async () => {
    const missed: string[] = []
    let planting = 0
    for (const [shift, column] of (await columnsOf(table)).entries())
      for (const row of except.includes(column.name) ? [] : await rowsOf(table, shift)) {
        const change = await changeOf(table, column, row)
        if (change === null) continue
        planting++
        const found = await planted(change)
        if (!checks.some((check) => found.includes(check))) missed.push(`${column.name} where ${row}: ${found.join() || 'nothing'}`)
      }
    assert.deepEqual(missed, [])
    assert.ok(planting > 0, 'something was changed')
  })

  test(`any row that is lost from ${table} is found`, async () => {
    const missed: string[] = []
    for (const row of await rowsOf(table)) {
      const found = await planted(`delete from ${table} where ${row}`)
      if (!checks.some((check) => found.includes(check))) missed.push(`${row}: ${found.join() || 'nothing'}`)
    }
    assert.deepEqual(missed, [])
  })
}

test('records that a batch leaves out, names twice or in another order are found', async () => {
  const [row] = await onSchema<{ id: string }>(url, 'select id from batches where cardinality(seqs) = 2 limit 1')
  assert.ok(row, 'there is a batch of two records')
  for (const change of [
    'accounts = accounts[1:1], seqs = seqs[1:1]',
    'accounts = accounts || accounts, seqs = seqs || seqs',
    'seqs = array[seqs[2], seqs[1]]',
  ])
    assert.ok((await planted(`update batches set ${change} where id = $1`, [row.id])).includes('positions'), change)
})

test('a batch that is noted to have its place, but has none, is found, and so is one whose place names another', async () => {
  const [waiting] = await onSchema<{ id: string }>(url, "select id from batches where not is_numbered and seqs <> '{}' limit 1")
  const [numbered] = await onSchema<{ id: string }>(url, 'select batch as id from feed limit 1')
  assert.ok(waiting && numbered)
  assert.deepEqual(await planted('update batches set is_numbered = true where id = $1', [waiting.id]), ['positions'])
  assert.deepEqual(await planted('update batches set id = gen_random_uuid() where id = $1', [numbered.id]), ['positions'])
  assert.deepEqual(await planted('update batches set is_numbered = false where id = $1', [numbered.id]), [], 'it is noted again')
})

test('rows of an account that does not exist are found', async () => {
  for (const [table, { checks }] of Object.entries(TABLES)) {
    const columns = (await columnsOf(table)).map(({ name }) => name)
    const owner = table === 'accounts' ? 'number' : 'account'
    if (!columns.includes(owner)) continue
    const other: Readonly<Record<string, string>> = {
      [owner]: '999',
      bucket: '231',
      key_hash: table === 'opening_keys' ? "'~' || substr(key_hash, 2)" : 'null',
      external_id: table === 'external_ids' ? "'~' || external_id" : 'null',
      hash: "'~' || substr(hash, 2)",
      opened_place: 'opened_place + 1',
    }
    const values = columns.map((name) => other[name] ?? name)
    const found = await planted(`insert into ${table} (${columns.join()}) select ${values.join()} from ${table} limit 1`)
    assert.ok(
      checks.some((check) => found.includes(check)),
      `${table}: ${found.join() || 'nothing'}`,
    )
  }
})

/** Characters from one flipped bit of a body to the next; they begin at another place in each record. */
const FLIP_STEP = 233

test('any flipped bit of a record’s body is found', async () => {
  const missed: string[] = []
  const rows = await onSchema<{ account: string; seq: string; body: string }>(
    url,
    `select account, seq, body from journal where account = ${ADA}`,
  )
  for (const { account, seq, body } of rows)
    for (let at = (59 * Number(seq)) % Math.min(FLIP_STEP, body.length); at < body.length; at += FLIP_STEP) {
      const flipped = `${body.slice(0, at)}${String.fromCharCode(body.charCodeAt(at) ^ 1)}${body.slice(at + 1)}`
      const found = await planted('update journal set body = $1 where account = $2 and seq = $3', [flipped, account, seq])
      if (!found.includes('chain') && !found.includes('records')) missed.push(`${seq} at ${at}`)
    }
  assert.deepEqual(missed, [])
})

test('the journal cannot be changed or shortened while its triggers stand', async () => {
  for (const sql of ["update journal set body = '' where false", 'delete from journal where false', 'truncate journal'])
    await assert.rejects(onSchema(url, `set lock_timeout = 200; ${sql}`), /append-only|lock timeout/)
})
