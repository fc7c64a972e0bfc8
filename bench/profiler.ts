/** Profiles the process that it runs in, and says who spent the time of its main thread. */

import { type Profiler, Session } from 'node:inspector'
import { promisify } from 'node:util'

/** Who spends time, in the order in which a request meets them. */
export const SPENDERS = [
  'Node: HTTP, streams, timers',
  'writes to sockets',
  'Fastify, its parts and its logger',
  'Obol: HTTP and keys',
  'Obol: operations and core',
  'Obol: store',
  'pg',
  'SHA-256',
  'garbage collection',
  'all else',
] as const

/** One of SPENDERS. */
export type Spender = (typeof SPENDERS)[number]

/** What a process spent while it was profiled. */
export interface Spent {
  /** Of the main thread, by who spent it, in microseconds. */
  readonly busy: Readonly<Record<Spender, number>>
  /** Of all threads, in microseconds. */
  readonly cpu: number
}

/** Microseconds between samples. */
const INTERVAL = 500

/** Whose a file is; the first that fits. SQLite runs inside the calls that its store makes. */
const FILES: readonly (readonly [RegExp, Spender])[] = [
  [/^node:internal\/crypto\/hash/, 'SHA-256'],
  [/^node:/, 'Node: HTTP, streams, timers'],
  [/\/node_modules\/pg/, 'pg'],
  [/\/node_modules\//, 'Fastify, its parts and its logger'],
  [/\/src\/(http|auth)\//, 'Obol: HTTP and keys'],
  [/\/src\/(core|operations)\//, 'Obol: operations and core'],
  [/\/src\/stores\//, 'Obol: store'],
]
const SOCKET_WRITES = /^write(v|Utf8String|Latin1String|AsciiString|Buffer)$/

type Frame = Pick<Profiler.ProfileNode['callFrame'], 'functionName' | 'url'>

function ownerOf({ functionName, url }: Frame): Spender | undefined {
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (url === '') return SOCKET_WRITES.test(functionName) ? 'writes to sockets' : undefined
  return FILES.find(([pattern]) => pattern.test(url))?.[1]
}

/** What each node of a profile belongs to: its own file's owner, or, for what has no file, that of its caller. */
function ownersOf(nodes: readonly Profiler.ProfileNode[]): ReadonlyMap<number, Spender> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const owners = new Map<number, Spender>()
  const visit = (id: number, inherited: Spender): void => {
    const node = byId.get(id)
    if (!node) return
    const owner = ownerOf(node.callFrame) ?? inherited
    owners.set(id, owner)
    for (const child of node.children ?? []) visit(child, owner)
  }
  if (nodes[0]) visit(nodes[0].id, 'all else')
  return owners
}

function busyOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Spent['busy'] {
  const owners = ownersOf(nodes)
  const idle = new Set(nodes.filter(({ callFrame }) => callFrame.functionName === '(idle)').map(({ id }) => id))
  const busy = Object.fromEntries(SPENDERS.map((spender) => [spender, 0])) as Record<Spender, number>
  for (const [at, id] of samples.entries()) if (!idle.has(id)) busy[owners.get(id) ?? 'all else'] += timeDeltas[at] ?? 0
  return busy
}

/** Begins a profile of this process; what is returned ends it. */
export async function beginProfile(): Promise<() => Promise<Spent>> {
  const session = new Session()
  session.connect()
  const post = promisify(session.post.bind(session)) as (method: string, parameters?: object) => Promise<unknown>
  await post('Profiler.enable')
  await post('Profiler.setSamplingInterval', { interval: INTERVAL })
  await post('Profiler.start')
  const before = process.cpuUsage()
  return async () => {
    const { user, system } = process.cpuUsage(before)
    const { profile } = (await post('Profiler.stop')) as Profiler.StopReturnType
    session.disconnect()
    return { busy: busyOf(profile), cpu: user + system }
  }
}
