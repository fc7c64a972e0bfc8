/** VideoDB's billing API: what is left, what was used this month and by what, what was bought. */

import { Type } from 'typebox'
import { poolOf } from '../../../core/account.ts'
import { availableOf, balanceOf } from '../../../core/balance.ts'
import { type Window, windowAt } from '../../../core/calendar.ts'
import { DEFAULT_CREDIT_TYPE } from '../../../core/price-parsing.ts'
import { GrantHistory } from '../../../operations/grant-history.ts'
import { planPeriodOf } from '../../../operations/plan-period.ts'
import { readUsage, type UsageGroup } from '../../../operations/read-usage.ts'
import type { Services } from '../../../operations/services.ts'
import { keyHeader } from '../credentials.ts'
import { accountOfCustomer, customerOf } from '../customer.ts'
import type { Dialect, DialectApp, DialectContext, Envelope, Failure } from '../dialect.ts'
import { creditsOut, leftOut, number } from '../numbers.ts'
import { checkoutRoutes } from './checkouts.ts'
import { invoiceRoute } from './invoices.ts'

const BillingUsage = Type.Object({
  credit_balance: number('Credits left.', [100.5]),
  usage_this_month: number(
    "Credits used since the subscription's period began; without one, since the month began in UTC. Below zero when more was given back.",
    [25.75],
  ),
  breakdown: Type.Record(Type.String(), number('Credits.'), { description: 'The same by operation.' }),
  total_credits_used: number('Credits used since the account was opened.'),
  monthly_limit: number("Credits of the plan's current period; 0 without a plan."),
  credits_remaining: number('Credits left.'),
})

const ErrorBody = Type.Object({ success: Type.Literal(false), message: Type.String() })

function tell({ status, text }: Failure): Envelope {
  return { status, body: { success: false, message: text } }
}

/** What was used so far in a stretch of time, by operation. */
async function usageIn({ store }: Services, account: number, { startMs, endMs }: Window, nowMs: number): Promise<readonly UsageGroup[]> {
  const query = {
    account,
    fromMs: startMs,
    toMs: endMs,
    bucket: 'month',
    timeZone: 'UTC',
    nowMs,
    groupBy: ['operation'],
    operation: null,
    key: null,
    creditType: DEFAULT_CREDIT_TYPE,
  } as const
  const [month] = await readUsage(store, query, [{ startMs, endMs }])
  return month?.groups ?? []
}

function routes(app: DialectApp, context: DialectContext): void {
  usageRoute(app, context)
  checkoutRoutes(app, context)
  invoiceRoute(app, context)
}

function usageRoute(app: DialectApp, { services }: DialectContext): void {
  const history = new GrantHistory(services.store, DEFAULT_CREDIT_TYPE)

  app.get(
    '/billing/usage',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getBillingUsage',
        tags: ['Billing'],
        summary: 'Get billing usage information',
        response: { 200: Type.Object({ success: Type.Literal(true), data: BillingUsage }) },
      },
    },
    async (request) => {
      const { state, asOfMs } = await accountOfCustomer(services, customerOf(request))
      const pool = poolOf(state, DEFAULT_CREDIT_TYPE)
      const available = availableOf(balanceOf(pool, asOfMs))
      const { isSubscribed, lastResetMs, nextResetMs, amount } = await planPeriodOf(history, { state, asOfMs })
      const month = windowAt('month', 'UTC', asOfMs)
      const window = isSubscribed ? { startMs: lastResetMs ?? month.startMs, endMs: nextResetMs ?? month.endMs } : month
      const groups = await usageIn(services, state.number, window, asOfMs)
      const data = {
        credit_balance: leftOut(available),
        usage_this_month: creditsOut(groups.reduce((sum, { charged, refunded }) => sum + charged - refunded, 0n)),
        breakdown: Object.fromEntries(groups.map(({ operation, charged, refunded }) => [operation ?? '', creditsOut(charged - refunded)])),
        total_credits_used: creditsOut(pool.charged - pool.refunded),
        monthly_limit: creditsOut(amount),
        credits_remaining: leftOut(available),
      }
      return { success: true, data } as const
    },
  )
}

/** The dialect. */
export const videodb: Dialect = {
  title: 'VideoDB dialect',
  description: "VideoDB's billing API over accounts of this server.",
  tags: { Billing: 'Billing and usage.' },
  credentials: keyHeader('x-access-token'),
  tell,
  failureBody: ErrorBody,
  routes,
}
