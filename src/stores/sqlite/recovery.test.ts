import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { everythingOf, stateOf } from '../../../test/contract/looking.ts'
import {
  assertSoundFile,
  crashImage,
  openStoreOn,
  openTestLedger,
  type TestLedger,
  tamper,
  testFolder,
  walBytes,
  wordFor,
} from '../../../test/running/ledger.ts'
import { TEST_START_MS } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { codeOf, transaction } from '../../../test/running/store-commands.ts'
import type { Store, Transaction } from '../store.ts'
import { auditFile } from './audit.ts'

const ACCOUNTS = [11, 22, 33] as const

/** Everything that leaves traces in any table, over several hours, with idempotency keys; three accounts, sent in turns. */
function script(): readonly { readonly sent: readonly Transaction[]; readonly waitMs: number }[] {
  const each = (commandOf: (account: number) => Parameters<typeof transaction>[1], key: string) =>
    ACCOUNTS.map((account) => transaction(account, commandOf(account), { key: `${key} of ${account}`, body: key }))
  const turns: Transaction[][] = [
    each((account) => make.createAccount({ externalId: `external ${account}` }), 'open'),
    each(() => make.grant(100), 'pack'),
    each(() => make.grant(20, { source: 'promo', expiresAtMs: TEST_START_MS + 90 * make.MINUTE_MS }), 'promo'),
    each(
      (account) => make.createKey(`secret of ${account}`, { budget: { limit: null, period: 'day', timeZone: 'UTC', maxPerCharge: null } }),
      'key',
    ),
    each(() => make.charge(5, { operation: 'image', key: 4 }), 'charge'),
    each(() => make.hold(10, { key: 4 }), 'hold'),
    each(() => make.chargeGroup(1, 2, 3), 'group'),
    each(() => make.capture(6, 4, { key: 4 }), 'capture'),
    each(() => make.refund(5, 2), 'refund'),
    each(() => make.hold(30, { ttlMs: make.MINUTE_MS }), 'second hold'),
    each((account) => make.rotateKey(4, `new secret of ${account}`), 'rotate'),
    each(() => make.charge(7, { operation: 'video' }), 'an hour later'),
    each(() => make.capture(12, 3), 'late capture'),
    each(() => make.refund(10), 'refund of the capture'),
    each(() => make.updateAccount({ name: 'Lovelace' }), 'update'),
    each(() => make.charge(60), 'large'),
    each(() => make.charge(1000), 'refused'),
    each(() => make.grant(9), 'last'),
    each(() => make.charge(40), 'spent'),
  ]
  return turns.map((sent, index) => ({ sent, waitMs: index === 11 ? 95 * make.MINUTE_MS : 0 }))
}

/** Runs the script; `after` is called after each commit. */
function play(test: TestLedger, after: () => void = () => undefined): readonly Transaction[] {
  const acknowledged: Transaction[] = []
  for (const { sent, waitMs } of script()) {
    test.clock.nowMs += waitMs
    const outcomes = test.run(sent)
    const words = outcomes.map(wordFor)
    assert.ok(
      words.every((word) => word === words[0] && (word === 'done' || word === 'insufficient_credits')),
      words.join(),
    )
    for (const [index, word] of words.entries()) if (word === 'done') acknowledged.push(sent[index] ?? assert.fail())
    after()
  }
  return acknowledged
}

async function shown(store: Store): Promise<unknown> {
  const accounts = await Promise.all(ACCOUNTS.map((account) => everythingOf(store, account)))
  return { accounts, feed: await store.feed(0, 10_000), list: await store.accounts({ limit: 10 }) }
}

/** What a store shows that was closed in order, after the same script. */
async function expected(t: TestContext): Promise<unknown> {
  const test = openTestLedger(t)
  play(test)
  while (test.ledger.sweep(1_000));
  test.close()
  return shown(openStoreOn(t, test.file))
}

/** Opens an image: all that was acknowledged is there, replays as it was, and nothing else is. */
async function assertWhole(t: TestContext, image: string, want: unknown, acknowledged: readonly Transaction[]): Promise<void> {
  assertSoundFile(image, 'the image passes an audit as it is')
  const store = openStoreOn(t, image)
  assert.deepEqual(await shown(store), want)
  for (const sent of acknowledged) assert.equal(codeOf(await store.transact(sent)), 'replayed')
  assert.deepEqual(await shown(store), want)
  await store.close()
  assertSoundFile(image, 'it passes an audit after it was opened and closed')
  const again = openStoreOn(t, image)
  assert.deepEqual(await shown(again), want)
  await again.close()
}

function settingOf(db: DatabaseSync, name: string): string | undefined {
  return (db.prepare('select value from settings where name = ?').get(name) as { value: string } | undefined)?.value
}

