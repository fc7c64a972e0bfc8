/** `/v1/auto-topup`: credits that an account buys by itself. */

import { type Static, Type } from 'typebox'
import { isRefusal } from '../../core/refusals.ts'
import { type AutoTopupRequest, readAutoTopup, removeAutoTopup, setAutoTopup } from '../../operations/auto-topups.ts'
import { accountOf, requireOwner } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf } from '../idempotency.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AutoTopupBody, renderAutoTopup } from './auto-topup-bodies.ts'
import { AccountIn, AmountIn, CreditType, nullableObject, PROBLEMS_ANSWER } from './schemas.ts'
import { AmountMinor } from './topup-options.ts'
import { nonNegativeIn, positiveIn } from './values.ts'
import { callerOf } from './work.ts'

const Holder = Type.Object({ account: Type.Optional(AccountIn) }, { additionalProperties: false })
const Answer = Type.Object({ auto_topup: nullableObject(AutoTopupBody) })

const SettingBody = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean({ description: 'Default `true`.' })),
    credit_type: Type.Optional(CreditType),
    threshold: AmountIn,
    target: Type.Optional(AmountIn),
    amount_minor: Type.Optional({ ...AmountMinor, description: 'Money to pay each time, instead of a target.' }),
    monthly_cap_minor: { ...AmountMinor, description: 'Most money in a calendar month, in UTC. It is never passed.' },
    consent: Type.Object(
      {
        by: Type.String({ minLength: 1, maxLength: 200, description: 'Who agreed to payments that are made without them.' }),
        text: Type.String({ minLength: 1, maxLength: 2_000, description: 'What they agreed to: the text, or its version.' }),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

function requestIn(account: number, body: Static<typeof SettingBody>): AutoTopupRequest {
  const { enabled = true, credit_type, target, amount_minor, monthly_cap_minor, consent } = body
  const threshold = nonNegativeIn(body.threshold, '#/threshold')
  return {
    account,
    isOn: enabled,
    creditType: credit_type ?? null,
    threshold,
    size: sizeIn({ target, amount_minor, monthly_cap_minor }, threshold),
    monthlyCapMinor: monthly_cap_minor,
    consent,
  }
}

type Sizes = Pick<Static<typeof SettingBody>, 'monthly_cap_minor'> & {
  readonly target: string | number | undefined
  readonly amount_minor: number | undefined
}

function sizeIn({ target, amount_minor, monthly_cap_minor }: Sizes, threshold: bigint): AutoTopupRequest['size'] {
  if (target !== undefined && amount_minor !== undefined) throw badInput('#/target', 'and amount_minor say the same: state one of them')
  if (amount_minor !== undefined) {
    if (amount_minor > monthly_cap_minor) throw badInput('#/monthly_cap_minor', 'must not be below amount_minor')
    return { amountMinor: amount_minor }
  }
  if (target === undefined) throw badInput('#/target', 'or amount_minor is required')
  const credits = positiveIn(target, '#/target')
  if (credits <= threshold) throw badInput('#/target', 'must be above the threshold')
  return { target: credits }
}

export function autoTopupRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/auto-topup',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getAutoTopup',
        tags: ['topups'],
        summary: 'Get how the account is topped up by itself, and where that stands',
        querystring: Holder,
        response: { 200: Answer, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const account = await accountOf(services, request, request.query.account)
      return { auto_topup: renderAutoTopup(await readAutoTopup(services, account)) }
    },
  )

  app.put(
    '/auto-topup',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'setAutoTopup',
        tags: ['topups'],
        summary: 'Have the account topped up by itself',
        description:
          'When no more than `threshold` credits are available, as many are bought as bring them to `target`, or for `amount_minor`; with what the customer has left for that (`save_payment_method` of a checkout session), at the price of the top-up options. Only an owner of the account, or the operator, may set it. What was paid, tried and declined before counts on.',
        querystring: Holder,
        body: SettingBody,
        response: { 200: Answer, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      requireOwner(request)
      const account = await accountOf(services, request, request.query.account)
      const view = await setAutoTopup(services, callerOf(request, idempotencyOf(request)), requestIn(account, request.body))
      if (isRefusal(view)) throw refusalError(view)
      return { auto_topup: renderAutoTopup(view) }
    },
  )

  app.delete(
    '/auto-topup',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'deleteAutoTopup',
        tags: ['topups'],
        summary: 'Top the account up by itself no longer',
        description: 'A payment in flight comes to its end, and is credited if it is paid.',
        querystring: Holder,
        response: { 200: Answer, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      requireOwner(request)
      const account = await accountOf(services, request, request.query.account)
      const refusal = await removeAutoTopup(services, callerOf(request, null), account)
      if (refusal) throw refusalError(refusal)
      return { auto_topup: null }
    },
  )
}
