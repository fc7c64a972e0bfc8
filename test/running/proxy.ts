/** A TCP proxy that does to connections what networks do: cuts them, before or after what they carry has arrived. */

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** What is done to the next data that a client sends. */
export type Mishap =
  /** It never arrives. */
  | 'cut before'
  /** It arrives, and the answer is lost. */
  | 'cut after'
  /** It arrives, and nothing comes back, though the connection stays. */
  | 'silence'

/** How long the server's side of a connection outlives the client's. */
const LINGER_MS = 300

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
  isSilent: boolean
}

/** Passes everything on until it is told otherwise. */
export class TcpProxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #target: URL
  /** Asked for each piece of data that a client sends; null: it is passed on. */
  mishap: (data: Buffer) => Mishap | null = () => null
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
    const server = createServer()
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
    const upstream = connect(Number(this.#target.port), this.#target.hostname)
    const pair: Pair = { client, upstream, isSilent: false }
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    client.on('data', (data: Buffer) => this.#forward(pair, data, end))
    upstream.on('data', (data) => {
      if (!pair.isSilent) client.write(data)
    })
  }

  #forward(pair: Pair, data: Buffer, end: () => void): void {
    const mishap = pair.isSilent ? null : this.mishap(data)
    if (mishap !== null) this.cuts++
    if (mishap === 'cut before') {
      end()
      return
    }
    pair.upstream.write(data)
    if (mishap === null) return
    pair.isSilent = true
    if (mishap === 'silence') return
    // What the server does with what arrived is its own affair: the client is gone before it can hear of it.
    pair.client.removeAllListeners('close').destroy()
    this.#pairs.delete(pair)
    setTimeout(() => pair.upstream.destroy(), LINGER_MS).unref()
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
