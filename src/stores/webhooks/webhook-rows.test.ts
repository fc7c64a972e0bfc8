/** What is promised of the rows of webhooks, on both engines. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openTestStore, STORE_KINDS, type StoreKind, TEST_START_MS } from '../../../test/running/store.ts'
import { DAY_MS, HOUR_MS } from '../../../test/running/store-commands.ts'
import { attemptId, type EndpointId, endpointId, replayId } from '../../core/ids.ts'
import type { Store } from '../store.ts'
import { type AttemptRow, MAX_KEPT_ATTEMPTS } from './attempts.ts'
import { type DeliveryKey, type DeliveryRow, MAX_RESENDS, type News } from './deliveries.ts'
import { type EndpointOwner, type EndpointRow, MAX_ENDPOINTS, type NewEndpoint } from './endpoints.ts'

const NOW = TEST_START_MS
const ADA = 7

function newEndpoint(number: number, changes: Partial<NewEndpoint> = {}): NewEndpoint {
  return {
    id: endpointId(BigInt(number)),
    owner: ADA,
    url: `https://hooks.example.com/${number}`,
    isByOperator: false,
    description: `the ${number}th, "quoted" \0`,
    filter: [],
    secret: `whsec_${number}`,
    nowMs: NOW + number,
    ...changes,
  }
}

async function addEndpoint(store: Store, number: number, changes: Partial<NewEndpoint> = {}): Promise<EndpointRow> {
  const added = await store.webhooks.endpoints.add(newEndpoint(number, changes))
  return typeof added === 'string' ? assert.fail(added) : added
}

const PROCESS_A = 'process a...'
const PROCESS_B = 'process b...'
/** How those who took something on in their first round are known. */
const [A, B] = [`${PROCESS_A}1`, `${PROCESS_B}1`]
const news = (endpoint: EndpointId, afterPlace: number, upToPlace: number, account = ADA): News => ({
  endpointId: endpoint,
  account,
  cause: '',
  afterPlace,
  upToPlace,
})

/** Tells news, and gives what waits then. */
async function told(
  { webhooks }: Store,
  all: readonly News[],
  nowMs = NOW,
): Promise<readonly (readonly [account: number, done: number, upTo: number])[]> {
  await webhooks.deliveries.tell(all, { replay: null, position: await webhooks.feed.position() }, nowMs)
  const [first] = all
  const rows = first ? await webhooks.deliveries.due(first.endpointId, nowMs + DAY_MS, 100) : []
  return rows.map(({ account, donePlace, toldPlace }) => [account, donePlace, toldPlace])
}

function take(store: Store, process: string, nowMs = NOW): Promise<readonly EndpointRow[]> {
  return store.webhooks.endpoints.take({ process, round: 1 }, nowMs, 100)
}

const idsOf = (rows: readonly EndpointRow[]): readonly EndpointId[] => rows.map(({ id }) => id)

for (const kind of STORE_KINDS)
  describe(`webhooks on ${kind}`, () => {
    endpointsContract(kind)
    takingContract(kind)
    deliveriesContract(kind)
    feedContract(kind)
    attemptsContract(kind)
  })

