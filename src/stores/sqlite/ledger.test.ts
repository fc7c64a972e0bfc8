import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { recordsOf, stateOf } from '../../../test/contract/looking.ts'
import { assertSoundFile, atEnd, crashImage, openStoreOn, openTestLedger, type TestLedger, wordFor } from '../../../test/running/ledger.ts'
import * as make from '../../../test/running/store-commands.ts'
import { codeOf, transaction } from '../../../test/running/store-commands.ts'
import { encodeState } from '../../core/account-codec.ts'
import { MAX_BATCH, type Outcome } from '../batch.ts'
import { OutOfServiceError, type Transaction } from '../store.ts'
import { CommitFailedError } from './ledger.ts'

const ADA = 1
const BOB = 2

function opened(t: TestContext): TestLedger {
  const test = openTestLedger(t)
  const sent = [ADA, BOB].flatMap((account) => [transaction(account, make.createAccount()), transaction(account, make.grant(100))])
  assert.ok(test.run(sent).every((outcome) => wordFor(outcome) === 'done'))
  return test
}

/** A second connection to a ledger's file, through which a test makes writes fail. */
function beside(t: TestContext, { file }: TestLedger): DatabaseSync {
  const db = new DatabaseSync(file)
  atEnd(t, () => db.close())
  return db
}

/** Makes writes of journal rows fail whose body has a word in it. */
function poison(db: DatabaseSync, word: string): void {
  db.exec(
    `create trigger poisoned before insert on journal when new.body like '%${word}%' begin select raise(abort, 'the disk is full'); end`,
  )
}

function cure(db: DatabaseSync): void {
  db.exec('drop trigger poisoned')
}

const named = (name: string): Partial<Parameters<typeof make.charge>[1]> => ({ metadata: { note: name } })

/** What is known of both accounts. */
function states({ ledger }: TestLedger): readonly string[] {
  return [ADA, BOB].map((account) => {
    const entry = ledger.entry(account)
    assert.ok(entry)
    return `${entry.hash} ${encodeState(entry.state)}`
  })
}

test('when a commit fails every caller in it hears a fault or, if its command was not to blame, that it was done', (t) => {
  const test = opened(t)
  const db = beside(t, test)
  poison(db, 'poison')
  const outcomes = test.run([
    transaction(ADA, make.charge(10), { key: 'one' }),
    transaction(BOB, make.charge(10, named('poison')), { key: 'two' }),
    transaction(ADA, make.charge(10), { key: 'one' }),
    transaction(BOB, make.charge(90)),
    transaction(ADA, make.charge(1_000)),
    transaction(BOB, make.hold(1, named('poison'))),
    transaction(ADA, make.chargeGroup(1, 2)),
  ])
  assert.deepEqual(outcomes.map(wordFor), ['done', 'fault', 'replayed', 'done', 'insufficient_credits', 'fault', 'done'])
  const fault = outcomes[1]
  assert.ok(fault && 'fault' in fault && fault.fault instanceof CommitFailedError)
  assert.match(String((fault.fault.cause as Error).message), /the disk is full/)
  assert.deepEqual([test.ledger.entry(ADA)?.state.seq, test.ledger.entry(BOB)?.state.seq], [5, 3], 'nothing of what failed is there')
})

test('a fault of one commit leaves states, keys and positions as the file has them, and the next commit goes on from there', async (t) => {
  const test = opened(t)
  const db = beside(t, test)
  test.run([transaction(ADA, make.hold(5)), transaction(ADA, make.charge(1), { key: 'before' })])
  const before = states(test)
  const { position } = test.memory
  poison(db, 'poison')
  assert.deepEqual(test.run([transaction(ADA, make.charge(1, named('poison')), { key: 'k' })]).map(wordFor), ['fault'])
  assert.deepEqual(
    [states(test), test.memory.position, db.prepare('select count(*) as rows from journal').get()?.rows],
    [before, position, position],
  )
  cure(db)
  const sent = [transaction(ADA, make.charge(1, named('poison')), { key: 'k' }), transaction(ADA, make.charge(1), { key: 'before' })]
  assert.deepEqual(test.run(sent).map(wordFor), ['done', 'replayed'])
  assert.equal(test.memory.position, position + 1)
  test.close()
  const store = openStoreOn(t, test.file)
  assert.equal((await stateOf(store, ADA)).seq, 5)
})

test('an account or a key that was not committed can be made afterwards', (t) => {
  const test = opened(t)
  const db = beside(t, test)
  poison(db, 'poison')
  const account = transaction(3, make.createAccount({ name: 'poison', externalId: 'x' }), { key: 'open' })
  const apiKey = transaction(ADA, make.createKey('secret', { name: 'poison' }), { key: 'make' })
  assert.deepEqual(test.run([account, apiKey]).map(wordFor), ['fault', 'fault'])
  assert.deepEqual([test.ledger.entry(3), test.ledger.entry(ADA)?.state.keys], [undefined, 0])
  const other = transaction(4, make.createAccount({ externalId: 'x' }))
  assert.deepEqual(test.run([account, other]).map(wordFor), ['fault', 'done'], 'the external id is free, as the account was never made')
  cure(db)
  assert.deepEqual(test.run([account, apiKey, apiKey]).map(wordFor), ['external_id_taken', 'done', 'replayed'])
})

