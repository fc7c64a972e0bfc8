/** `/api/v1/credits`: what is left, by where it came from. */

import { Type } from 'typebox'
import { type Pool, poolOf } from '../../../core/account.ts'
import { availableOf, balanceOf, isEligible } from '../../../core/balance.ts'
import { least, most } from '../../../core/credits.ts'
import { DEFAULT_CREDIT_TYPE } from '../../../core/price-parsing.ts'
import { GrantHistory, isBought } from '../../../operations/grant-history.ts'
import { planPeriodOf } from '../../../operations/plan-period.ts'
import { accountOfCustomer, customerOf } from '../customer.ts'
import type { DialectApp, DialectContext } from '../dialect.ts'
import { creditsOut, number } from '../numbers.ts'
import { timeOut } from '../times.ts'

/** A time, or null where there is none: of times, unlike of numbers, these clients expect that. */
function nullableTime(description: string) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], format: 'date-time', description })
}

const CreditBalance = Type.Object({
  credits_balance: number('Credits left of plans, promotions and refunds.', [1500]),
  balance: number('The same.', [1500]),
  payg_balance: number('Credits left of those that were bought.', [750]),
  total_available_credits: number('All that can be spent now.', [2250]),
  last_reset_at: nullableTime('When the plan last gave credits.'),
  total_credits_used: number('Credits used since the account was opened.', [3250]),
  total_payg_credits_purchased: number('Credits ever bought.', [1000]),
  next_reset_date: nullableTime("When the plan's credits end."),
  credits_per_month: number("Credits of the plan's current period; 0 without a plan.", [2000]),
})

/** What can be spent now: of all, and of what was bought. */
function availableIn(pool: Pool, nowMs: number): { readonly total: bigint; readonly bought: bigint } {
  const total = most(0n, availableOf(balanceOf(pool, nowMs)))
  const bought = pool.grants
    .filter((grant) => isBought(grant) && isEligible(grant, nowMs))
    .reduce((sum, { remaining, held }) => sum + remaining - held, 0n)
  return { total, bought: least(total, bought) }
}

export function balanceRoute(app: DialectApp, { services }: DialectContext): void {
  const history = new GrantHistory(services.store, DEFAULT_CREDIT_TYPE)

  app.get(
    '/api/v1/credits',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getCreditBalance',
        tags: ['Credits'],
        summary: 'Get current credit balance and account information',
        response: { 200: CreditBalance },
      },
    },
    async (request) => {
      const { state, asOfMs } = await accountOfCustomer(services, customerOf(request))
      const pool = poolOf(state, DEFAULT_CREDIT_TYPE)
      const { total, bought } = availableIn(pool, asOfMs)
      const { purchased } = await history.of(state)
      const { lastResetMs, nextResetMs, amount } = await planPeriodOf(history, { state, asOfMs })
      return {
        credits_balance: creditsOut(total - bought),
        balance: creditsOut(total - bought),
        payg_balance: creditsOut(bought),
        total_available_credits: creditsOut(total),
        last_reset_at: lastResetMs === null ? null : timeOut(lastResetMs),
        total_credits_used: creditsOut(pool.charged - pool.refunded),
        total_payg_credits_purchased: creditsOut(purchased),
        next_reset_date: nextResetMs === null ? null : timeOut(nextResetMs),
        credits_per_month: creditsOut(amount),
      }
    },
  )
}
