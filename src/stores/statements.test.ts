/** What plain rows are promised, on both engines. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { atEnd, testFolder } from '../../test/running/ledger.ts'
import { dropSchema, newSchema, onSchema } from '../../test/running/postgres.ts'
import { STORE_KINDS, type StoreKind } from '../../test/running/store.ts'
import { DEFAULT_PATIENCE, readAddress } from './postgres/address.ts'
import { prepareDatabase } from './postgres/database.ts'
import { Readers } from './postgres/readers.ts'
import { PostgresStatements } from './postgres/statements.ts'
import { openDatabase } from './sqlite/database.ts'
import { SqliteStatements } from './sqlite/statements.ts'
import { first, PLAIN_TABLES, type SqlValue, type Statements, UniqueViolationError } from './statements.ts'

/** The tables of the ledger and of the store itself, by what only one of the engines has. */
const OWN_TABLES = [
  'account_states',
  'accounts',
  'api_keys',
  'auto_topups',
  'grants',
  'holds',
  'journal',
  'key_secrets',
  'price_books',
  'purchases',
  'refunds',
  'rollups',
  'settings',
  'subscriptions',
]
const TABLES_OF: Readonly<Record<StoreKind, { readonly own: readonly string[]; readonly listed: string }>> = {
  sqlite: {
    own: ['account_records', 'due_accounts', 'idempotency_keys'],
    listed: "select name from sqlite_schema where type = 'table' and name <> 'things'",
  },
  postgres: {
    own: ['batches', 'claims', 'external_ids', 'feed', 'feed_head', 'opening_keys', 'schema_version'],
    listed: "select cast(tablename as text) as name from pg_tables where schemaname = current_schema() and tablename <> 'things'",
  },
}

interface Opened {
  readonly statements: Statements
  /** Closes everything and opens it again. */
  readonly reopen: () => Promise<Statements>
}

async function openSqlite(t: TestContext): Promise<Opened> {
  const file = join(testFolder(t), 'obol.db')
  let owned = openDatabase(file)
  atEnd(t, () => owned.close())
  owned.db.exec(
    'create table things (id text primary key, number integer, name text unique, is_small integer not null default 0 check (is_small in (0, 1))) strict',
  )
  const reopen = async (): Promise<Statements> => {
    owned.close()
    owned = openDatabase(file)
    return new SqliteStatements(owned.db)
  }
  return { statements: new SqliteStatements(owned.db), reopen }
}

async function openPostgres(t: TestContext): Promise<Opened> {
  const url = await newSchema()
  const address = readAddress(url)
  await prepareDatabase(address, DEFAULT_PATIENCE)
  let readers = new Readers(address, DEFAULT_PATIENCE)
  atEnd(t, async () => {
    await readers.close()
    await dropSchema(url)
  })
  await onSchema(
    url,
    'create table things (id text collate "C" primary key, number bigint, name text collate "C" unique, is_small smallint not null default 0 check (is_small in (0, 1)))',
  )
  const reopen = async (): Promise<Statements> => {
    await readers.close()
    readers = new Readers(address, DEFAULT_PATIENCE)
    return new PostgresStatements(readers)
  }
  return { statements: new PostgresStatements(readers), reopen }
}

const OPEN: Readonly<Record<StoreKind, (t: TestContext) => Promise<Opened>>> = { sqlite: openSqlite, postgres: openPostgres }

const INSERT = 'insert into things (id, number, name) values (?, ?, ?)'

