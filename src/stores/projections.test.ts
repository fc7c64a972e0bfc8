import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS, MemoryAccount, MINUTE_MS, START_MS, seqOf } from '../../test/running/memory-account.ts'
import * as buy from '../../test/running/purchases.ts'
import { emptyAccount } from '../core/account.ts'
import { MAX_MICROCREDITS } from '../core/credits.ts'
import { evolve } from '../core/evolve.ts'
import { statusAfter } from '../core/purchase.ts'
import { purchaseOf } from '../core/record-subjects.ts'
import { type ObjectChange, objectChanges } from './projections.ts'

/** What each record after a sequence changes, in order. */
function changesAfter(account: MemoryAccount, seq: number): readonly ObjectChange[] {
  let before = emptyAccount(1)
  return account.journal.flatMap((record) => {
    const after = evolve(before, record)
    const changes = objectChanges(record, { before, after })
    before = after
    return record.seq > seq ? changes : []
  })
}

/** An account with 100 credits that never expire (record 2). */
function opened(): MemoryAccount {
  const account = new MemoryAccount()
  account.grant(100)
  return account
}

const CREDIT = 1_000_000n
const PACK = 2

/** What is done before, what is done then, and what only the latter changes. */
const CASES: Readonly<Record<string, (account: MemoryAccount) => readonly [done: () => unknown, changes: readonly unknown[]]>> = {
  'a charge that leaves something': (account) => [() => account.charge(10), []],
  'a charge that takes the last of a grant': (account) => [() => account.charge(100), [{ table: 'grants', seq: PACK, status: 'spent' }]],
  'a charge of nothing': (account) => [() => account.charge(0), []],
  'a grant': (account) => [() => account.grant(1), [{ table: 'grants', seq: 3, status: 'open' }]],
  'an adjustment that gives': (account) => [() => account.adjust(5), [{ table: 'grants', seq: 3, status: 'open' }]],
  'an adjustment that takes all': (account) => [() => account.adjust(-100), [{ table: 'grants', seq: PACK, status: 'spent' }]],
  'a void': (account) => [() => account.void(PACK), [{ table: 'grants', seq: PACK, status: 'voided' }]],
  'a grant that a debt takes whole': (account) => {
    account.charge(100)
    account.capture(seqOf(account.hold(0)), 7)
    return [
      () => account.grant(5),
      [
        { table: 'grants', seq: 6, status: 'open' },
        { table: 'grants', seq: 6, status: 'spent' },
      ],
    ]
  },
  'a grant that expires': (account) => {
    account.grant(3, { expiresAtMs: START_MS + MINUTE_MS })
    account.wait(MINUTE_MS)
    return [() => account.charge(0), [{ table: 'grants', seq: 3, status: 'expired' }]]
  },
  'a hold': (account) => [
    () => account.hold(4, { ttlMs: MINUTE_MS }),
    [{ table: 'live_holds', seq: 3, credits: 4n * CREDIT, expiresAtMs: START_MS + MINUTE_MS }],
  ],
  'an increase': (account) => {
    account.hold(4)
    return [() => account.increase(3, 2), [{ table: 'live_holds', seq: 3, credits: 2n * CREDIT, expiresAtMs: null }]]
  },
  'an extension': (account) => {
    account.hold(4)
    return [() => account.extend(3, DAY_MS), [{ table: 'live_holds', seq: 3, credits: 0n, expiresAtMs: START_MS + DAY_MS }]]
  },
  'a capture of a part that leaves the hold': (account) => {
    account.hold(4)
    return [() => account.capture(3, 1, { final: false }), []]
  },
  'a capture that ends the hold': (account) => {
    account.hold(4)
    account.capture(3, 1, { final: false })
    return [() => account.capture(3, 1), [{ table: 'ended_holds', seq: 3, status: 'captured', held: 3n * CREDIT }]]
  },
  'a capture above the hold that takes the last credit': (account) => {
    account.hold(4)
    return [
      () => account.capture(3, 100),
      [
        { table: 'grants', seq: PACK, status: 'spent' },
        { table: 'ended_holds', seq: 3, status: 'captured', held: 4n * CREDIT },
      ],
    ]
  },
  'a release': (account) => {
    account.hold(4)
    return [() => account.release(3), [{ table: 'ended_holds', seq: 3, status: 'released', held: 4n * CREDIT }]]
  },
  'an expired hold': (account) => {
    account.hold(4, { ttlMs: MINUTE_MS })
    account.wait(MINUTE_MS)
    return [() => account.charge(0), [{ table: 'ended_holds', seq: 3, status: 'expired', held: 4n * CREDIT }]]
  },
  'a late capture': (account) => {
    account.hold(4, { ttlMs: MINUTE_MS })
    account.wait(MINUTE_MS)
    account.charge(0)
    return [() => account.capture(3), [{ table: 'late_captures', hold: 3, charge: 6 }]]
  },
  'a release of what a voided grant had under the hold': (account) => {
    account.hold(100)
    account.void(PACK)
    return [() => account.release(3), [{ table: 'ended_holds', seq: 3, status: 'released', held: 100n * CREDIT }]]
  },
  'a refund to a grant that is open': (account) => {
    account.charge(10)
    return [() => account.refund(3, 4), [{ table: 'refunds', charge: 3, credits: 4n * CREDIT }]]
  },
  'a refund that reopens a spent grant': (account) => {
    account.charge(100)
    return [
      () => account.refund(3, 4),
      [
        { table: 'grants', seq: PACK, status: 'open' },
        { table: 'refunds', charge: 3, credits: 4n * CREDIT },
      ],
    ]
  },
  'a refund whose grant has been voided': (account) => {
    account.charge(10)
    account.void(PACK)
    return [
      () => account.refund(3),
      [
        { table: 'grants', seq: 5, status: 'open' },
        { table: 'refunds', charge: 3, credits: 10n * CREDIT },
      ],
    ]
  },
  'a refund of the largest amount there is': (account) => {
    account.charge(100)
    account.grant(MAX_MICROCREDITS)
    account.charge(MAX_MICROCREDITS)
    return [
      () => account.refund(5),
      [
        { table: 'grants', seq: 4, status: 'open' },
        { table: 'refunds', charge: 5, credits: MAX_MICROCREDITS },
      ],
    ]
  },
  'a checkout that expires': (account) => {
    account.send(buy.openCheckout({}, MINUTE_MS))
    account.wait(MINUTE_MS)
    return [() => account.charge(0), [{ table: 'purchases', seq: 3, status: 'expired', record: null, ended: 0n }]]
  },
  'a bonus that expires unspent': (account) => {
    account.send(buy.openCheckout({ bonus: 5, bonusLifeMs: MINUTE_MS }))
    account.send(buy.fulfil(3))
    account.wait(MINUTE_MS)
    return [
      () => account.charge(0),
      [
        { table: 'grants', seq: 5, status: 'expired' },
        { table: 'purchases', seq: 3, status: null, record: null, ended: 5n * CREDIT },
      ],
    ]
  },
  'a release of what an expired purchase had under the hold': (account) => {
    account.send(buy.openCheckout({ lifeMs: MINUTE_MS, credits: 9 }))
    account.send(buy.fulfil(3))
    const hold = seqOf(account.hold(105, { ttlMs: DAY_MS }))
    account.wait(MINUTE_MS)
    account.charge(0)
    return [
      () => account.release(hold),
      [
        { table: 'ended_holds', seq: hold, status: 'released', held: 105n * CREDIT },
        { table: 'purchases', seq: 3, status: null, record: null, ended: 9n * CREDIT },
      ],
    ]
  },
  'a key': (account) => [() => account.createKey(), []],
  'a change of the account': (account) => [() => account.update({ status: 'suspended' }), []],
}

