/**
 * Where dialects are reached besides their path prefix: by a host name, and on a port of their own. There every path is the
 * dialect's; it is routed as if the prefix stood before it, so that a dialect has its routes once.
 */

import type { IncomingMessage } from 'node:http'

/** A host name that belongs to a dialect. */
export interface MountedHost {
  readonly dialect: string
  readonly host: string
}

/** The start of a request target that names its host, as clients of proxies write it. */
const ABSOLUTE = /^https?:\/\/[^/?#]*/i

export class Mounts {
  readonly #byHost: ReadonlyMap<string, string>
  readonly #byPort = new Map<number, string>()

  constructor(hosts: readonly MountedHost[]) {
    this.#byHost = new Map(hosts.map(({ dialect, host }) => [host, dialect]))
  }

  /** From now on a port is a dialect's. */
  own(port: number, dialect: string): void {
    this.#byPort.set(port, dialect)
  }

  /** The dialect whose port it is; undefined: nobody's own. */
  onPort(port: number | undefined): string | undefined {
    return port === undefined ? undefined : this.#byPort.get(port)
  }

  /** The dialect of a Host header, whatever its port and the case of its letters. */
  #onHost(header: string | undefined): string | undefined {
    return this.#byHost.size === 0 || header === undefined ? undefined : this.#byHost.get(header.toLowerCase().replace(/:\d+$/, ''))
  }

  /** The path of a request as the router knows it. */
  pathOf({ url = '/', headers, socket }: IncomingMessage): string {
    const dialect = this.onPort(socket.localPort) ?? this.#onHost(headers.host)
    if (dialect === undefined) return url
    const path = url.replace(ABSOLUTE, '')
    return `/${dialect}${path.startsWith('/') ? '' : '/'}${path}`
  }
}
