/** A store that was moved is equal to what it was, whatever kinds the two are; one that was not moved to its end is no store. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { everythingOf, stateOf } from '../../test/contract/looking.ts'
import { atEnd, tamper, testFolder } from '../../test/running/ledger.ts'
import { live } from '../../test/running/lived-account.ts'
import { dropSchema, newSchema, onSchema } from '../../test/running/postgres.ts'
import { TEST_START_MS } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { applied, outcomeOf, send } from '../../test/running/store-commands.ts'
import { leaveWebhooks, webhooksOf } from '../../test/running/webhooks.ts'
import { keyHash } from './chain.ts'
import { type Moved, MoveFailedError, type MoveProgress, type MoveTarget, moveStore, type StoppedStore } from './moving.ts'
import { auditDatabase } from './postgres/audit.ts'
import { openPostgresSource, openPostgresTarget } from './postgres/moved-store.ts'
import { openPostgresStore } from './postgres/postgres-store.ts'
import { auditFile } from './sqlite/audit.ts'
import { openSqliteSource, openSqliteTarget } from './sqlite/moved-store.ts'
import { openSqliteStore } from './sqlite/sqlite-store.ts'
import type { AuditReport, Store } from './store.ts'
import { StoreUnavailableError } from './unavailable.ts'

const ACCOUNTS = [101, 202, 303]

/** Somewhere that a store can be. */
interface Place {
  readonly open: () => Promise<Store>
  readonly source: () => Promise<StoppedStore>
  readonly target: () => Promise<MoveTarget>
  readonly audit: () => Promise<AuditReport>
  /** Does something to the store that Obol would not. */
  readonly spoil: (sql: string) => Promise<void>
  /** As `spoil`, to what a move has begun there. */
  readonly spoilUnfinished: (sql: string) => Promise<void>
  readonly clock: { nowMs: number }
}

function raise(fault: unknown): void {
  throw fault
}

const KINDS: Readonly<Record<'SQLite' | 'PostgreSQL', (t: TestContext) => Promise<Place>>> = {
  SQLite: async (t) => {
    const file = join(testFolder(t), 'obol.db')
    const clock = { nowMs: TEST_START_MS }
    return {
      open: async () => openSqliteStore({ file, clock: () => clock.nowMs, onFault: raise }),
      source: async () => openSqliteSource(file),
      target: async () => openSqliteTarget(file),
      audit: async () => auditFile(file),
      spoil: async (sql) => tamper(file, (db) => db.exec(sql)),
      spoilUnfinished: async (sql) => tamper(`${file}.moving`, (db) => db.exec(sql)),
      clock,
    }
  },
  PostgreSQL: async (t) => {
    const url = await newSchema()
    const unfinished = new URL(url)
    unfinished.searchParams.set('schema', `${unfinished.searchParams.get('schema')}_moving`)
    atEnd(t, async () => {
      await dropSchema(url)
      await dropSchema(unfinished.href)
    })
    const clock = { nowMs: TEST_START_MS }
    return {
      open: () => openPostgresStore({ url, clock: () => clock.nowMs }),
      source: () => openPostgresSource(url),
      target: () => openPostgresTarget(url),
      audit: () => auditDatabase(url),
      spoil: async (sql) => {
        await onSchema(url, sql)
      },
      spoilUnfinished: async (sql) => {
        await onSchema(unfinished.href, sql)
      },
      clock,
    }
  },
}

/** A store to which everything has happened, some of it under keys, and which has price books. */
async function makeLived({ open, clock }: Place): Promise<void> {
  const store = await open()
  for (const account of ACCOUNTS.slice(0, 2)) await live(store, account, clock)
  await store.feed(0, 10)
  await live(store, 303, clock)
  await store.saveSetting('operator_key_hash', 'h')
  const invoice = { account: 303, series: 'INV', kind: 'invoice', issuedAtMs: clock.nowMs, body: '{"name":"Łódź"}' } as const
  for (const source of ['one', 'two']) await store.invoices.issue({ ...invoice, source, purchase: source === 'one' ? 7 : null })
  await store.invoices.note(303, 7, clock.nowMs)
  const idempotency = { keyHashes: [keyHash('prices', 'book')], fingerprint: 'f'.repeat(22) } as const
  await store.publishPrices({ effectiveAtMs: null, prices: [], idempotency })
  await store.publishPrices({ effectiveAtMs: clock.nowMs + make.DAY_MS, prices: [], idempotency: null })
  await leaveWebhooks(store, clock.nowMs)
  await send(store, 404, make.createAccount({ name: 'Eve "\\ ß\u0000', externalId: 'a\u0000\\"' }), { key: 'open' })
  await store.close()
}

