import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, DAY_MS, MemoryAccount, seqOf } from '../../../test/running/memory-account.ts'
import * as make from '../../../test/running/purchases.ts'
import { MAX_FREEZES } from '../account.ts'
import { MAX_PURCHASE_EVENTS } from '../purchase.ts'

/** An account that has bought 100 credits for 10.00 (records 2 and 3), and a bonus if one is wished for. */
function bought(wish: make.Wish = {}): { readonly account: MemoryAccount; readonly purchase: number } {
  const account = new MemoryAccount()
  const purchase = seqOf(account.send(make.openCheckout(wish)))
  seqOf(account.send(make.fulfil(purchase)))
  return { account, purchase }
}

/** What can be used, is frozen or held, and owed. */
function figures(account: MemoryAccount): readonly [available: string, held: string, debt: string] {
  const { available, held } = account.balance()
  return [available, held, account.debt()]
}

test('a dispute freezes what is unspent of the purchase, and of nothing else', () => {
  const { account, purchase } = bought({ bonus: 10 })
  account.charge(30)
  account.grant(50, { source: 'plan' })
  account.send(make.openDispute(purchase))
  assert.deepEqual(figures(account), ['50', '80', '0'])
  assert.equal(codeOf(account.charge(51)), 'insufficient_credits', 'what is frozen is not to be waited for')
  assert.equal(codeOf(account.charge(50)), 'ok')
})

test('no route of holds sees what is frozen', () => {
  const { account, purchase } = bought()
  const freeze = seqOf(account.send(make.openDispute(purchase)))
  for (const answer of [account.capture(freeze), account.release(freeze), account.extend(freeze, DAY_MS), account.increase(freeze, 1)])
    assert.equal(codeOf(answer), 'hold_not_found')
  account.wait(100 * DAY_MS)
  account.charge(0)
  assert.deepEqual(figures(account), ['0', '100', '0'], 'and it has no end by time')
})

test('a dispute that is won sets exactly what was frozen free', () => {
  const { account, purchase } = bought({ bonus: 10 })
  account.charge(30)
  const before = [account.balance(), account.remaining()]
  account.send(make.openDispute(purchase))
  account.send(make.closeDispute(purchase, 'won'))
  assert.deepEqual([account.balance(), account.remaining(), account.state.freezes], [...before, []])
})

test('a dispute that is lost takes what was frozen, and the spent rest is a debt', () => {
  const { account, purchase } = bought({ bonus: 10 })
  account.charge(30)
  account.send(make.openDispute(purchase))
  account.send(make.closeDispute(purchase, 'lost'))
  assert.deepEqual(figures(account), ['-30', '0', '30'])
})

test('a dispute of a part freezes and takes a part', () => {
  const { account, purchase } = bought()
  account.send(make.openDispute(purchase, 'd', 400))
  assert.deepEqual(figures(account), ['60', '40', '0'])
  account.charge(60)
  account.send(make.closeDispute(purchase, 'lost', 'd', 400))
  assert.deepEqual(figures(account), ['0', '0', '0'])
})

test('a dispute ends once', () => {
  for (const outcome of ['won', 'lost'] as const) {
    const { account, purchase } = bought()
    account.send(make.openDispute(purchase))
    account.send(make.closeDispute(purchase, outcome))
    const after = figures(account)
    for (const again of ['won', 'lost'] as const) account.send(make.closeDispute(purchase, again))
    account.send(make.openDispute(purchase))
    assert.deepEqual(figures(account), after, 'whatever is told again, or later')
  }
})

test('a dispute that is first heard of when it has ended has the effect of its end', () => {
  const won = bought()
  won.account.send(make.closeDispute(won.purchase, 'won'))
  assert.deepEqual(figures(won.account), ['100', '0', '0'])
  const lost = bought()
  lost.account.charge(20)
  lost.account.send(make.closeDispute(lost.purchase, 'lost'))
  assert.deepEqual(figures(lost.account), ['-20', '0', '20'])
  lost.account.send(make.openDispute(lost.purchase))
  assert.deepEqual(figures(lost.account), ['-20', '0', '20'], 'older news that comes later')
})

