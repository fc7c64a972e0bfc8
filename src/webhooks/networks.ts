/** Addresses that customers' URLs must not lead to: those of the machine itself, its neighbours, and whatever is no public address. */

import { BlockList, isIP } from 'node:net'

/** A network, such as 10.0.0.0/8. */
export interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** What is not of the public Internet (RFC 6890 and what came after it), of IPv4 and of that part of IPv6 that is otherwise. */
const INTERNAL: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
]

/** Reads a network; undefined: it is none. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', digits = ''] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(text) ?? []
  const version = isIP(address)
  const prefix = Number(digits)
  if (version === 0 || digits === '' || prefix > (version === 4 ? 32 : 128)) return undefined
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}

function listOf(networks: readonly Network[]): BlockList {
  const list = new BlockList()
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family)
  return list
}

const INTERNAL_LIST = listOf(
  INTERNAL.map((text) => {
    const network = parseNetwork(text)
    if (!network) throw new Error(`${text} is no network`)
    return network
  }),
)

/** The only part of IPv6 whose addresses are given to the public; what stands for an IPv4 address lies elsewhere. */
const GLOBAL_IPV6 = listOf([{ address: '2000::', prefix: 3, family: 'ipv6' }])
const MAPPED_IPV4 = listOf([{ address: '::ffff:0:0', prefix: 96, family: 'ipv6' }])

function isPublic(address: string): boolean {
  const isGlobal = isIP(address) === 4 || isIn(MAPPED_IPV4, address) || isIn(GLOBAL_IPV6, address)
  return isGlobal && !isIn(INTERNAL_LIST, address)
}

function isIn(list: BlockList, address: string): boolean {
  const version = isIP(address)
  if (version === 0) throw new Error(`${address} is no address`)
  return list.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

/** Which addresses a request may go to: public ones, those that the operator allows, or both. */
export type Reach = 'public' | 'allowed' | 'public or allowed'

/** The networks, with those that the operator allows although they are internal. */
export class Networks {
  readonly #allowed: BlockList

  constructor(allowed: readonly Network[]) {
    this.#allowed = listOf(allowed)
  }

  /** Whether an address is within a reach. */
  isWithin(reach: Reach, address: string): boolean {
    return (reach !== 'allowed' && isPublic(address)) || (reach !== 'public' && isIn(this.#allowed, address))
  }
}
