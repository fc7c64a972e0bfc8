/** Who may call what. A route that does not say is not served. */

import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { KeyRing } from '../auth/key-ring.ts'
import type { RateLimit, RateLimiter, RateState } from '../auth/rate-limiter.ts'
import { hashSecret } from '../auth/secrets.ts'
import { objectId } from '../core/ids.ts'
import type { Actor, KeyScope } from '../core/record.ts'
import { refuse } from '../core/refusals.ts'
import { findAccount } from '../operations/find-account.ts'
import type { Services } from '../operations/services.ts'
import type { KeyRow } from '../stores/store.ts'
import { refusalError } from './error-handler.ts'
import { ProblemError } from './problems.ts'

/**
 * `public`: anybody. `account`: a customer's key for its own account, or the operator for any. `operator`: the operator alone.
 */
export type Access = 'public' | 'account' | 'operator'

/** Who is calling. */
export type Identity = { readonly kind: 'operator' } | { readonly kind: 'customer'; readonly key: KeyRow }

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** Where its callers put their secret; by default `Authorization: Bearer`. */
    secretOf?: (request: FastifyRequest) => string | undefined
  }
  interface FastifyRequest {
    /** Null: nobody has said who they are. */
    identity: Identity | null
  }
}

const OPERATOR: Identity = { kind: 'operator' }

export interface AccessOptions {
  readonly keyRing: KeyRing
  readonly limiter: RateLimiter
  /** SHA-256 of the operator key, base64url. */
  readonly operatorKeyHash: string
  /** For customer keys without a limit of their own. */
  readonly defaultRateLimit: RateLimit
  /** For the operator key; null: none. */
  readonly operatorRateLimit: RateLimit | null
}

/** Authenticates every request before its body is read, and counts it against its key's rate limit. */
export function guardAccess(app: FastifyInstance, options: AccessOptions): void {
  app.decorateRequest('identity', null)
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
  const hash = secret === undefined ? '' : hashSecret(secret)
  const kept = options.keyRing.findKept(hash)
  if (secret === undefined) done(new ProblemError('authentication_required', 'Send an API key: Authorization: Bearer <key>.'))
  // Hashes are compared, not secrets: how long it takes tells nobody how to come closer.
  else if (hash === options.operatorKeyHash) done(admitOperator(request, reply, options))
  else if (kept) done(admitCustomer(request, reply, { options, access, key: kept }))
  else {
    options.keyRing.find(secret).then((shown) => {
      if (shown?.fault === null) done(admitCustomer(request, reply, { options, access, key: shown.key }))
      else done(refusalError(refuse(shown?.fault ?? 'invalid_key', 'The API key does not open an account.')))
    }, done)
  }
}

function admitOperator(
  request: FastifyRequest,
  reply: FastifyReply,
  { limiter, operatorRateLimit }: AccessOptions,
): ProblemError | undefined {
  request.identity = OPERATOR
  return operatorRateLimit ? count(reply, limiter.take('operator', operatorRateLimit)) : undefined
}

function admitCustomer(
  request: FastifyRequest,
  reply: FastifyReply,
  { options, access, key }: Omit<Admission, 'done'> & { readonly key: KeyRow },
): ProblemError | undefined {
  request.identity = { kind: 'customer', key }
  const over = count(reply, options.limiter.take(nameOf(key), key.terms.rateLimit ?? options.defaultRateLimit))
  if (over) return over
  return access === 'operator' ? new ProblemError('operator_key_required', 'Only the operator may do this.') : undefined
}

const BEARER = /^Bearer +([\x21-\x7e]{1,512}) *$/i

/** The secret of `Authorization: Bearer <secret>`. */
export function bearerOf({ headers }: FastifyRequest): string | undefined {
  return BEARER.exec(headers.authorization ?? '')?.[1]
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
  return new ProblemError('rate_limited', `The key may send ${limit.requests} requests in ${limit.windowSeconds} seconds.`, {
    retry_after: resetSeconds,
    'violated-policies': ['default'],
  })
}

/** Who is recorded as the cause of what a request does. */
export function actorOf({ identity }: FastifyRequest): Actor {
  if (identity?.kind !== 'customer') return 'operator'
  return objectId('key', identity.key.account, identity.key.seq) as Actor
}

/** The account that a request is about: the key's own, or the one that the operator names. Another's is not found. */
export async function accountOf(services: Services, { identity }: FastifyRequest, named: string | undefined): Promise<number> {
  if (named === undefined) {
    if (identity?.kind === 'customer') return identity.key.account
    throw new ProblemError('invalid_request', 'query/account is required when the operator asks.', {
      errors: [{ pointer: 'query/account', detail: 'is required when the operator asks' }],
    })
  }
  const account = await findAccount(services, named)
  if (typeof account !== 'number') throw refusalError(account)
  const isThere = identity?.kind === 'customer' ? identity.key.account === account : (await services.store.state(account)) !== undefined
  if (!isThere) throw refusalError(refuse('account_not_found', `No account is named ${named.slice(0, 100)}.`))
  return account
}

/** Whether the caller may know of an account's things. */
export function mayRead({ identity }: FastifyRequest, account: number): boolean {
  return identity?.kind === 'operator' || (identity?.kind === 'customer' && identity.key.account === account)
}

/** Throws scope_required unless the caller is the operator or a key with the scope. */
export function requireScope({ identity }: FastifyRequest, scope: KeyScope): void {
  if (identity?.kind === 'operator' || (identity?.kind === 'customer' && identity.key.terms.scopes.includes(scope))) return
  throw new ProblemError('scope_required', `The key lacks the scope ${scope}.`, { scope })
}
