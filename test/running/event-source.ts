/** A client of server-sent events for tests: it notes what comes, and reads only as long as the test lets it. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { TestContext } from 'node:test'
import { until } from './receiver.ts'

/** An event that came. */
export interface SentEvent {
  readonly id: string | null
  readonly type: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies freely; what is not there fails the test.
  readonly data: any
  readonly atMs: number
}

export interface EventSource {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly events: readonly SentEvent[]
  /** All that came, as it came. */
  readonly text: () => string
  readonly hasEnded: () => boolean
  /** Waits for so many events. */
  readonly wait: (count: number) => Promise<readonly SentEvent[]>
  readonly pause: () => void
  readonly resume: () => void
  readonly close: () => void
}

/** Connects; the connection is closed when the test ends. */
export async function openEventSource(
  t: TestContext,
  url: string,
  { key, lastEventId }: { readonly key: string; readonly lastEventId?: string },
): Promise<EventSource> {
  const headers = { authorization: `Bearer ${key}`, ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) }
  const sent = request(url, { headers, agent: false })
  sent.on('error', () => sent.destroy())
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const events: SentEvent[] = []
  let text = ''
  let read = 0
  let hasEnded = false
  response.setEncoding('utf8').on('data', (part: string) => {
    text += part
    for (let end = text.indexOf('\n\n', read); end >= 0; end = text.indexOf('\n\n', read)) {
      const event = parse(text.slice(read, end))
      if (event) events.push(event)
      read = end + 2
    }
  })
  for (const name of ['end', 'close', 'error'])
    response.on(name, () => {
      hasEnded = true
    })
  t.after(() => sent.destroy())
  const wait = async (count: number): Promise<readonly SentEvent[]> => {
    await until(() => events.length >= count, `${count} events; ${events.length} came`)
    return events
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    text: () => text,
    hasEnded: () => hasEnded,
    wait,
    pause: () => response.pause(),
    resume: () => response.resume(),
    close: () => sent.destroy(),
  }
}

/** Reads a block of lines; null: it is no event. */
function parse(block: string): SentEvent | null {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([a-z]*):? ?(.*)$/.exec(line) ?? []
    assert.ok(!fields.has(name) || name === '', `${name} twice in ${block}`)
    fields.set(name, value)
  }
  const data = fields.get('data')
  if (data === undefined) return null
  return { id: fields.get('id') ?? null, type: fields.get('event') ?? 'message', data: JSON.parse(data), atMs: performance.now() }
}
