/** `/v1/topups/{topup}/simulate`: what customers and banks do, on request, to see what becomes of it. */

import { Type } from 'typebox'
import { parseObjectId } from '../../core/ids.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { PROVIDER_CHANGED } from '../../operations/checkouts.ts'
import { readTopup } from '../../operations/topups.ts'
import { Sandbox, type SandboxHappening } from '../../payments/sandbox/sandbox.ts'
import { refusalError } from '../error-handler.ts'
import { ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { idParam, PROBLEMS_ANSWER } from './schemas.ts'
import { renderTopup, Topup } from './topups.ts'

const HAPPENINGS = ['dispute', 'win_dispute', 'lose_dispute', 'fail_refund'] as const satisfies readonly SandboxHappening[]

const NOT_FOUND = refuse('topup_not_found', 'No top-up has this id.')

export function sandboxRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/topups/:topup/simulate',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'simulateTopupEvent',
        tags: ['topups'],
        summary: 'Let something happen to a payment of the sandbox',
        description:
          'A dispute, its end, or the failure of the last refund. The sandbox tells of it as a provider does, within a second: the answer is the top-up as it was.',
        params: idParam('topup', 'Id of the top-up.'),
        body: Type.Object(
          { event: Type.Unsafe<SandboxHappening>({ type: 'string', enum: [...HAPPENINGS] }) },
          { additionalProperties: false },
        ),
        response: { 202: Topup, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const address = parseObjectId('topup', request.params.topup)
      const view = address ? await readTopup(services, address) : NOT_FOUND
      if (isRefusal(view)) throw refusalError(view)
      const { paid, terms } = view.purchase
      const provider = services.payments?.provider
      if (!(provider instanceof Sandbox)) throw refusalError(PROVIDER_CHANGED)
      if (paid === null || terms.provider !== provider.name) throw refusalError(PROVIDER_CHANGED)
      const { event } = request.body
      if (!(await provider.happen(paid.payment.reference, event))) throw refusedHappening(event)
      reply.code(202)
      return renderTopup(view)
    },
  )
}

function refusedHappening(event: SandboxHappening): ProblemError {
  return event === 'dispute'
    ? new ProblemError('nothing_to_dispute', 'All of the payment has gone back, or is in dispute already.')
    : new ProblemError('nothing_to_simulate', 'The payment has no open dispute, or no refund that stands.')
}
