import assert from 'node:assert/strict'
import { test } from 'node:test'
import { livesOfAlerts } from '../../../test/running/alerts.ts'
import { failTopup, livesOfAutoTopups } from '../../../test/running/auto-topups.ts'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer, type TestObol } from '../../../test/running/obol.ts'
import { livesOfPurchases } from '../../../test/running/purchases.ts'
import {
  advanceClock,
  BOOK_DUE,
  charge,
  createAccount,
  grant,
  HOUR_MS,
  openAccount as openLedger,
  reportOutcome,
  send,
  seqOf,
} from '../../../test/running/store-commands.ts'
import { livesOfSubscriptions } from '../../../test/running/subscriptions.ts'
import { EVENTS } from '../../core/events.ts'

/** The number of an account that buys. */
const BUYER = 7
/** The number of an account that subscribes. */
const SUBSCRIBER = 8
/** The number of an account that lives by a test clock. */
const TRAVELLER = 9
/** The number of an account with alerts. */
const WATCHED = 10

const TOPPED_UP = 1_003

/** One of everything that can happen to an account; returns the ids of what was made. */
async function oneOfEverything({ call, clock }: TestObol): Promise<Readonly<Record<string, string>>> {
  const post = async (path: string, body: object): Promise<TestAnswer['body']> => {
    const answer = await call('POST', path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.body
  }
  const inMs = (ms: number): string => new Date(clock.nowMs + ms).toISOString()
  const account = (await post('/v1/accounts', { name: 'All' })).id
  await call('PATCH', `/v1/accounts/${account}`, { name: 'Everything' })
  const key = (await post('/v1/keys', { account, budget: { limit: '2' } })).id
  await call('PATCH', `/v1/keys/${key}`, { name: 'New' })
  await post(`/v1/keys/${key}/rotate`, {})
  const grant = (await post('/v1/grants', { account, amount: '20' })).id
  const later = (await post('/v1/grants', { account, amount: '9', effective_at: inMs(3_600_000) })).id
  const brief = (await post('/v1/grants', { account, amount: '3', expires_at: inMs(1_000) })).id
  const charge = (await post('/v1/charges', { key, operation: 'unit', amount: '2' })).id
  const refund = (await post(`/v1/charges/${charge}/refund`, { amount: '1' })).id
  clock.nowMs += 1_000
  const up = (await post('/v1/adjustments', { account, amount: '1', reason: 'found' })).id
  const down = (await post('/v1/adjustments', { account, amount: '-1', reason: 'lost' })).id
  const hold = (await post('/v1/holds', { account, operation: 'unit', amount: '4' })).id
  await post(`/v1/holds/${hold}/increase`, { amount: '1' })
  await post(`/v1/holds/${hold}/extend`, { ttl_seconds: 1_800 })
  const capture = (await post(`/v1/holds/${hold}/capture`, { amount: '3' })).id
  const released = (await post('/v1/holds', { account, operation: 'unit', amount: '1' })).id
  await post(`/v1/holds/${released}/release`, {})
  const expiring = (await post('/v1/holds', { account, operation: 'unit', amount: '1', ttl_seconds: 60 })).id
  clock.nowMs += 60_000
  const late = (await post(`/v1/holds/${expiring}/capture`, { amount: '20' })).id
  clock.nowMs += 3_600_000
  const voided = (await post('/v1/grants', { account, amount: '2' })).id
  await post(`/v1/grants/${voided}/void`, {})
  await call('DELETE', `/v1/keys/${key}`)
  return { account, key, grant, later, brief, charge, refund, up, down, hold, capture, released, expiring, late, voided }
}

/** All that can happen to purchases, of an account of its own. */
async function oneOfEveryPurchase({ obol, clock }: TestObol): Promise<void> {
  const { store } = obol.services
  await openLedger(store, BUYER, 0)
  const lives = livesOfPurchases()
  for (let next = lives.next(); !next.done; ) next = lives.next(await seqOf(store, BUYER, next.value))
  clock.nowMs += HOUR_MS
  await send(store, BUYER, BOOK_DUE)
}

/** All that can happen to subscriptions, of an account of its own. */
async function oneOfEverySubscription({ obol, clock }: TestObol): Promise<void> {
  const { store } = obol.services
  await openLedger(store, SUBSCRIBER, 0)
  const lives = livesOfSubscriptions()
  for (let next = lives.next(); !next.done; )
    if (typeof next.value === 'number') {
      clock.nowMs += next.value
      await send(store, SUBSCRIBER, BOOK_DUE)
      next = lives.next(0)
    } else next = lives.next(await seqOf(store, SUBSCRIBER, next.value))
  await send(store, SUBSCRIBER, grant(5))
  await send(store, SUBSCRIBER, reportOutcome(await seqOf(store, SUBSCRIBER, charge(5)), 'failed'))
  const { nowMs } = clock
  await send(store, TRAVELLER, createAccount({ clock: { clock: 'clk_1', nowMs } }))
  await send(store, TRAVELLER, advanceClock(nowMs + HOUR_MS))
}

/** All that can happen to alerts, of an account of its own. */
async function oneOfEveryAlert({ obol }: TestObol): Promise<void> {
  const { store } = obol.services
  await openLedger(store, WATCHED, 0)
  const lives = livesOfAlerts()
  for (let next = lives.next(); !next.done; ) next = lives.next(await seqOf(store, WATCHED, next.value))
}

async function oneOfEveryAutoTopup({ obol, clock }: TestObol): Promise<void> {
  const { store } = obol.services
  await openLedger(store, TOPPED_UP, 100)
  const lives = livesOfAutoTopups(grant(60_000))
  for (let next = lives.next(); !next.done; )
    if (typeof next.value === 'number') {
      clock.nowMs += next.value
      next = lives.next(0)
    } else next = lives.next(await seqOf(store, TOPPED_UP, next.value))
  // A card that is declined for good.
  await send(store, TOPPED_UP, failTopup((await store.state(TOPPED_UP))?.autoTopup?.attempt?.purchase ?? 0, false))
}

test('the journal', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const ids = await oneOfEverything(obol)
  const records: readonly TestAnswer['body'][] = (await call('GET', `/v1/journal?account=${ids.account}&limit=100`)).body.data.toReversed()

  await t.test('has every record of the account, numbered without gaps, in the order of what happened', () => {
    assert.deepEqual(
      records.map(({ sequence }) => sequence),
      records.map((_, index) => index + 1),
    )
    assert.deepEqual(
      records.map(({ kind, subject }) => [kind, subject]),
      [
        ['account_created', null],
        ['account_updated', null],
        ['key_created', ids.key],
        ['key_updated', ids.key],
        ['key_rotated', ids.key],
        ['grant', ids.grant],
        ['grant', ids.later],
        ['grant', ids.brief],
        ['charge', ids.charge],
        ['refund', ids.refund],
        ['grant_expired', ids.brief],
        ['grant', records[11]?.subject],
        ['adjustment', ids.down],
        ['hold', ids.hold],
        ['hold_increased', ids.hold],
        ['hold_extended', ids.hold],
        ['capture', ids.capture],
        ['hold', ids.released],
        ['hold_released', ids.released],
        ['hold', ids.expiring],
        ['hold_expired', ids.expiring],
        ['late_capture', ids.late],
        ['debt_repaid', null],
        ['grant', ids.voided],
        ['grant_voided', ids.voided],
        ['key_revoked', ids.key],
      ],
    )
  })

  await t.test('says of each record who caused it, in which request, and when', () => {
    for (const { object, id, account, actor, request_id, at, kind, sequence } of records) {
      assert.deepEqual([object, account], ['journal_record', ids.account])
      assert.match(id, /^rec_[0-9a-v]{16}$/)
      const byTime = ['grant_expired', 'hold_expired', 'debt_repaid'].includes(kind)
      assert.deepEqual([actor, request_id === null], [byTime ? 'time' : 'operator', byTime], `${sequence} ${kind}`)
      assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    }
    assert.deepEqual(
      records.map(({ at }) => at),
      records.map(({ at }) => at).toSorted(),
    )
  })

  await t.test('leads from entry to entry: each begins where the one before it on the same grant ended', () => {
    const ends = new Map<string, readonly [string, string]>()
    let entries = 0
    for (const record of records)
      for (const entry of record.entries) {
        const grant = entry.grant ?? 'debt'
        const [remaining, held] = ends.get(grant) ?? ['0', '0']
        assert.deepEqual([entry.remaining_before, entry.held_before], [remaining, held], `${record.sequence} ${grant}`)
        assert.equal(Number(entry.remaining_before) + Number(entry.change), Number(entry.remaining_after))
        assert.equal(Number(entry.held_before) + Number(entry.held_change), Number(entry.held_after))
        ends.set(grant, [entry.remaining_after, entry.held_after])
        entries++
      }
    assert.ok(entries > 20)
  })

  await t.test('says after each movement the balance that the account then had', async () => {
    for (const { balance, at, sequence } of records.filter((record, index) => record.balance && records[index + 1]?.at !== record.at)) {
      const { settled, held, available } = (await call('GET', `/v1/accounts/${ids.account}/credits?at=${at}`)).body.credit_types.credits
      assert.deepEqual(balance, { credit_type: 'credits', settled, held, available }, `${sequence}`)
    }
  })

  await t.test('is filtered by time: from start up to, not including, end', async () => {
    const [from, to] = [records[10]?.at, records[20]?.at]
    const { data } = (await call('GET', `/v1/journal?account=${ids.account}&start=${from}&end=${to}&limit=100`)).body
    assert.deepEqual(
      data.toReversed(),
      records.filter(({ at }) => at >= from && at < to),
    )
  })

  await t.test('is read by the customer, secrets and hashes left out', async () => {
    const { secret, id } = await makeKey(obol, ids.account ?? '')
    const { status, text, body } = await call('GET', '/v1/journal?limit=100', undefined, { key: secret })
    assert.deepEqual([status, body.data[0].subject], [200, id])
    assert.ok(!text.includes('hash') && !text.includes('secret') && !text.includes(secret.slice(10)))
  })
})

