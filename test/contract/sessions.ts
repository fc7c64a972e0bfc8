/** Sessions: what a pair of tokens opens, that a refresh token is used once, and what ends it all. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { userId } from '../../src/core/ids.ts'
import { MAX_SESSIONS, type NewSession, type Standing, type TokenHashes } from '../../src/stores/sessions.ts'
import type { Store } from '../../src/stores/store.ts'
import type { UserRow } from '../../src/stores/users.ts'
import { type ContractKind, openTestStore, TEST_START_MS } from '../running/store.ts'
import { DAY_MS } from '../running/store-commands.ts'
import { acceptedBy, addUser } from './users.ts'

const NOW = TEST_START_MS
const ACCOUNT = 42
const EMAIL = { text: 'Ada@x.y', key: 'ada@x.y' }

const tokens = (name: string): TokenHashes => ({ access: `access ${name}`, refresh: `refresh ${name}` })

interface Scene {
  readonly store: Store
  readonly user: UserRow
  readonly open: (id: string, more?: Partial<NewSession>) => Promise<void>
  readonly standing: (name: string, nowMs?: number) => Promise<Standing | undefined>
  readonly refresh: (name: string, next: string, more?: { readonly account?: number; readonly nowMs?: number }) => Promise<boolean>
}

async function signedIn(t: TestContext, kind: ContractKind): Promise<Scene> {
  const { store } = await openTestStore(t, kind)
  await addUser(store, 1n, EMAIL)
  const user = await acceptedBy(store, EMAIL, 'p')
  await store.users.join(user.id, { account: ACCOUNT, role: 'owner' }, NOW)
  const session = { userId: user.id, epoch: user.epoch, addressMark: 'home', account: ACCOUNT, nowMs: NOW, untilMs: NOW + DAY_MS }
  const scene: Scene = {
    store,
    user,
    open: (id, more = {}) => store.sessions.open({ id, tokens: tokens(id), ...session, ...more }),
    standing: (name, nowMs = NOW) => store.sessions.standing(tokens(name).access, nowMs),
    refresh: (name, next, { account = null, nowMs = NOW } = { account: null as never }) =>
      store.sessions.refresh(tokens(name).refresh, { tokens: tokens(next), account, nowMs }),
  }
  await scene.open('s')
  return scene
}

export function sessionsContract(kind: ContractKind): void {
  test('an access token opens what its user may at that moment, until the session ends', async (t) => {
    const { store, user, open, standing } = await signedIn(t, kind)
    const shown = { session: 's', userId: user.id, email: 'Ada@x.y', isOperator: false, account: ACCOUNT, untilMs: NOW + DAY_MS }
    assert.deepEqual(await standing('s'), { ...shown, role: 'owner', isLive: true })
    assert.equal(await standing('none'), undefined)
    await store.users.join(user.id, { account: ACCOUNT, role: 'member' }, NOW)
    assert.equal((await standing('s'))?.role, 'member')
    await store.users.leave(user.id, ACCOUNT)
    assert.deepEqual(await standing('s'), { ...shown, role: null, isLive: true })
    assert.equal((await standing('s', NOW + DAY_MS))?.isLive, false)
    await open('o', { account: null })
    assert.deepEqual([(await standing('o'))?.account, (await standing('o'))?.role], [null, null])
  })

  test('a session is over when its user signs out, changes the password, or is disabled; and stays over', async (t) => {
    const { store, user, open, standing, refresh } = await signedIn(t, kind)
    await open('out')
    await store.sessions.end('out', 'sign_out', NOW)
    await store.sessions.end('out', 'reuse', NOW + 1)
    assert.deepEqual([(await standing('out'))?.isLive, (await standing('s'))?.isLive], [false, true])
    await store.users.changePassword(user.id, { from: 'p', to: 'q' })
    assert.deepEqual([(await standing('s'))?.isLive, await refresh('s', 's2')], [false, false])
    await open('stale')
    assert.equal((await standing('stale'))?.isLive, false, 'opened with a password that has been changed meanwhile')
    await open('new', { epoch: user.epoch + 1 })
    await store.users.update(user.id, { isDisabled: true }, NOW)
    assert.deepEqual([(await standing('new'))?.isLive, await refresh('new', 'new2')], [false, false])
    await store.users.update(user.id, { isDisabled: false }, NOW)
    assert.equal((await standing('new'))?.isLive, false)
  })

  test('a refresh token is used once, whoever comes at the same time; both access tokens work on', async (t) => {
    const { store, standing, refresh } = await signedIn(t, kind)
    let current = 's'
    for (let round = 0; round < 4; round++) {
      const names = Array.from({ length: 12 }, (_, index) => `${round} ${index}`)
      const used = await Promise.all(names.map((name) => refresh(current, name, { nowMs: NOW + round })))
      const winners = names.filter((_, index) => used[index])
      assert.equal(winners.length, 1)
      assert.deepEqual(await store.sessions.refreshToken(tokens(current).refresh, NOW), {
        session: 's',
        usedAtMs: NOW + round,
        isLive: true,
      })
      for (const name of names) assert.equal((await standing(name)) !== undefined, winners.includes(name))
      current = winners[0] ?? ''
    }
    assert.deepEqual(await store.sessions.refreshToken(tokens(current).refresh, NOW), { session: 's', usedAtMs: null, isLive: true })
    assert.equal(await store.sessions.refreshToken('nobody', NOW), undefined)
    for (const name of ['s', current]) assert.deepEqual([(await standing(name))?.isLive, (await standing(name))?.account], [true, ACCOUNT])
  })

  test('a refresh token of a session that is over, or of an account that was left, is not used', async (t) => {
    const { store, user, open, refresh } = await signedIn(t, kind)
    assert.equal(await refresh('s', 's2', { nowMs: NOW + DAY_MS }), false)
    await open('out')
    await store.sessions.end('out', 'sign_out', NOW)
    assert.equal(await refresh('out', 'out2'), false)
    assert.equal((await store.sessions.refreshToken('refresh out', NOW))?.isLive, false)
    await store.users.leave(user.id, ACCOUNT)
    assert.equal(await refresh('s', 's2'), false)
    assert.deepEqual(await store.sessions.refreshToken('refresh s', NOW), { session: 's', usedAtMs: null, isLive: true })
    await store.users.join(user.id, { account: ACCOUNT, role: 'member' }, NOW)
    assert.equal(await refresh('s', 's2'), true)
  })

  test('a refresh token leads to another account of its user, and to no other', async (t) => {
    const { store, user, standing, refresh } = await signedIn(t, kind)
    await store.users.join(user.id, { account: 43, role: 'member' }, NOW)
    assert.equal(await refresh('s', 'x', { account: 44 }), false)
    assert.equal(await refresh('s', 'two', { account: 43 }), true)
    assert.deepEqual([(await standing('two'))?.account, (await standing('two'))?.role], [43, 'member'])
    assert.equal(await refresh('two', 'three'), true)
    assert.equal((await standing('three'))?.account, 43, 'it stays there')
  })

  test('a token for what operators may is refreshed for operators alone', async (t) => {
    const { store, user, open, standing, refresh } = await signedIn(t, kind)
    await open('o', { account: null })
    assert.equal(await refresh('o', 'o2'), false)
    await store.users.update(user.id, { isOperator: true }, NOW)
    assert.equal(await refresh('o', 'o2'), true)
    assert.deepEqual([(await standing('o2'))?.account, (await standing('o2'))?.isOperator], [null, true])
    assert.equal(await refresh('o2', 'o3', { account: ACCOUNT }), true)
    assert.deepEqual([(await standing('o3'))?.account, (await standing('o3'))?.role], [ACCOUNT, 'owner'])
  })

  test('a user has so many sessions at most, and the oldest make room', async (t) => {
    const { store, standing, open } = await signedIn(t, kind)
    await addUser(store, 9n, { text: 'o@x.y', key: 'o@x.y' })
    await open('other', { userId: userId(9n), epoch: 0 })
    for (let index = 0; index < MAX_SESSIONS; index++) await open(`n${index}`, { nowMs: NOW + 1 + index })
    assert.equal(await standing('s'), undefined)
    assert.equal(await store.sessions.refreshToken('refresh s', NOW), undefined)
    assert.equal((await standing('n0'))?.isLive, true)
    await open('last', { nowMs: NOW + 1_000 })
    assert.deepEqual([await standing('n0'), (await standing('other'))?.isLive], [undefined, true])
  })

  test('the addresses of sessions are known, and sessions that are over are removed with their tokens', async (t) => {
    const { store, user, open, standing, refresh } = await signedIn(t, kind)
    await refresh('s', 's2')
    await open('long', { untilMs: NOW + 9 * DAY_MS, addressMark: 'office' })
    const known = (mark: string): Promise<boolean> => store.sessions.isKnownAddress(user.id, mark)
    assert.deepEqual([await known('home'), await known('office'), await known('elsewhere')], [true, true, false])
    assert.equal(await store.sessions.isKnownAddress(userId(9n), 'home'), false)
    let rounds = 0
    while (await store.sessions.removeEnded(NOW + DAY_MS + 1)) rounds++
    assert.equal(rounds, 2, 'tokens first, then sessions')
    assert.deepEqual([await standing('s'), await standing('s2'), (await standing('long'))?.isLive], [undefined, undefined, true])
    assert.deepEqual([await known('home'), await known('office')], [false, true])
  })
}