/** All that a store shows, about its accounts and as a whole. */
async function shownBy(store: Store): Promise<unknown> {
  const accounts = await store.accounts({ limit: 100 })
  const shown = {
    accounts,
    each: await Promise.all(accounts.map(({ number }) => everythingOf(store, number))),
    feed: await store.feed(0, 10_000),
    books: await store.priceBooks(),
    invoices: await store.invoices.list(303, { limit: 10 }),
    noted: await store.invoices.noted({ account: null, beforeMs: Number.MAX_SAFE_INTEGER, limit: 10 }),
    secret: store.secret,
    operator: await store.setting('operator_key_hash'),
    webhooks: await webhooksOf(store),
    due: await store.dueAccounts(TEST_START_MS + 100 * make.DAY_MS, 100),
  }
  return JSON.parse(JSON.stringify(shown, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)))
}

async function move(from: Place, to: Place, report: (progress: MoveProgress) => void = () => {}): Promise<Moved> {
  const source = await from.source()
  try {
    const target = await to.target()
    try {
      return await moveStore(source, target, report)
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function shown(place: Place): Promise<unknown> {
  const store = await place.open()
  try {
    return await shownBy(store)
  } finally {
    await store.close()
  }
}

/** The other kind's place is made anew for each. */
const PAIRS = Object.entries(KINDS).flatMap(([from, source]) => Object.entries(KINDS).map(([to, target]) => ({ from, to, source, target })))

for (const { from, to, source, target } of PAIRS) {
  test(`a store that is moved from ${from} to ${to} shows what it showed, and goes on from there`, async (t) => {
    const [old, moved] = [await source(t), await target(t)]
    await makeLived(old)
    moved.clock.nowMs = old.clock.nowMs
    const before = await shown(old)
    const steps = new Set<string>()
    const { accounts, records, price_books, settings } = await move(old, moved, ({ step }) => steps.add(step))
    assert.deepEqual([accounts, price_books, settings], [4, 2, 2])
    assert.ok(records > 80)
    assert.deepEqual([...steps], ['verify the source', 'copy', 'verify the target', 'compare'])
    assert.deepEqual(await shown(moved), before)
    assert.deepEqual(await shown(old), before, 'the source is as it was')
    const store = await moved.open()
    try {
      await goOn(store)
    } finally {
      await store.close()
    }
    assert.deepEqual((await moved.audit()).differences, [])
  })
}

/** Keys that were used before the move name what was done then; what is new continues it. */
async function goOn(store: Store): Promise<void> {
  for (const account of ACCOUNTS) {
    // Months have passed for the first ones while the others lived.
    await send(store, account, make.BOOK_DUE)
    const { seq } = await stateOf(store, account)
    assert.equal(
      await outcomeOf(store, account, make.updateAccount({ name: 'other' }), { key: '0', body: 'other' }),
      'idempotency_key_reused',
    )
    const opened = applied(await send(store, 999, make.createAccount(), { key: `open ${account}` }))
    assert.deepEqual([opened.account, opened.isReplay, opened.records[0]?.seq], [account, true, 1])
    assert.equal((await make.make(store, account, make.charge(1), { key: 'new' })).seq, seq + 1)
    assert.equal((await store.keyBySecret(`two ${account}`))?.account, account)
    assert.ok((await store.keys(account, { limit: 10 })).some(({ lastUsedAtMs }) => lastUsedAtMs !== null))
  }
  assert.equal(await store.accountByExternalId('a\u0000\\"'), 404)
  assert.equal(await outcomeOf(store, 505, make.createAccount({ externalId: 'external 101' })), 'external_id_taken')
  const positions = (await store.feed(0, 10_000)).map(({ position }) => position)
  assert.deepEqual(
    positions,
    positions.map((_, index) => index + 1),
  )
}

for (const [kind, place] of Object.entries(KINDS)) {
  test(`a move to ${kind} that is cut short leaves no store there: servers are refused, and the next move starts anew`, async (t) => {
    const [old, moved] = [await KINDS.SQLite(t), await place(t)]
    await makeLived(old)
    const before = await shown(old)
    for (const last of ['copy', 'verify the target', 'compare'] as const) {
      const cut = (progress: MoveProgress): void => {
        if (progress.step === last) throw new Error('the power went')
      }
      await assert.rejects(move(old, moved, cut), /the power went/)
      for (const open of [moved.open, moved.audit, moved.source])
        await assert.rejects(
          open(),
          (fault) => fault instanceof StoreUnavailableError && /has not been finished.*starts anew/.test(fault.message),
        )
    }
    await move(old, moved)
    assert.deepEqual(await shown(moved), before)
  })

  test(`nothing is moved from ${kind} that does not verify`, async (t) => {
    const [old, moved] = [await place(t), await KINDS.SQLite(t)]
    await makeLived(old)
    await old.spoil("update accounts set name = 'x' where number = 101")
    await assert.rejects(
      move(old, moved),
      (fault) => fault instanceof MoveFailedError && /does not verify \(accounts.*Nothing was moved/.test(fault.message),
    )
  })

  test(`nothing is moved to ${kind} where a store is, even an empty one, and that one stays as it was`, async (t) => {
    const [old, other] = [await KINDS.SQLite(t), await place(t)]
    await makeLived(old)
    const store = await other.open()
    const { secret } = store
    await store.close()
    await assert.rejects(
      move(old, other),
      (fault) => fault instanceof StoreUnavailableError && /already.*(another path|another schema)/.test(fault.message),
    )
    const again = await other.open()
    assert.equal(again.secret, secret)
    await again.close()
  })

  test(`nothing is moved from ${kind} while a server has the store, nor where there is none, or one of another schema`, async (t) => {
    const [old, moved] = [await place(t), await KINDS.SQLite(t)]
    await assert.rejects(
      move(old, moved),
      (fault) => fault instanceof StoreUnavailableError && /is not there|has no Obol store/.test(fault.message),
    )
    await makeLived(old)
    const server = await old.open()
    await assert.rejects(
      move(old, moved),
      (fault) => fault instanceof StoreUnavailableError && /in use by (an)?other Obol process/.test(fault.message),
    )
    await server.close()
    await old.spoil(kind === 'SQLite' ? 'pragma user_version = 99' : 'update schema_version set version = 99')
    await assert.rejects(
      move(old, moved),
      (fault) => fault instanceof StoreUnavailableError && /has schema 99, this Obol reads/.test(fault.message),
    )
  })

  test(`two moves to one place of ${kind} do not meet`, async (t) => {
    const [old, moved] = [await KINDS.SQLite(t), await place(t)]
    await makeLived(old)
    const first = await moved.target()
    await assert.rejects(
      moved.target(),
      (fault) => fault instanceof StoreUnavailableError && /under way|in use by another/.test(fault.message),
    )
    await first.close()
    await move(old, moved)
  })
}

test('a store that a crash left with a journal ahead of its tables is moved whole', async (t) => {
  const [old, moved] = [await KINDS.SQLite(t), await KINDS.PostgreSQL(t)]
  await makeLived(old)
  const before = await shown(old)
  await old.spoil(`delete from account_states; delete from due_accounts; delete from account_records; delete from idempotency_keys;
    delete from rollups; delete from grants; delete from holds; delete from refunds; delete from purchases; delete from subscriptions;
    delete from auto_topups; delete from settings where name = 'low_water'`)
  moved.clock.nowMs = old.clock.nowMs
  await move(old, moved)
  assert.deepEqual(await shown(moved), before)
})

test('what differs on the other side is found, and the target gets no name', async (t) => {
  const [old, moved] = [await KINDS.SQLite(t), await KINDS.PostgreSQL(t)]
  await makeLived(old)
  for (const [change, what] of [
    [{ settings: async () => new Map([['secret', 'other']]) }, 'settings'],
    [{ priceBooks: async () => [] }, 'price_books'],
    [{ accounts: async () => [] }, 'accounts'],
  ] as const) {
    const source = await old.source()
    const target = await moved.target()
    // A target that reads back something else than what it was given.
    const broken = new Proxy(target, { get: (of, name) => (name in change ? change[name as never] : bound(of, name)) })
    await assert.rejects(
      moveStore(source, broken, () => {}),
      new RegExp(`is not equal to .*: its ${what}`),
    )
    await target.close()
    await source.close()
    await assert.rejects(moved.open(), /has not been finished/)
  }
})

function bound(target: MoveTarget, name: string | symbol): unknown {
  const value = target[name as keyof MoveTarget]
  return typeof value === 'function' ? value.bind(target) : value
}

test('a source that is written while it is copied is not moved', async (t) => {
  const [old, moved] = [await KINDS.PostgreSQL(t), await KINDS.SQLite(t)]
  await makeLived(old)
  let written: Promise<void> | null = null
  const write = async (): Promise<void> => {
    const store = await old.open()
    await make.make(store, 101, make.charge(1))
    await store.close()
  }
  const report = ({ step }: MoveProgress): void => {
    if (step === 'verify the source') written ??= write()
  }
  const source = await old.source()
  const target = await moved.target()
  await assert.rejects(
    moveStore({ ...bindAll(source), audit: async () => written?.then(() => source.audit()) ?? source.audit() }, target, report),
    /was written while it was copied/,
  )
  await target.close()
  await source.close()
})

/** A table of plain rows of this test’s own: with all that a value may be. */
const THINGS = {
  SQLite: 'create table things (name text not null, number integer not null, note text, primary key (name, number)) strict',
  PostgreSQL: `create table things (number bigint not null, note text collate "C", name text collate "C" not null, primary key (name, number))`,
} as const

for (const { from, to, source, target } of PAIRS)
  test(`plain rows are moved from ${from} to ${to} as they are`, async (t) => {
    const [old, moved] = [await source(t), await target(t)]
    await makeLived(old)
    await old.spoil(THINGS[from as 'SQLite'])
    const names = ['b', 'a', 'Łódź \'"\\ 🙂', 'B', '']
    const rows = names.flatMap((name) =>
      ['-9223372036854775808', '0', '10', '9', '9223372036854775807'].map((number) => [name, number] as const),
    )
    for (const [name, number] of rows)
      await old.spoil(
        `insert into things (name, number, note) values ('${name.replaceAll("'", "''")}', ${number}, ${name === 'a' ? 'null' : "'x'"})`,
      )
    const [stopped, begun] = [await old.source(), await moved.target()]
    await moved.spoilUnfinished(THINGS[to as 'SQLite'])
    await moveStore(stopped, begun, () => {}, ['things'])
    await stopped.close()
    await begun.close()
    const copy = await moved.source()
    const expected = rows.map(([name, number]) => [name, name === 'a' ? null : 'x', number])
    const found = [...(await copy.plainRows('things', null, 3))]
    for (let page = found; page.length > 0; ) {
      page = [...(await copy.plainRows('things', page.at(-1) ?? null, 3))]
      found.push(...page)
    }
    await copy.close()
    assert.deepEqual(new Set(found.map((row) => JSON.stringify(row))), new Set(expected.map((row) => JSON.stringify(row))))
    assert.equal(found.length, expected.length)
  })

function bindAll(store: StoppedStore): StoppedStore {
  return {
    shown: store.shown,
    records: () => store.records(),
    rows: (after, limit) => store.rows(after, limit),
    accounts: (after, limit) => store.accounts(after, limit),
    settings: () => store.settings(),
    priceBooks: () => store.priceBooks(),
    plainRows: (table, after, limit) => store.plainRows(table, after, limit),
    audit: () => store.audit(),
    close: () => store.close(),
  }
}
