/** Every recurring task on one screen. None of them is needed for a balance to be right: they book what time has already done. */

import type { Logger } from 'pino'
import { isRefusal } from './core/refusals.ts'
import type { Services } from './operations/services.ts'
import type { BackgroundWork, Notice } from './stores/store.ts'

export interface Background {
  /** Waits for the tasks that run, and starts no more. */
  readonly stop: () => Promise<void>
}

/** Accounts booked in one turn. */
const DUE_AT_ONCE = 500

interface Task {
  readonly name: string
  readonly everyMs: number
  readonly run: (services: Services) => Promise<void>
  /** Of several servers one is enough. */
  readonly claim?: BackgroundWork
  /** News from other servers after which it runs at once. */
  readonly after?: readonly Notice['of'][]
}

const TASKS: readonly Task[] = [
  { name: 'book what is due', everyMs: 1_000, claim: 'book due', run: bookDue },
  { name: 'note when keys were used', everyMs: 60_000, run: ({ keyRing }) => keyRing.saveUses() },
  { name: 'see to the keys that sign access tokens', everyMs: 1_000, run: ({ signIn }) => signIn.tokens.maintain() },
  { name: 'remove sessions that are over', everyMs: 3_600_000, run: removeEndedSessions },
  {
    name: 'read prices that other servers published',
    everyMs: 1_000,
    after: ['prices', 'anything'],
    run: ({ prices }) => prices.keepUp(),
  },
]

/** Expired grants and holds, and debts that a grant has come to pay: booked account by account. */
export async function bookDue({ store, clock }: Pick<Services, 'store' | 'clock'>): Promise<void> {
  const accounts = await store.dueAccounts(clock(), DUE_AT_ONCE)
  const booked = accounts.map((account) =>
    store.transact({ account, command: { kind: 'book_due' }, idempotency: null, actor: 'time', requestId: null }),
  )
  for (const outcome of await Promise.all(booked))
    if (isRefusal(outcome)) throw new Error(`what is due could not be booked: ${outcome.detail}`)
}

/** Removes sessions whose time is up, a few at a time: requests are answered in between. */
async function removeEndedSessions({ store, clock }: Services): Promise<void> {
  while (await store.sessions.removeEnded(clock())) await new Promise((resolve) => setImmediate(resolve))
}

/** Starts the tasks. One that fails is logged and runs again at its next turn. */
export function startBackground(services: Services, log: Logger): Background {
  const stops = TASKS.map((task) => start(task, services, log))
  return {
    stop: async () => {
      await Promise.all(stops.map((stop) => stop()))
      await services.keyRing.saveUses()
    },
  }
}

function start({ name, everyMs, claim, after = [], run }: Task, services: Services, log: Logger): () => Promise<void> {
  let running: Promise<void> | null = null
  let isStopped = false
  const work = async (): Promise<void> => {
    if (claim === undefined || (await services.store.claim(claim))) await run(services)
  }
  const turn = (): void => {
    if (isStopped) return
    running ??= work()
      .catch((fault: unknown) => log.error({ err: fault }, `${name}: failed`))
      .finally(() => {
        running = null
      })
  }
  const timer = setInterval(turn, everyMs)
  if (after.length > 0) services.store.watch(({ of }) => after.includes(of) && turn())
  return async () => {
    isStopped = true
    clearInterval(timer)
    await running
  }
}
