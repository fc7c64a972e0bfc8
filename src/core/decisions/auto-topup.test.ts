import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attemptTopup, failTopup, OPTIONS, REMOVE_TOPUP, setTopup, type TermsWish } from '../../../test/running/auto-topups.ts'
import { booked, codeOf, DAY_MS, HOUR_MS, MemoryAccount, seqOf } from '../../../test/running/memory-account.ts'
import * as buy from '../../../test/running/purchases.ts'
import { advanceClock } from '../../../test/running/store-commands.ts'
import * as plan from '../../../test/running/subscriptions.ts'
import { askingTopupMs, COOLDOWN_MS, MAX_ATTEMPTS_PER_DAY, RETRY_AFTER_MS, standingOf, UNHURRIED_MS } from '../auto-topup.ts'
import type { Command } from '../command.ts'
import type { JournalRecord } from '../record.ts'

/** An account with 100 credits and a card, that is to be topped up at 10. */
function watched(wish: TermsWish = {}): MemoryAccount {
  const account = new MemoryAccount()
  account.grant(100)
  booked(account.send(plan.saveMethod()))
  booked(account.send(setTopup(wish)))
  return account
}

/** The same, with 5 credits: more are wanted. */
function low(wish: TermsWish = {}): MemoryAccount {
  const account = watched(wish)
  account.charge(95)
  return account
}

function standing(account: MemoryAccount): string | undefined {
  return standingOf(account.state, account.nowMs)?.status
}

function asks(account: MemoryAccount): boolean {
  const atMs = askingTopupMs(account.state)
  return atMs !== null && atMs <= account.nowMs
}

/** The last record, what it told, and where the top-ups stand after it. */
function last(account: MemoryAccount): readonly [string | undefined, readonly string[] | undefined, string | undefined] {
  const record = account.journal.at(-1)
  return [record?.kind, record?.events, standing(account)]
}

function kindsOf(account: MemoryAccount, kind: JournalRecord['kind']): number {
  return account.journal.filter((record) => record.kind === kind).length
}

test('the decision that brings the credits down to the threshold says so, once, and no other does', () => {
  const account = watched()
  assert.equal(standing(account), 'idle')
  account.charge(89)
  assert.deepEqual(last(account), ['charge', [], 'idle'])
  account.charge(1)
  assert.deepEqual(last(account), ['charge', ['auto_topup.triggered'], 'triggered'])
  account.charge(1)
  assert.deepEqual(last(account), ['charge', [], 'triggered'])
})

for (const [what, bring] of [
  ['a hold', (account: MemoryAccount) => account.hold(95)],
  ['a capture above its hold', (account: MemoryAccount) => account.capture(seqOf(account.hold(50)), 95)],
  ['an adjustment', (account: MemoryAccount) => account.adjust(-95)],
] as const)
  test(`${what} sets a top-up off`, () => {
    const account = watched()
    bring(account)
    assert.ok(account.journal.at(-1)?.events.includes('auto_topup.triggered'))
    assert.equal(standing(account), 'triggered')
  })

test('the end of a grant sets a top-up off', () => {
  const account = new MemoryAccount()
  account.grant(100, { expiresAtMs: account.nowMs + HOUR_MS })
  booked(account.send(plan.saveMethod()))
  booked(account.send(setTopup()))
  account.wait(2 * HOUR_MS)
  booked(account.send({ kind: 'book_due' } as Command))
  assert.deepEqual(last(account), ['grant_expired', ['credits.exhausted', 'auto_topup.triggered'], 'triggered'])
})

test('terms that are met already set a top-up off as they are set, and terms that are off none', () => {
  const account = watched()
  booked(account.send(setTopup({ threshold: 100 })))
  assert.deepEqual(last(account), ['auto_topup_set', ['auto_topup.triggered'], 'triggered'])
  booked(account.send(setTopup({ threshold: 100, isOn: false })))
  assert.deepEqual(last(account), ['auto_topup_set', [], 'off'])
  account.charge(95)
  assert.deepEqual([account.journal.at(-1)?.events, asks(account)], [[], false])
})