function endpointsContract(kind: StoreKind): void {
  test('an endpoint is what was said of it, over a restart too', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const made = await addEndpoint(store, 1, { filter: ['charge.*'] })
    assert.deepEqual(made, {
      id: 'whe_0000000000000001',
      owner: ADA,
      url: 'https://hooks.example.com/1',
      isByOperator: false,
      description: 'the 1th, "quoted" \0',
      filter: ['charge.*'],
      secret: 'whsec_1',
      previous: null,
      sinceMs: NOW + 1,
      disabled: null,
      health: { failures: 0, failingSinceMs: null, notBeforeMs: 0 },
      createdAtMs: NOW + 1,
      wakes: 0,
    })
    const operators = await addEndpoint(store, 2, { owner: 'operator', isByOperator: true })
    assert.deepEqual([operators.owner, operators.isByOperator], ['operator', true])
    const { webhooks } = await reopen()
    assert.deepEqual([await webhooks.endpoints.byId(made.id), await webhooks.endpoints.byId(operators.id)], [made, operators])
    assert.equal(await webhooks.endpoints.byId(endpointId(3n)), undefined)
  })

  test('an owner has an address once, and so many endpoints at most; another owner may have the same address', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { url, id } = await addEndpoint(store, 1)
    assert.equal(await store.webhooks.endpoints.add(newEndpoint(2, { url })), 'url_taken')
    await addEndpoint(store, 3, { url, owner: ADA + 1 })
    await addEndpoint(store, 4, { url, owner: 'operator' })
    for (let number = 100; number < 100 + MAX_ENDPOINTS.account - 1; number++) await addEndpoint(store, number)
    assert.equal(await store.webhooks.endpoints.add(newEndpoint(200)), 'too_many')
    assert.equal(await store.webhooks.endpoints.add(newEndpoint(201, { url })), 'url_taken')
    assert.deepEqual(
      idsOf(await store.webhooks.endpoints.list(ADA)).slice(0, 2),
      [100 + MAX_ENDPOINTS.account - 2, 100 + MAX_ENDPOINTS.account - 3].map((number) => endpointId(BigInt(number))),
      'newest first',
    )
    await store.webhooks.endpoints.remove(id)
    assert.equal(await store.webhooks.endpoints.byId(id), undefined)
    await addEndpoint(store, 202, { url })
  })

  test('what is not named stays as it is, and an address that the owner has elsewhere is not taken', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { endpoints } = store.webhooks
    const made = await addEndpoint(store, 1)
    const { url } = await addEndpoint(store, 2)
    assert.deepEqual(await endpoints.update(made.id, { description: 'b' }), { ...made, description: 'b' })
    assert.deepEqual(await endpoints.update(made.id, { filter: ['grant.created'], url: 'https://x.test/', isByOperator: true }), {
      ...made,
      description: 'b',
      filter: ['grant.created'],
      url: 'https://x.test/',
      isByOperator: true,
    })
    assert.equal(await endpoints.update(made.id, { url, description: 'c' }), 'url_taken')
    assert.equal((await endpoints.byId(made.id))?.description, 'b')
    assert.equal(await endpoints.update(endpointId(9n), { description: 'c' }), undefined)
    assert.deepEqual((await endpoints.rotate(made.id, 'whsec_next', NOW + 5))?.previous, { secret: 'whsec_1', untilMs: NOW + 5 })
    assert.equal((await endpoints.byId(made.id))?.secret, 'whsec_next')
  })

  test('a disabled endpoint hears nothing until it is enabled, and then of what happens from then on', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { endpoints } = store.webhooks
    assert.equal(await endpoints.hearing(), undefined)
    const { id } = await addEndpoint(store, 1)
    assert.deepEqual(await endpoints.hearing(), { sinceMs: NOW + 1, ofAccounts: true })
    assert.deepEqual((await endpoints.disable(id, 'gone', NOW + 2))?.disabled, { reason: 'gone', atMs: NOW + 2 })
    assert.equal(await endpoints.disable(id, 'requested', NOW + 3), undefined)
    assert.equal(await endpoints.hearing(), undefined)
    assert.deepEqual(await endpoints.hearingOf([ADA]), [])
    await addEndpoint(store, 2, { owner: 'operator' })
    assert.deepEqual(await endpoints.hearing(), { sinceMs: NOW + 2, ofAccounts: false })
    const enabled = await endpoints.enable(id, NOW + 9)
    assert.deepEqual([enabled?.disabled, enabled?.sinceMs], [null, NOW + 9])
    assert.equal(await endpoints.enable(id, NOW + 10), undefined)
  })

  test('the endpoints of many accounts are found together', async (t) => {
    const { store } = await openTestStore(t, kind)
    const owners: readonly EndpointOwner[] = ['operator', ...Array.from({ length: 120 }, (_, number) => number)]
    for (const [number, owner] of owners.entries()) await addEndpoint(store, number, { owner })
    const found = await store.webhooks.endpoints.hearingOf(owners)
    assert.deepEqual(new Set(found.map(({ owner }) => owner)), new Set(owners))
    assert.deepEqual(await store.webhooks.endpoints.hearingOf([1_000]), [])
    assert.deepEqual(await store.webhooks.endpoints.hearingOf([]), [])
  })
}

