/**
 * Whether what many clients were answered could have happened one after the other. Two checkers, because each sees what the
 * other may miss: one replays the order that the server itself states, one (Wing and Gong, with Lowe's cache) looks for any
 * order at all, and knows nothing of the server's.
 */

/** What a client asked of an account. Amounts are integers of any unit. */
export type Action =
  | { readonly do: 'charge' | 'hold' | 'grant'; readonly credits: bigint }
  | { readonly do: 'capture'; readonly hold: string; readonly credits: bigint }
  | { readonly do: 'release'; readonly hold: string }
  | { readonly do: 'refund'; readonly charge: string; readonly credits: bigint }
  | { readonly do: 'read' }

/** What it was answered. */
export type Answer =
  | {
      readonly ok: true
      /** Id of the charge or hold that was made. */
      readonly made: string | null
      /** Null: the answer does not say. */
      readonly settled: bigint | null
      readonly held: bigint | null
      /** The server's own number for it; for a read, of the last change that it shows. */
      readonly sequence: number
    }
  | { readonly ok: false; readonly refused: string }

/** One request, on one clock. */
export interface Operation {
  readonly account: string
  readonly action: Action
  readonly calledAt: number
  readonly returnedAt: number
  readonly answer: Answer
  /** The client did not hear the first answer: it may have taken effect at any time from its call on, or never. */
  readonly isUnknown: boolean
}

/** A naive account: credits, live holds, and what is left to refund of each charge. */
export interface State {
  readonly settled: bigint
  readonly held: bigint
  readonly holds: ReadonlyMap<string, bigint>
  readonly charges: ReadonlyMap<string, bigint>
}

/** An account that has nothing yet. */
export const EMPTY: State = { settled: 0n, held: 0n, holds: new Map(), charges: new Map() }

/** What an account makes of an action: the state after it, or the code of its refusal. */
export function apply(state: State, action: Action, made: string): State | string {
  switch (action.do) {
    case 'read':
      return state
    case 'grant':
      return { ...state, settled: state.settled + action.credits }
    case 'charge':
    case 'hold':
      return spend(state, action, made)
    case 'capture':
    case 'release':
      return endHold(state, action, made)
    case 'refund': {
      const left = state.charges.get(action.charge) ?? 0n
      if (action.credits > left) return 'refund_exceeds_charge'
      const charges = new Map(state.charges).set(action.charge, left - action.credits)
      return { ...state, settled: state.settled + action.credits, charges }
    }
  }
}

function spend(state: State, { do: what, credits }: Extract<Action, { do: 'charge' | 'hold' | 'grant' }>, made: string): State | string {
  const { settled, held, holds, charges } = state
  if (settled - held < credits) return settled >= credits ? 'credits_in_flight' : 'insufficient_credits'
  if (what === 'hold') return { ...state, held: held + credits, holds: new Map(holds).set(made, credits) }
  return { ...state, settled: settled - credits, charges: new Map(charges).set(made, credits) }
}

function endHold(state: State, action: Extract<Action, { hold: string }>, made: string): State | string {
  const credits = state.holds.get(action.hold)
  if (credits === undefined) return 'hold_ended'
  const holds = new Map(state.holds)
  holds.delete(action.hold)
  const held = state.held - credits
  if (action.do === 'release') return { ...state, held, holds }
  return { settled: state.settled - action.credits, held, holds, charges: new Map(state.charges).set(made, action.credits) }
}

/** An answer's refusal as the naive account says it: how a hold ended is left out. */
function codeOf(refused: string): string {
  return refused.startsWith('hold_already_') ? 'hold_ended' : refused
}

/** Whether an account in a state could have answered so, and the state after it; undefined: it could not. */
function step(state: State, { action, answer }: Operation): State | undefined {
  const next = apply(state, action, (answer.ok ? answer.made : null) ?? '')
  if (typeof next === 'string') return !answer.ok && codeOf(answer.refused) === next ? state : undefined
  if (!answer.ok) return undefined
  const { settled, held } = answer
  return (settled === null || next.settled === settled) && (held === null || next.held === held) ? next : undefined
}

