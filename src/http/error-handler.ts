/** Turns refusals, bad input and faults into problems (RFC 9457), and tells them. What strangers may not know goes to the log alone. */

import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import type { Refusal } from '../core/refusals.ts'
import { ProviderUnavailableError, SignatureInvalidError } from '../payments/provider.ts'
import { OutOfServiceError, OverloadedError } from '../stores/store.ts'
import { PROBLEMS, type ProblemCode, ProblemError, type ProblemPlace, pointerTo, problemType } from './problems.ts'

/** What problems need to know of the server. */
export interface ProblemContext {
  /** Address of the server as its users see it. */
  readonly publicUrl: () => string
  readonly topUpUrl: string | null
  /** Blanks secrets that somebody put in the wrong place. */
  readonly hide: (text: string) => string
}

/** An error as one surface tells it. */
export interface ToldError {
  readonly status: number
  /** Media type of the body. */
  readonly type: string
  readonly body: object
  /** What a 401 tells of how to authenticate. */
  readonly challenge: string
}

/** How a surface tells errors: the native API by problems, each dialect in its own way. */
export type Teller = (problem: ProblemError, occurrence: Occurrence) => ToldError

/** Tells errors as problems. */
export function problemTeller(context: ProblemContext): Teller {
  return (problem, occurrence) => ({
    status: PROBLEMS[problem.code].status,
    type: 'application/problem+json; charset=utf-8',
    body: problemBody(problem, occurrence, context),
    challenge: 'Bearer',
  })
}

/** Makes every error below an app an answer. */
export function handleErrors(app: FastifyInstance, tell: Teller): void {
  app.setErrorHandler((error: FastifyError | Error, request, reply) => sendError(reply, problemOf(error, request), tell))
  app.setNotFoundHandler((request, reply) => {
    const detail = `There is no ${request.method} ${pathOf(request.originalUrl).slice(0, 200)}.`
    return sendError(reply, new ProblemError('not_found', detail), tell)
  })
}

/** An expected no of the core, as an error that the handler renders. */
export function refusalError({ refused, detail, facts }: Refusal): ProblemError {
  return new ProblemError(refused, detail, facts)
}

function problemOf(error: FastifyError | Error, request: FastifyRequest): ProblemError {
  if (error instanceof ProblemError) return error
  if (error instanceof OverloadedError)
    return new ProblemError('overloaded', 'More work waits than the server lets wait. Nothing was done.', { retry_after: 1 })
  if (error instanceof OutOfServiceError) {
    request.log.error({ err: error }, 'the store is out of service')
    return new ProblemError('not_ready', `${error.message} Send the request again, with the same Idempotency-Key.`, { retry_after: 1 })
  }
  if (error instanceof ProviderUnavailableError || error instanceof SignatureInvalidError) return providerProblem(error, request)
  const { validation, validationContext, statusCode, code } = error as FastifyError
  if (validation) return invalidRequest(validation, validationContext ?? 'body')
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || statusCode === 413)
    return new ProblemError('body_too_large', 'The body is larger than this operation takes.')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' || statusCode === 415)
    return new ProblemError('unsupported_media_type', 'Send application/json.')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return new ProblemError('invalid_request', error.message)
  request.log.error({ err: error }, 'the request failed')
  return new ProblemError('internal_error', 'Obol failed. The log has the cause under this request id.')
}

function providerProblem(error: ProviderUnavailableError | SignatureInvalidError, request: FastifyRequest): ProblemError {
  request.log.warn({ err: error }, 'a payment provider was not understood')
  return error instanceof SignatureInvalidError
    ? new ProblemError('signature_invalid', 'The event is not one that the payment provider signed just now.')
    : new ProblemError('provider_unavailable', 'The payment provider did not answer.', { retry_after: 2 })
}

const PARTS: Readonly<Record<string, string>> = { querystring: 'query', params: 'path', headers: 'header' }