function takingContract(kind: StoreKind): void {
  test('endpoints are taken on that have something to do, by one process after the other', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { endpoints } = store.webhooks
    const ids: EndpointId[] = []
    for (let number = 0; number < 30; number++) ids.push((await addEndpoint(store, number, { owner: number })).id)
    assert.deepEqual(await take(store, PROCESS_A), [], 'nothing is to be done')
    await endpoints.wake(ids.slice(0, 20), NOW)
    assert.deepEqual(await take(store, PROCESS_A, NOW - 1), [], 'not before it is due')
    const taken = await Promise.all(Array.from({ length: 8 }, () => take(store, PROCESS_A)))
    assert.deepEqual(idsOf(taken.flat()).toSorted(), ids.slice(0, 20), 'each once, however often it asks')
    assert.deepEqual(await endpoints.take({ process: PROCESS_A, round: 2 }, NOW, 100), [])
    assert.equal((await endpoints.take({ process: PROCESS_B, round: 1 }, NOW, 7)).length, 7, 'no more than asked for')
    assert.equal((await take(store, PROCESS_B)).length, 13)
    const [first, second] = ids as [EndpointId, EndpointId]
    await endpoints.free(first, A)
    await endpoints.free(second, B)
    assert.deepEqual(idsOf(await take(store, PROCESS_B)), [second], 'only who has it frees it')
  })

  test('whoever lets go of an endpoint hears whether something was told to it meanwhile', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { endpoints } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    await endpoints.wake([id], NOW)
    const [first] = await take(store, PROCESS_A)
    assert.ok(first)
    assert.deepEqual([first.wakes, await endpoints.letGo(first, B)], [1, false], 'not by somebody else')
    await endpoints.wake([id], NOW)
    assert.equal(await endpoints.letGo(first, A), false)
    assert.equal(await endpoints.letGo({ id, wakes: 2 }, A), true)
    assert.deepEqual(await take(store, PROCESS_A, NOW + DAY_MS), [], 'nothing waits')
  })

  test('an endpoint that is let go is due when its next delivery is, and not before it may be sent anything', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { endpoints, deliveries } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    await told(store, [news(id, 0, 20), news(id, 0, 20, 8)])
    await endpoints.wake([id], NOW)
    await take(store, PROCESS_A)
    const step = { endpointId: id, cause: '', attempts: 1, firstAttemptMs: NOW, donePlace: 0 }
    await deliveries.settle(
      [
        { ...step, account: ADA, dueMs: NOW + 5_000 },
        { ...step, account: 8, dueMs: NOW + 9_000 },
      ],
      A,
    )
    assert.equal(await endpoints.noteHealth(id, { failures: 3, failingSinceMs: NOW, notBeforeMs: NOW + 7_000 }, A), true)
    assert.equal(await endpoints.noteHealth(id, { failures: 9, failingSinceMs: NOW, notBeforeMs: 0 }, B), false)
    assert.equal(await endpoints.letGo({ id, wakes: 1 }, A), true)
    assert.deepEqual(await take(store, PROCESS_A, NOW + 6_999), [])
    const [again] = await take(store, PROCESS_A, NOW + 7_000)
    assert.deepEqual(again?.health, { failures: 3, failingSinceMs: NOW, notBeforeMs: NOW + 7_000 })
  })

  test('whoever delivers to an endpoint that is disabled finds out when they settle', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { endpoints, deliveries } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    await told(store, [news(id, 0, 20)])
    await endpoints.wake([id], NOW)
    await take(store, PROCESS_A)
    await endpoints.disable(id, 'requested', NOW)
    const step = { endpointId: id, account: ADA, cause: '', attempts: 0, firstAttemptMs: null, donePlace: 20, dueMs: NOW }
    assert.equal(await deliveries.settle([step], A), false)
    assert.deepEqual(await take(store, PROCESS_B, NOW + DAY_MS), [], 'a disabled endpoint is taken by nobody')
    await endpoints.remove(id)
    assert.equal(await deliveries.settle([step], A), false)
  })
}

