/** Faults stay with the command that caused them; too many commands are turned away untouched; closing finishes what was accepted. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from '../../src/core/command.ts'
import { OverloadedError, type Store, type Transaction } from '../../src/stores/store.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { codeOf, openAccount, outcomeOf, sendTogether, transaction } from '../running/store-commands.ts'
import { everythingOf, stateOf } from './looking.ts'

const ADA = 1
const BOB = 2

export function limitsContract(kind: ContractKind): void {
  faults(kind)
  overload(kind)
  closing(kind)
  audits(kind)
}

/** What became of commands that were sent in one turn, faults included. */
async function settled(store: Store, sent: readonly Transaction[]): Promise<readonly string[]> {
  const outcomes = await Promise.allSettled(sent.map((one) => store.transact(one)))
  return outcomes.map((outcome) => (outcome.status === 'fulfilled' ? codeOf(outcome.value) : 'fault'))
}

const FAULTS: Readonly<Record<string, (store: Store) => Promise<Transaction>>> = {
  'is decided': async (store) => {
    await openAccount(store, 7)
    // A charge that no credit type may pay for cannot come in through any door: it stands for a bug.
    return transaction(7, { ...make.charge(1), offers: [] } as unknown as Command, { key: 'faulty' })
  },
  'names an account whose number is taken': async (store) => {
    await openAccount(store, 7)
    return transaction(7, make.createAccount(), { key: 'faulty' })
  },
  'is committed': async (store) => {
    await openAccount(store, 7)
    await make.make(store, 7, make.createKey('same'))
    return transaction(7, make.createKey('same'), { key: 'faulty' })
  },
}

function faults(kind: ContractKind): void {
  for (const [when, prepare] of Object.entries(FAULTS))
    test(`a command that fails when it ${when} does no harm to its neighbours, and leaves no key`, async (t) => {
      const { store, reopen } = await openTestStore(t, kind)
      for (const account of [ADA, BOB]) await openAccount(store, account, 10)
      const faulty = await prepare(store)
      const before = await everythingOf(store, 7)
      const sent = [
        transaction(ADA, make.charge(4), { key: 'one' }),
        transaction(BOB, make.charge(11)),
        faulty,
        transaction(ADA, make.charge(4), { key: 'one' }),
        transaction(ADA, make.charge(4)),
        transaction(ADA, make.charge(4)),
        faulty,
        transaction(BOB, make.charge(10)),
      ]
      const expected = ['done', 'insufficient_credits', 'fault', 'replayed', 'done', 'insufficient_credits', 'fault', 'done']
      assert.deepEqual(await settled(store, sent), expected)
      assert.deepEqual(await everythingOf(store, 7), before)
      assert.deepEqual([(await stateOf(store, ADA)).seq, (await stateOf(store, BOB)).seq], [4, 3])
      assert.deepEqual(await settled(store, [faulty, transaction(ADA, make.charge(2))]), ['fault', 'done'])
      const reopened = await reopen()
      assert.deepEqual(await everythingOf(reopened, 7), before)
      const other = { ...transaction(7, make.grant(0n)), idempotency: faulty.idempotency }
      assert.equal(codeOf(await reopened.transact(other)), 'done', 'the key is free')
    })
}

/** More commands than any store lets wait. */
const TOO_MANY = 60_000

function overload(kind: ContractKind): void {
  test('commands beyond what may wait are turned away at once, with nothing of them done', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    let refused = 0
    const sent = Array.from({ length: TOO_MANY }, (_, index) =>
      store.transact(transaction(ADA, make.charge(1n), { key: `key ${index}` })).then(
        () => true,
        (fault: unknown) => {
          assert.ok(fault instanceof OverloadedError)
          refused += 1
          return false
        },
      ),
    )
    await Promise.resolve()
    const turnedAway = refused
    const done = (await Promise.all(sent)).map((isDone, index) => (isDone ? index : -1)).filter((index) => index >= 0)
    assert.ok(refused > 0 && done.length > 0, `${refused} refused, ${done.length} done`)
    assert.equal(refused, turnedAway, 'they were told before anything else was done')
    assert.equal((await store.state(ADA))?.seq, 2 + done.length)
    assert.deepEqual(
      done,
      done.map((_, index) => index),
      'the first ones wait, the later ones are turned away',
    )
    const again = transaction(ADA, make.charge(1n), { key: `key ${TOO_MANY - 1}` })
    assert.equal(codeOf(await store.transact(again)), 'done', 'what was turned away may be sent again')
  })
}

function closing(kind: ContractKind): void {
  test('closing finishes what was accepted, and answers it', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const sent = sendTogether(
      store,
      Array.from({ length: 2_000 }, (_, index) => transaction(ADA, make.charge(1n), { key: `key ${index}` })),
    )
    const reopened = await reopen()
    assert.ok((await sent).every((outcome) => codeOf(outcome) === 'done'))
    assert.equal((await stateOf(reopened, ADA)).seq, 2_002)
  })

  test('a closed store does nothing more, says so, and may be closed again', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await store.ping()
    await store.close()
    await store.close()
    await assert.rejects(store.ping())
    for (const key of [{}, { key: 'k' }]) await assert.rejects(make.send(store, ADA, make.charge(1), key))
    await assert.rejects(make.send(store, 99, make.charge(1)))
    const reopened = await reopen()
    assert.equal((await stateOf(reopened, ADA)).seq, 2)
    assert.equal(await outcomeOf(reopened, ADA, make.charge(1), { key: 'k' }), 'done')
  })
}

function audits(kind: ContractKind): void {
  test('an audit of a store that goes on working finds one sound moment of it', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account)
    let isAudited = false
    const audited = store.audit().finally(() => {
      isAudited = true
    })
    let charges = 0
    while (!isAudited) {
      await sendTogether(store, [transaction(ADA, make.charge(1n), { key: `key ${charges}` }), transaction(BOB, make.chargeGroup(1n, 1n))])
      if (charges % 50 === 0) await store.records(ADA, { limit: 1 })
      charges += 1
    }
    const { checked, differences } = await audited
    assert.deepEqual(differences, [])
    assert.equal(checked.accounts, 2)
    assert.ok(checked.records >= 4 && checked.records <= 4 + 3 * charges)
  })

  test('an audit counts what it checked', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    assert.deepEqual(await store.audit(), { checked: { accounts: 0, records: 0, keys: 0, rollups: 0 }, differences: [] })
    await openAccount(store, ADA)
    await make.make(store, ADA, make.charge(1), { key: 'a' })
    await make.make(store, ADA, make.chargeGroup(1, 1), { key: 'b' })
    clock.nowMs += make.HOUR_MS
    await make.make(store, ADA, make.charge(1))
    await store.records(ADA, { limit: 1 })
    assert.deepEqual(await store.audit(), { checked: { accounts: 1, records: 6, keys: 3, rollups: 1 }, differences: [] })
  })
}
