/** `POST /v1/keys/verify`: may this key be used, and for what? */

import { type Static, Type } from 'typebox'
import { poolOf } from '../../core/account.ts'
import { availableOf, balanceOf } from '../../core/balance.ts'
import { formatCredits } from '../../core/credits.ts'
import { accountId } from '../../core/ids.ts'
import { DEFAULT_CREDIT_TYPE } from '../../core/price-parsing.ts'
import { isRefusal } from '../../core/refusals.ts'
import { findKey } from '../../operations/find-account.ts'
import { accountNow, viewCredits } from '../../operations/read-credits.ts'
import type { KeyRow } from '../../stores/store.ts'
import { nameOf } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { renderKey } from './keys.ts'
import { KeyIn, nullable, Operation, PROBLEMS_ANSWER } from './schemas.ts'

const Verification = Type.Object({
  object: Type.Literal('key_verification'),
  valid: Type.Boolean(),
  code: Type.String({
    description:
      '`valid`, or why not: `invalid_key`, `key_not_found`, `key_revoked`, `key_expired`, `account_suspended`, `operation_not_allowed`, `rate_limited`, `key_budget_exceeded`, `insufficient_credits`, `credits_in_flight`.',
  }),
  account: nullable<string>('string'),
  key: Type.Unsafe<Awaited<ReturnType<typeof renderKey>> | null>({ type: ['object', 'null'], additionalProperties: true }),
  available: nullable<string>('string', 'Credits of the default type that can be charged now.', 'decimal'),
})

export function verifyKeyRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context

  app.post(
    '/keys/verify',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'verifyKey',
        tags: ['keys'],
        summary: 'Check a customer key',
        description:
          'Always 200: `valid` and `code` tell. It takes no credits; a charge by key checks and charges in one call. Counts against a rate limit that the key has of its own.',
        body: Type.Object({ key: KeyIn, operation: Type.Optional(Operation) }, { additionalProperties: false }),
        response: { 200: Verification, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const shown = await findKey(services, request.body.key)
      const code = isRefusal(shown) ? shown.refused : shown.fault
      if (isRefusal(shown) || code !== null)
        return { object: 'key_verification' as const, valid: false, code: code ?? 'invalid_key', account: null, key: null, available: null }
      return verify(context, shown.key, request.body.operation)
    },
  )
}

async function verify(context: NativeContext, key: KeyRow, operation: string | undefined): Promise<Static<typeof Verification>> {
  const { services } = context
  const now = await accountNow(services, key.account)
  if (isRefusal(now)) throw refusalError(now)
  const code = codeOf(context, key, operation) ?? viewCredits(now, key).blockedReason ?? 'valid'
  const available = formatCredits(availableOf(balanceOf(poolOf(now.state, DEFAULT_CREDIT_TYPE), now.asOfMs)))
  return {
    object: 'key_verification',
    valid: code === 'valid',
    code,
    account: accountId(key.account),
    key: await renderKey(context, key),
    available,
  }
}

function codeOf({ limiter }: NativeContext, key: KeyRow, operation: string | undefined): string | undefined {
  const { operations, rateLimit } = key.terms
  if (operation !== undefined && operations !== null && !operations.includes(operation)) return 'operation_not_allowed'
  return rateLimit && !limiter.take(nameOf(key), rateLimit).isAllowed ? 'rate_limited' : undefined
}
