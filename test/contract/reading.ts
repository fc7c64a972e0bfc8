/** What was answered can be read at once; lists come in pages, both ways; filters and time ranges find what a search would. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FOREVER_MS } from '../../src/core/calendar.ts'
import { isCharge, type JournalRecord } from '../../src/core/record.ts'
import { MAX_SCANNED_RECORDS, type RecordQuery, type Store } from '../../src/stores/store.ts'
import { type ContractKind, openTestStore, type TestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { openAccount, sendTogether, seqOf, transaction } from '../running/store-commands.ts'
import { everythingOf, recordsOf, stateOf, walk, walkRecords } from './looking.ts'

const ADA = 1

export function readingContract(kind: ContractKind): void {
  readYourWrites(kind)
  pages(kind)
  filters(kind)
}

function readYourWrites(kind: ContractKind): void {
  test('every read shows what has just been answered', async (t) => {
    const { store } = await openTestStore(t, kind)
    await make.make(store, ADA, make.createAccount({ externalId: 'ada' }))
    assert.deepEqual([(await store.account(ADA))?.externalId, await store.accountByExternalId('ada')], ['ada', ADA])
    assert.equal((await store.accounts({ limit: 1 }))[0]?.number, ADA)
    const key = await seqOf(store, ADA, make.createKey('secret'))
    assert.deepEqual([(await store.key(ADA, key))?.seq, (await store.keyBySecret('secret'))?.seq], [key, key])
    assert.equal((await store.keys(ADA, { limit: 1 }))[0]?.seq, key)
    const granted = await seqOf(store, ADA, make.grant(100))
    assert.equal((await store.grant(ADA, granted))?.status, 'open')
    assert.deepEqual(
      (await store.grants(ADA, { limit: 1 })).map(({ seq, status }) => [seq, status]),
      [[granted, 'open']],
    )
    const held = await seqOf(store, ADA, make.hold(10))
    assert.equal((await store.hold(ADA, held))?.status, 'live')
    assert.equal((await store.holds(ADA, { limit: 1, having: { status: 'live', atMs: 0 } }))[0]?.seq, held)
    const captured = await seqOf(store, ADA, make.capture(held, 4))
    assert.equal((await store.hold(ADA, held))?.status, 'captured')
    assert.deepEqual(await store.holds(ADA, { limit: 1, having: { status: 'live', atMs: 0 } }), [])
    await make.make(store, ADA, make.refund(captured, 1))
    assert.deepEqual(await store.refunds(ADA, [captured]), new Map([[captured, 1_000_000n]]))
    const charged = await make.make(store, ADA, make.charge(3))
    assert.deepEqual(await store.record(ADA, charged.seq), charged)
    assert.deepEqual((await store.records(ADA, { limit: 1 })).records, [charged])
    const [row] = await store.usage(ADA, { fromMs: 0, toMs: FOREVER_MS })
    assert.deepEqual([row?.charges, row?.credits, row?.refunds, row?.refunded], [2, 7_000_000n, 1, 1_000_000n])
    assert.equal((await store.state(ADA))?.seq, charged.seq)
  })

  test('each record of a long run can be read by itself, the latest and the oldest alike', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const made: JournalRecord[] = []
    for (let time = 0; time < 40; time++) {
      made.push(await make.make(store, ADA, make.charge(1)))
      for (const record of [made[0], made[time >> 1], made[time]]) assert.deepEqual(await store.record(ADA, record?.seq ?? 0), record)
      if (time === 20) await store.records(ADA, { limit: 1 })
    }
    const reopened = await reopen()
    for (const record of made) assert.deepEqual(await reopened.record(ADA, record.seq), record)
    for (const none of [0, -1, 43, 1e9]) assert.equal(await reopened.record(ADA, none), undefined)
  })

  test('a store that was closed and opened again shows all that it showed before', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await fill({ store, account: ADA })
    const before = await everythingOf(store, ADA)
    assert.deepEqual(await everythingOf(await reopen(), ADA), before)
    assert.deepEqual(await everythingOf(await reopen(), ADA), before)
  })

  test('what one account does is not seen in another', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const account of [1, 2, 3]) await openAccount(store, account)
    const before = await Promise.all([1, 3].map((account) => everythingOf(store, account)))
    await make.make(store, 2, make.charge(1))
    await seqOf(store, 2, make.hold(1))
    await make.make(store, 2, make.createKey('of two'))
    assert.deepEqual(await Promise.all([1, 3].map((account) => everythingOf(store, account))), before)
  })
}

/** Some of everything, in every list. */
async function fill({ store, account }: { readonly store: Store; readonly account: number }): Promise<void> {
  await openAccount(store, account)
  for (let time = 0; time < 11; time++) {
    await seqOf(store, account, make.grant(5, { creditType: time % 2 === 0 ? 'credits' : 'image_credits' }))
    await seqOf(store, account, make.createKey(`secret ${time} of ${account}`))
    const held = await seqOf(store, account, make.hold(10))
    if (time % 3 === 0) await make.make(store, account, make.release(held))
    const charged = await seqOf(store, account, time % 2 === 0 && time % 3 !== 0 ? make.capture(held, 3) : make.charge(2))
    if (time % 4 === 0) await make.make(store, account, make.refund(charged, 1))
  }
}

