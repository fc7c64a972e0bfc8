/**
 * Connections on which nothing has been asked: browsers and pools open some in advance. Node counts them among those in use, so that a
 * server that stops would wait a minute for a request that nobody makes.
 */

import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** A request comes within this time, as far as it comes at once. */
const GRACE_MS = 1_000

/** The connections of servers, to end those that are silent. */
export class SilentConnections {
  /** With the times at which they were opened. */
  readonly #open = new Map<Socket, number>()

  /** Keeps count of what is connected to a server from now on. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#open.set(socket, performance.now())
      socket.on('close', () => this.#open.delete(socket))
    })
  }

  /** Ends those on which nothing came. The request of one that has just been opened may be on its way. */
  hangUp(): void {
    const latestMs = performance.now() - GRACE_MS
    for (const [socket, openedMs] of this.#open) if (socket.bytesRead === 0 && openedMs <= latestMs) socket.destroy()
  }
}
