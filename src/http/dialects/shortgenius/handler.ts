/** Hands work to the operator's own service, which does it and answers the customer; bounded in time and size. */

import { type Microcredits, parseCredits } from '../../../core/credits.ts'
import type { HandlerSettings } from '../dialect.ts'

/** Largest answer of a handler. */
const MAX_ANSWER_BYTES = 1_048_576
/** What a handler may say to the customer itself; whatever else it fails with is not the customer's business. */
const OWN_REFUSALS: ReadonlySet<number> = new Set([400, 404, 409, 413, 415, 422, 429])
const MAX_MESSAGE = 500

/** Work for the handler. */
export interface HandedWork {
  /** Below the handler's address. */
  readonly path: string
  readonly body: unknown
  /** Who and what: `x-obol-…`. */
  readonly headers: Readonly<Record<string, string>>
}

/** What became of it. */
export type Handled =
  | {
      readonly isDone: true
      /** JSON, as it is. */
      readonly text: string
      /** What the handler says that it came to; null: it does not say. */
      readonly credits: Microcredits | null
    }
  | {
      readonly isDone: false
      readonly status: number
      /** Fit for the customer. */
      readonly message: string
      readonly retryAfter: string | null
      /** What is to be logged; null: the handler refused the work itself. */
      readonly cause: Error | null
    }

/** Hands work over and waits for its answer. A handler that fails in any way has not done it. */
export async function handOver({ url, timeoutMs }: HandlerSettings, { path, body, headers }: HandedWork): Promise<Handled> {
  const { href, authorization } = addressOf(url)
  try {
    const answer = await fetch(`${href}${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', ...(authorization === null ? {} : { authorization }) },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    return read(answer, await textOf(answer))
  } catch (cause) {
    return failed(cause instanceof Error ? cause : new Error(String(cause)))
  }
}

function failed(cause: Error): Handled {
  const [status, fault] = cause.name === 'TimeoutError' ? [504, 'took too long'] : [502, 'failed']
  const message = `The service that does this work ${fault}. Nothing was charged.`
  return { isDone: false, status: Number(status), message, retryAfter: null, cause }
}

/** The name and password of an address go into a header: fetch takes no address that has them. */
function addressOf(url: string): { readonly href: string; readonly authorization: string | null } {
  const address = new URL(url)
  const { username, password } = address
  address.username = ''
  address.password = ''
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { href: address.href.replace(/\/$/, ''), authorization: pair === ':' ? null : `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** The text of an answer. Throws when it is too long. */
async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the handler's answer is longer than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function read({ ok, status, headers }: Response, text: string): Handled {
  const json = parsed(text)
  if (ok && json !== undefined) return { isDone: true, text, credits: parseCredits(headers.get('x-credits-charged')) ?? null }
  if (!OWN_REFUSALS.has(status)) return failed(new Error(`the handler answered ${status} ${ok ? 'and no JSON' : ''}`.trim()))
  const message = messageIn(json) ?? 'The request was refused.'
  return { isDone: false, status, message, retryAfter: status === 429 ? secondsIn(headers.get('retry-after')) : null, cause: null }
}

/** A time to wait, as clients take it: some sleep all of it, and none reads a date. */
function secondsIn(header: string | null): string | null {
  return header !== null && /^[1-9]\d{0,2}$/.test(header) ? header : null
}

/** Undefined: it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (fault) {
    if (fault instanceof SyntaxError) return undefined
    throw fault
  }
}

function messageIn(json: unknown): string | undefined {
  const message = typeof json === 'object' && json !== null ? (json as { readonly message?: unknown }).message : undefined
  return typeof message === 'string' && message !== '' ? message.slice(0, MAX_MESSAGE) : undefined
}
