/** Who may call what. A route that does not say is not served. */

import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { KeyRing } from '../auth/key-ring.ts'
import type { RateLimit, RateLimiter, RateState } from '../auth/rate-limiter.ts'
import { hashSecret } from '../auth/secrets.ts'
import { SignedIn, type SignedInUser } from '../auth/signed-in.ts'
import { objectId } from '../core/ids.ts'
import type { Actor, KeyScope } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import { findAccount } from '../operations/find-account.ts'
import type { Services } from '../operations/services.ts'
import type { KeyRow } from '../stores/store.ts'
import { refusalError } from './error-handler.ts'
import { ProblemError } from './problems.ts'

/**
 * `public`: anybody. `account`: a customer's key or user for the own account, or the operator for any. `operator`: the operator alone, by
 * the operator key or as an operator user. `user`: whoever has signed in.
 */
export type Access = 'public' | 'account' | 'operator' | 'user'

/** Who is calling: the operator (null: by the operator key), a customer's key, or a user for one account. */
export type Identity =
  | { readonly kind: 'operator'; readonly user: SignedInUser | null }
  | { readonly kind: 'customer'; readonly key: KeyRow }
  | { readonly kind: 'user'; readonly user: AccountUser }

/** A user who has signed in to an account. */
export type AccountUser = SignedInUser & { readonly account: number }

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** Where its callers put their secret; by default `Authorization: Bearer`. */
    secretOf?: (request: FastifyRequest) => string | undefined
  }
  interface FastifyInstance {
    /** Why whoever sent a request may not send it any more, as a code; null: they may. For answers that last. */
    recheck: (request: FastifyRequest) => Promise<string | null>
  }
  interface FastifyRequest {
    /** Null: nobody has said who they are. */
    identity: Identity | null
  }
}

const OPERATOR_KEY: Identity = { kind: 'operator', user: null }

export interface AccessOptions {
  readonly keyRing: KeyRing
  readonly signedIn: SignedIn
  readonly limiter: RateLimiter
  /** SHA-256 of the operator key, base64url. */
  readonly operatorKeyHash: string
  /** For customer keys without a limit of their own, and for each user of an account. */
  readonly defaultRateLimit: RateLimit
  /** For the operator key, and for each operator user; null: none. */
  readonly operatorRateLimit: RateLimit | null
}

/** Authenticates every request before its body is read, and counts it against its key's rate limit. */
export function guardAccess(app: FastifyInstance, options: AccessOptions): void {
  app.decorateRequest('identity', null)
  app.decorate('recheck', (request: FastifyRequest) => recheck(request, options))
  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) throw new Error(`${String(route.method)} ${route.url} does not say who may call it`)
  })
  app.addHook('onRequest', (request, reply, done) => {
    const access = request.routeOptions.config.access
    if (access === undefined || access === 'public') done()
    else admit(request, reply, { options, access, done })
  })
}

interface Admission {
  readonly options: AccessOptions
  readonly access: Access
  readonly done: HookHandlerDoneFunction
}

function admit(request: FastifyRequest, reply: FastifyReply, { options, access, done }: Admission): void {
  const { secretOf = bearerOf } = request.routeOptions.config
  const secret = secretOf(request)
  if (secret === undefined) {
    done(new ProblemError('authentication_required', 'Send an API key: Authorization: Bearer <key>.'))
    return
  }
  const known = identify(hashSecret(secret), options)
  if (known) done(admitAs(known, request, reply, { options, access }))
  else
    lookUp(secret, options).then((found) => {
      done(isRefusal(found) ? refusalError(found) : admitAs(found, request, reply, { options, access }))
    }, done)
}

async function recheck(request: FastifyRequest, options: AccessOptions): Promise<string | null> {
  const { secretOf = bearerOf } = request.routeOptions.config
  const secret = secretOf(request) ?? ''
  const found = identify(hashSecret(secret), options) ?? (await lookUp(secret, options))
  return isRefusal(found) ? found.refused : null
}

/** Who a secret's hash is known to be of: without a promise, since nearly every request comes this way. */
function identify(hash: string, { keyRing, signedIn, operatorKeyHash }: AccessOptions): Identity | undefined {
  // Hashes are compared, not secrets: how long it takes tells nobody how to come closer.
  if (hash === operatorKeyHash) return OPERATOR_KEY
  const key = keyRing.findKept(hash)
  if (key) return { kind: 'customer', key }
  const user = signedIn.findKept(hash)
  return user && identityOf(user)
}

async function lookUp(secret: string, { keyRing, signedIn }: AccessOptions): Promise<Identity | Refusal> {
  if (SignedIn.mayBeToken(secret)) {
    const user = await signedIn.find(secret)
    return typeof user === 'string' ? refuse(user, 'The access token opens nothing.') : identityOf(user)
  }
  const shown = await keyRing.find(secret)
  if (shown?.fault === null) return { kind: 'customer', key: shown.key }
  return refuse(shown?.fault ?? 'invalid_key', 'The API key does not open an account.')
}

function identityOf(user: SignedInUser): Identity {
  return user.account === null ? { kind: 'operator', user } : { kind: 'user', user: { ...user, account: user.account } }
}

