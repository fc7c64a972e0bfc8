import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { atEnd, openTestLedger, testFolder, wordFor } from '../../../test/running/ledger.ts'
import * as make from '../../../test/running/store-commands.ts'
import { transaction } from '../../../test/running/store-commands.ts'
import { keyHash } from '../chain.ts'
import { prefixOf } from '../key-prefix.ts'
import { KEYS_AT_ONCE, KeyFilter } from './key-filter.ts'

const prefixAt = (index: number): number => prefixOf(keyHash(1, `key ${index}`))

/** A table of idempotency keys with the first so many of them. */
function indexOf(t: TestContext, count: number): DatabaseSync {
  const db = new DatabaseSync(':memory:')
  atEnd(t, () => db.close())
  db.exec(
    'create table idempotency_keys (prefix integer not null, position integer not null, primary key (prefix, position)) strict, without rowid; begin',
  )
  const insert = db.prepare('insert into idempotency_keys (prefix, position) values (?, ?)')
  for (let index = 0; index < count; index++) insert.run(prefixAt(index), index + 1)
  db.exec('commit')
  return db
}

function filled(db: DatabaseSync): KeyFilter {
  const filter = new KeyFilter(db)
  while (filter.fillSome());
  return filter
}

test('a filter knows every key of the index, and hardly any other', (t) => {
  const count = 3 * KEYS_AT_ONCE + 17
  const filter = filled(indexOf(t, count))
  for (let index = 0; index < count; index++) assert.ok(filter.mayHave(prefixAt(index)), `key ${index}`)
  let mistaken = 0
  for (let index = count; index < count + 200_000; index++) if (filter.mayHave(prefixAt(index))) mistaken += 1
  assert.ok(mistaken < 200, `${mistaken} of 200 000 unknown keys seem known`)
})

test('until the index has been read, any key may be known', (t) => {
  const filter = new KeyFilter(indexOf(t, 2 * KEYS_AT_ONCE))
  assert.ok(filter.mayHave(prefixAt(1_000_000)))
  assert.ok(filter.fillSome())
  assert.ok(filter.mayHave(prefixAt(1_000_000)))
  while (filter.fillSome());
  assert.equal(filter.mayHave(prefixAt(1_000_000)), false)
  assert.equal(filter.fillSome(), false)
})

test('keys that are written while the index is read are known, wherever in it they stand', (t) => {
  const db = indexOf(t, 2 * KEYS_AT_ONCE)
  const filter = new KeyFilter(db)
  const insert = db.prepare('insert into idempotency_keys (prefix, position) values (?, 0)')
  const added: number[] = []
  for (let index = 500_000, more = true; more; index += 100) {
    more = filter.fillSome()
    for (let one = index; one < index + 100; one++) {
      insert.run(prefixAt(one))
      filter.add(prefixAt(one))
      added.push(prefixAt(one))
    }
  }
  assert.ok(added.every((prefix) => filter.mayHave(prefix)))
})

test('an index of exactly one page, of none, and of many keys with one prefix is read to its end', (t) => {
  for (const count of [0, 1, KEYS_AT_ONCE, KEYS_AT_ONCE + 1]) {
    const filter = filled(indexOf(t, count))
    assert.equal(filter.mayHave(prefixAt(count + 1)), false, `${count} keys`)
    assert.equal(filter.mayHave(prefixAt(0)), count > 0)
  }
  const db = indexOf(t, 0)
  const insert = db.prepare('insert into idempotency_keys (prefix, position) values (42, ?)')
  for (let position = 0; position < 2 * KEYS_AT_ONCE; position++) insert.run(position)
  insert.run(2 * KEYS_AT_ONCE)
  db.exec('insert into idempotency_keys (prefix, position) values (43, 0)')
  assert.ok(filled(db).mayHave(43))
})

test('a replay is found while the filter is being filled after a restart, and after it was', (t) => {
  const file = join(testFolder(t), 'obol.db')
  const first = openTestLedger(t, file)
  const named = (index: number) => transaction(1, make.charge(1n), { key: `key ${index}` })
  first.run([transaction(1, make.createAccount()), transaction(1, make.grant(1000))])
  for (let from = 0; from < KEYS_AT_ONCE + 2_000; from += 500) first.run(Array.from({ length: 500 }, (_, index) => named(from + index)))
  while (first.ledger.sweep(1_000));
  first.close()
  const second = openTestLedger(t, file)
  const words = (): readonly string[] => second.run([0, 3_333, KEYS_AT_ONCE + 1_999].map(named)).map(wordFor)
  assert.deepEqual(words(), ['replayed', 'replayed', 'replayed'])
  assert.ok(second.keyFilter.fillSome())
  assert.deepEqual(words(), ['replayed', 'replayed', 'replayed'])
  while (second.keyFilter.fillSome());
  assert.deepEqual(words(), ['replayed', 'replayed', 'replayed'])
  assert.deepEqual(second.run([named(1_000_000)]).map(wordFor), ['done'])
})