test('events', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const ids = await oneOfEverything(obol)
  await openAccount(obol, '5')
  await oneOfEveryPurchase(obol)
  await oneOfEverySubscription(obol)
  await oneOfEveryAlert(obol)
  await oneOfEveryAutoTopup(obol)
  const read = async (after: string, limit: number): Promise<TestAnswer['body']> => {
    const { status, body, text } = await call('GET', `/v1/events?after=${after}&limit=${limit}`)
    assert.equal(status, 200, text)
    return body
  }
  const all: TestAnswer['body'][] = []
  let last = '0'
  for (let isMore = true; isMore; ) {
    const { data, next } = await read(last, 100)
    all.push(...data)
    isMore = next !== last
    last = next
  }

  await t.test('come oldest first, of all accounts, each with an id of its own and the record that it tells of', () => {
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length)
    for (const { object, id, type, account, created_at, record } of all) {
      assert.deepEqual([object, account, created_at], ['event', record.account, record.at])
      assert.match(id, /^evt_[0-9a-v]{16}_\d+$/)
      assert.ok(record.events.includes(type))
    }
    assert.equal(new Set(all.map(({ account }) => account)).size, 7)
    assert.deepEqual(
      all.map(({ created_at }) => created_at),
      all.map(({ created_at }) => created_at).toSorted(),
    )
  })

  await t.test('tell of everything that can happen', () => {
    const told = new Set(all.map(({ type }) => type))
    assert.deepEqual(
      Object.keys(EVENTS).filter((type) => !told.has(type)),
      [],
    )
  })

  await t.test('follow on from each other: none is missed and none told twice, whatever the limit', async () => {
    for (const limit of [1, 2, 3, 7, 100]) {
      const seen: string[] = []
      let after = '0'
      for (let pages = 0; pages < 200; pages++) {
        const { data, next } = await read(after, limit)
        if (next === after) break
        seen.push(...data.map(({ id }: { id: string }) => id))
        after = next
      }
      assert.deepEqual(
        seen,
        all.map(({ id }) => id),
        `limit ${limit}`,
      )
    }
  })

  await t.test('that come after the last are told when they have happened', async () => {
    const next = last
    assert.deepEqual(await read(next, 100), { object: 'events', data: [], next })
    await call('POST', '/v1/grants', { account: ids.account, amount: '1' })
    const { data } = await read(next, 100)
    assert.deepEqual(
      data.map(({ type }: { type: string }) => type),
      ['grant.created'],
    )
  })

  await t.test('are no more than were asked for', async () => {
    for (const limit of [1, 2, 3]) {
      let after = '0'
      for (let pages = 0; pages < 60; pages++) {
        const { data, next } = await read(after, limit)
        assert.ok(data.length <= limit, `limit ${limit} gave ${data.length}`)
        if (next === after) break
        after = next
      }
    }
  })

  await t.test('are asked for with a place, or not at all', async () => {
    for (const after of ['-1', '1.5', 'x', '', '9'.repeat(16), '1e3', ' 1'])
      assert.equal((await call('GET', `/v1/events?after=${encodeURIComponent(after)}`)).status, 400, after)
    assert.deepEqual((await read('999999999999999', 10)).data, [])
  })
})