test('a dispute of money that has gone back already freezes nothing, takes nothing and is refused', () => {
  const { account, purchase } = bought()
  account.send(make.refundTopup(purchase, 'a', 1_000))
  assert.equal(codeOf(account.send(make.openDispute(purchase))), 'nothing_to_dispute')
  assert.equal(codeOf(account.send(make.closeDispute(purchase, 'lost'))), 'nothing_to_dispute')
  assert.deepEqual(figures(account), ['0', '0', '0'])
})

test('a dispute after a refund of a part takes the other part alone', () => {
  const { account, purchase } = bought()
  account.send(make.refundTopup(purchase, 'a', 600))
  account.send(make.openDispute(purchase))
  assert.deepEqual(figures(account), ['0', '40', '0'])
  account.send(make.closeDispute(purchase, 'lost'))
  assert.deepEqual(figures(account), ['0', '0', '0'])
})

test('a refund while a dispute is open, and the loss of it, together take no more than was bought', () => {
  for (const outcome of ['won', 'lost'] as const) {
    const { account, purchase } = bought()
    account.grant(200, { source: 'plan' })
    account.send(make.openDispute(purchase))
    account.send(make.refundTopup(purchase, 'a', 1_000))
    account.send(make.closeDispute(purchase, outcome))
    assert.deepEqual(figures(account), ['200', '0', '0'], outcome)
  }
})

test('a refund that fails after the dispute was lost gives back what it took, and no credit is lost or doubled', () => {
  const { account, purchase } = bought()
  account.send(make.refundTopup(purchase, 'a', 500))
  account.send(make.openDispute(purchase, 'd', 500))
  account.send(make.closeDispute(purchase, 'lost', 'd', 500))
  assert.deepEqual(figures(account), ['0', '0', '0'])
  account.send(make.reverseRefund(purchase, 'a', { amountMinor: 500 }))
  assert.deepEqual(figures(account), ['50', '0', '0'])
})

test('refunds that fail and disputes that are lost come to the same in either order, also where they overlap', () => {
  const cases = [
    { refunded: 600, disputed: 1_000, left: '0' },
    { refunded: 600, disputed: 600, left: '40' },
    { refunded: 1_000, disputed: 300, left: '70' },
    { refunded: 300, disputed: 300, left: '70' },
  ]
  for (const { refunded, disputed, left } of cases)
    for (const isRefundedFirst of [true, false]) {
      const { account, purchase } = bought()
      const refund = make.refundTopup(purchase, 'a', refunded)
      const failure = make.reverseRefund(purchase, 'a', { amountMinor: refunded })
      const loss = make.closeDispute(purchase, 'lost', 'd', disputed)
      account.send(make.openDispute(purchase, 'd', disputed))
      for (const news of isRefundedFirst ? [refund, loss, failure] : [failure, refund, loss]) account.send(news)
      assert.deepEqual(figures(account), [left, '0', '0'], `${refunded} refunded, ${disputed} disputed`)
    }
})

test('two disputes at once freeze and take no more than was bought', () => {
  const { account, purchase } = bought()
  account.grant(30, { source: 'plan' })
  account.send(make.openDispute(purchase, 'd'))
  account.send(make.openDispute(purchase, 'e'))
  assert.deepEqual(figures(account), ['30', '100', '0'])
  account.send(make.closeDispute(purchase, 'lost', 'e'))
  account.send(make.closeDispute(purchase, 'won', 'd'))
  assert.deepEqual(figures(account), ['30', '0', '0'])
})

test('what holds have set aside stays theirs while the purchase is disputed', () => {
  const { account, purchase } = bought()
  const hold = seqOf(account.hold(60))
  account.send(make.openDispute(purchase))
  assert.deepEqual(figures(account), ['0', '100', '0'])
  account.capture(hold, 50)
  assert.deepEqual(figures(account), ['10', '40', '0'])
  account.send(make.closeDispute(purchase, 'lost'))
  assert.deepEqual(figures(account), ['-50', '0', '50'])
})

