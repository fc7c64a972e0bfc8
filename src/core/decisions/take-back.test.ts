import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, DAY_MS, HOUR_MS, MemoryAccount, refusal, seqOf } from '../../../test/running/memory-account.ts'
import * as make from '../../../test/running/purchases.ts'
import { formatCredits } from '../credits.ts'
import { takenFrom } from '../purchase.ts'

/** An account that has bought 100 credits for 10.00 (records 2 and 3), and a bonus if one is wished for. */
function bought(wish: make.Wish = {}): { readonly account: MemoryAccount; readonly purchase: number } {
  const account = new MemoryAccount()
  const purchase = seqOf(account.send(make.openCheckout(wish)))
  seqOf(account.send(make.fulfil(purchase, { amountMinor: wish.amountMinor ?? 1_000 })))
  return { account, purchase }
}

/** Takes credits for a refund; gives what it took. */
function refund(account: MemoryAccount, purchase: number, name: string, amountMinor: number): string {
  const { record } = booked(account.send(make.refundTopup(purchase, name, amountMinor)))
  assert.ok(record.kind === 'topup_refunded')
  return formatCredits(record.credits)
}

function takenOf(account: MemoryAccount, purchase: number): string {
  const facts = account.facts.purchase(purchase)
  return facts ? formatCredits(takenFrom(facts.purchase)) : 'nothing'
}

test('a refund takes credits in proportion', () => {
  const { account, purchase } = bought()
  assert.equal(refund(account, purchase, 'a', 250), '25')
  assert.deepEqual([account.balance().settled, account.debt()], ['75', '0'])
})

test('refunds add up exactly to what was bought, however they are cut', () => {
  for (const cuts of [[1_000], [333, 333, 334], [1, 999], [500, 1, 499], [7, 7, 7, 7, 972]]) {
    const { account, purchase } = bought({ credits: 33.333333 })
    for (const [index, amount] of cuts.entries()) refund(account, purchase, `r${index}`, amount)
    assert.deepEqual([account.balance().settled, takenOf(account, purchase)], ['0', '33.333333'], cuts.join(' + '))
  }
})

test('each refund takes what the sum of all comes to, rounded down, less what was taken before', () => {
  const { account, purchase } = bought({ amountMinor: 300, credits: 0.000_1 })
  assert.deepEqual(
    [100, 100, 100].map((amount, index) => refund(account, purchase, `r${index}`, amount)),
    ['0.000033', '0.000033', '0.000034'],
  )
})

test('refunds of more than was paid take no more than was bought', () => {
  const { account, purchase } = bought()
  refund(account, purchase, 'a', 900)
  assert.equal(refund(account, purchase, 'b', 900), '10')
  assert.equal(refund(account, purchase, 'c', 900), '0')
  assert.deepEqual([account.balance().settled, account.debt()], ['0', '0'])
})

test('taxes are a part of what refunds are parts of', () => {
  const account = new MemoryAccount()
  const purchase = seqOf(account.send(make.openCheckout()))
  account.send(make.fulfil(purchase, { totalMinor: 1_250 }))
  assert.equal(refund(account, purchase, 'a', 1_000), '80')
  assert.equal(refund(account, purchase, 'b', 250), '20')
})

test('the same refund takes nothing a second time', () => {
  const { account, purchase } = bought()
  refund(account, purchase, 'a', 500)
  account.send(make.refundTopup(purchase, 'a', 500))
  assert.equal(account.balance().settled, '50')
})

test('a refund takes from the purchase itself first, then its bonus, and leaves other credits alone', () => {
  const { account, purchase } = bought({ bonus: 10 })
  account.grant(50, { source: 'plan' })
  refund(account, purchase, 'a', 500)
  assert.deepEqual(account.remaining(), [
    [5, '50'],
    [4, '10'],
    [3, '45'],
  ])
  refund(account, purchase, 'b', 500)
  assert.deepEqual(account.remaining(), [[5, '50']])
})

test('what was spent is taken from other credits, and what is not there becomes a debt', () => {
  const { account, purchase } = bought()
  account.charge(80)
  account.grant(30, { source: 'plan' })
  refund(account, purchase, 'a', 1_000)
  assert.deepEqual([account.balance().settled, account.debt()], ['-50', '50'])
  account.grant(60)
  assert.deepEqual([account.balance().settled, account.debt()], ['10', '0'])
})

