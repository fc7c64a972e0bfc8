/** The checkers of histories: what they accept, what they reject, and that they miss nothing that trying every order finds. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Action, type Answer, apply, checkAnyOrder, checkSequence, EMPTY, type Operation, type State } from './linearizability.ts'
import { Random } from './running/random.ts'
import { FAULTS, simulate } from './running/simulated-account.ts'

const CHECKERS = { sequence: checkSequence, 'any order': checkAnyOrder } as const

type Times = readonly [calledAt: number, returnedAt: number]

function operation(action: Action, [calledAt, returnedAt]: Times, answer: Answer, isUnknown = false): Operation {
  return { account: 'account', action, calledAt, returnedAt, answer, isUnknown }
}

/** `settled` after it, or `settled/held`. */
function done(sequence: number, balance: string, made: string | null = null): Answer {
  const [settled = 0n, held = 0n] = balance.split('/').map(BigInt)
  return { ok: true, made, settled, held, sequence }
}

const refused = (code: string): Answer => ({ ok: false, refused: code })
const read: Action = { do: 'read' }
const grant = (credits: bigint): Action => ({ do: 'grant', credits })
const charge = (credits: bigint): Action => ({ do: 'charge', credits })
const hold = (credits: bigint): Action => ({ do: 'hold', credits })
const capture = (of: string, credits: bigint): Action => ({ do: 'capture', hold: of, credits })
const release = (of: string): Action => ({ do: 'release', hold: of })
const refund = (of: string, credits: bigint): Action => ({ do: 'refund', charge: of, credits })

/** Every history begins with 10 credits. */
const TEN = operation(grant(10n), [0, 1], done(1, '10'))
const SPENT = operation(charge(10n), [2, 3], done(2, '0', 'a'))
const HELD = operation(hold(4n), [2, 3], done(2, '10/4', 'h'))

const RIGHT: Readonly<Record<string, readonly Operation[]>> = {
  'charges one after the other': [
    operation(charge(3n), [2, 3], done(2, '7', 'a')),
    operation(charge(4n), [4, 5], done(3, '3', 'b')),
    operation(charge(4n), [6, 7], refused('insufficient_credits')),
    operation(read, [8, 9], done(3, '3')),
  ],
  'charges at once, decided in the other order': [
    operation(charge(3n), [2, 9], done(3, '3', 'a')),
    operation(charge(4n), [3, 8], done(2, '6', 'b')),
  ],
  'a read during a charge, which shows what was before it': [
    operation(charge(3n), [2, 9], done(2, '7', 'a')),
    operation(read, [3, 4], done(1, '10')),
  ],
  'a read during a charge, which shows what is after it': [
    operation(charge(3n), [2, 9], done(2, '7', 'a')),
    operation(read, [3, 4], done(2, '7')),
  ],
  'a refusal during a refund that would have paid it': [
    SPENT,
    operation(refund('a', 10n), [4, 9], done(3, '10')),
    operation(charge(5n), [5, 6], refused('insufficient_credits')),
    operation(charge(5n), [5, 8], done(4, '5', 'b')),
  ],
  'a hold that keeps a charge out, is captured above itself, and cannot be released then': [
    HELD,
    operation(charge(7n), [4, 5], refused('credits_in_flight')),
    operation(capture('h', 5n), [6, 7], done(3, '5', 'c')),
    operation(release('h'), [6, 8], refused('hold_already_captured')),
    operation(refund('c', 2n), [9, 10], done(4, '7')),
    operation(refund('c', 4n), [11, 12], refused('refund_exceeds_charge')),
  ],
  'grants whose answers say no balance': [
    operation(grant(5n), [2, 3], { ok: true, made: 'g', settled: null, held: null, sequence: 2 }),
    operation(read, [4, 5], done(2, '15')),
  ],
}

const WRONG: Readonly<Record<string, readonly Operation[]>> = {
  'a lost update: two charges from the same balance': [
    operation(charge(3n), [2, 9], done(2, '7', 'a')),
    operation(charge(4n), [3, 8], done(3, '6', 'b')),
  ],
  'a double spend: both charges are paid with the same credits': [
    operation(charge(10n), [2, 9], done(2, '0', 'a')),
    operation(charge(10n), [3, 8], done(3, '0', 'b')),
  ],
  'a double spend that the balance shows': [SPENT, operation(charge(10n), [4, 5], done(3, '-10', 'b'))],
  'a stale read: what a charge had changed before it was asked': [SPENT, operation(read, [4, 5], done(1, '10'))],
  'reads that go back: the second shows less than the first': [
    operation(charge(10n), [2, 9], done(2, '0', 'a')),
    operation(read, [3, 4], done(2, '0')),
    operation(read, [5, 6], done(1, '10')),
  ],
  'a read of what was never so': [SPENT, operation(read, [4, 5], done(2, '5'))],
  'a refusal that nothing explains': [operation(charge(5n), [2, 3], refused('insufficient_credits'))],
  'a refusal for credits that are held, where none are': [SPENT, operation(charge(5n), [4, 5], refused('credits_in_flight'))],
  'a charge from credits that come only later': [
    SPENT,
    operation(charge(5n), [4, 5], done(4, '5', 'b')),
    operation(refund('a', 10n), [6, 7], done(3, '10')),
  ],
  'a hold that sets nothing aside': [HELD, operation(charge(7n), [4, 5], done(3, '3/0', 'b'))],
  'a hold that ends twice': [HELD, operation(capture('h', 4n), [4, 9], done(3, '6', 'c')), operation(release('h'), [5, 8], done(4, '6'))],
  'a hold that ends before it is made': [
    operation(capture('h', 4n), [2, 3], done(2, '6', 'c')),
    operation(hold(4n), [4, 5], done(3, '10/4', 'h')),
  ],
  'a charge that is refunded twice': [
    SPENT,
    operation(refund('a', 6n), [4, 9], done(3, '6')),
    operation(refund('a', 6n), [5, 8], done(4, '12')),
  ],
}