function invalidRequest(faults: readonly FastifySchemaValidationError[], part: string): ProblemError {
  const errors = faults.map((fault) => placeOf(fault, part))
  const [first] = errors
  return new ProblemError('invalid_request', first ? `${first.pointer} ${first.detail}` : 'The request is not valid.', { errors })
}

function placeOf({ instancePath, keyword, params, message }: FastifySchemaValidationError, part: string): ProblemPlace {
  const unknown =
    keyword === 'additionalProperties' && typeof params.additionalProperty === 'string' ? params.additionalProperty : undefined
  const missing = keyword === 'required' && typeof params.missingProperty === 'string' ? params.missingProperty : undefined
  const own = unknown ?? missing
  const path = instancePath.split('/').map(encodeURIComponent).join('/')
  const root = part === 'body' ? `#${path}` : `${PARTS[part] ?? part}${path}`
  const pointer = own === undefined ? root : pointerTo(root, own)
  if (unknown !== undefined) return { pointer, detail: 'is not a known field' }
  if (missing !== undefined) return { pointer, detail: 'is required' }
  if (keyword === 'enum' && Array.isArray(params.allowedValues))
    return { pointer, detail: `must be one of ${params.allowedValues.join(', ')}` }
  return { pointer, detail: message ?? 'is not valid' }
}

/** The path of a request's URL, without its query. */
export function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

/** The request that a problem answers. */
export interface Occurrence {
  readonly id: string
  readonly url: string
}

/** A problem as it is sent: the fields that all have, and those of its own. */
export interface ProblemMembers {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ProblemCode
  readonly instance: string
  readonly request_id: string
  /** Address of the page that explains the code. */
  readonly docs: string
  readonly [member: string]: unknown
}

/** The body of a problem. Keys that somebody put in the wrong place are not repeated. */
export function problemBody(
  { code, message, members }: ProblemError,
  { id, url }: Occurrence,
  { publicUrl, topUpUrl, hide }: ProblemContext,
): ProblemMembers {
  const { status, title } = PROBLEMS[code]
  return {
    type: problemType(code),
    title,
    status,
    detail: hide(message),
    code,
    instance: hide(pathOf(url)),
    request_id: id,
    docs: `${publicUrl()}/problems/${code}`,
    ...(code === 'insufficient_credits' ? { top_up_url: topUpUrl } : {}),
    ...members,
  }
}

function sendError(reply: FastifyReply, problem: ProblemError, tell: Teller): FastifyReply {
  const { status, type, body, challenge } = tell(problem, reply.request)
  const retryAfter = problem.members.retry_after
  if (typeof retryAfter === 'number') reply.header('retry-after', retryAfter)
  if (status === 401) reply.header('www-authenticate', challenge)
  return reply.code(status).type(type).serializer(JSON.stringify).send(body)
}

/** Answers a request whose address cannot be read: no hook has seen it. */
export function answerUnrouted(error: FastifyError, request: FastifyRequest, reply: FastifyReply, tell: Teller): void {
  reply.header('x-request-id', request.id)
  sendError(reply, problemOf(error, request), tell)
}

/** Answers what cannot be read as HTTP, and hangs up. Whoever was too slow to say what they want is not answered. */
export function answerUnreadable(error: Error & { readonly code?: string }, socket: Socket, id: string, tell: Teller): void {
  if (!socket.writable || error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    socket.destroy(error)
    return
  }
  const problem = unreadable(error.code)
  const { status, type, body } = tell(problem, { id, url: '/' })
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${status} ${PROBLEMS[problem.code].title}`,
    `content-type: ${type}`,
    `content-length: ${Buffer.byteLength(text)}`,
    `x-request-id: ${id}`,
    'x-content-type-options: nosniff',
    'cache-control: no-store',
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`)
}

function unreadable(code: string | undefined): ProblemError {
  if (code === 'HPE_HEADER_OVERFLOW') return new ProblemError('headers_too_large', 'The headers are larger than 16 KiB.')
  return new ProblemError('invalid_request', 'This is not HTTP/1.1.')
}