test('what expired was not spent: a full refund leaves no debt for it', () => {
  const { account, purchase } = bought({ bonus: 10, bonusLifeMs: DAY_MS })
  account.charge(4)
  account.wait(DAY_MS)
  assert.equal(refund(account, purchase, 'a', 1_000), '104')
  assert.deepEqual([account.balance().settled, account.debt()], ['-4', '4'])
})

test('what the operator voided was not spent either, nor what expired when a hold let go of it', () => {
  const voided = bought()
  voided.account.charge(10)
  voided.account.void(3)
  refund(voided.account, voided.purchase, 'a', 1_000)
  assert.equal(voided.account.debt(), '10')

  const held = bought({ lifeMs: HOUR_MS })
  const hold = seqOf(held.account.hold(60, { ttlMs: 2 * HOUR_MS }))
  held.account.wait(HOUR_MS)
  held.account.capture(hold, 20)
  refund(held.account, held.purchase, 'a', 1_000)
  assert.equal(held.account.debt(), '20', 'only what was captured')
})

test('what a hold has set aside stays with it: the rest is owed, and repaid when the hold lets go', () => {
  const { account, purchase } = bought()
  const hold = seqOf(account.hold(70))
  refund(account, purchase, 'a', 1_000)
  assert.deepEqual([account.balance(), account.debt()], [{ settled: '0', held: '70', available: '-70' }, '70'])
  account.release(hold)
  assert.deepEqual([account.balance().settled, account.debt()], ['0', '0'])
})

test('a charge that is refunded after the payment was goes home to the purchase and pays what is owed', () => {
  const { account, purchase } = bought()
  const charge = seqOf(account.charge(100))
  refund(account, purchase, 'a', 1_000)
  account.refund(charge, 60)
  assert.deepEqual([account.balance().settled, account.debt()], ['-40', '40'])
  account.refund(charge, 40)
  assert.deepEqual([account.balance().settled, account.debt()], ['0', '0'])
})

/** What a refund takes must come back exactly, wherever it was taken from. */
const TAKEN: Readonly<Record<string, (account: MemoryAccount) => unknown>> = {
  'the purchase alone': () => undefined,
  'the purchase and other credits': (account) => [account.charge(70), account.grant(200, { source: 'promo' })],
  'a debt alone': (account) => account.charge(110),
  'all of these': (account) => [account.charge(90), account.grant(40)],
}
for (const [name, prepare] of Object.entries(TAKEN))
  test(`a refund that fails gives back exactly what it took: from ${name}`, () => {
    const { account, purchase } = bought({ bonus: 10 })
    prepare(account)
    const before = [account.balance(), account.debt(), account.remaining()]
    account.send(make.refundTopup(purchase, 'a', 700))
    assert.notDeepEqual([account.balance(), account.debt(), account.remaining()], before)
    account.send(make.reverseRefund(purchase, 'a', { amountMinor: 700 }))
    assert.deepEqual([account.balance(), account.debt(), account.remaining()], before)
    assert.equal(takenOf(account, purchase), '0')
    account.send(make.reverseRefund(purchase, 'a', { amountMinor: 700 }))
    assert.deepEqual([account.balance(), account.debt(), account.remaining()], before, 'once')
  })

test('a debt that was repaid meanwhile comes back as credits', () => {
  const { account, purchase } = bought()
  account.charge(100)
  account.send(make.refundTopup(purchase, 'a', 1_000))
  account.grant(100)
  assert.deepEqual([account.balance().settled, account.debt()], ['0', '0'])
  account.send(make.reverseRefund(purchase, 'a', { amountMinor: 1_000, grantDays: 7 }))
  assert.equal(account.balance().settled, '100')
})

