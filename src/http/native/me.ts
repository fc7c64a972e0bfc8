/** `/v1/me`: the user who asks. */

import { type Static, Type } from 'typebox'
import { accountId } from '../../core/ids.ts'
import { isRefusal } from '../../core/refusals.ts'
import { readUser } from '../../operations/manage-users.ts'
import { changePassword } from '../../operations/set-password.ts'
import { requireUser } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { nullable, PROBLEMS_ANSWER } from './schemas.ts'
import { NewPasswordIn, PasswordIn, Tokens, tokensBody } from './token-bodies.ts'
import { RoleBody } from './user-bodies.ts'

const Me = Type.Object(
  {
    object: Type.Literal('me'),
    id: Type.String(),
    email: nullable<string>('string'),
    is_operator: Type.Boolean(),
    account: nullable<string>('string', 'The account that the token opens; null: what operators may.'),
    role: Type.Unsafe<'owner' | 'member' | 'operator'>({ type: 'string', enum: ['owner', 'member', 'operator'] }),
    accounts: Type.Array(Type.Object({ account: Type.String(), name: Type.String(), role: RoleBody })),
  },
  { description: 'The user who asks, and the accounts that they may sign in to.' },
)

export function meRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/me',
    {
      config: { access: 'user' },
      schema: { tags: ['auth'], operationId: 'getMe', summary: 'Get the user who asks', response: { 200: Me, ...PROBLEMS_ANSWER } },
    },
    async (request): Promise<Static<typeof Me>> => {
      const { id, account, role } = requireUser(request)
      const view = await readUser(services, id)
      if (isRefusal(view)) throw refusalError(view)
      const names = await Promise.all(view.memberships.map((membership) => services.store.account(membership.account)))
      return {
        object: 'me',
        id,
        email: view.user.email,
        is_operator: view.user.isOperator,
        account: account === null ? null : accountId(account),
        role: role ?? 'operator',
        accounts: view.memberships.map((membership, index) => ({
          account: accountId(membership.account),
          name: names[index]?.name ?? '',
          role: membership.role,
        })),
      }
    },
  )

  app.post(
    '/me/password',
    {
      config: { access: 'user' },
      schema: {
        tags: ['auth'],
        operationId: 'changePassword',
        summary: 'Change the password of the user who asks',
        description: 'All sessions of the user end, this one too: go on with the tokens of the answer.',
        body: Type.Object({ current_password: PasswordIn, password: NewPasswordIn }, { additionalProperties: false }),
        response: { 200: Tokens, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const user = requireUser(request)
      const { current_password: current, password } = request.body
      const issued = await changePassword(services, user, { current, password, address: request.ip })
      request.log.info(
        { user: user.id, remoteAddress: request.ip, ...(isRefusal(issued) ? { code: issued.refused } : {}) },
        'a change of a password',
      )
      return tokensBody(issued, services.clock())
    },
  )
}