/** What is wrong with the histories of all accounts, each in its own; empty: nothing. */
export function check(history: readonly Operation[], checker: (operations: readonly Operation[]) => readonly string[]): readonly string[] {
  const byAccount = Map.groupBy(history, ({ account }) => account)
  return [...byAccount].flatMap(([account, operations]) => checker(operations).map((fault) => `${account}: ${fault}`))
}

/**
 * The sequence checker: changes in the order of the server's numbers, without gaps, must give the answers that were given,
 * in an order that agrees with time; reads and refusals must be true of some state that they can have met. What became of
 * each operation must be known.
 */
export function checkSequence(operations: readonly Operation[]): readonly string[] {
  const unknown = operations.filter(({ isUnknown }) => isUnknown)
  if (unknown.length > 0) return unknown.map((operation) => `${describe(operation)} is not known: ask again, under its key`)
  const changes = operations.filter(({ action, answer }) => answer.ok && action.do !== 'read').sort((a, b) => sequenceOf(a) - sequenceOf(b))
  const faults: string[] = []
  const states = [EMPTY]
  let latestCall = Number.NEGATIVE_INFINITY
  for (const [index, change] of changes.entries()) {
    const before = changes[index - 1]
    if (before && sequenceOf(change) !== sequenceOf(before) + 1) faults.push(`after ${describe(before)} comes ${describe(change)}`)
    const next = step(states.at(-1) ?? EMPTY, change)
    if (!next) return [...faults, `${describe(change)} does not follow from ${sequenceOf(change) - 1}`]
    if (change.returnedAt < latestCall) faults.push(`${describe(change)} had returned before one numbered lower was called`)
    latestCall = Math.max(latestCall, change.calledAt)
    states.push(next)
  }
  const others = operations.filter(({ action, answer }) => !answer.ok || action.do === 'read')
  return [
    ...faults,
    ...others.filter((other) => !couldHaveMet(other, { changes, states, others })).map((other) => `${describe(other)} was never true then`),
  ]
}

interface Replayed {
  readonly changes: readonly Operation[]
  readonly states: readonly State[]
  readonly others: readonly Operation[]
}

function couldHaveMet(other: Operation, { changes, states, others }: Replayed): boolean {
  const first = changes[0] ? sequenceOf(changes[0]) : 0
  let from = 0
  let until = 0
  for (const [index, { calledAt, returnedAt }] of changes.entries()) {
    if (returnedAt < other.calledAt) from = index + 1
    if (calledAt <= other.returnedAt) until = index + 1
  }
  // A read that had returned before has shown at least so much already.
  for (const { answer, returnedAt } of others)
    if (answer.ok && returnedAt < other.calledAt) from = Math.max(from, answer.sequence - first + 1)
  const { answer } = other
  if (answer.ok) {
    const at = answer.sequence - first + 1
    const state = states[at]
    return at >= from && at <= until && state !== undefined && step(state, other) !== undefined
  }
  return states.slice(from, until + 1).some((state) => step(state, other) !== undefined)
}

function sequenceOf({ answer }: Operation): number {
  return answer.ok ? answer.sequence : 0
}

function describe({ action, answer, calledAt, returnedAt }: Operation): string {
  const said = answer.ok ? `${answer.sequence}: settled ${answer.settled}, held ${answer.held}` : answer.refused
  const asked = Object.values(action).join(' ')
  return `[${asked} → ${said}, ${calledAt.toFixed(1)} to ${returnedAt.toFixed(1)}]`
}

/** A call or a return, in a list from which whole operations are taken and put back. */
interface Entry {
  readonly operation: Operation
  readonly index: number
  /** Null: this is a return. */
  readonly matching: Entry | null
  next: Entry | null
  previous: Entry | null
}

/**
 * The checker of Wing and Gong: looks for an order in which each operation takes effect between its call and its return and
 * all answers come out as they did. Unknown ones may take effect at any time after their call, or never.
 */
export function checkAnyOrder(operations: readonly Operation[]): readonly string[] {
  const search = new Search(operations)
  while (search.isOpen) if (!search.advance() && !search.goBack()) return [`no order explains ${search.furthest}`]
  return []
}

class Search {
  readonly #head: Entry
  readonly #done: Uint8Array
  readonly #visited = new Set<string>()
  readonly #taken: { readonly entry: Entry; readonly state: State }[] = []
  #waiting: number
  #state = EMPTY
  #entry: Entry | null
  /** The operation that the search could not get past. */
  furthest = ''

