/** Users for tests: invited by the operator, signed in by themselves. */

import assert from 'node:assert/strict'
import type { TestAnswer, TestObol } from './obol.ts'

/** A password that may be chosen. */
export const PASSWORD = 'correct horse battery staple'

/** A pair of tokens. */
export interface TestTokens {
  readonly access: string
  readonly refresh: string
}

/** A user who has signed in. */
export interface Person extends TestTokens {
  readonly id: string
  readonly email: string
}

type Caller = Pick<TestObol, 'call'>

/** The tokens of an answer, which must have them. */
export function tokensOf({ status, body, text }: TestAnswer): TestTokens {
  assert.equal(status, 200, text)
  return { access: body.access_token, refresh: body.refresh_token }
}

/** Invites a user, who chooses a password. */
export async function signUp({ call }: Caller, email: string, more: Readonly<Record<string, unknown>>): Promise<Person> {
  const { status, body, text } = await call('POST', '/v1/users', { email, ...more })
  assert.equal(status, 201, text)
  const accepted = await call('POST', '/v1/auth/accept-invitation', { token: body.token, password: PASSWORD }, { key: null })
  return { id: body.id, email, ...tokensOf(accepted) }
}

/** Tries to sign in. */
export function signIn(
  { call }: Caller,
  email: string,
  password = PASSWORD,
  more: Readonly<Record<string, unknown>> = {},
): Promise<TestAnswer> {
  return call('POST', '/v1/auth/token', { email, password, ...more }, { key: null })
}

/** Sends a refresh token. */
export function refresh({ call }: Caller, token: string, more: Readonly<Record<string, unknown>> = {}): Promise<TestAnswer> {
  return call('POST', '/v1/auth/refresh', { refresh_token: token, ...more }, { key: null })
}
