/**
 * A store that keeps batches inside one bucket runs no statement that reaches over two. Its statements are observed on their way to a real
 * server, and each is planned, with the values that it was run with, on tables that are partitioned by bucket: a plan that touches more than
 * one partition is what Citus would have to send to more than one node, or refuse.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Client } from 'pg'
import { live } from '../../../test/running/lived-account.ts'
import { type Observed, Observer } from '../../../test/running/observer.ts'
import { dropSchema, newSchema, onSchema } from '../../../test/running/postgres.ts'
import { TEST_START_MS } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { send, sendTogether, transaction } from '../../../test/running/store-commands.ts'
import { FOREVER_MS } from '../../core/calendar.ts'
import { keyHash } from '../chain.ts'
import { PLAIN_TABLES } from '../statements.ts'
import type { Store } from '../store.ts'
import { DEFAULT_PATIENCE, type Reach, readAddress } from './address.ts'
import { auditDatabase } from './audit.ts'
import { connect } from './database.ts'
import { openPostgresSource } from './moved-store.ts'
import { openPostgresStore } from './postgres-store.ts'
import { DISTRIBUTED, LEDGER_TABLES, MADE_DISTRIBUTABLE, OWN_TABLES, SHARED_DIRECTORIES } from './tables.ts'
import { GIVE_UP } from './write.ts'

const MIGRATIONS = join(import.meta.dirname, 'migrations')
/** Buckets that have partitions of their own; all others share one. */
const BUCKETS = [1, 2, 3, 101, 202, 77]
const ONE = 101
const OTHER = 202
/** Sets of values that a statement is planned with, at most. */
const PLANS = 12

let twinUrl = ''
let twin: Client

/** The migrations with every ledger table partitioned by bucket: PostgreSQL itself then asks that each unique key has the bucket in it. */
function partitionedSchema(): string {
  const files = readdirSync(MIGRATIONS).sort()
  let sql = [...files.map((name) => readFileSync(join(MIGRATIONS, name), 'utf8')), MADE_DISTRIBUTABLE].join('\n;')
  // PostgreSQL takes no unique key without its bucket on a partitioned table, not even for a while.
  sql = sql.replace('create unique index journal_keys on journal (key_hash)', 'create index journal_keys on journal (key_hash)')
  for (const table of LEDGER_TABLES) {
    const statement = new RegExp(`create table ${table} \\(([\\s\\S]*?)\\n\\)( with \\([^)]*\\))?;`)
    assert.match(sql, statement, table)
    sql = sql.replace(statement, `create table ${table} ($1\n) partition by list (bucket);`)
  }
  const partitions = LEDGER_TABLES.flatMap((table) => [
    `create table ${table}_of_others partition of ${table} default`,
    ...BUCKETS.map((bucket) => `create table ${table}_of_${bucket} partition of ${table} for values in (${bucket})`),
  ])
  return `${sql}\n;${partitions.join(';\n')}`
}

before(async () => {
  twinUrl = await newSchema()
  await onSchema(twinUrl, `create schema ${new URL(twinUrl).searchParams.get('schema')}; ${partitionedSchema()}`)
  twin = await connect(readAddress(twinUrl, 'bucket'), DEFAULT_PATIENCE)
})

after(async () => {
  await twin.end()
  await dropSchema(twinUrl)
})

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly Operation?: string
  readonly Output?: readonly string[]
  readonly Plans?: readonly Plan[]
}

function nodesOf(plan: Plan): readonly Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
}

const PARTITION = new RegExp(`^(?:${LEDGER_TABLES.join('|')})_of_(\\w+)$`)
const LEDGER_WORD = new RegExp(`\\b(?:${LEDGER_TABLES.join('|')})\\b`)

/** What is inserted says its bucket first, as a constant: else it may be any. */
function insertedBucket({ 'Relation Name': table = '', Operation, Plans = [] }: Plan): readonly string[] {
  if (Operation !== 'Insert' || !LEDGER_TABLES.some((name) => name === table)) return []
  const [source] = Plans
  const rows = source?.['Node Type'] === 'Subquery Scan' ? source.Plans?.[0] : source
  const [, bucket] = /^'?(\d+)'?(?:::smallint)?$/.exec(rows?.Output?.[0] ?? '') ?? []
  return bucket === undefined ? ['one', 'another'] : [bucket]
}

/** The buckets that a statement reaches on the partitioned tables; none: it touches no ledger table. */
async function bucketsOf({ text, values }: Observed): Promise<ReadonlySet<string>> {
  if (!LEDGER_WORD.test(text)) return new Set()
  const { rows } = await twin.query<{ 'QUERY PLAN': readonly { Plan: Plan }[] }>(`explain (verbose, format json) ${text}`, [...values])
  const nodes = nodesOf(rows[0]?.['QUERY PLAN'][0]?.Plan ?? assert.fail())
  const scanned = nodes.flatMap(({ 'Relation Name': name = '' }) => PARTITION.exec(name)?.[1] ?? [])
  return new Set([...scanned, ...nodes.flatMap(insertedBucket)])
}

