/** Users, as the operator manages them: invited, changed, let into accounts and out of them. */

import { randomBytes } from 'node:crypto'
import { parseEmail } from '../auth/emails.ts'
import { hashSecret, makeSecret, ONE_TIME_PREFIXES } from '../auth/secrets.ts'
import { parseUserId, userId } from '../core/ids.ts'
import { type Refusal, refuse } from '../core/refusals.ts'
import { MAX_MEMBERSHIPS, type Membership, type OneTimePurpose, type OneTimeToken, type UserRow } from '../stores/users.ts'
import type { Services } from './services.ts'

const DAY_MS = 86_400_000
/** How long an invitation works, and the reset of a password: whoever makes one hands it on by hand. */
const ONE_TIME_MS = { invitation: 7 * DAY_MS, password_reset: DAY_MS } as const
/** How long the token for the first operator user works: it stands in the output of a server. */
const FIRST_OPERATOR_MS = DAY_MS
/** The first operator user, of whom there is one. */
const FIRST_OPERATOR = userId(0n)

/** A user with the accounts that they belong to. */
export interface UserView {
  readonly user: UserRow
  readonly memberships: readonly Membership[]
}

/** A user and the token, shown once, that sets their password. */
export interface Offer extends UserView {
  readonly token: string
  readonly untilMs: number
}

function newOneTimeToken(purpose: OneTimePurpose, untilMs: number): OneTimeToken & { readonly secret: string } {
  const secret = makeSecret(ONE_TIME_PREFIXES[purpose])
  return { secret, hash: hashSecret(secret), purpose, untilMs }
}

/** Users with the accounts that they belong to. */
export async function viewUsers({ store }: Pick<Services, 'store'>, users: readonly UserRow[]): Promise<readonly UserView[]> {
  const memberships = await store.users.memberships(users.map(({ id }) => id))
  return users.map((user) => ({ user, memberships: memberships.get(user.id) ?? [] }))
}

async function view(services: Pick<Services, 'store'>, user: UserRow): Promise<UserView> {
  return (await viewUsers(services, [user]))[0] ?? { user, memberships: [] }
}

/** A user to invite. */
export interface Invitation {
  readonly email: string
  readonly isOperator: boolean
  /** The account to belong to; null: none yet. */
  readonly membership: Membership | null
}

/** Invites a user. Refuses invalid_email, email_taken, account_not_found. */
export async function inviteUser(services: Services, { email: given, isOperator, membership }: Invitation): Promise<Offer | Refusal> {
  const { store, clock } = services
  const email = parseEmail(given)
  if (!email) return refuse('invalid_email', 'This is no e-mail address.')
  if (membership && (await store.state(membership.account)) === undefined) return noAccount()
  const nowMs = clock()
  const { secret, ...invitation } = newOneTimeToken('invitation', nowMs + ONE_TIME_MS.invitation)
  const id = userId(BigInt(`0x${randomBytes(10).toString('hex')}`))
  const user = await store.users.add({ id, email, isOperator, invitation, nowMs })
  if (!user) return refuse('email_taken', 'A user has this e-mail address already.')
  if (membership) await store.users.join(id, membership, nowMs)
  return { ...(await view(services, user)), token: secret, untilMs: invitation.untilMs }
}

/** Gives a user a new one-time token in place of the one before. Refuses user_not_found, invitation_pending, invitation_accepted. */
export async function offerToken(services: Services, id: string, purpose: OneTimePurpose): Promise<Offer | Refusal> {
  const { store, clock } = services
  const known = await userById(services, id)
  if (!known) return noUser()
  const { secret, ...token } = newOneTimeToken(purpose, clock() + ONE_TIME_MS[purpose])
  const user = await store.users.offer(known.id, token)
  if (user) return { ...(await view(services, user)), token: secret, untilMs: token.untilMs }
  return purpose === 'invitation'
    ? accepted()
    : refuse('invitation_pending', 'The user has no password yet. Make a new invitation instead.')
}

