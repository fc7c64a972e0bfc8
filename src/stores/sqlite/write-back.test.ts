import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { everythingOf, stateOf } from '../../../test/contract/looking.ts'
import {
  assertSoundFile,
  crashImage,
  openStoreOn,
  openTestLedger,
  type TestLedger,
  testFolder,
  wordFor,
} from '../../../test/running/ledger.ts'
import { openTestStore } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { transaction } from '../../../test/running/store-commands.ts'
import { emptyAccount } from '../../core/account.ts'
import { encodeState } from '../../core/account-codec.ts'
import { evolve } from '../../core/evolve.ts'
import { MAX_BATCH } from '../batch.ts'
import { recordOf } from './journal.ts'
import { SWEEP_RECORDS } from './write-back.ts'

/** Opens accounts 1 to `count` with 1000 credits each. */
function withAccounts(test: TestLedger, count: number): void {
  for (let account = 1; account <= count; account++)
    assert.deepEqual(test.run([transaction(account, make.createAccount()), transaction(account, make.grant(1000))]).map(wordFor), [
      'done',
      'done',
    ])
}

function rows({ db }: TestLedger, table: string): number {
  return (db.prepare(`select count(*) as rows from ${table}`).get() as { rows: number }).rows
}

function lowWater({ db }: TestLedger): number {
  return Number(db.prepare("select value from settings where name = 'low_water'").get()?.value ?? 0)
}

function swept(test: TestLedger): void {
  while (test.ledger.sweep(1_000));
}

/** What an account's state must be: the fold of its records in the journal. */
function foldOf(test: TestLedger, account: number): string {
  const records = test.journal.after(0, 1_000_000).filter((row) => row.account === account)
  return encodeState(records.map(recordOf).reduce(evolve, emptyAccount(account)))
}

test('a commit writes the journal, accounts and keys, and nothing else until it is asked to', (t) => {
  const test = openTestLedger(t)
  withAccounts(test, 3)
  test.run([transaction(1, make.charge(1), { key: 'k' }), transaction(2, make.hold(1)), transaction(3, make.createKey('secret'))])
  for (const table of ['account_states', 'account_records', 'idempotency_keys', 'grants', 'holds', 'due_accounts'])
    assert.equal(rows(test, table), 0, table)
  assert.deepEqual([rows(test, 'journal'), rows(test, 'accounts'), rows(test, 'api_keys')], [9, 3, 1])
  assert.deepEqual([test.writeBack.backlog, test.writeBack.isBehind, test.writeBack.isSweeping], [9, true, false])
})

test('catching one account up writes its rows alone, and leaves the low-water mark', (t) => {
  const test = openTestLedger(t)
  withAccounts(test, 3)
  test.run([transaction(2, make.charge(1))])
  test.ledger.catchUp(2)
  test.ledger.catchUp(2)
  test.ledger.catchUp(99)
  assert.deepEqual(
    test.db
      .prepare('select account, seq from account_states')
      .all()
      .map(({ account, seq }) => [account, seq]),
    [[2, 3]],
  )
  assert.deepEqual([rows(test, 'account_records'), lowWater(test), test.writeBack.backlog], [3, 0, 7])
})

test('a sweep writes accounts in order, then keys in the order of their index, and then moves the low-water mark', (t) => {
  const test = openTestLedger(t)
  for (const account of [7, 3, 5]) test.run([transaction(account, make.createAccount(), { key: `key ${account}` })])
  const seen: string[] = []
  for (let more = true; more; ) {
    more = test.ledger.sweep(1)
    const accounts = test.db
      .prepare('select account from account_states order by rowid')
      .all()
      .map((row) => row.account)
    seen.push(`${accounts.join(' ')} | ${rows(test, 'idempotency_keys')} | ${lowWater(test)}`)
  }
  assert.deepEqual(seen, ['3 | 0 | 0', '3 5 | 0 | 0', '3 5 7 | 0 | 0', '3 5 7 | 1 | 0', '3 5 7 | 2 | 0', '3 5 7 | 3 | 0', '3 5 7 | 3 | 3'])
  assert.deepEqual([test.writeBack.isBehind, test.ledger.sweep(1)], [false, false])
})

test('what is recorded during a sweep is above the low-water mark that the sweep leaves', (t) => {
  const test = openTestLedger(t)
  withAccounts(test, 4)
  test.ledger.sweep(1)
  test.run([
    transaction(1, make.charge(1), { key: 'after it was written' }),
    transaction(4, make.charge(1), { key: 'before it is written' }),
  ])
  while (lowWater(test) === 0) test.ledger.sweep(1)
  assert.deepEqual([lowWater(test), test.writeBack.backlog, test.writeBack.isBehind], [8, 2, true])
  assertSoundFile(crashImage(t, test.file), 'between two sweeps')
  swept(test)
  assert.equal(lowWater(test), 10)
  assertSoundFile(crashImage(t, test.file), 'after both')
  for (const account of [1, 4]) assert.equal(encodeState(test.ledger.entry(account)?.state ?? emptyAccount(0)), foldOf(test, account))
})

