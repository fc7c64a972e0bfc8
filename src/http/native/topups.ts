/** `/v1/topups`: credits that were bought. */

import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { type Address, accountId, objectId, parseObjectId } from '../../core/ids.ts'
import { refundableMinor, takenFrom } from '../../core/purchase.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { PurchaseView } from '../../operations/checkouts.ts'
import { listTopups, readTopup, refundTopup, statusOf, type TopupStatus } from '../../operations/topups.ts'
import { accountOf, mayRead } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { requiredIdempotency } from '../idempotency.ts'
import { listBody, PAGE_QUERY, seqPage } from '../pages.ts'
import { ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AccountIn, Amount, decimalOut, idParam, listOf, nullable, optionalBody, PROBLEMS_ANSWER, StringMap, Time } from './schemas.ts'
import { AmountMinor } from './topup-options.ts'
import { timeOut } from './values.ts'
import { callerOf } from './work.ts'

const STATUSES = ['paid', 'partly_refunded', 'refunded', 'disputed', 'charged_back'] as const satisfies readonly TopupStatus[]
const REFUND_STATUSES = ['requested', 'refused', 'succeeded', 'failed'] as const
const DISPUTE_STATUSES = ['open', 'won', 'lost'] as const

const Refund = Type.Object({
  id: nullable<string>('string', 'Id of the request; null: the refund was made at the provider.'),
  provider_id: nullable<string>('string', "The provider's name of it; null: there is none yet."),
  amount_minor: Type.Integer(),
  status: Type.Unsafe<(typeof REFUND_STATUSES)[number]>({
    type: 'string',
    enum: [...REFUND_STATUSES],
    description: '`requested`: the provider has yet to make it. `failed`: the credits that it took are back.',
  }),
  credits: decimalOut('Credits that it took.'),
})
const Dispute = Type.Object({
  provider_id: Type.String(),
  amount_minor: Type.Integer(),
  status: Type.Unsafe<(typeof DISPUTE_STATUSES)[number]>({
    type: 'string',
    enum: [...DISPUTE_STATUSES],
    description: '`open`: what is unspent is frozen. `won`: it is free again. `lost`: credits were taken.',
  }),
  credits: decimalOut('Credits that it took.'),
})

/** A top-up as it is answered. */
export const Topup = Type.Object(
  {
    object: Type.Literal('topup'),
    id: Type.String(),
    account: Type.String(),
    checkout_session: Type.String(),
    status: Type.Unsafe<TopupStatus>({ type: 'string', enum: [...STATUSES] }),
    provider: Type.String(),
    mode: Type.Unsafe<'live' | 'test'>({ type: 'string', enum: ['live', 'test'], description: '`test`: nothing real was paid.' }),
    payment: Type.String({ description: "The provider's name of the payment." }),
    amount_minor: Type.Integer({ description: 'The price, in minor units, before any tax.' }),
    total_minor: Type.Integer({ description: 'All that was paid, taxes included.' }),
    currency: Type.String(),
    credit_type: Type.String(),
    credits: Amount,
    bonus_credits: nullable<string>('string', 'Given on top; null: none.', 'decimal'),
    taken_back: decimalOut('Credits that refunds and lost disputes took, in all.'),
    refundable_minor: Type.Integer({ description: 'Money that can still be paid back.' }),
    refunds: Type.Array(Refund),
    disputes: Type.Array(Dispute),
    grants: Type.Array(Type.String(), { description: 'Ids of its grants.' }),
    metadata: StringMap,
    created_at: Time,
  },
  { description: 'Credits that were bought, and what became of the payment.' },
)

