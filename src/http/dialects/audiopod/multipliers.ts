/** `/api/v1/credits/multipliers`: what each service costs, per the unit that AudioPod's clients multiply with. */

import { Type } from 'typebox'
import { MICRO } from '../../../core/credits.ts'
import { divide } from '../../../core/decimal.ts'
import type { OperationPrice, PriceComponent } from '../../../core/price-book.ts'
import { DEFAULT_CREDIT_TYPE } from '../../../core/price-parsing.ts'
import { secondsIn } from '../../../core/pricing.ts'
import { customerOf } from '../customer.ts'
import type { DialectApp, DialectContext } from '../dialect.ts'
import { creditsOut, number } from '../numbers.ts'

/** Clients multiply minutes with it, except those of music, which come by 30 seconds. */
const SECONDS_EACH = 60n
const SECONDS_EACH_OF: ReadonlyMap<string, bigint> = new Map([['music_generation', 30n]])
/** And thousands of characters; everything else one by one. */
const CHARACTERS_EACH = 1_000n
const CHARACTERS = new Set(['character', 'characters', 'char', 'chars'])

/** How many of a component's units a multiplier is for: as a fraction, because the price may be per hour. */
function unitsEach(operation: string, unit: string): { readonly numerator: bigint; readonly denominator: bigint } {
  const seconds = secondsIn(unit)
  if (seconds !== undefined) return { numerator: SECONDS_EACH_OF.get(operation) ?? SECONDS_EACH, denominator: seconds }
  return { numerator: CHARACTERS.has(unit) ? CHARACTERS_EACH : 1n, denominator: 1n }
}

/** Micro-credits of the multiplier of a price. */
function multiplierOf(operation: string, { unit, per, rate, tiers }: PriceComponent): bigint {
  const { numerator, denominator } = unitsEach(operation, unit)
  return divide((tiers[0]?.rate ?? rate) * numerator * MICRO, per * denominator, 'ceil')
}

/** Services with one rate, in the credits that AudioPod knows. Others cannot be said by one number. */
function isSaidByOneNumber({ creditType, components }: OperationPrice): boolean {
  return creditType === DEFAULT_CREDIT_TYPE && components.length === 1
}

export function multipliersRoute(app: DialectApp, { services }: DialectContext): void {
  app.get(
    '/api/v1/credits/multipliers',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getCreditMultipliers',
        tags: ['Credits'],
        summary: 'Get current credit costs of services',
        description: 'Per minute, of music per 30 seconds, of characters per 1000, of everything else each.',
        response: { 200: Type.Record(Type.String(), number('Credits.', [660])) },
      },
    },
    (request) => {
      customerOf(request)
      const prices = [...(services.prices.at(services.clock())?.operations.values() ?? [])].filter(isSaidByOneNumber)
      return Object.fromEntries(
        prices.flatMap(({ operation, components }) =>
          components.map((component) => [operation, creditsOut(multiplierOf(operation, component))]),
        ),
      )
    },
  )
}