for (const kind of STORE_KINDS)
  describe(`plain rows of a ${kind} store`, () => {
    test('are there when they were answered for, and after a restart', async (t) => {
      const { statements, reopen } = await OPEN[kind](t)
      assert.deepEqual(await statements.all(INSERT, ['a', 1, 'Łódź \'"\\ 🙂']), [])
      assert.deepEqual(await statements.all('update things set number = number + ? where id = ? returning number', [4, 'a']), [
        { number: 5 },
      ])
      const again = await reopen()
      assert.deepEqual(await first(again, 'select id, number, name from things where id = ?', ['a']), {
        id: 'a',
        number: 5,
        name: 'Łódź \'"\\ 🙂',
      })
      assert.equal(await first(again, 'select id from things where id = ?', ['b']), undefined)
    })

    test('give back each value as it was given: null, zero, the longest integers, and truth as 0 or 1', async (t) => {
      const { statements } = await OPEN[kind](t)
      const integers = [null, 0, -1, Number.MAX_SAFE_INTEGER, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n]
      for (const [index, value] of integers.entries()) await statements.all(INSERT, [`n${index}`, value, null])
      const rows = await statements.all<{ text: string | null }>('select cast(number as text) as text from things order by id', [])
      assert.deepEqual(
        rows.map(({ text }) => text),
        integers.map((value) => (value === null ? null : String(value))),
      )
      const exact = await statements.all<{ number: unknown }>('select number from things where number between ? and ? order by id', [
        -1,
        Number.MAX_SAFE_INTEGER,
      ])
      assert.deepEqual(
        exact.map(({ number }) => number),
        [0, -1, Number.MAX_SAFE_INTEGER],
      )
      const [truth] = await statements.all(
        `select number > ? as "isMore", exists (select 1 from things where id = ?) as "isThere", cast(? as bigint) is null as "isNull",
           'a' || ? as text, cast(sum(number) as bigint) as sum, count(*) as count from things where id = ? group by number`,
        [-1, 'none', null, 7, 'n1'],
      )
      assert.deepEqual(truth, { isMore: 1, isThere: 0, isNull: 1, text: 'a7', sum: 0, count: 1 })
    })

    test('an integer that a number does not hold is a fault when it is read as one, and never another number', async (t) => {
      const { statements } = await OPEN[kind](t)
      await statements.all(INSERT, ['large', 2n ** 53n, null])
      await assert.rejects(statements.all('select number from things', []))
    })

    test('a row that is there already is told as such, whichever index says so, and nothing is done', async (t) => {
      const { statements } = await OPEN[kind](t)
      await statements.all(INSERT, ['a', 1, 'first'])
      for (const [id, name] of [
        ['a', 'second'],
        ['b', 'first'],
      ] as const)
        await assert.rejects(statements.all(INSERT, [id, 2, name]), UniqueViolationError)
      await assert.rejects(
        statements.all('insert into things (id, number, name) values (?, 3, ?), (?, 4, ?)', ['c', 'third', 'd', 'first']),
        UniqueViolationError,
      )
      const skipped = await statements.all('insert into things (id, number) values (?, ?) on conflict (id) do nothing returning id', [
        'a',
        9,
      ])
      assert.deepEqual(skipped, [])
      const rows = await statements.all<{ id: string; number: number }>('select id, number from things', [])
      assert.deepEqual(rows, [{ id: 'a', number: 1 }])
    })

    test('another constraint is a fault, and nothing is done', async (t) => {
      const { statements } = await OPEN[kind](t)
      const insert = statements.all('insert into things (id, is_small) values (?, ?)', ['a', 2])
      await assert.rejects(insert, (fault) => fault instanceof Error && !(fault instanceof UniqueViolationError))
      await assert.rejects(statements.all('select nothing from nowhere', []))
      assert.deepEqual(await statements.all('select id from things', []), [])
    })

    test('have every table that is not the ledger’s, and are listed with it', async (t) => {
      const { statements } = await OPEN[kind](t)
      const { own, listed } = TABLES_OF[kind]
      const names = (await statements.all<{ name: string }>(listed, [])).map(({ name }) => name)
      assert.deepEqual(names.sort(), [...OWN_TABLES, ...own, ...PLAIN_TABLES].sort())
    })

    test('texts are told apart and ordered by their bytes', async (t) => {
      const { statements } = await OPEN[kind](t)
      for (const id of ['b', 'B', 'a', 'é', 'z', '_']) await statements.all(INSERT, [id, 1, null])
      const rows = await statements.all<{ id: string }>('select id from things order by id', [])
      assert.deepEqual(
        rows.map(({ id }) => id),
        ['B', '_', 'a', 'b', 'z', 'é'],
      )
    })

    test('of many that would move a row on from one state, one does', async (t) => {
      const { statements } = await OPEN[kind](t)
      await statements.all(INSERT, ['a', 0, null])
      const move = 'update things set number = ?, name = ? where id = ? and number = ? returning name'
      for (let round = 0; round < 5; round++) {
        const moves = Array.from({ length: 20 }, (_, mover) => statements.all(move, [round + 1, `${mover}`, 'a', round]))
        const movers = (await Promise.all(moves)).flat()
        assert.equal(movers.length, 1, 'one moved it')
        assert.deepEqual(await first(statements, 'select name from things', []), movers[0])
      }
    })

    test('what one engine could not keep, or would read otherwise, is a fault before anything is sent', async (t) => {
      const { statements } = await OPEN[kind](t)
      const strange: readonly SqlValue[] = ['a\0b', 'half \ud83d', 1.5, Number.NaN, 2 ** 53, 2n ** 63n, -(2n ** 63n) - 1n]
      for (const value of strange) await assert.rejects(statements.all('select ?', [value]), /stored|holds exactly|64 bits/, String(value))
      await assert.rejects(statements.all('select ? + ?', [1]), /2 marks was given 1 values/)
      await assert.rejects(statements.all('select 1', [1]), /0 marks was given 1 values/)
    })
  })
