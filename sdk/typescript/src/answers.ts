/** Reads answers: bodies, problems, and what does not come from an Obol server at all. */

import { PROBLEM_CLASSES } from './api/problems.ts'
import type { RawAnswer } from './attempt.ts'
import {
  ApiError,
  type ApiErrorClass,
  AuthenticationError,
  BadRequestError,
  type CallFacts,
  ConflictError,
  ConnectionError,
  NotFoundError,
  type ObolError,
  PaymentRequiredError,
  PermissionDeniedError,
  type ProblemAnswer,
  ServerFaultError,
  TryLaterError,
  UnexpectedAnswerError,
  type WrongPlace,
} from './errors.ts'

/** The body of a good answer: JSON, or the text of an export; null when there is none. Throws what the answer is an error of. */
export function readAnswer(answer: RawAnswer, facts: CallFacts, isCsv: boolean): unknown {
  const { status, text } = answer
  if (status === 204 || status === 304) return null
  const type = typeOf(answer)
  if (status < 200 || status >= 300) throw errorOf(answer, facts)
  if (isCsv && type === 'text/csv') return text
  if (!isJson(type)) throw strange(answer, facts)
  return parse(text, () => new ConnectionError(`The answer breaks off after ${text.length} characters.`, facts))
}

function parse(text: string, fault: () => ObolError): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw Object.assign(fault(), { cause })
  }
}

function typeOf({ headers }: RawAnswer): string {
  return headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function isJson(type: string): boolean {
  return type === 'application/json' || type.endsWith('+json')
}

function errorOf(answer: RawAnswer, facts: CallFacts): ObolError {
  const problem = isJson(typeOf(answer)) ? problemIn(answer.text) : null
  if (!problem) return strange(answer, facts)
  const ErrorClass = PROBLEM_CLASSES.get(problem.code) ?? familyOf(answer.status)
  return new ErrorClass({ ...facts, status: answer.status, problem, retryAfterSeconds: retryAfter(answer.headers) })
}

/** An item of a batch, which succeeds or fails by itself. */
export interface Outcome {
  readonly status: number
  readonly error?: object
}

/** The error of an item of a batch, as its call alone would have thrown it; null: the item succeeded. */
export function outcomeError({ status, error }: Outcome): ApiError | null {
  const problem = problemOf(error)
  if (!problem) return null
  const { request_id: requestId } = problem.members
  const ErrorClass = PROBLEM_CLASSES.get(problem.code) ?? familyOf(status)
  const facts = { requestId: typeof requestId === 'string' ? requestId : null, idempotencyKey: null, attempts: 1 }
  return new ErrorClass({ ...facts, status, problem, retryAfterSeconds: null })
}

const FAMILIES: ReadonlyMap<number, ApiErrorClass> = new Map<number, ApiErrorClass>([
  [401, AuthenticationError],
  [402, PaymentRequiredError],
  [403, PermissionDeniedError],
  [404, NotFoundError],
  [409, ConflictError],
  [429, TryLaterError],
  [503, TryLaterError],
])

/** For codes that are newer than this SDK. */
function familyOf(status: number): ApiErrorClass {
  const family = FAMILIES.get(status)
  if (family) return family
  if (status >= 500) return ServerFaultError
  return status >= 400 ? BadRequestError : ApiError
}

function problemIn(text: string): ProblemAnswer | null {
  try {
    return problemOf(JSON.parse(text))
  } catch (cause) {
    if (cause instanceof SyntaxError) return null
    throw cause
  }
}

function problemOf(body: unknown): ProblemAnswer | null {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null
  const members = body as Readonly<Record<string, unknown>>
  const { code, title, detail, docs, errors } = members
  if (typeof code !== 'string' || typeof detail !== 'string') return null
  return {
    code,
    detail,
    title: typeof title === 'string' ? title : code,
    docs: typeof docs === 'string' ? docs : null,
    errors: Array.isArray(errors) ? errors.filter(isWrongPlace) : [],
    members,
  }
}

function isWrongPlace(value: unknown): value is WrongPlace {
  return typeof value === 'object' && value !== null && 'pointer' in value && 'detail' in value
}

/** Seconds of a Retry-After, which names seconds or a date; null: there is none. */
export function retryAfter(headers: Headers): number | null {
  const text = headers.get('retry-after')?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const dateMs = text === '' ? Number.NaN : Date.parse(text)
  return Number.isNaN(dateMs) ? null : Math.max(0, Math.ceil((dateMs - Date.now()) / 1000))
}

const SHOWN_CHARACTERS = 120

function strange(answer: RawAnswer, facts: CallFacts): UnexpectedAnswerError {
  const { status, headers, text } = answer
  const said = text.replace(/\s+/g, ' ').trim().slice(0, SHOWN_CHARACTERS)
  const what = isRedirect(status)
    ? `a redirect to ${headers.get('location') ?? 'another address'}`
    : `${status}, ${typeOf(answer) || 'no content type'}`
  return new UnexpectedAnswerError(`What answered does not speak Obol's API: ${what}${said === '' ? '' : `: ${said}`}`, status, facts)
}

/** In browsers, a redirect that is not followed has the status 0. */
function isRedirect(status: number): boolean {
  return status === 0 || (status >= 300 && status < 400)
}