function accepted(): Refusal {
  return refuse('invitation_accepted', 'The user has a password already. Make a reset of it instead.')
}

function noAccount(): Refusal {
  return refuse('account_not_found', 'No account has this id.')
}

async function userById({ store }: Pick<Services, 'store'>, text: string): Promise<UserRow | undefined> {
  const id = parseUserId(text)
  return id && (await store.users.byId(id))
}

function noUser(): Refusal {
  return refuse('user_not_found', 'No user has this id.')
}

/**
 * The token by which the first operator user says who they are; of servers that start together one makes it. Null: it has been made.
 */
export async function inviteFirstOperator({ store, clock }: Pick<Services, 'store' | 'clock'>): Promise<string | null> {
  const { secret, ...token } = newOneTimeToken('invitation', clock() + FIRST_OPERATOR_MS)
  const user = await store.users.addOperator(FIRST_OPERATOR, token, { nowMs: clock(), isRenewed: false })
  return user ? secret : null
}

/** As `inviteFirstOperator`, in place of a token that was made before. Refuses invitation_accepted. */
export async function inviteFirstOperatorAgain(services: Services): Promise<Offer | Refusal> {
  const { store, clock } = services
  const { secret, ...token } = newOneTimeToken('invitation', clock() + FIRST_OPERATOR_MS)
  const user = await store.users.addOperator(FIRST_OPERATOR, token, { nowMs: clock(), isRenewed: true })
  return user ? { ...(await view(services, user)), token: secret, untilMs: token.untilMs } : accepted()
}

/** What the operator changes of a user; what is undefined stays. */
export interface UserRequest {
  readonly email?: string
  readonly isOperator?: boolean
  readonly isDisabled?: boolean
}

/** Changes a user. One who is disabled is signed out everywhere at once. Refuses user_not_found, invalid_email, email_taken. */
export async function updateUser(services: Services, id: string, { email: given, ...changes }: UserRequest): Promise<UserView | Refusal> {
  const email = given === undefined ? undefined : parseEmail(given)
  if (given !== undefined && !email) return refuse('invalid_email', 'This is no e-mail address.')
  const known = parseUserId(id)
  if (!known) return noUser()
  const user = await services.store.users.update(known, { ...changes, ...(email ? { email } : {}) }, services.clock())
  if (user === 'email_taken') return refuse('email_taken', 'Another user has this e-mail address.')
  services.signIn.signedIn.forget()
  return user ? view(services, user) : noUser()
}

/** Lets a user into an account, or changes their role in it. Refuses user_not_found, account_not_found, too_many_memberships. */
export async function setMembership(services: Services, id: string, membership: Membership): Promise<UserView | Refusal> {
  const { store, clock, signIn } = services
  const user = await userById(services, id)
  if (!user) return noUser()
  if ((await store.state(membership.account)) === undefined) return noAccount()
  const isIn = await store.users.join(user.id, membership, clock())
  signIn.signedIn.forget()
  return isIn ? view(services, user) : refuse('too_many_memberships', `A user belongs to ${MAX_MEMBERSHIPS} accounts at most.`)
}

/** Takes a user out of an account, at once. Refuses user_not_found, membership_not_found. */
export async function endMembership(services: Services, id: string, account: number): Promise<UserView | Refusal> {
  const { store, signIn } = services
  const user = await userById(services, id)
  if (!user) return noUser()
  const wasIn = await store.users.leave(user.id, account)
  signIn.signedIn.forget()
  return wasIn ? view(services, user) : refuse('membership_not_found', 'The user does not belong to the account.')
}

/** A user by id. Refuses user_not_found. */
export async function readUser(services: Services, id: string): Promise<UserView | Refusal> {
  const user = await userById(services, id)
  return user ? view(services, user) : noUser()
}

/** The user who has an address of e-mail; undefined: nobody has. */
export async function userByEmail(services: Pick<Services, 'store'>, given: string): Promise<UserView | undefined> {
  const email = parseEmail(given)
  const user = email && (await services.store.users.byEmail(email.key))
  return user && view(services, user)
}
