/** A TCP proxy that does to connections what networks do: cuts them, delays them, ends one of their directions, or goes silent. */

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** What is done to the next data that a client sends. */
export type Mishap =
  /** It never arrives. */
  | 'cut before'
  /** It arrives, and the answer is lost. */
  | 'cut after'
  /** It arrives late, and all that is sent after it behind it. */
  | 'delay'
  /** It arrives, and the answer is late. */
  | 'late answer'
  /** It arrives, and the server hears that the client will send no more; its answer still gets through. */
  | 'client ends'
  /** It arrives, and the client hears that the server will send no more, before any answer; what it sends all the same gets through. */
  | 'server ends'
  /** It arrives, and nothing comes back, though the connection stays. */
  | 'silence'

/** How long the server's side of a connection outlives the client's. */
const LINGER_MS = 300
/** How late delayed data is. */
const DELAY_MS = 500

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
  /** Nothing that the server says gets through. */
  isSilent: boolean
  /** Data for the server that waits behind what is delayed; null: nothing is. */
  delayed: Buffer[] | null
  /** The same for the client. */
  late: Buffer[] | null
}

/** Passes everything on until it is told otherwise. */
export class TcpProxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #target: URL
  /** Asked for each piece of data that a client sends; null: it is passed on. */
  mishap: (data: Buffer) => Mishap | null = () => null
  /** What a client hears instead of what the server says. */
  answer: (data: Buffer) => Buffer = (data) => data
  /** Whether new connections are refused. */
  isDown = false
  cuts = 0

  private constructor(server: Server, target: URL) {
    this.#server = server
    this.#target = target
    server.on('connection', (client) => this.#pass(client))
  }

  /** Starts a proxy in front of the server of a URL. */
  static async start(url: string): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpProxy(server, new URL(url))
  }

  /** The URL that leads through the proxy. */
  get url(): string {
    const address = this.#server.address()
    const url = new URL(this.#target.href)
    url.hostname = '127.0.0.1'
    url.port = `${typeof address === 'object' ? address?.port : ''}`
    return url.href
  }

  #pass(client: Socket): void {
    if (this.isDown) {
      client.destroy()
      return
    }
    const upstream = connect({ port: Number(this.#target.port), host: this.#target.hostname, allowHalfOpen: true })
    const pair: Pair = { client, upstream, isSilent: false, delayed: null, late: null }
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    client.on('data', (data: Buffer) => this.#forward(pair, data, end))
    // What is on its way to the server arrives there, though nobody waits for its answer any more.
    client.on('error', () => client.destroy()).on('close', () => pair.delayed ?? end())
    client.on('end', () => upstream.end())
    upstream.on('data', (data: Buffer) => {
      if (pair.late) pair.late.push(data)
      else if (!pair.isSilent) client.write(this.answer(data))
    })
    // What the server said last still has to reach the client; that it has gone is told with it, or not at all.
    const goodbye = (): void => {
      if (!pair.isSilent) client.end()
    }
    upstream.on('error', end).on('close', goodbye).on('end', goodbye)
  }

  #forward(pair: Pair, data: Buffer, end: () => void): void {
    if (pair.delayed) {
      pair.delayed.push(data)
      return
    }
    const mishap = pair.isSilent ? null : this.mishap(data)
    if (mishap !== null) this.cuts++
    if (mishap === 'cut before') end()
    else if (mishap === 'delay') this.#delay(pair, data)
    else {
      pair.upstream.write(data)
      this.#afterwards(pair, mishap)
    }
  }

  #afterwards(pair: Pair, mishap: Mishap | null): void {
    if (mishap === 'client ends') pair.upstream.end()
    if (mishap === 'late answer') this.#delayAnswers(pair)
    if (mishap === 'silence' || mishap === 'cut after' || mishap === 'server ends') pair.isSilent = true
    if (mishap === 'server ends') pair.client.end()
    if (mishap !== 'cut after') return
    // What the server does with what arrived is its own affair: the client is gone before it can hear of it.
    pair.client.removeAllListeners('close').destroy()
    this.#pairs.delete(pair)
    setTimeout(() => pair.upstream.destroy(), LINGER_MS).unref()
  }

  #delay(pair: Pair, data: Buffer): void {
    pair.delayed = [data]
    setTimeout(() => {
      for (const one of pair.delayed ?? []) pair.upstream.write(one)
      pair.delayed = null
      if (pair.client.destroyed) setTimeout(() => pair.upstream.destroy(), LINGER_MS)
    }, DELAY_MS)
  }

  #delayAnswers(pair: Pair): void {
    pair.late ??= []
    setTimeout(() => {
      for (const one of pair.late ?? []) pair.client.write(this.answer(one))
      pair.late = null
    }, DELAY_MS)
  }

  /** Cuts every connection there is. */
  cutAll(): void {
    for (const { client, upstream } of this.#pairs) {
      client.destroy()
      upstream.destroy()
    }
  }

  async stop(): Promise<void> {
    this.cutAll()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
