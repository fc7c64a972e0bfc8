/** Names of hosts and the addresses that they lead to, asked of DNS without a thread: slow names hold nothing up. */

import { Resolver } from 'node:dns/promises'

/** Gives the addresses of a name; none: it has none. */
export type Resolve = (name: string) => Promise<readonly string[]>

const TIMEOUT_MS = 2_000
const TRIES = 2

/** What the system's look-up would say of the machine itself (RFC 6761); DNS is not asked. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1']

/** Codes that say that there is no such name, or no address of that kind. */
const NOTHING = new Set<unknown>(['ENOTFOUND', 'ENODATA', 'EBADNAME'])

/** Asks the DNS servers of this machine. Rejects when they do not answer. */
export function dnsResolve(): Resolve {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  const addresses = async (asked: Promise<string[]>): Promise<readonly string[]> => {
    try {
      return await asked
    } catch (fault) {
      if (fault instanceof Error && 'code' in fault && NOTHING.has(fault.code)) return []
      throw fault
    }
  }
  return async (name) => {
    if (/(^|\.)localhost$/i.test(name)) return LOOPBACK
    return (await Promise.all([addresses(resolver.resolve4(name)), addresses(resolver.resolve6(name))])).flat()
  }
}
