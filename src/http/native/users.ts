/** `/v1/users`: who may sign in, and to which accounts. The operator manages them; an owner sees those of the account. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import { findAccount } from '../../operations/find-account.ts'
import {
  endMembership,
  inviteFirstOperatorAgain,
  inviteUser,
  type Offer,
  offerToken,
  readUser,
  setMembership,
  type UserView,
  updateUser,
  userByEmail,
  viewUsers,
} from '../../operations/manage-users.ts'
import type { UserRow } from '../../stores/users.ts'
import { accountOf, requireOwner } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { DEFAULT_PAGE, listBody, PAGE_QUERY, type PageQuery } from '../pages.ts'
import { badInput, ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AccountIn, idParam, listOf, PROBLEMS_ANSWER } from './schemas.ts'
import { EmailIn } from './token-bodies.ts'
import { OfferBody, offerBody, RoleBody, User, userBody } from './user-bodies.ts'

const OPERATOR = { access: 'operator' } as const
const params = idParam('user', 'Id of the user.')
const MEMBERSHIP_PARAMS = Type.Object({
  user: Type.String({ description: 'Id of the user.' }),
  account: Type.String({ description: 'The account: its id, or `external:` and its external id.' }),
})
const OFFER = { tags: ['users'], response: { 201: OfferBody, ...PROBLEMS_ANSWER } } as const
const CHANGED = { tags: ['users'], response: { 200: User, ...PROBLEMS_ANSWER } } as const

export function userRoutes(app: NativeApp, context: NativeContext): void {
  inviteRoutes(app, context)
  tokenRoutes(app, context)
  changeRoute(app, context)
  membershipRoutes(app, context)
  readRoutes(app, context)
}

function offered(offer: Offer | Refusal): Static<typeof OfferBody> {
  if (isRefusal(offer)) throw refusalError(offer)
  return offerBody(offer)
}

function shown(view: UserView | Refusal, only: number | null = null): Static<typeof User> {
  if (isRefusal(view)) throw refusalError(view)
  return userBody(view, only)
}

/** The number of an account that the operator names. Throws account_not_found. */
async function namedAccount({ services }: NativeContext, named: string): Promise<number> {
  const account = await findAccount(services, named)
  if (typeof account !== 'number') throw refusalError(account)
  return account
}

function inviteRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context
  app.post(
    '/users',
    {
      config: OPERATOR,
      schema: {
        ...OFFER,
        operationId: 'inviteUser',
        summary: 'Invite a user',
        description:
          'Hand the `token` on to the user: with it they choose a password (`POST /v1/auth/accept-invitation`), within 7 days. To sign in they need an account or to be an operator.',
        body: Type.Object(
          {
            email: EmailIn,
            account: Type.Optional(AccountIn),
            role: Type.Optional(RoleBody),
            is_operator: Type.Optional(Type.Boolean({ description: 'May do all that the operator may. Default false.' })),
          },
          { additionalProperties: false },
        ),
      },
    },
    async (request, reply) => {
      const { email, account: named, role, is_operator: isOperator = false } = request.body
      if ((named === undefined) !== (role === undefined))
        throw badInput(named === undefined ? '#/account' : '#/role', 'is required: a membership is an account and a role')
      const membership = named === undefined || role === undefined ? null : { account: await namedAccount(context, named), role }
      const body = offered(await inviteUser(services, { email, isOperator, membership }))
      request.log.info({ user: body.id, is_operator: isOperator }, 'a user was invited')
      reply.code(201)
      return body
    },
  )

  app.post(
    '/users/bootstrap',
    {
      config: OPERATOR,
      schema: {
        ...OFFER,
        operationId: 'inviteFirstOperator',
        summary: 'Make the token of the first operator user anew',
        description:
          'A new server prints it when it first starts. Whoever accepts it says their e-mail address, within 24 hours. Refused once it has been accepted.',
      },
    },
    async (_request, reply) => {
      reply.code(201)
      return offered(await inviteFirstOperatorAgain(services))
    },
  )
}

function tokenRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/users/:user/invitation',
    {
      config: OPERATOR,
      schema: {
        ...OFFER,
        params,
        operationId: 'renewInvitation',
        summary: 'Invite a user again, who has not accepted',
        description: 'The token before stops working.',
      },
    },
    async (request, reply) => {
      reply.code(201)
      return offered(await offerToken(services, request.params.user, 'invitation'))
    },
  )

  app.post(
    '/users/:user/password-reset',
    {
      config: OPERATOR,
      schema: {
        ...OFFER,
        params,
        operationId: 'offerPasswordReset',
        summary: 'Let a user choose a new password',
        description:
          'Hand the `token` on to the user: with it they choose a password (`POST /v1/auth/password-reset/confirm`), within 24 hours. Until then the old one works. A token before stops working.',
      },
    },
    async (request, reply) => {
      const body = offered(await offerToken(services, request.params.user, 'password_reset'))
      request.log.info({ user: body.id }, 'a reset of a password was made')
      reply.code(201)
      return body
    },
  )
}

