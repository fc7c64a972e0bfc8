/** `obol webhooks`: who is told of events, and how that goes. */

import type { Command } from 'commander'
import { CliError, EXIT } from './client.ts'
import { AFTER_OPTION, client, JSON_OPTION, LIMIT_OPTION, type Paging, type Printing, query, time } from './options.ts'
import { print } from './output.ts'

const COLUMNS = ['id', 'account', 'url', 'events', 'status', 'disabled_reason', 'failing_since', 'waiting', 'created_at']
const SECRET_COLUMNS = ['id', 'account', 'url', 'events', 'secret', 'previous_secret_until']
const ATTEMPT_COLUMNS = [
  'id',
  'event',
  'type',
  'cause',
  'number',
  'outcome',
  'status_code',
  'failure',
  'duration_ms',
  'next_attempt_at',
  'at',
]
const ACCOUNT_OPTION = [
  '--account <account>',
  "those of an account: its id, or external:<external id>; default: the operator's own",
] as const

interface Waiting {
  readonly accounts: number
  readonly next_attempt_at: string
}

const SHOWN = {
  columns: COLUMNS,
  shown: {
    events: (events: readonly string[]) => events.join(' '),
    waiting: ({ accounts, next_attempt_at }: Waiting) => `${accounts} at ${next_attempt_at}`,
  },
}

/** Adds the commands about webhooks. */
export function webhookCommands(program: Command): void {
  const webhooks = program.command('webhooks').description('who is told of events')
  makeCommands(webhooks)
  listCommands(webhooks)
  changeCommands(webhooks)
  againCommands(webhooks)
}

function pathOf(endpoint: string): string {
  return `/v1/webhook-endpoints/${encodeURIComponent(endpoint)}`
}

function makeCommands(webhooks: Command): void {
  webhooks
    .command('create <url>')
    .description('have events sent to an address; the secret that they are signed with is shown once')
    .option(...ACCOUNT_OPTION)
    .option('--events <events>', 'which, with commas between them, such as charge.created,credits.*; default: all')
    .option('--description <text>', 'what it is for')
    .addOption(JSON_OPTION)
    .action(async (url: string, options: Printing & { account?: string; events?: string; description?: string }) => {
      const { account, events, description, json = false } = options
      const endpoint = {
        url,
        ...(account === undefined ? {} : { account }),
        ...(events === undefined ? {} : { events: events.split(',') }),
        ...(description === undefined ? {} : { description }),
      }
      print((await client().call('POST', '/v1/webhook-endpoints', endpoint)).body, { json, ...SHOWN, columns: SECRET_COLUMNS })
    })
  webhooks
    .command('rotate <endpoint>')
    .description('give an endpoint a new secret; the old one goes on signing for a while')
    .option('--overlap <seconds>', 'how long both sign', '86400')
    .addOption(JSON_OPTION)
    .action(async (endpoint: string, { overlap, json = false }: Printing & { overlap: string }) => {
      if (!/^\d{1,9}$/.test(overlap)) throw new CliError('--overlap is a number of seconds.', { exitCode: EXIT.usage })
      const { body } = await client().call('POST', `${pathOf(endpoint)}/rotate`, { overlap_seconds: Number(overlap) })
      print(body, { json, ...SHOWN, columns: SECRET_COLUMNS })
    })
}

function listCommands(webhooks: Command): void {
  webhooks
    .command('list')
    .description('list endpoints, newest first')
    .option(...ACCOUNT_OPTION)
    .option('--failed', 'those that were disabled because of how they fared; without --account, of all accounts')
    .addOption(JSON_OPTION)
    .action(async ({ account, failed = false, json = false }: Printing & { account?: string; failed?: boolean }) => {
      const { body } = await client().call('GET', `/v1/webhook-endpoints${query({ account, ...(failed ? { failed: 'true' } : {}) })}`)
      print(body, { json, ...SHOWN })
    })
  webhooks
    .command('attempts <endpoint>')
    .description('list what was sent to an endpoint, and what became of it, newest first')
    .option('--event <event>', 'only attempts at this event')
    .addOption(LIMIT_OPTION)
    .addOption(AFTER_OPTION)
    .addOption(JSON_OPTION)
    .action(async (endpoint: string, { event, limit, after, json = false }: Paging & { event?: string }) => {
      const { body } = await client().call('GET', `${pathOf(endpoint)}/attempts${query({ event, limit, starting_after: after })}`)
      print(body, { json, columns: ATTEMPT_COLUMNS })
    })
}

function changeCommands(webhooks: Command): void {
  for (const [name, status, description] of [
    ['disable', 'disabled', 'send nothing to an endpoint any more; what waits is forgotten'],
    ['enable', 'enabled', 'send to an endpoint again what happens from now on'],
  ] as const)
    webhooks
      .command(`${name} <endpoint>`)
      .description(description)
      .addOption(JSON_OPTION)
      .action(async (endpoint: string, { json = false }: Printing) => {
        print((await client().call('PATCH', pathOf(endpoint), { status })).body, { json, ...SHOWN })
      })
  webhooks
    .command('remove <endpoint>')
    .description('remove an endpoint, with its attempts')
    .addOption(JSON_OPTION)
    .action(async (endpoint: string, { json = false }: Printing) => {
      print((await client().call('DELETE', pathOf(endpoint))).body, { json, ...SHOWN })
    })
}

function againCommands(webhooks: Command): void {
  webhooks
    .command('test <endpoint>')
    .description('send a test event now; ends with 1 when it is not accepted')
    .addOption(JSON_OPTION)
    .action(async (endpoint: string, { json = false }: Printing) => {
      const { body } = await client().call('POST', `${pathOf(endpoint)}/test`)
      print(body, { json, columns: ATTEMPT_COLUMNS })
      if ((body as { outcome: string }).outcome !== 'delivered') process.exitCode = EXIT.failed
    })
  webhooks
    .command('resend <endpoint> <event>')
    .description('send an event again')
    .addOption(JSON_OPTION)
    .action(async (endpoint: string, event: string, { json = false }: Printing) => {
      print((await client().call('POST', `${pathOf(endpoint)}/resend`, { event })).body, { json, columns: ['endpoint', 'event'] })
    })
  webhooks
    .command('replay <endpoint>')
    .description('send a part of the past again')
    .requiredOption('--start <time>', 'from when, such as 2027-01-01T00:00:00Z', time)
    .option('--end <time>', 'until when; default: now', time)
    .addOption(JSON_OPTION)
    .action(async (endpoint: string, { start, end, json = false }: Printing & { start: string; end?: string }) => {
      const range = { start, ...(end === undefined ? {} : { end }) }
      print((await client().call('POST', `${pathOf(endpoint)}/replay`, range)).body, { json, columns: ['id', 'endpoint', 'start', 'end'] })
    })
}
