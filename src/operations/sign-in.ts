/** Signing in by e-mail and password, going on by refresh token, and signing out. */

import { newTokenId } from '../auth/access-tokens.ts'
import { parseEmail } from '../auth/emails.ts'
import { hashSecret, isWellFormed, makeSecret, REFRESH_PREFIX } from '../auth/secrets.ts'
import { addressMark } from '../auth/sign-in-throttle.ts'
import { accountId, type UserId, userId } from '../core/ids.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { TokenHashes } from '../stores/sessions.ts'
import type { Membership, Role, UserRow } from '../stores/users.ts'
import { findAccount } from './find-account.ts'
import type { Services } from './services.ts'

/** How long a session goes on without the password. */
const SESSION_MS = 30 * 86_400_000
/** An id and an address that no user has: looked for in place of one, so that it takes as long. */
const NOBODY = userId(2n ** 80n - 1n)
const NO_EMAIL = '@'

/** A pair of tokens, and what it opens. */
export interface IssuedTokens {
  readonly access: string
  readonly accessExpiresAtMs: number
  readonly refresh: string
  readonly refreshExpiresAtMs: number
  readonly user: UserId
  /** Null: what operators may. */
  readonly account: number | null
  readonly role: Role | null
}

/** Who signs in, and to what. */
export interface SignInRequest {
  readonly email: string
  readonly password: string
  /** An account's id or external id; null: what operators may for an operator user, else the user's first account. */
  readonly account: string | null
  /** Where the request came from. */
  readonly address: string
}

/**
 * Opens a session. The same is done, and answered, whether the address is unknown, has no password yet, or has another one. Refuses
 * invalid_credentials, too_many_attempts; and whoever has the right password hears of user_disabled, no_membership, account_not_found.
 */
export async function signIn(services: Services, { email, password, account, address }: SignInRequest): Promise<IssuedTokens | Refusal> {
  const key = parseEmail(email)?.key
  const user = await services.store.users.byEmail(key ?? NO_EMAIL)
  const known = await checkPassword(services, { user, key: key ?? email, password, address })
  if (isRefusal(known)) return known
  if (known.disabledAtMs !== null) return refuse('user_disabled', 'This user may not sign in any more.')
  const membership = await chooseAccount(services, known, account)
  return isRefusal(membership) ? membership : openSession(services, known, { ...membership, address })
}

/** A password to check, and whose it is said to be. */
export interface PasswordCheck {
  /** Undefined: nobody's. */
  readonly user: UserRow | undefined
  /** The address of e-mail under which attempts are counted. */
  readonly key: string
  readonly password: string
  readonly address: string
}

/** The user whose password it is. Refuses invalid_credentials, too_many_attempts. */
export async function checkPassword(services: Services, { user, key, password, address }: PasswordCheck): Promise<UserRow | Refusal> {
  const { store, signIn: parts } = services
  const attempt = parts.throttle.begin({ email: key, address })
  let isCounted = false
  try {
    if (attempt.waitSeconds !== null) return tooMany(attempt.waitSeconds)
    const mark = addressMark(store.secret, address)
    if (attempt.strangersWaitSeconds !== null && !(await store.sessions.isKnownAddress(user?.id ?? NOBODY, mark)))
      return tooMany(attempt.strangersWaitSeconds)
    const isRight = await parts.passwords.isRight(password, user?.password ?? null)
    if (user && isRight) return await keptAnew(services, user, password)
    isCounted = true
    return refuse('invalid_credentials', 'The e-mail address or the password is wrong.')
  } finally {
    if (!isCounted) attempt.forget()
  }
}

/** A password that was kept in an older form is kept in the present one, now that it is known. */
async function keptAnew({ store, signIn: { passwords } }: Services, user: UserRow, password: string): Promise<UserRow> {
  if (user.password === null || !passwords.isOutdated(user.password)) return user
  const kept = { from: user.password, to: await passwords.hash(password) }
  await store.users.keepPasswordAs(user.id, kept)
  return { ...user, password: kept.to }
}

function tooMany(waitSeconds: number): Refusal {
  return refuse('too_many_attempts', `Try again in ${waitSeconds} seconds.`, { retry_after: waitSeconds })
}

/** What a session opens: an account in a role, or what operators may. */
export type Opening = Membership | { readonly account: null; readonly role: null }

/** What a user signs in to. Refuses account_not_found, no_membership. */
export async function chooseAccount(services: Services, { id, isOperator }: UserRow, named: string | null): Promise<Opening | Refusal> {
  if (named === null && isOperator) return { account: null, role: null }
  const memberships = (await services.store.users.memberships([id])).get(id) ?? []
  if (named === null) return memberships[0] ?? refuse('no_membership', 'This user belongs to no account.')
  const account = await findAccount(services, named)
  if (typeof account !== 'number') return account
  return memberships.find((membership) => membership.account === account) ?? notFound(named)
}

function notFound(account: string): Refusal {
  return refuse('account_not_found', `No account is named ${account.slice(0, 100)}.`)
}

interface Pair {
  readonly jti: string
  readonly refresh: string
  readonly hashes: TokenHashes
}

