/** Passwords set: by a one-time token (an invitation, a reset), or by whoever knows the old one. Each ends the user's sessions. */

import { parseEmail } from '../auth/emails.ts'
import { faultOfPassword } from '../auth/password-rules.ts'
import { hashSecret, isWellFormed } from '../auth/secrets.ts'
import type { SignedInUser } from '../auth/signed-in.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Email, OneTimePurpose, UserRow } from '../stores/users.ts'
import type { Services } from './services.ts'
import { checkPassword, chooseAccount, type IssuedTokens, openSession } from './sign-in.ts'

/** A password that is set by a one-time token. */
export interface OneTimeRequest {
  readonly purpose: OneTimePurpose
  readonly token: string
  readonly password: string
  /** Who accepts an invitation that names nobody says who they are; null: it is known. */
  readonly email: string | null
  readonly address: string
}

/**
 * Sets a password by a one-time token and signs in. The token works once; when it is refused for what was sent with it, it goes on working.
 * Refuses invalid_one_time_token, invalid_email, email_taken, password_unacceptable, no_membership.
 */
export async function setPasswordOnce(services: Services, request: OneTimeRequest): Promise<IssuedTokens | Refusal> {
  const { store, clock, signIn } = services
  const hash = hashSecret(request.token)
  const user = isWellFormed(request.token) ? await store.users.byOneTime(hash, request.purpose, clock()) : undefined
  if (!user) return tokenInvalid()
  const email = emailOf(user, request.email)
  if (isRefusal(email)) return email
  const fault = faultOfPassword(request.password, email)
  if (fault !== null) return unacceptable(fault)
  const opening = await chooseAccount(services, user, null)
  if (isRefusal(opening)) return opening
  const password = await signIn.passwords.hash(request.password)
  const set = await store.users.redeem(hash, { password, email: user.email === null ? email : null, nowMs: clock() })
  if (set === 'email_taken') return refuse('email_taken', 'Another user has this e-mail address.')
  signIn.signedIn.forget()
  return set ? openSession(services, set, { ...opening, address: request.address }) : tokenInvalid()
}

function tokenInvalid(): Refusal {
  return refuse('invalid_one_time_token', 'This token is none of this server, was used before, or is past its time. Ask for another one.')
}

function unacceptable(fault: string): Refusal {
  return refuse('password_unacceptable', `The password ${fault}.`)
}

/** The user's address: the one that was invited, or the one that they say. Refuses invalid_email. */
function emailOf(user: UserRow, given: string | null): Email | Refusal {
  const said = given === null ? undefined : parseEmail(given)
  const invited = user.email === null ? undefined : parseEmail(user.email)
  if (given !== null && (!said || (invited && invited.key !== said.key)))
    return refuse('invalid_email', invited ? 'The invitation is for another e-mail address.' : 'This is no e-mail address.')
  return invited ?? said ?? refuse('invalid_email', 'This invitation names nobody: say your e-mail address.')
}

/** A password that replaces another one. */
export interface PasswordChange {
  readonly current: string
  readonly password: string
  readonly address: string
}

/**
 * Changes the password of a user who has signed in, ends all of their sessions and opens a new one in place of this one. Refuses
 * wrong_password, too_many_attempts, password_unacceptable, session_ended.
 */
export async function changePassword(
  services: Services,
  { id, account, role }: SignedInUser,
  { current, password, address }: PasswordChange,
): Promise<IssuedTokens | Refusal> {
  const { store, signIn } = services
  const user = await store.users.byId(id)
  const email = user?.email === null || user === undefined ? undefined : parseEmail(user.email)
  if (!email) return ended()
  const fault = password === current ? 'must be another one' : faultOfPassword(password, email)
  if (fault !== null) return unacceptable(fault)
  const known = await checkPassword(services, { user, key: email.key, password: current, address })
  if (isRefusal(known))
    return known.refused === 'invalid_credentials' ? refuse('wrong_password', 'The current password is another one.') : known
  const changed = await store.users.changePassword(id, { from: known.password ?? '', to: await signIn.passwords.hash(password) })
  signIn.signedIn.forget()
  if (!changed) return ended()
  const opening = account === null || role === null ? ({ account: null, role: null } as const) : { account, role }
  return openSession(services, changed, { ...opening, address })
}

function ended(): Refusal {
  return refuse('session_ended', 'The session is over. Sign in again.')
}
