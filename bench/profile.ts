/** Where the time of a charge goes: the server is profiled under full load, and beside it the route that does nothing. */

import { newSchema } from '../test/running/postgres.ts'
import { ACCOUNTS, type Effort, loadPlan } from './loads.ts'
import { load, type RunningServer, startServer } from './processes.ts'
import { SPENDERS, type Spent } from './profiler.ts'
import { report } from './report.ts'

/** Connections that keep the server busy. */
const CONNECTIONS = 256

/** Profiles charges on both stores. */
export async function benchProfile(effort: Effort): Promise<void> {
  await profile('SQLite', null, effort)
  await profile('PostgreSQL', await newSchema(), effort)
}

async function profile(name: string, postgres: string | null, effort: Effort): Promise<void> {
  const server = await startServer({ accounts: ACCOUNTS, postgres })
  const nothing = await spentPerRequest(server, '/noop', effort)
  const charge = await spentPerRequest(server, '/v1/charges', effort)
  await server.stop()
  const show = (what: string, read: (spent: Spent) => number): void =>
    report({
      part: 'profile',
      what: `${name}: ${what}`,
      figure: `${read(charge).toFixed(1)} µs`,
      goal: '',
      detail: `do-nothing ${read(nothing).toFixed(1)} µs`,
    })
  for (const spender of SPENDERS) show(spender, ({ busy }) => busy[spender])
  show('all threads of the server', ({ cpu }) => cpu)
}

/** Warm first, for as long as it is then measured. */
async function spentPerRequest({ ready, profile }: RunningServer, path: string, { seconds }: Effort): Promise<Spent> {
  const plan = loadPlan(ready, path, { seconds: 3 * seconds, connections: CONNECTIONS, warmUpSeconds: 0 })
  await load(plan)
  const { result, spent } = await profile(() => load(plan))
  const perRequest = (microseconds: number): number => microseconds / result.requests
  const busy = Object.fromEntries(SPENDERS.map((spender) => [spender, perRequest(spent.busy[spender])])) as Spent['busy']
  return { busy, cpu: perRequest(spent.cpu) }
}
