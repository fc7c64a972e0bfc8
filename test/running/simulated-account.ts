/** An account that serves many clients in simulated time: rightly, or with a fault that real servers have had. */

import { type Action, type Answer, apply, EMPTY, type Operation, type State } from '../linearizability.ts'
import type { Random } from './random.ts'
import { type Attempt, Workload } from './workload.ts'

/** An account at a moment. */
interface Moment {
  readonly state: State
  readonly sequence: number
}

/** What a server makes of an action: the state that it keeps, and the one that it answers with; or a refusal. */
type Outcome = { readonly kept: State; readonly shown: State } | string

interface Asked {
  readonly action: Action
  readonly made: string
  readonly now: State
  /** The account as it was when the client called. */
  readonly called: State
}

function rightly({ now, action, made }: Asked): Outcome {
  const next = apply(now, action, made)
  return typeof next === 'string' ? next : { kept: next, shown: next }
}

/** What servers do wrong when they change an account. */
const WRONG_CHANGES = {
  /** Writes what follows from the balance that it read when it was called. */
  'lost update': (asked: Asked): Outcome => rightly({ ...asked, now: asked.called }),
  /** Checks the balance when it is called, and takes the credits later. */
  'double spend': ({ action, made, now, called }: Asked): Outcome => {
    const judged = apply(called, action, made)
    if (action.do !== 'charge' || typeof judged === 'string') return rightly({ action, made, now, called })
    const kept = { ...now, settled: now.settled - action.credits, charges: new Map(now.charges).set(made, action.credits) }
    return { kept, shown: kept }
  },
  /** Takes a charge twice. */
  'double effect': (asked: Asked): Outcome => {
    const once = rightly(asked)
    if (asked.action.do !== 'charge' || typeof once === 'string') return once
    return { ...once, kept: { ...once.kept, settled: once.kept.settled - asked.action.credits } }
  },
  /** Sets nothing aside for a hold that it confirms. */
  'forgotten hold': (asked: Asked): Outcome => {
    const held = rightly(asked)
    return asked.action.do !== 'hold' || typeof held === 'string' ? held : { ...held, kept: asked.now }
  },
  /** Captures a hold that has ended. */
  'hold ended twice': (asked: Asked): Outcome => {
    const { action, now } = asked
    const ended = rightly(asked)
    if (action.do !== 'capture' || ended !== 'hold_ended') return ended
    const kept = { ...now, settled: now.settled - action.credits }
    return { kept, shown: kept }
  },
  /** Refuses what could be paid. */
  'needless refusal': (asked: Asked): Outcome => (asked.action.do === 'charge' ? 'insufficient_credits' : rightly(asked)),
} as const

/** A fault that a simulated account may have. The last shows balances that have passed. */
export type Fault = keyof typeof WRONG_CHANGES | 'stale read'

/** All of them. */
export const FAULTS: readonly Fault[] = [...(Object.keys(WRONG_CHANGES) as (keyof typeof WRONG_CHANGES)[]), 'stale read']

/** How often a fault shows, once there is something to be wrong about. */
const FAULT_RATE = 0.25
/** Changes between a balance and a stale read of it. */
const STALENESS = 6

class SimulatedAccount {
  readonly #fault: Fault | null
  readonly #random: Random
  readonly #past: Moment[] = []
  now: Moment = { state: EMPTY, sequence: 0 }
  /** How often it did what it may not. */
  wrongs = 0

  constructor(fault: Fault | null, random: Random) {
    this.#fault = fault
    this.#random = random
  }

  answer(action: Action, called: Moment): Answer {
    if (action.do === 'read') return this.#read(called)
    const made = `made-${this.#past.length}`
    const outcome = this.#change({ action, made, now: this.now.state, called: called.state })
    if (typeof outcome === 'string') return { ok: false, refused: outcome }
    this.#past.push(this.now)
    this.now = { state: outcome.kept, sequence: this.now.sequence + 1 }
    return { ok: true, made, settled: outcome.shown.settled, held: outcome.shown.held, sequence: this.now.sequence }
  }

  #change(asked: Asked): Outcome {
    const right = rightly(asked)
    if (this.#fault === null || this.#fault === 'stale read' || !this.#random.isLikely(FAULT_RATE)) return right
    const outcome = WRONG_CHANGES[this.#fault](asked)
    if (isSame(outcome, right)) return right
    this.wrongs += 1
    return outcome
  }

  #read(called: Moment): Answer {
    const past = this.#past.at(-STALENESS)
    const isStale = this.#fault === 'stale read' && past !== undefined && this.#random.isLikely(FAULT_RATE)
    const { state, sequence } = isStale ? past : this.now
    if (sequence < called.sequence && !isSame({ kept: state, shown: state }, { kept: called.state, shown: called.state })) this.wrongs += 1
    return { ok: true, made: null, settled: state.settled, held: state.held, sequence }
  }
}

function isSame(one: Outcome, other: Outcome): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other
  return sums(one.kept) === sums(other.kept) && sums(one.shown) === sums(other.shown)
}

function sums({ settled, held }: State): string {
  return `${settled} ${held}`
}

const CLIENTS = 8

interface Client {
  readonly attempt: Attempt
  readonly calledAt: number
  readonly called: Moment
  answer: Answer | null
}

/** The history of clients of an account, and how often it was served wrongly. */
export function simulate(
  fault: Fault | null,
  random: Random,
  operations: number,
): { readonly history: readonly Operation[]; readonly wrongs: number } {
  const account = new SimulatedAccount(fault, random)
  const workload = new Workload([{ id: 'account', ttlSeconds: 900 }], random)
  const grant = { do: 'grant', credits: 60_000_000n } as const
  const history: Operation[] = [
    { account: 'account', action: grant, calledAt: 0, returnedAt: 1, answer: account.answer(grant, account.now), isUnknown: false },
  ]
  const clients = new Map<number, Client>()
  for (let tick = 2; history.length < operations || clients.size > 0; tick++) {
    const number = random.below(CLIENTS)
    const client = clients.get(number)
    if (client === undefined) {
      if (history.length < operations) clients.set(number, { attempt: workload.draw(), calledAt: tick, called: account.now, answer: null })
    } else if (client.answer === null) client.answer = account.answer(client.attempt.action, client.called)
    else {
      const { attempt, calledAt, answer } = client
      workload.learn(attempt, answer)
      history.push({ account: attempt.account, action: attempt.action, calledAt, returnedAt: tick, answer, isUnknown: false })
      clients.delete(number)
    }
  }
  return { history, wrongs: account.wrongs }
}