function deliveriesContract(kind: StoreKind): void {
  test('news of an account goes on from where it waits, and begins after what was not for the endpoint', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { id } = await addEndpoint(store, 1)
    assert.deepEqual(await told(store, [news(id, 15, 16)]), [[ADA, 15, 16]])
    assert.deepEqual(await told(store, [news(id, 31, 48)]), [[ADA, 15, 48]], 'what waits is not skipped')
    assert.deepEqual(await told(store, [news(id, 15, 32)]), [[ADA, 15, 48]], 'told again, it is nothing new')
    await store.webhooks.endpoints.wake([id], NOW)
    await take(store, PROCESS_A)
    const done = { endpointId: id, account: ADA, cause: '', attempts: 0, firstAttemptMs: null, dueMs: NOW }
    assert.equal(await store.webhooks.deliveries.settle([{ ...done, donePlace: 48 }], A), true)
    assert.deepEqual(await told(store, [news(id, 31, 48)]), [], 'what was heard is not told again')
    assert.deepEqual(await told(store, [news(id, 159, 160)]), [[ADA, 159, 160]], 'what was not for it is skipped')
  })

  test('news is written only while the feed stands where it was read, and only for endpoints that hear', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { deliveries, feed, endpoints } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    const other = await addEndpoint(store, 2)
    await endpoints.disable(other.id, 'requested', NOW)
    assert.equal(await feed.move(0, 10), true)
    await deliveries.tell([news(id, 0, 16)], { replay: null, position: 0 }, NOW)
    assert.deepEqual(await deliveries.due(id, NOW, 10), [])
    await deliveries.tell([news(id, 0, 16), news(other.id, 0, 16), news(endpointId(99n), 0, 16)], { replay: null, position: 10 }, NOW)
    assert.deepEqual([(await deliveries.due(id, NOW, 10)).length, (await deliveries.due(other.id, NOW, 10)).length], [1, 0])
  })

  test('many deliveries are told, read and settled together, the longest waiting first', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { deliveries, endpoints } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    const accounts = Array.from({ length: 75 }, (_, account) => account)
    await told(
      store,
      accounts.map((account) => news(id, 0, 16 * (account + 1), account)),
    )
    assert.deepEqual(await deliveries.waiting(id), { accounts: 75, nextMs: NOW })
    await endpoints.wake([id], NOW)
    await take(store, PROCESS_A)
    const step = (account: number) => ({
      endpointId: id,
      account,
      cause: '',
      donePlace: 1,
      attempts: 2,
      firstAttemptMs: NOW - 1,
      dueMs: NOW + account,
    })
    assert.equal(await deliveries.settle(accounts.map(step), A), true)
    const rows = await deliveries.due(id, NOW + 70, 100)
    assert.deepEqual(
      rows.map(({ account }) => account),
      accounts.slice(0, 71),
    )
    const expected: DeliveryRow = { ...step(0), toldPlace: 16 }
    assert.deepEqual(rows[0], expected)
    assert.equal((await deliveries.due(id, NOW + 70, 5)).length, 5)
    await deliveries.hasten(id, NOW + 3)
    assert.deepEqual(
      (await deliveries.due(id, NOW + 3, 100)).map(({ dueMs }) => dueMs - NOW),
      accounts.map((account) => Math.min(account, 3)),
    )
    await deliveries.forget(id)
    assert.equal(await deliveries.waiting(id), null)
  })

  test('an event is sent again as often as that is asked for, and only at an endpoint that hears', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { deliveries, endpoints } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    const again = (event = 'evt_1_0'): Promise<boolean> => deliveries.resend(id, ADA, event, NOW)
    assert.equal(await again(), true)
    await endpoints.wake([id], NOW)
    await take(store, PROCESS_A)
    const key: DeliveryKey = { endpointId: id, account: ADA, cause: 'evt_1_0' }
    assert.equal(await again(), true, 'asked for while it is on its way')
    await deliveries.settle([{ ...key, donePlace: 1, attempts: 0, firstAttemptMs: null, dueMs: NOW }], A)
    assert.deepEqual(await deliveries.waiting(id), { accounts: 1, nextMs: NOW }, 'it is sent once more')
    await deliveries.settle([{ ...key, donePlace: 2, attempts: 0, firstAttemptMs: null, dueMs: NOW }], A)
    assert.equal(await deliveries.waiting(id), null)
    assert.equal(await again(), true)
    assert.deepEqual(await deliveries.due(id, NOW, 10), [
      { ...key, donePlace: 2, toldPlace: 3, attempts: 0, firstAttemptMs: null, dueMs: NOW },
    ])
    assert.equal(await deliveries.isReplaying(id), false)
    const part = { ...news(id, 15, 63), cause: replayId(1n) }
    assert.equal(await deliveries.replay(part, NOW), true)
    assert.equal(await deliveries.isReplaying(id), true)
    for (let number = 1; number < MAX_RESENDS; number++) assert.equal(await again(`evt_1_${number}`), true)
    assert.equal(await again('evt_2_0'), false, 'no more may wait')
    await endpoints.disable(id, 'requested', NOW)
    await deliveries.forget(id)
    assert.deepEqual([await again(), await deliveries.replay(part, NOW)], [false, false])
  })

  test('what was heard is removed: what was sent again at once, and the rest after a while; what waits never', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { deliveries } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    const count = async (): Promise<number> => (await deliveries.due(id, NOW + DAY_MS, 100)).length
    await told(store, [news(id, 0, 16), news(id, 16, 16, 8), news(id, 16, 16, 9)])
    await deliveries.resend(id, ADA, 'evt_1_0', NOW)
    await store.webhooks.endpoints.wake([id], NOW)
    await take(store, PROCESS_A)
    const again = { endpointId: id, account: ADA, cause: 'evt_1_0', donePlace: 1, attempts: 0, firstAttemptMs: null, dueMs: NOW }
    await deliveries.settle([again], A)
    await deliveries.removeDone(NOW)
    assert.deepEqual(await told(store, [news(id, 0, 16, 8)], NOW + 1), [[ADA, 0, 16]], 'that it was heard is still known')
    await deliveries.removeDone(NOW + DAY_MS)
    assert.equal(await count(), 1)
    assert.deepEqual(await told(store, [news(id, 0, 16, 8)], NOW + 1), [
      [ADA, 0, 16],
      [8, 0, 16],
    ])
  })
}

