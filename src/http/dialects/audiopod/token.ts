/** `/api/v1/auth/token`: users sign in, by a form or by JSON. */

import { Type } from 'typebox'
import { isRefusal } from '../../../core/refusals.ts'
import { signIn } from '../../../operations/sign-in.ts'
import { refusalError } from '../../error-handler.ts'
import { badInput } from '../../problems.ts'
import type { DialectApp, DialectContext } from '../dialect.ts'

/** Longest name and password that are looked at, in characters. */
const MAX_LENGTH = 512
const FORM_BYTES = 8_192

const Text = Type.String({ minLength: 1, maxLength: MAX_LENGTH })
const Credentials = Type.Object({
  username: Type.Optional(Type.String({ ...Text, description: 'The e-mail address, as forms name it.' })),
  email: Type.Optional(Type.String({ ...Text, description: 'The e-mail address, as JSON names it.' })),
  password: Text,
})

const Token = Type.Object({
  access_token: Type.String({ description: 'Sent in place of an API key.' }),
  refresh_token: Type.String({ description: 'Gets the next pair of tokens, once: `POST /v1/auth/refresh` of the native API.' }),
  token_type: Type.Literal('bearer'),
  expires_in: Type.Integer({ description: 'Seconds that the access token works.' }),
  user: Type.Object({ id: Type.String(), email: Type.String() }),
})

/** The fields of a form, each once. */
function formIn(text: string): Readonly<Record<string, string>> {
  const fields = [...new URLSearchParams(text)]
  const names = new Set(fields.map(([name]) => name))
  if (names.size < fields.length) throw badInput('#/', 'has a field twice')
  return Object.fromEntries(fields)
}

/** The route, in a part of the app of its own: nothing else takes forms. */
export function tokenRoute(app: DialectApp, { services }: DialectContext): void {
  app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: FORM_BYTES },
      (_request, text, done) => {
        try {
          done(null, formIn(text as string))
        } catch (fault) {
          done(fault as Error)
        }
      },
    )
    signInRoute(scope as unknown as DialectApp, services)
  })
}

function signInRoute(app: DialectApp, services: DialectContext['services']): void {
  app.post(
    '/api/v1/auth/token',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'signIn',
        tags: ['Authentication'],
        summary: 'Get an access token for an e-mail address and a password',
        consumes: ['application/json', 'application/x-www-form-urlencoded'],
        body: Credentials,
        response: { 200: Token },
      },
    },
    async (request) => {
      const { username, email = username, password } = request.body
      if (email === undefined) throw badInput('#/username', 'is required')
      const issued = await signIn(services, { email, password, account: null, address: request.ip })
      if (isRefusal(issued)) {
        request.log.info({ code: issued.refused, remoteAddress: request.ip }, 'a sign-in was refused')
        throw refusalError(issued)
      }
      request.log.info({ user: issued.user, remoteAddress: request.ip }, 'a user signed in')
      return {
        access_token: issued.access,
        refresh_token: issued.refresh,
        token_type: 'bearer' as const,
        expires_in: Math.floor((issued.accessExpiresAtMs - services.clock()) / 1000),
        user: { id: issued.user, email },
      }
    },
  )
}