test('an idempotency key is found at every moment of a sweep', (t) => {
  const test = openTestLedger(t)
  withAccounts(test, 2)
  const named = (name: string) => transaction(1, make.charge(1n), { key: name })
  test.run(['a', 'b', 'c'].map(named))
  for (let more = true, step = 0; more; step++) {
    more = test.ledger.sweep(1)
    const words = test.run([...['a', 'b', 'c'].map(named), named(`new ${step}`), named(`new ${step - 1}`)]).map(wordFor)
    assert.deepEqual(words.slice(0, 4), ['replayed', 'replayed', 'replayed', 'done'])
    if (step > 0) assert.equal(words[4], 'replayed')
    if (step > 40) break
  }
  while (test.keyFilter.fillSome());
  swept(test)
  assert.deepEqual(test.run(['a', 'new 3', 'unknown'].map(named)).map(wordFor), ['replayed', 'replayed', 'done'])
})

test('under load each commit pays for its write-back, so that the backlog has a bound', async (t) => {
  const test = openTestLedger(t)
  withAccounts(test, 50)
  let most = 0
  let sweeps = 0
  let charges = 0
  for (let mark = 0; sweeps < 1; charges += MAX_BATCH) {
    const sent = Array.from({ length: MAX_BATCH }, (_, index) =>
      transaction(1 + ((charges + index) % 50), make.charge(1n), { key: `${charges + index}` }),
    )
    test.ledger.run(sent, () => undefined)
    most = Math.max(most, test.writeBack.backlog)
    if (lowWater(test) > mark) sweeps += 1
    mark = lowWater(test)
    assert.ok(charges < 6 * SWEEP_RECORDS, 'sweeps come to an end under load')
  }
  assert.ok(most >= SWEEP_RECORDS && most < 2 * SWEEP_RECORDS, `at most ${most} records waited`)
  test.close()
  assertSoundFile(test.file, 'in the middle of it all')
  const store = openStoreOn(t, test.file)
  const { seq } = await stateOf(store, 7)
  assert.ok(seq > charges / 50)
})

test('accounts that are clean are forgotten beyond the limit, read again when they are needed, and never differ', (t) => {
  const LIMIT = 100
  const test = openTestLedger(t, join(testFolder(t), 'obol.db'), LIMIT)
  withAccounts(test, 400)
  assert.ok(test.memory.size >= 400, 'those that wait to be written back are kept')
  swept(test)
  for (let round = 0; round < 3; round++)
    for (let account = 1; account <= 400; account += 3) {
      test.run([transaction(account, make.charge(1n), { key: `${round}` })])
      if (account % 9 === 1) test.ledger.sweep(50)
    }
  swept(test)
  for (let account = 1; account <= 400; account++) test.ledger.entry(account)
  assert.ok(test.memory.size <= LIMIT + 64, `${test.memory.size} accounts are kept`)
  for (let account = 1; account <= 400; account += 37) {
    assert.equal(encodeState(test.ledger.entry(account)?.state ?? emptyAccount(0)), foldOf(test, account))
    assert.deepEqual(test.run([transaction(account, make.charge(1n), { key: '0' })]).map(wordFor), [
      (account - 1) % 3 === 0 ? 'replayed' : 'done',
    ])
  }
  test.close()
  assertSoundFile(test.file, 'after all that')
})

test('a batch may touch more accounts than are kept in memory', (t) => {
  const LIMIT = 100
  const test = openTestLedger(t, join(testFolder(t), 'obol.db'), LIMIT)
  withAccounts(test, 300)
  swept(test)
  const sent = Array.from({ length: 900 }, (_, index) => transaction(1 + ((index * 7) % 300), make.charge(1n)))
  assert.ok(test.run(sent).every((outcome) => wordFor(outcome) === 'done'))
  for (let account = 1; account <= 300; account += 23) assert.equal(test.ledger.entry(account)?.state.seq, 5)
  swept(test)
  assertSoundFile(crashImage(t, test.file), 'after it')
})

test('a store that rests writes back by itself what it has answered', async (t: TestContext) => {
  const { store, file } = await openTestStore(t)
  await make.openAccount(store, 1)
  await make.make(store, 1, make.charge(1), { key: 'k' })
  const before = await everythingOf(store, 1)
  const isWritten = async (): Promise<boolean> => {
    const image = crashImage(t, file)
    const test = openTestLedger(t, image)
    const isBehind = test.writeBack.isBehind
    test.close()
    return !isBehind
  }
  for (let time = 0; time < 100 && !(await isWritten()); time++) await new Promise((resolve) => setTimeout(resolve, 30))
  assert.ok(await isWritten())
  assert.deepEqual(await everythingOf(store, 1), before)
})