test('an attempt is a purchase, on record before it is paid, and there is one at a time', () => {
  const account = low()
  assert.ok(asks(account))
  const attempt = booked(account.send(attemptTopup())).record
  assert.ok(attempt.kind === 'auto_topup_attempted')
  assert.deepEqual([attempt.terms.amountMinor, attempt.terms.credits, attempt.card], [1_000, 100_000_000n, 'f'])
  assert.equal(standing(account), 'charging')
  assert.equal(booked(account.send(attemptTopup())).records.length, 0, 'none beside it')
  booked(account.send(buy.fulfil(attempt.seq)))
  assert.deepEqual(last(account), ['topup', ['auto_topup.paid'], 'idle'])
  assert.equal(account.balance().available, '105')
  const before = account.journal.length
  account.send(buy.fulfil(attempt.seq))
  assert.equal(account.journal.length, before, 'paid once')
})

test('a declined card is asked again as often as is said, and then only another one is', () => {
  const account = low()
  for (const pauseMs of [...RETRY_AFTER_MS, null]) {
    const attempt = seqOf(account.send(attemptTopup()))
    booked(account.send(failTopup(attempt)))
    if (pauseMs === null) break
    assert.deepEqual(last(account), ['auto_topup_failed', [], 'backing_off'])
    account.wait(pauseMs - 1)
    assert.ok(!asks(account))
    assert.equal(booked(account.send(attemptTopup())).records.length, 0, 'not before that')
    account.wait(1)
    assert.ok(asks(account))
  }
  assert.deepEqual(last(account), ['auto_topup_failed', ['auto_topup.suspended'], 'suspended'])
  for (const command of [plan.saveMethod({ method: 'again' }), setTopup(), REMOVE_TOPUP, setTopup({ text: 'v2' })])
    booked(account.send(command))
  account.wait(400 * DAY_MS)
  assert.deepEqual([standing(account), asks(account)], ['suspended', false], 'neither time nor other terms, nor the same card left again')
  booked(account.send(plan.saveMethod({ method: 'other', fingerprint: 'g' })))
  assert.deepEqual([standing(account), asks(account)], ['triggered', true])
  booked(account.send(failTopup(seqOf(account.send(attemptTopup())))))
  booked(account.send(plan.saveMethod({ method: 'card', fingerprint: 'f' })))
  assert.equal(standing(account), 'suspended', 'the first card is remembered beside the second')
  assert.equal(kindsOf(account, 'auto_topup_attempted'), 4)
})

test('a hard decline is the last of its card', () => {
  const account = low()
  booked(account.send(failTopup(seqOf(account.send(attemptTopup())), false)))
  account.wait(400 * DAY_MS)
  assert.deepEqual([standing(account), asks(account)], ['suspended', false])
})

test('what was paid begins the count of its card anew', () => {
  const account = low()
  for (let time = 0; time < 2; time++) {
    booked(account.send(failTopup(seqOf(account.send(attemptTopup())))))
    account.wait(3 * HOUR_MS)
  }
  booked(account.send(buy.fulfil(seqOf(account.send(attemptTopup())))))
  assert.deepEqual(account.state.autoTopup?.declined, [])
})

test('the cap of the month is not passed, and what came to nothing does not count', () => {
  const account = low({ threshold: 1_000, capMinor: 2_500 })
  booked(account.send(failTopup(seqOf(account.send(attemptTopup())))))
  account.wait(HOUR_MS)
  for (let time = 0; time < 2; time++) {
    booked(account.send(buy.fulfil(seqOf(account.send(attemptTopup())), { payment: `${time}` })))
    account.wait(COOLDOWN_MS)
  }
  booked(account.send(attemptTopup()))
  assert.deepEqual(last(account), ['auto_topup_capped', [], 'capped'])
  assert.equal(askingTopupMs(account.state), Date.UTC(2026, 1, 1), 'in the next month, in UTC')
  booked(account.send(REMOVE_TOPUP))
  booked(account.send(setTopup({ threshold: 1_000, capMinor: 2_500 })))
  assert.equal(booked(account.send(attemptTopup())).record.kind, 'auto_topup_capped', 'taking it away and setting it again changes nothing')
  account.nowMs = Date.UTC(2026, 1, 1)
  assert.equal(booked(account.send(attemptTopup())).record.kind, 'auto_topup_attempted')
})

