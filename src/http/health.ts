/** `/livez`, `/readyz`: for whoever runs the process. */

import type { FastifyInstance } from 'fastify'
import { OutOfServiceError, type Store } from '../stores/store.ts'
import { ProblemError } from './problems.ts'

/** Longest that the store may take to answer before the server counts as not ready. */
const PING_MS = 1_000

const HIDDEN = { config: { access: 'public' }, schema: { hide: true }, logLevel: 'warn' } as const

export async function healthRoutes(app: FastifyInstance, { store }: { readonly store: Store }): Promise<void> {
  /** Alive: the event loop turns. Nothing else is checked, so that a slow store does not get the process killed. */
  for (const path of ['/livez', '/healthz']) app.get(path, HIDDEN, () => ({ status: 'ok' }))
  app.get('/readyz', HIDDEN, async () => {
    await withinTime(store.ping())
    return { status: 'ok' }
  })
}

/** Turns away what arrives once the server has begun to stop; what arrived before is answered. */
export function refuseWhileStopping(app: FastifyInstance): void {
  let isStopping = false
  app.addHook('preClose', (done) => {
    isStopping = true
    done()
  })
  app.addHook('onRequest', (_request, reply, done) => {
    if (!isStopping) return done()
    reply.header('connection', 'close')
    done(new ProblemError('not_ready', 'The server is stopping.', { retry_after: 1 }))
  })
}

function notReady(cause: unknown): ProblemError {
  const detail = cause instanceof OutOfServiceError ? cause.message : 'The store does not answer.'
  return new ProblemError('not_ready', detail, { retry_after: 1 }, { cause })
}

async function withinTime(ping: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PING_MS} ms`)), PING_MS)
  })
  try {
    await Promise.race([ping, late])
  } catch (cause) {
    throw notReady(cause)
  } finally {
    clearTimeout(timer)
  }
}