test('frozen credits whose grant expires meanwhile are free again as a grant of their own when the dispute is won', () => {
  const { account, purchase } = bought({ lifeMs: DAY_MS })
  account.charge(40)
  account.send(make.openDispute(purchase))
  account.wait(2 * DAY_MS)
  account.charge(0)
  assert.deepEqual(figures(account), ['0', '60', '0'])
  const { record } = booked(account.send(make.closeDispute(purchase, 'won')))
  assert.ok(record.kind === 'dispute_closed')
  assert.deepEqual([record.grant?.amount, record.grant?.expiresAtMs], [60_000_000n, account.nowMs + 30 * DAY_MS])
  assert.deepEqual(figures(account), ['60', '0', '0'])
  account.send(make.refundTopup(purchase, 'a', 1_000))
  assert.deepEqual(figures(account), ['-40', '0', '40'], 'they are still of the purchase')
})

test('frozen credits that expire meanwhile are taken when the dispute is lost', () => {
  const { account, purchase } = bought({ lifeMs: DAY_MS })
  account.charge(40)
  account.send(make.openDispute(purchase))
  account.wait(2 * DAY_MS)
  account.send(make.closeDispute(purchase, 'lost'))
  assert.deepEqual(figures(account), ['-40', '0', '40'])
})

test('frozen credits of a grant that the operator voids go with it, whoever wins', () => {
  for (const outcome of ['won', 'lost'] as const) {
    const { account, purchase } = bought()
    account.charge(40)
    account.send(make.openDispute(purchase, 'd', 300))
    account.void(3)
    assert.deepEqual(figures(account), ['0', '30', '0'])
    account.send(make.closeDispute(purchase, outcome, 'd', 300))
    assert.deepEqual(figures(account), ['0', '0', '0'], outcome)
    account.send(make.refundTopup(purchase, 'a', 1_000))
    assert.deepEqual(figures(account), ['-40', '0', '40'], 'what was voided is not owed, what was spent is')
  }
})

test('credits that are set free pay what is owed first', () => {
  const { account, purchase } = bought()
  account.send(make.openDispute(purchase))
  account.capture(seqOf(account.hold(0)), 25)
  assert.deepEqual(figures(account), ['-25', '100', '25'])
  account.send(make.closeDispute(purchase, 'won'))
  assert.deepEqual(figures(account), ['75', '0', '0'])
})

test('an account with as many freezes as it may have is not frozen further, and a lost dispute takes all the same', () => {
  const { account, purchase } = bought()
  account.state = {
    ...account.state,
    freezes: Array.from({ length: MAX_FREEZES }, (_, index) => ({ seq: -1 - index, purchase: 0, creditType: 'credits', parts: [] })),
  }
  account.quickly(() => account.send(make.openDispute(purchase)))
  assert.deepEqual(figures(account), ['100', '0', '0'])
  account.quickly(() => account.send(make.closeDispute(purchase, 'lost')))
  assert.deepEqual(figures(account), ['0', '0', '0'])
})

test('a purchase has a bounded number of refunds and disputes', () => {
  const { account, purchase } = bought({ amountMinor: 1_000 })
  account.quickly(() => {
    for (let count = 0; count < MAX_PURCHASE_EVENTS; count++) account.send(make.refundTopup(purchase, `r${count}`, 1))
  })
  for (const command of [
    make.refundTopup(purchase, 'more', 1),
    make.requestRefund(purchase, 1),
    make.openDispute(purchase),
    make.closeDispute(purchase, 'lost'),
    make.reverseRefund(purchase, 'more', { amountMinor: 1 }),
  ])
    assert.equal(codeOf(account.send(command)), 'too_many_refunds')
  assert.equal(account.balance().settled, '80')
})