test('whatever comes of them, there are so many attempts a day and no more', () => {
  const account = low({ threshold: 100_000, capMinor: 90_000_000 })
  for (let time = 0; time < MAX_ATTEMPTS_PER_DAY; time++) {
    booked(account.send(buy.fulfil(seqOf(account.send(attemptTopup())), { payment: `${time}` })))
    account.wait(COOLDOWN_MS)
  }
  booked(account.send(attemptTopup()))
  assert.deepEqual(last(account), ['auto_topup_capped', [], 'capped'])
  assert.equal(askingTopupMs(account.state), account.nowMs - MAX_ATTEMPTS_PER_DAY * COOLDOWN_MS + DAY_MS)
})

test('after a payment the next one waits, however little there is', () => {
  const account = low({ threshold: 1_000 })
  booked(account.send(buy.fulfil(seqOf(account.send(attemptTopup())))))
  assert.deepEqual(last(account), ['topup', ['auto_topup.paid', 'auto_topup.triggered'], 'cooling_down'])
  account.wait(COOLDOWN_MS - 1)
  assert.ok(!asks(account))
  account.wait(1)
  assert.ok(asks(account))
})

for (const [what, offer, reason] of [
  ['nothing is on sale', { options: null }, 'not_on_sale'],
  ['other credits are sold', { options: { ...OPTIONS, creditType: 'images' } }, 'not_on_sale'],
  ['another currency is asked for', { options: { ...OPTIONS, currency: 'usd' } }, 'not_on_sale'],
  ['less is sold at once', { options: { ...OPTIONS, maxMinor: 999 } }, 'amount_out_of_range'],
  ['somebody else takes the money', { provider: 'stripe' }, 'no_payment_method'],
] as const)
  test(`nothing is tried when ${what}, and the account says why`, () => {
    const account = low()
    const { record } = booked(account.send(attemptTopup(offer)))
    assert.ok(record.kind === 'auto_topup_blocked')
    assert.deepEqual([record.reason, standing(account)], [reason, 'blocked'])
    const atMs = askingTopupMs(account.state)
    assert.equal(atMs, reason === 'no_payment_method' ? null : account.nowMs + DAY_MS)
  })

test('without anything to pay with, the next attempt comes when something is left', () => {
  const account = low()
  booked(account.send(plan.removeMethod()))
  booked(account.send(attemptTopup()))
  assert.equal(askingTopupMs(account.state), null)
  booked(account.send(plan.saveMethod()))
  assert.ok(asks(account))
})

test('by then there may be credits enough', () => {
  const account = low()
  account.grant(50)
  assert.equal(booked(account.send(attemptTopup())).record.kind, 'auto_topup_stood_down')
  assert.equal(standing(account), 'idle')
  account.charge(50)
  assert.deepEqual(last(account), ['charge', ['auto_topup.triggered'], 'triggered'])
})

for (const [available, amountMinor] of [
  [5, 9_500],
  [4.999999, 9_501],
  [0, 10_000],
] as const)
  test(`from ${available} credits to a target of 955 is ${amountMinor} minor units, and never less than is sold`, () => {
    const account = watched({ threshold: 50, target: 955, capMinor: 100_000 })
    account.charge(100 - available)
    const { record } = booked(account.send(attemptTopup({ options: { ...OPTIONS, minMinor: available === 0 ? 10_000 : 100 } })))
    assert.ok(record.kind === 'auto_topup_attempted')
    assert.equal(record.terms.amountMinor, amountMinor)
  })

test('a payment that has to be confirmed is open until it is paid, or its page is over', () => {
  const account = low()
  const attempt = seqOf(account.send(attemptTopup()))
  for (const outcome of ['expired', 'failed'] as const) {
    account.send(buy.closeCheckout(attempt, outcome))
    assert.equal(standing(account), 'charging', 'without a page only whoever asked for it knows')
  }
  assert.equal(codeOf(account.send(buy.closeCheckout(attempt, 'canceled'))), 'payment_in_flight')
  booked(account.send(buy.linkCheckout(attempt)))
  assert.deepEqual(last(account), ['checkout_linked', ['auto_topup.action_required'], 'requires_action'])
  assert.equal(askingTopupMs(account.state), UNHURRIED_MS)
  booked(account.send(buy.closeCheckout(attempt, 'expired')))
  assert.deepEqual(last(account), ['auto_topup_failed', [], 'backing_off'])
  booked(account.send(buy.fulfil(attempt)))
  assert.equal(account.balance().available, '105', 'money that comes all the same is credited')
  account.send(failTopup(attempt))
  assert.equal(kindsOf(account, 'auto_topup_failed'), 1)
})