for (const [name, prepare] of Object.entries(CASES))
  test(`${name} changes exactly what it says of grants, holds, refunds and purchases`, () => {
    const account = opened()
    const [done, changes] = prepare(account)
    const { seq } = account.state
    done()
    assert.ok(account.state.seq > seq, 'something was done')
    assert.deepEqual(changesAfter(account, seq), changes)
  })

test('each thing that is heard of a purchase is folded in by its own record', () => {
  const account = opened()
  const lives = buy.livesOfPurchases()
  for (let next = lives.next(); !next.done; ) next = lives.next(seqOf(account.send(next.value)))
  let before = emptyAccount(1)
  for (const record of account.journal) {
    const after = evolve(before, record)
    const changes = objectChanges(record, { before, after })
    before = after
    const own = changes.filter(({ table }) => table === 'purchases')
    const purchase = purchaseOf(record)
    const expected = { table: 'purchases', seq: purchase, status: statusAfter(record), record, ended: 0n }
    assert.deepEqual(own, purchase === null ? [] : [expected], record.kind)
  }
})

test('debts that a pending grant comes to pay close that grant when they take all of it', () => {
  const account = opened()
  account.charge(100)
  account.capture(seqOf(account.hold(0)), 7)
  const pending = seqOf(account.grant(5, { effectiveAtMs: START_MS + MINUTE_MS }))
  account.wait(MINUTE_MS)
  const { seq } = account.state
  account.createKey()
  assert.equal(account.record(seq + 1)?.kind, 'debt_repaid')
  assert.deepEqual(changesAfter(account, seq), [{ table: 'grants', seq: pending, status: 'spent' }])
})