  constructor(operations: readonly Operation[]) {
    this.#head = entriesOf(operations)
    this.#done = new Uint8Array(operations.length)
    this.#waiting = operations.filter(({ isUnknown }) => !isUnknown).length
    this.#entry = this.#head.next
  }

  /** Whether an operation whose answer is known has no place in the order yet. */
  get isOpen(): boolean {
    return this.#waiting > 0
  }

  /** Lets the next operation take effect that can, of those that were called before anything returns; false: there is none. */
  advance(): boolean {
    while (this.#entry?.matching) {
      const { operation, index } = this.#entry
      const next = operation.isUnknown ? ifItTookEffect(this.#state, this.#entry) : step(this.#state, operation)
      if (next && isNew(this.#done, index, this.#visited)) {
        this.#take(this.#entry, next)
        return true
      }
      this.#entry = this.#entry.next
    }
    // The next thing is a return: what was called must have taken effect before it.
    if (this.#entry) this.furthest = describe(this.#entry.operation)
    return false
  }

  #take(entry: Entry, next: State): void {
    this.#taken.push({ entry, state: this.#state })
    this.#state = next
    this.#done[entry.index] = 1
    if (!entry.operation.isUnknown) this.#waiting -= 1
    lift(entry)
    this.#entry = this.#head.next
  }

  /**
   * Takes steps back, to try another order; false: there is none left. What changed nothing need not be tried later: whatever
   * comes after it may come all the same.
   */
  goBack(): boolean {
    for (let last = this.#taken.pop(); last !== undefined; last = this.#taken.pop()) {
      const hasChanged = this.#state !== last.state
      this.#state = last.state
      this.#done[last.entry.index] = 0
      if (!last.entry.operation.isUnknown) this.#waiting += 1
      putBack(last.entry)
      this.#entry = last.entry.next
      if (hasChanged) return true
    }
    return false
  }
}

function ifItTookEffect(state: State, { operation, index }: Entry): State | undefined {
  const next = apply(state, operation.action, `unknown ${index}`)
  return typeof next === 'string' || next === state ? undefined : next
}

/** Which operations have taken effect says what the state is, in whatever order they did: sums do not care. */
function isNew(done: Uint8Array, index: number, visited: Set<string>): boolean {
  done[index] = 1
  // All before the first that waits are done, and all after the last that is done wait: only what lies between tells orders apart.
  const first = done.indexOf(0)
  const name = `${first} ${Buffer.from(done.subarray(first, done.lastIndexOf(1) + 1)).toString('latin1')}`
  done[index] = 0
  if (visited.has(name)) return false
  visited.add(name)
  return true
}

function entriesOf(operations: readonly Operation[]): Entry {
  const events = operations.flatMap((operation, index) => {
    const end: Entry = { operation, index, matching: null, next: null, previous: null }
    const call: Entry = { operation, index, matching: end, next: null, previous: null }
    const called = { at: operation.calledAt, entry: call }
    return operation.isUnknown ? [called] : [called, { at: operation.returnedAt, entry: end }]
  })
  const isCall = ({ entry }: (typeof events)[number]): boolean => entry.matching !== null
  events.sort((a, b) => a.at - b.at || Number(isCall(b)) - Number(isCall(a)))
  const first = events[0]?.entry
  if (!first) throw new Error('a history has operations')
  const head: Entry = { operation: first.operation, index: -1, matching: null, next: null, previous: null }
  let last = head
  for (const { entry } of events) {
    last.next = entry
    entry.previous = last
    last = entry
  }
  return head
}

function unlink(entry: Entry): void {
  if (entry.previous) entry.previous.next = entry.next
  if (entry.next) entry.next.previous = entry.previous
}

function link(entry: Entry): void {
  if (entry.previous) entry.previous.next = entry
  if (entry.next) entry.next.previous = entry
}

/** Takes an operation's call and return out of the list. */
function lift(entry: Entry): void {
  unlink(entry)
  if (entry.matching && !entry.operation.isUnknown) unlink(entry.matching)
}

/** Puts them back where they were: the last taken out goes in first. */
function putBack(entry: Entry): void {
  if (entry.matching && !entry.operation.isUnknown) link(entry.matching)
  link(entry)
}
