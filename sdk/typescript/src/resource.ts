/** What the methods of the API are written against. */

import { InvalidArgumentError } from './errors.ts'

/** How a request may be sent again: `safe`: at any time; `keyed`: under its idempotency key; `never`. */
export type Repeat = 'safe' | 'keyed' | 'never'

/** What a method asks for. */
export interface CallRequest {
  readonly method: string
  /** With its ids filled in. */
  readonly path: string
  readonly repeat: Repeat
  readonly body?: object
  readonly query?: object
  /** Whether it is sent without a key. */
  readonly isPublic?: true
  /** Whether the answer is CSV. */
  readonly isExport?: true
}

/** What came back, besides the body. */
export interface AnswerFacts {
  readonly status: number
  readonly headers: Headers
  readonly requestId: string | null
  /** Whether an earlier request under the same idempotency key had done it already. */
  readonly isReplay: boolean
  readonly attempts: number
  readonly idempotencyKey: string | null
}

/** How one call is made. */
export interface CallOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal | undefined
  /** Longest that one attempt may take, until its whole answer is there. */
  readonly timeoutMs?: number
  /** Attempts besides the first. */
  readonly maxRetries?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Told of the answer: its headers, whether it is a replay, how often it was sent. */
  readonly onAnswer?: (facts: AnswerFacts) => void
}

/** How a call is made that moves credits, or makes something. */
export interface KeyedCallOptions extends CallOptions {
  /** Your name for the request, such as a job's id: sent twice, it takes effect once. Default: a new UUID, kept through retries. */
  readonly idempotencyKey?: string
}

/** Sends a request, again where it may be, and gives the body of the answer: null when it has none. */
export type Call = <Body>(request: CallRequest, options?: KeyedCallOptions) => Promise<Body>

/** Operations that go together. */
export abstract class Resource {
  protected readonly call: Call

  constructor(call: Call) {
    this.call = call
  }
}

/** An id as a part of a path. Throws InvalidArgumentError for one that would lead elsewhere. */
export function segment(name: string, value: string | number): string {
  const text = String(value)
  if ((typeof value === 'string' || typeof value === 'number') && text !== '' && text !== '.' && text !== '..')
    return encodeURIComponent(text)
  throw new InvalidArgumentError(`${name} is ${JSON.stringify(value) ?? 'undefined'}, which is no id.`)
}
