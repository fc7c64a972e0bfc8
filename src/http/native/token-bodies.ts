/** What signing in, and all that opens a session, is answered with. */

import { type Static, Type } from 'typebox'
import { accountId } from '../../core/ids.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import type { IssuedTokens } from '../../operations/sign-in.ts'
import { refusalError } from '../error-handler.ts'
import { nullable, Time } from './schemas.ts'
import { timeOut } from './values.ts'

/** Longest e-mail address that is looked at, and longest password, in characters. */
const MAX_EMAIL_LENGTH = 320
const MAX_PASSWORD_LENGTH = 512

export const EmailIn = Type.String({
  minLength: 1,
  maxLength: MAX_EMAIL_LENGTH,
  description: 'An e-mail address.',
  examples: ['ada@example.com'],
})
export const PasswordIn = Type.String({ minLength: 1, maxLength: MAX_PASSWORD_LENGTH, description: 'A password, exactly as it was typed.' })
export const NewPasswordIn = Type.String({
  minLength: 1,
  maxLength: MAX_PASSWORD_LENGTH,
  description: 'The new password: 15 characters or more, 512 bytes at most.',
})
export const TokenIn = Type.String({ minLength: 1, maxLength: 200, description: 'The token, as it was given.' })

export const Tokens = Type.Object(
  {
    object: Type.Literal('tokens'),
    token_type: Type.Literal('Bearer'),
    access_token: Type.String({ description: 'Sent in place of an API key, for some minutes.' }),
    expires_in: Type.Integer({ description: 'Seconds that the access token works.' }),
    refresh_token: Type.String({ description: 'Gets the next pair of tokens, once: `POST /v1/auth/refresh`.' }),
    refresh_expires_at: Time,
    user: Type.String(),
    account: nullable<string>('string', 'The account that the access token opens; null: what operators may.'),
    role: Type.Unsafe<'owner' | 'member' | 'operator'>({ type: 'string', enum: ['owner', 'member', 'operator'] }),
  },
  { description: 'A pair of tokens.' },
)

/** Writes tokens. Throws the problem that a refusal is. */
export function tokensBody(issued: IssuedTokens | Refusal, nowMs: number): Static<typeof Tokens> {
  if (isRefusal(issued)) throw refusalError(issued)
  const { access, accessExpiresAtMs, refresh, refreshExpiresAtMs, user, account, role } = issued
  return {
    object: 'tokens',
    token_type: 'Bearer',
    access_token: access,
    expires_in: Math.floor((accessExpiresAtMs - nowMs) / 1000),
    refresh_token: refresh,
    refresh_expires_at: timeOut(refreshExpiresAtMs),
    user,
    account: account === null ? null : accountId(account),
    role: role ?? 'operator',
  }
}