/** Statements that reach another number of buckets than one, with the buckets. */
async function crossings(seen: readonly Observed[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const [text, runs] of Map.groupBy(seen, ({ text }) => text)) {
    if (!LEDGER_WORD.test(text)) continue
    const distinct = new Map(runs.map((run) => [JSON.stringify(run.values), run]))
    for (const run of [...distinct.values()].slice(0, PLANS)) {
      const buckets = await bucketsOf(run)
      if (buckets.size !== 1) found.push(`${[...buckets].join(' and ') || 'no bucket'}: ${text}`)
    }
  }
  return found
}

/** Everything that a store can be asked, about accounts of two buckets and about all of them. */
async function useAll(store: Store, clock: { nowMs: number }): Promise<void> {
  for (const account of [ONE, OTHER]) await live(store, account, clock)
  const accounts = [1, 2, 3, 257, 258, 77]
  await sendTogether(
    store,
    accounts.map((account) => transaction(account, make.createAccount({ externalId: `x ${account}` }), { key: `open ${account}` })),
  )
  await send(store, 900, make.createAccount(), { key: 'open 1' })
  for (let round = 0; round < 3; round++)
    await sendTogether(store, [
      ...accounts.map((account) => transaction(account, make.grant(9), { key: `grant ${round}` })),
      ...accounts.map((account) => transaction(account, make.charge(2), { key: `charge ${round}` })),
      transaction(1, make.charge(100), { key: 'too dear' }),
      transaction(2, make.updateAccount({ externalId: 'x 1' })),
      transaction(3, make.updateAccount({ externalId: `y ${round}` })),
    ])
  await sendTogether(
    store,
    [ONE, OTHER, ...accounts].map((account) => transaction(account, make.charge(2), { key: 'charge 1' })),
  )
  await send(store, OTHER, make.updateKey(4, { name: 'other' }))
  await readAll(store, clock)
}

async function readAll(store: Store, clock: { nowMs: number }): Promise<void> {
  await Promise.all([store.state(ONE), store.state(OTHER), store.state(1)])
  await store.touchKeys([ONE, OTHER].map((account) => ({ account, seq: 4, atMs: clock.nowMs })))
  for (const account of [ONE, OTHER]) {
    await store.account(account)
    await store.key(account, 4)
    await store.record(account, 1)
    await store.grant(account, 2)
    await store.hold(account, 2)
    await store.refunds(account, [1, 2, 3])
    await store.usage(account, { fromMs: 0, toMs: FOREVER_MS })
    const bought = (await store.purchases(account, { limit: 1 })).at(0)?.purchase.seq
    assert.ok(bought !== undefined && (await store.purchase(account, bought)))
    for (const page of [{ limit: 3 }, { limit: 3, after: 2 }]) {
      await store.purchases(account, page)
      await store.subscriptions(account, page)
      await store.keys(account, page)
      await store.grants(account, page)
      await store.holds(account, page)
      await store.records(account, { ...page, fromMs: TEST_START_MS })
    }
  }
  await store.accountByExternalId('x 1')
  await store.keyBySecret(`one ${ONE}`)
  for (const page of [{ limit: 2 }, { limit: 50 }, { limit: 2, before: ONE }, { limit: 2, after: ONE }]) await store.accounts(page)
  await store.dueAccounts(clock.nowMs + make.DAY_MS, 10)
  await store.subscription(ONE, 1)
  assert.ok((await store.askingSubscriptions({ untilMs: FOREVER_MS, after: null, limit: 10 })).length > 0)
  assert.ok((await store.askingTopups({ untilMs: FOREVER_MS, after: null, limit: 10 })).length > 0)
  assert.ok((await store.watchedPurchases({ openedBeforeMs: FOREVER_MS, after: null, limit: 10 })).length > 0)
  await store.positionAt(clock.nowMs)
  assert.ok((await store.feed(0, 1_000)).length > 60)
  await store.publishPrices({
    effectiveAtMs: null,
    prices: [],
    idempotency: { keyHashes: [keyHash('prices', 'k')], fingerprint: 'f'.repeat(22) },
  })
  await store.saveSetting('some', 'value')
  await store.priceBooks()
  assert.ok(await store.claim('book due'))
  await store.ping()
}

/** A store that says that it is distributed is moved from without reaching over buckets, too. */
async function readAsMoveDoes(url: string): Promise<void> {
  await onSchema(url, 'insert into settings (name, value) values ($1, $2)', [DISTRIBUTED, 'today'])
  const source = await openPostgresSource(url)
  assert.equal((await source.rows(0, 10_000)).length, await source.records())
  assert.equal((await source.accounts(null, 100)).length, 8)
  await source.close()
}