/** Writes a top-up. */
export function renderTopup(view: PurchaseView): Static<typeof Topup> {
  const { account, purchase } = view
  const { terms, paid, disputes, grants } = purchase
  if (!paid) throw new Error(`purchase ${purchase.seq} of account ${account} was not paid`)
  return {
    object: 'topup',
    id: objectId('topup', account, paid.seq),
    account: accountId(account),
    checkout_session: objectId('cs', account, purchase.seq),
    status: statusOf(purchase),
    provider: terms.provider,
    mode: terms.isLive ? 'live' : 'test',
    payment: paid.payment.payment,
    amount_minor: terms.amountMinor,
    total_minor: paid.payment.totalMinor,
    currency: terms.currency,
    credit_type: terms.creditType,
    credits: formatCredits(terms.credits),
    bonus_credits: terms.bonus && formatCredits(terms.bonus.credits),
    taken_back: formatCredits(takenFrom(purchase)),
    refundable_minor: refundableMinor(purchase),
    refunds: refundsOut(view),
    disputes: disputes.map(({ dispute, amountMinor, status, credits }) => {
      return { provider_id: dispute, amount_minor: amountMinor, status, credits: formatCredits(credits) }
    }),
    grants: grants.map((seq) => objectId('grant', account, seq)),
    metadata: terms.metadata,
    created_at: timeOut(paid.atMs),
  }
}

/** What was asked for and is not made, then what the provider made. */
function refundsOut({ account, purchase: { requests, refunds } }: PurchaseView): Static<typeof Refund>[] {
  const idOf = (seq: number | null): string | null => (seq === null ? null : objectId('trf', account, seq))
  const asked = requests.flatMap(({ seq, amountMinor, outcome }) =>
    outcome === 'made'
      ? []
      : [
          {
            id: idOf(seq),
            provider_id: null,
            amount_minor: amountMinor,
            status: outcome === null ? ('requested' as const) : outcome,
            credits: '0',
          },
        ],
  )
  const made = refunds.map(({ refund, request, amountMinor, credits, isReversed }) => {
    const status = isReversed ? ('failed' as const) : ('succeeded' as const)
    return { id: idOf(request), provider_id: refund, amount_minor: amountMinor, status, credits: formatCredits(credits) }
  })
  return [...asked, ...made]
}

const NOT_FOUND = refuse('topup_not_found', 'No top-up has this id.')

function topupIn(id: string): Address {
  const address = parseObjectId('topup', id)
  if (!address) throw refusalError(NOT_FOUND)
  return address
}

function topupBody(view: PurchaseView | Refusal): Static<typeof Topup> {
  if (isRefusal(view)) throw refusalError(view)
  return renderTopup(view)
}

export function topupRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/topups',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listTopups',
        tags: ['topups'],
        summary: 'List top-ups, newest first',
        querystring: Type.Object({ account: Type.Optional(AccountIn), ...PAGE_QUERY }, { additionalProperties: false }),
        response: { 200: listOf(Topup), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const account = await accountOf(services, request, request.query.account)
      const page = seqPage(request.query, { account, prefixes: ['topup'] })
      const views = await listTopups(services, account, page)
      if (!views) throw new ProblemError('invalid_cursor', 'The cursor is not an id of this list.')
      return listBody('/v1/topups', page, views, renderTopup)
    },
  )

  app.get(
    '/topups/:topup',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getTopup',
        tags: ['topups'],
        summary: 'Get a top-up',
        params: idParam('topup', 'Id of the top-up.'),
        response: { 200: Topup, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const address = topupIn(request.params.topup)
      return topupBody(mayRead(request, address.account) ? await readTopup(services, address) : NOT_FOUND)
    },
  )

  app.post(
    '/topups/:topup/refund',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'refundTopup',
        tags: ['topups'],
        summary: 'Pay money of a top-up back',
        description:
          'Credits are taken in proportion once the provider says that the money goes back: first those of the top-up itself, then others, the rest as a debt. Until then the refund is `requested`; it is asked for until the provider answers. Needs an `Idempotency-Key`.',
        params: idParam('topup', 'Id of the top-up.'),
        body: optionalBody({
          amount_minor: Type.Optional(AmountMinor),
          reason: Type.Optional(Type.String({ maxLength: 500 })),
        }),
        response: { 201: Topup, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const topup = topupIn(request.params.topup)
      const caller = callerOf(request, requiredIdempotency(request))
      const { amount_minor, reason } = request.body ?? {}
      const view = await refundTopup(services, caller, { topup, amountMinor: amount_minor ?? null, reason: reason ?? '' })
      if (isRefusal(view)) throw refusalError(view)
      if (view.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return renderTopup(view)
    },
  )
}
