/** Users, their memberships and the keys that sign for them: plain rows, beside the ledger. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { userId } from '../../src/core/ids.ts'
import type { Store } from '../../src/stores/store.ts'
import { type Email, MAX_MEMBERSHIPS, type OneTimeToken, type UserRow } from '../../src/stores/users.ts'
import { type ContractKind, openTestStore, TEST_START_MS } from '../running/store.ts'
import { DAY_MS } from '../running/store-commands.ts'

const NOW = TEST_START_MS
const ADA: Email = { text: 'Ada@Example.com', key: 'ada@example.com' }
const BOB: Email = { text: 'bob@example.com', key: 'bob@example.com' }

const NOBODY = userId(99n)

const token = (hash: string, purpose: OneTimeToken['purpose'] = 'invitation'): OneTimeToken => ({ hash, purpose, untilMs: NOW + DAY_MS })

/** Invites a user. */
export async function addUser(store: Store, number: bigint, email: Email, isOperator = false): Promise<UserRow> {
  const user = { id: userId(number), email, isOperator, invitation: token(`invitation of ${email.key}`), nowMs: NOW + Number(number) }
  return (await store.users.add(user)) ?? assert.fail('the address is taken')
}

/** Has an invited user choose a password. */
export async function acceptedBy(store: Store, email: Email, password: string): Promise<UserRow> {
  const set = { password, email: null, nowMs: NOW }
  return userIn(await store.users.redeem(`invitation of ${email.key}`, set)) ?? assert.fail('the invitation does not work')
}

/** A user, of whom it must not be said that another one has the address. */
function userIn(answer: UserRow | undefined | 'email_taken'): UserRow | undefined {
  assert.ok(answer !== 'email_taken')
  return answer
}