/** The statements that a store runs while all of it is used. */
async function observed(reach: Reach): Promise<readonly Observed[]> {
  const url = await newSchema()
  const observer = await Observer.start(url)
  try {
    const clock = { nowMs: TEST_START_MS }
    const open = (): Promise<Store> => openPostgresStore({ url: observer.url, clock: () => clock.nowMs, reach })
    const first = await open()
    observer.seen.length = 0
    await useAll(first, clock)
    await first.close()
    const again = await open()
    await readAll(again, clock)
    await again.close()
    assert.deepEqual((await auditDatabase(observer.url, reach)).differences, [])
    if (reach === 'bucket') await readAsMoveDoes(observer.url)
    return observer.seen
  } finally {
    await observer.stop()
    await dropSchema(url)
  }
}

/** Statements of the source that a store runs only where a batch may reach any bucket, or after what this run does not meet. */
const NOT_RUN = [
  'waiting batches',
  'latest waiting',
  'older accounts',
  'newer accounts',
  'due',
  'watched purchases',
  'asking subscriptions',
  'asking top-ups',
  'records up to',
  'give up',
  'begin',
  'commit',
  'rollback',
]

/** The names of the statements in the source. Those of an audit have none when they are run, and those of a move another run. */
function namesInSource(): readonly string[] {
  const files = readdirSync(import.meta.dirname).filter((name) => /^(?!.*audit|.*moved|.*\.test).*\.ts$/.test(name))
  const source = files.map((name) => readFileSync(join(import.meta.dirname, name), 'utf8')).join('\n')
  const plain = [...source.matchAll(/\bname: '([^'$]+)', text:|\bname: '([^'$]+)',\n\s*text:/g)].map(([, a, b]) => a ?? b ?? '')
  const onRows = [...source.matchAll(/onRows\(\s*'([^']+)'/g)].map(([, name]) => `${name} of bucket`)
  return [...plain, ...onRows]
}

test('every table is of the ledger, or a directory', async () => {
  const url = await newSchema()
  await (await openPostgresStore({ url })).close()
  const rows = await onSchema<{ name: string }>(url, 'select table_name as name from information_schema.tables where table_schema = $1', [
    new URL(url).searchParams.get('schema'),
  ])
  await dropSchema(url)
  assert.deepEqual(rows.map(({ name }) => name).sort(), [...LEDGER_TABLES, ...SHARED_DIRECTORIES, ...OWN_TABLES, ...PLAIN_TABLES].sort())
})

test('no statement on a ledger table reaches over two buckets, and every statement that there is was looked at', async () => {
  const seen = await observed('bucket')
  const names = new Set(seen.map(({ name }) => name))
  const wanted = namesInSource().filter((name) => !NOT_RUN.includes(name))
  assert.ok(wanted.length > 40, `${wanted.length} statements`)
  assert.deepEqual(
    wanted.filter((name) => !names.has(name)),
    [],
    'every statement was run',
  )
  const ledger = new Set(seen.filter(({ text }) => LEDGER_WORD.test(text)).map(({ text }) => text))
  assert.ok(ledger.size > 40, `${ledger.size} statements on ledger tables`)
  for (const table of LEDGER_TABLES)
    assert.ok(
      [...ledger].some((text) => text.includes(table)),
      table,
    )
  const giveUp = { ...GIVE_UP, values: ['101', '00000000-0000-0000-0000-000000000001', '1'] }
  assert.deepEqual(await crossings([...seen, giveUp]), [])
})

test('a statement that reaches over two buckets is found, however it does', async () => {
  const planted: readonly [text: string, values: readonly (string | null)[]][] = [
    ['select * from journal where account = $1', ['101']],
    ['select * from grants where bucket = any($1::smallint[])', ['{1,2}']],
    ['update holds set credits = 0 where seq = $1', ['3']],
    [
      'select s.* from unnest($1::smallint[], $2::bigint[]) t(b, a) join account_states s on s.bucket = t.b and s.account = t.a',
      ['{1}', '{1}'],
    ],
    ['insert into refunds select b, b, 1, 1 from unnest($1::smallint[]) t(b)', ['{1,2}']],
    ['select * from accounts a where a.bucket = $1 and exists (select from rollups r where r.account = a.number)', ['1']],
  ]
  for (const [text, values] of planted) assert.equal((await crossings([{ name: '', text, values }])).length, 1, text)
  assert.deepEqual(await crossings([{ name: '', text: 'select * from journal where bucket = $1', values: ['1'] }]), [])
})

test('a store that may reach any bucket does reach over several', async () => {
  assert.ok((await crossings(await observed('any'))).length > 5)
})
