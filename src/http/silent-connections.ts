/**
 * Connections on which nothing has been asked: browsers and pools open some in advance. Node counts them among those in use, so that a
 * server that stops would wait a minute for a request that nobody makes.
 */

import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** The connections of servers, to end those that are silent. */
export class SilentConnections {
  readonly #open = new Set<Socket>()

  /** Keeps count of what is connected to a server from now on. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.on('close', () => this.#open.delete(socket))
    })
  }

  /** Ends those on which nothing came. */
  hangUp(): void {
    for (const socket of this.#open) if (socket.bytesRead === 0) socket.destroy()
  }
}
