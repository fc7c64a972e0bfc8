/** Holds, grants and refunds through their whole lives: what the store shows of them, and what it refuses once they have ended. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from '../../src/core/command.ts'
import { formatCredits } from '../../src/core/credits.ts'
import type { Applied, HoldRow, Store, Transaction } from '../../src/stores/store.ts'
import { type ContractKind, openTestStore, type TestStore } from '../running/store.ts'
import * as make from '../running/store-commands.ts'
import { applied, codeOf, openAccount, outcomeOf, sendTogether, seqOf, transaction } from '../running/store-commands.ts'
import { before, stateOf, walk } from './looking.ts'

const ADA = 1

export function livesContract(kind: ContractKind): void {
  holds(kind)
  grants(kind)
  refunds(kind)
  sentTogether(kind)
  dues(kind)
}

type ShownHold = readonly [status: HoldRow['status'], credits: string, held: string, minutes: number, lateCharge: number | null]

/** A hold's row; its end in minutes from the store's first moment. */
async function holdOf({ store, startMs }: { readonly store: Store; readonly startMs: number }, seq: number): Promise<ShownHold> {
  const row = await store.hold(ADA, seq)
  assert.ok(row)
  const listed = (await walk((page) => store.holds(ADA, { ...page, having: { status: row.status, atMs: 0 } }), 3)).find(
    (hold) => hold.seq === seq,
  )
  assert.deepEqual(listed, row, 'it is listed under its status, as it is')
  const { status, credits, held, expiresAtMs, lateCharge } = row
  return [status, formatCredits(credits), formatCredits(held), (expiresAtMs - startMs) / make.MINUTE_MS, lateCharge]
}

