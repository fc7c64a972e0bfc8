import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attemptTopup, failTopup, setTopup, type TermsWish } from '../../test/running/auto-topups.ts'
import { booked, HOUR_MS, MemoryAccount, seqOf } from '../../test/running/memory-account.ts'
import * as plan from '../../test/running/subscriptions.ts'
import { wrongTopupEvents } from './auto-topup-fold.ts'
import { evolve } from './evolve.ts'
import type { JournalRecord } from './record.ts'

/** An account with 5 credits that is to be topped up, and the attempt that would be made now. */
function low(wish: TermsWish = {}): { readonly account: MemoryAccount; readonly attempt: JournalRecord } {
  const account = new MemoryAccount()
  account.grant(100)
  booked(account.send(plan.saveMethod()))
  booked(account.send(setTopup(wish)))
  account.charge(95)
  const before = account.state
  const attempt = booked(account.send(attemptTopup())).record
  account.state = before
  return { account, attempt }
}

function refold(account: MemoryAccount, record: JournalRecord): void {
  evolve(account.state, { ...record, seq: account.state.seq + 1, atMs: account.nowMs } as JournalRecord)
}

test('a journal that passes a limit is not folded: a second attempt in flight, a declined card, the cap, more than was asked for', () => {
  const { account, attempt } = low({ capMinor: 1_500 })
  refold(account, attempt)
  const seq = seqOf(account.send(attemptTopup()))
  assert.throws(() => refold(account, attempt), /another attempt is in flight/)
  booked(account.send(failTopup(seq)))
  assert.throws(() => refold(account, attempt), /a card that was declined/)
  account.wait(HOUR_MS)
  refold(account, attempt)
  assert.ok(attempt.kind === 'auto_topup_attempted')
  assert.throws(() => refold(account, { ...attempt, terms: { ...attempt.terms, amountMinor: 1_501 } }), /the monthly cap/)
  assert.throws(() => refold(account, { ...attempt, terms: { ...attempt.terms, creditType: 'images' } }), /nobody asked for/)
  account.grant(50)
  booked(account.send(attemptTopup()))
  assert.throws(() => refold(account, attempt), /credits enough/)
})

test('a failure of what is not in flight, or one too many for a card, is not folded', () => {
  const { account } = low()
  const seq = seqOf(account.send(attemptTopup()))
  const failed = { kind: 'auto_topup_failed', purchase: seq, code: 'x', isDecline: true, nextAttemptMs: 1, events: [] } as const
  const heading = { actor: 'provider', requestId: null, seq: 0, atMs: 0 } as const
  assert.throws(() => refold(account, { ...heading, ...failed, purchase: 1 }), /not in flight/)
  for (const _ of [1, 2]) {
    booked(account.send(failTopup(account.state.autoTopup?.attempt?.purchase ?? 0)))
    account.wait(3 * HOUR_MS)
    booked(account.send(attemptTopup()))
  }
  const purchase = account.state.autoTopup?.attempt?.purchase ?? 0
  assert.throws(() => refold(account, { ...heading, ...failed, purchase }), /declined too often/)
})

test('a record that tells too little or too much of automatic top-ups is found', () => {
  const { account } = low()
  const [charge] = account.journal.filter(({ kind }) => kind === 'charge')
  assert.ok(charge)
  const before = { ...account.state.autoTopup, wantedSinceMs: null } as NonNullable<typeof account.state.autoTopup>
  assert.equal(wrongTopupEvents(before, charge), undefined)
  assert.match(wrongTopupEvents(before, { ...charge, events: [] } as JournalRecord) ?? '', /tells nothing/)
  assert.match(wrongTopupEvents(null, charge) ?? '', /causes nothing/)
})
