/** Charges work and has it done: held, handed over, captured when it was done and released when it was not. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { formatCredits } from '../../../core/credits.ts'
import { type Address, accountId, objectId } from '../../../core/ids.ts'
import { type HoldOpened, isCharge } from '../../../core/record.ts'
import { isRefusal, type Refusal } from '../../../core/refusals.ts'
import { charge, type WorkRequest } from '../../../operations/charge.ts'
import { captureHold, openHold, releaseHold } from '../../../operations/hold.ts'
import { readHold } from '../../../operations/read-hold.ts'
import type { Caller, Services } from '../../../operations/services.ts'
import type { Applied } from '../../../stores/store.ts'
import { actorOf } from '../../access.ts'
import { setCreditHeaders } from '../../credit-headers.ts'
import { refusalError } from '../../error-handler.ts'
import { idempotencyOf } from '../../idempotency.ts'
import { sendJson } from '../../written-json.ts'
import { type Customer, payingCustomerOf } from '../customer.ts'
import type { DialectContext, HandlerSettings } from '../dialect.ts'
import { timeOut } from '../times.ts'
import { uuidOf } from '../uuids.ts'
import { type HandedWork, type Handled, handOver } from './handler.ts'
import { quantitiesFor, type WorkBody } from './measures.ts'
import type { Work } from './works.ts'

/** How much longer a hold lives than its handler may take. */
const MARGIN_MS = 60_000

/** One request for work. */
interface Order {
  readonly services: Services
  readonly request: FastifyRequest
  readonly work: Work
  readonly body: WorkBody
  readonly customer: Customer
  readonly caller: Caller
}

/** Charges a request and answers it. Whatever keeps it from being done leaves nothing charged. */
export function chargeWork(
  { services, handler }: DialectContext,
  request: FastifyRequest,
  reply: FastifyReply,
  work: Work,
): Promise<FastifyReply> {
  const caller = { actor: actorOf(request), requestId: request.id, idempotency: idempotencyOf(request) }
  const order = { services, request, work, body: request.body as WorkBody, customer: payingCustomerOf(request), caller }
  return handler === null ? sendSample(order, reply) : sendHandled(order, reply, handler)
}

/** What the price book is to price. */
function workOf({ services, work, body, customer }: Order): WorkRequest {
  const { operation, path, measure } = work
  const price = services.prices.at(services.clock())?.operations.get(operation)
  return {
    target: { ...customer, fault: null },
    operation,
    quantity: null,
    quantities: price === undefined ? {} : quantitiesFor(price, measure(body)),
    attributes: attributesOf(body),
    amount: null,
    creditType: null,
    quote: null,
    metadata: { dialect: 'shortgenius', path },
  }
}

/** What prices may differ by. Nothing that customers write freely: attributes are kept in the journal. */
const ATTRIBUTES = [
  ...['quality', 'model', 'aspect_ratio', 'content_type', 'locale', 'voice', 'voice_id', 'image_style_id'],
  ...['image_quality', 'image_model', 'animation_model', 'animation_model_preset'],
] as const
const MAX_ATTRIBUTE = 100

function attributesOf(body: WorkBody): Readonly<Record<string, string>> {
  const attributes: Record<string, string> = {}
  for (const name of ATTRIBUTES) {
    const value = body[name]
    if (typeof value === 'string' && value.length <= MAX_ATTRIBUTE) attributes[name] = value
  }
  return attributes
}

function done(outcome: Applied | Refusal): Applied {
  if (isRefusal(outcome)) throw refusalError(outcome)
  return outcome
}

async function sendSample(order: Order, reply: FastifyReply): Promise<FastifyReply> {
  const charged = done(await charge(order.services, order.caller, workOf(order)))
  const { account } = charged
  const [record] = charged.records.filter(isCharge)
  if (!record) throw new Error('the command made no charge')
  setCreditHeaders(reply, charged, record)
  const facts = { id: uuidOf({ account, seq: record.seq }), account: uuidOf({ account, seq: 0 }), createdAt: timeOut(record.atMs) }
  return reply.send(order.work.answer.sample(order.body, facts))
}