test('while a payment is disputed, or the account is suspended, nothing is asked for', () => {
  const account = low({ threshold: 1_000 })
  const attempt = seqOf(account.send(attemptTopup()))
  booked(account.send(buy.fulfil(attempt)))
  booked(account.send(buy.openDispute(attempt, 'first', 1)))
  booked(account.send(buy.openDispute(attempt, 'second', 1)))
  account.wait(DAY_MS)
  assert.deepEqual([standing(account), asks(account)], ['paused', false])
  booked(account.send(buy.closeDispute(attempt, 'won', 'first', 1)))
  assert.equal(standing(account), 'paused')
  booked(account.send(buy.closeDispute(attempt, 'lost', 'second', 1)))
  assert.deepEqual([standing(account), asks(account)], ['blocked', false], 'the bank took a payment back')
  booked(account.send(setTopup({ threshold: 1_000 })))
  assert.deepEqual([standing(account), asks(account)], ['triggered', true])
  account.update({ status: 'suspended' })
  assert.deepEqual([standing(account), asks(account)], ['paused', false])
  account.update({ status: 'active' })
  assert.ok(asks(account))
})

test('nothing is bought while a plan that gives these credits is being paid for, and something is once that is declined', () => {
  const account = watched()
  const subscription = seqOf(account.send(plan.start({ price: 900 })))
  account.charge(95)
  const tried = (): number => {
    account.send(attemptTopup())
    return kindsOf(account, 'auto_topup_attempted')
  }
  assert.deepEqual([standing(account), tried()], ['triggered', 0])
  const attempt = seqOf(account.send(plan.attempt(subscription)))
  assert.equal(tried(), 0)
  booked(account.send(plan.decline(subscription, attempt)))
  assert.equal(tried(), 1)
})

test('money that was not asked for counts, and stops everything until somebody sets it again', () => {
  const account = low({ capMinor: 2_000 })
  const attempt = seqOf(account.send(attemptTopup()))
  booked(account.send(buy.fulfil(attempt, { amountMinor: 1_001 })))
  assert.deepEqual([standing(account), asks(account), account.state.autoTopup?.spent?.amountMinor], ['blocked', false, 1_000])
  booked(account.send(setTopup({ capMinor: 2_000 })))
  assert.ok(asks(account))
})

test('an attempt goes on that was made before the terms were changed or taken away', () => {
  const account = low()
  const attempt = seqOf(account.send(attemptTopup()))
  booked(account.send(REMOVE_TOPUP))
  assert.equal(account.send(REMOVE_TOPUP) && kindsOf(account, 'auto_topup_removed'), 1, 'taken away once')
  assert.equal(standing(account), 'charging')
  booked(account.send(buy.fulfil(attempt)))
  assert.deepEqual([standing(account), account.balance().available], ['off', '105'])
})

test('the consent is of the time at which it was given, until another is', () => {
  const account = watched()
  const { atMs } = account.state
  account.wait(DAY_MS)
  booked(account.send(setTopup({ threshold: 1 })))
  assert.equal(account.state.autoTopup?.agreedAtMs, atMs)
  booked(account.send(setTopup({ text: 'v2' })))
  assert.equal(account.state.autoTopup?.agreedAtMs, atMs + DAY_MS)
})

test('an account that lives by a test clock waits by it', () => {
  const account = MemoryAccount.onClock(Date.UTC(2030, 0, 1))
  booked(account.send(plan.saveMethod()))
  booked(account.send(setTopup()))
  booked(account.send(failTopup(seqOf(account.send(attemptTopup())))))
  account.nowMs += 30 * DAY_MS
  assert.equal(booked(account.send(attemptTopup())).records.length, 0)
  booked(account.send(advanceClock(Date.UTC(2030, 0, 1, 1))))
  assert.equal(booked(account.send(attemptTopup())).record.kind, 'auto_topup_attempted')
})