function changeRoute(app: NativeApp, { services }: NativeContext): void {
  app.patch(
    '/users/:user',
    {
      config: OPERATOR,
      schema: {
        ...CHANGED,
        params,
        operationId: 'updateUser',
        summary: 'Change, disable or let in a user',
        description: 'A user who is disabled is signed out everywhere, at once, and may not sign in.',
        body: Type.Object(
          {
            email: Type.Optional(EmailIn),
            is_operator: Type.Optional(Type.Boolean()),
            status: Type.Optional(Type.Unsafe<'active' | 'disabled'>({ type: 'string', enum: ['active', 'disabled'] })),
          },
          { additionalProperties: false, minProperties: 1 },
        ),
      },
    },
    async (request) => {
      const { email, is_operator: isOperator, status } = request.body
      const changes = {
        ...(email === undefined ? {} : { email }),
        ...(isOperator === undefined ? {} : { isOperator }),
        ...(status === undefined ? {} : { isDisabled: status === 'disabled' }),
      }
      const body = shown(await updateUser(services, request.params.user, changes))
      request.log.info({ user: body.id, status: body.status, is_operator: body.is_operator }, 'a user was changed')
      return body
    },
  )
}

function membershipRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context
  app.put(
    '/users/:user/memberships/:account',
    {
      config: OPERATOR,
      schema: {
        ...CHANGED,
        params: MEMBERSHIP_PARAMS,
        operationId: 'setMembership',
        summary: 'Let a user into an account, or change the role in it',
        body: Type.Object({ role: RoleBody }, { additionalProperties: false }),
      },
    },
    async (request) => {
      const { user, account } = request.params
      await visibleUser(context, request, user)
      return shown(await setMembership(services, user, { account: await namedAccount(context, account), role: request.body.role }))
    },
  )

  app.delete(
    '/users/:user/memberships/:account',
    {
      config: { access: 'account' },
      schema: {
        ...CHANGED,
        params: MEMBERSHIP_PARAMS,
        operationId: 'endMembership',
        summary: 'Take a user out of an account, at once',
        description: 'By the operator, or by an owner of the account.',
      },
    },
    async (request) => {
      requireOwner(request)
      const { user } = request.params
      await visibleUser(context, request, user)
      const account = await accountOf(services, request, request.params.account)
      return shown(await endMembership(services, user, account), onlyFor(request))
    },
  )
}

/** The account whose users alone the caller may see; null: the operator may see all. */
function onlyFor({ identity }: FastifyRequest): number | null {
  return identity?.kind === 'user' ? identity.user.account : null
}

/** A user whom the caller may know of. Throws user_not_found, also for one of other accounts. */
async function visibleUser({ services }: NativeContext, request: FastifyRequest, id: string): Promise<UserView> {
  const [view, only] = [await readUser(services, id), onlyFor(request)]
  if (isRefusal(view)) throw refusalError(view)
  if (belongsTo(view, only)) return view
  throw refusalError(refuse('user_not_found', 'No user has this id.'))
}

function readRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context
  app.get(
    '/users',
    {
      config: { access: 'account' },
      schema: {
        tags: ['users'],
        operationId: 'listUsers',
        summary: 'List users, newest first',
        description:
          'By the operator, of all accounts or of one; by an owner, of the own account. With `email`, the one who has it, if any.',
        querystring: Type.Object(
          { account: Type.Optional(AccountIn), email: Type.Optional(EmailIn), ...PAGE_QUERY },
          { additionalProperties: false },
        ),
        response: { 200: listOf(User), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      requireOwner(request)
      const { account: named, email, ...query } = request.query
      const only = onlyFor(request)
      const account = named === undefined ? only : await accountOf(services, request, named)
      if (email !== undefined)
        return listBody('/v1/users', { limit: 2 }, await withEmail(context, email, account), (view) => userBody(view, only))
      const page = await userPage(context, query, account)
      const users = await services.store.users.list({ ...page, ...(account === null ? {} : { account }) })
      const views = await viewUsers(services, users)
      return listBody('/v1/users', { limit: page.limit, ...(page.after ? { after: 0 } : {}) }, views, (view) => userBody(view, only))
    },
  )

  app.get(
    '/users/:user',
    {
      config: { access: 'account' },
      schema: {
        ...CHANGED,
        params,
        operationId: 'getUser',
        summary: 'Get a user',
        description: 'By the operator, or by an owner of an account of the user.',
      },
    },
    async (request) => {
      requireOwner(request)
      return userBody(await visibleUser(context, request, request.params.user), onlyFor(request))
    },
  )
}

/** The user who has an address, if it is one of the account. */
async function withEmail({ services }: NativeContext, email: string, account: number | null): Promise<readonly UserView[]> {
  const view = await userByEmail(services, email)
  return view && belongsTo(view, account) ? [view] : []
}

/** Whether a user belongs to an account; null: any will do. */
function belongsTo({ memberships }: UserView, account: number | null): boolean {
  return account === null || memberships.some((membership) => membership.account === account)
}

/** Reads a page of users. Throws invalid_cursor for users who are not of the list. */
async function userPage(
  { services }: NativeContext,
  { limit = DEFAULT_PAGE, starting_after, ending_before }: PageQuery,
  account: number | null,
): Promise<{ readonly limit: number; readonly before?: UserRow; readonly after?: UserRow }> {
  if (starting_after !== undefined && ending_before !== undefined)
    throw new ProblemError('invalid_cursor', 'Give starting_after or ending_before, not both.')
  const cursor = async (field: string, id: string): Promise<UserRow> => {
    const view = await readUser(services, id)
    if (!isRefusal(view) && belongsTo(view, account)) return view.user
    throw new ProblemError('invalid_cursor', `${field} is not the id of a user of this list.`)
  }
  if (starting_after !== undefined) return { limit: limit + 1, before: await cursor('starting_after', starting_after) }
  if (ending_before !== undefined) return { limit: limit + 1, after: await cursor('ending_before', ending_before) }
  return { limit: limit + 1 }
}