async function sendHandled(order: Order, reply: FastifyReply, handler: HandlerSettings): Promise<FastifyReply> {
  const { services, caller } = order
  const opened = done(await openHold(services, caller, { ...workOf(order), ttlMs: handler.timeoutMs + MARGIN_MS, policy: 'cap' }))
  const [record] = opened.records
  if (record?.kind !== 'hold') throw new Error('the command opened no hold')
  const hold = { account: opened.account, seq: record.seq }
  const status = opened.isReplay ? await statusOf(services, hold) : 'opened'
  if (status !== 'opened' && status !== 'captured') return sendRefused(reply, 409, REPEATED[status])
  const handled = await handOver(handler, await handed(order, hold, record))
  const isCaptured = status === 'captured'
  return handled.isDone ? sendDone(order, reply, { hold, handled, isCaptured }) : sendUndone(order, reply, { hold, handled, isCaptured })
}

/** What became of the work that a hold is for. */
interface Ended<Kind extends Handled> {
  readonly hold: Address
  readonly handled: Kind
  /** The work had been done and charged before. */
  readonly isCaptured: boolean
}

type Done = Extract<Handled, { readonly isDone: true }>
type Undone = Extract<Handled, { readonly isDone: false }>

async function sendDone(
  { services, caller }: Order,
  reply: FastifyReply,
  { hold, handled, isCaptured }: Ended<Done>,
): Promise<FastifyReply> {
  if (isCaptured) return sendJson(reply.header('idempotent-replayed', 'true'), handled.text)
  const request = { ...ALL_OF_IT, amount: handled.credits }
  // Refused where the handler has captured the hold itself.
  const captured = await captureHold(services, { ...caller, idempotency: null }, { hold, request })
  if (!isRefusal(captured)) for (const charged of captured.records.filter(isCharge)) setCreditHeaders(reply, captured, charged)
  return sendJson(reply, handled.text)
}

async function sendUndone(order: Order, reply: FastifyReply, { hold, handled, isCaptured }: Ended<Undone>): Promise<FastifyReply> {
  const { services, caller, request } = order
  const { cause, retryAfter, status, message } = handled
  if (cause !== null) request.log.error({ err: cause }, 'the handler failed')
  // Refused where the handler has ended the hold itself: then there is nothing to release.
  if (!isCaptured) await releaseHold(services, { ...caller, idempotency: null }, hold)
  if (retryAfter !== null) reply.header('retry-after', retryAfter)
  return sendRefused(reply, status, message)
}

/** A capture of all that is held, unless an amount says less; never more. */
const ALL_OF_IT = { quantity: null, quantities: null, attributes: null, final: true, policy: 'cap', metadata: null } as const

const REPEATED = {
  live: 'The first request with this Idempotency-Key is still being done.',
  released: 'The first request with this Idempotency-Key failed. Use a new one.',
  expired: 'The first request with this Idempotency-Key failed. Use a new one.',
} as const

async function statusOf(services: Services, hold: Address): Promise<'live' | 'captured' | 'released' | 'expired'> {
  const view = await readHold(services, hold)
  if (isRefusal(view)) throw refusalError(view)
  return view.status
}

function sendRefused(reply: FastifyReply, status: number, message: string): FastifyReply {
  return reply.code(status).send({ message })
}

/** Work with all that the handler may want to know. */
async function handed({ services, request, work, body, customer, caller }: Order, hold: Address, record: HoldOpened): Promise<HandedWork> {
  const row = await services.store.account(hold.account)
  const externalId = row?.externalId ?? null
  const id = objectId('hold', hold.account, hold.seq)
  return {
    path: work.path,
    body,
    headers: {
      'x-obol-account': accountId(hold.account),
      ...(externalId === null ? {} : { 'x-obol-external-id': encodeURIComponent(externalId) }),
      ...(customer.key === null ? { 'x-obol-user': caller.actor } : { 'x-obol-key': objectId('key', customer.account, customer.key.seq) }),
      'x-obol-operation': work.operation,
      'x-obol-hold': id,
      'x-obol-credits': formatCredits(record.credits),
      'x-obol-credit-type': record.creditType,
      'x-request-id': request.id,
      'idempotency-key': id,
    },
  }
}