function rowsOf(db: DatabaseSync, table: string): number {
  return (db.prepare(`select count(*) as rows from ${table}`).get() as { rows: number }).rows
}

test('a crash after commits and before anything is written back loses nothing', async (t) => {
  const ledger = openTestLedger(t)
  const acknowledged = play(ledger)
  assert.ok(rowsOf(ledger.db, 'journal') > 50)
  await assertWhole(t, crashImage(t, ledger.file), await expected(t), acknowledged)
})

test('a crash at any step of a sweep loses nothing, and writes nothing twice', async (t) => {
  const ledger = openTestLedger(t)
  const acknowledged = play(ledger)
  const want = await expected(t)
  const images: string[] = []
  const seen = new Set<string>()
  const isWritten = (account: number): boolean =>
    ledger.db.prepare('select seq from account_states where account = ?').get(account)?.seq === ledger.ledger.entry(account)?.state.seq
  do {
    const keys = rowsOf(ledger.db, 'idempotency_keys')
    seen.add(`${ACCOUNTS.filter(isWritten).length} accounts, ${keys > 0 && keys < acknowledged.length ? 'some' : keys} keys`)
    images.push(crashImage(t, ledger.file))
  } while (ledger.ledger.sweep(1))
  const moments = ['0 accounts, 0 keys', '1 accounts, 0 keys', '2 accounts, 0 keys', '3 accounts, 0 keys', '3 accounts, some keys']
  assert.deepEqual(
    moments.filter((moment) => !seen.has(moment)),
    [],
  )
  assert.equal(settingOf(ledger.db, 'low_water'), String(ledger.memory.position))
  for (const [index, image] of images.entries()) if (index < 6 || index % 7 === 0) await assertWhole(t, image, want, acknowledged)
})

test('a crash while sweeps and commits take turns loses nothing that was acknowledged', async (t) => {
  for (const rows of [1, 3, 10]) {
    const ledger = openTestLedger(t)
    const moments: { readonly image: string; readonly seqs: readonly number[] }[] = []
    play(ledger, () => {
      ledger.ledger.sweep(rows)
      moments.push({ image: crashImage(t, ledger.file), seqs: ACCOUNTS.map((account) => ledger.ledger.entry(account)?.state.seq ?? 0) })
    })
    for (const { image, seqs } of moments) {
      assertSoundFile(image, 'as it is')
      const store = openStoreOn(t, image)
      const found = await Promise.all(ACCOUNTS.map(async (account) => (await stateOf(store, account)).seq))
      assert.deepEqual(found, seqs)
      await store.close()
      assertSoundFile(image, 'after it was opened')
    }
  }
})

test('a log that was cut anywhere gives an earlier moment, whole: at least all that was acknowledged when it was that long', async (t) => {
  const ledger = openTestLedger(t)
  const moments = [{ bytes: walBytes(ledger.file), records: 0 }]
  play(ledger, () => {
    ledger.ledger.sweep(5)
    moments.push({ bytes: walBytes(ledger.file), records: ledger.memory.position })
  })
  const end = moments.at(-1)?.bytes ?? 0
  assert.ok(end > 100_000, 'the whole run is in the log')
  // Frames are 4 120 bytes: a step that is no part of it cuts headers, pages and commits alike.
  for (let bytes = moments[0]?.bytes ?? 0; bytes < end; bytes += 9_973) {
    const image = crashImage(t, ledger.file, bytes)
    assertSoundFile(image, `cut at ${bytes}`)
    const store = openStoreOn(t, image)
    const feed = await store.feed(0, 10_000)
    const acknowledged = moments.findLast((moment) => moment.bytes <= bytes)?.records ?? 0
    const possible = moments.map(({ records }) => records)
    assert.ok(feed.length >= acknowledged, `${acknowledged} records were acknowledged with ${bytes} bytes, ${feed.length} are there`)
    assert.ok(possible.includes(feed.length), `${feed.length} records are the end of no commit`)
    for (const account of new Set(feed.map((item) => item.account))) await stateOf(store, account)
    await store.close()
    assertSoundFile(image, `cut at ${bytes}, after it was opened`)
  }
})

test('a restart reads only what lies behind the low-water mark', (t) => {
  const file = join(testFolder(t), 'obol.db')
  const first = openTestLedger(t, file)
  play(first)
  while (first.ledger.sweep(1_000));
  const { position } = first.memory
  first.run([transaction(11, make.charge(1n)), transaction(22, make.charge(1n))])
  first.close()
  const second = openTestLedger(t, file)
  assert.deepEqual([second.writeBack.backlog, second.memory.position, second.memory.size], [2, position + 2, 2])
  while (second.ledger.sweep(1_000));
  second.close()
  const third = openTestLedger(t, file)
  assert.deepEqual([third.writeBack.backlog, third.memory.size, third.writeBack.isBehind], [0, 0, false])
})