const LIMITS = [1, 2, 3, 5, 11, 100]

function pages(kind: ContractKind): void {
  const LISTS: Readonly<Record<string, (store: Store) => Parameters<typeof walk>[0]>> = {
    grants: (store) => (page) => store.grants(ADA, page),
    holds: (store) => (page) => store.holds(ADA, page),
    'live holds': (store) => (page) => store.holds(ADA, { ...page, having: { status: 'live', atMs: 0 } }),
    'captured holds': (store) => (page) => store.holds(ADA, { ...page, having: { status: 'captured', atMs: 0 } }),
    'released holds': (store) => (page) => store.holds(ADA, { ...page, having: { status: 'released', atMs: 0 } }),
    'API keys': (store) => (page) => store.keys(ADA, page),
  }
  for (const [name, listOf] of Object.entries(LISTS))
    test(`${name} are listed in pages of any size, in both directions, each once`, async (t) => {
      const { store } = await openTestStore(t, kind)
      await fill({ store, account: ADA })
      await fill({ store, account: 2 })
      const list = listOf(store)
      const whole = (await list({ limit: 1_000 })).toReversed()
      assert.ok(whole.length >= 3, 'there is something to list')
      assert.ok(whole.every(({ seq }, index) => seq > (whole[index - 1]?.seq ?? 0)))
      for (const limit of LIMITS) {
        assert.deepEqual(await walk(list, limit, 'older'), whole)
        assert.deepEqual(await walk(list, limit, 'newer'), whole)
      }
      const middle = whole[whole.length >> 1]?.seq ?? 0
      const newer = await list({ limit: 1, after: middle })
      assert.deepEqual(newer, [whole[(whole.length >> 1) + 1]], 'the oldest of the newer ones comes first')
    })

  test('records are read in pages of any size, in both directions, each once', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await fill({ store, account: ADA })
    const { seq } = await stateOf(store, ADA)
    for (const open of [() => store, reopen]) {
      const from = await open()
      for (const [limit, direction] of LIMITS.flatMap((limit) => [[limit, 'older'] as const, [limit, 'newer'] as const])) {
        const records = await walkRecords(from, ADA, { limit, direction })
        assert.deepEqual(
          records.map((record) => record.seq),
          Array.from({ length: seq }, (_, index) => index + 1),
        )
      }
    }
  })
}

type Query = Omit<RecordQuery, 'before' | 'after' | 'limit'>

/** What a query means, said by a search of the whole list. */
function search(records: readonly JournalRecord[], { kinds, fromMs, toMs, operation, key }: Query): readonly JournalRecord[] {
  return records.filter((record) => {
    if (kinds !== undefined && !kinds.includes(record.kind)) return false
    if (fromMs !== undefined && record.atMs < fromMs) return false
    if (toMs !== undefined && record.atMs >= toMs) return false
    if (operation !== undefined && !('operation' in record && record.operation === operation)) return false
    return key === undefined || ('key' in record && record.key === key)
  })
}

/** Work of three operations and two keys, at times that repeat, leap and stand still. */
async function work({ store, clock }: TestStore): Promise<readonly number[]> {
  await openAccount(store, ADA)
  const keys = [null, await seqOf(store, ADA, make.createKey('one')), await seqOf(store, ADA, make.createKey('two'))]
  for (let time = 0; time < 60; time++) {
    clock.nowMs += [0, 0, 1, 999, make.MINUTE_MS, 0, 3 * make.HOUR_MS][time % 7] ?? 0
    const options = { operation: ['image', 'video', 'speech'][time % 3] ?? '', key: keys[time % 5] ?? null }
    const charged = await seqOf(store, ADA, make.charge(1, options))
    if (time % 4 === 0) await make.make(store, ADA, make.refund(charged))
    if (time % 6 === 0) await make.make(store, ADA, make.hold(1, { ...options, ttlMs: make.DAY_MS }))
  }
  return keys.flatMap((key) => key ?? [])
}

