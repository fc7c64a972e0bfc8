/** Every recurring task on one screen. None of them is needed for a balance to be right: they book what time has already done. */

import type { Logger } from 'pino'
import { isRefusal } from './core/refusals.ts'
import type { Mailer } from './mail/mailer.ts'
import { topUpAccounts } from './operations/auto-topups.ts'
import { issueNoted } from './operations/invoices.ts'
import { issueMonthlyStatements } from './operations/monthly-statements.ts'
import { reconcile } from './operations/reconcile.ts'
import type { Services } from './operations/services.ts'
import { payForSubscriptions } from './operations/subscription-payments.ts'
import { finishMoves } from './operations/test-clocks.ts'
import { deliverEvents } from './payments/sandbox/deliveries.ts'
import { Sandbox } from './payments/sandbox/sandbox.ts'
import type { BackgroundWork, Notice } from './stores/store.ts'
import type { Webhooks } from './webhooks/webhooks.ts'

export interface Background {
  /** Waits for the tasks that run, and starts no more. */
  readonly stop: () => Promise<void>
}

/** Accounts booked in one turn. */
const DUE_AT_ONCE = 500

/** What tasks need besides services. */
export interface BackgroundParts {
  readonly webhooks: Webhooks
  /** Null: nobody is written to. */
  readonly mailer: Mailer | null
  readonly log: Logger
  /** Where this server listens; null: nowhere yet. */
  readonly ownUrl: () => string | null
}

interface Task {
  readonly name: string
  readonly everyMs: number
  /** When its first turn is; default: as long after the start as the second is after the first. */
  readonly firstMs?: number
  readonly run: (services: Services, parts: BackgroundParts) => Promise<void>
  /** Whether there is such work at all; default: yes. */
  readonly isNeeded?: (services: Services, parts: BackgroundParts) => boolean
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
  { name: 'tell what happened in the sandbox', everyMs: 250, claim: 'tell of sandbox', isNeeded: hasSandbox, run: tellOfSandbox },
  {
    name: 'ask the payment provider for lost news',
    everyMs: 600_000,
    firstMs: 5_000,
    claim: 'reconcile',
    isNeeded: ({ payments }) => payments !== null,
    run: lookForNews,
  },
  {
    name: 'have subscriptions paid for',
    everyMs: 1_000,
    claim: 'pay for subscriptions',
    isNeeded: ({ payments }) => payments !== null,
    run: (services) => payForSubscriptions(services, { isThorough: false }),
  },
  {
    name: 'top accounts up',
    everyMs: 1_000,
    claim: 'top up accounts',
    isNeeded: ({ payments }) => payments !== null,
    run: (services) => topUpAccounts(services, { isThorough: false }),
  },
  {
    name: 'finish moves of test clocks',
    everyMs: 5_000,
    claim: 'move test clocks',
    isNeeded: ({ policy }) => policy.testClocks,
    run: finishMoves,
  },
  { name: 'issue invoices that were left', everyMs: 5_000, claim: 'issue invoices', run: (services) => issueNoted(services) },
  { name: 'issue monthly statements', everyMs: 1_000, claim: 'issue statements', run: issueMonthlyStatements },
  { name: 'send webhooks', everyMs: 250, claim: 'send webhooks', run: (_, { webhooks }) => webhooks.turn() },
  { name: 'remove old webhooks', everyMs: 60_000, claim: 'send webhooks', run: (_, { webhooks }) => webhooks.tidy() },
  {
    name: 'send e-mails about alerts',
    everyMs: 1_000,
    claim: 'send mails',
    isNeeded: hasMailer,
    run: async (_, { mailer }) => mailer?.turn(),
  },
  {
    name: 'forget e-mails that were sent',
    everyMs: 3_600_000,
    claim: 'send mails',
    isNeeded: hasMailer,
    run: async (_, { mailer }) => mailer?.tidy(),
  },
  {
    name: 'read prices that other servers published',
    everyMs: 1_000,
    after: ['prices', 'anything'],
    run: ({ prices }) => prices.keepUp(),
  },
]

/** Of purchases, subscriptions and automatic top-ups. */
async function lookForNews(services: Services): Promise<void> {
  const looks = [
    () => reconcile(services),
    () => payForSubscriptions(services, { isThorough: true }),
    () => topUpAccounts(services, { isThorough: true }),
  ]
  const faults: unknown[] = []
  // What goes wrong with one purchase keeps nobody from looking at the others.
  for (const look of looks) await look().catch((fault: unknown) => faults.push(fault))
  if (faults.length > 0) throw faults[0]
}

/** Expired grants and holds, renewals of subscriptions, and debts that a grant has come to pay: booked account by account. */
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

function hasSandbox({ payments }: Services): boolean {
  return payments?.provider instanceof Sandbox
}

function hasMailer(_: Services, { mailer }: BackgroundParts): boolean {
  return mailer !== null
}

/** The sandbox tells this server over HTTP, as a provider elsewhere would. */
async function tellOfSandbox({ payments }: Services, { ownUrl, log }: BackgroundParts): Promise<void> {
  const url = ownUrl()
  if (url === null || !(payments?.provider instanceof Sandbox)) return
  const onFailure = (reason: string): void => log.warn(`an event of the sandbox was not confirmed and is told again: ${reason}`)
  await deliverEvents(payments.provider, { url: `${url}/v1/payments/sandbox/events`, onFailure })
}

/** Starts the tasks. One that fails is logged and runs again at its next turn. */
export function startBackground(services: Services, parts: BackgroundParts): Background {
  const tasks = TASKS.filter(({ isNeeded }) => isNeeded?.(services, parts) ?? true)
  const stops = tasks.map((task) => start(task, services, parts))
  return {
    stop: async () => {
      parts.mailer?.stop()
      await Promise.all(stops.map((stop) => stop()))
      await parts.webhooks.stop()
      await services.keyRing.saveUses()
    },
  }
}

/** Who wants to keep a claim asks for it so often, also while the work rests or takes long. */
const CLAIM_AGAIN_MS = 1_000

function start({ name, everyMs, firstMs = everyMs, claim, after = [], run }: Task, services: Services, parts: BackgroundParts) {
  const stepMs = claim === undefined ? everyMs : Math.min(everyMs, CLAIM_AGAIN_MS)
  let stepsLeft = Math.ceil(firstMs / stepMs)
  let asking: Promise<void> | null = null
  let running: Promise<void> | null = null
  let isStopped = false
  const log = (fault: unknown): void => parts.log.error({ err: fault }, `${name}: failed`)
  const take = async (): Promise<void> => {
    if (claim !== undefined && !(await services.store.claim(claim))) return
    if (isStopped || running !== null || stepsLeft > 0) return
    stepsLeft = Math.ceil(everyMs / stepMs)
    running = run(services, parts)
      .catch(log)
      .finally(() => {
        running = null
      })
  }
  const turn = (): void => {
    if (isStopped) return
    asking ??= take()
      .catch(log)
      .finally(() => {
        asking = null
      })
  }
  const timer = setInterval(() => {
    stepsLeft -= 1
    turn()
  }, stepMs)
  const hurry = (): void => {
    stepsLeft = 0
    turn()
  }
  if (after.length > 0) services.store.watch(({ of }) => after.includes(of) && hurry())
  return async (): Promise<void> => {
    isStopped = true
    clearInterval(timer)
    await asking
    await running
  }
}
