/** `/v1/payments/{provider}/events`: where payment providers tell that there is news. */

import type { FastifyInstance } from 'fastify'
import { fulfil } from '../../operations/fulfil.ts'
import { ProblemError } from '../problems.ts'
import type { NativeContext } from './app.ts'

/** Takes bodies as they are, byte by byte: they are signed. */
export async function paymentEventRoutes(app: FastifyInstance, { services }: Pick<NativeContext, 'services'>): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post<{ Params: { provider: string }; Body: Buffer | undefined }>(
    '/payments/:provider/events',
    { config: { access: 'public' }, schema: { hide: true } },
    async (request) => {
      const { payments } = services
      if (payments?.provider.name !== request.params.provider) throw new ProblemError('not_found', 'No such provider is used here.')
      const signature = request.headers[payments.provider.signatureHeader]
      const reference = await payments.provider.referenceOf({
        body: request.body ?? Buffer.alloc(0),
        signature: typeof signature === 'string' ? signature : '',
      })
      if (reference === null) return { received: true, ignored: 'not about a checkout' }
      const outcome = await fulfil(services, payments, reference)
      return 'ignored' in outcome ? { received: true, ignored: outcome.ignored } : { received: true }
    },
  )
}