for (const [name, checker] of Object.entries(CHECKERS)) {
  for (const [what, history] of Object.entries(RIGHT))
    test(`the checker by ${name} accepts ${what}`, () => assert.deepEqual(checker([TEN, ...history]), []))
  for (const [what, history] of Object.entries(WRONG))
    test(`the checker by ${name} rejects ${what}`, () => assert.notDeepEqual(checker([TEN, ...history]), []))
}

test('only the sequence checker sees that the server has numbered what nobody asked for, or one number twice', () => {
  for (const sequence of [1, 3]) {
    const history = [TEN, operation(charge(3n), [2, 3], done(sequence, '7', 'a'))]
    assert.notDeepEqual(checkSequence(history), [])
    assert.deepEqual(checkAnyOrder(history), [])
  }
})

test('an operation whose answer was lost may have taken effect at any time after it was called, or never', () => {
  const lost = operation(charge(3n), [2, 3], refused('unheard'), true)
  const shows = (settled: string, times: Times): Operation => operation(read, times, done(1, settled))
  assert.deepEqual(checkAnyOrder([TEN, lost, shows('10', [4, 5])]), [], 'never, or later')
  assert.deepEqual(checkAnyOrder([TEN, lost, shows('7', [4, 5])]), [], 'at once')
  assert.deepEqual(checkAnyOrder([TEN, lost, shows('10', [4, 5]), shows('7', [6, 7])]), [], 'long after its client had gone')
  assert.notDeepEqual(checkAnyOrder([TEN, lost, shows('7', [4, 5]), shows('10', [6, 7])]), [], 'but not only for a while')
  assert.notDeepEqual(checkAnyOrder([TEN, lost, shows('4', [4, 5])]), [], 'nor twice')
  assert.notDeepEqual(checkAnyOrder([TEN, shows('7', [0.5, 1]), { ...lost, calledAt: 2 }]), [], 'nor before it was called')
  assert.match(checkSequence([TEN, lost])[0] ?? '', /is not known/)
})

test('an account that does all right is found to be right', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { history, wrongs } = simulate(null, new Random(seed), 300)
    assert.equal(wrongs, 0)
    for (const [name, checker] of Object.entries(CHECKERS)) assert.deepEqual(checker(history), [], `by ${name}, seed ${seed}`)
  }
})

for (const fault of FAULTS) {
  test(`an account that serves clients wrongly is found out by both checkers, each time: ${fault}`, () => {
    let wrong = 0
    for (let seed = 1; seed <= 20; seed++) {
      const { history, wrongs } = simulate(fault, new Random(seed), 300)
      if (wrongs === 0) continue
      wrong += 1
      for (const [name, checker] of Object.entries(CHECKERS)) assert.notDeepEqual(checker(history), [], `by ${name}, seed ${seed}`)
    }
    assert.ok(wrong >= 10, `${wrong} of 20 runs went wrong`)
  })
}

/** Whether any order at all explains a history, by trying them all. */
function isExplained(waiting: readonly Operation[], state: State): boolean {
  if (waiting.every(({ isUnknown }) => isUnknown)) return true
  const firstReturn = Math.min(...waiting.map(({ isUnknown, returnedAt }) => (isUnknown ? Number.POSITIVE_INFINITY : returnedAt)))
  return waiting.some((one) => {
    if (one.calledAt > firstReturn) return false
    const next = stateAfter(one, state)
    const others = waiting.filter((other) => other !== one)
    return next !== null && isExplained(others, next)
  })
}

function stateAfter({ action, answer, isUnknown }: Operation, state: State): State | null {
  const next = apply(state, action, isUnknown || !answer.ok ? 'unheard' : (answer.made ?? ''))
  if (isUnknown) return typeof next === 'string' ? null : next
  if (typeof next === 'string') return !answer.ok && answer.refused === next ? state : null
  return answer.ok && next.settled === answer.settled && next.held === answer.held ? next : null
}

test('the checker of any order says of small histories what trying every order says', () => {
  const verdicts = { right: 0, wrong: 0 }
  for (let seed = 1; seed <= 600; seed++) {
    const random = new Random(seed)
    const { history } = simulate(random.pick([null, ...FAULTS]) ?? null, random, 8)
    const [first, ...others] = history
    assert.ok(first)
    const known = [first, ...others.map((one) => ({ ...one, isUnknown: random.isLikely(0.15) }))]
    const isRight = isExplained(known, EMPTY)
    verdicts[isRight ? 'right' : 'wrong'] += 1
    assert.equal(checkAnyOrder(known).length === 0, isRight, `seed ${seed}`)
  }
  assert.ok(verdicts.right > 100 && verdicts.wrong > 100, JSON.stringify(verdicts))
})