test('a full disk fails commands, changes nothing, and is forgotten once there is room again', async (t) => {
  const test = opened(t)
  const sent = (from: number, count: number): readonly Transaction[] =>
    Array.from({ length: count }, (_, index) => {
      const text = 'x'.repeat(400)
      return transaction(ADA, make.charge(1n, { metadata: { text } }), { key: `${from + index}` })
    })
  test.db.exec('pragma wal_checkpoint(truncate)')
  const { page_count: pages } = test.db.prepare('pragma page_count').get() as { page_count: number }
  test.db.exec(`pragma max_page_count = ${pages + 30}`)
  const outcomes: Outcome[] = []
  for (let from = 0; from < 400; from += 40) outcomes.push(...test.run(sent(from, 40)))
  for (const outcome of outcomes) if ('fault' in outcome) assert.ok(outcome.fault instanceof OutOfServiceError, String(outcome.fault))
  const words = outcomes.map(wordFor)
  const done = words.filter((word) => word === 'done').length
  assert.ok(done > 40 && words.includes('fault'), `${done} of ${words.length} were done`)
  assert.equal(test.ledger.entry(ADA)?.state.seq, 2 + done)
  const image = crashImage(t, test.file)
  assertSoundFile(image, 'as the full disk has it')
  test.db.exec('pragma max_page_count = 1000000')
  const again = test.run(sent(0, 400)).map(wordFor)
  assert.deepEqual(
    again,
    words.map((word) => (word === 'done' ? 'replayed' : 'done')),
    'what was done is replayed, what failed is done now',
  )
  test.close()
  const store = openStoreOn(t, test.file)
  assert.equal((await recordsOf(store, ADA)).length, 402)
})

test('a write-back that fails harms nobody but its reader, and is made up for later', async (t) => {
  const test = opened(t)
  const db = beside(t, test)
  test.run([transaction(ADA, make.charge(1)), transaction(BOB, make.charge(1))])
  db.exec(
    `create trigger poisoned before insert on account_states when new.account = ${ADA} begin select raise(abort, 'the disk is full'); end`,
  )
  const before = states(test)
  assert.throws(() => test.ledger.catchUp(ADA), CommitFailedError)
  test.ledger.catchUp(BOB)
  assert.throws(() => test.ledger.sweep(1_000), CommitFailedError)
  assert.deepEqual(states(test), before)
  // A refund reads what is written back, and a charge does not.
  const outcomes = test.run([
    transaction(ADA, make.charge(2)),
    transaction(ADA, make.refund(3)),
    transaction(BOB, make.refund(3)),
    transaction(ADA, make.charge(3), { key: 'k' }),
  ])
  assert.deepEqual(outcomes.map(wordFor), ['done', 'fault', 'done', 'done'])
  assertSoundFile(crashImage(t, test.file), 'nothing half written')
  cure(db)
  assert.deepEqual(test.run([transaction(ADA, make.refund(3)), transaction(ADA, make.charge(3), { key: 'k' })]).map(wordFor), [
    'done',
    'replayed',
  ])
  while (test.ledger.sweep(1_000));
  test.close()
  assertSoundFile(test.file, 'all is made up for')
  assert.equal((await stateOf(openStoreOn(t, test.file), ADA)).seq, 6)
})

test('a writer in the way is a fault for whoever waits, and the ledger goes on when it is gone', (t) => {
  const test = opened(t)
  test.db.exec('pragma busy_timeout = 10')
  const db = beside(t, test)
  db.exec('begin immediate')
  assert.deepEqual(test.run([transaction(ADA, make.charge(1)), transaction(ADA, make.charge(1_000))]).map(wordFor), [
    'fault',
    'insufficient_credits',
  ])
  db.exec('rollback')
  assert.deepEqual(test.run([transaction(ADA, make.charge(1))]).map(wordFor), ['done'])
  assert.equal(test.ledger.entry(ADA)?.state.seq, 3)
})

test('commands of one call are committed together, unless one must see another in the tables', (t) => {
  const test = opened(t)
  const watcher = beside(t, test).prepare('select count(*) as rows from journal')
  /** Commits that the callers of one call heard of: what was in the file when each heard. */
  const counted = (sent: readonly Transaction[]): number => {
    const rows = new Set<unknown>()
    test.ledger.run(sent, () => rows.add(watcher.get()?.rows))
    return rows.size
  }
  const charges = Array.from({ length: MAX_BATCH }, (_, index) => transaction(index % 2 === 0 ? ADA : BOB, make.charge(1n)))
  assert.equal(counted(charges), 1, 'every caller of the batch hears once all of it is durable')
  assert.equal(counted([transaction(ADA, make.charge(1n)), transaction(ADA, make.refund(3)), transaction(BOB, make.charge(1n))]), 2)
})

test('nobody hears before what was decided for them can be read from the file', (t) => {
  const test = opened(t)
  const watcher = beside(t, test)
  const find = watcher.prepare('select body from journal where account = ? and seq = ?')
  const sent = [make.charge(1), make.hold(2), make.chargeGroup(1, 1), make.refund(3), make.grant(1)].map((command) =>
    transaction(ADA, command),
  )
  test.ledger.run(sent, (_, outcome) => {
    assert.ok('records' in outcome && outcome.records.length > 0)
    for (const { seq } of outcome.records) assert.ok(find.get(ADA, seq), `record ${seq} is in the file when its caller hears`)
  })
})

test('a command that is refused after a failed commit is refused by what is true then', (t) => {
  const test = opened(t)
  const db = beside(t, test)
  poison(db, 'poison')
  // The refund makes the second charge possible; it fails, so what counted on it must not be done.
  const outcomes = test.run([transaction(ADA, make.grant(50, { metadata: { note: 'poison' } })), transaction(ADA, make.charge(120))])
  assert.deepEqual(outcomes.map(wordFor), ['fault', 'insufficient_credits'])
  assert.equal(
    codeOf((outcomes[1] as Exclude<(typeof outcomes)[1], { fault: unknown } | undefined>) ?? assert.fail()),
    'insufficient_credits',
  )
  assert.equal(test.ledger.entry(ADA)?.state.seq, 2)
})
