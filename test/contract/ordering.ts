/** Records are numbered without gaps, in order of arrival; times never go back; the feed tells all of them in the order of commits. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FeedItem, Store } from '../../src/stores/store.ts'
import { type ContractKind, openTestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { applied, codeOf, openAccount, sendTogether, transaction } from '../running/store-commands.ts'
import { recordsOf, stateOf } from './looking.ts'

const ADA = 1
const BOB = 2

export function orderingContract(kind: ContractKind): void {
  sequences(kind)
  times(kind)
  feeds(kind)
}

function sequences(kind: ContractKind): void {
  test('commands of one turn are decided in their order, and numbered without gaps per account', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const accounts = [5, 3, 9, 1]
    for (const account of accounts) await openAccount(store, account)
    const sent = Array.from({ length: 2_000 }, (_, index) => transaction(accounts[(index * 7) % 4] ?? 0, make.charge(1n)))
    const outcomes = await sendTogether(store, sent)
    for (const account of accounts) {
      const seqs = outcomes.flatMap((outcome) =>
        applied(outcome).account === account ? applied(outcome).records.map(({ seq }) => seq) : [],
      )
      assert.deepEqual(
        seqs,
        Array.from({ length: 500 }, (_, index) => index + 3),
      )
    }
    const reopened = await reopen()
    for (const account of accounts) {
      const records = await recordsOf(reopened, account)
      assert.deepEqual(
        records.map(({ seq }) => seq),
        Array.from({ length: 502 }, (_, index) => index + 1),
      )
      assert.equal((await stateOf(reopened, account)).seq, 502)
    }
  })

  test('each command of a batch sees those before it, and none after it', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 3)
    const commands = [make.charge(2), make.charge(2), make.grant(1), make.charge(2), make.charge(1), make.grant(5)]
    const outcomes = await sendTogether(
      store,
      commands.map((command) => transaction(ADA, command)),
    )
    assert.deepEqual(outcomes.map(codeOf), ['done', 'insufficient_credits', 'done', 'done', 'insufficient_credits', 'done'])
  })

  test('a refused command takes no number', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 1)
    for (let time = 0; time < 5; time++) await make.send(store, ADA, make.charge(100))
    assert.equal((await make.make(store, ADA, make.charge(1))).seq, 3)
  })
}

function times(kind: ContractKind): void {
  test('times never go back, in an account, among accounts and over a restart, though the clock does', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    const startMs = clock.nowMs
    await openAccount(store, ADA)
    clock.nowMs = startMs + 10_000
    await make.make(store, ADA, make.charge(1))
    clock.nowMs = startMs - make.DAY_MS
    assert.equal((await make.make(store, ADA, make.charge(1))).atMs, startMs + 10_000)
    assert.equal((await make.make(store, BOB, make.createAccount())).atMs, startMs + 10_000)
    const reopened = await reopen()
    assert.equal((await make.make(reopened, ADA, make.charge(1))).atMs, startMs + 10_000)
    clock.nowMs = startMs + 20_000
    assert.equal((await make.make(reopened, ADA, make.charge(1))).atMs, startMs + 20_000)
    const feed = await reopened.feed(0, 100)
    assert.ok(feed.every(({ record }, index) => record.atMs >= (feed[index - 1]?.record.atMs ?? 0)))
  })

  test('an account that nothing touches for long goes on at the store’s time', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    clock.nowMs += 400 * make.DAY_MS
    assert.equal((await make.make(store, ADA, make.charge(1))).atMs, clock.nowMs)
  })
}

async function feedOf(store: Store, limit: number, from = 0): Promise<readonly FeedItem[]> {
  const found: FeedItem[] = []
  for (let page = await store.feed(from, limit); page.length > 0; page = await store.feed(found.at(-1)?.position ?? 0, limit)) {
    assert.ok(page.length <= limit)
    found.push(...page)
  }
  return found
}

function feeds(kind: ContractKind): void {
  test('the feed tells every record of every account once, in the order of commits, by pages of any size', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    for (const account of [ADA, BOB]) await openAccount(store, account)
    await sendTogether(
      store,
      Array.from({ length: 60 }, (_, index) => transaction(index % 3 === 0 ? BOB : ADA, make.charge(1n))),
    )
    for (const open of [() => store, reopen]) {
      const from = await open()
      const whole = await feedOf(from, 1_000)
      assert.ok(whole.every(({ position }, index) => position > (whole[index - 1]?.position ?? 0)))
      for (const account of [ADA, BOB]) {
        const told = whole.filter((item) => item.account === account).map(({ record }) => record)
        assert.deepEqual(told, await recordsOf(from, account))
      }
      for (const limit of [1, 7, 64]) assert.deepEqual(await feedOf(from, limit), whole)
      assert.deepEqual(await from.feed(whole.at(-1)?.position ?? 0, 10), [])
    }
  })

  test('a record is in the feed as soon as it is answered', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    for (let time = 0; time < 20; time++) {
      const record = await make.make(store, ADA, make.charge(1))
      assert.deepEqual((await feedOf(store, 100)).at(-1)?.record, record)
    }
  })

  test('the position at a time leads to all records from then on, and to none before', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    assert.deepEqual(await store.feed((await store.positionAt(clock.nowMs)) - 1, 10), [], 'in an empty store there is nothing')
    const startMs = clock.nowMs
    for (const account of [ADA, BOB]) await openAccount(store, account)
    for (const [index, wait] of [0, 0, 1, 1_000, 0, 0, 0, 5, 70_000, 0].entries()) {
      clock.nowMs += wait
      await make.make(store, index % 2 === 0 ? ADA : BOB, make.charge(1))
    }
    for (const open of [() => store, reopen]) {
      const from = await open()
      const whole = await feedOf(from, 1_000)
      const times = [...new Set(whole.map(({ record }) => record.atMs))]
      for (const atMs of [0, startMs - 1, ...times.flatMap((time) => [time - 1, time, time + 1]), clock.nowMs + make.DAY_MS]) {
        const found = await feedOf(from, 1_000, (await from.positionAt(atMs)) - 1)
        assert.deepEqual(
          found,
          whole.filter(({ record }) => record.atMs >= atMs),
        )
      }
    }
  })
}
