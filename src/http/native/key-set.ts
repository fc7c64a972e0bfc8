/** `/.well-known/jwks.json`: the public keys that access tokens are signed with, for services that check them by themselves. */

import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { AccessTokens } from '../../auth/access-tokens.ts'
import { PROBLEMS_ANSWER, ProblemBody } from './schemas.ts'

/** How long anybody may keep the answer: a new key is in it for a day before it signs. */
const KEEP_SECONDS = 300

export const KeySetBody = Type.Object(
  {
    keys: Type.Array(
      Type.Object({
        kty: Type.String(),
        crv: Type.String(),
        x: Type.String(),
        kid: Type.String(),
        alg: Type.String(),
        use: Type.String(),
      }),
    ),
  },
  { description: 'A JSON Web Key Set (RFC 7517).' },
)

/** Writes the public keys. */
export function keySetBody(tokens: AccessTokens): Static<typeof KeySetBody> {
  return tokens.keySet() as Static<typeof KeySetBody>
}

/** Outside of `/v1`, where other programs look for it (RFC 8615). */
export async function keySetRoute(app: FastifyInstance, { tokens }: { readonly tokens: AccessTokens }): Promise<void> {
  app.addSchema(ProblemBody)
  app.get(
    '/.well-known/jwks.json',
    {
      config: { access: 'public' },
      schema: {
        tags: ['auth'],
        operationId: 'getSigningKeys',
        summary: 'Get the public keys that access tokens are signed with',
        description:
          'Two while one replaces the other. Obol itself asks its store besides whether a session goes on; the keys alone do not tell.',
        response: { 200: KeySetBody, ...PROBLEMS_ANSWER },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', `public, max-age=${KEEP_SECONDS}`)
      return keySetBody(tokens)
    },
  )
}
