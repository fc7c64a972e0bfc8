/** Work to be paid for, as charges and holds state it. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { isRefusal } from '../../core/refusals.ts'
import type { WorkRequest } from '../../operations/charge.ts'
import { findTarget, type Target } from '../../operations/find-account.ts'
import type { Caller, IdempotencyKey } from '../../operations/services.ts'
import { actorOf, nameOf } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { badInput, ProblemError } from '../problems.ts'
import type { NativeContext } from './app.ts'
import { AccountIn, AmountIn, Attributes, CreditType, DecimalIn, KeyIn, Metadata, Operation, Quantities } from './schemas.ts'
import { decimalIn, nonNegativeIn, quantitiesIn, refuseBoth } from './values.ts'

/** The fields of a body that states work. */
export const WORK_FIELDS = {
  account: Type.Optional(AccountIn),
  key: Type.Optional(KeyIn),
  operation: Operation,
  quantity: Type.Optional(DecimalIn),
  quantities: Type.Optional(Quantities),
  attributes: Type.Optional(Attributes),
  amount: Type.Optional(AmountIn),
  credit_type: Type.Optional(CreditType),
  quote_id: Type.Optional(Type.String({ maxLength: 100, description: 'The quote of an estimate, whose prices are to hold.' })),
  metadata: Type.Optional(Metadata),
} as const

const WorkBody = Type.Object(WORK_FIELDS)

/** Who sent a request, and under which idempotency key. */
export function callerOf(request: FastifyRequest, idempotency: IdempotencyKey | null): Caller {
  return { actor: actorOf(request), requestId: request.id, idempotency }
}

/** Reads stated work. Throws the problem that it has, at the pointer of the body. */
export async function workIn(context: NativeContext, body: Static<typeof WorkBody>, pointer = '#'): Promise<WorkRequest> {
  const { operation, quantity, quantities, attributes, amount, credit_type, quote_id, metadata } = body
  if (body.account === undefined && body.key === undefined) throw badInput(`${pointer}/account`, 'or key is required')
  if (credit_type !== undefined && amount === undefined)
    throw badInput(`${pointer}/credit_type`, 'goes with an amount; otherwise the price says which credits pay')
  refuseBoth(body, pointer)
  const target = await findTarget(context.services, { account: body.account ?? null, key: body.key ?? null })
  if (isRefusal(target)) throw refusalError(target)
  countKey(context, target)
  return {
    target,
    operation,
    quantity: quantity === undefined ? null : decimalIn(quantity, `${pointer}/quantity`),
    quantities: quantities === undefined ? null : quantitiesIn(quantities, `${pointer}/quantities`),
    attributes: attributes ?? {},
    amount: amount === undefined ? null : nonNegativeIn(amount, `${pointer}/amount`),
    creditType: credit_type ?? null,
    quote: quote_id ?? null,
    metadata: metadata ?? {},
  }
}

/** A key with a rate limit of its own is limited also where the operator charges it: there its calls are counted. */
function countKey({ limiter }: NativeContext, { key, fault }: Target): void {
  if (!key?.terms.rateLimit || fault) return
  const { isAllowed, limit, resetSeconds } = limiter.take(nameOf(key), key.terms.rateLimit)
  if (isAllowed) return
  throw new ProblemError('rate_limited', `The key may be used ${limit.requests} times in ${limit.windowSeconds} seconds.`, {
    retry_after: resetSeconds,
    'violated-policies': ['key'],
  })
}
