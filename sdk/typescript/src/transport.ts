/** Makes calls: builds the request, sends it until there is an answer or nothing more to hope for, and reads the answer. */

import { readAnswer, retryAfter } from './answers.ts'
import { attempt, type Fetch, type RawAnswer } from './attempt.ts'
import { CallAbortedError, type CallFacts, InvalidArgumentError } from './errors.ts'
import { writeBody, writeQuery } from './json.ts'
import { pause } from './pause.ts'
import { randomKey } from './random-key.ts'
import { waitBeforeRepeating } from './repeating.ts'
import type { Call, CallRequest, KeyedCallOptions } from './resource.ts'

/** Gives the key, or the access token, that a request is sent with. Asked before every attempt. */
export type KeySource = string | (() => string | Promise<string>)

/** How a client calls. */
export interface ClientOptions {
  /** Address of the Obol server: `https://credits.example.com`. */
  readonly baseUrl: string | undefined
  /**
   * The API key: a customer's for its own account, the operator's for everything; or what gives a key or an access token. Null: none, for
   * what needs none, such as signing in.
   */
  readonly apiKey: KeySource | null | undefined
  /** Longest that one attempt may take. Default 30 seconds. */
  readonly timeoutMs?: number
  /** Attempts besides the first. Default 2. */
  readonly maxRetries?: number
  /** Stands in for the platform's `fetch`. */
  readonly fetch?: Fetch
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
}

const TIMEOUT_MS = 30_000
const MAX_RETRIES = 2
/** The longest that timers take. */
const MAX_TIMEOUT_MS = 2_147_483_647

/**
 * Reads how to call. Throws InvalidArgumentError for options that cannot work. An address or key that is not there at all fails the calls
 * instead: frameworks load modules while they build, where settings are not set yet.
 */
export function readOptions(options: ClientOptions): Client {
  const baseUrl = readBaseUrl(options.baseUrl)
  const key = readKeySource(options.apiKey)
  const fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init))
  const defaults = { timeoutMs: options.timeoutMs ?? TIMEOUT_MS, maxRetries: options.maxRetries ?? MAX_RETRIES }
  checkLimits(defaults)
  return { baseUrl, key, fetch, headers: options.headers ?? {}, ...defaults }
}

/** Makes what resources call with. */
export function makeCall(client: Client): Call {
  return <Body>(request: CallRequest, callOptions: KeyedCallOptions = {}) => send(client, request, callOptions) as Promise<Body>
}

/** How a client calls, with what it left open filled in. */
export interface Client {
  /** Null: it was not given. */
  readonly baseUrl: string | null
  readonly key: () => Promise<string>
  readonly fetch: Fetch
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly maxRetries: number
}

async function send(client: Client, request: CallRequest, options: KeyedCallOptions): Promise<unknown> {
  const { timeoutMs = client.timeoutMs, maxRetries = client.maxRetries, signal } = options
  checkLimits({ timeoutMs, maxRetries })
  const idempotencyKey = keyOf(request, options)
  const url = addressOf(client, request)
  const body = request.body === undefined ? {} : { body: writeBody(request.body) }
  const isCsv = request.isExport === true
  for (let attempts = 1; ; attempts++) {
    const facts = { requestId: null, idempotencyKey, attempts }
    let answer: RawAnswer | null = null
    let waitMs: number | null
    try {
      const headers = await headersOf(client, { request, options, idempotencyKey, isCsv })
      answer = await attempt({ fetch: client.fetch, url, init: { method: request.method, headers, ...body }, timeoutMs, signal, facts })
      return received(answer, { facts, isCsv, options })
    } catch (fault) {
      const retryAfterSeconds = answer ? retryAfter(answer.headers) : null
      waitMs = waitBeforeRepeating({ fault, repeat: request.repeat, attempts, maxRetries, random: Math.random, retryAfterSeconds })
      if (waitMs === null) throw fault
    }
    await pause(waitMs, signal)
    if (signal?.aborted) throw new CallAbortedError('The call was ended by its signal.', facts, { cause: signal.reason })
  }
}

/** Where a request goes. Throws InvalidArgumentError when the client was given no address. */
export function addressOf({ baseUrl }: Client, { path, query = {} }: Pick<CallRequest, 'path' | 'query'>): string {
  if (baseUrl === null) throw new InvalidArgumentError(noAddress(undefined))
  return `${baseUrl}${path}${writeQuery(query)}`
}

function received(
  answer: RawAnswer,
  { facts, isCsv, options }: { readonly facts: CallFacts; readonly isCsv: boolean; readonly options: KeyedCallOptions },
): unknown {
  const { status, headers } = answer
  const named = { ...facts, requestId: headers.get('x-request-id') }
  const body = readAnswer(answer, named, isCsv)
  options.onAnswer?.({ ...named, status, headers, isReplay: headers.get('idempotent-replayed') === 'true' })
  return body
}

const PRINTABLE = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/

/** The key that the call is sent under, the same one for every attempt. */
function keyOf({ repeat }: CallRequest, { idempotencyKey }: KeyedCallOptions): string | null {
  if (repeat !== 'keyed') return null
  if (idempotencyKey === undefined) return randomKey()
  if (typeof idempotencyKey === 'string' && PRINTABLE.test(idempotencyKey)) return idempotencyKey
  throw new InvalidArgumentError(`idempotencyKey is ${JSON.stringify(idempotencyKey)}: give 1 to 255 printable ASCII characters.`)
}

interface Sending {
  readonly request: CallRequest
  readonly options: KeyedCallOptions
  readonly idempotencyKey: string | null
  readonly isCsv: boolean
}

async function headersOf(client: Client, { request, options, idempotencyKey, isCsv }: Sending): Promise<Readonly<Record<string, string>>> {
  return {
    ...client.headers,
    ...options.headers,
    accept: isCsv ? 'text/csv, application/problem+json' : 'application/json, application/problem+json',
    ...(request.isPublic ? {} : { authorization: `Bearer ${await client.key()}` }),
    ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(idempotencyKey === null ? {} : { 'idempotency-key': idempotencyKey }),
  }
}

function noAddress(text: string | undefined): string {
  return `baseUrl is ${JSON.stringify(text) ?? 'undefined'}: give the address of the server, such as https://credits.example.com.`
}

function readBaseUrl(text: string | undefined): string | null {
  if (text === undefined) return null
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '')
    throw new InvalidArgumentError(noAddress(text))
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** What a header can carry. Keys are never repeated in errors. */
const SECRET = /^[\x21-\x7e]{1,4096}$/

function readKeySource(source: KeySource | null | undefined): () => Promise<string> {
  const check = (key: unknown): string => {
    if (typeof key === 'string' && SECRET.test(key)) return key
    throw new InvalidArgumentError(
      `apiKey is ${typeof key === 'string' && key !== '' ? 'no key: it has spaces or other characters' : 'missing'}.`,
    )
  }
  if (typeof source === 'function') return async () => check(await source())
  if (source === null || source === undefined) return async () => check(null)
  const key = check(source)
  return () => Promise.resolve(key)
}

function checkLimits({ timeoutMs, maxRetries }: { readonly timeoutMs: number; readonly maxRetries: number }): void {
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS))
    throw new InvalidArgumentError(`timeoutMs is ${timeoutMs}: give milliseconds, more than 0.`)
  if (!Number.isSafeInteger(maxRetries) || maxRetries < 0)
    throw new InvalidArgumentError(`maxRetries is ${maxRetries}: give a whole number, 0 or more.`)
}
