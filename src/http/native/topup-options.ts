/** `/v1/topups/options`: what is on offer. */

import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { refuse } from '../../core/refusals.ts'
import { creditsOf, MAX_PACKS, type TopupOptions } from '../../core/topup-options.ts'
import { type OfferedOptions, readTopupOptions, setTopupOptions } from '../../operations/topup-options.ts'
import { refusalError } from '../error-handler.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { Amount, AmountIn, CreditType, decimalOut, NullableAmount, PROBLEMS_ANSWER, Time } from './schemas.ts'
import { nullableAmountOut, positiveIn, timeOut } from './values.ts'

/** Most money of one purchase, in minor units. */
const MAX_MINOR = 99_999_999
/** Longest life of what is bought. */
const MAX_DAYS = 3_650

/** Money in minor units. */
export const AmountMinor = Type.Integer({ minimum: 1, maximum: MAX_MINOR, description: 'Money, in minor units of the currency.' })
const Currency = Type.String({ pattern: '^[a-z]{3}$', description: 'ISO 4217, lower case.', examples: ['eur'] })
const Days = Type.Unsafe<number | null>({ type: ['integer', 'null'], minimum: 1, maximum: MAX_DAYS, description: 'Null: for ever.' })
const PackId = Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,49}$' })

const Pack = Type.Object({
  id: Type.String(),
  name: Type.String(),
  amount_minor: AmountMinor,
  credits: Amount,
  bonus_credits: NullableAmount,
  bonus_expires_in_days: Days,
})

const Options = Type.Object(
  {
    object: Type.Literal('topup_options'),
    version: Type.Integer(),
    provider: Type.String({ description: 'Who takes the money: `stripe`, or `sandbox`, which takes none.' }),
    mode: Type.Unsafe<'live' | 'test'>({ type: 'string', enum: ['live', 'test'], description: '`test`: nothing real is paid.' }),
    currency: Type.String(),
    credit_type: Type.String(),
    credits_per_unit: decimalOut('Credits for one unit of money: a dollar, a yen.'),
    min_minor: AmountMinor,
    max_minor: AmountMinor,
    expires_in_days: Days,
    packs: Type.Array(Pack),
    created_at: Time,
  },
  { description: 'What is on offer: any amount from `min_minor` to `max_minor`, or a pack.' },
)

const OptionsBody = Type.Object(
  {
    currency: Currency,
    credit_type: Type.Optional(CreditType),
    credits_per_unit: AmountIn,
    min_minor: AmountMinor,
    max_minor: AmountMinor,
    expires_in_days: Type.Optional(Days),
    packs: Type.Optional(
      Type.Array(
        Type.Object(
          {
            id: PackId,
            name: Type.String({ minLength: 1, maxLength: 100 }),
            amount_minor: AmountMinor,
            credits: Type.Optional(AmountIn),
            bonus_credits: Type.Optional(AmountIn),
            bonus_expires_in_days: Type.Optional(Days),
          },
          { additionalProperties: false },
        ),
        { maxItems: MAX_PACKS },
      ),
    ),
  },
  { additionalProperties: false },
)

function renderOptions(
  options: OfferedOptions,
  { name, isLive }: { readonly name: string; readonly isLive: boolean },
): Static<typeof Options> {
  return {
    object: 'topup_options',
    version: options.version,
    provider: name,
    mode: isLive ? 'live' : 'test',
    currency: options.currency,
    credit_type: options.creditType,
    credits_per_unit: formatCredits(options.creditsPerUnit),
    min_minor: options.minMinor,
    max_minor: options.maxMinor,
    expires_in_days: options.lifeDays,
    packs: options.packs.map((pack) => ({
      id: pack.id,
      name: pack.name,
      amount_minor: pack.amountMinor,
      credits: formatCredits(creditsOf(options, pack)),
      bonus_credits: nullableAmountOut(pack.bonus),
      bonus_expires_in_days: pack.bonusDays,
    })),
    created_at: timeOut(options.createdAtMs),
  }
}

function optionsIn({ credit_type, credits_per_unit, packs = [], ...body }: Static<typeof OptionsBody>): TopupOptions {
  return {
    currency: body.currency,
    creditType: credit_type ?? 'credits',
    creditsPerUnit: positiveIn(credits_per_unit, '#/credits_per_unit'),
    minMinor: body.min_minor,
    maxMinor: body.max_minor,
    lifeDays: body.expires_in_days ?? null,
    packs: packs.map(({ id, name, amount_minor, credits, bonus_credits, bonus_expires_in_days }, index) => ({
      id,
      name,
      amountMinor: amount_minor,
      credits: credits === undefined ? null : positiveIn(credits, `#/packs/${index}/credits`),
      bonus: bonus_credits === undefined ? null : positiveIn(bonus_credits, `#/packs/${index}/bonus_credits`),
      bonusDays: bonus_expires_in_days ?? null,
    })),
  }
}

const NOT_OFFERED = refuse('topups_not_offered', 'This server sells no credits now.')

export function topupOptionsRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/topups/options',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getTopupOptions',
        tags: ['topups'],
        summary: 'Get what credits are on offer',
        response: { 200: Options, ...PROBLEMS_ANSWER },
      },
    },
    async () => {
      const options = await readTopupOptions(services)
      if (services.payments === null || !options) throw refusalError(NOT_OFFERED)
      return renderOptions(options, services.payments.provider)
    },
  )

  app.put(
    '/topups/options',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'setTopupOptions',
        tags: ['topups'],
        summary: 'Set what credits are on offer',
        description:
          'A new version from now on, unless it says what the one in force says. Checkout sessions that are open keep the version that they were opened with.',
        body: OptionsBody,
        response: { 200: Options, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { payments } = services
      if (payments === null) throw refusalError(NOT_OFFERED)
      const options = await setTopupOptions(services, optionsIn(request.body))
      if ('fault' in options) throw badInput('#', options.fault)
      return renderOptions(options, payments.provider)
    },
  )
}