function holds(kind: ContractKind): void {
  const opened = async (t: Parameters<typeof openTestStore>[0]): Promise<TestStore & { readonly startMs: number }> => {
    const made = await openTestStore(t, kind)
    await openAccount(made.store, ADA)
    return { ...made, startMs: made.clock.nowMs }
  }

  test('a hold shows each change of its life: opened, increased, extended, captured in part and at last', async (t) => {
    const test = await opened(t)
    const { store, clock } = test
    const seq = await seqOf(store, ADA, make.hold(10, { ttlMs: 5 * make.MINUTE_MS }))
    assert.deepEqual(await holdOf(test, seq), ['live', '10', '0', 5, null])
    await make.make(store, ADA, make.increase(seq, 7))
    assert.deepEqual(await holdOf(test, seq), ['live', '17', '0', 5, null])
    await make.make(store, ADA, make.capture(seq, 4, { final: false }))
    assert.deepEqual(await holdOf(test, seq), ['live', '17', '0', 5, null])
    clock.nowMs += make.MINUTE_MS
    await make.make(store, ADA, make.extend(seq, 30 * make.MINUTE_MS))
    assert.deepEqual(await holdOf(test, seq), ['live', '17', '0', 31, null])
    await make.make(store, ADA, make.extend(seq, 2 * make.MINUTE_MS))
    assert.deepEqual(await holdOf(test, seq), ['live', '17', '0', 31, null], 'an extension never shortens')
    await make.make(store, ADA, make.capture(seq, 20))
    assert.deepEqual(await holdOf(test, seq), ['captured', '17', '13', 31, null], 'held is what it had when it ended')
    const reopened = await test.reopen()
    assert.deepEqual(await holdOf({ store: reopened, startMs: test.startMs }, seq), ['captured', '17', '13', 31, null])
  })

  const ENDS: Readonly<Record<string, { readonly end: (seq: number) => Command; readonly status: HoldRow['status'] }>> = {
    captured: { end: (seq) => make.capture(seq, 4), status: 'captured' },
    'captured for nothing': { end: (seq) => make.capture(seq, 0), status: 'captured' },
    released: { end: make.release, status: 'released' },
  }
  for (const [name, { end, status }] of Object.entries(ENDS))
    for (const isReopened of [false, true])
      test(`a hold that was ${name} has ended for good${isReopened ? ', after a restart too' : ''}`, async (t) => {
        const test = await opened(t)
        const seq = await seqOf(test.store, ADA, make.hold(10))
        await make.make(test.store, ADA, end(seq))
        const store = isReopened ? await test.reopen() : test.store
        assert.deepEqual((await holdOf({ ...test, store }, seq)).slice(0, 3), [status, '10', '10'])
        const { seq: last } = await stateOf(store, ADA)
        const refused = `hold_already_${status}`
        for (const again of [make.capture(seq), make.release(seq), make.extend(seq, make.HOUR_MS), make.increase(seq, 1)])
          assert.equal(await outcomeOf(store, ADA, again), refused)
        assert.equal((await stateOf(store, ADA)).seq, last)
      })

  test('a hold whose time is up is shown as expired once that is booked, and can be captured late, once', async (t) => {
    const test = await opened(t)
    const { store, clock } = test
    const seq = await seqOf(store, ADA, make.hold(10, { ttlMs: make.MINUTE_MS, policy: 'reject' }))
    clock.nowMs += make.MINUTE_MS
    for (const late of [make.release(seq), make.extend(seq, make.HOUR_MS), make.increase(seq, 1)])
      assert.equal(await outcomeOf(store, ADA, late), 'hold_expired')
    assert.deepEqual((await holdOf(test, seq)).slice(0, 3), ['live', '10', '0'], 'a refusal books nothing')
    await make.send(store, ADA, make.BOOK_DUE)
    assert.deepEqual((await holdOf(test, seq)).slice(0, 3), ['expired', '10', '10'])
    const reopened = await test.reopen()
    for (const late of [make.release(seq), make.extend(seq, make.HOUR_MS), make.increase(seq, 1)])
      assert.equal(await outcomeOf(reopened, ADA, late), 'hold_expired')
    assert.equal(await outcomeOf(reopened, ADA, make.capture(seq, 5_000)), 'insufficient_credits', 'its own policy counts')
    const charge = await make.make(reopened, ADA, make.capture(seq))
    assert.deepEqual([charge.kind, 'credits' in charge && charge.credits], ['late_capture', 10_000_000n], 'all that it had held')
    assert.deepEqual((await holdOf({ ...test, store: reopened }, seq))[4], charge.seq)
    assert.equal(await outcomeOf(await test.reopen(), ADA, make.capture(seq, 1)), 'hold_already_captured')
  })

  test('a late capture is possible, once, whether or not the expiry was booked before it', async (t) => {
    const test = await opened(t)
    const { store, clock } = test
    const seq = await seqOf(store, ADA, make.hold(10, { ttlMs: make.MINUTE_MS }))
    clock.nowMs += make.HOUR_MS
    const outcome = applied(await make.send(store, ADA, make.capture(seq, 4)))
    assert.deepEqual(
      outcome.records.map((record) => record.kind),
      ['late_capture'],
    )
    assert.deepEqual(await holdOf(test, seq), ['expired', '10', '10', 1, outcome.records[0]?.seq ?? 0])
    assert.equal(await outcomeOf(store, ADA, make.capture(seq, 1)), 'hold_already_captured')
  })

  test('what is no hold is not found', async (t) => {
    const { store } = await opened(t)
    const charged = await seqOf(store, ADA, make.charge(1))
    for (const seq of [charged, 1, 2, 0, 99])
      for (const command of [make.capture(seq), make.release(seq), make.extend(seq, make.HOUR_MS), make.increase(seq, 1)])
        assert.equal(await outcomeOf(store, ADA, command), 'hold_not_found')
    assert.equal(await store.hold(ADA, charged), undefined)
  })
}

