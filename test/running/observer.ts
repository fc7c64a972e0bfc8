/** Stands between a store and its PostgreSQL, passes everything on, and notes each statement that is run, with its values. */

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** A statement that was run. */
export interface Observed {
  /** The name under which it was prepared; empty: none. */
  readonly name: string
  readonly text: string
  /** As they were sent: text, or null. */
  readonly values: readonly (string | null)[]
}

const HEADER_BYTES = 5

/** The messages of one connection, from its client's side. */
class Conversation {
  readonly #note: (observed: Observed) => void
  readonly #texts = new Map<string, string>()
  #unread: Buffer = Buffer.alloc(0)
  #hasStarted = false

  constructor(note: (observed: Observed) => void) {
    this.#note = note
  }

  hear(data: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, data])
    // The first message has no type.
    if (!this.#hasStarted && this.#unread.length >= 4) {
      this.#unread = this.#unread.subarray(this.#unread.readInt32BE(0))
      this.#hasStarted = true
    }
    for (;;) {
      const end = this.#unread.length < HEADER_BYTES ? Number.POSITIVE_INFINITY : 1 + this.#unread.readInt32BE(1)
      if (this.#unread.length < end) return
      this.#read(String.fromCharCode(this.#unread[0] ?? 0), new Reading(this.#unread.subarray(HEADER_BYTES, end)))
      this.#unread = this.#unread.subarray(end)
    }
  }

  #read(type: string, message: Reading): void {
    if (type === 'Q') this.#note({ name: '', text: message.text(), values: [] })
    else if (type === 'P') this.#texts.set(message.text(), message.text())
    else if (type === 'B') {
      message.text()
      const name = message.text()
      message.skip(2 * message.short())
      const values = Array.from({ length: message.short() }, () => message.value())
      this.#note({ name, text: this.#texts.get(name) ?? '', values })
    }
  }
}

/** Reads the parts of a message in their order. */
class Reading {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    const text = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  short(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  value(): string | null {
    const length = this.#bytes.readInt32BE(this.#at)
    this.#at += 4 + Math.max(0, length)
    return length < 0 ? null : this.#bytes.toString('utf8', this.#at - length, this.#at)
  }

  skip(bytes: number): void {
    this.#at += bytes
  }
}

/** Passes connections on, and notes what they run. */
export class Observer {
  readonly seen: Observed[] = []
  /** Changes what the server answers. */
  rewrite: (answer: Buffer) => Buffer = (answer) => answer
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #target: URL

  private constructor(server: Server, target: URL) {
    this.#server = server
    this.#target = target
    server.on('connection', (client) => this.#pass(client))
  }

  /** Starts one in front of the server of a URL. */
  static async start(url: string): Promise<Observer> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Observer(server, new URL(url))
  }

  /** The URL that leads through it. */
  get url(): string {
    const address = this.#server.address()
    const url = new URL(this.#target.href)
    url.hostname = '127.0.0.1'
    url.port = `${typeof address === 'object' ? address?.port : ''}`
    return url.href
  }

  #pass(client: Socket): void {
    const upstream = connect(Number(this.#target.port), this.#target.hostname)
    const conversation = new Conversation((observed) => this.seen.push(observed))
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.on('data', (data: Buffer) => {
      conversation.hear(data)
      upstream.write(data)
    })
    upstream.on('data', (data: Buffer) => client.write(this.rewrite(data)))
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
