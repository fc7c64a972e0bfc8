/** What can go wrong in a call, each a class of its own: the API's problems by code and family, and what happens on the way. */

/** What is known of the call that failed. */
export interface CallFacts {
  /** Finds the request in the server's log; null: the server never answered. */
  readonly requestId: string | null
  /** The key that the call was sent under. Call again with it, and it takes effect once. Null: it had none. */
  readonly idempotencyKey: string | null
  /** How often it was sent. */
  readonly attempts: number
}

const NO_FACTS: CallFacts = { requestId: null, idempotencyKey: null, attempts: 0 }

/** Everything that the SDK throws. */
export class ObolError extends Error {
  override readonly name: string = 'ObolError'
  readonly requestId: string | null
  readonly idempotencyKey: string | null
  readonly attempts: number
  /** What to do about it, for people. */
  readonly whatToDo: string = ''
  /** Whether the call may have taken effect all the same: then send it again with its `idempotencyKey`, never with a new one. */
  readonly mayHaveTakenEffect: boolean = false

  constructor(message: string, { requestId, idempotencyKey, attempts }: CallFacts = NO_FACTS, options: ErrorOptions = {}) {
    super(message, options)
    this.requestId = requestId
    this.idempotencyKey = idempotencyKey
    this.attempts = attempts
  }
}

/** What was asked for cannot be sent: thrown before anything is. */
export class InvalidArgumentError extends ObolError {
  override readonly name: string = 'InvalidArgumentError'
}

/** Why nothing that can be relied on came back. */
abstract class UnknownOutcomeError extends ObolError {
  override readonly whatToDo: string =
    'It may have taken effect. Call again with the same idempotencyKey: it takes effect once, and you hear what came of it.'
  override readonly mayHaveTakenEffect: boolean = true
}

/** The server could not be reached, or the connection broke. `cause` says how. */
export class ConnectionError extends UnknownOutcomeError {
  override readonly name: string = 'ConnectionError'
}

/** No whole answer came in time. */
export class TimeoutError extends UnknownOutcomeError {
  override readonly name: string = 'TimeoutError'
}

/** The caller's signal ended the call. `cause` is its reason. */
export class CallAbortedError extends UnknownOutcomeError {
  override readonly name: string = 'CallAbortedError'
}

/** What answered does not speak Obol's API: a proxy, a login page, another server. */
export class UnexpectedAnswerError extends UnknownOutcomeError {
  override readonly name: string = 'UnexpectedAnswerError'
  override readonly whatToDo: string = 'Check that baseUrl leads to an Obol server, without redirects, and what stands between.'
  readonly status: number

  constructor(message: string, status: number, facts: CallFacts, options: ErrorOptions = {}) {
    super(message, facts, options)
    this.status = status
  }
}

/** A place in a request that is wrong. */
export interface WrongPlace {
  /** `#/amount` in the body, `query/limit`, `path/hold`. */
  readonly pointer: string
  readonly detail: string
}

/** A problem, as the server answers it (RFC 9457). */
export interface ProblemAnswer {
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly docs: string | null
  readonly errors: readonly WrongPlace[]
  /** Every member of the body, those of its own included. */
  readonly members: Readonly<Record<string, unknown>>
}

/** What a problem is made into an error of. */
export interface ProblemOccurrence extends CallFacts {
  readonly status: number
  readonly problem: ProblemAnswer
  /** Seconds to wait before it is sent again; null: the server names none. */
  readonly retryAfterSeconds: number | null
}

/** A problem that the server answered with. Tell them apart by `code`, or by their class. */
export class ApiError extends ObolError {
  override readonly name: string = 'ApiError'
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  /** The page that explains the code. */
  readonly docs: string | null
  /** The places that are wrong. */
  readonly errors: readonly WrongPlace[]
  readonly retryAfterSeconds: number | null
  /** Every member of the problem, as it was answered. */
  readonly members: Readonly<Record<string, unknown>>

  constructor({ status, problem, retryAfterSeconds, ...facts }: ProblemOccurrence) {
    super(`${problem.code}: ${problem.detail}`, facts)
    this.status = status
    this.code = problem.code
    this.title = problem.title
    this.detail = problem.detail
    this.docs = problem.docs
    this.errors = problem.errors
    this.retryAfterSeconds = retryAfterSeconds
    this.members = problem.members
  }

  protected textMember(name: string): string | null {
    const value = this.members[name]
    return typeof value === 'string' ? value : null
  }

  protected integerMember(name: string): number | null {
    const value = this.members[name]
    return typeof value === 'number' ? value : null
  }
}

/** The class of an error that the server answers with. */
export type ApiErrorClass = new (occurrence: ProblemOccurrence) => ApiError

/** 400, 413, 415, 422, 431: the request has to be changed. */
export class BadRequestError extends ApiError {
  override readonly name: string = 'BadRequestError'
}

/** 401: the key does not open anything. */
export class AuthenticationError extends ApiError {
  override readonly name: string = 'AuthenticationError'
}

/** 402: it ends when someone pays, grants, or raises the key's budget. Sending it again does not help. */
export class PaymentRequiredError extends ApiError {
  override readonly name: string = 'PaymentRequiredError'
}

/** 403: the caller may not do this. */
export class PermissionDeniedError extends ApiError {
  override readonly name: string = 'PermissionDeniedError'
}

/** 404: there is no such thing, or it is another account's. */
export class NotFoundError extends ApiError {
  override readonly name: string = 'NotFoundError'
}

/** 409: what is there forbids it. */
export class ConflictError extends ApiError {
  override readonly name: string = 'ConflictError'
}

/** 429, 503: nothing was done. It ends by itself: try again after `retryAfterSeconds`. */
export class TryLaterError extends ApiError {
  override readonly name: string = 'TryLaterError'
}

/** 500 and the like: the server failed, and whether the call took effect is not known. */
export class ServerFaultError extends ApiError {
  override readonly name: string = 'ServerFaultError'
  override readonly mayHaveTakenEffect: boolean = true
}
