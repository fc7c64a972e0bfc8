/** `POST /v1/charges/{charge}/outcome`: what became of charged work. What failed is made good. */

import { Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { accountId, objectId, parseObjectId } from '../../core/ids.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { reportOutcome } from '../../operations/grant-credits.ts'
import { refusalError } from '../error-handler.ts'
import { requiredIdempotency } from '../idempotency.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { renderBalance } from './charge-bodies.ts'
import { Balance, decimalOut, idParam, nullable, PROBLEMS_ANSWER, Time } from './schemas.ts'
import { timeOut } from './values.ts'
import { callerOf } from './work.ts'

const STATUSES = ['succeeded', 'failed'] as const
const Status = Type.Unsafe<'succeeded' | 'failed'>({ type: 'string', enum: [...STATUSES] })

const Outcome = Type.Object({
  object: Type.Literal('charge_outcome'),
  id: Type.String(),
  account: Type.String(),
  charge: Type.String(),
  status: Status,
  credits: decimalOut('Made good by this report.'),
  credit_type: Type.String(),
  grant: nullable<string>('string', 'The grant that stands in for ended ones; null: all credits went back to where they came from.'),
  reason: Type.String(),
  balance: Balance,
  created_at: Time,
})

const NOT_FOUND = refuse('charge_not_found', 'No charge has this id.')

export function outcomeRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/charges/:charge/outcome',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'reportChargeOutcome',
        tags: ['charges'],
        summary: 'Report what became of charged work',
        description:
          'What `failed` is given back by itself, as far as `OBOL_MAKE_GOOD_PERCENT` goes and as it was not refunded before: reported again, nothing more. It has a kind of record of its own, so that it is told apart from refunds.',
        params: idParam('charge', 'Id of the charge.'),
        body: Type.Object(
          { status: Status, reason: Type.Optional(Type.String({ maxLength: 500, description: 'Why, for whoever reads the journal.' })) },
          { additionalProperties: false },
        ),
        response: { 201: Outcome, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const charge = parseObjectId('chg', request.params.charge)
      if (!charge) throw refusalError(NOT_FOUND)
      const { status, reason = '' } = request.body
      const caller = callerOf(request, requiredIdempotency(request))
      const outcome = await reportOutcome(services, caller, { charge, outcome: status, reason })
      if (isRefusal(outcome)) throw refusalError(outcome)
      const [record] = outcome.records
      if (record?.kind !== 'outcome_reported') throw new Error('the command reported no outcome')
      if (outcome.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return {
        object: 'charge_outcome' as const,
        id: objectId('rec', outcome.account, record.seq),
        account: accountId(outcome.account),
        charge: objectId('chg', outcome.account, record.charge),
        status: record.outcome,
        credits: formatCredits(record.credits),
        credit_type: record.creditType,
        grant: record.grant ? objectId('grant', outcome.account, record.seq) : null,
        reason: record.reason,
        balance: renderBalance(record),
        created_at: timeOut(record.atMs),
      }
    },
  )
}
