/** The shape of a price book as it is sent. */

import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Rounding } from '../../core/decimal.ts'
import type { ProblemPlace } from '../problems.ts'
import { AmountIn, CreditType, DecimalIn, Operation, TimeIn } from './schemas.ts'

const ROUNDINGS = ['ceil', 'floor', 'half_up', 'half_even'] as const satisfies readonly Rounding[]
const MAX_ROWS = 4_000

const Price = Type.Object(
  {
    operation: Operation,
    credit_type: Type.Optional(CreditType),
    fallback_credit_types: Type.Optional(
      Type.Array(CreditType, { description: 'Pay the same amount, in order, when the first cannot cover it.' }),
    ),
    rate: DecimalIn,
    per: Type.Object(
      { quantity: DecimalIn, unit: Type.String({ maxLength: 50 }) },
      { additionalProperties: false, description: 'The rate is credits per so many of this unit.' },
    ),
    step: Type.Optional(DecimalIn),
    tiers: Type.Optional(
      Type.Array(
        Type.Object(
          {
            up_to: Type.Optional(Type.Unsafe<string | number | null>({ ...DecimalIn, type: ['string', 'number', 'null'] })),
            rate: DecimalIn,
          },
          { additionalProperties: false },
        ),
        {
          description: 'Graduated: each prices only the units up to its end; above the last one, `rate` does.',
        },
      ),
    ),
    modifiers: Type.Optional(
      Type.Array(
        Type.Object(
          { attribute: Type.String({ minLength: 1, maxLength: 40 }), equals: Type.String({ maxLength: 100 }), multiply: DecimalIn },
          { additionalProperties: false },
        ),
        {
          description: 'Multiply when the call has the attribute.',
        },
      ),
    ),
    minimum: Type.Optional(AmountIn),
    cap: Type.Optional(AmountIn),
    rounding: Type.Optional(
      Type.Unsafe<Rounding>({
        type: 'string',
        enum: [...ROUNDINGS],
        description: 'How an exact price becomes millionths of a credit, once. Default `ceil`.',
      }),
    ),
  },
  { additionalProperties: false, description: 'One row. Rows of one operation are its components, each with a unit of its own.' },
)

/** A price book to publish. */
export const BookBody = Type.Object(
  { prices: Type.Array(Price, { minItems: 1, maxItems: MAX_ROWS }), effective_at: Type.Optional(TimeIn) },
  { additionalProperties: false },
)

/** A price book as it is sent. */
export type PriceBookIn = Static<typeof BookBody>

/** What is wrong with the shape of a price book, if anything is; what it says is checked by parsePrices. */
export function bookFaults(book: unknown): readonly ProblemPlace[] {
  return [...Value.Errors(BookBody, book)].map(({ instancePath, message }) => ({ pointer: `#${instancePath}`, detail: message }))
}
