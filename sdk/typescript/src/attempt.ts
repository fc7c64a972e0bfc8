/** One attempt at a call: sent once, within its time, and its whole answer read. */

import { CallAbortedError, type CallFacts, ConnectionError, type ObolError, TimeoutError } from './errors.ts'

/** The `fetch` of the platform, or one that stands in for it. */
export type Fetch = (url: string, request: RequestInit) => Promise<Response>

/** What an attempt sends, and within what. */
export interface AttemptRequest {
  readonly fetch: Fetch
  readonly url: string
  readonly init: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body?: string }
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** What errors are to say of the call. */
  readonly facts: CallFacts
}

/** A whole answer. */
export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** Sends, and reads the whole answer. Throws ConnectionError, TimeoutError or CallAbortedError, and never takes longer than it may. */
export function attempt(request: AttemptRequest): Promise<RawAnswer> {
  return within(request, async (signal) => {
    const response = await sendOnce(request, signal)
    return { status: response.status, headers: response.headers, text: await response.text() }
  })
}

/** What a wait is for, and how long it may take. */
export type Waiting = Pick<AttemptRequest, 'url' | 'timeoutMs' | 'signal' | 'facts'>

/** Waits for something of a server: no longer than it may take, nor than the caller does. Throws as an attempt does. */
export async function within<Value>(request: Waiting, work: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
  const { signal, timeoutMs } = request
  const ending = new AbortController()
  let hasTimedOut = false
  const onAbort = (): void => ending.abort(signal?.reason)
  const timer = setTimeout(() => {
    hasTimedOut = true
    ending.abort(new Error(`no answer within ${timeoutMs} ms`))
  }, timeoutMs)
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) onAbort()
  try {
    // Beside it stands the signal: a fetch that does not look at it cannot keep the caller.
    return await Promise.race([work(ending.signal), ended(ending.signal)])
  } catch (cause) {
    throw faultOf(cause, request, hasTimedOut)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** A redirect is not followed: it would carry the key elsewhere, and make a GET of a POST. Workers throw at other fields of a request. */
export function sendOnce({ fetch, url, init }: AttemptRequest, signal: AbortSignal): Promise<Response> {
  return fetch(url, { ...init, signal, redirect: 'manual' })
}

function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  })
}

function faultOf(cause: unknown, { url, timeoutMs, signal, facts }: Waiting, hasTimedOut: boolean): ObolError {
  const server = new URL(url).origin
  if (hasTimedOut) return new TimeoutError(`${server} gave no whole answer within ${timeoutMs} ms.`, facts, { cause })
  if (signal?.aborted) return new CallAbortedError('The call was ended by its signal.', facts, { cause: signal.reason })
  return new ConnectionError(`${server} cannot be reached, or hung up: ${reasonOf(cause)}.`, facts, { cause })
}

/** Why a fetch failed. It says so in its cause, which has a code but no message when several addresses were tried. */
function reasonOf(fault: unknown): string {
  const cause = fault instanceof Error && fault.cause instanceof Error ? fault.cause : fault
  if (!(cause instanceof Error)) return String(cause)
  return cause.message === '' && 'code' in cause ? String(cause.code) : cause.message
}

/** Codes of faults before anything was sent. */
const BEFORE_SENDING: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ConnectionRefused'])

/** Whether a connection failed before anything was sent on it: then it cannot have taken effect. */
export function wasNeverSent({ cause }: ConnectionError): boolean {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return inner instanceof Error && 'code' in inner && BEFORE_SENDING.has(inner.code)
}