function grants(kind: ContractKind): void {
  const statusOf = async (store: Store, seq: number): Promise<string | undefined> => {
    const status = (await store.grant(ADA, seq))?.status
    assert.equal((await walk((page) => store.grants(ADA, page), 2)).find((grant) => grant.seq === seq)?.status, status)
    return status
  }

  test('a grant shows each change of its life: open, spent, reopened by a refund, expired', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const seq = await seqOf(store, ADA, make.grant(5, { expiresAtMs: clock.nowMs + make.DAY_MS }))
    assert.equal(await statusOf(store, seq), 'open')
    const charged = await seqOf(store, ADA, make.charge(5))
    assert.equal(await statusOf(store, seq), 'spent')
    assert.equal(await outcomeOf(store, ADA, make.voidGrant(seq)), 'grant_closed')
    const reopened = await reopen()
    assert.equal(await statusOf(reopened, seq), 'spent')
    await make.make(reopened, ADA, make.refund(charged, 2))
    assert.equal(await statusOf(reopened, seq), 'open')
    clock.nowMs += make.DAY_MS
    await make.send(reopened, ADA, make.BOOK_DUE)
    assert.equal(await statusOf(reopened, seq), 'expired')
    const back = await seqOf(reopened, ADA, make.refund(charged))
    assert.deepEqual([await statusOf(reopened, seq), await statusOf(reopened, back)], ['expired', 'open'], 'it comes back as another grant')
    assert.equal(await statusOf(await reopen(), back), 'open')
  })

  test('a grant that is voided is voided, also while a hold still draws on it and after that', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA, 0)
    const seq = await seqOf(store, ADA, make.grant(5))
    const held = await seqOf(store, ADA, make.hold(3))
    await make.make(store, ADA, make.voidGrant(seq))
    assert.equal(await statusOf(store, seq), 'voided')
    assert.equal(await outcomeOf(store, ADA, make.voidGrant(seq)), 'grant_closed')
    await make.make(store, ADA, make.capture(held, 1))
    const reopened = await reopen()
    assert.equal(await statusOf(reopened, seq), 'voided')
    assert.equal(await outcomeOf(reopened, ADA, make.voidGrant(seq)), 'grant_closed')
    assert.equal(await outcomeOf(reopened, ADA, make.charge(1n)), 'insufficient_credits')
  })

  test('a grant that a debt takes whole is spent at once', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA, 1)
    await make.make(store, ADA, make.capture(await seqOf(store, ADA, make.hold(1)), 10))
    const whole = await seqOf(store, ADA, make.grant(4))
    const part = await seqOf(store, ADA, make.grant(6))
    assert.deepEqual([await statusOf(store, whole), await statusOf(store, part)], ['spent', 'open'])
  })

  test('what is no grant is not found', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const charged = await seqOf(store, ADA, make.charge(1))
    for (const seq of [charged, 1, 0, 99]) assert.equal(await outcomeOf(store, ADA, make.voidGrant(seq)), 'grant_not_found')
    assert.equal(await store.grant(ADA, charged), undefined)
  })
}

function refunds(kind: ContractKind): void {
  test('what was refunded of each charge adds up, never to more than the charge, over restarts too', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const [whole, part, none] = [
      await seqOf(store, ADA, make.charge(5)),
      await seqOf(store, ADA, make.charge(6)),
      await seqOf(store, ADA, make.charge(7)),
    ]
    await make.make(store, ADA, make.refund(whole, 2))
    await make.make(store, ADA, make.refund(whole))
    await make.make(store, ADA, make.refund(part, 1))
    const reopened = await reopen()
    await make.make(reopened, ADA, make.refund(part, 2))
    const expected = new Map([
      [whole, 5_000_000n],
      [part, 3_000_000n],
    ])
    assert.deepEqual(await reopened.refunds(ADA, [whole, part, none, 1, 99]), expected)
    assert.deepEqual(await reopened.refunds(ADA, []), new Map())
    assert.equal(await outcomeOf(reopened, ADA, make.refund(whole)), 'refund_exceeds_charge')
    assert.equal(await outcomeOf(reopened, ADA, make.refund(part, '3.000001')), 'refund_exceeds_charge')
    assert.equal(await outcomeOf(reopened, ADA, make.refund(part, 3)), 'done')
  })

  test('what is no charge, or another account’s, cannot be refunded', async (t) => {
    const { store } = await openTestStore(t, kind)
    for (const account of [ADA, 2]) await openAccount(store, account)
    const held = await seqOf(store, ADA, make.hold(1))
    const ofBob = await seqOf(store, 2, make.charge(1))
    await seqOf(store, 2, make.charge(1))
    for (const seq of [held, 1, 2, 0, 99, ofBob + 1]) assert.equal(await outcomeOf(store, ADA, make.refund(seq)), 'charge_not_found')
  })
}

/** Commands that name each other’s records are written for an account whose next record has this sequence. */
const NEXT = 3

