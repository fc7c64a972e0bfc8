/** AudioPod's credits API: a balance with two sources, a log of what was used, and what each service costs. */

import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { BEARER, type Credentials, keyHeader } from '../credentials.ts'
import type { Dialect, DialectApp, DialectContext, Envelope, Failure } from '../dialect.ts'
import { balanceRoute } from './balance.ts'
import { multipliersRoute } from './multipliers.ts'
import { paygRoutes } from './payg.ts'
import { tokenRoute } from './token.ts'
import { usageRoute } from './usage.ts'

const ErrorBody = Type.Object({ detail: Type.String(), message: Type.String() })

/** What AudioPod says of a body, a query or a form that is not as it asks. */
const UNPROCESSABLE = 422

function tell({ code, status, text }: Failure): Envelope {
  const isUnprocessable = code === 'invalid_request' || code === 'invalid_json'
  const detail = status === 500 ? 'Internal server error' : text
  return { status: isUnprocessable ? UNPROCESSABLE : status, body: { detail, message: detail } }
}

const { secretOf: inOwnHeader } = keyHeader('x-api-key')

/** Its newer clients send the key twice, in Authorization and in a header of its own. */
const CREDENTIALS: Credentials = { ...BEARER, secretOf: (request: FastifyRequest) => BEARER.secretOf(request) ?? inOwnHeader(request) }

function routes(app: DialectApp, context: DialectContext): void {
  balanceRoute(app, context)
  usageRoute(app, context)
  multipliersRoute(app, context)
  paygRoutes(app, context)
  tokenRoute(app, context)
}

/** The dialect. */
export const audiopod: Dialect = {
  title: 'AudioPod dialect',
  description: "AudioPod's credits API over accounts of this server. What was bought is `payg`, everything else `subscription`.",
  tags: { Credits: 'Balance, usage, costs and purchases.', Authentication: 'Users sign in.' },
  credentials: CREDENTIALS,
  tell,
  failureBody: ErrorBody,
  routes,
}
