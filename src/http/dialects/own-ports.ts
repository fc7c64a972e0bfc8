/** Listens for dialects on ports of their own. */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Mounts } from './mounts.ts'

/** A port that is a dialect's. */
export interface MountedPort {
  readonly dialect: string
  /** 0: any that is free. */
  readonly port: number
}

/** A dialect that listens. */
export interface OwnPort {
  readonly dialect: string
  readonly address: string
  readonly server: Server
}

/**
 * Listens on each port, with the routes, limits and hooks of the app, which has to be ready. Rejects with the fault of the first that
 * cannot be listened on; then none is.
 */
export async function openOwnPorts(
  app: FastifyInstance,
  { host, ports, mounts }: { readonly host: string; readonly ports: readonly MountedPort[]; readonly mounts: Mounts },
): Promise<readonly OwnPort[]> {
  const open: OwnPort[] = []
  try {
    for (const { dialect, port } of ports) open.push(await openOwnPort(app, { dialect, port, host, mounts }))
    return open
  } catch (cause) {
    for (const { server } of open) server.close()
    throw cause
  }
}

async function openOwnPort(
  app: FastifyInstance,
  { dialect, port, host, mounts }: MountedPort & { readonly host: string; readonly mounts: Mounts },
): Promise<OwnPort> {
  const { requestTimeout, keepAliveTimeout } = app.server
  const server = createServer({ requestTimeout, keepAliveTimeout }, (request, reply) => app.routing(request, reply))
  for (const listener of app.server.listeners('clientError')) server.on('clientError', listener as (error: Error) => void)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject).listen({ host, port }, resolve)
  await promise
  server.off('error', reject)
  // A server that listens on TCP has an address and a port.
  const { address, family, port: opened } = server.address() as AddressInfo
  mounts.own(opened, dialect)
  return { dialect, address: `http://${family === 'IPv6' ? `[${address}]` : address}:${opened}`, server }
}
