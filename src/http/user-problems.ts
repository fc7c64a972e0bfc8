/** Problems of users: signing in, passwords, tokens, memberships. */

import { refusal } from './problem.ts'

const SIGN_IN = 'Sign in again (`POST /v1/auth/token`).'

/** The problems that refusals about users are answered with. */
export const USER_PROBLEMS = {
  invalid_credentials: refusal(
    'invalid_credentials',
    401,
    'Wrong e-mail address or password',
    'Check both. Whoever has forgotten the password asks the operator for a reset.',
  ),
  wrong_password: refusal('wrong_password', 403, 'Wrong password', 'Send the current password as it is, or ask the operator for a reset.'),
  too_many_attempts: refusal(
    'too_many_attempts',
    429,
    'Too many attempts',
    'Wait for Retry-After seconds. What is signed in already goes on working, and a reset of the password by the operator lets in at once.',
  ),
  user_disabled: refusal('user_disabled', 403, 'User disabled', 'The operator lets the user in again with `PATCH /v1/users/{user}`.'),
  no_membership: refusal(
    'no_membership',
    403,
    'No membership',
    'The operator lets the user into an account with `PUT /v1/users/{user}/memberships/{account}`.',
  ),
  invalid_token: refusal('invalid_token', 401, 'Invalid access token', 'Send the token as it was given, to the server that gave it.'),
  token_expired: refusal('token_expired', 401, 'Access token expired', 'Get the next one with the refresh token: `POST /v1/auth/refresh`.'),
  session_ended: refusal('session_ended', 401, 'Session ended', SIGN_IN),
  invalid_refresh_token: refusal('invalid_refresh_token', 401, 'Invalid refresh token', SIGN_IN),
  refresh_token_used: refusal(
    'refresh_token_used',
    401,
    'Refresh token used',
    'Go on with the tokens that the other request was answered with: keep them in one place for all that use them. Else sign in again.',
  ),
  refresh_token_reused: refusal(
    'refresh_token_reused',
    401,
    'Refresh token reused',
    `${SIGN_IN} If the token was not sent twice by your own program, change the password: that ends every session.`,
  ),
  invalid_one_time_token: refusal('invalid_one_time_token', 401, 'Invalid one-time token', 'Ask the operator for another one.'),
  invalid_email: refusal(
    'invalid_email',
    400,
    'Invalid e-mail address',
    'Send an address such as ada@example.com, the invited one for an invitation.',
  ),
  email_taken: refusal('email_taken', 409, 'E-mail address taken', 'Use the user who has it, or another address.'),
  password_unacceptable: refusal(
    'password_unacceptable',
    400,
    'Password unacceptable',
    'Choose 15 characters or more: several words that do not belong together make a good one.',
  ),
  user_not_found: refusal('user_not_found', 404, 'User not found', 'Check the id; `GET /v1/users` lists users.'),
  membership_not_found: refusal(
    'membership_not_found',
    404,
    'Membership not found',
    'Check the account; `GET /v1/users/{user}` lists those of the user.',
  ),
  too_many_memberships: refusal('too_many_memberships', 409, 'Too many memberships', 'Take the user out of accounts that are not needed.'),
  invitation_pending: refusal(
    'invitation_pending',
    409,
    'Invitation pending',
    'Make a new invitation: `POST /v1/users/{user}/invitation`.',
  ),
  invitation_accepted: refusal(
    'invitation_accepted',
    409,
    'Invitation accepted',
    'Make a reset of the password: `POST /v1/users/{user}/password-reset`.',
  ),
} as const
