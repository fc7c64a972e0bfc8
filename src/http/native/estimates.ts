/** `POST /v1/estimates`: what work would cost, and whether it can be paid. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { isRefusal } from '../../core/refusals.ts'
import { type Estimate, type EstimateItem, estimate, type QuantityRange } from '../../operations/estimate.ts'
import { findTarget, type Target } from '../../operations/find-account.ts'
import { QUOTE_TTL_MS } from '../../operations/quotes.ts'
import { accountOf, keyOf } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { badInput, pointerTo } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { Line, linesOut } from './explanation-bodies.ts'
import {
  AccountIn,
  Amount,
  Attributes,
  DecimalIn,
  decimalOut,
  KeyIn,
  NullableAmount,
  nullable,
  nullableObject,
  Operation,
  PROBLEMS_ANSWER,
  Time,
} from './schemas.ts'
import { decimalIn, nullableAmountOut, refuseBoth, timeOut } from './values.ts'

/** Most items of one estimate. */
const MAX_ITEMS = 1_000

const RangeIn = Type.Unsafe<string | number | { min: string | number; max: string | number }>({
  anyOf: [
    DecimalIn,
    { type: 'object', properties: { min: DecimalIn, max: DecimalIn }, required: ['min', 'max'], additionalProperties: false },
  ],
  description: 'A quantity, or the two that it lies between.',
})

const ItemIn = Type.Object(
  {
    operation: Operation,
    quantity: Type.Optional(RangeIn),
    quantities: Type.Optional(Type.Record(Type.String({ maxLength: 50 }), RangeIn, { maxProperties: 16 })),
    attributes: Type.Optional(Attributes),
  },
  { additionalProperties: false },
)

const EstimateBody = Type.Object({
  object: Type.Literal('estimate'),
  items: Type.Array(
    Type.Object({
      operation: Type.String(),
      status: Type.Union([Type.Literal('exact'), Type.Literal('range')]),
      credit_type: Type.String(),
      credits: decimalOut('The most that it can come to: exactly what a hold would take.'),
      min: Amount,
      max: Amount,
      lines: Type.Array(Line),
    }),
  ),
  totals: Type.Array(
    Type.Object({ credit_type: Type.String(), min: Amount, max: Amount, available: NullableAmount, shortfall: NullableAmount }),
  ),
  price_version: Type.Integer(),
  affordable: nullableObject(Type.Object({ balance: Type.Boolean(), key_budget: Type.Boolean() })),
  quote_id: nullable<string>('string', 'Name it in a charge or hold of this account, and these prices hold.'),
  valid_until: Time,
})

function render({ items, totals, priceVersion, affordable, quoteId, validUntilMs }: Estimate): Static<typeof EstimateBody> {
  return {
    object: 'estimate',
    items: items.map(({ operation, creditType, min, max, lines }) => ({
      operation,
      status: min === max ? 'exact' : 'range',
      credit_type: creditType,
      credits: formatCredits(max),
      min: formatCredits(min),
      max: formatCredits(max),
      lines: linesOut(lines),
    })),
    totals: totals.map(({ creditType, min, max, available, shortfall }) => ({
      credit_type: creditType,
      min: formatCredits(min),
      max: formatCredits(max),
      available: nullableAmountOut(available),
      shortfall: nullableAmountOut(shortfall),
    })),
    price_version: priceVersion,
    affordable: affordable && { balance: affordable.balance, key_budget: affordable.keyBudget },
    quote_id: quoteId,
    valid_until: timeOut(validUntilMs),
  }
}

function rangeIn(value: Static<typeof RangeIn>, pointer: string): QuantityRange {
  if (typeof value !== 'object') {
    const exact = decimalIn(value, pointer)
    return { min: exact, max: exact }
  }
  const range = { min: decimalIn(value.min, `${pointer}/min`), max: decimalIn(value.max, `${pointer}/max`) }
  if (range.min > range.max) throw badInput(`${pointer}/max`, 'must not be below min')
  return range
}

function itemIn({ operation, quantity, quantities, attributes = {} }: Static<typeof ItemIn>, index: number): EstimateItem {
  const at = `#/items/${index}`
  refuseBoth({ quantity, quantities }, at)
  return {
    operation,
    quantity: quantity === undefined ? null : rangeIn(quantity, `${at}/quantity`),
    quantities:
      quantities === undefined
        ? null
        : Object.fromEntries(
            Object.entries(quantities).map(([unit, value]) => [unit, rangeIn(value, pointerTo(`${at}/quantities`, unit))]),
          ),
    attributes,
  }
}

export function estimateRoutes(app: NativeApp, context: NativeContext): void {
  app.post(
    '/estimates',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'createEstimate',
        tags: ['prices'],
        summary: 'Estimate what work would cost',
        description: `Free, and changes nothing. For an account it says whether balance and key budget cover it, and returns a \`quote_id\` that pins the prices for ${QUOTE_TTL_MS / 60_000} minutes.`,
        body: Type.Object(
          { items: Type.Array(ItemIn, { minItems: 1, maxItems: MAX_ITEMS }), account: Type.Optional(AccountIn), key: Type.Optional(KeyIn) },
          { additionalProperties: false },
        ),
        response: { 200: EstimateBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { items, account, key } = request.body
      const target = await targetIn(context, request, { account, key })
      const estimated = await estimate(context.services, items.map(itemIn), target)
      if (isRefusal(estimated)) throw refusalError(estimated)
      return render(estimated)
    },
  )
}

/** Whom an estimate is for: the asking key and its account, or whom the operator names, or nobody. */
async function targetIn(
  { services }: NativeContext,
  request: FastifyRequest,
  named: { readonly account: string | undefined; readonly key: string | undefined },
): Promise<Target | null> {
  if (request.identity?.kind !== 'operator') {
    const account = await accountOf(services, request, named.account)
    if (named.key !== undefined) throw badInput('#/key', 'is for the operator: an estimate is for whoever asks')
    return { account, key: keyOf(request), fault: null }
  }
  if (named.account === undefined && named.key === undefined) return null
  const target = await findTarget(services, { account: named.account ?? null, key: named.key ?? null })
  if (isRefusal(target)) throw refusalError(target)
  if (target.fault) throw refusalError(target.fault)
  return target
}
