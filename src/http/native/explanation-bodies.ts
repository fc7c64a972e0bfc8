/** How a charge's price came about, and what paid for it. */

import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { divide, formatDecimal } from '../../core/decimal.ts'
import type { Address } from '../../core/ids.ts'
import { objectId } from '../../core/ids.ts'
import type { PriceLine } from '../../core/pricing.ts'
import { drawsOf } from '../../core/record.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import { type ChargeExplanation, explainCharge, grantsBefore } from '../../operations/explain-charge.ts'
import type { Services } from '../../operations/services.ts'
import { Amount, decimalOut, NullableAmount, NullableTime, nullable } from './schemas.ts'
import { nullableAmountOut, nullableTimeOut } from './values.ts'

/** One component of a price. */
export const Line = Type.Object({
  unit: Type.String(),
  quantity: decimalOut('As stated.'),
  billed_quantity: decimalOut('After rounding up to started steps.'),
  per: decimalOut('The rate is for this many units.'),
  rates: Type.Array(Type.Object({ quantity: decimalOut(), rate: decimalOut('Credits per `per` units.') })),
  modifiers: Type.Array(Type.Object({ attribute: Type.String(), equals: Type.String(), multiply: decimalOut() })),
  credits: decimalOut('Credits of this line, cut to 12 decimals; the sum of all lines is rounded once.'),
})

const CREDIT_DIGITS = 12n

/** Writes the lines of a priced call. */
export function linesOut(lines: readonly PriceLine[]): Static<typeof Line>[] {
  return lines.map(({ unit, quantity, billed, per, tiers, multipliers, exact }) => ({
    unit,
    quantity: formatDecimal(quantity),
    billed_quantity: formatDecimal(billed),
    per: formatDecimal(per),
    rates: tiers.map((tier) => ({ quantity: formatDecimal(tier.quantity), rate: formatDecimal(tier.rate) })),
    modifiers: multipliers.map(({ attribute, equals, multiply }) => ({ attribute, equals, multiply: formatDecimal(multiply) })),
    // A fraction of micro-credits, shown as credits: 10¹² / 10⁶ more digits.
    credits: formatDecimal(divide(exact.numerator * 10n ** (CREDIT_DIGITS - 6n), exact.denominator, 'floor')),
  }))
}

/** Writes the lines of a price; none where the caller named the amount. */
export function renderLines({ price }: ChargeExplanation): Static<typeof Line>[] {
  return price ? linesOut(price.call.lines) : []
}

export const ExplanationBody = Type.Object({
  object: Type.Literal('charge_explanation'),
  charge: Type.String(),
  credits: Amount,
  credit_type: Type.String(),
  price_version: nullable<number>('integer', 'Null: the caller named the amount.'),
  rounding: nullable<string>('string'),
  minimum: NullableAmount,
  cap: NullableAmount,
  bound: nullable<string>('string', '`minimum` or `cap` when one of them decided the amount.'),
  lines: Type.Array(Line),
  grants: Type.Array(
    Type.Object({
      grant: Type.String(),
      source: Type.String(),
      priority: Type.Integer(),
      expires_at: NullableTime,
      paid: Type.Boolean(),
      remaining_before: Amount,
      held_before: Amount,
      drawn: Amount,
    }),
    { description: 'The grants that were open, in the order in which they burn, and what was drawn on each.' },
  ),
  overdrawn: decimalOut('Credits that no grant had.'),
})

/** Explains a charge. */
export async function renderExplanation(services: Services, address: Address): Promise<Static<typeof ExplanationBody> | Refusal> {
  const explanation = await explainCharge(services, address)
  if (isRefusal(explanation)) return explanation
  const { record, price } = explanation
  const draws = drawsOf(record)
  const drawn = (grant: number): bigint => draws.reduce((sum, movement) => (movement.grant === grant ? sum - movement.remaining : sum), 0n)
  const grants = await grantsBefore(services, address, record.creditType)
  return {
    object: 'charge_explanation',
    charge: objectId('chg', address.account, address.seq),
    credits: formatCredits(record.credits),
    credit_type: record.creditType,
    price_version: record.priceVersion,
    rounding: price?.operation.rounding ?? null,
    minimum: nullableAmountOut(price?.operation.minimum ?? null),
    cap: nullableAmountOut(price?.operation.cap ?? null),
    bound: price?.call.bound ?? null,
    lines: renderLines(explanation),
    grants: grants.map((grant) => ({
      grant: objectId('grant', address.account, grant.seq),
      source: grant.source,
      priority: grant.priority,
      expires_at: nullableTimeOut(grant.expiresAtMs),
      paid: grant.paid,
      remaining_before: formatCredits(grant.remaining),
      held_before: formatCredits(grant.held),
      drawn: formatCredits(drawn(grant.seq)),
    })),
    overdrawn: formatCredits(drawn(0)),
  }
}
