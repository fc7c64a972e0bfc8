/** The command line's way to a running server: its own HTTP API, with the operator key. */

import { randomUUID } from 'node:crypto'

/** How a command ends when it does not succeed. The numbers follow sysexits.h where it has one. */
export const EXIT = { failed: 1, usage: 2, unavailable: 69, config: 78 } as const

/** A failure that is told in one line, with the code that the process ends with. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(message: string, { exitCode = EXIT.failed, ...options }: ErrorOptions & { readonly exitCode?: number } = {}) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** A no of the server. */
export class ServerError extends CliError {
  readonly status: number
  /** Its name in docs/reference/problems. */
  readonly code: string
  readonly detail: string
  /** Seconds after which it may be asked again; undefined: it does not say. */
  readonly retryAfter: number | undefined

  constructor(status: number, { code, detail, errors = [], retry_after }: ProblemAnswer) {
    const places = errors.length > 1 ? errors.map((error) => `\n  ${error.pointer} ${error.detail}`).join('') : ''
    super(`${code}: ${detail}${places}`)
    this.status = status
    this.code = code
    this.detail = detail
    this.retryAfter = retry_after
  }
}

interface ProblemAnswer {
  readonly code: string
  readonly detail: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
  readonly retry_after?: number
}

/** An answer of the server. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly replayed: boolean
}

/** Calls a server. */
export interface Client {
  readonly url: string
  /** Throws CliError when the server cannot be reached, and ServerError when it answers with a problem. */
  readonly call: (method: string, path: string, body?: unknown, idempotencyKey?: string) => Promise<Answer>
}

/** A client for a server. */
export function makeClient(url: string, key: string): Client {
  const call: Client['call'] = async (method, path, body, idempotencyKey) => {
    const headers: Record<string, string> = { authorization: `Bearer ${key}` }
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (method === 'POST') headers['idempotency-key'] = idempotencyKey ?? randomUUID()
    const { response, text } = await send(`${url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answer = readAnswer(response, text)
    if (!response.ok) throw isProblem(answer) ? new ServerError(response.status, answer) : strangeAnswer(response)
    return { status: response.status, body: answer, replayed: response.headers.get('idempotent-replayed') === 'true' }
  }
  return { url, call }
}

async function send(url: string, request: RequestInit): Promise<{ readonly response: Response; readonly text: string }> {
  try {
    const response = await fetch(url, request)
    return { response, text: await response.text() }
  } catch (cause) {
    throw new CliError(`${new URL(url).origin} cannot be reached (${reasonOf(cause)}). Start it with "npm start", or set OBOL_URL.`, {
      exitCode: EXIT.unavailable,
      cause,
    })
  }
}

/** Why a request failed. A fetch says so in its cause, which has a code but no message when several addresses were tried. */
function reasonOf(fault: unknown): string {
  const cause = fault instanceof Error && fault.cause instanceof Error ? fault.cause : fault
  if (!(cause instanceof Error)) return String(cause)
  return cause.message === '' && 'code' in cause ? String(cause.code) : cause.message
}

function readAnswer(response: Response, text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch (cause) {
    throw strangeAnswer(response, { cause })
  }
}

function isProblem(answer: unknown): answer is ProblemAnswer {
  return typeof answer === 'object' && answer !== null && 'code' in answer && 'detail' in answer
}

function strangeAnswer({ url, status, headers }: Response, options: ErrorOptions = {}): CliError {
  const type = headers.get('content-type') ?? 'no content type'
  return new CliError(`The server at ${new URL(url).origin} does not speak Obol's API: it answered ${status} with ${type}.`, options)
}
