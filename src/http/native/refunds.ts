/** `POST /v1/charges/{charge}/refund` and `/v1/adjustments`: credits given back, and balances corrected. */

import { Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { accountId, objectId, parseObjectId } from '../../core/ids.ts'
import type { JournalRecord } from '../../core/record.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { findAccount } from '../../operations/find-account.ts'
import { adjustCredits, refundCharge } from '../../operations/grant-credits.ts'
import { refusalError } from '../error-handler.ts'
import { requiredIdempotency } from '../idempotency.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { renderBalance } from './charge-bodies.ts'
import {
  AccountIn,
  Amount,
  AmountIn,
  Balance,
  CreditType,
  decimalOut,
  idParam,
  nullable,
  optionalBody,
  PROBLEMS_ANSWER,
  Time,
} from './schemas.ts'
import { amountIn, positiveIn, timeOut } from './values.ts'
import { callerOf } from './work.ts'

const Reason = Type.String({ maxLength: 500, description: 'Why, for whoever reads the journal.' })

const Refund = Type.Object({
  object: Type.Literal('refund'),
  id: Type.String(),
  account: Type.String(),
  charge: Type.String(),
  credits: Amount,
  credit_type: Type.String(),
  grant: nullable<string>('string', 'The grant that stands in for ended ones; null: all credits went back to where they came from.'),
  reason: Type.String(),
  balance: Balance,
  created_at: Time,
})

const Adjustment = Type.Object({
  object: Type.Literal('adjustment'),
  id: Type.String(),
  account: Type.String(),
  credits: decimalOut('Given, or below zero: taken.'),
  credit_type: Type.String(),
  reason: Type.String(),
  balance: Balance,
  created_at: Time,
})

export function refundRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/charges/:charge/refund',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'refundCharge',
        tags: ['charges'],
        summary: 'Refund a charge, whole or in part',
        description:
          'Back to the grants that it came from, latest drawn first. Credits of ended grants come back as a `refund` grant. Without `amount`: all that is left to refund.',
        params: idParam('charge', 'Id of the charge.'),
        body: optionalBody({ amount: Type.Optional(AmountIn), reason: Type.Optional(Reason) }),
        response: { 201: Refund, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { amount, reason = '' } = request.body ?? {}
      const charge = parseObjectId('chg', request.params.charge)
      if (!charge) throw refusalError(refuse('charge_not_found', 'No charge has this id.'))
      const credits = amount === undefined ? null : positiveIn(amount, '#/amount')
      const outcome = await refundCharge(services, callerOf(request, requiredIdempotency(request)), { charge, credits, reason })
      if (isRefusal(outcome)) throw refusalError(outcome)
      if (outcome.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return renderRefund(outcome.account, outcome.records[0])
    },
  )

  app.post(
    '/adjustments',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createAdjustment',
        tags: ['grants'],
        summary: 'Correct a balance',
        description:
          'Above zero the credits are given as a grant that never expires; below zero they are taken in burn order, and never more than is available.',
        body: Type.Object(
          {
            account: AccountIn,
            amount: AmountIn,
            credit_type: Type.Optional(CreditType),
            reason: Type.String({ minLength: 1, maxLength: 500 }),
          },
          { additionalProperties: false },
        ),
        response: { 201: Adjustment, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { amount, credit_type: creditType = 'credits', reason } = request.body
      const credits = amountIn(amount, '#/amount')
      if (credits === 0n) throw badInput('#/amount', 'must not be 0')
      const account = await findAccount(services, request.body.account)
      if (typeof account !== 'number') throw refusalError(account)
      const outcome = await adjustCredits(services, callerOf(request, requiredIdempotency(request)), {
        account,
        creditType,
        credits,
        reason,
      })
      if (isRefusal(outcome)) throw refusalError(outcome)
      if (outcome.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return renderAdjustment(outcome.account, outcome.records[0], reason)
    },
  )
}

function renderRefund(account: number, record: JournalRecord | undefined) {
  if (record?.kind !== 'refund') throw new Error('the command made no refund')
  const { seq, charge, credits, creditType, grant, reason, atMs } = record
  return {
    object: 'refund',
    id: objectId('rfd', account, seq),
    account: accountId(account),
    charge: objectId('chg', account, charge),
    credits: formatCredits(credits),
    credit_type: creditType,
    grant: grant ? objectId('grant', account, seq) : null,
    reason,
    balance: renderBalance(record),
    created_at: timeOut(atMs),
  } as const
}

function renderAdjustment(account: number, record: JournalRecord | undefined, reason: string) {
  if (record?.kind !== 'adjustment' && record?.kind !== 'grant') throw new Error('the command made no adjustment')
  const credits = record.kind === 'grant' ? record.grant.amount : -record.credits
  return {
    object: 'adjustment',
    id: objectId('adj', account, record.seq),
    account: accountId(account),
    credits: formatCredits(credits),
    credit_type: record.creditType,
    reason,
    balance: renderBalance(record),
    created_at: timeOut(record.atMs),
  } as const
}