function sentTogether(kind: ContractKind): void {
  const CASES: Readonly<Record<string, readonly (readonly [Command, string])[]>> = {
    'two refunds of one charge': [
      [make.charge(10), 'done'],
      [make.refund(NEXT, 6), 'done'],
      [make.refund(NEXT, 6), 'refund_exceeds_charge'],
      [make.refund(NEXT), 'done'],
      [make.refund(NEXT), 'refund_exceeds_charge'],
    ],
    'a capture and a refund of it': [
      [make.hold(10), 'done'],
      [make.capture(NEXT, 8), 'done'],
      [make.refund(NEXT + 1, 3), 'done'],
      [make.refund(NEXT + 1, 6), 'refund_exceeds_charge'],
    ],
    'a capture and a release': [
      [make.hold(10), 'done'],
      [make.capture(NEXT, 8), 'done'],
      [make.release(NEXT), 'hold_already_captured'],
      [make.capture(NEXT, 8), 'hold_already_captured'],
    ],
    'a release and a capture': [
      [make.hold(10), 'done'],
      [make.release(NEXT), 'done'],
      [make.capture(NEXT, 8), 'hold_already_released'],
      [make.increase(NEXT, 8), 'hold_already_released'],
    ],
    'a charge that empties a grant, its refund and the void': [
      [make.charge(1000), 'done'],
      [make.voidGrant(NEXT - 1), 'grant_closed'],
      [make.refund(NEXT, 1), 'done'],
      [make.voidGrant(NEXT - 1), 'done'],
      [make.voidGrant(NEXT - 1), 'grant_closed'],
    ],
    'a key’s rotation and its end': [
      [make.createKey('one'), 'done'],
      [make.updateKey(NEXT, { name: 'x' }), 'done'],
      [make.rotateKey(NEXT, 'two'), 'done'],
      [make.revokeKey(NEXT), 'done'],
      [make.rotateKey(NEXT, 'three'), 'key_already_revoked'],
      [make.revokeKey(NEXT), 'done'],
      [make.revokeKey(NEXT + 9), 'key_not_found'],
    ],
  }
  for (const [name, commands] of Object.entries(CASES))
    test(`${name}, sent together, come out as they would one after the other`, async (t) => {
      const { store, reopen } = await openTestStore(t, kind)
      await openAccount(store, ADA)
      await openAccount(store, 2)
      // Commands of another account in between: what waits together need not be alike.
      const mixed = commands.flatMap(([command]): Transaction[] => [transaction(ADA, command), transaction(2, make.charge(1n))])
      const outcomes = await sendTogether(store, mixed)
      assert.deepEqual(
        outcomes.filter((_, index) => index % 2 === 0).map(codeOf),
        commands.map(([, expected]) => expected),
      )
      const alone = await openTestStore(t, kind)
      await openAccount(alone.store, ADA)
      for (const [command, expected] of commands) assert.equal(await outcomeOf(alone.store, ADA, command), expected)
      const shown = async (from: Store): Promise<unknown> => [
        (await stateOf(from, ADA)).pools,
        await from.holds(ADA, { limit: 9 }),
        await from.keys(ADA, { limit: 9 }),
      ]
      assert.deepEqual(await shown(store), await shown(alone.store))
      assert.deepEqual(await shown(await reopen()), await shown(alone.store))
    })

  test('changes of an account and of a key that are sent together are all kept', async (t) => {
    const { store } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const key = await seqOf(store, ADA, make.createKey('secret'))
    const changes = [{ name: 'Lovelace' }, { metadata: { a: 'b' } }, { capturePolicy: 'cap' }, { status: 'suspended' }] as const
    const ofKey = [{ name: 'phone' }, { operations: ['image'] }, { expiresAtMs: 9e12 }] as const
    await sendTogether(store, [
      ...changes.map((change) => transaction(ADA, make.updateAccount(change))),
      ...ofKey.map((change) => transaction(ADA, make.updateKey(key, change))),
    ])
    const { createdAtMs: _, number: __, externalId: ___, ...account } = (await store.account(ADA)) ?? assert.fail('no account')
    assert.deepEqual(account, { name: 'Lovelace', metadata: { a: 'b' }, capturePolicy: 'cap', status: 'suspended' })
    const terms = (await store.key(ADA, key))?.terms
    assert.deepEqual([terms?.name, terms?.operations, terms?.expiresAtMs], ['phone', ['image'], 9e12])
  })

  test('late captures of one hold that are sent together take effect once', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    const held = await seqOf(store, ADA, make.hold(10, { ttlMs: make.MINUTE_MS }))
    clock.nowMs += make.MINUTE_MS
    const outcomes = await sendTogether(store, Array(4).fill(transaction(ADA, make.capture(held, 3))))
    assert.deepEqual(outcomes.map(codeOf), ['done', ...Array(3).fill('hold_already_captured')])
    assert.equal((outcomes[0] as Applied).records[0]?.kind, 'late_capture')
  })
}

