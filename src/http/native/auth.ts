/** `/v1/auth`: tokens for users. Everything here is public: what is sent says who sends it, and no cookie does. */

import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { isRefusal } from '../../core/refusals.ts'
import { setPasswordOnce } from '../../operations/set-password.ts'
import { refreshSession, signIn, signOut } from '../../operations/sign-in.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { KeySetBody, keySetBody } from './key-set.ts'
import { AccountIn, PROBLEMS_ANSWER } from './schemas.ts'
import { EmailIn, NewPasswordIn, PasswordIn, TokenIn, Tokens, tokensBody } from './token-bodies.ts'

const SCHEMA = { tags: ['auth'], response: { 200: Tokens, ...PROBLEMS_ANSWER } } as const

export function authRoutes(app: NativeApp, context: NativeContext): void {
  tokenRoute(app, context)
  sessionRoutes(app, context)
  passwordRoutes(app, context)
}

function tokenRoute(app: NativeApp, { services }: NativeContext): void {
  const warned = warningOnce()
  app.post(
    '/auth/token',
    {
      config: { access: 'public' },
      schema: {
        ...SCHEMA,
        operationId: 'signIn',
        summary: 'Sign in with e-mail address and password',
        description:
          'Opens an account of the user: the one that is named, else the first one; for an operator user who names none, what the operator may. Failures are limited by address and by user.',
        body: Type.Object({ email: EmailIn, password: PasswordIn, account: Type.Optional(AccountIn) }, { additionalProperties: false }),
      },
    },
    async (request) => {
      warned(request)
      const { email, password, account = null } = request.body
      const issued = await signIn(services, { email, password, account, address: request.ip })
      if (isRefusal(issued)) request.log.info({ code: issued.refused, remoteAddress: request.ip }, 'a sign-in was refused')
      else request.log.info({ user: issued.user, remoteAddress: request.ip }, 'a user signed in')
      return tokensBody(issued, services.clock())
    },
  )
}

/** Tells the operator, once, of a proxy that the settings do not name: all sign-ins through it count as one address's. */
function warningOnce(): (request: FastifyRequest) => void {
  let isTold = false
  return ({ headers, ip, socket, log }) => {
    if (isTold || headers['x-forwarded-for'] === undefined || ip !== socket.remoteAddress) return
    isTold = true
    log.warn(
      `a sign-in came through ${ip}, which OBOL_TRUSTED_PROXIES does not name: if it is your proxy, all of its sign-ins are limited as one address's`,
    )
  }
}

function sessionRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/auth/refresh',
    {
      config: { access: 'public' },
      schema: {
        ...SCHEMA,
        operationId: 'refreshTokens',
        summary: 'Get the next pair of tokens',
        description:
          'A refresh token works once. Of requests that send the same one at the same time one is answered with tokens, the others with `refresh_token_used`; sent again later, it is taken for a copy, and the session ends. `account` goes on in another account of the user.',
        body: Type.Object({ refresh_token: TokenIn, account: Type.Optional(AccountIn) }, { additionalProperties: false }),
      },
    },
    async (request) => {
      const { refresh_token: token, account = null } = request.body
      const issued = await refreshSession(services, { token, account })
      if (isRefusal(issued) && issued.refused === 'refresh_token_reused')
        request.log.warn({ remoteAddress: request.ip }, 'a refresh token was used again: its session was ended')
      return tokensBody(issued, services.clock())
    },
  )

  app.post(
    '/auth/logout',
    {
      config: { access: 'public' },
      schema: {
        tags: ['auth'],
        operationId: 'signOut',
        summary: 'Sign out: end the session of a refresh token',
        description: 'Its access tokens stop working at once. A token that is none ends nothing, and is answered the same.',
        body: Type.Object({ refresh_token: TokenIn }, { additionalProperties: false }),
        response: { 200: Type.Object({ object: Type.Literal('logout') }, { description: 'Signed out.' }), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      await signOut(services, request.body.refresh_token)
      return { object: 'logout' as const }
    },
  )
}

function passwordRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/auth/accept-invitation',
    {
      config: { access: 'public' },
      schema: {
        ...SCHEMA,
        operationId: 'acceptInvitation',
        summary: 'Accept an invitation: choose a password and sign in',
        description: 'The first operator user also says their `email`: their invitation names nobody.',
        body: Type.Object({ token: TokenIn, password: NewPasswordIn, email: Type.Optional(EmailIn) }, { additionalProperties: false }),
      },
    },
    async (request) => {
      const { token, password, email = null } = request.body
      const issued = await setPasswordOnce(services, { purpose: 'invitation', token, password, email, address: request.ip })
      if (!isRefusal(issued)) request.log.info({ user: issued.user, remoteAddress: request.ip }, 'a user accepted an invitation')
      return tokensBody(issued, services.clock())
    },
  )

  app.post(
    '/auth/password-reset/confirm',
    {
      config: { access: 'public' },
      schema: {
        ...SCHEMA,
        operationId: 'resetPassword',
        summary: 'Choose a new password with a reset token, and sign in',
        description: 'The operator makes the token. All sessions of the user end.',
        body: Type.Object({ token: TokenIn, password: NewPasswordIn }, { additionalProperties: false }),
      },
    },
    async (request) => {
      const { token, password } = request.body
      const issued = await setPasswordOnce(services, { purpose: 'password_reset', token, password, email: null, address: request.ip })
      if (!isRefusal(issued)) request.log.info({ user: issued.user, remoteAddress: request.ip }, 'a user reset the password')
      return tokensBody(issued, services.clock())
    },
  )

  app.post(
    '/auth/signing-keys/replace',
    {
      config: { access: 'operator' },
      schema: {
        tags: ['auth'],
        operationId: 'replaceSigningKeys',
        summary: 'Replace the keys that sign access tokens, at once',
        description:
          'For when they may have leaked, such as with a backup. Every access token stops working; refresh tokens go on, so nobody has to sign in again. Otherwise keys are replaced by themselves every 30 days.',
        response: { 200: KeySetBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      await services.signIn.tokens.replaceKeys()
      services.signIn.signedIn.forget()
      request.log.warn('the keys that sign access tokens were replaced')
      return keySetBody(services.signIn.tokens)
    },
  )
}
