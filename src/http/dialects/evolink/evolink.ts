/** Evolink's credits API: what the caller's key may still spend, and what its account has. */

import { Type } from 'typebox'
import { poolOf } from '../../../core/account.ts'
import { availableOf, balanceOf } from '../../../core/balance.ts'
import { DEFAULT_CREDIT_TYPE } from '../../../core/price-parsing.ts'
import { KeyUsage } from '../../../operations/key-usage.ts'
import { viewBudget } from '../../../operations/read-credits.ts'
import { BEARER } from '../credentials.ts'
import { accountOfCustomer, customerOf } from '../customer.ts'
import type { Dialect, DialectApp, DialectContext, Envelope, Failure } from '../dialect.ts'
import { creditsOut, type ExactNumber, leftOut, number } from '../numbers.ts'

const CreditsResponse = Type.Object({
  data: Type.Object({
    token: Type.Object(
      {
        remaining_credits: number('What the key may still spend: of its own budget, or of the account when it has none.', [99_416.4429]),
        unlimited_credits: Type.Boolean({ description: 'Whether the key has no limit of its own.' }),
        used_credits: number('What the key has spent: in the period of its budget, or ever when it has none.', [583.5571]),
      },
      { description: 'The key that asks.' },
    ),
    user: Type.Object(
      {
        remaining_credits: number('What the account has available.', [1_095.3996]),
        used_credits: number('What the account has spent.', [135.9048]),
      },
      { description: 'The account.' },
    ),
  }),
  message: Type.Literal(''),
  success: Type.Literal(true),
})

const ErrorResponse = Type.Object({
  error: Type.Object({
    code: Type.Integer({ description: 'The HTTP status.' }),
    message: Type.String(),
    type: Type.String(),
    param: Type.Optional(Type.String({ description: 'The parameter that is wrong.' })),
    fallback_suggestion: Type.Optional(Type.String({ description: 'What to do about it.' })),
  }),
})

/** Message and type of each status; others are told as the nearest of them. */
const ERRORS: Readonly<Record<number, { readonly message: string; readonly type: string }>> = {
  400: { message: 'Invalid request', type: 'invalid_request_error' },
  401: { message: 'Invalid or expired token', type: 'authentication_error' },
  403: { message: 'Access denied', type: 'permission_error' },
  404: { message: 'Not found', type: 'invalid_request_error' },
  429: { message: 'Rate limit exceeded', type: 'rate_limit_error' },
  500: { message: 'Internal server error', type: 'internal_server_error' },
  502: { message: 'Upstream service error', type: 'upstream_error' },
  503: { message: 'Service temporarily unavailable', type: 'service_unavailable_error' },
}

function tell({ status, text, retryAfterSeconds, field }: Failure): Envelope {
  const { message, type } = ERRORS[status] ?? { message: text, type: 'invalid_request_error' }
  return {
    status,
    body: {
      error: {
        code: status,
        message,
        type,
        ...(field === null ? {} : { param: field }),
        ...suggestion(status, retryAfterSeconds),
      },
    },
  }
}

function suggestion(status: number, retryAfterSeconds: number | null): { readonly fallback_suggestion?: string } {
  if (retryAfterSeconds !== null) return { fallback_suggestion: `retry after ${retryAfterSeconds} seconds` }
  return status >= 500 ? { fallback_suggestion: 'try again later' } : {}
}

/** Micro-credits in the fourth decimal, which is the last that Evolink has. */
const LAST_DECIMAL = 100n

/** At most four decimals, and never more than there is. */
function remainingOut(amount: bigint): ExactNumber {
  return amount <= 0n ? creditsOut(0n) : leftOut(amount - (amount % LAST_DECIMAL))
}

/** At most four decimals, and never less than was spent. */
function usedOut(amount: bigint): ExactNumber {
  const rest = ((amount % LAST_DECIMAL) + LAST_DECIMAL) % LAST_DECIMAL
  return leftOut(rest === 0n ? amount : amount - rest + LAST_DECIMAL)
}

function routes(app: DialectApp, { services }: DialectContext): void {
  const usage = new KeyUsage(services.store)

  app.get(
    '/v1/credits',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getCredits',
        tags: ['Account Management'],
        summary: 'Get Credits Usage',
        description: 'What is left and used of the key that asks, and of its account.',
        response: { 200: CreditsResponse },
      },
    },
    async (request) => {
      const customer = customerOf(request)
      const { state, asOfMs } = await accountOfCustomer(services, customer)
      const pool = poolOf(state, DEFAULT_CREDIT_TYPE)
      const available = availableOf(balanceOf(pool, asOfMs))
      const usedOfAll = pool.charged - pool.refunded
      const budget = customer.key && viewBudget({ state, asOfMs }, customer.key)
      const used = budget?.spent ?? (customer.key ? await usage.spentBy(customer.key, asOfMs) : usedOfAll)
      const token = {
        remaining_credits: remainingOut(budget?.remaining ?? available),
        unlimited_credits: (budget?.remaining ?? null) === null,
        used_credits: usedOut(used),
      }
      const user = { remaining_credits: remainingOut(available), used_credits: usedOut(usedOfAll) }
      return { data: { token, user }, message: '', success: true } as const
    },
  )
}

/** The dialect. */
export const evolink: Dialect = {
  title: 'Evolink dialect',
  description: "Evolink's credits API over accounts of this server. Amounts have at most four decimals.",
  tags: { 'Account Management': 'Credits of the key and of its account.' },
  credentials: BEARER,
  tell,
  failureBody: ErrorResponse,
  routes,
}
