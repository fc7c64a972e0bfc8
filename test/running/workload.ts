/** Random work on accounts through the API: what clients ask, how it goes over the wire, and what they were answered. */

import assert from 'node:assert/strict'
import { formatCredits, parseCredits } from '../../src/core/credits.ts'
import { type IdPrefix, parseObjectId } from '../../src/core/ids.ts'
import type { Action, Answer } from '../linearizability.ts'
import type { TestAnswer } from './obol.ts'
import type { Random } from './random.ts'

/** One thing that a client wants done, however often it must ask. */
export interface Attempt {
  /** Its idempotency key; charges and captures carry it as metadata too. */
  readonly name: string
  readonly account: string
  readonly action: Action
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: object | undefined
}

/** An account that is worked on. */
export interface Worked {
  readonly id: string
  /** Life of its holds. */
  readonly ttlSeconds: number
}

type Does = Action['do']

/** How often each is drawn, unless a test says otherwise. */
export const WEIGHTS: Readonly<Record<Does, number>> = { charge: 30, hold: 16, capture: 14, release: 8, refund: 10, grant: 4, read: 18 }

/** Things that a hold or a charge is picked from: the latest, so that clients meet over the same ones. */
const REMEMBERED = 12
/** How often a hold or charge may be picked again after it was: two clients then want to end it. */
const STAYS = 0.4

interface Known {
  readonly id: string
  readonly credits: bigint
}

/** Draws attempts: all clients of a test share one, so that one ends the holds that another made. */
export class Workload {
  readonly #accounts: readonly Worked[]
  readonly #random: Random
  readonly #weights: Readonly<Record<Does, number>>
  readonly #holds = new Map<string, Known[]>()
  readonly #charges = new Map<string, Known[]>()
  #drawn = 0

  constructor(accounts: readonly Worked[], random: Random, weights = WEIGHTS) {
    this.#accounts = accounts
    this.#random = random
    this.#weights = weights
  }

  /** The next thing to do, on any account. */
  draw(): Attempt {
    const account = this.#random.pick(this.#accounts)
    assert.ok(account, 'there are accounts')
    this.#drawn += 1
    return attemptAt(account, this.#action(account.id, this.#random.weighted(this.#weights)), `attempt-${this.#drawn}`)
  }

  /** Takes note of what was made, so that later attempts can be about it. */
  learn({ account, action }: Pick<Attempt, 'account' | 'action'>, answer: Answer): void {
    if (!answer.ok || answer.made === null) return
    if (action.do === 'hold') remember(this.#holds, account, { id: answer.made, credits: action.credits })
    if (action.do === 'charge' || action.do === 'capture') remember(this.#charges, account, { id: answer.made, credits: action.credits })
  }

  #action(account: string, does: Does): Action {
    switch (does) {
      case 'read':
        return { do: 'read' }
      case 'grant':
        return { do: 'grant', credits: this.#amount(40) }
      case 'charge':
      case 'hold':
        return { do: does, credits: this.#amount(12) }
      case 'refund': {
        const charge = this.#one(this.#charges, account)
        return charge ? { do: 'refund', charge: charge.id, credits: this.#share(charge.credits) } : { do: 'read' }
      }
      case 'capture':
      case 'release': {
        const hold = this.#one(this.#holds, account)
        if (!hold) return { do: 'hold', credits: this.#amount(12) }
        return does === 'release' ? { do: 'release', hold: hold.id } : { do: 'capture', hold: hold.id, credits: this.#work(hold.credits) }
      }
    }
  }

  /** Up to so many credits, in quarters. */
  #amount(most: number): bigint {
    return BigInt(this.#random.between(1, most * 4)) * 250_000n
  }

  /** A part of a charge, more often all of it; now and then more than there is. */
  #share(credits: bigint): bigint {
    return this.#random.isLikely(0.5) ? credits : (credits * BigInt(this.#random.between(1, 5))) / 4n + 1n
  }

  /** What held work came to: less, just that, or more. */
  #work(credits: bigint): bigint {
    return (credits * BigInt(this.#random.between(1, 5))) / 4n
  }

  #one(known: ReadonlyMap<string, Known[]>, account: string): Known | undefined {
    const list = known.get(account) ?? []
    const one = this.#random.pick(list)
    if (one && !this.#random.isLikely(STAYS)) list.splice(list.indexOf(one), 1)
    return one
  }
}

function remember(known: Map<string, Known[]>, account: string, one: Known): void {
  known.set(account, [...(known.get(account) ?? []), one].slice(-REMEMBERED))
}

/** An action as a request. */
export function attemptAt({ id: account, ttlSeconds }: Worked, action: Action, name: string): Attempt {
  const post = (path: string, body: object): Attempt => ({ name, account, action, method: 'POST', path: `/v1/${path}`, body })
  const amount = 'credits' in action ? formatCredits(action.credits) : ''
  const metadata = { attempt: name }
  switch (action.do) {
    case 'read':
      return { name, account, action, method: 'GET', path: `/v1/credits?account=${account}`, body: undefined }
    case 'grant':
      return post('grants', { account, amount, metadata })
    case 'charge':
      return post('charges', { account, operation: 'work', amount, metadata })
    case 'hold':
      return post('holds', { account, operation: 'work', amount, ttl_seconds: ttlSeconds, metadata })
    case 'capture':
      return post(`holds/${action.hold}/capture`, { amount, metadata })
    case 'release':
      return post(`holds/${action.hold}/release`, {})
    case 'refund':
      return post(`charges/${action.charge}/refund`, { amount, reason: name })
  }
}

/** Refusals are 4xx with a code of the ledger; anything else is a fault that fails the test. */
const REFUSED = new Set([402, 409, 422, 429])

/** Reads an answer. A release has no number of its own in it: 0 stands for it until the journal is read. */
export function answerIn({ action }: Pick<Attempt, 'action'>, { status, body, text }: TestAnswer): Answer {
  if (REFUSED.has(status)) return { ok: false, refused: body.code }
  assert.ok(status === 200 || status === 201, `${action.do}: ${status} ${text}`)
  if (action.do === 'read') return { ok: true, made: null, ...creditsIn(body.credit_types.credits), sequence: body.sequence }
  const said = body.balance ? creditsIn(body.balance) : { settled: null, held: null }
  if (action.do === 'release') return { ok: true, made: null, ...said, sequence: 0 }
  const { seq } = parseObjectId(PREFIXES[action.do], body.id) ?? assert.fail(`${action.do} made ${body.id}`)
  return { ok: true, made: body.id, ...said, sequence: seq }
}

const PREFIXES: Readonly<Record<Exclude<Does, 'read' | 'release'>, IdPrefix>> = {
  charge: 'chg',
  capture: 'chg',
  hold: 'hold',
  refund: 'rfd',
  grant: 'grant',
}

function creditsIn({ settled, held }: { readonly settled: string; readonly held: string }) {
  return { settled: creditsOf(settled), held: creditsOf(held) }
}

/** Reads an amount that the server wrote. */
export function creditsOf(text: string | undefined): bigint {
  return parseCredits(text) ?? assert.fail(`${text} is an amount`)
}
