/** Where a webhook may be sent, as far as its address tells; where its name leads is looked at when it is sent. */

import { isIP } from 'node:net'
import type { Reach } from './networks.ts'

/** Longest address. */
export const MAX_URL_LENGTH = 2_000
/** Ports below 1024 that are not those of the web belong to services that may take a request for something else. */
const WEB_PORTS: readonly number[] = [80, 443]
const FIRST_FREE_PORT = 1_024

/** Reads the address of an endpoint as it is kept. An error's text: why it cannot be one. */
export function readTarget(text: string): URL | string {
  if (text.length > MAX_URL_LENGTH) return `must have ${MAX_URL_LENGTH} characters at most`
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return 'must be an https address'
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'must not have a name or password: the signature says who sends'
  if (url.hash !== '' || text.includes('#')) return 'must not have a fragment'
  const port = portOf(url)
  if (!WEB_PORTS.includes(port) && port < FIRST_FREE_PORT)
    return `must have port ${WEB_PORTS.join(', ')}, or one from ${FIRST_FREE_PORT} on`
  return url.href.length > MAX_URL_LENGTH ? `must have ${MAX_URL_LENGTH} characters at most` : url
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port)
  return protocol === 'https:' ? 443 : 80
}

/** The host of an address as a name or as an IP address: no brackets, no dot at its end. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

/** The address that a host is; null: it is a name. */
export function addressIn(host: string): string | null {
  return isIP(host) === 0 ? null : host
}

/**
 * What an endpoint may reach. Only those whose address the operator named reach networks that the operator allows, and without TLS
 * nothing else. Null: nothing.
 */
export function reachOf({ protocol }: URL, isByOperator: boolean): Reach | null {
  if (protocol === 'https:') return isByOperator ? 'public or allowed' : 'public'
  return isByOperator ? 'allowed' : null
}
