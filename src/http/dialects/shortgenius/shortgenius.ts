/** ShortGenius' API, as far as it is about credits: the balance, and the requests that cost some. */

import { type Static, Type } from 'typebox'
import { viewCredits } from '../../../operations/read-credits.ts'
import { BEARER } from '../credentials.ts'
import { accountOfCustomer, customerOf } from '../customer.ts'
import type { Dialect, DialectApp, DialectContext, Envelope, Failure } from '../dialect.ts'
import { leftOut, number } from '../numbers.ts'
import { chargeWork } from './charge-work.ts'
import { WORKS } from './works.ts'

const Usage = Type.Object({
  balance: Type.Object(
    {
      credits: number('Available credits.', [217]),
      animated_video_credits: Type.Optional(number('Available for animated videos.')),
      high_quality_video_credits: Type.Optional(number('Available for premium rendering.')),
      image_credits: Type.Optional(number('Available for images.')),
    },
    { additionalProperties: number('Available of any other credit type that the account has.') },
  ),
})

const ErrorBody = Type.Object({ message: Type.String() })

function tell({ code, status, text }: Failure): Envelope {
  if (code === 'insufficient_credits') return { status, body: { message: 'Insufficient credits' } }
  return { status, body: { message: status === 500 ? 'Internal server error' : text } }
}

function creditsRoute(app: DialectApp, { services }: DialectContext): void {
  app.get(
    '/v1/credits',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getUsage',
        tags: ['credits'],
        summary: 'Get usage',
        description: 'Every credit type that the account has ever had, each available now.',
        response: { 200: Usage },
      },
    },
    async (request) => {
      const { types } = viewCredits(await accountOfCustomer(services, customerOf(request)), null)
      const balance = Object.fromEntries(types.map(({ creditType, available }) => [creditType, leftOut(available)]))
      return { balance } as Static<typeof Usage>
    },
  )
}

function routes(app: DialectApp, context: DialectContext): void {
  creditsRoute(app, context)
  for (const work of WORKS) {
    const { path, operationId, summary, body, answer, operation } = work
    app.post(
      `/v1${path}`,
      {
        config: { access: 'account' },
        schema: {
          operationId,
          tags: ['work'],
          summary,
          description: `Costs what \`${operation}\` costs.`,
          body,
          response: { 200: answer.schema },
        },
      },
      (request, reply) => chargeWork(context, request, reply, work),
    )
  }
}

/** The dialect. */
export const shortgenius: Dialect = {
  title: 'ShortGenius dialect',
  description:
    "ShortGenius' API over accounts of this server, as far as it is about credits. Work is charged and handed to the operator's handler; without one it is answered with a sample.",
  tags: { credits: 'What is left.', work: 'What costs credits.' },
  credentials: BEARER,
  tell,
  failureBody: ErrorBody,
  routes,
}
