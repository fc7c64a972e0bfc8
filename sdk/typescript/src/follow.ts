/** Follows a balance on a stream of events, which is opened again whenever it breaks. */

import { readAnswer } from './answers.ts'
import type { Credits, JournalRecord } from './api/shapes.ts'
import { type AttemptRequest, sendOnce, within } from './attempt.ts'
import { ApiError, type CallFacts, ConnectionError, UnexpectedAnswerError } from './errors.ts'
import { pause } from './pause.ts'
import { waitBeforeRepeating } from './repeating.ts'
import { EventReader, type ServerSentEvent } from './server-sent-events.ts'
import { addressOf, type Client } from './transport.ts'

/** Whose balance is followed, from where, and until when. */
export interface FollowCreditsOptions {
  /** For the operator: whose credits. */
  readonly account?: string
  /** The `id` of the last update that an earlier reader saw: the first one tells the changes since then. */
  readonly after?: string
  readonly signal?: AbortSignal | undefined
}

/** What an account has, at the moment that it is told. */
export interface CreditsUpdate {
  /** Where to go on after it: keep it for `after`. */
  readonly id: string
  readonly credits: Credits
  /** The journal records since the update before, oldest first. */
  readonly changes: readonly JournalRecord[]
  /** False: there were more changes than are told at once, and `changes` is empty. Read the journal if they matter. */
  readonly changesComplete: boolean
}

/** Longest without a sign of life. The server gives one every 15 seconds. */
const SILENCE_MS = 45_000

/** The updates of an account, for ever: see `Obol.followCredits`. */
export async function* followCredits(client: Client, options: FollowCreditsOptions): AsyncGenerator<CreditsUpdate, void, undefined> {
  const { signal } = options
  let from = options
  let attempts = 0
  while (!signal?.aborted) {
    attempts++
    try {
      for await (const update of updates(client, from, attempts)) {
        attempts = 1
        from = { ...from, after: update.id }
        yield update
      }
    } catch (fault) {
      if (signal?.aborted) return
      const retryAfterSeconds = fault instanceof ApiError ? fault.retryAfterSeconds : null
      const waitMs = waitBeforeRepeating({
        fault,
        repeat: 'safe',
        attempts,
        maxRetries: Number.POSITIVE_INFINITY,
        random: Math.random,
        retryAfterSeconds,
      })
      if (waitMs === null) throw fault
      await pause(waitMs, signal)
    }
  }
}

/** The updates of one connection. It ends with an error, whatever ends it. */
async function* updates(
  client: Client,
  { account, after, signal }: FollowCreditsOptions,
  attempts: number,
): AsyncGenerator<CreditsUpdate, never, undefined> {
  const facts = { requestId: null, idempotencyKey: null, attempts }
  const url = addressOf(client, { path: '/v1/credits/stream', query: { account } })
  const headers = {
    ...client.headers,
    accept: 'text/event-stream, application/problem+json',
    authorization: `Bearer ${await client.key()}`,
    ...(after === undefined ? {} : { 'last-event-id': after }),
  }
  const { fetch, timeoutMs } = client
  const { reader, named } = await open({ fetch, url, init: { method: 'GET', headers }, timeoutMs, signal, facts })
  const events = new EventReader()
  const decoder = new TextDecoder()
  try {
    for (;;) {
      const part = await within({ url, timeoutMs: SILENCE_MS, signal, facts: named }, () => reader.read())
      if (part.done) throw new ConnectionError('The stream broke off.', named)
      for (const event of eventsIn(events, decoder.decode(part.value, { stream: true }), named)) {
        if (event.type === 'end') throw new ConnectionError(`The server ended the stream: ${event.data}`, named)
        if (event.type === 'message') yield updateOf(event, named)
      }
    }
  } finally {
    // What is not read any more need not come. A stream that broke says so again, and that is known.
    await Promise.allSettled([reader.cancel()])
  }
}

interface OpenStream {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>
  /** With the id that the server's log knows the request by. */
  readonly named: CallFacts
}

async function open(request: AttemptRequest): Promise<OpenStream> {
  const answer = await within(request, async (signal) => {
    const response = await sendOnce(request, signal)
    const { status, headers, body } = response
    const isStream = status === 200 && body !== null && /^text\/event-stream\b/i.test(headers.get('content-type') ?? '')
    return { status, headers, reader: isStream ? body.getReader() : null, text: isStream ? '' : await response.text() }
  })
  const named = { ...request.facts, requestId: answer.headers.get('x-request-id') }
  if (answer.reader) return { reader: answer.reader, named }
  readAnswer(answer, named, false)
  throw new UnexpectedAnswerError(`What answered is no stream of events: ${answer.status}.`, answer.status, named)
}

function eventsIn(reader: EventReader, text: string, facts: CallFacts): readonly ServerSentEvent[] {
  try {
    return reader.read(text)
  } catch (cause) {
    throw strange(`What answered does not speak Obol's API: ${String(cause)}.`, facts, cause)
  }
}

function updateOf({ data, id }: ServerSentEvent, facts: CallFacts): CreditsUpdate {
  try {
    const { credits, changes, changes_complete: changesComplete } = JSON.parse(data)
    return { id, credits, changes, changesComplete }
  } catch (cause) {
    throw strange('An event of the stream is not what the API says.', facts, cause)
  }
}

function strange(message: string, facts: CallFacts, cause: unknown): UnexpectedAnswerError {
  return Object.assign(new UnexpectedAnswerError(message, 200, facts), { cause })
}
