/** Users as they are shown. */

import { type Static, Type } from 'typebox'
import { accountId } from '../../core/ids.ts'
import type { Offer, UserView } from '../../operations/manage-users.ts'
import type { Role } from '../../stores/users.ts'
import { NullableTime, nullable, Time } from './schemas.ts'
import { nullableTimeOut, timeOut } from './values.ts'

export const RoleBody = Type.Unsafe<Role>({
  type: 'string',
  enum: ['owner', 'member'],
  description: '`member`: reads the account and estimates. `owner`: also manages its API keys and sees its users.',
})

const USER_FIELDS = {
  object: Type.Literal('user'),
  id: Type.String(),
  email: nullable<string>('string', 'Null: the first operator user, who has not said it yet.'),
  status: Type.Unsafe<'invited' | 'active' | 'disabled'>({ type: 'string', enum: ['invited', 'active', 'disabled'] }),
  is_operator: Type.Boolean({ description: 'May do all that the operator may.' }),
  memberships: Type.Array(Type.Object({ account: Type.String(), role: RoleBody })),
  disabled_at: NullableTime,
  created_at: Time,
} as const

export const User = Type.Object(USER_FIELDS, { description: 'A user.' })
export const OfferBody = Type.Object(
  { ...USER_FIELDS, token: Type.String({ description: 'Sets the password, once. Shown this once.' }), token_expires_at: Time },
  { title: 'UserOffer', description: 'A user, and a one-time token to hand on to them.' },
)

/** Writes a user; with `only`, nothing of other accounts. */
export function userBody({ user, memberships }: UserView, only: number | null): Static<typeof User> {
  const { id, email, password, isOperator, disabledAtMs, createdAtMs } = user
  return {
    object: 'user',
    id,
    email,
    status: disabledAtMs !== null ? 'disabled' : password === null ? 'invited' : 'active',
    is_operator: isOperator,
    memberships: memberships
      .filter(({ account }) => only === null || account === only)
      .map(({ account, role }) => ({ account: accountId(account), role })),
    disabled_at: nullableTimeOut(disabledAtMs),
    created_at: timeOut(createdAtMs),
  }
}

/** Writes a user with a one-time token. */
export function offerBody(offer: Offer): Static<typeof OfferBody> {
  return { ...userBody(offer, null), token: offer.token, token_expires_at: timeOut(offer.untilMs) }
}
