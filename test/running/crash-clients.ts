/** Clients of a server that keeps being killed: what they were not answered they ask again, under the same key. */

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, Operation } from '../linearizability.ts'
import type { TestAnswer, TestObol } from './obol.ts'
import type { Random } from './random.ts'
import { type Attempt, answerIn, WEIGHTS, type Worked, Workload } from './workload.ts'

type Call = TestObol['call']

/** An attempt that was answered at last. */
export interface Settled {
  readonly attempt: Attempt
  readonly calledAt: number
  readonly returnedAt: number
  readonly answer: Answer
  /** What was heard, to be compared with what is heard again. */
  readonly heard: Pick<TestAnswer, 'status' | 'body'>
}

/** An attempt that was not answered, because the server was gone. */
export interface Unsettled {
  readonly attempt: Attempt
  readonly calledAt: number
}

const CLIENTS = 8
/** Few reads, credits enough for most of what is asked, and more holds than are ended. */
const MOSTLY_CHANGES = { ...WEIGHTS, hold: 22, capture: 10, release: 6, grant: 9, read: 6 }
/** Most requests of one run: a store that is fast has no more to do than one that is slow. */
const MAX_REQUESTS = 450
/** Half of all requests come after a pause, so that commits are of one request and of many. */
const MAX_PAUSE_MS = 12
/** How often a client asks once more for what it has been answered. */
const ASKS_AGAIN = 0.06

export class CrashClients {
  readonly settled: Settled[] = []
  /** What was asked, and may have taken effect. */
  readonly unsettled: Unsettled[] = []
  /** How often asking again was answered by what had taken effect before the crash, and how often by a new effect. */
  readonly retries = { replayed: 0, fresh: 0, refused: 0 }
  /** Answers that were heard a second time, long after the first. */
  heardAgain = 0
  readonly #random: Random
  readonly #workload: Workload
  readonly #mayFail: boolean
  #isStopped = false
  /** Told of the next change that is acknowledged. */
  #onAcknowledged: (() => void) | null = null

  /** With `mayFail`, an answer that the server failed (5xx) is none: what it did is found out by asking again. */
  constructor(accounts: readonly Worked[], random: Random, { mayFail = false } = {}) {
    this.#random = random
    this.#mayFail = mayFail
    this.#workload = new Workload(accounts, random, MOSTLY_CHANGES)
  }

  /** Works until the server is gone (of several: all of them), or `stop` is called. Faults are thrown; that a server is gone is not one. */
  async work(call: Call, isGone = () => true): Promise<void> {
    this.#isStopped = false
    let left = MAX_REQUESTS
    const client = async (): Promise<void> => {
      while (!this.#isStopped && left > 0) {
        left -= 1
        if (this.#random.isLikely(0.5)) await sleep(this.#random.between(0, MAX_PAUSE_MS))
        if (!(await this.#next(call)) && isGone()) return
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
  }

  /** Lets what is under way end, and nothing begin. */
  stop(): void {
    this.#isStopped = true
  }

  /** Calls back as soon as the next change is acknowledged: not a turn of the event loop later. */
  onNextAcknowledged(act: () => void): void {
    this.#onAcknowledged = act
  }

  /** One thing more, outside the load. */
  async ask(call: Call, attempt: Attempt): Promise<void> {
    assert.ok(await this.#attempt(call, { attempt, calledAt: performance.now() }), 'the server is there')
  }

  /** Asks for all that was not answered, until it is. */
  async settleAll(call: Call): Promise<void> {
    while (this.unsettled.length > 0) assert.ok(await this.#retry(call), 'the server is there')
  }

  /** Sends what was answered before once more; it must hear the same, and change nothing. */
  async hearAgain(call: Call, settled: Settled): Promise<boolean> {
    const { attempt, heard } = settled
    const answer = await this.#send(call, attempt)
    if (answer === null) return false
    assert.deepEqual({ status: answer.status, body: answer.body }, heard, `${attempt.name} is answered as it was before`)
    assert.equal(answer.headers.get('idempotent-replayed'), 'true', `${attempt.name} is not carried out again`)
    this.heardAgain += 1
    return true
  }

  /** What was asked of an account and answered. */
  historyOf(account: string): readonly Operation[] {
    return this.settled.flatMap(({ attempt: { action, ...attempt }, heard: _, ...times }) =>
      attempt.account === account ? [{ account, action, ...times, isUnknown: false }] : [],
    )
  }

  /** One request; false: the server is gone. */
  #next(call: Call): Promise<boolean> {
    if (this.unsettled.length > 0) return this.#retry(call)
    const known = this.#random.isLikely(ASKS_AGAIN) ? this.#random.pick(this.settled) : undefined
    if (known?.answer.ok && known.attempt.action.do !== 'read') return this.hearAgain(call, known)
    return this.#attempt(call, { attempt: this.#workload.draw(), calledAt: performance.now() })
  }

  async #retry(call: Call): Promise<boolean> {
    const one = this.unsettled.shift()
    assert.ok(one)
    return this.#attempt(call, one, true)
  }

  async #attempt(call: Call, one: Unsettled, isRetry = false): Promise<boolean> {
    const { attempt } = one
    const answer = await this.#send(call, attempt)
    if (answer === null) {
      // A read that was not answered has nothing to settle.
      if (attempt.action.do !== 'read') this.unsettled.push(one)
      return false
    }
    const read = answerIn(attempt, answer)
    if (read.ok && attempt.action.do !== 'read') this.#acknowledged()
    this.#workload.learn(attempt, read)
    const heard = { status: answer.status, body: answer.body }
    this.settled.push({ ...one, returnedAt: performance.now(), answer: read, heard })
    const isReplay = answer.headers.get('idempotent-replayed') === 'true'
    if (isRetry) this.retries[!read.ok ? 'refused' : isReplay ? 'replayed' : 'fresh'] += 1
    else assert.ok(!isReplay, `${attempt.name} was never sent before`)
    return true
  }

  /** Null: there is no answer. */
  async #send(call: Call, attempt: Attempt): Promise<TestAnswer | null> {
    const answer = await send(call, attempt)
    return this.#mayFail && (answer?.status ?? 0) >= 500 ? null : answer
  }

  #acknowledged(): void {
    this.#onAcknowledged?.()
    this.#onAcknowledged = null
  }
}

/** Sends an attempt; null: the server was gone before it had answered. */
async function send(call: Call, { method, path, body, name }: Attempt): Promise<TestAnswer | null> {
  try {
    return await call(method, path, body, { idempotencyKey: name })
  } catch (fault) {
    // What fetch throws when a connection cannot be made or breaks off.
    if (fault instanceof TypeError) return null
    throw fault
  }
}