function dues(kind: ContractKind): void {
  const DUE_WITHIN_MS = 3_000

  test('accounts in which something is due are found before long, the longest due first, and no others', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    const startMs = clock.nowMs
    for (const [account, minutes] of [
      [1, 5],
      [2, 1],
      [3, 3],
    ] as const) {
      await openAccount(store, account)
      await make.make(store, account, make.hold(1, { ttlMs: minutes * make.MINUTE_MS }))
    }
    await openAccount(store, 4, 0)
    await make.make(store, 4, make.grant(1, { expiresAtMs: startMs + 4 * make.MINUTE_MS }))
    await openAccount(store, 5)
    const due = async (minutes: number, from = store): Promise<string> =>
      (await from.dueAccounts(startMs + minutes * make.MINUTE_MS, 10)).join()
    assert.ok(await before(DUE_WITHIN_MS, async () => (await due(9)) === '2,3,4,1'))
    assert.deepEqual([await due(0), await due(1), await due(3.9), await due(4)], ['', '2', '2,3', '2,3,4'])
    assert.deepEqual(await store.dueAccounts(startMs + make.DAY_MS, 2), [2, 3])
    clock.nowMs = startMs + 3 * make.MINUTE_MS
    for (const account of [2, 3]) await make.send(store, account, make.BOOK_DUE)
    assert.ok(await before(DUE_WITHIN_MS, async () => (await due(9)) === '4,1'), 'what was booked is due no more')
    assert.equal(await due(9, await reopen()), '4,1')
  })

  test('accounts in which something is due are found before long while others keep the store busy', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    for (const account of [ADA, 2]) await openAccount(store, account)
    await make.make(store, ADA, make.hold(1, { ttlMs: make.MINUTE_MS }))
    const isFound = await before(DUE_WITHIN_MS, async () => {
      await make.make(store, 2, make.charge(1n))
      return (await store.dueAccounts(clock.nowMs + make.MINUTE_MS, 10)).includes(ADA)
    })
    assert.ok(isFound, 'a charge every 20 ms does not keep it from being found')
  })

  test('an account is found at its next due time once the first has passed or has moved', async (t) => {
    const { store, clock, reopen } = await openTestStore(t, kind)
    const startMs = clock.nowMs
    await openAccount(store, ADA)
    const first = await seqOf(store, ADA, make.hold(1, { ttlMs: make.MINUTE_MS }))
    await make.make(store, ADA, make.hold(1, { ttlMs: 20 * make.MINUTE_MS }))
    await make.make(store, ADA, make.extend(first, 10 * make.MINUTE_MS))
    const isDueAt = async (from: Store, minutes: number): Promise<boolean> =>
      (await from.dueAccounts(startMs + minutes * make.MINUTE_MS, 10)).length === 1
    assert.ok(await before(DUE_WITHIN_MS, () => isDueAt(store, 10)))
    assert.equal(await isDueAt(store, 9.99), false)
    await make.make(store, ADA, make.release(first))
    assert.ok(await before(DUE_WITHIN_MS, async () => !(await isDueAt(store, 19.99))))
    const reopened = await reopen()
    assert.deepEqual([await isDueAt(reopened, 19.99), await isDueAt(reopened, 20)], [false, true])
  })

  test('booking what is due makes the records of time once, and none when nothing is due', async (t) => {
    const { store, clock } = await openTestStore(t, kind)
    await openAccount(store, ADA)
    await make.make(store, ADA, make.hold(1, { ttlMs: make.MINUTE_MS }))
    assert.deepEqual(applied(await make.send(store, ADA, make.BOOK_DUE)).records, [])
    assert.equal((await stateOf(store, ADA)).seq, 3)
    clock.nowMs += make.MINUTE_MS
    const outcomes = await sendTogether(store, Array(3).fill(transaction(ADA, make.BOOK_DUE, { actor: 'time' })))
    assert.deepEqual(
      outcomes.map((outcome) => applied(outcome).records),
      [[], [], []],
      'what time made is not the command’s own',
    )
    assert.equal((await stateOf(store, ADA)).seq, 4)
    assert.equal((await store.record(ADA, 4))?.kind, 'hold_expired')
  })
}