/** Counts the request, and says whether whoever sent it may call what it calls. */
function admitAs(
  identity: Identity,
  request: FastifyRequest,
  reply: FastifyReply,
  { options, access }: Omit<Admission, 'done'>,
): ProblemError | undefined {
  request.identity = identity
  const limit = limitOf(identity, options)
  const over = limit ? count(reply, options.limiter.take(limit.name, limit.limit)) : undefined
  if (over) return over
  if (access === 'operator' && identity.kind !== 'operator')
    return new ProblemError('operator_key_required', 'Only the operator may do this.')
  if (access === 'user' && userOf(request) === null) return new ProblemError('user_required', 'Only a user who has signed in may do this.')
  return undefined
}

function limitOf(
  identity: Identity,
  { defaultRateLimit, operatorRateLimit }: AccessOptions,
): { readonly name: string; readonly limit: RateLimit } | null {
  if (identity.kind === 'customer') return { name: nameOf(identity.key), limit: identity.key.terms.rateLimit ?? defaultRateLimit }
  if (identity.kind === 'user') return { name: identity.user.id, limit: defaultRateLimit }
  return operatorRateLimit && { name: identity.user?.id ?? 'operator', limit: operatorRateLimit }
}

/** An access token is some 500 characters long, and longer where the server's address is. */
const BEARER = /^Bearer +([\x21-\x7e]{1,2048}) *$/i

/** The secret of `Authorization: Bearer <secret>`. */
export function bearerOf({ headers }: FastifyRequest): string | undefined {
  return BEARER.exec(headers.authorization ?? '')?.[1]
}

/** The user who asks; null: a key does. */
function userOf({ identity }: FastifyRequest): SignedInUser | null {
  return identity?.kind === 'operator' || identity?.kind === 'user' ? identity.user : null
}

/** The user who asks. Throws user_required when a key does. */
export function requireUser(request: FastifyRequest): SignedInUser {
  const user = userOf(request)
  if (user === null) throw new ProblemError('user_required', 'This is about the user who asks: sign in.')
  return user
}

/** The API key that asks; null: the operator or a user does. */
export function keyOf({ identity }: FastifyRequest): KeyRow | null {
  return identity?.kind === 'customer' ? identity.key : null
}

/** The account that whoever asks is of; null: the operator's, who has none. */
function ownAccount({ identity }: FastifyRequest): number | null {
  if (identity?.kind === 'customer') return identity.key.account
  return identity?.kind === 'user' ? identity.user.account : null
}

/** The name under which a key's requests are counted. */
export function nameOf({ account, seq }: KeyRow): string {
  return `${account}.${seq}`
}

/** Tells the caller where the limit stands; an error when it is passed. */
export function count(reply: FastifyReply, { limit, isAllowed, remaining, resetSeconds }: RateState): ProblemError | undefined {
  reply.header('ratelimit-policy', `"default";q=${limit.requests};w=${limit.windowSeconds}`)
  reply.header('ratelimit', `"default";r=${remaining};t=${resetSeconds}`)
  if (isAllowed) return undefined
  return new ProblemError('rate_limited', `You may send ${limit.requests} requests in ${limit.windowSeconds} seconds.`, {
    retry_after: resetSeconds,
    'violated-policies': ['default'],
  })
}

/** Who is recorded as the cause of what a request does. */
export function actorOf(request: FastifyRequest): Actor {
  const { identity } = request
  if (identity?.kind === 'customer') return objectId('key', identity.key.account, identity.key.seq) as Actor
  return userOf(request)?.id ?? 'operator'
}

/** The account that a request is about: the caller's own, or the one that the operator names. Another's is not found. */
export async function accountOf(services: Services, request: FastifyRequest, named: string | undefined): Promise<number> {
  const own = ownAccount(request)
  if (named === undefined) {
    if (own !== null) return own
    throw new ProblemError('invalid_request', 'query/account is required when the operator asks.', {
      errors: [{ pointer: 'query/account', detail: 'is required when the operator asks' }],
    })
  }
  const account = await findAccount(services, named)
  if (typeof account !== 'number') throw refusalError(account)
  const isThere = own === null ? (await services.store.state(account)) !== undefined : own === account
  if (!isThere) throw refusalError(refuse('account_not_found', `No account is named ${named.slice(0, 100)}.`))
  return account
}

/** Whether the caller may know of an account's things. */
export function mayRead(request: FastifyRequest, account: number): boolean {
  return request.identity?.kind === 'operator' || ownAccount(request) === account
}

/** Throws scope_required or role_required unless the caller is the operator, an owner of the account, or a key with the scope. */
export function requireScope(request: FastifyRequest, scope: KeyScope): void {
  const { identity } = request
  if (identity?.kind !== 'customer') requireOwner(request)
  else if (!identity.key.terms.scopes.includes(scope))
    throw new ProblemError('scope_required', `The key lacks the scope ${scope}.`, { scope })
}

/** Throws role_required unless the caller is the operator or an owner of the account. */
export function requireOwner({ identity }: FastifyRequest): void {
  if (identity?.kind === 'operator' || (identity?.kind === 'user' && identity.user.role === 'owner')) return
  throw new ProblemError('role_required', 'Only an owner of the account, or the operator, may do this.', { role: 'owner' })
}