function feedContract(kind: StoreKind): void {
  test('the reading of the feed moves on only from where it stood', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const { feed } = store.webhooks
    assert.equal(await feed.position(), 0)
    assert.deepEqual([await feed.move(0, 5), await feed.move(0, 7), await feed.move(5, 8)], [true, false, true])
    assert.equal(await (await reopen()).webhooks.feed.position(), 8)
  })

  test('an endpoint has one replay at a time, which moves on only from where it stood', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { feed, deliveries, endpoints } = store.webhooks
    const { id } = await addEndpoint(store, 1, { owner: 'operator' })
    const replay = { endpointId: id, id: replayId(1n), startMs: NOW, endMs: NOW + HOUR_MS, position: null }
    assert.equal(await feed.addReplay(replay), true)
    assert.equal(await feed.addReplay({ ...replay, id: replayId(2n) }), false)
    assert.deepEqual([await feed.replays(), await feed.replayOf(id)], [[replay], replay])
    await feed.moveReplay(replay, 100)
    await feed.moveReplay(replay, 300)
    await feed.moveReplay({ ...replay, position: 99 }, 300)
    assert.equal((await feed.replayOf(id))?.position, 100)
    const again = { ...news(id, 0, 16), cause: replay.id }
    await deliveries.tell([again], { replay: id, position: 99 }, NOW)
    assert.deepEqual(await deliveries.due(id, NOW, 10), [])
    await deliveries.tell([again], { replay: id, position: 100 }, NOW)
    assert.equal((await deliveries.due(id, NOW, 10)).length, 1)
    await feed.endReplay(replayId(1n))
    assert.equal(await feed.addReplay(replay), true)
    await feed.endReplayOf(id)
    await feed.addReplay(replay)
    await endpoints.remove(id)
    assert.deepEqual(await feed.replays(), [])
  })
}

