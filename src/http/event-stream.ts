/** Server-sent events to one client, which may be slow: what it has not taken is never more than one frame. */

import type { FastifyReply } from 'fastify'

/** What is sent at once. */
export interface Frame {
  /** Given back as Last-Event-ID by a client that connects again. */
  readonly id: string
  /** JSON, on one line. */
  readonly data: string
}

/** How long a client waits before it connects again. */
const RETRY_MS = 3_000
/** Quiet time after which something is sent that means nothing, so that nobody between here and there hangs up. */
const HEARTBEAT_MS = 15_000
/** How long a client has to take what it is sent last. */
const LAST_WORDS_MS = 2_000
/** A client that has taken nothing for so long is not there any more. */
const STALLED_MS = 60_000

/** A stream that has begun. */
export class EventStream {
  readonly #reply: FastifyReply
  #lastWriteMs = performance.now()
  #isOpen = true

  /** Begins to answer. From then on the reply is this stream's. */
  constructor(reply: FastifyReply) {
    this.#reply = reply
    reply.hijack()
    reply.raw.on('close', () => {
      this.#isOpen = false
    })
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value)
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    this.#write(`retry: ${RETRY_MS}\n\n`)
  }

  /** Whether the client has not taken yet what it was sent: then nothing more is to be sent. */
  get isBehind(): boolean {
    return this.#reply.raw.writableNeedDrain
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  send({ id, data }: Frame): void {
    this.#write(`id: ${id}\ndata: ${data}\n\n`)
  }

  #write(text: string): void {
    if (!this.#isOpen) return
    this.#lastWriteMs = performance.now()
    this.#reply.raw.write(text)
  }

  /** Does something whenever the client has caught up. */
  onCaughtUp(listener: () => void): void {
    this.#reply.raw.on('drain', listener)
  }

  /** Does something when the stream is over, by whatever cause. */
  onClosed(listener: () => void): void {
    this.#reply.raw.on('close', listener)
  }

  /** Keeps a quiet connection open, and lets go of a client that takes nothing any more. */
  keepAlive(): void {
    const quietMs = performance.now() - this.#lastWriteMs
    if (this.isBehind && quietMs > STALLED_MS) this.#reply.raw.destroy()
    else if (!this.isBehind && quietMs > HEARTBEAT_MS) this.#write(':\n\n')
  }

  /** Ends the stream, saying why. */
  end(reason: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    const { raw } = this.#reply
    raw.end(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`)
    const timer = setTimeout(() => raw.destroy(), LAST_WORDS_MS).unref()
    raw.on('close', () => clearTimeout(timer))
  }
}
