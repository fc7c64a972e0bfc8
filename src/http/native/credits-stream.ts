/** `/v1/credits/stream`: what an account has, as it changes. */

import { type Static, Type } from 'typebox'
import type { Identity } from '../access.ts'
import { accountOf, keyOf, nameOf } from '../access.ts'
import { EventStream } from '../event-stream.ts'
import { ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { CreditStreams, MAX_CHANGES, MAX_STREAMS_OF_ACCOUNT, MAX_STREAMS_OF_ONE } from './credit-streams.ts'
import type { RenderedCredits } from './credits.ts'
import { AccountIn, PROBLEMS_ANSWER } from './schemas.ts'

const DESCRIPTION = `Server-sent events. The first tells what is so now; another follows whenever that changes, by time too. Each is the body of \`GET /v1/credits\` in \`credits\`, with the journal records that led to it in \`changes\`; when more than ${MAX_CHANGES} did, \`changes\` is empty and \`changes_complete\` false. The id of an event is the account's \`sequence\`: a client that connects again with \`Last-Event-ID\` is told what it missed. Changes that come close together are told together. Before the server ends a stream it sends an event of type \`end\` with the \`reason\`. On one server a key or user may have ${MAX_STREAMS_OF_ONE} streams open, and those of an account ${MAX_STREAMS_OF_ACCOUNT} together.`

const Headers = Type.Object({
  'last-event-id': Type.Optional(Type.String({ maxLength: 20, description: 'Id of the last event that was received.' })),
})

/** Under which name a caller's streams are counted; null: they are not, but for all together. */
function streamsOf(identity: Identity | null): string | null {
  if (identity?.kind === 'customer') return nameOf(identity.key)
  return identity?.kind === 'user' ? identity.user.id : null
}

export function creditsStreamRoute(app: NativeApp, { services }: NativeContext, rendered: RenderedCredits): void {
  const streams = new CreditStreams(services, rendered, (fault) =>
    app.log.error({ err: fault }, 'an account that is followed could not be looked at; it is tried again'),
  )
  app.addHook('preClose', (done) => {
    streams.endAll('server_stopping')
    done()
  })

  app.get(
    '/credits/stream',
    {
      config: { access: 'account' },
      exposeHeadRoute: false,
      schema: {
        operationId: 'streamCredits',
        tags: ['credits'],
        summary: 'Follow what the account has, as it changes',
        description: DESCRIPTION,
        querystring: Type.Object({ account: Type.Optional(AccountIn) }, { additionalProperties: false }),
        headers: Headers,
        response: {
          200: {
            description: 'Events, for as long as both sides like.',
            content: {
              'text/event-stream': {
                schema: Type.String({
                  examples: ['id: 7\ndata: {"object":"credits_update","credits":{…},"changes":[],"changes_complete":true}\n\n'],
                }),
              },
            },
          },
          ...PROBLEMS_ANSWER,
        },
      },
    },
    async (request, reply) => {
      const account = await accountOf(services, request, request.query.account)
      const since = sinceOf(request.headers)
      const name = streamsOf(request.identity)
      if (!streams.hasRoomFor({ name, account }))
        throw new ProblemError('too_many_streams', 'As many streams are open as may be. Close those that are not used.', {
          retry_after: 10,
        })
      const recheck = (): Promise<string | null> => app.recheck(request)
      streams.follow({ stream: new EventStream(reply), account, key: keyOf(request), since, name, recheck })
      return reply
    },
  )
}

/** The sequence that a client has seen; null: it begins. */
function sinceOf({ 'last-event-id': id }: Static<typeof Headers>): number | null {
  if (id === undefined || id === '') return null
  if (/^\d{1,15}$/.test(id)) return Number(id)
  throw new ProblemError('invalid_cursor', 'Last-Event-ID is not the id of an event of this stream.')
}