function attempt(endpoint: EndpointId, number: number, changes: Partial<AttemptRow> = {}): AttemptRow {
  return {
    id: attemptId(NOW + Math.floor(number / 10), number),
    endpointId: endpoint,
    eventId: `evt_${number % 3}`,
    eventType: 'charge.created',
    cause: '',
    number: 1,
    atMs: NOW + number,
    durationMs: 12,
    outcome: 'failed',
    statusCode: 500,
    failure: 'not_accepted',
    nextMs: NOW + 5_000,
    ...changes,
  }
}

function attemptsContract(kind: StoreKind): void {
  test('attempts are listed newest first, in pages both ways, and by event', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { attempts } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    const other = await addEndpoint(store, 2)
    const made = Array.from({ length: 50 }, (_, number) => attempt(id, number))
    made.push(attempt(id, 50, { outcome: 'delivered', statusCode: 200, failure: null, nextMs: null }))
    await attempts.add(made)
    await attempts.add(made)
    await attempts.add([attempt(other.id, 1), attempt(endpointId(99n), 1)])
    assert.deepEqual(await attempts.list(id, { limit: 100 }), made.toReversed())
    assert.deepEqual(await attempts.list(id, { limit: 2, before: attempt(id, 40).id }), [made[39], made[38]])
    assert.deepEqual(await attempts.list(id, { limit: 2, after: attempt(id, 40).id }), [made[41], made[42]])
    assert.deepEqual(
      await attempts.list(id, { limit: 100, eventId: 'evt_1' }),
      made.filter(({ eventId }) => eventId === 'evt_1').toReversed(),
    )
    assert.equal((await attempts.list(other.id, { limit: 10 })).length, 1)
    await attempts.removeBefore(NOW + 45)
    assert.equal((await attempts.list(id, { limit: 100 })).length, 6)
    await store.webhooks.endpoints.remove(id)
    assert.deepEqual(await attempts.list(id, { limit: 10 }), [])
  })

  test(`an endpoint's newest ${MAX_KEPT_ATTEMPTS} attempts are kept`, async (t) => {
    const { store } = await openTestStore(t, kind)
    const { attempts } = store.webhooks
    const { id } = await addEndpoint(store, 1)
    const other = await addEndpoint(store, 2)
    await attempts.add([attempt(other.id, 0), ...Array.from({ length: MAX_KEPT_ATTEMPTS + 10 }, (_, number) => attempt(id, number))])
    await attempts.removeOldest(id)
    const kept = await attempts.list(id, { limit: 2_000 })
    assert.deepEqual(
      [kept.length, kept.at(-1)?.id, kept[0]?.id],
      [MAX_KEPT_ATTEMPTS, attempt(id, 10).id, attempt(id, MAX_KEPT_ATTEMPTS + 9).id],
    )
    await attempts.removeOldest(id)
    assert.equal((await attempts.list(id, { limit: 2_000 })).length, MAX_KEPT_ATTEMPTS)
    assert.equal((await attempts.list(other.id, { limit: 10 })).length, 1)
  })
}