function filters(kind: ContractKind): void {
  test('filters find what a search of all records finds, alone and together', async (t) => {
    const opened = await openTestStore(t, kind)
    const [one, two] = await work(opened)
    const store = await opened.reopen()
    const all = await recordsOf(store, ADA)
    const choices: readonly (readonly Query[])[] = [
      [{}, { kinds: ['charge'] }, { kinds: ['refund', 'hold'] }, { kinds: ['capture'] }, { kinds: [] }],
      [{}, { operation: 'image' }, { operation: 'speech' }, { operation: 'nothing' }],
      [{}, { key: one ?? 0 }, { key: two ?? 0 }, { key: 999 }],
      [{}, { fromMs: all[40]?.atMs ?? 0 }],
      [{}, { toMs: all[80]?.atMs ?? 0 }],
    ]
    const queries = choices.reduce((some, more) => some.flatMap((query) => more.map((part) => ({ ...query, ...part }))), [{}])
    let found = 0
    for (const query of queries) {
      const expected = search(all, query)
      found += expected.length
      for (const direction of ['older', 'newer'] as const)
        assert.deepEqual(await walkRecords(store, ADA, { ...query, limit: 7, direction }), expected, JSON.stringify(query))
    }
    assert.ok(found > 1_000, 'the filters found something')
  })

  test('a time range holds what was recorded from its start up to, not including, its end', async (t) => {
    const opened = await openTestStore(t, kind)
    await work(opened)
    const { store } = opened
    const all = await recordsOf(store, ADA)
    const times = [...new Set(all.map(({ atMs }) => atMs))]
    const edges = [0, ...times.slice(0, 9).flatMap((time) => [time - 1, time, time + 1]), ...times.slice(-3), FOREVER_MS]
    for (const fromMs of edges)
      for (const toMs of edges)
        assert.deepEqual(await walkRecords(store, ADA, { fromMs, toMs, limit: 1_000 }), search(all, { fromMs, toMs }), `${fromMs} ${toMs}`)
  })

  test('a cursor goes on within a time range, and never out of it', async (t) => {
    const opened = await openTestStore(t, kind)
    await work(opened)
    const { store } = opened
    const all = await recordsOf(store, ADA)
    const range = { fromMs: all[30]?.atMs ?? 0, toMs: all[60]?.atMs ?? 0 }
    const inside = search(all, range)
    for (const seq of [1, 10, inside[0]?.seq ?? 0, inside[5]?.seq ?? 0, inside.at(-1)?.seq ?? 0, 100, 1e9]) {
      const older = await store.records(ADA, { ...range, limit: 1_000, before: seq })
      assert.deepEqual(
        older.records.toReversed(),
        inside.filter((record) => record.seq < seq),
      )
      const newer = await store.records(ADA, { ...range, limit: 1_000, after: seq })
      assert.deepEqual(
        newer.records,
        inside.filter((record) => record.seq > seq),
      )
    }
  })

  test('a filter that matches little looks at a bounded number of records, and its pages lead to every match', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const length = 2 * MAX_SCANNED_RECORDS + 100
    const rare = new Set([0, 1, MAX_SCANNED_RECORDS, length - 1])
    const sent = Array.from({ length }, (_, index) => transaction(ADA, make.charge(1n, { operation: rare.has(index) ? 'rare' : 'common' })))
    await sendTogether(store, sent)
    const expected = [...rare].map((index) => index + 3)
    for (const direction of ['older', 'newer'] as const) {
      const found = await walkRecords(store, ADA, { operation: 'rare', limit: 10, direction })
      assert.deepEqual(
        found.map(({ seq }) => seq),
        expected,
      )
    }
    const nothing = await store.records(ADA, { operation: 'nothing', limit: 10 })
    assert.deepEqual([nothing.records, nothing.next], [[], length + 2 - MAX_SCANNED_RECORDS + 1])
    assert.ok((await recordsOf(store, ADA)).filter(isCharge).length === length)
  })
}
