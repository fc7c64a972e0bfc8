/** The user that `obol dev` starts with: an owner of the first sample account. Made through the ordinary API. */

import { randomBytes } from 'node:crypto'
import { type Client, ServerError } from './client.ts'

/** A user, with the password in clear. */
export interface SampleUser {
  readonly email: string
  readonly password: string
}

const EMAIL = 'ada@example.com'
const ROLE = 'owner'

/** The sample user of an account. One that is known and can still sign in stays as it is; else the password is made anew. */
export async function openSampleUser(
  client: Client,
  { account, known }: { readonly account: string; readonly known: SampleUser | undefined },
): Promise<SampleUser> {
  if (known && (await opens(client, known, account))) return known
  const user = { email: EMAIL, password: randomBytes(15).toString('base64url') }
  const { token, path } = await oneTimeToken(client, account)
  await client.call('POST', path, { token, password: user.password })
  return user
}

/** Whether a user that was kept can still sign in to the account: the store may be another one, or the password changed. */
async function opens({ call }: Client, user: SampleUser, account: string): Promise<boolean> {
  try {
    const { body } = await call('POST', '/v1/auth/token', { ...user, account })
    await call('POST', '/v1/auth/logout', { refresh_token: (body as { refresh_token: string }).refresh_token })
    return true
  } catch (fault) {
    if (fault instanceof ServerError && [401, 403, 404].includes(fault.status)) return false
    throw fault
  }
}

interface OneTimeToken {
  readonly token: string
  /** Where it sets a password. */
  readonly path: string
}

const INVITATION = '/v1/auth/accept-invitation'
const RESET = '/v1/auth/password-reset/confirm'

/** Invites the user, or has one who is there already choose a new password. */
async function oneTimeToken({ call }: Client, account: string): Promise<OneTimeToken> {
  const offered = async (path: string, body?: object): Promise<string> => ((await call('POST', path, body)).body as { token: string }).token
  const [found] = ((await call('GET', `/v1/users?email=${encodeURIComponent(EMAIL)}`)).body as { data: readonly { id: string }[] }).data
  if (!found) return { token: await offered('/v1/users', { email: EMAIL, account, role: ROLE }), path: INVITATION }
  const path = `/v1/users/${found.id}`
  await call('PUT', `${path}/memberships/${account}`, { role: ROLE })
  const { status } = (await call('PATCH', path, { status: 'active' })).body as { status: string }
  return status === 'invited'
    ? { token: await offered(`${path}/invitation`), path: INVITATION }
    : { token: await offered(`${path}/password-reset`), path: RESET }
}