test('credits whose grant has ended meanwhile come back as a grant of their own, of the same purchase', () => {
  const { account, purchase } = bought({ bonus: 10, bonusLifeMs: DAY_MS })
  account.send(make.refundTopup(purchase, 'a', 1_000))
  account.wait(2 * DAY_MS)
  const { record } = booked(account.send(make.reverseRefund(purchase, 'a', { amountMinor: 1_000, grantDays: 7 })))
  assert.ok(record.kind === 'topup_refund_reversed')
  assert.deepEqual([record.grant?.source, record.grant?.expiresAtMs], ['refund', account.nowMs + 7 * DAY_MS])
  assert.equal(account.balance().settled, '110')
  assert.equal(refund(account, purchase, 'b', 1_000), '110', 'and a later refund takes them from there')
  assert.deepEqual([account.balance().settled, account.debt()], ['0', '0'])
})

test('after a refund that failed, another takes its full part', () => {
  const { account, purchase } = bought()
  account.send(make.refundTopup(purchase, 'a', 400))
  refund(account, purchase, 'b', 300)
  account.send(make.reverseRefund(purchase, 'a', { amountMinor: 400 }))
  assert.equal(account.balance().settled, '70')
  assert.equal(refund(account, purchase, 'c', 700), '70')
  assert.equal(account.balance().settled, '0')
})

test('where refunds came to more than was paid, one that fails gives back only what the others do not claim', () => {
  const { account, purchase } = bought()
  account.send(make.refundTopup(purchase, 'a', 700))
  account.send(make.refundTopup(purchase, 'b', 700))
  assert.equal(account.balance().available, '0')
  account.send(make.reverseRefund(purchase, 'a', { amountMinor: 700 }))
  assert.equal(account.balance().available, '30')
  account.send(make.reverseRefund(purchase, 'b', { amountMinor: 700 }))
  assert.equal(account.balance().available, '100', 'what the first one had left is claimed by nobody now')
})

test('a refund that is first heard of when it has failed takes nothing, then or ever', () => {
  const { account, purchase } = bought()
  const { record } = booked(account.send(make.reverseRefund(purchase, 'a', { amountMinor: 400 })))
  assert.ok(record.kind === 'topup_refund_reversed')
  assert.deepEqual([record.credits, record.movements], [0n, []])
  account.send(make.refundTopup(purchase, 'a', 400))
  assert.equal(account.balance().settled, '100', 'older news that comes later')
})

test('nothing is taken of a purchase that was not paid', () => {
  const account = new MemoryAccount()
  const purchase = seqOf(account.send(make.openCheckout()))
  for (const command of [
    make.requestRefund(purchase),
    make.refundTopup(purchase, 'a', 1),
    make.reverseRefund(purchase, 'a', { amountMinor: 1 }),
    make.refuseRefund(purchase, 9),
    make.refundTopup(999, 'a', 1),
  ])
    assert.equal(codeOf(account.send(command)), 'topup_not_found')
})

test('refunds are asked for up to what was paid, those under way and those made counted', () => {
  const { account, purchase } = bought()
  const first = seqOf(account.send(make.requestRefund(purchase, 600)))
  const answer = refusal(account.send(make.requestRefund(purchase, 401)))
  assert.deepEqual([answer.refused, answer.facts.refundable_minor], ['topup_refund_exceeds_payment', 400])
  refund(account, purchase, 'made at the provider', 100)
  const { record } = booked(account.send(make.requestRefund(purchase)))
  assert.ok(record.kind === 'topup_refund_requested')
  assert.equal(record.amountMinor, 300, 'all that is left')
  assert.equal(codeOf(account.send(make.requestRefund(purchase))), 'topup_refund_exceeds_payment')
  assert.equal(account.balance().settled, '90', 'asking takes nothing')
  account.send(make.refuseRefund(purchase, first))
  account.send(make.refuseRefund(purchase, first))
  assert.equal(codeOf(account.send(make.requestRefund(purchase, 600))), 'ok', 'what the provider refused may be asked for again')
})

test('a refund that was asked for is answered by the one that the provider makes', () => {
  const { account, purchase } = bought()
  const request = seqOf(account.send(make.requestRefund(purchase, 300)))
  account.send(make.refundTopup(purchase, 'a', 300, request))
  assert.deepEqual(account.facts.purchase(purchase)?.purchase.requests, [{ seq: request, amountMinor: 300, outcome: 'made' }])
  const { record } = booked(account.send(make.requestRefund(purchase)))
  assert.ok(record.kind === 'topup_refund_requested')
  assert.equal(record.amountMinor, 700)
})
