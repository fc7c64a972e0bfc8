import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOUR_MS, MemoryAccount, MINUTE_MS, START_MS } from '../../../test/running/memory-account.ts'
import { emptyAccount } from '../../core/account.ts'
import { evolve } from '../../core/evolve.ts'
import { advance, cleanEntry, type Entry, Memory } from './memory.ts'

/** An entry that is clean, or has something to be written back. */
function entryOf(account: number, { isDirty = false } = {}): Entry {
  const entry = cleanEntry(emptyAccount(account), 'hash', null)
  if (isDirty) entry.positions.push(1)
  return entry
}

test('what was used last is kept, what was used least is forgotten', () => {
  const memory = new Memory(100)
  for (let account = 1; account <= 100; account++) memory.set(account, entryOf(account))
  for (let account = 1; account <= 10; account++) memory.get(account)
  for (let account = 101; account <= 150; account++) memory.set(account, entryOf(account))
  assert.equal(memory.size, 100)
  for (const account of [1, 5, 10, 101, 150]) assert.ok(memory.get(account), `${account} is kept`)
  for (const account of [11, 40, 60]) assert.equal(memory.get(account), undefined, `${account} is forgotten`)
})

test('an account with something to be written back is never forgotten', () => {
  const memory = new Memory(100)
  for (let account = 1; account <= 300; account++) memory.set(account, entryOf(account, { isDirty: account <= 200 }))
  for (let account = 1; account <= 200; account++) assert.ok(memory.get(account), `${account} is kept`)
})

test('an account that has just been put in is there, however small the memory', () => {
  for (const limit of [1, 2, 10, 63, 64, 100]) {
    const memory = new Memory(limit)
    for (let account = 1; account <= 200; account++) {
      const entry = entryOf(account)
      memory.set(account, entry)
      assert.equal(memory.get(account), entry, `account ${account} of a memory for ${limit}`)
      entry.positions.push(account)
    }
  }
})

test('a key is found whether it waits for a sweep or is being swept, and not after that', () => {
  const memory = new Memory(100)
  memory.keys.set('waiting', 1)
  memory.sweptKeys.set('swept', 2)
  assert.deepEqual([memory.pendingKey('waiting'), memory.pendingKey('swept'), memory.pendingKey('unknown')], [1, 2, undefined])
  memory.clear()
  assert.deepEqual([memory.pendingKey('waiting'), memory.pendingKey('swept'), memory.size, memory.position], [undefined, undefined, 0, 0])
})

test('an entry keeps what its records did until it is written: positions, closed hours and changes, in order', () => {
  const account = new MemoryAccount()
  account.grant(10)
  account.charge(4)
  account.hold(6)
  account.wait(HOUR_MS + MINUTE_MS)
  account.charge(1)
  const entry = cleanEntry(emptyAccount(1), '', null)
  let state = emptyAccount(1)
  for (const [index, record] of account.journal.entries()) {
    state = evolve(state, record)
    advance(entry, { record, position: 100 + index, hash: `hash ${record.seq}`, after: state })
  }
  assert.deepEqual(entry.state, account.state)
  assert.equal(entry.hash, `hash ${account.state.seq}`)
  assert.deepEqual(
    entry.positions,
    account.journal.map((_, index) => 100 + index),
  )
  assert.deepEqual(
    entry.hours.map(({ hourMs, charges, credits }) => [hourMs, charges, credits]),
    [[START_MS, 1, 4_000_000n]],
  )
  assert.deepEqual(
    entry.changes.map((change) => change.table),
    ['grants', 'live_holds', 'ended_holds'],
  )
})