/** A file whose records are all written back. */
async function closedFile(
  t: TestContext,
): Promise<{ readonly file: string; readonly want: unknown; readonly acknowledged: readonly Transaction[] }> {
  const ledger = openTestLedger(t)
  const acknowledged = play(ledger)
  while (ledger.ledger.sweep(1_000));
  ledger.close()
  const store = openStoreOn(t, ledger.file)
  const want = await shown(store)
  await store.close()
  return { file: ledger.file, want, acknowledged }
}

test('a low-water mark that has gone back, or is lost, only makes a restart longer', async (t) => {
  const { file, want, acknowledged } = await closedFile(t)
  for (const change of ["update settings set value = '7' where name = 'low_water'", "delete from settings where name = 'low_water'"]) {
    tamper(file, (db) => db.exec(change))
    await assertWhole(t, file, want, acknowledged)
  }
})

test('the tables that are derived can all be made anew from the journal, as the page about audits says', async (t) => {
  const { file, want, acknowledged } = await closedFile(t)
  const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/audit.md'), 'utf8')
  const [, sql] = /```sql\n(.*?)```/s.exec(page) ?? []
  assert.ok(sql)
  tamper(file, (db) => db.exec(sql))
  await assertWhole(t, file, want, acknowledged)
})

test('states of another format are folded anew, and an audit does not mistake them for damage', async (t) => {
  const { file, want } = await closedFile(t)
  tamper(file, (db) => db.exec(`update account_states set state = '[0,"as another Obol wrote it"]'`))
  const store = openStoreOn(t, file)
  assert.deepEqual(await shown(store), want)
  await make.make(store, 11, make.charge(1n))
  assert.equal((await stateOf(store, 11)).pools[0]?.charged, ((await stateOf(store, 22)).pools[0]?.charged ?? 0n) + 1n)
  await store.close()
  assertSoundFile(file, 'states that nothing has touched since are folded in the audit too')
})

test('states of another format are folded up to where they are, and the tail from there', async (t) => {
  const ledger = openTestLedger(t)
  play(ledger)
  while (ledger.ledger.sweep(1_000));
  ledger.run(ACCOUNTS.map((account) => transaction(account, make.charge(1n))))
  ledger.close()
  tamper(ledger.file, (db) => db.exec(`update account_states set state = '[0]'`))
  const store = openStoreOn(t, ledger.file)
  for (const account of ACCOUNTS) await stateOf(store, account)
  assert.deepEqual(
    (await store.audit()).differences.filter(({ check }) => check !== 'states'),
    [],
  )
})

/** Damage to the last record of account 22, which has not been written back. */
const DAMAGE: Readonly<Record<string, string>> = {
  'a changed amount': `update journal set body = replace(body, '"credits":"40000000"', '"credits":"41000000"') where position = $last`,
  'a changed time': 'update journal set at_ms = at_ms + 1 where position = $last',
  'a changed kind': "update journal set kind = 'hold' where position = $last",
  'a changed key': "update journal set key_hash = 'xxxxxxxxxxxxxxxxxxxxxx' where position = $last",
  'a changed hash': `update journal set hash = '${'x'.repeat(43)}' where position = $last`,
  'a body that is cut': 'update journal set body = substr(body, 1, 40) where position = $last',
  'another number': 'update journal set seq = seq + 1 where position = $last',
  'another account': 'update journal set account = 11 where position = $last',
  'a record that is lost before it':
    'delete from journal where account = 22 and seq = (select seq - 1 from journal where position = $last)',
}

/** A file whose last record of account 22 was damaged after a crash. */
function damaged(t: TestContext, sql: string): string {
  const ledger = openTestLedger(t)
  play(ledger)
  ledger.close()
  tamper(ledger.file, (db) => {
    for (const what of ['changed', 'deleted']) db.exec(`drop trigger journal_rows_are_never_${what}`)
    db.exec(sql.replaceAll('$last', String(ledger.memory.position - 1)))
  })
  return ledger.file
}

const IS_REFUSED = /record \d+ of account (?:22|11).*obol verify/s

for (const [name, sql] of Object.entries(DAMAGE))
  test(`a tail with ${name} is refused with the record and what to do`, (t) => {
    const file = damaged(t, sql)
    assert.throws(() => openStoreOn(t, file), IS_REFUSED)
    assert.notDeepEqual(auditFile(file).differences, [], 'and an audit finds it')
  })

test('a store that cannot be opened lets go of its file', (t) => {
  const file = damaged(t, 'update journal set at_ms = at_ms + 1 where position = $last')
  assert.throws(() => openStoreOn(t, file), IS_REFUSED)
  assert.throws(() => openStoreOn(t, file), IS_REFUSED, 'not refused because the first attempt still has the lock')
})