export function usersContract(kind: ContractKind): void {
  test('a user is what was said of them, is found by id and by address, and no other has the address', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const ada = await addUser(store, 1n, ADA)
    assert.deepEqual(ada, {
      id: 'user_0000000000000001',
      email: 'Ada@Example.com',
      password: null,
      isOperator: false,
      disabledAtMs: null,
      epoch: 0,
      oneTimeUntilMs: NOW + DAY_MS,
      createdAtMs: NOW + 1,
    })
    const again = {
      id: userId(2n),
      email: { text: 'ADA@example.com', key: ADA.key },
      isOperator: true,
      invitation: token('other'),
      nowMs: NOW,
    }
    assert.equal(await store.users.add(again), undefined)
    const reopened = await reopen()
    assert.deepEqual([await reopened.users.byId(ada.id), await reopened.users.byEmail(ADA.key)], [ada, ada])
    assert.deepEqual([await reopened.users.byId(again.id), await reopened.users.byEmail('Ada@Example.com')], [undefined, undefined])
    assert.equal((await addUser(reopened, 3n, BOB, true)).isOperator, true)
  })

  test('a one-time token sets a password once, before its time is up, for its purpose and its user alone', async (t) => {
    const { store } = await openTestStore(t, kind)
    const ada = await addUser(store, 1n, ADA)
    const bob = await addUser(store, 2n, BOB)
    const hash = `invitation of ${ADA.key}`
    assert.equal((await store.users.byOneTime(hash, 'invitation', NOW))?.id, ada.id)
    assert.equal(await store.users.byOneTime(hash, 'password_reset', NOW), undefined)
    assert.equal(await store.users.byOneTime(hash, 'invitation', NOW + DAY_MS), undefined)
    assert.equal(await store.users.redeem(hash, { password: 'p', email: null, nowMs: NOW + DAY_MS }), undefined)
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => store.users.redeem(hash, { password: `password ${index}`, email: null, nowMs: NOW })),
    )
    const [set, ...others] = answers.map(userIn).filter((answer) => answer !== undefined)
    assert.deepEqual([set?.id, set?.epoch, set?.oneTimeUntilMs, others.length], [ada.id, 1, null, 0])
    assert.deepEqual(await store.users.byId(ada.id), set)
    assert.equal((await store.users.byId(bob.id))?.password, null)
  })

  test('a user without a password is invited again, one with a password is offered a reset, and the last token alone works', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { id } = await addUser(store, 1n, ADA)
    assert.equal(await store.users.offer(id, token('r1', 'password_reset')), undefined)
    assert.equal((await store.users.offer(id, token('i2')))?.oneTimeUntilMs, NOW + DAY_MS)
    assert.equal(await store.users.redeem(`invitation of ${ADA.key}`, { password: 'p', email: null, nowMs: NOW }), undefined)
    assert.equal(userIn(await store.users.redeem('i2', { password: 'p', email: null, nowMs: NOW }))?.password, 'p')
    assert.equal(await store.users.offer(id, token('i3')), undefined)
    await store.users.offer(id, token('r2', 'password_reset'))
    assert.equal((await store.users.byOneTime('r2', 'password_reset', NOW))?.id, id)
    const changed = await store.users.changePassword(id, { from: 'p', to: 'q' })
    assert.deepEqual([changed?.password, changed?.epoch, changed?.oneTimeUntilMs], ['q', 2, null])
    assert.equal(await store.users.redeem('r2', { password: 'x', email: null, nowMs: NOW }), undefined, 'a changed password ends the reset')
  })

  test('a password is changed from the one that was known, and kept in another form without an effect', async (t) => {
    const { store } = await openTestStore(t, kind)
    await addUser(store, 1n, ADA)
    const { id, epoch } = await acceptedBy(store, ADA, 'p')
    await store.users.keepPasswordAs(id, { from: 'wrong', to: 'x' })
    await store.users.keepPasswordAs(id, { from: 'p', to: 'p, better' })
    const kept = await store.users.byId(id)
    assert.deepEqual([kept?.password, kept?.epoch], ['p, better', epoch])
    const changes = await Promise.all(
      Array.from({ length: 8 }, (_, index) => store.users.changePassword(id, { from: 'p, better', to: `${index}` })),
    )
    assert.equal(changes.filter((change) => change !== undefined).length, 1)
  })

  test('the first operator user is invited once, says their own address, and is given another token until they have', async (t) => {
    const { store } = await openTestStore(t, kind)
    await addUser(store, 5n, BOB)
    const id = userId(0n)
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, index) => store.users.addOperator(id, token(`b${index}`), { nowMs: NOW, isRenewed: false })),
    )
    assert.equal(made.filter((user) => user !== undefined).length, 1)
    const renewed = await store.users.addOperator(id, token('again'), { nowMs: NOW + 1, isRenewed: true })
    assert.deepEqual([renewed?.email, renewed?.isOperator, renewed?.createdAtMs], [null, true, NOW])
    assert.equal(await store.users.redeem('again', { password: 'p', email: BOB, nowMs: NOW }), 'email_taken')
    await assert.rejects(store.users.redeem('again', { password: 'p', email: null, nowMs: NOW }), /constraint/)
    const user = userIn(await store.users.redeem('again', { password: 'p', email: ADA, nowMs: NOW }))
    assert.deepEqual([user?.email, user?.isOperator, user?.epoch], ['Ada@Example.com', true, 1])
    assert.equal((await store.users.byEmail(ADA.key))?.id, id)
    assert.equal(await store.users.addOperator(id, token('late'), { nowMs: NOW, isRenewed: true }), undefined)
  })

  test('a user is changed, disabled and let in again; another’s address changes nothing', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { id } = await addUser(store, 1n, ADA)
    await addUser(store, 2n, BOB)
    assert.equal(await store.users.update(id, { email: BOB, isOperator: true }, NOW), 'email_taken')
    assert.equal((await store.users.byId(id))?.isOperator, false)
    const moved = userIn(await store.users.update(id, { email: { text: 'Ada@Other.com', key: 'ada@other.com' }, isOperator: true }, NOW))
    assert.deepEqual([moved?.email, moved?.isOperator, moved?.oneTimeUntilMs], ['Ada@Other.com', true, NOW + DAY_MS])
    const disabled = userIn(await store.users.update(id, { isDisabled: true }, NOW + 5))
    assert.deepEqual([disabled?.disabledAtMs, disabled?.epoch, disabled?.oneTimeUntilMs], [NOW + 5, 1, null])
    assert.equal(userIn(await store.users.update(id, { isDisabled: true }, NOW + 9))?.disabledAtMs, NOW + 5, 'since when stays')
    await store.users.offer(id, token('i2'))
    assert.equal(await store.users.byOneTime('i2', 'invitation', NOW), undefined, 'who is disabled sets no password')
    assert.equal(await store.users.redeem('i2', { password: 'p', email: null, nowMs: NOW }), undefined)
    const enabled = userIn(await store.users.update(id, { isDisabled: false, isOperator: false }, NOW + 10))
    assert.deepEqual([enabled?.disabledAtMs, enabled?.isOperator, enabled?.epoch], [null, false, 2])
    assert.equal(await store.users.update(NOBODY, { isDisabled: true }, NOW), undefined)
  })

  test('memberships are one per account, in the order in which they were made, and at most so many', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { id } = await addUser(store, 1n, ADA)
    const { id: other } = await addUser(store, 2n, BOB)
    assert.equal(await store.users.join(NOBODY, { account: 1, role: 'owner' }, NOW), false)
    assert.equal(await store.users.join(id, { account: 7, role: 'member' }, NOW), true)
    assert.equal(await store.users.join(id, { account: 3, role: 'owner' }, NOW + 1), true)
    assert.equal(await store.users.join(id, { account: 7, role: 'owner' }, NOW + 2), true)
    assert.equal(await store.users.join(other, { account: 7, role: 'member' }, NOW), true)
    const memberships = await store.users.memberships([id, other, NOBODY])
    assert.deepEqual(memberships.get(id), [
      { account: 7, role: 'owner' },
      { account: 3, role: 'owner' },
    ])
    assert.deepEqual([memberships.get(other), memberships.get(NOBODY)], [[{ account: 7, role: 'member' }], []])
    assert.deepEqual([await store.users.leave(id, 7), await store.users.leave(id, 7)], [true, false])
    assert.deepEqual((await store.users.memberships([other])).get(other), [{ account: 7, role: 'member' }])
    for (let account = 100; account < 100 + MAX_MEMBERSHIPS - 1; account++)
      assert.equal(await store.users.join(id, { account, role: 'member' }, NOW + account), true)
    assert.equal(await store.users.join(id, { account: 9, role: 'member' }, NOW), false)
    assert.equal(await store.users.join(id, { account: 3, role: 'member' }, NOW), true, 'a role may change all the same')
  })

  test('users are listed newest first, by pages in both directions, and by account', async (t) => {
    const { store } = await openTestStore(t, kind)
    const made: UserRow[] = []
    for (let number = 1n; number <= 7n; number++)
      made.unshift(await addUser(store, number, { text: `u${number}@x.y`, key: `u${number}@x.y` }))
    const [seventh, sixth, fifth, fourth, third, second, first] = made
    assert.ok(seventh && sixth && fifth && fourth && third && second && first)
    assert.deepEqual(await store.users.list({ limit: 99 }), made)
    assert.deepEqual(await store.users.list({ limit: 2, before: sixth }), [fifth, fourth])
    assert.deepEqual(await store.users.list({ limit: 2, after: second }), [third, fourth])
    for (const { id } of [first, third, sixth]) await store.users.join(id, { account: 5, role: 'member' }, NOW)
    await store.users.join(second.id, { account: 6, role: 'member' }, NOW)
    assert.deepEqual(await store.users.list({ limit: 9, account: 5 }), [sixth, third, first])
    assert.deepEqual(await store.users.list({ limit: 9, account: 5, before: sixth }), [third, first])
    assert.deepEqual(await store.users.list({ limit: 1, account: 5, after: first }), [third])
    assert.deepEqual(await store.users.list({ limit: 9, account: 8 }), [])
  })

  test('signing keys are kept in order; of those with one number the first stays', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await store.signingKeys.add({ number: 1, key: 'one', signsFromMs: NOW })
    await store.signingKeys.add({ number: 2, key: 'two', signsFromMs: NOW + 5 })
    await store.signingKeys.add({ number: 2, key: 'late', signsFromMs: NOW + 6 })
    const reopened = await reopen()
    assert.deepEqual(await reopened.signingKeys.all(), [
      { number: 1, key: 'one', signsFromMs: NOW },
      { number: 2, key: 'two', signsFromMs: NOW + 5 },
    ])
    await reopened.signingKeys.removeBefore(2)
    assert.deepEqual(
      (await reopened.signingKeys.all()).map(({ key }) => key),
      ['two'],
    )
  })
}