function newPair(): Pair {
  const [jti, refresh] = [newTokenId(), makeSecret(REFRESH_PREFIX)]
  return { jti, refresh, hashes: { access: hashSecret(jti), refresh: hashSecret(refresh) } }
}

/** Opens a session of a user who has just shown a password. */
export async function openSession(
  services: Services,
  { id: userId, epoch }: UserRow,
  { address, account, role }: Opening & { readonly address: string },
): Promise<IssuedTokens> {
  const { store, clock } = services
  const [nowMs, pair] = [clock(), newPair()]
  const untilMs = nowMs + SESSION_MS
  const mark = addressMark(store.secret, address)
  await store.sessions.open({ id: newTokenId(), userId, epoch, addressMark: mark, tokens: pair.hashes, account, nowMs, untilMs })
  return issued(services, pair, { user: userId, account, role, untilMs })
}

type Opened = Pick<IssuedTokens, 'user' | 'account' | 'role'> & { readonly untilMs: number }

async function issued({ signIn }: Services, { jti, refresh }: Pair, { untilMs, ...opened }: Opened): Promise<IssuedTokens> {
  const { user, account, role } = opened
  const subject = { user, account: account === null ? null : accountId(account), role: role ?? 'operator' } as const
  const { token, expiresAtMs } = await signIn.tokens.sign(subject, jti)
  return { access: token, accessExpiresAtMs: expiresAtMs, refresh, refreshExpiresAtMs: untilMs, ...opened }
}

/**
 * Uses a refresh token: it works once, and the pair that follows it goes on. Of requests that come with one token at the same time one is
 * answered with the pair, the others with refresh_token_used; later it is taken for a copy, and its session ends with
 * refresh_token_reused. Refuses invalid_refresh_token, session_ended, account_not_found, too_many_attempts besides.
 */
export function refreshSession(services: Services, { token, account }: RefreshRequest): Promise<IssuedTokens | Refusal> {
  const hash = hashSecret(token)
  if (!isWellFormed(token)) return Promise.resolve(unknownToken())
  return services.signIn.refreshing.use(hash, (isBesideAnother) => useRefreshToken(services, { hash, named: account, isBesideAnother }))
}

/** A refresh token to use. */
export interface RefreshRequest {
  readonly token: string
  /** An account's id or external id; null: the one that the session opens. */
  readonly account: string | null
}

interface RefreshUse {
  readonly hash: string
  readonly named: string | null
  /** Another request with the token was being answered when this one came. */
  readonly isBesideAnother: boolean
}

async function useRefreshToken(services: Services, { hash, named, isBesideAnother }: RefreshUse): Promise<IssuedTokens | Refusal> {
  const { store, clock, signIn } = services
  const nowMs = clock()
  const known = await store.sessions.refreshToken(hash, nowMs)
  if (!known) return unknownToken()
  if (!known.isLive) return sessionEnded()
  if (known.usedAtMs !== null) return isBesideAnother ? usedAtTheSameTime() : endCopied(services, known.session)
  const waitSeconds = signIn.throttle.refresh(known.session)
  if (waitSeconds !== null) return tooMany(waitSeconds)
  const account = named === null ? null : await findAccount(services, named)
  if (account !== null && typeof account !== 'number') return account
  const pair = newPair()
  const isUsed = await store.sessions.refresh(hash, { tokens: pair.hashes, account, nowMs })
  if (!isUsed) return whyUnused(services, hash, named)
  const standing = await store.sessions.standing(pair.hashes.access, nowMs)
  if (!standing?.isLive) return sessionEnded()
  return issued(services, pair, { user: standing.userId, account: standing.account, role: standing.role, untilMs: standing.untilMs })
}

function sessionEnded(): Refusal {
  return refuse('session_ended', 'The session is over. Sign in again.')
}

function unknownToken(): Refusal {
  return refuse('invalid_refresh_token', 'This is no refresh token of this server, or its session is long over.')
}

function usedAtTheSameTime(): Refusal {
  return refuse('refresh_token_used', 'This refresh token was used at the same time. Go on with the tokens that it was answered with.')
}

/** A token that was used before and is sent again has been copied: nobody can tell which of the two is the thief's. */
async function endCopied({ store, clock, signIn }: Services, session: string): Promise<Refusal> {
  await store.sessions.end(session, 'reuse', clock())
  signIn.signedIn.forget()
  return refuse('refresh_token_reused', 'This refresh token had been used before, so its session was ended. Sign in again.')
}

/** Why a token that seemed to work did not. */
async function whyUnused({ store, clock }: Services, hash: string, named: string | null): Promise<Refusal> {
  const now = await store.sessions.refreshToken(hash, clock())
  if (!now?.isLive) return sessionEnded()
  if (now.usedAtMs !== null) return usedAtTheSameTime()
  return named === null ? sessionEnded() : notFound(named)
}

/** Ends the session that a refresh token is of; one that is none ends nothing. */
export async function signOut({ store, clock, signIn }: Services, token: string): Promise<void> {
  const known = isWellFormed(token) ? await store.sessions.refreshToken(hashSecret(token), clock()) : undefined
  if (!known) return
  await store.sessions.end(known.session, 'sign_out', clock())
  signIn.signedIn.forget()
}
